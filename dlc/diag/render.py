"""Diagnostics as text for people, with the source and carets.

error[E0302]: cannot multiply these matrices
  --> samples/mlp.dl:14:10
   |
12 |     w: f32[H, 10] ~ glorot()
   |        ---------- rows of `w`: `H`, which is 128
14 |     y = h @ w
   |         - ^ 128 rows
   |         |
   |         64 columns
   = note: `a @ b` needs columns of `a` = rows of `b`
   = help: did you mean `h2`, which has 128 columns?
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dlc.diag.diagnostic import Diagnostic, Label, Severity
from dlc.diag.source import SourceFile

MAX_WIDTH = 140
"""Columns of a source line that are shown; of a longer one, a window around the labels."""

_TAB = 4


@dataclass(frozen=True, slots=True)
class Palette:
    """ANSI sequences of the parts of a diagnostic; all empty for plain text."""

    error: str = ""
    warning: str = ""
    remark: str = ""
    frame: str = ""
    bold: str = ""
    end: str = ""


PLAIN = Palette()
COLOUR = Palette("\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of one line to underline: character offsets in the line."""

    start: int
    end: int
    text: str
    is_primary: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    """A part of one line to underline: columns of the display, from 0."""

    start: int
    end: int
    text: str
    is_primary: bool


