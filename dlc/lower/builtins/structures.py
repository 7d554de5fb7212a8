"""Graphs, segments and sparse vectors. Their index tensors are checked when they are made, so what
follows needs no checks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlc.ir.core import Value
from dlc.lower.builtins.given import Builtin, Given
from dlc.lower.builtins.numbers import lowest, ratio_rows, shift_of
from dlc.lower.scope import Leaves
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import TensorType

# -- graphs


def _graph(g: Given) -> Leaves:
    src, dst = g.leaves[-2][0], g.leaves[-1][0]
    nodes = g.dim("nodes")
    g.b.emit_many("check_indices", src, bound=nodes)
    g.b.emit_many("check_indices", dst, bound=nodes)
    return (src, dst)


def _arcs(g: Given) -> Leaves:
    return g.leaves[0]


def _reversed(g: Given) -> Leaves:
    src, dst = g.leaves[0]
    return (dst, src)


def _degree(end: int) -> Builtin:
    def call(g: Given) -> Leaves:
        return (_count(g.b, g.leaves[0][end], g.graph().nodes),)

    return call


def _count(b: Builder, ends: Value, nodes: Dim) -> Value:
    """How often each node occurs."""
    none = b.full(0, TensorType(I32, (nodes,)))
    return _scatter(b, "scatter_add", none, ends, b.full(1, ends.tensor))


def _scatter(b: Builder, name: str, x: Value, index: Value, v: Value) -> Value:
    return b.emit(name, x, index, v, axis=0, in_bounds=True)


def _rows(b: Builder, x: Value, index: Value) -> Value:
    return b.emit("take", x, index, axis=0, in_bounds=True)


def _at(end: int) -> Builtin:
    def call(g: Given) -> Leaves:
        return (_rows(g.b, g.one(1), g.leaves[0][end]),)

    return call


def _into(g: Given, kind: str) -> Value:
    """Arc data combined at the node where the arcs end."""
    x = g.one(1)
    t = TensorType(x.tensor.dtype, (g.graph().nodes, *x.tensor.shape[1:]))
    start = 0 if kind == "add" else lowest(t.dtype)
    return _scatter(g.b, f"scatter_{kind}", g.b.full(start, t), g.leaves[0][1], x)


def _sum_in(g: Given) -> Leaves:
    return (_into(g, "add"),)


def _max_in(g: Given) -> Leaves:
    return (_into(g, "max"),)


def _mean_in(g: Given) -> Leaves:
    """0 at a node without arcs."""
    count = _count(g.b, g.leaves[0][1], g.graph().nodes)
    return (ratio_rows(g.b, _into(g, "add"), count),)


def _softmax_in(g: Given) -> Leaves:
    """`exp(x[a] - m) / sum(exp(x[c] - m))` over the arcs c that end where a does."""
    b, x, dst = g.b, g.one(1), g.leaves[0][1]
    m = shift_of(b, _into(g, "max"))
    e = b.emit("exp", b.emit("sub", x, _rows(b, m, dst)))
    total = _scatter(b, "scatter_add", b.full(0, m.tensor), dst, e)
    return (b.emit("div", e, _rows(b, total, dst)),)


# -- segments


def _segs(g: Given) -> Leaves:
    """`starts[r]` is the sum of the sizes before r; sizes that don't add up end the program."""
    sizes = g.one(0)
    first = g.b.full(0, TensorType(I32, (Dim.const(1),)))
    starts = g.b.emit("concat", first, g.b.emit("cumsum", sizes, axis=0), axis=0)
    g.b.emit_many("check_segments", starts, items=g.dim("items"))
    return g.s.conform((starts,), g.call.type)


def _sizes(g: Given) -> Leaves:
    return (_sizes_of(g.b, g.leaves[0][0], g.segs().rows),)


def _sizes_of(b: Builder, starts: Value, rows: Dim) -> Value:
    low = b.emit("slice", starts, b.dim(0), axis=0, size=rows, in_bounds=True)
    high = b.emit("slice", starts, b.dim(1), axis=0, size=rows, in_bounds=True)
    return b.emit("sub", high, low)


