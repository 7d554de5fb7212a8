"""Pieces that the functions of this package are made of: formats, polynomials, exact sums and
products.

A function here takes a `Builder` and values of `float`, `double` or a vector of them, and appends
the instructions for all lanes at once; the same instructions for any number of lanes, so that a
vector and its scalar tail give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.targets.cpu.llvm import Builder, Function, Module, Operand, Value
from dlc.targets.cpu.llvm.types import constant, int_of, lanes_of, scalar_of, with_scalar


@dataclass(frozen=True, slots=True)
class Format:
    """An IEEE binary format: significand bits without the hidden one, bias, width, least normal."""

    name: str
    fraction: int
    bias: int
    bits: int
    least_normal: float
    magic: float
    """1.5 * 2^fraction: x + magic has x, rounded to an integer, in its low bits."""


FORMATS = {
    "float": Format("f32", 23, 127, 32, 2.0**-126, 1.5 * 2.0**23),
    "double": Format("f64", 52, 1023, 64, 2.0**-1022, 1.5 * 2.0**52),
}

INF = float("inf")
NAN = float("nan")


def format_of(x: Value) -> Format:
    return FORMATS[scalar_of(x.type)]


def horner(f: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """c[0] + c[1] x + c[2] x^2 + …"""
    acc: Operand = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        acc = f.mul_add(acc, x, c)
    return f.like(acc, x)


def absolute(f: Builder, x: Value) -> Value:
    """|x|; clears the sign of a NaN too."""
    return f.intrinsic("llvm.fabs", x.type, x)


def with_sign_of(f: Builder, magnitude: Value, sign: Value) -> Value:
    """copysign."""
    return f.intrinsic("llvm.copysign", magnitude.type, magnitude, sign)


def clamp(f: Builder, x: Value, low: float, high: float) -> Value:
    """x limited to low..high; NaN stays."""
    y = f.select(f.fcmp("ogt", x, high), f.like(high, x), x)
    return f.select(f.fcmp("olt", y, low), f.like(low, x), y)


def nearest(f: Builder, x: Value, scale: float) -> tuple[Value, Value]:
    """x * scale rounded to an integer, as a float and as an integer of its width.

    |x * scale| < 2^(fraction - 2). For NaN the integer is arbitrary, never poison.
    """
    magic = format_of(x).magic
    shifted = f.mul_add(x, scale, magic)
    return f.fsub(shifted, magic), f.sub(f.bits(shifted), f.bits(constant(x.type, magic)))


def from_integer(f: Builder, n: Value, like: Value) -> Value:
    """An integer below 2^(fraction - 2) in magnitude as a float, without a conversion instruction
    (64 bits have none below AVX-512)."""
    magic = constant(like.type, format_of(like).magic)
    return f.fsub(f.from_bits(f.add(n, f.bits(magic)), scalar_of(like.type)), magic)


def power_of_two(f: Builder, n: Value, like: Value) -> Value:
    """2^n for integers n whose result is normal."""
    form = format_of(like)
    return f.from_bits(f.shl(f.add(n, form.bias), form.fraction), scalar_of(like.type))


def times_power_of_two(f: Builder, x: Value, n: Value) -> Value:
    """x * 2^n, |n| at most twice the exponent range: two exact factors, so that results that
    overflow and subnormal ones are rounded once."""
    half = f.ashr(n, 1)
    y = f.fmul(x, power_of_two(f, half, x))
    return f.fmul(y, power_of_two(f, f.sub(n, half), x))


def two_sum(f: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    """s + e = a + b exactly, s the rounded sum. Source: Knuth, TAOCP 2, 4.2.2."""
    s = f.fadd(a, b)
    bb = f.fsub(s, a)
    return s, f.fadd(f.fsub(a, f.fsub(s, bb)), f.fsub(b, bb))


def fast_two_sum(f: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    """s + e = a + b exactly if |a| >= |b|. Source: Dekker 1971."""
    s = f.fadd(a, b)
    return s, f.fsub(b, f.fsub(s, a))


def two_product(f: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    """p + e = a * b exactly, p the rounded product; by FMA, or by splitting (Dekker 1971)."""
    p = f.fmul(a, b)
    if f.module.target.fma(scalar_of(a.type)):
        return p, f.intrinsic("llvm.fma", a.type, a, b, f.fneg(p))
    a1, a2 = _halves(f, a)
    b1, b2 = _halves(f, b)
    e = f.fsub(f.fmul(a1, b1), p)
    e = f.fadd(f.fadd(e, f.fmul(a1, b2)), f.fmul(a2, b1))
    return p, f.fadd(e, f.fmul(a2, b2))


def _halves(f: Builder, a: Value) -> tuple[Value, Value]:
    """The upper half of the significand, cut off, and the rest."""
    keep = (format_of(a).fraction + 2) // 2
    high = f.from_bits(f.and_(f.bits(a), -1 << keep), scalar_of(a.type))
    return high, f.fsub(a, high)


def mask_type(x: Value) -> str:
    """The type of a comparison of values like `x`."""
    return with_scalar(x.type, "i1")


def integer_type(x: Value) -> str:
    return int_of(x.type)


def square_root(f: Builder, x: Value) -> Value:
    """Square root, correctly rounded; NaN below 0. In integers where there is no instruction."""
    scalar = scalar_of(x.type)
    if f.module.target.sqrt(scalar):
        return f.intrinsic("llvm.sqrt", x.type, x)
    function, lanes = _sqrt_function(f.module, scalar), lanes_of(x.type)
    if lanes == 1:
        return f.call(function, x)
    for lane in range(lanes):
        x = f.insert(x, f.call(function, f.extract(x, lane)), lane)
    return x


def _sqrt_function(module: Module, scalar: str) -> Function:
    """x = m 4^e with m of an even number of bits more than the result needs; the root of m, a bit a
    turn, largest first; the remainder tells how to round. No tie is possible."""
    form = FORMATS[scalar]
    name = f"dlc.sqrt_bits.{form.name}"

    def emit() -> tuple[Function, str]:
        f = Builder(module, name, scalar, [(scalar, "x")], inline="never")
        (x,) = f.params
        with f.when(f.not_(f.fcmp("ogt", x, 0.0))):  # zero, negative, NaN
            f.ret(f.select(f.fcmp("oeq", x, 0.0), x, constant(scalar, NAN)))
        with f.when(f.fcmp("oeq", x, INF)):
            f.ret(x)
        scale = form.fraction + 3 - form.fraction % 2 + 1  # even
        small = f.fcmp("olt", x, form.least_normal)
        bits = f.bits(f.select(small, f.fmul(x, 2.0**scale), x))
        hidden = 1 << form.fraction
        significand = f.or_(f.and_(bits, hidden - 1), hidden)
        exponent = f.sub(f.lshr(bits, form.fraction), form.bias)
        odd = f.and_(exponent, 1)
        rest = f.shl(significand, odd)  # 1 <= rest / hidden < 4
        root, rest = _root_bits(f, rest, form)
        # One bit more than fits was computed: round by it, what remains only breaks ties.
        rounded = f.add(f.lshr(root, 1), f.and_(root, 1))
        half = f.ashr(f.sub(exponent, odd), 1)
        half = f.sub(half, f.select(small, f.like(scale // 2, half), f.like(0, half)))
        result = f.add(rounded, f.shl(f.add(half, form.bias - 1), form.fraction))
        f.ret(f.from_bits(result, scalar))
        return f.finish()

    return module.function(name, emit)


def _root_bits(f: Builder, x: Value, form: Format) -> tuple[Value, Value]:
    """fraction + 2 bits of the root of x / 2^fraction, which is below 4, and what remains."""
    top = 1 << form.fraction + 1
    start = (f.shl(x, 1), f.like(0, x), f.like(0, x), f.like(top, x))

    def turn(c: tuple[Value, ...]) -> tuple[Value, ...]:
        rest, root, taken, bit = c
        trial = f.add(taken, bit)
        fits = f.icmp("uge", rest, trial)
        rest = f.select(fits, f.sub(rest, trial), rest)
        taken = f.select(fits, f.add(trial, bit), taken)
        root = f.select(fits, f.add(root, bit), root)
        return f.shl(rest, 1), root, taken, f.lshr(bit, 1)

    rest, root, _, _ = f.loop_while(start, lambda c: f.icmp("ne", c[3], 0), turn)
    return root, rest
