"""Structures going out: records and lists become the caller's flat arrays (see `schema`).

The caller gives a `dlc_value` whose counts are capacities; it gets the counts. Too small: the
status `space`, and the counts are what is needed. The walk keeps its stack between frames and heap,
so depth costs arena, not native stack. A record that is reached twice is written twice: outputs are
trees.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from dlc.memory.frame import CELL, element_layout, field_offset
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.dims import emit_dim
from dlc.targets.cpu.emit.heap import at_function
from dlc.targets.cpu.emit.structs import (
    CHILD_COUNT,
    CHILDREN,
    COLUMNS,
    LENGTH,
    NODES,
    ROOT,
    ROWS,
    TAGS,
    VALUE,
    TypeDims,
    member,
)
from dlc.targets.cpu.emit.unit import Unit
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Function, Operand, Value
from dlc.targets.cpu.schema import Child, Items, Leaf, Part, Schema, Shape, own_leaves
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, ListType

Lookup = Callable[[str], Value]
Each = Callable[[Child, Value], None]

ENTRY = 16
"""Bytes of an entry of the walk's stack: a record, its tag, and whether its children are done."""
SLACK = 1 << 24
"""Nodes beyond the capacity that are still counted, to say how many are wanted; of more (few
records, shared again and again, can be a tree without end) the status says -1."""


