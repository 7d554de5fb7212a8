"""Edges of the number line: NaN, infinities, zeros of both signs, the ends of the integers,
rounding.

The expectations are written here a second time, number by number, with Python's own arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlc.evaluate import run
from dlc.ir.core import Attr, Module
from dlc.ops.build import Builder
from dlc.ops.elementwise import Elementwise
from dlc.ops.registry import CARDS
from dlc.ops.tolerance import mismatch
from dlc.typesys.dtypes import BF16, BOOL, DTYPES, F16, F32, F64, I8, I32, U8, DType
from dlc.typesys.types import TensorType, tensor
from tests.laws.ops_cases import Case

NAN, INF = math.nan, math.inf
FLOATS = [
    NAN,
    INF,
    -INF,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3.0,
    2.0**-10,
    20.0,
    -20.0,
]


def apply(name: str, *xs: Any, dtype: DType | None = None, **attrs: Attr) -> Any:
    """The operation on arrays (of the element type, for lists of numbers)."""
    arrays = [np.asarray(x, dtype.numpy if dtype else None) for x in xs]
    types = [
        tensor(next(d for d in DTYPES.values() if d.numpy == a.dtype), *a.shape) for a in arrays
    ]
    m = Case(name, types, arrays, attrs).module()
    (y,) = run(m, "f", arrays)
    return np.asarray(y)


def guarded(f: Callable[..., float], *xs: float, below: float = NAN) -> float:
    try:
        return f(*xs)
    except (ValueError, ZeroDivisionError):
        return below
    except OverflowError:
        return INF


def _pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -INF if a < 0 and b % 2 == 1 else INF
    except ValueError:
        if a == 0:
            return math.copysign(INF, a) if b % 2 == 1 else INF
        return NAN


def _div(a: float, b: float) -> float:
    if b == 0:
        return NAN if a == 0 or a != a else math.copysign(INF, a) * math.copysign(1, b)
    return a / b


def _floor(x: float) -> float:
    return x if not math.isfinite(x) else float(math.floor(x)) or math.copysign(0.0, x)


def _sub(a: float, b: float) -> float:
    return a - b


def _mod(a: float, b: float) -> float:
    q = _floor(_div(a, b))
    return a - b * q if not (math.isinf(b) and q == 0) else NAN


def _rint(x: float) -> float:
    return float(round(x)) if math.isfinite(x) else x


UNARY: dict[str, Callable[[float], float]] = {
    "exp": lambda x: guarded(math.exp, x),
    "log": lambda x: -INF if x == 0 else guarded(math.log, x),
    "log1p": lambda x: -INF if x == -1 else guarded(math.log1p, x),
    "expm1": lambda x: guarded(math.expm1, x),
    "sqrt": lambda x: guarded(math.sqrt, x),
    "rsqrt": lambda x: _div(1.0, guarded(math.sqrt, x)),
    "sin": lambda x: guarded(math.sin, x),
    "cos": lambda x: guarded(math.cos, x),
    "tan": lambda x: guarded(math.tan, x),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + guarded(math.exp, -x)),
    "erf": math.erf,
    "asin": lambda x: guarded(math.asin, x),
    "acos": lambda x: guarded(math.acos, x),
    "atan": math.atan,
    "sinh": lambda x: guarded(math.sinh, x),
    "cosh": lambda x: guarded(math.cosh, x),
    "asinh": math.asinh,
    "acosh": lambda x: guarded(math.acosh, x),
    "atanh": lambda x: math.copysign(INF, x) if abs(x) == 1 else guarded(math.atanh, x),
    "floor": _floor,
    "ceil": lambda x: -_floor(-x),
    "round": _rint,
    "trunc": lambda x: float(math.trunc(x)) if math.isfinite(x) else x,
    "is_finite": lambda x: math.isfinite(x),
    "is_nan": lambda x: math.isnan(x),
    "is_inf": lambda x: math.isinf(x),
    "neg": lambda x: -x,
    "abs": lambda x: abs(x),
    "sign": lambda x: x if x != x else float((x > 0) - (x < 0)),
    "relu": lambda x: 0.0 if x <= 0 else x,
}

BINARY: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": _sub,
    "mul": lambda a, b: a * b,
    "div": _div,
    "max": lambda a, b: NAN if a != a or b != b else max(a, b),
    "min": lambda a, b: NAN if a != a or b != b else min(a, b),
    "pow": _pow,
    "atan2": math.atan2,
    "floordiv": lambda a, b: _floor(_div(a, b)),
    "mod": _mod,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def test_every_float_function_is_listed() -> None:
    floats = {n for n, c in CARDS.items() if isinstance(c, Elementwise) and c.accepts(F64)}
    assert floats == {*UNARY, *BINARY}


@pytest.mark.parametrize("dtype", [F64, F32, F16, BF16], ids=str)
@pytest.mark.parametrize("name", sorted(UNARY))
def test_unary(name: str, dtype: DType) -> None:
    xs = np.asarray(FLOATS).astype(dtype.numpy)
    want = np.asarray([UNARY[name](float(x)) for x in xs])
    got = apply(name, xs)
    result = BOOL if name.startswith("is_") else dtype
    with np.errstate(over="ignore"):
        assert mismatch(got, want.astype(result.numpy), result, scale=1e-3) is None


@pytest.mark.parametrize("dtype", [F64, F32, F16, BF16], ids=str)
@pytest.mark.parametrize("name", sorted(BINARY))
def test_binary(name: str, dtype: DType) -> None:
    a, b = (x.reshape(-1) for x in np.meshgrid(FLOATS, FLOATS))
    a, b = a.astype(dtype.numpy), b.astype(dtype.numpy)
    want = np.asarray([BINARY[name](float(x), float(y)) for x, y in zip(a, b, strict=True)])
    got = apply(name, a, b)
    result = BOOL if name in ("eq", "ne", "lt", "le", "gt", "ge") else dtype
    with np.errstate(over="ignore", invalid="ignore"):
        assert mismatch(got, want.astype(result.numpy), result, scale=1e-3) is None


def test_relu_and_zeros() -> None:
    y = apply("relu", [-0.0, NAN, -1.0], dtype=F32)
    assert not np.signbit(y[0]) and np.isnan(y[1]) and y[2] == 0


def wrap(n: int, d: DType) -> int:
    n &= (1 << d.bits) - 1
    return n - (1 << d.bits) if d.signed and n >> (d.bits - 1) else n


INTS: dict[str, Callable[[int, int, DType], int]] = {
    "add": lambda a, b, d: a + b,
    "sub": lambda a, b, d: a - b,
    "mul": lambda a, b, d: a * b,
    "max": lambda a, b, d: max(a, b),
    "min": lambda a, b, d: min(a, b),
    "pow": lambda a, b, d: a ** max(b, 0),
    "and": lambda a, b, d: a & b,
    "or": lambda a, b, d: a | b,
    "xor": lambda a, b, d: a ^ b,
    "shl": lambda a, b, d: a << (b % d.bits),
    "shr": lambda a, b, d: a >> (b % d.bits),
    "shr_logical": lambda a, b, d: (a & ((1 << d.bits) - 1)) >> (b % d.bits),
    "floordiv": lambda a, b, d: a // b,
    "mod": lambda a, b, d: a % b,
}


@pytest.mark.parametrize("dtype", [d for d in DTYPES.values() if d.is_int], ids=str)
@pytest.mark.parametrize("name", sorted(INTS))
def test_integers_wrap(name: str, dtype: DType) -> None:
    info = np.iinfo(dtype.numpy)
    ends = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7, 31]
    values = ends + ([-1, -2, -7] if dtype.signed else [])
    if name == "pow":
        values = [v for v in values if abs(v) < 100]
    pairs = [(a, b) for a in values for b in values if b or name not in ("floordiv", "mod")]
    a, b = (np.asarray(x, dtype.numpy) for x in zip(*pairs, strict=True))
    want = [wrap(INTS[name](x, y, dtype), dtype) for x, y in pairs]
    assert apply(name, a, b).tolist() == want
    # Scalars go through other code in numpy than arrays do.
    assert [int(apply(name, x, y)) for x, y in zip(a, b, strict=True)][:40] == want[:40]


@pytest.mark.parametrize("dtype", [d for d in DTYPES.values() if d.is_int], ids=str)
def test_integer_unary(dtype: DType) -> None:
    info = np.iinfo(dtype.numpy)
    xs = [info.min, info.max, 0, 1, 5, info.max - 3]
    for name, f in (
        ("neg", lambda x: -x),
        ("abs", abs),
        ("not", lambda x: ~x),
        ("sign", lambda x: (x > 0) - (x < 0)),
        ("relu", lambda x: max(x, 0)),
    ):
        got = apply(name, xs, dtype=dtype).tolist()
        assert got == [wrap(f(x), dtype) for x in xs], name


@pytest.mark.parametrize("to", DTYPES.values(), ids=str)
@pytest.mark.parametrize("of", DTYPES.values(), ids=str)
def test_convert(of: DType, to: DType) -> None:
    xs: list[Any]
    if of.is_float:
        xs = [*FLOATS, 1e30, -1e30, 127.9, -128.9, 255.5, 2.0**31, -(2.0**63), 65519.0]
    elif of.is_int:
        xs = [np.iinfo(of.numpy).min, np.iinfo(of.numpy).max, 0, 1, 77]
    else:
        xs = [False, True]
    with np.errstate(all="ignore"):
        given = np.asarray(xs).astype(of.numpy)
    got = apply("convert", given, dtype=None, to=0) if False else convert(given, to)
    for x, y in zip(given, got, strict=True):
        check_conversion(x, y, of, to)


def convert(x: Any, to: DType) -> Any:
    d = next(d for d in DTYPES.values() if d.numpy == x.dtype)
    b = Builder().nested([TensorType(d, tensor(d, *x.shape).shape)])
    y = b.emit("convert", b.params[0], dtype=to)
    return run(Module.of({}, {"f": b.function("f", (), b.return_(y))}), "f", [x])[0]


def check_conversion(x: Any, y: Any, of: DType, to: DType) -> None:
    if to.is_bool:
        assert bool(y) == (x != 0)
    elif to.is_int and of.is_float:
        info, v = np.iinfo(to.numpy), float(x)
        want = 0 if v != v else max(info.min, min(info.max, v if math.isinf(v) else math.trunc(v)))
        assert int(y) == int(want), (x, y)
    elif to.is_int:
        assert int(y) == wrap(int(x), to)
    else:
        wide = np.float32(x) if to.bits <= 32 else np.float64(x)
        with np.errstate(all="ignore"):
            want = np.asarray(wide).astype(to.numpy)
        assert mismatch(y, want, to) is None and np.asarray(y).dtype == to.numpy


def test_narrow_floats_round_to_even_once() -> None:
    """1 + 2^-8 lies half-way between two bf16 numbers; 2049 between two f16 ones."""
    assert float(convert(np.asarray([1 + 2.0**-8], np.float32), BF16)[0]) == 1.0
    assert float(convert(np.asarray([1 + 3 * 2.0**-8], np.float32), BF16)[0]) == 1 + 2.0**-6
    assert float(convert(np.asarray([2049.0], np.float32), F16)[0]) == 2048.0
    # A sum of many small terms in bf16 is summed in f32: it doesn't get stuck at 256.
    ones = np.ones(1000, BF16.numpy)
    assert float(apply("reduce", ones, kind="sum", axes=(0,))) == 1000.0


def test_reductions_of_nothing() -> None:
    for d in (F64, F32, F16, BF16, I32, I8, U8):
        none = np.zeros((0, 2), d.numpy)
        if d.is_int:
            low, high = int(np.iinfo(d.numpy).min), int(np.iinfo(d.numpy).max)
        else:
            import ml_dtypes

            low, high = (float(getattr(ml_dtypes.finfo(d.numpy), k)) for k in ("min", "max"))
        for kind, want in (("sum", 0), ("prod", 1), ("max", low), ("min", high)):
            y = apply("reduce", none, kind=kind, axes=(0,))
            assert y.dtype == d.numpy and [float(v) for v in y] == [float(want)] * 2
    truth = np.zeros((0,), bool)
    assert not apply("reduce", truth, kind="any", axes=(0,))
    assert apply("reduce", truth, kind="all", axes=(0,))


@pytest.mark.parametrize("dtype", [F64, F32, F16, BF16], ids=str)
def test_nan_wins_extremes_and_sorts_last(dtype: DType) -> None:
    x = np.asarray([1.0, NAN, 3.0, NAN, -INF]).astype(dtype.numpy)
    assert int(apply("argmax", x, axis=0)) == 1 and int(apply("argmin", x, axis=0)) == 1
    for kind in ("max", "min"):
        assert np.isnan(apply("reduce", x, kind=kind, axes=(0,)).astype(float))
    for descending, want in ((False, [4, 0, 2, 1, 3]), (True, [2, 0, 4, 1, 3])):
        m = Case("sort", [tensor(dtype, 5)], [x], {"axis": 0, "descending": descending}).module()
        assert run(m, "f", [x])[1].tolist() == want
    assert apply("searchsorted", np.asarray([0.0, 1.0]), np.asarray([NAN])).tolist() == [0]


def test_ties() -> None:
    x = np.asarray([2, 1, 2, 1, 2], np.int32)
    m = Case("sort", [tensor(I32, 5)], [x], {"axis": 0, "descending": True}).module()
    assert run(m, "f", [x])[1].tolist() == [0, 2, 4, 1, 3]
    m = Case("top_k", [tensor(I32, 5)], [x], {"axis": 0, "k": 2}).module()
    assert run(m, "f", [x])[1].tolist() == [0, 2]
    assert int(apply("argmax", x, axis=0)) == 0 and int(apply("argmin", x, axis=0)) == 1


def test_zeros_that_stay() -> None:
    """`keeps_zeros`, both ways: where it is claimed it holds, and where it is not it doesn't."""
    others = np.asarray([1.5, -2.0, 0.5, 3.0])
    for name, card in CARDS.items():
        if not isinstance(card, Elementwise) or name in ("eq", "ne", "lt", "le", "gt", "ge"):
            continue
        if name.startswith("is_"):
            continue
        d = F64 if card.accepts(F64) else I32
        rest = others if d is F64 else np.asarray([1, 2, 3, 7], np.int32)
        for i in range(len(card.operands)):
            xs = [np.zeros_like(rest) if k == i else rest for k in range(len(card.operands))]
            if name in ("floordiv", "mod", "div") and i == 1:
                assert i not in card.keeps_zeros
                continue
            zero = not np.any(apply(name, *xs))
            assert zero == (i in card.keeps_zeros), (name, i)
