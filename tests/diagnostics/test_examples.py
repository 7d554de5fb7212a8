"""Every error code by example: the wrong one gives exactly this code, the right one none.

The rendered diagnostic is the golden file `<code>.txt` beside this test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dlc.check.program import check_program
from dlc.diag import CompileError, SourceFile
from dlc.diag.codes import Code, all_codes
from dlc.diag.render import render_all
from dlc.syntax import parse

Run = Callable[[Path], None]


def run_syntax(path: Path) -> None:
    parse(SourceFile(path.name, path.read_bytes().decode("utf-8")))


def run_check(path: Path) -> None:
    source = SourceFile(path.name, path.read_bytes().decode("utf-8"))
    check_program(source, folder=path.parent)


RUNNERS: dict[str, Run] = {"E01": run_syntax} | dict.fromkeys(
    ("E02", "E03", "E04", "E05"), run_check
)
"""How the examples of a stage are compiled: a function of the example's file that may raise."""

EXAMPLES = [code for code in all_codes() if code.bad and code.code[:3] in RUNNERS]


def write(code: Code, text: str, folder: Path) -> Path:
    for name, content in code.files:
        (folder / name).write_bytes(content.encode("utf-8"))
    path = folder / "example.dl"
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda c: c.code)
def test_the_wrong_example(code: Code, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(CompileError) as caught:
        RUNNERS[code.code[:3]](write(code, code.bad, tmp_path))
    assert [d.code for d in caught.value.diagnostics] == [code.code]
    (found,) = caught.value.diagnostics
    assert found.primary is not None, "a place"
    assert found.helps or found.notes, "a remedy"
    golden(f"{code.code}.txt", render_all([found]))


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda c: c.code)
def test_the_right_example(code: Code, tmp_path: Path) -> None:
    RUNNERS[code.code[:3]](write(code, code.good, tmp_path))
