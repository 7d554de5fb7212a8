"""The type of a derivative: float tensors keep theirs, whole numbers and truth values have none.

A list's tangent holds the tangents of its columns and has the list's length. An algebraic type
`Tree` with floats somewhere below has the tangent type `d.Tree`: the constructor `d.Zero` (a zero
has no structure to copy), then the constructors of `Tree` with the tangents of their fields.
`d.Tree` is its own tangent. Names in dl have no dots, so none of these can meet a user's."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from dlc.ir.core import AdtDecl, Constructor, Field
from dlc.typesys.types import AdtType, ListType, TensorType, Type

ZERO = "d.Zero"
"""The first constructor of every tangent type: all floats below are zero."""

_PREFIX = "d."


def is_tangent(name: str) -> bool:
    """Whether an algebraic type is a tangent type."""
    return name.startswith(_PREFIX)


def tangent_name(name: str) -> str:
    """`d.Tree` of `Tree`, and of `d.Tree`."""
    return name if is_tangent(name) else _PREFIX + name


def has_tangent(types: Mapping[str, AdtDecl], t: Type) -> bool:
    """Whether a float is somewhere below the type."""
    seen: set[str] = set()

    def floats(t: Type) -> bool:
        if isinstance(t, TensorType):
            return t.dtype.is_float
        if isinstance(t, ListType):
            return any(map(floats, t.columns))
        if t.name in seen:
            return False
        seen.add(t.name)
        return any(floats(f.type) for c in types[t.name].constructors for f in c.fields)

    return floats(t)


def tangent_type(types: Mapping[str, AdtDecl], t: Type) -> Type | None:
    """The type of the derivative with respect to a value of type `t`, or None if there is none."""
    if isinstance(t, TensorType):
        return t if t.dtype.is_float else None
    if isinstance(t, ListType):
        columns = [x for c in t.columns if (x := tangent_type(types, c)) is not None]
        return ListType(tuple(columns)) if columns else None
    return AdtType(tangent_name(t.name), t.dims) if has_tangent(types, t) else None


def declare_tangent(types: MutableMapping[str, AdtDecl], t: Type) -> None:
    """Declares the tangent types that `tangent_type(types, t)` mentions, and so on below."""
    if isinstance(t, ListType):
        for c in t.columns:
            declare_tangent(types, c)
    elif isinstance(t, AdtType) and has_tangent(types, t) and tangent_name(t.name) not in types:
        decl = types[t.name]
        made = tuple(_tangent_of(types, c) for c in decl.constructors)
        name = tangent_name(t.name)
        types[name] = AdtDecl(name, decl.dims, (Constructor(ZERO), *made))
        for c in decl.constructors:
            for f in c.fields:
                declare_tangent(types, f.type)


def _tangent_of(types: Mapping[str, AdtDecl], c: Constructor) -> Constructor:
    fields: list[Field] = []
    for f in c.fields:
        d = tangent_type(types, f.type)
        if d is not None:
            fields.append(Field(f.name, d))
    return Constructor(c.name, tuple(fields), c.dims)
