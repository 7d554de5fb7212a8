"""Vector idioms that the kernels share: loops with a tail, partial loads and stores, sums of
lanes."""

from __future__ import annotations

from collections.abc import Callable

from dlc.targets.cpu.llvm import INDEX, Builder, Value


def round_down(f: Builder, n: Value, to: int) -> Value:
    """The largest multiple of `to`, a power of two, that is not above `n`."""
    return f.and_(n, -to)


def vector_loop(
    f: Builder, n: Value, lanes: int, turn: Callable[[Value, int], None], lo: Value | None = None
) -> None:
    """Call `turn(i, lanes)` for whole vectors of 0..n, then `turn(i, 1)` for each that is left."""
    start = lo if lo is not None else Value(INDEX, "0")
    if lanes > 1:
        whole = f.sub(n, f.and_(f.sub(n, start), lanes - 1))
        with f.loop(start, whole, lanes, name="vector") as loop:
            turn(loop.index, lanes)
        start = loop.index
    with f.loop(start, n, name="tail") as loop:
        turn(loop.index, 1)
