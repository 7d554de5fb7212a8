"""What a training step takes of the arena: weights' gradients are accumulated in place, residuals
are there while they are needed and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate.arguments import Arguments
from dlc.ir.core import Function, Module, Region, Value, walk
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.memory.interpret import interpret
from tests.laws.test_autodiff import compiled

SAMPLES = Path(__file__).parents[2] / "samples"
V, D, H, C = 6, 24, 48, 3
NODE = 10 * H * 4 + 2 * 8
"""Bytes of an inner node's residuals (`tests/text/autodiff`)."""
LEAF = 4 * H * 4 + 4

MANY = """
export fn many(m: mut TreeLSTM, t: Tree, label: i32, rate: f32, n: i32) -> f32:
    l = 0.0
    for i in 0..n:
        x, g = value_and_grad(loss, wrt=m)(m, t, label)
        m = sgd(m, g, rate)
        l = x
    return l
"""


def text(sample: str) -> str:
    return (SAMPLES / f"{sample}.dl").read_text(encoding="utf-8")


@cache
def tree_lstm() -> Module:
    source = SourceFile("treelstm.dl", text("treelstm") + MANY)
    return compiled(lower(check_program(source)).module)


def tree(leaves: int) -> Any:
    if leaves == 1:
        return ("Leaf", 1)
    return ("Node", tree(leaves // 2), tree(leaves - leaves // 2))


def peak(entry: str, leaves: int, *more: Any) -> int:
    r = np.random.default_rng(0)
    shapes = ((V, D), (3 * H, D), (3 * H,), (5 * H, 2 * H), (5 * H,), (C, H))
    weights = [0.3 * r.normal(size=s).astype(np.float32) for s in shapes]
    args = [*weights, tree(leaves), 1, np.float32(0.1), *more]
    module = tree_lstm()
    values, env = Arguments(module.types).convert(module.functions[entry], args, None)
    return interpret(bufferise(module), entry, values, env).peak


def test_a_node_takes_its_residuals_and_no_gradient_of_a_weight() -> None:
    small, large = peak("train", 8), peak("train", 40)
    added = (large - small) / 32  # a leaf and an inner node each
    # Links, headers and alignment; a row of the embedding's gradient; frames grow with the height.
    assert NODE + LEAF <= added <= 1.25 * (NODE + LEAF) + D * 4 + 64
    assert added < 5 * H * 2 * H * 4 / 4, "a gradient of `wn` a node"


def test_steps_in_a_loop_take_what_one_takes() -> None:
    one = peak("many", 7, 1)
    assert peak("many", 7, 2) == one
    assert peak("many", 7, 25) == one


def halves(module: Module) -> Iterator[Function]:
    return (f for n, f in module.functions.items() if n.endswith(".bwd"))


def test_no_zeros_of_a_weights_size_in_the_recursion() -> None:
    """They are made once, at the root, and handed down."""
    module = tree_lstm()
    back = module.functions["encode.bwd"]
    weights = {"m.wl", "m.wn", "m.bn", "m.bl"}
    shapes = {p.type for p in module.functions["encode"].params if p.hint in weights}
    for op in walk(back.body):
        if op.name in ("broadcast", "const"):
            assert op.result.type not in shapes or op.result.tensor.rank < 2, op.name


def uses(region: Region, v: Value) -> int:
    """How often a value is used on one way through the region, the most of any branch; a row that
    is read before it is written (`index`) does not count."""
    n = 0
    for op in region.ops:
        n += sum(1 for x in op.operands if x is v and op.name != "index")
        inner = [uses(r, v) for r in op.regions]
        n += max(inner, default=0) if op.name in ("if", "match") else 2 * sum(inner)
    return n


def accumulators(f: Function) -> list[Value]:
    pairs = f.attrs.get("inout", ())
    assert isinstance(pairs, tuple)
    return [f.params[p[0]] for p in pairs if isinstance(p, tuple) and isinstance(p[0], int)]


@pytest.mark.parametrize("sample", ["treelstm", "plans", "energy", "gan", "memory_nets"])
def test_accumulators_are_used_once_on_every_way(sample: str) -> None:
    """So what is added to them can be added in place."""
    source = text(sample) if sample != "plans" else PLANS
    module = compiled(lower(check_program(SourceFile(f"{sample}.dl", source))).module)
    found = 0
    for f in halves(module):
        for v in accumulators(f):
            found += 1
            assert uses(f.body, v) <= 1, f"{f.name}: {v.hint}"
    if sample in ("treelstm", "plans"):
        assert found >= 2


PLANS = """
type Look = Find(w: i32) | Both(a: Look, b: Look) | Many(a: Look, n: i32)

fn run(m: f32[N, N], k: f32[N, N], look: Look) -> f32[N]:
    match look:
        Find(w):
            return tanh(m[w])
        Both(a, b):
            return run(m, k, a) * (k @ run(m, k, b))
        Many(a, n):
            y = run(m, k, a)
            for i in 0..n:
                y = tanh(k @ y + run(m, k, a))
            return y

fn loss(m: f32[N, N], k: f32[N, N], look: Look) -> f32:
    return sum(run(m, k, look)) + 0.5 * sum(m @ k)

export fn g(m: f32[N, N], k: f32[N, N], look: Look) -> (f32, f32[N, N], f32[N, N]):
    l, a, b = value_and_grad(loss, wrt=(m, k))(m, k, look)
    return l, a, b
"""
