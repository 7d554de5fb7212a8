"""Convolutions of one channel at a time by 3 x 3 taps: the depthwise layers of mobile networks.

The nine weights stay in registers while all rows pass. The order is that of `conv_direct`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.operands import Operands
from dlc.targets.cpu.kernels.simd import partial_load, partial_store, zero
from dlc.targets.cpu.kernels.windows import Geometry, input_row, seen, volume, window_vector
from dlc.targets.cpu.llvm import Builder, Value

Arrays = tuple[Value, Value, Value]
TAPS = 3


def is_depthwise(f: Builder, g: Geometry) -> Value:
    """Whether the geometry is one that `write_depthwise` is for."""
    fits = f.icmp("eq", g["cg"], 1)
    for name, size in (("kernel_d", 1), ("kernel_h", TAPS), ("kernel_w", TAPS)):
        fits = f.and_(fits, f.icmp("eq", g[name], size))
    return fits


def write_depthwise(
    f: Builder, ops: Operands, g: Geometry, arrays: Arrays, accumulate: Value
) -> None:
    """y from x and w, for `is_depthwise` geometries."""
    x, w, y = arrays
    lanes = ops.lanes(f.module.target)
    inside, positions = volume(f, g.axes("in")), volume(f, g.axes("out"))
    channels = f.mul(g["groups"], g["og"])
    rows = f.mul(g["out_d"], g["out_h"])
    with (
        f.loop(0, g["batch"], name="batch") as batch,
        f.loop(0, channels, name="channel") as channel,
    ):
        group = f.add(f.mul(batch.index, g["groups"]), f.binary("udiv", channel.index, g["og"]))
        plane = f.gep(ops.memory("a"), x, f.mul(group, inside))
        w_at = f.gep(ops.memory("b"), w, f.mul(channel.index, TAPS * TAPS))
        out = f.add(f.mul(batch.index, channels), channel.index)
        y_at = f.gep(ops.memory("c"), y, f.mul(out, positions))
        taps = [
            f.splat(ops.load(f, "b", f.gep(ops.memory("b"), w_at, i)), lanes)
            for i in range(TAPS * TAPS)
        ]
        with (
            f.loop(0, g["out_w"], lanes, name="strip") as strip,
            f.loop(0, rows, name="row") as row,
        ):
            place = f.gep(ops.memory("c"), y_at, f.add(f.mul(row.index, g["out_w"]), strip.index))
            count = f.sub(g["out_w"], strip.index)
            (first,) = f.if_else(
                accumulate,
                lambda: (ops.widen(f, partial_load(f, ops.c, place, count, lanes), ops.c),),
                lambda: (zero(ops.vector(lanes)),),
            )
            d = f.binary("udiv", row.index, g["out_h"])
            h = f.binary("urem", row.index, g["out_h"])
            total = _nine(f, ops, g, plane, taps, (d, h, strip.index), first)
            partial_store(f, ops.c, total, place, count)


def _nine(
    f: Builder,
    ops: Operands,
    g: Geometry,
    plane: Value,
    taps: Sequence[Value],
    at: Sequence[Value],
    total: Value,
) -> Value:
    """The nine products of each of the windows from `at` on, added to `total`."""
    memory, lanes = ops.memory("a"), ops.lanes(f.module.target)
    for i in range(TAPS):
        tap = f.index(0), f.index(i)
        row, exists = input_row(f, g, plane, memory, at, tap)

        def along(row: Value = row, i: int = i, total: Value = total) -> list[Value]:
            for j in range(TAPS):
                first = seen(f, g, "w", at[2], f.index(j))
                args = (row, first, g["stride_w"], g["in_w"], zero(memory), lanes)
                raw = window_vector(f, memory, *args)
                values = ops.widen(f, convert.from_memory(f, ops.a, raw), ops.a)
                total = ops.mac(f, taps[i * TAPS + j], values, total)
            return [total]

        (total,) = f.if_else(exists, along, lambda total=total: [total])
    return total
