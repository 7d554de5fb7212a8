"""Convolutions of one channel at a time by 3 x 3 taps, stride 1 or 2: the depthwise layers of
mobile networks.

Down a strip of columns, a vector wide, the nine weights and the rows that the next window sees
again stay in registers: three (stride 1) or six new vectors for nine multiply-adds. Taps in
row-major order; what lies outside of x takes part as zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.targets.cpu.kernels.operands import Operands
from dlc.targets.cpu.kernels.simd import partial_load, partial_store, zero
from dlc.targets.cpu.kernels.windows import Geometry, seen, volume, window_vector
from dlc.targets.cpu.llvm import Builder, Value

Arrays = tuple[Value, Value, Value]
TAPS = 3


def is_depthwise(f: Builder, g: Geometry) -> Value:
    """Whether the geometry is one that `write_depthwise` is for."""
    fits = f.icmp("ult", f.sub(g["stride_h"], 1), 2)
    for name, other in (("stride_w", "stride_h"), ("in_d", "out_d")):
        fits = f.and_(fits, f.icmp("eq", g[name], g[other]))
    wanted = {
        "cg": 1,
        "in_d": 1,
        "kernel_d": 1,
        "pad_d": 0,
        "kernel_h": TAPS,
        "kernel_w": TAPS,
        "dilation_h": 1,
        "dilation_w": 1,
    }
    for name, size in wanted.items():
        fits = f.and_(fits, f.icmp("eq", g[name], size))
    return f.and_(fits, f.icmp("sgt", g["in_h"], 0))


@dataclass(frozen=True, slots=True)
class _Strip:
    """A channel's plane, its part of y, its weights, and the first column."""

    plane: Value
    out: Value
    taps: Sequence[Value]
    column: Value


def write_depthwise(
    f: Builder, ops: Operands, g: Geometry, arrays: Arrays, accumulate: Value
) -> None:
    """y from x and w, for `is_depthwise` geometries."""
    x, w, y = arrays
    lanes = ops.lanes(f.module.target)
    inside, positions = volume(f, g.axes("in")), volume(f, g.axes("out"))
    channels = f.mul(g["groups"], g["og"])
    with (
        f.loop(0, g["batch"], name="batch") as batch,
        f.loop(0, channels, name="channel") as channel,
    ):
        group = f.binary("udiv", channel.index, g["og"])
        group = f.add(f.mul(batch.index, g["groups"]), group)
        plane = f.gep(ops.memory("a"), x, f.mul(group, inside))
        w_at = f.gep(ops.memory("b"), w, f.mul(channel.index, TAPS * TAPS))
        part = f.add(f.mul(batch.index, channels), channel.index)
        out = f.gep(ops.memory("c"), y, f.mul(part, positions))
        taps = [
            f.splat(ops.load(f, "b", f.gep(ops.memory("b"), w_at, i)), lanes)
            for i in range(TAPS * TAPS)
        ]
        with f.loop(0, g["out_w"], lanes, name="strip") as strip:
            s = _Strip(plane, out, taps, strip.index)
            f.if_else(
                f.icmp("eq", g["stride_h"], 1),
                lambda s=s: _down(f, ops, g, s, 1, accumulate),
                lambda s=s: _down(f, ops, g, s, 2, accumulate),
            )


def _down(
    f: Builder, ops: Operands, g: Geometry, s: _Strip, step: int, accumulate: Value
) -> Sequence[Value]:
    """All rows of a strip, the TAPS - step last rows of x carried along. No results."""
    lanes = ops.lanes(f.module.target)
    count = f.sub(g["out_w"], s.column)
    top = f.sub(0, g["pad_h"])
    kept = [v for i in range(TAPS - step) for v in _row(f, ops, g, s, f.add(top, i), step)]
    with f.loop(0, g["out_h"], carried=kept, name="row") as row:
        below = f.add(f.add(f.mul(row.index, step), top), TAPS - step)
        new = [v for i in range(step) for v in _row(f, ops, g, s, f.add(below, i), step)]
        rows = [*row.carried, *new]
        place = f.gep(ops.memory("c"), s.out, f.add(f.mul(row.index, g["out_w"]), s.column))
        (total,) = f.if_else(
            accumulate,
            lambda: (ops.widen(f, partial_load(f, ops.c, place, count, lanes), ops.c),),
            lambda: (zero(ops.vector(lanes)),),
        )
        for tap, values in zip(s.taps, rows, strict=True):
            total = ops.mac(f, tap, values, total)
        partial_store(f, ops.c, total, place, count)
        row.next(*rows[step * TAPS :])
    return ()


def _row(
    f: Builder, ops: Operands, g: Geometry, s: _Strip, number: Value, step: int
) -> list[Value]:
    """What the windows of the strip see of a row of x with each of its taps; zeros if there is no
    such row."""
    memory, lanes = ops.memory("a"), ops.lanes(f.module.target)
    exists = f.icmp("ult", number, g["in_h"])
    row = f.gep(memory, s.plane, f.mul(f.select(exists, number, f.index(0)), g["in_w"]))
    values: list[Value] = []
    for j in range(TAPS):
        first = seen(f, g, "w", s.column, f.index(j))
        args = (row, first, f.index(step), g["in_w"], zero(memory), lanes)
        raw = window_vector(f, memory, *args)
        values.append(f.select(exists, raw, zero(raw.type)))
    return values
