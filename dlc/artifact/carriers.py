"""The C struct that carries each kind of item, made once for all items of one layout.

    input                                        output
    scalar   the value (a pointer if mut)        the value
    tensor   { data, dims[rank] }                { data, capacity, dims[rank] }
    graph    { nodes, arcs, src, dst }           { …, capacity }
    segs     { rows, starts }                    { …, capacity }
    sparse   { size, count, indices, values }    { …, capacity }
    list     { length, columns… }                the same, counts being capacities
    tree     { nodes, tags, child_count, children, root, columns… }

A list that holds lists has `child_count` and `children`, one that holds trees all of a tree's but
`root`. A column is { data, rows, dims[rank] }."""

from __future__ import annotations

from dlc.artifact.flat import Column, FlatType
from dlc.artifact.items import Item
from dlc.artifact.names import Scope, identifier
from dlc.artifact.structs import I64, Array, CType, Member, Pointer, Struct, element
from dlc.diag import InternalError
from dlc.typesys import surface
from dlc.typesys.dtypes import DType
from dlc.typesys.types import AdtType, ListType, TensorType, Type

_CHILDREN = (
    "those of each node, in the nodes' order",
    "those of each node in the nodes' order, then those of the list's elements",
)
CAPACITY = "elements that the buffers hold"


