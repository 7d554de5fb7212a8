"""The nodes that a recursion visits, as tables: found by walking the structure once.

Rows are numbered by (case, height): a case is one block of rows, and each level of it is one block
as well. A node without calls has height 0, another one more than the highest that it calls. Within
a level the order is that of the recursion. What is numbered are calls, not data: a part that is
visited twice has two rows.

Cost: a list entry and some whole numbers a node, no recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlc.ir.core import AdtDecl, Function, Region, Value
from dlc.ir.names import DimNames
from dlc.ops.build import Builder
from dlc.typesys.dims import ZERO, Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import AdtType, ListType, TensorType, Type, substitute_type, type_symbols

INDEX = TensorType(I32)


@dataclass(frozen=True)
class Visits:
    """What a schedule depends on: the type of the nodes, for each constructor the fields that the
    calls visit, in order, and the fields whose tensors are wanted."""

    node: AdtType
    calls: tuple[tuple[int, ...], ...]
    payload: tuple[tuple[int, ...], ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """The dims of the structure itself."""
        return tuple(dict.fromkeys(type_symbols(self.node)))


@dataclass(frozen=True)
class CaseRows:
    """The rows of one case. `count` is their number, `offsets` i32[levels + 2] where each level
    begins within the case (None for cases without calls, all at height 0), `children` i32[count]
    for each call the row of the node it visits among all rows, `payload` the wanted fields."""

    count: Dim
    offsets: Value | None
    children: tuple[Value, ...]
    payload: tuple[Value, ...]


@dataclass(frozen=True)
class Schedule:
    """All rows: cases one after another; the row of the root."""

    cases: tuple[CaseRows, ...]
    root: Value

    @property
    def total(self) -> Dim:
        return sum((c.count for c in self.cases), ZERO)

    def before(self, case: int) -> Dim:
        """The number of rows of earlier cases."""
        return sum((c.count for c in self.cases[:case]), ZERO)

    def values(self, *, payload: bool = True) -> tuple[Value, ...]:
        """Everything in it, in a fixed order."""
        return tuple(self._walk(payload))

    def _walk(self, payload: bool) -> Iterator[Value]:
        yield self.root
        for c in self.cases:
            if c.offsets is not None:
                yield c.offsets
            yield from c.children
            if payload:
                yield from c.payload

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The dims that its types mention: rows of each case, length of the offsets."""
        return (*(c.count for c in self.cases), *self._length())

    @property
    def levels(self) -> Dim:
        """One more than the height of the root: levels are below it."""
        (length,) = self._length()
        return length - 1

    def _length(self) -> tuple[Dim, ...]:
        found = [c.offsets.tensor.shape[0] for c in self.cases if c.offsets is not None]
        return tuple(found[:1])

    def with_values(
        self, values: Iterable[Value], dims: Sequence[Dim], *, payload: bool = True
    ) -> Schedule:
        """The same schedule seen from elsewhere, as `values` and `dims` order it."""
        it = iter(values)
        root = next(it)
        cases: list[CaseRows] = []
        for c, n in zip(self.cases, dims, strict=False):
            offsets = next(it) if c.offsets is not None else None
            children = tuple(next(it) for _ in c.children)
            fields = tuple(next(it) for _ in c.payload) if payload else ()
            cases.append(CaseRows(n, offsets, children, fields))
        return Schedule(tuple(cases), root)


def schedule_function(
    name: str, v: Visits, types: Mapping[str, AdtDecl]
) -> tuple[Function, Schedule]:
    """The function `name(t)` that returns `Schedule.values`, and its results as a schedule in its
    own dims."""
    b = Builder(types, DimNames(v.dims)).nested((v.node,), ("t",))
    made = _Writer(b, v, types).write()
    values, dims = made.values(), made.dims
    names = tuple(b.names.fresh(f"n.{d.name}") for d in dims)
    renamed = {d.name or "": Dim.sym(n) for d, n in zip(dims, names, strict=True)}
    fn = b.function(
        name,
        v.dims,
        b.return_(*values, dims=dims),
        result_types=tuple(substitute_type(x.type, renamed) for x in values),
        result_dims=names,
    )
    return fn, made


