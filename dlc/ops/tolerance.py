"""The one tolerance table: how far two right results may lie apart.

Whole numbers, truth values and structure must be equal. A float may differ by rounding:
element-wise functions by a few units in the last place, a sum of n products by what adding in
another order can change.

    |got - want| <= eps * steps(n) * scale            scale: |want|, or the sum of the magnitudes
    added

Narrow floats are summed in f32 and rounded once, so their bound has two parts. NaN must stand where
NaN is expected and nowhere else, infinities must be equal; zeros of either sign are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dlc.ops.numeric import np
from dlc.typesys.dtypes import DType

EPS = {"f64": 2.0**-52, "f32": 2.0**-23, "f16": 2.0**-10, "bf16": 2.0**-7}
"""The distance from 1 to the next number."""

SMALLEST = {"f64": 2.0**-1022, "f32": 2.0**-126, "f16": 2.0**-24, "bf16": 2.0**-126}
"""Below this, relative accuracy ends (for f16: its smallest subnormal)."""

ULPS = 4
"""Units in the last place that one element-wise function may be wrong by."""

GRADIENT_RTOL = 1e-6
"""Gradients against central differences in f64."""

DOT_RTOL = 1e-10
"""`<dy, J dx> = <J^T dy, dx>`, in f64."""


def steps(length: int) -> float:
    """How many roundings of eps a result may differ by after a sum of `length` terms: every term's
    at most, and for long sums what random rounding adds up to, with a margin."""
    return ULPS + min(float(length), 8.0 * math.sqrt(length))


def rtol(dtype: DType, length: int = 1) -> float:
    """The allowed relative difference after a sum of `length` terms (1: element-wise)."""
    if dtype.bits == 16:
        return 2 * EPS[dtype.name] + EPS["f32"] * steps(length)
    return EPS[dtype.name] * steps(length)


def mismatch(
    got: Any, want: Any, dtype: DType, *, length: int = 1, scale: Any = None
) -> str | None:
    """Where and by how much `got` is not `want`, or None if it is.

    `scale` replaces |want| as the size that differences are measured by: for a sum the sum of the
    magnitudes, for a program the largest number in the result."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return f"shape {list(got.shape)} instead of {list(want.shape)}"
    if not dtype.is_float:
        bad = got != want
    else:
        x, y = got.astype(np.float64), want.astype(np.float64)
        size = np.abs(y) if scale is None else np.maximum(np.abs(y), np.asarray(scale, np.float64))
        finite = np.isfinite(x) & np.isfinite(y)
        same = (np.isnan(x) & np.isnan(y)) | (x == y)
        limit = rtol(dtype, length) * size + SMALLEST[dtype.name]
        # Infinities must be equal: their difference is not a number, so it is not even formed.
        far = np.abs(np.where(finite, x, 0.0) - np.where(finite, y, 0.0)) > limit
        bad = ~same & (~finite | far)
    if not np.any(bad):
        return None
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    count = int(np.sum(bad))
    return f"{count} of {bad.size} differ, first at {list(at)}: {got[at]!r} instead of {want[at]!r}"


def mismatches(
    got: Sequence[Any], want: Sequence[Any], dtypes: Sequence[DType], *, length: int = 1
) -> list[str]:
    """`mismatch` of several results, each named by its number."""
    out: list[str] = []
    for i, (g, w, d) in enumerate(zip(got, want, dtypes, strict=True)):
        text = mismatch(g, w, d, length=length)
        if text is not None:
            out.append(f"result {i}: {text}")
    return out
