"""What the caller shows, as code: numbers in the struct that an entry is given."""

from __future__ import annotations

from dlc.artifact.border import ColumnExtent, Extent, Last, Number, Shown, Told
from dlc.artifact.capi import EntryApi
from dlc.artifact.flat import FlatType
from dlc.artifact.items import Item
from dlc.artifact.structs import Pointer, Struct
from dlc.diag import InternalError
from dlc.targets.cpu.emit.structs import member
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Value


class Given:
    """The struct at `base`: an entry's input or output. Loads are made where they are asked for."""

    def __init__(self, f: Builder, e: EntryApi, base: Value, output: bool = False) -> None:
        self.f, self.base = f, base
        self.struct = e.output if output else e.input
        border = e.border
        self.items: dict[int, tuple[Item, int, FlatType | None]] = {}
        if output:
            pairs = zip(border.outputs, e.out_members, strict=True)
            for i, (x, at) in enumerate(pairs):
                self.items[i] = (x, at, border.flats_out.get(i))
        else:
            for i, (x, at) in enumerate(zip(border.inputs, e.in_members, strict=True)):
                self.items[i] = (x, at, border.flats_in.get(i))

    def at(self, number: int) -> Value:
        """Address of an item's member."""
        return member(self.f, self.struct.llvm, self.base, self.items[number][1])

    def carrier(self, number: int) -> Struct:
        """The struct that carries an item which is no scalar."""
        t = self.struct.members[self.items[number][1]].type
        assert isinstance(t, Struct), f"member {number} is no struct"
        return t

    def part(self, number: int, name: str) -> Value:
        """Address of a member of an item's struct."""
        s = self.carrier(number)
        return member(self.f, s.llvm, self.at(number), s.index(name))

    def get(self, number: int, name: str, type_: str = INDEX) -> Value:
        return self.f.load(type_, self.part(number, name))

    def dim(self, number: int, axis: int) -> Value:
        """The length of an axis of a tensor."""
        return self.f.load(INDEX, self.f.gep(INDEX, self.part(number, "dims"), axis))

    # -- columns

    def column(self, number: int, c: int, name: str) -> Value:
        """Address of a member of a column's struct."""
        s = self.carrier(number)
        flat = self.items[number][2]
        assert flat is not None
        at = len(s.members) - len(flat.columns) + c
        inner = s.members[at].type
        assert isinstance(inner, Struct)
        base = member(self.f, s.llvm, self.at(number), at)
        return member(self.f, inner.llvm, base, inner.index(name))

    def rows(self, number: int, c: int) -> Value:
        return self.f.load(INDEX, self.column(number, c, "rows"))

    # -- scalars

    def scalar_address(self, number: int) -> Value:
        """Where a scalar lies: in the struct, or where the struct points to."""
        at = self.at(number)
        t = self.struct.members[self.items[number][1]].type
        return self.f.load("ptr", at) if isinstance(t, Pointer) else at

    def whole_number(self, number: int) -> Value:
        """The value of a whole-number scalar."""
        x = self.items[number][0]
        d = x.tensor.dtype
        raw = convert.load(self.f, d.name, self.scalar_address(number))
        assert not ELEMENTS[d.name].is_float
        return self.f.cast("sext" if d.signed else "zext", raw, INDEX)

    # -- mentions

    def show(self, at: Shown) -> Value:
        """The number that a mention is about."""
        f = self.f
        if isinstance(at, Number):
            return self.whole_number(at.item)
        if isinstance(at, Told):
            return self.get(at.item, at.what)
        if isinstance(at, Last):
            starts = self.get(at.item, "starts", "ptr")
            last = f.load("i32", f.gep("i32", starts, self.get(at.item, "rows")))
            return f.cast("sext", last, INDEX)
        if isinstance(at, ColumnExtent):
            return f.load(INDEX, f.gep(INDEX, self.column(at.item, at.column, "dims"), at.axis))
        return self._extent(at)

    def _extent(self, at: Extent) -> Value:
        kind = self.items[at.item][0].kind
        if kind == "tensor":
            return self.dim(at.item, at.axis)
        if kind == "graph":
            return self.get(at.item, "arcs")
        if kind == "segs":
            return self.f.add(self.get(at.item, "rows"), 1)
        if kind == "sparse":
            return self.get(at.item, "count")
        raise InternalError(f"no extent of a {kind}", stage="artifact")

    def is_shown(self, at: Shown) -> Value | None:
        """Whether the number says anything; None if it always does."""
        if isinstance(at, ColumnExtent):
            return self.f.icmp("sgt", self.rows(at.item, at.column), 0)
        return None
