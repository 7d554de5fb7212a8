"""Gathers and scatters: whole rows by the graph instructions, single elements by loops.

An index that is out of range ends the call with the status `bounds`; the instructions check it
themselves."""

from __future__ import annotations

from itertools import pairwise

from dlc.memory.form import Tensor, View, row_major
from dlc.targets.sparrow.axes import is_negative
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import ZERO, Int, Scalar
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.scalars import compute
from dlc.targets.sparrow.tensors.elements import Elements, around, product
from dlc.targets.sparrow.tensors.gathered import is_deferred
from dlc.targets.sparrow.tensors.movement import copy_window
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.dtypes import F32, I32, I64

_ROWS = {"scatter_add": "scatter.add", "scatter_max": "scatter.max", "scatter": "scatter"}
_STEPS = {"scatter_add": "add", "scatter_max": "max", "scatter_min": "min"}


def axis_of(s: Tensor, default: int = 0) -> int:
    found = s.attrs.get("axis", default)
    assert isinstance(found, int)
    return found


def part(b: Body, w: Window, p: Int, size: Dim, shape: tuple[Dim, ...]) -> Window:
    """Part p of a dense window, `size` elements each, in another shape."""
    c = b.c
    step = size * w.dtype.bytes
    with c.scope():
        by = c.times(p, step.constant) if step.is_constant else c.mul(p, b.dim(step))
        at = c.add(w.address, by)
    return Window(w.space, w.dtype, c.hold(at), shape, row_major(shape))


def _dense(b: Body, v: View, room: Room) -> Window:
    """The view, or a copy of it if it isn't dense."""
    w = b.window(v)
    if w.is_contiguous:
        return w
    made = room.take(w.dtype, w.shape)
    copy_window(b, made, w)
    return made


def emit_take(b: Body, s: Tensor) -> None:
    if not is_deferred(b, s):
        take(b, s)


def take(b: Body, s: Tensor) -> None:
    """Elements of an axis by their indices."""
    x, index = s.ins
    (to,) = s.outs
    assert isinstance(x, View)
    c = b.c
    axis = axis_of(s)
    p, n, q = around(x.shape, axis)
    room = Room(b)
    table = _table(b, x, axis, room)
    if isinstance(index, View) and index.dtype == I32 and isinstance(to, View) and to.dtype != I64:
        count = product(index.shape)
        places = Window("DRAM", I32, b.window(index).address, (count,), (ONE,))
        out = b.window(to)
        with c.count(b.dim(p)) as turn, c.scope():
            d = part(b, out, turn, count * q, (count, q))
            a = _rows(b, table, turn, n, q)
            _gather(b, d, a, places)
    else:
        _take_elements(b, s, table, (p, n, q))
    room.give_back()


def _table(b: Body, x: View, axis: int, room: Room) -> Window:
    """x as [before, n, behind], where its strides allow it; else a dense copy."""
    w = b.window(x)
    p, n, q = around(x.shape, axis)
    before, behind = w.strides[:axis], w.strides[axis + 1 :]
    shapes = x.shape[:axis], x.shape[axis + 1 :]
    even = all(
        _even(strides, shape) for strides, shape in zip((before, behind), shapes, strict=True)
    )
    if not even or any(map(is_negative, w.strides)):
        w = _dense(b, x, room) if w.is_contiguous else _copied(b, w, room)
        return Window(w.space, w.dtype, w.address, (p, n, q), row_major((p, n, q)))
    strides = (_last(before, shapes[0]), w.strides[axis], _last(behind, shapes[1]))
    return Window(w.space, w.dtype, w.address, (p, n, q), strides)


def _copied(b: Body, w: Window, room: Room) -> Window:
    made = room.take(w.dtype, w.shape)
    copy_window(b, made, w)
    return made


def _even(strides: tuple[Dim, ...], shape: tuple[Dim, ...]) -> bool:
    """Whether some axes are one axis."""
    pairs = [(s, n) for s, n in zip(strides, shape, strict=True) if n != ONE]
    return all(a[0] == e[0] * e[1] for a, e in pairwise(pairs))


def _last(strides: tuple[Dim, ...], shape: tuple[Dim, ...]) -> Dim:
    pairs = [s for s, n in zip(strides, shape, strict=True) if n != ONE]
    return pairs[-1] if pairs else ONE


def _rows(b: Body, table: Window, p: Int, n: Dim, q: Dim) -> Window:
    """[n, behind] of the table at position p before the axis."""
    c = b.c
    step = table.strides[0] * table.dtype.bytes
    with c.scope():
        by = c.times(p, step.constant) if step.is_constant else c.mul(p, b.dim(step))
        at = c.add(table.address, by)
    return Window(table.space, table.dtype, c.hold(at), (n, q), table.strides[1:])


def _gather(b: Body, d: Window, a: Window, places: Window) -> None:
    c = b.c
    t = b.describe(places).number
    if d.dtype.is_float:
        c.emit("gather", d=b.describe(d).number, a=b.describe(a).number, b=t)
        return
    with c.count(b.dim(d.shape[1])) as j:
        column = c.times(j, d.dtype.bytes)
        to = c.add(d.address, column)
        step = a.strides[1]
        source = c.add(a.address, c.mul(column, b.dim(step)))
        dst = Window(d.space, d.dtype, to, (d.shape[0],), (d.strides[0],))
        src = Window(a.space, a.dtype, source, (a.shape[0],), (a.strides[0],))
        c.emit("igather", d=b.describe(dst).number, a=b.describe(src).number, b=t)


