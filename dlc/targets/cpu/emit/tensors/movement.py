"""Making and moving elements: `copy`, `fill`, `iota`."""

from __future__ import annotations

from dlc.memory.form import Lane, Map, MapInstr, Tensor, View
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.map import emit_map
from dlc.targets.cpu.emit.nest import ONE, ZERO, Loop, Row, emit_nest, plan
from dlc.targets.cpu.emit.tensors.operands import view_of
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, Builder, Operand, Value
from dlc.typesys.dtypes import DType


def emit_copy(b: Body, s: Tensor) -> None:
    """outs[0] := ins[0]."""
    x = s.ins[0]
    if not isinstance(s.outs[0], View):
        assert isinstance(s.outs[0].type, DType)
        b.set(s.outs[0], b.operand(x, s.outs[0].type))
    elif isinstance(x, View):
        copy_view(b, s.outs[0], x)
    else:
        emit_fill(b, s)


def emit_fill(b: Body, s: Tensor) -> None:
    """Every element of outs[0] := the scalar ins[0]."""
    out = view_of(s)
    fill_view(b, out, b.operand(s.ins[0], out.dtype))


def emit_iota(b: Body, s: Tensor) -> None:
    """outs[0][i] := i."""
    out = view_of(s)
    number = MapInstr("convert", (Lane("index", 0),), out.dtype)
    emit_map(b, Map(out.shape, (out,), (), (number,), (Lane("temp", 0),), s.loc))


def copy_view(b: Body, to: View, source: View, start: tuple[Value, Value] | None = None) -> None:
    """Copy all elements; the views do not overlap (`start`: their addresses, if elsewhere). Rows by
    `copy` where both are dense, else planes by `copy2`, which goes in blocks."""
    f = b.f
    loops = plan(to.shape, (to, source), 1)
    if len(loops) < 2 or loops[-1].strides == (ONE, ONE):

        def row(r: Row) -> None:
            if r.strides == (ONE, ONE):
                f.call(kernel(f.module, "copy", to.dtype.name), *r.addresses, r.size)
            else:
                a, c = (b.dim(d) for d in r.strides)
                copy_plane(f, to.dtype, r.addresses, (f.index(1), r.size), (0, a), (0, c))

        emit_nest(b, loops, (to, source), row, start)
        return
    *outer, rows, cols = loops
    a, c = ((b.dim(rows.strides[i]), b.dim(cols.strides[i])) for i in (0, 1))
    size = (b.dim(rows.size), b.dim(cols.size))
    emit_nest(
        b,
        (*outer, Loop(ONE, (ZERO, ZERO), None)),
        (to, source),
        lambda r: copy_plane(f, to.dtype, r.addresses, size, a, c),
        start,
    )


def copy_plane(
    f: Builder,
    dtype: DType,
    addresses: tuple[Value, ...],
    size: tuple[Value, Value],
    to: tuple[Operand, Operand],
    source: tuple[Operand, Operand],
) -> None:
    """Copy rows and columns; `to` and `source` are their strides."""
    function = kernel(f.module, "copy2", dtype.name)
    f.call(function, addresses[0], *to, addresses[1], *source, *size)


def fill_view(b: Body, to: View, x: Value) -> None:
    """Every element := `x`, a register value of the view's dtype."""
    f = b.f
    raw = convert.to_memory(f, to.dtype.name, x)

    def row(r: Row) -> None:
        if r.strides[0] == ONE:
            f.call(kernel(f.module, "fill", to.dtype.name), r.addresses[0], raw, r.size)
            return
        stride = b.dim(r.strides[0])
        with f.loop(0, r.size, name="fill") as loop:
            at = f.gep(ELEMENTS[to.dtype.name].memory, r.addresses[0], f.mul(loop.index, stride))
            f.store(raw, at)

    emit_nest(b, plan(to.shape, (to,), 1), (to,), row)
