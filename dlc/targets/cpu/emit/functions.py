"""Ordinary functions, calls of them, and the way into a recursive group.

An ordinary function is an LLVM function: `status, results… = f(ctx, frame, dims…, params…)`. Its
frame starts where the caller says, and it checks that the frame fits below the heap.
"""

from __future__ import annotations

from dlc.diag import InternalError
from dlc.memory.form import BFunction, Call, Reg, View
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body, Emitters
from dlc.targets.cpu.emit.frames import enter_frame, return_status, store_frame
from dlc.targets.cpu.emit.unit import Unit, register_type, symbol
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Value
from dlc.typesys.dtypes import DType


def emit_function(unit: Unit, fn: BFunction, emitters: Emitters) -> None:
    """An ordinary function. LLVM does not inline it: what is worth that is inlined in the IR, and
    functions of thousands of instructions take it longer than their parts."""
    declared = unit.internal(fn)
    subprogram = unit.subprogram(declared.name, fn)
    f = Builder(
        unit.module,
        declared.name,
        declared.signature.result,
        declared.signature.params,
        inline="never",
        subprogram=subprogram,
    )
    ctx, frame, *rest = f.params
    unwind = f.label("unwind")
    described = (subprogram, fn.loc)
    b = Body(unit, f, fn, ctx, lambda: frame, emitters, unwind, described=described)
    for name, x in zip(fn.dims, rest, strict=False):
        b.fix(name, x)
    for p, x in zip(fn.params, rest[len(fn.dims) :], strict=True):
        b.set(p.reg, x)
    enter_frame(b, frame, 0)
    b.block(fn.body)
    results = [b.get(r) for r in fn.results] + [b.dim(d) for d in fn.result_dims]
    return_status(f, Value("i32", "0"), results)
    f.start(unwind)
    code = f.load("i32", context.field(f, ctx, context.CODE))
    return_status(f, code, [Value(x.type, "poison") for x in results])
    f.define()


def arguments(b: Body, s: Call, callee: BFunction) -> list[Value]:
    """The callee's parameters in order: dims, then values and addresses."""
    args, outs = iter(s.args), iter(s.outs)
    values = [b.dim(d) for d in s.dims]
    for p in callee.params:
        a = next(outs) if p.mode == "out" else next(args)
        type_ = p.reg.type
        if isinstance(a, View):
            values.append(b.address(a) if isinstance(type_, str) else b.load(a))
        elif isinstance(a, Reg):
            values.append(b.get(a))
        elif isinstance(type_, DType):
            values.append(b.scalar(a, type_))
        else:
            raise InternalError(f"a number for parameter {p.name} of {callee.name}", stage="emit")
    return values


def callee_frame(b: Body, s: Call) -> Value:
    """Where the callee's frame starts: after what the call keeps of this one."""
    return b.f.gep("i8", b.frame(), b.dim(s.keep + b.slots_at))


def call_function(b: Body, s: Call, callee: BFunction) -> None:
    f = b.f
    values = arguments(b, s, callee)
    declared = b.unit.internal(callee)
    result = f.call(declared, b.ctx, callee_frame(b, s), *values)
    compound = bool(callee.results or callee.result_dims)
    code = f.field(result, 0, "i32") if compound else result
    b.leave_unless(f.icmp("eq", code, 0))
    for i, r in enumerate(s.results):
        b.set(r, f.field(result, 1 + i, register_type(r.type)))
    for i, name in enumerate(s.defines):
        b.set_dim(name, f.field(result, 1 + len(s.results) + i, INDEX))


def emit_way_in(unit: Unit, fn: BFunction, which: int, group: Function) -> None:
    """The ordinary function that makes the first call of the group."""
    declared = unit.internal(fn)
    layout = unit.layout(fn)
    f = Builder(unit.module, symbol(fn.name), declared.signature.result, declared.signature.params)
    ctx, frame, *values = f.params
    unwind, enough = f.label("unwind"), f.label("enough")
    room = context.room_left(f, ctx, f.gep("i8", frame, layout.header))
    ok, short = f.icmp("sge", room, 0), f.label("short")
    f.branch_if(ok, enough, short)
    f.start(short)
    size = f.load(INDEX, context.field(f, ctx, context.SIZE))
    context.fail(f, ctx, "arena", fn.loc.line, fn.loc.column, size, f.sub(size, room), "frame")
    f.branch(unwind)
    f.start(enough)
    store_frame(f, unit, fn, frame, Value(INDEX, "0"), frame, values)
    code = f.call(group, ctx, frame, which)
    done = f.label("done")
    f.branch_if(f.icmp("eq", code, 0), done, unwind)
    f.start(done)
    results = [
        f.load(register_type(r.type), f.gep("i8", frame, at))
        for r, at in zip(fn.results, layout.results, strict=True)
    ]
    results += [f.load(INDEX, f.gep("i8", frame, at)) for at in layout.result_dims]
    return_status(f, Value("i32", "0"), results)
    f.start(unwind)
    code = f.load("i32", context.field(f, ctx, context.CODE))
    return_status(f, code, [Value(x.type, "poison") for x in results])
    f.define()
