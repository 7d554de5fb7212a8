"""Rows: the gradient of a table that is only gathered from, as (row number, row) pairs."""

from __future__ import annotations

from dlc.autodiff.tangents import Tangents
from dlc.ir.core import Signature, Value
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim
from dlc.typesys.types import SCALAR_I32, ListType, TensorType


def merge_rows(b: Builder, tangents: Tangents, rows: Value) -> Value:
    """Each row number once, ascending, with the sum of its rows in the order in which they were
    listed."""
    assert isinstance(rows.type, ListType)
    _, row = rows.type.columns
    assert isinstance(row, TensorType)
    name = f"merge_rows.{row.dtype}.{row.rank}"
    dims = tuple(f"d{i}" for i in range(row.rank))
    t = ListType((SCALAR_I32, TensorType(row.dtype, tuple(map(Dim.sym, dims)))))
    sig = Signature(name, dims, (t,), (t,))
    if name not in tangents.functions:
        w = Builder(tangents.types, DimNames(dims)).nested((t,), ("rows",))
        out = _merge(w, t, w.params[0])
        tangents.functions[name] = w.function(name, dims, w.return_(out))
    (r,) = b.call(sig, (rows,), row.shape)
    return r


def _merge(b: Builder, t: ListType, rows: Value) -> Value:
    n = b.emit("list_len", rows)
    count = b.as_dim(n, "n")
    zero = b.dim(0)
    numbers = b.full(0, TensorType(SCALAR_I32.dtype, (count,)))
    fill = b.nested((SCALAR_I32, numbers.type), ("i", "numbers"))
    i, acc = fill.params
    number, _ = fill.emit_many("list_get", rows, i, in_bounds=True)
    (numbers,) = b.for_(
        zero, n, (numbers,), fill.yield_(fill.emit("insert", acc, number, i, in_bounds=True))
    )
    _, order = b.emit_many("sort", numbers, axis=0)

    body = b.nested((SCALAR_I32, t), ("i", "out"))
    i, out = body.params
    number, row = body.emit_many(
        "list_get", rows, body.emit("index", order, i, in_bounds=True), in_bounds=True
    )
    size = body.emit("list_len", out)
    first = body.emit("eq", size, body.dim(0))
    last = body.emit("sub", size, body.dim(1))
    # A first row has no predecessor to look at; look at entry 0 of `rows` instead, which exists.
    some, other = body.nested(), body.nested()
    (previous,) = body.if_(
        first,
        some.yield_(some.emit("sub", number, some.dim(1))),
        other.yield_(other.emit_many("list_get", out, last, in_bounds=True)[0]),
    )
    same = body.emit("eq", previous, number)
    add, push = body.nested(), body.nested()
    _, so_far = add.emit_many("list_get", out, last, in_bounds=True)
    more = add.emit("list_set", out, last, number, add.emit("add", so_far, row), in_bounds=True)
    (new,) = body.if_(same, add.yield_(more), push.yield_(push.emit("list_push", out, number, row)))
    (r,) = b.for_(zero, n, (b.emit_typed("list_new", t),), body.yield_(new))
    return r
