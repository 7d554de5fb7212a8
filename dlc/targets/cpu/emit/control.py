"""Structured control: `If`, `Switch`, `For`, `Loop`."""

from __future__ import annotations

from dlc.ir.core import NOWHERE
from dlc.memory.form import (
    Assert,
    BindDim,
    CheckDims,
    CheckIndex,
    Const,
    Data,
    DimValue,
    For,
    If,
    Loop,
    Move,
    Reg,
    Switch,
)
from dlc.memory.frame import CELL, calls_group, field_offset
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body, immediate
from dlc.targets.cpu.emit.unit import register_type
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import INDEX, Value
from dlc.typesys.dtypes import BOOL, I64, DType


def emit_if(b: Body, s: If) -> None:
    f = b.f
    yes, no, done = f.label("if"), f.label("else"), f.label("fi")
    f.branch_if(b.get(s.condition), yes, no if s.otherwise else done)
    for label, block in ((yes, s.then), (no, s.otherwise)):
        if label == yes or block:
            f.start(label)
            b.block(block)
            f.branch(done)
    f.start(done)


def emit_switch(b: Body, s: Switch) -> None:
    """Branch on the record's tag, its first cell; a case takes its payload from the cells after."""
    f = b.f
    decl = b.unit.types[s.type]
    record = b.get(s.value)
    tag = f.load("i32", record)
    labels = [f.label("case") for _ in s.cases]
    done, never = f.label("matched"), f.label("never")
    default = next(
        (label for c, label in zip(s.cases, labels, strict=True) if c.constructor is None), never
    )
    known = [
        (decl.tag(c.constructor), label)
        for c, label in zip(s.cases, labels, strict=True)
        if c.constructor is not None
    ]
    f.switch(tag, default, known)
    for c, label in zip(s.cases, labels, strict=True):
        f.start(label)
        if c.constructor is not None:
            constructor = decl.constructor(c.constructor)
            for i, name in enumerate(c.dims):
                b.set_dim(name, f.load(INDEX, f.gep("i8", record, CELL * (1 + i))))
            for i, r in enumerate(c.payload):
                address = f.gep("i8", record, field_offset(constructor, i))
                b.set(r, f.load(register_type(r.type), address))
        b.block(c.body)
        f.branch(done)
    if default == never:
        f.start(never)
        f.unreachable()
    f.start(done)


def emit_for(b: Body, s: For) -> None:
    """A counter that the body cannot see runs from `lo` to `hi`, or down from `hi`."""
    f = b.f
    assert isinstance(s.index.type, DType)
    signed = s.index.type.signed
    type_ = register_type(s.index.type)
    interrupted = calls_group(s.body, b.group) if b.group else False
    lo, hi = b.scalar(s.lo, s.index.type), b.scalar(s.hi, s.index.type)
    first, last = (hi, lo) if s.reverse else (lo, hi)
    at = b.unit.layout(b.fn).counters[s] if interrupted else 0
    local = None if interrupted else f.alloca(type_, 1, 8)

    def counter() -> Value:
        return local if local is not None else f.gep("i8", b.frame(), at)

    def bound() -> Value:
        return f.gep("i8", b.frame(), at + CELL)

    f.store(first, counter())
    if interrupted:
        f.store(last, bound())
        b.forget()
    head, body, done = f.label("for"), f.label("turn"), f.label("rof")
    f.start(head)
    with b.region():
        i = f.load(type_, counter())
        end = f.load(type_, bound()) if interrupted else last
        less = "slt" if signed else "ult"
        more = f.icmp(less, end, i) if s.reverse else f.icmp(less, i, end)
        f.branch_if(more, body, done)
        f.start(body)
        following = f.sub(i, 1) if s.reverse else f.add(i, 1)
        f.store(following, counter())
        b.set(s.index, following if s.reverse else i)
        b.block(s.body)
        if s.go is None:
            f.branch(head)
        else:
            f.branch_if(b.get(s.go), head, done)
    if interrupted:
        b.forget()
    f.start(done)


def emit_loop(b: Body, s: Loop) -> None:
    f = b.f
    interrupted = calls_group(s.body, b.group) if b.group else False
    if interrupted:
        b.forget()
    again, done = f.label("loop"), f.label("pool")
    f.start(again)
    with b.region():
        if not s.visits:
            _spend(b, s)
        b.block(s.body)
        f.branch_if(b.get(s.go), again, done)
    if interrupted:
        b.forget()
    f.start(done)


def _spend(b: Body, s: Loop) -> None:
    """One turn of a loop that may have no end."""
    f = b.f
    at = context.field(f, b.ctx, context.FUEL)
    left = f.sub(f.load(INDEX, at), 1)
    f.store(left, at)
    good, bad = f.label("ok"), f.label("bad")
    f.branch_if(f.icmp("sge", left, 0), good, bad)
    f.start(bad)
    limit = f.load(INDEX, context.field(f, b.ctx, context.LIMIT))
    loc = b.fn.loc if s.loc == NOWHERE else s.loc
    context.fail(f, b.ctx, "fuel", loc.line, loc.column, f.add(limit, 1), limit, "")
    f.branch(b.unwind)
    f.start(good)


# -- moves and checks -----------------------------------------------------------------------------


def emit_const(b: Body, s: Const) -> None:
    if isinstance(s.dst.type, DType):
        b.set(s.dst, immediate(s.value, s.dst.type))
    else:
        b.set(s.dst, Value("ptr", "null"))


def emit_data(b: Body, s: Data) -> None:
    b.set(s.dst, b.unit.module.data(s.value.astype(s.dtype.numpy).tobytes()))


def emit_move(b: Body, s: Move) -> None:
    b.set(s.dst, b.get(s.src))


def emit_dim_value(b: Body, s: DimValue) -> None:
    assert isinstance(s.dst.type, DType)
    b.set(s.dst, convert.convert(b.f, b.dim(s.dim), I64.name, s.dst.type.name))


def emit_bind_dim(b: Body, s: BindDim) -> None:
    x = b.index(s.src)
    ok = b.f.icmp("ule", x, context.MAX_DIM)
    b.check(ok, "shape", s.loc, x, 0, "a size out of range")
    b.set_dim(s.name, x)


def emit_check_index(b: Body, s: CheckIndex) -> None:
    i = b.index(s.index)
    bound = b.index(s.bound) if isinstance(s.bound, Reg) else b.dim(s.bound)
    # Signed: a bound such as `N - w + 1` may be negative, and then nothing is in range.
    f = b.f
    ok = f.and_(f.icmp("sge", i, 0), f.icmp("slt", i, bound))
    b.check(ok, "bounds", s.loc, i, bound, "index out of range")


def emit_check_dims(b: Body, s: CheckDims) -> None:
    left, right = b.dim(s.left), b.dim(s.right)
    b.check(b.f.icmp("eq", left, right), "shape", s.loc, left, right, s.message)


def emit_assert(b: Body, s: Assert) -> None:
    assert s.condition.type == BOOL
    b.check(b.get(s.condition), "assert", s.loc, 0, 1, s.message)
