"""The C structs that structures cross the entry in, and dims of types while they do."""

from __future__ import annotations

from collections.abc import Mapping

from dlc.targets.cpu.emit.dims import constant
from dlc.targets.cpu.llvm import INDEX, Builder, Value
from dlc.targets.cpu.schema import Schema
from dlc.typesys.dims import Dim

VALUE = "{ i64, i64, ptr, i64, ptr, i64, ptr, ptr }"
"""`dlc_value`: length (-1 for an algebraic value), nodes, tags, number of children, children, root,
columns, rows of each column."""

LENGTH, NODES, TAGS, CHILD_COUNT, CHILDREN, ROOT, COLUMNS, ROWS = range(8)


def member(f: Builder, struct: str, base: Value, at: int) -> Value:
    """Address of a member of a struct."""
    return f.let("ptr", f"getelementptr {struct}, {base}, i32 0, i32 {at}")


class TypeDims:
    """Dims of the module's types, in an array of i64: for each type in order, its dims in order."""

    def __init__(self, schema: Schema) -> None:
        self._at: dict[tuple[str, str], int] = {}
        for t in schema.types.values():
            for d in t.dims:
                self._at[t.name, d] = len(self._at)

    @property
    def count(self) -> int:
        return len(self._at)

    def store(
        self,
        f: Builder,
        array: Value,
        schema: Schema,
        bound: Mapping[str, tuple[Dim, ...]],
        values: Mapping[Dim, Value],
    ) -> None:
        """Fill the array; a type that does not occur has dims 0."""
        for t in schema.types.values():
            dims = bound.get(t.name)
            for i, d in enumerate(t.dims):
                x = constant(0) if dims is None else values[dims[i]]
                f.store(x, f.gep(INDEX, array, self._at[t.name, d]))

    def load(self, f: Builder, array: Value, type_: str, dim: str) -> Value:
        return f.load(INDEX, f.gep(INDEX, array, self._at[type_, dim]))
