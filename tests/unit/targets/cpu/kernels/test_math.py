"""Elementwise functions against numpy in the next wider format: accuracy over the whole range,
special values, equal bits for any number of lanes and at any level of optimisation."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dlc.diag import InternalError
from dlc.targets.cpu.kernels.math import FUNCTIONS, apply, elementwise
from dlc.targets.cpu.llvm import (
    ELEMENTS,
    Builder,
    Module,
    Options,
    Target,
    compile_object,
    host_target,
    load,
    named_target,
    vector,
)

SEED = 20240607

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy, on NaNs
LINUX = "x86_64-unknown-linux-gnu"
FLOATS = [name for name, entry in FUNCTIONS.items() if entry.floats]
EXACT = [name for name in FLOATS if FUNCTIONS[name].ulp == (0.0, 0.0)]
CLOSE = [name for name in FLOATS if name not in EXACT]
WIDER = {"f32": np.float64, "f64": np.longdouble}
NUMPY = {"f32": np.float32, "f64": np.float64}

Call = Callable[..., np.ndarray]


def targets() -> dict[str, Target]:
    """The host, and what older CPUs lack: FMA and rounding, 512 bits. Run where they can."""
    found = {"host": host_target()}
    if found["host"].triple.startswith("x86_64"):
        found["x86-64"] = named_target(LINUX, "x86-64")
        if found["host"].fma32:
            found["haswell"] = named_target(LINUX, "haswell")
    return found


def _erf(x: np.ndarray) -> np.ndarray:
    return np.array([math.erf(v) for v in x.astype(float)], dtype=x.dtype)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x), x, np.fmax(x, 0) + np.log1p(np.exp(-np.abs(x))))


def _pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The C library's `powl` is wrong for infinite x and huge y; its `pow` is right."""
    short = np.power(x.astype(np.float64), y.astype(np.float64))
    return np.where(np.isinf(x), short, np.power(x, y))


REFERENCE: dict[str, Callable[..., np.ndarray]] = {
    "sigmoid": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "softplus": _softplus,
    "erf": _erf,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "pow": _pow,
    "round": np.rint,
    "is_finite": lambda x: np.isfinite(x).astype(x.dtype),
    "relu": lambda x: np.where(x <= 0, 0, x),
    "floor_div": lambda a, b: np.floor(a / b),
    "floor_mod": lambda a, b: a - b * np.floor(a / b),
}


def reference(name: str) -> Callable[..., np.ndarray]:
    return REFERENCE.get(name) or getattr(np, name)


@functools.cache
def library(where: str, level: int) -> Call:
    """call(name, dtype, lanes, x, y): every function, with one lane and with a full register."""
    target = targets()[where]
    module = Module(target)
    for name in FLOATS:
        for dtype in ("f32", "f64"):
            for lanes in (1, target.lanes(ELEMENTS[dtype].bytes)):
                _loop(module, name, ELEMENTS[dtype].memory, lanes, f"{name}_{dtype}_{lanes}")
    obj = compile_object(module.text(), target, Options(level=level))
    loaded = load(obj.data, obj.symbols.defined)

    def call(name: str, dtype: str, wide: bool, *xs: np.ndarray) -> np.ndarray:
        lanes = target.lanes(ELEMENTS[dtype].bytes) if wide else 1
        out = np.empty_like(xs[0])
        assert len(out) % lanes == 0
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(
            loaded.address(f"{name}_{dtype}_{lanes}")
        )
        function(xs[0].ctypes.data, xs[-1].ctypes.data, out.ctypes.data, len(out))
        return out

    return call


def _loop(module: Module, name: str, scalar: str, lanes: int, symbol: str) -> None:
    params = [("ptr", "x"), ("ptr", "y"), ("ptr", "out"), ("i64", "n")]
    f = Builder(module, symbol, "void", params, linkage="external")
    *operands, out, n = f.params
    t = vector(scalar, lanes)
    with f.loop(0, n, lanes) as loop:
        places = [f.gep(scalar, p, loop.index) for p in operands[: FUNCTIONS[name].arity]]
        r = apply(f, name, *(f.load(t, p) for p in places))
        if FUNCTIONS[name].predicate:
            r = f.select(r, f.const(t, 1.0), f.const(t, 0.0))
        f.store(r, f.gep(scalar, out, loop.index))
    f.ret()
    f.define()


