"""sin, cos, tan; asin, acos, atan, atan2.

On |r| <= pi/4, z = r^2: sin r = r + r z s(z), cos r = 1 - z/2 + z^2 c(z). Minimax s, c (Remez) for
the relative error in the comments. tan is their quotient.
"""

from __future__ import annotations

import math

from dlc.targets.cpu.kernels.math.floats import NAN, absolute, horner, square_root, with_sign_of
from dlc.targets.cpu.kernels.math.reduction import quadrant_bit, reduced, sign_of_quadrant
from dlc.targets.cpu.llvm import Builder, Value
from dlc.targets.cpu.llvm.types import scalar_of

_SIN = {
    "float": (
        -0.16666666641226596,
        0.008333329338705972,
        -0.0001983931945826376,
        2.7181633507939624e-06,
    ),  # 2^-37
    "double": (
        -0.16666666666666666,
        0.008333333333333323,
        -0.0001984126984125484,
        2.755731921406988e-06,
        -2.5052104879582668e-08,
        1.6058362476958276e-10,
        -7.578488666633447e-13,
    ),  # 2^-68
}
_COS = {
    "float": (
        0.04166666662212761,
        -0.0013888883691958336,
        2.479950354826031e-05,
        -2.7208860268424365e-07,
    ),  # 2^-43
    "double": (
        0.041666666666666664,
        -0.0013888888888888874,
        2.480158730157122e-05,
        -2.755731921525639e-07,
        2.087675433888257e-09,
        -1.1470290130623552e-11,
        4.737965852402001e-14,
    ),  # 2^-75
}
# asin r = r + r z a(z), z = r^2 <= 1/4
_ASIN = {
    "float": (
        0.1666665987255693,
        0.07500510877985314,
        0.044515727925999955,
        0.031817549397768485,
        0.014402830173588534,
        0.037564904060244736,
    ),  # 2^-31
    "double": (
        0.1666666666666666,
        0.07500000000002544,
        0.044642857139676334,
        0.030381944645265786,
        0.02237215158542862,
        0.017352945561023493,
        0.013961871348240899,
        0.011585984046681489,
        0.009481994998174115,
        0.01001908157218796,
        0.0006513353850381657,
        0.02489324027929946,
        -0.026234931869896887,
        0.03369258086386352,
    ),  # 2^-63
}
# atan r = r + r z a(z), z = r^2 <= 1
_ATAN = {
    "float": (
        -0.3333333223517056,
        0.19999932191087338,
        -0.14284250767287118,
        0.11095201682463801,
        -0.08988788561999406,
        0.07269374222729044,
        -0.054704301804665005,
        0.03470443737427779,
        -0.016471293171769076,
        0.004999247833364434,
        -0.0007112922083387943,
    ),  # 2^-34
    "double": (
        -0.33333333333333326,
        0.19999999999998289,
        -0.14285714285580284,
        0.11111111105733067,
        -0.09090908960161498,
        0.07692305574234772,
        -0.06666642349765882,
        0.05882146446639135,
        -0.05261819916065755,
        0.04755133174447401,
        -0.04320568078222567,
        0.03911461199106293,
        -0.03468823053116636,
        0.02933813901029895,
        -0.02285150772205515,
        0.01575987159084017,
        -0.009235716381387498,
        0.004401698057519332,
        -0.001620093043318713,
        0.0004286984357074373,
        -7.219105191038493e-05,
        5.789262624099549e-06,
    ),  # 2^-63
}
_TINY = {"float": 2.0**-13, "double": 2.0**-28}
"""sin x = tan x = asin x = atan x = x below."""
_PI_LOW = {"float": -8.742277657347586e-08, "double": 1.2246467991473515e-16}
"""pi minus its rounded value."""


def _sin_poly(f: Builder, r: Value) -> Value:
    z = f.fmul(r, r)
    return f.mul_add(f.fmul(z, r), horner(f, z, _SIN[scalar_of(r.type)]), r)


def _cos_poly(f: Builder, r: Value) -> Value:
    """1 - z/2 with the rounding error of that difference carried along."""
    z = f.fmul(r, r)
    half = f.fmul(z, 0.5)
    w = f.fsub(1.0, half)
    lost = f.fsub(f.fsub(1.0, w), half)
    return f.fadd(w, f.mul_add(f.fmul(z, z), horner(f, z, _COS[scalar_of(r.type)]), lost))


def sin(f: Builder, x: Value) -> Value:
    """Sine of x radians, any x; NaN for infinite x."""
    r, q = reduced(f, x)
    y = f.select(quadrant_bit(f, q, 1), _cos_poly(f, r), _sin_poly(f, r))
    y = sign_of_quadrant(f, q, y)
    return f.select(f.fcmp("olt", absolute(f, x), _TINY[scalar_of(x.type)]), x, y)


