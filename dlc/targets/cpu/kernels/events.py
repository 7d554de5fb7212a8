"""Sparse vectors as lists of events: finding them, and products that only touch what they name.

compress: idx, val, count of the elements of x[n] that are not 0 (NaN counts), in order. `idx` and
`val` have room for n.

events: y[N] (+)= sum over e of val[e] W[idx[e], :], e in order. Variants by how W lies:
"t"  rows of N, `ldw` apart: W[K, N] row-major, the weights of y = x W.
"n"  column idx[e] of a row-major W[N, K], rows `ldw` apart: the weights of y = W x, as they are.
Both sum in the same order and give the same bits. The cost is proportional to events x N. A panel
layout is "t" called for each panel. Indices are the caller's promise: they are not checked here.
"""

from __future__ import annotations

from dlc.targets.cpu.kernels.gemv import ROWS, STRIP, add_scaled_rows
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.memory import FILL
from dlc.targets.cpu.kernels.operands import OPERANDS, Operands
from dlc.targets.cpu.kernels.registry import Family, Key, Params, require
from dlc.targets.cpu.kernels.simd import zero
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Value, vector
from dlc.targets.cpu.llvm.types import constant, is_float

LONG = 512
"""Elements of y from which on W is read in longer stretches."""

_DTYPES = tuple(o.name for o in OPERANDS.values())
_COMPRESSED = tuple(d for d, e in ELEMENTS.items() if e.kind != "bool")


def _compress_params(key: Key) -> Params:
    return ((INDEX, "n"), ("ptr", "x"), ("ptr noalias", "idx"), ("ptr noalias", "val"))


def _count_type(key: Key) -> str:
    return INDEX


def _compress(f: Builder, key: Key) -> None:
    n, x, idx, val = f.params
    count, start = f.index(0), f.index(0)
    if f.module.target.compresses and key.dtype in ("f32", "f64", "i32", "i64"):
        count, start = _compress_vectors(f, key.dtype)
    memory = ELEMENTS[key.dtype].memory
    with f.loop(start, n, carried=[count], name="each") as loop:
        (found,) = loop.carried
        raw = f.load(memory, f.gep(memory, x, loop.index))
        a = convert.from_memory(f, key.dtype, raw)
        f.store(f.cast("trunc", loop.index, "i32"), f.gep("i32", idx, found))
        f.store(raw, f.gep(memory, val, found))
        loop.next(f.add(found, f.cast("zext", _nonzero(f, a), INDEX)))
    f.ret(loop.carried[0])


def _nonzero(f: Builder, a: Value) -> Value:
    return f.fcmp("une", a, 0.0) if is_float(a.type) else f.icmp("ne", a, 0)


def _compress_vectors(f: Builder, dtype: str) -> tuple[Value, Value]:
    """Whole vectors with `vpcompress` into a register and a full store.

    What is stored beyond the found ones is overwritten later or never read; it stays within n
    elements, because no more were found than were read.
    """
    n, x, idx, val = f.params
    memory = ELEMENTS[dtype].memory
    lanes = 16 if ELEMENTS[dtype].bytes == 4 else 8
    t = vector(memory, lanes)
    count_type = f"i{lanes}"
    whole = f.and_(n, -lanes)
    with f.loop(0, whole, lanes, carried=[f.index(0)], name="vector") as loop:
        (found,) = loop.carried
        a = f.load(t, f.gep(memory, x, loop.index))
        mask = _nonzero(f, a)
        numbers = f.add(
            f.splat(f.cast("trunc", loop.index, "i32"), lanes), f.lane_numbers("i32", lanes)
        )
        values = _compressed(f, a, mask)
        where = _compressed(f, numbers, mask)
        f.store(where, f.gep("i32", idx, found))
        f.store(values, f.gep(memory, val, found))
        bits = f.let(count_type, f"bitcast {mask} to {count_type}")
        ones = f.intrinsic("llvm.ctpop", count_type, bits)
        loop.next(f.add(found, f.cast("zext", ones, INDEX)))
    return loop.carried[0], whole


def _compressed(f: Builder, x: Value, mask: Value) -> Value:
    return f.intrinsic("llvm.x86.avx512.mask.compress", x.type, x, constant(x.type, 0), mask)


def _events_params(key: Key) -> Params:
    return (
        (INDEX, "count"),
        ("ptr", "idx"),
        ("ptr", "val"),
        (INDEX, "n"),
        ("ptr", "w"),
        (INDEX, "ldw"),
        ("ptr noalias", "y"),
        ("i1", "accumulate"),
    )


