"""How operations are written that are no expressions: changes in place, checks, control flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from dlc.importers.source.operations import EXPRESSIONS, run
from dlc.importers.source.scope import Scope, Unsayable
from dlc.importers.source.text import ATOM, PLUS, Text, call
from dlc.ir.core import Op, Region, Value
from dlc.typesys.dtypes import I32
from dlc.typesys.types import ListType

Statement: TypeAlias = Callable[[Scope, Op], None]


# -- dims and checks


def _as_dim(s: Scope, op: Op) -> None:
    """A variable that is a whole number is a dim."""
    (dim,) = op.dims
    name = s.names.fresh(dim)
    s.line(f"{name} = {s.index(op.operands[0])}")
    s.dims.name(dim, name)


def _nonzero(s: Scope, op: Op) -> None:
    (dim,) = op.dims
    known = s.names.fresh(dim)
    s.dims.name(dim, known)
    name = s.names.fresh(op.result.hint or "found")
    s.line(f"{name}: i32[?{known}] = nonzero_indices({s.arg(op.operands[0])})")
    t = Text(name)
    d = op.result.tensor.dtype
    s.texts[op.result] = t if d is I32 else call(d.name, name)


def _check_dims(s: Scope, op: Op) -> None:
    left, right = (s.dims.text(op.attr_dim(k)).text for k in ("left", "right"))
    s.line(f"assert {left} == {right}, {_quoted(op.attr_str('message'))}")


def _assert(s: Scope, op: Op) -> None:
    s.line(f"assert {s.arg(op.operands[0])}, {_quoted(op.attr_str('message'))}")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "/").replace('"', "'") + '"'


def _nothing(s: Scope, op: Op) -> None:
    """dl checks every index where it is used."""


def _broadcast(s: Scope, op: Op) -> None:
    s.stretch(op.result, op.operands[0])


def _same(s: Scope, op: Op) -> None:
    s.texts[op.result] = s.text(op.operands[0])


# -- changes


def _copied(s: Scope, op: Op) -> str:
    return s.name(op.result, s.arg(op.operands[0]))


def _insert(s: Scope, op: Op) -> None:
    _, v, *at = op.operands
    value, where = s.arg(v), ", ".join(s.text(i).index or s.arg(i) for i in at)
    s.line(f"{_copied(s, op)}[{where}] = {value}")


def _insert_slice(s: Scope, op: Op) -> None:
    _, v, start = op.operands
    axis, step = op.attr_int("axis"), op.attr_int("step", 1)
    size = v.tensor.shape[axis]
    before = ":, " * axis
    if step == 1:
        where, value = run(s, start, size), s.arg(v)
        s.line(f"{_copied(s, op)}[{before}{where}] = {value}")
        return
    value, first = s.named(v), s.index(start)
    name, i = _copied(s, op), s.names.fresh("i")
    with s.block(f"for {i} in 0..{s.dims.text(size).text}:"):
        s.line(f"{name}[{before}{first} + {i}*{step}] = {value}[{before}{i}]")


def _scatter(s: Scope, op: Op) -> None:
    _, at, v = op.operands
    if op.attr_int("axis", 0) != 0 or len(at.tensor.shape) != 1:
        raise Unsayable("an axis that is not the first, or an index of several axes")
    where, value = s.named(at), s.named(v)
    name, i = _copied(s, op), s.names.fresh("i")
    with s.block(f"for {i} in 0..{s.dims.text(at.tensor.shape[0]).text}:"):
        s.line(f"{name}[{where}[{i}]] = {value}[{i}]")


# -- several results


def _ordered(name: str) -> Statement:
    def write(s: Scope, op: Op) -> None:
        (x,) = op.operands
        if len(x.tensor.shape) != 1:
            raise Unsayable("an order of more than one row")
        more = [s.dims.text(op.attr_dim("k")).text] if name == "top_k" else []
        # dl sorts descending; turned round, equal elements keep their order.
        turned = _turned(x) if name == "sort" and not op.attr_flag("descending") else ""
        made = call(name, f"{turned}{s.at(x, ATOM)}" if turned else s.arg(x), *more).text
        names = [s.names.fresh(v.hint or hint) for v, hint in zip(op.results, ("values", "order"),
                                                                  strict=True)]  # fmt: skip
        s.line(f"{', '.join(names)} = {made}")
        values, order = op.results
        s.texts[values] = Text(f"{turned}{names[0]}", PLUS) if turned else Text(names[0])
        d = order.tensor.dtype
        s.texts[order] = Text(names[1]) if d is I32 else call(d.name, names[1])

    return write


def _turned(x: Value) -> str:
    """What reverses the order of numbers when it stands before them."""
    return "-" if x.tensor.dtype.is_float else "-1 - "


# -- lists


def _list_new(s: Scope, op: Op) -> None:
    t = op.result.type
    assert isinstance(t, ListType)
    name = s.names.fresh(op.result.hint or "items")
    s.line(f"{name}: {s.dims.type(t)} = []")
    s.texts[op.result] = Text(name)


def _list_push(s: Scope, op: Op) -> None:
    _, *xs = op.operands
    value = s.arg(xs[0]) if len(xs) == 1 else f"({', '.join(map(s.arg, xs))})"
    s.line(f"push(mut {_copied(s, op)}, {value})")


def _list_get(s: Scope, op: Op) -> None:
    xs, i = op.operands
    made = f"{s.arg(xs)}[{s.index(i)}]"
    names = [s.names.fresh(v.hint or "item") for v in op.results]
    s.line(f"{', '.join(names)} = {made}")
    s.texts.update({v: Text(n) for v, n in zip(op.results, names, strict=True)})


def _list_len(s: Scope, op: Op) -> None:
    made = call("len", s.arg(op.operands[0]))
    d = op.result.tensor.dtype
    s.give(op.result, made if d is I32 else Text(f"{d.name}({made.text})", index=made.text))


# -- control flow


def _if(s: Scope, op: Op) -> None:
    if op.dims:
        raise Unsayable("branches with results of sizes that only the run decides")
    names = [s.names.fresh(v.hint or "chosen") for v in op.results]
    for head, region in zip((f"if {s.arg(op.operands[0])}:", "else:"), op.regions, strict=True):
        with s.block(head):
            _region(s, region)
            given = [s.arg(v) for v in region.yields]
            for n, x in zip(names, given, strict=True):
                s.line(f"{n} = {x}")
            if not names:
                s.line("_ = 0")
    s.texts.update({v: Text(n) for v, n in zip(op.results, names, strict=True)})


def _region(s: Scope, region: Region) -> None:
    """The region's operations, without its terminator."""
    before, s.region = s.region, s.numbers[region]
    body(s, region.ops[:-1])
    s.region = before


