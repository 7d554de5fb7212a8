"""Raw entries: the C functions through which a module is called.

`i32 <prefix>_raw_<name>(const int64_t *dims, const void *const *args, void *const *outs,
uint8_t *arena, int64_t arena_bytes, int64_t fuel, dlc_error *err)`

`dims` are the function's dim parameters, `args` one pointer for each of its `in` and `inout`
parameters, `outs` one for each result (null for those that take a parameter's place); all in order.
A scalar is pointed to; a tensor is dense and row-major. The arena starts at a multiple of 64 and is
a multiple of 64 bytes long. `fuel` is how many turns loops without a bound may take, all together,
0 for as many as the module says. `err` may be null; after success its `got` is the number of arena
bytes that the call needed.

`dlc_error` is { uint32 size; int32 code; uint32 line, column; int64 got, want; char what[64]; }.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.diag import InternalError
from dlc.ir.core import NOWHERE
from dlc.memory.form import BFunction, Param, Reg
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body, Emitters
from dlc.targets.cpu.emit.deliver import deliver
from dlc.targets.cpu.emit.receive import receive
from dlc.targets.cpu.emit.structs import member
from dlc.targets.cpu.emit.unit import Unit, entry_symbol, register_type
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Value
from dlc.typesys.dtypes import DType
from dlc.typesys.types import TensorType, Type

ERR_CODE, ERR_LINE, ERR_COLUMN, ERR_GOT, ERR_WANT, ERR_WHAT, ERR_BYTES = 4, 8, 12, 16, 24, 32, 96
"""Byte offsets in `dlc_error`, and its size."""

_PARAMS = (
    ("ptr", "dims"), ("ptr", "args"), ("ptr", "outs"), ("ptr", "arena"), (INDEX, "bytes"),
    (INDEX, "fuel"), ("ptr", "err"),
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """An IR result: its type, and what holds it: an `out` parameter, an `inout` parameter that it
    takes the place of, or a returned register. `hidden`: a tensor whose size the function finds."""

    type: Type
    holder: Param | Reg
    hidden: bool = False


def results_of(fn: BFunction) -> tuple[Result, ...]:
    """The IR results in order."""
    places = {p.reg: p for p in fn.params if p.mode != "in"}
    by_value = iter(zip(fn.results, fn.result_types, strict=True))
    found: list[Result] = []
    for r in fn.returns:
        place = places.get(r)
        if place is not None:
            found.append(Result(place.type, place))
            continue
        reg, t = next(by_value)
        if reg is not r:
            raise InternalError(f"{fn.name}: results out of order", stage="emit")
        found.append(Result(t, reg, isinstance(t, TensorType) and t.rank > 0))
    return tuple(found)


def emit_entry(unit: Unit, fn: BFunction, emitters: Emitters) -> Function:
    """The raw entry of a function."""
    name = entry_symbol(unit.options.prefix, fn.name)
    subprogram = unit.subprogram(name, fn)
    f = Builder(unit.module, name, "i32", _PARAMS, linkage=unit.options.raw, subprogram=subprogram)
    dims, args, outs, given, bytes_, fuel, err = f.params
    # Null is the answer of an allocation that failed, so the arena is never there.
    none = f.let("ptr", f"inttoptr i64 {context.ALIGN} to ptr")
    arena = f.select(f.icmp("eq", given, Value("ptr", "null")), none, given)
    ctx = f.alloca("i8", context.CONTEXT_BYTES, 8)
    fuel = f.select(f.icmp("eq", fuel, 0), f.index(unit.options.fuel), fuel)
    _start_context(f, ctx, arena, bytes_, fuel)
    unwind = f.label("unwind")
    described = (subprogram, fn.loc)
    b = Body(unit, f, fn, ctx, lambda: arena, emitters, unwind, described=described)
    over = f.and_(f.cast("ptrtoint", arena, INDEX), context.ALIGN - 1)
    what = f"arena: not aligned to {context.ALIGN} bytes"
    b.check(f.icmp("eq", over, 0), "arg", NOWHERE, over, 0, what)
    whole = f.and_(f.add(bytes_, context.ALIGN - 1), -context.ALIGN)
    ok = f.and_(f.icmp("eq", bytes_, whole), f.icmp("sge", bytes_, 0))
    what = f"arena: bytes that are no multiple of {context.ALIGN}"
    b.check(ok, "arg", NOWHERE, bytes_, whole, what)
    values = _dims(b, dims)
    values += _parameters(b, args, outs)
    declared = unit.internal(fn)
    result = f.call(declared, ctx, arena, *values)
    compound = bool(fn.results or fn.result_dims)
    code = f.field(result, 0, "i32") if compound else result
    b.leave_unless(f.icmp("eq", code, 0))
    for i, r in enumerate(fn.results):
        b.set(r, f.field(result, 1 + i, register_type(r.type)))
    for i, name in enumerate(fn.result_names):
        b.fix(name, f.field(result, 1 + len(fn.results) + i, INDEX))
    for j, r in enumerate(results_of(fn)):
        if isinstance(r.holder, Reg):
            _return_value(b, r.type, r.holder, f.load("ptr", f.gep("ptr", outs, j)))
    used = f.sub(bytes_, f.load(INDEX, context.field(f, ctx, context.ROOM)))
    whole = f.and_(f.add(used, context.ALIGN - 1), -context.ALIGN)
    f.store(whole, context.field(f, ctx, context.GOT))
    f.store(bytes_, context.field(f, ctx, context.WANT))
    f.start(unwind)
    f.call(_report_function(unit), ctx, err)
    f.ret(f.load("i32", context.field(f, ctx, context.CODE)))
    return f.define()


def _start_context(f: Builder, ctx: Value, arena: Value, bytes_: Value, fuel: Value) -> None:
    zero = Value("i32", "0")
    f.store(f.gep("i8", arena, bytes_), context.field(f, ctx, context.HEAP))
    f.store(bytes_, context.field(f, ctx, context.ROOM))
    f.store(fuel, context.field(f, ctx, context.FUEL))
    f.store(fuel, context.field(f, ctx, context.LIMIT))
    for at in (context.CODE, context.LINE, context.COLUMN):
        f.store(zero, context.field(f, ctx, at))
    f.store(bytes_, context.field(f, ctx, context.SIZE))
    f.store(context.text(f.module, ""), context.field(f, ctx, context.WHAT))
    f.store(Value("ptr", "null"), context.field(f, ctx, context.ARGUMENT))


def _dims(b: Body, dims: Value) -> list[Value]:
    f = b.f
    values: list[Value] = []
    for i, name in enumerate(b.fn.dims):
        n = f.load(INDEX, f.gep(INDEX, dims, i))
        ok = f.icmp("ule", n, context.MAX_DIM)
        b.check(ok, "shape", b.fn.loc, n, 0, f"{name}: a size out of range")
        b.fix(name, n)
        values.append(n)
    return values


def _parameters(b: Body, args: Value, outs: Value) -> list[Value]:
    """The values of the parameters, in order."""
    f = b.f
    values: list[Value] = []
    given = 0
    places = {
        id(r.holder): j for j, r in enumerate(results_of(b.fn)) if isinstance(r.holder, Param)
    }
    for p in b.fn.params:
        if p.mode == "out":
            values.append(f.load("ptr", f.gep("ptr", outs, places[id(p)])))
            continue
        at = f.load("ptr", f.gep("ptr", args, given))
        given += 1
        values.append(_argument(b, p, at))
    return values


def _argument(b: Body, p: Param, at: Value) -> Value:
    if isinstance(p.type, TensorType):
        if isinstance(p.reg.type, DType):
            return convert.load(b.f, p.type.dtype.name, at)
        return at
    return receive(b, p.type, at, p.name)


def _return_value(b: Body, t: Type, r: Reg, at: Value) -> None:
    if not isinstance(t, TensorType):
        deliver(b, t, b.get(r), at, b.frame())
    elif isinstance(r.type, DType):
        convert.store(b.f, t.dtype.name, b.get(r), at)
    else:
        _return_array(b, t, b.get(r), at)


def _return_array(b: Body, t: TensorType, data: Value, at: Value) -> None:
    """A tensor whose size the function found: `dlc_array { void *data; int64 capacity; int64
    dims[rank]; }`, capacity in elements."""
    f = b.f
    struct = f"{{ ptr, i64, [{t.rank} x i64] }}"
    size = b.dim(t.size)
    have = f.load(INDEX, member(f, struct, at, 1))
    b.check(f.icmp("sle", size, have), "space", b.fn.loc, have, size, "elements of a result")
    to = f.load("ptr", member(f, struct, at, 0))
    f.call(kernel(f.module, "copy", t.dtype.name), to, data, size)
    dims = member(f, struct, at, 2)
    for i, d in enumerate(t.shape):
        f.store(b.dim(d), f.gep(INDEX, dims, i))


def _report_function(unit: Unit) -> Function:
    """`dlc.report(ctx, err)`: copy what the context says into the caller's record."""

    def emit() -> tuple[Function, str]:
        f = Builder(
            unit.module, "dlc.report", "void", (("ptr", "ctx"), ("ptr", "err")), inline="never"
        )
        ctx, err = f.params
        with f.when(f.icmp("eq", err, Value("ptr", "null"))):
            f.ret()
        pairs = (
            ("i32", context.CODE, ERR_CODE), ("i32", context.LINE, ERR_LINE),
            ("i32", context.COLUMN, ERR_COLUMN), (INDEX, context.GOT, ERR_GOT),
            (INDEX, context.WANT, ERR_WANT),
        )  # fmt: skip
        for type_, source, to in pairs:
            f.store(f.load(type_, context.field(f, ctx, source)), f.gep("i8", err, to))
        append = append_function(unit.module)
        to = f.gep("i8", err, ERR_WHAT)
        argument = f.load("ptr", context.field(f, ctx, context.ARGUMENT))
        end = f.alloca(INDEX, 1, 8)
        f.store(f.index(0), end)
        with f.when(f.icmp("ne", argument, Value("ptr", "null"))):
            after = f.call(append, to, f.index(0), argument)
            f.store(f.call(append, to, after, context.text(f.module, ": ")), end)
        what = f.load("ptr", context.field(f, ctx, context.WHAT))
        f.call(append, to, f.load(INDEX, end), what)
        f.ret()
        return f.finish()

    return unit.module.function("dlc.report", emit)


def append_function(module: Module) -> Function:
    """`dlc.append(to, at, text)`: copy a text to `to[at]`, so that 63 bytes are used at most, and a
    zero byte after it; the position of that byte."""
    params = (("ptr", "to"), (INDEX, "at"), ("ptr", "text"))

    def emit() -> tuple[Function, str]:
        f = Builder(module, "dlc.append", INDEX, params, inline="never", attributes="cold")
        to, start, text = f.params

        def more(c: tuple[Value, ...]) -> Value:
            return f.and_(f.icmp("slt", c[0], 63), f.icmp("ne", c[1], 0))

        def step(c: tuple[Value, ...]) -> tuple[Value, ...]:
            f.store(c[1], f.gep("i8", to, c[0]))
            i = f.add(c[0], 1)
            return i, f.load("i8", f.gep("i8", text, f.sub(i, start)))

        end, _ = f.loop_while((start, f.load("i8", text)), more, step)
        f.store(Value("i8", "0"), f.gep("i8", to, end))
        f.ret(end)
        return f.finish()

    return module.function("dlc.append", emit)
