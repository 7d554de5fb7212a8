"""What a recursive function does with its parameters, and its body for each case.

| role | parameter or result | in the level form |
|---|---|---|
| node | the structure that the recursion goes down | rows of tables |
| same | passed on unchanged | the same for all rows |
| down | anything else that is passed on | a table, filled from the root |
| acc | paired `inout`, threaded through all calls | contributions of all rows, added at the end |
| up | a tensor result | a table, filled from the leaves |
| structure | one structure result | its tensors become tables |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dlc.ir.core import AdtDecl, Function, Op, Value
from dlc.passes.batch import free_operands
from dlc.passes.effects import Effects
from dlc.passes.levels.contributions import Contribution, contributions
from dlc.passes.levels.specialise import (
    Child,
    Link,
    Made,
    Opaque,
    Refused,
    SelfCall,
    Straight,
    Symbol,
    specialise,
)
from dlc.typesys.types import AdtType, TensorType


@dataclass(frozen=True)
class Roles:
    """Numbers of parameters and results, by role; `acc` are (parameter, result)."""

    node: int
    same: tuple[int, ...]
    down: tuple[int, ...]
    acc: tuple[tuple[int, int], ...]
    up: tuple[int, ...]
    structure: int | None


@dataclass(frozen=True)
class Call:
    """A call on a part of the node: `slot` counts the calls that the schedule knows of the case."""

    op: Op
    slot: int


@dataclass(frozen=True)
class Case:
    """The body for nodes of one constructor. `leaves` are the values that come with each node:
    fields in the first half, residuals in the second. `ops` lack calls and accumulations; `calls`
    are in order."""

    constructor: str
    leaves: tuple[Value, ...]
    ops: tuple[Op, ...]
    calls: tuple[Call, ...]
    results: tuple[Symbol, ...]
    added: tuple[tuple[Contribution, ...], ...]
    """For each accumulator what the case adds."""
    fields: tuple[int, ...] = ()
    """The fields that `leaves` are, in a first half."""


@dataclass(frozen=True)
class Recursion:
    fn: Function
    roles: Roles
    cases: tuple[Case, ...]
    visits: tuple[tuple[int, ...], ...] = ()
    """For each case and slot the field of the node that is visited (of a first half)."""

    @property
    def params(self) -> tuple[Value, ...]:
        return self.fn.params


def first_half(fn: Function, types: Mapping[str, AdtDecl], effects: Effects) -> Recursion:
    """The function as a recursion down an algebraic value. Raises Refused."""
    node = _node_param(fn)
    t = fn.params[node].type
    assert isinstance(t, AdtType)
    bodies: list[Straight] = []
    leaves: list[dict[int, Value]] = []
    for c in types[t.name].constructors:
        if c.dims:
            raise Refused(f"{c.name} has sizes of its own", fn.loc)
        symbols: list[Symbol] = []
        field_types = types[t.name].field_types(t, c.name)
        for i, (f, ft) in enumerate(zip(c.fields, field_types, strict=True)):
            if ft == t:
                symbols.append(Child(i))
            elif isinstance(ft, TensorType):
                symbols.append(Value(ft, f.name))
            else:
                symbols.append(Opaque(f.name))
        bodies.append(specialise(fn, {fn.params[node]: Made(c.name, tuple(symbols))}, types))
        leaves.append({i: s for i, s in enumerate(symbols) if isinstance(s, Value)})
    _need_order(fn, bodies, effects)
    visits: list[tuple[int, ...]] = []
    for body in bodies:
        fields: list[int] = []
        for c in body.calls:
            at = c.args[node]
            if not isinstance(at, Child):
                raise Refused("it recurses on more than the node's parts", c.op.loc)
            fields.append(at.field)
        visits.append(tuple(fields))
    roles = _roles(fn, node, bodies)
    names = [c.name for c in types[t.name].constructors]
    cases: list[Case] = []
    for name, own, body in zip(names, leaves, bodies, strict=True):
        read = {v for op in body.ops for v in free_operands(op)}
        for r in body.results:
            read.update((r,) if isinstance(r, Value) else _values(r))
        used = {i: v for i, v in own.items() if v in read}
        case = _case(fn, roles, name, tuple(used.values()), body, range(len(body.calls)))
        cases.append(replace(case, fields=tuple(used)))
    return Recursion(fn, roles, tuple(cases), tuple(visits))


def second_half(first: Recursion, fn: Function, types: Mapping[str, AdtDecl]) -> Recursion:
    """The function as a recursion over the structure that `first` returns: the same nodes, whose
    structure is known case by case. Raises Refused."""
    roles = first.roles
    assert roles.structure is not None
    t = first.fn.result_types[roles.structure]
    params = [i for i, p in enumerate(fn.params) if isinstance(p.type, AdtType)]
    if len(params) != 1 or fn.params[params[0]].type != t or fn.dims != first.fn.dims:
        raise Refused("the second half takes other structures", fn.loc)
    (node,) = params
    bodies: list[Straight] = []
    for case in first.cases:
        made = case.results[roles.structure]
        body = specialise(fn, {fn.params[node]: made}, types)
        slots = [_link(c, node) for c in body.calls]
        if sorted(slots) != list(range(len(case.calls))):
            raise Refused("the second half does not visit every node once", fn.loc)
        bodies.append(body)
    second = _roles(fn, node, bodies)
    if second.structure is not None:
        raise Refused("the second half makes a structure", fn.loc)
    cases = [
        _case(fn, second, c.constructor, residuals(c.results[roles.structure]), body,
              [_link(k, node) for k in body.calls])
        for c, body in zip(first.cases, bodies, strict=True)
    ]  # fmt: skip
    return Recursion(fn, second, tuple(cases))


def residuals(s: Symbol) -> tuple[Value, ...]:
    """The tensors in a structure, each once, in order. Raises Refused for other parts than those
    and what calls returned."""
    for x in _parts(s):
        if isinstance(x, Value) and not isinstance(x.type, TensorType):
            raise Refused("it returns lists inside a structure")
        if isinstance(x, (Child, Opaque)):
            raise Refused("it returns parts of its structure")
    return _values(s)


def _values(s: Symbol) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(x for x in _parts(s) if isinstance(x, Value)))


def _parts(s: Symbol) -> Iterator[Symbol]:
    """The structure's parts, constructors left out, in order."""
    work: list[Symbol] = [s]
    while work:
        x = work.pop()
        if isinstance(x, Made):
            work += reversed(x.fields)
        else:
            yield x


