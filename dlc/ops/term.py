"""Formulas over IR values, for gradients and batching rules: `t(x) * d * (1 - t(y) * t(y))`.

Every operator emits one operation. Numbers become constants of the other side's type.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.ir.core import Attr, Value
from dlc.ops.card import Emitter
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32, DType
from dlc.typesys.types import TensorType

Number = float | int | bool


def scalar(e: Emitter, value: Number, dtype: DType) -> Value:
    """A constant of rank 0."""
    v = bool(value) if dtype.is_bool else int(value) if dtype.is_int else float(value)
    return e.emit_typed("const", TensorType(dtype), value=v)


def full(e: Emitter, value: Number, t: TensorType) -> Value:
    """A tensor of equal elements."""
    s = scalar(e, value, t.dtype)
    return e.emit("broadcast", s, shape=t.shape) if t.shape else s


def zero(e: Emitter, x: Value) -> Value:
    """Zeros of the type of `x`."""
    return full(e, 0, x.tensor)


def dim(e: Emitter, d: Dim, dtype: DType = I32) -> Value:
    """A dim's value as a scalar."""
    if d.is_constant:
        return scalar(e, d.constant, dtype)
    return e.emit("dim", value=d, dtype=dtype)


@dataclass(frozen=True)
class Term:
    """A value with operators."""

    e: Emitter
    v: Value

    def op(self, name: str, *others: Term | Number, **attrs: Attr) -> Term:
        """`name(self, others…)`."""
        return Term(self.e, self.e.emit(name, self.v, *(self._value(x) for x in others), **attrs))

    def _value(self, x: Term | Number) -> Value:
        return x.v if isinstance(x, Term) else full(self.e, x, self.v.tensor)

    def like(self, n: Number) -> Term:
        """The number as a tensor of this one's type."""
        return Term(self.e, full(self.e, n, self.v.tensor))

    def __add__(self, other: Term | Number) -> Term:
        return self.op("add", other)

    def __radd__(self, other: Number) -> Term:
        return self.like(other).op("add", self)

    def __sub__(self, other: Term | Number) -> Term:
        return self.op("sub", other)

    def __rsub__(self, other: Number) -> Term:
        return self.like(other).op("sub", self)

    def __mul__(self, other: Term | Number) -> Term:
        return self.op("mul", other)

    def __rmul__(self, other: Number) -> Term:
        return self.like(other).op("mul", self)

    def __truediv__(self, other: Term | Number) -> Term:
        return self.op("div", other)

    def __rtruediv__(self, other: Number) -> Term:
        return self.like(other).op("div", self)

    def __neg__(self) -> Term:
        return self.op("neg")

    def __lt__(self, other: Term | Number) -> Term:
        return self.op("lt", other)

    def __le__(self, other: Term | Number) -> Term:
        return self.op("le", other)

    def __gt__(self, other: Term | Number) -> Term:
        return self.op("gt", other)

    def __ge__(self, other: Term | Number) -> Term:
        return self.op("ge", other)

    def equals(self, other: Term | Number) -> Term:
        """`self == other`, element by element."""
        return self.op("eq", other)

    def choose(self, a: Term | Number, b: Term | Number) -> Term:
        """`a` where this condition holds, else `b`; at least one of them is a term."""
        like = a if isinstance(a, Term) else b
        assert isinstance(like, Term)
        x = a if isinstance(a, Term) else like.like(a)
        y = b if isinstance(b, Term) else like.like(b)
        return self.op("select", x, y)
