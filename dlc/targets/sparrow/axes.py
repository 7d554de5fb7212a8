"""Axes of tensor operations: which ones a descriptor takes, and loops over the others."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dlc.memory.form import View
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import Int
from dlc.typesys.dims import ONE, ZERO, Dim, Quotient

MOST = 4
"""Axes of a descriptor."""


@dataclass(frozen=True)
class Axis:
    """An axis of some views: its size and the stride of each of them; `number` in the space that
    it comes from (of merged axes the last)."""

    size: Dim
    strides: tuple[Dim, ...]
    number: int


def is_negative(d: Dim) -> bool:
    """Whether a stride may be negative: one of its terms is."""
    return any(
        c < 0 or any(isinstance(a, Quotient) and is_negative(a.numerator) for a, _ in m)
        for m, c in d.terms
    )


def axes_of(
    space: Sequence[Dim], strides: Sequence[Sequence[Dim]], merge: bool = True
) -> list[Axis]:
    """The axes of views over one space. With `merge`, those of size 1 go, and neighbours that every
    view runs through without a break become one."""
    found: list[Axis] = []
    for k, n in enumerate(space):
        axis = Axis(n, tuple(s[k] for s in strides), k)
        if merge and n == ONE:
            continue
        if merge and found and _continues(found[-1], axis):
            found[-1] = Axis(found[-1].size * n, axis.strides, k)
        else:
            found.append(axis)
    return found


def _continues(outer: Axis, inner: Axis) -> bool:
    return all(a == b * inner.size for a, b in zip(outer.strides, inner.strides, strict=True))


def split(axes: Sequence[Axis], most: int = MOST) -> tuple[list[Axis], list[Axis]]:
    """Axes to loop over, and at most so many for descriptors: strides of those aren't negative."""
    outer = [a for a in axes if any(map(is_negative, a.strides))]
    inner = [a for a in axes if a not in outer]
    extra = max(0, len(inner) - most)
    return outer + inner[:extra], inner[extra:]


@contextmanager
def loops(b: Body, axes: Sequence[Axis]) -> Generator[tuple[Int, ...]]:
    """Loops over the axes, the first outermost; gives the counters."""
    if not axes:
        yield ()
        return
    c = b.c
    with c.scope():
        n = b.dim(axes[0].size)
        with c.count(n) as i, loops(b, axes[1:]) as rest:
            yield (i, *rest)


def shifted(
    b: Body, w: Window, axes: Sequence[Axis], counters: Sequence[Int], view: int, rest: list[Axis]
) -> Window:
    """The part of a window at these counters of the outer axes, over the other axes."""
    c = b.c
    at, made = w.address, None
    for axis, i in zip(axes, counters, strict=True):
        stride = axis.strides[view]
        if stride == ZERO:
            continue
        step = stride * w.dtype.bytes
        made = made or c.int()
        with c.scope():
            by = c.times(i, step.constant) if step.is_constant else c.mul(i, b.dim(step))
            at = c.add(at, by, made)
    shape = tuple(a.size for a in rest)
    return Window(w.space, w.dtype, at, shape, tuple(a.strides[view] for a in rest))


def size_of(axes: Sequence[Axis]) -> Dim:
    n = ONE
    for a in axes:
        n = n * a.size
    return n


def view_strides(views: Sequence[View]) -> list[tuple[Dim, ...]]:
    return [v.strides for v in views]
