"""Control, moves, checks and calls."""

from __future__ import annotations

from dlc.memory.form import (
    Address,
    Assert,
    BindDim,
    Call,
    CheckDims,
    CheckIndex,
    Const,
    Data,
    DimValue,
    For,
    If,
    Load,
    Loop,
    Move,
    Reg,
    Store,
    Switch,
    View,
)
from dlc.memory.frame import CELL, field_offset
from dlc.targets.sparrow.body import Body
from dlc.targets.sparrow.code import FRAME, ZERO, Flt, Int, Scalar
from dlc.targets.sparrow.convention import Cell, Seat
from dlc.targets.sparrow.scalars import convert
from dlc.typesys.dtypes import BOOL, I64, DType

MAX_DIM = (1 << 31) - 1


def emit_const(b: Body, s: Const) -> None:
    if isinstance(s.dst.type, DType):
        b.unit.check_dtype(s.dst.type, b.loc)
        b.give(s.dst, b.immediate(s.value, s.dst.type))
    else:
        b.put(s.dst, ZERO)


def emit_data(b: Body, s: Data) -> None:
    b.unit.check_dtype(s.dtype, b.loc)
    b.put(s.dst, b.c.number(b.unit.data(s)))


def emit_move(b: Body, s: Move) -> None:
    b.put(s.dst, b.get(s.src))


def emit_dim_value(b: Body, s: DimValue) -> None:
    assert isinstance(s.dst.type, DType)
    b.give(s.dst, convert(b, b.dim(s.dim), I64, s.dst.type))


def emit_bind_dim(b: Body, s: BindDim) -> None:
    x = b.get_int(s.src)
    c = b.c
    below = c.op("slt", x, c.number(MAX_DIM + 1))
    ok = c.op("and", below, c.negate_bool(c.op("slt", x, ZERO)))
    b.check(ok, "shape", "a size out of range", x, 0)
    b.put(s.name, x)


def emit_check_index(b: Body, s: CheckIndex) -> None:
    c = b.c
    i = b.get_int(s.index)
    bound = b.get_int(s.bound) if isinstance(s.bound, Reg) else b.dim(s.bound)
    ok = c.op("and", c.op("slt", i, bound), c.negate_bool(c.op("slt", i, ZERO)))
    b.check(ok, "bounds", "index out of range", i, bound)


def emit_check_dims(b: Body, s: CheckDims) -> None:
    left, right = b.dim(s.left), b.dim(s.right)
    b.check(b.c.op("seq", left, right), "shape", s.message, left, right)


def emit_assert(b: Body, s: Assert) -> None:
    assert s.condition.type == BOOL
    b.check(b.get_int(s.condition), "assert", s.message, 0, 1)


def emit_address(b: Body, s: Address) -> None:
    b.give(s.dst, b.address(s.view))


def emit_load(b: Body, s: Load) -> None:
    b.give(s.dst, b.load(s.view))


def emit_store(b: Body, s: Store) -> None:
    b.store(s.view, b.scalar(s.src, s.view.dtype))


# -- structured control


def emit_if(b: Body, s: If) -> None:
    c = b.c
    other, done = c.label(), c.label()
    c.branch("beq", b.get_int(s.condition), ZERO, other)
    b.block(s.then)
    if s.otherwise:
        c.jump(done)
    c.place(other)
    b.block(s.otherwise)
    c.place(done)


def emit_switch(b: Body, s: Switch) -> None:
    """By the record's tag, its first cell; a case takes its payload from the cells after."""
    c = b.c
    decl = b.unit.m.types[s.type]
    labels = [c.label() for _ in s.cases]
    done = c.label()
    with c.scope():
        record = b.get_int(s.value)
        tag = c.int()
        c.emit("ld", d=tag.number, a=record.number, k=0)
        for case, label in zip(s.cases[:-1], labels[:-1], strict=True):
            if case.constructor is not None:
                with c.scope():
                    c.branch("beq", tag, c.number(decl.tag(case.constructor)), label)
    c.jump(labels[-1])
    for case, label in zip(s.cases, labels, strict=True):
        c.place(label)
        if case.constructor is not None:
            constructor = decl.constructor(case.constructor)
            with c.scope():
                record = c.int()
                c.move(record, b.get_int(s.value))
                for i, name in enumerate(case.dims):
                    with c.scope():
                        b.put(name, b.load_at(I64, record, CELL * (1 + i)))
                for i, r in enumerate(case.payload):
                    with c.scope():
                        b.load_cell(r, record, field_offset(constructor, i))
        b.block(case.body)
        c.jump(done)
    c.place(done)


