"""`each(f, m, …)` and `total(f, m, …)`: a function of scalars at every float of equal structures.

Operands are aligned leaf by leaf. A tensor leaf is one element-wise computation; a list is a loop;
an algebraic value is a recursive function that lowering writes. Rows that no operand stores are
zeros: they are visited unless the function leaves what it is given where these are zero. A result
that is `Rows` itself has the rows of its operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.check import typed
from dlc.check.typed import Lambda, Local
from dlc.diag import InternalError
from dlc.ir.core import Constructor, Function, Signature, Value
from dlc.ir.tangent import ZERO, has_tangent, is_tangent, tangent_type
from dlc.lower.calls import apply
from dlc.lower.layout import absent
from dlc.lower.lift import apply_to_all
from dlc.lower.liveness import free_slots
from dlc.lower.mentions import mentioned_dims
from dlc.lower.rows import dense_table, row_numbers, stored_as_rows
from dlc.lower.scope import Leaves, Scope, conform
from dlc.lower.untouched import Known, where_zero
from dlc.ops.build import Builder, DimNames
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, F32, DType
from dlc.typesys.types import (
    SCALAR_I32,
    AdtType,
    ListType,
    TensorType,
    Type,
    type_symbols,
)


@dataclass(frozen=True, slots=True)
class Operand:
    """One operand's leaf."""

    value: Value
    rows: bool = False


def lower_each(s: Scope, e: typed.EachCall) -> Leaves:
    walk = _Walk(s, e)
    out: list[Value] = []
    for first, operands in _aligned(s, e.args):
        out.append(walk.leaf(s, operands) if operands else first)
    return s.conform(tuple(out), e.type)


def lower_total(s: Scope, e: typed.TotalCall) -> Leaves:
    walk = _Walk(s, e)
    out: Value | None = None
    for _, operands in _aligned(s, e.args):
        if operands:
            part = walk.leaf(s, operands)
            out = part if out is None else s.b.emit("add", out, part)
    return (s.b.scalar(0.0, F32) if out is None else out,)


def _aligned(s: Scope, args: Sequence[typed.Expr]) -> list[tuple[Value, list[Operand]]]:
    """For each leaf of the first operand: it, and the operands there if it has floats."""
    tables: list[dict[tuple[str, ...], Operand]] = []
    for a in args:
        leaves, flags = s.expr(a), stored_as_rows(s, a.type)
        paths = (x.path for x in s.layout.leaves(a.type, absent))
        triples = zip(paths, leaves, flags, strict=True)
        tables.append({p: Operand(v, r) for p, v, r in triples})
    out: list[tuple[Value, list[Operand]]] = []
    for path, first in tables[0].items():
        floats = first.rows or has_tangent(s.layout.types, first.value.type)
        out.append((first.value, [t[path] for t in tables] if floats else []))
    return out


