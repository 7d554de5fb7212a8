"""Gradients of tables, however the table is used: gathered from (the gradient is rows), used whole,
handed on, changed, by functions with a rule of their own. Native code and evaluator, f64, against
central differences."""

from __future__ import annotations

import numpy as np
import pytest

import dlc
from dlc.driver.options import Where

HEAD = """
fn look(e: f64[V, D], i: i32) -> f64[D]:
    return e[i]

fn down(e: f64[V, D], i: i32) -> f64:
    return sum(tanh(e[i])) if i <= 0 else 0.5 * down(e, i - 1) + sum(e[i])

fn square(e: f64[V, D], i: i32) -> f64:
    return sum(e[i] * e[i] * e[0])

@vjp(rule)
fn mine(e: f64[V, D], i: i32) -> f64[D]:
    return e[i]

fn rule(e: f64[V, D], i: i32, d: f64[D]) -> f64[V, D]:
    z: f64[V, D] = fill(f64(0.0), V, D)
    z[i] = d
    return z

@checkpoint(sqrt)
fn rolled(e: f64[V, D], n: i32) -> f64:
    s = f64(0.0)
    for j in 0..n:
        s += sum(tanh(e[j % V])) * cos(s)
    return s

@checkpoint(none)
fn deep(e: f64[V, D], i: i32) -> f64:
    return sum(tanh(e[i])) if i <= 0 else sum(sin(e[i])) * deep(e, i - 1)

fn loss(e: f64[V, D], i: i32) -> f64:
{body}

fn step[M: value](m: M, g: Tangent[M]) -> M:
    return each(fn(p, d) => p - d, m, g)

export fn stepped(e: f64[V, D], i: i32) -> (f64, f64[V, D]):
    l, g = value_and_grad(loss, wrt=e)(e, i)
    return l, step(e, g)
"""
USES = {
    "a row": "return sum(tanh(e[i]))",
    "the same row twice": "return dot(e[i], e[i]) * sum(e[i])",
    "rows": "return sum(tanh(e[[0, i, 1, i]]))",
    "through a function": "return sum(look(e, i) * look(e, 0))",
    "through a recursion": "return down(e, i)",
    "through a rule": "return sum(tanh(mine(e, i)))",
    "in a checkpointed loop": "return rolled(e, i + 5)",
    "in a checkpointed recursion": "return deep(e, i)",
    "in one branch": "return sum(e[i]) if i > 1 else sum(tanh(e[0]))",
    "in a map": "return sum(map(fn(j) => sum(sin(e[j])), [0, 1, i]))",
    "chosen": "return sum((e if i > 1 else 2.0 * e)[i])",
    "negated": "return sum(look(-e, i))",
    "whole": "return sum(tanh(e @ e[i]))",
    "a column": "return sum(sin(e[:, 0])) + sum(e[i])",
    "some rows": "return sum(sin(e[0 : 2]))",
    "one number": "return e[i, 0] * e[0, 1]",
    "transposed": "return sum(sin(e.T[0])) + sum(e[i])",
    "under another gradient": (
        "return sum(grad(fn(x) => sum(sin(x * e[i])), wrt=x)(e[0]))"),
    "of a gradient": (
        "g = grad(square, wrt=e)(e, i)\n    s = 0.0 * e[0, 0]\n    for row, d in g:\n"
        "        s += sum(sin(d)) * f64(row + 1)\n    return s"),
    "in a loop": (
        "s = 0.0 * e[0, 0]\n    for j in 0..5:\n        s += sum(tanh(e[(i + j) % V]))\n"
        "        if s > 2.0:\n            break\n    return s"),
    "in a list": (
        "xs: List[f64[D]] = []\n    for j in 0..3:\n        push(mut xs, e[j])\n"
        "    return sum(tanh(xs[1])) + sum(xs[0])"),
    "changed": "t = e\n    t[i] = tanh(t[i])\n    return sum(t[i]) + sum(sin(t[0]))",
    "carried": "t = e\n    for j in 0..2:\n        t = t * 0.5\n    return sum(sin(t[i]))",
}  # fmt: skip


@pytest.mark.parametrize("target", ["evaluate", "cpu"])
@pytest.mark.parametrize("use", USES)
def test_a_table(use: str, target: Where) -> None:
    source = HEAD.format(body=f"    {USES[use]}")
    net = dlc.compile(source, target=target, entries=("stepped",), level=1)
    r = np.random.default_rng(3)
    h = 1e-5
    for i in (0, 2, 3):
        e, v = r.normal(size=(4, 3)), r.normal(size=(4, 3))
        _, after = net.stepped(e, i)
        got = float(np.sum((e - after) * v))
        up, down = net.stepped(e + h * v, i)[0], net.stepped(e - h * v, i)[0]
        want = float(up - down) / (2 * h)
        assert abs(got - want) <= 1e-6 * max(1.0, abs(want)), (i, got, want)


def test_a_wide_table_costs_its_rows_only() -> None:
    """Two million rows are not touched by the gradient of three."""
    source = HEAD.format(body=f"    {USES['rows']}").replace(
        "export fn stepped(e: f64[V, D], i: i32) -> (f64, f64[V, D]):\n"
        "    l, g = value_and_grad(loss, wrt=e)(e, i)\n    return l, step(e, g)",
        "export fn rows(e: f64[V, D], i: i32) -> (i32, f64):\n"
        "    g = grad(loss, wrt=e)(e, i)\n    s = f64(0.0)\n    n = 0\n    for row, d in g:\n"
        "        s += sum(d)\n        n += 1\n    return n, s",
    )
    net = dlc.compile(source, entries=("rows",), level=1)
    n, _ = net.rows(np.zeros((2_000_000, 3)), 1_999_999)
    assert n == 3
    import time

    big, small = np.zeros((2_000_000, 3)), np.zeros((4, 3))
    times: list[float] = []
    for table, i in ((big, 1_999_999), (small, 3)):
        net.rows(table, i)
        start = time.perf_counter()
        for _ in range(20):
            net.rows(table, i)
        times.append(time.perf_counter() - start)
    assert times[0] < 100 * times[1] + 0.05
