"""The project's own ISA, read once."""

from __future__ import annotations

import functools

from dlc import resources
from dlc.diag import SourceFile
from dlc.isa.model import Isa
from dlc.isa.reader import read_isa


def isa_files() -> tuple[SourceFile, ...]:
    """The files of `isa/`, by name."""
    paths = sorted(resources.isa(".").glob("*.isa"))
    return tuple(SourceFile(f"isa/{path.name}", path.read_text(encoding="utf-8")) for path in paths)


@functools.cache
def load_isa() -> Isa:
    """Sparrow, as `isa/*.isa` declares it; about 0.4 s the first time."""
    return read_isa(isa_files())