def _carried(s: Scope, params: Sequence[Value], inits: Sequence[Value]) -> list[str]:
    """Variables with the first values of what a loop carries."""
    given = [s.arg(v) for v in inits]
    names = [s.names.fresh(p.hint or "state") for p in params]
    for p, n, x in zip(params, names, given, strict=True):
        s.line(f"{n} = {x}")
        s.texts[p] = Text(n)
    return names


def _next(s: Scope, names: Sequence[str], values: Sequence[Value]) -> None:
    """The next values, all at once."""
    given = [s.arg(v) for v in values]
    changed = [(n, x) for n, x in zip(names, given, strict=True) if n != x]
    if changed:
        s.line(f"{', '.join(n for n, _ in changed)} = {', '.join(x for _, x in changed)}")


def _for(s: Scope, op: Op) -> None:
    _same_sizes(op)
    (region,), (low, high, *inits) = op.regions, op.operands
    bounds = [s.index(low), s.index(high)]
    i, *params = region.params
    names = _carried(s, params, inits)
    turn = s.names.fresh(i.hint or "i")
    if op.attr_flag("reverse"):
        s.texts[i] = _counter(i, f"{bounds[0]} + {bounds[1]} - 1 - {turn}")
    else:
        s.texts[i] = _counter(i, turn)
    with s.block(f"for {turn} in {bounds[0]}..{bounds[1]}:"):
        _turn(s, op, region, names, exits=op.attr_flag("exits"))
    s.texts.update({v: Text(n) for v, n in zip(op.results, names, strict=True)})


def _counter(i: Value, text: str) -> Text:
    d = i.tensor.dtype
    atom = text.isidentifier()
    if d is I32:
        return Text(text, 8 if atom else 4, "", text)
    return Text(f"{d.name}({text})", 8, "", text)


def _loop(s: Scope, op: Op) -> None:
    _same_sizes(op)
    (region,) = op.regions
    names = _carried(s, region.params, op.operands)
    with s.block("while true:"):
        _turn(s, op, region, names, exits=True)
    s.texts.update({v: Text(n) for v, n in zip(op.results, names, strict=True)})


def _turn(s: Scope, op: Op, region: Region, names: Sequence[str], *, exits: bool) -> None:
    start = len(s.lines)
    _region(s, region)
    go, *values = (*region.yields,) if exits else (None, *region.yields)
    again = s.named(go) if go is not None else ""
    _next(s, names, values)
    if again:
        with s.block(f"if not {again}:"):
            s.line("break")
    if len(s.lines) == start:
        s.line("_ = 0")


def _same_sizes(op: Op) -> None:
    if op.dims:
        raise Unsayable("a loop that carries values of sizes that change")


STATEMENTS: Mapping[str, Statement] = MappingProxyType(
    {
        "as_dim": _as_dim, "nonzero_indices": _nonzero, "check_dims": _check_dims,
        "assert": _assert, "check_indices": _nothing, "broadcast": _broadcast, "retype": _same,
        "insert": _insert, "insert_slice": _insert_slice, "scatter": _scatter,
        "sort": _ordered("sort"), "top_k": _ordered("top_k"),
        "list_new": _list_new, "list_push": _list_push, "list_get": _list_get,
        "list_len": _list_len, "if": _if, "for": _for, "loop": _loop,
    }
)  # fmt: skip


def body(s: Scope, ops: Sequence[Op]) -> None:
    """Operations in order; what cannot be said is collected in `s.unsayable`."""
    for op in ops:
        s.mark(op.loc)
        try:
            if op.name in STATEMENTS:
                STATEMENTS[op.name](s, op)
            elif op.name in EXPRESSIONS:
                s.give(op.result, EXPRESSIONS[op.name](s, op))
            else:
                raise Unsayable("no expression of dl does this")
        except Unsayable as why:
            s.unsayable.setdefault((op.name, str(why)), []).append(op.loc.line)
            for v in op.results:
                s.texts[v] = Text(s.names.fresh("unsaid"))
            for d in op.dims:
                s.dims.name(d, s.names.fresh(d))
