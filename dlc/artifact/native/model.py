"""The functions that make a `net_model` of a block of weights (`dlc.artifact.weights.block`)."""

from __future__ import annotations

from dlc.artifact.border import MAX_DIM
from dlc.artifact.capi import Api
from dlc.artifact.native.buffers import polynomial
from dlc.artifact.native.call import size_type
from dlc.artifact.native.guard import NULL, Guard, size_of
from dlc.artifact.weights.block import ALIGN, HEADER, MAGIC
from dlc.diag import InternalError
from dlc.memory.form import BFunction
from dlc.targets.cpu.emit.dims import constant
from dlc.targets.cpu.emit.structs import member
from dlc.targets.cpu.emit.unit import Unit
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Value

_MAGIC = int.from_bytes(MAGIC, "little")


def emit_model(unit: Unit, api: Api) -> None:
    """`model_init`, `model_init_mut`, `model_dims`, `model_bytes`, `model_layout`."""
    size = size_type(unit)
    for name, writable in (("model_init", 0), ("model_init_mut", 1)):
        params = (("ptr", "model"), ("ptr", "weights"), (size, "bytes"), ("ptr", "err"))
        f = Builder(unit.module, f"{api.prefix}_{name}", "i32", params, linkage="external")
        model, weights, bytes_, err = f.params
        code = f.call(
            _init_function(unit, api), model, weights, f.cast("zext", bytes_, INDEX), err, writable
        )
        f.ret(code)
        f.define()
    if api.dims is not None:
        _emit_dims(unit, api)
    _emit_bytes(unit, api, size)
    _emit_layout(unit, api, size)


# -- reading a block


def _init_function(unit: Unit, api: Api) -> Function:
    """`dlc.api.model(model, weights, bytes, err, writable)`."""
    params = (
        ("ptr", "model"), ("ptr", "weights"), (INDEX, "bytes"), ("ptr", "err"),
        ("i32", "writable"),
    )  # fmt: skip

    def emit() -> tuple[Function, str]:
        f = Builder(unit.module, "dlc.api.model", "i32", params, inline="never")
        model, weights, bytes_, err, writable = f.params
        g = Guard(f, err)
        g.error_record()
        g.require(f.icmp("ne", model, NULL), "arg", "model: null")
        if api.embedded:
            weights, bytes_ = _embedded(f, api, weights, bytes_, writable)
        _check_block(g, api, weights, bytes_)
        dims = _read_dims(g, api, weights)
        _check_places(g, api, weights, dims)
        _store_model(f, api, model, weights, writable, dims)
        f.ret(Value("i32", "0"))
        return f.finish()

    return unit.module.function("dlc.api.model", emit)


def _embedded(
    f: Builder, api: Api, weights: Value, bytes_: Value, writable: Value
) -> tuple[Value, Value]:
    """The block that was compiled in, for a model that is only read and brings none."""
    none = f.and_(f.icmp("eq", weights, NULL), f.icmp("eq", bytes_, 0))
    use = f.and_(none, f.icmp("eq", writable, 0))
    total = api.layout.places(api.fixed)[1]
    own = Value("ptr", f"@{api.prefix}_weights")
    return f.select(use, own, weights), f.select(use, f.index(total), bytes_)


def _check_block(g: Guard, api: Api, weights: Value, bytes_: Value) -> None:
    f, layout = g.f, api.layout
    g.require(f.icmp("ne", weights, NULL), "arg", "weights: null")
    low = f.and_(f.cast("ptrtoint", weights, INDEX), ALIGN - 1)
    g.require(f.icmp("eq", low, 0), "arg", "weights: not aligned to 64 bytes", low)
    start = layout.data_start
    g.require(f.icmp("uge", bytes_, start), "weights", "weights: cut short", bytes_, start)
    magic = f.load(INDEX, weights)
    g.require(f.icmp("eq", magic, _signed(_MAGIC)), "weights", "weights: not a block of weights")
    identity = f.load(INDEX, f.gep("i8", weights, 8))
    same = f.icmp("eq", identity, _signed(layout.identity))
    g.require(same, "weights", "weights: of another program")
    total = f.load(INDEX, f.gep("i8", weights, 16))
    g.require(f.icmp("ule", total, bytes_), "weights", "weights: cut short", bytes_, total)
    for at, count in ((24, len(layout.dims)), (28, len(layout.weights))):
        n = f.cast("zext", f.load("i32", f.gep("i8", weights, at)), INDEX)
        g.require(f.icmp("eq", n, count), "weights", "weights: of another program", n, count)


def _read_dims(g: Guard, api: Api, weights: Value) -> dict[str, Value]:
    f = g.f
    dims: dict[str, Value] = {}
    for i, d in enumerate(api.layout.dims):
        dims[d] = n = f.load(INDEX, f.gep("i8", weights, HEADER + 8 * i))
        _check_dim(g, api, d, n, "weights")
    return dims


