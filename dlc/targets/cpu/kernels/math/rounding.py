"""floor, ceil, trunc, round; max, min, sign, abs, relu; floor division and remainder.

For float, double and integer lanes alike where the name makes sense for both.
"""

from __future__ import annotations

from dlc.targets.cpu.kernels.math.floats import (
    INF,
    NAN,
    absolute,
    format_of,
    with_sign_of,
)
from dlc.targets.cpu.llvm import Builder, Function, Module, Value
from dlc.targets.cpu.llvm.types import constant, is_float, lanes_of, scalar_of


def _to_even(f: Builder, x: Value) -> Value:
    """Nearest integer, halves to even, without the instruction: |x| + 2^fraction - 2^fraction."""
    whole = 2.0 ** format_of(x).fraction
    a = absolute(f, x)
    near = f.fsub(f.fadd(a, whole), whole)
    # NaN and what has no fraction stay as they are.
    return f.select(f.fcmp("olt", a, whole), with_sign_of(f, near, x), x)


def round_even(f: Builder, x: Value) -> Value:
    """The nearest integer, halves to even."""
    if f.module.target.rounds:
        return f.intrinsic("llvm.roundeven", x.type, x)
    return _to_even(f, x)


def floor(f: Builder, x: Value) -> Value:
    """The largest integer that is not above x."""
    if f.module.target.rounds:
        return f.intrinsic("llvm.floor", x.type, x)
    t = _to_even(f, x)
    down = f.select(f.fcmp("ogt", t, x), f.fsub(t, 1.0), t)
    return with_sign_of(f, down, x)


def ceil(f: Builder, x: Value) -> Value:
    """The least integer that is not below x."""
    if f.module.target.rounds:
        return f.intrinsic("llvm.ceil", x.type, x)
    t = _to_even(f, x)
    up = f.select(f.fcmp("olt", t, x), f.fadd(t, 1.0), t)
    return with_sign_of(f, up, x)


def trunc(f: Builder, x: Value) -> Value:
    """The integer part."""
    if f.module.target.rounds:
        return f.intrinsic("llvm.trunc", x.type, x)
    return with_sign_of(f, floor(f, absolute(f, x)), x)


def maximum(f: Builder, a: Value, b: Value) -> Value:
    """The larger; NaN if one of them is; +0 above -0, so that the order of operands does not
    matter."""
    if is_float(a.type):
        return f.intrinsic("llvm.maximum", a.type, a, b)
    return f.imax(a, b)


def minimum(f: Builder, a: Value, b: Value) -> Value:
    """The smaller; NaN if one of them is; -0 below +0."""
    if is_float(a.type):
        return f.intrinsic("llvm.minimum", a.type, a, b)
    return f.imin(a, b)


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


def float_remainder(f: Builder, a: Value, b: Value) -> Value:
    """C's fmod: a - b * trunc(a / b), exact; the sign of a; NaN for b = 0 or infinite a."""
    return _by_lane(f, _fmod_function(f.module, scalar_of(a.type)), a, b)


def _needs_step_down(f: Builder, r: Value, b: Value) -> Value:
    """Whether the remainder to zero is not the one that belongs to the floor of the quotient."""
    other = f.icmp("slt", f.xor(f.bits(r), f.bits(b)), 0)
    return f.and_(f.fcmp("one", r, 0.0), other)


def float_floor_mod(f: Builder, a: Value, b: Value) -> Value:
    """a - b * floor(a / b) from the exact remainder; the sign of b, also on a zero."""
    r = float_remainder(f, a, b)
    r = f.select(_needs_step_down(f, r, b), f.fadd(r, b), r)
    zero = with_sign_of(f, f.like(0.0, r), b)
    return f.select(f.fcmp("oeq", r, 0.0), zero, r)


def float_floor_div(f: Builder, a: Value, b: Value) -> Value:
    """floor(a / b) as Python and numpy have it: from the exact remainder r, (a - r) / b to the
    nearest integer (halves down), less 1 where r has not the sign of b; a / b when b is 0."""
    r = float_remainder(f, a, b)
    quotient = f.fdiv(f.fsub(a, r), b)
    quotient = f.select(_needs_step_down(f, r, b), f.fsub(quotient, 1.0), quotient)
    near = floor(f, quotient)
    near = f.select(f.fcmp("ogt", f.fsub(quotient, near), 0.5), f.fadd(near, 1.0), near)
    plain = f.fdiv(a, b)
    near = f.select(f.fcmp("oeq", quotient, 0.0), with_sign_of(f, near, plain), near)
    return f.select(f.fcmp("oeq", b, 0.0), plain, near)


