"""Structures made of floats: what `each`, `total` and derivatives see of a value."""

from __future__ import annotations

from collections.abc import Iterator

from dlc.check.body import Body
from dlc.check.tables import Tables, may_be_float
from dlc.check.unify import Matcher
from dlc.typesys.dtypes import F32
from dlc.typesys.surface import (
    Adt,
    Array,
    Element,
    List,
    Model,
    Option,
    Rows,
    Sparse,
    Tangent,
    Tensor,
    Tuple,
    Type,
    Unit,
    Unknown,
    ValueVar,
)


def form(t: Type) -> Type:
    """The structure of a value or of a tangent: what it is a tangent of, tables whole."""
    if isinstance(t, Tangent):
        return form(t.of)
    if isinstance(t, Rows):
        return Tensor(t.dtype, (t.count, t.width))
    if isinstance(t, Tuple):
        return Tuple(tuple(map(form, t.items)))
    if isinstance(t, List):
        return List(form(t.element))
    if isinstance(t, Option):
        return Option(form(t.element))
    return t


def same_structure(b: Body, x: Type, y: Type) -> bool:
    """Whether two values have the same structure at every float: dims equal, whole numbers
    aside."""
    m = Matcher(b.norm)
    return _same(b.tables, m, form(x), form(y)) and not m.solve()


def _same(tables: Tables, m: Matcher, x: Type, y: Type) -> bool:
    if isinstance(x, Unit) or isinstance(y, Unit):
        other = y if isinstance(x, Unit) else x
        return isinstance(other, Unit) or not tables.has_float(other)
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return m.equate_shapes(x.shape, y.shape)
    if isinstance(x, Tuple) and isinstance(y, Tuple):
        if len(x.items) != len(y.items):
            return False
        return all(_same(tables, m, a, c) for a, c in zip(x.items, y.items, strict=True))
    if isinstance(x, (List, Option)) and type(x) is type(y):
        assert isinstance(y, (List, Option))
        return _same(tables, m, x.element, y.element)
    return m.equate(x, y)


def float_elements(tables: Tables, t: Type) -> tuple[Element, ...]:
    """The element types of the floats of a structure, in order; a type inside itself is seen
    once."""
    return tuple(_floats(tables, form(t), frozenset()))


def _floats(tables: Tables, t: Type, seen: frozenset[str]) -> Iterator[Element]:
    if isinstance(t, Tensor):
        if may_be_float(t.dtype):
            yield t.dtype
    elif isinstance(t, Sparse):
        yield t.dtype
    elif isinstance(t, Tuple):
        for i in t.items:
            yield from _floats(tables, i, seen)
    elif isinstance(t, (List, Option, Array)):
        yield from _floats(tables, t.element, seen)
    elif isinstance(t, Model):
        for _, f in tables.model_fields(t):
            yield from _floats(tables, f, seen)
    elif isinstance(t, Adt) and t.name not in seen and t.name in tables.adts:
        for c in tables.adts[t.name].constructors:
            for f in c.fields:
                yield from _floats(tables, f.type, seen | {t.name})
    elif isinstance(t, (ValueVar, Unknown)):
        yield F32


def table_leaves(tables: Tables, t: Type, path: str = "") -> Iterator[str]:
    """The paths of float tables (rank 2) that are fields of a record, through records in
    records."""
    if isinstance(t, Tensor):
        if t.rank == 2 and may_be_float(t.dtype):
            yield path
    elif isinstance(t, Model):
        for name, f in tables.model_fields(t):
            yield from table_leaves(tables, f, f"{path}.{name}" if path else name)
