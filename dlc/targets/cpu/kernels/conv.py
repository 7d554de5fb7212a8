"""Convolutions over 1 to 3 spatial axes and their two transposes, as matrix products.

conv: geometry, x, w, y, accumulate · y[b, o, p] (+)= sum over c, k of x[b, c, p s + k l - pad]
w[o, c, k] conv_input_grad: geometry, dy, w, dx, accumulate · the transpose in x
conv_weight_grad: geometry, x, dy, dw, accumulate · the transpose in w, summed over the batch

The windows are unfolded, a block of taps and positions at a time, into a buffer on the stack (33
KiB at most), and multiplied by register tiles; x is never copied as a whole. Few channels in a
group (as in depthwise convolutions), and f16 and bf16, which must not be rounded between blocks,
go the direct way of `conv_direct`. A convolution that sees each position once is a matrix product
of x itself.

Order: over (c, k) in row-major order for each element of y, as gemm's tiles; over positions in
blocks as gemm "nt" for dw; over (position, c, k) in blocks for dx.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from dlc.targets.cpu.kernels.conv_depthwise import is_depthwise, write_depthwise
from dlc.targets.cpu.kernels.conv_direct import (
    write_direct,
    write_direct_input_grad,
    write_direct_weight_grad,
)
from dlc.targets.cpu.kernels.gemm import GEMM, panels
from dlc.targets.cpu.kernels.memory import FILL
from dlc.targets.cpu.kernels.operands import OPERANDS, Operands
from dlc.targets.cpu.kernels.packing import panel_columns
from dlc.targets.cpu.kernels.registry import Family, Key, Params, require
from dlc.targets.cpu.kernels.simd import zero
from dlc.targets.cpu.kernels.unfold import chunk_lanes, fold_block, unfold_block
from dlc.targets.cpu.kernels.windows import (
    AXES,
    Geometry,
    load_geometry,
    volume,
)
from dlc.targets.cpu.llvm import Builder, Function, Module, Value

DEPTH = 128
"""Taps in a block of y and of dx, if the stack allows."""
ROWS = 32
"""Taps in a block of dw, and an eighth of its positions, if the stack allows."""
FEW_CHANNELS = 4
"""Fewer output channels in a group are not worth unfolding for."""

_DTYPES = ("f32", "f64", "f16", "bf16")


def _params(a: str, b: str, out: str) -> Params:
    return (
        ("ptr", "geometry"),
        ("ptr", a),
        ("ptr", b),
        ("ptr noalias", out),
        ("i1", "accumulate"),
    )


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of taps (rows of the unfolded x) and one of positions (its columns)."""

    tap: Value
    taps: Value
    position: Value
    positions: Value


class Unfolding:
    """What the three drivers share: sizes, loops over groups, unfolding of a block."""

    def __init__(self, f: Builder, ops: Operands, address: Value) -> None:
        self.f, self.ops, self.address = f, ops, address
        self.g: Geometry = load_geometry(f, address)
        self.kernel = volume(f, self.g.axes("kernel"))
        self.taps = f.mul(self.g["cg"], self.kernel)
        self.inside = volume(f, self.g.axes("in"))
        self.positions = volume(f, self.g.axes("out"))

    @contextmanager
    def each_group(self) -> Generator[tuple[Value, Value, Value]]:
        """For each element of the batch and each group: offsets in x, w and y."""
        f, g = self.f, self.g
        with (
            f.loop(0, g["batch"], name="batch") as batch,
            f.loop(0, g["groups"], name="group") as group,
        ):
            part = f.add(f.mul(batch.index, g["groups"]), group.index)
            yield (
                f.mul(part, f.mul(g["cg"], self.inside)),
                f.mul(group.index, f.mul(g["og"], self.taps)),
                f.mul(part, f.mul(g["og"], self.positions)),
            )

    def at(self, base: Value, offset: Value) -> Value:
        return self.f.gep(self.ops.memory("a"), base, offset)

    def move(self, function: Function, x: Value, block: Block, buffer: Value, line: int) -> None:
        """Unfold a block of x into the buffer, or fold it back."""
        b = block
        self.f.call(function, self.address, x, b.tap, b.taps, b.position, b.positions, buffer, line)

    def clear(self, out: Value, count: Value, accumulate: Value) -> None:
        """Zeros, unless the result is added to."""
        f = self.f
        with f.when(f.not_(accumulate)):
            fill = require(f.module, FILL, self.ops.c)
            f.call(fill, out, zero(self.ops.memory("c")), count)

    def sees_each_once(self) -> Value:
        """Whether the unfolded x is x."""
        f, g = self.f, self.g
        same = f.icmp("eq", self.kernel, 1)
        for axis in AXES:
            same = f.and_(same, f.icmp("eq", g[f"in_{axis}"], g[f"out_{axis}"]))
            same = f.and_(same, f.icmp("eq", g[f"stride_{axis}"], 1))
            same = f.and_(same, f.icmp("eq", g[f"pad_{axis}"], 0))
        return same