class _Writer:
    def __init__(self, b: Builder, v: Visits, types: Mapping[str, AdtDecl]) -> None:
        self.b, self.v, self.types = b, v, types
        self.constructors = types[v.node.name].constructors
        self.slots = max((len(c) for c in v.calls), default=0)
        self.zero, self.one = b.scalar(0, I32), b.scalar(1, I32)

    def field(self, case: int, field: int) -> Type:
        return self.types[self.v.node.name].field_types(self.v.node, self.constructors[case].name)[
            field
        ]

    def columns(self, case: int) -> tuple[Type, ...]:
        """Columns of the list of a case's nodes: the node's number, its fields."""
        return (INDEX, *(self.field(case, f) for f in self.v.payload[case]))

    def write(self) -> Schedule:
        b = self.b
        parents, found = self.walk()
        n = b.emit("list_len", parents)
        nodes = b.as_dim(n, "nodes")
        heights, visited = self.heights(parents, n, nodes)
        height = b.emit("index", heights, self.zero, in_bounds=True)
        length = b.as_dim(b.emit("add", height, b.scalar(2, I32)), "levels", at_most=nodes + 1)
        counts = [b.emit("list_len", x) for x in found]
        sizes = [b.as_dim(x, "rows") for x in counts]
        row_of = b.full(0, TensorType(I32, (nodes,)))
        first = self.zero
        offsets: list[Value | None] = []
        orders: list[Value | None] = []
        for case, xs in enumerate(found):
            at: Value | None = None
            order: Value | None = None
            if self.v.calls[case]:
                at = self.offsets(xs, counts[case], heights, length)
                row_of, order = self.sort(xs, counts[case], sizes[case], heights, at, first, row_of)
            else:
                row_of = self.number(xs, counts[case], first, row_of)
            offsets.append(at)
            orders.append(order)
            first = b.emit("add", first, counts[case])
        cases = [
            self.case(c, found[c], counts[c], sizes[c], offsets[c], orders[c], row_of, visited)
            for c in range(len(found))
        ]
        root = b.emit("index", row_of, self.zero, in_bounds=True)
        return Schedule(tuple(cases), root)

    # -- the walk

    def walk(self) -> tuple[Value, list[Value]]:
        """Nodes in the order of the recursion: a list of (parent, slot), and for each case a list
        of its nodes with their fields."""
        b = self.b
        stack_type = ListType((self.v.node, INDEX, INDEX))
        stack = b.emit_typed("list_new", stack_type)
        stack = b.emit("list_push", stack, b.params[0], b.scalar(-1, I32), self.zero)
        parents = b.emit_typed("list_new", ListType((INDEX, INDEX)))
        found = [b.emit_typed("list_new", ListType(self.columns(c))) for c in self.cases()]
        inits = (stack, parents, *found)
        body = b.nested([x.type for x in inits], ("stack", "parents"))
        stack, parents, *found = body.params
        rest, t, parent, slot = body.emit_many("list_pop", stack)
        number = body.emit("list_len", parents)
        parents = body.emit("list_push", parents, parent, slot)
        regions = [self.visit(body, c, t, rest, number, found) for c in self.cases()]
        names = [c.name for c in self.constructors]
        rest, *found = body.match_(t, names, regions)
        go = body.emit("gt", body.emit("list_len", rest), body.scalar(0, I32))
        once = all(len(set(fields)) == len(fields) for fields in self.v.calls)
        _, parents, *found = b.loop(inits, body.yield_(go, rest, parents, *found), visits=once)
        return parents, found

    def cases(self) -> range:
        return range(len(self.constructors))

    def visit(
        self, body: Builder, case: int, t: Value, stack: Value, number: Value, found: list[Value]
    ) -> Region:
        """A node of the case: it goes to its list, what it calls onto the stack, the first call on
        top."""
        b = body.case(t, self.constructors[case].name)
        fields = [b.params[f] for f in self.v.payload[case]]
        lists = list(found)
        lists[case] = b.emit("list_push", found[case], number, *fields)
        calls = list(enumerate(self.v.calls[case]))
        for slot, f in reversed(calls):
            stack = b.emit("list_push", stack, b.params[f], number, b.scalar(slot, I32))
        return b.yield_(stack, *lists)

    # -- numbers

    def heights(self, parents: Value, n: Value, nodes: Dim) -> tuple[Value, Value]:
        """Each node's height; and for node i and slot s the node visited, at i*slots + s."""
        b = self.b
        table = TensorType(I32, (nodes,))
        inits = (b.full(0, table), b.full(0, TensorType(I32, (nodes * max(self.slots, 1),))))
        body = b.nested((INDEX, *(x.type for x in inits)), ("i", "height", "visited"))
        i, heights, visited = body.params
        parent, slot = body.emit_many("list_get", parents, i, in_bounds=True)
        mine = body.emit("index", heights, i, in_bounds=True)
        theirs = body.emit("index", heights, parent, in_bounds=True)
        more = body.emit("max", theirs, body.emit("add", mine, body.scalar(1, I32)))
        heights = body.emit("insert", heights, more, parent, in_bounds=True)
        at = body.emit("mul", parent, body.scalar(max(self.slots, 1), I32))
        visited = body.emit("insert", visited, i, body.emit("add", at, slot), in_bounds=True)
        done = b.for_(self.one, n, inits, body.yield_(heights, visited), reverse=True)
        return done[0], done[1]

    def member(self, body: Builder, xs: Value, i: Value, column: int = 0) -> Value:
        return body.emit_many("list_get", xs, i, in_bounds=True)[column]

    def offsets(self, xs: Value, count: Value, heights: Value, length: Dim) -> Value:
        """How many of the case's nodes are lower than each height."""
        b = self.b
        init = b.full(0, TensorType(I32, (length,)))
        body = b.nested((INDEX, init.type), ("i", "counts"))
        i, counts = body.params
        h = body.emit("index", heights, self.member(body, xs, i), in_bounds=True)
        above = body.emit("add", h, body.scalar(1, I32))
        old = body.emit("index", counts, above, in_bounds=True)
        new = body.emit("add", old, body.scalar(1, I32))
        counts = body.emit("insert", counts, new, above, in_bounds=True)
        (counts,) = b.for_(self.zero, count, (init,), body.yield_(counts))
        return b.emit("cumsum", counts, axis=0)

    def sort(
        self, xs: Value, count: Value, rows: Dim, heights: Value, offsets: Value, first: Value,
        row_of: Value,
    ) -> tuple[Value, Value]:  # fmt: skip
        """A counting sort by height: the nodes' rows among all, and which of the case's nodes each
        of its rows is."""
        b = self.b
        inits = (row_of, b.full(0, TensorType(I32, (rows,))), offsets)
        body = b.nested((INDEX, *(x.type for x in inits)), ("i", "row_of", "order", "next"))
        i, row_of, order, after = body.params
        node = self.member(body, xs, i)
        h = body.emit("index", heights, node, in_bounds=True)
        row = body.emit("index", after, h, in_bounds=True)
        order = body.emit("insert", order, i, row, in_bounds=True)
        row_of = body.emit("insert", row_of, body.emit("add", first, row), node, in_bounds=True)
        more = body.emit("add", row, body.scalar(1, I32))
        after = body.emit("insert", after, more, h, in_bounds=True)
        row_of, order, _ = b.for_(self.zero, count, inits, body.yield_(row_of, order, after))
        return row_of, order

    def number(self, xs: Value, count: Value, first: Value, row_of: Value) -> Value:
        """The rows of nodes without calls, in their order."""
        body = self.b.nested((INDEX, row_of.type), ("i", "row_of"))
        i, row_of_ = body.params
        row = body.emit("add", first, i)
        out = body.emit("insert", row_of_, row, self.member(body, xs, i), in_bounds=True)
        return self.b.for_(self.zero, count, (row_of,), body.yield_(out))[0]

    # -- tables

    def case(
        self, case: int, xs: Value, count: Value, rows: Dim, offsets: Value | None,
        order: Value | None, row_of: Value, visited: Value,
    ) -> CaseRows:  # fmt: skip
        """The rows' children and fields, gathered in the order of rows."""
        b, slots, fields = self.b, len(self.v.calls[case]), self.columns(case)[1:]
        types = [TensorType(I32, (rows,))] * slots
        for t in fields:
            assert isinstance(t, TensorType)
            types.append(TensorType(t.dtype, (rows, *t.shape)))
        if not types:
            return CaseRows(rows, offsets, (), ())
        inits = [b.full(0, t) for t in types]
        body = b.nested((INDEX, *types), ("row",))
        row, *tables = body.params
        at = body.emit("index", order, row, in_bounds=True) if order is not None else row
        node, *values = body.emit_many("list_get", xs, at, in_bounds=True)
        for s in range(slots):
            start = body.emit("mul", node, body.scalar(self.slots, I32))
            which = body.emit("add", start, body.scalar(s, I32))
            child = body.emit("index", visited, which, in_bounds=True)
            value = body.emit("index", row_of, child, in_bounds=True)
            tables[s] = body.emit("insert", tables[s], value, row, in_bounds=True)
        for k, x in enumerate(values):
            old = tables[slots + k]
            tables[slots + k] = body.emit("insert", old, x, row, in_bounds=True)
        done = b.for_(self.zero, count, inits, body.yield_(*tables))
        return CaseRows(rows, offsets, done[:slots], done[slots:])
