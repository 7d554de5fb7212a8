"""`each` and `total` over rows mean what they mean over the whole table."""

from __future__ import annotations

import numpy as np
import pytest

import dlc
from dlc.driver.options import Where

SOURCE = """
fn loss(e: f32[V, D], i: i32, j: i32) -> f32:
    return sum(sin(e[i])) + sum(e[j] * e[j])

fn over[M: value](m: M, g: Tangent[M], c: f32) -> M:
    return each(fn(p, d) => {f}, m, g)

fn all[M: value](m: M, g: Tangent[M], c: f32) -> f32:
    return total(fn(p, d) => {f}, m, g)

export fn f(e: f32[V, D], i: i32, j: i32, c: f32) -> (f32[V, D], f32):
    g = grad(loss, wrt=e)(e, i, j)
    return over(e, g, c), all(e, g, c)
"""
FUNCTIONS = {
    "p - c * d": lambda p, d, c: p - c * d,
    "p + d * d / (c + 1.0)": lambda p, d, c: p + d * d / (c + 1),
    "p - tanh(d) * p": lambda p, d, c: p - np.tanh(d) * p,
    "0.9 * p + d": lambda p, d, c: 0.9 * p + d,
    "d": lambda p, d, c: d,
    "cos(d) * p": lambda p, d, c: np.cos(d) * p,
    "p * d": lambda p, d, c: p * d,
    "p if d > c else d - p": lambda p, d, c: np.where(d > c, p, d - p),
    "maximum(p, d)": lambda p, d, c: np.maximum(p, d),
}


@pytest.mark.parametrize("target", ["evaluate", "cpu"])
@pytest.mark.parametrize("f", FUNCTIONS)
def test_each_and_total(f: str, target: Where) -> None:
    net = dlc.compile(SOURCE.format(f=f), target=target, level=0)
    r = np.random.default_rng(1)
    for i, j in ((0, 2), (3, 3), (4, 1)):
        e = r.normal(size=(5, 3)).astype(np.float32)
        d = np.zeros_like(e)
        d[i] += np.cos(e[i])
        d[j] += 2 * e[j]
        y, total = net.f(e, i, j, 0.25)
        want = FUNCTIONS[f](e, d, 0.25)
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(total, want.sum(), rtol=1e-4, atol=1e-4)
