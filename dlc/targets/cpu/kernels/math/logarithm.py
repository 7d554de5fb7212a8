"""log, log1p, and the inverse hyperbolic functions that are made of them.

x = 2^e (1 + g) with 1 + g between sqrt(1/2) and sqrt(2). In f32 log(1 + g) = g - g^2/2 + g^3 p(g);
in f64, with s = g / (2 + g) and z = s^2, it is g - (g^2/2 - s (g^2/2 + z p(z))). Minimax p (Remez).
"""

from __future__ import annotations

import math

from dlc.targets.cpu.kernels.math.floats import (
    INF,
    NAN,
    absolute,
    format_of,
    from_integer,
    horner,
    square_root,
    with_sign_of,
)
from dlc.targets.cpu.llvm import Builder, Value
from dlc.targets.cpu.llvm.types import constant, float_bits, scalar_of

# 2^-32.8
_P32 = (
    0.3333333286311047,
    -0.2499996604213718,
    0.20000035840629105,
    -0.1666943439552949,
    0.14286943388731588,
    -0.124250943803425,
    0.11012056048997036,
    -0.10794037573273443,
    0.10743375591703884,
    -0.061514539288169384,
)
# 2^-58.5
_P64 = (
    0.6666666666666735,
    0.3999999999941111,
    0.285714287432593,
    0.22222198476224614,
    0.18183569732552243,
    0.15313903309495058,
    0.14797508217554797,
)

LN2 = {
    "float": (float.fromhex("0x1.62e4p-1"), float.fromhex("0x1.7f7d1cp-20")),
    "double": (float.fromhex("0x1.62e42fefa4p-1"), float.fromhex("-0x1.8432a1b0e2634p-43")),
}
"""ln 2 in two parts; the first has so few bits that its product with an exponent is exact."""


def exponent_and_rest(f: Builder, x: Value) -> tuple[Value, Value]:
    """Integer e and g with x = 2^e (1 + g), sqrt(1/2) <= 1 + g < sqrt(2), for normal x > 0."""
    form = format_of(x)
    bits = f.bits(x)
    e = f.ashr(f.sub(bits, float_bits(math.sqrt(0.5), scalar_of(x.type))), form.fraction)
    m = f.from_bits(f.sub(bits, f.shl(e, form.fraction)), scalar_of(x.type))
    return e, f.fsub(m, 1.0)


def normalised(f: Builder, x: Value) -> tuple[Value, Value]:
    """x, or x * 2^k if it is subnormal, and the exponent (0 or -k) to add."""
    form = format_of(x)
    k = form.fraction + 2
    small = f.fcmp("olt", x, form.least_normal)
    exponent = f.select(small, f.like(-k, f.bits(constant(x.type, 0.0))), 0)
    return f.select(small, f.fmul(x, 2.0**k), x), exponent


def _log_core(f: Builder, e: Value, g: Value, extra: Value | None) -> Value:
    """e ln 2 + log(1 + g) + extra, `extra` at most a few ulps of the rest."""
    high, low = LN2[scalar_of(g.type)]
    ef = from_integer(f, e, g)
    small = f.fmul(ef, low)
    if extra is not None:
        small = f.fadd(small, extra)
    if scalar_of(g.type) == "float":
        z = f.fmul(g, g)
        small = f.mul_add(f.fmul(z, g), horner(f, g, _P32), small)
        small = f.mul_add(z, -0.5, small)
        return f.mul_add(ef, high, f.fadd(small, g))
    s = f.fdiv(g, f.fadd(g, 2.0))
    z = f.fmul(s, s)
    half = f.fmul(f.fmul(g, g), 0.5)
    r = f.fmul(z, horner(f, z, _P64))
    inner = f.mul_add(s, f.fadd(half, r), small)
    return f.mul_add(ef, high, f.fsub(g, f.fsub(half, inner)))


def log(f: Builder, x: Value) -> Value:
    """Natural logarithm; -inf at 0, NaN below."""
    y, shift = normalised(f, x)
    e, g = exponent_and_rest(f, y)
    r = _log_core(f, f.add(e, shift), g, None)
    return _outside(f, x, r)


def _outside(f: Builder, x: Value, r: Value) -> Value:
    """r for finite x > 0; the limits elsewhere."""
    edge = f.select(f.fcmp("oeq", x, 0.0), f.like(-INF, x), f.like(NAN, x))
    r = f.select(f.fcmp("ogt", x, 0.0), r, edge)
    return f.select(f.fcmp("oeq", x, INF), x, r)


def log1p(f: Builder, x: Value) -> Value:
    """log(1 + x), accurate near 0: u = 1 + x rounded, and the rounding error over u as a
    correction."""
    u = f.fadd(x, 1.0)
    large = f.fcmp("ogt", x, 1.0)
    lost = f.select(large, f.fsub(1.0, f.fsub(u, x)), f.fsub(x, f.fsub(u, 1.0)))
    e, g = exponent_and_rest(f, u)
    r = _log_core(f, e, g, f.fdiv(lost, u))
    tiny = 2.0 ** -(format_of(x).fraction + 3)
    return f.select(f.fcmp("olt", absolute(f, x), tiny), x, _outside(f, u, r))


def atanh(f: Builder, x: Value) -> Value:
    """log1p(2|x| / (1 - |x|)) / 2 with the sign of x; NaN outside -1..1."""
    a = absolute(f, x)
    t = f.fdiv(f.fadd(a, a), f.fsub(1.0, a))
    r = f.fmul(log1p(f, t), 0.5)
    tiny = 2.0 ** -(format_of(x).fraction // 2 + 3)
    return f.select(f.fcmp("olt", a, tiny), x, with_sign_of(f, r, x))


def _huge(x: Value) -> float:
    """From here on x^2 + 1 = x^2, and x^2 may overflow."""
    return 2.0**40 if scalar_of(x.type) == "float" else 2.0**400


def asinh(f: Builder, x: Value) -> Value:
    """log1p(a + a^2 / (1 + sqrt(1 + a^2))), a = |x|, with the sign of x; log a + ln 2 for huge
    a."""
    a = absolute(f, x)
    huge = f.fcmp("ogt", a, _huge(x))
    s = f.fmul(a, a)
    root = square_root(f, f.fadd(s, 1.0))
    t = f.fadd(a, f.fdiv(s, f.fadd(root, 1.0)))
    r = log1p(f, f.select(huge, a, t))
    r = f.select(huge, f.fadd(r, math.log(2.0)), r)
    tiny = 2.0 ** -(format_of(x).fraction // 2 + 3)
    return f.select(f.fcmp("olt", a, tiny), x, with_sign_of(f, r, x))


def acosh(f: Builder, x: Value) -> Value:
    """log1p(t + sqrt(2t + t^2)), t = x - 1; log x + ln 2 for huge x; NaN below 1."""
    huge = f.fcmp("ogt", x, _huge(x))
    t = f.fsub(x, 1.0)
    root = square_root(f, f.mul_add(t, t, f.fadd(t, t)))
    r = log1p(f, f.select(huge, x, f.fadd(t, root)))
    r = f.select(huge, f.fadd(r, math.log(2.0)), r)
    return f.select(f.fcmp("olt", x, 1.0), f.like(NAN, x), r)
