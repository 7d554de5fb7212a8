"""Every program in dl and Python that the README and the pages of `docs/` show works. Commands and
programs in C: test_embedding.py, sessions: test_sessions.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.lower.lowered import lower
from dlc.ops.verify import verify

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(kind: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for page in PAGES:
        for i, m in enumerate(re.finditer(rf"```{kind}\n(.*?)```", page.read_text(), re.S)):
            out.append((f"{page.name}:{i}", m.group(1)))
    return out


@pytest.mark.parametrize(("name", "text"), blocks("dl"), ids=lambda x: x if ":" in x[:40] else "")
def test_programs(name: str, text: str) -> None:
    checked = check_program(SourceFile(name, text))
    verify(lower(checked, tests=True).module)


def saved_programs(page: str) -> dict[str, str]:
    """The programs of a page that its text gives a file name to: "(save it as `step.dl`)"."""
    text = next(p for p in PAGES if p.name == page).read_text()
    found = re.finditer(r"\(save it as `(\w+\.dl)`\)[^`]*```dl\n(.*?)```", text, re.S)
    return {m.group(1): m.group(2) for m in found}


PYTHON = [b for b in blocks("python") if not b[0].startswith("README")]
"""Those of the README follow one another: test_embedding.py."""


@pytest.mark.parametrize(("name", "text"), PYTHON, ids=lambda x: x if ":" in x[:40] else "")
def test_python(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = text.replace('"samples/', f'"{ROOT}/samples/')
    for file, program in saved_programs(name.partition(":")[0]).items():
        (tmp_path / file).write_text(program)
    monkeypatch.chdir(tmp_path)
    exec(compile(source, name, "exec"), {})
