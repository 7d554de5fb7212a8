"""Reductions: of all elements or along one axis."""

from __future__ import annotations

from dlc.check import typed
from dlc.ir.core import Value
from dlc.lower.arithmetic import stretch
from dlc.lower.scope import Leaves, Scope
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, DType


def lower_reduce(s: Scope, e: typed.Reduce) -> Leaves:
    x = s.one(e.operand)
    axes = tuple(range(x.tensor.rank)) if e.axis is None else (e.axis,)
    if e.op == "mean":
        return (mean(s.b, x, axes),)
    if e.op in ("argmax", "argmin"):
        if e.axis is None and x.tensor.rank != 1:
            x = s.b.emit("reshape", x, shape=(x.tensor.size,))
        return (s.b.emit(e.op, x, axis=e.axis or 0),)
    return (reduce(s.b, e.op, x, axes),)


def reduce(b: Builder, kind: str, x: Value, axes: tuple[int, ...]) -> Value:
    """`x` itself where nothing is reduced (a scalar)."""
    return b.emit("reduce", x, kind=kind, axes=axes) if axes else x


def mean(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """`sum / count`; 0 of nothing. Narrow floats are summed and divided in f32."""
    dtype = x.tensor.dtype
    if not axes:
        return x
    if dtype.bits < 32:
        wide = mean(b, b.emit("convert", x, dtype=F32), axes)
        return b.emit("convert", wide, dtype=dtype)
    total = reduce(b, "sum", x, axes)
    count = count_of(b, tuple(x.tensor.shape[a] for a in axes), dtype)
    return b.emit("div", total, stretch(b, count, total.tensor.shape))


def count_of(b: Builder, dims: tuple[Dim, ...], dtype: DType) -> Value:
    """The number of elements as a float, at least 1 so that it can divide."""
    known = 1
    out: Value | None = None
    for d in dims:
        if d.is_constant:
            known *= d.constant
            continue
        v = b.dim(d, dtype)
        out = v if out is None else b.emit("mul", out, v)
    if out is None:
        return b.scalar(max(known, 1), dtype)
    if known != 1:
        out = b.emit("mul", out, b.scalar(known, dtype))
    if known and all(d.never_zero() for d in dims if not d.is_constant):
        return out
    return b.emit("max", out, b.scalar(1, dtype))
