"""Cotangents through lists and algebraic values: these need tangent types, which cards don't
know."""

from __future__ import annotations

from collections.abc import Callable

from dlc.autodiff.mirror import Node
from dlc.autodiff.places import Places
from dlc.autodiff.tangents import hidden, open_case
from dlc.ir.core import Value
from dlc.typesys.dims import Dim
from dlc.typesys.types import SCALAR_I32, AdtType, ListType

Rule = Callable[[Places, Node, "list[Value | None]"], None]


def _columns(t: ListType, p: Places) -> tuple[int | None, ...]:
    return p.tangents.column_map(t.columns)


def _list_type(v: Value) -> ListType:
    assert isinstance(v.type, ListType)
    return v.type


def variant(p: Places, n: Node, d: list[Value | None]) -> None:
    """`d` of C(x…): take it apart; every other constructor is the zero."""
    (dv,) = d
    assert dv is not None and isinstance(dv.type, AdtType)
    decl = p.tangents.types[dv.type.name]
    c = decl.constructor(str(n.attrs["constructor"]))
    made = n.results[0].type
    assert isinstance(made, AdtType)
    own = p.tangents.types[made.name]
    fields = own.constructor(c.name).fields
    carried = [
        x for x, f in zip(n.operands, fields, strict=True) if p.tangents.of(f.type) is not None
    ]
    wanted = [i for i, x in enumerate(carried) if p.active(x)]
    if not wanted:
        return
    bind = dict(zip(decl.dims, dv.type.dims, strict=True))
    hit, parts = open_case(p.b, c, bind)
    # Hidden sizes of the record are known outside: name the payload by them.
    picked = [parts[i] for i in wanted]
    if c.dims:
        known = [p.type_of(carried[i]) for i in wanted]
        picked = [hit.emit_typed("retype", t, v) for t, v in zip(known, picked, strict=True)]
    miss = p.b.nested()
    zeros = [p.tangents.zero(miss, carried[i].type, carried[i]) for i in wanted]
    got = p.b.match_(dv, (c.name, "_"), (hit.yield_(*picked), miss.yield_(*zeros)))
    for i, g in zip(wanted, got, strict=True):
        p.add(carried[i], lambda g=g: g)


def list_push(p: Places, n: Node, d: list[Value | None]) -> None:
    (dl,) = d
    assert dl is not None
    rest, *parts = p.b.emit_many("list_pop", dl, in_bounds=True)
    _add_columns(p, _list_type(n.results[0]), n.operands[1:], parts)
    p.add(n.operands[0], lambda: rest)


def list_get(p: Places, n: Node, d: list[Value | None]) -> None:
    xs, i = n.operands
    cols = _columns(_list_type(xs), p)

    def change(cur: Value) -> Value:
        old = list(p.b.emit_many("list_get", cur, i, in_bounds=True))
        for col, g in zip(cols, d, strict=True):
            if col is not None and g is not None:
                old[col] = p.tangents.add(p.b, old[col], g)
        return p.b.emit("list_set", cur, i, *old, in_bounds=True)

    p.update(xs, change)


def list_set(p: Places, n: Node, d: list[Value | None]) -> None:
    (dl,) = d
    assert dl is not None
    xs, i, *parts = n.operands
    got = p.b.emit_many("list_get", dl, i, in_bounds=True)
    _add_columns(p, _list_type(xs), parts, list(got))
    cols = _list_type(xs).columns

    def rest() -> Value:
        zeros = [
            p.tangents.zero(p.b, c, v)
            for c, v in zip(cols, parts, strict=True)
            if p.tangents.of(c) is not None
        ]
        return p.b.emit("list_set", dl, i, *zeros, in_bounds=True)

    p.add(xs, rest)


def list_pop(p: Places, n: Node, d: list[Value | None]) -> None:
    (xs,) = n.operands
    if not p.active(xs):
        return
    dl, *parts = d
    cols = _list_type(xs).columns
    whole = dl if dl is not None else p.tangents.zero(p.b, n.results[0].type, n.results[0])
    back = [
        g if g is not None else p.tangents.zero(p.b, c, r)
        for c, r, g in zip(cols, n.results[1:], parts, strict=True)
        if p.tangents.of(c) is not None
    ]
    p.add(xs, lambda: p.b.emit("list_push", whole, *back))


def list_fill(p: Places, n: Node, d: list[Value | None]) -> None:
    """Every element is the same value: its cotangent is the sum over the list."""
    (dl,) = d
    assert dl is not None
    count, *xs = n.operands
    cols = _columns(_list_type(n.results[0]), p)
    wanted = [(x, c) for x, c in zip(xs, cols, strict=True) if c is not None and p.active(x)]
    if not wanted:
        return
    inits = [p.tangents.zero(p.b, x.type, x) for x, _ in wanted]
    body = p.b.nested((SCALAR_I32, *(v.type for v in inits)), ("i",))
    got = body.emit_many("list_get", dl, body.params[0], in_bounds=True)
    sums = [
        p.tangents.add(body, s, got[c]) for s, (_, c) in zip(body.params[1:], wanted, strict=True)
    ]
    n_i32 = count if count.tensor.dtype.name == "i32" else p.b.emit("list_len", dl)
    out = p.b.for_(p.b.dim(0), n_i32, inits, body.yield_(*sums))
    for (x, _), g in zip(wanted, out, strict=True):
        p.add(x, lambda g=g: g)


def _add_columns(p: Places, t: ListType, xs: list[Value], parts: list[Value]) -> None:
    for x, col in zip(xs, _columns(t, p), strict=True):
        if col is not None:
            p.add(x, lambda g=parts[col]: g)


def nothing(p: Places, n: Node, d: list[Value | None]) -> None:
    """No operand to give anything to."""


RULES: dict[str, Rule] = {
    "variant": variant,
    "list_new": nothing,
    "list_push": list_push,
    "list_get": list_get,
    "list_set": list_set,
    "list_pop": list_pop,
    "list_fill": list_fill,
    "list_len": nothing,
    "undef": nothing,
    "stop_grad": nothing,
}


def payload_cotangent(
    p: Places, scrutinee: Value, constructor: str, params: list[Value], dims: tuple[str, ...]
) -> None:
    """Adds `T.C(cotangents of the payload)` to the scrutinee of a `match`, at the end of a case."""
    if not p.active(scrutinee) or not any(v in p.ct for v in params):
        return
    t = p.type_of(scrutinee)
    assert isinstance(t, AdtType) and isinstance(scrutinee.type, AdtType)
    primal = p.tangents.types[scrutinee.type.name].constructor(constructor).dims
    kept = p.tangents.types[t.name].constructor(constructor).dims
    sizes = tuple(Dim.sym(dims[primal.index(d)]) for d in kept)
    parts = [p.now(v) for v in params if p.tangents.of(v.type) is not None]
    out = p.b.emit_typed("variant", t, *parts, constructor=constructor, **hidden(sizes))
    p.add(scrutinee, lambda: out)