class _Walk:
    """One call of `each` (for a leaf: the new leaf) or `total` (the leaf's part of the sum)."""

    def __init__(self, s: Scope, e: typed.EachCall | typed.TotalCall) -> None:
        self.node = e
        self.total = isinstance(e, typed.TotalCall)
        self.functions: dict[tuple[DType, ...], Lambda] = dict(e.functions)
        slots: dict[Local, None] = {}
        dims: dict[str, None] = {}
        for _, f in e.functions:
            slots.update(dict.fromkeys(free_slots(f.body, f.params)))
            dims.update(dict.fromkeys(mentioned_dims(f)))
        self.captured = tuple(x for x in slots if x in s.slots)
        self.dims = tuple(dims)

    def leaf(self, s: Scope, xs: Sequence[Operand]) -> Value:
        if any(x.rows for x in xs):
            return self._rows(s, xs)
        t = xs[0].value.type
        if isinstance(t, TensorType):
            return self._tensors(s, [x.value for x in xs])
        if isinstance(t, ListType):
            return self._lists(s, xs)
        return self._variants(s, xs)

    # -- tensors

    def _tensors(self, s: Scope, xs: Sequence[Value]) -> Value:
        f = self.functions[tuple(x.tensor.dtype for x in xs)]
        shape = xs[0].tensor.shape
        same = conform(s.b, xs, [TensorType(x.tensor.dtype, shape) for x in xs])
        y = apply_to_all(s, f, same, shape)
        if not self.total:
            return y
        if y.tensor.dtype != F32:
            y = s.b.emit("convert", y, dtype=F32)
        axes = tuple(range(len(shape)))
        return s.b.emit("reduce", y, kind="sum", axes=axes) if axes else y

    # -- rows

    def _rows(self, s: Scope, xs: Sequence[Operand]) -> Value:
        """The rows that some operand stores, and the others if a zero changes them. Of one operand
        its list is walked; where several are stored as rows, the rows of all are, a missing one
        being zero."""
        lists = [x.value for x in xs if x.rows]
        tables = [None if x.rows else x.value for x in xs]
        everywhere = any(not x.rows for x in xs) and not self._stays(s, xs)
        if len(lists) == 1 and (not everywhere or xs[0].rows):
            return self._over_rows(s, lists[0], tables)
        if len(lists) == 1 and not self.total:
            return self._everywhere(s, lists[0], tables)
        like = _table_type(self.node.args, xs)
        dense = [dense_table(s, x.value, like) if x.rows else x.value for x in xs]
        if everywhere and not xs[0].rows:
            return self._tensors(s, dense)
        numbers = row_numbers(s, lists, like.shape[0])
        return self._over_rows(s, numbers, [*dense], pushes=xs[0].rows)

    def _stays(self, s: Scope, xs: Sequence[Operand]) -> bool:
        """Whether rows that no list stores stay as they are (`each`) or add nothing (`total`)."""
        dtypes = tuple(map(_dtype, xs))
        inner = s.nested(tuple(map(TensorType, dtypes)))
        (y,) = apply(inner, self.functions[dtypes], [(p,) for p in inner.b.params])
        found = where_zero(inner.b.ops, inner.b.params, [x.rows for x in xs], y)
        return found is (Known.ZERO if self.total else Known.FIRST)

    def _everywhere(self, s: Scope, rows: Value, tables: Sequence[Value | None]) -> Value:
        """The stored rows first, from the table as it was; then the whole table with zeros; then
        the stored rows take their places. Each row is stored once."""
        first = tables[0]
        assert first is not None
        row = TensorType(first.tensor.dtype, first.tensor.shape[1:])
        made = s.b.emit_typed("list_new", ListType((SCALAR_I32, row)))
        inner = s.nested((SCALAR_I32, made.type), ("i", "made"))
        i, out = inner.b.params
        number, held = inner.b.emit_many("list_get", rows, i, in_bounds=True)
        parts = [held if t is None else inner.b.emit("index", t, number) for t in tables]
        pushed = inner.b.emit("list_push", out, number, self._tensors(inner, parts))
        n = s.b.emit("list_len", rows)
        (made,) = s.b.for_(s.b.dim(0), n, (made,), inner.b.yield_(pushed))
        zero = TensorType(held.tensor.dtype, first.tensor.shape)
        table = self._tensors(s, [s.b.full(0, zero) if t is None else t for t in tables])
        inner = s.nested((SCALAR_I32, table.type), ("i", "table"))
        i, out = inner.b.params
        number, y = inner.b.emit_many("list_get", made, i, in_bounds=True)
        placed = inner.b.emit("insert", out, y, number, in_bounds=True)
        (table,) = s.b.for_(s.b.dim(0), n, (table,), inner.b.yield_(placed))
        return table

    def _over_rows(
        self, s: Scope, rows: Value, tables: Sequence[Value | None], pushes: bool | None = None
    ) -> Value:
        """`tables` are the operands that are indexed; None is the row that the list holds."""
        pushes = tables[0] is None if pushes is None else pushes
        init = self._rows_init(s, rows, tables, pushes)
        inner = s.nested((SCALAR_I32, init.type), ("i", "out"))
        i, out = inner.b.params
        number, *held = inner.b.emit_many("list_get", rows, i, in_bounds=True)
        parts: list[Value] = []
        for j, table in enumerate(tables):
            source = out if j == 0 and not pushes and not self.total else table
            parts.append(held[0] if source is None else inner.b.emit("index", source, number))
        y = self._tensors(inner, parts)
        if self.total:
            new = inner.b.emit("add", out, y)
        elif pushes:
            new = inner.b.emit("list_push", out, number, y)
        else:
            new = inner.b.emit("insert", out, y, number, in_bounds=True)
        n = s.b.emit("list_len", rows)
        (r,) = s.b.for_(s.b.dim(0), n, (init,), inner.b.yield_(new))
        return r

    def _rows_init(
        self, s: Scope, rows: Value, tables: Sequence[Value | None], pushes: bool
    ) -> Value:
        if self.total:
            return s.b.scalar(0.0, F32)
        first = tables[0]
        if not pushes:
            assert first is not None
            return first
        if first is None:
            return s.b.emit_typed("list_new", rows.type)
        row = TensorType(first.tensor.dtype, first.tensor.shape[1:])
        return s.b.emit_typed("list_new", ListType((SCALAR_I32, row)))

    # -- lists

    def _lists(self, s: Scope, xs: Sequence[Operand]) -> Value:
        n = s.b.emit("list_len", xs[0].value)
        for x in xs[1:]:
            same = s.b.emit("eq", n, s.b.emit("list_len", x.value))
            s.b.emit_many("assert", same, message="values of different structure")
        t = xs[0].value.type
        init = s.b.scalar(0.0, F32) if self.total else s.b.emit_typed("list_new", t)
        inner = s.nested((SCALAR_I32, init.type), ("i", "out"))
        i, out = inner.b.params
        parts = [inner.b.emit_many("list_get", x.value, i, in_bounds=True) for x in xs]
        made = self._parts(inner, xs, parts)
        if self.total:
            new = _sum(inner.b, out, made)
        else:
            new = inner.b.emit("list_push", out, *made)
        (r,) = s.b.for_(s.b.dim(0), n, (init,), inner.b.yield_(new))
        return r

    def _parts(self, s: Scope, xs: Sequence[Operand], parts: Sequence[Leaves]) -> list[Value]:
        """The columns of an element or fields of a constructor, visited: those without floats are
        the first operand's (each), or left out (total)."""
        floats = [[v for v in p if has_tangent(s.layout.types, v.type)] for p in parts]
        out: list[Value] = []
        at = 0
        for v in parts[0]:
            if has_tangent(s.layout.types, v.type):
                row = [Operand(f[at]) for f in floats]
                out.append(self.leaf(s, row))
                at += 1
            elif not self.total:
                out.append(v)
        return out

    # -- algebraic values

    def _variants(self, s: Scope, xs: Sequence[Operand]) -> Value:
        """A call of the recursive function for these types."""
        t = xs[0].value.type
        assert isinstance(t, AdtType)
        operands = conform(s.b, [x.value for x in xs], [_at(x, t.dims) for x in xs])
        captured = tuple(v for x in self.captured for v in s.get(x))
        own = tuple(f"each.{i}" for i in range(len(t.dims)))
        formal = [_at(x, tuple(map(Dim.sym, own))) for x in xs]
        types = [v.type for v in captured]
        outer = tuple(dict.fromkeys((*self.dims, *(d for u in types for d in type_symbols(u)))))
        result = TensorType(F32) if self.total else formal[0]
        name = "total" if self.total else "each"
        wanted = Signature(f"{name}.{t.name}", (*own, *outer), (*formal, *types), (result,), ())
        key = (name, self.node, tuple(formal))
        sig = s.program.helper(key, wanted, lambda made: self._function(s, made, len(xs)))
        (r,) = s.b.call(sig, (*operands, *captured), (*t.dims, *map(Dim.sym, outer)))
        return r

    def _function(self, s: Scope, sig: Signature, n: int) -> Function:
        root = Builder(s.layout.types, DimNames(sig.dims), s.b.loc)
        inner = Scope(s.program, s.lower, root.nested(sig.params), {})
        at = n
        for x in self.captured:
            k = len(s.get(x))
            inner.slots[x] = inner.b.params[at : at + k]
            at += k
        xs = [Operand(v) for v in inner.b.params[:n]]
        r = self._match(inner, xs)
        return inner.b.function(sig.name, sig.dims, inner.b.return_(r), loc=s.b.loc)

    def _match(self, s: Scope, xs: Sequence[Operand]) -> Value:
        x = xs[0].value
        t = x.type
        assert isinstance(t, AdtType)
        decl = s.layout.types[t.name]
        regions = [self._case(s, xs, c) for c in decl.constructors]
        (r,) = s.b.match_(x, [c.name for c in decl.constructors], regions)
        return r

    def _case(self, s: Scope, xs: Sequence[Operand], c: Constructor):
        x = xs[0].value
        t = x.type
        assert isinstance(t, AdtType)
        if c.name == ZERO and is_tangent(t.name):
            # A zero has no structure, so there is nothing to visit; `f(0)` is taken to be 0.
            nested = s.nested()
            return nested.b.yield_(nested.b.scalar(0.0, F32) if self.total else x)
        inner = s.inside(s.b.case(x, c.name))
        fields = inner.b.params
        parts = [fields, *(_fields_like(inner, o, c.name, fields) for o in xs[1:])]
        made = self._parts(inner, xs, parts)
        if self.total:
            return inner.b.yield_(_sum(inner.b, inner.b.scalar(0.0, F32), made))
        sizes = tuple(map(Dim.sym, inner.b.dims))
        return inner.b.yield_(inner.b.variant(t, c.name, made, sizes))


