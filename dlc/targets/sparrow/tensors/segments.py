"""`row_of`, `segment_reduce`, and the checks of indices and segments.

`starts` of segments have been checked before: they ascend from 0 to the number of items.
"""

from __future__ import annotations

from dlc.memory.form import Tensor, View
from dlc.ops.reduce import identity
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import ZERO, Int
from dlc.targets.sparrow.scalars import compute
from dlc.targets.sparrow.tensors.elements import Elements, product
from dlc.targets.sparrow.tensors.movement import fill_window
from dlc.targets.sparrow.tensors.reduction import SAME
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, I32, I64


def emit_row_of(b: Body, s: Tensor) -> None:
    starts, to = s.ins[0], s.outs[0]
    assert isinstance(starts, View) and isinstance(to, View)
    c = b.c
    if starts.dtype == I32:
        d, a = b.tensor(to).number, b.tensor(starts).number
        c.emit("seg.rows", d=d, a=a)
        return
    rows, out = Elements(b, starts), Elements(b, to)
    with c.count(b.dim(starts.shape[0] - 1)) as r:
        last = rows.read_int(c.addi(r, 1))
        with c.count(last, rows.read_int(r)) as i:
            out.write(i, r)


def emit_segment_reduce(b: Body, s: Tensor) -> None:
    x, starts = s.ins
    to = s.outs[0]
    assert isinstance(x, View) and isinstance(starts, View) and isinstance(to, View)
    c = b.c
    kind = str(s.attrs["kind"])
    width = product(x.shape[1:])
    items, rows = x.shape[0], starts.shape[0] - 1
    if to.dtype == F32 and starts.dtype == I32 and kind in ("sum", "max"):
        w, out = b.window(x), b.window(to)
        flat = Window("DRAM", F32, out.address, (rows, width), (width, Dim.const(1)))
        table = Window("DRAM", F32, w.address, (items, width), (width, Dim.const(1)))
        if kind == "sum":
            fill_window(b, flat, c.real(0.0))
        d, a, t = b.describe(flat), b.describe(table), b.tensor(starts)
        c.emit(f"seg.{kind}", d=d.number, a=a.number, b=t.number)
        return
    values, at, out_elements = Elements(b, x), Elements(b, starts), Elements(b, to)
    columns = b.dim(width)
    step = {"sum": "add", "prod": "mul"}.get(SAME[kind], SAME[kind])
    wide = F32 if to.dtype.is_float else to.dtype
    with c.count(b.dim(rows)) as r:
        first, last = at.read_int(r), at.read_int(c.addi(r, 1))
        with c.count(columns) as q:
            total = c.flt() if to.dtype.is_float else c.int()
            c.copy(total, b.immediate(identity(kind, to.dtype), wide))
            with c.count(last, first) as i:
                y = values.read(c.row_major(i, columns, q))
                c.copy(total, compute(b, step, [total, y], wide, wide))
            out_elements.write(c.row_major(r, columns, q), total)


def emit_check_indices(b: Body, s: Tensor) -> None:
    """By the least and the greatest index; if one is bad, another pass says which."""
    index = s.ins[0]
    c = b.c
    bound = s.attrs["bound"]
    assert isinstance(bound, (Dim, int))
    limit = b.dim(Dim.of(bound))
    if isinstance(index, View) and index.dtype != I64:
        w = b.window(index)
        flat = Window("DRAM", index.dtype, w.address, (product(index.shape),), (Dim.const(1),))
        t = b.describe(flat).number
        low, high = c.int(), c.int()
        c.emit("red.int", d=low.number, a=t, fn=c.builder.member("reduction", "min"))
        c.emit("red.int", d=high.number, a=t, fn=c.builder.member("reduction", "max"))
        good = c.op("and", c.op("slt", high, limit), c.negate_bool(c.op("slt", low, ZERO)))
        with c.unless("bne", good, ZERO):
            _check_each(b, s, limit)
        return
    _check_each(b, s, limit)


def _check_each(b: Body, s: Tensor, limit: Int) -> None:
    """One by one, so that the first bad one is told."""
    index, c = s.ins[0], b.c
    elements = Elements(b, index, I32)
    count = product(index.shape) if isinstance(index, View) else Dim.const(1)
    with c.count(b.dim(count)) as k:
        i = elements.read_int(k)
        ok = c.op("and", c.op("slt", i, limit), c.negate_bool(c.op("slt", i, ZERO)))
        b.check(ok, "bounds", "index out of range", i, limit, s.loc)


def emit_check_segments(b: Body, s: Tensor) -> None:
    """Status `struct` unless starts[0] = 0, starts never decreases, and its last entry is the
    number of items."""
    starts = s.ins[0]
    assert isinstance(starts, View)
    c = b.c
    bound = s.attrs["items"]
    assert isinstance(bound, (Dim, int))
    n, items, at = b.dim(starts.shape[0]), b.dim(Dim.of(bound)), Elements(b, starts)
    b.check(c.op("slt", ZERO, n), "struct", "segments without a start", 0, 1, s.loc)
    first = at.read_int(ZERO)
    zero = c.op("seq", first, ZERO)
    b.check(zero, "struct", "the first segment's start", first, 0, s.loc)
    with c.count(n, c.number(1)) as k:
        before = c.addi(k, -1)
        ok = c.negate_bool(c.op("slt", at.read_int(k), at.read_int(before)))
        b.check(ok, "struct", "a segment ends before it starts", before, 0, s.loc)
    last = at.read_int(c.addi(n, -1))
    same = c.op("seq", last, items)
    b.check(same, "struct", "the last segment's end", last, items, s.loc)
