"""`init(Net[…], key)`: the first values of a model's parameters.

Leaf number i draws with the i-th key of `splits(key, number of leaves)`. Everything is computed in
f32 and converted at the end. The fans of a weight `w[O, I, K…]` are `I * K…` and `O * K…`; those of
a vector are its length and 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from dlc.check import typed
from dlc.diag import InternalError
from dlc.ir.core import Value
from dlc.lower.arithmetic import stretch
from dlc.lower.builtins.random import normal, splits, uniform
from dlc.lower.builtins.reductions import norm
from dlc.lower.reductions import count_of
from dlc.lower.scope import Leaves, Scope
from dlc.ops.build import Builder
from dlc.ops.term import Term
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32
from dlc.typesys.interface import FROM_FILE
from dlc.typesys.types import SCALAR_I32, TensorType, type_dims


@dataclass(frozen=True, slots=True)
class Initial:
    """An initialiser and its numbers; the leaf's first `arrays` axes count models of Arrays."""

    name: str
    arguments: tuple[float, ...]
    arrays: int


@dataclass(frozen=True)
class _Draw:
    """One leaf to be made: its shape, the part of it that is one weight, its key and numbers."""

    b: Builder
    key: Value
    shape: tuple[Dim, ...]
    arrays: int
    numbers: tuple[float, ...]

    @property
    def weight(self) -> tuple[Dim, ...]:
        return self.shape[self.arrays :]

    def number(self, i: int, default: float) -> float:
        return self.numbers[i] if i < len(self.numbers) else default

    def fans(self) -> tuple[Value, Value]:
        """Fan-in and fan-out, as f32 scalars."""
        w = self.weight
        rest = w[2:]
        into = (w[1], *rest) if len(w) > 1 else w
        out = (w[0], *rest) if len(w) > 1 else ()
        return count_of(self.b, into, F32), count_of(self.b, out, F32)

    def times(self, x: Value, factor: Value) -> Value:
        return self.b.emit("mul", x, stretch(self.b, factor, x.tensor.shape))

    def symmetric(self) -> Term:
        """Uniform in [-1, 1)."""
        return Term(self.b, uniform(self.b, self.key, self.shape)) * 2.0 - 1.0


def lower_init(s: Scope, e: typed.InitModel) -> Leaves:
    key = s.one(e.key)
    types = [t for leaf in e.leaves for t in s.layout.leaf_types(leaf.type)]
    s.require(d for t in types for d in type_dims(t))
    how = [Initial(leaf.initialiser, leaf.arguments, leaf.arrays) for leaf in e.leaves]
    made = initial_leaves(s.b, key, types, how)
    return s.conform(made, e.type) if isinstance(e.type, surface.Model) else made


def initial_leaves(
    b: Builder, key: Value, types: Sequence[object], how: Sequence[Initial]
) -> Leaves:
    """The first values of leaves of these types."""
    n = len(types)
    keys = splits(b, key, Dim.const(n)) if n else key
    out: list[Value] = []
    for i, (t, said) in enumerate(zip(types, how, strict=True)):
        assert isinstance(t, TensorType), f"a parameter of type {t}"
        own = b.emit("index", keys, b.dim(i), in_bounds=True)
        draw = _Draw(b, own, t.shape, said.arrays, said.arguments)
        if said.name not in _INITIALISERS:
            raise InternalError(f"no initialiser `{said.name}`", stage="lower")
        x = _INITIALISERS[said.name](draw)
        out.append(x if t.dtype == F32 else b.emit("convert", x, dtype=t.dtype))
    return tuple(out)


_Initialiser: TypeAlias = Callable[[_Draw], Value]


def _constant(default: float) -> _Initialiser:
    def make(d: _Draw) -> Value:
        return d.b.full(d.number(0, default), TensorType(F32, d.shape))

    return make


def _glorot(d: _Draw) -> Value:
    """Uniform in `±gain * sqrt(6 / (fan_in + fan_out))`. Source: Glorot and Bengio 2010."""
    into, out = d.fans()
    limit = (6.0 / Term(d.b, d.b.emit("add", into, out))).op("sqrt") * d.number(0, 1.0)
    return d.times(d.symmetric().v, limit.v)


