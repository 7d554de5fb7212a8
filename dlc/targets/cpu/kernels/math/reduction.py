"""Argument reduction of the trigonometric functions: x = q pi/2 + r, |r| <= pi/4, over the whole
range.

Up to a limit, pi/2 is subtracted in parts so short that nothing is lost (Cody and Waite). Beyond,
lane by lane, the bits of 2/pi that matter are multiplied with the significand as integers (Payne
and Hanek 1983): 192 bits of 2/pi after those that give multiples of 4, so that 137 bits of the
fraction are right where the worst f64 needs about 120.
"""

from __future__ import annotations

import math

from dlc.targets.cpu.kernels.math.floats import absolute, integer_type, nearest, two_product
from dlc.targets.cpu.llvm import Builder, Function, Module, Value
from dlc.targets.cpu.llvm.types import lanes_of, scalar_of

# pi/2 in parts. With FMA a part may have all bits; without, n * part must be exact for n < 2^20.
_F32_FUSED = tuple(
    float.fromhex(t) for t in ("0x1.921fb6p+0", "-0x1.777a5cp-25", "-0x1.ee59dap-50")
)
_F32_BY_F64 = tuple(float.fromhex(t) for t in ("0x1.921fb544p+0", "0x1.0b4611a626331p-34"))
_F64_FUSED = tuple(
    float.fromhex(t)
    for t in ("0x1.921fb54442d18p+0", "0x1.1a62633145c07p-54", "-0x1.f1976b7ed8fbcp-110")
)
_F64_EXACT = tuple(
    float.fromhex(t)
    for t in (
        "0x1.921fb544p+0",
        "0x1.0b4611a6p-34",
        "0x1.3198a2ep-69",
        "0x1.b839a252049c1p-104",
    )
)

# The fraction of 2/pi, 32 bits a word, after two words of zeros (for exponents below the point).
_TWO_OVER_PI = (
    0, 0,
    0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB,
    0xDEBBC561, 0xB7246E3A, 0x424DD2E0, 0x06492EEA, 0x09D1921C, 0xFE1DEB1C, 0xB129A73E,
    0xE88235F5, 0x2EBB4484, 0xE99C7026, 0xB45F7E41, 0x3991D639, 0x835339F4, 0x9C845F8B,
    0xBDF9283B, 0x1FF897FF, 0xDE05980F, 0xEF2F118B, 0x5A0A6D1F, 0x6D367ECF, 0x27CB09B7,
    0x4F463F66, 0x9E5FEA2D, 0x7527BAC7, 0xEBE5F17B, 0x3D0739F7, 0x8A5292EA, 0x6BFB5FB1,
    0x1F8D5D08, 0x56033046, 0xFC7B6BAB, 0xF0CFBC20, 0x9AF4361D,
)  # fmt: skip

_REM = "{ double, i64 }"


def reduced(f: Builder, x: Value) -> tuple[Value, Value]:
    """r and the integer q (of x's width; only its low bits matter) with x = q pi/2 + r.

    NaN for infinite x. Error of r: about one ulp.
    """
    single = scalar_of(x.type) == "float"
    limit = 2.0**15 if single and f.module.target.fma32 else 2.0**19
    a = absolute(f, x)
    huge = f.fcmp("ogt", a, limit)
    safe = f.select(huge, f.like(0.0, x), x)
    r, q = _by_parts(f, safe)
    lanes = lanes_of(x.type)
    any_huge = huge
    if lanes > 1:
        bits = f.let(f"i{lanes}", f"bitcast {huge} to i{lanes}")
        any_huge = f.icmp("ne", bits, 0)
    return _pair(f.if_else(any_huge, lambda: _huge_lanes(f, x, r, q, limit), lambda: (r, q)))


def _pair(xs: tuple[Value, ...]) -> tuple[Value, Value]:
    return xs[0], xs[1]


def _by_parts(f: Builder, x: Value) -> tuple[Value, Value]:
    """Cody and Waite."""
    target = f.module.target
    if scalar_of(x.type) == "double":
        parts = _F64_FUSED if target.fma64 else _F64_EXACT
        return _subtract(f, x, parts)
    if target.fma32:
        return _subtract(f, x, _F32_FUSED)
    r, q = _subtract(f, f.cast("fpext", x, "double"), _F32_BY_F64)
    return f.cast("fptrunc", r, "float"), f.cast("trunc", q, "i32")


def _subtract(f: Builder, x: Value, parts: tuple[float, ...]) -> tuple[Value, Value]:
    n, q = nearest(f, x, 2.0 / math.pi)
    r = x
    for part in parts:
        r = f.mul_add(n, -part, r)
    return r, q


