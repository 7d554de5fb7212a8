"""Products over events: only active elements of a rectified vector take part.

    y[i] = sum over k of M[i, k] v[k]        v sparse: its columns of M, one after the other
    y[i, k] = u[i] v[k]                      one of them sparse: its rows of the result
    y[k] = sum over i of M[i, k] u[i]        y masked after this: its listed elements

Skipping a zero is exact but for infinite weights: the order of the sums is that of the dense
product. Vectors longer than a queue take the dense way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dlc.memory.form import Immediate, Operand, Tensor, View
from dlc.targets.sparrow.axes import Axis, is_negative
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.events import EventList, is_vector
from dlc.targets.sparrow.tensors.movement import fill_window
from dlc.typesys.dims import ZERO

A, B, OUT = 0, 1, 2


@dataclass(frozen=True)
class Letters:
    """Axes by kind; strides of each: in a, in b, in the result."""

    both: tuple[Axis, ...]
    left: tuple[Axis, ...]
    right: tuple[Axis, ...]
    summed: tuple[Axis, ...]


@dataclass(frozen=True)
class _Case:
    """One of the three products: the list, the vector that it is made from if it isn't there yet,
    the axis that is listed, the other axis, and which operand has both."""

    kind: str
    events: EventList
    source: View | None
    along: Axis
    other: Axis
    whole: int


def listed(
    b: Body, s: Tensor, l: Letters, windows: tuple[Window, ...], dense: Callable[[bool], None]
) -> None:
    """The product over events where that is known to pay, else `dense`, which is told whether the
    sums over the rows of a matrix may be banked: in the order in which events are added."""
    case = _case(b, s, l)
    if case is None:
        dense(True)
        return
    found = b.events.queue(case.events)
    most, size = b.unit.options.queue, case.along.size
    banked = case.kind == "masked"
    if found is None or b.unit.options.dense or (size.is_constant and size.constant > most):
        dense(banked)
        return
    if size.is_constant:
        _emit(b, s, case, windows, found)
        return
    c = b.c
    long, done = c.label(), c.label()
    with c.scope():
        c.branch("blt", c.number(most), b.dim(size), long)
    with c.scope():
        _emit(b, s, case, windows, found)
    c.jump(done)
    c.place(long)
    with c.scope():
        dense(banked)
    c.place(done)


def _case(b: Body, s: Tensor, l: Letters) -> _Case | None:
    if not b.events.enabled or l.both:
        return None
    axes = (*l.left, *l.right, *l.summed)
    if any(is_negative(d) for x in axes for d in x.strides):
        return None
    if not l.summed and len(l.left) == len(l.right) == 1:
        return _outer(b, s, l.left[0], l.right[0])
    if len(l.summed) != 1 or len(l.left) + len(l.right) != 1:
        return None
    rows = (*l.left, *l.right)[0]
    matrix, vector = (A, B) if l.left else (B, A)
    found = _known(b, s.ins[vector])
    if found is not None:
        source = s.ins[vector]
        assert isinstance(source, View)
        return _Case("product", found, source, l.summed[0], rows, matrix)
    (out,) = s.outs
    if isinstance(out, View) and is_vector(out) and not s.accumulate:
        mask = b.events.mask_of(out)
        if mask is not None:
            return _Case("masked", mask, None, rows, l.summed[0], matrix)
    return None


def _known(b: Body, x: Operand | Immediate) -> EventList | None:
    return b.events.sparse.get(x) if isinstance(x, View) and is_vector(x) else None


def _outer(b: Body, s: Tensor, left: Axis, right: Axis) -> _Case | None:
    for which, along, other in ((B, right, left), (A, left, right)):
        found, source = _known(b, s.ins[which]), s.ins[which]
        if found is not None and isinstance(source, View):
            return _Case("outer", found, source, along, other, OUT)
    return None


def _emit(
    b: Body, s: Tensor, case: _Case, windows: tuple[Window, ...], found: tuple[int, bool]
) -> None:
    c = b.c
    queue, fresh = found
    if fresh:
        assert case.source is not None
        with c.scope():
            t = b.tensor(case.source).number
            c.emit("ev.nz", q=queue, a=t, b=c.real(0.0).number)
    y = windows[OUT]
    if not s.accumulate:
        fill_window(b, y, c.real(0.0))
    whole = describe(b, windows[case.whole], case.whole, case.along, case.other)
    if case.kind == "product":
        c.emit("ev.rows", d=describe(b, y, OUT, case.other), a=whole, b=queue)
        return
    if case.kind == "masked":
        vector = B if case.whole == A else A
    else:
        vector = A if case.other.strides[B] == ZERO else B
    t = describe(b, windows[vector], vector, case.other)
    if case.kind == "masked":
        c.emit("ev.rows.dx", d=describe(b, y, OUT, case.along), a=whole, b=queue, c=t)
    else:
        c.emit("ev.rows.dw", d=whole, b=queue, c=t)


def describe(b: Body, w: Window, which: int, *axes: Axis) -> int:
    """A descriptor of operand `which` over these axes."""
    strides = tuple(x.strides[which] for x in axes)
    made = Window(w.space, w.dtype, w.address, tuple(x.size for x in axes), strides)
    return b.describe(made).number
