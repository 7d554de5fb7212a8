"""Text of `isa/*.isa` to syntax trees, by `grammar/isa.lark`. Places are found only when an error
needs them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from dlc import resources
from dlc.diag import CompileError, Diagnostic, SourceFile, Span, error

Node: TypeAlias = Tree[Token]


@functools.cache
def _parser() -> Lark:
    grammar = resources.grammar("isa.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=True)


def parse(source: SourceFile) -> Node:
    """The tree of a file of declarations.

    Raises CompileError E0801.
    """
    try:
        return cast(Any, _parser()).parse(source.text)
    except UnexpectedEOF as e:
        raise CompileError(_unexpected(source, None, e.expected)) from None
    except UnexpectedToken as e:
        found = cast(Any, e).token
        at = None if found.type == "$END" else (int(found.start_pos), str(found))
        raise CompileError(_unexpected(source, at, e.accepts or e.expected)) from None
    except UnexpectedCharacters as e:
        at = e.pos_in_stream
        found = (at, source.text[at])
        raise CompileError(_unexpected(source, found, e.allowed or ())) from None


def _unexpected(
    source: SourceFile, found: tuple[int, str] | None, expected: Iterable[str]
) -> Diagnostic:
    """The diagnostic of what stands at an offset (None: the end of the file)."""
    at, shown = (len(source.text), "") if found is None else found
    what = "the end of the file" if found is None else f"`{shown}`"
    finding = error("E0801", f"{what} can't stand here", Span(source, at, at + len(shown)))
    wanted = ", ".join(sorted(_spelling(name) for name in expected)[:8])
    return finding.with_note(f"what may: {wanted}") if wanted else finding


def _spelling(terminal: str) -> str:
    fixed = {
        "COLON": "`:`",
        "LPAR": "`(`",
        "RPAR": "`)`",
        "LSQB": "`[`",
        "RSQB": "`]`",
        "LBRACE": "`{`",
        "RBRACE": "`}`",
        "SEMICOLON": "`;`",
        "COMMA": "`,`",
        "DOT": "`.`",
        "EQUAL": "`=`",
        "BANG": "`!`",
        "LESSTHAN": "`<`",
        "NAME": "a name",
        "INT": "a number",
        "HEX": "a number",
        "FLOAT": "a number",
        "STRING": "a text in quotes",
        "MNEMONIC": "a mnemonic",
        "$END": "the end",
    }
    return fixed.get(terminal, f"`{terminal.lower()}`")


def node(part: Node | Token | None) -> Node:
    """A part that the grammar says is a tree."""
    assert isinstance(part, Tree)
    return part


def token(part: Node | Token | None) -> Token:
    """A part that the grammar says is a token."""
    assert isinstance(part, Token)
    return part


def parts(tree: Node) -> list[Node | Token | None]:
    """The children, placeholders of absent options included."""
    return cast("list[Node | Token | None]", tree.children)


def present(tree: Node) -> list[Node | Token]:
    """The children that are there."""
    return [part for part in parts(tree) if part is not None]


def text(part: Node | Token | None) -> str:
    """The characters of a token; of a text in quotes, what is between them."""
    word = str(token(part))
    return word[1:-1] if word.startswith('"') else word


def number(part: Node | Token | None) -> int:
    """The value of an INT or HEX token."""
    return int(str(token(part)), 0)


def place(source: SourceFile, part: Node | Token | None) -> Span:
    """Where a tree stands: from its first token to its last."""
    found = _tokens(part)
    if not found:
        return Span(source, 0, 0)
    first, last = found[0], found[-1]
    return Span(source, first.start_pos or 0, last.end_pos or 0)


def _tokens(part: Node | Token | None) -> list[Token]:
    if part is None:
        return []
    if isinstance(part, Token):
        return [part]
    return [t for child in parts(part) for t in _tokens(child)]