class Writer:
    """Writes parts of a value at the cursors: one for each column, then children, then nodes.

    `stack` and `indices` hold the ends of the walk's two stacks, which grow towards each other:
    entries to visit, and numbers of finished nodes that wait for their parents.
    """

    def __init__(
        self,
        f: Builder,
        ctx: Value,
        value: Value,
        own: int,
        leaves: int,
        cursors: Value,
        stacks: tuple[Value, Value],
        leave: Callable[[Value], None],
        place: tuple[Operand, Operand],
    ) -> None:
        self.f, self.ctx, self.value, self.own, self.leaves = f, ctx, value, own, leaves
        self.cursors = cursors
        self.stack, self.indices = stacks
        self.leave, self.place = leave, place

    def get(self, at: int, type_: str) -> Value:
        return self.f.load(type_, member(self.f, VALUE, self.value, at))

    def cursor(self, number: int) -> Value:
        return self.f.gep(INDEX, self.cursors, number)

    # -- the two stacks

    def _check_room(self, low: Value, high: Value) -> None:
        f = self.f
        room = f.sub(f.cast("ptrtoint", high, INDEX), f.cast("ptrtoint", low, INDEX))
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(f.icmp("sge", room, 0), good, bad)
        f.start(bad)
        size = f.load(INDEX, context.field(f, self.ctx, context.SIZE))
        f.call(
            context.fail_function(f.module), self.ctx, context.status("arena"), *self.place,
            size, f.sub(size, room), context.text(f.module, "room to write a result"),
        )  # fmt: skip
        self.leave(Value("i1", "false"))
        f.start(good)
        context.note_room(f, self.ctx, room)

    def push_visit(self, record: Value, tag: Value, done: int) -> None:
        f = self.f
        top = f.load("ptr", self.stack)
        new = f.gep("i8", top, ENTRY)
        self._check_room(new, f.load("ptr", self.indices))
        f.store(record, top)
        f.store(tag, f.gep("i8", top, CELL))
        f.store(Value("i32", str(done)), f.gep("i8", top, CELL + 4))
        f.store(new, self.stack)

    def push_child(self, schema: Schema, child: Child, record: Value) -> None:
        tag = self.f.add(self.f.load("i32", record), schema.tag_base[child.type.name])
        self.push_visit(record, tag, 0)

    def push_index(self, i: Value) -> None:
        f = self.f
        new = f.gep("i32", f.load("ptr", self.indices), -1)
        self._check_room(f.load("ptr", self.stack), new)
        f.store(f.cast("trunc", i, "i32"), new)
        f.store(new, self.indices)

    # -- walking a list

    def _elements(
        self,
        items: Items,
        xs: Value,
        lookup: Lookup,
        write: Callable[[Value, list[Value]], None],
        reverse: bool = False,
    ) -> None:
        """`write(element, column offsets)` for each element."""
        f = self.f
        n = f.load(INDEX, xs)
        offsets, stride = element_layout(items.type)
        by = emit_dim(f, stride, lookup)
        places = [emit_dim(f, d, lookup) for d in offsets]
        at = at_function(f.module)
        with f.loop(0, n, name="item") as loop:
            i = f.sub(f.sub(n, loop.index), 1) if reverse else loop.index
            write(f.call(at, xs, i, by), places)

    def push_children(self, schema: Schema, part: Part, at: Value, lookup: Lookup) -> None:
        """Visit what is inside a field later, so that the first child is visited first."""
        f = self.f
        if isinstance(part, Child):
            self.push_child(schema, part, f.load("ptr", at))
        elif isinstance(part, Items) and _holds_nodes(part):

            def element(x: Value, places: list[Value]) -> None:
                for c, d in reversed(list(zip(part.columns, places, strict=True))):
                    self.push_children(schema, c, f.gep("i8", x, d), lookup)

            self._elements(part, f.load("ptr", at), lookup, element, reverse=True)

    def count_children(self, part: Part, at: Value, lookup: Lookup, total: Value) -> None:
        """Add the number of nodes right inside a field to the variable `total`."""
        f = self.f
        if isinstance(part, Child):
            f.store(f.add(f.load(INDEX, total), 1), total)
        elif isinstance(part, Items) and _holds_nodes(part):

            def element(x: Value, places: list[Value]) -> None:
                for c, d in zip(part.columns, places, strict=True):
                    self.count_children(c, f.gep("i8", x, d), lookup, total)

            self._elements(part, f.load("ptr", at), lookup, element)

    # -- writing

    def write_child(self, x: Value) -> None:
        f = self.f
        at = self.cursor(self.own + self.leaves)
        i = f.load(INDEX, at)
        with f.when(f.icmp("slt", i, self.get(CHILD_COUNT, INDEX))):
            f.store(f.cast("trunc", x, "i32"), f.gep("i32", self.get(CHILDREN, "ptr"), i))
        f.store(f.add(i, 1), at)

    def write_leaf(self, leaf: Leaf, offset: int, at: Value, lookup: Lookup, inline: bool) -> None:
        """A leaf's row, from a record's cell or, inline, from a list's element."""
        f = self.f
        number = leaf.number + offset
        cursor = self.cursor(number)
        row = f.load(INDEX, cursor)
        size = emit_dim(f, leaf.size, lookup)
        after = f.add(row, size if leaf.varies else 1)
        rows = f.load(INDEX, f.gep(INDEX, self.get(ROWS, "ptr"), number))
        name = leaf.dtype.name
        with f.when(f.icmp("sle", after, rows)):
            column = f.load("ptr", f.gep("ptr", self.get(COLUMNS, "ptr"), number))
            first = row if leaf.varies or leaf.is_scalar else f.mul(row, size)
            to = f.gep(ELEMENTS[name].memory, column, first)
            if leaf.is_scalar:
                x = convert.load(f, name, at) if inline else f.load(ELEMENTS[name].register, at)
                convert.store(f, name, x, to)
            else:
                source = at if inline else f.load("ptr", at)
                f.call(kernel(f.module, "copy", name), to, source, size)
        f.store(after, cursor)

    def write_part(
        self, part: Part, offset: int, at: Value, lookup: Lookup, inline: bool, next_: Value
    ) -> None:
        """A field or a column; `next_` is the variable with the address of the next child's
        number."""
        f = self.f
        if isinstance(part, Leaf):
            self.write_leaf(part, offset, at, lookup, inline)
        elif isinstance(part, Child):
            p = f.load("ptr", next_)
            self.write_child(f.cast("sext", f.load("i32", p), INDEX))
            f.store(f.gep("i32", p, -1), next_)
        else:
            xs = f.load("ptr", at)
            self.write_child(f.load(INDEX, xs))
            self.write_items(part, offset, xs, lookup, next_)

    def write_items(
        self, items: Items, offset: int, xs: Value, lookup: Lookup, next_: Value
    ) -> None:
        """The elements of a list."""

        def element(x: Value, places: list[Value]) -> None:
            for c, d in zip(items.columns, places, strict=True):
                self.write_part(c, offset, self.f.gep("i8", x, d), lookup, True, next_)

        self._elements(items, xs, lookup, element)


def _holds_nodes(items: Items) -> bool:
    return any(
        isinstance(c, Child) or (isinstance(c, Items) and _holds_nodes(c)) for c in items.columns
    )


# -- the nodes of a value -------------------------------------------------------------------------

_PARAMS = (
    ("ptr", "ctx"), ("ptr", "bottom"), ("ptr", "value"), ("ptr", "dims"), ("ptr", "cursors"),
    ("ptr", "stack"), ("ptr", "indices"), ("i32", "line"), ("i32", "column"),
)  # fmt: skip


