"""What a recursive function does with its parameters, and its body for each case.

| role | parameter or result | in the level form |
|---|---|---|
| node | the structure that the recursion goes down (in two forms) | rows of tables |
| same | passed on unchanged | the same for all rows |
| down | anything else that is passed on | a table, filled from the root |
| acc | paired `inout`, handed from call to call | contributions of all rows, added at the end |
| up | a tensor result | a table, filled from the leaves |
| structure | one structure result | its tensors become tables |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dlc.ir.core import AdtDecl, Constructor, Function, Op, Value
from dlc.passes.batch import free_operands
from dlc.passes.effects import Effects
from dlc.passes.levels.contributions import Contribution, contributions, is_threaded
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

    nodes: tuple[int, ...]
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
    node: Made | None = None
    """Of a first half: the fields that `leaves` are, and the node as its body sees it."""


@dataclass(frozen=True)
class Recursion:
    fn: Function
    roles: Roles
    cases: tuple[Case, ...]
    visits: tuple[tuple[int, ...], ...] = ()
    """For each case and slot the field of the node that is visited (of a first half)."""

    @property
    def node(self) -> Value:
        """The first of the parameters that are nodes."""
        return self.fn.params[self.roles.nodes[0]]

    @property
    def params(self) -> tuple[Value, ...]:
        return self.fn.params


def first_half(fn: Function, types: Mapping[str, AdtDecl], effects: Effects) -> Recursion:
    """The function as a recursion down an algebraic value. Raises Refused."""
    node = _node_param(fn)
    t = fn.params[node].type
    assert isinstance(t, AdtType)
    made = [_fields(t, c, types, fn) for c in types[t.name].constructors]
    bodies = [specialise(fn, {fn.params[node]: m}, types) for m in made]
    _need_order(fn, bodies, effects)
    visits = tuple(tuple(_child(c, node) for c in body.calls) for body in bodies)
    roles = _roles(fn, (node,), bodies)
    cases: list[Case] = []
    for m, body in zip(made, bodies, strict=True):
        own = {i: s for i, s in enumerate(m.fields) if isinstance(s, Value)}
        leaves = tuple(own.values())
        case = _case(fn, roles, m.constructor, leaves, body, range(len(body.calls)))
        cases.append(replace(case, fields=tuple(own), node=m))
    return Recursion(fn, roles, tuple(cases), visits)


def _fields(t: AdtType, c: Constructor, types: Mapping[str, AdtDecl], fn: Function) -> Made:
    """A node of the constructor whose tensors are values and whose parts are children."""
    if c.dims:
        raise Refused(f"{c.name} has sizes of its own", fn.loc)
    symbols: list[Symbol] = []
    for i, (f, ft) in enumerate(zip(c.fields, types[t.name].field_types(t, c.name), strict=True)):
        if ft == t:
            symbols.append(Child(i))
        elif isinstance(ft, TensorType):
            symbols.append(Value(ft, f.name))
        else:
            symbols.append(Opaque(f.name))
    return Made(c.name, tuple(symbols))


def second_half(first: Recursion, fn: Function, types: Mapping[str, AdtDecl]) -> Recursion:
    """The function as a recursion over the structure that `first` returns, and perhaps over the
    nodes again: the same nodes, whose structure is known case by case. Raises Refused."""
    roles = first.roles
    assert roles.structure is not None
    residual, node = first.fn.result_types[roles.structure], first.node.type
    nodes = sorted(
        (i for i, p in enumerate(fn.params) if isinstance(p.type, AdtType)),
        key=lambda i: fn.params[i].type != residual,
    )
    types_of = [fn.params[i].type for i in nodes]
    if types_of[:1] != [residual] or any(t != node for t in types_of[1:]):
        raise Refused("the second half takes other structures", fn.loc)
    if fn.dims != first.fn.dims or residual == node:
        raise Refused("the second half takes other structures", fn.loc)
    bodies: list[Straight] = []
    slots: list[list[int]] = []
    for case, fields in zip(first.cases, first.visits, strict=True):
        assert case.node is not None
        given: dict[Value, Symbol] = {fn.params[i]: case.node for i in nodes[1:]}
        given[fn.params[nodes[0]]] = case.results[roles.structure]
        body = specialise(fn, given, types)
        own = [_link(c, nodes[0]) for c in body.calls]
        if sorted(own) != list(range(len(case.calls))):
            raise Refused("the second half does not visit every node once", fn.loc)
        for c, slot in zip(body.calls, own, strict=True):
            if any(_child(c, i) != fields[slot] for i in nodes[1:]):
                raise Refused("the second half goes another way", c.op.loc)
        bodies.append(body)
        slots.append(own)
    second = _roles(fn, tuple(nodes), bodies)
    if second.structure is not None:
        raise Refused("the second half makes a structure", fn.loc)
    cases: list[Case] = []
    for case, body, own in zip(first.cases, bodies, slots, strict=True):
        stored = residuals(case.results[roles.structure])
        read = reads(body)
        leaves = (*stored, *(v for v in case.leaves if v in read and v not in stored))
        cases.append(_case(fn, second, case.constructor, leaves, body, own))
    return Recursion(fn, second, tuple(cases))


def without_unread(first: Recursion, second: Recursion | None) -> Recursion:
    """The first half without fields that neither half looks at."""
    cases: list[Case] = []
    for n, case in enumerate(first.cases):
        read = set(second.cases[n].leaves if second else ())
        read |= {v for op in case.ops for v in free_operands(op)}
        read |= {v for c in case.calls for v in c.op.operands}
        read |= {v for adds in case.added for c in adds for v in c.values}
        read |= {v for s in case.results for v in _values(s)}
        used = [(f, v) for f, v in zip(case.fields, case.leaves, strict=True) if v in read]
        fields, leaves = tuple(f for f, _ in used), tuple(v for _, v in used)
        cases.append(replace(case, fields=fields, leaves=leaves))
    return replace(first, cases=tuple(cases))


def reads(body: Straight) -> set[Value]:
    return {v for op in body.ops for v in free_operands(op)}


def residuals(s: Symbol) -> tuple[Value, ...]:
    """The tensors in a structure, each once, in order. Raises Refused for other parts than those,
    what calls returned, and parts of the node."""
    for x in _parts(s):
        if isinstance(x, Value) and not isinstance(x.type, TensorType):
            raise Refused("it returns lists inside a structure")
        if isinstance(x, Opaque):
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


def _child(c: SelfCall, node: int) -> int:
    at = c.args[node]
    if not isinstance(at, Child):
        raise Refused("it recurses on more than the node's parts", c.op.loc)
    return at.field


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


def _roles(fn: Function, nodes: tuple[int, ...], bodies: list[Straight]) -> Roles:
    calls = [c for b in bodies for c in b.calls]
    acc = tuple(
        (p, r) for p, r in _pairs(fn) if all(is_threaded(fn, p, r, body) for body in bodies)
    )
    same: list[int] = []
    down: list[int] = []
    for i, p in enumerate(fn.params):
        if i in nodes or i in (a for a, _ in acc):
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
    return Roles(nodes, tuple(same), tuple(down), acc, tuple(up), structure)


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
