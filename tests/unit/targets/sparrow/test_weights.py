"""Weights that are known when compiling: kept by the program, compressed where they are mostly
zero."""

from __future__ import annotations

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
from dlc.targets.sparrow import SparrowOptions, SparrowProgram, compile_module, run_entry

SOURCE = """
type Tree = Leaf(x: f32) | Node(l: Tree, r: Tree)

fn walk(w: f32[6, 9], t: Tree, h: f32[9]) -> f32[6]:
    match t:
        Leaf(x):
            return w @ (x * h)
        Node(l, r):
            return walk(w, l, h) + tanh(walk(w, r, h))

export fn vector(w: f32[6, 9], x: f32[9]) -> f32[6]:
    return w @ relu(x)

export fn rows(w: f32[6, 9], y: f32[6]) -> f32[9]:
    return transpose(w) @ y

export fn many(w: f32[6, 9], x: f32[9, 4], y: f32[3, 6]) -> (f32[6, 4], f32[3, 9]):
    return w @ x, y @ w

export fn tree(w: f32[6, 9], t: Tree, x: f32[9]) -> f32[6]:
    return walk(w, t, x)

export fn elements(w: f32[6, 9], x: f32[9]) -> (f32[6, 9], f32[6]):
    return tanh(w), w @ x
"""
RNG = np.random.default_rng(4)
MASK = RNG.random((6, 9)) < 0.25
W = np.where(MASK, RNG.standard_normal((6, 9)), 0).astype(np.float32)
FULL = RNG.standard_normal((6, 9)).astype(np.float32)


def module() -> Module:
    m = lower(check_program(SourceFile("weights.dl", SOURCE))).module
    return run_passes(run_passes(m, BEFORE_AUTODIFF)[0], AFTER_AUTODIFF)[0]


MODULE = module()


def program(w: Any, **given: Any) -> SparrowProgram:
    return compile_module(bufferise(MODULE), SparrowOptions(weights={"w": w}, **given))


def f(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


TREE = ("Node", ("Leaf", 1.5), ("Node", ("Leaf", -2.0), ("Leaf", 0.25)))
CALLS: dict[str, list[Any]] = {
    "vector": [f(9)], "rows": [f(6)], "many": [f(9, 4), f(3, 6)], "tree": [TREE, f(9)],
    "elements": [f(9)],
}  # fmt: skip


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("w", [W, FULL], ids=["sparse", "full"])
@pytest.mark.parametrize("entry", CALLS)
def test_the_evaluator_agrees(entry: str, w: Any, dense: bool) -> None:
    args = CALLS[entry]
    got = run_entry(program(w, dense=dense), entry, [w, *args]).results
    for a, b in zip(got, run(MODULE, entry, [w, *args]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_compressed_product_has_the_bits_of_the_dense_twin() -> None:
    sparse, dense = program(W), program(W, dense=True)
    for entry, args in CALLS.items():
        mine = run_entry(sparse, entry, [W, *args]).results
        for a, b in zip(mine, run_entry(dense, entry, [W, *args]).results, strict=True):
            assert np.array_equal(a, b), entry


def test_only_what_is_stored_is_multiplied() -> None:
    x = f(9)
    active = int(MASK[:, x > 0].sum())
    for w, dense, wanted in ((W, False, active), (W, True, 54), (FULL, False, 6 * (x > 0).sum())):
        out = run_entry(program(w, dense=dense), "vector", [w, x], preset="eie64")
        assert out.report is not None and out.report.sparse.macs == wanted


def test_what_is_passed_does_not_matter() -> None:
    args = [np.zeros_like(W), *CALLS["vector"]]
    (got,) = run_entry(program(W), "vector", args).results
    np.testing.assert_allclose(got, W @ np.maximum(args[1], 0), rtol=1e-5, atol=1e-6)


def test_equal_matrices_are_stored_once_and_only_where_they_are_needed() -> None:
    found = program(W).program
    assert len(found.matrices) == 2, "as it is, and transposed"
    nnz = int(MASK.sum())
    assert all(m.nnz == nnz for m in found.matrices)
    assert not program(FULL).program.matrices and not program(W, dense=True).program.matrices
