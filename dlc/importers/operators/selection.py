"""Counting n-grams, choosing boxes, and the small operators of ai.onnx.ml that are arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlc.importers import numbers
from dlc.importers.call import Call, Operator, check_rank
from dlc.importers.elements import BOOLEAN, FLOAT, INT32, INT64, Element
from dlc.importers.messages import Array
from dlc.importers.operators.gather import positions
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, Dim

ML = "ai.onnx.ml"


def _tf_idf(c: Call) -> Tensor:
    """How often each n-gram of a pool stands in each row, with steps of 1 … max_skip_count + 1
    between its items."""
    x, e = c.tensor(0), c.e
    pool = c.ints("pool_int64s")
    if pool is None or not x.element.is_int:
        raise refuse("E0710", "n-grams of texts are not supported")
    check_rank(x, 1, 2)
    flat = x if x.rank == 2 else e.reshape(x, (1, x.shape[0]))
    flat = numbers.cast(flat, INT64)
    columns = c.ints("ngram_indexes") or ()
    width = max(columns, default=-1) + 1
    if not columns or min(columns) < 0 or width > 1 << 20:
        raise refuse("E0707", "the ngram_indexes")
    e.budget.check_window(c.int("max_skip_count") + 1)
    out = e.full(0.0, (flat.shape[0], Dim.const(width)), FLOAT)
    for grams, places in _grams(c, pool, columns):
        counted = _counted(c, flat, grams)
        if counted is not None:
            at = e.array(np.array(places), INT64)
            out = e.emit("scatter_add", out, at, counted, axis=1, in_bounds=True)
    weights = c.floats("weights")
    mode = c.choice("mode", ("TF", "IDF", "TFIDF"))
    if mode == "IDF":
        out = out.op("min", 1.0)
    if mode != "TF" and weights:
        if len(weights) != len(columns):
            raise refuse("E0707", f"{len(weights)} weights for {len(columns)} n-grams")
        by_column = np.zeros(width, np.float32)
        by_column[list(columns)] = weights
        out = out * e.array(by_column, FLOAT)
    return out if x.rank == 2 else e.reshape(out, (width,))


def _grams(
    c: Call, pool: tuple[int, ...], columns: tuple[int, ...]
) -> Iterator[tuple[Array, list[int]]]:
    """For each length that counts, its n-grams and the columns that they are counted in."""
    starts = (*(c.ints("ngram_counts") or ()), len(pool))
    number = 0
    for n in range(1, len(starts)):
        first, last = starts[n - 1], starts[n]
        if not 0 <= first <= last <= len(pool) or (last - first) % n:
            raise refuse("E0707", "the ngram_counts")
        count = (last - first) // n
        if count and c.int("min_gram_length") <= n <= c.int("max_gram_length"):
            yield (
                np.array(pool[first:last]).reshape(count, n),
                list(columns[number : number + count]),
            )
        number += count


def _counted(c: Call, x: Tensor, grams: Array) -> Tensor | None:
    """How often each n-gram stands in each row."""
    e, (count, n) = c.e, grams.shape
    total: Tensor | None = None
    for step in range(1, 2 if n == 1 else c.int("max_skip_count") + 2):
        left = x.shape[1] - (n - 1) * step
        if left.is_constant and left.constant <= 0:
            break
        if not left.is_constant:
            left = e.to_dim(e.dim(left).op("max", 0))
        hit: Tensor | None = None
        for k in range(n):
            part = e.reshape(e.slice(x, 1, k * step, left), (x.shape[0], left, 1))
            same = part.equals(e.array(grams[:, k].reshape(1, 1, count), INT64))
            hit = same if hit is None else hit.op("and", same)
        assert hit is not None
        found = e.reduce("sum", numbers.cast(hit, FLOAT), (1,))
        total = found if total is None else total + found
    return total


# -- boxes


def _non_max_suppression(c: Call) -> Tensor:
    """The best boxes of every batch and class that don't overlap with better ones. One loop over
    the boxes in the order of their scores, for all batches and classes at once."""
    boxes, scores, e = c.tensor(0), c.tensor(1), c.e
    if boxes.rank != 3 or scores.rank != 3:
        raise refuse("E0707", f"NonMaxSuppression of {boxes} with {scores}")
    batch, classes, count = scores.shape
    limit = _number(c, 2, INT64, 0)
    overlap = _number(c, 3, FLOAT, 0.0)
    corners = _corners(boxes, c.int("center_point_box", 0) == 1)
    values, order = e.emit_many("sort", scores, elements=(FLOAT, INT32), axis=2, descending=True)
    at = numbers.cast(order, INT64)
    row = e.reshape(e.iota(batch), (batch, 1, 1)) * e.dim(count)
    sorted_corners = [
        e.emit("take", e.reshape(t, (batch * count,)), at + row, axis=0, in_bounds=True)
        for t in corners
    ]
    able = e.full(True, scores.shape, BOOLEAN)
    if c.has(4):
        able = values > _number(c, 4, FLOAT, 0.0)
    kept = _suppressed(sorted_corners, able, overlap, limit)
    # Kept boxes in the order batch, class, score.
    size = batch * classes * count
    where = positions(e.reshape(kept, (size,)))
    box = e.emit("take", e.reshape(at, (size,)), where, axis=0, in_bounds=True)
    n = where.shape[0]
    lead = where.op("floordiv", e.dim(count).op("max", 1))
    b, k = (lead.op(f, e.dim(classes).op("max", 1)) for f in ("floordiv", "mod"))
    return e.concat([e.reshape(t, (n, 1)) for t in (b, k, box)], 1)


def _number(c: Call, i: int, element: Element, default: float) -> Tensor:
    t = c.optional(i)
    if t is None:
        return c.e.scalar(default, element)
    return numbers.cast(c.e.reshape(t, ()), element)


def _corners(boxes: Tensor, by_centre: bool) -> list[Tensor]:
    """The least and largest y and x of every box: four tensors [batch, count]."""
    e = boxes.e
    t = [e.reshape(e.slice(boxes, 2, k, 1), boxes.shape[:2]) for k in range(4)]
    if by_centre:
        x, y, w, h = t
        return [y - h * 0.5, x - w * 0.5, y + h * 0.5, x + w * 0.5]
    y0, x0, y1, x1 = t
    return [y0.op("min", y1), x0.op("min", x1), y0.op("max", y1), x0.op("max", x1)]


def _suppressed(corners: list[Tensor], able: Tensor, overlap: Tensor, limit: Tensor) -> Tensor:
    """Which boxes (sorted by score, on the last axis) are kept."""
    e = able.e
    batch, classes, count = able.shape
    values = [e.value(t) for t in (*corners, able)]
    lo, hi = e.b.scalar(0, INT64.storage), e.b.dim(count, INT64.storage)
    none = e.value(e.full(False, able.shape, BOOLEAN))
    chosen = e.value(e.full(0, (batch, classes), INT64))
    most, edge = e.value(limit), e.value(overlap)
    with e.region([lo.tensor, none.tensor, chosen.tensor], ["i", "kept", "chosen"]) as b:
        i = e.tensor(b.params[0], INT64)
        kept, number = e.tensor(b.params[1], BOOLEAN), e.tensor(b.params[2], INT64)
        y0, x0, y1, x1 = (e.tensor(v, FLOAT) for v in values[:4])
        mine = [_at(t, i) for t in (y0, x0, y1, x1)]
        high = (y1.op("min", mine[2]) - y0.op("max", mine[0])).op("max", 0.0)
        wide = (x1.op("min", mine[3]) - x0.op("max", mine[1])).op("max", 0.0)
        common = high * wide
        area = (y1 - y0) * (x1 - x0)
        own = (mine[2] - mine[0]) * (mine[3] - mine[1])
        union = area + own - common
        ratio = (union > 0.0).choose(common / union, 0.0)
        bad = (ratio > e.tensor(edge, FLOAT)).op("and", kept)
        clear = e.reduce("any", bad, (2,)).op("not")
        able_i = e.reshape(_at(e.tensor(values[4], BOOLEAN), i), (batch, classes))
        take = clear.op("and", able_i).op("and", number < e.tensor(most, INT64))
        here = e.reshape(e.iota(count).equals(i), (1, 1, count))
        new = kept.op("or", here.op("and", e.reshape(take, (batch, classes, 1))))
        body = e.yield_region(new, number + numbers.cast(take, INT64))
    out, _ = e.b.for_(lo, hi, [none, chosen], body)
    return e.tensor(out, BOOLEAN)


def _at(t: Tensor, i: Tensor) -> Tensor:
    return t.e.emit("slice", t, i, axis=2, size=1, in_bounds=True)


# -- ai.onnx.ml


def _binarizer(c: Call) -> Tensor:
    x = c.tensor(0)
    return numbers.cast(numbers.compare("gt", x, x.like(c.float("threshold", 0.0))), x.element)


def _feature_extractor(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if x.rank == 1:
        x = e.reshape(x, (1, x.shape[0]))
    index = numbers.cast(c.tensor(1), INT64)
    size = ONE
    for d in index.shape:
        size = size * d
    return e.emit("take", x, e.reshape(index, (size,)), axis=x.rank - 1)


def _scaler(c: Call) -> Tensor:
    x, e = numbers.cast(c.tensor(0), FLOAT), c.e
    offset, scale = (e.array(np.array(c.floats(n) or d, np.float32), FLOAT)
                     for n, d in (("offset", (0.0,)), ("scale", (1.0,))))  # fmt: skip
    return (x - offset) * scale


OPERATORS: tuple[Operator, ...] = (
    Operator("TfIdfVectorizer", (9,), _tf_idf),
    Operator("NonMaxSuppression", (10, 11), _non_max_suppression),
    Operator("Binarizer", (1,), _binarizer, ML),
    Operator("ArrayFeatureExtractor", (1,), _feature_extractor, ML),
    Operator("Scaler", (1,), _scaler, ML),
)
