"""Gathers and scatters: reading and updating many positions, given by a tensor of indices.

Indices count from 0; one that is out of range ends the program with the status `bounds`. Repeated
indices update in row-major order of the indices.
"""

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
    Same,
    Site,
    Trait,
)
from dlc.ops.numeric import finish, maximum, minimum, np, widen
from dlc.ops.slices import bound_error, need_index, put_into
from dlc.ops.term import Term
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType, Type


def check_range(index: Any, n: int) -> None:
    """Raises RunError for the first index that is not in 0 … n-1."""
    bad = (index < 0) | (index >= n)
    if np.any(bad):
        raise bound_error(int(np.asarray(index)[bad].reshape(-1)[0]), n)


class _Gather(Card):
    """Checks its indices unless they are known to be right."""

    def may_fail(self, op: Op) -> bool:
        return not op.attr_flag("in_bounds")


def _checked(b: Batching, op: Op, index: Value, bound: Dim) -> None:
    if not op.attr_flag("in_bounds"):
        b.emit_many("check_indices", index, bound=bound)


class Take(_Gather):
    """`y[p, j, q] = x[p, index[j], q]`, the index's axes j in the place of the axis."""

    name, operands, attributes = "take", ("x", "index"), ("axis?", "in_bounds?")
    source = "ONNX Gather-13, without negative indices"

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, index = site.tensor(0), need_index(site, 1)
        axis = site.axis(x.rank, default=0)
        site.attr_flag("in_bounds")
        return (x.with_shape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x, index), axis = args, run.op.attr_int("axis", 0)
        check_range(index, x.shape[axis])
        return (np.take(x, index, axis=axis),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, index) = d, op.operands
        if dy is None:
            return
        attrs = {"axis": op.attr_int("axis", 0), "in_bounds": True}
        g.update(x, lambda cur: g.emit("scatter_add", cur, index, dy, **attrs))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        (x, index), t = xs, op.operands[0].tensor
        axis = op.attr_int("axis", 0)
        _checked(b, op, index.value, t.shape[axis])
        return (gt.batched_take(b, x, index, t, axis),)