def _nodes_function(unit: Unit, own: int, reached: Collection[str]) -> Function:
    """`dlc.deliver.<own>.<types>(ctx, bottom, value, dims, cursors, stack, indices, line, column)`:
    write the nodes on the stack, down to `bottom`, and all below them; false after a failure."""
    name = f"dlc.deliver.{own}.{unit.schema.numbers(reached)}"

    def emit() -> tuple[Function, str]:
        f = Builder(unit.module, name, "i1", _PARAMS, inline="never")
        _Nodes(unit, f, own, unit.schema.shapes_of(reached)).emit()
        return f.finish()

    return unit.module.function(name, emit)


class _Nodes:
    def __init__(self, unit: Unit, f: Builder, own: int, shapes: Sequence[Shape]) -> None:
        self.f, self.schema, self.own, self.shapes = f, unit.schema, own, shapes
        ctx, self.bottom, value, self.dims, cursors, stack, indices, line, column = f.params
        self.ctx, self.place = ctx, (line, column)
        self.type_dims = TypeDims(unit.schema)
        self.leaves = len(unit.schema.leaves)
        self.writer = Writer(
            f, ctx, value, own, self.leaves, cursors, (stack, indices), f.ret, (line, column)
        )
        self.total = f.alloca(INDEX, 1, 8)
        self.next = f.alloca("ptr", 1, 8)

    def emit(self) -> None:
        f, w = self.f, self.writer
        head, body, done = f.label("walk"), f.label("visit"), f.label("walked")
        f.start(head)
        top = f.load("ptr", w.stack)
        f.branch_if(f.icmp("ugt", top, self.bottom), body, done)
        f.start(body)
        entry = f.gep("i8", top, -ENTRY)
        f.store(entry, w.stack)
        record = f.load("ptr", entry)
        tag = f.load("i32", f.gep("i8", entry, CELL))
        finished = f.load("i32", f.gep("i8", entry, CELL + 4))
        first, second = f.label("before"), f.label("after")
        f.branch_if(f.icmp("eq", finished, 0), first, second)
        f.start(first)
        w.push_visit(record, tag, 1)
        self._switch(tag, head, lambda s: self._before(s, record))
        f.start(second)
        number = w.cursor(self.own + self.leaves + 1)
        i = f.load(INDEX, number)
        self._count(i, tag, number)
        self._switch(tag, head, lambda s: self._after(s, record, i))
        f.start(done)
        f.ret(Value("i1", "true"))

    def _count(self, i: Value, tag: Value, number: Value) -> None:
        """Node i gets its tag, if there is room for it."""
        f, w = self.f, self.writer
        capacity = w.get(NODES, INDEX)
        with f.when(f.icmp("slt", i, capacity)):
            f.store(tag, f.gep("i32", w.get(TAGS, "ptr"), i))
        f.store(f.add(i, 1), number)
        with f.when(f.icmp("sgt", f.sub(i, capacity), SLACK)):
            f.call(
                context.fail_function(f.module), self.ctx, context.status("space"), *self.place,
                capacity, -1, context.text(f.module, "nodes"),
            )  # fmt: skip
            f.ret(Value("i1", "false"))

    def _switch(self, tag: Value, after: str, write: Callable[[Shape], None]) -> None:
        f = self.f
        labels = [f.label("constructor") for _ in self.shapes]
        never = f.label("never")
        f.switch(tag, never, [(s.tag, x) for s, x in zip(self.shapes, labels, strict=True)])
        f.start(never)
        f.unreachable()
        for s, label in zip(self.shapes, labels, strict=True):
            f.start(label)
            write(s)
            f.branch(after)

    def _lookup(self, s: Shape, record: Value) -> Lookup:
        f = self.f
        hidden = {name: CELL * (1 + k) for k, name in enumerate(s.constructor.dims)}

        def lookup(name: str) -> Value:
            at = hidden.get(name)
            if at is not None:
                return f.load(INDEX, f.gep("i8", record, at))
            return self.type_dims.load(f, self.dims, s.type.name, name)

        return lookup

    def _before(self, s: Shape, record: Value) -> None:
        lookup = self._lookup(s, record)
        for k, part in reversed(list(enumerate(s.fields))):
            at = self.f.gep("i8", record, field_offset(s.constructor, k))
            self.writer.push_children(self.schema, part, at, lookup)

    def _after(self, s: Shape, record: Value, i: Value) -> None:
        f, w = self.f, self.writer
        lookup = self._lookup(s, record)
        cells = [f.gep("i8", record, field_offset(s.constructor, k)) for k in range(len(s.fields))]
        f.store(f.index(0), self.total)
        for part, at in zip(s.fields, cells, strict=True):
            w.count_children(part, at, lookup, self.total)
        below = f.load("ptr", w.indices)
        total = f.load(INDEX, self.total)
        f.store(f.gep("i32", below, f.sub(total, 1)), self.next)
        for k, leaf in enumerate(s.dims):
            w.write_leaf(leaf, self.own, f.gep("i8", record, CELL * (1 + k)), lookup, False)
        for part, at in zip(s.fields, cells, strict=True):
            w.write_part(part, self.own, at, lookup, False, self.next)
        f.store(f.gep("i32", below, total), w.indices)
        w.push_index(i)


