"""Programs that merge, share and update storage: the form does what the evaluator does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.memory.programs import CALLS, LOOPS, STRAIGHT, STRUCTURES, X, Y
from tests.unit.memory.running import check, copies


@pytest.mark.parametrize("name", STRAIGHT)
def test_straight(name: str) -> None:
    check(STRAIGHT[name], [X, Y])


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("name", LOOPS)
def test_loops(name: str, n: int) -> None:
    check(LOOPS[name], [X * 0.25, np.int32(n)])


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    check(CALLS[name], [X, Y])


def nested(n: int) -> Any:
    return ("Leaf", n) if n < 2 else ("Node", nested(n - 1), nested(n - 2))


@pytest.mark.parametrize("n", [0, 1, 6])
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str, n: int) -> None:
    check(STRUCTURES[name], [nested(3), np.int32(n)])


def test_one_copy_of_what_is_given() -> None:
    """A parameter is copied once before it is changed, and nothing else is copied."""
    for name in ("carried in place", "a row changed in place"):
        assert copies(check(LOOPS[name], [X, np.int32(2)]).functions["main"]) == 1


def test_lists_grow_in_place() -> None:
    b = check(STRUCTURES["pushed in a loop"], [nested(2), np.int32(3)])
    assert copies(b.functions["main"]) == 0
    b = check(STRUCTURES["a function that pushes"], [nested(2), np.int32(3)])
    assert copies(b.functions["add"]) == 0
    # Only the list that is also returned is copied before it is handed over.
    assert copies(b.functions["main"]) == 1
