"""Structures coming in: flat arrays (see `schema`) become records and lists in the heap.

One pass over the nodes checks every tag, child and row: a child lies before its parent, has the
right type and no other parent, so the value is a tree; every node but the root, the last one, has a
parent. A failure is the status `struct`: `got` is what was found, `want` what would do. For a child
out of order that is the largest number, for a tag the first that may stand there; for a second
parent `got` is the node; for nodes without a parent both are numbers of nodes. Tensors of records
stay where the caller has them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from dlc.memory.frame import BLOCK, CELL, element_layout, field_offset
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.dims import CheckedSize, emit_dim
from dlc.targets.cpu.emit.heap import alloc_function, new_function, push_function
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
Check = Callable[[Value, Operand, Operand, str], None]
_NULL = Value("ptr", "null")


def record_stride(shapes: Sequence[Shape]) -> int:
    """Bytes from node to node: every input record has room for the largest constructor."""
    return CELL * max((1 + len(s.dims) + len(s.fields) for s in shapes), default=1)


class Reader:
    """Reads parts of a value at the cursors. `check` and `need` leave the function being written
    after a failure. `stride` is that of the nodes' records."""

    def __init__(
        self,
        f: Builder,
        poisoned: bool,
        ctx: Value,
        top: Value,
        value: Value,
        own: int,
        schema: Schema,
        cursors: Value,
        place: tuple[Operand, Operand],
        check: Check,
        need: Callable[[Value], None],
        stride: int,
    ) -> None:
        self.stride = stride
        self.f, self.poisoned, self.ctx, self.top, self.value = f, poisoned, ctx, top, value
        self.own, self.schema, self.cursors = own, schema, cursors
        self.place, self.check, self.need = place, check, need

    def get(self, at: int, type_: str) -> Value:
        return self.f.load(type_, member(self.f, VALUE, self.value, at))

    def _cursor(self, number: int) -> Value:
        return self.f.gep(INDEX, self.cursors, number)

    # -- leaves

    def _name(self, leaf: Leaf, offset: int) -> str:
        """A column's name in messages."""
        if offset or not self.own:
            return self.schema.leaf_names[leaf.number]
        return "the list" if self.own == 1 else f"the list's column {leaf.number}"

    def _advance(self, leaf: Leaf, offset: int, lookup: Lookup) -> tuple[Value, Value]:
        """Address of a leaf's next row, and its number of elements."""
        f = self.f
        number = leaf.number + offset
        at = self._cursor(number)
        row = f.load(INDEX, at)
        rows = f.load(INDEX, f.gep(INDEX, self.get(ROWS, "ptr"), number))
        size = emit_dim(f, leaf.size, lookup)
        after = f.add(row, size if leaf.varies else 1)
        ok = f.and_(f.icmp("sle", after, rows), f.icmp("sge", size, 0))
        name = f"too few {'elements' if leaf.varies else 'rows'} of {self._name(leaf, offset)}"
        self.check(ok, rows, after, name)
        f.store(after, at)
        column = f.load("ptr", f.gep("ptr", self.get(COLUMNS, "ptr"), number))
        first = row if leaf.varies or leaf.is_scalar else f.mul(row, size)
        return f.gep(ELEMENTS[leaf.dtype.name].memory, column, first), size

    def read_leaf(self, leaf: Leaf, offset: int, to: Value, lookup: Lookup, inline: bool) -> None:
        """A leaf into a record's cell (scalars as in a register, tensors by address) or, inline,
        into a list's element."""
        f = self.f
        at, size = self._advance(leaf, offset, lookup)
        name = leaf.dtype.name
        if leaf.is_scalar:
            x = convert.load(f, name, at)
            if inline:
                convert.store(f, name, x, to)
            else:
                f.store(x, to)
        elif inline:
            f.call(kernel(f.module, "copy", name), to, at, size)
        else:
            f.store(at, to)

    # -- structure

    @property
    def used(self) -> Value:
        """The cursor of `children`."""
        return self._cursor(self.own + len(self.schema.leaves))

    @property
    def parents(self) -> Value:
        """Number of nodes that have a parent."""
        return self._cursor(self.own + len(self.schema.leaves) + 1)

    def _next_child(self) -> Value:
        f = self.f
        at = self.used
        i = f.load(INDEX, at)
        n = self.get(CHILD_COUNT, INDEX)
        self.check(f.icmp("slt", i, n), n, f.add(i, 1), "too few children")
        f.store(f.add(i, 1), at)
        return f.cast("sext", f.load("i32", f.gep("i32", self.get(CHILDREN, "ptr"), i)), INDEX)

    def node(self, schema: Schema, t: AdtType, i: Value, bound: Value, nodes: Value) -> Value:
        """The record of node i, checked to lie below `bound` and to be of the type."""
        f = self.f
        self.check(f.icmp("ult", i, bound), i, f.sub(bound, 1), "a node out of order")
        tag = f.load("i32", f.gep("i32", self.get(TAGS, "ptr"), i))
        local = f.sub(tag, schema.tag_base[t.name])
        count, first = len(schema.types[t.name].constructors), schema.tag_base[t.name]
        is_one = f.icmp("ult", local, count)
        self.check(is_one, f.cast("sext", tag, INDEX), first, f"a node that is no {t.name}: tag")
        return f.gep("i8", nodes, f.mul(i, self.stride))

    def read_child(self, schema: Schema, t: AdtType, bound: Value, nodes: Value) -> Value:
        """The next child: a node that had no parent before."""
        f = self.f
        i = self._next_child()
        record = self.node(schema, t, i, bound, nodes)
        mark = f.gep("i8", record, 4)
        free = f.icmp("eq", f.load("i32", mark), 0)
        self.check(free, i, 0, "a node with two parents")
        f.store(Value("i32", "1"), mark)
        f.store(f.add(f.load(INDEX, self.parents), 1), self.parents)
        return record

    def read_list(
        self,
        schema: Schema,
        items: Items,
        count: Value,
        bound: Value,
        nodes: Value,
        offset: int,
        lookup: Lookup,
    ) -> Value:
        """A list of `count` elements."""
        f = self.f
        xs = f.call(new_function(f.module, self.poisoned), self.ctx, self.top, *self.place)
        self.need(xs)
        offsets, stride = element_layout(items.type)
        sizes = CheckedSize(f, lookup)
        by = sizes.emit(stride)
        if sizes.overflow is not None:
            self.check(f.not_(sizes.overflow), by, 0, "elements of a list are too large")
        places = [emit_dim(f, d, lookup) for d in offsets]
        push = push_function(f.module, self.poisoned)
        with f.loop(0, count, name="item"):
            element = f.call(push, self.ctx, self.top, xs, by, *self.place)
            self.need(element)
            for part, at in zip(items.columns, places, strict=True):
                to = f.gep("i8", element, at)
                self.read_part(schema, part, to, bound, nodes, offset, lookup, True)
        return xs

    def read_part(
        self,
        schema: Schema,
        part: Part,
        to: Value,
        bound: Value,
        nodes: Value,
        offset: int,
        lookup: Lookup,
        inline: bool,
    ) -> None:
        """One field of a record, or one column of an element."""
        f = self.f
        if isinstance(part, Leaf):
            self.read_leaf(part, offset, to, lookup, inline)
        elif isinstance(part, Child):
            f.store(self.read_child(schema, part.type, bound, nodes), to)
        else:
            n = self._next_child()
            self.check(f.icmp("sge", n, 0), n, 0, "a list of negative length")
            xs = self.read_list(schema, part, n, bound, nodes, offset, lookup)
            f.store(xs, to)


