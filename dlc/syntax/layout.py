"""Documents that choose their line breaks, after Wadler ("A prettier printer", 2003).

A document is a text, a list of documents, or one of the classes below. `flatten` prints one to
lines of at most `width` columns where it can: a group stays on its line if it fits there, else it
breaks at all its `Line`s. Nothing recurses, so documents may nest as deep as they like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

INDENT = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A place to break: nothing or a space (`flat`) if the group stays on its line."""

    flat: str = ""


@dataclass(frozen=True, slots=True)
class Hard:
    """A break that is always taken, and so are those of groups around it; `suffix` comes first."""

    suffix: str = ""


@dataclass(frozen=True, slots=True)
class IfBroken:
    """A text that only appears if the group breaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Concat:
    """Documents one after the other."""

    parts: tuple[Doc, ...]
    is_hard: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_hard", any(_is_hard(p) for p in self.parts))


@dataclass(frozen=True, slots=True)
class Nest:
    """Lines that start inside are indented one level deeper."""

    inner: Doc
    is_hard: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_hard", _is_hard(self.inner))


@dataclass(frozen=True, slots=True)
class Group:
    """The unit of breaking: all its own `Line`s break, or none."""

    inner: Doc
    is_hard: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_hard", _is_hard(self.inner))


Doc: TypeAlias = str | Line | Hard | IfBroken | Concat | Nest | Group

LINE = Line(" ")
SOFT = Line("")

_Work: TypeAlias = tuple[int, bool, Doc]
"""Indentation, whether the group around is broken, document."""


def _is_hard(doc: Doc) -> bool:
    return isinstance(doc, Hard) or (isinstance(doc, Concat | Nest | Group) and doc.is_hard)


def concat(*parts: Doc) -> Doc:
    return Concat(parts)


def join(separator: Doc, parts: list[Doc]) -> Doc:
    """The parts with the separator between them."""
    out: list[Doc] = []
    for i, part in enumerate(parts):
        out += [separator, part] if i else [part]
    return Concat(tuple(out))


def flatten(doc: Doc, indent: int, width: int) -> list[str]:
    """The lines of a document whose first line starts at column `indent`."""
    lines: list[str] = []
    now: list[str] = [" " * indent]
    column = indent
    work: list[_Work] = [(indent, True, doc)]
    while work:
        level, is_broken, top = work.pop()
        if isinstance(top, str):
            now.append(top)
            column += len(top)
        elif isinstance(top, Concat):
            work += [(level, is_broken, part) for part in reversed(top.parts)]
        elif isinstance(top, Nest):
            work.append((level + INDENT, is_broken, top.inner))
        elif isinstance(top, Group):
            flat = not top.is_hard and _fits((level, False, top.inner), work, width - column)
            work.append((level, not flat, top.inner))
        elif isinstance(top, IfBroken):
            if is_broken:
                now.append(top.text)
                column += len(top.text)
        elif is_broken or isinstance(top, Hard):
            now.append(top.suffix if isinstance(top, Hard) else "")
            lines.append("".join(now).rstrip())
            now, column = [" " * level], level
        else:
            now.append(top.flat)
            column += len(top.flat)
    lines.append("".join(now).rstrip())
    return lines


def _fits(first: _Work, rest: list[_Work], room: int) -> bool:
    """Whether `first` and what follows up to the next break that may be taken fit in `room`
    columns.
    """
    work = [first]
    below = len(rest)
    while room >= 0:
        if not work:
            if below == 0:
                return True
            below -= 1
            work.append(rest[below])
            continue
        level, is_broken, top = work.pop()
        if isinstance(top, str):
            room -= len(top)
        elif isinstance(top, Concat):
            work += [(level, is_broken, part) for part in reversed(top.parts)]
        elif isinstance(top, Nest | Group):
            work.append((level, is_broken or top.is_hard, top.inner))
        elif isinstance(top, IfBroken):
            room -= len(top.text) if is_broken else 0
        elif is_broken or isinstance(top, Hard):
            return True
        else:
            room -= len(top.flat)
    return False