def special(dtype: str) -> np.ndarray:
    info = np.finfo(NUMPY[dtype])
    tiny, least = float(info.tiny), float(info.smallest_subnormal)
    xs = [0.0, math.inf, math.nan, 0.5, 1.0, 2.0, 3.0, 1e-3, float(info.max), tiny, least]
    xs += [float(info.eps), 1 - float(info.epsneg), 1 + float(info.eps), 2.5, 1e5, 2.0**31, 2.0**63]
    xs += [88.72, 89.41, 103.9, 709.78, 710.47, 745.1, math.pi, math.pi / 2, math.pi / 4, 0.9]
    return np.array(xs + [-x for x in xs], NUMPY[dtype])


def inputs(name: str, dtype: str) -> tuple[np.ndarray, ...]:
    """Random bit patterns, ordinary magnitudes and special values; for two operands, pairs of
    those."""
    rng = np.random.default_rng(SEED)
    count = 800 if name == "erf" else 20000
    t = NUMPY[dtype]
    bits = rng.integers(0, 256, (count, t().itemsize), np.uint8).view(t).ravel()
    scaled = rng.uniform(-1, 1, count) * 10.0 ** rng.uniform(-6, 3, count)
    parts = [bits, scaled, rng.uniform(-30, 30, count), rng.uniform(-1.2, 1.2, count)]
    s = special(dtype)
    x = np.concatenate([p.astype(t) for p in parts] + [s])
    if FUNCTIONS[name].arity == 1:
        return (np.resize(x, len(x) // 16 * 16 + 16),)
    y = rng.permutation(x)
    if name == "pow":
        x[count : 2 * count] = np.abs(x[count : 2 * count])
        y[count : 2 * count] = np.round(np.nan_to_num(y[count : 2 * count]))
    x, y = (np.concatenate([a, b]) for a, b in ((x, np.repeat(s, len(s))), (y, np.tile(s, len(s)))))
    size = len(x) // 16 * 16 + 16
    return np.resize(x, size), np.resize(y, size)


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """|got - want| in units of got's last place at `want`; 0 for equal special values."""
    info = np.finfo(got.dtype)
    wide = want.dtype.type
    least = wide(info.smallest_subnormal)
    exponent = np.floor(np.log2(np.maximum(np.abs(want), least)))
    exponent = np.maximum(np.minimum(exponent, info.maxexp - 1), info.minexp)
    unit = np.ldexp(wide(1), (exponent - info.nmant).astype(np.int64))
    error = np.abs(got.astype(wide) - want) / unit
    error[(np.isnan(got) & np.isnan(want)) | (got == want.astype(got.dtype)) & np.isinf(got)] = 0
    return np.where(np.isnan(error), np.inf, error)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal, NaNs with NaNs."""
    i = np.uint32 if a.dtype == np.float32 else np.uint64
    return bool(np.all((a.view(i) == b.view(i)) | (np.isnan(a) & np.isnan(b))))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", CLOSE)
@pytest.mark.parametrize("where", targets())
def test_accuracy(where: str, name: str, dtype: str) -> None:
    xs = inputs(name, dtype)
    got = library(where, 3)(name, dtype, True, *xs)
    with np.errstate(all="ignore"):
        want = reference(name)(*(x.astype(WIDER[dtype]) for x in xs))
        error = ulps(got, want)
    at = int(np.argmax(error))
    limit = FUNCTIONS[name].ulp[dtype == "f64"]
    assert error[at] <= limit, (error[at], [x[at] for x in xs], got[at], want[at], SEED)
    zero = (got == 0) & (want == 0)
    assert np.array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("where", targets())
def test_exact_functions(where: str, name: str, dtype: str) -> None:
    xs = inputs(name, dtype)
    got = library(where, 3)(name, dtype, True, *xs)
    with np.errstate(all="ignore"):
        want = reference(name)(*xs).astype(got.dtype)
    ok = (got == want) | (np.isnan(got) & np.isnan(want))
    if name not in ("maximum", "minimum"):
        ok &= (got != 0) | (np.signbit(got) == np.signbit(want)) | np.isnan(want)
    assert ok.all(), [(x[~ok][:3], got[~ok][:3], want[~ok][:3], SEED) for x in xs]


@pytest.mark.parametrize("where", targets())
def test_equal_bits_for_any_lanes_and_level(where: str) -> None:
    """A vector, its scalar tail, and the unoptimised code of both agree on every bit."""
    for name in FLOATS:
        for dtype in ("f32", "f64"):
            xs = tuple(x[-4096:] for x in inputs(name, dtype))
            want = library(where, 3)(name, dtype, True, *xs)
            for level, wide in ((3, False), (0, True), (0, False)):
                got = library(where, level)(name, dtype, wide, *xs)
                assert same_bits(got, want), (name, dtype, level, wide)


def test_zeros_have_an_order() -> None:
    x, y = np.array([0.0, -0.0] * 8, np.float32), np.array([-0.0, 0.0] * 8, np.float32)
    call = library("host", 3)
    assert not np.signbit(call("maximum", "f32", True, x, y)).any()
    assert np.signbit(call("minimum", "f32", True, x, y)).all()


def test_sine_of_the_worst_arguments() -> None:
    """Doubles nearest to multiples of pi/2 (Kahan), and large ones."""
    x = np.array([6381956970095103.0 * 2.0**797, 2.0**1023, 1e22, 1e300, 355.0, 3.7e15, 22.0, 11.0])
    call, wide = library("host", 3), x.astype(np.longdouble)
    assert ulps(call("sin", "f64", True, x), np.sin(wide)).max() < 2
    # The cosine of Kahan's double is -4.687165924254624e-19.
    assert call("cos", "f64", True, x)[0] == pytest.approx(-4.687165924254624e-19, rel=1e-15)


@pytest.mark.parametrize("scalar", ["float", "double"])
def test_the_square_root_without_the_instruction(
    compile_function: Callable[..., Callable[..., object]], scalar: str
) -> None:
    target = replace(host_target(), sqrt32=False, sqrt64=False)
    run = compile_function(lambda m: elementwise(m, "sqrt", scalar), target)
    dtype = "f32" if scalar == "float" else "f64"
    bits, *_ = inputs("sqrt", dtype)
    x = np.concatenate([np.abs(bits[:3000]), special(dtype)])
    got = np.array([run(float(v)) for v in x], NUMPY[dtype])
    with np.errstate(all="ignore"):
        assert same_bits(got, np.sqrt(x))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_extremes_without_the_instruction(
    compile_function: Callable[..., Callable[..., object]], name: str
) -> None:
    software = replace(host_target(), sqrt32=False, sqrt64=False)
    runs = [
        compile_function(lambda m: elementwise(m, name, "double"), t)
        for t in (software, host_target())
    ]
    values = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 5e-324]
    for a in values:
        for b in values:
            got, want = (np.array([run(a, b)]) for run in runs)
            assert same_bits(got, want), (a, b)


INTEGER = {
    "ifloor_div": lambda a, b: a // b,
    "ifloor_mod": lambda a, b: a % b,
    "iquotient": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "iremainder": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
    "maximum": max,
    "minimum": min,
    "abs": lambda a, b: abs(a),
    "sign": lambda a, b: (a > 0) - (a < 0),
    "relu": lambda a, b: max(a, 0),
    "ipow": lambda a, b: pow(a, max(b, 0), 1 << 64),
}
UNSIGNED = {
    "udiv": lambda a, b: a // b,
    "umod": lambda a, b: a % b,
    "umaximum": max,
    "uminimum": min,
}


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_integers(bits: int, compile_function: Callable[..., Callable[..., object]]) -> None:
    low, high, mask = -(1 << bits - 1), (1 << bits - 1) - 1, (1 << bits) - 1
    values = [low, low + 1, -7, -2, -1, 0, 1, 2, 3, 7, 100, high - 1, high]
    for table in (INTEGER, UNSIGNED):
        for name, want in table.items():
            entry = FUNCTIONS[name]
            run = compile_function(lambda m, n=name: elementwise(m, n, f"i{bits}"))
            for a in values:
                for b in values:
                    if b == 0 and name != "ipow":
                        continue
                    x, y = (a & mask, b & mask) if table is UNSIGNED else (a, b)
                    got = run(*(a, b)[: entry.arity])
                    assert got & mask == want(x, y) & mask, (name, a, b)


def test_what_does_not_exist() -> None:
    module = Module(host_target())
    with pytest.raises(InternalError, match="called bessel"):
        elementwise(module, "bessel", "float")
    with pytest.raises(InternalError, match="no meaning"):
        elementwise(module, "exp", "i32")
    with pytest.raises(InternalError, match="no meaning"):
        elementwise(module, "udiv", "float")
