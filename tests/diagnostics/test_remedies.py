"""Every help that changes the source is carried out, and the program then checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlc.check.program import check_program
from dlc.diag import CompileError, Diagnostic, Edit, SourceFile
from dlc.diag.codes import all_codes

CASES = Path(__file__).parent / "cases"

STAGES = ("E02", "E03", "E04", "E05")


def applied(text: str, edits: tuple[Edit, ...]) -> str:
    """The source with the edits of one help carried out."""
    for e in sorted(edits, key=lambda e: e.span.start, reverse=True):
        text = text[: e.span.start] + e.text + text[e.span.end :]
    return text


def errors(name: str, text: str, folder: Path | None) -> tuple[Diagnostic, ...]:
    try:
        check_program(SourceFile(name, text), folder=folder)
    except CompileError as problem:
        return problem.diagnostics
    return ()


def programs() -> Iterator[tuple[str, str]]:
    for code in all_codes():
        if code.bad and code.code[:3] in STAGES and not code.files:
            yield f"{code.code}.dl", code.bad
    for path in sorted(CASES.glob("*.dl")):
        yield path.name, path.read_text(encoding="utf-8")


REMEDIES = [
    pytest.param(name, text, help_.text, applied(text, help_.edits), id=f"{name}-{j}")
    for name, text in programs()
    if len(found := errors(name, text, None)) == 1
    for j, help_ in enumerate(found[0].helps)
    if help_.edits
]


@pytest.mark.parametrize(("name", "text", "help_", "changed"), REMEDIES)
def test_the_remedy_checks(name: str, text: str, help_: str, changed: str) -> None:
    assert changed != text, help_
    left = errors(name, changed, None)
    assert not left, f"{help_}\n{changed}\n" + "\n".join(f"{d.code}: {d.message}" for d in left)


def test_there_are_many() -> None:
    assert len(REMEDIES) >= 40