def _by_lane(f: Builder, function: Function, a: Value, b: Value) -> Value:
    lanes, t = lanes_of(a.type), scalar_of(a.type)
    if lanes == 1:
        return f.call(function, a, b)
    xs, ys = f.alloca(t, lanes), f.alloca(t, lanes)
    f.store(a, xs)
    f.store(b, ys)
    with f.loop(0, lanes, name="lane") as loop:
        x, y = f.gep(t, xs, loop.index), f.gep(t, ys, loop.index)
        f.store(f.call(function, f.load(t, x), f.load(t, y)), x)
    return f.load(a.type, xs)


def _fmod_function(module: Module, scalar: str) -> Function:
    """Long division in integers: a bit a turn, only as many as the exponents differ."""
    name = "dlc.long_division.f32" if scalar == "float" else "dlc.long_division.f64"

    def emit() -> tuple[Function, str]:
        f = Builder(module, name, scalar, [(scalar, "a"), (scalar, "b")], inline="never")
        a, b = f.params
        x, y = absolute(f, a), absolute(f, b)
        bad = f.or_(f.fcmp("uno", a, b), f.or_(f.fcmp("oeq", x, INF), f.fcmp("oeq", y, 0.0)))
        with f.when(bad):
            f.ret(f.const(scalar, NAN))
        with f.when(f.fcmp("olt", x, y)):
            f.ret(a)
        x_exp, x_sig = _parts(f, x)
        y_exp, y_sig = _parts(f, y)
        # x = x_sig 2^x_exp; take y_sig 2^k away as long as it fits, k from x_exp - y_exp down to 0.
        rest, _ = f.loop_while(
            (x_sig, f.sub(x_exp, y_exp)),
            lambda c: f.icmp("sgt", c[1], 0),
            lambda c: (f.shl(_reduced_once(f, c[0], y_sig), 1), f.sub(c[1], 1)),
        )
        rest = _reduced_once(f, rest, y_sig)
        f.ret(with_sign_of(f, _scaled(f, rest, y_exp, scalar), a))
        return f.finish()

    return module.function(name, emit)


def _reduced_once(f: Builder, x: Value, y: Value) -> Value:
    return f.select(f.icmp("uge", x, y), f.sub(x, y), x)


def _parts(f: Builder, x: Value) -> tuple[Value, Value]:
    """Integers e, s with x = s 2^e (e biased), s with its leading bit in place, x > 0 finite."""
    form = format_of(x)
    bits = f.bits(x)
    exponent = f.lshr(bits, form.fraction)
    hidden = 1 << form.fraction
    normal = f.or_(f.and_(bits, hidden - 1), hidden)
    zeros = f.intrinsic("llvm.ctlz", bits.type, bits, Value("i1", "false"))
    up = f.sub(zeros, form.bits - 1 - form.fraction)
    subnormal = f.icmp("eq", exponent, 0)
    e = f.select(subnormal, f.sub(1, up), exponent)
    return e, f.select(subnormal, f.shl(bits, f.and_(up, form.bits - 1)), normal)


def _scaled(f: Builder, s: Value, e: Value, scalar: str) -> Value:
    """s 2^e as a float, s below 2^(fraction + 1), e biased and possibly below 1; exact."""
    form = format_of(constant(scalar, 0.0))
    zeros = f.intrinsic("llvm.ctlz", s.type, s, Value("i1", "false"))
    up = f.sub(zeros, form.bits - 1 - form.fraction)
    exponent = f.sub(e, up)
    low = f.icmp("slt", exponent, 1)
    # Subnormal: shift to exponent 1 without the hidden bit.
    shift = f.select(low, f.sub(e, 1), up)
    left = f.shl(s, f.imax(shift, 0))
    right = f.lshr(s, f.imax(f.sub(0, shift), 0))
    moved = f.select(f.icmp("slt", shift, 0), right, left)
    normal = f.add(f.shl(f.sub(exponent, 1), form.fraction), moved)
    bits = f.select(low, moved, normal)
    zero = f.icmp("eq", s, 0)
    return f.from_bits(f.select(zero, f.like(0, s), bits), scalar)


def is_finite(f: Builder, x: Value) -> Value:
    return f.fcmp("olt", absolute(f, x), INF)
