"""sqrt, rsqrt, pow and erf.

pow(x, y) = e^(y log x), the logarithm to about 65 bits: f32 computes in f64; f64 carries log x and
the product as unevaluated sums of two (s = (m - 1) / (m + 1) exactly rounded with its remainder,
and log m = 2s + 2/3 s^3 + s^5 q(s^2)).
"""

from __future__ import annotations

from dlc.targets.cpu.kernels.math.exponential import exp, exp_of_sum
from dlc.targets.cpu.kernels.math.floats import (
    INF,
    NAN,
    absolute,
    fast_two_sum,
    format_of,
    from_integer,
    horner,
    square_root,
    two_product,
    two_sum,
    with_sign_of,
)
from dlc.targets.cpu.kernels.math.logarithm import exponent_and_rest, log, normalised
from dlc.targets.cpu.llvm import Builder, Value
from dlc.targets.cpu.llvm.types import constant, scalar_of

# 2^-66 of log m
_Q = (
    0.4000000000000242,
    0.28571428570016655,
    0.22222222535369904,
    0.18181782964539397,
    0.15386824067850316,
    0.13255218672902302,
    0.13211552163003518,
)
_LN2 = tuple(float.fromhex(t) for t in ("0x1.62e42ffp-1", "-0x1.718432a1b0e26p-35"))
_TWO_THIRDS = (2.0 / 3.0, 3.700743415417188e-17)

# erf x = x + x (e(z)), z = x^2, |x| <= 0.9: 2/sqrt(pi) - 1 first
_ERF_NEAR = {
    "float": (
        0.1283791670955126,
        -0.37612638831725764,
        0.11283789395692267,
        -0.026865925216760032,
        0.00522271845892451,
        -0.0008513564545149347,
        0.00011521152023436555,
        -1.0533855480012114e-05,
    ),
    "double": (
        0.1283791670955126,
        -0.37612638903183754,
        0.11283791670955105,
        -0.02686617064512507,
        0.0052239776253508955,
        -0.0008548327015543967,
        0.00012055332545424895,
        -1.4925634279199428e-05,
        1.6461709280049465e-06,
        -1.6358829083755265e-07,
        1.4724764778986002e-08,
        -1.1658242115782616e-09,
        6.506539516300359e-11,
    ),
}
# f32: erf x = 1 - e^-p(x), 0.9 <= x <= 4
_ERF_FAR_32 = (
    -0.00016920518988448277,
    1.1294884078086982,
    0.6334008457015478,
    0.1082203925050358,
    -0.02508062384068762,
    0.004156258426962697,
    -0.0004313944359202599,
    2.082870554716449e-05,
)
# f64: erf x = 1 - e^(-x^2) p(1 / (x + 2)), 0.9 <= x <= 6
_ERF_FAR_64 = (
    -9.055284750771745e-06,
    0.5646695540911972,
    1.1166379469120975,
    2.1500795673424484,
    1.0372077201339334,
    15.6882198486209,
    -70.00090740110048,
    268.7785519901178,
    -810.3333004643016,
    1610.871770485357,
    -2062.9388927873824,
    1661.8028420318976,
    -771.4452213057282,
    157.59258439656867,
)


def rsqrt(f: Builder, x: Value) -> Value:
    """1 / sqrt(x), both rounded: no estimate."""
    return f.fdiv(1.0, square_root(f, x))


def pow(f: Builder, x: Value, y: Value) -> Value:
    """x^y with IEEE 754's special values: x^0 = 1 and 1^y = 1 also for NaN; NaN for x < 0 unless y
    is an integer."""
    a = absolute(f, x)
    if scalar_of(x.type) == "float":
        r = _pow_by_f64(f, a, y)
    else:
        r = _pow_by_pairs(f, a, y)
    return _pow_special(f, x, y, a, r)


def _pow_by_f64(f: Builder, a: Value, y: Value) -> Value:
    logarithm = log(f, f.cast("fpext", a, "double"))
    product = f.fmul(logarithm, f.cast("fpext", y, "double"))
    return f.cast("fptrunc", exp(f, product), "float")


def _pow_by_pairs(f: Builder, a: Value, y: Value) -> Value:
    high, low = _log_pair(f, a)
    product, error = two_product(f, y, high)
    error = f.mul_add(y, low, error)
    # Beyond the range of exp, or for 0 and infinite operands, the correction may be NaN.
    usable = f.fcmp("olt", absolute(f, product), 1000.0)
    return exp_of_sum(f, product, f.select(usable, error, f.like(0.0, error)))


