"""What lives on the heap: storage, records of algebraic values, lists. Nothing is ever freed but by
`Release`, which moves the heap's end back up.

`dlc.alloc` and the list functions return null after a failure, with the status written down.
"""

from __future__ import annotations

from collections.abc import Callable

from dlc.diag import InternalError
from dlc.memory.form import (
    Alloc,
    ListAt,
    ListCopy,
    ListDrop,
    ListLen,
    ListNew,
    ListPush,
    Mark,
    Reg,
    Release,
    Variant,
)
from dlc.memory.frame import (
    BLOCK,
    CELL,
    LIST_CHUNKS,
    LIST_HEADER,
    blocks,
    element_layout,
    field_offset,
    record_bytes,
)
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body, immediate
from dlc.targets.cpu.emit.frames import top_of
from dlc.targets.cpu.emit.poison import poison
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Value
from dlc.typesys.dtypes import DType
from dlc.typesys.types import ListType, TensorType

_PLACE = (("i32", "line"), ("i32", "column"))
_NULL = Value("ptr", "null")


def _function(
    module: Module,
    name: str,
    params: tuple[tuple[str, str], ...],
    write: Callable[[Builder], None],
    result: str = "ptr",
    inline: str = "",
) -> Function:
    def emit() -> tuple[Function, str]:
        f = Builder(module, name, result, params, inline=inline)
        write(f)
        return f.finish()

    return module.function(name, emit)


# -- storage --------------------------------------------------------------------------------------


def alloc_function(module: Module, poisoned: bool) -> Function:
    """`dlc.alloc(ctx, top, bytes, line, column)`: fresh heap, `bytes` being whole blocks."""

    def write(f: Builder) -> None:
        ctx, top, size, line, column = f.params
        room = context.room_left(f, ctx, top)
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(f.icmp("ule", size, room), good, bad)
        f.start(bad)
        have = f.load(INDEX, context.field(f, ctx, context.SIZE))
        want = f.add(have, f.sub(size, room))
        f.call(
            context.fail_function(module), ctx, context.status("arena"), line, column, have, want,
            context.text(module, "heap"),
        )  # fmt: skip
        f.ret(_NULL)
        f.start(good)
        heap = f.load("ptr", context.field(f, ctx, context.HEAP))
        new = f.gep("i8", heap, f.sub(0, size))
        f.store(new, context.field(f, ctx, context.HEAP))
        context.note_room(f, ctx, f.sub(room, size))
        if poisoned:
            poison(f, new, size)
        f.ret(new)

    params = (("ptr", "ctx"), ("ptr", "top"), (INDEX, "bytes"), *_PLACE)
    return _function(module, "dlc.alloc", params, write, inline="never")


def allocate(b: Body, size: Value, line: int, column: int) -> Value:
    """Fresh heap of `size` bytes, whole blocks, or leave with status `arena`."""
    function = alloc_function(b.unit.module, b.unit.options.poison)
    x = b.f.call(function, b.ctx, top_of(b), size, line, column)
    b.leave_unless(b.f.icmp("ne", x, _NULL))
    return x


def emit_alloc(b: Body, s: Alloc) -> None:
    d = blocks(s.size * s.dtype.bytes)
    b.set(s.dst, allocate(b, b.size(d), s.loc.line, s.loc.column))


def emit_mark(b: Body, s: Mark) -> None:
    heap = b.f.load("ptr", context.field(b.f, b.ctx, context.HEAP))
    b.set(s.dst, b.f.cast("ptrtoint", heap, INDEX))


def emit_release(b: Body, s: Release) -> None:
    f = b.f
    at = context.field(f, b.ctx, context.HEAP)
    mark = b.get(s.mark)
    old = f.load("ptr", at)
    if b.unit.options.poison:
        poison(f, old, f.sub(mark, f.cast("ptrtoint", old, INDEX)))
    f.store(f.gep("i8", old, f.sub(mark, f.cast("ptrtoint", old, INDEX))), at)


# -- records --------------------------------------------------------------------------------------


def emit_variant(b: Body, s: Variant) -> None:
    f = b.f
    decl = b.unit.types[s.type]
    c = decl.constructor(s.constructor)
    tag = decl.tag(s.constructor)
    if len(s.dims) != len(c.dims) or len(s.fields) != len(c.fields):
        raise InternalError(f"fields of {s.constructor}", stage="emit")
    if not record_bytes(c):
        b.set(s.dst, b.unit.module.array(INDEX, [str(tag)], CELL))
        return
    size = Value(INDEX, str(record_bytes(c)))
    record = allocate(b, size, s.loc.line, s.loc.column)
    f.store(Value(INDEX, str(tag)), record)
    for i, d in enumerate(s.dims):
        f.store(b.dim(d), f.gep("i8", record, CELL * (1 + i)))
    for i, (x, field) in enumerate(zip(s.fields, c.fields, strict=True)):
        if isinstance(x, Reg):
            value = b.get(x)
        else:
            assert isinstance(field.type, TensorType)
            value = immediate(x, field.type.dtype)
        f.store(value, f.gep("i8", record, field_offset(c, i)))
    b.set(s.dst, record)


