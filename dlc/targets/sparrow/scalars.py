"""Element-wise operations on registers.

Whole numbers narrower than 64 bits are kept sign-extended (bools as 0 or 1); floats are f32, and
every result of a bf16 operation is rounded to its format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.ir.core import Attr
from dlc.memory.form import Scalar as ScalarStatement
from dlc.targets.sparrow.body import Body
from dlc.targets.sparrow.code import WIDTH, ZERO, Code, Flt, Int, Scalar
from dlc.typesys.dtypes import BOOL, DType

UNARY = frozenset(
    "abs relu sign floor ceil round trunc sqrt rsqrt exp expm1 log log1p sin cos tanh sigmoid erf "
    "asinh acosh atanh".split()
)
"""Functions of one float that an instruction computes, under their own names."""
COMPARED = MappingProxyType(
    {
        "lt": ("lt", False), "le": ("le", False), "gt": ("lt", True), "ge": ("le", True),
        "eq": ("eq", False), "ne": ("ne", False),
    }
)  # fmt: skip
"""Comparisons: the relation, and whether its operands change places."""


def emit_scalar(b: Body, s: ScalarStatement) -> None:
    """`dst := op(args)`."""
    assert isinstance(s.dst.type, DType)
    known = [a.type for a in s.args if not isinstance(a, (int, float))]
    types = [t for t in known if isinstance(t, DType)]
    of = next((t for t in types if not t.is_bool), types[0] if types else s.dst.type)
    if s.op == "select":
        of = s.dst.type
    for t in (*types, s.dst.type):
        b.unit.check_dtype(t, b.loc)
    args = [b.scalar(a, BOOL if s.op == "select" and i == 0 else of) for i, a in enumerate(s.args)]
    b.give(s.dst, compute(b, s.op, args, of, s.dst.type, s.attrs))


def compute(
    b: Body,
    op: str,
    args: list[Scalar],
    of: DType,
    to: DType,
    attrs: Mapping[str, Attr] = MappingProxyType({}),
) -> Scalar:
    """`op(args)` of operands of dtype `of` (`select`: its last two), a result of dtype `to`."""
    c = b.c
    if op == "convert":
        return convert(b, args[0], of, to)
    if op == "stop_grad":
        return args[0]
    if op == "bitcast":
        return _bitcast(b, args[0], of, to)
    if op == "select":
        return _select(c, args)
    if of.is_float:
        floats = [x for x in args if isinstance(x, Flt)]
        made = _float(b, op, floats)
        return rounded(c, made, to) if isinstance(made, Flt) else made
    ints = [x for x in args if isinstance(x, Int)]
    return _integer(b, op, ints, of, attrs)


def _select(c: Code, args: list[Scalar]) -> Scalar:
    condition, yes, no = args
    assert isinstance(condition, Int)
    d: Scalar = c.int() if isinstance(yes, Int) else c.flt()
    c.copy(d, no)
    with c.unless("beq", condition, ZERO):
        c.copy(d, yes)
    return d


# -- floats


def _float(b: Body, op: str, xs: list[Flt]) -> Scalar:
    c = b.c
    if op in COMPARED:
        relation, swapped = COMPARED[op]
        x, y = (xs[1], xs[0]) if swapped else (xs[0], xs[1])
        if relation == "ne":
            return c.negate_bool(c.compare("feq", x, y))
        return c.compare({"lt": "flt", "le": "fle", "eq": "feq"}[relation], x, y)
    binary = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "max": "fmax",
              "min": "fmin", "pow": "fpow"}  # fmt: skip
    if op in binary:
        return c.fop(binary[op], xs[0], xs[1])
    if op in UNARY or op == "neg":
        return c.fun(op, xs[0])
    emit = _COMPOSED.get(op)
    if emit is None:
        raise InternalError(f"no code for `{op}` of floats", stage="sparrow", op=op)
    return emit(b, *xs)


def _is_finite(b: Body, x: Flt) -> Scalar:
    c = b.c
    one = c.real(1.0)
    return c.compare("feq", c.fun("finite", x), one)


def _is_nan(b: Body, x: Flt) -> Scalar:
    return b.c.negate_bool(b.c.compare("feq", x, x))


def _is_inf(b: Body, x: Flt) -> Scalar:
    return b.c.compare("feq", b.c.fun("abs", x), b.c.real(math.inf))


def _floordiv(b: Body, x: Flt, y: Flt) -> Scalar:
    return b.c.fun("floor", b.c.fop("fdiv", x, y))


def _mod(b: Body, x: Flt, y: Flt) -> Scalar:
    c = b.c
    q = c.fun("floor", c.fop("fdiv", x, y))
    return c.fop("fsub", x, c.fop("fmul", y, q))


def _atan2(b: Body, y: Flt, x: Flt) -> Flt:
    """The vector unit has it: over one element."""
    from dlc.targets.sparrow.vectors import one_element

    return one_element(b, "atan2", y, x)


def _tan(b: Body, x: Flt) -> Scalar:
    return b.c.fop("fdiv", b.c.fun("sin", x), b.c.fun("cos", x))


def _atan(b: Body, x: Flt) -> Scalar:
    return _atan2(b, x, b.c.real(1.0))


def _across(b: Body, x: Flt) -> Flt:
    """sqrt((1 - x)(1 + x)): the cosine of the arc whose sine is x."""
    c = b.c
    one = c.real(1.0)
    return c.fun("sqrt", c.fop("fmul", c.fop("fsub", one, x), c.fop("fadd", one, x)))


def _asin(b: Body, x: Flt) -> Scalar:
    return _atan2(b, x, _across(b, x))


def _acos(b: Body, x: Flt) -> Scalar:
    return _atan2(b, _across(b, x), x)


def _half_power(b: Body, x: Flt) -> tuple[Flt, Flt]:
    """e**(|x| / 2), and half of it: their product can't overflow before the result does."""
    c = b.c
    half = c.real(0.5)
    e = c.fun("exp", c.fop("fmul", c.fun("abs", x), half))
    return e, c.fop("fmul", e, half)


