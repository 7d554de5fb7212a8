"""The optimisers of the library against their published equations, written in numpy: several native
steps over a model with a gathered table (its gradient is rows) and dense weights.

Sources: Polyak 1964 (momentum), Duchi, Hazan and Singer 2011 (Adagrad), Tieleman and Hinton 2012
(RMSProp), Kingma and Ba 2015 (Adam, algorithm 1), Loshchilov and Hutter 2019 (AdamW), Nickel and
Kiela 2017 (Riemannian steps in the ball)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import dlc
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate.arguments import Arguments
from dlc.ir.core import Module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.memory.interpret import interpret
from tests.laws.test_autodiff import compiled

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
RATE = 0.125

SOURCE = """
from optim import adam, adagrad, adamw, average, clip, decay, momentum, rmsprop, sgd
from optim import adagrad_rows, rsgd_poincare, sgd_rows, zeros_like

model M[V, D]:
    e: f32[V, D] ~ normal(0.5)
    w: f32[D, D] ~ normal(0.5)
    b: f32[D]    ~ normal(0.5)

fn loss(m: M, i: i32, j: i32, x: f32[m.D]) -> f32:
    d = m.w @ (m.e[i] + m.e[j]) + m.b - x
    return dot(d, d)

{head}
    l, g = value_and_grad(loss, wrt=m)(m, i, j, x)
{body}
    return l
"""
ARGS = "i: i32, j: i32, x: f32[m.D], t: i32, rate: f32) -> f32:"
ONE = f"export fn step(m: mut M, {ARGS}"
TWO = f"export fn step(m: mut M, s: mut M[V=m.V, D=m.D], {ARGS}"
THREE = f"export fn step(m: mut M, s: mut M[V=m.V, D=m.D], v: mut M[V=m.V, D=m.D], {ARGS}"

State = dict[str, Array]
Rule = Callable[[Array, Array, State, int], Array]
"""`rule(weights, gradient, state, t)` gives the new weights and changes the state."""


def momentum(p: Array, d: Array, s: State, t: int) -> Array:
    s["s"] = 0.9 * s["s"] + d
    return p - RATE * s["s"]


def adagrad(p: Array, d: Array, s: State, t: int) -> Array:
    s["s"] = s["s"] + d * d
    return p - RATE * d / (np.sqrt(s["s"]) + 1e-8)


def rmsprop(p: Array, d: Array, s: State, t: int) -> Array:
    s["s"] = 0.9 * s["s"] + 0.1 * d * d
    return p - RATE * d / (np.sqrt(s["s"]) + 1e-8)


def adam(p: Array, d: Array, s: State, t: int) -> Array:
    s["s"] = 0.9 * s["s"] + (1 - 0.9) * d
    s["v"] = 0.999 * s["v"] + (1 - 0.999) * d * d
    m, v = s["s"] / (1 - 0.9**t), s["v"] / (1 - 0.999**t)
    return p - RATE * m / (np.sqrt(v) + 1e-8)


def adamw(p: Array, d: Array, s: State, t: int) -> Array:
    return adam(p, d, s, t) - RATE * 0.01 * p


RULES: dict[str, tuple[str, str, Rule]] = {
    "sgd": (ONE, "    m = sgd(m, g, rate)", lambda p, d, s, t: p - RATE * d),
    "momentum": (TWO, "    m, s = momentum(m, g, s, rate)", momentum),
    "adagrad": (TWO, "    m, s = adagrad(m, g, s, rate)", adagrad),
    "rmsprop": (TWO, "    m, s = rmsprop(m, g, s, rate)", rmsprop),
    "adam": (THREE, "    m, s, v = adam(m, g, s, v, t, rate)", adam),
    "adamw": (THREE, "    m, s, v = adamw(m, g, s, v, t, rate)", adamw),
    "decay": (
        ONE, "    m = decay(sgd(m, g, rate), 0.25)", lambda p, d, s, t: 0.75 * (p - RATE * d)),
}  # fmt: skip


def source(name: str) -> str:
    head, body, _ = RULES[name]
    return SOURCE.format(head=head, body=body)


@cache
def net_of(name: str) -> dlc.Net:
    return dlc.compile(source(name), entries=("step",), level=0)


def gradient(m: Weights, i: int, j: int, x: Array) -> Weights:
    """By hand, in f64."""
    h = m["e"][i] + m["e"][j]
    d = 2 * (m["w"] @ h + m["b"] - x)
    e = np.zeros_like(m["e"])
    e[i] += m["w"].T @ d
    e[j] += m["w"].T @ d
    return {"e": e, "w": np.outer(d, h), "b": d}


@pytest.mark.parametrize("name", RULES)
def test_an_optimiser(name: str) -> None:
    net, rule = net_of(name), RULES[name][2]
    sets = {n.split(".")[0] for n in net.artifact.manifest.layout.dims}
    net.init(3, dims={d: 7 if d.endswith("V") else 4 for d in net.artifact.manifest.layout.dims})
    for n, w in net.params.items():
        if not n.startswith("m."):
            w[...] = 0
    assert "m" in sets
    m = {n[2:]: w.astype(np.float64) for n, w in net.params.items() if n.startswith("m.")}
    states = {n: {"s": np.zeros_like(w), "v": np.zeros_like(w)} for n, w in m.items()}
    r = np.random.default_rng(2)
    for t in range(1, 9):
        i, j = int(r.integers(7)), int(r.integers(7))
        x = r.normal(size=4)
        g = gradient(m, i, j, x)
        want = float(np.sum((m["w"] @ (m["e"][i] + m["e"][j]) + m["b"] - x) ** 2))
        got = net.step(i, j, x.astype(np.float32), t, RATE)
        assert abs(got - want) <= 2e-4 * max(1.0, want)
        for n, w in m.items():
            m[n] = rule(w, g[n], states[n], t)
            # Steps are scaled by 1 / sqrt(v): small differences of g grow where g is small.
            np.testing.assert_allclose(net.params[f"m.{n}"], m[n], rtol=2e-3, atol=2e-4, err_msg=n)
            for k in ("s", "v"):
                if f"{k}.{n}" in net.params:
                    np.testing.assert_allclose(
                        net.params[f"{k}.{n}"], states[n][k], rtol=2e-3, atol=2e-4
                    )


ROWS = """
from optim import adagrad_rows, rsgd_poincare, sgd_rows

