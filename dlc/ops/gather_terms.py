"""Index arithmetic that gradients and batching rules emit: flattened axes, batched gathers."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.ir.core import Value
from dlc.ops import term
from dlc.ops.card import Batched, Batching, Emitter, Rows, Same
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.types import TensorType


def product(dims: Sequence[Dim]) -> Dim:
    """The number of elements of a shape."""
    n = ONE
    for d in dims:
        n = n * d
    return n


def reshape(e: Emitter, x: Value, shape: Sequence[Dim]) -> Value:
    """`x` in another shape; nothing is emitted if it has it."""
    shape = tuple(shape)
    return x if x.tensor.shape == shape else e.emit("reshape", x, shape=shape)


def transpose(e: Emitter, x: Value, perm: Sequence[int]) -> Value:
    """`x` with its axes in another order; nothing is emitted for the same order."""
    perm = tuple(perm)
    return x if perm == tuple(range(len(perm))) else e.emit("transpose", x, perm=perm)


def move_axis(e: Emitter, x: Value, source: int, target: int) -> Value:
    """`x` with one axis moved, the others in their order."""
    rest = [a for a in range(x.tensor.rank) if a != source]
    rest.insert(target, source)
    return transpose(e, x, rest)


def broadcast(e: Emitter, x: Value, shape: Sequence[Dim]) -> Value:
    """`x` stretched to the shape (aligned right); nothing is emitted if it has it."""
    shape = tuple(shape)
    return x if x.tensor.shape == shape else e.emit("broadcast", x, shape=shape)


def spread(e: Emitter, x: Value, shape: Sequence[Dim], axes: Sequence[int]) -> Value:
    """A tensor of the shape whose axes `axes` are those of `x`, in order, and which repeats along
    the others."""
    full = [ONE] * len(shape)
    for a, d in zip(axes, x.tensor.shape, strict=True):
        full[a] = d
    return broadcast(e, reshape(e, x, full), shape)


def row_numbers(e: Emitter, index: Value, rows: Dim, bound: Dim) -> Value:
    """`index[r, …] + r * bound`: indices into the flattened first two axes of `[rows, bound,
    …]`."""
    t = index.tensor
    step = e.emit("mul", e.emit("iota", size=rows, dtype=t.dtype),
                  broadcast(e, term.dim(e, bound, t.dtype), (rows,)))  # fmt: skip
    return e.emit("add", index, spread(e, step, t.shape, (0,)))


def merge_first(e: Emitter, x: Value) -> Value:
    """`x` with its first two axes made one."""
    a, b, *rest = x.tensor.shape
    return reshape(e, x, (a * b, *rest))


def linear_index(e: Emitter, indices: Sequence[Value], shape: Sequence[Dim]) -> Value:
    """The position in row-major order of the element at `indices` (all of one shape)."""
    out = indices[0]
    for i, d in zip(indices[1:], shape[1:], strict=True):
        size = broadcast(e, term.dim(e, d, out.tensor.dtype), out.tensor.shape)
        out = e.emit("add", e.emit("mul", out, size), i)
    return out


def flatten_last(x: TensorType, axis: int) -> tuple[Dim, Dim]:
    """Number of rows and length of the rows along `axis`, as dims."""
    return product([d for a, d in enumerate(x.shape) if a != axis]), x.shape[axis]


def rows_along(e: Emitter, x: Value, axis: int) -> Value:
    """`x` as a matrix whose rows run along `axis`."""
    last = move_axis(e, x, axis, x.tensor.rank - 1)
    return reshape(e, last, flatten_last(x.tensor, axis))


def from_rows(e: Emitter, m: Value, like: TensorType, axis: int) -> Value:
    """The inverse of `rows_along` for a tensor of the shape of `like` (its `axis` as long as m's
    rows)."""
    rest = [d for a, d in enumerate(like.shape) if a != axis]
    x = reshape(e, m, (*rest, m.tensor.shape[1]))
    return move_axis(e, x, len(rest), axis)


def batched_take(b: Batching, x: Batched, index: Batched, t: TensorType, axis: int) -> Batched:
    """`take` along `axis` of a table of type `t` (without rows), by indices that are known to be
    right."""
    if isinstance(index, Same):
        if isinstance(x, Same):
            return Same(b.emit("take", x.value, index.value, axis=axis, in_bounds=True))
        return Rows(b.emit("take", x.value, index.value, axis=axis + 1, in_bounds=True))
    j = index.value.tensor.rank - 1
    if isinstance(x, Same):
        y = b.emit("take", x.value, index.value, axis=axis, in_bounds=True)
        return Rows(move_axis(b, y, axis, 0))
    # Rows of both: the table's rows become one long axis, and the indices count along it.
    front = move_axis(b, x.value, axis + 1, 1)
    at = row_numbers(b, index.value, b.rows, t.shape[axis])
    y = b.emit("take", merge_first(b, front), at, axis=0, in_bounds=True)
    # Axes of y: rows, j of the index, then x's without `axis`; x's first `axis` ones go in front of
    # j.
    perm = (0, *(1 + j + a for a in range(axis)), *range(1, 1 + j))
    return Rows(transpose(b, y, (*perm, *range(1 + j + axis, y.tensor.rank))))
