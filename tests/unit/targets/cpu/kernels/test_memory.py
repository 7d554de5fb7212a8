"""copy, fill, copy2."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Run = Callable[..., object]
SIZES = [0, 1, 2, 3, 7, 15, 16, 17, 31, 63, 64, 65, 127, 1009]
TYPES = {"f32": np.float32, "f64": np.float64, "i8": np.int8, "f16": np.float16, "bool": np.int8}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("level", [0, 3])
def test_copy_and_fill(run_kernel: Run, dtype: str, level: int) -> None:
    t = TYPES[dtype]
    for n in SIZES:
        x = np.arange(n + 2).astype(t)
        out = np.full(n + 2, 99, t)
        run_kernel("copy", dtype, "", out[1:], x[1:], n, level=level)
        assert np.array_equal(out[1 : n + 1], x[1 : n + 1]), n
        assert out[0] == 99 == out[-1]
        value = np.array(5, t)
        bits = int(value.view(np.int16)) if dtype == "f16" else value.item()
        run_kernel("fill", dtype, "", out[1:], bits, n, level=level)
        assert np.array_equal(out, [99, *[5] * n, 99]), n


@pytest.mark.parametrize("dtype", TYPES)
def test_copy2_between_any_strides(run_kernel: Run, dtype: str) -> None:
    t = TYPES[dtype]
    x = np.arange(70 * 70).reshape(70, 70).astype(t)
    for rows, cols in ((0, 5), (5, 0), (1, 1), (3, 67), (33, 17), (64, 64)):
        for view in (x, x.T, x[::-1, ::-1], x[::2, ::-3], np.broadcast_to(x[:1], x.shape)):
            v = view[: min(rows, view.shape[0]), : min(cols, view.shape[1])]
            strides = [s // x.itemsize for s in v.strides]
            for order in (0, 1):
                out = np.full((72, 72), 77, t)
                to = (72, 1) if order == 0 else (1, 72)
                run_kernel("copy2", dtype, "", out, *to, v.ctypes.data, *strides, *v.shape)
                want = np.full((72, 72), 77, t)
                (want if order == 0 else want.T)[: v.shape[0], : v.shape[1]] = v
                assert np.array_equal(out, want), (rows, cols, order)
