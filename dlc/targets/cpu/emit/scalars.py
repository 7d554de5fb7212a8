"""Element-wise operations on registers, for one lane or many: what `Scalar` and `Map` share.

f16 and bf16 are computed in f32, and every result is rounded to its format. A sum of products is
never fused here: only contractions may round less often than the text says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.ir.core import Attr
from dlc.targets.cpu.kernels.math import apply, convert
from dlc.targets.cpu.llvm import ELEMENTS, Builder, Function, Value
from dlc.targets.cpu.llvm.types import lanes_of
from dlc.typesys.dtypes import DType

Bad = Callable[[Value], None]
"""Told which lanes fail (a division by zero)."""

MATH = (
    "exp log log1p expm1 sqrt rsqrt sin cos tan tanh sigmoid erf asin acos atan sinh cosh asinh "
    "acosh atanh floor ceil round trunc is_finite pow atan2"
).split()  # fmt: skip
"""Operations on floats that the kernels' functions of the same name compute."""

_FLOAT_COMPARISON = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_INT_COMPARISON = {"lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}


def emit_element(
    f: Builder,
    op: str,
    xs: tuple[Value, ...],
    of: DType,
    to: DType,
    attrs: Mapping[str, Attr],
    bad: Bad,
) -> Value:
    """`op(xs)`: operands of dtype `of` (`select`: its last two), the result of dtype `to`.

    `bad` is called for integer divisions, with the lanes whose divisor is 0; these lanes' results
    are arbitrary.
    """
    if op == "convert":
        return convert.convert(f, xs[0], of.name, to.name)
    if op == "bitcast":
        return _bitcast(f, xs[0], of, to)
    if op == "select":
        return f.select(*xs)
    if op in _FLOAT_COMPARISON:
        return _compare(f, op, xs[0], xs[1], of)
    emit = (_FLOAT if of.is_float else _INT).get(op)
    if emit is not None:
        y = emit(f, *xs)
    elif of.is_float and op in MATH:
        y = apply(f, op, *xs)
    elif op in ("and", "or", "xor"):
        y = f.binary(op, xs[0], xs[1])
    elif op == "not":
        y = f.not_(xs[0])
    elif of.is_int:
        y = _integer(f, op, xs, of, attrs, bad)
    else:
        raise InternalError(f"no code for `{op}` of {of}", stage="emit", op=op)
    return rounded(f, y, to)


def rounded(f: Builder, x: Value, to: DType) -> Value:
    """An f32 value rounded to the format of `to`, if that is narrower."""
    if not ELEMENTS[to.name].is_half:
        return x
    return convert.widen(f, convert.narrow(f, x, to.name), to.name)


def _float_floordiv(f: Builder, a: Value, b: Value) -> Value:
    return apply(f, "floor", f.fdiv(a, b))


def _float_mod(f: Builder, a: Value, b: Value) -> Value:
    return f.fsub(a, f.fmul(b, _float_floordiv(f, a, b)))


def _is_nan(f: Builder, x: Value) -> Value:
    return f.fcmp("uno", x, x)


def _is_inf(f: Builder, x: Value) -> Value:
    return f.fcmp("oeq", apply(f, "abs", x), float("inf"))


def _negated(f: Builder, x: Value) -> Value:
    return f.sub(f.like(0, x), x)


def _function(name: str) -> Callable[..., Value]:
    """A function of the kernels, by name."""

    def emit(f: Builder, *xs: Value) -> Value:
        return apply(f, name, *xs)

    return emit


_FLOAT: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        "add": Builder.fadd,
        "sub": Builder.fsub,
        "mul": Builder.fmul,
        "div": Builder.fdiv,
        "neg": Builder.fneg,
        "abs": _function("abs"),
        "sign": _function("sign"),
        "relu": _function("relu"),
        "max": _function("maximum"),
        "min": _function("minimum"),
        "floordiv": _float_floordiv,
        "mod": _float_mod,
        "is_nan": _is_nan,
        "is_inf": _is_inf,
    }
)

