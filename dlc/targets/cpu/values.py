"""Lists and algebraic values as the flat arrays of the raw entry (see `schema`), and back.

Nothing recurses: a value may be as deep as memory allows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.ops.values import AdtValue, ListValue
from dlc.targets.cpu.schema import Child, Items, Leaf, Part, Schema, Shape, own_leaves
from dlc.typesys.types import AdtType, ListType

Array = np.ndarray[Any, Any]


class ValueRecord(ctypes.Structure):
    """`dlc_value` of the C interface."""

    _fields_ = (
        ("length", ctypes.c_int64),
        ("nodes", ctypes.c_int64),
        ("tags", ctypes.c_void_p),
        ("n_children", ctypes.c_int64),
        ("children", ctypes.c_void_p),
        ("root", ctypes.c_int64),
        ("columns", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class Flat:
    """A value as arrays. `record` points into them, so keep this as long as it is used."""

    record: ValueRecord
    tags: Array
    children: Array
    columns: tuple[Array, ...]
    rows: Array
    addresses: Array

    @staticmethod
    def of(
        length: int,
        root: int,
        tags: Array,
        children: Array,
        columns: tuple[Array, ...],
        rows: Array,
    ) -> Flat:
        addresses = np.array([c.ctypes.data for c in columns] or [0], np.uint64)
        record = ValueRecord(
            length, len(tags), tags.ctypes.data, len(children), children.ctypes.data, root,
            addresses.ctypes.data, rows.ctypes.data,
        )  # fmt: skip
        return Flat(record, tags, children, columns, rows, addresses)


def columns_of(schema: Schema, t: AdtType | ListType) -> tuple[Leaf, ...]:
    """The columns of a value of the type: its own if it is a list, then the module's."""
    own = own_leaves(t)[1] if isinstance(t, ListType) else ()
    return (*own, *schema.leaves)


# -- encoding -------------------------------------------------------------------------------------


def encode(schema: Schema, t: AdtType | ListType, value: Any) -> Flat:
    """The arrays of an `AdtValue` or `ListValue`."""
    return _Encoder(schema, t).encode(value)


class _Encoder:
    def __init__(self, schema: Schema, t: AdtType | ListType) -> None:
        self.schema, self.t = schema, t
        self.items, own = own_leaves(t) if isinstance(t, ListType) else (None, ())
        self.own = len(own)
        self.leaves = (*own, *schema.leaves)
        self.rows: list[list[Any]] = [[] for _ in self.leaves]
        self.tags: list[int] = []
        self.children: list[int] = []
        self.by_name = {(s.type.name, s.constructor.name): s for s in schema.shapes}

    def encode(self, value: Any) -> Flat:
        finished: list[int] = []
        if self.items is None:
            assert isinstance(self.t, AdtType)
            self._nodes([(self.t.name, value)], finished)
            length, root = -1, finished[0]
        else:
            self._nodes(list(_inside(self.items, value)), finished)
            length, root = len(value), -1
            numbers = iter(finished)
            for element in value:
                for c, x in zip(self.items.columns, element, strict=True):
                    self._part(c, x, 0, numbers)
        return self._flat(length, root)

    def _flat(self, length: int, root: int) -> Flat:
        columns: list[Array] = []
        counts: list[int] = []
        for leaf, rows in zip(self.leaves, self.rows, strict=True):
            if leaf.is_scalar:
                column = np.array(rows, leaf.dtype.numpy)
            else:
                flat = [np.ascontiguousarray(x, leaf.dtype.numpy).ravel() for x in rows]
                column = np.concatenate(flat) if flat else np.empty(0, leaf.dtype.numpy)
            columns.append(column)
            counts.append(len(column) if leaf.varies else len(rows))
        tags, children = (np.array(x, np.int32) for x in (self.tags, self.children))
        return Flat.of(
            length, root, tags, children, tuple(columns), np.array(counts or [0], np.int64)
        )

    def _nodes(self, roots: list[tuple[str, AdtValue]], finished: list[int]) -> None:
        """Number all nodes below the roots, in post-order; the roots' numbers go to `finished`."""
        work: list[tuple[Shape, AdtValue, bool]] = []

        def push(items: list[tuple[str, AdtValue]]) -> None:
            for name, v in reversed(items):
                work.append((self.by_name[name, v.constructor], v, False))

        push(roots)
        while work:
            shape, v, done = work.pop()
            below = [
                x
                for part, field in zip(shape.fields, v.fields, strict=True)
                for x in _inside(part, field)
            ]
            if not done:
                work.append((shape, v, True))
                push(below)
                continue
            count = len(below)
            numbers = iter(finished[len(finished) - count :])
            self.tags.append(shape.tag)
            for leaf, n in zip(shape.dims, v.dims, strict=True):
                self.rows[leaf.number + self.own].append(n)
            for part, field in zip(shape.fields, v.fields, strict=True):
                self._part(part, field, self.own, numbers)
            del finished[len(finished) - count :]
            finished.append(len(self.tags) - 1)

    def _part(self, part: Part, x: Any, offset: int, numbers: Any) -> None:
        if isinstance(part, Leaf):
            self.rows[part.number + offset].append(x)
        elif isinstance(part, Child):
            self.children.append(next(numbers))
        else:
            self.children.append(len(x))
            for element in x:
                for c, y in zip(part.columns, element, strict=True):
                    self._part(c, y, offset, numbers)


