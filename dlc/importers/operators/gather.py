"""Reading and replacing elements at positions (Slice, Gather, Scatter), and finding positions."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.importers import numbers
from dlc.importers.broadcasting import equal_dims, stretch, with_dim
from dlc.importers.call import (
    Call,
    Operator,
    Rule,
    check_rank,
    normal_axes,
    normal_axis,
    numbers_of,
)
from dlc.importers.elements import INT32, INT64
from dlc.importers.operators.shapes import elements
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Shape, Tensor
from dlc.ir.core import Attr
from dlc.typesys.dims import ONE, Dim

# -- slices


def _slice(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if c.version < 10:
        starts, ends = e.integers(c.ints("starts") or ()), e.integers(c.ints("ends") or ())
        axes, steps = c.ints("axes"), None
    else:
        starts, ends = c.tensor(1), c.tensor(2)
        axes = numbers_of(c.known(3, "the axes of Slice")) if c.has(3) else None
        steps = c.known(4, "the steps of Slice") if c.has(4) else None
    firsts, lasts = elements(starts), elements(ends)
    axes = normal_axes(range(len(firsts)) if axes is None else axes, x.rank)
    by = numbers_of(steps) if steps is not None else (1,) * len(axes)
    assert by is not None
    if not len(firsts) == len(lasts) == len(axes) == len(by):
        raise refuse("E0707", "starts, ends, axes and steps differ in length")
    for axis, first, last, step in zip(axes, firsts, lasts, by, strict=True):
        x = slice_axis(x, axis, first, last, step)
    return x


def slice_axis(x: Tensor, axis: int, first: Tensor, last: Tensor, step: int) -> Tensor:
    """`x[first:last:step]` along one axis, with negative positions from the end, and clamped."""
    e, n = x.e, x.shape[axis]
    if step == 0:
        raise refuse("E0707", "a slice with step 0")
    first, last = (numbers.cast(t, INT64) for t in (first, last))
    if step < 0:
        # From the last element down to the first is a slice forward of the reverse.
        y = e.emit("reverse", x, axis=axis)
        size = e.dim(n)
        start, stop = _from_end(first, n, 0, -1), _from_end(last, n, -1, -1)
        return _forward(y, axis, size - 1 - start, size - 1 - stop, -step)
    return _forward(x, axis, _from_end(first, n, 0, 0), _from_end(last, n, 0, 0), step)


def _from_end(t: Tensor, n: Dim, low: int, past: int) -> Tensor:
    """A position counted from 0, clamped to `low … n + past`."""
    size = t.e.dim(n)
    if t.known is not None and abs(int(t.known)) >= _FAR:
        return size + past if int(t.known) > 0 else t.like(low)
    at = (t < 0).choose(t + size, t)
    return at.op("max", low).op("min", size + past)


_FAR = (1 << 31) - 1
"""Beyond every axis: exporters write the largest number for "to the end"."""


def _forward(x: Tensor, axis: int, first: Tensor, last: Tensor, step: int) -> Tensor:
    e = x.e
    length = (last - first).op("max", 0)
    if step != 1:
        length = (length + (step - 1)).op("floordiv", step)
    size = e.to_dim(length)
    if size == x.shape[axis] and step == 1 and first.known is not None and not int(first.known):
        return x
    attrs: dict[str, Attr] = {"axis": axis, "size": size, "in_bounds": True}
    if step != 1:
        attrs["step"] = step
    # A slice of nothing may start at the end, but not beyond it: the start is clamped already.
    return e.emit("slice", x, first, attrs=attrs)


# -- gathers


def _wrapped(index: Tensor, n: Dim) -> Tensor:
    """Positions counted from 0, where negative ones count from the end."""
    i = numbers.cast(index, INT64)
    s = i.symbols
    if s is not None and all(index.e.reason.not_negative(d) for d in s.reshape(-1)):
        return i
    return (i < 0).choose(i + index.e.dim(n), i)


def _gather(c: Call) -> Tensor:
    x, axis = c.tensor(0), c.axis(c.tensor(0).rank, default=0)
    return c.e.emit("take", x, _wrapped(c.tensor(1), x.shape[axis]), axis=axis)


def _gather_elements(c: Call) -> Tensor:
    x, index = c.tensor(0), c.tensor(1)
    axis = c.axis(x.rank, default=0)
    return gather_elements(x, index, axis)


def gather_elements(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """`y[p, i, q] = x[p, index[p, i, q], q]`."""
    e = x.e
    if index.rank != x.rank:
        raise refuse("E0707", f"GatherElements of {x} at {index}")
    flat = _flat_position(x.shape, _wrapped(index, x.shape[axis]), axis)
    return e.emit("take", e.reshape(x, (_count(x.shape),)), flat, axis=0)


def _flat_position(shape: Shape, index: Tensor, axis: int) -> Tensor:
    """The row-major position in `shape` of the places that `index` names along an axis. The index
    along the axis is checked, for a wrong one could name another row."""
    e = index.e
    _check(index, shape[axis])
    total: Tensor | None = None
    stride = ONE
    for a in reversed(range(len(shape))):
        if a == axis:
            part = index
        else:
            counter = e.iota(index.shape[a])
            part = e.reshape(counter, (*[1] * a, index.shape[a], *[1] * (index.rank - a - 1)))
        if stride != ONE:
            part = part * e.dim(stride)
        total = part if total is None else total + part
        stride = stride * shape[a]
    assert total is not None
    return stretch(total, index.shape)


def _check(index: Tensor, bound: Dim) -> None:
    """Fails at run time unless `0 <= index < bound`."""
    e = index.e
    if index.known is not None and bound.is_constant:
        if index.known.size and not (
            0 <= int(index.known.min()) and int(index.known.max()) < bound.constant
        ):
            raise refuse("E0707", f"an index out of range: {bound} are there")
        return
    e.b.emit_many("check_indices", e.value(index), bound=bound)


def _count(shape: Sequence[Dim]) -> Dim:
    n = ONE
    for d in shape:
        n = n * d
    return n


def _gather_nd(c: Call) -> Tensor:
    x, index, e = c.tensor(0), c.tensor(1), c.e
    batch = c.int("batch_dims", 0)
    flat, rest, lead = _nd_positions(x, index, batch)
    table = e.reshape(x, (_count(x.shape[: len(x.shape) - len(rest)]), *rest))
    y = e.emit("take", table, flat, axis=0)
    return e.reshape(y, (*lead, *rest))


def _nd_positions(x: Tensor, index: Tensor, batch: int) -> tuple[Tensor, Shape, Shape]:
    """For the rows of `index`, each a position in the leading axes of x: the position in the rows
    of x flattened, the shape of such a row, and the shape of the positions."""
    e = x.e
    k = index.shape[-1] if index.rank else None
    if k is None or not k.is_constant or not 0 <= batch < min(x.rank, index.rank):
        raise refuse("E0709", "the last axis of the indices must be a known number")
    depth = k.constant
    if batch + depth > x.rank:
        raise refuse("E0707", f"positions of {depth} numbers in {x}")
    lead = index.shape[:-1]
    total = e.scalar(0, INT64)
    for b in range(batch):
        equal_dims(e, index.shape[b], x.shape[b], f"the batch axis {b}")
        counter = e.reshape(e.iota(lead[b]), (*[1] * b, lead[b], *[1] * (len(lead) - b - 1)))
        total = total * e.dim(x.shape[b]) + counter
    last = index.rank - 1
    for i in range(depth):
        part = e.reshape(e.slice(numbers.cast(index, INT64), last, i, 1), lead)
        part = _wrapped(part, x.shape[batch + i])
        if depth > 1 or batch:
            _check(part, x.shape[batch + i])
        total = total * e.dim(x.shape[batch + i]) + part
    return stretch(total, lead), x.shape[batch + depth :], lead


# -- scatters

_KINDS = {"none": "scatter", "add": "scatter_add", "max": "scatter_max", "min": "scatter_min"}


def _scatter_elements(c: Call) -> Tensor:
    x, index, v, e = c.tensor(0), c.tensor(1), c.tensor(2), c.e
    axis = c.axis(x.rank, default=0)
    if not x.rank == index.rank == v.rank:
        raise refuse("E0707", f"ScatterElements of {v} into {x} at {index}")
    for a in range(x.rank):
        v = with_dim(v, a, index.shape[a], f"axis {a} of indices and updates")
    flat = _flat_position(x.shape, _wrapped(index, x.shape[axis]), axis)
    kind = c.choice("reduction", ("none", "add", "mul", "max", "min"), "none")
    table = e.reshape(x, (_count(x.shape),))
    n = _count(index.shape)
    y = _scattered(table, e.reshape(flat, (n,)), e.reshape(v, (n,)), kind)
    return e.reshape(y, x.shape)


def _scattered(x: Tensor, index: Tensor, v: Tensor, kind: str) -> Tensor:
    """`x` with the rows at `index` replaced by, or combined with, those of `v`."""
    e = x.e
    if kind == "mul":
        return _scatter_product(x, index, v)
    if kind in ("max", "min"):
        y = e.emit(_KINDS[kind], numbers.ordered(x), index, numbers.ordered(v))
        return numbers.restored(y, x.element)
    return e.emit(_KINDS[kind], x, index, v)


def _scatter_product(x: Tensor, index: Tensor, v: Tensor) -> Tensor:
    """One row after another, for products have no operation of their own."""
    e = x.e
    x_value, i_value, v_value = e.value(x), e.value(index), e.value(v)
    lo = e.b.scalar(0, INT64.storage)
    hi = e.b.dim(index.shape[0], INT64.storage)
    with e.region([lo.tensor, x_value.type], ["i", "x"]) as b:
        i, now = b.params
        at = b.emit("index", i_value, i, in_bounds=True)
        row = b.emit("index", now, at)
        new = b.emit("mul", row, b.emit("index", v_value, i, in_bounds=True))
        body = b.yield_(b.emit("insert", now, new, at, in_bounds=True))
    (y,) = e.b.for_(lo, hi, (x_value,), body)
    return e.tensor(y, x.element)


def _scatter_nd(c: Call) -> Tensor:
    x, index, v, e = c.tensor(0), c.tensor(1), c.tensor(2), c.e
    flat, rest, lead = _nd_positions(x, index, 0)
    table = e.reshape(x, (_count(x.shape[: len(x.shape) - len(rest)]), *rest))
    n = _count(lead)
    kind = c.choice("reduction", ("none", "add", "mul", "max", "min"), "none")
    rows = e.reshape(v, (n, *rest))
    y = _scattered(table, e.reshape(flat, (n,)), rows, kind)
    return e.reshape(y, x.shape)


def _tensor_scatter(c: Call) -> Tensor:
    x, v, e = c.tensor(0), c.tensor(1), c.e
    axis = c.axis(x.rank, default=-2)
    if axis == 0 or v.rank != x.rank:
        raise refuse("E0707", f"TensorScatter of {v} into {x} along axis {axis}")
    n, k, batch = x.shape[axis], v.shape[axis], x.shape[0]
    start = c.optional(2)
    first = e.reshape(e.full(0, (batch,), INT64) if start is None else start, (batch, 1))
    at = first + e.reshape(e.iota(k), (1, k))
    if c.choice("mode", ("linear", "circular"), "linear") == "circular":
        at = at.op("mod", e.dim(n))
    _check(at, n)
    order = (0, axis, *(a for a in range(1, x.rank) if a != axis))
    back = tuple(order.index(a) for a in range(x.rank))
    rest = tuple(x.shape[a] for a in order[2:])
    table = e.reshape(e.transpose(x, order), (batch * n, *rest))
    rows = e.reshape(e.transpose(v, order), (batch * k, *rest))
    flat = at + e.reshape(e.iota(batch), (batch, 1)) * e.dim(n)
    y = e.emit("scatter", table, e.reshape(flat, (batch * k,)), rows)
    return e.transpose(e.reshape(y, (batch, n, *rest)), back)


# -- positions


def _arg(name: str) -> Rule:
    def rule(c: Call) -> Tensor:
        x, e = numbers.ordered(c.tensor(0)), c.e
        axis = c.axis(x.rank, default=0)
        last = c.flag("select_last_index")
        y = e.emit("reverse", x, axis=axis) if last else x
        at = numbers.cast(e.emit(name, y, element=INT32, axis=axis), INT64)
        if last:
            at = e.dim(x.shape[axis]) - 1 - at
        if c.int("keepdims", 1):
            at = e.reshape(at, [ONE if a == axis else d for a, d in enumerate(x.shape)])
        return at

    return rule


def _top_k(c: Call) -> tuple[Tensor, ...]:
    x, e = c.tensor(0), c.e
    axis = c.axis(x.rank, default=-1)
    k = e.dim_vector([Dim.const(c.int("k"))]) if c.version < 10 else c.tensor(1)
    n = e.to_dim(numbers.cast(k, INT64), "k")
    y = numbers.ordered(x)
    if c.int("largest", 1):
        v, i = e.emit_many("top_k", y, elements=(y.element, INT32), k=n, axis=axis)
    else:
        v, i = e.emit_many("sort", y, elements=(y.element, INT32), axis=axis)
        if not e.reason.at_least(x.shape[axis], n):
            fits = e.dim(x.shape[axis]) >= e.dim(n)
            e.check(fits, f"the least {n} of {x.shape[axis]}")
        v, i = e.slice(v, axis, 0, n), e.slice(i, axis, 0, n)
    return numbers.restored(v, x.element), numbers.cast(i, INT64)


def positions(mask: Tensor) -> Tensor:
    """Where a vector of bools is true, in order."""
    e = mask.e
    if mask.known is not None:
        return e.array(mask.known.nonzero()[0], INT64)
    (i,) = e.emit_many("nonzero_indices", mask, elements=(INT32,))
    return numbers.cast(i, INT64)


def _non_zero(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if x.rank == 0:
        x = e.reshape(x, (1,))
    mask = x if x.element.is_bool else x.op("ne", 0)
    rest = positions(e.reshape(mask, (_count(x.shape),)))
    rows: list[Tensor] = []
    for d in reversed(x.shape):
        rows.append(rest.op("mod", e.dim(d).op("max", 1)))
        rest = rest.op("floordiv", e.dim(d).op("max", 1))
    return e.concat([e.reshape(r, (1, *r.shape)) for r in reversed(rows)], 0)


def _compress(c: Call) -> Tensor:
    x, keep, e = c.tensor(0), check_rank(c.tensor(1), 1), c.e
    if c.given("axis"):
        axis = normal_axis(c.int("axis"), x.rank)
    else:
        x, axis = e.reshape(x, (_count(x.shape),)), 0
    return e.emit("take", x, positions(numbers.truth(keep)), axis=axis)


def _unique(c: Call) -> tuple[Tensor, ...]:
    x, e = c.tensor(0), c.e
    axis = normal_axis(c.int("axis"), x.rank) if c.given("axis") else 0
    slices = c.given("axis") and x.rank != 1
    flat = _slice_order(x, axis) if slices else e.reshape(x, (_count(x.shape),))
    n = flat.shape[0]
    v, at = e.emit_many("sort", numbers.ordered(flat), elements=(flat.element, INT32), axis=0)
    where = numbers.cast(at, INT64)
    before = e.emit("take", v, (e.iota(n) - 1).op("max", 0), axis=0, in_bounds=True)
    first = v.op("ne", before).op("or", e.iota(n).equals(0))
    # The number of the value of each element, in ascending order of values.
    rank = e.emit("cumsum", numbers.cast(first, INT64), axis=0) - 1
    heads = positions(first)
    k = heads.shape[0]
    index = e.emit("take", where, heads, axis=0, in_bounds=True)
    zero = e.full(0, (n,), INT64)
    inverse = e.emit("scatter", zero, where, rank, axis=0, in_bounds=True)
    if not c.int("sorted", 1):
        order, place = _by_first(index, k)
        index = e.emit("take", index, order, axis=0, in_bounds=True)
        inverse = e.emit("take", place, inverse, axis=0, in_bounds=True)
    values = e.emit("take", x if slices else flat, index, axis=axis, in_bounds=True)
    ones, none = e.full(1, (n,), INT64), e.full(0, (k,), INT64)
    counts = e.emit("scatter_add", none, inverse, ones, axis=0, in_bounds=True)
    return values, index, inverse, counts


def _slice_order(x: Tensor, axis: int) -> Tensor:
    """For each slice along the axis how many slices are less, element by element: numbers in the
    slices' order, equal for equal ones. Compares every pair."""
    e = x.e
    order = (axis, *(a for a in range(x.rank) if a != axis))
    n, size = x.shape[axis], _count([d for a, d in enumerate(x.shape) if a != axis])
    rows = numbers.ordered(e.reshape(e.transpose(x, order), (n, size)))
    one, other = (e.reshape(rows, s) for s in ((n, 1, rows.shape[1]), (1, n, rows.shape[1])))
    differ = numbers.cast(one.op("ne", other), INT64)
    first = e.emit("cumsum", differ, axis=2).equals(1).op("and", differ.equals(1))
    less = e.reduce("any", first.op("and", one < other), (2,))
    return e.reduce("sum", numbers.cast(less, INT64), (0,))


