"""Products with gathered columns, as events:

    y[i] = sum over e of M[i, index[e]] v[e]

is what `matrix @ sparse vector` means, and `take` with a `contract` behind it says it. Where
nothing else reads the gathered columns they aren't gathered: index and v are a list of events, if
the index ascends, and M is read where it is. Sums are in the order of the list either way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dlc.memory.form import Tensor, View
from dlc.targets.sparrow.axes import is_negative
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import Label
from dlc.targets.sparrow.events import Gathered
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.tensors.movement import fill_window
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.dtypes import F32, I32


def is_deferred(b: Body, s: Tensor) -> bool:
    """Whether a `take` is left to the product behind it (see `emit_gathered`)."""
    if b.unit.options.dense or not b.events.enabled:
        return False
    found = b.events.gathered_by_next(s)
    if found is None or any(is_negative(d) for d in found.matrix.strides):
        return False
    size = found.index.shape[0]
    if size.is_constant and size.constant > b.unit.options.queue:
        return False
    b.events.gathered = found
    return True


def emit_gathered(
    b: Body, s: Tensor, found: Gathered, gather: Callable[[], None], dense: Callable[[], None]
) -> None:
    """The product over events; by `gather` and then `dense` where there are more of them than a
    queue holds, or their indices don't ascend."""
    c, size = b.c, found.index.shape[0]
    always = size.is_constant and found.ascends
    room = Room(b)
    long, done = c.label(), c.label()
    holds = None if found.ascends else room.take(I32, (size,))
    if not size.is_constant:
        with c.scope():
            c.branch("blt", c.number(b.unit.options.queue), b.dim(size), long)
    if holds is not None:
        with c.scope():
            _check(b, found.index, holds, long)
    with c.scope():
        _emit(b, s, found)
    if not always:
        c.jump(done)
        c.place(long)
        with c.scope():
            gather()
        with c.scope():
            dense()
        c.place(done)
    room.give_back()


def _check(b: Body, index: View, holds: Window, otherwise: Label) -> None:
    """Goes on if every index is below the next one."""
    c = b.c
    size = index.shape[0]
    pairs = size - Dim.const(1)
    short = c.label()
    with c.scope():
        c.branch("blt", b.dim(size), c.number(2), short)
    with c.scope():
        w = b.window(index)
        at = (
            Window(w.space, I32, holds.address, (pairs,), (ONE,)),
            Window(w.space, I32, w.address, (pairs,), (ONE,)),
            Window(w.space, I32, w.address, (pairs,), (ONE,), I32.bytes),
        )
        d, before, behind = (b.describe(x).number for x in at)
        less = c.builder.member("relation", "lt")
        c.emit("ew.icmp", d=d, a=before, b=behind, fn=less)
        least = c.int()
        c.emit("red.int", d=least.number, a=d, fn=c.builder.member("reduction", "min"))
        c.emit("beq", a=least.number, b=0, to=otherwise)
    c.place(short)


def _emit(b: Body, s: Tensor, found: Gathered) -> None:
    c = b.c
    queue = b.events.spare()
    with c.scope():
        i, v = b.tensor(found.index).number, b.tensor(found.values).number
        c.emit("ev.list", q=queue, a=i, b=v)
    (to,) = s.outs
    assert isinstance(to, View)
    y = b.window(to)
    if not s.accumulate:
        fill_window(b, y, c.real(0.0))
    axis = found.axis
    inputs = found.matrix.shape[axis], found.matrix.strides[axis]
    outputs = found.matrix.shape[1 - axis], found.matrix.strides[1 - axis]
    known = b.unit.weights.matrix(found.matrix, outputs, inputs)
    if known is not None and known.size:
        if np.count_nonzero(known) <= b.unit.options.sparse_below * known.size:
            c.emit("w.const", d=0, k=b.unit.compressed(known))
            c.emit("ev.mv", d=b.describe(y).number, a=0, b=queue)
            return
    m = b.window(found.matrix)
    shape, strides = (inputs[0], outputs[0]), (inputs[1], outputs[1])
    t = b.describe(Window(m.space, F32, m.address, shape, strides)).number
    c.emit("ev.rows", d=b.describe(y).number, a=t, b=queue)