# -- lists ----------------------------------------------------------------------------------------


def chunk_of(f: Builder, i: Value) -> tuple[Value, Value]:
    """The chunk that element i is in, and the number of its first element."""
    q = f.add(f.lshr(i, 2), 1)
    zeros = f.call(f.module.declare("llvm.ctlz.i64", INDEX, (INDEX, "i1")), q, Value("i1", "true"))
    k = f.sub(63, zeros)
    return k, f.sub(f.shl(f.like(4, k), k), 4)


def _chunk_address(f: Builder, xs: Value, k: Value) -> Value:
    """Where the header keeps the address of chunk k."""
    return f.gep("i8", xs, f.add(f.shl(k, 3), CELL))


def at_function(module: Module) -> Function:
    """`dlc.list.at(list, i, stride)`: address of element i."""

    def write(f: Builder) -> None:
        xs, i, stride = f.params
        k, first = chunk_of(f, i)
        chunk = f.load("ptr", _chunk_address(f, xs, k))
        f.ret(f.gep("i8", chunk, f.mul(f.sub(i, first), stride)))

    params = (("ptr", "list"), (INDEX, "i"), (INDEX, "stride"))
    return _function(module, "dlc.list.at", params, write, inline="hint")


def push_function(module: Module, poisoned: bool) -> Function:
    """`dlc.list.push(ctx, top, list, stride, line, column)`: address of a new last element."""

    def write(f: Builder) -> None:
        ctx, top, xs, stride, line, column = f.params
        n = f.load(INDEX, xs)
        k, first = chunk_of(f, n)
        slot = _chunk_address(f, xs, k)
        there, grow, full = f.label("there"), f.label("grow"), f.label("full")
        new, done = f.label("new"), f.label("done")
        in_range = f.icmp("ult", k, LIST_CHUNKS)
        f.branch_if(f.and_(in_range, f.icmp("ult", stride, 1 << 40)), there, full)
        f.start(full)
        f.call(
            context.fail_function(module), ctx, context.status("arena"), line, column, n, -1,
            context.text(module, "a list of too many elements"),
        )  # fmt: skip
        f.ret(_NULL)
        f.start(there)
        old = f.load("ptr", slot)
        before = f.block
        f.branch_if(f.icmp("eq", old, _NULL), grow, done)
        f.start(grow)
        size = f.mul(f.shl(f.like(4, k), k), stride)
        size = f.and_(f.add(size, BLOCK - 1), -BLOCK)
        fresh = f.call(alloc_function(module, poisoned), ctx, top, size, line, column)
        failed = f.label("failed")
        f.branch_if(f.icmp("eq", fresh, _NULL), failed, new)
        f.start(failed)
        f.ret(_NULL)
        f.start(new)
        f.store(fresh, slot)
        f.branch(done)
        f.start(done)
        chunk = f.phi("ptr", ((old, before), (fresh, new)))
        f.store(f.add(n, 1), xs)
        f.ret(f.gep("i8", chunk, f.mul(f.sub(n, first), stride)))

    params = (("ptr", "ctx"), ("ptr", "top"), ("ptr", "list"), (INDEX, "stride"), *_PLACE)
    return _function(module, "dlc.list.push", params, write, inline="never")


def new_function(module: Module, poisoned: bool) -> Function:
    """`dlc.list.new(ctx, top, line, column)`: an empty list."""

    def write(f: Builder) -> None:
        xs = f.call(alloc_function(module, poisoned), f.params[0], f.params[1], LIST_HEADER,
                    *f.params[2:])  # fmt: skip
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(f.icmp("ne", xs, _NULL), good, bad)
        f.start(good)
        with f.loop(0, CELL * (1 + LIST_CHUNKS), CELL) as loop:
            f.store(Value(INDEX, "0"), f.gep("i8", xs, loop.index))
        f.branch(bad)
        f.start(bad)
        f.ret(xs)

    params = (("ptr", "ctx"), ("ptr", "top"), *_PLACE)
    return _function(module, "dlc.list.new", params, write, inline="never")


def copy_function(module: Module, poisoned: bool) -> Function:
    """`dlc.list.copy(ctx, top, list, stride, line, column)`: a list of the same elements."""

    def write(f: Builder) -> None:
        ctx, top, xs, stride, line, column = f.params
        out, bad = f.label("out"), f.label("bad")
        new = f.call(new_function(module, poisoned), ctx, top, line, column)
        f.branch_if(f.icmp("ne", new, _NULL), out, bad)
        f.start(bad)
        f.ret(_NULL)
        f.start(out)
        f.ret(f.call(fill_function(module, poisoned), ctx, top, new, xs, stride, line, column))

    params = (("ptr", "ctx"), ("ptr", "top"), ("ptr", "list"), (INDEX, "stride"), *_PLACE)
    return _function(module, "dlc.list.copy", params, write, inline="never")


