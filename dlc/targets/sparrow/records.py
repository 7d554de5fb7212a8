"""Records and lists on the heap: layouts of `dlc.memory.frame`."""

from __future__ import annotations

from collections.abc import Callable

from dlc.isa.builder import Label
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
    CELL,
    LIST_CHUNKS,
    LIST_HEADER,
    element_layout,
    field_offset,
    record_bytes,
)
from dlc.targets.sparrow.body import Body
from dlc.targets.sparrow.code import ZERO, Code, Int
from dlc.targets.sparrow.unit import Unit
from dlc.typesys.dtypes import I64
from dlc.typesys.types import ListType, TensorType

LIST, INDEX, SIZE, FOUND = Int(1), Int(2), Int(3), Int(4)
"""Registers of the routines on lists: arguments and result; 5, 6 and 7 are theirs, too."""


def emit_alloc(b: Body, s: Alloc) -> None:
    b.unit.check_dtype(s.dtype, s.loc)
    d = b.c.int()
    b.c.emit("alloc", d=d.number, a=b.bytes_of(s.size, s.dtype).number)
    b.put(s.dst, d)


def emit_mark(b: Body, s: Mark) -> None:
    d = b.c.int()
    b.c.emit("mark", d=d.number)
    b.put(s.dst, d)


def emit_release(b: Body, s: Release) -> None:
    b.c.emit("release", a=b.get_int(s.mark).number)


def emit_variant(b: Body, s: Variant) -> None:
    c = b.c
    decl = b.unit.m.types[s.type]
    constructor = decl.constructor(s.constructor)
    size = record_bytes(constructor)
    if not size:
        b.put(s.dst, c.number(b.unit.singleton(s.type, s.constructor)))
        return
    record = c.int()
    with c.scope():
        c.emit("alloc", d=record.number, a=c.number(size).number)
    with c.scope():
        tag = c.number(decl.tag(s.constructor))
        c.emit("st", a=record.number, b=tag.number, k=0)
    for k, d in enumerate(s.dims):
        with c.scope():
            c.emit("st", a=record.number, b=b.dim(d).number, k=CELL * (1 + k))
    for i, x in enumerate(s.fields):
        at = field_offset(constructor, i)
        with c.scope():
            t = constructor.fields[i].type
            is_scalar = isinstance(t, TensorType) and not t.rank
            dtype = t.dtype if isinstance(t, TensorType) and is_scalar else I64
            b.store_at(dtype, record, b.scalar(x, dtype), at)
    b.put(s.dst, record)


# -- lists


def emit_list_new(b: Body, s: ListNew) -> None:
    if s.reuse:
        b.c.emit("st", a=b.get_int(s.dst).number, b=0, k=0)
    else:
        b.put(s.dst, _new_list(b.c))


def _new_list(c: Code) -> Int:
    """An empty list: length 0, chunks without an address."""
    d = c.int()
    with c.scope():
        c.emit("alloc", d=d.number, a=c.number(LIST_HEADER).number)
        c.emit("st", a=d.number, b=0, k=0)
        none = c.number(-1)
        with c.count(c.number(LIST_CHUNKS)) as k:
            c.emit("st", a=c.add(d, c.times(k, CELL)).number, b=none.number, k=CELL)
    return d


def _element(b: Body, t: ListType) -> tuple[tuple[Int | int, ...], Int]:
    """Offsets of the columns, and the bytes of an element."""
    offsets, size = element_layout(t)
    made = tuple(o.constant if o.is_constant else b.dim(o) for o in offsets)
    return made, b.dim(size)


def _columns(b: Body, offsets: tuple[Int | int, ...], columns: tuple[Reg, ...]) -> None:
    c = b.c
    for r, o in zip(columns, offsets, strict=True):
        with c.scope():
            at = c.addi(FOUND, o) if isinstance(o, int) else c.add(FOUND, o)
            b.put(r, at)


def emit_list_push(b: Body, s: ListPush) -> None:
    c = b.c
    offsets, size = _element(b, s.type)
    held = b.get_int(s.list)
    c.move(LIST, held)
    c.move(SIZE, size)
    c.emit("call", to=_routine(b.unit, "list.push", _write_push))
    _columns(b, offsets, s.columns)


def emit_list_at(b: Body, s: ListAt) -> None:
    c = b.c
    offsets, size = _element(b, s.type)
    held, index = b.get_int(s.list), b.get_int(s.index)
    c.move(LIST, held)
    c.move(INDEX, index)
    c.move(SIZE, size)
    c.emit("call", to=_routine(b.unit, "list.at", _write_at))
    _columns(b, offsets, s.columns)


def emit_list_len(b: Body, s: ListLen) -> None:
    d = b.c.int()
    b.c.emit("ld", d=d.number, a=b.get_int(s.list).number, k=0)
    b.put(s.dst, d)


