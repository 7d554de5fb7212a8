"""The unfolded x of a convolution: a matrix with a row for each tap and a column for each window.

A block of it is written into a buffer by chunks of columns that lie in one row of y, a vector wide
at most, and for each chunk tap after tap: neighbouring taps read neighbouring elements.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.targets.cpu.kernels.simd import first_lanes, zero
from dlc.targets.cpu.kernels.windows import (
    Geometry,
    advance,
    input_row,
    load_geometry,
    seen,
    split_index,
    volume,
    window_vector,
)
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Target, Value, vector


def chunk_lanes(target: Target, memory: str) -> int:
    """Columns of a chunk. A line of the buffer needs as many elements more than it has columns."""
    return target.lanes(8 if memory == "double" else 4)


def unfold_block(module: Module, memory: str) -> Function:
    """`void (geometry, x, tap, taps, position, positions, buffer, line)`: element (r, t) of the
    buffer, lines `line` apart, is what window `position + t` sees of x (the channels of a group)
    with tap `tap + r`; 0 outside. Behind the last column of a line up to `chunk_lanes` elements
    are spoilt."""
    name = f"dlc.unfold.{memory}"

    def emit() -> tuple[Function, str]:
        numbers = [(INDEX, p) for p in ("tap", "taps", "position", "positions")]
        params = [("ptr", "geometry"), ("ptr", "x"), *numbers, ("ptr", "buffer"), (INDEX, "line")]
        f = Builder(module, name, "void", params, inline="never")
        g = load_geometry(f, f.params[0])
        with f.when(f.icmp("eq", g["stride_w"], 1)):
            _chunks(f, g, memory, f.index(1))
            f.ret()
        _chunks(f, g, memory, g["stride_w"])
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _chunks(f: Builder, g: Geometry, memory: str, step: Value) -> None:
    """For each chunk of windows, all taps of the block."""
    _, _, tap, _, position, positions, buffer, _ = f.params
    lanes = chunk_lanes(f.module.target, memory)
    kernel = volume(f, g.axes("kernel"))
    channel = f.binary("udiv", tap, kernel)
    first = (channel, *split_index(f, f.binary("urem", tap, kernel), g.axes("kernel")))

    def chunk(c: tuple[Value, ...]) -> tuple[Value, ...]:
        t, d, h, w = c
        count = f.imin(f.imin(f.sub(positions, t), f.sub(g["out_w"], w)), lanes)
        _taps(f, g, memory, step, first, (d, h, w), f.gep(memory, buffer, t))
        last = f.sub(f.add(w, count), 1)
        return (f.add(t, count), *advance(f, (d, h, last), g.axes("out")))

    start = (f.index(0), *split_index(f, position, g.axes("out")))
    f.loop_while(start, lambda c: f.icmp("slt", c[0], positions), chunk, "chunk")


def _taps(
    f: Builder,
    g: Geometry,
    memory: str,
    step: Value,
    first: Sequence[Value],
    at: Sequence[Value],
    column: Value,
) -> None:
    """One chunk: a vector for each tap, one below the other; runs of taps that see one row of x."""
    _, x, _, taps, _, _, _, line = f.params
    lanes = chunk_lanes(f.module.target, memory)
    inside = volume(f, g.axes("in"))

    def run(c: tuple[Value, ...]) -> tuple[Value, ...]:
        r, channel, k_d, k_h, k_w = c
        size = f.imin(f.sub(taps, r), f.sub(g["kernel_w"], k_w))
        plane = f.gep(memory, x, f.mul(channel, inside))
        row, exists = input_row(f, g, plane, memory, at, (k_d, k_h))
        width = f.select(exists, g["in_w"], f.index(0))
        place = seen(f, g, "w", at[2], k_w)
        to = f.gep(memory, column, f.mul(r, line))
        with f.loop(0, size, carried=[place, to], name="tap") as loop:
            place, to = loop.carried
            values = window_vector(f, memory, row, place, step, width, zero(memory), lanes)
            f.store(values, to)
            loop.next(f.add(place, g["dilation_w"]), f.gep(memory, to, line))
        end = f.sub(g["kernel_w"], 1)
        n_d, n_h, n_w = advance(f, (k_d, k_h, end), g.axes("kernel"))
        over = f.icmp("sge", n_d, g["kernel_d"])
        following = f.add(channel, f.cast("zext", over, INDEX))
        return f.add(r, size), following, f.select(over, f.index(0), n_d), n_h, n_w

    f.loop_while((f.index(0), *first), lambda c: f.icmp("slt", c[0], taps), run, "run")


def fold_block(module: Module, memory: str) -> Function:
    """`void (geometry, x, tap, taps, position, positions, buffer, line)`: the reverse of
    `unfold_block`: every element of the buffer is added to the element of x that it would be read
    from, tap after tap. float and double."""
    name = f"dlc.fold.{memory}"

    def emit() -> tuple[Function, str]:
        numbers = [(INDEX, p) for p in ("tap", "taps", "position", "positions")]
        params = [("ptr", "geometry"), ("ptr", "x"), *numbers, ("ptr", "buffer"), (INDEX, "line")]
        f = Builder(module, name, "void", params, inline="never")
        address, x, tap, taps, position, _, buffer, line = f.params
        g = load_geometry(f, address)
        kernel, inside = volume(f, g.axes("kernel")), volume(f, g.axes("in"))
        start = split_index(f, position, g.axes("out"))
        channel = f.binary("udiv", tap, kernel)
        first = split_index(f, f.binary("urem", tap, kernel), g.axes("kernel"))
        with f.loop(0, taps, carried=[channel, *first], name="tap") as loop:
            channel, k_d, k_h, k_w = loop.carried
            plane = f.gep(memory, x, f.mul(channel, inside))
            source = f.gep(memory, buffer, f.mul(loop.index, line))
            _fold_line(f, g, memory, plane, (k_d, k_h, k_w), start, source)
            n_d, n_h, n_w = advance(f, (k_d, k_h, k_w), g.axes("kernel"))
            over = f.icmp("sge", n_d, g["kernel_d"])
            following = f.add(channel, f.cast("zext", over, INDEX))
            loop.next(following, f.select(over, f.index(0), n_d), n_h, n_w)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _fold_line(
    f: Builder,
    g: Geometry,
    memory: str,
    plane: Value,
    tap: Sequence[Value],
    start: Sequence[Value],
    line: Value,
) -> None:
    """line[t] is added to where window t, from `start` on, looks with one tap: by chunks in a
    row."""
    positions = f.params[5]
    lanes = chunk_lanes(f.module.target, memory)

    def chunk(c: tuple[Value, ...]) -> tuple[Value, ...]:
        t, d, h, w = c
        count = f.imin(f.imin(f.sub(positions, t), f.sub(g["out_w"], w)), lanes)
        row, exists = input_row(f, g, plane, memory, (d, h), (tap[0], tap[1]))
        with f.when(exists):
            first = seen(f, g, "w", w, tap[2])
            add_chunk(f, g, memory, row, first, f.gep(memory, line, t), count)
        last = f.sub(f.add(w, count), 1)
        return (f.add(t, count), *advance(f, (d, h, last), g.axes("out")))

    f.loop_while((f.index(0), *start), lambda c: f.icmp("slt", c[0], positions), chunk, "chunk")


def add_chunk(
    f: Builder, g: Geometry, memory: str, row: Value, first: Value, line: Value, count: Value
) -> None:
    """row[first + t stride] += line[t], t < count, where that is inside of the row."""
    step, width = g["stride_w"], g["in_w"]
    masked = f.module.target.masked

    def each() -> None:
        with f.loop(0, count, name="each") as loop:
            at = f.add(first, f.mul(loop.index, step))
            with f.when(f.icmp("ult", at, width)):
                place = f.gep(memory, row, at)
                x = f.load(memory, f.gep(memory, line, loop.index))
                f.store(f.fadd(f.load(memory, place), x), place)

    if not masked:
        each()
        return
    dense, done = f.label("dense"), f.label("added")
    single = f.label("single")
    f.branch_if(f.icmp("eq", step, 1), dense, single)
    f.start(single)
    each()
    f.branch(done)
    f.start(dense)
    lanes = chunk_lanes(f.module.target, memory)
    t = vector(memory, lanes)
    places = f.add(f.splat(f.cast("trunc", first, "i32"), lanes), f.lane_numbers("i32", lanes))
    inside = f.icmp("ult", places, f.splat(f.cast("trunc", width, "i32"), lanes))
    mask = f.and_(inside, first_lanes(f, count, lanes))
    place, none = f.gep(memory, row, first), zero(t)
    old = f.intrinsic("llvm.masked.load", t, place, mask, none, overloads=(t, "ptr"))
    new = f.fadd(old, f.load(t, line))
    f.intrinsic("llvm.masked.store", "void", new, place, mask, overloads=(t, "ptr"))
    f.start(done)
