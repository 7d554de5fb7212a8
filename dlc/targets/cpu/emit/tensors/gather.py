"""`take`, `take_along`, and the updates at indices: `add_along`, `scatter`, `scatter_add`,
`scatter_max`, `scatter_min`.

An index out of range is the status `bounds`. Repeated indices update in row-major order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from dlc.ir.core import Attr
from dlc.memory.form import Reg, Tensor, View
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.nest import ZERO, Row, emit_nest, plan
from dlc.targets.cpu.emit.scalars import emit_element
from dlc.targets.cpu.emit.tensors.axes import Along, product
from dlc.targets.cpu.emit.tensors.movement import copy_view
from dlc.targets.cpu.emit.tensors.operands import (
    axis_of,
    input_view,
    load_index,
    source,
    view_of,
)
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.simd import partial_load, partial_store
from dlc.targets.cpu.llvm import ELEMENTS, Builder, Value, vector
from dlc.typesys.dtypes import I32

_NO_ATTRS: MappingProxyType[str, Attr] = MappingProxyType({})
_MERGE = {"scatter_add": "add", "scatter_max": "max", "scatter_min": "min"}


def _checked(b: Body, s: Tensor, i: Value, n: Value) -> None:
    if s.attrs.get("in_bounds") is not True:
        b.check(b.f.icmp("ult", i, n), "bounds", s.loc, i, n, "index out of range")


def _indices(b: Body, s: Tensor, at: int) -> tuple[View, Value]:
    """The indices as a dense view, and their address; a scalar index gets a place."""
    x = s.ins[at]
    if isinstance(x, View):
        return x, b.address(x)
    place = source(b, x, I32)
    return View(Reg("place"), place.dtype, (), (), ZERO), place.address


def emit_take(b: Body, s: Tensor) -> None:
    """outs[0][p, j, q] := x[p, index[j], q]; x may have any strides."""
    x, out = input_view(s), s.outs[0]
    axis = axis_of(s, 0)
    f = b.f
    index, index_at = _indices(b, s, 1)
    rank = len(index.shape)
    bound, count = b.dim(x.shape[axis]), b.dim(product(index.shape))
    stride, memory = b.dim(x.strides[axis]), ELEMENTS[x.dtype.name].memory
    if isinstance(out, Reg):
        i = load_index(b, index, index_at, f.index(0))
        _checked(b, s, i, bound)
        b.set(out, convert.load(f, x.dtype.name, f.gep(memory, b.address(x), f.mul(i, stride))))
        return
    before_x, before_out = _cut(x, 0, axis), _cut(out, 0, axis)
    row_x = _cut(x, axis + 1, len(x.shape))
    row_out = _cut(out, axis + rank, len(out.shape))
    row_size = b.dim(product(row_x.shape))

    def rows(r: Row) -> None:
        out_step, x_step = (b.dim(d) for d in r.strides)
        with f.loop(0, r.size, name="before") as outer, f.loop(0, count, name="index") as loop:
            i = load_index(b, index, index_at, loop.index)
            _checked(b, s, i, bound)
            x_at = f.gep(memory, r.addresses[1], f.mul(outer.index, x_step))
            out_at = f.gep(memory, r.addresses[0], f.mul(outer.index, out_step))
            to = f.gep(memory, out_at, f.mul(loop.index, row_size))
            source_at = f.gep(memory, x_at, f.mul(i, stride))
            if row_x.is_contiguous:
                _copy_row(b, x, to, source_at, row_size)
            else:
                with b.region():
                    copy_view(b, row_out, row_x, (to, source_at))

    views = (before_out, before_x)
    start = (b.address(out), b.address(x))
    emit_nest(b, plan(before_x.shape, views, 1), views, rows, start)


_RAW = {1: "u8", 2: "i16", 4: "i32", 8: "i64"}
"""An element type of as many bytes that is moved as it is."""


def _row(f: Builder, n: Value, lanes: int, turn: Callable[[Value, Value | None], None]) -> None:
    """`turn(i, None)` for whole vectors, then `turn(i, count)` for the elements that are left."""
    whole = f.and_(n, -lanes)
    with f.loop(0, whole, lanes, name="vector") as loop:
        turn(loop.index, None)
    rest = f.sub(n, whole)
    with f.when(f.icmp("sgt", rest, 0)):
        turn(whole, rest)


def _copy_row(b: Body, x: View, to: Value, source: Value, n: Value) -> None:
    """n dense elements, in line: rows are often short."""
    f, raw = b.f, _RAW[x.dtype.bytes]
    memory = ELEMENTS[raw].memory
    lanes = f.module.target.lanes(x.dtype.bytes)

    def turn(i: Value, count: Value | None) -> None:
        at, place = f.gep(memory, source, i), f.gep(memory, to, i)
        if count is None:
            f.store(f.load(vector(memory, lanes), at), place)
        else:
            partial_store(f, raw, partial_load(f, raw, at, count, lanes), place, count)

    _row(f, n, lanes, turn)


def _cut(v: View, start: int, stop: int) -> View:
    """Some of a view's axes, from wherever an address says."""
    return replace(v, shape=v.shape[start:stop], strides=v.strides[start:stop], base=ZERO, terms=())


