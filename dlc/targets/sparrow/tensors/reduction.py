"""`reduce` over any axes of a view with any strides."""

from __future__ import annotations

from dlc.memory.form import Tensor
from dlc.ops.reduce import identity
from dlc.targets.sparrow.axes import Axis, axes_of, is_negative, loops, shifted, split
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import Flt, Int, Scalar
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.scalars import compute, rounded
from dlc.targets.sparrow.tensors.contraction import merged
from dlc.targets.sparrow.tensors.elements import Elements
from dlc.targets.sparrow.tensors.movement import (
    delivered,
    destination,
    source,
)
from dlc.typesys.dims import ONE, ZERO
from dlc.typesys.dtypes import F32, I64, DType

X, Y = 0, 1
SAME = {"sum": "sum", "max": "max", "min": "min", "prod": "prod", "any": "max", "all": "min"}
"""The fold on whole numbers that each kind is."""


def emit_reduce(b: Body, s: Tensor) -> None:
    (out,) = s.outs
    x = source(b, s.ins[0], F32, 0)
    y = destination(b, out, 2, s.accumulate)
    axes = s.attrs["axes"]
    assert isinstance(axes, tuple)
    kind = str(s.attrs["kind"])
    over = frozenset(int(str(k)) for k in axes)
    kept, folded = axes_by_use(x, y, over)
    if x.dtype.is_float and s.accumulate and kept:
        _added(b, kind, x, y, over)
    elif x.dtype.is_float:
        _floats(b, kind, x, y, kept, folded, s.accumulate)
    else:
        _whole_numbers(b, kind, x, y, kept, folded, s.accumulate)
    delivered(b, out, 2)


def axes_by_use(x: Window, y: Window, axes: frozenset[int]) -> tuple[list[Axis], list[Axis]]:
    """Axes that stay, with their strides in x and y, and axes that are folded."""
    kept: list[Axis] = []
    folded: list[Axis] = []
    at = 0
    for k, (n, d) in enumerate(zip(x.shape, x.strides, strict=True)):
        if k in axes:
            if n != ONE:
                folded.append(Axis(n, (d, ZERO), k))
            continue
        if n != ONE:
            kept.append(Axis(n, (d, y.strides[at]), k))
        at += 1
    return merged(kept), merged(folded)


def _floats(
    b: Body, kind: str, x: Window, y: Window, kept: list[Axis], folded: list[Axis], add: bool
) -> None:
    """Rows of one folded axis by `red.axis`; several folded axes point by point by `red`."""
    c = b.c
    negative = any(is_negative(d) for a in (*kept, *folded) for d in a.strides)
    if not kept or len(folded) != 1 or negative:
        _points(b, kind, x, y, kept, folded, add)
        return
    (axis,) = folded
    outer, inner = kept[:-2], kept[-2:]
    before = inner[0] if len(inner) == 2 else None
    with loops(b, outer) as counters:
        at_x = shifted(b, x, outer, counters, X, []).address
        at_y = shifted(b, y, outer, counters, Y, []).address
        first = before.size if before else ONE
        after = inner[-1]
        of_x = (before.strides[X] if before else ZERO, axis.strides[X], after.strides[X])
        of_y = (before.strides[Y] if before else ONE * after.size, after.strides[Y])
        t = b.describe(Window(x.space, x.dtype, at_x, (first, axis.size, after.size), of_x))
        d = b.describe(Window(y.space, y.dtype, at_y, (first, after.size), of_y))
        fn = c.builder.member("reduction", kind)
        c.emit("red.axis", d=d.number, a=t.number, fn=fn)


def _added(b: Body, kind: str, x: Window, y: Window, over: frozenset[int]) -> None:
    """y += the sums."""
    c = b.c
    room = Room(b)
    found = room.take(F32, y.shape)
    kept, folded = axes_by_use(x, found, over)
    _floats(b, kind, x, found, kept, folded, False)
    outer, inner = split(axes_of(y.shape, [y.strides, found.strides]))
    with loops(b, outer) as counters:
        t = b.describe(shifted(b, y, outer, counters, 0, inner)).number
        u = b.describe(shifted(b, found, outer, counters, 1, inner)).number
        c.emit("ew.bin", d=t, a=t, b=u, fn=c.builder.member("binary", "add"))
    room.give_back()


def _points(
    b: Body, kind: str, x: Window, y: Window, kept: list[Axis], folded: list[Axis], add: bool
) -> None:
    c = b.c
    outer, inner = split(folded)
    dtype = x.dtype
    with loops(b, kept) as counters:
        total = c.flt()
        c.set_real(total, identity(kind, dtype))
        with loops(b, outer) as turn:
            at = [*counters, *turn]
            t = b.describe(shifted(b, x, [*kept, *outer], at, X, inner))
            f = c.flt()
            c.emit("red", d=f.number, a=t.number, fn=c.builder.member("reduction", kind))
            if not outer:
                c.fmove(total, f)
            else:
                step = {"sum": "add", "prod": "mul"}.get(kind, kind)
                c.copy(total, compute(b, step, [total, f], F32, F32))
        to = shifted(b, y, kept, counters, Y, []).address
        if add:
            old = b.load_in(y.space, y.dtype, to)
            assert isinstance(old, Flt)
            c.fop("fadd", total, old, total)
        b.store_in(y.space, y.dtype, to, rounded(c, total, dtype))


def _whole_numbers(
    b: Body, kind: str, x: Window, y: Window, kept: list[Axis], folded: list[Axis], add: bool
) -> None:
    c = b.c
    wide = x.dtype == I64
    outer, inner = split(folded, 1 if wide else 4)
    with loops(b, kept) as counters:
        total = c.int()
        c.set(total, int(identity(kind, x.dtype)))
        with loops(b, outer) as turn:
            at = [*counters, *turn]
            w = shifted(b, x, [*kept, *outer], at, X, inner)
            if wide:
                elements = Elements(b, w)
                n = b.dim(inner[0].size) if inner else c.number(1)
                with c.count(n) as i:
                    _fold(b, kind, total, elements.read(i), x.dtype)
            else:
                d = c.int()
                fn = c.builder.member("reduction", SAME[kind])
                c.emit("red.int", d=d.number, a=b.describe(w).number, fn=fn)
                _fold(b, kind, total, d, x.dtype)
        to = shifted(b, y, kept, counters, Y, []).address
        if add:
            _fold(b, "sum", total, b.load_in(y.space, y.dtype, to), y.dtype)
        b.store_in(y.space, y.dtype, to, total)


def _fold(b: Body, kind: str, total: Int, x: Scalar, dtype: DType) -> None:
    step = {"sum": "add", "prod": "mul"}.get(SAME[kind], SAME[kind])
    b.c.copy(total, compute(b, step, [total, x], dtype, dtype))