class TakeAlong(_Gather):
    """`y[p, q] = x[p, index[p, q], q]`: one element of each row along the axis, which is
    dropped."""

    name, operands, attributes = "take_along", ("x", "index"), ("axis", "in_bounds?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, axis = site.tensor(0), site.axis(site.tensor(0).rank)
        return (_one_per_row(site, x, axis, 1),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x, index), axis = args, run.op.attr_int("axis")
        check_range(index, x.shape[axis])
        at = np.expand_dims(index, axis).astype(np.int64)
        return (np.squeeze(np.take_along_axis(x, at, axis), axis)[()],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, index) = d, op.operands
        if dy is None:
            return
        attrs = {"axis": op.attr_int("axis"), "in_bounds": True}
        g.update(x, lambda cur: g.emit("add_along", cur, index, dy, **attrs))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        attrs = {**op.attrs, "axis": op.attr_int("axis") + 1}
        return (Rows(b.emit("take_along", b.full(xs[0]), b.full(xs[1]), **attrs)),)


def _one_per_row(site: Site, x: TensorType, axis: int, i: int) -> TensorType:
    """The type of one element a row of `x`; operand i must be the indices for it."""
    site.attr_flag("in_bounds")
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    if need_index(site, i).shape != rest:
        raise CardError(f"`{site.name}` of {x} along axis {axis} by {site.tensor(i)}")
    return x.with_shape(rest)


class AddAlong(_Gather):
    """`y = x`, but `y[p, index[p, q], q] += v[p, q]`: one element of each row along the axis."""

    name, operands, attributes = "add_along", ("x", "index", "v"), ("axis", "in_bounds?")
    traits = frozenset({Trait.UPDATE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, axis = site.tensor(0), site.axis(site.tensor(0).rank)
        if not x.dtype.is_number or _one_per_row(site, x, axis, 1) != site.tensor(2):
            raise CardError(f"`add_along` of {site.tensor(2)} into {x} along axis {axis}")
        return (x,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x, index, v), axis = args, run.op.attr_int("axis")
        check_range(index, x.shape[axis])
        y, at = put_into(run, x, v), np.expand_dims(index, axis).astype(np.int64)
        old = widen(np.take_along_axis(y, at, axis))
        new = finish(old + widen(np.expand_dims(v, axis)), run.op.result.tensor.dtype)
        np.put_along_axis(y, at, new, axis)
        return (y,)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, index, v) = d, op.operands
        if dy is None:
            return
        attrs = {"axis": op.attr_int("axis"), "in_bounds": True}
        g.add(v, lambda: g.emit("take_along", dy, index, **attrs))
        g.add(x, lambda: dy)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        attrs = {**op.attrs, "axis": op.attr_int("axis") + 1}
        return (Rows(b.emit("add_along", *(b.full(x) for x in xs), **attrs)),)


class _Scatter(_Gather):
    """The shape rule, the walk over repeated indices and the batching rule of all scatters."""

    operands, attributes = ("x", "index", "v"), ("axis?", "in_bounds?")
    traits = frozenset({Trait.UPDATE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, index = site.tensor(0), need_index(site, 1)
        axis = site.axis(x.rank, default=0)
        site.attr_flag("in_bounds")
        want = x.with_shape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))
        if site.tensor(2) != want:
            raise CardError(f"`{self.name}` into {x} needs {want}, not {site.tensor(2)}")
        if not x.dtype.is_number and self.name != "scatter":
            raise CardError(f"`{self.name}` takes numbers, not {x}")
        return (x,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x, index, v), axis = args, run.op.attr_int("axis", 0)
        check_range(index, x.shape[axis])
        y = widen(put_into(run, x, v))
        k, j = index.ndim, int(np.size(index))
        rows = np.moveaxis(y, axis, 0)
        parts = np.moveaxis(widen(v), range(axis, axis + k), range(k)).reshape(j, *rows.shape[1:])
        self._merge(rows, np.asarray(index).reshape(-1), parts)
        return (finish(y, run.op.result.tensor.dtype),)

    def _merge(self, rows: Any, index: Any, parts: Any) -> None:
        """Puts `parts[k]` into `rows[index[k]]`, in order, in place."""
        raise NotImplementedError

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        x, index, v = xs
        (t, _, _), axis = (o.tensor for o in op.operands), op.attr_int("axis", 0)
        full, parts = b.full(x), b.full(v)
        if isinstance(index, Same):
            attrs = {**op.attrs, "axis": axis + 1}
            return (Rows(b.emit(self.name, full, index.value, parts, **attrs)),)
        _checked(b, op, index.value, t.shape[axis])
        k = index.value.tensor.rank - 1
        front = gt.move_axis(b, full, axis + 1, 1)
        at = gt.row_numbers(b, index.value, b.rows, t.shape[axis])
        rest = [a for a in range(1, parts.tensor.rank) if not axis < a <= axis + k]
        v_front = gt.transpose(b, parts, (0, *range(axis + 1, axis + 1 + k), *rest))
        y = b.emit(self.name, gt.merge_first(b, front), at, v_front, in_bounds=True)
        return (Rows(gt.move_axis(b, gt.reshape(b, y, front.tensor.shape), 1, axis + 1)),)


class ScatterAdd(_Scatter):
    """`y = x`, but `y[p, index[j], q] += v[p, j, q]`; repeats add in order."""

    name = "scatter_add"

    def _merge(self, rows: Any, index: Any, parts: Any) -> None:
        np.add.at(rows, index, parts)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, index, v) = d, op.operands
        if dy is None:
            return
        attrs = {"axis": op.attr_int("axis", 0), "in_bounds": True}
        g.add(v, lambda: g.emit("take", dy, index, **attrs))
        g.add(x, lambda: dy)


class Scatter(_Scatter):
    """`y = x`, but `y[p, index[j], q] = v[p, j, q]`; of repeats the last stays."""

    name = "scatter"

    def _merge(self, rows: Any, index: Any, parts: Any) -> None:
        rows[index] = parts

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, index, v) = d, op.operands
        if dy is None:
            return
        attrs = {"axis": op.attr_int("axis", 0), "in_bounds": True}
        g.add(v, lambda: _won(g, op, g.emit("take", dy, index, **attrs)))
        g.add(x, lambda: g.emit("scatter", dy, index, term.zero(g, v), **attrs))