def _dtype(x: Operand) -> DType:
    """The element type of a tensor, or of the rows of a table."""
    t = x.value.type.columns[1] if isinstance(x.value.type, ListType) else x.value.type
    assert isinstance(t, TensorType)
    return t.dtype


def _at(x: Operand, dims: tuple[Dim, ...]) -> AdtType:
    assert isinstance(x.value.type, AdtType)
    return AdtType(x.value.type.name, dims)


def _sum(b: Builder, first: Value, parts: Sequence[Value]) -> Value:
    for p in parts:
        first = b.emit("add", first, p)
    return first


def _table_type(args: Sequence[typed.Expr], xs: Sequence[Operand]) -> TensorType:
    """The type of the table whose rows the operands hold."""
    for x in xs:
        if not x.rows:
            return x.value.tensor
    for a, x in zip(args, xs, strict=True):
        assert isinstance(x.value.type, ListType)
        row = x.value.type.columns[1]
        assert isinstance(row, TensorType)
        if isinstance(a.type, surface.Rows):
            return TensorType(row.dtype, (a.type.count, *row.shape))
    raise InternalError("rows without a table", stage="lower")


def _fields_like(s: Scope, x: Operand, constructor: str, first: Leaves) -> Leaves:
    """The fields with floats of an operand that was built by the same constructor; zeros where it
    is the zero tangent."""
    t = x.value.type
    assert isinstance(t, AdtType)
    floats = [f for f in first if has_tangent(s.layout.types, f.type)]
    same = s.inside(s.b.case(x.value, constructor))
    fields = [f for f in same.b.params if has_tangent(s.layout.types, f.type)]
    other = s.nested()
    if is_tangent(t.name):
        instead = [zero_like(other, f) for f in floats]
    else:
        never = other.b.scalar(False, BOOL)
        other.b.emit_many("assert", never, message="values of different structure")
        types = [_beside(s, v.type, f.type) for v, f in zip(fields, floats, strict=True)]
        instead = [other.b.emit_typed("undef", t) for t in types]
    types = [v.type for v in instead]
    given = conform(same.b, fields, types)
    regions = (same.b.yield_(*given), other.b.yield_(*instead))
    return s.b.match_(x.value, (constructor, "_"), regions)


