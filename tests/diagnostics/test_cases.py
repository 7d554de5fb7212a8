"""Further wrong programs: `cases/<name>.dl`, with the whole output beside it as `<name>.txt`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dlc.check.program import check_program
from dlc.diag import CompileError, SourceFile
from dlc.diag.render import render_all

CASES = sorted((Path(__file__).parent / "cases").glob("*.dl"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_wrong_program(path: Path, golden: Callable[[str, str], None]) -> None:
    source = SourceFile(path.name, path.read_text(encoding="utf-8"))
    with pytest.raises(CompileError) as caught:
        check_program(source)
    for found in caught.value.diagnostics:
        assert found.primary is not None, "a place"
        assert found.helps or found.notes, "a remedy"
    if path.stem != "two_errors":
        assert len(caught.value.diagnostics) == 1, "one error for one mistake"
    golden(f"cases/{path.stem}.txt", render_all(caught.value.diagnostics))
