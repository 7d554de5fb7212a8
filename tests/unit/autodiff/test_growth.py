"""What differentiation makes grows with the program, not with the number of ways through it."""

from __future__ import annotations

import numpy as np

from dlc.autodiff.expand import differentiate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate import complex_step, run
from dlc.ir.core import Module, walk
from dlc.lower.lowered import lower
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from tests.laws.doubling import doubled


def chain(depth: int, decorator: str = "") -> str:
    """`f0`, and functions that each call the one before twice, too large to be inlined."""
    body = "".join(f"    y = sin(y * 0.{k + 10}) + x\n" for k in range(1, 12))
    parts = [f"{decorator}fn f0(x: f32[N], w: f32[N, N]) -> f32[N]:\n    return tanh(w @ x)\n"]
    for i in range(1, depth):
        parts.append(
            f"{decorator}fn f{i}(x: f32[N], w: f32[N, N]) -> f32[N]:\n    y = x\n{body}"
            f"    a = f{i - 1}(y, w)\n    return f{i - 1}(a * y, w) + a\n"
        )
    parts.append(
        f"export fn loss(x: f32[N], w: f32[N, N]) -> f32:\n    return sum(f{depth - 1}(x, w))\n"
        "export fn g(x: f32[N], w: f32[N, N]) -> f32[N, N]:\n    return grad(loss, wrt=w)(x, w)\n"
    )
    return "\n".join(parts)


def prepared(text: str) -> Module:
    module = lower(check_program(SourceFile("chain.dl", text))).module
    return run_passes(module, BEFORE_AUTODIFF)[0]


def size(module: Module) -> int:
    return sum(1 + len(op.results) for f in module.functions.values() for op in walk(f.body))


def test_a_chain_of_doubling_calls() -> None:
    for decorator in ("", "@checkpoint(none)\n"):
        sizes = [size(differentiate(prepared(chain(d, decorator)))) for d in (5, 10, 15)]
        assert sizes[2] - sizes[1] <= 1.2 * (sizes[1] - sizes[0])


def test_it_is_still_right() -> None:
    source = doubled(prepared(chain(6)))
    module, _ = run_passes(differentiate(source), AFTER_AUTODIFF)
    r = np.random.default_rng(0)
    x, w, v = r.normal(size=3), r.normal(size=(3, 3)), r.normal(size=(3, 3))
    (g,) = run(module, "g", [x, w])
    _, exact = complex_step(differentiate(source), "loss", [x, w], [None, v])
    assert abs(float(np.sum(g * v)) - float(np.real(exact[0]))) <= 1e-9 * float(np.abs(g * v).sum())


def test_a_large_straight_function_needs_no_record() -> None:
    """Both halves meet in one function, and the record is taken apart where it was made."""
    layers = "".join(f"    y = sin(y @ w + {k}.0) * y\n" for k in range(40))
    text = (
        f"fn f(x: f32[N], w: f32[N, N]) -> f32:\n    y = x\n{layers}    return sum(y)\n"
        "export fn g(x: f32[N], w: f32[N, N]) -> f32[N, N]:\n    return grad(f, wrt=w)(x, w)\n"
    )
    module, _ = run_passes(differentiate(prepared(text)), AFTER_AUTODIFF)
    names = {op.name for f in module.functions.values() for op in walk(f.body)}
    assert not names & {"variant", "match", "call"}
