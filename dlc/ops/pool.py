"""Pools: the largest or the mean element of every window, and their transposes."""

from __future__ import annotations

from itertools import product
from typing import Any

from dlc.ir.core import Attr, Op, Value
from dlc.ops import gather_terms as gt
from dlc.ops import term
from dlc.ops.card import Batched, Batching, Card, CardError, Emitter, Gradient, Rows, Run, Site
from dlc.ops.numeric import COMPLEX, finish, maximum, np, real, widen
from dlc.ops.reduce import identity, winners
from dlc.ops.term import Term
from dlc.ops.windows import Windows, windows_at, windows_of
from dlc.typesys.dtypes import BOOL, I32
from dlc.typesys.types import TensorType, Type

ATTRIBUTES = ("kind", "size", "strides?", "pads?", "count_pad?")


def pool_type(site: Site, x: TensorType) -> TensorType:
    """The type of `pool x`."""
    wins, size = windows_at(site, x.rank - 2), site.attr_ints("size")
    kind = site.attr_str("kind", ("max", "mean"))
    site.attr_flag("count_pad")
    if len(size) != x.rank - 2 or any(n < 1 for n in size) or not x.dtype.is_number:
        raise CardError(f"`{site.name}` of {x} by windows of {list(size)}")
    if kind == "mean" and not x.dtype.is_float:
        raise CardError(f"`{site.name}` of kind mean takes floats, not {x}")
    spatial = [wins.count(s, k, a) for a, (s, k) in enumerate(zip(x.shape[2:], size, strict=True))]
    return x.with_shape((*x.shape[:2], *spatial))


def _counts(op: Op, wins: Windows, x: Any, out: tuple[int, ...]) -> Any:
    """How many elements each window averages over; at least 1, so that nothing over nothing is
    0."""
    size = op.attr_ints("size")
    if op.attr_flag("count_pad"):
        return np.full(out, int(np.prod(size)))
    inside = wins.pad(np.ones((1, 1, *x.shape[2:]), np.int64), 0)
    n = np.zeros((1, 1, *out), np.int64)
    for _, see in wins.offsets(size, out):
        n += inside[see]
    return np.maximum(n, 1)


def _largest(wins: Windows, size: tuple[int, ...], x: Any, out: tuple[int, ...], low: Any) -> Any:
    """The largest element of every window; the first of equals."""
    padded = wins.pad(x, low)
    y = np.full((*x.shape[:2], *out), low, x.dtype)
    for _, see in wins.offsets(size, out):
        y = maximum(y, padded[see])
    return y