def _inside(part: Part, x: Any) -> list[tuple[str, AdtValue]]:
    """The algebraic values right inside a field."""
    if isinstance(part, Child):
        return [(part.type.name, x)]
    if isinstance(part, Items) and part.has_children:
        return [
            y
            for element in x
            for c, field in zip(part.columns, element, strict=True)
            for y in _inside(c, field)
        ]
    return []


# -- decoding -------------------------------------------------------------------------------------


def room_for(schema: Schema, t: AdtType | ListType, env: Mapping[str, int], count: int) -> Flat:
    """Arrays for a result of at most `count` nodes, children and rows of each column."""
    sizes = _Sizes(schema, t, env)
    columns: list[Array] = []
    rows: list[int] = []
    for leaf, size in zip(columns_of(schema, t), sizes.rows, strict=True):
        columns.append(np.empty(count * size, leaf.dtype.numpy))
        rows.append(count)
    tags, children = np.empty(count, np.int32), np.empty(count, np.int32)
    return Flat.of(0, 0, tags, children, tuple(columns), np.array(rows or [0], np.int64))


class _Sizes:
    """Dims of the types inside a result, and the elements of a row of each column."""

    def __init__(self, schema: Schema, t: AdtType | ListType, env: Mapping[str, int]) -> None:
        bound = schema.bindings(t)
        self.env: dict[str, dict[str, int]] = {}
        for name, decl in schema.types.items():
            dims = bound.get(name)
            values = [0] * len(decl.dims) if dims is None else [d.evaluate(env) for d in dims]
            self.env[name] = dict(zip(decl.dims, values, strict=True))
        own = own_leaves(t)[1] if isinstance(t, ListType) else ()
        self.rows = [leaf.size.evaluate(env) for leaf in own]
        for s in schema.shapes:
            self.rows += [1 for _ in s.dims]
            for part in s.fields:
                for leaf in _leaves(part):
                    size = 1 if leaf.varies else leaf.size.evaluate(self.env[s.type.name])
                    self.rows.append(size)


def _leaves(part: Part) -> list[Leaf]:
    if isinstance(part, Items):
        return [leaf for c in part.columns for leaf in _leaves(c)]
    return [part] if isinstance(part, Leaf) else []


def decode(schema: Schema, t: AdtType | ListType, flat: Flat, env: Mapping[str, int]) -> Any:
    """The `AdtValue` or `ListValue` of the arrays that a call has filled."""
    return _Decoder(schema, t, flat, env).decode()


class _Decoder:
    def __init__(
        self, schema: Schema, t: AdtType | ListType, flat: Flat, env: Mapping[str, int]
    ) -> None:
        self.schema, self.flat, self.env = schema, flat, env
        self.items, own = own_leaves(t) if isinstance(t, ListType) else (None, ())
        self.own = len(own)
        self.sizes = _Sizes(schema, t, env)
        self.cursors = [0] * (self.own + len(schema.leaves))
        self.child = 0
        self.nodes: list[AdtValue] = []

    def decode(self) -> Any:
        r = self.flat.record
        for i in range(r.nodes):
            shape = self.schema.shapes[int(self.flat.tags[i])]
            env: Mapping[str, int] = self.sizes.env[shape.type.name]
            dims: tuple[int, ...] = ()
            if shape.dims:
                dims = tuple(int(self._leaf(leaf, self.own, env)) for leaf in shape.dims)
                env = {**env, **dict(zip(shape.constructor.dims, dims, strict=True))}
            fields = tuple(self._part(p, self.own, env) for p in shape.fields)
            self.nodes.append(AdtValue(shape.constructor.name, fields, dims))
        if self.items is None:
            return self.nodes[int(r.root)]
        return self._items(self.items, int(r.length), 0, self.env)

    def _leaf(self, leaf: Leaf, offset: int, env: Mapping[str, int]) -> Any:
        number = leaf.number + offset
        at = self.cursors[number]
        column = self.flat.columns[number]
        if leaf.is_scalar:
            self.cursors[number] = at + 1
            return column[at]
        shape = tuple(d.evaluate(env) for d in leaf.shape)
        size = int(np.prod(shape, dtype=np.int64))
        first = at if leaf.varies else at * size
        self.cursors[number] = at + (size if leaf.varies else 1)
        return column[first : first + size].reshape(shape).copy()

    def _next_child(self) -> int:
        self.child += 1
        return int(self.flat.children[self.child - 1])

    def _part(self, part: Part, offset: int, env: Mapping[str, int]) -> Any:
        if isinstance(part, Leaf):
            return self._leaf(part, offset, env)
        if isinstance(part, Child):
            return self.nodes[self._next_child()]
        return self._items(part, self._next_child(), offset, env)

    def _items(self, items: Items, n: int, offset: int, env: Mapping[str, int]) -> ListValue:
        return ListValue(
            [tuple(self._part(c, offset, env) for c in items.columns) for _ in range(n)]
        )