def fill_function(module: Module, poisoned: bool) -> Function:
    """`dlc.list.fill(ctx, top, to, list, stride, line, column)`: `to`, whose elements become those
    of the list, in the chunks that it has and new ones; null after a failure."""

    def write(f: Builder) -> None:
        ctx, top, to, xs, stride, line, column = f.params
        n = f.load(INDEX, xs)
        f.store(n, to)
        last, _ = chunk_of(f, f.sub(n, 1))
        chunks = f.select(f.icmp("eq", n, 0), f.like(0, n), f.add(last, 1))
        with f.loop(0, chunks) as loop:
            k = loop.index
            capacity = f.shl(f.like(4, k), k)
            slot = _chunk_address(f, to, k)
            grow, ready, failed = f.label("grow"), f.label("ready"), f.label("failed")
            f.branch_if(f.icmp("eq", f.load("ptr", slot), _NULL), grow, ready)
            f.start(grow)
            size = f.and_(f.add(f.mul(capacity, stride), BLOCK - 1), -BLOCK)
            fresh = f.call(alloc_function(module, poisoned), ctx, top, size, line, column)
            f.store(fresh, slot)
            f.branch_if(f.icmp("ne", fresh, _NULL), ready, failed)
            f.start(failed)
            f.ret(_NULL)
            f.start(ready)
            filled = f.imin(capacity, f.sub(n, f.sub(capacity, 4)))
            source = f.load("ptr", _chunk_address(f, xs, k))
            f.call(kernel(module, "copy", "u8"), f.load("ptr", slot), source, f.mul(filled, stride))
        f.ret(to)

    params = (
        ("ptr", "ctx"), ("ptr", "top"), ("ptr", "to"), ("ptr", "list"), (INDEX, "stride"), *_PLACE,
    )  # fmt: skip
    return _function(module, "dlc.list.fill", params, write, inline="never")


def stride_of(b: Body, t: ListType) -> Value:
    """Bytes from element to element."""
    _, stride = element_layout(t)
    return b.size(stride)


def _set_columns(b: Body, t: ListType, element: Value, columns: tuple[Reg, ...]) -> None:
    offsets, _ = element_layout(t)
    for r, at in zip(columns, offsets, strict=True):
        b.set(r, b.f.gep("i8", element, b.dim(at)))


def emit_list_new(b: Body, s: ListNew) -> None:
    if s.reuse:
        b.f.store(b.f.index(0), b.get(s.dst))
        return
    function = new_function(b.unit.module, b.unit.options.poison)
    xs = b.f.call(function, b.ctx, top_of(b), s.loc.line, s.loc.column)
    b.leave_unless(b.f.icmp("ne", xs, _NULL))
    b.set(s.dst, xs)


def emit_list_push(b: Body, s: ListPush) -> None:
    stride = stride_of(b, s.type)
    function = push_function(b.unit.module, b.unit.options.poison)
    element = b.f.call(function, b.ctx, top_of(b), b.get(s.list), stride, s.loc.line, s.loc.column)
    b.leave_unless(b.f.icmp("ne", element, _NULL))
    _set_columns(b, s.type, element, s.columns)


def emit_list_at(b: Body, s: ListAt) -> None:
    stride = stride_of(b, s.type)
    element = b.f.call(at_function(b.unit.module), b.get(s.list), b.index(s.index), stride)
    _set_columns(b, s.type, element, s.columns)


def emit_list_len(b: Body, s: ListLen) -> None:
    assert isinstance(s.dst.type, DType)
    n = b.f.load(INDEX, b.get(s.list))
    b.set(s.dst, b.f.cast("trunc", n, "i32"))


def emit_list_drop(b: Body, s: ListDrop) -> None:
    f = b.f
    xs = b.get(s.list)
    n = f.load(INDEX, xs)
    b.check(f.icmp("ne", n, 0), "bounds", s.loc, 0, 1, "pop from an empty list")
    f.store(f.sub(n, 1), xs)


def emit_list_copy(b: Body, s: ListCopy) -> None:
    if s.reuse and s.dst is s.src:
        return
    stride = stride_of(b, s.type)
    if s.reuse:
        fill = fill_function(b.unit.module, b.unit.options.poison)
        xs = b.f.call(
            fill, b.ctx, top_of(b), b.get(s.dst), b.get(s.src), stride, s.loc.line, s.loc.column
        )
        b.leave_unless(b.f.icmp("ne", xs, _NULL))
        return
    function = copy_function(b.unit.module, b.unit.options.poison)
    xs = b.f.call(function, b.ctx, top_of(b), b.get(s.src), stride, s.loc.line, s.loc.column)
    b.leave_unless(b.f.icmp("ne", xs, _NULL))
    b.set(s.dst, xs)
