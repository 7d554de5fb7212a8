"""Arenas of every size: enough is enough, less is a status, and nothing outside is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.targets.cpu.run import CallError, Compiled, aligned
from tests.unit.targets.cpu.emit.agreement import native, same
from tests.unit.targets.cpu.emit.test_programs import CASES, FOLDER

CANARY = 0xA5
GUARD = 256


def guarded(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An arena of n bytes between two guards, and the whole."""
    whole = aligned(n + 2 * GUARD)
    whole[:] = CANARY
    return whole, whole[GUARD : GUARD + n]


def intact(whole: np.ndarray[Any, Any], n: int) -> bool:
    return bool((whole[:GUARD] == CANARY).all() and (whole[GUARD + n :] == CANARY).all())


def sizes_below(peak: int) -> list[int]:
    """Every multiple of 64, or a selection with both ends if there are many."""
    every = list(range(0, peak, 64))
    return every if len(every) <= 200 else [*every[:60], *every[60:-60:37], *every[-60:]]


def attempt(compiled: Compiled, args: list[Any], n: int) -> bool:
    """Whether a call with n bytes succeeds; it must leave the guards as they are."""
    whole, arena = guarded(n)
    try:
        compiled.call_once("main", args, arena, room=4096)
    except CallError as e:
        assert e.status == "arena", e
        assert e.got == n and e.want > n
        return False
    finally:
        assert intact(whole, n), n
    return True


@pytest.mark.parametrize("name", CASES)
def test_every_size(name: str) -> None:
    compiled = native((FOLDER / f"{name}.ir").read_text())
    for args in CASES[name]:
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        try:
            called = compiled.call_once("main", given, aligned(1 << 20), room=4096)
        except CallError as e:
            assert e.status == "bounds"
            continue
        peak = called.peak
        assert peak % 64 == 0 or name in (
            "echo",
            "rose",
            "tensor_adt",
            "hidden",
            "build",
            "lattice",
        )
        enough = -(-peak // 64) * 64
        assert attempt(compiled, args, enough)
        for n in sizes_below(enough):
            assert not attempt(compiled, args, n), n


def test_too_little_room_for_results_says_how_much_is_wanted() -> None:
    compiled = native((FOLDER / "build.ir").read_text())
    with pytest.raises(CallError) as e:
        compiled.call_once("main", [np.int32(10)], aligned(1 << 16), room=5)
    assert (e.value.status, e.value.got, e.value.want, e.value.what) == ("space", 5, 22, "nodes")
    compiled = native((FOLDER / "hidden_result.ir").read_text())
    x = np.arange(10, dtype=np.float32)
    with pytest.raises(CallError) as e:
        compiled.call_once("main", [x, x - 1], aligned(1 << 16), room=9)
    assert (e.value.status, e.value.got, e.value.want) == ("space", 9, 10)


def test_a_closed_loop_needs_no_more_for_more_turns() -> None:
    compiled = native((FOLDER / "closed_loop.ir").read_text())
    x = np.ones(7, np.float32)
    peaks = {
        compiled.call_once("main", [np.int32(n), x], aligned(1 << 16)).peak for n in (2, 50, 500)
    }
    assert len(peaks) == 1


def test_results_do_not_depend_on_what_was_in_the_arena() -> None:
    compiled = native((FOLDER / "group_with_loop_and_list.ir").read_text())
    args = CASES["group_with_loop_and_list"][1]
    results = []
    for byte in (0, 0xFF, 0x7F):
        arena = aligned(1 << 14)
        arena[:] = byte
        results.append(compiled.call_once("main", args, arena).results)
    for r in results[1:]:
        same(list(r), list(results[0]))


def test_misaligned_arenas_are_refused() -> None:
    compiled = native((FOLDER / "mutual.ir").read_text())
    for arena in (aligned(1 << 12)[4:], aligned(1 << 12)[: (1 << 12) - 4]):
        with pytest.raises(CallError) as e:
            compiled.call_once("main", [np.int32(3)], arena)
        assert e.value.status == "arg"
