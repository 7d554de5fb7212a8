"""`optim`, `prob` and `search`."""

from __future__ import annotations

from typing import Any

import numpy as np

import dlc
from tests.programs.library import numpy_nn as ref
from tests.programs.library.case import Case
from tests.programs.library.memory import number
from tests.programs.library.nn import positive, whole

MODULES = ("optim", "prob", "search")
N = {"N": 4}
RATE = {"rate": number(0.05, 0.2)}
V = "f32[N]"
PG = "p: f32[N], g: f32[N]"
KEYS = {"k": whole(9), "k2": whole(9)}


def _adam(p: Any, g: Any, a: Any, b: Any, t: int, rate: float) -> Any:
    a, b = 0.9 * a + 0.1 * g, 0.999 * b + 0.001 * g * g
    step = rate * (a / (1 - 0.9**t)) / (np.sqrt(b / (1 - 0.999**t)) + 1e-8)
    return p - step, a, b


def _adamw(p: Any, g: Any, a: Any, b: Any, t: int, rate: float) -> Any:
    new, a, b = _adam(p, g, a, b, t, rate)
    return new - rate * 0.01 * p, a, b


def _into_ball(x: Any) -> Any:
    n = np.linalg.norm(x)
    return x * (1 - 1e-5) / n if n >= 1 else x


def rows(r: Any) -> Any:
    return dlc.Rows(np.array([3, 0], np.int32), r.normal(size=(2, 3)).astype(np.float32), 5)


def _sgd_rows(e: Any, g: Any, rate: float) -> Any:
    for i, d in g:
        e[i] -= rate * d
    return e


def _adagrad_rows(e: Any, s: Any, g: Any, rate: float) -> Any:
    for i, d in g:
        s[i] += d @ d
        e[i] -= rate * d / (np.sqrt(s[i]) + 1e-8)
    return e, s


def _poincare(e: Any, g: Any, rate: float) -> Any:
    for i, d in g:
        e[i] = _into_ball(e[i] - rate * (1 - e[i] @ e[i]) ** 2 / 4 * d)
    return e


def _gumbel(u: Any) -> Any:
    return -np.log(-np.log(u))


def _log_normal(x: Any, mu: Any, s: Any) -> Any:
    return np.sum(-(((x - mu) / s) ** 2) / 2 - np.log(s) - np.log(2 * np.pi) / 2)


def _entropy(x: Any) -> Any:
    p = ref.softmax(x)
    return -np.sum(p * np.log(p))