def emit_take_along(b: Body, s: Tensor) -> None:
    """outs[0][p, q] := x[p, index[p, q], q]."""
    x, f = input_view(s), b.f
    along = Along.of(b, x.shape, axis_of(s))
    index, index_at = _indices(b, s, 1)
    at, memory = b.address(x), ELEMENTS[x.dtype.name].memory
    out = s.outs[0]
    to = b.address(out) if isinstance(out, View) else None

    def element(p: Value, q: Value) -> None:
        here = f.add(f.mul(p, along.after), q)
        i = load_index(b, index, index_at, here)
        _checked(b, s, i, along.n)
        value = f.load(memory, f.gep(memory, at, along.offset(b, p, i, q)))
        if to is not None:
            f.store(value, f.gep(memory, to, here))
        else:
            assert isinstance(out, Reg)
            b.set(out, convert.from_memory(f, x.dtype.name, value))

    along.lines(b, element)


def emit_add_along(b: Body, s: Tensor) -> None:
    """outs[0][p, index[p, q], q] += v[p, q]."""
    out, f = view_of(s), b.f
    along = Along.of(b, out.shape, axis_of(s))
    index, index_at = _indices(b, s, 0)
    v = source(b, s.ins[1], out.dtype)
    to, memory, name = b.address(out), ELEMENTS[out.dtype.name].memory, out.dtype.name

    def element(p: Value, q: Value) -> None:
        here = f.add(f.mul(p, along.after), q)
        i = load_index(b, index, index_at, here)
        _checked(b, s, i, along.n)
        place = f.gep(memory, to, along.offset(b, p, i, q))
        part = convert.load(f, name, f.gep(memory, v.address, here))
        convert.store(f, name, f.plus(convert.load(f, name, place), part), place)

    along.lines(b, element)


def emit_scatter(b: Body, s: Tensor) -> None:
    """outs[0][p, index[j], q] := or op= v[p, j, q]."""
    out, f = view_of(s), b.f
    axis = axis_of(s, 0)
    along = Along.of(b, out.shape, axis)
    index, index_at = _indices(b, s, 0)
    v = source(b, s.ins[1], out.dtype)
    count = b.dim(product(index.shape))
    to, memory = b.address(out), ELEMENTS[out.dtype.name].memory
    with f.loop(0, along.before, name="before") as outer, f.loop(0, count, name="index") as loop:
        i = load_index(b, index, index_at, loop.index)
        _checked(b, s, i, along.n)
        row = f.gep(memory, to, along.offset(b, outer.index, i, f.index(0)))
        j = f.add(f.mul(outer.index, count), loop.index)
        part = f.gep(memory, v.address, f.mul(j, along.after))
        _merge_row(b, s, out, row, part, along.after)


def _merge_row(b: Body, s: Tensor, out: View, row: Value, part: Value, n: Value) -> None:
    f, name = b.f, out.dtype.name
    memory = ELEMENTS[name].memory
    lanes = f.module.target.lanes(4 if ELEMENTS[name].is_half else out.dtype.bytes)

    def load(at: Value, count: Value | None) -> Value:
        if count is None:
            return convert.load(f, name, at, lanes)
        return partial_load(f, name, at, count, lanes)

    def turn(i: Value, count: Value | None) -> None:
        place = f.gep(memory, row, i)
        x = load(f.gep(memory, part, i), count)
        if s.op != "scatter":
            old = load(place, count)
            x = emit_element(
                f, _MERGE[s.op], (old, x), out.dtype, out.dtype, _NO_ATTRS, lambda _: None
            )
        if count is None:
            convert.store(f, name, x, place)
        else:
            partial_store(f, name, x, place, count)

    _row(f, n, lanes, turn)
