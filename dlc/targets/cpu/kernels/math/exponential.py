"""exp, exp2, expm1 and what is made of them: sigmoid, tanh, sinh, cosh, softplus.

exp(x) = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2, and e^r = 1 + r + r^2 q(r). The
coefficients of q are minimax (Remez) for the relative error that the comments give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlc.targets.cpu.kernels.math.floats import (
    absolute,
    clamp,
    horner,
    nearest,
    power_of_two,
    times_power_of_two,
    with_sign_of,
)
from dlc.targets.cpu.kernels.math.logarithm import log1p
from dlc.targets.cpu.llvm import Builder, Value
from dlc.targets.cpu.llvm.types import scalar_of


@dataclass(frozen=True, slots=True)
class _Constants:
    ln2_high: float
    """ln 2 to so few bits that n * ln2_high is exact."""
    ln2_low: float
    low: float
    """exp is 0 below."""
    high: float
    """exp and exp / 2 are inf above."""
    q: tuple[float, ...]
    one_below: float
    """expm1 is -1 below."""
    tiny: float
    """tanh x = x below."""
    one_above: float
    """tanh x = 1 above."""
    q2: tuple[float, ...]
    """2^r = 1 + r ln 2 + r^2 q2(r), |r| <= 1/2."""


_F32 = _Constants(
    ln2_high=float.fromhex("0x1.62e4p-1"),
    ln2_low=float.fromhex("0x1.7f7d1cp-20"),
    low=-104.0,
    high=90.0,
    # 2^-34 for exp, 2^-31.9 for expm1
    q=(
        0.5000000071667214,
        0.1666666581977687,
        0.04166628033113746,
        0.008333503799831499,
        0.0013945752170594636,
        0.000197892469124369,
    ),
    one_below=-20.0,
    tiny=2.0**-13,
    one_above=10.0,
    # 2^-34
    q2=(
        0.2402265104023736,
        0.055504105844469784,
        0.009618039927828505,
        0.0013333830897424282,
        0.00015466594854119186,
        1.5212741813045941e-05,
    ),
)

_F64 = _Constants(
    ln2_high=float.fromhex("0x1.62e42fefa4p-1"),
    ln2_low=float.fromhex("-0x1.8432a1b0e2634p-43"),
    low=-746.0,
    high=711.0,
    # 2^-63.8 for exp, 2^-61.6 for expm1
    q=(
        0.5,
        0.16666666666666685,
        0.04166666666666603,
        0.008333333333315705,
        0.001388888888913423,
        0.0001984126989972544,
        2.4801586903760158e-05,
        2.755723148326537e-06,
        2.755759245050499e-07,
        2.5113226021645914e-08,
        2.0825613430536548e-09,
    ),
    one_below=-40.0,
    tiny=2.0**-28,
    one_above=22.0,
    # 2^-63.8
    q2=(
        0.24022650695910072,
        0.05550410866482164,
        0.009618129107628331,
        0.0013333558146400237,
        0.00015403530393653706,
        1.5252733848996867e-05,
        1.3215486578162742e-06,
        1.0178053602872711e-07,
        7.054981569148748e-09,
        4.4563836979982953e-10,
        2.5615529356974658e-11,
    ),
)


def _constants(x: Value) -> _Constants:
    return _F32 if scalar_of(x.type) == "float" else _F64


def _reduced(f: Builder, x: Value, c: _Constants) -> tuple[Value, Value]:
    """r and n with x = n ln 2 + r."""
    n_float, n = nearest(f, x, 1.0 / math.log(2.0))
    r = f.mul_add(n_float, -c.ln2_high, x)
    return f.mul_add(n_float, -c.ln2_low, r), n


def _exp_parts(f: Builder, x: Value, low: Value | None = None) -> tuple[Value, Value]:
    """e^(x + low) = y * 2^n, y within 0.7..1.5; `low` is a correction far below an ulp of 1."""
    c = _constants(x)
    r, n = _reduced(f, clamp(f, x, c.low, c.high), c)
    if low is not None:
        r = f.fadd(r, low)
    y = f.mul_add(f.fmul(r, r), horner(f, r, c.q), r)
    return f.fadd(y, 1.0), n


def exp(f: Builder, x: Value) -> Value:
    """e^x; 0 and inf where it leaves the range, subnormal results rounded."""
    return times_power_of_two(f, *_exp_parts(f, x))


def exp_of_sum(f: Builder, high: Value, low: Value) -> Value:
    """e^(high + low), `low` small: for functions that know their exponent better than one float."""
    return times_power_of_two(f, *_exp_parts(f, high, low))


def exp2(f: Builder, x: Value) -> Value:
    """2^x."""
    c = _constants(x)
    bounds = (-151.0, 129.0) if scalar_of(x.type) == "float" else (-1076.0, 1025.0)
    y = clamp(f, x, *bounds)
    n_float, n = nearest(f, y, 1.0)
    r = f.fsub(y, n_float)
    ln2 = math.log(2.0)
    p = f.mul_add(f.fmul(r, r), horner(f, r, c.q2), f.fmul(r, ln2))
    return times_power_of_two(f, f.fadd(p, 1.0), n)


def _expm1_core(f: Builder, x: Value) -> Value:
    """e^x - 1 for one_below <= x <= high, not tiny. 2 (2^(n-1) p + (2^(n-1) - 1/2)), p = e^r -
    1."""
    c = _constants(x)
    r, n = _reduced(f, x, c)
    p = f.mul_add(f.fmul(r, r), horner(f, r, c.q), r)
    s = power_of_two(f, f.sub(n, 1), x)
    y = f.mul_add(s, p, f.fsub(s, 0.5))
    return f.fadd(y, y)


def expm1(f: Builder, x: Value) -> Value:
    """e^x - 1, accurate near 0."""
    c = _constants(x)
    y = _expm1_core(f, clamp(f, x, c.one_below, c.high - 1.0))
    return f.select(f.fcmp("olt", absolute(f, x), c.tiny * c.tiny), x, y)


def tanh(f: Builder, x: Value) -> Value:
    """-t / (2 + t) with t = expm1(-2 |x|), and the sign of x."""
    c = _constants(x)
    a = absolute(f, x)
    near = f.select(f.fcmp("ogt", a, c.one_above), f.like(c.one_above, x), a)
    t = _expm1_core(f, f.fmul(near, -2.0))
    y = with_sign_of(f, f.fdiv(t, f.fadd(t, 2.0)), x)
    return f.select(f.fcmp("olt", a, c.tiny), x, y)


def sigmoid(f: Builder, x: Value) -> Value:
    """1 / (1 + e^-x), as e^x / (1 + e^x) for x < 0, so that small results keep their digits."""
    t = exp(f, f.fneg(absolute(f, x)))
    top = f.select(f.fcmp("olt", x, 0.0), t, f.like(1.0, x))
    return f.fdiv(top, f.fadd(t, 1.0))


def softplus(f: Builder, x: Value) -> Value:
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|)."""
    t = log1p(f, exp(f, f.fneg(absolute(f, x))))
    return f.fadd(f.select(f.fcmp("ole", x, 0.0), f.like(0.0, x), x), t)


def _half_exp(f: Builder, a: Value) -> Value:
    """e^a / 2, which is finite a little beyond the overflow of e^a."""
    y, n = _exp_parts(f, a)
    return times_power_of_two(f, y, f.sub(n, 1))


def cosh(f: Builder, x: Value) -> Value:
    """(e^|x| + e^-|x|) / 2."""
    a = absolute(f, x)
    h = _half_exp(f, a)
    return f.fadd(h, f.fdiv(0.25, h))


def sinh(f: Builder, x: Value) -> Value:
    """(t + t / (t + 1)) / 2 with t = expm1(|x|) up to 1, (e^|x| - e^-|x|) / 2 beyond."""
    a = absolute(f, x)
    t = _expm1_core(f, clamp(f, a, 0.0, 1.0))
    near = f.fmul(f.fadd(t, f.fdiv(t, f.fadd(t, 1.0))), 0.5)
    h = _half_exp(f, a)
    far = f.fsub(h, f.fdiv(0.25, h))
    y = f.select(f.fcmp("ogt", a, 1.0), far, near)
    return f.select(f.fcmp("olt", a, _constants(x).tiny), x, with_sign_of(f, y, x))
