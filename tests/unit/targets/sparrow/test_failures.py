"""Calls that end with a status: which one, and where in the source."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.autodiff.expand import differentiate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate import RunError, run
from dlc.ir.core import Module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from dlc.targets.cpu.emit.tensors import LOWERINGS
from dlc.targets.sparrow import SparrowError, compile_module, run_entry
from dlc.targets.sparrow.tensors import RULES

SOURCE = """
export fn element(x: f32[N], i: i32) -> f32:
    y = x + 1.0
    return y[i]

export fn part(x: f32[N], i: i32) -> f32[2]:
    return x[i : i + 2]

export fn positive(x: f32[N]) -> f32:
    s = sum(x)

    assert s > 0.0, "a positive sum"
    return log(s)

export fn quotient(a: i32, b: i32) -> i32:
    return a // b

export fn quotients(a: i32[N], b: i32[N]) -> i32[N]:
    c = a + 1

    return c // b

export fn rows(x: f32[N, M], i: i32[K]) -> f32[K, M]:
    return exp(x)[i]

export fn last(n: i32) -> f32:
    xs: List[f32] = []
    for i in 0..n:
        push(mut xs, 0.5)

    return xs[n]

fn deep(x: f32[N], n: i32) -> f32:
    if n == 0:
        return x[99]
    return deep(x, n - 1)

export fn below(x: f32[N], n: i32) -> f32:
    return deep(x, n)
"""
X = np.linspace(-1, 1, 5).astype(np.float32)
I = np.int32
CALLS: dict[str, list[list[Any]]] = {
    "element": [[X, I(5)], [X, I(-1)]],
    "part": [[X, I(4)]],
    "positive": [[-np.abs(X)]],
    "quotient": [[I(1), I(0)]],
    "quotients": [[np.arange(3, dtype=I), np.array([1, 0, 2], I)]],
    "rows": [[np.ones((3, 2), np.float32), np.array([0, 3], I)]],
    "last": [[I(0)]],
    "below": [[X, I(3)], [X, I(0)]],
}


def _module() -> Module:
    m = lower(check_program(SourceFile("failures.dl", SOURCE))).module
    m = differentiate(run_passes(m, BEFORE_AUTODIFF)[0])
    return run_passes(m, AFTER_AUTODIFF)[0]


MODULE = _module()
PROGRAM = compile_module(bufferise(MODULE))


@pytest.mark.parametrize("entry", CALLS)
def test_status_and_place_are_those_of_the_evaluator(entry: str) -> None:
    for args in CALLS[entry]:
        with pytest.raises(RunError) as want:
            run(MODULE, entry, args)
        with pytest.raises(SparrowError) as got:
            run_entry(PROGRAM, entry, args)
        mine, theirs = got.value, want.value
        assert mine.status == theirs.status
        assert (mine.file, mine.line, mine.column) == (
            theirs.loc.file,
            theirs.loc.line,
            theirs.loc.column,
        )
        if entry in ("element", "rows", "below", "last"):
            assert (mine.got, mine.want) == (theirs.got, theirs.want)


def test_a_call_after_a_failure_is_as_any_other() -> None:
    with pytest.raises(SparrowError):
        run_entry(PROGRAM, "element", [X, I(7)])
    assert run_entry(PROGRAM, "element", [X, I(4)]).results == (2.0,)


def test_the_text_of_an_assertion_is_told() -> None:
    with pytest.raises(SparrowError, match="a positive sum"):
        run_entry(PROGRAM, "positive", [-np.abs(X)])


def test_every_operation_of_native_code_has_code() -> None:
    assert set(RULES) == set(LOWERINGS)