def _won(g: Gradient, op: Op, d: Value) -> Value:
    """`d` where the index is the last of its repeats, else 0."""
    x, index = op.operands[0].tensor, op.operands[1]
    axis = op.attr_int("axis", 0)
    count = gt.product(index.tensor.shape)
    turn = gt.reshape(g, g.emit("iota", size=count), index.tensor.shape)
    nobody = term.full(g, -1, turn.tensor.with_shape((x.shape[axis],)))
    last = g.emit("scatter", nobody, index, turn, in_bounds=True)
    won = g.emit("eq", g.emit("take", last, index, in_bounds=True), turn)
    axes = range(axis, axis + index.tensor.rank)
    return Term(g, gt.spread(g, won, d.tensor.shape, tuple(axes))).choose(Term(g, d), 0).v


class _ScatterExtreme(_Scatter):
    """The cotangent goes to the operand's own value if that is as good as the best, else to the
    first of the values that are."""

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, _, v) = d, op.operands
        if dy is None:
            return
        kept = Term(g, op.operands[0]).equals(Term(g, op.result))
        g.add(x, lambda: kept.choose(Term(g, dy), 0).v)
        g.add(v, lambda: self._to_values(g, op, dy, kept))

    def _to_values(self, g: Gradient, op: Op, dy: Value, kept: Term) -> Value:
        x, index, v = op.operands
        axis = op.attr_int("axis", 0)
        attrs = {"axis": axis, "in_bounds": True}
        y = Term(g, g.emit("take", op.result, index, **attrs))
        lost = Term(g, g.emit("take", kept.op("not").v, index, **attrs))
        best = Term(g, v).equals(y).op("and", lost)
        # The first of several equally good values: the one whose turn is the least.
        count = gt.product(index.tensor.shape)
        turn = gt.reshape(g, g.emit("iota", size=count), index.tensor.shape)
        axes = tuple(range(axis, axis + index.tensor.rank))
        turns = Term(g, gt.spread(g, turn, v.tensor.shape, axes))
        never = term.full(g, 2**31 - 1, turn.tensor.with_shape(x.tensor.shape))
        mine = best.choose(turns, 2**31 - 1)
        first = g.emit("scatter_min", never, index, mine.v, **attrs)
        won = best.op("and", Term(g, g.emit("take", first, index, **attrs)).equals(turns))
        return won.choose(Term(g, g.emit("take", dy, index, **attrs)), 0).v


class ScatterMax(_ScatterExtreme):
    """`y = x`, but `y[p, index[j], q] = max(y[p, index[j], q], v[p, j, q])`; NaN wins."""

    name = "scatter_max"

    def _merge(self, rows: Any, index: Any, parts: Any) -> None:
        _fold(maximum, rows, index, parts)


class ScatterMin(_ScatterExtreme):
    """`y = x`, but `y[p, index[j], q] = min(y[p, index[j], q], v[p, j, q])`; NaN wins."""

    name = "scatter_min"

    def _merge(self, rows: Any, index: Any, parts: Any) -> None:
        _fold(minimum, rows, index, parts)


def _fold(f: Any, rows: Any, index: Any, parts: Any) -> None:
    for i, part in zip(index, parts, strict=True):
        rows[i] = f(rows[i], part)


CARDS: tuple[Card, ...] = (
    Take(), TakeAlong(), AddAlong(), ScatterAdd(), Scatter(), ScatterMax(), ScatterMin(),
)  # fmt: skip
