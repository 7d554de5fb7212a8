"""Pools: the largest element or the mean of every window, and their transposes.

pool: geometry, x, y · pool_grad: geometry, x, dy, dx, accumulate. The geometry is that of
`windows`, with groups 1 and cg = og the channels. Variants: "max" · "mean" of the elements inside
· "mean_pad", which counts the padding as zeros. NaN wins in max, which of nothing is the lowest
finite number; the mean of nothing is 0. Taps are taken in row-major order; the gradient of a
largest element goes to the first one. Of pool_grad, x matters to "max" only. f16 and bf16 are
summed in f32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.memory import FILL
from dlc.targets.cpu.kernels.reduce import Fold
from dlc.targets.cpu.kernels.registry import Family, Key, Params, require
from dlc.targets.cpu.kernels.simd import partial_load, partial_store, zero
from dlc.targets.cpu.kernels.unfold import add_chunk, chunk_lanes
from dlc.targets.cpu.kernels.windows import (
    Geometry,
    input_row,
    load_geometry,
    over_taps,
    row_major,
    seen,
    volume,
    window_vector,
)
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Value
from dlc.targets.cpu.llvm.types import constant, lanes_of

VARIANTS = ("max", "mean", "mean_pad")
_FLOATS = ("f32", "f64", "f16", "bf16")
_NUMBERS = (*_FLOATS, "i64", "i32", "i16", "i8", "u8")


class _Pool:
    """One variant for one element type."""

    def __init__(self, f: Builder, key: Key, address: Value) -> None:
        self.f, self.dtype, self.variant = f, key.dtype, key.variant
        self.element = ELEMENTS[key.dtype]
        self.largest = key.variant == "max"
        self.fold = Fold(f, Key("", key.dtype, "max" if self.largest else "sum"))
        self.g: Geometry = load_geometry(f, address)
        self.inside = volume(f, self.g.axes("in"))
        self.kernel = volume(f, self.g.axes("kernel"))
        self.planes = f.mul(self.g["batch"], self.g["cg"])

    def taps_inside(self, axis: str, at: Value) -> Value:
        """How many taps of an axis the window at `at` (an index, or lanes of them) has inside of
        x."""
        f, g = self.f, self.g
        lanes = lanes_of(at.type)

        def spread(x: Value) -> Value:
            return f.splat(x, lanes)

        with f.loop(0, g[f"kernel_{axis}"], carried=[constant(at.type, 0)], name="count") as loop:
            reach = f.sub(f.mul(loop.index, g[f"dilation_{axis}"]), g[f"pad_{axis}"])
            place = f.add(f.mul(at, spread(g[f"stride_{axis}"])), spread(reach))
            inside = f.icmp("ult", place, spread(g[f"in_{axis}"]))
            loop.next(f.add(loop.carried[0], f.cast("zext", inside, INDEX)))
        return loop.carried[0]

    def divisor(self, at: Sequence[Value]) -> Value:
        """What the sum of the window at `at` is divided by; at least 1."""
        f = self.f
        if self.variant == "mean_pad":
            count = f.splat(self.kernel, lanes_of(at[2].type))
        else:
            rows = f.mul(self.taps_inside("d", at[0]), self.taps_inside("h", at[1]))
            wide = self.taps_inside("w", at[2])
            count = f.imax(f.mul(wide, f.splat(rows, lanes_of(wide.type))), 1)
        return f.cast("sitofp", count, self.element.register)


def _pool_params(key: Key) -> Params:
    return (("ptr", "geometry"), ("ptr", "x"), ("ptr noalias", "y"))


def _pool(f: Builder, key: Key) -> None:
    """Neighbouring windows in vectors along the last axis."""
    address, x, y = f.params
    p = _Pool(f, key, address)
    g, memory = p.g, p.element.memory
    lanes = f.module.target.lanes(max(p.element.bytes, 4))
    out_rows = f.mul(g["out_d"], g["out_h"])
    with (
        f.loop(0, p.planes, name="plane") as plane,
        f.loop(0, out_rows, name="row") as row,
        f.loop(0, g["out_w"], lanes, name="strip") as strip,
    ):
        x_at = f.gep(memory, x, f.mul(plane.index, p.inside))
        d, h = f.binary("udiv", row.index, g["out_h"]), f.binary("urem", row.index, g["out_h"])
        total = _over_window(f, p, x_at, (d, h, strip.index), lanes)
        w = f.add(f.splat(strip.index, lanes), f.lane_numbers(INDEX, lanes))
        if p.largest:
            rows = f.mul(p.taps_inside("d", d), p.taps_inside("h", h))
            found = f.mul(p.taps_inside("w", w), f.splat(rows, lanes))
            lowest = f.splat(p.fold.of_nothing(), lanes)
            result = f.select(f.icmp("eq", found, 0), lowest, total)
        else:
            result = f.fdiv(total, p.divisor((d, h, w)))
        line = f.add(f.mul(plane.index, out_rows), row.index)
        place = f.gep(memory, y, f.add(f.mul(line, g["out_w"]), strip.index))
        partial_store(f, key.dtype, result, place, f.sub(g["out_w"], strip.index))


def _over_window(f: Builder, p: _Pool, plane: Value, at: Sequence[Value], lanes: int) -> Value:
    """The fold of what the windows from `at` on see."""
    g, memory = p.g, p.element.memory
    outside = _raw(p)
    start = p.fold.start(lanes)
    with (
        f.loop(0, g["kernel_d"], carried=[start], name="kd") as deep,
        f.loop(0, g["kernel_h"], carried=deep.carried, name="kh") as high,
    ):
        row, exists = input_row(f, g, plane, memory, at, (deep.index, high.index))
        before = high.carried[0]

        def along(row: Value = row, before: Value = before) -> list[Value]:
            with f.loop(0, g["kernel_w"], carried=[before], name="kw") as wide:
                first = seen(f, g, "w", at[2], wide.index)
                args = (row, first, g["stride_w"], g["in_w"], outside, lanes)
                raw = window_vector(f, memory, *args)
                values = convert.from_memory(f, p.dtype, raw)
                wide.next(p.fold.combine(wide.carried[0], values))
            return [wide.carried[0]]

        (after,) = f.if_else(exists, along, lambda before=before: [before])
        high.next(after)
        deep.following = high.carried
    return deep.carried[0]


def _raw(p: _Pool) -> Value:
    """What changes nothing, as it lies in memory."""
    if p.element.is_half:
        infinity = {"f16": 0xFC00, "bf16": 0xFF80}[p.dtype]
        return constant("i16", infinity if p.largest else 0)
    return p.fold.start()


def _grad_params(key: Key) -> Params:
    return (
        ("ptr", "geometry"),
        ("ptr", "x"),
        ("ptr", "dy"),
        ("ptr noalias", "dx"),
        ("i1", "accumulate"),
    )


def _grad(f: Builder, key: Key) -> None:
    address, x, dy, dx, accumulate = f.params
    p = _Pool(f, key, address)
    if p.element.is_half:
        _gather_grad(f, p, (x, dy, dx), accumulate)
        return
    g, memory = p.g, p.element.memory
    with f.when(f.not_(accumulate)):
        fill = require(f.module, FILL, key.dtype)
        f.call(fill, dx, zero(memory), f.mul(p.planes, p.inside))
    lanes = chunk_lanes(f.module.target, memory)
    out_rows = f.mul(g["out_d"], g["out_h"])
    shares, places = f.alloca(memory, lanes), f.alloca("i32", lanes)
    with (
        f.loop(0, p.planes, name="plane") as plane,
        f.loop(0, out_rows, name="row") as row,
        f.loop(0, g["out_w"], lanes, name="strip") as strip,
    ):
        offset = f.mul(plane.index, p.inside)
        x_at, dx_at = f.gep(memory, x, offset), f.gep(memory, dx, offset)
        d, h = f.binary("udiv", row.index, g["out_h"]), f.binary("urem", row.index, g["out_h"])
        line = f.add(f.mul(plane.index, out_rows), row.index)
        dy_at = f.gep(memory, dy, f.add(f.mul(line, g["out_w"]), strip.index))
        count = f.imin(f.sub(g["out_w"], strip.index), lanes)
        if p.largest:
            f.store(_winners(f, p, x_at, (d, h, strip.index), lanes), places)
            _add_to_winners(f, memory, dx_at, dy_at, places, count)
        else:
            w = f.add(f.splat(strip.index, lanes), f.lane_numbers(INDEX, lanes))
            given = partial_load(f, key.dtype, dy_at, count, lanes)
            f.store(f.fdiv(given, p.divisor((d, h, w))), shares)
            _spread(f, p, dx_at, (d, h, strip.index), shares, count)


def _add_to_winners(
    f: Builder, memory: str, plane: Value, dy: Value, places: Value, count: Value
) -> None:
    """plane[places[i]] += dy[i], i < count, where there is a place."""
    with f.loop(0, count, name="each") as loop:
        place = f.cast("sext", f.load("i32", f.gep("i32", places, loop.index)), INDEX)
        with f.when(f.icmp("sge", place, 0)):
            share = f.load(memory, f.gep(memory, dy, loop.index))
            at = f.gep(memory, plane, place)
            f.store(f.plus(f.load(memory, at), share), at)


def _winners(f: Builder, p: _Pool, plane: Value, at: Sequence[Value], lanes: int) -> Value:
    """Where in the plane the first largest element of each window lies, for `lanes` windows from
    `at` on, as i32; -1 if there is none."""
    g, e = p.g, p.element
    numbers = f.lane_numbers("i32", lanes)
    start = [p.fold.start(lanes), constant(numbers.type, -1)]

    def narrow(x: Value) -> Value:
        return f.splat(f.cast("trunc", x, "i32"), lanes)

    spread = f.mul(numbers, narrow(g["stride_w"]))
    with (
        f.loop(0, g["kernel_d"], carried=start, name="kd") as deep,
        f.loop(0, g["kernel_h"], carried=deep.carried, name="kh") as high,
        f.loop(0, g["kernel_w"], carried=high.carried, name="kw") as wide,
    ):
        row, exists = input_row(f, g, plane, e.memory, at, (deep.index, high.index))
        width = f.select(exists, g["in_w"], f.index(0))
        first = seen(f, g, "w", at[2], wide.index)
        args = (row, first, g["stride_w"], width, _raw(p), lanes)
        new = convert.from_memory(f, p.dtype, window_vector(f, e.memory, *args))
        best, where = wide.carried
        if e.is_float:
            nan = f.and_(f.fcmp("uno", new, new), f.fcmp("ord", best, best))
            wins = f.or_(f.fcmp("ogt", new, best), nan)
        else:
            wins = f.icmp("sgt" if e.signed else "ugt", new, best)
        places = f.add(narrow(first), spread)
        inside = f.icmp("ult", places, narrow(width))
        wins = f.and_(f.or_(wins, f.icmp("slt", where, 0)), inside)
        i_d, i_h = (
            seen(f, g, a, i, k.index) for a, i, k in zip("dh", at, (deep, high), strict=False)
        )
        base = f.mul(f.add(f.mul(i_d, g["in_h"]), i_h), g["in_w"])
        place = f.add(places, narrow(base))
        wide.next(f.select(wins, new, best), f.select(wins, place, where))
        high.following = wide.carried
        deep.following = high.carried
    return deep.carried[1]


def _spread(
    f: Builder, p: _Pool, plane: Value, at: Sequence[Value], shares: Value, count: Value
) -> None:
    """Add to every element of each window its share."""
    g, memory = p.g, p.element.memory
    with (
        f.loop(0, g["kernel_d"], name="kd") as deep,
        f.loop(0, g["kernel_h"], name="kh") as high,
    ):
        row, exists = input_row(f, g, plane, memory, at, (deep.index, high.index))
        with f.when(exists), f.loop(0, g["kernel_w"], name="kw") as wide:
            add_chunk(f, g, memory, row, seen(f, g, "w", at[2], wide.index), shares, count)


def _gather_grad(
    f: Builder, p: _Pool, arrays: tuple[Value, Value, Value], accumulate: Value
) -> None:
    """Element by element of dx, over the windows that see it: one rounding. For f16 and bf16."""
    x, dy, dx = arrays
    g, memory = p.g, p.element.memory
    positions = volume(f, g.axes("out"))
    with ExitStack() as stack:
        loops = (p.planes, g["in_d"], g["in_h"], g["in_w"])
        plane, *place = (stack.enter_context(f.loop(0, n, name="each")).index for n in loops)
        offset = f.mul(plane, p.inside)
        i = row_major(f, g, "in", place)
        x_at = f.gep(memory, x, offset)

        def share(tap: Sequence[Value], at: Sequence[Value], total: Value) -> Value:
            window = f.add(f.mul(plane, positions), row_major(f, g, "out", at))
            d = convert.load(f, p.dtype, f.gep(memory, dy, window))
            if p.largest:
                mine = f.icmp("eq", _winners(f, p, x_at, at, 1), f.cast("trunc", i, "i32"))
                return f.select(mine, f.fadd(total, d), total)
            return f.fadd(total, f.fdiv(d, p.divisor(at)))

        target = f.gep(memory, dx, f.add(offset, i))
        none = zero(p.element.register)
        (first,) = f.if_else(accumulate, lambda: [convert.load(f, p.dtype, target)], lambda: [none])
        convert.store(f, p.dtype, over_taps(f, g, place, share, first), target)


_ONLY = (("mean", _FLOATS), ("mean_pad", _FLOATS))

FAMILIES = (
    Family("pool", _NUMBERS, _pool_params, _pool, VARIANTS, _ONLY),
    Family("pool_grad", _NUMBERS, _grad_params, _grad, VARIANTS, _ONLY),
)
