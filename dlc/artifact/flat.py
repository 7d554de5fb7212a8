"""Lists and algebraic values as flat arrays: which columns a value of a type has.

The encoding is that of the raw entries (`dlc.targets.cpu.schema`): nodes in post-order with a tag
each, a stream of children, and one column for each place where a scalar or a tensor can stand. Here
the columns get names, their shapes are those at one border (in the dims of an entry), and those
that no value of the type can reach are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dlc.ir.core import AdtDecl, Constructor
from dlc.targets.cpu.schema import Schema
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType
from dlc.typesys.types import AdtType, ListType, TensorType, Type


@dataclass(frozen=True, slots=True)
class Column:
    """Rows of `shape` elements of `dtype`. `number` counts all columns that the raw entry has.

    A column that `varies` has rows of sizes that the values carry with them; it is counted in
    elements, and its shape says nothing."""

    path: tuple[str, ...]
    dtype: DType
    shape: tuple[Dim, ...]
    varies: bool
    number: int

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Tag:
    """A constructor that a value of the type can have: its number in the module."""

    type: str
    constructor: str
    number: int


@dataclass(frozen=True)
class FlatType:
    """A list or algebraic type at a border. `total` columns has the raw entry, of which the first
    `own` are the list's. `columns` and `tags` are those that a value can reach."""

    type: AdtType | ListType
    columns: tuple[Column, ...]
    tags: tuple[Tag, ...]
    own: int
    total: int
    has_children: bool

    @property
    def is_list(self) -> bool:
        return isinstance(self.type, ListType)

    @property
    def has_nodes(self) -> bool:
        return bool(self.tags)


def flat_type(t: AdtType | ListType, types: Mapping[str, AdtDecl]) -> FlatType:
    """The columns of a type.

    Raises CompileError E0610 for a type that holds one algebraic type at two dims."""
    schema = Schema.of(types)
    bound = schema.bindings(t)
    own = list(_own(t)) if isinstance(t, ListType) else []
    columns = [Column(*leaf, number) for number, leaf in enumerate(own)]
    tags: list[Tag] = []
    number = len(own)
    for shape in schema.shapes:
        decl, c = shape.type, shape.constructor
        reached = decl.name in bound
        bind = dict(zip(decl.dims, bound[decl.name], strict=True)) if reached else {}
        for leaf in _leaves(decl, c, bind):
            if reached:
                columns.append(Column(*leaf, number))
            number += 1
        if reached:
            tags.append(Tag(decl.name, c.name, shape.tag))
    nested = any(isinstance(x, ListType) for x in (t.columns if isinstance(t, ListType) else ()))
    return FlatType(t, tuple(columns), tuple(tags), len(own), number, nested or bool(tags))


_Leaf = tuple[tuple[str, ...], DType, tuple[Dim, ...], bool]


def _own(t: ListType) -> Iterator[_Leaf]:
    """A list's own columns: unnamed if there is one."""
    for i, c in enumerate(t.columns):
        yield from _part((str(i),) if len(t.columns) > 1 else (), c, frozenset(), {})


def _leaves(decl: AdtDecl, c: Constructor, bind: Mapping[str, Dim]) -> Iterator[_Leaf]:
    """The columns of a constructor: its hidden dims, then the leaves of its fields."""
    hidden = frozenset(c.dims)
    for name in c.dims:
        yield (c.name, name), I64, (), False
    for f in c.fields:
        yield from _part((c.name, f.name), f.type, hidden, bind)


def _part(
    path: tuple[str, ...], t: Type, hidden: frozenset[str], bind: Mapping[str, Dim]
) -> Iterator[_Leaf]:
    if isinstance(t, TensorType):
        varies = any(n in hidden for n in t.size.symbols())
        yield path, t.dtype, tuple(d.substitute(bind) for d in t.shape), varies
    elif isinstance(t, ListType):
        for i, c in enumerate(t.columns):
            yield from _part((*path, str(i)) if len(t.columns) > 1 else path, c, hidden, bind)
