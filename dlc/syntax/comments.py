"""Where the comments of a module go when it is formatted, and the lines that come out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dlc.diag import InternalError, SourceFile, Span
from dlc.syntax import tree

_SKIP = re.compile(r"(?:\s+|#[^\n]*)*")


class Comments:
    """The comments of a module that are not written yet, in order."""

    def __init__(self, module: tree.Module) -> None:
        self._text = module.source.text
        self._left = list(module.comments)

    def before(self, offset: int) -> list[tree.Comment]:
        """Take all comments before an offset."""
        count = 0
        while count < len(self._left) and self._left[count].span.start < offset:
            count += 1
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def between(self, start: int, end: int) -> list[tree.Comment]:
        """Take the comments from one offset to another."""
        taken = [c for c in self._until(end) if c.span.start >= start]
        for comment in taken:
            self._left.remove(comment)
        return taken

    def beside(self, end: int) -> tree.Comment | None:
        """Take the comment on the line that ends at an offset, if there is one."""
        for comment in self._until(self._line_end(end)):
            if comment.span.start >= end and not comment.own_line:
                self._left.remove(comment)
                return comment
        return None

    def following(self, end: int, column: int) -> list[tree.Comment]:
        """Take the comments that follow an offset line by line, before anything else, and are
        indented at least to `column`."""
        stop = self.skip(end)
        taken: list[tree.Comment] = []
        for comment in self._until(stop):
            if comment.span.column < column:
                break
            taken.append(comment)
        for comment in taken:
            self._left.remove(comment)
        return taken

    def _until(self, end: int) -> Iterator[tree.Comment]:
        for comment in self._left:
            if comment.span.start >= end:
                return
            yield comment

    def _line_end(self, offset: int) -> int:
        end = self._text.find("\n", offset)
        return len(self._text) if end < 0 else end

    # -- places that the tree does not hold

    def skip(self, offset: int) -> int:
        """The offset of the next token."""
        found = _SKIP.match(self._text, offset)
        return found.end() if found else offset

    def word(self, word: str, offset: int) -> int:
        """The offset of a word that is the next token."""
        start = self.skip(offset)
        if not self._text.startswith(word, start):
            raise InternalError(f"no `{word}` at offset {start}", stage="format")
        return start

    def colon(self, offset: int) -> int:
        """The end of the colon that ends a header; closing parentheses may stand before it."""
        at = self.skip(offset)
        while self._text.startswith(")", at):
            at = self.skip(at + 1)
        return self.word(":", at) + 1


class Lines:
    """The formatted lines, with the comments beside them and the empty lines between them."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._rows: list[tuple[str, str]] = []
        """Code and the comment beside it."""
        self._last: Span | None = None

    def add(self, rows: list[str], place: Span, beside: tree.Comment | None = None) -> None:
        """Add the rows of what stood at `place`; keep an empty line before it if it had one."""
        if self._last is not None and place.line > self._last.end_line + 1:
            self._rows.append(("", ""))
        self._rows += [(row, "") for row in rows]
        if beside is not None:
            self._rows[-1] = rows[-1], beside.text
        self._last = place

    def text(self) -> str:
        """The whole text: comments beside consecutive lines of one indentation are aligned."""
        out: list[str] = []
        at = 0
        while at < len(self._rows):
            run = self._run(at)
            column = max(len(code) for code, _ in self._rows[at : at + run]) + 2
            if run == 1:
                code, comment = self._rows[at]
                out.append(f"{code}  {comment}" if comment else code)
            else:
                rows = self._rows[at : at + run]
                out += [f"{code.ljust(column)}{comment}" for code, comment in rows]
            at += run
        return "".join(line + "\n" for line in out)

    def _run(self, at: int) -> int:
        """How many rows from `at` on have comments that are aligned with each other; at least 1."""
        code, comment = self._rows[at]
        if not comment:
            return 1
        indent = len(code) - len(code.lstrip())
        end = at + 1
        while end < len(self._rows):
            code, comment = self._rows[end]
            if not comment or len(code) - len(code.lstrip()) != indent:
                break
            end += 1
        return end - at