# -- results --------------------------------------------------------------------------------------


def deliver(b: Body, t: AdtType | ListType, handle: Value, value: Value, top: Value) -> None:
    """Write a result to the `dlc_value` at `value`; the walk's stack starts at `top`."""
    f, unit = b.f, b.unit
    schema = unit.schema
    items, own = own_leaves(t) if isinstance(t, ListType) else (None, ())
    leaves = len(schema.leaves)
    total = len(own) + leaves
    cursors = f.alloca(INDEX, total + 2, 8)
    for k in range(total + 2):
        f.store(f.index(0), f.gep(INDEX, cursors, k))
    type_dims = TypeDims(schema)
    dims = f.alloca(INDEX, max(1, type_dims.count), 8)
    bound = schema.bindings(t)
    values = {d: b.dim(d) for ds in bound.values() for d in ds}
    type_dims.store(f, dims, schema, bound, values)
    stack, indices, next_ = (f.alloca("ptr", 1, 8) for _ in range(3))
    f.store(top, stack)
    f.store(f.load("ptr", context.field(f, b.ctx, context.HEAP)), indices)
    loc = b.fn.loc
    place = (Value("i32", str(loc.line)), Value("i32", str(loc.column)))
    w = Writer(
        f, b.ctx, value, len(own), leaves, cursors, (stack, indices),
        lambda _: f.branch(b.unwind), place,
    )  # fmt: skip

    def lookup(name: str) -> Value:
        return b.dim(Dim.sym(name))

    if isinstance(t, AdtType):
        w.push_child(schema, Child(t), handle)
    else:
        assert items is not None
        cell = f.alloca("ptr", 1, 8)
        f.store(handle, cell)
        w.push_children(schema, items, cell, lookup)
    fine = f.call(
        _nodes_function(unit, len(own), bound),
        b.ctx,
        top,
        value,
        dims,
        cursors,
        stack,
        indices,
        *place,
    )
    b.leave_unless(fine)
    length: Value = f.index(-1)
    if items is not None:
        heap = f.load("ptr", context.field(f, b.ctx, context.HEAP))
        f.store(f.gep("i32", heap, -1), next_)
        w.write_items(items, 0, handle, lookup, next_)
        length = f.load(INDEX, handle)
    _finish(b, w, length, total, items is not None)


def _finish(b: Body, w: Writer, length: Value, total: int, is_list: bool) -> None:
    """Replace the capacities by the counts, and fail if one was too small."""
    f = b.f
    loc = b.fn.loc
    nodes, children = f.load(INDEX, w.cursor(total + 1)), f.load(INDEX, w.cursor(total))
    room = (w.get(NODES, INDEX), w.get(CHILD_COUNT, INDEX))
    root = f.index(-1) if is_list else f.sub(nodes, 1)
    for at, x in ((LENGTH, length), (NODES, nodes), (CHILD_COUNT, children), (ROOT, root)):
        f.store(x, member(f, VALUE, w.value, at))
    rows = w.get(ROWS, "ptr")
    zero = f.index(0)
    with f.loop(0, total, carried=(zero, zero), name="column") as loop:
        want = f.load(INDEX, f.gep(INDEX, w.cursors, loop.index))
        at = f.gep(INDEX, rows, loop.index)
        have = f.load(INDEX, at)
        f.store(want, at)
        fits = f.icmp("sle", want, have)
        old_have, old_want = loop.carried
        loop.next(f.select(fits, old_have, have), f.select(fits, old_want, want))
    for have, want, what in (
        (room[0], nodes, "nodes"),
        (room[1], children, "children"),
        (*loop.carried, "rows of a column"),
    ):
        b.check(f.icmp("sle", want, have), "space", loc, have, want, what)
