"""A simulated memory: one array of bytes with given storage outside, the arena, and guards between.

Fresh frames, released heap and destinations are poisoned, so that a read of what nobody wrote shows
as NaN, as -1, or as an address that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.ir.core import AdtDecl, Constructor
from dlc.memory.frame import (
    CELL,
    LIST_HEADER,
    chunk_start,
    element_layout,
    field_offset,
    record_bytes,
    round_up,
)
from dlc.ops.card import RunError
from dlc.ops.values import AdtValue, ListValue
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType
from dlc.typesys.types import ListType, TensorType, Type, substitute_type

POISON = 0xFF
GUARD = 0xA5
_EDGE = 4096
Env = Mapping[str, int]


class Memory:
    """Bytes by address. The arena has frames from its start up and the heap from its end down."""

    def __init__(self, given: int, arena: int, types: Mapping[str, AdtDecl]) -> None:
        self.types = types
        arena = round_up(arena)
        self.arena = _EDGE + round_up(given) + _EDGE
        self.end = self.arena + arena
        self.bytes = np.full(self.end + _EDGE, POISON, np.uint8)
        for edge in (0, self.arena - _EDGE, self.end):
            self.bytes[edge : edge + _EDGE] = GUARD
        self.next_given = _EDGE
        self.top, self.heap = self.arena, self.end
        self.peak = 0
        self.singletons: dict[tuple[str, str], int] = {}

    # -- room

    def given(self, size: int) -> int:
        """Storage outside the arena: parameters, results, constant data."""
        at, self.next_given = self.next_given, self.next_given + round_up(max(size, 1))
        if self.next_given > self.arena - _EDGE:
            raise InternalError("no room for given storage", stage="memory")
        return at

    def raise_top(self, to: int) -> None:
        """Frames reach up to the address."""
        self.top = to
        self._meet()

    def poison(self, at: int, size: int) -> None:
        self.bytes[at : at + size] = POISON

    def allocate(self, size: int) -> int:
        """Fresh heap storage: poisoned, a multiple of the block."""
        self.heap -= round_up(size)
        self._meet()
        self.poison(self.heap, round_up(size))
        return self.heap

    def release(self, to: int) -> None:
        if to < self.heap:
            raise InternalError("release of what is not allocated", stage="memory")
        self.poison(self.heap, to - self.heap)
        self.heap = to

    def _meet(self) -> None:
        used = (self.top - self.arena) + (self.end - self.heap)
        if self.top > self.heap:
            raise RunError("arena", "the arena is too small", self.end - self.arena, used)
        self.peak = max(self.peak, used)

    def guards_hold(self) -> bool:
        edges = (0, self.arena - _EDGE, self.end)
        return all(bool((self.bytes[e : e + _EDGE] == GUARD).all()) for e in edges)

    # -- elements

    def array(
        self, at: int, d: DType, shape: tuple[int, ...], strides: tuple[int, ...] | None = None
    ) -> np.ndarray[Any, Any]:
        """The elements at an address, as an array that writes through; strides in elements."""
        step = None if strides is None else tuple(s * d.bytes for s in strides)
        if not 0 <= at < len(self.bytes):
            raise InternalError(f"address {at} is nowhere", stage="memory")
        return np.ndarray(shape, d.numpy, self.bytes.data, at, step)

    def load(self, at: int, d: DType) -> Any:
        return self.array(at, d, ())[()]

    def store(self, at: int, d: DType, x: Any) -> None:
        self.array(at, d, ())[()] = np.asarray(x).astype(d.numpy, casting="unsafe")

    def cell(self, at: int) -> int:
        return int(self.load(at, I64))

    def set_cell(self, at: int, x: int) -> None:
        self.store(at, I64, x)

    # -- lists: `[length][chunk addresses…]`

    def new_list(self) -> int:
        at = self.allocate(LIST_HEADER)
        self.set_cell(at, 0)
        return at

    def clear(self, l: int, size: int) -> None:
        """Makes the list empty; its chunks stay, their bytes are nobody's."""
        for i in range(self.cell(l)):
            self.poison(self._slot(l, i, size), size)
        self.set_cell(l, 0)

    def list_length(self, l: int) -> int:
        return self.cell(l)

    def element(self, l: int, i: int, size: int) -> int:
        """The address of element i, which exists."""
        if not 0 <= i < self.cell(l):
            raise InternalError(f"element {i} of a list of {self.cell(l)}", stage="memory")
        return self._slot(l, i, size)

    def _slot(self, l: int, i: int, size: int) -> int:
        k = 0
        while chunk_start(k + 1) <= i:
            k += 1
        return self.cell(l + CELL * (1 + k)) + (i - chunk_start(k)) * size

    def push(self, l: int, size: int) -> int:
        """The address of one more element; a new chunk where the last one is full."""
        n = self.cell(l)
        k = 0
        while chunk_start(k + 1) <= n:
            k += 1
        if n == chunk_start(k) and self.cell(l + CELL * (1 + k)) == _NO_CHUNK:
            chunk = self.allocate(4 * 2**k * size)
            self.set_cell(l + CELL * (1 + k), chunk)
        self.set_cell(l, n + 1)
        at = self._slot(l, n, size)
        self.poison(at, size)
        return at

    def drop(self, l: int) -> None:
        n = self.cell(l)
        if n <= 0:
            raise RunError("bounds", "pop of an empty list", 0, 0)
        self.set_cell(l, n - 1)

    def copy_list(self, l: int, size: int) -> int:
        to = self.new_list()
        self.append(to, l, size)
        return to

    def append(self, to: int, l: int, size: int) -> None:
        """Appends copies of a list's elements to another list."""
        for i in range(self.cell(l)):
            source = self._slot(l, i, size)
            at = self.push(to, size)
            self.bytes[at : at + size] = self.bytes[source : source + size]

    # -- records: `[tag][hidden dims…][fields…]`

    def record(self, t: AdtDecl, c: Constructor, dims: tuple[int, ...]) -> int:
        """A new record with its tag and dims; constructors without fields have one for all."""
        size = record_bytes(c)
        if not size:
            at = self.singletons.get((t.name, c.name))
            if at is None:
                at = self.singletons[t.name, c.name] = self.given(CELL)
                self.set_cell(at, t.tag(c.name))
            return at
        at = self.allocate(size)
        self.set_cell(at, t.tag(c.name))
        for k, d in enumerate(dims):
            self.set_cell(at + CELL * (1 + k), d)
        return at


