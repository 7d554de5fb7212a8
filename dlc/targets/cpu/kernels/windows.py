"""Windows over 1 to 3 spatial axes: the geometry that convolutions and pools share, in generated
code.

A geometry is an array of i64 in memory, constant where the shapes are: `FIELDS` gives the order.
With one or two spatial axes the leading ones are 1 (kernel, stride, dilation 1, padding 0). x[B,
C, spatial] and y[B, O, windows] are dense and row-major. A window at p sees p * stride + k *
dilation - pad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlc.targets.cpu.kernels.simd import vector_loop, zero
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Value, vector

AXES = ("d", "h", "w")

FIELDS = (
    "batch",
    "groups",
    "cg",  # channels of x in a group
    "og",  # channels of y in a group
    *(f"in_{a}" for a in AXES),
    *(f"kernel_{a}" for a in AXES),
    *(f"out_{a}" for a in AXES),
    *(f"stride_{a}" for a in AXES),
    *(f"pad_{a}" for a in AXES),  # before the first element
    *(f"dilation_{a}" for a in AXES),
)


def geometry(
    batch: int,
    groups: int,
    cg: int,
    og: int,
    size: Sequence[int],
    kernel: Sequence[int],
    out: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """The array of a geometry whose numbers are known; axes that are missing in front are filled
    in."""

    def three(xs: Sequence[int], fill: int) -> list[int]:
        return [fill] * (3 - len(xs)) + list(xs)

    spatial = [n for xs in (size, kernel, out, stride) for n in three(xs, 1)]
    return [batch, groups, cg, og, *spatial, *three(pad, 0), *three(dilation, 1)]


@dataclass(frozen=True, slots=True)
class Geometry:
    """The fields, loaded."""

    fields: dict[str, Value]

    def __getitem__(self, name: str) -> Value:
        return self.fields[name]

    def axes(self, name: str) -> tuple[Value, Value, Value]:
        return self[f"{name}_d"], self[f"{name}_h"], self[f"{name}_w"]


def load_geometry(f: Builder, address: Value) -> Geometry:
    """Read all fields."""
    return Geometry(
        {name: f.load(INDEX, f.gep(INDEX, address, i)) for i, name in enumerate(FIELDS)}
    )


def volume(f: Builder, sizes: Sequence[Value]) -> Value:
    product = sizes[0]
    for s in sizes[1:]:
        product = f.mul(product, s)
    return product


def split_index(f: Builder, i: Value, sizes: Sequence[Value]) -> tuple[Value, Value, Value]:
    """Coordinates of a row-major index over three axes (the first may exceed its size)."""
    last = f.binary("urem", i, sizes[2])
    i = f.binary("udiv", i, sizes[2])
    return f.binary("udiv", i, sizes[1]), f.binary("urem", i, sizes[1]), last


def advance(f: Builder, at: Sequence[Value], sizes: Sequence[Value]) -> tuple[Value, Value, Value]:
    """The next coordinates in row-major order."""
    d, h, w = at
    w1 = f.add(w, 1)
    over_w = f.icmp("sge", w1, sizes[2])
    h1 = f.add(h, f.cast("zext", over_w, INDEX))
    over_h = f.icmp("sge", h1, sizes[1])
    return (
        f.add(d, f.cast("zext", over_h, INDEX)),
        f.select(over_h, f.index(0), h1),
        f.select(over_w, f.index(0), w1),
    )


def input_row(
    f: Builder, g: Geometry, plane: Value, memory: str, at: Sequence[Value], tap: Sequence[Value]
) -> tuple[Value, Value]:
    """Where the row of x that a window (at d, h) sees with a tap (d, h) starts, and whether it
    exists."""
    i_d = seen(f, g, "d", at[0], tap[0])
    i_h = seen(f, g, "h", at[1], tap[1])
    inside = f.and_(
        f.icmp("ult", i_d, g["in_d"]),
        f.icmp("ult", i_h, g["in_h"]),
    )
    row = f.mul(f.add(f.mul(i_d, g["in_h"]), i_h), g["in_w"])
    return f.gep(memory, plane, row), inside


def seen(f: Builder, g: Geometry, axis: str, at: Value, tap: Value) -> Value:
    """The place along an axis that the window at `at` sees with a tap: at * stride + tap *
    dilation - pad. It may lie outside."""
    reach = f.add(f.mul(at, g[f"stride_{axis}"]), f.mul(tap, g[f"dilation_{axis}"]))
    return f.sub(reach, g[f"pad_{axis}"])


def window_row(module: Module, memory: str) -> Function:
    """`void (to, row, n, first, step, width)`: to[t] = row[first + t step] where that is in
    0..width, else 0, for t < n. `to` has room for a vector more (it may be written, with zeros)."""
    name = f"dlc.window_row.{memory}"

    def emit() -> tuple[Function, str]:
        params = [
            ("ptr noalias", "to"),
            ("ptr", "row"),
            (INDEX, "n"),
            (INDEX, "first"),
            (INDEX, "step"),
            (INDEX, "width"),
            (memory, "fill"),
        ]
        f = Builder(module, name, "void", params, inline="never")
        to, row, n, first, step, width, fill = f.params
        with f.when(f.icmp("ne", step, 1)):
            with f.loop(0, n, name="each") as loop:
                at = f.add(first, f.mul(loop.index, step))
                (x,) = f.if_else(
                    f.icmp("ult", at, width),
                    lambda at=at: (f.load(memory, f.gep(memory, row, at)),),
                    lambda: (fill,),
                )
                f.store(x, f.gep(memory, to, loop.index))
            f.ret()
        lanes = module.target.lanes(4 if memory in ("float", "i32") else 8)
        if module.target.masked and memory in ("float", "double"):
            _masked_row(f, memory, lanes)
        else:
            _plain_row(f, memory, lanes)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _masked_row(f: Builder, memory: str, lanes: int) -> None:
    """Whole vectors; the mask leaves out what lies outside of the row, or beyond n."""
    to, row, n, first, _, width, fill = f.params
    t = vector(memory, lanes)
    numbers = f.lane_numbers(INDEX, lanes)
    limit = f.imin(f.add(first, n), width)
    with f.loop(0, n, lanes, name="vector") as loop:
        at = f.add(first, loop.index)
        places = f.add(f.splat(at, lanes), numbers)
        mask = f.and_(f.icmp("sge", places, 0), f.icmp("slt", places, f.splat(limit, lanes)))
        x = f.intrinsic(
            "llvm.masked.load",
            t,
            f.gep(memory, row, at),
            mask,
            f.splat(fill, lanes),
            overloads=(t, "ptr"),
        )
        f.store(x, f.gep(memory, to, loop.index))


def _plain_row(f: Builder, memory: str, lanes: int) -> None:
    """Filling, a stretch of the row, filling."""
    to, row, n, first, _, width, fill = f.params
    low = f.imin(f.imax(f.sub(0, first), 0), n)
    high = f.imax(f.imin(f.sub(width, first), n), low)
    for start, stop in ((f.index(0), low), (high, n)):
        with f.loop(start, stop, name="fill") as loop:
            f.store(fill, f.gep(memory, to, loop.index))
    base = f.gep(memory, row, first)

    def turn(i: Value, lanes: int) -> None:
        f.store(f.load(vector(memory, lanes), f.gep(memory, base, i)), f.gep(memory, to, i))

    vector_loop(f, high, lanes, turn, low)


def window_vector(
    f: Builder,
    memory: str,
    row: Value,
    first: Value,
    step: Value,
    width: Value,
    fill: Value,
    lanes: int,
) -> Value:
    """What neighbouring windows see, as it lies in memory: row[first + lane step], `fill`
    outside."""
    target = f.module.target
    if lanes == 1 or not target.masked or memory not in ("float", "double", "i32", "i64"):
        return _window_by_calls(f, memory, row, first, step, width, fill, lanes)
    t, base = vector(memory, lanes), f.lane_numbers(INDEX, lanes)
    none = f.splat(fill, lanes)

    def dense(start: Value) -> Value:
        places = f.add(f.splat(start, lanes), base)
        mask = f.icmp("ult", places, f.splat(width, lanes))
        address = f.gep(memory, row, start)
        return f.intrinsic("llvm.masked.load", t, address, mask, none, overloads=(t, "ptr"))

    def every_other() -> list[Value]:
        low, high = dense(first), dense(f.add(first, lanes))
        return [f.shuffle(low, high, range(0, 2 * lanes, 2))]

    def spread() -> list[Value]:
        places = f.add(f.splat(first, lanes), f.mul(base, f.splat(step, lanes)))
        mask = f.icmp("ult", places, f.splat(width, lanes))
        pointers = vector("ptr", lanes)
        each = f.let(pointers, f"getelementptr {memory}, {row}, {places}")
        overloads = (t, pointers)
        return [f.intrinsic("llvm.masked.gather", t, each, mask, none, overloads=overloads)]

    if step.text == "1":
        return dense(first)
    if step.text == "2":
        return every_other()[0]
    (values,) = f.if_else(
        f.icmp("eq", step, 1),
        lambda: [dense(first)],
        lambda: f.if_else(f.icmp("eq", step, 2), every_other, spread),
    )
    return values


def _window_by_calls(
    f: Builder,
    memory: str,
    row: Value,
    first: Value,
    step: Value,
    width: Value,
    fill: Value,
    lanes: int,
) -> Value:
    """Without masks: a plain load where all lanes are inside, else element by element."""
    t = vector(memory, lanes)
    buffer = f.alloca(memory, 2 * lanes)

    def rest() -> list[Value]:
        f.call(window_row(f.module, memory), buffer, row, lanes, first, step, width, fill)
        return [f.load(t, buffer)]

    last = f.sub(width, lanes)
    inside = f.and_(f.icmp("sge", first, 0), f.icmp("sle", first, last))
    plain = f.and_(inside, f.icmp("eq", step, 1))
    (values,) = f.if_else(plain, lambda: [f.load(t, f.gep(memory, row, first))], rest)
    return values


def window_add(module: Module, memory: str) -> Function:
    """`void (row, from, n, first, step, width)`: row[first + t step] += from[t] where that is in
    0..width, in order of t < n. float and double."""
    name = f"dlc.window_add.{memory}"

    def emit() -> tuple[Function, str]:
        params = [
            ("ptr noalias", "row"),
            ("ptr", "from"),
            (INDEX, "n"),
            (INDEX, "first"),
            (INDEX, "step"),
            (INDEX, "width"),
        ]
        f = Builder(module, name, "void", params, inline="never")
        row, source, n, first, step, width = f.params
        with f.when(f.icmp("ne", step, 1)):
            with f.loop(0, n, name="each") as loop:
                at = f.add(first, f.mul(loop.index, step))
                with f.when(f.icmp("ult", at, width)):
                    place = f.gep(memory, row, at)
                    x = f.load(memory, f.gep(memory, source, loop.index))
                    f.store(f.fadd(f.load(memory, place), x), place)
            f.ret()
        low = f.imin(f.imax(f.sub(0, first), 0), n)
        high = f.imax(f.imin(f.sub(width, first), n), low)
        base = f.gep(memory, row, first)

        def turn(i: Value, lanes: int) -> None:
            t, place = vector(memory, lanes), f.gep(memory, base, i)
            x = f.load(t, f.gep(memory, source, i))
            f.store(f.fadd(f.load(t, place), x), place)

        vector_loop(f, high, module.target.lanes(4 if memory == "float" else 8), turn, low)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def unfold_row(module: Module, memory: str, adding: bool = False) -> Function:
    """`void (geometry, plane, k_d, k_h, k_w, d, h, w, n, line)`: what n windows, from (d, h, w) on
    in row-major order, see of a channel's plane with one tap, written to line[0..n]. With `adding`
    the other way: line[t] is added to where window t looks."""
    name = f"dlc.{'fold' if adding else 'unfold'}_row.{memory}"

    def emit() -> tuple[Function, str]:
        places = [(INDEX, p) for p in ("k_d", "k_h", "k_w", "d", "h", "w", "n")]
        params = [("ptr", "geometry"), ("ptr", "plane"), *places, ("ptr", "line")]
        f = Builder(module, name, "void", params, inline="never")
        address, plane, k_d, k_h, k_w, d, h, w, n, line = f.params
        g = load_geometry(f, address)

        def stretch(c: tuple[Value, ...]) -> tuple[Value, ...]:
            t, d, h, w = c
            count = f.imin(f.sub(n, t), f.sub(g["out_w"], w))
            row, inside = input_row(f, g, plane, memory, (d, h), (k_d, k_h))
            first = seen(f, g, "w", w, k_w)
            width = f.select(inside, g["in_w"], f.index(0))
            to = f.gep(memory, line, t)
            if adding:
                function = window_add(module, memory)
                f.call(function, row, to, count, first, g["stride_w"], width)
            else:
                function = window_row(module, memory)
                f.call(function, to, row, count, first, g["stride_w"], width, zero(memory))
            end = f.sub(g["out_w"], 1)
            return (f.add(t, count), *advance(f, (d, h, end), g.axes("out")))

        f.loop_while((f.index(0), d, h, w), lambda c: f.icmp("slt", c[0], n), stretch)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def row_major(f: Builder, g: Geometry, kind: str, at: Sequence[Value]) -> Value:
    """The index of a place among the axes `kind` (in, kernel, out)."""
    _, high, wide = g.axes(kind)
    return f.add(f.mul(f.add(f.mul(at[0], high), at[1]), wide), at[2])


def over_taps(
    f: Builder,
    g: Geometry,
    place: Sequence[Value],
    outputs: Callable[[Sequence[Value], Sequence[Value], Value], Value],
    first: Value,
) -> Value:
    """`outputs` for every tap with which a window sees `place`, and the window that does."""

    def axis(depth: int, taps: list[Value], windows: list[Value], total: Value) -> Value:
        if depth == 3:
            return outputs(taps, windows, total)
        name = AXES[depth]
        with f.loop(0, g[f"kernel_{name}"], carried=[total], name="k") as k:
            reach = f.sub(
                f.add(place[depth], g[f"pad_{name}"]), f.mul(k.index, g[f"dilation_{name}"])
            )
            window = f.sdiv(reach, g[f"stride_{name}"])
            exact = f.icmp("eq", f.mul(window, g[f"stride_{name}"]), reach)
            within = f.and_(f.icmp("sge", reach, 0), f.icmp("slt", window, g[f"out_{name}"]))
            (current,) = k.carried
            (after,) = f.if_else(
                f.and_(exact, within),
                lambda: [axis(depth + 1, [*taps, k.index], [*windows, window], current)],
                lambda: [current],
            )
            k.next(after)
        return k.carried[0]

    return axis(0, [], [], first)