_INT: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        "add": Builder.add,
        "sub": Builder.sub,
        "mul": Builder.mul,
        "neg": _negated,
    }
)


def _compare(f: Builder, op: str, a: Value, b: Value, of: DType) -> Value:
    if of.is_float:
        return f.fcmp(_FLOAT_COMPARISON[op], a, b)
    if op in ("eq", "ne"):
        return f.icmp(op, a, b)
    return f.icmp(("s" if of.signed else "u") + _INT_COMPARISON[op], a, b)


def _bitcast(f: Builder, x: Value, of: DType, to: DType) -> Value:
    """Through the form in memory: a half in a register is an f32."""
    bits = convert.to_memory(f, of.name, x)
    return convert.from_memory(f, to.name, f.cast("bitcast", bits, ELEMENTS[to.name].memory))


def _integer(
    f: Builder, op: str, xs: tuple[Value, ...], of: DType, attrs: Mapping[str, Attr], bad: Bad
) -> Value:
    if op in ("floordiv", "mod"):
        a, b = xs
        if attrs.get("in_bounds") is not True:
            zero = f.icmp("eq", b, 0)
            bad(zero)
            b = f.select(zero, f.like(1, b), b)
        signed = {"floordiv": "ifloor_div", "mod": "ifloor_mod"}
        unsigned = {"floordiv": "udiv", "mod": "umod"}
        return apply(f, (signed if of.signed else unsigned)[op], a, b)
    if op in ("shl", "shr", "shr_logical"):
        return _shift(f, op, xs[0], xs[1], of)
    if op in ("max", "min"):
        name = {"max": "maximum", "min": "minimum"}[op]
        return apply(f, name if of.signed else "u" + name, *xs)
    if op == "pow":
        return _integer_power(f, xs[0], xs[1], of)
    if op in ("abs", "sign", "relu"):
        if of.signed:
            return apply(f, op, xs[0])
        one = f.select(f.icmp("ne", xs[0], 0), f.like(1, xs[0]), f.like(0, xs[0]))
        return one if op == "sign" else xs[0]
    raise InternalError(f"no code for `{op}` of {of}", stage="emit", op=op)


def _shift(f: Builder, op: str, x: Value, n: Value, of: DType) -> Value:
    """By n modulo the width."""
    by = f.and_(n, of.bits - 1)
    if op == "shl":
        return f.shl(x, by)
    return f.ashr(x, by) if op == "shr" and of.signed else f.lshr(x, by)


def _integer_power(f: Builder, x: Value, n: Value, of: DType) -> Value:
    """The product of n factors x, wrapping; 1 if n <= 0. By squaring, lane by lane."""
    scalar = ELEMENTS[of.name].register
    function = f.module.function(
        f"dlc.ipow.{scalar}.{'s' if of.signed else 'u'}",
        lambda: _power_function(f, scalar, of.signed),
    )
    lanes = lanes_of(x.type)
    if lanes == 1:
        return f.call(function, x, n)
    y = x
    for i in range(lanes):
        y = f.insert(y, f.call(function, f.extract(x, i), f.extract(n, i)), i)
    return y


def _power_function(caller: Builder, scalar: str, signed: bool) -> tuple[Function, str]:
    name = f"dlc.ipow.{scalar}.{'s' if signed else 'u'}"
    f = Builder(caller.module, name, scalar, [(scalar, "x"), (scalar, "n")])
    x, n = f.params
    if signed:
        n = f.imax(n, 0)
    _, _, y = f.loop_while(
        (x, n, f.const(scalar, 1)),
        lambda c: f.icmp("ne", c[1], 0),
        lambda c: (
            f.mul(c[0], c[0]),
            f.lshr(c[1], 1),
            f.select(f.icmp("ne", f.and_(c[1], 1), 0), f.mul(c[2], c[0]), c[2]),
        ),
    )
    f.ret(y)
    return f.finish()
