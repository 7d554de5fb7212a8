"""Arithmetic on ONNX's element types, some of which the IR stores as others (see `elements`).

Adding, multiplying and comparing for equality are the same for signed and unsigned numbers of one
width. Order, division, shifts to the right and conversions are not: unsigned ones are widened
first, and those of 64 bits have their top bit turned over, or are divided in two steps."""

from __future__ import annotations

import math

from dlc.importers.elements import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    FLOAT8E8M0,
    INT32,
    INT64,
    UINT8,
    UINT64,
    Element,
)
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Number, Tensor

LOWEST = -(1 << 63)


def _is_native(x: Tensor) -> bool:
    return x.element.is_native or x.element.bits < 8


def widened(x: Tensor) -> Tensor:
    """The same numbers in a type whose order is the IR's: unsigned ones of 16 and 32 bits as int32
    and int64. Those of 64 bits keep their order only (see `_ordered`)."""
    e = x.element
    if _is_native(x) or e is UINT64:
        return x
    to = INT32 if e.bits == 16 else INT64
    return x.e.convert(x, to).op("and", (1 << e.bits) - 1)


def narrowed(x: Tensor, element: Element) -> Tensor:
    """A widened result, back in the element type; it wraps around."""
    return x.e.convert(x, element)


def _ordered(x: Tensor) -> Tensor:
    """Numbers in the same order as those of x: for uint64 the top bit is turned over."""
    if x.element is not UINT64:
        return widened(x)
    return x.e.convert(x, INT64).op("xor", LOWEST)


def _from_ordered(x: Tensor, element: Element) -> Tensor:
    if element is not UINT64:
        return narrowed(x, element)
    return x.e.convert(x.op("xor", LOWEST), UINT64)


def compare(name: str, a: Tensor, b: Tensor) -> Tensor:
    """`lt`, `le`, `gt`, `ge`, `eq`, `ne`."""
    if name in ("eq", "ne"):
        return a.op(name, b)
    return _ordered(a).op(name, _ordered(b))


def extreme(name: str, a: Tensor, b: Tensor) -> Tensor:
    """`max` or `min`, element by element."""
    return _from_ordered(_ordered(a).op(name, _ordered(b)), a.element)


def ordered(x: Tensor) -> Tensor:
    """For sorting and reductions to extremes: see `restored`."""
    return _ordered(x)


def restored(x: Tensor, element: Element) -> Tensor:
    """The numbers of `ordered`, in their own type."""
    return _from_ordered(x, element)


def divide(a: Tensor, b: Tensor) -> Tensor:
    """ONNX's Div: floats as IEEE says; whole numbers towards zero."""
    if a.element.is_float:
        return a / b
    if a.element is UINT64:
        return _divide_u64(a, b)
    x, y = widened(a), widened(b)
    q = x.op("floordiv", y)
    if not a.element.unsigned and not _certainly_positive(x, y):
        # Rounded down; towards zero is one more where the signs differ and something is left.
        left = (x - q * y).op("ne", 0)
        differ = (x < 0).op("xor", y < 0)
        q = q + x.e.convert(left.op("and", differ), q.element)
    return narrowed(q, a.element)


def _certainly_positive(x: Tensor, y: Tensor) -> bool:
    """Whether both operands are dims or known, and none is negative."""
    for t in (x, y):
        s = t.symbols
        if s is None or not all(t.e.reason.not_negative(d) for d in s.reshape(-1)):
            return False
    return True


def _divide_u64(a: Tensor, b: Tensor) -> Tensor:
    """Half of a is divided as a signed number; twice that is the quotient or one less. A divisor
    with its top bit set goes at most once."""
    e = a.e
    x, y = e.convert(a, INT64), e.convert(b, INT64)
    big = y < 0
    half = x.op("shr_logical", 1).op("floordiv", big.choose(e.scalar(1, INT64), y))
    q = half.op("shl", 1)
    rest = x - q * y
    q = q + e.convert(rest.op("xor", LOWEST) >= y.op("xor", LOWEST), INT64)
    once = e.convert(x.op("xor", LOWEST) >= y.op("xor", LOWEST), INT64)
    return e.convert(big.choose(once, q), UINT64)