fn loss(e: f32[V, D], ids: i32[K], x: f32[D]) -> f32:
    d = sum(e[ids], 0) - x
    return dot(d, d)

export fn sgd_step(e: mut f32[V, D], ids: i32[K], x: f32[D], rate: f32) -> f32:
    l, g = value_and_grad(loss, wrt=e)(e, ids, x)
    sgd_rows(mut e, g, rate)
    return l

export fn adagrad_step(
    e: mut f32[V, D], s: mut f32[V], ids: i32[K], x: f32[D], rate: f32
) -> f32:
    l, g = value_and_grad(loss, wrt=e)(e, ids, x)
    adagrad_rows(mut e, mut s, g, rate)
    return l

export fn ball_step(e: mut f32[V, D], ids: i32[K], x: f32[D], rate: f32) -> f32:
    l, g = value_and_grad(loss, wrt=e)(e, ids, x)
    rsgd_poincare(mut e, g, rate)
    return l
"""


def test_steps_over_rows() -> None:
    """Only gathered rows change; a row that is gathered twice has one gradient, the sum."""
    net = dlc.compile(ROWS, level=0)
    r = np.random.default_rng(4)
    ids = np.array([5, 1, 5, 8], np.int32)
    for entry in ("sgd_step", "adagrad_step", "ball_step"):
        e = (0.1 * r.normal(size=(9, 3))).astype(np.float32)
        s = np.zeros(9, np.float32)
        for _ in range(4):
            x = r.normal(size=3).astype(np.float32)
            old, was = e.astype(np.float64), s.astype(np.float64)
            d = 2 * (old[ids].sum(0) - x)
            g = np.zeros_like(old)
            np.add.at(g, ids, d)
            if entry == "adagrad_step":
                net.adagrad_step(e, s, ids, x, RATE)
                was += (g * g).sum(1)
                np.testing.assert_allclose(s, was, rtol=1e-4)
                want = old - RATE * g / (np.sqrt(was)[:, None] + 1e-8)
            elif entry == "sgd_step":
                net.sgd_step(e, ids, x, RATE)
                want = old - RATE * g
            else:
                net.ball_step(e, ids, x, RATE)
                scale = (1 - (old * old).sum(1, keepdims=True)) ** 2 / 4
                want = old - RATE * scale * g
                n = np.linalg.norm(want, axis=1, keepdims=True)
                want = np.where(n >= 1, want * (1 - 1e-5) / np.maximum(n, 1e-9), want)
            np.testing.assert_allclose(e, want, rtol=1e-4, atol=1e-6)
            untouched = [k for k in range(9) if k not in ids]
            assert np.array_equal(e[untouched], old[untouched].astype(np.float32))


def module_of(text: str) -> Module:
    return compiled(lower(check_program(SourceFile("sample.dl", text)), entries=["step"]).module)


def peak(module: Module, sets: int, rows: int) -> int:
    """The arena bytes of one step with a table of so many rows."""
    f = module.functions["step"]
    r = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"e": (rows, 4), "w": (4, 4), "b": (4,)}
    weights = [np.abs(r.normal(size=s)).astype(np.float32) for s in shapes.values()]
    args = [*(w.copy() for _ in range(sets) for w in weights), 1, 2, np.zeros(4, np.float32), 1,
            np.float32(RATE)]  # fmt: skip
    values, env = Arguments(module.types).convert(f, args, None)
    return interpret(bufferise(module), "step", values, env).peak


@pytest.mark.parametrize("name", RULES)
def test_steps_are_in_place(name: str) -> None:
    """No step needs memory for a second table: the arena does not grow with the rows."""
    module = module_of(source(name))
    sets = {ONE: 1, TWO: 2, THREE: 3}[RULES[name][0]]
    assert peak(module, sets, 2000) - peak(module, sets, 20) == 0
