"""Matrix products, matrix-vector products, outer and dot products, packing, against numpy."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from dlc.diag import InternalError
from dlc.targets.cpu.kernels import kernel, packing
from dlc.targets.cpu.llvm import Module, Target, host_target
from tests.unit.targets.cpu.kernels.machines import MACHINES

Run = Callable[..., object]
SEED = 5
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
}
SIZES = [
    (m, n, k) for m in (0, 1, 2, 3, 5, 6, 7, 13) for n in (0, 1, 7, 16, 65) for k in (0, 1, 17)
]
SIZES += [(6, 64, 512), (7, 31, 513), (4, 130, 1030), (12, 129, 64), (19, 3, 100), (1, 300, 200)]
SIZES += [(3, 63, 5), (2, 64, 9), (1, 2100, 20), (5, 8, 4), (8, 15, 33), (97, 11, 2)]
MIXED = ["f32_bf16_f32", "f32_f16_f32", "f32_i8_f32", "i8_i8_i32", "u8_i8_i32", "u8_u8_i32"]


def types(dtype: str) -> tuple[str, str, str]:
    parts = dtype.split("_")
    return (dtype, dtype, dtype) if len(parts) == 1 else (parts[0], parts[1], parts[2])


def random(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype in ("f32", "f64", "f16", "bf16"):
        return rng.standard_normal(shape).astype(NUMPY[dtype])
    info = np.iinfo(NUMPY[dtype])
    return rng.integers(info.min, info.max, shape, NUMPY[dtype], endpoint=True)


def product(a: np.ndarray, b: np.ndarray, c: np.ndarray | None, out: str) -> np.ndarray:
    if out in ("f32", "f64", "f16", "bf16"):
        wide = a.astype(np.float64) @ b.astype(np.float64)
        return wide if c is None else wide + c.astype(np.float64)
    with np.errstate(over="ignore"):
        wide = a.astype(np.int64) @ b.astype(np.int64)
        return (wide if c is None else wide + c.astype(np.int64)).astype(NUMPY[out])


def check(got: np.ndarray, want: np.ndarray, a: np.ndarray, b: np.ndarray, out: str) -> None:
    if out in ("f32", "f64", "f16", "bf16"):
        eps = {"f32": 6e-8, "f64": 1.2e-16, "f16": 5e-4, "bf16": 4e-3}[out]
        scale = np.abs(a.astype(float)) @ np.abs(b.astype(float)) + np.abs(want) + 1e-30
        rounded = eps if out in ("f16", "bf16") else eps * (4 + a.shape[-1] ** 0.5)
        error = np.abs(got.astype(np.float64) - want) / scale
        assert error.size == 0 or error.max() <= rounded, error.max()
    else:
        assert np.array_equal(got, want)


def padded(x: np.ndarray, extra: int) -> np.ndarray:
    """The same values with rows that are `extra` elements apart from being contiguous."""
    wide = np.full((x.shape[0], x.shape[1] + extra), 7).astype(x.dtype)
    wide[:, : x.shape[1]] = x
    return wide


def gemm(
    run: Run, dtype: str, variant: str, size: tuple[int, int, int], add: bool, target: Target,
    level: int = 3,
) -> np.ndarray:  # fmt: skip
    rng = np.random.default_rng(SEED)
    m, n, k = size
    ta, tb, tc = types(dtype)
    a, b, c = random(rng, ta, (m, k)), random(rng, tb, (k, n)), random(rng, tc, (m, n))
    want = product(a, b, c if add else None, tc)
    out = padded(c, 3)
    mem_a = padded(a if variant[0] == "n" else a.T, 2)
    args: list[object] = [m, n, k, mem_a, mem_a.shape[1]]
    if variant[1] == "p":
        args.append(packing.packed(target, dtype, b))
    else:
        mem_b = padded(b.T if variant[1] == "t" else b, 1)
        args += [mem_b, mem_b.shape[1]]
    run("gemm", dtype, variant, *args, out, n + 3, add, target=target, level=level)
    assert (out[:, n:] == 7).all(), "wrote beyond a row"
    check(out[:, :n], want, a, b, tc)
    return out


EVERY_SIZE = [(where, "f32") for where in MACHINES] + [("host", "f64"), ("scalar", "f64")]
EVERY_SIZE = [c for c in [*EVERY_SIZE, ("host", "i32")] if c[0] in MACHINES]


@pytest.mark.parametrize("variant", ["nn", "nt", "tn", "np", "tp"])
@pytest.mark.parametrize(("where", "dtype"), EVERY_SIZE)
def test_gemm_of_every_size(run_kernel: Run, where: str, dtype: str, variant: str) -> None:
    for i, size in enumerate(SIZES):
        gemm(run_kernel, dtype, variant, size, bool(i % 2), MACHINES[where])


@pytest.mark.parametrize("variant", ["nn", "nt", "tn", "np", "tp"])
@pytest.mark.parametrize("dtype", ["f16", "bf16", "i64", "i16", "i8", "u8", *MIXED])
def test_gemm_of_every_type(run_kernel: Run, dtype: str, variant: str) -> None:
    for i, size in enumerate(SIZES[::7] + SIZES[-4:]):
        for add in (False, True) if i == 0 else (bool(i % 2),):
            gemm(run_kernel, dtype, variant, size, add, host_target(), level=0)


def test_gemm_gives_equal_bits_at_every_level(run_kernel: Run) -> None:
    for variant in ("nn", "nt", "tn", "np"):
        for size in ((7, 67, 530), (1, 40, 33)):
            a, b = (
                gemm(run_kernel, "f32", variant, size, True, host_target(), level)
                for level in (0, 3)
            )
            assert np.array_equal(a.view(np.uint32), b.view(np.uint32))


def test_gemm_keeps_nan_and_inf_apart(run_kernel: Run) -> None:
    """A NaN in one row or column of the operands touches no other element of c."""
    for variant in ("nn", "nt", "tn"):
        m, n, k = 9, 37, 21
        a, b = np.ones((m, k), np.float32), np.ones((k, n), np.float32)
        a[4, 20], b[7, 36] = np.nan, np.inf
        x = np.ascontiguousarray(a if variant[0] == "n" else a.T)
        y = np.ascontiguousarray(b.T if variant[1] == "t" else b)
        c = np.zeros((m, n), np.float32)
        run_kernel("gemm", "f32", variant, m, n, k, x, x.shape[1], y, y.shape[1], c, n, False)
        want = a @ b
        assert np.array_equal(np.isnan(c), np.isnan(want))
        assert np.array_equal(np.isinf(c), np.isinf(want))


GEMV = [(where, dtype) for where in MACHINES for dtype in ("f32", "f64")]
GEMV += [("host", dtype) for dtype in ("f16", "i32", "i8", *MIXED)]


@pytest.mark.parametrize(("where", "dtype"), GEMV)
def test_gemv(run_kernel: Run, where: str, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    tx, tw, ty = types(dtype)
    for rows, cols in ((0, 4), (4, 0), (1, 1), (7, 33), (8, 64), (9, 15), (31, 100), (50, 2100)):
        for add in (False, True):
            w = padded(random(rng, tw, (rows, cols)), 2)
            ldw = cols + 2
            x, y = random(rng, tx, (cols,)), random(rng, ty, (rows + 1,))
            want = product(w[:, :cols], x[:, None], y[:rows, None] if add else None, ty)
            out = y.copy()
            run_kernel("gemv", dtype, "n", rows, cols, w, ldw, x, out, add, target=MACHINES[where])
            check(out[:rows, None], want, w[:, :cols], x[:, None], ty)
            assert out[rows] == y[rows]
            x, y = random(rng, tx, (rows, 3)), random(rng, ty, (cols + 1,))
            want = product(w[:, :cols].T, x[:, :1], y[:cols, None] if add else None, ty)
            out = y.copy()
            run_kernel(
                "gemv", dtype, "t", rows, cols, w, ldw, x, 3, out, add, target=MACHINES[where]
            )
            check(out[:cols, None], want, w[:, :cols].T, x[:, :1], ty)
            assert out[cols] == y[cols]


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16", "i32", "u8"])
def test_outer(run_kernel: Run, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    for m, n in ((0, 3), (3, 0), (1, 1), (5, 16), (7, 63), (2, 129)):
        for add in (False, True):
            a, b = random(rng, dtype, (m, 2)), random(rng, dtype, (n,))
            c = random(rng, dtype, (m, n + 1))
            want = product(a[:, :1], b[None], c[:, :n] if add else None, dtype)
            out = c.copy()
            run_kernel("outer", dtype, "", m, n, a, 2, b, out, n + 1, add)
            check(out[:, :n], want, a[:, :1], b[None], dtype)
            assert np.array_equal(out[:, n], c[:, n])


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "i64", "i8"])
@pytest.mark.parametrize("level", [0, 3])
def test_dot(run_kernel: Run, dtype: str, level: int) -> None:
    rng = np.random.default_rng(SEED)
    for n in (0, 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000):
        x, y = random(rng, dtype, (n,)), random(rng, dtype, (n,))
        got = run_kernel("dot", dtype, "", n, x, y, level=level)
        if dtype in ("i64", "i8"):
            total = sum(int(a) * int(b) for a, b in zip(x, y, strict=True))
            bits = 64 if dtype == "i64" else 32
            assert (got - total) % (1 << bits) == 0
        else:
            want = float(x.astype(np.float64) @ y.astype(np.float64))
            scale = float(np.abs(x.astype(float)) @ np.abs(y.astype(float)))
            assert abs(got - want) <= (1e-6 if dtype != "f64" else 1e-15) * scale


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "i8"])
def test_pack_writes_the_documented_layout(run_kernel: Run, dtype: str) -> None:
    rng = np.random.default_rng(SEED)
    target = host_target()
    for k, n in ((0, 5), (5, 0), (1, 1), (3, 65), (513, 130), (1100, 7)):
        b = random(rng, dtype, (k, n))
        want = packing.packed(target, dtype, b)
        assert want.size == packing.packed_elements(target, dtype, k, n)
        for mem, row, col in ((b, n, 1), (np.ascontiguousarray(b.T), 1, k)):
            out = np.full(want.size + 1, 9).astype(b.dtype)
            run_kernel("pack", dtype, "", k, n, mem, row, col, out)
            assert np.array_equal(out[:-1], want)
            assert out[-1] == 9


def test_unknown_kernels_are_refused() -> None:
    module = Module(host_target())
    with pytest.raises(InternalError, match="no kernel is called"):
        kernel(module, "gemmm", "f32")
    with pytest.raises(InternalError, match="no kernel gemm"):
        kernel(module, "gemm", "f32", "tt")
    with pytest.raises(InternalError, match="no kernel gemm"):
        kernel(module, "gemm", "bool", "nn")