def _check_dim(g: Guard, api: Api, d: str, n: Value, status: str) -> None:
    """A dim in range, and as it was bound when compiling."""
    f = g.f
    g.require(f.icmp("ule", n, MAX_DIM), status, f"{d}: out of range", n, MAX_DIM)
    if d in api.fixed:
        want = api.fixed[d]
        g.require(f.icmp("eq", n, want), status, f"{d}: bound when compiling", n, want)


def _check_places(g: Guard, api: Api, weights: Value, dims: dict[str, Value]) -> None:
    """Each weight lies in the block, after the one before."""
    f, layout = g.f, api.layout
    total = f.load(INDEX, f.gep("i8", weights, 16))
    end: Value = constant(layout.data_start)
    for i, w in enumerate(layout.weights):
        size = polynomial(g, w.bytes, dims.__getitem__, "weights", w.name)
        offset = f.load(INDEX, f.gep("i8", weights, layout.offset_field(i)))
        fits = f.icmp("eq", f.and_(offset, ALIGN - 1), 0)
        fits = f.and_(fits, f.icmp("uge", offset, end))
        fits = f.and_(fits, f.icmp("ule", offset, total))
        fits = f.and_(fits, f.icmp("ule", size, f.sub(total, offset)))
        g.require(fits, "weights", f"{w.name}: does not lie in the block", offset, total)
        end = f.add(offset, size)


def _store_model(
    f: Builder, api: Api, model: Value, weights: Value, writable: Value, dims: dict[str, Value]
) -> None:
    s = api.model
    assert s is not None

    def at(number: int) -> Value:
        return member(f, s.llvm, model, number)

    f.store(size_of(f, s.llvm), at(0))
    f.store(Value("i32", str(api.number)), at(1))
    f.store(writable, at(2))
    f.store(Value("i32", "0"), at(3))
    for i in range(len(api.interface.parameter_sets)):
        f.store(weights, at(4 + i))
    if api.dims is not None:
        _store_dims(f, api, at(s.index("dims")), dims)


def _store_dims(f: Builder, api: Api, at: Value, dims: dict[str, Value]) -> None:
    s = api.dims
    assert s is not None
    f.store(size_of(f, s.llvm), member(f, s.llvm, at, 0))
    f.store(Value("i32", str(api.number)), member(f, s.llvm, at, 1))
    for i, d in enumerate(api.layout.dims):
        f.store(dims[d], member(f, s.llvm, at, 2 + i))


def _load_dims(f: Builder, api: Api, at: Value) -> dict[str, Value]:
    s = api.dims
    assert s is not None
    return {d: f.load(INDEX, member(f, s.llvm, at, 2 + i)) for i, d in enumerate(api.layout.dims)}


# -- dims, and making a block


def _emit_dims(unit: Unit, api: Api) -> None:
    assert api.model is not None and api.dims is not None
    params = (("ptr", "model"), ("ptr", "dims"), ("ptr", "err"))
    f = Builder(unit.module, f"{api.prefix}_model_dims", "i32", params, linkage="external")
    model, dims, err = f.params
    g = Guard(f, err)
    g.error_record()
    g.struct(model, size_of(f, api.model.llvm), api.number, "model")
    g.struct(dims, size_of(f, api.dims.llvm), api.number, "dims")
    inner = member(f, api.model.llvm, model, api.model.index("dims"))
    _store_dims(f, api, dims, _load_dims(f, api, inner))
    f.ret(Value("i32", "0"))
    f.define()


def _size_function(unit: Unit, api: Api) -> Function:
    """`dlc.api.places(dims, offsets, err)`: the offset of each weight, then the bytes of the whole
    block; a status if the dims do not fit."""
    params = (("ptr", "dims"), ("ptr", "offsets"), ("ptr", "err"))

    def emit() -> tuple[Function, str]:
        f = Builder(unit.module, "dlc.api.places", "i32", params, inline="never")
        at, offsets, err = f.params
        g = Guard(f, err)
        dims: dict[str, Value] = {}
        if api.dims is not None:
            g.struct(at, size_of(f, api.dims.llvm), api.number, "dims")
            dims = _load_dims(f, api, at)
            for d, n in dims.items():
                _check_dim(g, api, d, n, "shape")
        end: Value = constant(api.layout.data_start)
        for i, w in enumerate(api.layout.weights):
            f.store(end, f.gep(INDEX, offsets, i))
            size = polynomial(g, w.bytes, dims.__getitem__, "shape", w.name)
            g.require(f.icmp("ult", size, 1 << 56), "shape", f"{w.name}: too large", size)
            end = f.and_(f.add(f.add(end, size), ALIGN - 1), -ALIGN)
            g.require(f.icmp("ult", end, 1 << 56), "shape", f"{w.name}: too large", end)
        f.store(end, f.gep(INDEX, offsets, len(api.layout.weights)))
        f.ret(Value("i32", "0"))
        return f.finish()

    return unit.module.function("dlc.api.places", emit)


