"""floor, ceil, trunc, round; max, min, sign, abs, relu; floor division and remainder.

For float, double and integer lanes alike where the name makes sense for both.
"""

from __future__ import annotations

from dlc.targets.cpu.kernels.math.floats import (
    INF,
    absolute,
    format_of,
    with_sign_of,
)
from dlc.targets.cpu.llvm import Builder, Value
from dlc.targets.cpu.llvm.types import is_float, lanes_of, scalar_of


def _to_even(f: Builder, x: Value) -> Value:
    """Nearest integer, halves to even, without the instruction: |x| + 2^fraction - 2^fraction."""
    whole = 2.0 ** format_of(x).fraction
    a = absolute(f, x)
    near = f.fsub(f.fadd(a, whole), whole)
    # NaN and what has no fraction stay as they are.
    return f.select(f.fcmp("olt", a, whole), with_sign_of(f, near, x), x)


def round_even(f: Builder, x: Value) -> Value:
    """The nearest integer, halves to even."""
    if f.module.target.rounds(scalar_of(x.type)):
        return f.intrinsic("llvm.roundeven", x.type, x)
    return _to_even(f, x)


def floor(f: Builder, x: Value) -> Value:
    """The largest integer that is not above x."""
    if f.module.target.rounds(scalar_of(x.type)):
        return f.intrinsic("llvm.floor", x.type, x)
    t = _to_even(f, x)
    down = f.select(f.fcmp("ogt", t, x), f.fsub(t, 1.0), t)
    return with_sign_of(f, down, x)


def ceil(f: Builder, x: Value) -> Value:
    """The least integer that is not below x."""
    if f.module.target.rounds(scalar_of(x.type)):
        return f.intrinsic("llvm.ceil", x.type, x)
    t = _to_even(f, x)
    up = f.select(f.fcmp("olt", t, x), f.fadd(t, 1.0), t)
    return with_sign_of(f, up, x)


def trunc(f: Builder, x: Value) -> Value:
    """The integer part."""
    if f.module.target.rounds(scalar_of(x.type)):
        return f.intrinsic("llvm.trunc", x.type, x)
    return with_sign_of(f, floor(f, absolute(f, x)), x)


def maximum(f: Builder, a: Value, b: Value) -> Value:
    """The larger; NaN if one of them is; +0 above -0, so that the order of operands does not
    matter."""
    if is_float(a.type):
        return _extreme(f, a, b, largest=True)
    return f.imax(a, b)


def minimum(f: Builder, a: Value, b: Value) -> Value:
    """The smaller; NaN if one of them is; -0 below +0."""
    if is_float(a.type):
        return _extreme(f, a, b, largest=False)
    return f.imin(a, b)


def _extreme(f: Builder, a: Value, b: Value, *, largest: bool) -> Value:
    """LLVM has it for formats that the hardware knows; by comparisons for others (of the same
    type).

    Of two zeros the bits decide: `and` gives +0 unless both are -0, `or` the other way.
    """
    target = f.module.target
    if target.sqrt(scalar_of(a.type)) and not target.arch.startswith(("armv", "thumb")):
        return f.intrinsic("llvm.maximum" if largest else "llvm.minimum", a.type, a, b)
    bits = (f.and_ if largest else f.or_)(f.bits(a), f.bits(b))
    equal = f.from_bits(bits, scalar_of(a.type))
    rest = f.select(f.fcmp("oeq", a, b), equal, b)
    wins = f.or_(f.fcmp("ogt" if largest else "olt", a, b), f.fcmp("uno", a, a))
    return f.select(wins, a, rest)


def maximum_unsigned(f: Builder, a: Value, b: Value) -> Value:
    return f.imax(a, b, signed=False)


def minimum_unsigned(f: Builder, a: Value, b: Value) -> Value:
    return f.imin(a, b, signed=False)


def magnitude(f: Builder, x: Value) -> Value:
    """|x|; the lowest integer stays itself."""
    if is_float(x.type):
        return absolute(f, x)
    return f.select(f.icmp("slt", x, 0), f.sub(0, x), x)


