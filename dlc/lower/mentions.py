"""Dim names in a typed tree: those that are mentioned, and those that are born."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from dlc.check.typed import CallBuiltin, CallFunction, CallOnnx, CheckDims, DefineDim, Typed
from dlc.typesys.dims import Dim


def mentioned_dims(node: Typed) -> tuple[str, ...]:
    """The dim names that the node mentions and does not define, in order of appearance."""
    own = set(born_dims(node))
    return tuple(dict.fromkeys(d for d in _mentions(node) if d not in own))


def _mentions(node: object) -> Iterator[str]:
    if isinstance(node, Dim):
        yield from node.symbols()
    elif isinstance(node, tuple):
        for x in node:  # pyright: ignore[reportUnknownVariableType]
            yield from _mentions(x)  # pyright: ignore[reportUnknownArgumentType]
    elif is_dataclass(node) and not isinstance(node, type):
        for f in fields(node):
            if f.name not in ("span", "key"):
                yield from _mentions(getattr(node, f.name))


def born_dims(node: object) -> Iterator[str]:
    """Every dim name that the node defines, in order."""
    if isinstance(node, tuple):
        for x in node:  # pyright: ignore[reportUnknownVariableType]
            yield from born_dims(x)  # pyright: ignore[reportUnknownArgumentType]
        return
    if not isinstance(node, Typed):
        return
    if isinstance(node, DefineDim):
        yield node.name
    elif isinstance(node, CheckDims):
        yield from (name for name, _ in node.define)
    elif isinstance(node, (CallFunction, CallBuiltin, CallOnnx)):
        yield from (here for _, here in node.born)
    for f in fields(node):
        if f.name not in ("span", "type"):
            yield from born_dims(getattr(node, f.name))