_NO_CHUNK = int(np.frombuffer(bytes([POISON] * 8), np.int64)[0])


def sizes(dims: tuple[Dim, ...], env: Env) -> tuple[int, ...]:
    return tuple(d.evaluate(env) for d in dims)


def closed(t: Type, env: Env) -> Type:
    """The type with numbers for dims."""
    return substitute_type(t, {k: Dim.const(n) for k, n in env.items()})


def layout(t: ListType) -> tuple[list[int], int]:
    """Column offsets and size of an element of a closed type."""
    offsets, size = element_layout(t)
    return [o.constant for o in offsets], size.constant


# -- values of the evaluator into memory, and back; types are closed


def put_value(m: Memory, v: Any, t: Type) -> int:
    """Writes a tensor, a list or an algebraic value, and gives its address."""
    if isinstance(t, TensorType):
        at = m.allocate(max(1, t.dtype.bytes * t.size.constant))
        m.array(at, t.dtype, sizes(t.shape, {}))[...] = v
        return at
    if isinstance(t, ListType):
        offsets, size = layout(t)
        assert isinstance(v, ListValue)
        l = m.new_list()
        for element in v:
            parts = [_part(m, x, c) for x, c in zip(element, t.columns, strict=True)]
            at = m.push(l, size)
            for o, c, x in zip(offsets, t.columns, parts, strict=True):
                _write(m, at + o, x, c)
        return l
    assert isinstance(v, AdtValue)
    decl = m.types[t.name]
    c = decl.constructor(v.constructor)
    types = decl.field_types(t, c.name, tuple(map(Dim.const, v.dims)))
    parts = [_part(m, x, ft) for x, ft in zip(v.fields, types, strict=True)]
    at = m.record(decl, c, v.dims)
    for i, (x, ft) in enumerate(zip(parts, types, strict=True)):
        to = at + field_offset(c, i)
        if isinstance(ft, TensorType) and not ft.rank:
            m.store(to, ft.dtype, x)
        else:
            m.set_cell(to, x)
    return at


def _part(m: Memory, v: Any, t: Type) -> Any:
    """What a field holds: a scalar itself, the address of anything else."""
    return v if isinstance(t, TensorType) and not t.rank else put_value(m, v, t)


def _write(m: Memory, at: int, x: Any, t: Type) -> None:
    """A list's column: tensors by value."""
    if not isinstance(t, TensorType):
        m.set_cell(at, x)
    elif not t.rank:
        m.store(at, t.dtype, x)
    else:
        shape = sizes(t.shape, {})
        m.array(at, t.dtype, shape)[...] = m.array(x, t.dtype, shape)


def get_value(m: Memory, at: int, t: Type) -> Any:
    """The evaluator's value of what is at an address (the address of a scalar's cell, too)."""
    if isinstance(t, TensorType):
        return np.array(m.array(at, t.dtype, sizes(t.shape, {})))[()]
    if isinstance(t, ListType):
        offsets, size = layout(t)
        rows: list[tuple[Any, ...]] = []
        for i in range(m.list_length(at)):
            e = m.element(at, i, size)
            places = [
                e + o if isinstance(c, TensorType) else m.cell(e + o)
                for o, c in zip(offsets, t.columns, strict=True)
            ]
            columns = zip(places, t.columns, strict=True)
            rows.append(tuple(get_value(m, a, c) for a, c in columns))
        return ListValue(rows)
    decl = m.types[t.name]
    c = decl.constructors[m.cell(at)]
    dims = tuple(m.cell(at + CELL * (1 + k)) for k in range(len(c.dims)))
    fields: list[Any] = []
    for i, ft in enumerate(decl.field_types(t, c.name, tuple(map(Dim.const, dims)))):
        cell = at + field_offset(c, i)
        scalar = isinstance(ft, TensorType) and not ft.rank
        fields.append(get_value(m, cell if scalar else m.cell(cell), ft))
    return AdtValue(c.name, tuple(fields), dims)
