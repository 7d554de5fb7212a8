"""`@checkpoint` changes what is kept and nothing else: the programs of the autodiff laws, with each
function checkpointed in each mode, have the same exact gradients, at first and second order; and
what is kept really is less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.autodiff.expand import differentiate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate.arguments import Arguments
from dlc.ir.core import Module, freeze_attrs, walk
from dlc.ir.reader import read_module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.memory.interpret import interpret
from dlc.ops.verify import verify
from tests.laws.test_autodiff import (
    PROGRAMS,
    agrees,
    compiled,
    with_gradient,
    with_scalar_of_gradient,
)

MODES: dict[str, dict[str, Any]] = {
    "none": {"checkpoint": "none"},
    "sqrt": {"checkpoint": "sqrt"},
    "every1": {"checkpoint": "every", "checkpoint_every": 1},
    "every3": {"checkpoint": "every", "checkpoint_every": 3},
}


def checkpointed(module: Module, mode: str) -> Module:
    return module.map_functions(
        lambda f: replace(f, attrs=freeze_attrs({**f.attrs, **MODES[mode]}))
    )


def programs(path: Path, mode: str) -> tuple[Module, Module]:
    """The program, and the program with everything checkpointed."""
    source = read_module(path.read_text())
    return source, checkpointed(source, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_first_order(path: Path, mode: str) -> None:
    source, kept = programs(path, mode)
    module = with_gradient(kept, "f", "g")
    plain = differentiate(module)
    verify(plain)
    reference = differentiate(source)
    done = compiled(module)
    for seed in range(3):
        agrees(reference, "f", plain, "g", seed)
        agrees(reference, "f", done, "g", seed)


@pytest.mark.parametrize("mode", ["none", "sqrt"])
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_second_order(path: Path, mode: str) -> None:
    source, kept = programs(path, mode)
    first = with_gradient(kept, "f", "g")
    module = with_gradient(with_scalar_of_gradient(first, "f", "g", "s"), "s", "h")
    done = differentiate(module)
    verify(done)
    reference = differentiate(
        with_scalar_of_gradient(with_gradient(source, "f", "g"), "f", "g", "s")
    )
    for seed in range(2):
        agrees(reference, "s", done, "h", seed)


# -- bytes

ROLL = """
{mode}
fn roll(w: f32[N, N], x: f32[N], n: i32) -> f32[N]:
    y = x
{body}    return y

fn loss(w: f32[N, N], x: f32[N], n: i32) -> f32:
    return sum(roll(w, x, n))

export fn g(w: f32[N, N], x: f32[N], n: i32) -> (f32, f32[N, N]):
    return value_and_grad(loss, wrt=w)(w, x, n)
"""
BODIES = {
    "for": """    for i in 0..n:
        y = tanh(w @ y + x)
""",
    "break": """    for i in 0..n:
        y = tanh(w @ y + x)
        if sum(y) > 100.0:
            break
""",
    "while": """    i = 0
    while i < n and sum(y) < 100.0:
        y = tanh(w @ y + x)
        i += 1
""",
    "down": """    for j in 0..n:
        i = n - 1 - j
        y = tanh(f32(i % 3) * (w @ y) + x)
""",
}


def from_source(text: str) -> Module:
    return compiled(lower(check_program(SourceFile("sample.dl", text))).module)


def peak(module: Module, fn: str, args: list[Any]) -> tuple[int, Any]:
    """The arena bytes of a call, and the last of its results."""
    values, env = Arguments(module.types).convert(module.functions[fn], args, None)
    out = interpret(bufferise(module), fn, values, env)
    return out.peak, out.results[-1]


@pytest.mark.parametrize("body", BODIES)
def test_a_loop_keeps_the_root_of_its_turns(body: str) -> None:
    r = np.random.default_rng(0)
    w, x = (0.3 * r.normal(size=s).astype(np.float32) for s in ((8, 8), (8,)))
    peaks: dict[str, list[int]] = {}
    grads: list[Any] = []
    for mode in ("", "@checkpoint(sqrt)", "@checkpoint(every=8)", "@checkpoint(every=1)"):
        module = from_source(ROLL.format(mode=mode, body=BODIES[body]))
        made = [peak(module, "g", [w, x, n]) for n in (100, 400)]
        peaks[mode] = [p for p, _ in made]
        grads.append(made[1][1])
    plain, sqrt, every, one = peaks.values()
    assert plain[1] > 3.5 * plain[0]
    assert sqrt[1] < 2.6 * sqrt[0] and 6 * sqrt[1] < plain[1]
    assert every[1] < 4 * every[0] and 4 * every[1] < plain[1]
    assert one[1] < plain[1]
    assert all(np.allclose(g, grads[0], rtol=1e-5, atol=1e-6) for g in grads)


RECURSION = """
type Tree = Leaf(x: f32) | Node(left: Tree, right: Tree)

{mode}
fn walk(w: f32[N, N], t: Tree) -> f32[N]:
    match t:
        Leaf(x):
            return sigmoid(fill(x, N))
        Node(left, right):
            a = walk(w, left)
            b = walk(w, right)
            z = tanh(w @ a) * sigmoid(w @ b) + sin(a) * cos(b)
            return tanh(z * exp(-z * z))

fn loss(w: f32[N, N], t: Tree) -> f32:
    return sum(walk(w, t))

export fn g(w: f32[N, N], t: Tree) -> (f32, f32[N, N]):
    return value_and_grad(loss, wrt=w)(w, t)
"""


def tree(leaves: int) -> Any:
    if leaves == 1:
        return ("Leaf", 0.25)
    return ("Node", tree(leaves // 2), tree(leaves - leaves // 2))


def test_a_recursion_keeps_the_results_of_its_calls() -> None:
    """And it takes time linear in the nodes: no subtree runs more than twice."""
    w = 0.2 * np.random.default_rng(1).normal(size=(16, 16)).astype(np.float32)
    plain = from_source(RECURSION.format(mode=""))
    again = from_source(RECURSION.format(mode="@checkpoint(none)"))
    (p, dp), (q, dq) = (peak(m, "g", [w, tree(64)]) for m in (plain, again))
    assert np.allclose(dp, dq, rtol=1e-5, atol=1e-6)
    assert q < 0.6 * p
    fields = [[f for c in m.types["Br.walk.1"].constructors for f in c.fields]
              for m in (plain, again)]  # fmt: skip
    # Of a node the results and residuals of two calls, of a leaf nothing.
    assert len(fields[1]) == 4 < len(fields[0])
    calls = [op for op in walk(again.functions["walk.bwd"].body) if op.name == "call"]
    assert [op.attrs["fn"] for op in calls] == ["walk.bwd", "walk.bwd"]


def test_it_is_not_undone_by_what_runs_after() -> None:
    """What runs again is not merged with what ran first, nor is the inference slowed by chunks."""
    module = from_source(ROLL.format(mode="@checkpoint(sqrt)", body=BODIES["for"]))
    assert "roll.chunk1" in module.functions
    plain = from_source(
        ROLL.format(mode="@checkpoint(sqrt)", body=BODIES["for"]).replace(
            "fn roll", "export fn roll"
        )
    )
    (loop,) = [op for op in plain.functions["roll"].body.ops if op.name == "for"]
    assert not any(op.name == "call" for op in walk(loop.regions[0]))
