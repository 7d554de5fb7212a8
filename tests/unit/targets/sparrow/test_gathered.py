"""Products with sparse vectors: events instead of gathered columns, with the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate import run
from dlc.ir.core import Module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from dlc.targets.sparrow import (
    Outcome,
    SparrowError,
    SparrowOptions,
    SparrowProgram,
    compile_module,
    run_entry,
)

SOURCE = """
export fn given(w: f32[H, I], x: Sparse[f32, I]) -> f32[H]:
    return w @ x

export fn columns(w: f32[I, H], x: Sparse[f32, I]) -> f32[H]:
    return transpose(w) @ x

export fn fired(w: f32[H, I], x: f32[I]) -> f32[H]:
    return w @ nonzero(x)

export fn chain(w: f32[H, I], v: f32[O, H], x: Sparse[f32, I]) -> f32[O]:
    return v @ nonzero(relu(w @ x))

export fn kept(w: f32[H, I], index: i32[K], v: f32[K]) -> (f32[H], f32[H, K]):
    c = w.T[index].T
    return c @ v, c

export fn fixed(w: f32[5, 9], x: Sparse[f32, 9]) -> f32[5]:
    return w @ x

export fn turns(w: f32[H, H], x: Sparse[f32, H], n: i32) -> f32[H]:
    y = w @ x
    for i in 0..n:
        y = relu(w @ nonzero(y))
    return y
"""
QUEUE = 8
RNG = np.random.default_rng(4)


def module() -> Module:
    m = lower(check_program(SourceFile("sparse.dl", SOURCE))).module
    return run_passes(m, (*BEFORE_AUTODIFF, *AFTER_AUTODIFF))[0]


MODULE = module()


@dataclass(frozen=True)
class Pair:
    """A program and its dense twin."""

    events: SparrowProgram
    dense: SparrowProgram


def pair(**options: Any) -> Pair:
    made = bufferise(MODULE)
    programs = (
        compile_module(made, SparrowOptions(dense=d, queue=QUEUE, **options)) for d in (False, True)
    )
    return Pair(*programs)


PAIR = pair()


def floats(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.standard_normal(shape).astype(np.float32)


def indices(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int32)


def both(entry: str, args: list[Any], p: Pair = PAIR, dims: Any = None) -> tuple[Outcome, Outcome]:
    """Called on the program and its twin: the same bits, and what the evaluator says."""
    a, b = (run_entry(x, entry, args, dims, preset="sparrow") for x in (p.events, p.dense))
    for x, y, z in zip(a.results, b.results, run(MODULE, entry, args, dims), strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_allclose(x, z, rtol=1e-5, atol=1e-6)
    return a, b


def columns_read(o: Outcome) -> int:
    assert o.report is not None
    return o.report.sparse.counters["ev_pop"]


@pytest.mark.parametrize("entry", ["given", "columns"])
@pytest.mark.parametrize(
    "index",
    [(), (3,), (0, 1), (0, 4, 8), tuple(range(8)), tuple(range(9)), (4, 4), (5, 2), (0, 3, 3, 8)],
)
def test_indices_of_all_kinds(entry: str, index: tuple[int, ...]) -> None:
    """Ascending ones are events if a queue holds them; equal and falling ones go the dense way."""
    w = floats(5, 9) if entry == "given" else floats(9, 5)
    mine, twin = both(entry, [w, indices(*index), floats(len(index))], dims={"I": 9})
    ascend = all(a < b for a, b in pairwise(index))
    assert columns_read(mine) == (len(index) if ascend and len(index) <= QUEUE else 0)
    assert columns_read(twin) == 0


def test_units_that_fired() -> None:
    x = np.zeros(9, np.float32)
    for active in (0, 1, 5, 8, 9):
        x[:active] = floats(active)
        mine, _ = both("fired", [floats(4, 9), x])
        assert columns_read(mine) == (active if active <= QUEUE else 0)


def test_one_product_after_the_other() -> None:
    args = [floats(7, 9), floats(3, 7), indices(1, 4, 6), floats(3)]
    active = int((args[0][:, [1, 4, 6]] @ args[3] > 0).sum())
    mine, twin = both("chain", args)
    assert columns_read(mine) == 3 + active and columns_read(twin) == 0
    assert mine.report is not None and twin.report is not None
    assert mine.report.sparse.cycles < twin.report.sparse.cycles


def test_columns_that_are_read_again_are_gathered() -> None:
    mine, _ = both("kept", [floats(4, 9), indices(1, 4, 6), floats(3)])
    assert columns_read(mine) == 0


def test_fixed_sizes_and_turns() -> None:
    mine, _ = both("fixed", [floats(5, 9), indices(2, 3), floats(2)])
    assert columns_read(mine) == 2
    for n in (0, 1, 4):
        both("turns", [floats(6, 6), indices(0, 5), floats(2), n])


def test_an_index_out_of_range_is_a_status() -> None:
    for bad in (-1, 9):
        args = [floats(5, 9), indices(0, bad), floats(2)]
        with pytest.raises(SparrowError) as e:
            run_entry(PAIR.events, "given", args, {"I": 9})
        assert e.value.status == "bounds"


def test_compressed_weights() -> None:
    w = floats(5, 9) * (RNG.random((5, 9)) < 0.25)
    known = pair(weights={"w": w})
    index = indices(0, 2, 3, 7)
    for entry in ("given", "fixed"):
        mine, _ = both(entry, [w, index, floats(4)], known)
        assert mine.report is not None
        stored = int(np.count_nonzero(w[:, index]))
        assert mine.report.sparse.macs in (stored, 4 * 5)
    mine, _ = both("fixed", [w, index, floats(4)], known)
    assert mine.report is not None and mine.report.sparse.macs == np.count_nonzero(w[:, index])