def _cosh(b: Body, x: Flt) -> Scalar:
    c = b.c
    e, h = _half_power(b, x)
    return c.fop("fadd", c.fop("fmul", h, e), c.fop("fdiv", c.fop("fdiv", c.real(0.5), e), e))


def _sinh(b: Body, x: Flt) -> Scalar:
    """From expm1 near 0, where the difference of two powers cancels."""
    c = b.c
    y = c.flt()
    big, done = c.label(), c.label()
    with c.scope():
        c.branch("bne", c.compare("flt", c.real(9.0), c.fun("abs", x)), ZERO, big)
        t = c.fun("expm1", x)
        one = c.real(1.0)
        u = c.fop("fadd", t, c.fop("fdiv", t, c.fop("fadd", t, one)))
        c.fop("fmul", u, c.real(0.5), y)
        c.jump(done)
        c.place(big)
        e, h = _half_power(b, x)
        c.fop("fmul", c.fop("fmul", h, e), c.fun("sign", x), y)
        c.place(done)
    return y


_COMPOSED: Mapping[str, Callable[..., Scalar]] = MappingProxyType(
    {
        "is_finite": _is_finite, "is_nan": _is_nan, "is_inf": _is_inf, "floordiv": _floordiv,
        "mod": _mod, "atan2": _atan2, "tan": _tan, "atan": _atan, "asin": _asin, "acos": _acos,
        "sinh": _sinh, "cosh": _cosh,
    }
)  # fmt: skip


def rounded(c: Code, x: Flt, to: DType) -> Flt:
    """Rounded to bf16, to nearest even, if that is what the result is."""
    if to.name != "bf16":
        return x
    d = c.flt()
    with c.scope():
        bits = c.int()
        c.emit("fbits", d=bits.number, a=x.number)
        sixteen = c.number(16)
        odd = c.op("and", c.op("srl", bits, sixteen), c.number(1))
        up = c.add(c.addi(bits, 0x7FFF), odd)
        whole = c.op("shl", c.op("srl", up, sixteen), sixteen)
        with c.unless("bne", c.compare("feq", x, x), ZERO):
            c.move(whole, bits)
        c.emit("bitsf", d=d.number, a=whole.number)
    return d


# -- whole numbers


def wrap(c: Code, x: Int, of: DType, d: Int | None = None) -> Int:
    """The low bits of x, sign-extended, as the element type keeps them."""
    if of.bits == 64 or of.is_bool:
        return x
    d = d or c.int()
    by = WIDTH if of.bits == 32 else c.number(64 - of.bits)
    return c.op("sra", c.op("shl", x, by, d), by, d)


