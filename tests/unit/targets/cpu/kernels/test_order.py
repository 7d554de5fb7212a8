"""argmax, sort, top_k, searchsorted, nonzero."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from tests.unit.targets.cpu.kernels.machines import MACHINES

Run = Callable[..., object]
NUMPY = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "i64": np.int64,
    "i32": np.int32,
    "i8": np.int8,
    "u8": np.uint8,
}
SEED = 13
SIZES = [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 100, 257, 1009]


def line(rng: np.random.Generator, dtype: str, n: int) -> np.ndarray:
    """Many ties; for floats also NaN, infinities and both zeros."""
    x = rng.integers(0, 50, n).astype(NUMPY[dtype])
    if dtype[0] in "fb":
        x = x - np.asarray(25).astype(NUMPY[dtype])
        special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0]).astype(NUMPY[dtype])
        where = rng.random(n) < 0.15
        x[where] = rng.choice(special, int(where.sum()))
    return x


def order_of(x: np.ndarray, descending: bool) -> np.ndarray:
    """Stable, NaN last: by plain comparison of keys."""

    def key(i: int) -> tuple[bool, float]:
        v = float(x[i])
        return (v != v, 0.0 if v != v else (-v if descending else v) + 0.0)

    return np.array(sorted(range(len(x)), key=key), np.int32)


def strided(x: np.ndarray, step: int) -> np.ndarray:
    wide = np.full(len(x) * step + 1, 3).astype(x.dtype)
    wide[: len(x) * step : step] = x
    return wide


@pytest.mark.parametrize("dtype", NUMPY)
def test_sort(run_kernel: Run, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    for n in SIZES:
        x = line(rng, dtype, n)
        for descending, step in ((False, 1), (True, 1), (True, 3)):
            at = order_of(x, descending)
            val, idx = np.full(n * step + 1, 7).astype(x.dtype), np.full(n * step + 1, -7, np.int32)
            tmp = np.zeros(n, x.dtype), np.zeros(n, np.int32)
            given = strided(x, step)
            run_kernel("sort", dtype, "", n, given, step, val, idx, step, *tmp, descending)
            assert np.array_equal(idx[: n * step : step], at), (n, descending)
            got = val[: n * step : step]
            assert got.tobytes() == x[at].tobytes()
            assert val[-1] == 7 and idx[-1] == -7


@pytest.mark.parametrize("dtype", NUMPY)
def test_top_k(run_kernel: Run, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    for n in SIZES:
        x = line(rng, dtype, n)
        at = order_of(x, True)
        for k in sorted({0, 1, 2, 5, n // 2, n}):
            if k > n:
                continue
            for step in (1, 2):
                val = np.full(k * step + 1, 7).astype(x.dtype)
                idx = np.full(k * step + 1, -7, np.int32)
                run_kernel("top_k", dtype, "", n, k, strided(x, step), step, val, idx, step)
                assert np.array_equal(idx[: k * step : step], at[:k]), (n, k)
                assert val[: k * step : step].tobytes() == x[at[:k]].tobytes()
                assert val[-1] == 7 and idx[-1] == -7


@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("where", MACHINES)
def test_argmax_and_argmin(run_kernel: Run, where: str, dtype: str) -> None:
    target = MACHINES[where]
    rng = np.random.default_rng(SEED)
    for n in SIZES[1:]:
        for trial in range(4):
            x = line(rng, dtype, n)
            if trial % 2 and dtype[0] in "fb":
                x[x != x] = 1
            wide = x.astype(np.float64)
            for name, want in (("argmax", np.argmax(wide)), ("argmin", np.argmin(wide))):
                for step in (1, 2):
                    got = run_kernel(name, dtype, "", n, strided(x, step), step, target=target)
                    assert got == want, (name, n, step)


@pytest.mark.parametrize("dtype", NUMPY)
def test_searchsorted(run_kernel: Run, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    for n in SIZES[:12]:
        table = line(rng, dtype, n)
        table = np.sort(table[table == table].astype(np.float64)).astype(NUMPY[dtype])
        x = line(rng, dtype, 40)
        want = np.searchsorted(table.astype(np.float64), x.astype(np.float64))
        want = np.where(x != x, 0, want)
        for step in (1, 2):
            out = np.full(41, -7, np.int32)
            args = (len(table), strided(table, step), step, 40, x, out)
            run_kernel("searchsorted", dtype, "", *args)
            assert np.array_equal(out[:40], want)
            assert out[40] == -7


@pytest.mark.parametrize("where", MACHINES)
def test_nonzero(run_kernel: Run, where: str) -> None:
    target = MACHINES[where]
    rng = np.random.default_rng(SEED)
    for n in SIZES:
        for density in (0, 0.3, 1):
            mask = rng.random(n) < density
            out = np.full(n + 1, -7, np.int32)
            count = run_kernel("nonzero", "bool", "", n, mask, out, target=target)
            want = np.flatnonzero(mask)
            assert count == len(want)
            assert np.array_equal(out[:count], want)
            assert out[n] == -7