def _beside(s: Scope, t: Type, first: Type) -> Type:
    """A field's type with the dims of the first operand's field, one of which may be a tangent."""
    if isinstance(t, TensorType):
        return first
    if isinstance(t, AdtType):
        assert isinstance(first, AdtType)
        return AdtType(t.name, first.dims)
    assert isinstance(first, ListType)
    floats = iter([c for c in first.columns if has_tangent(s.layout.types, c)])
    columns = (
        _beside(s, c, next(floats)) if has_tangent(s.layout.types, c) else c for c in t.columns
    )
    return ListType(tuple(columns))


def zero_like(s: Scope, x: Value) -> Value:
    """The zero tangent of a value."""
    types = s.layout.types
    if isinstance(x.type, TensorType):
        return s.b.full(0, x.tensor)
    made: Type | None = tangent_type(types, x.type)
    assert made is not None
    if isinstance(made, AdtType):
        return s.b.variant(made, ZERO, ())
    inner = s.nested((SCALAR_I32, made), ("i", "zeros"))
    i, out = inner.b.params
    columns = inner.b.emit_many("list_get", x, i, in_bounds=True)
    zeros = [zero_like(inner, c) for c in columns if has_tangent(types, c.type)]
    region = inner.b.yield_(inner.b.emit("list_push", out, *zeros))
    init = s.b.emit_typed("list_new", made)
    (r,) = s.b.for_(s.b.dim(0), s.b.emit("list_len", x), (init,), region)
    return r
