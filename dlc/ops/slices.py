"""Reading and replacing a part of a tensor at positions that are known at run time."""

from __future__ import annotations

from typing import Any

from dlc.ir.core import Op, Value
from dlc.ops import gather_terms as gt
from dlc.ops import term
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    Rows,
    Run,
    RunError,
    Same,
    Site,
    Trait,
)
from dlc.ops.numeric import COMPLEX, np
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.types import TensorType, Type


def need_index(site: Site, i: int, rank: int | None = None) -> TensorType:
    """Operand i's type, which must hold indices: whole numbers, of this rank if one is given."""
    t = site.tensor(i)
    if not t.dtype.is_int:
        raise CardError(f"`{site.name}` is indexed by whole numbers, not {t}")
    if rank is not None and t.rank != rank:
        raise CardError(f"operand {i} of `{site.name}` must have rank {rank}, not {t}")
    return t


def put_into(run: Run, x: Any, v: Any) -> Any:
    """`x` if it may be overwritten, else a copy of it, that can take `v` (complex if that is)."""
    dtype = COMPLEX if v.dtype == COMPLEX else x.dtype
    return x if run.owned and dtype == x.dtype else np.array(x, dtype=dtype)


def bound_error(i: int, n: int) -> RunError:
    return RunError("bounds", f"index {i} of {n} rows", i, n)


class _Checked(Card):
    """Checks its positions unless they are known to be right."""

    def may_fail(self, op: Op) -> bool:
        return not op.attr_flag("in_bounds")


def span(size: int, step: int) -> int:
    """The number of positions from the first to the last element of a slice."""
    return (size - 1) * step + 1 if size > 0 else 0


class Slice(_Checked):
    """`y[…, i, …] = x[…, start + i*step, …]` for 0 <= i < size, along the axis.

    Fails unless all positions lie in x; a slice of size 0 may start anywhere from 0 to the end."""

    name, operands = "slice", ("x", "start")
    attributes = ("axis", "size", "step?", "in_bounds?")
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x = site.tensor(0)
        need_index(site, 1, 0)
        axis = site.axis(x.rank)
        if site.attr_int("step", 1) < 1:
            raise CardError("`slice` steps forward: `reverse` is an operation of its own")
        site.attr_flag("in_bounds")
        return (x.with_shape((*x.shape[:axis], site.attr_dim("size"), *x.shape[axis + 1 :])),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x, start), size = args, run.dim("size")
        return (x[window(run.op, x, int(start), size)],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, start) = d, op.operands
        if dy is None:
            return
        attrs = {"axis": op.attr_int("axis"), "step": op.attr_int("step", 1), "in_bounds": True}

        def change(cur: Value) -> Value:
            part = g.emit("slice", cur, start, size=op.attr_dim("size"), **attrs)
            return g.emit("insert_slice", cur, g.emit("add", part, dy), start, **attrs)

        g.update(x, change)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        x, start = xs
        axis, size = op.attr_int("axis"), op.attr_dim("size")
        if isinstance(start, Same):
            return (Rows(b.emit("slice", x.value, start.value, **{**op.attrs, "axis": axis + 1})),)
        index = _window_indices(b, op, start.value, op.operands[0].tensor.shape[axis], size)
        return (gt.batched_take(b, x, Rows(index), op.operands[0].tensor, axis),)


def window(op: Op, x: Any, start: int, size: int) -> tuple[slice, ...]:
    """The numpy index of a slice, after its check."""
    axis, step = op.attr_int("axis"), op.attr_int("step", 1)
    if not 0 <= start <= x.shape[axis] - span(size, step):
        message = f"a slice of {size} from {start} of {x.shape[axis]}"
        raise RunError("bounds", message, start, x.shape[axis])
    return (*[slice(None)] * axis, slice(start, start + span(size, step), step))


def _window_indices(b: Batching, op: Op, start: Value, bound: Dim, size: Dim) -> Value:
    """`start[r] + i*step` for every row, checked."""
    step, dtype = op.attr_int("step", 1), start.tensor.dtype
    if not op.attr_flag("in_bounds"):
        last = bound - (size - 1) * step
        b.emit_many("check_indices", start, bound=last)
    offsets = b.emit("iota", size=size, dtype=dtype)
    if step != 1:
        offsets = b.emit("mul", offsets, term.full(b, step, offsets.tensor))
    shape = (b.rows, size)
    return b.emit("add", gt.spread(b, start, shape, (0,)), gt.broadcast(b, offsets, shape))


