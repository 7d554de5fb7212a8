"""Values of the evaluator in the machine's memory, and back. Nothing recurses: a tree may be as
deep as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dlc.ir.core import AdtDecl
from dlc.memory.frame import (
    CELL,
    LIST_CHUNKS,
    LIST_HEADER,
    chunk_start,
    element_layout,
    field_offset,
    record_bytes,
)
from dlc.ops.values import AdtValue, ListValue
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType
from dlc.typesys.types import AdtType, ListType, TensorType, Type, substitute_type

Bytes = npt.NDArray[np.uint8]
Types = Mapping[str, AdtDecl]


class Full(Exception):
    """The machine's heap has no room for an argument."""


def closed(t: Type, env: Mapping[str, int]) -> Type:
    """The type with numbers for dims."""
    return substitute_type(t, {k: Dim.const(n) for k, n in env.items()})


@dataclass
class Store:
    """A space as the host sees it: its bytes, the next free address, the end, and what addresses in
    it have above their bytes."""

    memory: Bytes
    at: int
    end: int
    tag: int = 0

    def take(self, size: int) -> int:
        """The address of fresh bytes, a multiple of 64."""
        at = self.at
        self.at += -(-max(size, 1) // 64) * 64
        if self.at > self.end:
            raise Full
        return at

    def array(self, at: int, dtype: DType, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The elements at an address; writes go through."""
        return np.ndarray(shape, dtype.numpy, self.memory.data, at)

    def put_tensor(self, x: Any, dtype: DType) -> int:
        a = np.asarray(x, dtype.numpy)
        at = self.take(a.nbytes)
        self.array(at, dtype, a.shape)[...] = a
        return at

    def __post_init__(self) -> None:
        self.words = self.memory[: len(self.memory) // CELL * CELL].view(np.int64)

    def cell(self, at: int) -> int:
        return int(self.words[at // CELL])

    def set_cell(self, at: int, x: int) -> None:
        self.words[at // CELL] = x


Fields = tuple[tuple[int, Type], ...]
"""Cell offset and closed type of every field of a record."""


@dataclass(frozen=True)
class _Record:
    """A record of one constructor: its tag, its bytes, its fields."""

    tag: int
    size: int
    fields: Fields


@dataclass(eq=False)
class _Layouts:
    """What the records of a module look like, worked out once for every closed type."""

    types: Types
    known: dict[Any, _Record] = field(default_factory=dict[Any, _Record])

    def record(self, t: AdtType, constructor: str, dims: tuple[int, ...]) -> _Record:
        key = t.name, t.dims, constructor, dims
        found = self.known.get(key)
        if found is None:
            decl = self.types[t.name]
            c = decl.constructor(constructor)
            types = decl.field_types(t, c.name, tuple(map(Dim.const, dims)))
            fields = tuple((field_offset(c, i), ft) for i, ft in enumerate(types))
            found = _Record(decl.tag(constructor), max(record_bytes(c), CELL), fields)
            self.known[key] = found
        return found


Job = tuple[Any, Type, int]
"""A value, its closed type, and the cell that gets it (a scalar) or its address."""


def put(store: Store, types: Types, value: Any, t: Type) -> int:
    """Writes a structure and gives its address."""
    root = store.take(CELL)
    layouts = _Layouts(types)
    work: list[Job] = [(value, t, root)]
    while work:
        v, t, cell = work.pop()
        if isinstance(t, TensorType):
            if t.rank:
                store.set_cell(cell, store.put_tensor(v, t.dtype))
            else:
                store.array(cell, t.dtype, ())[()] = v
        elif isinstance(t, ListType):
            store.set_cell(cell, _put_list(store, v, t, work))
        else:
            store.set_cell(cell, _put_record(store, layouts, v, t, work))
    return store.cell(root)


def _put_record(store: Store, layouts: _Layouts, v: AdtValue, t: AdtType, work: list[Job]) -> int:
    layout = layouts.record(t, v.constructor, v.dims)
    at = store.take(layout.size)
    store.set_cell(at, layout.tag)
    for k, n in enumerate(v.dims):
        store.set_cell(at + CELL * (1 + k), n)
    for x, (offset, ft) in zip(v.fields, layout.fields, strict=True):
        work.append((x, ft, at + offset))
    return at


def _put_list(store: Store, v: ListValue, t: ListType, work: list[Job]) -> int:
    offsets, size = _layout(t)
    at = store.take(LIST_HEADER)
    store.array(at, I64, (1 + LIST_CHUNKS,))[...] = -1
    store.set_cell(at, len(v))
    chunk = 0
    for i, element in enumerate(v):
        k = _chunk(i)
        if i == chunk_start(k):
            chunk = store.take(4 * 2**k * size)
            store.set_cell(at + CELL * (1 + k), chunk)
        to = chunk + (i - chunk_start(k)) * size
        for x, ct, o in zip(element, t.columns, offsets, strict=True):
            if isinstance(ct, TensorType):
                shape = tuple(d.constant for d in ct.shape)
                store.array(to + o, ct.dtype, shape)[...] = x
            else:
                work.append((x, ct, to + o))
    return at


def _layout(t: ListType) -> tuple[list[int], int]:
    offsets, size = element_layout(t)
    return [o.constant for o in offsets], size.constant


def _chunk(i: int) -> int:
    return (i + 4).bit_length() - 3


# -- reading


@dataclass
class _Node:
    """A value that is being read: its parts go to `parts`, then `make` gives the value to
    `target[index]`."""

    make: Callable[[list[Any]], Any]
    parts: list[Any]
    target: list[Any]
    index: int


def get(store: Store, types: Types, at: int, t: Type) -> Any:
    """The value of the structure (or tensor) at an address. Shared parts are read once."""
    out: list[Any] = [None]
    done: dict[int, Any] = {}
    layouts = _Layouts(types)
    work: list[tuple[int, Type, list[Any], int] | _Node] = [(at, t, out, 0)]
    while work:
        job = work.pop()
        if isinstance(job, _Node):
            job.target[job.index] = job.make(job.parts)
            continue
        at, t, target, index = job
        if isinstance(t, TensorType):
            shape = tuple(d.constant for d in t.shape)
            target[index] = np.array(store.array(at, t.dtype, shape))[()]
            continue
        if at in done:
            target[index] = done[at]
            continue
        node, parts = _open(store, layouts, at, t, target, index, done)
        work.append(node)
        work += parts
    return out[0]


def _open(
    store: Store, layouts: _Layouts, at: int, t: ListType | AdtType, target: list[Any], index: int,
    done: dict[int, Any],
) -> tuple[_Node, list[tuple[int, Type, list[Any], int]]]:  # fmt: skip
    def keep(value: Any) -> Any:
        done[at] = value
        return value

    if isinstance(t, ListType):
        offsets, size = _layout(t)
        n, width = store.cell(at), len(t.columns)
        places: list[tuple[int, Type]] = []
        for i in range(n):
            k = _chunk(i)
            e = store.cell(at + CELL * (1 + k)) + (i - chunk_start(k)) * size
            for o, ct in zip(offsets, t.columns, strict=True):
                places.append((e + o if isinstance(ct, TensorType) else store.cell(e + o), ct))

        def make_list(parts: list[Any]) -> Any:
            return keep(ListValue([tuple(parts[i * width : (i + 1) * width]) for i in range(n)]))

        make = make_list
    else:
        decl = layouts.types[t.name]
        c = decl.constructors[store.cell(at)]
        dims = tuple(store.cell(at + CELL * (1 + k)) for k in range(len(c.dims)))
        places = []
        for offset, ft in layouts.record(t, c.name, dims).fields:
            inline = isinstance(ft, TensorType) and not ft.rank
            places.append((at + offset if inline else store.cell(at + offset), ft))

        def make_record(parts: list[Any]) -> Any:
            return keep(AdtValue(c.name, tuple(parts), dims))

        make = make_record
    parts: list[Any] = [None] * len(places)
    jobs = [(a, x, parts, i) for i, (a, x) in enumerate(places)]
    return _Node(make, parts, target, index), jobs
