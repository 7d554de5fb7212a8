"""Builtins that act on each element, on operands of one shape (bounds may be scalars)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from dlc.ir.core import Value
from dlc.lower.arithmetic import stretch
from dlc.ops.build import Builder

Each: TypeAlias = Callable[[Builder, Sequence[Value]], Value]


def _op(name: str) -> Each:
    def emit(b: Builder, xs: Sequence[Value]) -> Value:
        return b.emit(name, *xs)

    return emit


def _clamp(b: Builder, xs: Sequence[Value]) -> Value:
    """`min(max(x, low), high)`; NaN stays NaN."""
    x, low, high = xs
    shape = x.tensor.shape
    return b.emit("min", b.emit("max", x, stretch(b, low, shape)), stretch(b, high, shape))


_SAME_NAME = (
    "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "sin", "cos", "tan", "tanh", "sigmoid", "erf",
    "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "atan2", "relu", "abs",
    "floor", "ceil", "round", "trunc", "sign", "is_finite", "is_nan", "is_inf",
)  # fmt: skip

ELEMENTWISE: Mapping[str, Each] = MappingProxyType(
    {
        **{name: _op(name) for name in _SAME_NAME},
        "minimum": _op("min"),
        "maximum": _op("max"),
        "where": _op("select"),
        "clamp": _clamp,
    }
)
"""By the builtin's name."""