def _depth(f: Builder, ops: Operands, line: int) -> int:
    """Taps in a block: as many lines as fit into the buffer."""
    return max(1, min(DEPTH, f.module.target.stack_buffer // (line * ops.size("a"))))


def _forward_params(key: Key) -> Params:
    return _params("x", "w", "y")


def _apart(
    module: Module,
    key: Key,
    way: str,
    write: Callable[[Builder, Operands, Geometry, tuple[Value, Value, Value], Value], None],
) -> Function:
    """One way of the forward convolution as a function, with a stack frame of its own."""
    name = f"dlc.conv.{way}.{key.dtype}"

    def emit() -> tuple[Function, str]:
        f = Builder(module, name, "void", _forward_params(key), inline="never")
        address, x, w, y, accumulate = f.params
        write(f, OPERANDS[key.dtype], load_geometry(f, address), (x, w, y), accumulate)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _forward(f: Builder, key: Key) -> None:
    ops = OPERANDS[key.dtype]
    address, x, w, y, accumulate = f.params
    u = Unfolding(f, ops, address)
    if not ops.exact_in_c:
        write_direct(f, ops, u.g, (x, w, y), accumulate)
        return
    with f.when(f.icmp("slt", u.g["og"], FEW_CHANNELS)):
        with f.when(is_depthwise(f, u.g)):
            f.call(_apart(f.module, key, "depthwise", write_depthwise), *f.params)
            f.ret()
        f.call(_apart(f.module, key, "direct", write_direct), *f.params)
        f.ret()
    og, taps, positions = u.g["og"], u.taps, u.positions
    with f.when(u.sees_each_once()):
        gemm = require(f.module, GEMM, ops.name, "nn")
        with u.each_group() as (x_at, w_at, y_at):
            a, b, c = u.at(w, w_at), u.at(x, x_at), u.at(y, y_at)
            f.call(gemm, og, positions, taps, a, taps, b, positions, c, positions, accumulate)
        f.ret()
    columns = panel_columns(f.module.target, ops.name)
    line = columns + chunk_lanes(f.module.target, ops.memory("a"))
    most = _depth(f, ops, line)
    buffer = f.alloca(ops.memory("a"), most * line)
    unfold = unfold_block(f.module, ops.memory("a"))
    with (
        u.each_group() as (x_at, w_at, y_at),
        f.loop(0, positions, columns, name="panel") as panel,
        # One turn even without taps, which must write zeros.
        f.loop(0, f.imax(taps, 1), most, name="depth") as depth,
    ):
        n = f.imin(f.sub(positions, panel.index), columns)
        k = f.imin(f.sub(taps, depth.index), most)
        block = Block(depth.index, k, panel.index, n)
        u.move(unfold, u.at(x, x_at), block, buffer, line)
        a = u.at(w, f.add(w_at, depth.index))
        c = u.at(y, f.add(y_at, panel.index))
        add = f.or_(accumulate, f.icmp("ne", depth.index, 0))
        panels(f, ops, "row", True, (og, n, k, a, taps, buffer, f.index(line), c, positions, add))


def _input_params(key: Key) -> Params:
    return _params("dy", "w", "dx")


def _input_grad(f: Builder, key: Key) -> None:
    """w^T dy, a block at a time, folded back onto dx."""
    ops = OPERANDS[key.dtype]
    address, dy, w, dx, accumulate = f.params
    u = Unfolding(f, ops, address)
    if not ops.exact_in_c:
        write_direct_input_grad(f, ops, u.g, (dy, w, dx), accumulate)
        return
    g, positions = u.g, u.positions
    with f.when(u.sees_each_once()):
        gemm = require(f.module, GEMM, ops.name, "tn")
        with u.each_group() as (x_at, w_at, y_at):
            a, b, c = u.at(w, w_at), u.at(dy, y_at), u.at(dx, x_at)
            n, m = positions, g["cg"]
            f.call(gemm, m, n, g["og"], a, m, b, n, c, n, accumulate)
        f.ret()
    count = f.mul(f.mul(g["batch"], g["groups"]), f.mul(g["cg"], u.inside))
    u.clear(dx, count, accumulate)
    columns = panel_columns(f.module.target, ops.name)
    most = _depth(f, ops, columns)
    # Chunks are read a whole vector at a time, also the last.
    room = most * columns + chunk_lanes(f.module.target, ops.memory("c"))
    buffer = f.alloca(ops.memory("c"), room)
    fold = fold_block(f.module, ops.memory("c"))
    with (
        u.each_group() as (x_at, w_at, y_at),
        f.loop(0, positions, columns, name="panel") as panel,
        f.loop(0, u.taps, most, name="depth") as depth,
    ):
        n = f.imin(f.sub(positions, panel.index), columns)
        m = f.imin(f.sub(u.taps, depth.index), most)
        a = u.at(w, f.add(w_at, depth.index))
        b = u.at(dy, f.add(y_at, panel.index))
        fresh, stride = f.const("i1", False), f.index(columns)
        args = (m, n, g["og"], a, u.taps, b, positions, buffer, stride, fresh)
        panels(f, ops, "col", False, args)
        block = Block(depth.index, m, panel.index, n)
        u.move(fold, u.at(dx, x_at), block, buffer, columns)


def _weight_params(key: Key) -> Params:
    return _params("x", "dy", "dw")


def _weight_grad(f: Builder, key: Key) -> None:
    """dy times the unfolded x, along the positions."""
    ops = OPERANDS[key.dtype]
    address, x, dy, dw, accumulate = f.params
    u = Unfolding(f, ops, address)
    if not ops.exact_in_c:
        write_direct_weight_grad(f, ops, u.g, (x, dy, dw), accumulate)
        return
    g, positions = u.g, u.positions
    u.clear(dw, f.mul(f.mul(g["groups"], g["og"]), u.taps), accumulate)
    gemm = require(f.module, GEMM, ops.name, "nt")
    with f.when(u.sees_each_once()):
        with u.each_group() as (x_at, w_at, y_at):
            a, b, c = u.at(dy, y_at), u.at(x, x_at), u.at(dw, w_at)
            n, k = g["cg"], positions
            f.call(gemm, g["og"], n, k, a, k, b, k, c, n, True)
        f.ret()
    height = ROWS
    while 8 * height * height * ops.size("a") > f.module.target.stack_buffer:
        height //= 2
    width = 8 * height
    line = width + chunk_lanes(f.module.target, ops.memory("a"))
    buffer = f.alloca(ops.memory("a"), height * line)
    unfold = unfold_block(f.module, ops.memory("a"))
    with (
        u.each_group() as (x_at, w_at, y_at),
        f.loop(0, positions, width, name="block") as part,
        f.loop(0, u.taps, height, name="rows") as rows,
    ):
        k = f.imin(f.sub(positions, part.index), width)
        n = f.imin(f.sub(u.taps, rows.index), height)
        u.move(unfold, u.at(x, x_at), Block(rows.index, n, part.index, k), buffer, line)
        a = u.at(dy, f.add(y_at, part.index))
        c = u.at(dw, f.add(w_at, rows.index))
        f.call(gemm, g["og"], n, k, a, positions, buffer, line, c, u.taps, True)


FAMILIES = (
    Family("conv", _DTYPES, _forward_params, _forward),
    Family("conv_input_grad", _DTYPES, _input_params, _input_grad),
    Family("conv_weight_grad", _DTYPES, _weight_params, _weight_grad),
)
