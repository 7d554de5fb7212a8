"""The bufferised form does what the IR says, and every rule of the bufferiser is needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from dlc.diag import InternalError
from dlc.ir.core import Module
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.memory.verify import verify
from tests.fuzz.memory_programs import program
from tests.laws.memory_mutants import MUTANTS, mutated
from tests.unit.memory import programs as written
from tests.unit.memory.running import evaluated, interpreted, outcome

SEEDS = 100
"""Programs of a run; `pytest --full` takes ten times as many."""

Case = tuple[Module, list[Any], dict[str, int] | None]


@cache
def case_of(seed: int) -> tuple[Case, Any]:
    """A program and its right outcome."""
    p = program(seed)
    case = (p.module, p.args, p.dims)
    return case, outcome(lambda: evaluated(p.module, "main", p.args, p.dims))


def identical(a: Any, b: Any) -> bool:
    """Equal structure and equal numbers."""
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, str):
        return a == b
    x, y = np.asarray(a), np.asarray(b)
    exact = x.dtype.kind == "f"
    return (
        x.dtype == y.dtype and x.shape == y.shape and np.array_equal(x, y, equal_nan=exact)
    )  # fmt: skip


def wrong(case: Case, want: Any) -> str | None:
    """What is wrong with the bufferised program, if anything."""
    m, args, dims = case
    try:
        b = bufferise(m)
        verify(b)
        got = outcome(lambda: interpreted(m, b, "main", args, dims))
    except (InternalError, AssertionError, IndexError, KeyError) as e:
        return f"{type(e).__name__}: {e}"
    return None if identical(want, got) else f"{want} became {got}"


@pytest.mark.parametrize("start", range(0, SEEDS, 50))
def test_random_programs(start: int) -> None:
    for seed in range(start, start + 50):
        assert wrong(*case_of(seed)) is None, f"seed {seed}"


@pytest.mark.full
@pytest.mark.parametrize("start", range(SEEDS, 10 * SEEDS, 50))
def test_more_random_programs(start: int) -> None:
    test_random_programs(start)


HAND_MADE: dict[str, tuple[str, ...]] = {
    "nothing is live through a loop": ("captured and not used again",),
    "pieces of a concat are like others": ("a piece read backwards",),
    "copies of ring values share with the ring": ("nested",),
    "rows wait for nobody's index": ("a check before the row is made",),
    "a map may write what it reads elsewhere": ("reversed and added to itself",),
    "one copy at returns": ("exchanged",),
    "columns stay whatever becomes of the list": (
        "a pushed tensor read after the element has changed",
    ),
}


def witnesses(name: str) -> Iterator[tuple[Case, Any]]:
    """Programs that this mistake turns wrong: written ones, then random ones."""
    for title in HAND_MADE.get(name, ()):
        structure = title in written.STRUCTURES
        m = read_module(written.ALL[title])
        number = structure or title in written.LOOPS
        first: Any = ("Leaf", 1) if structure else written.X * 0.25
        args = [first, np.int32(3) if number else written.Y]
        yield (m, args, None), outcome(lambda m=m, args=args: evaluated(m, "main", args, None))
    for seed in range(SEEDS):
        yield case_of(seed)


@pytest.mark.parametrize("name", MUTANTS)
def test_every_rule_is_needed(name: str) -> None:
    found = False
    for case, want in witnesses(name):
        assert wrong(case, want) is None
        with mutated(name):
            if wrong(case, want) is not None:
                found = True
                break
    assert found, "no program shows the mistake"
