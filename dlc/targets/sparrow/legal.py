"""`Map` bodies in operations that the vector unit has: others become two or more of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from dlc.memory.form import Lane, Map, MapArg, MapInstr, Reg
from dlc.typesys.dtypes import BOOL, F32, I32, DType

Body = tuple[tuple[MapInstr, ...], tuple[MapArg, ...]]


def operand_dtype(s: Map, body: Sequence[MapInstr], i: MapInstr) -> DType:
    """The dtype of an instruction's operands (of `select`: the last two); numbers take it from the
    others."""
    if i.op == "select":
        return i.dtype
    for a in i.args:
        t = _dtype(s, body, a)
        if t is not None:
            return t
    return i.dtype


def _dtype(s: Map, body: Sequence[MapInstr], a: MapArg) -> DType | None:
    if isinstance(a, Lane):
        if a.kind == "input":
            return s.ins[a.index].dtype
        return body[a.index].dtype if a.kind == "temp" else I32
    return a.type if isinstance(a, Reg) and isinstance(a.type, DType) else None


class _Legal:
    """The new body while it grows."""

    def __init__(self, s: Map) -> None:
        self.s = s
        self.made: list[MapInstr] = []
        self.renamed: list[MapArg] = []

    def emit(self, op: str, *args: MapArg, dtype: DType = F32) -> Lane:
        self.made.append(MapInstr(op, args, dtype))
        return Lane("temp", len(self.made) - 1)

    def arg(self, a: MapArg) -> MapArg:
        return self.renamed[a.index] if isinstance(a, Lane) and a.kind == "temp" else a

    def instruction(self, i: MapInstr) -> None:
        args = tuple(map(self.arg, i.args))
        of = operand_dtype(self.s, self.s.body, i)
        rule = (_FLOATS if of.is_float else _INTS).get(i.op)
        if i.op == "convert" and i.dtype.is_bool:
            self.renamed.append(self.emit("ne", args[0], 0, dtype=BOOL))
        elif rule is not None and (of.name != "i64" or i.op == "not"):
            self.renamed.append(rule(self, i.dtype, of, *args))
        else:
            self.made.append(MapInstr(i.op, args, i.dtype, i.attrs))
            self.renamed.append(Lane("temp", len(self.made) - 1))


def legal(s: Map) -> Map:
    """The same map; every operation but those on i64 and a few on integers is one instruction."""
    work = _Legal(s)
    for i in s.body:
        work.instruction(i)
    results = tuple(map(work.arg, s.results))
    return Map(s.space, s.outs, s.ins, tuple(work.made), results, s.loc)


def _is_finite(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("ne", w.emit("finite", x), 0.0, dtype=BOOL)


def _is_nan(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("ne", x, x, dtype=BOOL)


def _is_inf(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("eq", w.emit("abs", x), math.inf, dtype=BOOL)


def _floordiv(w: _Legal, to: DType, of: DType, x: MapArg, y: MapArg) -> Lane:
    return w.emit("floor", w.emit("div", x, y, dtype=to), dtype=to)


def _mod(w: _Legal, to: DType, of: DType, x: MapArg, y: MapArg) -> Lane:
    q = w.emit("floor", w.emit("div", x, y))
    return w.emit("sub", x, w.emit("mul", y, q), dtype=to)


def _tan(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("div", w.emit("sin", x), w.emit("cos", x), dtype=to)


def _atan(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("atan2", x, 1.0, dtype=to)


def _across(w: _Legal, x: MapArg) -> Lane:
    """sqrt((1 - x)(1 + x))."""
    return w.emit("sqrt", w.emit("mul", w.emit("sub", 1.0, x), w.emit("add", 1.0, x)))


def _asin(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("atan2", x, _across(w, x), dtype=to)


def _acos(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("atan2", _across(w, x), x, dtype=to)


def _powers(w: _Legal, x: MapArg) -> tuple[Lane, Lane]:
    """e**(|x| / 2) and half of it: their product can't overflow before the result does."""
    e = w.emit("exp", w.emit("mul", w.emit("abs", x), 0.5))
    return e, w.emit("mul", e, 0.5)


def _cosh(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    e, h = _powers(w, x)
    small = w.emit("div", w.emit("div", 0.5, e), e)
    return w.emit("add", w.emit("mul", h, e), small, dtype=to)


def _sinh(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    """From expm1 near 0, where the difference of two powers cancels."""
    t = w.emit("expm1", x)
    near = w.emit("mul", w.emit("add", t, w.emit("div", t, w.emit("add", t, 1.0))), 0.5)
    e, h = _powers(w, x)
    far = w.emit("mul", w.emit("mul", h, e), w.emit("sign", x))
    is_far = w.emit("lt", 9.0, w.emit("abs", x), dtype=BOOL)
    return w.emit("select", is_far, far, near, dtype=to)


def _neg(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("sub", 0, x, dtype=to)


def _abs(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("max", x, w.emit("sub", 0, x, dtype=to), dtype=to)


def _relu(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    return w.emit("max", x, 0, dtype=to)


def _not(w: _Legal, to: DType, of: DType, x: MapArg) -> Lane:
    if of.is_bool:
        return w.emit("eq", x, 0, dtype=to)
    return w.emit("sub", -1, x, dtype=to)


Rule = Callable[..., Lane]
_FLOATS: Mapping[str, Rule] = MappingProxyType(
    {
        "is_finite": _is_finite, "is_nan": _is_nan, "is_inf": _is_inf, "floordiv": _floordiv,
        "mod": _mod, "tan": _tan, "atan": _atan, "asin": _asin, "acos": _acos, "sinh": _sinh,
        "cosh": _cosh,
    }
)  # fmt: skip
_INTS: Mapping[str, Rule] = MappingProxyType({"neg": _neg, "abs": _abs, "relu": _relu, "not": _not})
