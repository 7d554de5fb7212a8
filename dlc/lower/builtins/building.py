"""Building tensors and moving their elements."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlc.ir.core import Value
from dlc.lower.arithmetic import stretch
from dlc.lower.builtins.given import Builtin, Given
from dlc.lower.scope import Leaves
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType


def _full(value: int) -> Builtin:
    def call(g: Given) -> Leaves:
        return (g.b.full(value, g.result),)

    return call


def _fill(g: Given) -> Leaves:
    return (stretch(g.b, g.one(0), g.result.shape),)


def _eye(g: Given) -> Leaves:
    return (g.b.emit("convert", diagonal_mask(g.b, g.result), dtype=g.result.dtype),)


def diagonal_mask(b: Builder, t: TensorType) -> Value:
    """`y[i, j] = i == j`."""
    n, m = t.shape
    rows = b.emit("reshape", b.emit("iota", size=n), shape=(n, Dim.const(1)))
    columns = b.emit("iota", size=m)
    return b.emit(
        "eq",
        b.emit("broadcast", rows, shape=t.shape),
        b.emit("broadcast", columns, shape=t.shape),
    )


def _iota(g: Given) -> Leaves:
    return (g.b.emit("iota", size=g.dim("n")),)


def _tile(g: Given) -> Leaves:
    return (stretch(g.b, g.one(0), g.result.shape),)


def _reshaped(g: Given) -> Leaves:
    return (g.b.emit("reshape", g.one(0), shape=g.result.shape),)


def _reverse(g: Given) -> Leaves:
    return (g.b.emit("reverse", g.one(0), axis=0),)


def _pad(g: Given) -> Leaves:
    """`before` times v, x, `after` times v along the first axis."""
    x, v = g.one(0), g.one(-1)
    around = stretch(g.b, v, g.result.shape)
    start = g.b.dim(g.dim("before"))
    return (g.b.emit("insert_slice", around, x, start, axis=0, in_bounds=True),)


def _one_hot(g: Given) -> Leaves:
    """`y[j] = j == i`; all zero if there is no place i."""
    n = g.result.shape[0]
    places = g.b.emit("iota", size=n)
    hit = g.b.emit("eq", places, stretch(g.b, g.one(0), (n,)))
    return (g.b.emit("convert", hit, dtype=g.result.dtype),)


def _diag(g: Given) -> Leaves:
    t = g.result
    x = stretch(g.b, g.one(0), t.shape)
    return (g.b.emit("select", diagonal_mask(g.b, t), x, g.b.full(0, t)),)


def _take(g: Given) -> Leaves:
    """`y[n] = x[n, i[n]]`."""
    return (g.b.emit("take_along", *g.xs, axis=1),)


def _scatter(name: str) -> Builtin:
    def call(g: Given) -> Leaves:
        return (g.b.emit(name, *g.xs, axis=0),)

    return call


def _stop_grad(g: Given) -> Leaves:
    return tuple(g.b.emit("stop_grad", v) for v in g.leaves[0])


BUILDING: Mapping[str, Builtin] = MappingProxyType(
    {
        "zeros": _full(0),
        "ones": _full(1),
        "fill": _fill,
        "eye": _eye,
        "iota": _iota,
        "tile": _tile,
        "column": _reshaped,
        "reverse": _reverse,
        "pad": _pad,
        "one_hot": _one_hot,
        "diag": _diag,
        "take": _take,
        "scatter_add": _scatter("scatter_add"),
        "scatter_max": _scatter("scatter_max"),
        "stop_grad": _stop_grad,
    }
)