def sign(f: Builder, x: Value) -> Value:
    """1, -1 or 0; NaN stays."""
    if not is_float(x.type):
        low = f.select(f.icmp("slt", x, 0), f.like(-1, x), f.like(0, x))
        return f.select(f.icmp("sgt", x, 0), f.like(1, x), low)
    low = f.select(f.fcmp("olt", x, 0.0), f.like(-1.0, x), x)
    low = f.select(f.fcmp("oeq", x, 0.0), f.like(0.0, x), low)
    return f.select(f.fcmp("ogt", x, 0.0), f.like(1.0, x), low)


def relu(f: Builder, x: Value) -> Value:
    """x above 0, else 0; NaN stays."""
    if not is_float(x.type):
        return f.select(f.icmp("sgt", x, 0), x, f.like(0, x))
    return f.select(f.fcmp("ole", x, 0.0), f.like(0.0, x), x)


def integer_floor_div(f: Builder, a: Value, b: Value) -> Value:
    """a / b rounded down; b is not 0 (the caller checks); lowest / -1 wraps to lowest."""
    quotient, remainder, _ = _divided(f, a, b)
    off = f.and_(f.icmp("ne", remainder, 0), f.icmp("slt", f.xor(remainder, b), 0))
    return f.sub(quotient, f.cast("zext", off, scalar_of(a.type)))


def integer_floor_mod(f: Builder, a: Value, b: Value) -> Value:
    """a - b * floor(a / b): the sign of b; b is not 0 (the caller checks)."""
    _, remainder, _ = _divided(f, a, b)
    off = f.and_(f.icmp("ne", remainder, 0), f.icmp("slt", f.xor(remainder, b), 0))
    return f.select(off, f.add(remainder, b), remainder)


def integer_remainder(f: Builder, a: Value, b: Value) -> Value:
    """C's a % b: the sign of a; b is not 0 (the caller checks)."""
    return _divided(f, a, b)[1]


def integer_quotient(f: Builder, a: Value, b: Value) -> Value:
    """C's a / b: rounded to zero; b is not 0 (the caller checks); lowest / -1 wraps to lowest."""
    return _divided(f, a, b)[0]


def _divided(f: Builder, a: Value, b: Value) -> tuple[Value, Value, Value]:
    """Quotient and remainder to zero, without the trap of lowest / -1."""
    minus_one = f.icmp("eq", b, -1)
    safe = f.select(minus_one, f.like(1, b), b)
    quotient = f.sdiv(a, safe)
    remainder = f.sub(a, f.mul(quotient, safe))
    return f.select(minus_one, f.sub(0, a), quotient), remainder, minus_one


def unsigned_div(f: Builder, a: Value, b: Value) -> Value:
    """a / b, not 0, for unsigned lanes; rounding down and to zero are the same."""
    return f.binary("udiv", a, b)


def unsigned_mod(f: Builder, a: Value, b: Value) -> Value:
    return f.binary("urem", a, b)


def float_floor_div(f: Builder, a: Value, b: Value) -> Value:
    """floor(a / b), the quotient rounded first."""
    return floor(f, f.fdiv(a, b))


def float_floor_mod(f: Builder, a: Value, b: Value) -> Value:
    """a - b * floor(a / b), every operation rounded."""
    return f.fsub(a, f.fmul(b, float_floor_div(f, a, b)))


def integer_power(f: Builder, a: Value, b: Value) -> Value:
    """The product of b factors a, 1 if b <= 0; wraps. By squaring; lanes run as long as the
    largest b."""
    lanes = lanes_of(a.type)
    one = f.like(1, a)
    exponent = f.select(f.icmp("sgt", b, 0), b, f.like(0, b))

    def more(c: tuple[Value, ...]) -> Value:
        left = f.icmp("ne", c[0], 0)
        if lanes == 1:
            return left
        return f.icmp("ne", f.let(f"i{lanes}", f"bitcast {left} to i{lanes}"), 0)

    def square(c: tuple[Value, ...]) -> tuple[Value, ...]:
        left, base, product = c
        odd = f.icmp("ne", f.and_(left, 1), 0)
        return (
            f.lshr(left, 1),
            f.mul(base, base),
            f.select(odd, f.mul(product, base), product),
        )

    return f.loop_while((exponent, a, one), more, square)[2]


def is_finite(f: Builder, x: Value) -> Value:
    return f.fcmp("olt", absolute(f, x), INF)