def _huge_lanes(f: Builder, x: Value, r: Value, q: Value, limit: float) -> tuple[Value, Value]:
    """r and q with the lanes beyond the limit replaced."""
    lanes, t, i = lanes_of(x.type), scalar_of(x.type), scalar_of(q.type)
    rem = remainder_function(f.module)
    xs, rs, qs = f.alloca(t, lanes), f.alloca(t, lanes), f.alloca(i, lanes)
    for value, place in ((x, xs), (r, rs), (q, qs)):
        f.store(value, place)
    with f.loop(0, lanes, name="lane") as loop:
        one = f.load(t, f.gep(t, xs, loop.index))
        with f.when(f.fcmp("ogt", absolute(f, one), limit)):
            both = f.call(rem, f.cast("fpext", one, "double"))
            rest, quadrant = f.field(both, 0, "double"), f.field(both, 1, "i64")
            f.store(f.cast("fptrunc", rest, t), f.gep(t, rs, loop.index))
            f.store(f.cast("trunc", quadrant, i), f.gep(i, qs, loop.index))
    return f.load(r.type, rs), f.load(integer_type(x), qs)


def remainder_function(module: Module) -> Function:
    """`{ double, i64 } @dlc.remainder(double)`: r and q for finite |x| >= 2^15; NaN for infinite
    x."""

    def emit() -> tuple[Function, str]:
        f = Builder(module, "dlc.remainder", _REM, [("double", "x")], inline="never")
        x = f.params[0]
        with f.when(f.fcmp("oeq", absolute(f, x), float("inf"))):
            f.ret_many(f.const("double", float("nan")), f.const("i64", 0))
        high, middle, low = _fixed_point(f, x)
        r, q = _rest_of(f, high, middle, low)
        negative = f.fcmp("olt", x, 0.0)
        r = f.select(negative, f.fneg(r), r)
        q = f.select(negative, f.sub(0, q), q)
        f.ret_many(r, q)
        return f.finish()

    return module.function("dlc.remainder", emit)


def _fixed_point(f: Builder, x: Value) -> tuple[Value, Value, Value]:
    """|x| * 2/pi mod 4 in three words of 64 bits, the highest first; its point is after two
    bits."""
    table = f.module.array("i32", [str(w) for w in _TWO_OVER_PI])
    bits = f.bits(x)
    exponent = f.and_(f.lshr(bits, 52), 0x7FF)
    significand = f.or_(f.and_(bits, (1 << 52) - 1), 1 << 52)
    start = f.add(exponent, 64 - 1075 - 2)  # the first bit of 2/pi that is no multiple of 4
    word, shift = f.lshr(start, 5), f.and_(start, 31)
    raw = [
        f.cast("zext", f.load("i32", f.gep("i32", table, f.add(word, i))), "i64") for i in range(7)
    ]
    window: list[Value] = []  # 32 bits each, the highest first
    for i in range(6):
        both = f.or_(f.shl(raw[i], 32), raw[i + 1])
        window.append(f.and_(f.lshr(both, f.sub(32, shift)), 0xFFFFFFFF))
    window.reverse()
    sums = [f.const("i64", 0)] * 6
    halves = (f.and_(significand, 0xFFFFFFFF), f.lshr(significand, 32))
    for k, half in enumerate(halves):
        carry = f.const("i64", 0)
        for i in range(6 - k):
            t = f.add(f.add(f.mul(half, window[i]), sums[i + k]), carry)
            sums[i + k] = f.and_(t, 0xFFFFFFFF)
            carry = f.lshr(t, 32)
    high, middle, low = (f.or_(f.shl(sums[i + 1], 32), sums[i]) for i in (4, 2, 0))
    return high, middle, low


def _rest_of(f: Builder, high: Value, middle: Value, low: Value) -> tuple[Value, Value]:
    """From fixed point to r (in double-double until the last step) and the nearest quadrant."""
    q = f.lshr(high, 62)
    top = f.or_(f.shl(high, 2), f.lshr(middle, 62))
    rest = f.or_(f.shl(middle, 2), f.lshr(low, 62))
    over = f.lshr(top, 63)  # the fraction is 1/2 or more: count from the quadrant above
    q = f.add(q, over)
    sign = f.sub(0, over)
    top, rest = f.xor(top, sign), f.xor(rest, sign)
    unit = 2.0**-64
    coarse = f.fmul(f.cast("sitofp", f.and_(top, -(1 << 11)), "double"), unit)
    fine = f.fmul(f.cast("sitofp", f.and_(top, (1 << 11) - 1), "double"), unit)
    last = f.fmul(f.cast("sitofp", f.lshr(rest, 1), "double"), unit * 2.0**-63)
    fine = f.fadd(fine, last)
    product, error = two_product(f, coarse, f.const("double", _F64_FUSED[0]))
    error = f.mul_add(coarse, _F64_FUSED[1], error)
    r = f.fadd(product, f.mul_add(fine, _F64_FUSED[0], error))
    return f.select(f.icmp("ne", over, 0), f.fneg(r), r), q


def quadrant_bit(f: Builder, q: Value, bit: int) -> Value:
    """Whether that bit of q is set."""
    return f.icmp("ne", f.and_(q, bit), 0)


def sign_of_quadrant(f: Builder, q: Value, y: Value) -> Value:
    """-y in the lower half plane (bit 1 of q), else y."""
    width = 32 if scalar_of(y.type) == "float" else 64
    flip = f.shl(f.and_(q, 2), width - 2)
    return f.from_bits(f.xor(f.bits(y), flip), scalar_of(y.type))
