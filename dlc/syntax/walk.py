"""Walking and comparing trees, without recursion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import cast

from dlc.syntax.tree import Module, Node

_PLACES = frozenset({"span", "header", "op_span"})


def children(node: Node) -> Iterator[Node]:
    """The direct children of a node, in the order of its fields."""
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for part in cast(tuple[object, ...], value):
                if isinstance(part, Node):
                    yield part


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, parents first, left to right."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(list(children(top))))


def same(a: Node, b: Node) -> bool:
    """Whether two trees are equal but for places, comments and redundant parentheses."""
    pairs: list[tuple[object, object]] = [(a, b)]
    while pairs:
        x, y = pairs.pop()
        if type(x) is not type(y):
            return False
        if isinstance(x, Node):
            names = ("items",) if isinstance(x, Module) else [f.name for f in fields(x)]
            pairs += [(getattr(x, n), getattr(y, n)) for n in names if n not in _PLACES]
        elif isinstance(x, tuple):
            xs, ys = cast(tuple[object, ...], x), cast(tuple[object, ...], y)
            if len(xs) != len(ys):
                return False
            pairs += zip(xs, ys, strict=True)
        elif x != y:
            return False
    return True
