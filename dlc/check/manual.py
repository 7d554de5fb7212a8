"""What the library says of itself: every function and model with its signature and its comment.

A comment that stands directly above a definition belongs to it; one that begins a file and is
followed by an empty line belongs to the module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlc import resources
from dlc.check.special.manual import SPECIAL_ENTRIES

_DEFINITION = re.compile(r"(?:builtin )?(fn|model|type) (\w+)")


@dataclass(frozen=True, slots=True)
class ManualEntry:
    """A name of the library. `module` is empty for what is visible everywhere; `group` is the
    heading it stands under; `text` is the signature, or the whole of a model or type."""

    module: str
    group: str
    name: str
    text: str
    comment: str

    @property
    def full_name(self) -> str:
        return f"{self.module}.{self.name}" if self.module else self.name


def manual() -> tuple[ManualEntry, ...]:
    """Everything: builtins without and with a signature, then the modules in order."""
    special = (ManualEntry("", s.group, s.name, s.text, s.comment) for s in SPECIAL_ENTRIES)
    prelude = _entries("", resources.prelude().read_text(encoding="utf-8"))
    out = [*special, *prelude]
    for name in resources.std_modules():
        out += _entries(name, _source(name))
    return tuple(out)


def find_entries(name: str) -> tuple[ManualEntry, ...]:
    """The entries of a name, `softmax`, `nn.gru` or `GRU`."""
    return tuple(e for e in manual() if name in (e.name, e.full_name))


def explain_entry(e: ManualEntry) -> str:
    """The page of an entry, for `dlc explain`."""
    where = f"from {e.module} import {e.name}" if e.module else "visible without an import"
    return f"{e.full_name}: {where}\n\n{_indented(e.text)}\n\n{e.comment}\n"


def _source(module: str) -> str:
    path = resources.std_module(module)
    assert path is not None
    return path.read_text(encoding="utf-8")


def _entries(module: str, source: str) -> Iterator[ManualEntry]:
    lines = source.splitlines()
    comment: list[str] = []
    group = ""
    for i, line in enumerate(lines):
        if line.startswith("# -- "):
            group, comment = line.removeprefix("# -- "), []
        elif line.startswith("#"):
            comment.append(line.lstrip("# "))
        elif found := _DEFINITION.match(line):
            kind, name = found.groups()
            text = _head(lines, i) if kind == "fn" else _block(lines, i)
            yield ManualEntry(module, group, name, text, " ".join(comment))
            comment = []
        elif not line.startswith("@"):
            comment = []


def _head(lines: Sequence[str], at: int) -> str:
    """A signature, which may run over lines; without the colon before a body."""
    depth = 0
    for end in range(at, len(lines)):
        depth += sum(c in "[(" for c in lines[end]) - sum(c in "])" for c in lines[end])
        if depth == 0:
            return "\n".join(lines[at : end + 1]).removeprefix("builtin ").removesuffix(":")
    raise AssertionError(f"a signature without an end: {lines[at]}")


def _block(lines: Sequence[str], at: int) -> str:
    end = at + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return "\n".join(lines[at:end])


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


# -- the page

_PAGE = """# The library

Made from the comments in `dlc/std/` by `make docs`; don't edit. `dlc explain NAME` prints an entry.

`T` is an element type (`float`: f64 f32 f16 bf16; `number`: any but bool), `*S` any run of dims,
`?k` a size that only the run decides; an `int` is a whole number that types mention. A bare
`m: GRU` has the dims `m.I`, `m.H`. What fails ends the call with a status.
"""


def library_page() -> str:
    """The whole page, Markdown."""
    entries = manual()
    parts = [_PAGE, "## Visible everywhere\n"]
    group = ""
    for e in entries:
        if e.module:
            break
        if e.group != group:
            group = e.group
            parts.append(f"### {group[:1].upper()}{group[1:]}\n")
        parts.append(_item(e))
    for module in resources.std_modules():
        parts += [f"## `{module}`\n", _about(module)]
        parts += [_item(e) for e in entries if e.module == module]
    return "\n".join(parts)


def _about(module: str) -> str:
    lines: list[str] = []
    for line in _source(module).splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines) + "\n"


def _item(e: ManualEntry) -> str:
    return f"```\n{e.text}\n```\n{e.comment}\n"