def _widen(score: Any, logp: Any, k: int) -> Any:
    s = (score[:, None] + logp).ravel()
    best = np.argsort(-s, kind="stable")[:k]
    return s[best], (best // logp.shape[1]).astype(np.int32), (best % logp.shape[1]).astype("i4")


def table(t: int, k: int) -> Any:
    return lambda r: [r.integers(0, k, k).astype(np.int32) for _ in range(t)]


def _backtrace(parents: Any, tokens: Any, best: int) -> Any:
    out: list[int] = []
    for p, t in zip(reversed(parents), reversed(tokens), strict=True):
        out.insert(0, int(t[best]))
        best = p[best]
    return out


def _greedy(w: Any, u: Any, h: Any) -> Any:
    out: list[int] = []
    token = 0
    while len(out) < 6:
        h, scores = np.tanh(u @ h + w[token]), w @ h
        token = int(np.argmax(scores))
        out.append(token)
        if token == 1:
            break
    return out


def _descend(a: Any, b: Any) -> Any:
    y = b
    for _ in range(5):
        y = y - 0.05 * (a.T @ (a @ y - b) + y)
    return y


OPTIM = [
    Case("sgd", f"{PG}, rate: f32", V, "sgd(p, g, rate)", lambda p, g, r: p - r * g, N),
    Case(
        "momentum", f"{PG}, v: f32[N], rate: f32", f"({V}, {V})", "momentum(p, g, v, rate)",
        lambda p, g, v, r: (p - r * (0.9 * v + g), 0.9 * v + g), N,
    ),
    Case(
        "adam", f"{PG}, a: f32[N], b: f32[N], t: i32, rate: f32", f"({V}, {V}, {V})",
        "adam(p, g, a, b, t, rate)", _adam, N, {**RATE, "t": whole(3), "b": positive(4)},
    ),
    Case(
        "adamw", f"{PG}, a: f32[N], b: f32[N], t: i32, rate: f32", f"({V}, {V}, {V})",
        "adamw(p, g, a, b, t, rate)", _adamw, N, {**RATE, "t": whole(3), "b": positive(4)},
    ),
    Case(
        "adagrad", f"{PG}, s: f32[N], rate: f32", f"({V}, {V})", "adagrad(p, g, s, rate)",
        lambda p, g, s, r: (p - r * g / (np.sqrt(s + g * g) + 1e-8), s + g * g), N,
        {**RATE, "s": positive(4)},
    ),
    Case(
        "rmsprop", f"{PG}, s: f32[N], rate: f32", f"({V}, {V})", "rmsprop(p, g, s, rate)",
        lambda p, g, s, r: (
            p - r * g / (np.sqrt(0.9 * s + 0.1 * g * g) + 1e-8), 0.9 * s + 0.1 * g * g
        ), N, {**RATE, "s": positive(4)},
    ),
    Case(
        "clip", "g: f32[N], most: f32", V, "clip(g, most)",
        lambda g, m: g * min(1, m / np.linalg.norm(g)), N, {"most": number(0.5, 1)},
    ),
    Case(
        "clip_of_zero", "g: f32[N], most: f32", V, "clip(0.0 * g, most)",
        lambda g, m: 0 * g, N, {"most": number(0.5, 1)}, smooth=False,
    ),
    Case("decay", "p: f32[N], rate: f32", V, "decay(p, rate)", lambda p, r: p * (1 - r), N),
    Case(
        "average", "p: f32[N], q: f32[N], rate: f32", V, "average(p, q, rate)",
        lambda p, q, r: (1 - r) * p + r * q, N,
    ),
    Case("zeros_like", "p: f32[N]", V, "zeros_like(p)", lambda p: 0 * p, N, smooth=False),
    Case("into_ball", "x: f32[N]", V, "into_ball(x)", _into_ball, N),
    Case(
        "sgd_rows", "e: mut f32[A, B], g: Rows[f32, A, B], rate: f32", "",
        "sgd_rows(mut e, g, rate)", _sgd_rows, {"A": 5, "B": 3}, {"g": rows},
    ),
    Case(
        "adagrad_rows", "e: mut f32[A, B], s: mut f32[A], g: Rows[f32, A, B], rate: f32", "",
        "adagrad_rows(mut e, mut s, g, rate)", _adagrad_rows, {"A": 5, "B": 3},
        {"g": rows, "s": positive(5)},
    ),
    Case(
        "rsgd_poincare", "e: mut f32[A, B], g: Rows[f32, A, B], rate: f32", "",
        "rsgd_poincare(mut e, g, rate)", _poincare, {"A": 5, "B": 3}, {"g": rows},
    ),
    Case(
        "warmup", "t: i32, steps: i32, rate: f32", "f32", "warmup(t, steps, rate)",
        lambda t, n, r: r * min(1, (t + 1) / n), {}, {"t": whole(3), "steps": whole(8)},
    ),
    Case(
        "cosine_rate", "t: i32, steps: i32, rate: f32", "f32", "cosine_rate(t, steps, rate)",
        lambda t, n, r: r * (1 + np.cos(np.pi * t / n)) / 2, {},
        {"t": whole(3), "steps": whole(8)},
    ),
]  # fmt: skip

PROB = [
    Case(
        "bernoulli", "k: Key, k2: Key, p: f32[N]", "(bool[N], f32[N])",
        "bernoulli(k, p), uniform(k2, N)", lambda k, k2, p, u: u < p, {"N": 40},
        {**KEYS, "p": positive(40)}, smooth=False, drawn=1,
    ),
    Case(
        "categorical", "k: Key, k2: Key, x: f32[N]", "(i32, f32[N])",
        "categorical(k, x), uniform(k2, N)", lambda k, k2, x, u: np.argmax(x + _gumbel(u)), N,
        KEYS, smooth=False, drawn=1,
    ),
    Case(
        "gumbel_softmax", "k: Key, k2: Key, x: f32[N], t: f32", "(f32[N], f32[N])",
        "gumbel_softmax(k, x, t), uniform(k2, N)",
        lambda k, k2, x, t, u: ref.softmax((x + _gumbel(u)) / t), N,
        {**KEYS, "t": number(0.5, 2)}, smooth=False, drawn=1,
    ),
    Case(
        "gumbel_top_k", "k: Key, k2: Key, x: f32[N], n: i32", "(i32[n], f32[N])",
        "gumbel_top_k(k, x, n), uniform(k2, N)",
        lambda k, k2, x, n, u: np.argsort(-(x + _gumbel(u)), kind="stable")[:n], {"N": 9},
        {**KEYS, "n": whole(3)}, smooth=False, drawn=1,
    ),
    Case(
        "gaussian", "k: Key, k2: Key, mu: f32[N], s: f32[N]", "(f32[N], f32[N])",
        "gaussian(k, mu, s), normal(k2, N)", lambda k, k2, mu, s, z: mu + s * z, N, KEYS,
        smooth=False, drawn=1,
    ),
    Case(
        "log_normal_density", "x: f32[N], mu: f32[N], s: f32[N]", "f32",
        "log_normal_density(x, mu, s)", _log_normal, N, {"s": positive(4)},
    ),
    Case("entropy", "x: f32[N]", "f32", "entropy(x)", _entropy, N),
    Case(
        "score_function", "logp: f32, reward: f32", "f32", "score_function(logp, reward)",
        lambda x, y: x * y, smooth=False,
    ),
]  # fmt: skip

SEARCH = [
    Case(
        "widen", "score: f32[B], logp: f32[B, C], k: i32", "(f32[k], i32[k], i32[k])",
        "widen(score, logp, k)", _widen, {"B": 3, "C": 4}, {"k": whole(5)},
    ),
    Case(
        "backtrace", "parents: List[i32[B]], tokens: List[i32[B]], best: i32", "List[i32]",
        "backtrace(parents, tokens, best)", _backtrace, {},
        {"parents": table(4, 3), "tokens": table(4, 3), "best": whole(1)}, smooth=False,
    ),
    Case(
        "length_penalty", "score: f32, n: i32", "f32", "length_penalty(score, n)",
        lambda s, n: s / ((5 + n) / 6) ** 0.6, {}, {"n": whole(7)},
    ),
    Case(
        "greedy", "w: f32[C, H], u: f32[H, H], h: f32[H]", "List[i32]",
        "greedy(fn(t, s) => (w @ s, tanh(u @ s + w[t])), 0, h, 1, 6)", _greedy,
        {"C": 5, "H": 3}, smooth=False,
    ),
    Case(
        "descend", "a: f32[N, N], b: f32[N]", "f32[N]",
        "descend(fn(y) => 0.5 * dot(a @ y - b, a @ y - b) + 0.5 * dot(y, y), b, 0.05, 5)",
        _descend, N,
    ),
]  # fmt: skip

CASES = [*OPTIM, *PROB, *SEARCH]
