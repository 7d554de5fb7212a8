"""Running sums, order and search along an axis."""

from __future__ import annotations

from typing import Any

from dlc.ir.core import Op, Value
from dlc.ops import gather_terms as gt
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    NotBatchable,
    Rows,
    Run,
    RunError,
    Same,
    Site,
    Trait,
)
from dlc.ops.numeric import finish, np, real, widen
from dlc.ops.term import Term
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, I32
from dlc.typesys.types import TensorType, Type


def _numbers(site: Site) -> tuple[TensorType, int]:
    """Operand 0's type, which must hold numbers, and the axis."""
    x = site.tensor(0)
    if not x.dtype.is_number:
        raise CardError(f"`{site.name}` takes numbers, not {x}")
    return x, site.axis(x.rank)


class _ArgExtreme(Card):
    """The position of the winner along the axis."""

    derivative = "zero"
    operands, attributes = ("x",), ("axis", "in_bounds?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, axis = _numbers(site)
        site.attr_flag("in_bounds")
        return (TensorType(I32, (*x.shape[:axis], *x.shape[axis + 1 :])),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        x, axis = widen(real(args[0])), run.op.attr_int("axis")
        if x.shape[axis] == 0:
            raise RunError("bounds", f"`{self.name}` of nothing", 0, 1)
        return (np.asarray(getattr(np, self.name)(x, axis=axis)).astype(np.int32)[()],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        attrs = {**op.attrs, "axis": op.attr_int("axis") + 1}
        return (Rows(b.emit(self.name, xs[0].value, **attrs)),)

    def may_fail(self, op: Op) -> bool:
        n = op.operands[0].tensor.shape[op.attr_int("axis")]
        return not (op.attr_flag("in_bounds") or n.never_zero())


class ArgMax(_ArgExtreme):
    """`y[p, q]` = the first i at which x[p, i, q] is largest; NaN wins; fails if there is no i."""

    name = "argmax"


class ArgMin(_ArgExtreme):
    """`y[p, q]` = the first i at which x[p, i, q] is smallest; NaN wins; fails if there is no i."""

    name = "argmin"


class CumSum(Card):
    """`y[p, i, q] = sum of x[p, j, q] over j <= i` (`exclusive`: j < i; `reverse`: from the end),
    added one by one; narrow floats are summed in f32."""

    name, operands, attributes = "cumsum", ("x",), ("axis", "reverse?", "exclusive?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, _ = _numbers(site)
        site.attr_flag("reverse")
        site.attr_flag("exclusive")
        return (x,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        op, axis = run.op, run.op.attr_int("axis")
        x = widen(args[0])
        if op.attr_flag("reverse"):
            x = np.flip(x, axis)
        y = np.cumsum(x, axis=axis, dtype=x.dtype)
        if op.attr_flag("exclusive"):
            shifted = np.zeros_like(y)
            inner = [slice(None)] * y.ndim
            outer = list(inner)
            inner[axis], outer[axis] = slice(1, None), slice(None, -1)
            shifted[tuple(inner)] = y[tuple(outer)]
            y = shifted
        if op.attr_flag("reverse"):
            y = np.flip(y, axis)
        return (finish(y, op.result.tensor.dtype),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is not None:
            attrs = {**op.attrs, "reverse": not op.attr_flag("reverse")}
            g.add(x, lambda: g.emit("cumsum", dy, **attrs))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        attrs = {**op.attrs, "axis": op.attr_int("axis") + 1}
        return (Rows(b.emit("cumsum", xs[0].value, **attrs)),)


def sorted_order(x: Any, axis: int, descending: bool) -> Any:
    """Indices that sort `x` along the axis: stable, NaN last."""
    key = widen(real(x))
    nan = np.isnan(key) if key.dtype.kind == "f" else np.zeros(key.shape, bool)
    key = np.where(nan, np.zeros((), key.dtype), key)
    if descending:
        n = key.shape[axis]
        at = np.flip(n - 1 - np.argsort(np.flip(key, axis), axis=axis, kind="stable"), axis)
    else:
        at = np.argsort(key, axis=axis, kind="stable")
    late = np.argsort(np.take_along_axis(nan, at, axis), axis=axis, kind="stable")
    return np.take_along_axis(at, late, axis)


def _add_back(g: Gradient, x: Value, index: Value, d: Value, axis: int) -> None:
    """`dx[p, index[p, i, q], q] += d[p, i, q]`."""
    n = x.tensor.shape[axis]

    def change(cur: Value) -> Value:
        if x.tensor.rank == 1:
            return g.emit("scatter_add", cur, index, d, in_bounds=True)
        rows, _ = gt.flatten_last(x.tensor, axis)
        at = gt.row_numbers(g, gt.rows_along(g, index, axis), rows, n)
        flat = gt.merge_first(g, gt.rows_along(g, cur, axis))
        parts = gt.merge_first(g, gt.rows_along(g, d, axis))
        y = g.emit("scatter_add", flat, gt.merge_first(g, at), parts, in_bounds=True)
        return gt.from_rows(g, gt.reshape(g, y, (rows, n)), x.tensor, axis)

    g.update(x, change)


class Sort(Card):
    """The values along the axis in ascending (or `descending`) order, and where each was; stable,
    NaN last.

    The cotangent of a value goes to where it was."""

    name, operands, attributes = "sort", ("x",), ("axis", "descending?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, _ = _numbers(site)
        site.attr_flag("descending")
        return (x, x.with_dtype(I32))

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x,), axis = args, run.op.attr_int("axis")
        at = sorted_order(x, axis, run.op.attr_flag("descending"))
        return (np.take_along_axis(x, at, axis), at.astype(np.int32))

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        if d[0] is not None:
            _add_back(g, op.operands[0], op.results[1], d[0], op.attr_int("axis"))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        attrs = {**op.attrs, "axis": op.attr_int("axis") + 1}
        return tuple(map(Rows, b.emit_many("sort", xs[0].value, **attrs)))

    def scratch(self, op: Op) -> tuple[TensorType, ...]:
        """The half of a merge: one row of values and of indices."""
        n = op.operands[0].tensor.shape[op.attr_int("axis")]
        return (TensorType(op.operands[0].tensor.dtype, (n,)), TensorType(I32, (n,)))


class TopK(Card):
    """The first k of `sort descending` along the axis, and where they were; fails if there are
    fewer.

    Ties: the lower index first. The cotangent of a value goes to where it was."""

    name, operands, attributes = "top_k", ("x",), ("k", "axis", "in_bounds?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, axis = _numbers(site)
        site.attr_flag("in_bounds")
        y = x.with_shape((*x.shape[:axis], site.attr_dim("k"), *x.shape[axis + 1 :]))
        return (y, y.with_dtype(I32))

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x,), axis, k = args, run.op.attr_int("axis"), run.dim("k")
        if k > x.shape[axis]:
            raise RunError("bounds", f"the top {k} of {x.shape[axis]}", k, x.shape[axis])
        at = np.take(sorted_order(x, axis, True), np.arange(k), axis=axis)
        return (np.take_along_axis(x, at, axis), at.astype(np.int32))

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        if d[0] is not None:
            _add_back(g, op.operands[0], op.results[1], d[0], op.attr_int("axis"))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        attrs = {**op.attrs, "axis": op.attr_int("axis") + 1}
        return tuple(map(Rows, b.emit_many("top_k", xs[0].value, **attrs)))

    def may_fail(self, op: Op) -> bool:
        n = op.operands[0].tensor.shape[op.attr_int("axis")]
        return not (op.attr_flag("in_bounds") or n.at_least(op.attr_dim("k")))


class NonzeroIndices(Card):
    """The positions at which the mask is true, in ascending order; defines how many there are."""

    name, operands, binds = "nonzero_indices", ("mask",), ("k",)
    traits = frozenset({Trait.BINDS_DIMS})
    derivative, batching = "zero", "refused"

    def infer(self, site: Site) -> tuple[Type, ...]:
        t = site.tensor(0)
        if t.dtype != BOOL or t.rank != 1:
            raise CardError(f"`nonzero_indices` takes a vector of bools, not {t}")
        return (TensorType(I32, (Dim.sym(site.dims[0]),)),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        y = np.flatnonzero(args[0]).astype(np.int32)
        run.bound[run.op.dims[0]] = len(y)
        return (y,)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        raise NotBatchable("`nonzero_indices` finds another number of positions in every row")


class SearchSorted(Card):
    """`y[q]` = the number of leading elements of `sorted` that are less than x[q] (by
    bisection)."""

    name, operands = "searchsorted", ("sorted", "x")
    derivative = "zero"

    def infer(self, site: Site) -> tuple[Type, ...]:
        s, x = site.tensor(0), site.tensor(1)
        if s.rank != 1 or s.dtype != x.dtype or not s.dtype.is_number:
            raise CardError(f"`searchsorted` of {x} in {s}")
        return (x.with_dtype(I32),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        s, x = (widen(real(a)) for a in args)
        y = np.asarray(np.searchsorted(s, x, side="left"))
        if x.dtype.kind == "f":
            y = np.where(np.isnan(x), 0, y)
        return (y.astype(np.int32)[()],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        s, x = xs
        if isinstance(s, Same):
            return (Rows(b.emit("searchsorted", s.value, x.value)),)
        # Every row has a table of its own: counting the smaller elements gives what bisection
        # finds.
        n, shape = op.operands[0].tensor.shape[0], op.operands[1].tensor.shape
        full = (b.rows, *shape, n)
        table = Term(b, gt.spread(b, s.value, full, (0, len(full) - 1)))
        wanted = gt.spread(b, b.full(x), full, range(len(full) - 1))
        less = (table < Term(b, wanted)).op("convert", dtype=I32)
        return (Rows(b.emit("reduce", less.v, kind="sum", axes=(len(full) - 1,))),)


CARDS: tuple[Card, ...] = (
    ArgMax(), ArgMin(), CumSum(), Sort(), TopK(), NonzeroIndices(), SearchSorted(),
)  # fmt: skip
