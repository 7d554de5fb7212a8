"""softmax and its relatives, norms, order and search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dlc.ir.core import Value
from dlc.lower.builtins.given import Builtin, Given
from dlc.lower.builtins.numbers import column_of, shift_of
from dlc.lower.reductions import reduce
from dlc.lower.scope import Leaves
from dlc.ops.build import Builder


def _all_axes(x: Value) -> tuple[int, ...]:
    return tuple(range(x.tensor.rank))


def softmax(b: Builder, x: Value) -> Value:
    """`exp(x - m) / sum(exp(x - m))` over the last axis, m the largest element; 1 of a scalar."""
    if not x.tensor.rank:
        return b.full(1, x.tensor)
    e = b.emit("exp", _shifted(b, x))
    total = reduce(b, "sum", e, (x.tensor.rank - 1,))
    return b.emit("div", e, column_of(b, total, x.tensor))


def log_softmax(b: Builder, x: Value) -> Value:
    """`x - m - log(sum(exp(x - m)))` over the last axis. A scalar gives 0."""
    if not x.tensor.rank:
        return b.full(0, x.tensor)
    d = _shifted(b, x)
    total = reduce(b, "sum", b.emit("exp", d), (x.tensor.rank - 1,))
    return b.emit("sub", d, column_of(b, b.emit("log", total), x.tensor))


def _shifted(b: Builder, x: Value) -> Value:
    m = shift_of(b, reduce(b, "max", x, (x.tensor.rank - 1,)))
    return b.emit("sub", x, column_of(b, m, x.tensor))


def logsumexp(b: Builder, x: Value) -> Value:
    """`m + log(sum(exp(x - m)))` over all elements; -inf of nothing."""
    axes = _all_axes(x)
    m = shift_of(b, reduce(b, "max", x, axes))
    e = b.emit("exp", b.emit("sub", x, column_of(b, m, x.tensor)))
    return b.emit("add", m, b.emit("log", reduce(b, "sum", e, axes)))


def norm(b: Builder, x: Value) -> Value:
    """`sqrt(sum(x * x))`, with derivative 0 where it is 0."""
    s = reduce(b, "sum", b.emit("mul", x, x), _all_axes(x))
    positive = b.emit("gt", s, b.full(0, s.tensor))
    # The root is taken of 1 where the sum is 0: its slope there is infinite, even times 0.
    root = b.emit("sqrt", b.emit("select", positive, s, b.full(1, s.tensor)))
    return b.emit("select", positive, root, s)


def _of_one(f: Callable[[Builder, Value], Value]) -> Builtin:
    def call(g: Given) -> Leaves:
        return (f(g.b, g.one(0)),)

    return call


def _cumsum(g: Given) -> Leaves:
    return (g.b.emit("cumsum", g.one(0), axis=0),)


def _sort(g: Given) -> Leaves:
    return g.b.emit_many("sort", g.one(0), axis=0, descending=True)


def _top_k(g: Given) -> Leaves:
    return g.b.emit_many("top_k", g.one(0), k=g.dim("k"), axis=0)


def _nonzero_indices(g: Given) -> Leaves:
    names = tuple(here for _, here in g.call.born)
    return g.b.emit_op("nonzero_indices", (g.one(0),), {}, (), names).results


def _searchsorted(g: Given) -> Leaves:
    return (g.b.emit("searchsorted", *g.xs),)


REDUCTIONS: Mapping[str, Builtin] = MappingProxyType(
    {
        "softmax": _of_one(softmax),
        "log_softmax": _of_one(log_softmax),
        "logsumexp": _of_one(logsumexp),
        "norm": _of_one(norm),
        "cumsum": _cumsum,
        "sort": _sort,
        "top_k": _top_k,
        "nonzero_indices": _nonzero_indices,
        "searchsorted": _searchsorted,
    }
)