def _link(c: SelfCall, node: int) -> int:
    at = c.args[node]
    if not isinstance(at, Link):
        raise Refused("it recurses on more than the node's parts", c.op.loc)
    return at.call


def _node_param(fn: Function) -> int:
    found = [i for i, p in enumerate(fn.params) if isinstance(p.type, AdtType)]
    if len(found) != 1:
        raise Refused(f"it takes {len(found)} structures", fn.loc)
    return found[0]


def _need_order(fn: Function, bodies: Iterable[Straight], effects: Effects) -> None:
    """Levels change the order of nodes: of two places that may fail another could be reported."""
    failing = dict.fromkeys(
        op for b in bodies for op in b.ops if op.name != "call" and effects.may_fail(op)
    )
    places = list(dict.fromkeys((op.loc, op.name) for op in failing))
    if len(places) > 1:
        raise Refused("several of its operations may fail, and their order matters", places[1][0])
    for b in bodies:
        for op in b.ops:
            if op.name == "call" and op.attr_str("fn") != fn.name and effects.may_fail(op):
                raise Refused("it calls what may fail", op.loc)


def _roles(fn: Function, node: int, bodies: list[Straight]) -> Roles:
    calls = [c for b in bodies for c in b.calls]
    acc = _pairs(fn)
    same: list[int] = []
    down: list[int] = []
    for i, p in enumerate(fn.params):
        if i == node or i in (a for a, _ in acc):
            continue
        if all(c.args[i] is p for c in calls):
            same.append(i)
        elif isinstance(p.type, TensorType):
            down.append(i)
        else:
            raise Refused(f"%{p.hint} is passed down changed", fn.loc)
    up: list[int] = []
    structure: int | None = None
    for i, t in enumerate(fn.result_types):
        if i in (r for _, r in acc):
            continue
        if isinstance(t, TensorType):
            up.append(i)
        elif isinstance(t, AdtType) and structure is None:
            structure = i
        else:
            raise Refused("it returns lists or several structures", fn.loc)
    if fn.result_dims:
        raise Refused("the sizes of its results depend on the run", fn.loc)
    return Roles(node, tuple(same), tuple(down), acc, tuple(up), structure)


def _pairs(fn: Function) -> tuple[tuple[int, int], ...]:
    out: list[tuple[int, int]] = []
    given = fn.attrs.get("inout", ())
    assert isinstance(given, tuple)
    for pair in given:
        assert isinstance(pair, tuple)
        p, r = pair
        assert isinstance(p, int) and isinstance(r, int)
        out.append((p, r))
    return tuple(out)


def _case(
    fn: Function,
    roles: Roles,
    name: str,
    leaves: tuple[Value, ...],
    body: Straight,
    slots: Iterable[int],
) -> Case:
    ops, added = contributions(fn, roles.acc, body)
    for r in roles.up:
        if not isinstance(body.results[r], Value):
            raise Refused("it returns parts of its structure", fn.loc)
    calls = tuple(Call(c.op, s) for c, s in zip(body.calls, slots, strict=True))
    return Case(name, leaves, ops, calls, body.results, added)
