"""The C programs of docs/embedding.md: the commands that come before them are run, they compile
without a warning, and print what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embedding.md").read_text()
PROGRAMS = re.findall(r"```c\n(.*?)```\n+```text\n(.*?)```", PAGE, re.S)
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
@pytest.mark.parametrize(("source", "output"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_in_c(
    source: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlc.cli.app import run

    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    commands = [line for line in PAGE[: PAGE.index(source)].splitlines() if line.startswith("dlc ")]
    for line in commands:
        assert run(shlex.split(line)[1:]) == 0
    name = re.search(r'#include "(.+)\.h"', source)
    assert name is not None
    (tmp_path / "main.c").write_text(source)
    objects = [f"build/{name[1]}.o", f"build/{name[1]}.a"]
    for standard in ("c11", "c17"):
        for library in objects:
            command = [f"-std={standard}", *WARNINGS, "-Ibuild", "main.c", library, "-o", "main"]
            subprocess.run(["gcc", *command], check=True)
            done = subprocess.run(["./main"], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (0, output), done.stderr


def test_the_page_has_programs() -> None:
    assert PROGRAMS