def _row_of(g: Given) -> Leaves:
    return (_owners(g),)


def _owners(g: Given) -> Value:
    return g.b.emit("row_of", g.leaves[0][0], items=g.segs().items)


def _to_items(g: Given) -> Leaves:
    return (_rows(g.b, g.one(1), _owners(g)),)


def _reduced(g: Given, kind: str) -> Value:
    y = g.b.emit("segment_reduce", g.one(1), g.leaves[0][0], kind=kind)
    shape = (g.segs().rows, *y.tensor.shape[1:])
    t = TensorType(y.tensor.dtype, shape)
    return y if y.type == t else g.b.emit_typed("retype", t, y)


def _sum_segs(g: Given) -> Leaves:
    return (_reduced(g, "sum"),)


def _max_segs(g: Given) -> Leaves:
    return (_reduced(g, "max"),)


def _mean_segs(g: Given) -> Leaves:
    """0 of an empty segment."""
    sizes = _sizes_of(g.b, g.leaves[0][0], g.segs().rows)
    return (ratio_rows(g.b, _reduced(g, "sum"), sizes),)


def _softmax_segs(g: Given) -> Leaves:
    """A softmax over the items of each segment."""
    b, x, owners = g.b, g.one(1), _owners(g)
    m = shift_of(b, _reduced(g, "max"))
    e = b.emit("exp", b.emit("sub", x, _rows(b, m, owners)))
    total = b.emit("segment_reduce", e, g.leaves[0][0], kind="sum")
    return (b.emit("div", e, _rows(b, total, owners)),)


def _seg_range(g: Given) -> Leaves:
    """First item of a row, and the first after it."""
    starts, row = g.leaves[0][0], g.one(1)
    # The row is checked against the rows, one fewer than there are starts.
    rows = g.b.emit("slice", starts, g.b.dim(0), axis=0, size=g.segs().rows, in_bounds=True)
    low = g.b.emit("index", rows, row)
    high = g.b.emit("index", starts, g.b.emit("add", row, g.b.dim(1)), in_bounds=True)
    return (low, high)


# -- sparse vectors


def _nonzero(g: Given) -> Leaves:
    x = g.one(0)
    indices = g.b.emit("nonzero_indices", g.b.emit("ne", x, g.b.full(0, x.tensor)))
    return (indices, _rows(g.b, x, indices))


def _sparse(g: Given) -> Leaves:
    """Sorted by index; values of one index are added wherever the vector is used."""
    indices, values = g.leaves[0][0], g.leaves[1][0]
    g.b.emit_many("check_indices", indices, bound=g.dim("n"))
    ascending, order = g.b.emit_many("sort", indices, axis=0)
    return (ascending, _rows(g.b, values, order))


def _dense(g: Given) -> Leaves:
    indices, values = g.leaves[0]
    return (_scatter(g.b, "scatter_add", g.b.full(0, g.result), indices, values),)


def _active(g: Given) -> Leaves:
    """The indices and values; their number gets the name that the call gives it."""
    indices, values = g.leaves[0]
    for _, here in g.call.born:
        count = g.b.dim(indices.tensor.shape[0])
        g.b.emit_op("as_dim", (count,), {}, (), (here,))
    return g.s.conform((indices, values), g.call.type)


STRUCTURES: Mapping[str, Builtin] = MappingProxyType(
    {
        "graph": _graph,
        "arcs": _arcs,
        "reversed": _reversed,
        "in_degree": _degree(1),
        "out_degree": _degree(0),
        "at_src": _at(0),
        "at_dst": _at(1),
        "sum_in": _sum_in,
        "mean_in": _mean_in,
        "max_in": _max_in,
        "softmax_in": _softmax_in,
        "segs": _segs,
        "sizes": _sizes,
        "row_of": _row_of,
        "to_items": _to_items,
        "sum_segs": _sum_segs,
        "mean_segs": _mean_segs,
        "max_segs": _max_segs,
        "softmax_segs": _softmax_segs,
        "seg_range": _seg_range,
        "nonzero": _nonzero,
        "sparse": _sparse,
        "dense": _dense,
        "active": _active,
    }
)