def emit_list_drop(b: Body, s: ListDrop) -> None:
    c = b.c
    held = b.get_int(s.list)
    n = c.int()
    c.emit("ld", d=n.number, a=held.number, k=0)
    b.check(c.op("slt", ZERO, n), "bounds", "pop of an empty list", n, 0, s.loc)
    c.emit("st", a=held.number, b=c.addi(n, -1).number, k=0)


def emit_list_copy(b: Body, s: ListCopy) -> None:
    """Chunk by chunk, in words; a chunk that the copy has already is as large as the source's."""
    c = b.c
    if s.reuse and s.dst is s.src:
        return
    _, size = _element(b, s.type)
    held = b.get_int(s.src)
    to = b.get_int(s.dst) if s.reuse else _new_list(c)
    n, four, start, k = c.int(), c.int(), c.int(), c.int()
    c.emit("ld", d=n.number, a=held.number, k=0)
    c.emit("st", a=to.number, b=n.number, k=0)
    c.set(four, 4)
    c.move(start, ZERO)
    c.move(k, ZERO)
    head, done = c.label(), c.label()
    c.place(head)
    c.branch("bge", start, n, done)
    with c.scope():
        bytes_ = c.int()
        c.mul(four, size, bytes_)
        words = c.op("sra", c.addi(bytes_, 7), c.number(3))
        chunk, source, at = c.int(), c.int(), c.add(to, k)
        c.emit("ld", d=source.number, a=c.add(held, k).number, k=CELL)
        c.emit("ld", d=chunk.number, a=at.number, k=CELL)
        with c.unless("bge", chunk, ZERO), c.scope():
            c.emit("alloc", d=chunk.number, a=c.times(words, CELL).number)
            c.emit("st", a=at.number, b=chunk.number, k=CELL)
        with c.count(words) as w:
            x, by = c.int(), c.times(w, CELL)
            c.emit("ld", d=x.number, a=c.add(source, by).number, k=0)
            c.emit("st", a=c.add(chunk, by).number, b=x.number, k=0)
    c.add(start, four, start)
    c.add(four, four, four)
    c.addi(k, CELL, k)
    c.jump(head)
    c.place(done)
    if not s.reuse:
        b.put(s.dst, to)


# -- routines


def _routine(unit: Unit, name: str, write: Callable[[Code], None]) -> Label:
    """The label of a routine that is written behind the functions, once."""
    unit.routines.setdefault(name, write)
    return Label(name)


def _locate(c: Code) -> None:
    """5 := the chunk of element INDEX, 6 := the number of its first element.

    `INDEX + 4` lies between `2**(k+2)` and twice that; the exponent of its nearest float is k + 2,
    or one more where rounding went up."""
    e, first, shift = Int(5), Int(6), Int(7)
    c.addi(INDEX, 4, first)
    c.emit("i2f", d=1, a=first.number)
    c.emit("fbits", d=e.number, a=1)
    c.set(shift, 23)
    c.op("srl", e, shift, e)
    c.addi(e, -129, e)
    c.set(shift, 4)
    c.op("shl", shift, e, shift)
    with c.unless("bge", first, shift):
        c.addi(e, -1, e)
        c.set(shift, 4)
        c.op("shl", shift, e, shift)
    c.addi(shift, -4, first)


def _write_at(c: Code) -> None:
    """FOUND := the address of element INDEX of LIST."""
    _locate(c)
    _address(c)
    c.emit("ret")


def _address(c: Code) -> None:
    k, first, by = Int(5), Int(6), Int(7)
    c.set(by, 3)
    c.op("shl", k, by, by)
    c.add(LIST, by, by)
    c.emit("ld", d=FOUND.number, a=by.number, k=CELL)
    c.sub(INDEX, first, by)
    c.mul(by, SIZE, by)
    c.add(FOUND, by, FOUND)


def _write_push(c: Code) -> None:
    """FOUND := the address of one more element of LIST; a new chunk where the last one is full."""
    k, first, by = Int(5), Int(6), Int(7)
    c.emit("ld", d=INDEX.number, a=LIST.number, k=0)
    _locate(c)
    with c.unless("bne", INDEX, first):
        c.set(by, 3)
        c.op("shl", k, by, by)
        c.add(LIST, by, by)
        c.emit("ld", d=FOUND.number, a=by.number, k=CELL)
        with c.unless("bge", FOUND, ZERO):
            c.set(FOUND, 4)
            c.op("shl", FOUND, k, FOUND)
            c.mul(FOUND, SIZE, FOUND)
            c.emit("alloc", d=FOUND.number, a=FOUND.number)
            c.emit("st", a=by.number, b=FOUND.number, k=CELL)
    _address(c)
    c.addi(INDEX, 1, INDEX)
    c.emit("st", a=LIST.number, b=INDEX.number, k=0)
    c.emit("ret")
