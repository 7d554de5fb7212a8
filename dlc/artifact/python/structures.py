"""Graphs, segments, sparse vectors and rows as Python values.

They only hold arrays of the right type; whether the numbers in them make sense is checked by the
call that takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

Array = np.ndarray[Any, Any]


def index_array(what: str, given: Any) -> Array:
    """A dense array of i32. Raises TypeError, ValueError for what is none."""
    x = np.asarray(given)
    if x.ndim != 1:
        raise ValueError(f"{what} must have one axis, not {x.ndim}")
    if x.size and x.dtype.kind not in "iu":
        raise TypeError(f"{what} must hold whole numbers, not {x.dtype}")
    if x.dtype != np.int32 and x.size:
        low, high = int(x.min()), int(x.max())
        if low < -(2**31) or high >= 2**31:
            raise ValueError(f"{what} holds a number out of range")
    return np.ascontiguousarray(x, np.int32)


class Graph:
    """A directed graph: arc i goes from `src[i]` to `dst[i]`; `nodes` nodes are numbered from 0.

    Raises TypeError, ValueError, for arcs that lead to no node as well."""

    __slots__ = ("dst", "nodes", "src")

    def __init__(self, src: Any, dst: Any, nodes: int) -> None:
        if np.ndim(src) == 0 or np.ndim(dst) == 0 or np.ndim(nodes):
            raise TypeError("a graph is dlc.Graph(src, dst, nodes): two arrays, then a number")
        self.src, self.dst = index_array("src", src), index_array("dst", dst)
        if len(self.src) != len(self.dst):
            message = f"src has {len(self.src)} arcs, dst has {len(self.dst)}"
            raise ValueError(message)
        self.nodes = _count("nodes", nodes)
        for name, ends in (("src", self.src), ("dst", self.dst)):
            wrong = np.flatnonzero((ends < 0) | (ends >= self.nodes))
            if wrong.size:
                i = int(wrong[0])
                raise ValueError(f"{name}[{i}] is {ends[i]}, but there are {self.nodes} nodes")

    @property
    def arcs(self) -> int:
        return len(self.src)

    def __repr__(self) -> str:
        return f"Graph({self.nodes} nodes, {self.arcs} {'arc' if self.arcs == 1 else 'arcs'})"


class Segs:
    """Consecutive items cut into rows of the given lengths."""

    __slots__ = ("starts",)

    def __init__(self, lengths: Any) -> None:
        given = index_array("lengths", lengths)
        if given.size and int(given.min()) < 0:
            raise ValueError("lengths holds a negative number")
        starts = np.zeros(len(given) + 1, np.int64)
        np.cumsum(given, out=starts[1:])
        if starts[-1] >= 2**31:
            raise ValueError("lengths add up to too many items")
        self.starts = starts.astype(np.int32)

    @classmethod
    def from_starts(cls, starts: Any) -> Segs:
        """Row r holds the items from `starts[r]` up to `starts[r + 1]`."""
        out = cls.__new__(cls)
        out.starts = index_array("starts", starts)
        if not len(out.starts):
            raise ValueError("starts is empty: even no rows have one start")
        return out

    @property
    def lengths(self) -> Array:
        return np.diff(self.starts)

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    @property
    def items(self) -> int:
        return int(self.starts[-1])

    def __repr__(self) -> str:
        return f"Segs({self.rows} rows, {self.items} items)"


class Sparse:
    """The active units of a vector of `size`, and their values."""

    __slots__ = ("indices", "size", "values")

    def __init__(self, indices: Any, values: Any, size: int) -> None:
        self.indices = index_array("indices", indices)
        self.values = np.ascontiguousarray(values)
        if self.values.shape != self.indices.shape:
            message = f"{len(self.indices)} indices, but values of shape {self.values.shape}"
            raise ValueError(message)
        self.size = _count("size", size)

    @classmethod
    def from_dense(cls, x: Any) -> Sparse:
        """The units of a vector that are not 0."""
        dense = np.asarray(x)
        if dense.ndim != 1:
            raise ValueError(f"a vector has one axis, not {dense.ndim}")
        at = np.flatnonzero(dense)
        return cls(at, dense[at], len(dense))

    def dense(self) -> Array:
        """The vector with its zeros."""
        out = np.zeros(self.size, self.values.dtype)
        out[self.indices] = self.values
        return out

    def __repr__(self) -> str:
        return f"Sparse({len(self.indices)} of {self.size})"


class Rows:
    """Some rows of a table: `for row, vector in rows`, or `indices, values = rows.arrays`.

    `count` is the number of rows of the whole table; None where it is not known."""

    __slots__ = ("count", "indices", "values")

    def __init__(self, indices: Any, values: Any, count: int | None = None) -> None:
        self.indices = index_array("indices", indices)
        self.values = np.ascontiguousarray(values)
        if self.values.ndim != 2 or len(self.values) != len(self.indices):
            message = f"{len(self.indices)} indices, but values of shape {self.values.shape}"
            raise ValueError(message)
        self.count = None if count is None else _count("count", count)

    @property
    def arrays(self) -> tuple[Array, Array]:
        return self.indices, self.values

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[int, Array]]:
        numbers = cast("list[int]", self.indices.tolist())
        return iter(zip(numbers, list(self.values), strict=True))

    def __repr__(self) -> str:
        of = "" if self.count is None else f" of {self.count}"
        return f"Rows({len(self)}{of})"


def _count(what: str, n: Any) -> int:
    size = whole_number(what, n)
    if not 0 <= size < 2**31:
        raise ValueError(f"{what} is {size}, which is no size")
    return size


def whole_number(what: str, n: Any) -> int:
    """A whole number. Raises TypeError for what is none."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"{what} must be a whole number, not {type(n).__name__}")
    return int(cast(int, n))
