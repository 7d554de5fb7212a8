"""A dense tensor seen along one of its axes: [before, n, after]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.llvm import Value
from dlc.typesys.dims import Dim


def product(dims: tuple[Dim, ...]) -> Dim:
    """The number of elements of a shape."""
    n = Dim.const(1)
    for d in dims:
        n = n * d
    return n


@dataclass(frozen=True)
class Along:
    """Sizes before, along and after an axis, as values."""

    before: Value
    n: Value
    after: Value

    @staticmethod
    def of(b: Body, shape: tuple[Dim, ...], axis: int) -> Along:
        return Along(
            b.dim(product(shape[:axis])), b.dim(shape[axis]), b.dim(product(shape[axis + 1 :]))
        )

    def lines(self, b: Body, write: Callable[[Value, Value], None]) -> None:
        """`write(p, q)` for every line along the axis."""
        f = b.f
        with (
            f.loop(0, self.before, name="before") as outer,
            f.loop(0, self.after, name="after") as inner,
            b.region(),
        ):
            write(outer.index, inner.index)

    def offset(self, b: Body, p: Value, i: Value, q: Value) -> Value:
        """Where the element at (p, i, q) lies."""
        f = b.f
        return f.add(f.mul(f.add(f.mul(p, self.n), i), self.after), q)

    def start(self, b: Body, p: Value, q: Value) -> Value:
        """Where the line (p, q) starts; its stride is `after`."""
        f = b.f
        return f.add(f.mul(f.mul(p, self.n), self.after), q)
