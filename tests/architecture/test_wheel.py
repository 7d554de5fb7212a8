"""A wheel carries the grammar, the accelerator and the library, and works without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
from dlc import resources
from dlc.diag import SourceFile
from dlc.syntax import parse
assert "site" in resources.grammar("dl.lark").parts, resources.grammar("dl.lark")
assert resources.grammar("dl.table.json").is_file()
assert resources.isa("machine.isa").is_file()
print(len(parse(SourceFile("t", "import nn\\n")).items))
"""


@pytest.mark.full
def test_a_wheel_works_alone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    library = {p.name for p in (ROOT / "dlc" / "std").glob("*.dl")}
    assert {Path(n).name for n in names if n.startswith("dlc/std/")} >= library
    assert not [n for n in names if n.startswith(("tests/", "tools/"))]
    env = {"PYTHONPATH": str(tmp_path / "site"), "PATH": os.environ["PATH"]}
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=env, check=True, capture_output=True
    )
    assert made.stdout == b"1\n"
