"""Source texts and places in them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A text with a name that people recognise (a path as the user gave it, or `<string>`).

    Offsets count characters of `text`; lines and columns count from 1. Lines end at `\\n`, also in
    files with `\\r\\n`, so that an editor and the compiler agree on line numbers."""

    name: str
    text: str = field(repr=False)
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        object.__setattr__(self, "_starts", tuple(starts))

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def line_count(self) -> int:
        """Lines, an empty last one included."""
        return len(self._starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of a character offset (clamped to the text)."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_start(self, line: int) -> int:
        """Offset of the first character of a line (from 1)."""
        return self._starts[line - 1]

    def line_text(self, line: int) -> str:
        """A line (from 1) without its end."""
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        return self.text[start:end].removesuffix("\r")

    def span(self, start: int, end: int) -> Span:
        """The place from offset `start` up to, without, `end`."""
        return Span(self, start, end)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source: characters `start` up to, without, `end`."""

    source: SourceFile
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """Line of the first character, from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """Column of the first character, from 1."""
        return self.source.position(self.start)[1]

    @property
    def end_line(self) -> int:
        """Line of the last character, from 1."""
        return self.source.position(max(self.start, self.end - 1))[0]

    def to(self, other: Span) -> Span:
        """The smallest place that covers both (of one source)."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def first(self) -> Span:
        """Only the first character."""
        return Span(self.source, self.start, min(self.start + 1, self.end))

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"
