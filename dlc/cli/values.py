"""Values on the command line: `3`, `-1.5`, `true`, `1,2,3`, `[[1, 2], [3, 4]]`, `Node(Leaf(1),
Leaf(2))`, `@file.npy`, `@graph.npz`, `@-` for text on standard input.

A constructor becomes the tuple `("Node", …)`, a bracketed or comma-separated sequence a list, an
`.npz` a dict of arrays. What a value means (a tensor of which type, a list, a graph) is decided by
the parameter that it is for.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np

MAX_NESTING = 200_000
"""Depth of the deepest value. Reading is iterative, so this bounds memory only."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf\b|nan\b))"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<punct>[()\[\],]))"
)


class ValueTextError(ValueError):
    """Text that is no value; `column` is 1-based."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


def read_value(text: str) -> Any:
    """The value of a command-line argument. Raises ValueTextError, or OSError for a file."""
    stripped = text.strip()
    if stripped == "@-":
        return parse_value(sys.stdin.read())
    if stripped.startswith("@"):
        return read_file(Path(stripped[1:]))
    return parse_value(text)


def read_file(path: Path) -> Any:
    """An array from `.npy`, a dict of arrays from `.npz`, else the text of a value. Pickles are
    refused."""
    if path.suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except ValueError as e:
            raise ValueTextError(f"{path} is no array file: {e}", 1) from e
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as z:
                return {k: z[k] for k in z.files}
        except (ValueError, KeyError) as e:
            raise ValueTextError(f"{path} is no archive of arrays: {e}", 1) from e
    return parse_value(path.read_text(encoding="utf-8"))


class _Open:
    """A sequence or constructor that is being read."""

    def __init__(self, close: str, name: str | None, column: int) -> None:
        self.close, self.name, self.column = close, name, column
        self.items: list[Any] = []

    def value(self) -> Any:
        return (self.name, *self.items) if self.name is not None else self.items


def _closes(token: str, top: _Open) -> str:
    """What is wrong with a closing bracket: none is open, or another kind."""
    if not top.close:
        return f"`{token}` closes nothing"
    begun = "[" if top.name is None else f"{top.name}("
    return f"`{top.close}` is missing before this: `{begun}` is open since column {top.column}"


def parse_value(text: str) -> Any:
    """The value that the text writes. Iterative: a comb 100,000 deep is fine."""
    stack: list[_Open] = [_Open("", None, 1)]
    wants_item, at = True, 0
    text = text.rstrip()
    while at < len(text):
        m = _TOKEN.match(text, at)
        if m is None:
            column = at + 1 + len(text[at:]) - len(text[at:].lstrip())
            raise ValueTextError(f"unexpected `{text[column - 1]}`", column)
        column = m.start(m.lastgroup or 0) + 1
        at = m.end()
        token = m.group(m.lastgroup or 0)
        top = stack[-1]
        if m.lastgroup == "punct" and token in ")]":
            if not top.close or top.close != token:
                raise ValueTextError(_closes(token, top), column)
            if wants_item and top.items:
                raise ValueTextError("a value is missing before this", column)
            stack.pop()
            stack[-1].items.append(top.value())
            wants_item = False
        elif token == ",":
            if wants_item:
                raise ValueTextError("a value is missing before `,`", column)
            wants_item = True
        elif not wants_item:
            raise ValueTextError(f"expected `,` before `{token}`", column)
        elif token == "[":
            stack.append(_Open("]", None, column))
        elif token == "(":
            raise ValueTextError("a constructor's name is missing before `(`", column)
        elif m.lastgroup == "number":
            top.items.append(_number(token))
            wants_item = False
        elif at < len(text) and text[at] == "(":
            stack.append(_Open(")", token, column))
            at += 1
        else:
            top.items.append({"true": True, "false": False}.get(token, (token,)))
            wants_item = False
        if len(stack) > MAX_NESTING:
            raise ValueTextError(f"nested deeper than {MAX_NESTING}", column)
    if len(stack) > 1:
        raise ValueTextError(f"never closed: expected `{stack[-1].close}`", stack[-1].column)
    items = stack[0].items
    if wants_item and not items:
        raise ValueTextError("a value is missing", 1)
    return items[0] if len(items) == 1 and not wants_item else items


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def format_value(v: Any) -> Any:
    """A result as JSON data: arrays as nested lists, constructors as `{"Node": […]}`."""
    if isinstance(v, (np.ndarray, np.generic)):
        return cast(Any, v).tolist()
    if isinstance(v, dict):
        named = cast("dict[str, Any]", v)
        return {k: format_value(x) for k, x in named.items()}
    if isinstance(v, (list, tuple)):
        items = cast("tuple[Any, ...]", tuple(v))  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(v, tuple) and items and isinstance(items[0], str):
            return {items[0]: [format_value(x) for x in items[1:]]}
        return [format_value(x) for x in items]
    return v
