"""Every program in dl and Python that the README and the pages of `docs/` show works. Commands and
programs in C, and the README's Python: test_embedding.py; sessions: test_sessions.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.lower.lowered import lower
from dlc.ops.verify import verify
from tests.programs.test_embedding import PAGES, ROOT, blocks

SHOWN = [(p, i, b) for p in PAGES for i, b in enumerate(blocks(p))]


@pytest.mark.parametrize(
    ("name", "text"),
    [pytest.param(p.name, b.text, id=f"{p.name}:{i}") for p, i, b in SHOWN if b.kind == "dl"],
)
def test_programs(name: str, text: str) -> None:
    checked = check_program(SourceFile(name, text))
    verify(lower(checked, tests=True).module)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(p, b.text, id=f"{p.name}:{i}")
        for p, i, b in SHOWN
        if b.kind == "python" and p.name != "README.md"
    ],
)
def test_python(page: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = text.replace('"samples/', f'"{ROOT}/samples/')
    for b in blocks(page):
        if b.kind == "dl" and b.file is not None:
            (tmp_path / b.file).write_text(b.text)
    monkeypatch.chdir(tmp_path)
    exec(compile(source, page.name, "exec"), {})