def _emit_bytes(unit: Unit, api: Api, size: str) -> None:
    params = (("ptr", "dims"),) if api.dims is not None else ()
    f = Builder(unit.module, f"{api.prefix}_model_bytes", size, params, linkage="external")
    count = len(api.layout.weights)
    places = f.alloca(INDEX, count + 1, 8)
    at = f.params[0] if params else NULL
    code = f.call(_size_function(unit, api), at, places, NULL)
    total = f.load(INDEX, f.gep(INDEX, places, count))
    f.ret(f.cast("trunc", f.select(f.icmp("eq", code, 0), total, f.index(0)), size))
    f.define()


def _emit_layout(unit: Unit, api: Api, size: str) -> None:
    own = (("ptr", "dims"),) if api.dims is not None else ()
    params = (*own, ("ptr", "weights"), (size, "bytes"), ("ptr", "err"))
    f = Builder(unit.module, f"{api.prefix}_model_layout", "i32", params, linkage="external")
    weights, given, err = f.params[-3:]
    g = Guard(f, err)
    g.error_record()
    g.require(f.icmp("ne", weights, NULL), "arg", "weights: null")
    low = f.and_(f.cast("ptrtoint", weights, INDEX), ALIGN - 1)
    g.require(f.icmp("eq", low, 0), "arg", "weights: not aligned to 64 bytes", low)
    count = len(api.layout.weights)
    places = f.alloca(INDEX, count + 1, 8)
    at = f.params[0] if own else NULL
    g.passed(f.call(_size_function(unit, api), at, places, err))
    total = f.load(INDEX, f.gep(INDEX, places, count))
    bytes_ = f.cast("zext", given, INDEX)
    g.require(f.icmp("uge", bytes_, total), "arg", "weights: too few bytes", bytes_, total)
    with f.loop(0, f.ashr(total, 3), name="clear") as loop:
        f.store(f.index(0), f.gep(INDEX, weights, loop.index))
    counts = len(api.layout.dims) | count << 32
    for offset, n in ((0, _signed(_MAGIC)), (8, _signed(api.layout.identity)), (24, counts)):
        f.store(f.index(n), f.gep("i8", weights, offset))
    f.store(total, f.gep("i8", weights, 16))
    if api.dims is not None:
        for i, n in enumerate(_load_dims(f, api, at).values()):
            f.store(n, f.gep("i8", weights, HEADER + 8 * i))
    for i in range(count):
        x = f.load(INDEX, f.gep(INDEX, places, i))
        f.store(x, f.gep("i8", weights, api.layout.offset_field(i)))
    f.ret(Value("i32", "0"))
    f.define()


# -- first values


def emit_initialiser(unit: Unit, api: Api, set_: str, fn: BFunction, raw: Function) -> None:
    """`init_<set>(model, key, arena, bytes, err)`."""
    s = api.model
    assert s is not None
    size = size_type(unit)
    params = (
        ("ptr", "model"), (INDEX, "key"), ("ptr", "arena"), (size, "bytes"), ("ptr", "err"),
    )  # fmt: skip
    f = Builder(unit.module, api.initialisers[set_], "i32", params, linkage="external")
    model, key, arena, bytes_, err = f.params
    g = Guard(f, err)
    g.error_record()
    g.struct(model, size_of(f, s.llvm), api.number, "model")
    writable = f.load("i32", member(f, s.llvm, model, 2))
    g.require(f.icmp("ne", writable, 0), "arg", "model: its weights may not be changed")
    number = 4 + [x.name for x in api.interface.parameter_sets].index(set_)
    base = f.load("ptr", member(f, s.llvm, model, number))
    g.require(f.icmp("ne", base, NULL), "arg", "model: not initialised")
    known: dict[str, Value] = {}
    if api.dims is not None:
        known = _load_dims(f, api, member(f, s.llvm, model, s.index("dims")))
    dims = f.alloca(INDEX, max(1, len(fn.dims)), 8)
    for i, d in enumerate(fn.dims):
        f.store(known[d], f.gep(INDEX, dims, i))
    weights = [(i, w) for i, w in enumerate(api.layout.weights) if w.set == set_]
    args, outs = f.alloca("ptr", 1, 8), f.alloca("ptr", max(1, len(weights)), 8)
    cell = f.alloca(INDEX, 1, 8)
    f.store(key, cell)
    f.store(cell, args)
    if len(fn.returns) != len(weights):
        raise InternalError(f"`{fn.name}` does not give the weights of `{set_}`", stage="emit")
    for j, (i, _) in enumerate(weights):
        offset = f.load(INDEX, f.gep("i8", base, api.layout.offset_field(i)))
        f.store(f.gep("i8", base, offset), f.gep("ptr", outs, j))
    f.ret(f.call(raw, dims, args, outs, arena, f.cast("zext", bytes_, INDEX), 0, err))
    f.define()


def _signed(n: int) -> int:
    """A 64-bit pattern as LLVM prints an i64."""
    return n - (1 << 64) if n >= 1 << 63 else n
