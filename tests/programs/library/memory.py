"""`memory`: memories that are read and written softly."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.programs.library import numpy_nn as ref
from tests.programs.library.case import Case, Rng
from tests.programs.library.nn import whole

MODULES = ("memory",)
N, M = 5, 3
SIZES = {"N": N, "M": M, "D": 3, "E": 2}


def weights(*shape: int) -> Any:
    """Non-negative, of sum 1."""
    return lambda r: ref.softmax(r.normal(size=shape)).astype(np.float32)


def units(*shape: int) -> Any:
    return lambda r: r.uniform(0.05, 0.95, shape).astype(np.float32)


def number(low: float, high: float) -> Any:
    def make(r: Rng) -> Any:
        return np.float32(r.uniform(low, high))

    return make


W = {"w": weights(N)}


def content(mem: Any, k: Any, beta: float) -> Any:
    size = np.linalg.norm(mem, axis=1) * np.linalg.norm(k)
    return ref.softmax(beta * (mem @ k) / (size + 1e-6))


def shift(w: Any, s: Any) -> Any:
    """s[j] is how much is moved by j - 1 places."""
    return s[0] * np.roll(w, 1) + s[1] * w + s[2] * np.roll(w, -1)


def sharpen(w: Any, gamma: float) -> Any:
    p = (w + 1e-7) ** gamma
    return p / p.sum()


def address(mem: Any, w: Any, k: Any, beta: float, gate: float, s: Any, gamma: float) -> Any:
    mixed = gate * content(mem, k, beta) + (1 - gate) * w
    return sharpen(shift(mixed, s), gamma)


def allocation(u: Any) -> Any:
    """(1 - u[i]) times the product of all u that are smaller."""
    order = np.argsort(u, kind="stable")
    w = np.zeros(len(u))
    for j, i in enumerate(order):
        w[i] = (1 - u[i]) * np.prod(u[order[:j]])
    return w


def links(before: Any, p: Any, w: Any) -> Any:
    new = np.zeros_like(before)
    for i in range(len(w)):
        for j in range(len(w)):
            if i != j:
                new[i, j] = (1 - w[i] - w[j]) * before[i, j] + w[i] * p[j]
    return new


def _key_value_top(q: Any, keys: Any, vals: Any, k: int) -> Any:
    s = keys @ q
    best = np.argsort(-s, kind="stable")[:k]
    return ref.softmax(s[best]) @ vals[best]


CASES = [
    Case(
        "read", "mem: f32[N, M], w: f32[N]", "f32[M]", "read(mem, w)",
        lambda mem, w: w @ mem, SIZES, W,
    ),
    Case(
        "write", "mem: f32[N, M], w: f32[N], erase: f32[M], add: f32[M]", "f32[N, M]",
        "write(mem, w, erase, add)",
        lambda mem, w, e, a: mem * (1 - np.outer(w, e)) + np.outer(w, a), SIZES,
        {**W, "erase": units(M)},
    ),
    Case(
        "by_content", "mem: f32[N, M], k: f32[M], beta: f32", "f32[N]",
        "by_content(mem, k, beta)", content, SIZES,
    ),
    Case(
        "shift", "w: f32[N], s: f32[3]", "f32[N]", "shift(w, s)", shift, SIZES,
        {**W, "s": weights(3)},
    ),
    Case(
        "sharpen", "w: f32[N], gamma: f32", "f32[N]", "sharpen(w, gamma)", sharpen, SIZES,
        {**W, "gamma": number(1, 3)},
    ),
    Case(
        "address",
        "mem: f32[N, M], w: f32[N], k: f32[M], beta: f32, gate: f32, s: f32[3], gamma: f32",
        "f32[N]", "address(mem, w, k, beta, gate, s, gamma)", address, SIZES,
        {**W, "s": weights(3), "gate": number(0.2, 0.8), "gamma": number(1, 3)},
    ),
    Case(
        "hop", "u: f32[D], keys: f32[N, D], vals: f32[N, D]", "f32[D]", "hop(u, keys, vals)",
        lambda u, k, v: u + ref.softmax(k @ u) @ v, SIZES,
    ),
    Case(
        "key_value", "q: f32[D], keys: f32[N, D], vals: f32[N, E]", "f32[E]",
        "key_value(q, keys, vals)", lambda q, k, v: ref.softmax(k @ q) @ v, SIZES,
    ),
    Case(
        "key_value_top", "q: f32[D], keys: f32[N, D], vals: f32[N, E], k: i32", "f32[E]",
        "key_value_top(q, keys, vals, k)", _key_value_top, SIZES, {"k": whole(2)},
        rows=("vals",),
    ),
    Case(
        "hopfield", "x: f32[D], patterns: f32[N, D], beta: f32", "f32[D]",
        "hopfield(x, patterns, beta)", lambda x, p, b: ref.softmax(b * (p @ x)) @ p, SIZES,
    ),
    Case(
        "usage", "u: f32[N], w: f32[N], free: f32", "f32[N]", "usage(u, w, free)",
        lambda u, w, free: (u + w - u * w) * (1 - free * w), SIZES, {**W, "u": units(N)},
    ),
    Case(
        "push_stack", "s: f32[N, M], v: f32[M], p: f32", "f32[N, M]", "push_stack(s, v, p)",
        lambda s, v, p: p * np.vstack([v, s[:-1]]) + (1 - p) * s, SIZES, {"p": number(0, 1)},
    ),
    Case(
        "pop_stack", "s: f32[N, M], p: f32", "f32[N, M]", "pop_stack(s, p)",
        lambda s, p: p * np.vstack([s[1:], np.zeros(M)]) + (1 - p) * s, SIZES,
        {"p": number(0, 1)},
    ),
    Case("allocation", "u: f32[N]", "f32[N]", "allocation(u)", allocation, SIZES, {"u": units(N)}),
    Case(
        "precedence", "p: f32[N], w: f32[N]", "f32[N]", "precedence(p, w)",
        lambda p, w: (1 - w.sum()) * p + w, SIZES, {"w": units(N), "p": weights(N)},
    ),
    Case(
        "temporal_links", "before: f32[N, N], p: f32[N], w: f32[N]", "f32[N, N]",
        "temporal_links(before, p, w)", links, SIZES, {**W, "p": weights(N)},
    ),
    Case(
        "forward_read", "links: f32[N, N], r: f32[N]", "f32[N]", "forward_read(links, r)",
        lambda a, r: np.array([(row * r).sum() for row in a]), SIZES,
    ),
    Case(
        "backward_read", "links: f32[N, N], r: f32[N]", "f32[N]", "backward_read(links, r)",
        lambda a, r: np.array([(col * r).sum() for col in a.T]), SIZES,
    ),
    Case(
        "dnc_read", "links: f32[N, N], r: f32[N], content: f32[N], mode: f32[3]", "f32[N]",
        "dnc_read(links, r, content, mode)",
        lambda a, r, c, m: m[0] * (a.T @ r) + m[1] * c + m[2] * (a @ r), SIZES,
    ),
]  # fmt: skip