def render(found: Diagnostic, *, colour: bool = False) -> str:
    """One diagnostic as text that ends with a line feed; `colour` adds ANSI sequences."""
    palette = COLOUR if colour else PLAIN
    accent = _accent(found, palette)
    code = f"[{found.code}]" if found.code else ""
    head = f"{accent}{found.severity.value}{code}{palette.end}"
    lines = [f"{head}{palette.bold}: {_clean(found.message)}{palette.end}"]
    width = len(str(max((label.span.end_line for label in _labels(found)), default=0)))
    for i, (source, labels) in enumerate(_by_source(found)):
        lines += _snippet(source, labels, found, width, palette, arrow="-->" if i == 0 else ":::")
    margin = " " * (width + 1) + f"{palette.frame}={palette.end} "
    for kind, texts in (("note", found.notes), ("help", tuple(h.text for h in found.helps))):
        for text in texts:
            first, *rest = _clean(text).split("\n")
            lines.append(f"{margin}{palette.bold}{kind}{palette.end}: {first}")
            lines += [" " * (width + 9) + line for line in rest]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def render_all(found: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """Several diagnostics, an empty line between them, and a line that counts the errors."""
    every = list(found)
    errors = sum(d.severity is Severity.ERROR for d in every)
    parts = [render(d, colour=colour) for d in every]
    if errors:
        parts.append(f"{errors} error{'s' if errors > 1 else ''}\n")
    return "\n".join(parts)


def _labels(found: Diagnostic) -> list[Label]:
    return ([found.primary] if found.primary else []) + list(found.labels)


def _by_source(found: Diagnostic) -> list[tuple[SourceFile, list[Label]]]:
    """Labels grouped by source, the primary label's first."""
    groups: dict[str, tuple[SourceFile, list[Label]]] = {}
    for label in _labels(found):
        source = label.span.source
        groups.setdefault(source.name, (source, []))[1].append(label)
    return list(groups.values())


def _accent(found: Diagnostic, palette: Palette) -> str:
    return {
        Severity.ERROR: palette.error,
        Severity.WARNING: palette.warning,
        Severity.REMARK: palette.remark,
    }[found.severity]


def _snippet(
    source: SourceFile,
    labels: list[Label],
    found: Diagnostic,
    width: int,
    palette: Palette,
    arrow: str,
) -> list[str]:
    at = next((label for label in labels if label is found.primary), labels[0])
    frame, end = palette.frame, palette.end
    bar = f"{' ' * width} {frame}|{end}"
    name = _clean(source.name)
    lines = [f"{' ' * width}{frame}{arrow}{end} {name}:{at.span.line}:{at.span.column}", bar]
    last = 0
    for number, marks in _marks(source, labels, found.primary).items():
        if last and number > last + 2:
            lines.append(f"{frame}...{end}")
        last = number
        line, marks = _window(source.line_text(number), marks)
        text, columns = _display(line)
        placed = [_place(mark, columns) for mark in marks]
        lines.append(f"{frame}{number:>{width}} |{end} {text}")
        accent = _accent(found, palette)
        lines += [f"{bar} {row}" for row in _underline(placed, accent, palette)]
    return lines


def _marks(
    source: SourceFile, labels: list[Label], primary: Label | None
) -> dict[int, list[_Stretch]]:
    """The lines to show, in order, and what to underline in each.

    A place of several lines is underlined on its first and on its last line, where its text stands.
    """
    found: dict[int, list[_Stretch]] = {}
    for label in labels:
        span, is_primary = label.span, label is primary
        first, last = span.line, span.end_line
        start, stop = span.start - source.line_start(first), span.end - source.line_start(last)
        if first == last:
            found.setdefault(first, []).append(_Stretch(start, stop, label.text, is_primary))
            continue
        text = source.line_text(last)
        indent = len(text) - len(text.lstrip())
        end = len(source.line_text(first))
        found.setdefault(first, []).append(_Stretch(start, end, "", is_primary))
        found.setdefault(last, []).append(_Stretch(min(indent, stop), stop, label.text, is_primary))
    return dict(sorted(found.items()))


def _display(line: str) -> tuple[str, list[int]]:
    """A line as it can be shown, and the column at which each character begins (and the end)."""
    parts: list[str] = []
    columns: list[int] = []
    column = 0
    for char in line:
        columns.append(column)
        if char == "\t":
            shown, wide = " " * (_TAB - column % _TAB), _TAB - column % _TAB
        elif unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            shown, wide = "\ufffd", 1
        elif unicodedata.combining(char):
            shown, wide = char, 0
        else:
            shown, wide = char, 2 if unicodedata.east_asian_width(char) in "WF" else 1
        parts.append(shown)
        column += wide
    return "".join(parts), [*columns, column]


def _place(mark: _Stretch, columns: list[int]) -> _Mark:
    last = len(columns) - 1
    first = columns[max(0, min(mark.start, last))]
    after = columns[max(0, min(mark.end, last))]
    return _Mark(first, max(after, first + 1), _clean(mark.text), mark.is_primary)


def _window(line: str, marks: list[_Stretch]) -> tuple[str, list[_Stretch]]:
    """Cut a long line to MAX_WIDTH characters that begin shortly before its marks."""
    if len(line) <= MAX_WIDTH:
        return line, marks
    main = next((m for m in marks if m.is_primary), marks[0])
    start = max(0, min(m.start for m in marks) - 20)
    if main.start - start > MAX_WIDTH - 20:
        start = main.start - 20
    lead, tail = ("… " if start else ""), (" …" if start + MAX_WIDTH < len(line) else "")
    shift, most = start - len(lead), len(lead) + MAX_WIDTH
    kept = [
        replace(m, start=max(m.start - shift, len(lead)), end=min(m.end - shift, most))
        for m in marks
        if m is main or (m.end > start and m.start - shift < most)
    ]
    return lead + line[start : start + MAX_WIDTH] + tail, kept


def _underline(marks: list[_Mark], accent: str, palette: Palette) -> list[str]:
    """The rows below a source line: the underlines, then the texts from right to left."""
    order = sorted(marks, key=lambda m: (m.start, m.is_primary))
    row: list[str] = [" "] * max(m.end for m in order)
    owner: list[bool] = [False] * len(row)
    for mark in sorted(order, key=lambda m: m.is_primary):
        for i in range(mark.start, mark.end):
            row[i] = "^" if mark.is_primary else "-"
            owner[i] = mark.is_primary
    right = order[-1]
    inline = right.text and all(m.end <= right.start or m is right for m in order)
    first = _paint(row, owner, accent, palette)
    if inline:
        first += f" {accent if right.is_primary else palette.frame}{right.text}{palette.end}"
    hanging = [m for m in order if m.text and not (inline and m is right)]
    rows = [first]
    if hanging:
        rows.append(_stems(hanging, accent, palette))
    while hanging:
        mark = hanging.pop()
        stems = [m for m in hanging if m.start < mark.start]
        lead = _stems(stems, accent, palette) if stems else ""
        gap = mark.start - (max(m.start for m in stems) + 1 if stems else 0)
        colour = accent if mark.is_primary else palette.frame
        rows.append(f"{lead}{' ' * gap}{colour}{mark.text}{palette.end}")
    return rows


def _paint(row: list[str], owner: list[bool], accent: str, palette: Palette) -> str:
    parts: list[str] = []
    for i, char in enumerate(row):
        if char == " ":
            parts.append(char)
            continue
        starts = i == 0 or row[i - 1] == " " or owner[i - 1] != owner[i]
        ends = i + 1 == len(row) or row[i + 1] == " " or owner[i + 1] != owner[i]
        colour = accent if owner[i] else palette.frame
        parts.append((colour if starts else "") + char + (palette.end if ends else ""))
    return "".join(parts)


def _stems(marks: list[_Mark], accent: str, palette: Palette) -> str:
    """A row with `|` below the start of each mark."""
    parts: list[str] = []
    column = 0
    for mark in marks:
        if mark.start < column:
            continue
        colour = accent if mark.is_primary else palette.frame
        parts.append(" " * (mark.start - column) + f"{colour}|{palette.end}")
        column = mark.start + 1
    return "".join(parts)


def _clean(text: str) -> str:
    """Text for a terminal: what could move the cursor or can't be encoded is replaced."""
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs") else "\ufffd" for c in text
    )
