"""Loop nests over strided views: which loops to write, in which order, and their code.

All points of a nest are independent, so its loops may be merged and reordered. Adjacent axes become
one loop where every view walks them with one stride; the innermost loop is one that the views walk
with stride 1 or 0, if there is such an axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from dlc.memory.form import View
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.llvm import ELEMENTS, Builder, Value
from dlc.typesys.dims import Dim, DimError

ZERO, ONE = Dim.const(0), Dim.const(1)


@dataclass(frozen=True)
class Loop:
    """One loop: its number of turns, the stride of every view, and the axis of the space that it
    walks (None if it walks several)."""

    size: Dim
    strides: tuple[Dim, ...]
    axis: int | None


def plan(
    space: Sequence[Dim], views: Sequence[View], written: int, counted: frozenset[int] = frozenset()
) -> tuple[Loop, ...]:
    """The loops over `space`, outermost first. The first `written` views are destinations;
    `counted` are axes whose index is asked for, which stay loops of their own."""
    loops = [
        Loop(n, tuple(v.strides[axis] for v in views), axis)
        for axis, n in enumerate(space)
        if n != ONE
    ]
    if not loops:
        return ()
    inner = _innermost(loops, written)
    loops = [*loops[:inner], *loops[inner + 1 :], loops[inner]]
    out = [loops[0]]
    for loop in loops[1:]:
        merged = _merge(out[-1], loop, counted)
        if merged is None:
            out.append(loop)
        else:
            out[-1] = merged
    return tuple(out)


def is_dense(loop: Loop) -> bool:
    """Whether every view walks the loop with stride 0 or 1."""
    return all(s in (ZERO, ONE) for s in loop.strides)


def _innermost(loops: Sequence[Loop], written: int) -> int:
    """The last loop that is dense and writes with stride 1; else the last that writes so; else the
    last."""
    writes = [i for i, loop in enumerate(loops) if all(s == ONE for s in loop.strides[:written])]
    dense = [i for i in writes if is_dense(loops[i])]
    return (dense or writes or [len(loops) - 1])[-1]


def _merge(outer: Loop, inner: Loop, counted: frozenset[int]) -> Loop | None:
    """Both as one loop, if every view's outer stride is a whole inner loop."""
    if outer.axis in counted or inner.axis in counted:
        return None
    try:
        if any(a != b * inner.size for a, b in zip(outer.strides, inner.strides, strict=True)):
            return None
        return Loop(outer.size * inner.size, inner.strides, None)
    except DimError:
        return None


@dataclass(frozen=True)
class Row:
    """The innermost loop, to be written: the views' addresses at its start, its number of turns,
    and the indices of the loops around it (by axis)."""

    addresses: tuple[Value, ...]
    size: Value
    strides: tuple[Dim, ...]
    indices: dict[int, Value]
    axis: int | None


def emit_nest(
    b: Body,
    loops: Sequence[Loop],
    views: Sequence[View],
    write: Callable[[Row], None],
    start: Sequence[Value] | None = None,
) -> None:
    """The outer loops, and `write` for the innermost. Every dim of the innermost loop is known
    before the nest. `start` are the views' addresses, if they are not where the views say."""
    f = b.f
    addresses = [b.address(v) for v in views] if start is None else list(start)
    if not loops:
        one = Loop(ONE, tuple(ZERO for _ in views), None)
        loops = (one,)
    sizes = [b.dim(loop.size) for loop in loops]
    strides = [[b.dim(s) for s in loop.strides] for loop in loops]
    indices: dict[int, Value] = {}
    with ExitStack() as stack:
        for loop, n, by in zip(loops[:-1], sizes[:-1], strides[:-1], strict=True):
            turn = stack.enter_context(f.loop(0, n, name="nest"))
            if loop.axis is not None:
                indices[loop.axis] = turn.index
            addresses = [
                advance(f, v, a, turn.index, s, d)
                for v, a, s, d in zip(views, addresses, by, loop.strides, strict=True)
            ]
        last = loops[-1]
        with b.region():
            write(Row(tuple(addresses), sizes[-1], last.strides, indices, last.axis))


def advance(f: Builder, v: View, address: Value, i: Value, stride: Value, d: Dim) -> Value:
    """The address `i` strides further."""
    if d == ZERO:
        return address
    by = i if d == ONE else f.mul(i, stride)
    return f.gep(ELEMENTS[v.dtype.name].memory, address, by)
