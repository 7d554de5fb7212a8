"""Rectified vectors as events: the same bits as the dense twin, with fewer products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.autodiff.expand import differentiate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate import run
from dlc.ir.core import Module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from dlc.targets.sparrow import Outcome, SparrowOptions, SparrowProgram, compile_module, run_entry

SOURCE = """
fn loss(w: f32[H, I], v: f32[O, H], x: f32[I]) -> f32:
    y = v @ relu(w @ x)
    return 0.5 * dot(y, y)

export fn forward(w: f32[H, I], v: f32[O, H], x: f32[I]) -> f32[O]:
    return v @ relu(w @ x)

export fn back(w: f32[H, I], v: f32[O, H], x: f32[I]) -> (f32[H, I], f32[O, H], f32[I]):
    return grad(loss, wrt=(w, v, x))(w, v, x)

export fn unmasked(w: f32[H, I], v: f32[H, H], x: f32[I]) -> (f32[H], f32[H]):
    h = relu(w @ x)
    d = column_sums(v, h)
    return select_above(w @ x, d), d

export fn image(k: f32[O, C, 3, 3], x: f32[C, 6, 5]) -> f32[O, 6, 5]:
    return conv2d(relu(x), k, pad=1)

fn column_sums(v: f32[N, N], h: f32[N]) -> f32[N]:
    return transpose(v) @ h

fn select_above(p: f32[N], d: f32[N]) -> f32[N]:
    return where(p > 0.0, d, 0.0)
"""
RNG = np.random.default_rng(8)


def module() -> Module:
    m = lower(check_program(SourceFile("events.dl", SOURCE))).module
    m = differentiate(run_passes(m, BEFORE_AUTODIFF)[0])
    return run_passes(m, AFTER_AUTODIFF)[0]


MODULE = module()
EVENTS, DENSE = (
    compile_module(bufferise(MODULE), SparrowOptions(dense=d, queue=64)) for d in (False, True)
)


def given(hidden: int, x: int = 7, y: int = 5) -> list[Any]:
    return [RNG.standard_normal(s).astype(np.float32) for s in ((hidden, x), (y, hidden), (x,))]


def called(program: SparrowProgram, entry: str, args: list[Any]) -> Outcome:
    return run_entry(program, entry, args, preset="sparrow")


def macs(outcome: Outcome) -> int:
    assert outcome.report is not None
    return outcome.report.sparse.macs


@pytest.mark.parametrize("hidden", [1, 2, 33, 64])
@pytest.mark.parametrize("entry", ["forward", "back"])
def test_events_have_the_bits_of_the_dense_twin(entry: str, hidden: int) -> None:
    for _ in range(4):
        args = given(hidden)
        mine, twin = called(EVENTS, entry, args), called(DENSE, entry, args)
        for a, b in zip(mine.results, twin.results, strict=True):
            assert np.array_equal(a, b)
        for a, b in zip(mine.results, run(MODULE, entry, args), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_products_are_those_of_active_units() -> None:
    hidden, x, y = 60, 7, 5
    args = given(hidden)
    active = int((args[0] @ args[2] > 0).sum())
    assert 0 < active < hidden
    forward = hidden * x + active * y
    assert macs(called(EVENTS, "forward", args)) == forward
    assert macs(called(DENSE, "forward", args)) == hidden * x + hidden * y
    # Backward: dv and dh of active units, then dw and dx of active rows.
    listed = active * (y + y + x + x)
    assert macs(called(EVENTS, "back", args)) == forward + listed
    dense = hidden * (y + y + x + x)
    assert macs(called(DENSE, "back", args)) == hidden * (x + y) + dense


def test_nothing_active_and_everything() -> None:
    for sign in (-1, 1):
        args = [sign * np.abs(a) if k == 0 else np.abs(a) for k, a in enumerate(given(33))]
        mine, twin = called(EVENTS, "back", args), called(DENSE, "back", args)
        for a, b in zip(mine.results, twin.results, strict=True):
            assert np.array_equal(a, b)


def test_a_vector_longer_than_a_queue_takes_the_dense_way() -> None:
    args = given(65)
    mine, twin = called(EVENTS, "back", args), called(DENSE, "back", args)
    assert macs(mine) == macs(twin)
    for a, b in zip(mine.results, twin.results, strict=True):
        assert np.array_equal(a, b)


def test_a_nan_is_an_event() -> None:
    args = given(9)
    args[2][3] = np.nan
    mine, twin = called(EVENTS, "forward", args), called(DENSE, "forward", args)
    assert np.isnan(mine.results[0]).all() and np.isnan(twin.results[0]).all()


def test_a_cotangent_that_others_read_is_whole() -> None:
    """Only what is masked, and by nobody else read, may be left out."""
    args = [*given(9)[:1], RNG.standard_normal((9, 9)).astype(np.float32), given(9)[2]]
    mine = called(EVENTS, "unmasked", args)
    for a, b in zip(mine.results, run(MODULE, "unmasked", args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outputs", [2, 20])
def test_convolutions_over_active_elements(outputs: int) -> None:
    """Only where an element leads to enough products for its list to pay."""
    k, x = (RNG.standard_normal(s).astype(np.float32) for s in ((outputs, 3, 3, 3), (3, 6, 5)))
    mine, twin = called(EVENTS, "image", [k, x]), called(DENSE, "image", [k, x])
    assert np.array_equal(mine.results[0], twin.results[0])
    (want,) = run(MODULE, "image", [k, x])
    np.testing.assert_allclose(mine.results[0], want, rtol=1e-4, atol=1e-5)
    if outputs == 20:
        assert macs(mine) == int((x > 0).sum()) * outputs * 9
    else:
        assert macs(mine) == macs(twin)
