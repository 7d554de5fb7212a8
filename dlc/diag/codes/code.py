"""What is known about an error code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """An error code: never reused, never given another meaning.

    `bad` is a source whose only diagnostic has this code, and `good` one that compiles; tests check
    both. `files` are further files beside the bad example, as (name, text). A code that no source
    can show (a file that is too large, an option) has no examples, and `shown_by` names the test
    that shows it, as `tests/unit/syntax/test_files.py::test_not_utf8`."""

    code: str
    title: str
    explanation: str
    bad: str = ""
    good: str = ""
    files: tuple[tuple[str, str], ...] = ()
    shown_by: str = ""
