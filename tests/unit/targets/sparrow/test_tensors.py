"""The cases of the CPU's tensor operations, on the modelled machine."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.targets.sparrow import SparrowError, run_entry
from tests.unit.targets.cpu.emit import test_tensors as cases
from tests.unit.targets.cpu.emit.test_tensors import *  # noqa: F403
from tests.unit.targets.sparrow.agreement import agree, agree_or_refused, main


@pytest.fixture(autouse=True)
def _on_sparrow(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(cases, "agree", agree_or_refused)


def test_check_indices() -> None:
    """The first bad index is told."""
    body = "check_indices %i {bound=5}\n%y = neg %i : i32[J]\nreturn %y"
    good = [cases.ints(5, 7), cases.ints(5, 0), np.array([-1], np.int32)]
    program = agree(main("[J](%i: i32[J])", "i32[J]", body), *([i] for i in good))
    bad = cases.ints(5, 70)
    bad[40], bad[50] = 7, 9
    with pytest.raises(SparrowError) as e:
        run_entry(program, "main", [bad])
    assert (e.value.status, e.value.got, e.value.want) == ("bounds", 7, 5)


def test_an_index_that_is_a_constant() -> None:
    body = "%i = const {value=1} : i32\n%y = take %x, %i {axis=1} : f32[R]\nreturn %y"
    agree(main("[R](%x: f32[R, 3])", "f32[R]", body), [cases.f(5, 3)])