def _log_pair(f: Builder, a: Value) -> tuple[Value, Value]:
    """log a, a > 0 finite, as high + low to about 2^-65; the limits of log elsewhere."""
    shifted, exponent = normalised(f, a)
    e, g = exponent_and_rest(f, shifted)
    n = from_integer(f, f.add(e, exponent), a)
    d, d_low = two_sum(f, g, f.like(2.0, g))
    s = f.fdiv(g, d)
    back, back_low = two_product(f, s, d)
    rest = f.fsub(f.fsub(f.fsub(g, back), back_low), f.fmul(s, d_low))
    s_low = f.fdiv(rest, d)
    z, z_low = two_product(f, s, s)
    z_low = f.mul_add(f.fadd(s, s), s_low, z_low)
    cube, cube_low = two_product(f, s, z)
    cube_low = f.fadd(cube_low, f.mul_add(s, z_low, f.fmul(z, s_low)))
    third, third_low = two_product(f, cube, constant(a.type, _TWO_THIRDS[0]))
    third_low = f.fadd(third_low, f.mul_add(cube, _TWO_THIRDS[1], f.fmul(cube_low, _TWO_THIRDS[0])))
    tail = f.fmul(f.fmul(cube, z), horner(f, z, _Q))
    high, low = fast_two_sum(f, f.fadd(s, s), third)
    low = f.fadd(low, f.fadd(f.fadd(third_low, tail), f.fadd(s_low, s_low)))
    big, big_low = two_product(f, n, constant(a.type, _LN2[0]))
    total, error = two_sum(f, big, high)
    low = f.fadd(f.fadd(low, error), f.mul_add(n, _LN2[1], big_low))
    high, low = fast_two_sum(f, total, low)
    edge = f.select(f.fcmp("oeq", a, 0.0), f.like(-INF, a), a)
    inside = f.and_(f.fcmp("ogt", a, 0.0), f.fcmp("olt", a, INF))
    return f.select(inside, high, edge), f.select(inside, low, f.like(0.0, low))


def _pow_special(f: Builder, x: Value, y: Value, a: Value, r: Value) -> Value:
    """Signs, and what |x|^y by logarithm does not give."""
    integer, odd = _is_integer(f, y)
    negative = f.icmp("slt", f.bits(x), 0)
    flip = f.and_(negative, odd)
    r = f.select(flip, f.fneg(r), r)
    bad = f.and_(f.fcmp("olt", x, 0.0), f.not_(integer))
    bad = f.and_(bad, f.fcmp("one", x, -INF))
    r = f.select(bad, f.like(NAN, r), r)
    # log |x| is 0 for |x| = 1, and 0 * inf is NaN
    one = f.fcmp("oeq", a, 1.0)
    infinite = f.fcmp("oeq", absolute(f, y), INF)
    r = f.select(f.and_(one, infinite), f.like(1.0, r), r)
    sure = f.or_(f.fcmp("oeq", x, 1.0), f.fcmp("oeq", y, 0.0))
    return f.select(sure, f.like(1.0, r), r)


def _is_integer(f: Builder, y: Value) -> tuple[Value, Value]:
    """Whether y is an integer, and whether an odd one. Infinite y is even."""
    whole = 2.0 ** format_of(y).fraction
    a = absolute(f, y)
    big = f.fcmp("oge", a, whole)
    rounded = f.fsub(f.fadd(f.select(big, f.like(0.0, a), a), whole), whole)
    integer = f.or_(big, f.fcmp("oeq", rounded, a))
    # The last bit of a + 2^fraction is the parity of a below 2^fraction; above, of a itself.
    shifted = f.select(big, a, f.fadd(rounded, whole))
    last = f.icmp("ne", f.and_(f.bits(shifted), 1), 0)
    odd = f.and_(f.and_(integer, last), f.fcmp("olt", a, 2.0 * whole))
    return integer, odd


def erf(f: Builder, x: Value) -> Value:
    """2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    t = scalar_of(x.type)
    a = absolute(f, x)
    limit = 4.0 if t == "float" else 6.0
    c = f.select(f.fcmp("ogt", a, limit), f.like(limit, a), a)
    if t == "float":
        far = f.fsub(1.0, exp(f, f.fneg(horner(f, c, _ERF_FAR_32))))
    else:
        p = horner(f, f.fdiv(1.0, f.fadd(c, 2.0)), _ERF_FAR_64)
        far = f.fsub(1.0, f.fmul(exp(f, f.fneg(f.fmul(c, c))), p))
    near = f.mul_add(x, horner(f, f.fmul(x, x), _ERF_NEAR[t]), x)
    return f.select(f.fcmp("ogt", a, 0.9), with_sign_of(f, far, x), near)
