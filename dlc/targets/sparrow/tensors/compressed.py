"""Products with matrices that are known when compiling and mostly zero: stored by columns, only
what is there is multiplied.

A vector goes through `ev.mv` as the list of its elements that aren't 0, whether it is rectified or
not; a matrix through `arc.mm`. Sums are in ascending order, as the dense product's are; skipping a
zero is exact but for infinite and undefined operands."""

from __future__ import annotations

import numpy as np

from dlc.memory.form import Tensor, View
from dlc.targets.sparrow.axes import Axis, is_negative
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.events import is_vector
from dlc.targets.sparrow.program import Array
from dlc.targets.sparrow.tensors.listed import OUT, A, B, Letters, describe
from dlc.targets.sparrow.tensors.movement import fill_window


def is_sparse(b: Body, s: Tensor, l: Letters) -> int | None:
    """The operand that is a known matrix, mostly zero, of a product that can use it."""
    if l.both or len(l.summed) != 1 or len(l.left) > 1 or len(l.right) > 1:
        return None
    if any(is_negative(d) for x in (*l.left, *l.right, *l.summed) for d in x.strides):
        return None
    for which, rows in ((A, l.left), (B, l.right)):
        if rows and _matrix(b, s, which, rows[0], l.summed[0]) is not None:
            return which
    return None


def _matrix(b: Body, s: Tensor, which: int, rows: Axis, columns: Axis) -> Array | None:
    x = s.ins[which]
    if not isinstance(x, View):
        return None
    found = b.unit.weights.matrix(
        x, (rows.size, rows.strides[which]), (columns.size, columns.strides[which])
    )
    if found is None or not found.size:
        return None
    share = np.count_nonzero(found) / found.size
    return found if share <= b.unit.options.sparse_below else None


def emit_compressed(
    b: Body, s: Tensor, l: Letters, windows: tuple[Window | None, ...], which: int
) -> bool:
    """The product, if its vector fits a queue; `which` operand is the matrix (see `is_sparse`)."""
    c = b.c
    (k,) = l.summed
    rows, others = (l.left, l.right) if which == A else (l.right, l.left)
    vector = B if which == A else A
    if not others and (not k.size.is_constant or k.size.constant > b.unit.options.queue):
        return False
    y, x = windows[OUT], windows[vector]
    assert y is not None and x is not None
    matrix = _matrix(b, s, which, rows[0], k)
    assert matrix is not None
    if not s.accumulate:
        fill_window(b, y, c.real(0.0))
    c.emit("w.const", d=0, k=b.unit.compressed(matrix))
    if others:
        d, t = describe(b, y, OUT, rows[0], others[0]), describe(b, x, vector, k, others[0])
        c.emit("arc.mm", d=d, b=t, a=0)
        return True
    queue = _queue(b, s, vector, describe(b, x, vector, k))
    c.emit("ev.mv", d=describe(b, y, OUT, rows[0]), a=0, b=queue)
    return True


def _queue(b: Body, s: Tensor, vector: int, t: int) -> int:
    """The list of the vector's elements that aren't 0: its own, if it is rectified."""
    c, x = b.c, s.ins[vector]
    known = b.events.sparse.get(x) if isinstance(x, View) and is_vector(x) else None
    found = b.events.queue(known) if known is not None else None
    queue, fresh = found if found is not None else (b.events.spare(), True)
    if fresh:
        c.emit("ev.nz", q=queue, a=t, b=c.real(0.0).number)
    return queue
