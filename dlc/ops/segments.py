"""Contiguous rows of different lengths: row r of the items is items `starts[r] … starts[r+1]-1`.

`starts` has one more entry than there are rows; `check_segments` has validated it.
"""

from __future__ import annotations

from typing import Any

from dlc.diag import InternalError
from dlc.ir.core import Op, Value
from dlc.ops import gather_terms as gt
from dlc.ops import term
from dlc.ops.card import Batched, Batching, Card, CardError, Gradient, Rows, Run, Same, Site
from dlc.ops.numeric import COMPLEX, finish, maximum, minimum, np, widen
from dlc.ops.reduce import check_kind, identity, winners
from dlc.ops.slices import need_index
from dlc.ops.term import Term
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import TensorType, Type


def rows_of_items(starts: Any, items: int) -> Any:
    """The row of every item."""
    if len(starts) == 0 or starts[0] != 0 or starts[-1] != items:
        raise InternalError("segments that were not checked", stage="evaluate")
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


class RowOf(Card):
    """`y[i]` = the row r with `starts[r] <= i < starts[r+1]`."""

    name, operands, attributes = "row_of", ("starts",), ("items",)
    derivative = "zero"

    def infer(self, site: Site) -> tuple[Type, ...]:
        need_index(site, 0, 1)
        return (TensorType(I32, (site.attr_dim("items"),)),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (rows_of_items(args[0], run.dim("items")).astype(np.int32),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        # The row of an item is the number of rows that have ended: all `starts` but the first, <=
        # i.
        (starts,), items = xs, op.attr_dim("items")
        t = starts.value.tensor
        n = t.shape[1] - 1
        ends = b.emit("slice", starts.value, term.scalar(b, 1, I32), axis=1, size=n, in_bounds=True)
        shape = (b.rows, items, n)
        item = gt.spread(b, b.emit("iota", size=items, dtype=t.dtype), shape, (1,))
        ended = Term(b, gt.spread(b, ends, shape, (0, 2))) <= Term(b, item)
        return (Rows(b.emit("reduce", ended.op("convert", dtype=I32).v, kind="sum", axes=(2,))),)


_FOLDS = {
    "sum": np.add, "prod": np.multiply, "any": np.logical_or, "all": np.logical_and,
    "max": maximum, "min": minimum,
}  # fmt: skip


class SegmentReduce(Card):
    """`y[r, q]` = the fold of x[i, q] over the items i of row r, in order; see `reduce` for the
    kinds."""

    name, operands, attributes = "segment_reduce", ("x", "starts"), ("kind",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, starts = site.tensor(0), need_index(site, 1, 1)
        check_kind(site, x.dtype)
        if x.rank < 1:
            raise CardError(f"`segment_reduce` of {x}")
        return (x.with_shape((starts.shape[0] - 1, *x.shape[1:])),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x, starts), kind = args, run.op.attr_str("kind")
        d = run.op.result.tensor.dtype
        x, rows = widen(x), rows_of_items(starts, x.shape[0])
        y = np.full((len(starts) - 1, *x.shape[1:]), identity(kind, d), x.dtype)
        f = _FOLDS[kind]
        if x.dtype == COMPLEX and kind in ("max", "min"):
            for r, item in zip(rows, x, strict=True):
                y[r] = f(y[r], item)
        else:
            ufunc = {"max": np.maximum, "min": np.minimum}.get(kind, f)
            ufunc.at(y, rows, x)
        return (finish(y, d),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, starts), kind = d, op.operands, op.attr_str("kind")
        if dy is None:
            return

        def back() -> Value:
            row = g.emit("row_of", starts, items=x.tensor.shape[0])
            dx = Term(g, _to_items(g, dy, row))
            if kind == "sum":
                return dx.v
            if kind == "prod":
                return _d_prod(g, x, starts, row, dx).v
            y = Term(g, _to_items(g, op.result, row))
            hit = winners(Term(g, x), y)
            count = hit.op("convert", dtype=I32).v
            before = Term(g, g.emit("cumsum", count, axis=0, exclusive=True))
            first = g.emit("take", starts, row, in_bounds=True)
            at_start = Term(g, g.emit("take", before.v, first, in_bounds=True))
            return hit.op("and", before.equals(at_start)).choose(dx, 0).v

        g.add(x, back)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        (x, starts), kind = xs, op.attr_str("kind")
        if isinstance(starts, Same):
            items_first = gt.move_axis(b, x.value, 0, 1)
            y = b.emit("segment_reduce", items_first, starts.value, kind=kind)
            return (Rows(gt.move_axis(b, y, 1, 0)),)
        # All rows' segments one after another: every row has the same number of items.
        items = op.operands[0].tensor.shape[0]
        n = op.result.tensor.shape[0]
        lead = b.emit("slice", starts.value, term.scalar(b, 0, I32), axis=1, size=n, in_bounds=True)
        begin = gt.merge_first(b, gt.row_numbers(b, lead, b.rows, items))
        end = term.dim(b, b.rows * items, begin.tensor.dtype)
        whole = b.emit("concat", begin, gt.reshape(b, end, (Dim.const(1),)), axis=0)
        y = b.emit("segment_reduce", gt.merge_first(b, b.full(x)), whole, kind=kind)
        return (Rows(gt.reshape(b, y, (b.rows, *op.result.tensor.shape))),)


def _to_items(g: Gradient, x: Value, row: Value) -> Value:
    return g.emit("take", x, row, in_bounds=True)


def _d_prod(g: Gradient, x: Value, starts: Value, row: Value, dx: Term) -> Term:
    """`d * product of the others in the row`, which is y / x unless a factor is zero."""
    zero = Term(g, x).equals(0)
    ones = zero.choose(1, Term(g, x))
    here = zero.op("convert", dtype=I32)
    rest = g.emit("segment_reduce", ones.v, starts, kind="prod")
    count = g.emit("segment_reduce", here.v, starts, kind="sum")
    others = Term(g, _to_items(g, count, row)) - here
    return others.equals(0).choose(dx * Term(g, _to_items(g, rest, row)) / ones, 0)


CARDS: tuple[Card, ...] = (RowOf(), SegmentReduce())