# -- the nodes of a value -------------------------------------------------------------------------

_PARAMS = (
    ("ptr", "ctx"), ("ptr", "top"), ("ptr", "value"), ("ptr", "dims"), ("ptr", "cursors"),
    ("i32", "line"), ("i32", "column"),
)  # fmt: skip


def _nodes_function(unit: Unit, own: int, reached: Collection[str]) -> Function:
    """`dlc.receive.<own>.<types>(ctx, top, value, dims, cursors, line, column)`: the records of all
    nodes, in a block; null after a failure. `own` columns come before those of the module;
    `reached` are the types that may occur."""
    name = f"dlc.receive.{own}.{unit.schema.numbers(reached)}"

    def emit() -> tuple[Function, str]:
        f = Builder(unit.module, name, "ptr", _PARAMS, inline="never")
        _Nodes(unit, f, own, unit.schema.shapes_of(reached)).emit()
        return f.finish()

    return unit.module.function(name, emit)


class _Nodes:
    def __init__(self, unit: Unit, f: Builder, own: int, shapes: Sequence[Shape]) -> None:
        self.unit, self.f, self.schema, self.shapes = unit, f, unit.schema, shapes
        ctx, top, value, self.dims, cursors, line, column = f.params
        self.ctx, self.place = ctx, (line, column)
        self.type_dims = TypeDims(unit.schema)
        poisoned = unit.options.poison
        self.reader = Reader(
            f, poisoned, ctx, top, value, own, unit.schema, cursors, (line, column),
            self._check, self._need, record_stride(shapes),
        )  # fmt: skip
        self.own, self.top = own, top

    def _check(self, ok: Value, got: Operand, want: Operand, what: str) -> None:
        f = self.f
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(ok, good, bad)
        f.start(bad)
        f.call(
            context.fail_function(f.module), self.ctx, context.status("struct"), *self.place,
            got, want, context.text(f.module, what),
        )  # fmt: skip
        f.ret(_NULL)
        f.start(good)

    def _need(self, x: Value) -> None:
        f = self.f
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(f.icmp("ne", x, _NULL), good, bad)
        f.start(bad)
        f.ret(_NULL)
        f.start(good)

    def emit(self) -> None:
        f, reader = self.f, self.reader
        n = reader.get(NODES, INDEX)
        self._check(f.icmp("ule", n, context.MAX_DIM), n, context.MAX_DIM, "number of nodes")
        stride = reader.stride
        size = f.and_(f.add(f.mul(n, stride), BLOCK - 1), -BLOCK)
        alloc = alloc_function(f.module, self.unit.options.poison)
        nodes = f.call(alloc, self.ctx, self.top, size, *self.place)
        self._need(nodes)
        with f.loop(0, n, name="node") as loop:
            i = loop.index
            record = f.gep("i8", nodes, f.mul(i, stride))
            tag = f.load("i32", f.gep("i32", reader.get(TAGS, "ptr"), i))
            labels = [f.label("constructor") for _ in self.shapes]
            strange, done = f.label("strange"), f.label("read")
            cases = [(s.tag, label) for s, label in zip(self.shapes, labels, strict=True)]
            f.switch(tag, strange, cases)
            f.start(strange)
            never = Value("i1", "false")
            first = self.shapes[0].tag if self.shapes else -1
            found = f.cast("sext", tag, INDEX)
            self._check(never, found, first, "a tag that no node may have here")
            f.branch(done)
            for s, label in zip(self.shapes, labels, strict=True):
                f.start(label)
                self._constructor(s, record, i, nodes)
                f.branch(done)
            f.start(done)
        f.ret(nodes)

    def _constructor(self, s: Shape, record: Value, i: Value, nodes: Value) -> None:
        f = self.f
        f.store(Value(INDEX, str(s.local_tag)), record)
        hidden: dict[str, Value] = {}

        def lookup(name: str) -> Value:
            known = hidden.get(name)
            return known or self.type_dims.load(f, self.dims, s.type.name, name)

        for k, (name, leaf) in enumerate(zip(s.constructor.dims, s.dims, strict=True)):
            cell = f.gep("i8", record, CELL * (1 + k))
            self.reader.read_leaf(leaf, self.own, cell, lookup, False)
            n = hidden[name] = f.load(INDEX, cell)
            ok = f.icmp("ule", n, context.MAX_DIM)
            self._check(ok, n, context.MAX_DIM, f"{s.constructor.name}.{name} out of range")
        for k, part in enumerate(s.fields):
            cell = f.gep("i8", record, field_offset(s.constructor, k))
            self.reader.read_part(self.schema, part, cell, i, nodes, self.own, lookup, False)


