"""The IR of every construct, whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dlc.check.program import check_file
from dlc.ir.printer import print_module
from dlc.lower.lowered import lower
from dlc.ops.verify import verify

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(p.stem for p in HERE.glob("*.dl")))
def test_lowered_text(name: str, golden: Callable[[str, str], None]):
    made = lower(check_file(HERE / f"{name}.dl"), tests=True)
    golden(f"{name}.ir.txt", print_module(verify(made.module), locations=False))
