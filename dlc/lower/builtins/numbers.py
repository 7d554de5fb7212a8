"""Forms that several builtins share: sums guarded against infinities, limits of element types."""

from __future__ import annotations

import numpy as np

from dlc.ir.core import Value
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.types import TensorType


def lowest(dtype: DType) -> float | int:
    """The lowest finite number: the maximum of nothing."""
    if dtype.is_int:
        return int(np.iinfo(dtype.numpy).min)
    if dtype.name == "bf16":
        return -3.3895313892515355e38
    return float(np.finfo(dtype.numpy).min)


def column_of(b: Builder, x: Value, t: TensorType) -> Value:
    """`x[i]` repeated over the trailing axes of `t`, whose leading dims are those of `x`."""
    missing = t.rank - x.tensor.rank
    if missing:
        x = b.emit("reshape", x, shape=(*x.tensor.shape, *[Dim.const(1)] * missing))
    return x if x.tensor.shape == t.shape else b.emit("broadcast", x, shape=t.shape)


def shift_of(b: Builder, largest: Value) -> Value:
    """What to subtract before `exp`: the largest element, as a constant to derivatives; 0 where it
    is infinite, since `inf - inf` is no number."""
    m = b.emit("stop_grad", largest)
    return b.emit("select", b.emit("is_finite", m), m, b.full(0, m.tensor))


def at_least_one(b: Builder, x: Value) -> Value:
    """`max(x, 1)`: a count that may divide."""
    return b.emit("max", x, b.full(1, x.tensor))


def ratio_rows(b: Builder, x: Value, count: Value) -> Value:
    """`x[i, …] / max(count[i], 1)`: a mean that is 0 of nothing. `count` holds whole numbers."""
    n = b.emit("convert", at_least_one(b, count), dtype=x.tensor.dtype)
    return b.emit("div", x, column_of(b, n, x.tensor))
