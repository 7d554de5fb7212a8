"""Pools and their transposes against windows written out in numpy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import ml_dtypes
import numpy as np
import pytest

from dlc.targets.cpu.kernels.windows import geometry
from tests.unit.targets.cpu.kernels.machines import MACHINES

Run = Callable[..., object]
SEED = 19
NUMPY = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "i32": np.int32,
    "i8": np.int8,
    "u8": np.uint8,
}
EPS = {"f32": 1e-6, "f64": 1e-14, "f16": 2e-3, "bf16": 1.6e-2}
# planes, size, kernel, stride, (before, after), dilation
CASES = [
    (1, (1,), (1,), 1, (0, 0), 1),
    (3, (17,), (3,), 2, (0, 0), 1),
    (2, (9, 11), (2, 2), 2, (0, 0), 1),
    (2, (13, 40), (3, 3), 2, (1, 1), 1),
    (1, (8, 33), (3, 2), 1, (2, 0), 2),
    (1, (3, 3), (2, 2), 1, (3, 3), 1),
    (1, (5, 4, 6), (2, 2, 3), 1, (1, 0), 1),
    (1, (4, 60), (1, 5), 3, (2, 2), 1),
    (0, (4, 4), (2, 2), 2, (0, 0), 1),
]
Case = tuple[int, tuple[int, ...], tuple[int, ...], int, tuple[int, int], int]


WHERE = [(w, "f32") for w in MACHINES] + [("host", "i32")]
WHERE += [("host", d) for d in NUMPY if d not in ("f32", "i32")]


def windows(c: Case, out: tuple[int, ...]) -> list[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """Each window, and the places of x in it, in row-major order of the taps."""
    _, size, kernel, stride, (before, _), dilation = c
    found = []
    for at in product(*map(range, out)):
        places = [
            tuple(p * stride + k * dilation - before for p, k in zip(at, tap, strict=True))
            for tap in product(*map(range, kernel))
        ]
        inside = [p for p in places if all(0 <= i < n for i, n in zip(p, size, strict=True))]
        found.append((at, inside))
    return found


def setup(c: Case, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    planes, size, kernel, stride, pads, dilation = c
    n = len(size)
    out = tuple(
        (s + sum(pads) - (k - 1) * dilation - 1) // stride + 1
        for s, k in zip(size, kernel, strict=True)
    )
    fields = geometry(
        1, 1, planes, planes, size, kernel, out, (stride,) * n, (pads[0],) * n, (dilation,) * n
    )
    rng = np.random.default_rng(SEED)
    x = rng.integers(-9 if dtype != "u8" else 0, 9, (planes, *size)).astype(NUMPY[dtype])
    dy = rng.integers(-9 if dtype != "u8" else 0, 9, (planes, *out)).astype(NUMPY[dtype])
    if dtype in EPS and planes:
        x.ravel()[:: max(7, x.size // 5)] = np.nan
        x.ravel()[1::11] = -np.inf
    return np.array(fields, np.int64), x, dy


def lowest(dtype: str) -> object:
    info = ml_dtypes.finfo if dtype in EPS else np.iinfo
    return info(NUMPY[dtype]).min


def divisor(c: Case, inside: int, variant: str) -> int:
    return int(np.prod(c[2])) if variant == "mean_pad" else max(inside, 1)


def variants(dtype: str) -> list[str]:
    return ["max", "mean", "mean_pad"] if dtype in EPS else ["max"]


@pytest.mark.parametrize(("where", "dtype"), WHERE)
@pytest.mark.parametrize("c", CASES, ids=range(len(CASES)))
def test_pool(run_kernel: Run, where: str, dtype: str, c: Case) -> None:
    fields, x, dy = setup(c, dtype)
    for variant in variants(dtype):
        want = np.zeros(dy.shape, np.float64)
        for at, places in windows(c, dy.shape[1:]):
            seen = [x[(slice(None), *p)].astype(np.float64) for p in places]
            if variant == "max":
                start = np.full(len(x), -np.inf if places else float(lowest(dtype)))
                want[(slice(None), *at)] = np.maximum.reduce([start, *seen])
            else:
                total = sum(seen, np.zeros(len(x)))
                want[(slice(None), *at)] = total / divisor(c, len(places), variant)
        y = np.full_like(dy, 5)
        run_kernel("pool", dtype, variant, fields, x, y, target=MACHINES[where])
        got = y.astype(np.float64)
        if variant == "max":
            assert np.array_equal(got, want, equal_nan=True)
        else:
            np.testing.assert_allclose(got, want, rtol=EPS[dtype], atol=EPS[dtype])


@pytest.mark.parametrize(("where", "dtype"), WHERE)
@pytest.mark.parametrize("c", CASES, ids=range(len(CASES)))
def test_pool_grad(run_kernel: Run, where: str, dtype: str, c: Case) -> None:
    fields, x, dy = setup(c, dtype)
    for variant in variants(dtype):
        want = np.zeros(x.shape, np.float64)
        for at, places in windows(c, dy.shape[1:]):
            for plane in range(len(x) if places else 0):
                d = float(dy[(plane, *at)])
                if variant == "max":
                    seen = np.array([float(x[(plane, *p)]) for p in places])
                    want[(plane, *places[int(np.argmax(seen))])] += d
                    continue
                for p in places:
                    want[(plane, *p)] += d / divisor(c, len(places), variant)
        for add in (False, True):
            dx = np.full_like(x, 3)
            run_kernel("pool_grad", dtype, variant, fields, x, dy, dx, add, target=MACHINES[where])
            total = want + 3 if add else want
            if dtype in EPS:
                atol = EPS[dtype] * 50
                np.testing.assert_allclose(dx.astype(np.float64), total, rtol=EPS[dtype], atol=atol)
            else:
                assert np.array_equal(dx, total.astype(np.int64).astype(NUMPY[dtype]))
