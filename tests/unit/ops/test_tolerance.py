"""The tolerance table tells rounding from errors."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.ops.numeric import convert
from dlc.ops.tolerance import EPS, mismatch, mismatches, rtol, steps
from dlc.typesys.dtypes import BF16, BOOL, F16, F32, F64, I32, DType

FLOATS = [F64, F32, F16, BF16]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_eps_is_that_of_the_type(dtype: DType) -> None:
    one = np.ones(1, np.float64)
    for k, more in ((1.0, True), (0.25, False)):
        near = convert((one + k * EPS[dtype.name]), dtype) if dtype != F64 else one + k * EPS["f64"]
        assert bool(near[0] > 1) == more


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_rounding_passes_and_errors_do_not(dtype: DType) -> None:
    x = np.array([1.0, -3.0, 100.0]).astype(dtype.numpy)
    off = convert(x.astype(np.float64) * (1 + EPS[dtype.name]), dtype)
    assert mismatch(off, x, dtype) is None
    wrong = convert(x.astype(np.float64) * (1 + 12 * EPS[dtype.name]), dtype)
    assert "3 of 3 differ" in (mismatch(wrong, x, dtype) or "")


def test_special_values_must_agree() -> None:
    nan, inf = np.nan, np.inf
    assert mismatch([nan, inf, -inf, 0.0], [nan, inf, -inf, -0.0], F32) is None
    for got, want in ((nan, 1.0), (1.0, nan), (inf, 1e38), (inf, -inf), (1e38, inf), (inf, nan)):
        assert mismatch([got], [want], F32) is not None, (got, want)


def test_integers_truth_and_shape_are_exact() -> None:
    assert mismatch([1, 2], [1, 2], I32) is None
    assert "first at [1]: np.int64(3) instead of np.int64(2)" in (
        mismatch([1, 3], [1, 2], I32) or ""
    )
    assert mismatch([True], [False], BOOL) is not None
    assert mismatch([1.0], [[1.0]], F32) == "shape [1] instead of [1, 1]"
    assert mismatches([[1], [2]], [[1], [3]], [I32, I32]) == [
        "result 1: 1 of 1 differ, first at [0]: np.int64(2) instead of np.int64(3)"
    ]


def test_cancellation_is_measured_by_what_was_added() -> None:
    got, want = np.float32(1e-6), np.float32(0)
    assert mismatch(got, want, F32, length=100) is not None
    assert mismatch(got, want, F32, length=100, scale=10.0) is None


def test_longer_sums_may_differ_more_but_not_much() -> None:
    assert steps(1) < steps(10) < steps(100) < steps(10**6)
    assert rtol(F32, 10**6) < 1e-3 and rtol(BF16, 10**6) < 2.0**-5
    rng = np.random.default_rng(0)
    for n in (1, 7, 100, 4096):
        x = rng.uniform(-1, 1, n).astype(np.float32)
        forwards = np.cumsum(x, dtype=np.float32)[-1]
        assert mismatch(forwards, np.sum(x.astype(np.float64)).astype(np.float32), F32, length=n,
                        scale=np.sum(np.abs(x))) is None  # fmt: skip
