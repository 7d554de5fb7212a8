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
    """`void (to, row, n, first, step, width, fill)`: to[t] = row[first + t step] where that is in
    0..width, else `fill`, for t < n, one by one."""
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
        with f.loop(0, n, name="each") as loop:
            at = f.add(first, f.mul(loop.index, step))
            x = _element(f, memory, row, at, width, fill)
            f.store(x, f.gep(memory, to, loop.index))
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _element(f: Builder, memory: str, row: Value, at: Value, width: Value, fill: Value) -> Value:
    """row[at], or `fill` outside of 0..width."""
    (x,) = f.if_else(
        f.icmp("ult", at, width),
        lambda: (f.load(memory, f.gep(memory, row, at)),),
        lambda: (fill,),
    )
    return x


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
        # Places in a row fit into 32 bits.
        first_place = f.splat(f.cast("trunc", start, "i32"), lanes)
        places = f.add(first_place, f.lane_numbers("i32", lanes))
        mask = f.icmp("ult", places, f.splat(f.cast("trunc", width, "i32"), lanes))
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
    if lanes == 1:
        return _element(f, memory, row, first, width, fill)
    t = vector(memory, lanes)
    buffer = f.alloca(memory, lanes)

    def rest() -> list[Value]:
        f.call(window_row(f.module, memory), buffer, row, lanes, first, step, width, fill)
        return [f.load(t, buffer)]

    last = f.sub(width, lanes)
    inside = f.and_(f.icmp("sge", first, 0), f.icmp("sle", first, last))
    plain = f.and_(inside, f.icmp("eq", step, 1))
    (values,) = f.if_else(plain, lambda: [f.load(t, f.gep(memory, row, first))], rest)
    return values


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
