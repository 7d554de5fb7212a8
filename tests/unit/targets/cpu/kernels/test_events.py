"""Finding nonzeros, and products over lists of events."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.targets.cpu.kernels.machines import MACHINES

Run = Callable[..., object]
NUMPY = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "i32": np.int32,
    "i8": np.int8,
    "i64": np.int64,
}
SEED = 3


@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("where", MACHINES)
def test_compress(run_kernel: Run, where: str, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    for n in (0, 1, 5, 15, 16, 17, 64, 100, 1009):
        for density in (0.0, 0.1, 0.5, 1.0):
            x = (rng.integers(1, 9, n) * (rng.random(n) < density)).astype(NUMPY[dtype])
            if n > 3 and dtype in ("f32", "f64", "f16"):
                x[1], x[2], x[3] = np.nan, -0.0, -np.inf
            idx, val = np.full(n + 1, -7, np.int32), np.full(n + 1, 77).astype(NUMPY[dtype])
            count = run_kernel("compress", dtype, "", n, x, idx, val, target=MACHINES[where])
            want = np.nonzero(x)[0]
            assert count == len(want)
            assert np.array_equal(idx[:count], want)
            assert np.array_equal(val[:count], x[want], equal_nan=dtype[0] == "f")
            assert idx[n] == -7 and val[n] == 77


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "i32", "i8"])
@pytest.mark.parametrize("where", MACHINES)
def test_events(run_kernel: Run, where: str, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    t = NUMPY[dtype]
    for count, n, k in (
        (0, 5, 3),
        (3, 0, 4),
        (1, 1, 1),
        (5, 15, 9),
        (20, 300, 40),
        (7, 17, 7),
        (19, 2600, 9),
    ):
        for add in (False, True):
            w = rng.integers(-9, 9, (k, n + 2)).astype(t)
            idx = rng.integers(0, k, count).astype(np.int32)
            val = rng.integers(-9, 9, count).astype(t)
            y = rng.integers(-9, 9, n + 1).astype(t)
            wide = np.int64 if dtype[0] == "i" else np.float64
            want = val.astype(wide) @ w[idx, :n].astype(wide) + (y[:n].astype(wide) if add else 0)
            target = MACHINES[where]
            for variant, mem, ld in (("t", w, n + 2), ("n", np.ascontiguousarray(w.T), k)):
                out = y.copy()
                run_kernel(
                    "events", dtype, variant, count, idx, val, n, mem, ld, out, add, target=target
                )
                assert np.array_equal(out[:n], want.astype(t)), (count, n, k, variant)
                assert out[n] == y[n]


def test_both_layouts_give_equal_bits(run_kernel: Run) -> None:
    rng = np.random.default_rng(SEED)
    n, k, count = 1301, 90, 50
    w = rng.standard_normal((k, n)).astype(np.float32)
    idx = rng.integers(0, k, count).astype(np.int32)
    val = rng.standard_normal(count).astype(np.float32)
    out = np.zeros((4, n), np.float32)
    for level in (0, 3):
        run_kernel("events", "f32", "t", count, idx, val, n, w, n, out[level // 3], 0, level=level)
        t = np.ascontiguousarray(w.T)
        run_kernel(
            "events", "f32", "n", count, idx, val, n, t, k, out[2 + level // 3], 0, level=level
        )
    assert (out.view(np.uint32) == out[0].view(np.uint32)).all()