def _he(d: _Draw) -> Value:
    """Normal with deviation `gain * sqrt(2 / fan_in)`. Source: He et al. 2015."""
    into, _ = d.fans()
    deviation = (2.0 / Term(d.b, into)).op("sqrt") * d.number(0, 1.0)
    return d.times(normal(d.b, d.key, d.shape), deviation.v)


def _normal(d: _Draw) -> Value:
    """`normal(deviation)`, or `normal(mean, deviation)`."""
    x = Term(d.b, normal(d.b, d.key, d.shape))
    if len(d.numbers) > 1:
        return (x * d.numbers[1] + d.numbers[0]).v
    return (x * d.number(0, 1.0)).v


def _uniform(d: _Draw) -> Value:
    """`uniform(limit)` in ±limit, or `uniform(low, high)`."""
    if len(d.numbers) > 1:
        low, high = d.numbers[:2]
        return (Term(d.b, uniform(d.b, d.key, d.shape)) * (high - low) + low).v
    return (d.symmetric() * d.number(0, 1.0)).v


def _orthogonal(d: _Draw) -> Value:
    """Rows or columns, whichever are fewer, are orthonormal (times the gain): a Gaussian matrix
    after Gram and Schmidt. Source: Saxe, McClelland and Ganguli 2013."""
    b, w = d.b, d.weight
    if len(w) < 2:
        raise InternalError("`orthogonal` of a vector", stage="lower")
    size = Dim.const(1)
    for n in w[1:]:
        size = size * n
    many = d.shape[: d.arrays]
    x = b.emit("reshape", normal(b, d.key, d.shape), shape=(*many, w[0], size))
    if many:
        inner = b.map_body(many, (x,))
        (y,) = b.map_(many, (x,), inner.yield_(_orthonormal(inner, inner.params[0])))
    else:
        y = _orthonormal(b, x)
    y = b.emit("reshape", y, shape=d.shape)
    return y if not d.numbers else (Term(b, y) * d.numbers[0]).v


def _orthonormal(b: Builder, x: Value) -> Value:
    rows, columns = x.tensor.shape
    if columns.at_least(rows):
        return _orthonormal_rows(b, x)
    if rows.at_least(columns):
        return _orthonormal_columns(b, x)
    wide = b.emit("le", b.dim(rows), b.dim(columns))
    then, other = b.nested(), b.nested()
    regions = (
        then.yield_(_orthonormal_rows(then, x)),
        other.yield_(_orthonormal_columns(other, x)),
    )
    (y,) = b.if_(wide, *regions)
    return y


def _orthonormal_columns(b: Builder, x: Value) -> Value:
    turned = b.emit("transpose", x, perm=(1, 0))
    return b.emit("transpose", _orthonormal_rows(b, turned), perm=(1, 0))


def _orthonormal_rows(b: Builder, x: Value) -> Value:
    """Each row minus its projections on the rows before, to unit length. Projected twice: once is
    not enough in f32."""
    rows = x.tensor.shape[0]
    zeros = b.full(0.0, x.tensor)
    body = b.nested((SCALAR_I32, x.type), ("i", "q"))
    i, q = body.params
    v = body.emit("index", x, i, in_bounds=True)
    for _ in range(2):
        along = body.emit("contract", q, v, spec="ij,j->i")
        v = body.emit("sub", v, body.emit("contract", along, q, spec="i,ij->j"))
    length = norm(body, v)
    positive = body.emit("gt", length, body.scalar(0.0, F32))
    safe = body.emit("select", positive, length, body.scalar(1.0, F32))
    unit = body.emit("div", v, stretch(body, safe, v.tensor.shape))
    region = body.yield_(body.emit("insert", q, unit, i, in_bounds=True))
    (out,) = b.for_(b.dim(0), b.dim(rows), (zeros,), region)
    return out


_INITIALISERS: Mapping[str, _Initialiser] = MappingProxyType(
    {
        "glorot": _glorot,
        "he": _he,
        "orthogonal": _orthogonal,
        "normal": _normal,
        "uniform": _uniform,
        "zeros": _constant(0.0),
        "ones": _constant(1.0),
        "fill": _constant(0.0),
        FROM_FILE: _constant(math.nan),
    }
)
