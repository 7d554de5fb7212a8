"""How structures cross the raw entry as flat arrays: the numbering of tags and columns.

A value of an algebraic type is a forest: nodes in post-order, each with a tag, the module-wide
number of its constructor. `children` is consumed in node order; for each field in order, an
algebraic field takes one entry, its node; a list field takes its length, then for each element what
its columns take. Scalars and tensors lie in columns, one for every place where one can stand: for
each constructor in module order its hidden dims (as i64), then its fields, a list field having
the columns of its elements. A column is consumed in the same order as the nodes.

A list value has its own columns first, and takes its own children after all nodes. Rows of a column
have a fixed size, but where it depends on hidden dims: such a column is counted in elements.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from dlc.diag import CompileError, error
from dlc.ir.core import AdtDecl, Constructor
from dlc.memory.frame import tag_base
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType
from dlc.typesys.types import AdtType, ListType, TensorType, Type, substitute_type


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar or tensor, in column `number`. `varies`: its size depends on hidden dims, and rows
    are counted in elements."""

    number: int
    dtype: DType
    shape: tuple[Dim, ...]
    varies: bool = False

    @property
    def is_scalar(self) -> bool:
        return not self.shape

    @property
    def size(self) -> Dim:
        """Elements of a row."""
        return TensorType(self.dtype, self.shape).size


@dataclass(frozen=True, slots=True)
class Child:
    """A value of an algebraic type."""

    type: AdtType


@dataclass(frozen=True, slots=True)
class Items:
    """A list, and what its columns are."""

    type: ListType
    columns: tuple[Part, ...]

    @property
    def has_children(self) -> bool:
        """Whether elements take entries of `children`."""
        return any(not isinstance(c, Leaf) for c in self.columns)


Part = Leaf | Child | Items


@dataclass(frozen=True)
class Shape:
    """A constructor: its module-wide tag, the columns of its hidden dims, its fields."""

    type: AdtDecl
    constructor: Constructor
    tag: int
    local_tag: int
    dims: tuple[Leaf, ...]
    fields: tuple[Part, ...]


class _Numbering:
    def __init__(self) -> None:
        self.leaves: list[Leaf] = []

    def leaf(self, dtype: DType, shape: tuple[Dim, ...] = (), varies: bool = False) -> Leaf:
        made = Leaf(len(self.leaves), dtype, shape, varies)
        self.leaves.append(made)
        return made

    def part(self, t: Type, hidden: frozenset[str]) -> Part:
        if isinstance(t, TensorType):
            varies = any(n in hidden for n in t.size.symbols())
            return self.leaf(t.dtype, t.shape, varies)
        if isinstance(t, ListType):
            return Items(t, tuple(self.part(c, hidden) for c in t.columns))
        return Child(t)


@dataclass(frozen=True)
class Schema:
    """All constructors of a module in order, and the columns of their leaves."""

    types: Mapping[str, AdtDecl]
    shapes: tuple[Shape, ...]
    leaves: tuple[Leaf, ...]
    tag_base: Mapping[str, int]

    @staticmethod
    def of(types: Mapping[str, AdtDecl]) -> Schema:
        base = tag_base(types)
        numbering = _Numbering()
        shapes: list[Shape] = []
        for name, t in types.items():
            for i, c in enumerate(t.constructors):
                hidden = frozenset(c.dims)
                dims = tuple(numbering.leaf(I64) for _ in c.dims)
                fields = tuple(numbering.part(x.type, hidden) for x in c.fields)
                shapes.append(Shape(t, c, base[name] + i, i, dims, fields))
        return Schema(types, tuple(shapes), tuple(numbering.leaves), base)

    @cached_property
    def leaf_names(self) -> tuple[str, ...]:
        """What messages call each column: constructor and field."""
        out: list[str] = []
        for s in self.shapes:
            c = s.constructor
            out += [f"{c.name}.{d}" for d in c.dims]
            for field, part in zip(c.fields, s.fields, strict=True):
                out += [f"{c.name}.{field.name}"] * _count(part)
        return tuple(out)

    def shapes_of(self, types: Collection[str]) -> tuple[Shape, ...]:
        """The constructors of some of the types, in order."""
        return tuple(s for s in self.shapes if s.type.name in types)

    def numbers(self, types: Collection[str]) -> str:
        """Some of the types, as a text for names: their numbers in order."""
        return "_".join(str(i) for i, name in enumerate(self.types) if name in types)

    def bindings(self, root: Type) -> dict[str, tuple[Dim, ...]]:
        """The dims of every type that a value of type `root` can hold.

        Raises: E0610 where one type occurs at two different dims, or at hidden ones: flat columns
        have one row size each.
        """
        found: dict[str, tuple[Dim, ...]] = {}
        work: list[tuple[Type, frozenset[str]]] = [(root, frozenset())]
        while work:
            t, hidden = work.pop()
            if isinstance(t, ListType):
                work += [(c, hidden) for c in t.columns]
            elif isinstance(t, AdtType):
                if any(n in hidden for d in t.dims for n in d.symbols()):
                    raise _cannot_cross(root, t, "its sizes are known to each value only")
                if t.name in found:
                    if found[t.name] != t.dims:
                        other = AdtType(t.name, found[t.name])
                        raise _cannot_cross(root, t, f"it also holds {other}")
                    continue
                found[t.name] = t.dims
                work += self._inside(t)
        return found

    def _inside(self, t: AdtType) -> list[tuple[Type, frozenset[str]]]:
        decl = self.types[t.name]
        bind = dict(zip(decl.dims, t.dims, strict=True))
        return [
            (substitute_type(x.type, bind), frozenset(c.dims))
            for c in decl.constructors
            for x in c.fields
        ]


def _count(part: Part) -> int:
    """The columns of a part."""
    if isinstance(part, Items):
        return sum(map(_count, part.columns))
    return isinstance(part, Leaf)


def own_leaves(t: ListType) -> tuple[Items, tuple[Leaf, ...]]:
    """The columns of a list that is itself a parameter or result."""
    numbering = _Numbering()
    part = numbering.part(t, frozenset())
    assert isinstance(part, Items)
    return part, tuple(numbering.leaves)


def _cannot_cross(root: Type, t: AdtType, why: str) -> CompileError:
    message = f"{root} cannot be a parameter or result of an exported function"
    return CompileError(error("E0610", message).with_note(f"it holds {t}, and {why}"))
