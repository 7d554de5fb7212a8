"""Reductions and running sums."""

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
    "i16": np.int16,
    "i8": np.int8,
    "u8": np.uint8,
    "bool": np.bool_,
}
SEED = 11
KINDS = ["sum", "prod", "max", "min"]
CASES = [(d, k) for d in NUMPY if d != "bool" for k in KINDS] + [("bool", "any"), ("bool", "all")]
SHAPES = [(0, 3), (3, 0), (1, 1), (4, 7), (3, 31), (2, 32), (3, 33), (2, 64), (2, 129), (1, 1009)]


def random(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if dtype in ("f32", "f64", "f16", "bf16"):
        return rng.standard_normal(shape).astype(NUMPY[dtype])
    info = np.iinfo(NUMPY[dtype])
    return rng.integers(info.min, info.max, shape, NUMPY[dtype], endpoint=True)


def tree(x: np.ndarray, combine: Callable[..., np.ndarray], start: object) -> np.ndarray:
    """The stated order: 32 lanes, then halves, in the format of the elements (halves: f32)."""
    lanes = np.full(32, start, x.dtype)
    for i in range(0, len(x), 32):
        part = x[i : i + 32]
        lanes[: len(part)] = combine(lanes[: len(part)], part)
    while len(lanes) > 1:
        lanes = combine(lanes[: len(lanes) // 2], lanes[len(lanes) // 2 :])
    return lanes[0]


def in_order(x: np.ndarray, combine: Callable[..., np.ndarray], start: object) -> np.ndarray:
    total = np.asarray(start, x.dtype)
    for v in x:
        total = combine(total, v)
    return total


def expected(
    x: np.ndarray,
    old: np.ndarray,
    kind: str,
    dtype: str,
    add: bool,
    order: Callable[..., np.ndarray],
) -> np.ndarray:
    """One reduction, with the old value first if asked for."""
    combine = {
        "sum": np.add,
        "prod": np.multiply,
        "max": np.maximum,
        "min": np.minimum,
        "any": np.logical_or,
        "all": np.logical_and,
    }[kind]
    info = np.iinfo(NUMPY[dtype]) if dtype[0] in "iu" else None
    if kind in ("max", "min"):
        start = (
            (info.min if kind == "max" else info.max)
            if info
            else (-np.inf if kind == "max" else np.inf)
        )
    else:
        start = kind in ("prod", "all")
    wide = x.astype(np.float32) if dtype in ("f16", "bf16") else x
    with np.errstate(all="ignore"):
        if len(x) == 0 and not add:
            if kind in ("max", "min") and info is None:
                top = ml_dtypes.finfo(NUMPY[dtype]).max
                return np.asarray(-top if kind == "max" else top)
            return np.asarray(start).astype(NUMPY[dtype])
        total = order(wide, combine, start)
        if add:
            total = combine(old.astype(wide.dtype), total)
        return np.asarray(total).astype(NUMPY[dtype])


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.all((a == b) | ((a != a) & (b != b))))


WHERE = [("host", *c) for c in CASES]
WHERE += [(w, *c) for w in MACHINES for c in CASES if w != "host" and c[0] in ("f32", "u8", "bool")]


@pytest.mark.parametrize(("where", "dtype", "kind"), WHERE)
def test_reduce_rows_and_cols(run_kernel: Run, where: str, dtype: str, kind: str) -> None:
    """Bit for bit in the stated order."""
    rng = np.random.default_rng(SEED)
    level = 0 if where == "host" else 3
    options = {"level": level, "target": MACHINES[where]}
    for i, (rows, n) in enumerate(SHAPES):
        add = bool(i % 2)
        x, y = random(rng, dtype, (rows, n + 1)), random(rng, dtype, (rows + 1, 2))
        out = y.copy()
        run_kernel("reduce_rows", dtype, kind, rows, n, x, n + 1, out, 2, add, **options)
        for r in range(rows):
            want = expected(x[r, :n], y[r, 0], kind, dtype, add, tree)
            assert same(out[r, 0], want), (rows, n, out[r, 0], want)
        assert same(out[:, 1], y[:, 1]) and same(out[rows], y[rows])
        y = random(rng, dtype, (n + 1,))
        out = y.copy()
        run_kernel("reduce_cols", dtype, kind, n, rows, x, n + 1, out, add, **options)
        for c in range(0, n, max(1, n // 40)):
            want = expected(x[:, c], y[c], kind, dtype, add, in_order)
            assert same(out[c], want), (rows, n, out[c], want)
        assert same(out[n], y[n])


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16"])
def test_special_values(run_kernel: Run, dtype: str) -> None:
    inf, nan = np.inf, np.nan
    for values, high, low in (
        ([-inf], -inf, -inf),
        ([inf, 1], inf, 1),
        ([1, nan, 2], nan, nan),
        ([0.0, -0.0], 0.0, -0.0),
        ([-inf] * 40, -inf, -inf),
    ):
        x, y = np.array(values).astype(NUMPY[dtype]), np.zeros(1, NUMPY[dtype])
        for kind, want in (("max", high), ("min", low)):
            run_kernel("reduce_rows", dtype, kind, 1, len(x), x, len(x), y, 1, False)
            assert np.array_equal(y, [want], equal_nan=True)
            assert np.signbit(y[0]) == np.signbit(want) or np.isnan(want)


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "bf16", "i64", "i8"])
def test_cumsum(run_kernel: Run, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    for n, cols in ((0, 3), (3, 0), (1, 1), (7, 1), (100, 1), (5, 33), (9, 16)):
        x = random(rng, dtype, (n, cols))
        wide = x.astype(np.float32) if dtype in ("f16", "bf16") else x
        for reverse in (False, True):
            for exclusive in (False, True):
                way = wide[::-1] if reverse else wide
                with np.errstate(all="ignore"):
                    want = np.cumsum(way, axis=0, dtype=wide.dtype)
                    if exclusive:
                        zero = np.zeros((1, cols), wide.dtype)
                        want = np.concatenate([zero, want])[: len(want)]
                want = (want[::-1] if reverse else want).astype(NUMPY[dtype])
                out = np.zeros_like(x)
                run_kernel(
                    "cumsum", dtype, "", n, cols, x, cols, 1, out, cols, 1, reverse, exclusive
                )
                assert same(out, want)
                turned = x.T.copy("C")  # the other strides, and in place
                run_kernel(
                    "cumsum", dtype, "", n, cols, turned, 1, n, turned, 1, n, reverse, exclusive
                )
                assert same(turned.T, want)
