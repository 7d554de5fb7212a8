"""The C structs of one call, filled from Python. A frame serves one call at a time."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from dlc.artifact.capi import ERROR_SIZE, Api, EntryApi
from dlc.artifact.flat import FlatType
from dlc.artifact.items import Item
from dlc.artifact.python.arena import FIRST, Arena
from dlc.artifact.python.arrays import Flat
from dlc.artifact.python.host import ItemValue
from dlc.artifact.structs import Member, Struct
from dlc.typesys.dtypes import DType

Array = np.ndarray[Any, Any]

_ERROR = struct.Struct("<IiIIqq64s")


def address(x: Array) -> int:
    """Where an array's data lies."""
    if x.flags.writeable and x.size and x.dtype.isbuiltin == 1:
        # Four times as fast as `x.ctypes.data`; types that numpy was taught (bf16) have no buffers.
        return ctypes.addressof(ctypes.c_char.from_buffer(cast(Any, x)))
    return int(x.ctypes.data)


class Buffer:
    """Bytes of a struct, at a fixed address."""

    def __init__(self, size: int) -> None:
        self.bytes = bytearray(-(-size // 8) * 8)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))
        self.words = memoryview(self.bytes).cast("q")

    def put(self, at: int, number: int) -> None:
        """A 64-bit number at a multiple of 8."""
        self.words[at >> 3] = number

    def get(self, at: int) -> int:
        return self.words[at >> 3]


class StructBuffer(Buffer):
    """A struct that begins with its size and the build."""

    def __init__(self, s: Struct, number: int) -> None:
        super().__init__(s.size)
        struct.pack_into("<II", self.bytes, 0, s.size, number)
        self.struct = s
        self._offsets: dict[tuple[int | str, ...], int] = {}

    def offset(self, member: int, *path: str) -> int:
        """Byte offset of a member, or of a member of the struct that it is."""
        found = self._offsets.get((member, *path))
        if found is None:
            found = self._offsets[member, *path] = self._offset(member, path)
        return found

    def _offset(self, member: int, path: tuple[str, ...]) -> int:
        m: Member = self.struct.members[member]
        at = self.struct.offsets[member]
        for name in path:
            assert isinstance(m.type, Struct)
            i = m.type.index(name)
            at += m.type.offsets[i]
            m = m.type.members[i]
        return at


class Frame:
    """Input, output, error record and arena of an entry."""

    def __init__(self, api: Api, e: EntryApi, arena: int = FIRST) -> None:
        self.e = e
        self.input = StructBuffer(e.input, api.number)
        self.output = StructBuffer(e.output, api.number)
        self.error = Buffer(ERROR_SIZE)
        struct.pack_into("<I", self.error.bytes, 0, ERROR_SIZE)
        self.words = Buffer(16)
        self.arena = Arena(arena)
        self.keep: list[Any] = []

    def failure(self) -> tuple[int, int, int, int, str]:
        """Line, column, got, want and text of the error record."""
        _, _, line, column, got, want, what = _ERROR.unpack_from(self.error.bytes)
        return line, column, got, want, what.split(b"\0", 1)[0].decode(errors="replace")

    # -- inputs

    def give(self, number: int, x: Item, v: ItemValue) -> None:
        """Fills in an input."""
        buffer, member = self.input, self.e.in_members[number]
        if x.kind == "scalar":
            a: Array = v.arrays[0]
            if x.mut:
                buffer.put(buffer.offset(member), self._pointer(a))
            else:
                at = buffer.offset(member)
                buffer.bytes[at : at + a.itemsize] = a.tobytes()
        elif x.kind == "tensor":
            a = v.arrays[0]
            buffer.put(buffer.offset(member, "data"), self._pointer(a))
            at = buffer.offset(member, "dims")
            for axis, n in enumerate(a.shape):
                buffer.put(at + 8 * axis, n)
        elif v.flat is not None:
            self._give_flat(member, x, v, self.e.border.flats_in[number])
        else:
            self._give_arrays(member, x, v)

    def _pointer(self, a: Array) -> int:
        self.keep.append(a)
        return address(a)

    def _give_arrays(self, member: int, x: Item, v: ItemValue) -> None:
        buffer = self.input

        def put(name: str, n: int) -> None:
            buffer.put(buffer.offset(member, name), n)

        if x.kind == "graph":
            put("nodes", v.extra)
            put("arcs", len(v.arrays[0]))
            put("src", self._pointer(v.arrays[0]))
            put("dst", self._pointer(v.arrays[1]))
        elif x.kind == "segs":
            put("rows", len(v.arrays[0]) - 1)
            put("starts", self._pointer(v.arrays[0]))
        else:
            put("size", v.extra)
            put("count", len(v.arrays[0]))
            put("indices", self._pointer(v.arrays[0]))
            put("values", self._pointer(v.arrays[1]))

    def _give_flat(self, member: int, x: Item, v: ItemValue, flat: FlatType) -> None:
        given = v.flat
        assert given is not None
        carrier = self.e.input.members[member].type
        assert isinstance(carrier, Struct)
        buffer = self.input
        numbers = {
            "length": given.length, "count": v.extra, "nodes": len(given.tags),
            "child_count": len(given.children), "root": given.root,
        }  # fmt: skip
        for m in carrier.members:
            if m.name in numbers:
                buffer.put(buffer.offset(member, m.name), numbers[m.name])
            elif m.name in ("tags", "children"):
                a = given.tags if m.name == "tags" else given.children
                buffer.put(buffer.offset(member, m.name), self._pointer(a))
        for c, m in zip(flat.columns, carrier.members[-len(flat.columns) :], strict=False):
            buffer.put(
                buffer.offset(member, m.name, "data"), self._pointer(given.columns[c.number])
            )
            buffer.put(buffer.offset(member, m.name, "rows"), given.rows[c.number])
            shape = given.row_shapes[c.number]
            for axis in range(0 if c.varies else len(c.shape)):
                at = buffer.offset(member, m.name, "dims")
                buffer.put(at + 8 * axis, 0 if shape is None else shape[axis])

    # -- outputs

    def room(self, member: int, a: Array, *names: str) -> None:
        """A buffer for an output's array, whose pointer is called `names`."""
        self.output.put(self.output.offset(member, *names), self._pointer(a))

    def number(self, member: int, *names: str) -> int:
        return self.output.get(self.output.offset(member, *names))

    def set_number(self, n: int, member: int, *names: str) -> None:
        self.output.put(self.output.offset(member, *names), n)

    def scalar(self, member: int, d: DType) -> Any:
        at = self.output.offset(member)
        return np.frombuffer(self.output.bytes, d.numpy, 1, at)[0].copy()


class FlatRoom:
    """Buffers for an output that is a list or an algebraic value, for `count` nodes, children and
    rows of each column."""

    def __init__(
        self, frame: Frame, member: int, flat: FlatType, total: int, env: Mapping[str, int]
    ) -> None:
        self.frame, self.member, self.flat, self.total = frame, member, flat, total
        carrier = frame.e.output.members[member].type
        assert isinstance(carrier, Struct)
        self.names = {m.name for m in carrier.members}
        self.columns = [m.name for m in carrier.members[len(carrier.members) - len(flat.columns) :]]
        self.sizes = [
            1 if c.varies else int(np.prod([d.evaluate(env) for d in c.shape], dtype=np.int64))
            for c in flat.columns
        ]
        self.tags = self.children = np.empty(0, np.int32)
        self.arrays: list[Array] = []

    def fill(self, count: int) -> None:
        frame, member = self.frame, self.member
        for array, number in (("tags", "nodes"), ("children", "child_count")):
            if array in self.names:
                a = np.empty(count, np.int32)
                frame.room(member, a, array)
                frame.set_number(count, member, number)
                setattr(self, array, a)
        self.arrays = []
        for name, c, size in zip(self.columns, self.flat.columns, self.sizes, strict=True):
            a = np.empty(count * size, c.dtype.numpy)
            frame.room(member, a, name, "data")
            frame.set_number(count, member, name, "rows")
            self.arrays.append(a)

    def take(self) -> Flat:
        frame, member = self.frame, self.member

        def count(name: str, default: int) -> int:
            return frame.number(member, name) if name in self.names else default

        columns: list[Array] = [np.empty(0, np.uint8)] * self.total
        rows = [0] * self.total
        by_number = {c.number: i for i, c in enumerate(self.flat.columns)}
        for number, i in by_number.items():
            n = frame.number(member, self.columns[i], "rows")
            rows[number] = n
            columns[number] = self.arrays[i][: n * self.sizes[i]]
        shapes = (None,) * self.total
        return Flat(
            count("length", -1), count("root", -1),
            self.tags[: count("nodes", 0)], self.children[: count("child_count", 0)],
            tuple(columns), tuple(rows), shapes,
        )  # fmt: skip