# -- parameters -----------------------------------------------------------------------------------


def receive(b: Body, t: AdtType | ListType, value: Value, name: str) -> Value:
    """The handle of a parameter that the `dlc_value` at `value` describes."""
    f, unit = b.f, b.unit
    schema = unit.schema
    items, own = own_leaves(t) if isinstance(t, ListType) else (None, ())
    total = len(own) + len(schema.leaves)
    cursors = f.alloca(INDEX, total + 2, 8)
    for k in range(total + 2):
        f.store(f.index(0), f.gep(INDEX, cursors, k))
    type_dims = TypeDims(schema)
    dims = f.alloca(INDEX, max(1, type_dims.count), 8)
    bound = schema.bindings(t)
    values = {d: b.dim(d) for ds in bound.values() for d in ds}
    type_dims.store(f, dims, schema, bound, values)
    loc = b.fn.loc
    top = b.frame()
    argument = context.field(f, b.ctx, context.ARGUMENT)
    f.store(context.text(f.module, name), argument)

    def check(ok: Value, got: Operand, want: Operand, what: str) -> None:
        b.check(ok, "struct", loc, got, want, what)

    def need(x: Value) -> None:
        b.leave_unless(f.icmp("ne", x, _NULL))

    reader = Reader(
        f, unit.options.poison, b.ctx, top, value, len(own), schema, cursors,
        (loc.line, loc.column), check, need, record_stride(schema.shapes_of(bound)),
    )  # fmt: skip
    nodes = f.call(
        _nodes_function(unit, len(own), bound),
        b.ctx,
        top,
        value,
        dims,
        cursors,
        loc.line,
        loc.column,
    )
    need(nodes)
    count, length = reader.get(NODES, INDEX), reader.get(LENGTH, INDEX)
    if isinstance(t, AdtType):
        check(f.icmp("eq", length, -1), length, -1, "a list where none is wanted")
        check(f.icmp("sgt", count, 0), count, 1, "a value without nodes")
        root, last = reader.get(ROOT, INDEX), f.sub(count, 1)
        check(f.icmp("eq", root, last), root, last, "a root that is not the last node")
        handle = reader.node(schema, t, root, count, nodes)
        _all_have_parents(f, reader, last, check)
    else:
        assert items is not None
        ok = f.icmp("ule", length, context.MAX_DIM)
        check(ok, length, context.MAX_DIM, "length of a list")
        handle = reader.read_list(
            schema, items, length, count, nodes, 0, lambda n: b.dim(Dim.sym(n))
        )
        _all_have_parents(f, reader, count, check)
    _all_consumed(f, reader, total, cursors, check)
    f.store(_NULL, argument)
    return handle


def _all_have_parents(f: Builder, reader: Reader, want: Value, check: Check) -> None:
    """No node may be left over."""
    have = f.load(INDEX, reader.parents)
    check(f.icmp("eq", have, want), have, want, "a node without a parent: nodes with one")


def _all_consumed(f: Builder, reader: Reader, total: int, cursors: Value, check: Check) -> None:
    """Nothing may be left over: it would mean that the caller sees other sizes."""
    used = f.load(INDEX, reader.used)
    children = reader.get(CHILD_COUNT, INDEX)
    check(f.icmp("eq", used, children), children, used, "children left over")
    rows = reader.get(ROWS, "ptr")
    with f.loop(0, total, name="column") as loop:
        used = f.load(INDEX, f.gep(INDEX, cursors, loop.index))
        have = f.load(INDEX, f.gep(INDEX, rows, loop.index))
        check(f.icmp("eq", used, have), have, used, "rows of a column left over")
