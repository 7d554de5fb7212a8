"""How each operation of the IR is written as an expression of dl."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from dlc.importers.source.scope import Scope, Unsayable
from dlc.importers.source.text import (
    AND,
    ATOM,
    COMPARE,
    NOT,
    OR,
    PLUS,
    POWER,
    TIMES,
    UNARY,
    Text,
    array,
    call,
    number,
)
from dlc.importers.source.windows import conv, pool
from dlc.ir.core import Op, Value
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, I32

INLINE = 4
"""Elements of a constant that is written into the text."""

Rule: TypeAlias = Callable[[Scope, Op], Text]


# -- from nothing


def _const(s: Scope, op: Op) -> Text:
    t, value = op.result.tensor, op.attrs["value"]
    if not t.shape:
        return number(np.asarray(value)[()], t.dtype)
    a = np.asarray(value)
    if a.ndim == 0 or not a.size:
        x = number(a[()] if a.ndim == 0 else 0, t.dtype)
        return call("fill", x.text, *s.shape(op.result))
    return array(a, t.dtype) if a.size <= INLINE else s.field(op.result, a)


def _iota(s: Scope, op: Op) -> Text:
    made = call("iota", s.dims.text(op.attr_dim("size")).text)
    d = op.result.tensor.dtype
    return made if d is I32 else call(d.name, made.text)


def _dim(s: Scope, op: Op) -> Text:
    made = s.dims.text(op.attr_dim("value"))
    d = op.result.tensor.dtype
    return made if d is I32 else Text(f"{d.name}({made.text})", ATOM, "", made.text)


# -- of each element


def _function(name: str) -> Rule:
    def write(s: Scope, op: Op) -> Text:
        # A function stretches nothing: the operand is stretched before, or its result after.
        return call(name, *(s.arg(v) for v in op.operands))

    return write


def _stretching(name: str) -> Rule:
    def write(s: Scope, op: Op) -> Text:
        return call(name, *(t.text for t in s.aligned(op, op.operands)))

    return write


def _operator(sign: str, level: int, *, whole: str = "", logical: bool = False) -> Rule:
    def write(s: Scope, op: Op) -> Text:
        d = op.operands[0].tensor.dtype
        if logical and d is not BOOL:
            raise Unsayable("bits of whole numbers")
        if sign == "%" and d.is_float:
            raise Unsayable("remainders of floats")
        a, b = s.aligned(op, op.operands)
        if sign == "**" and d.is_int and not b.bare:
            raise Unsayable("powers of whole numbers with an exponent that is computed")
        used = whole if whole and d.is_int else sign
        right = POWER + 1 if level == POWER else level + 1
        left = level + 1 if level in (COMPARE, POWER) else level
        return Text(f"{a.at(left)} {used} {b.at(right)}", level)

    return write


def _not(s: Scope, op: Op) -> Text:
    if op.operands[0].tensor.dtype is not BOOL:
        raise Unsayable("bits of whole numbers")
    return Text(f"not {s.at(op.operands[0], NOT)}", NOT)


def _neg(s: Scope, op: Op) -> Text:
    return Text(f"-{s.at(op.operands[0], ATOM)}", UNARY)


def _select(s: Scope, op: Op) -> Text:
    texts = s.aligned(op, op.operands)
    if all(t.bare for t in texts[1:]):
        texts[1:] = [s.text(s.source(v)) for v in op.operands[1:]]
    return call("where", *(t.text for t in texts))


def _convert(s: Scope, op: Op) -> Text:
    x, d = s.text(op.operands[0]), op.result.tensor.dtype
    return Text(f"{d.name}({x.index if x.index and d.is_int else x.text})", ATOM, "", x.index)


# -- shapes


def _reshape(s: Scope, op: Op) -> Text:
    x, shape = op.operands[0], op.result.tensor.shape
    if not shape:
        return Text(f"{s.at(x, ATOM)}[{', '.join('0' for _ in x.tensor.shape)}]")
    if not x.tensor.shape:
        return call("fill", s.arg(x), *s.shape(op.result))
    return call("reshape", s.arg(x), *s.shape(op.result))


def _transpose(s: Scope, op: Op) -> Text:
    perm = op.attr_ints("perm")
    if perm == (1, 0):
        return Text(f"{s.at(op.operands[0], ATOM)}.T")
    return turned(s.arg(op.operands[0]), perm)


def turned(x: str, perm: Sequence[int]) -> Text:
    """`transpose`, left out where it changes nothing."""
    if list(perm) == sorted(perm):
        return Text(x, OR)
    return call("transpose", x, *map(str, perm))


def _along_front(s: Scope, v: Value, axis: int, made: Callable[[str], Text]) -> Text:
    """`made` of the value with the axis in front, and the axis back in its place."""
    rank = len(v.tensor.shape)
    if axis == 0:
        return made(s.at(v, ATOM))
    perm = [axis, *(i for i in range(rank) if i != axis)]
    back = [*range(1, axis + 1), 0, *range(axis + 1, rank)]
    return turned(made(turned(s.arg(v), perm).text).text, back)


def _concat(s: Scope, op: Op) -> Text:
    parts = [s.arg(v) for v in op.operands]
    if len(parts) == 1:
        return Text(parts[0], OR)
    axis = op.attr_int("axis")
    return call("concat", *parts, *([f"axis={axis}"] if axis else []))


def _reverse(s: Scope, op: Op) -> Text:
    return _along_front(s, op.operands[0], op.attr_int("axis"), lambda x: call("reverse", x))


def _cumsum(s: Scope, op: Op) -> Text:
    if op.attr_flag("exclusive"):
        raise Unsayable("a sum of what is before an element alone")
    turn: Callable[[str], str] = (
        (lambda x: f"reverse({x})") if op.attr_flag("reverse") else (lambda x: x)
    )
    return _along_front(
        s, op.operands[0], op.attr_int("axis"), lambda x: Text(turn(f"cumsum({turn(x)})"))
    )


# -- parts


def run(s: Scope, start: Value, size: Dim) -> str:
    """`a:b`."""
    text = s.text(start).index
    if not text:
        text = s.names.fresh("start")
        s.line(f"{text} = {s.index(start)}")
    if text.isdigit() and size.is_constant:
        return f"{text}:{int(text) + size.constant}"
    end = s.dims.text(size).text
    return f"{text}:{end}" if text == "0" else f"{text}:{text} + {end}"


def _slice(s: Scope, op: Op) -> Text:
    x, start = op.operands
    axis, step, size = op.attr_int("axis"), op.attr_int("step", 1), op.attr_dim("size")
    if step == 1:
        return Text(f"{s.at(x, ATOM)}[{':, ' * axis}{run(s, start, size)}]")
    at = Text(f"iota({s.dims.text(size).text}) * {step} + {s.index(start)}")
    return _along_front(s, x, axis, lambda front: Text(f"{front}[{at.text}]"))


def _index(s: Scope, op: Op) -> Text:
    x, *at = op.operands
    return Text(f"{s.at(x, ATOM)}[{', '.join(s.text(i).index or s.arg(i) for i in at)}]")


def _take(s: Scope, op: Op) -> Text:
    x, i = op.operands
    axis, rank, more = op.attr_int("axis", 0), len(x.tensor.shape), len(i.tensor.shape)
    if not more:
        at = s.text(i).index or s.arg(i)
        return Text(f"{s.at(x, ATOM)}[{':, ' * axis}{at}]")
    if axis == 0:
        return Text(f"{s.at(x, ATOM)}[{s.arg(i)}]")
    front = turned(s.arg(x), [axis, *(a for a in range(rank) if a != axis)])
    back = [*range(more, more + axis), *range(more), *range(more + axis, more + rank - 1)]
    return turned(f"{front.at(ATOM)}[{s.arg(i)}]", back)


def _take_along(s: Scope, op: Op) -> Text:
    x, i = op.operands
    if len(x.tensor.shape) != 2 or op.attr_int("axis") != 1:
        raise Unsayable("one element of each row, but of matrices along the last axis")
    at = s.arg(i) if i.tensor.dtype is I32 else f"i32({s.arg(i)})"
    return call("take", s.arg(x), at)


def _scatter(name: str) -> Rule:
    def write(s: Scope, op: Op) -> Text:
        x, i, v = op.operands
        if op.attr_int("axis", 0) != 0 or len(i.tensor.shape) != 1:
            raise Unsayable("an axis that is not the first, or an index of several axes")
        at = s.arg(i) if i.tensor.dtype is I32 else f"i32({s.arg(i)})"
        return call(name, s.arg(x), at, s.arg(v))

    return write


# -- sums and products

_REDUCTIONS = {"sum": "sum", "mean": "mean", "max": "max", "min": "min", "prod": "prod",
               "any": "any", "all": "all"}  # fmt: skip


def _reduce(s: Scope, op: Op) -> Text:
    x, axes = op.operands[0], sorted(op.attr_ints("axes"), reverse=True)
    name = _REDUCTIONS[op.attr_str("kind")]
    if not axes:
        return s.text(x)
    if len(axes) == len(x.tensor.shape):
        return call(name, s.arg(x))
    text = s.arg(x)
    for axis in axes:
        text = f"{name}({text}, {axis})"
    return Text(text)


def _arg(name: str) -> Rule:
    def write(s: Scope, op: Op) -> Text:
        x, axis = op.operands[0], op.attr_int("axis")
        made = call(name, s.arg(x), *([str(axis)] if len(x.tensor.shape) > 1 else []))
        d = op.result.tensor.dtype
        return made if d is I32 else call(d.name, made.text)

    return write


def _contract(s: Scope, op: Op) -> Text:
    a, b = op.operands
    spec = op.attr_str("spec")
    d = op.result.tensor.dtype
    x, y = (s.text(v) if v.tensor.dtype == d else call(d.name, s.arg(v)) for v in (a, b))
    (left, right), out = spec.split("->")[0].split(","), spec.split("->")[1]
    if len(left) == 2 and out[:1] == left[0] and len(set(left + right)) == len(right) + 1:
        i, k = left
        if right == k and out == i:
            return Text(f"{x.at(TIMES)} @ {y.at(UNARY)}", TIMES)
        if len(right) == 2 and out == i + right[1] and right[0] == k:
            return Text(f"{x.at(TIMES)} @ {y.at(UNARY)}", TIMES)
        if len(right) == 2 and out == i + right[0] and right[1] == k:
            return Text(f"{x.at(TIMES)} @ {y.at(ATOM)}.T", TIMES)
    return call("einsum", f'"{spec}"', x.text, y.text)


# -- the table

_FUNCTIONS = (
    "exp log log1p expm1 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
    "sigmoid erf relu abs sign floor ceil round trunc is_finite is_nan is_inf"
).split()

EXPRESSIONS: Mapping[str, Rule] = MappingProxyType(
    {
        **{name: _function(name) for name in _FUNCTIONS},
        "const": _const, "iota": _iota, "dim": _dim,
        "neg": _neg, "not": _not,
        "add": _operator("+", PLUS), "sub": _operator("-", PLUS),
        "mul": _operator("*", TIMES), "div": _operator("/", TIMES),
        "floordiv": _operator("//", TIMES), "pow": _operator("**", POWER),
        "mod": _operator("%", TIMES),
        "max": _stretching("maximum"), "min": _stretching("minimum"),
        "atan2": _function("atan2"),
        "eq": _operator("==", COMPARE), "ne": _operator("!=", COMPARE),
        "lt": _operator("<", COMPARE), "le": _operator("<=", COMPARE),
        "gt": _operator(">", COMPARE), "ge": _operator(">=", COMPARE),
        "and": _operator("and", AND, logical=True), "or": _operator("or", OR, logical=True),
        "xor": _operator("!=", COMPARE, logical=True),
        "select": _select, "convert": _convert,
        "reshape": _reshape, "transpose": _transpose, "concat": _concat, "reverse": _reverse,
        "cumsum": _cumsum, "slice": _slice, "index": _index, "take": _take,
        "take_along": _take_along,
        "scatter_add": _scatter("scatter_add"), "scatter_max": _scatter("scatter_max"),
        "reduce": _reduce, "argmax": _arg("argmax"), "argmin": _arg("argmin"),
        "contract": _contract, "conv": conv, "pool": pool,
    }
)  # fmt: skip
"""Operations with one result that are an expression."""
