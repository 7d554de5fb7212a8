"""Algebraic rules on single operations. Each must hold bit for bit under its licence.

EXACT rules hold for every value: NaN, infinities, signed zeros, wrap-around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from dlc.ir.core import Attr, Op, Value
from dlc.ops.build import Builder
from dlc.typesys.types import TensorType


class Licence(Enum):
    """What a rule may change."""

    EXACT = "bit for bit"
    NO_SIGNED_ZERO = "may change the sign of a zero"
    FINITE_ONLY = "assumes finite values"
    REASSOCIATES = "may round differently"


@dataclass
class Match:
    """An operation under a rule: who made its operands, which are constants, and what the rule
    emits."""

    op: Op
    makers: Mapping[Value, Op]
    constant: Callable[[Value], np.ndarray[Any, Any] | None]
    _out: Builder = field(default_factory=Builder)

    def operand(self, i: int) -> Value:
        return self.op.operands[i]

    def maker(self, v: Value, name: str) -> Op | None:
        """The operation that made the value, if it has that name."""
        op = self.makers.get(v)
        return op if op is not None and op.name == name else None

    def is_number(self, v: Value, x: float) -> bool:
        """Whether the value is the number everywhere, with its sign if it is a zero."""
        while (b := self.maker(v, "broadcast")) is not None:
            v = b.operands[0]
        a = self.constant(v)
        if a is None or a.size == 0 or not bool(np.all(a == x)):
            return False
        return x != 0 or not bool(np.any(np.signbit(a.astype(np.float64)))) or v.tensor.dtype.is_int

    def emit(self, name: str, *operands: Value, **attrs: Attr) -> Value:
        self._out.loc = self.op.loc
        return self._out.emit(name, *operands, **attrs)

    def full(self, x: float) -> Value:
        """The result's type, filled with a number."""
        self._out.loc = self.op.loc
        return self._out.full(x, self.type)

    def take(self) -> list[Op]:
        return self._out.ops

    @property
    def type(self) -> TensorType:
        return self.op.results[0].tensor

    def same_type(self, v: Value) -> Value | None:
        """The value if it can stand for the result as it is."""
        return v if v.type == self.op.results[0].type else None


@dataclass(frozen=True)
class Rule:
    """`apply` gives the value that stands for the operation's result, or None where it doesn't
    match."""

    name: str
    line: str
    licence: Licence
    apply: Callable[[Match], Value | None]


def _identity(side: int, number: float) -> Callable[[Match], Value | None]:
    """`op(x, number)` is `x`, the number at operand `1 - side`."""

    def apply(m: Match) -> Value | None:
        return m.operand(side) if m.is_number(m.operand(1 - side), number) else None

    return apply


def _add_zero(side: int) -> Callable[[Match], Value | None]:
    """`x + 0` is `x` for whole numbers; for floats `-0 + 0` is `+0`, so only `x + -0` would be
    exact."""

    def apply(m: Match) -> Value | None:
        ok = m.type.dtype.is_int and m.is_number(m.operand(1 - side), 0)
        return m.operand(side) if ok else None

    return apply


def _involution(m: Match) -> Value | None:
    inner = m.maker(m.operand(0), m.op.name)
    return inner.operands[0] if inner is not None else None


def _same_convert(m: Match) -> Value | None:
    return m.same_type(m.operand(0))


def _select_known(m: Match) -> Value | None:
    c = m.operand(0)
    if m.is_number(c, 1):
        return m.operand(1)
    if m.is_number(c, 0):
        return m.operand(2)
    return m.operand(1) if m.operand(1) is m.operand(2) else None


def _transpose_twice(m: Match) -> Value | None:
    inner = m.maker(m.operand(0), "transpose")
    perm = m.op.attr_ints("perm")
    if inner is None:
        return m.operand(0) if perm == tuple(range(len(perm))) else None
    first = inner.attr_ints("perm")
    return m.emit("transpose", inner.operands[0], perm=tuple(first[p] for p in perm))


def _reshape_twice(m: Match) -> Value | None:
    same = m.same_type(m.operand(0))
    if same is not None:
        return same
    inner = m.maker(m.operand(0), "reshape")
    if inner is None or m.op.attr_flag("checked") or inner.attr_flag("checked"):
        return None
    return m.emit("reshape", inner.operands[0], shape=m.op.attrs["shape"])


def _index_twice(m: Match) -> Value | None:
    inner = m.maker(m.operand(0), "index")
    if inner is None or not (m.op.attr_flag("in_bounds") and inner.attr_flag("in_bounds")):
        return None
    return m.emit("index", *inner.operands, *m.op.operands[1:], in_bounds=True)


def _index_insert(m: Match) -> Value | None:
    """`insert(x, v, i)[i]` is `v`."""
    inner = m.maker(m.operand(0), "insert")
    ok = inner is not None and inner.operands[2:] == m.op.operands[1:]
    return m.same_type(inner.operands[1]) if inner is not None and ok else None