def checked(b: Body, s: Tensor, i: Int, n: Int) -> None:
    """Status `bounds` unless 0 <= i < n, or it was checked before."""
    if s.attrs.get("in_bounds") is True:
        return
    c = b.c
    with c.scope():
        ok = c.op("and", c.op("slt", i, n), c.negate_bool(c.op("slt", i, ZERO)))
        b.check(ok, "bounds", "index out of range", i, n, s.loc)


def _take_elements(b: Body, s: Tensor, table: Window, sizes: tuple[Dim, Dim, Dim]) -> None:
    """Element by element: a single index, 64-bit elements or 64-bit indices."""
    c = b.c
    index = Elements(b, s.ins[1], I32)
    out = Elements(b, s.outs[0])
    before, n, behind = (b.dim(d) for d in sizes)
    count = s.ins[1].shape if isinstance(s.ins[1], View) else ()
    total = b.dim(product(count))
    steps = [b.dim(d * table.dtype.bytes) for d in table.strides]
    with c.count(before) as p, c.count(total) as j:
        i = index.read_int(j)
        checked(b, s, i, n)
        with c.count(behind) as q, c.scope():
            at = c.add(table.address, c.mul(p, steps[0]))
            c.add(at, c.mul(i, steps[1]), at)
            c.add(at, c.mul(q, steps[2]), at)
            to = c.row_major(c.row_major(p, total, j), behind, q)
            out.write(to, b.load_in(table.space, table.dtype, at))


# -- one element of each line


def emit_take_along(b: Body, s: Tensor) -> None:
    x = s.ins[0]
    assert isinstance(x, View)
    c = b.c
    elements, index, out = Elements(b, x), Elements(b, s.ins[1], I32), Elements(b, s.outs[0])
    before, n, behind = (b.dim(d) for d in around(x.shape, axis_of(s)))
    with c.count(before) as p, c.count(behind) as q:
        line = c.row_major(p, behind, q)
        i = index.read_int(line)
        checked(b, s, i, n)
        at = c.row_major(c.row_major(p, n, i), behind, q)
        out.write(line, elements.read(at))


def emit_add_along(b: Body, s: Tensor) -> None:
    to = s.outs[0]
    assert isinstance(to, View)
    c = b.c
    elements, index = Elements(b, to), Elements(b, s.ins[0], I32)
    v = Elements(b, s.ins[1], to.dtype)
    before, n, behind = (b.dim(d) for d in around(to.shape, axis_of(s)))
    with c.count(before) as p, c.count(behind) as q:
        line = c.row_major(p, behind, q)
        i = index.read_int(line)
        checked(b, s, i, n)
        at = c.row_major(c.row_major(p, n, i), behind, q)
        terms = [elements.read(at), v.read(line)]
        elements.write(at, compute(b, "add", terms, to.dtype, to.dtype))


# -- scatters


def emit_scatter(b: Body, s: Tensor) -> None:
    """`scatter scatter_add scatter_max scatter_min` into what is there."""
    to, (index, v) = s.outs[0], s.ins
    assert isinstance(to, View)
    c = b.c
    p, n, q = around(to.shape, axis_of(s))
    rows = s.op in _ROWS and to.dtype == F32 and isinstance(v, View)
    if rows and isinstance(index, View) and index.dtype == I32:
        count = product(index.shape)
        places = Window("DRAM", I32, b.window(index).address, (count,), (ONE,))
        assert isinstance(v, View)
        out, values = b.window(to), b.window(v)
        with c.count(b.dim(p)) as turn, c.scope():
            d = b.describe(part(b, out, turn, n * q, (n, q))).number
            a = b.describe(part(b, values, turn, count * q, (count, q))).number
            c.emit(_ROWS[s.op], d=d, a=a, b=b.describe(places).number)
        return
    _scatter_elements(b, s, to, (p, n, q))


def _scatter_elements(b: Body, s: Tensor, to: View, sizes: tuple[Dim, Dim, Dim]) -> None:
    c = b.c
    out = Elements(b, to)
    index, v = Elements(b, s.ins[0], I32), Elements(b, s.ins[1], to.dtype)
    before, n, behind = (b.dim(d) for d in sizes)
    shape = s.ins[0].shape if isinstance(s.ins[0], View) else ()
    total = b.dim(product(shape))
    with c.count(before) as p, c.count(total) as j:
        i = index.read_int(j)
        checked(b, s, i, n)
        with c.count(behind) as q, c.scope():
            at = c.row_major(c.row_major(p, n, i), behind, q)
            x: Scalar = v.read(c.row_major(c.row_major(p, total, j), behind, q))
            if s.op in _STEPS:
                x = compute(b, _STEPS[s.op], [out.read(at), x], to.dtype, to.dtype)
            out.write(at, x)