class Carriers:
    """Structs and constants made so far. Names come from `scope`."""

    def __init__(self, prefix: str, scope: Scope) -> None:
        self.prefix, self._scope = prefix, scope
        self._made: dict[tuple[object, ...], Struct] = {}
        self.tags: dict[str, int] = {}
        """Every constructor's constant, with its number."""
        self._tagged: dict[int, str] = {}

    @property
    def structs(self) -> tuple[Struct, ...]:
        """In an order in which each is declared before it is used."""
        return tuple(self._made.values())

    def input(self, x: Item, flat: FlatType | None) -> CType:
        if x.kind == "scalar":
            p = element(x.tensor.dtype)
            return Pointer(p.c, False) if x.mut else p
        if x.kind == "tensor":
            return self._tensor(x.tensor, "mut" if x.mut else "")
        return self._structure(x, flat, False)

    def output(self, x: Item, flat: FlatType | None) -> CType:
        if x.kind == "scalar":
            return element(x.tensor.dtype)
        if x.kind == "tensor":
            return self._tensor(x.tensor, "out")
        return self._structure(x, flat, True)

    def _structure(self, x: Item, flat: FlatType | None, out: bool) -> Struct:
        if x.kind == "graph":
            return self._graph(out)
        if x.kind == "segs":
            return self._segs(out)
        if x.kind == "sparse":
            return self._sparse(x, out)
        if flat is None:
            raise InternalError(f"no columns for `{x.name}`", stage="artifact")
        return self._flat(x, flat, out)

    def _struct(
        self, key: tuple[object, ...], parts: tuple[str, ...], members: list[Member], doc: str
    ) -> Struct:
        found = self._made.get(key)
        if found is None:
            name = self._scope.take(self.prefix, *parts)
            found = self._made[key] = Struct(name, tuple(members), doc)
        return found

    # -- tensors

    def _tensor(self, t: TensorType, how: str) -> Struct:
        d = t.dtype
        members = [Member("data", Pointer(element(d).c, not how))]
        if how == "out":
            members.append(Member("capacity", I64, CAPACITY))
        members.append(Member("dims", Array(I64, t.rank)))
        docs = {"": "", "mut": ", changed in place", "out": ", filled by the call"}
        doc = f"{d.name}, {t.rank} {'axis' if t.rank == 1 else 'axes'}, dense, row-major{docs[how]}"
        parts = tuple(p for p in (how, d.name, str(t.rank)) if p)
        return self._struct(("tensor", how, d.name, t.rank), parts, members, f"{doc}.")

    # -- structures with index tensors

    def _graph(self, out: bool) -> Struct:
        members = [
            Member("nodes", I64),
            Member("arcs", I64),
            *self._capacity(out),
            Member("src", Pointer("int32_t", not out), "node that each arc leaves"),
            Member("dst", Pointer("int32_t", not out), "node that it enters"),
        ]
        doc = "A directed graph: arcs in order, nodes numbered from 0."
        return self._struct(("graph", out), (*self._how(out), "graph"), members, doc)

    def _segs(self, out: bool) -> Struct:
        members = [
            Member("rows", I64),
            *self._capacity(out),
            Member("starts", Pointer("int32_t", not out), "rows + 1 of them, the first 0"),
        ]
        doc = "Consecutive items cut into rows: row r holds items starts[r] up to starts[r + 1]."
        return self._struct(("segs", out), (*self._how(out), "segs"), members, doc)

    def _sparse(self, x: Item, out: bool) -> Struct:
        assert isinstance(x.type, surface.Sparse)
        d = x.type.dtype
        assert isinstance(d, DType)
        members = [
            Member("size", I64, "units, active or not"),
            Member("count", I64, "active units"),
            *self._capacity(out),
            Member("indices", Pointer("int32_t", not out)),
            Member("values", Pointer(element(d).c, not out)),
        ]
        parts = (*self._how(out), "sparse", d.name)
        return self._struct(("sparse", out, d.name), parts, members, "Active units of a vector.")

    @staticmethod
    def _how(out: bool) -> tuple[str, ...]:
        return ("out",) if out else ()

    @staticmethod
    def _capacity(out: bool) -> tuple[Member, ...]:
        return (Member("capacity", I64, CAPACITY),) if out else ()

    # -- lists and algebraic values

    def _flat(self, x: Item, flat: FlatType, out: bool) -> Struct:
        rows = isinstance(x.type, surface.Rows)
        members: list[Member] = []
        if flat.is_list:
            members.append(Member("length", I64, "elements"))
        if rows:
            members.append(Member("count", I64, "rows of the whole table"))
        if flat.has_nodes:
            members += self._nodes(out)
        if flat.has_children:
            members.append(Member("child_count", I64))
            members.append(Member("children", Pointer("int32_t", not out), _CHILDREN[flat.is_list]))
        if not flat.is_list:
            members.append(Member("root", I64, "the value's node: nodes - 1"))
        self._constants(flat)
        names = Scope(tuple(m.name for m in members))
        for c in flat.columns:
            members.append(Member(names.take(*_column_name(c, rows)), self._column(c, out), c.name))
        shape = tuple((c.path, c.dtype.name, len(c.shape), c.varies) for c in flat.columns)
        key = ("flat", out, rows, str(_kind(flat.type)), shape)
        name = ("rows", flat.columns[-1].dtype.name) if rows else (_kind(flat.type),)
        doc = f"{x.type}."
        if out:
            doc += " Counts are capacities before the call; after E_SPACE they are what is needed."
        return self._struct(key, (*self._how(out), *name), members, doc)

    def _nodes(self, out: bool) -> list[Member]:
        return [
            Member("nodes", I64, "children come before their parents"),
            Member("tags", Pointer("int32_t", not out), "constructor of each node"),
        ]

    def _column(self, c: Column, out: bool) -> Struct:
        rank = 0 if c.varies else len(c.shape)
        members = [
            Member("data", Pointer(element(c.dtype).c, not out)),
            Member("rows", I64, "elements, all rows together" if c.varies else ""),
        ]
        if rank:
            members.append(Member("dims", Array(I64, rank), "of one row"))
        parts = (*self._how(out), "column", c.dtype.name, str(rank))
        doc = f"A column of {c.dtype.name}" + (f", {rank} axes a row." if rank else ".")
        return self._struct(("column", out, c.dtype.name, rank), parts, members, doc)

    def _constants(self, flat: FlatType) -> None:
        for tag in flat.tags:
            if tag.number not in self._tagged:
                name = self._scope.take(f"{self.prefix}_{tag.type}_{tag.constructor}".upper())
                self._tagged[tag.number] = name
                self.tags[name] = tag.number


def _column_name(c: Column, rows: bool) -> tuple[str, ...]:
    if rows:
        return ("index",) if c.path == ("0",) else ("values",)
    if not c.path:
        return ("items",)
    if c.path[0].isdigit():
        return ("items", *c.path)
    return c.path


def _kind(t: Type) -> str:
    """A name for the layout of a type: its dims left out."""
    if isinstance(t, TensorType):
        return f"{t.dtype}_{t.rank}" if t.rank else t.dtype.name
    if isinstance(t, ListType):
        return "list_" + "_".join(_kind(c) for c in t.columns)
    assert isinstance(t, AdtType)
    return identifier(t.name)