def _events(f: Builder, key: Key) -> None:
    ops = OPERANDS[key.dtype]
    if key.variant == "t":
        _by_rows(f, ops)
    else:
        _by_columns(f, ops)


def _event(f: Builder, ops: Operands, e: Value) -> tuple[Value, Value]:
    """Index and value of an event."""
    _, idx, val, *_ = f.params
    at = f.cast("sext", f.load("i32", f.gep("i32", idx, e)), INDEX)
    return at, ops.load(f, "a", f.gep(ops.memory("a"), val, e))


def _by_rows(f: Builder, ops: Operands) -> None:
    """As many vectors of y as registers hold; for each strip, all events. A long y would make short
    jumps through W of that: there, eight events at a time are added to longer strips."""
    count, _, _, n, w, ldw, y, accumulate = f.params
    if ops.exact_in_c:
        with f.when(f.icmp("sgt", n, LONG)):
            _by_groups(f, ops)
            f.ret()
    target = f.module.target
    lanes = ops.lanes(target)
    wide = 16 if target.vector_registers >= 32 else 8

    def strip(first: Value, vectors: int, lanes: int) -> None:
        t = ops.vector(lanes)
        places = [f.gep(ops.memory("c"), y, f.add(first, j * lanes)) for j in range(vectors)]
        start = f.if_else(
            accumulate,
            lambda: [ops.load(f, "c", p, lanes) for p in places],
            lambda: [zero(t)] * vectors,
        )
        column = f.gep(ops.memory("b"), w, first)
        with f.loop(0, count, carried=start, name="event") as loop:
            at, x = _event(f, ops, loop.index)
            row = f.gep(ops.memory("b"), column, f.mul(at, ldw))
            x = f.splat(x, lanes)
            following: list[Value] = []
            for j, total in enumerate(loop.carried):
                b = ops.load(f, "b", f.gep(ops.memory("b"), row, j * lanes), lanes)
                following.append(ops.mac(f, x, b, total))
            loop.next(*following)
        for p, total in zip(places, loop.carried, strict=True):
            ops.store(f, total, p)

    first = f.index(0)
    for vectors, size in ((wide, lanes), (1, lanes), (1, 1)):
        step = vectors * size
        with f.loop(first, f.sub(n, step - 1), step, name="strip") as loop:
            strip(loop.index, vectors, size)
        first = loop.index


def _by_groups(f: Builder, ops: Operands) -> None:
    count, _, _, n, w, ldw, y, accumulate = f.params
    c = ops.memory("c")
    with f.when(f.not_(accumulate)):
        f.call(require(f.module, FILL, ops.c), y, zero(c), n)
    with f.loop(0, n, STRIP, name="strip") as strip:
        bounds = strip.index, f.imin(f.add(strip.index, STRIP), n)

        def add(first: Value, size: int) -> None:
            each = [_event(f, ops, f.add(first, i)) for i in range(size)]
            rows = [f.gep(ops.memory("b"), w, f.mul(at, ldw)) for at, _ in each]
            add_scaled_rows(f, ops, [x for _, x in each], rows, y, bounds)

        with f.loop(0, f.sub(count, ROWS - 1), ROWS, name="events") as group:
            add(group.index, ROWS)
        with f.loop(group.index, count, name="event") as one:
            add(one.index, 1)


def _by_columns(f: Builder, ops: Operands) -> None:
    """Eight rows of W at once, an element of each for every event."""
    count, _, _, n, w, ldw, y, accumulate = f.params

    def rows(first: Value, height: int) -> None:
        places = [f.gep(ops.memory("c"), y, f.add(first, i)) for i in range(height)]
        start = f.if_else(
            accumulate,
            lambda: [ops.load(f, "c", p) for p in places],
            lambda: [zero(ops.sum)] * height,
        )
        bases = [f.gep(ops.memory("b"), w, f.mul(f.add(first, i), ldw)) for i in range(height)]
        with f.loop(0, count, carried=start, name="event") as loop:
            at, x = _event(f, ops, loop.index)
            elements = [ops.load(f, "b", f.gep(ops.memory("b"), b, at)) for b in bases]
            loop.next(*(ops.mac(f, x, b, t) for b, t in zip(elements, loop.carried, strict=True)))
        for p, total in zip(places, loop.carried, strict=True):
            ops.store(f, total, p)

    with f.loop(0, f.sub(n, 7), 8, name="rows") as loop:
        rows(loop.index, 8)
    with f.loop(loop.index, n, name="row") as last:
        rows(last.index, 1)


FAMILIES = (
    Family("compress", _COMPRESSED, _compress_params, _compress, result=_count_type),
    Family("events", _DTYPES, _events_params, _events, ("t", "n")),
)