def _integer(b: Body, op: str, xs: list[Int], of: DType, attrs: Mapping[str, Attr]) -> Int:
    c = b.c
    if op in COMPARED:
        return _compared(c, op, xs)
    if op in ("add", "sub", "mul"):
        return wrap(c, c.op(op, xs[0], xs[1]), of)
    if op in ("and", "or", "xor"):
        return c.op(op, xs[0], xs[1])
    if op == "not":
        return c.negate_bool(xs[0]) if of.is_bool else c.sub(c.number(-1), xs[0])
    if op == "neg":
        return wrap(c, c.sub(ZERO, xs[0]), of)
    if op in ("max", "min"):
        return c.greatest(*xs) if op == "max" else c.least(*xs)
    if op == "relu":
        return c.greatest(xs[0], ZERO)
    if op == "abs":
        return wrap(c, c.greatest(xs[0], c.sub(ZERO, xs[0])), of)
    if op == "sign":
        return c.sub(c.op("slt", ZERO, xs[0]), c.op("slt", xs[0], ZERO))
    if op in ("floordiv", "mod"):
        return _division(b, op, xs[0], xs[1], of, attrs)
    if op in ("shl", "shr", "shr_logical"):
        return _shift(c, op, xs[0], xs[1], of)
    if op == "pow":
        return _power(c, xs[0], xs[1], of)
    raise InternalError(f"no code for `{op}` of {of}", stage="sparrow", op=op)


def _compared(c: Code, op: str, xs: list[Int]) -> Int:
    relation, swapped = COMPARED[op]
    x, y = (xs[1], xs[0]) if swapped else (xs[0], xs[1])
    if relation == "lt":
        return c.op("slt", x, y)
    if relation == "le":
        return c.negate_bool(c.op("slt", y, x))
    same = c.op("seq", x, y)
    return same if relation == "eq" else c.negate_bool(same)


def _division(b: Body, op: str, x: Int, y: Int, of: DType, attrs: Mapping[str, Attr]) -> Int:
    """Rounded down. The machine traps at the least number by -1, which wraps here."""
    c = b.c
    if attrs.get("in_bounds") is not True:
        nonzero = c.negate_bool(c.negate_bool(y))
        b.check(nonzero, "div_zero", "division by zero")
    d = c.int()
    if op == "mod":
        c.move(d, ZERO)
    else:
        c.sub(ZERO, x, d)
    with c.unless("beq", y, c.number(-1)):
        c.op("div" if op == "floordiv" else "rem", x, y, d)
    return wrap(c, d, of)


def _shift(c: Code, op: str, x: Int, n: Int, of: DType) -> Int:
    """By n modulo the width."""
    by = c.op("and", n, c.number(of.bits - 1))
    if op == "shl":
        return wrap(c, c.op("shl", x, by), of)
    if op == "shr":
        return c.op("sra", x, by)
    if of.bits < 64:
        x = c.op("and", x, c.number((1 << of.bits) - 1))
    return wrap(c, c.op("srl", x, by), of)


def _power(c: Code, x: Int, n: Int, of: DType) -> Int:
    """The product of n factors x, wrapping; 1 if n <= 0. By squaring."""
    y, base, left = c.int(), c.int(), c.int()
    c.set(y, 1)
    c.move(base, x)
    c.move(left, n)
    one = c.number(1)
    head, done = c.label(), c.label()
    c.place(head)
    c.branch("bge", ZERO, left, done)
    with c.scope():
        with c.unless("beq", c.op("and", left, one), ZERO):
            c.mul(y, base, y)
        c.mul(base, base, base)
        c.op("sra", left, one, left)
    c.jump(head)
    c.place(done)
    return wrap(c, y, of)


# -- conversions


def convert(b: Body, x: Scalar, of: DType, to: DType) -> Scalar:
    """x as another element type: to integers rounds to zero, saturates and takes NaN to 0; integers
    to integers wrap; to bool is `x != 0`."""
    c = b.c
    b.unit.check_dtype(to, b.loc)
    if isinstance(x, Flt):
        if to.is_float:
            return rounded(c, x, to)
        if to.is_bool:
            return c.negate_bool(c.compare("feq", x, c.real(0.0)))
        d = c.int()
        c.emit("f2i", d=d.number, a=x.number)
        if to.bits == 64:
            return d
        high = c.least(d, c.number((1 << to.bits - 1) - 1))
        return c.greatest(high, c.number(-(1 << to.bits - 1)))
    if to.is_float:
        y = c.flt()
        c.emit("i2f", d=y.number, a=x.number)
        return rounded(c, y, to)
    if to.is_bool:
        return c.negate_bool(c.negate_bool(x))
    return wrap(c, x, to) if to.bits < of.bits or of.is_bool else x


def _bitcast(b: Body, x: Scalar, of: DType, to: DType) -> Scalar:
    c = b.c
    if of.is_float == to.is_float:
        return x
    if {of.name, to.name} != {"f32", "i32"}:
        raise InternalError(f"a bitcast from {of} to {to}", stage="sparrow", op="bitcast")
    if isinstance(x, Flt):
        d = c.int()
        c.emit("fbits", d=d.number, a=x.number)
        return wrap(c, d, to)
    y = c.flt()
    c.emit("bitsf", d=y.number, a=x.number)
    return y
