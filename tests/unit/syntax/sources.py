"""The .dl files of the project and programs with every construct, as test data."""

from __future__ import annotations

from pathlib import Path

from dlc.diag import SourceFile
from dlc.syntax import read_source

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ROOT / "tests" / "text" / "syntax"


def _read(path: Path) -> SourceFile:
    return read_source(path, path.relative_to(ROOT).as_posix())


SOURCES = [
    _read(path)
    for folder in (TEXTS, ROOT / "samples", ROOT / "dlc" / "std")
    for path in sorted(folder.glob("*.dl"))
]


def is_prelude(source: SourceFile) -> bool:
    return source.name.endswith("prelude.dl")
