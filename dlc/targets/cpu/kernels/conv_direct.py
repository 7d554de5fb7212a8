"""Convolutions without unfolding: sums straight over channels and taps.

Forward, a vector of neighbouring outputs at a time: right for depthwise convolutions, and for f16
and bf16, whose sums stay in f32 to the end. The two transposes, one element at a time, are for f16
and bf16.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.operands import Operands
from dlc.targets.cpu.kernels.simd import partial_load, partial_store, zero
from dlc.targets.cpu.kernels.windows import (
    Geometry,
    input_row,
    over_taps,
    row_major,
    seen,
    volume,
    window_vector,
)
from dlc.targets.cpu.llvm import Builder, Value
from dlc.targets.cpu.llvm.types import lanes_of

Arrays = tuple[Value, Value, Value]


def write_direct(f: Builder, ops: Operands, g: Geometry, arrays: Arrays, accumulate: Value) -> None:
    """y from x and w: over outputs in vectors along the last axis."""
    x, w, y = arrays
    lanes = ops.lanes(f.module.target)
    inside, kernel = volume(f, g.axes("in")), volume(f, g.axes("kernel"))
    out_rows = f.mul(g["out_d"], g["out_h"])
    with (
        f.loop(0, g["batch"], name="batch") as batch,
        f.loop(0, g["groups"], name="group") as group,
        f.loop(0, g["og"], name="channel") as channel,
        f.loop(0, out_rows, name="row") as row,
        f.loop(0, g["out_w"], lanes, name="strip") as strip,
    ):
        part = f.add(f.mul(batch.index, g["groups"]), group.index)
        o = f.add(f.mul(group.index, g["og"]), channel.index)
        x_at = f.gep(ops.memory("a"), x, f.mul(f.mul(part, g["cg"]), inside))
        w_at = f.gep(ops.memory("b"), w, f.mul(f.mul(o, g["cg"]), kernel))
        at = f.binary("udiv", row.index, g["out_h"]), f.binary("urem", row.index, g["out_h"])
        line = f.add(f.mul(f.add(f.mul(part, g["og"]), channel.index), out_rows), row.index)
        place = f.gep(ops.memory("c"), y, f.add(f.mul(line, g["out_w"]), strip.index))
        count = f.sub(g["out_w"], strip.index)
        (first,) = f.if_else(
            accumulate,
            lambda: (ops.widen(f, partial_load(f, ops.c, place, count, lanes), ops.c),),
            lambda: (zero(ops.vector(lanes)),),
        )
        total = _sum_of_taps(f, ops, g, (x_at, w_at), (*at, strip.index), first)
        partial_store(f, ops.c, total, place, count)


def _sum_of_taps(
    f: Builder,
    ops: Operands,
    g: Geometry,
    arrays: tuple[Value, Value],
    at: Sequence[Value],
    first: Value,
) -> Value:
    """`first` and the products of all channels and taps, for the outputs from `at` on."""
    x, w = arrays
    inside, memory, lanes = volume(f, g.axes("in")), ops.memory("a"), lanes_of(first.type)
    with (
        f.loop(0, g["cg"], carried=[w, first], name="c") as channel,
        f.loop(0, g["kernel_d"], carried=channel.carried, name="kd") as deep,
        f.loop(0, g["kernel_h"], carried=deep.carried, name="kh") as high,
    ):
        plane = f.gep(ops.memory("a"), x, f.mul(channel.index, inside))
        tap = deep.index, high.index
        row, exists = input_row(f, g, plane, ops.memory("a"), at, tap)
        weights, before = high.carried

        def along(
            row: Value = row, weights: Value = weights, before: Value = before
        ) -> list[Value]:
            with f.loop(0, g["kernel_w"], carried=[before], name="kw") as wide:
                weight = ops.load(f, "b", f.gep(ops.memory("b"), weights, wide.index))
                start = seen(f, g, "w", at[2], wide.index)
                raw = window_vector(
                    f, memory, row, start, g["stride_w"], g["in_w"], zero(memory), lanes
                )
                values = ops.widen(f, convert.from_memory(f, ops.a, raw), ops.a)
                wide.next(ops.mac(f, weight, values, wide.carried[0]))
            return [wide.carried[0]]

        (after,) = f.if_else(exists, along, lambda before=before: [before])
        high.next(f.gep(ops.memory("b"), weights, g["kernel_w"]), after)
        # The loops around carry what the inner one ends with.
        deep.following = high.carried
        channel.following = deep.carried
    return channel.carried[1]


def write_direct_input_grad(
    f: Builder, ops: Operands, g: Geometry, arrays: Arrays, accumulate: Value
) -> None:
    """dx[b, c, i] = sum over o, k of dy[b, o, q] w[o, c, k] with q s + k l - pad = i, element by
    element."""
    dy, w, dx = arrays
    inside, kernel = volume(f, g.axes("in")), volume(f, g.axes("kernel"))
    positions = volume(f, g.axes("out"))
    loops = (g["batch"], g["groups"], g["cg"], g["in_d"], g["in_h"], g["in_w"])
    with ExitStack() as stack:
        batch, group, c, *place = (
            stack.enter_context(f.loop(0, n, name="each")).index for n in loops
        )
        part = f.add(f.mul(batch, g["groups"]), group)
        offset = f.add(f.mul(f.add(f.mul(part, g["cg"]), c), inside), row_major(f, g, "in", place))
        target = f.gep(ops.memory("c"), dx, offset)

        def outputs(tap: Sequence[Value], seen_by: Sequence[Value], total: Value) -> Value:
            q, k = row_major(f, g, "out", seen_by), row_major(f, g, "kernel", tap)
            with f.loop(0, g["og"], carried=[total], name="o") as o:
                y_channel = f.add(f.mul(part, g["og"]), o.index)
                a = f.gep(ops.memory("a"), dy, f.add(f.mul(y_channel, positions), q))
                channel = f.add(f.mul(group, g["og"]), o.index)
                line = f.add(f.mul(f.add(f.mul(channel, g["cg"]), c), kernel), k)
                b = f.gep(ops.memory("b"), w, line)
                o.next(ops.mac(f, ops.load(f, "a", a), ops.load(f, "b", b), o.carried[0]))
            return o.carried[0]

        first = _old(f, ops, target, accumulate)
        ops.store(f, over_taps(f, g, place, outputs, first), target)


def _old(f: Builder, ops: Operands, place: Value, accumulate: Value) -> Value:
    (value,) = f.if_else(accumulate, lambda: [ops.load(f, "c", place)], lambda: [zero(ops.sum)])
    return value


def write_direct_weight_grad(
    f: Builder, ops: Operands, g: Geometry, arrays: Arrays, accumulate: Value
) -> None:
    """dw[o, c, k] = sum over b, p of dy[b, o, p] x[b, c, p s + k l - pad], element by element."""
    x, dy, dw = arrays
    inside, kernel = volume(f, g.axes("in")), volume(f, g.axes("kernel"))
    positions = volume(f, g.axes("out"))
    loops = (g["groups"], g["og"], g["cg"], g["kernel_d"], g["kernel_h"], g["kernel_w"])
    with ExitStack() as stack:
        group, o, c, *tap = (stack.enter_context(f.loop(0, n, name="each")).index for n in loops)
        channel = f.add(f.mul(group, g["og"]), o)
        line = f.add(
            f.mul(f.add(f.mul(channel, g["cg"]), c), kernel), row_major(f, g, "kernel", tap)
        )
        target = f.gep(ops.memory("c"), dw, line)
        first = _old(f, ops, target, accumulate)
        with f.loop(0, g["batch"], carried=[first], name="batch") as batch:
            part = f.add(f.mul(batch.index, g["groups"]), group)
            x_channel, y_channel = f.add(f.mul(part, g["cg"]), c), f.add(f.mul(part, g["og"]), o)
            x_at = f.gep(ops.memory("a"), x, f.mul(x_channel, inside))
            y_at = f.gep(ops.memory("b"), dy, f.mul(y_channel, positions))
            batch.next(_over_windows(f, ops, g, (x_at, y_at), tap, batch.carried[0]))
        ops.store(f, batch.carried[0], target)


def _over_windows(
    f: Builder,
    ops: Operands,
    g: Geometry,
    planes: tuple[Value, Value],
    tap: Sequence[Value],
    first: Value,
) -> Value:
    """`first` and the products of dy and what its window sees with one tap."""
    x, dy = planes
    with (
        f.loop(0, g["out_d"], carried=[first], name="d") as d,
        f.loop(0, g["out_h"], carried=d.carried, name="h") as h,
    ):
        row, exists = input_row(f, g, x, ops.memory("a"), (d.index, h.index), tap)
        with f.loop(0, g["out_w"], carried=h.carried, name="w") as w:
            at = seen(f, g, "w", w.index, tap[2])
            both = f.and_(exists, f.icmp("ult", at, g["in_w"]))
            window = row_major(f, g, "out", (d.index, h.index, w.index))
            (total,) = w.carried

            def product(
                at: Value = at, window: Value = window, total: Value = total
            ) -> list[Value]:
                a = ops.load(f, "a", f.gep(ops.memory("a"), row, at))
                b = ops.load(f, "b", f.gep(ops.memory("b"), dy, window))
                return [ops.mac(f, a, b, total)]

            (after,) = f.if_else(both, product, lambda total=total: [total])
            w.next(after)
        h.next(*w.carried)
        d.following = h.carried
    return d.carried[0]
