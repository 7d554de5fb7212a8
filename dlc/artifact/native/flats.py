"""Lists and algebraic values between the structs of the interface and those of the raw entries."""

from __future__ import annotations

from dlc.artifact.native.buffers import Buffers, product
from dlc.artifact.native.guard import NULL, Guard
from dlc.artifact.native.shown import Given
from dlc.targets.cpu.emit.structs import (
    CHILD_COUNT,
    CHILDREN,
    COLUMNS,
    LENGTH,
    NODES,
    ROOT,
    ROWS,
    TAGS,
    VALUE,
    member,
)
from dlc.targets.cpu.llvm import INDEX, Builder, Operand, Value


class FlatRecord:
    """The raw record (`dlc_value`) of an item, on the stack."""

    def __init__(self, f: Builder, given: Given, number: int) -> None:
        self.f, self.given, self.number = f, given, number
        item, _, flat = given.items[number]
        assert flat is not None
        self.item, self.flat = item, flat
        self.value = f.alloca(VALUE, 1, 8)
        self.columns = f.alloca("ptr", max(1, flat.total), 8)
        self.rows = f.alloca(INDEX, max(1, flat.total), 8)
        self._names = {m.name for m in given.carrier(number).members}

    def _set(self, at: int, x: Value) -> None:
        self.f.store(x, member(self.f, VALUE, self.value, at))

    def _get(self, name: str, default: Operand, type_: str = INDEX) -> Value:
        if name in self._names:
            return self.given.get(self.number, name, type_)
        return default if isinstance(default, Value) else self.f.index(int(default))

    def fill(self) -> Value:
        """Copies the item's members; the address of the record."""
        f, flat = self.f, self.flat
        if flat.is_list:
            self._set(LENGTH, self._get("length", 0))
            self._set(ROOT, f.index(-1))
        else:
            self._set(LENGTH, f.index(-1))
            self._set(ROOT, self._get("root", 0))
        self._set(NODES, self._get("nodes", 0))
        self._set(TAGS, self._get("tags", NULL, "ptr"))
        self._set(CHILD_COUNT, self._get("child_count", 0))
        self._set(CHILDREN, self._get("children", NULL, "ptr"))
        reached = {c.number: i for i, c in enumerate(flat.columns)}
        for number in range(flat.total):
            c = reached.get(number)
            data, rows = NULL, f.index(0)
            if c is not None:
                data = f.load("ptr", self.given.column(self.number, c, "data"))
                rows = self.given.rows(self.number, c)
            f.store(data, f.gep("ptr", self.columns, number))
            f.store(rows, f.gep(INDEX, self.rows, number))
        self._set(COLUMNS, self.columns)
        self._set(ROWS, self.rows)
        return self.value

    def take(self, row_dims: list[list[Value]]) -> None:
        """Copies the counts that a call has written back to the item; `row_dims` are the dims of
        each column's rows."""
        f, flat = self.f, self.flat
        wanted = [(NODES, "nodes"), (CHILD_COUNT, "child_count")]
        wanted.append((LENGTH, "length") if flat.is_list else (ROOT, "root"))
        for at, name in wanted:
            if name in self._names:
                x = f.load(INDEX, member(f, VALUE, self.value, at))
                f.store(x, self.given.part(self.number, name))
        for c, column in enumerate(flat.columns):
            n = f.load(INDEX, f.gep(INDEX, self.rows, column.number))
            f.store(n, self.given.column(self.number, c, "rows"))
            for axis, d in enumerate(row_dims[c]):
                f.store(d, f.gep(INDEX, self.given.column(self.number, c, "dims"), axis))


def flat_buffers(
    g: Guard,
    given: Given,
    number: int,
    buffers: Buffers,
    row_dims: list[list[Value]],
    *,
    written: bool = False,
) -> None:
    """The arrays of an item; `row_dims` are the dims of each column's rows."""
    f = given.f
    item, _, flat = given.items[number]
    assert flat is not None
    name = item.name or "result"
    arrays = (("tags", "nodes"), ("children", "child_count"))
    members = {m.name for m in given.carrier(number).members}
    for array, count in arrays:
        if array in members:
            address = given.get(number, array, "ptr")
            buffers.add(address, given.get(number, count), 4, f"{name}, {array}", written=written)
    for c, column in enumerate(flat.columns):
        text = f"{name}.{column.name}".rstrip(".")
        rows = given.rows(number, c)
        elements = product(g, [rows, *row_dims[c]], text)
        address = f.load("ptr", given.column(number, c, "data"))
        buffers.add(address, elements, column.dtype.bytes, text, written=written)


def given_row_dims(given: Given, number: int) -> list[list[Value]]:
    """The dims of each column's rows as the caller has filled them in."""
    f = given.f
    flat = given.items[number][2]
    assert flat is not None
    out: list[list[Value]] = []
    for c, column in enumerate(flat.columns):
        rank = 0 if column.varies else len(column.shape)
        out.append(
            [
                f.load(INDEX, f.gep(INDEX, given.column(number, c, "dims"), axis))
                for axis in range(rank)
            ]
        )
    return out