def _by_first(index: Tensor, k: Dim) -> tuple[Tensor, Tensor]:
    """The order of values by where they are first, and the place of each in it."""
    e = index.e
    _, at = e.emit_many("sort", index, elements=(INT64, INT32), axis=0)
    order = numbers.cast(at, INT64)
    zero = e.full(0, (k,), INT64)
    return order, e.emit("scatter", zero, order, e.iota(k), axis=0, in_bounds=True)


OPERATORS: tuple[Operator, ...] = (
    Operator("Slice", (1, 10, 11, 13), _slice),
    Operator("Gather", (1, 11, 13), _gather),
    Operator("GatherElements", (11, 13), _gather_elements),
    Operator("GatherND", (11, 12, 13), _gather_nd),
    Operator("Scatter", (9, 11), _scatter_elements),
    Operator("ScatterElements", (11, 13, 16, 18), _scatter_elements),
    Operator("ScatterND", (11, 13, 16, 18), _scatter_nd),
    Operator("TensorScatter", (24,), _tensor_scatter),
    Operator("ArgMax", (1, 11, 12, 13), _arg("argmax")),
    Operator("ArgMin", (1, 11, 12, 13), _arg("argmin")),
    Operator("TopK", (1, 10, 11, 24), _top_k),
    Operator("NonZero", (9, 13), _non_zero),
    Operator("Compress", (9, 11, 28), _compress),
    Operator("Unique", (11, 28), _unique),
)
