"""Vector idioms that the kernels share: loops with a tail, partial loads and stores, sums of
lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Function, Module, Value, vector
from dlc.targets.cpu.llvm.types import constant, is_float, lanes_of


def vector_loop(
    f: Builder, n: Value, lanes: int, turn: Callable[[Value, int], None], lo: Value | None = None
) -> None:
    """Call `turn(i, lanes)` for whole vectors of lo..n, then `turn(i, 1)` for each that is left."""
    start = lo if lo is not None else Value(INDEX, "0")
    if lanes > 1:
        whole = f.sub(n, f.and_(f.sub(n, start), lanes - 1))
        with f.loop(start, whole, lanes, name="vector") as loop:
            turn(loop.index, lanes)
        start = loop.index
    with f.loop(start, n, name="tail") as loop:
        turn(loop.index, 1)


def first_lanes(f: Builder, count: Value, lanes: int) -> Value:
    """A mask of the lanes below `count` (an index; all lanes if it is larger)."""
    clipped = f.imin(count, lanes)
    numbers = f.lane_numbers("i32", lanes)
    return f.icmp("slt", numbers, f.splat(f.cast("trunc", clipped, "i32"), lanes))


def takes_mask(f: Builder, dtype: str) -> bool:
    """Whether masked loads and stores of that type are instructions (32 and 64 bits are)."""
    memory = ELEMENTS[dtype].memory
    return f.module.target.masked and memory in ("float", "double", "i32", "i64")


def partial_load(
    f: Builder, dtype: str, address: Value, count: Value, lanes: int, mask: Value | None = None
) -> Value:
    """The first `count` elements at `address` as register lanes, zeros after; touches no other
    memory. `mask`: `first_lanes` of the count, if it is at hand."""
    if lanes == 1:
        return convert.load(f, dtype, address)
    memory = ELEMENTS[dtype].memory
    t = vector(memory, lanes)
    if takes_mask(f, dtype):
        given = first_lanes(f, count, lanes) if mask is None else mask
        none = constant(t, 0)
        raw = f.intrinsic("llvm.masked.load", t, address, given, none, overloads=(t, "ptr"))
    else:
        raw = f.call(_load_function(f.module, memory, lanes), address, count)
    return convert.from_memory(f, dtype, raw)


def partial_store(
    f: Builder, dtype: str, x: Value, address: Value, count: Value, mask: Value | None = None
) -> None:
    """The first `count` lanes to memory, nothing after. `mask` as for `partial_load`."""
    lanes = lanes_of(x.type)
    raw = convert.to_memory(f, dtype, x)
    if lanes == 1:
        f.store(raw, address)
    elif takes_mask(f, dtype):
        given = first_lanes(f, count, lanes) if mask is None else mask
        overloads = (raw.type, "ptr")
        f.intrinsic("llvm.masked.store", "void", raw, address, given, overloads=overloads)
    else:
        function = _store_function(f.module, ELEMENTS[dtype].memory, lanes)
        f.call(function, raw, address, count)


def _load_function(module: Module, memory: str, lanes: int) -> Function:
    name, t = f"dlc.partial_load.{memory}x{lanes}", vector(memory, lanes)

    def emit() -> tuple[Function, str]:
        f = Builder(module, name, t, [("ptr", "from"), (INDEX, "n")], inline="never")
        source, n = f.params
        with f.loop(0, f.imin(n, lanes), carried=[constant(t, 0)]) as loop:
            x = f.load(memory, f.gep(memory, source, loop.index))
            loop.next(f.insert(loop.carried[0], x, loop.index))
        f.ret(loop.carried[0])
        return f.finish()

    return module.function(name, emit)


def _store_function(module: Module, memory: str, lanes: int) -> Function:
    name, t = f"dlc.partial_store.{memory}x{lanes}", vector(memory, lanes)

    def emit() -> tuple[Function, str]:
        params = [(t, "x"), ("ptr", "to"), (INDEX, "n")]
        f = Builder(module, name, "void", params, inline="never")
        x, to, n = f.params
        with f.loop(0, f.imin(n, lanes)) as loop:
            f.store(f.extract(x, loop.index), f.gep(memory, to, loop.index))
        f.ret()
        return f.finish()

    return module.function(name, emit)


def fold(f: Builder, x: Value, combine: Callable[[Value, Value], Value]) -> Value:
    """All lanes combined: lane l with lane l + half, again and again. A fixed tree."""
    while (lanes := lanes_of(x.type)) > 1:
        half = lanes // 2
        low = f.shuffle(x, None, range(half))
        high = f.shuffle(x, None, range(half, lanes))
        x = combine(low, high)
    return x


def fold_many(f: Builder, xs: Sequence[Value]) -> Value:
    """The sums of the lanes of each vector, one a lane: the tree of `fold` for each, done together.

    The number of vectors is a power of two.
    """
    lanes = lanes_of(xs[0].type)
    if lanes == 1:
        out = constant(vector(xs[0].type, len(xs)), 0)
        for i, x in enumerate(xs):
            out = f.insert(out, x, i)
        return out
    vectors, length = list(xs), lanes  # of each sum that is still in `length` lanes
    while length > 1:
        half = length // 2
        segments = range(lanes // length)
        if len(vectors) > 1:
            places = [s * length + i for s in range(2 * len(segments)) for i in range(half)]
            vectors = [
                f.plus(f.shuffle(a, b, places), f.shuffle(a, b, [p + half for p in places]))
                for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        else:
            x = vectors[0]
            count = lanes_of(x.type) // length
            places = [s * length + i for s in range(count) for i in range(half)]
            vectors = [
                f.plus(f.shuffle(x, None, places), f.shuffle(x, None, [p + half for p in places]))
            ]
        length = half
    while len(vectors) > 1:
        size = 2 * lanes_of(vectors[0].type)
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [f.shuffle(a, b, range(size)) for a, b in pairs]
    return vectors[0]


def zero(type_: str) -> Value:
    return constant(type_, 0.0 if is_float(type_) else 0)