def modulo(a: Tensor, b: Tensor, *, like_c: bool) -> Tensor:
    """ONNX's Mod: the sign of the divisor, or (`like_c`) that of the dividend."""
    if a.element is UINT64:
        return a - _divide_u64(a, b) * b
    x, y = widened(a), widened(b)
    if not like_c:
        if a.element.is_float:
            return _floored(x, y)
        return narrowed(x.op("mod", y), a.element)
    if a.element.is_float:
        r = x.op("abs").op("mod", y.op("abs"))
        r = is_infinite(y).op("and", is_infinite(x).op("not")).choose(x.op("abs"), r)
        return (x < 0).choose(-r, r)
    return narrowed(x - divide(x, y) * y, a.element)


def _floored(x: Tensor, y: Tensor) -> Tensor:
    """The remainder with the sign of y, also where y is infinite: x, or y if the signs differ."""
    far = is_infinite(y).op("and", x.op("is_finite"))
    differ = (x * y.op("sign")) < 0.0
    return far.choose(differ.choose(y, x), x.op("mod", y))


def is_infinite(x: Tensor) -> Tensor:
    return x.op("is_inf")


def shift_right(a: Tensor, b: Tensor) -> Tensor:
    """Zeros from above for unsigned numbers, which ONNX's BitShift takes; the sign for others."""
    return a.op("shr_logical" if a.element.unsigned else "shr", b)


def absolute(x: Tensor) -> Tensor:
    return x if x.element.unsigned else x.op("abs")


def negate(x: Tensor) -> Tensor:
    return -x


# -- conversions


def cast(x: Tensor, to: Element, *, saturate: bool = True, mode: str = "up") -> Tensor:
    """ONNX's Cast. Floats to whole numbers round to zero; between whole numbers the bits that don't
    fit are lost; to narrow floats to the nearest even (`saturate`: at most the highest number).
    `mode` is how a number becomes a power of two: `up`, `down`, `nearest`."""
    e = x.e
    if x.element == to:
        return x
    if to.is_bool:
        return x.op("ne", 0)
    if to.mini is not None:
        from dlc.importers.minifloats import power, rounded

        wide = cast(x, FLOAT) if x.element is not FLOAT else x
        if to is FLOAT8E8M0:
            return e.convert(power(wide, saturate, mode), to)
        return e.convert(rounded(wide, to.mini, saturate), to)
    if x.element.is_float or x.element.is_bool:
        return _from_float(x, to) if x.element.is_float else _wrap(e.convert(x, _wide(to)), to)
    if to.is_float:
        if x.element is UINT64:
            return _u64_to_float(x, to)
        return e.convert(widened(x), to)
    if to.bits >= x.element.bits and x.element.unsigned and not x.element.is_native:
        return e.convert(widened(x), to) if x.element.bits >= 16 else e.convert(x, to)
    return _wrap(x, to)


def _wide(to: Element) -> Element:
    return to if to.bits >= 8 else UINT8 if to.unsigned else INT32


def _wrap(x: Tensor, to: Element) -> Tensor:
    """Whole numbers to a type of no more bits: the low bits."""
    e = x.e
    if to.bits >= 8:
        return e.convert(x, to)
    low = e.convert(x, INT32).op("and", (1 << to.bits) - 1)
    if not to.unsigned:
        top = 1 << (to.bits - 1)
        low = low.op("xor", top) - top
    return e.convert(low, to)


def _from_float(x: Tensor, to: Element) -> Tensor:
    e = x.e
    if to.is_float or (to.is_native and not to.unsigned):
        return e.convert(x, to)
    if to is UINT64:
        half = float(1 << 63)
        wide = e.convert(x, DOUBLE)
        high = e.convert(wide - half, INT64).op("xor", LOWEST)
        return e.convert((wide >= half).choose(high, e.convert(wide, INT64)), UINT64)
    # By way of a wider signed type, so that numbers below zero lose their high bits.
    return _wrap(e.convert(x, INT64 if to.bits >= 32 else INT32), to)


def _u64_to_float(x: Tensor, to: Element) -> Tensor:
    e = x.e
    signed = e.convert(x, INT64)
    whole = e.convert(signed, DOUBLE)
    full = (signed < 0).choose(whole + float(1 << 64), whole)
    return e.convert(full, to)


def highest(element: Element) -> Number:
    """The largest number of the type (infinity for floats)."""
    return math.inf if element.is_float else element.range[1]


def lowest(element: Element) -> Number:
    return -math.inf if element.is_float else element.range[0]


def truth(x: Tensor) -> Tensor:
    """A condition, which must be a bool."""
    if x.element is not BOOLEAN:
        raise refuse("E0707", f"a condition is a bool, not {x.element}")
    return x
