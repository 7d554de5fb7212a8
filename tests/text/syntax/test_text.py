"""Whole texts: the tree of every construct, and what the formatter makes of a mess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from dlc.syntax import parse, read_source
from dlc.syntax.format import format_module
from dlc.syntax.tree import Ident, Module, Node

HERE = Path(__file__).parent
Golden = Callable[[str, str], None]


def read(name: str) -> Module:
    return parse(read_source(HERE / name, name))


def dump(node: object, indent: int = 0) -> str:
    """A tree as indented text: class, plain fields and place on a line, then the children."""
    pad = "    " * indent
    if isinstance(node, Ident):
        return f"{pad}`{node.text}`\n"
    if not isinstance(node, Node):
        return f"{pad}{node!r}\n"
    plain, below = [], ""
    for f in fields(node):
        value = getattr(node, f.name)
        if f.name in ("span", "header", "op_span", "comments", "parens", "source"):
            continue
        if isinstance(value, Ident):
            plain.append(f"{f.name}={value.text}")
        elif isinstance(value, Node):
            below += f"{pad}  {f.name}:\n{dump(value, indent + 1)}"
        elif isinstance(value, tuple):
            parts = "".join(dump(part, indent + 1) for part in value)
            below += f"{pad}  {f.name}:\n{parts}" if parts else f"{pad}  {f.name}: none\n"
        else:
            plain.append(f"{f.name}={value!r}")
    start, end = (
        node.span.source.position(node.span.start),
        node.span.source.position(node.span.end),
    )
    place = f"{start[0]}:{start[1]}-{end[0]}:{end[1]}"
    return " ".join([f"{pad}{type(node).__name__}", *plain, place]) + "\n" + below


def test_every_construct(golden: Golden) -> None:
    golden("every_construct.tree.txt", dump(read("every_construct.dl")))


def test_every_construct_formatted(golden: Golden) -> None:
    golden("every_construct.formatted.txt", format_module(read("every_construct.dl")))


def test_a_mess_formatted(golden: Golden) -> None:
    golden("messy.formatted.txt", format_module(read("messy.dl")))