class Pool(Card):
    """The largest element, or the mean, of every window of `size`; padding doesn't take part.

    With `count_pad` the mean counts the padding, as zeros. A window with no element gives the
    lowest finite number, or the mean 0."""

    name, operands, attributes = "pool", ("x",), ATTRIBUTES
    source = "ONNX MaxPool-12, AveragePool-11"

    def infer(self, site: Site) -> tuple[Type, ...]:
        return (pool_type(site, site.tensor(0)),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        op, x, d = run.op, widen(args[0]), run.op.result.tensor.dtype
        wins, size, out = windows_of(op), op.attr_ints("size"), run.shape()[2:]
        if op.attr_str("kind") == "max":
            return (finish(_largest(wins, size, x, out, identity("max", d)), d),)
        y, padded = np.zeros((*x.shape[:2], *out), x.dtype), wins.pad(x, 0)
        for _, see in wins.offsets(size, out):
            y += padded[see]
        return (finish((y / _counts(op, wins, x, out)).astype(y.dtype), d),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is not None:
            g.add(x, lambda: g.emit("pool_grad", x, dy, **op.attrs))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        y = b.emit("pool", gt.merge_first(b, xs[0].value), **op.attrs)
        return (Rows(gt.reshape(b, y, (b.rows, *op.result.tensor.shape))),)


class PoolGrad(Card):
    """The cotangent of `pool`'s operand: of a mean an equal share to each element of the window, of
    a largest element all to the first winner in row-major order."""

    name, operands, attributes = "pool_grad", ("x", "dy"), ATTRIBUTES

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, dy = site.tensor(0), site.tensor(1)
        if pool_type(site, x) != dy:
            raise CardError(f"`pool_grad` of {dy} to {x}")
        return (x,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        op, (x, dy) = run.op, map(widen, args)
        wins, size, out = windows_of(op), op.attr_ints("size"), dy.shape[2:]
        dx = wins.pad(np.zeros(x.shape, COMPLEX if COMPLEX in (x.dtype, dy.dtype) else x.dtype), 0)
        if op.attr_str("kind") == "mean":
            share = (dy / _counts(op, wins, x, out)).astype(dx.dtype)
            for _, see in wins.offsets(size, out):
                dx[see] += share
        else:
            for see, hit in self._hits(op, wins, real(x), out):
                dx[see] += np.where(hit, dy, np.zeros((), dy.dtype))
        return (finish(wins.crop(dx), op.result.tensor.dtype),)

    def _hits(self, op: Op, wins: Windows, x: Any, out: tuple[int, ...]) -> Any:
        """For each position in the window, where it is the winner."""
        size, low = op.attr_ints("size"), identity("max", op.result.tensor.dtype)
        y, padded = _largest(wins, size, x, out, low), wins.pad(x, low)
        inside = wins.pad(np.ones(x.shape, bool), False)
        taken = np.zeros(y.shape, bool)
        for _, see in wins.offsets(size, out):
            v = padded[see]
            hit = ((v == y) | (np.isnan(v) & np.isnan(y))) & inside[see] & ~taken
            taken |= hit
            yield see, hit

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (d_dx,), (_, dy) = d, op.operands
        if d_dx is None:
            return
        if op.attr_str("kind") == "mean":
            g.add(dy, lambda: g.emit("pool", d_dx, **op.attrs))
        else:
            g.add(dy, lambda: _pick(g, op, d_dx))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        x, dy = (gt.merge_first(b, b.full(x)) for x in xs)
        dx = b.emit("pool_grad", x, dy, **op.attrs)
        return (Rows(gt.reshape(b, dx, (b.rows, *op.result.tensor.shape))),)


def _pick(g: Gradient, op: Op, v: Value) -> Value:
    """`v` at the first winner of every window of x: window position by window position."""
    x, dy = op.operands
    wins, size = windows_of(op), op.attr_ints("size")
    padded_x = _padded(g, wins, x, identity("max", x.tensor.dtype))
    padded_v = _padded(g, wins, v, 0)
    within = term.full(g, True, x.tensor.with_dtype(BOOL))
    inside = _padded(g, wins, within, False)
    y = Term(g, g.emit("pool", x, **op.attrs))
    picked = Term(g, term.zero(g, dy))
    taken = Term(g, term.full(g, False, dy.tensor.with_dtype(BOOL)))
    for at in product(*map(range, size)):
        here = winners(_window(g, wins, padded_x, dy, at), y)
        hit = here.op("and", _window(g, wins, inside, dy, at)).op("and", taken.op("not"))
        picked = hit.choose(_window(g, wins, padded_v, dy, at), picked)
        taken = taken.op("or", hit)
    return picked.v


def _padded(e: Emitter, wins: Windows, x: Value, value: float | int | bool) -> Value:
    for a, (lo, hi) in enumerate(zip(wins.low, wins.high, strict=True), 2):
        if lo or hi:
            t = x.tensor
            wide = t.with_shape((*t.shape[:a], t.shape[a] + lo + hi, *t.shape[a + 1 :]))
            start = term.scalar(e, lo, I32)
            base = term.full(e, value, wide)
            x = e.emit("insert_slice", base, x, start, axis=a, in_bounds=True)
    return x


def _window(e: Emitter, wins: Windows, x: Value, like: Value, at: tuple[int, ...]) -> Term:
    for a, (k, s) in enumerate(zip(at, wins.strides, strict=True), 2):
        attrs: dict[str, Attr] = {"axis": a, "size": like.tensor.shape[a], "step": s}
        x = e.emit("slice", x, term.scalar(e, k, I32), in_bounds=True, **attrs)
    return Term(e, x)


CARDS: tuple[Card, ...] = (Pool(), PoolGrad())