def cos(f: Builder, x: Value) -> Value:
    """Cosine of x radians, any x; NaN for infinite x."""
    r, q = reduced(f, x)
    q = f.add(q, 1)
    return sign_of_quadrant(f, q, f.select(quadrant_bit(f, q, 1), _cos_poly(f, r), _sin_poly(f, r)))


def tan(f: Builder, x: Value) -> Value:
    """Tangent of x radians, any x; NaN for infinite x."""
    r, q = reduced(f, x)
    s, c = _sin_poly(f, r), _cos_poly(f, r)
    odd = quadrant_bit(f, q, 1)
    y = f.fdiv(f.select(odd, f.fneg(c), s), f.select(odd, s, c))
    return f.select(f.fcmp("olt", absolute(f, x), _TINY[scalar_of(x.type)]), x, y)


def _asin_poly(f: Builder, r: Value, z: Value) -> Value:
    return f.mul_add(f.fmul(r, z), horner(f, z, _ASIN[scalar_of(r.type)]), r)


def _asin_parts(f: Builder, x: Value) -> tuple[Value, Value, Value]:
    """|x|, whether it is above 1/2, and asin |x| below, asin sqrt((1 - |x|) / 2) above."""
    a = absolute(f, x)
    far = f.fcmp("ogt", a, 0.5)
    z = f.select(far, f.fmul(f.fsub(1.0, a), 0.5), f.fmul(a, a))
    r = f.select(far, square_root(f, z), a)
    return a, far, _asin_poly(f, r, z)


def asin(f: Builder, x: Value) -> Value:
    """Arc sine; NaN outside -1..1. Beyond 1/2: pi/2 - 2 asin sqrt((1 - |x|) / 2)."""
    a, far, p = _asin_parts(f, x)
    low = _PI_LOW[scalar_of(x.type)] / 2
    y = f.select(far, f.fsub(math.pi / 2, f.fsub(f.fadd(p, p), low)), p)
    tiny = f.fcmp("olt", a, _TINY[scalar_of(x.type)])
    return f.select(tiny, x, with_sign_of(f, y, x))


def acos(f: Builder, x: Value) -> Value:
    """Arc cosine; NaN outside -1..1."""
    _, far, p = _asin_parts(f, x)
    low = _PI_LOW[scalar_of(x.type)]
    negative = f.fcmp("olt", x, 0.0)
    twice = f.fadd(p, p)
    outer = f.select(negative, f.fsub(math.pi, f.fsub(twice, low)), twice)
    signed = with_sign_of(f, p, x)
    inner = f.fsub(math.pi / 2, f.fsub(signed, low / 2))
    return f.select(far, outer, inner)


def _atan_of_ratio(f: Builder, top: Value, bottom: Value) -> Value:
    """atan(top / bottom) for 0 <= top, bottom, not both 0 or inf: r = min / max, pi/2 - atan r
    above 1."""
    steep = f.fcmp("ogt", top, bottom)
    r = f.fdiv(f.select(steep, bottom, top), f.select(steep, top, bottom))
    z = f.fmul(r, r)
    p = f.mul_add(f.fmul(r, z), horner(f, z, _ATAN[scalar_of(r.type)]), r)
    low = _PI_LOW[scalar_of(r.type)] / 2
    return f.select(steep, f.fsub(math.pi / 2, f.fsub(p, low)), p)


def atan(f: Builder, x: Value) -> Value:
    """Arc tangent."""
    a = absolute(f, x)
    y = with_sign_of(f, _atan_of_ratio(f, a, f.like(1.0, x)), x)
    return f.select(f.fcmp("olt", a, _TINY[scalar_of(x.type)]), x, y)


def atan2(f: Builder, y: Value, x: Value) -> Value:
    """The angle of the point (x, y), -pi..pi, with IEEE 754's values at 0 and infinity."""
    above, beside = absolute(f, y), absolute(f, x)
    inf = float("inf")
    both = f.and_(f.fcmp("oeq", above, inf), f.fcmp("oeq", beside, inf))
    none = f.and_(f.fcmp("oeq", above, 0.0), f.fcmp("oeq", beside, 0.0))
    above = f.select(both, f.like(1.0, y), above)
    beside = f.select(both, f.like(1.0, x), f.select(none, f.like(1.0, x), beside))
    angle = _atan_of_ratio(f, above, beside)
    left = f.icmp("slt", f.bits(x), 0)
    low = _PI_LOW[scalar_of(x.type)]
    angle = f.select(left, f.fsub(math.pi, f.fsub(angle, low)), angle)
    angle = with_sign_of(f, angle, y)
    nan = f.fcmp("uno", x, y)
    return f.select(nan, f.like(NAN, x), angle)
