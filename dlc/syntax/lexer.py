"""From text to tokens: layout, comments and brackets, with the errors that can be told at this
level.

Tokens come in segments, one per top-level item, so that an error in one item does not hide the
errors of the next. The terminals are those of the grammar; `_NL`, `_INDENT` and `_DEDENT` are made
here, as zero-width tokens at the end of the last token of the line before."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dlc.diag import Diagnostic, Edit, SourceFile, Span, error
from dlc.syntax import characters
from dlc.syntax.table import END, Terminal, Token
from dlc.syntax.tree import Comment

MAX_DEPTH = 256
"""How deep brackets, blocks and expressions may nest."""

MAX_ERRORS = 20

_OPENERS = {"(": ")", "[": "]"}
_CLOSERS = {")": "(", "]": "["}

_HEADS = frozenset(
    {"IF", "ELIF", "ELSE", "WHILE", "FOR", "STATIC", "MATCH", "MODEL", "FN", "EXPORT", "TEST"}
)
"""First tokens of a line that opens a block."""

_NEVER_INSIDE = _HEADS - {"IF", "ELSE", "FN"} | {
    "RETURN",
    "ASSERT",
    "BREAK",
    "CONTINUE",
    "IMPORT",
    "FROM",
    "TYPE",
    "BUILTIN",
}
"""First tokens of a line that can't stand in brackets: there, a bracket was forgotten."""

_ITEMS = frozenset({"IMPORT", "FROM", "TYPE", "MODEL", "FN", "EXPORT", "BUILTIN", "TEST", "AT"})
"""First tokens of items."""

_SPACES = re.compile(r"[ \t]*")
_COMMENT = re.compile(r"#[^\n]*")
_NUMBER_TAIL = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?|\.(?!\.)[A-Za-z0-9_]*")
_QUOTED = re.compile(r"'[^'\"\n]*'")
_FN_NAME = re.compile(r"fn[ ]+[A-Za-z_]")
_MAX_INT = 2**63


@dataclass(frozen=True, slots=True)
class Segment:
    """The tokens of one item, END included. `is_broken`: an error in it was already reported."""

    tokens: tuple[Token, ...]
    is_broken: bool


@dataclass(frozen=True, slots=True)
class _Block:
    """An open block: its indentation and the kind of the first token of its header."""

    indent: int
    head: str


class _Full(Exception):
    """Enough errors."""


class Scanner:
    """The terminals of a grammar as one regular expression."""

    def __init__(self, terminals: tuple[Terminal, ...]) -> None:
        self.words = {t.word: t.name for t in terminals if t.word and t.word[0].isalpha()}
        others = [t for t in terminals if not (t.word and t.word[0].isalpha())]
        # Longer texts first; patterns that may match more than one text before those that match
        # one.
        others.sort(key=lambda t: (t.word is not None, -len(t.word or t.pattern)))
        self.match = re.compile("|".join(f"(?P<{t.name}>{t.pattern})" for t in others)).match


