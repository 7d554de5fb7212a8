"""Tangents stored as `Rows`, a list of (row number, row)."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.ir.core import Value
from dlc.lower.layout import absent
from dlc.lower.scope import Leaves, Scope
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL
from dlc.typesys.types import SCALAR_I32, ListType, TensorType


def stored_as_rows(s: Scope, t: surface.Type) -> tuple[bool, ...]:
    """For each leaf of the type, whether it is a table's tangent stored as rows."""
    if isinstance(t, surface.Tuple):
        return tuple(r for x in t.items for r in stored_as_rows(s, x))
    if isinstance(t, surface.Tangent):
        return tuple(x.name in t.rows for x in s.layout.leaves(t, absent))
    return (isinstance(t, surface.Rows),) * s.layout.count(t)


def lower_densify(s: Scope, e: typed.Densify) -> Leaves:
    """Each table that has to be dense: zeros, plus its rows in order."""
    leaves = s.expr(e.operand)
    before, after = stored_as_rows(s, e.operand.type), stored_as_rows(s, e.type)
    wanted = s.layout.leaf_types(e.type, absent)
    out: list[Value] = []
    for v, rows, keep, t in zip(leaves, before, after, wanted, strict=True):
        if rows and not keep:
            assert isinstance(t, TensorType)
            v = dense_table(s, v, t)
        out.append(v)
    return s.conform(tuple(out), e.type)


def dense_table(s: Scope, rows: Value, t: TensorType) -> Value:
    """`table[i] = sum of the rows with number i`."""
    body = s.b.nested((SCALAR_I32, t), ("i", "table"))
    i, table = body.params
    number, row = body.emit_many("list_get", rows, i, in_bounds=True)
    sum_ = body.emit("add", body.emit("index", table, number), row)
    region = body.yield_(body.emit("insert", table, sum_, number, in_bounds=True))
    n = s.b.emit("list_len", rows)
    (out,) = s.b.for_(s.b.dim(0), n, (s.b.full(0, t),), region)
    return out


def row_numbers(s: Scope, lists: Sequence[Value], count: Dim) -> Value:
    """The row numbers that occur in any of the lists, each once, in order of appearance: a list."""
    numbers = ListType((SCALAR_I32,))
    seen = s.b.full(False, TensorType(BOOL, (count,)))
    out = s.b.emit_typed("list_new", numbers)
    for rows in lists:
        body = s.b.nested((SCALAR_I32, seen.type, numbers), ("i", "seen", "numbers"))
        i, met, so_far = body.params
        number, _ = body.emit_many("list_get", rows, i, in_bounds=True)
        old = body.emit("index", met, number)
        again, first = body.nested(), body.nested()
        marked = first.emit("insert", met, first.scalar(True, BOOL), number, in_bounds=True)
        pushed = first.emit("list_push", so_far, number)
        new = body.if_(old, again.yield_(met, so_far), first.yield_(marked, pushed))
        n = s.b.emit("list_len", rows)
        seen, out = s.b.for_(s.b.dim(0), n, (seen, out), body.yield_(*new))
    return out


def with_numbers(s: Scope, rows: Value, tangents: Value) -> Value:
    """The tangents of the rows as rows again, with the numbers of the rows they belong to."""
    inner = s.b.nested((SCALAR_I32, rows.type), ("i", "rows"))
    i, out = inner.params
    number, _ = inner.emit_many("list_get", rows, i, in_bounds=True)
    (d,) = inner.emit_many("list_get", tangents, i, in_bounds=True)
    region = inner.yield_(inner.emit("list_push", out, number, d))
    init = s.b.emit_typed("list_new", rows.type)
    (made,) = s.b.for_(s.b.dim(0), s.b.emit("list_len", rows), (init,), region)
    return made


def rows_of(s: Scope, rows: Value) -> Value:
    """The rows without their numbers."""
    assert isinstance(rows.type, ListType)
    t = ListType(rows.type.columns[1:])
    inner = s.b.nested((SCALAR_I32, t), ("i", "rows"))
    i, out = inner.params
    _, d = inner.emit_many("list_get", rows, i, in_bounds=True)
    region = inner.yield_(inner.emit("list_push", out, d))
    init = s.b.emit_typed("list_new", t)
    (made,) = s.b.for_(s.b.dim(0), s.b.emit("list_len", rows), (init,), region)
    return made
