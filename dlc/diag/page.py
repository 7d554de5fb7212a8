"""The page about errors, made from the codes and the statuses."""

from __future__ import annotations

from dlc.diag.codes import STAGES
from dlc.diag.statuses import STATUSES

_HEAD = """# Errors

Made from `dlc/diag/codes/` and `dlc/diag/statuses.py` by `make docs`; don't edit.

`dlc explain E0302` prints an entry with a wrong and a right program; `dlc explain BOUNDS` says what
a status means.
"""


def errors_page() -> str:
    """The whole page, Markdown."""
    parts = [_HEAD, "## Statuses of calls\n"]
    for number, s in enumerate(STATUSES):
        parts.append(f"- **{s.name.upper()}** ({number}). {s.meaning} {s.remedy}".rstrip())
    for prefix, name, codes in STAGES:
        parts.append(f"\n## {prefix}xx: {name}\n")
        parts += [f"- **{c.code}**, {c.title}. {c.explanation}" for c in codes]
    return "\n".join(parts) + "\n"
