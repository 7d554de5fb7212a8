"""Copies and fills, and scalars as tensors of one element."""

from __future__ import annotations

from dlc.memory.form import Immediate, Operand, Reg, Tensor, View
from dlc.targets.sparrow.axes import axes_of, loops, shifted, split
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import Flt, Scalar
from dlc.targets.sparrow.scalars import convert, rounded
from dlc.targets.sparrow.tensors.elements import Elements
from dlc.typesys.dtypes import F32, I8, I32, I64, DType


def emit_copy(b: Body, s: Tensor) -> None:
    (to,), (source,) = s.outs, s.ins
    assert isinstance(to, View) and isinstance(source, View)
    copy_window(b, b.window(to), b.window(source))


def copy_window(b: Body, to: Window, source: Window) -> None:
    """`to := source`, of one shape, any strides; floats are converted."""
    c = b.c
    wide = to.dtype == I64
    axes = axes_of(to.shape, [to.strides, source.strides])
    outer, inner = split(axes, 1 if wide else 4)
    with loops(b, outer) as counters:
        d = shifted(b, to, outer, counters, 0, inner)
        a = shifted(b, source, outer, counters, 1, inner)
        if not wide:
            name = "t.copy" if to.dtype.is_float else "t.icopy"
            c.emit(name, d=b.describe(d).number, a=b.describe(a).number)
            return
        dst, src = Elements(b, d), Elements(b, a)
        n = b.dim(inner[0].size) if inner else c.number(1)
        with c.count(n) as i:
            dst.write(i, src.read(i))


def emit_fill(b: Body, s: Tensor) -> None:
    (to,), (x,) = s.outs, s.ins
    assert isinstance(to, View) and not isinstance(x, View)
    fill_window(b, b.window(to), b.scalar(x, to.dtype))


def fill_window(b: Body, to: Window, value: Scalar) -> None:
    """Every element := the value."""
    c = b.c
    outer, inner = split(axes_of(to.shape, [to.strides]), 1 if to.dtype == I64 else 4)
    with loops(b, outer) as counters:
        w = shifted(b, to, outer, counters, 0, inner)
        if to.dtype != I64:
            name = "t.fill" if isinstance(value, Flt) else "t.ifill"
            c.emit(name, d=b.describe(w).number, a=value.number)
            return
        elements = Elements(b, w)
        n = b.dim(inner[0].size) if inner else c.number(1)
        with c.count(n) as i:
            elements.write(i, value)


def emit_iota(b: Body, s: Tensor) -> None:
    """0, 1, 2, … in the dtype of the result."""
    (to,) = s.outs
    assert isinstance(to, View)
    c = b.c
    if to.dtype in (I32, I8):
        c.emit("iota", d=b.tensor(to).number, a=0, b=c.number(1).number)
        return
    out = Elements(b, to)
    with c.count(b.dim(to.shape[0])) as i:
        out.write(i, convert(b, i, I64, to.dtype))


# -- scalars as tensors


def cell(b: Body, k: int, dtype: DType) -> Window:
    """One element, number k of those that a statement may use: in the scratchpad, or in DRAM where
    it has 64 bits."""
    if dtype == I64:
        return Window("DRAM", I64, b.c.number(b.unit.wide_cell(k)), (), ())
    b.unit.room(0, 1024)
    return Window("SP", F32 if dtype.is_float else dtype, b.c.number(8 * k), (), ())


def source(b: Body, x: Operand | Immediate, dtype: DType, k: int) -> Window:
    """Where an operand lies; a scalar is put into cell k."""
    if isinstance(x, View):
        return b.window(x)
    own = x.type if isinstance(x, Reg) and isinstance(x.type, DType) else dtype
    w = cell(b, k, own)
    with b.c.scope():
        b.store_in(w.space, w.dtype, w.address, b.scalar(x, own))
    return w


def destination(b: Body, x: Operand, k: int, keeps: bool = False) -> Window:
    """Where a result goes; that of a register goes to cell k first (see `delivered`), with what
    the register holds if `keeps`."""
    if isinstance(x, View):
        return b.window(x)
    assert isinstance(x.type, DType)
    w = cell(b, k, x.type)
    if keeps:
        with b.c.scope():
            b.store_in(w.space, w.dtype, w.address, b.get(x))
    return w


def delivered(b: Body, x: Operand, k: int) -> None:
    """The register of a result := cell k."""
    if isinstance(x, View):
        return
    assert isinstance(x.type, DType)
    w = cell(b, k, x.type)
    y = b.load_in(w.space, w.dtype, w.address)
    b.put(x, rounded(b.c, y, x.type) if isinstance(y, Flt) else y)