class Index(_Checked):
    """`y = x[i_1, …, i_k]`: drops as many leading axes as there are indices."""

    name, operands, attributes = "index", ("x", "i", "*is"), ("in_bounds?",)
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, k = site.tensor(0), len(site.operands) - 1
        site.attr_flag("in_bounds")
        if k > x.rank:
            raise CardError(f"`index` of {x} by {k} indices")
        _scalar_indices(site, 1)
        return (x.with_shape(x.shape[k:]),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (args[0][position(args[0], args[1:])],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, *i) = d, op.operands
        if dy is None:
            return

        def change(cur: Value) -> Value:
            part = g.emit("index", cur, *i, in_bounds=True)
            return g.emit("insert", cur, g.emit("add", part, dy), *i, in_bounds=True)

        g.update(x, change)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        x, *i = xs
        t, k = op.operands[0].tensor, len(i)
        flat_type = t.with_shape((gt.product(t.shape[:k]), *t.shape[k:]))
        lead = (b.rows,) if isinstance(x, Rows) else ()
        flat = gt.reshape(b, x.value, (*lead, *flat_type.shape))
        table: Batched = Rows(flat) if lead else Same(flat)
        return (gt.batched_take(b, table, _linear(b, op, i, t), flat_type, 0),)


def _scalar_indices(site: Site, first: int) -> None:
    types = [need_index(site, i, 0) for i in range(first, len(site.operands))]
    if len({t.dtype for t in types}) > 1:
        raise CardError(f"`{site.name}` by indices of several types")


def _linear(b: Batching, op: Op, i: list[Batched], t: TensorType) -> Batched:
    """The row-major position of scalar indices, checked one by one; with rows if one has."""
    rows = any(isinstance(v, Rows) for v in i)
    values = [b.full(v) for v in i] if rows else [v.value for v in i]
    if not op.attr_flag("in_bounds"):
        for v, n in zip(values, t.shape, strict=False):
            b.emit_many("check_indices", v, bound=n)
    lin = gt.linear_index(b, values, t.shape[: len(values)])
    return Rows(lin) if rows else Same(lin)


def position(x: Any, indices: tuple[Any, ...]) -> tuple[int, ...]:
    """Scalar indices as whole numbers, after their check."""
    at = tuple(int(i) for i in indices)
    for i, n in zip(at, x.shape, strict=False):
        if not 0 <= i < n:
            raise bound_error(i, n)
    return at


class Insert(_Checked):
    """`y = x`, but `y[i_1, …, i_k] = v`."""

    name, operands, attributes = "insert", ("x", "v", "i", "*is"), ("in_bounds?",)
    traits = frozenset({Trait.UPDATE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, v, k = site.tensor(0), site.tensor(1), len(site.operands) - 2
        site.attr_flag("in_bounds")
        if k > x.rank or v != x.with_shape(x.shape[k:]):
            raise CardError(f"`insert` of {v} into {x} by {k} indices")
        _scalar_indices(site, 2)
        return (x,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        x, v, *i = args
        at = position(x, tuple(i))
        y = put_into(run, x, v)
        y[at] = v
        return (y,)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, v, *i) = d, op.operands
        if dy is None:
            return
        # The part is read before it is overwritten, so that the update can be in place.
        g.add(v, lambda: g.emit("index", dy, *i, in_bounds=True))
        g.add(x, lambda: g.emit("insert", dy, term.zero(g, v), *i, in_bounds=True))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        x, v, *i = xs
        t, k = op.operands[0].tensor, len(i)
        lin = _linear(b, op, i, t)
        n, rest = gt.product(t.shape[:k]), t.shape[k:]
        full = b.full(x)
        flat = gt.reshape(b, full, (b.rows, n, *rest))
        if isinstance(lin, Same):
            part = gt.reshape(b, b.full(v), (b.rows, ONE, *rest))
            y = b.emit("insert_slice", flat, part, lin.value, axis=1, in_bounds=True)
        else:
            y = _scatter_rows(b, flat, lin.value, b.full(v), n)
        return (Rows(gt.reshape(b, y, full.tensor.shape)),)


def _scatter_rows(b: Batching, x: Value, index: Value, v: Value, n: Dim) -> Value:
    """`x[r, index[r, …]] = v[r, …]` for every row."""
    at = gt.row_numbers(b, index, b.rows, n)
    y = b.emit("scatter", gt.merge_first(b, x), at, v, in_bounds=True)
    return gt.reshape(b, y, x.tensor.shape)


class InsertSlice(_Checked):
    """`y = x`, but `y[…, start + i*step, …] = v[…, i, …]` along the axis."""

    name, operands = "insert_slice", ("x", "v", "start")
    attributes = ("axis", "step?", "in_bounds?")
    traits = frozenset({Trait.UPDATE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, v = site.tensor(0), site.tensor(1)
        axis = site.axis(x.rank)
        need_index(site, 2, 0)
        site.attr_flag("in_bounds")
        if site.attr_int("step", 1) < 1:
            raise CardError("`insert_slice` steps forward")
        rest = v.rank == x.rank and v.with_shape((*v.shape[:axis], ONE, *v.shape[axis + 1 :]))
        if rest != x.with_shape((*x.shape[:axis], ONE, *x.shape[axis + 1 :])):
            raise CardError(f"`insert_slice` of {v} into {x} along axis {axis}")
        return (x,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        x, v, start = args
        at = window(run.op, x, int(start), v.shape[run.op.attr_int("axis")])
        y = put_into(run, x, v)
        y[at] = v
        return (y,)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, v, start) = d, op.operands
        if dy is None:
            return
        attrs = {"axis": op.attr_int("axis"), "step": op.attr_int("step", 1), "in_bounds": True}
        size = v.tensor.shape[op.attr_int("axis")]
        g.add(v, lambda: g.emit("slice", dy, start, size=size, **attrs))
        g.add(x, lambda: g.emit("insert_slice", dy, term.zero(g, v), start, **attrs))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        x, v, start = xs
        axis = op.attr_int("axis")
        full, part = b.full(x), b.full(v)
        if isinstance(start, Same):
            attrs = {**op.attrs, "axis": axis + 1}
            return (Rows(b.emit("insert_slice", full, part, start.value, **attrs)),)
        n, size = full.tensor.shape[axis + 1], part.tensor.shape[axis + 1]
        index = _window_indices(b, op, start.value, n, size)
        front = gt.move_axis(b, full, axis + 1, 1)
        y = _scatter_rows(b, front, index, gt.move_axis(b, part, axis + 1, 1), n)
        return (Rows(gt.move_axis(b, y, 1, axis + 1)),)


CARDS: tuple[Card, ...] = (Slice(), Index(), Insert(), InsertSlice())