def _not_compare(m: Match) -> Value | None:
    """`not (a == b)` is `a != b`, also for NaN; orders are not negated, since NaN makes both
    false."""
    for name, other in (("eq", "ne"), ("ne", "eq")):
        inner = m.maker(m.operand(0), name)
        if inner is not None and m.type.dtype.is_bool:
            return m.emit(other, *inner.operands)
    return _involution(m)


def _logic(name: str, side: int) -> Callable[[Match], Value | None]:
    """`x and true`, `x or false` are `x`; `x and false`, `x or true` are the constant."""
    neutral, absorbing = (1, 0) if name == "and" else (0, 1)

    def apply(m: Match) -> Value | None:
        if not m.type.dtype.is_bool:
            return None
        other = m.operand(1 - side)
        if m.is_number(other, neutral):
            return m.operand(side)
        return other if m.is_number(other, absorbing) else None

    return apply


def _times_zero(side: int) -> Callable[[Match], Value | None]:
    def apply(m: Match) -> Value | None:
        other = m.operand(1 - side)
        return other if m.type.dtype.is_int and m.is_number(other, 0) else None

    return apply


def _float_zero(side: int) -> Callable[[Match], Value | None]:
    """`x + 0` is `x` but for the sign of zero."""

    def apply(m: Match) -> Value | None:
        return m.operand(side) if m.is_number(m.operand(1 - side), 0.0) else None

    return apply


def _power(number: float) -> Callable[[Match], Value | None]:
    """`x ** 0`, `x ** 1` and `x ** 2` need no power, whatever x is."""

    def apply(m: Match) -> Value | None:
        if not m.is_number(m.operand(1), number):
            return None
        if number == 0:
            return m.full(1)
        x = m.operand(0)
        return x if number == 1 else m.emit("mul", x, x)

    return apply


def _rule(
    op: str, line: str, apply: Callable[[Match], Value | None], lic: Licence
) -> tuple[str, Rule]:
    return op, Rule(f"{op}: {line}", line, lic, apply)


_E, _Z = Licence.EXACT, Licence.NO_SIGNED_ZERO

_ALL: tuple[tuple[str, Rule], ...] = (
    _rule("add", "x + 0 = x, whole numbers", _add_zero(0), _E),
    _rule("add", "0 + x = x, whole numbers", _add_zero(1), _E),
    _rule("add", "x + 0.0 = x", _float_zero(0), _Z),
    _rule("add", "0.0 + x = x", _float_zero(1), _Z),
    _rule("sub", "x - 0 = x", _identity(0, 0.0), _E),
    _rule("mul", "x * 1 = x", _identity(0, 1.0), _E),
    _rule("mul", "1 * x = x", _identity(1, 1.0), _E),
    _rule("mul", "x * 0 = 0, whole numbers", _times_zero(0), _E),
    _rule("mul", "0 * x = 0, whole numbers", _times_zero(1), _E),
    _rule("div", "x / 1 = x", _identity(0, 1.0), _E),
    _rule("pow", "x ** 0 = 1", _power(0.0), _E),
    _rule("pow", "x ** 1 = x", _power(1.0), _E),
    _rule("pow", "x ** 2 = x * x", _power(2.0), _E),
    _rule("floordiv", "x // 1 = x, whole numbers", _identity(0, 1.0), _E),
    _rule("neg", "-(-x) = x", _involution, _E),
    _rule("not", "not (a == b) = (a != b)", _not_compare, _E),
    _rule("and", "x and true = x", _logic("and", 0), _E),
    _rule("and", "true and x = x", _logic("and", 1), _E),
    _rule("or", "x or false = x", _logic("or", 0), _E),
    _rule("or", "false or x = x", _logic("or", 1), _E),
    _rule("select", "a known choice", _select_known, _E),
    _rule("convert", "to the same type", _same_convert, _E),
    _rule("retype", "to the same type", _same_convert, _E),
    _rule("broadcast", "to the same shape", _same_convert, _E),
    _rule("transpose", "of a transpose", _transpose_twice, _E),
    _rule("reshape", "of a reshape, or to the same shape", _reshape_twice, _E),
    _rule("index", "of an index", _index_twice, _E),
    _rule("index", "of what was just inserted there", _index_insert, _E),
    _rule("reverse", "twice on one axis", lambda m: _same_axis(m), _E),
)


def _same_axis(m: Match) -> Value | None:
    inner = m.maker(m.operand(0), "reverse")
    if inner is None or inner.attrs.get("axis") != m.op.attrs.get("axis"):
        return None
    return inner.operands[0]


def _by_operation() -> Mapping[str, tuple[Rule, ...]]:
    out: dict[str, list[Rule]] = {}
    for op, rule in _ALL:
        out.setdefault(op, []).append(rule)
    return {k: tuple(v) for k, v in out.items()}


RULES = _by_operation()
"""The rules, by the operation they start from."""
