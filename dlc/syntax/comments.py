"""Where the comments of a module go when it is formatted, and the lines that come out."""

from __future__ import annotations

import re
from bisect import bisect_left

from dlc.diag import InternalError, SourceFile, Span
from dlc.syntax import tree

_SKIP = re.compile(r"(?:\s+|#[^\n]*)*")


class Comments:
    """The comments of a module, in order, and which of them are written already."""

    def __init__(self, module: tree.Module) -> None:
        self._text = module.source.text
        self._all = module.comments
        self._starts = [c.span.start for c in module.comments]
        self._is_taken = [False] * len(module.comments)
        self._done = 0
        """All comments before this number are taken."""

    def before(self, offset: int) -> list[tree.Comment]:
        """Take all comments before an offset."""
        stop = bisect_left(self._starts, offset)
        taken = self._take(self._done, stop)
        self._done = max(self._done, stop)
        return taken

    def between(self, start: int, end: int) -> list[tree.Comment]:
        """Take the comments from one offset to another."""
        return self._take(bisect_left(self._starts, start), bisect_left(self._starts, end))

    def beside(self, end: int) -> tree.Comment | None:
        """Take the comment on the line that ends at an offset, if there is one."""
        at = bisect_left(self._starts, end)
        if (
            at == len(self._all)
            or self._all[at].own_line
            or "\n" in self._text[end : self._starts[at]]
        ):
            return None
        return next(iter(self._take(at, at + 1)), None)

    def following(self, end: int, column: int) -> list[tree.Comment]:
        """Take the comments that follow an offset line by line, before anything else, and are
        indented at least to `column`."""
        stop = self.skip(end)
        first = at = bisect_left(self._starts, end)
        while at < len(self._all) and self._starts[at] < stop:
            if self._all[at].span.column < column:
                break
            at += 1
        return self._take(first, at)

    def _take(self, first: int, stop: int) -> list[tree.Comment]:
        taken = [self._all[i] for i in range(first, stop) if not self._is_taken[i]]
        self._is_taken[first:stop] = [True] * (stop - first)
        return taken

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
