"""Random draws. A key is an i64; the same key gives the same bits on every target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from dlc.ir.core import Value
from dlc.lower.builtins.given import Builtin, Given
from dlc.lower.scope import Leaves
from dlc.ops.build import Builder
from dlc.ops.term import Term
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64
from dlc.typesys.types import TensorType


def _key(g: Given) -> Leaves:
    return g.leaves[0]


def _split(g: Given) -> Leaves:
    return g.b.emit_many("key_split", g.one(0))


def splits(b: Builder, key: Value, n: Dim) -> Value:
    """n keys: each the 64 bits of two draws."""
    bits = b.emit("random_bits", key, shape=(Dim.const(2), n))
    wide = b.emit("convert", bits, dtype=I64)
    zero, one = b.dim(0), b.dim(1)
    high, low = (b.emit("index", wide, i, in_bounds=True) for i in (zero, one))
    t = TensorType(I64, (n,))
    high = b.emit("shl", high, b.full(32, t))
    low = b.emit("and", low, b.full(0xFFFFFFFF, t))
    return b.emit("or", high, low)


def _splits(g: Given) -> Leaves:
    return (splits(g.b, g.one(0), g.dim("n")),)


def uniform(b: Builder, key: Value, shape: tuple[Dim, ...]) -> Value:
    """f32 in [0, 1)."""
    return b.emit("random_uniform", key, shape=shape)


def normal(b: Builder, key: Value, shape: tuple[Dim, ...]) -> Value:
    """`sqrt(-2 log u) cos(2 pi v)` of uniform u in (0, 1], v in [0, 1).

    Source: Box and Muller 1958."""
    both = uniform(b, key, (Dim.const(2), *shape))
    u, v = (Term(b, b.emit("index", both, b.dim(i), in_bounds=True)) for i in (0, 1))
    radius = ((1.0 - u).op("log") * -2.0).op("sqrt")
    return (radius * (v * (2.0 * math.pi)).op("cos")).v


def _uniform(g: Given) -> Leaves:
    return (uniform(g.b, g.one(0), g.result.shape),)


def _normal(g: Given) -> Leaves:
    return (normal(g.b, g.one(0), g.result.shape),)


def _bits(g: Given) -> Leaves:
    return (g.b.emit("random_bits", g.one(0), shape=g.result.shape),)


def _permutation(g: Given) -> Leaves:
    """The order that sorts random bits (equal bits stay in order)."""
    bits = g.b.emit("random_bits", g.one(0), shape=g.result.shape)
    _, order = g.b.emit_many("sort", bits, axis=0)
    return (order,)


RANDOM: Mapping[str, Builtin] = MappingProxyType(
    {
        "key": _key,
        "split": _split,
        "splits": _splits,
        "uniform": _uniform,
        "normal": _normal,
        "bits": _bits,
        "permutation": _permutation,
    }
)