class Lexer:
    """Reads one source: `segments` gives its items; `comments` and `errors` grow on the way."""

    def __init__(self, source: SourceFile, scanner: Scanner) -> None:
        self.source = source
        self.text = source.text
        self.scanner = scanner
        self.errors: list[Diagnostic] = []
        self.comments: list[Comment] = []
        self.done: list[Segment] = []
        self.tokens: list[Token] = []
        self.is_broken = False
        self.blocks = [_Block(0, "")]
        self.brackets: list[Token] = []
        self.line_first: Token | None = None
        """First token of the logical line being read."""
        self.has_tab = False
        self.has_brace = False
        self.only_decorators = True
        """Whether the item so far consists of lines that start with `@`."""

    def segments(self) -> Iterator[Segment]:
        """The items of the source, one after the other."""
        try:
            pos = 1 if self.text.startswith("\ufeff") else 0
            while pos < len(self.text):
                pos = self._line(pos)
                yield from self.done
                self.done.clear()
            self._end()
        except _Full:
            self.is_broken = True
        self._end_segment()
        yield from self.done

    # -- errors

    def _report(self, found: Diagnostic) -> None:
        self.errors.append(found)
        self.is_broken = True
        if len(self.errors) >= MAX_ERRORS:
            raise _Full

    def _span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    # -- lines and layout

    def _end(self) -> None:
        if self.brackets:
            self._never_closed("the end of the file", None)
        elif self._opened_block() is not None:
            self._empty_block()
        self._finish_line()
        self._close_blocks(0)

    def _line(self, pos: int) -> int:
        """Read one physical line from `pos`; return where the next one starts."""
        found = _SPACES.match(self.text, pos)
        start = found.end() if found else pos
        if start == len(self.text) or self.text.startswith(("\n", "\r\n"), start):
            return self.text.find("\n", start) + 1 or len(self.text)
        if self.text[start] != "#":
            indent = self._indentation(pos, start)
            if self.brackets and self._is_statement(start):
                word = re.match(r"\w+", self.text[start : start + 20])
                at = f"`{word.group()}`" if word else "this line"
                self._never_closed(f"line {self.source.position(start)[0]}, at {at}", start)
            if not self.brackets:
                self._layout(indent, start)
        return self._tokens(start)

    def _indentation(self, pos: int, start: int) -> int:
        """The indentation of the line at `pos`; a tab (an error) counts up to the next multiple of
        4.
        """
        width = 0
        for at in range(pos, start):
            if self.text[at] == "\t":
                self._tab(at)
                width += 4 - width % 4
            else:
                width += 1
        return width

    def _tab(self, at: int) -> None:
        self.is_broken = True
        if not self.has_tab:
            self.has_tab = True
            place = self._span(at, at + 1)
            found = error("E0101", "a tab; indent with spaces", place)
            self._report(found.with_help("four spaces a level", Edit(place, "    ")))

    def _word_kind(self, start: int) -> str:
        """The kind of the token at `start` if it is a keyword or a sign, else an empty text."""
        found = self.scanner.match(self.text, start)
        if found is None:
            return ""
        return self.scanner.words.get(found.group(), found.lastgroup or "")

    def _is_statement(self, start: int) -> bool:
        kind = self._word_kind(start)
        return kind in _NEVER_INSIDE or (
            kind == "FN" and _FN_NAME.match(self.text, start) is not None
        )

    def _never_closed(self, noticed: str, start: int | None) -> None:
        first, *others = self.brackets
        found = error(
            "E0104", f"`{first.text}` is never closed", self._span(first.start, first.end)
        ).with_note(f"noticed at {noticed}")
        for other in others[:3]:
            found = found.with_label(self._span(other.start, other.end), "nor is this one")
        closing = "".join(_OPENERS[b.text] for b in reversed(self.brackets[-8:]))
        self.brackets = []
        self._report(found.with_help(f"add `{closing}` where the bracket should end"))

    def _layout(self, indent: int, start: int) -> None:
        """End the line before, and open or close blocks for a line that starts with `indent`
        spaces.
        """
        head = self._opened_block()
        self._finish_line()
        current = self.blocks[-1].indent
        if indent > current:
            if head is None:
                self._unexpected_indent(start, indent)
            self._indent(indent, head or "")
            return
        if head is not None:
            self._empty_block()
            if indent == 0 and self._word_kind(start) not in _ITEMS:
                self._close_blocks(0)  # the forgotten block, most likely
                return
        if indent < current:
            before = self.blocks
            self._close_blocks(indent)
            if self.blocks[-1].indent != indent:
                self._bad_dedent(start, indent, before)
                self._indent(indent, "")
        if indent == 0:
            self._start_item(start)

    def _opened_block(self) -> str | None:
        """The kind of the first token of the last line if that line opens a block, else None."""
        if not self.tokens or self.line_first is None:
            return None
        first, last = self.line_first.kind, self.tokens[-1].kind
        if last == "COLON":
            return first if first in _HEADS or first in ("NAME", "BUILTIN") else None
        return first if first == "TYPE" and last == "EQUAL" else None

    def _last_end(self) -> int:
        return self.tokens[-1].end if self.tokens else 0

    def _finish_line(self) -> None:
        if self.line_first is not None:
            end = self._last_end()
            self.tokens.append(Token("_NL", "", end, end))
            self.only_decorators &= self.line_first.kind == "AT" and len(self.blocks) == 1
            self.line_first = None

    def _indent(self, indent: int, head: str) -> None:
        end = self._last_end()
        self.tokens.append(Token("_INDENT", "", end, end))
        self.blocks = [*self.blocks, _Block(indent, head)]
        if len(self.blocks) == MAX_DEPTH + 2:
            self._report(too_deep(self._span(end, end + 1)))

    def _close_blocks(self, indent: int) -> None:
        end = self._last_end()
        blocks = self.blocks
        while blocks[-1].indent > indent:
            self.tokens.append(Token("_DEDENT", "", end, end))
            blocks = blocks[:-1]
        self.blocks = blocks

    def _start_item(self, start: int) -> None:
        """A line without indentation starts an item, except after the decorators of one."""
        if self.tokens and not self.only_decorators:
            self._end_segment()

    def _end_segment(self) -> None:
        if self.tokens:
            end = self._last_end()
            self.tokens.append(Token(END, "", end, end))
            self.done.append(Segment(tuple(self.tokens), self.is_broken))
        self.tokens = []
        self.is_broken = False
        self.only_decorators = True

    # -- errors of layout

    def _line_head(self) -> Token | None:
        """First token of the last finished line."""
        head = None
        for token in reversed(self.tokens[:-1]):
            if token.kind in ("_NL", "_INDENT", "_DEDENT"):
                break
            head = token
        return head

    def _unexpected_indent(self, start: int, indent: int) -> None:
        line_start = self.source.line_start(self.source.position(start)[0])
        head = self._line_head()
        in_match = self.blocks[-1].head == "MATCH"
        if head is not None and (head.kind in _HEADS or (in_match and head.kind == "NAME")):
            if self.text[self._last_end() :].lstrip(" ")[:1] == "{":
                return  # the brace is reported
            self._report(missing_colon(self.source, self._last_end()))
            return
        found = error(
            "E0102",
            "this line is indented, but no block starts here",
            self._span(line_start, start),
        )
        open_at = self.blocks[-1].indent
        form = _form_of_block(self.blocks[-1].head, head)
        if form is not None:
            self._report(found.with_help(form))
            return
        note = f"the lines of this block are indented by {open_at} spaces, this one by {indent}"
        edit = Edit(self._span(line_start, start), " " * open_at)
        found = found.with_note(note).with_help(f"indent it by {open_at} spaces", edit)
        if head is not None:
            found = found.with_help("or, if it goes on with the line before, use parentheses")
        self._report(found)

    def _bad_dedent(self, start: int, indent: int, open_blocks: list[_Block]) -> None:
        levels = [str(b.indent) for b in open_blocks[-8:]]
        listed = " and ".join([", ".join(levels[:-1]), levels[-1]])
        found = error(
            "E0103",
            f"this line is indented by {indent} spaces, which matches no open block",
            self._span(start, start + 1),
        )
        nearest = min((b.indent for b in open_blocks), key=lambda k: (abs(k - indent), -k))
        place = self._span(self.source.line_start(self.source.position(start)[0]), start)
        self._report(
            found.with_note(f"open blocks are at {listed} spaces").with_help(
                f"indent it by {nearest} spaces", Edit(place, " " * nearest)
            )
        )

    def _empty_block(self) -> None:
        end = self._last_end()
        place = self._span(max(end - 1, 0), end)
        found = error("E0113", "this block is empty", place, "nothing indented follows")
        self._report(found.with_help("indent the lines that belong to it, or remove it"))

    # -- tokens

    def _tokens(self, pos: int) -> int:
        """Read tokens up to the end of the physical line; return where the next line starts."""
        text, match, words = self.text, self.scanner.match, self.scanner.words
        while pos < len(text):
            char = text[pos]
            if char == " ":
                pos += 1
                continue
            if char == "\n":
                return pos + 1
            if char == "#":
                pos = self._comment(pos)
                continue
            found = match(text, pos)
            if found is None:
                if char == "\r" and text.startswith("\n", pos + 1):
                    return pos + 2
                pos = self._no_token(pos)
                continue
            kind = found.lastgroup or ""
            word = found.group()
            end = found.end()
            if kind == "NAME":
                kind = words.get(word, kind)
            elif kind == "NUMBER":
                end = self._number(word, pos, end)
            elif word in "()[]":
                self._bracket(Token(kind, word, pos, end))
            elif kind == "DOT" and end < len(text) and text[end] in "0123456789":
                end = self._no_digit_before(pos)
            token = Token(kind, word, pos, end)
            if self.line_first is None:
                self.line_first = token
            self.tokens.append(token)
            pos = end
        return pos

    def _comment(self, pos: int) -> int:
        found = _COMMENT.match(self.text, pos)
        end = found.end() if found else pos + 1
        body = self.text[pos:end].rstrip()
        before = self.text[self.source.line_start(self.source.position(pos)[0]) : pos]
        span = self._span(pos, pos + len(body))
        self.comments.append(Comment(body, not before.strip(" \t\ufeff"), span=span))
        return end

    def _bracket(self, token: Token) -> None:
        if token.text in _OPENERS:
            self.brackets.append(token)
            if len(self.brackets) == MAX_DEPTH + 1:
                self._report(too_deep(self._span(token.start, token.end)))
            return
        place = self._span(token.start, token.end)
        if not self.brackets:
            found = error("E0105", f"`{token.text}` closes nothing", place)
            self._report(found.with_help("remove it, or open the bracket before", Edit(place, "")))
            return
        opener = self.brackets.pop()
        if opener.text == _CLOSERS[token.text]:
            return
        right = _OPENERS[opener.text]
        found = error("E0105", f"`{token.text}` cannot close `{opener.text}`", place)
        found = found.with_label(self._span(opener.start, opener.end), "opened here")
        wanted = [i for i, b in enumerate(self.brackets) if b.text == _CLOSERS[token.text]]
        if wanted:  # what was opened since then was not closed
            del self.brackets[wanted[-1] :]
        self._report(found.with_help(f"`{right}` closes it", Edit(place, right)))

    # -- errors of tokens

    def _number(self, text: str, start: int, end: int) -> int:
        """Check a number; return where it ends, with what was glued to it."""
        tail = _NUMBER_TAIL.match(self.text, end)
        if tail is not None:
            end = tail.end()
            whole = self.text[start:end]
            found = error("E0109", f"`{_short(whole)}` is not a number", self._span(start, end))
            self._report(characters.number_help(found, whole))
        elif text.isdigit():
            if len(text) > 1 and text[0] == "0":
                place = self._span(start, end)
                found = error("E0109", "a whole number does not start with 0", place)
                plain = text.lstrip("0") or "0"
                self._report(found.with_help(f"`{_short(plain)}`", Edit(place, plain)))
            elif len(text) > 19 or int(text) > _MAX_INT:
                place = self._span(start, end)
                found = error("E0109", "this whole number does not fit 64 bits", place)
                self._report(found.with_help("whole numbers go up to 9223372036854775807"))
        elif math.isinf(float(text)):
            found = error("E0109", "this number is too large for f64", self._span(start, end))
            self._report(found.with_help("floats go up to about 1.8e308"))
        return end

    def _no_digit_before(self, pos: int) -> int:
        """`.5`: report it; return its end."""
        found = re.compile(r"\.[0-9]+").match(self.text, pos)
        end = found.end() if found else pos + 1
        place = self._span(pos, end)
        problem = error("E0109", f"`{_short(place.text)}` is not a number", place)
        self._report(
            problem.with_help("write a digit before the point", Edit(place, "0" + place.text))
        )
        return end

    def _no_token(self, pos: int) -> int:
        """Report what is no token; return where to go on."""
        char = self.text[pos]
        if char == "\t":
            self._tab(pos)
            return pos + 1
        if char == '"':
            line = self.source.position(pos)[0]
            end = self.source.line_start(line) + len(self.source.line_text(line).rstrip())
            end = max(end, pos + 1)
            found = error("E0108", "this text is never closed", self._span(pos, end))
            found = found.with_note('a text ends on its line, with `"`; it has no escapes')
            self.tokens.append(Token("STRING", self.text[pos:end] + '"', pos, end))
            self.line_first = self.line_first or self.tokens[-1]
            self._report(found.with_help('add `"`', Edit(self._span(end, end), '"')))
            return end
        end = pos + 1
        if char == "'" and (quoted := _QUOTED.match(self.text, pos)):
            end = quoted.end()
        while end < len(self.text) and (
            self.text[end] == char or (char.isalpha() and self.text[end].isalnum())
        ):
            end += 1
        if char == "{":
            self.has_brace = True
        elif char == "}" and self.has_brace:
            return end
        self._report(characters.unexpected(char, self._span(pos, end)))
        return end


def _form_of_block(block: str, head: Token | None) -> str | None:
    """What a line that seems to open a block should be, where no block of its kind exists."""
    if block == "MATCH" and head is not None and head.kind in ("NUMBER", "MINUS", "STRING"):
        return "an arm is a variant, `Node(left, right):`; `if n == 0:` compares numbers"
    if head is not None and head.kind == "TYPE":
        return "the form is `type Point = At(x: f32, y: f32)`; a record of weights is a `model`"
    return None


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def too_deep(place: Span) -> Diagnostic:
    """E0116: more than MAX_DEPTH levels."""
    found = error("E0116", f"nested more than {MAX_DEPTH} deep", place)
    return found.with_help("give a part of it a name on a line before, or a function of its own")


def missing_colon(source: SourceFile, at: int) -> Diagnostic:
    """E0112: the header of a block that ends at offset `at` has no colon."""
    found = error("E0112", "`:` is missing at the end of this line", source.span(at - 1, at))
    return found.with_help("add `:`", Edit(source.span(at, at), ":"))