def emit_for(b: Body, s: For) -> None:
    """A counter that the body cannot see runs from `lo` to `hi`, or down from `hi`."""
    c = b.c
    assert isinstance(s.index.type, DType)
    counter, bound = b.homes.counters[s]
    with c.scope():
        lo, hi = b.scalar(s.lo, s.index.type), b.scalar(s.hi, s.index.type)
        held = c.int()
        assert isinstance(hi, Int)
        c.move(held, hi)
        b.put(counter, held if s.reverse else lo)
        b.put(bound, lo if s.reverse else held)
    head, done = c.label(), c.label()
    c.place(head)
    with c.scope():
        i, end = b.get_int(counter), b.get_int(bound)
        if s.reverse:
            c.branch("bge", end, i, done)
            following = c.addi(i, -1)
            b.put(s.index, following)
        else:
            c.branch("bge", i, end, done)
            following = c.addi(i, 1)
            b.put(s.index, i)
        b.put(counter, following)
    b.depth += 1
    b.block(s.body)
    b.depth -= 1
    with c.scope():
        if s.go is None:
            c.jump(head)
        else:
            c.branch("bne", b.get_int(s.go), ZERO, head)
    c.place(done)


def emit_loop(b: Body, s: Loop) -> None:
    c = b.c
    head = c.label()
    c.place(head)
    b.depth += 1
    b.block(s.body)
    b.depth -= 1
    with c.scope():
        c.branch("bne", b.get_int(s.go), ZERO, head)


# -- calls


def emit_call(b: Body, s: Call) -> None:
    c = b.c
    callee = b.unit.m.functions[s.function]
    how = b.unit.convention(s.function)
    params = [p for p in callee.params if p.mode != "out"]
    outs = [p for p in callee.params if p.mode == "out"]
    seats = dict(zip(callee.params, how.params, strict=True))
    word = b.homes.words - 1
    with c.without(how.ints, how.floats):
        c.emit("sts", a=FRAME.number, k=word)
        with c.scope():
            to = c.int()
            c.move(to, FRAME)
            with c.scope():
                c.add(to, b.dim(s.keep), to)
            for seat, d in zip(how.dims, s.dims, strict=True):
                with c.scope():
                    give(b, seat, b.dim(d))
            for p, a in zip(params, s.args, strict=True):
                if p.reg in b.unit.weights.names:
                    continue
                with c.scope():
                    if isinstance(a, View):
                        value: Scalar = b.address(a)
                    else:
                        value = b.scalar(a, p.reg.type if isinstance(p.reg.type, DType) else I64)
                    give(b, seats[p], value)
            for p, v in zip(outs, s.outs, strict=True):
                with c.scope():
                    give(b, seats[p], b.address(v))
            c.move(FRAME, to)
    c.emit("call", to=b.unit.label(callee))
    for seat, r in zip(how.results, s.results, strict=True):
        with c.scope():
            b.put(r, taken(b, seat, r.type))
    for seat, name in zip(how.result_dims, s.defines, strict=True):
        with c.scope():
            b.put(name, taken(b, seat, I64))
    c.emit("lds", d=FRAME.number, k=word)


def give(b: Body, seat: Seat, x: Scalar) -> None:
    """A value to its seat."""
    if not isinstance(seat, Cell):
        b.c.copy(seat, x)
    else:
        name = "fst" if isinstance(x, Flt) else "st"
        b.c.emit(name, a=0, b=x.number, k=b.unit.shared_cell(seat.offset))


def taken(b: Body, seat: Seat, type_: object) -> Scalar:
    """What a seat holds."""
    if not isinstance(seat, Cell):
        return seat
    c = b.c
    if isinstance(type_, DType) and type_.is_float:
        x = c.flt()
        c.emit("fld", d=x.number, a=0, k=b.unit.shared_cell(seat.offset))
        return x
    d = c.int()
    c.emit("ld", d=d.number, a=0, k=b.unit.shared_cell(seat.offset))
    return d
