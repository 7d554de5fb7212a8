"""Walking typed trees without knowing their nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import cast

from dlc.check.typed.expressions import DefineDim, Typed
from dlc.check.typed.statements import Block
from dlc.typesys.dims import Dim
from dlc.typesys.surface import Type, dim_names


@cache
def _field_names(node: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(node) if f.name != "span")


def nodes(root: Typed | Block) -> Iterator[Typed]:
    """Every node, parents first, in program order."""
    stack: list[object] = [root]
    while stack:
        top = stack.pop()
        if isinstance(top, tuple):
            stack.extend(reversed(cast(tuple[object, ...], top)))
        elif isinstance(top, Typed):
            yield top
            inner = [getattr(top, n) for n in _field_names(type(top))]
            stack.extend(reversed(inner))


def mentioned_dims(root: Typed | Block) -> dict[str, None]:
    """The names of all dims that types, dims and bindings of the tree mention, definitions
    aside."""
    out: dict[str, None] = {}
    done: dict[int, Type] = {}

    def look(x: object) -> None:
        if isinstance(x, Dim):
            out.update(dict.fromkeys(x.symbols()))
        elif isinstance(x, tuple):
            for i in cast(tuple[object, ...], x):
                if not isinstance(i, Typed):
                    look(i)
        elif type(x).__module__ == _SURFACE and id(x) not in done:
            done[id(x)] = cast(Type, x)
            out.update(dict.fromkeys(dim_names(cast(Type, x))))

    for node in nodes(root):
        if not isinstance(node, DefineDim):
            for n in _field_names(type(node)):
                look(getattr(node, n))
    return out


_SURFACE = "dlc.typesys.surface"
