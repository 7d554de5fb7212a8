"""Conversions between element types: halves in hardware and in integers, saturation, wrapping."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Function, Module, Target, host_target

NUMPY = {
    "f64": np.float64,
    "f32": np.float32,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "i64": np.int64,
    "i32": np.int32,
    "i16": np.int16,
    "i8": np.int8,
    "u8": np.uint8,
    "bool": np.bool_,
}
SEED = 7

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy, on NaNs


def emit(module: Module, source: str, target: str, lanes: int) -> Function:
    """out[i] = x[i] in another type."""
    f = Builder(module, "conversion", "void", [("ptr", "x"), ("ptr", "out"), (INDEX, "n")])
    x, out, n = f.params
    with f.loop(0, n, lanes) as loop:
        a = convert.load(f, source, f.gep(ELEMENTS[source].memory, x, loop.index), lanes)
        b = convert.convert(f, a, source, target)
        convert.store(f, target, b, f.gep(ELEMENTS[target].memory, out, loop.index))
    f.ret()
    return f.define()


@functools.cache
def machine(half: bool) -> Target:
    return replace(host_target(), half=half)


@pytest.fixture(scope="module")
def converted(
    compile_function: Callable[..., Callable[..., object]],
) -> Callable[..., np.ndarray]:
    @functools.cache
    def compile_one(source: str, target: str, lanes: int, half: bool) -> Callable[..., object]:
        return compile_function(lambda m: emit(m, source, target, lanes), machine(half))

    def run(
        x: np.ndarray, source: str, target: str, lanes: int = 8, half: bool = False
    ) -> np.ndarray:
        out = np.zeros(len(x), NUMPY[target])
        compile_one(source, target, lanes, half)(np.ascontiguousarray(x), out, len(x))
        return out

    return run


def floats(dtype: str, count: int = 40000) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    t = np.dtype(NUMPY[dtype])
    bits = rng.integers(0, 256, (count, t.itemsize), np.uint8).view(t).ravel()
    near = (rng.standard_normal(count) * 10.0 ** rng.uniform(-9, 6, count)).astype(t)
    return np.concatenate([bits, near])


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    same = (wide_a == wide_b) & (np.signbit(wide_a) == np.signbit(wide_b))
    return bool(np.all(same | (np.isnan(wide_a) & np.isnan(wide_b))))


@pytest.mark.parametrize("half", [False, host_target().half])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_every_half_widens(converted: Callable[..., np.ndarray], dtype: str, half: bool) -> None:
    x = np.arange(65536, dtype=np.uint16).view(NUMPY[dtype])
    for lanes in (1, 8):
        assert equal(converted(x, dtype, "f32", lanes, half), x.astype(np.float32))
    assert equal(converted(x, dtype, "f64", 8, half), x.astype(np.float64))


@pytest.mark.parametrize("half", [False, host_target().half])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_f32_rounds_to_half_even(
    converted: Callable[..., np.ndarray], dtype: str, half: bool
) -> None:
    every = np.arange(65536, dtype=np.uint16).view(NUMPY[dtype]).astype(np.float32)
    with np.errstate(all="ignore"):
        between = (every[:-1] + every[1:]) / 2  # ties
        x = np.concatenate([floats("f32"), every, between, np.zeros(1, np.float32)])
        x = np.concatenate([x, np.nextafter(between, np.inf), np.nextafter(between, -np.inf)])
        x = np.resize(x, len(x) // 8 * 8)
        want = x.astype(NUMPY[dtype])
    for lanes in (1, 8):
        assert equal(converted(x, "f32", dtype, lanes, half), want)


@pytest.mark.parametrize("half", [False, host_target().half])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_f64_goes_through_f32(converted: Callable[..., np.ndarray], dtype: str, half: bool) -> None:
    x = floats("f64", 4000)
    x = np.concatenate([x, x * 2.0**-20])
    with np.errstate(all="ignore"):
        want = x.astype(np.float32).astype(NUMPY[dtype])
    assert equal(converted(x, "f64", dtype, 8, half), want)


@pytest.mark.parametrize("target", ["i64", "i32", "i16", "i8", "u8"])
@pytest.mark.parametrize("source", ["f64", "f32", "f16", "bf16"])
def test_float_to_int_saturates(
    converted: Callable[..., np.ndarray], source: str, target: str
) -> None:
    info = np.iinfo(NUMPY[target])
    edges = [0.5, -0.5, 1.99, -1.99, 127, 128, 255, 256, -128, -129, 32767, 2.0**31, -(2.0**31)]
    edges += [2.0**63, -(2.0**63), 1e30, -1e30, np.inf, -np.inf, np.nan, 0.0, -0.0, 2147483520.0]
    with np.errstate(all="ignore"):
        x = np.concatenate([np.array(edges).astype(NUMPY[source]), floats(source, 2000)])
    x = np.resize(x, len(x) // 8 * 8 + 8)
    want = []
    for v in x.astype(np.float64):
        whole = 0 if np.isnan(v) else (info.max if v > 1e30 else info.min if v < -1e30 else int(v))
        want.append(min(max(whole, info.min), info.max))
    for lanes in (1, 8):
        got = converted(x, source, target, lanes)
        assert got.tolist() == want


@pytest.mark.parametrize("target", list(NUMPY))
@pytest.mark.parametrize("source", ["i64", "i32", "i16", "i8", "u8", "bool"])
def test_from_integers(converted: Callable[..., np.ndarray], source: str, target: str) -> None:
    rng = np.random.default_rng(SEED)
    if source == "bool":
        x = rng.integers(0, 2, 64).astype(np.bool_)
    else:
        info = np.iinfo(NUMPY[source])
        edges = [info.min, info.max, 0, 1, 7, 100, info.max - 1, info.min + 1]
        x = rng.integers(info.min, info.max, 4000, NUMPY[source], endpoint=True)
        shift = rng.integers(0, info.bits, len(x))
        x = np.concatenate([x >> shift.astype(x.dtype), np.array(edges, NUMPY[source])])
        x = x[: len(x) // 8 * 8]
    with np.errstate(all="ignore"):
        if target in ("f16", "bf16"):
            want = x.astype(np.float32).astype(NUMPY[target])
        else:
            want = x.astype(NUMPY[target])
    got = converted(x, source, target)
    assert np.array_equal(got.view(np.uint8), want.view(np.uint8))


@pytest.mark.parametrize("source", ["f64", "f32", "f16", "bf16"])
def test_to_bool(converted: Callable[..., np.ndarray], source: str) -> None:
    x = np.array([0.0, -0.0, 1.0, -3.0, np.nan, np.inf, 0.0, 0.5]).astype(NUMPY[source])
    want = [False, False, True, True, True, True, False, True]
    assert converted(x, source, "bool").tolist() == want


def test_f32_and_f64(converted: Callable[..., np.ndarray]) -> None:
    x = floats("f64", 4000)
    with np.errstate(all="ignore"):
        assert equal(converted(x, "f64", "f32"), x.astype(np.float32))
    y = floats("f32", 4000)
    assert equal(converted(y, "f32", "f64"), y.astype(np.float64))
