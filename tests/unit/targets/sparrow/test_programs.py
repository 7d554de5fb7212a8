"""Control flow, recursion, lists and algebraic values: the CPU's programs, on the modelled
machine."""

from __future__ import annotations

import pytest

from tests.unit.targets.cpu.emit.test_programs import CASES, FOLDER, I
from tests.unit.targets.sparrow.agreement import agree_or_refused


@pytest.mark.parametrize("name", CASES)
def test_program(name: str) -> None:
    agree_or_refused((FOLDER / f"{name}.ir").read_text(), *CASES[name])


def test_shared_records_are_read_once() -> None:
    """2^12 leaves from 13 records."""
    agree_or_refused((FOLDER / "lattice.ir").read_text(), [I(12)])
