"""`loss`: what training makes small."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tests.programs.library import numpy_nn as ref
from tests.programs.library.case import Case, Rng
from tests.programs.library.memory import number
from tests.programs.library.nn import ids, whole

MODULES = ("loss",)
LABEL = {"label": whole(2)}
BOTH = {"y": lambda r: np.float32(r.integers(0, 2))}


def _huber(y: Any, z: Any, delta: float) -> Any:
    d = np.abs(y - z)
    return np.mean(np.where(d < delta, d * d / 2, delta * (d - delta / 2)))


def _smooth(logits: Any, label: int, eps: float) -> Any:
    """The cross entropy from eps of the uniform distribution and 1 - eps of the label."""
    want = np.full(len(logits), eps / len(logits))
    want[label] += 1 - eps
    return -want @ ref.log_softmax(logits)


def _bce(logit: float, y: float) -> Any:
    p = ref.sigmoid(logit)
    return -y * np.log(p) - (1 - y) * np.log(1 - p)


def _focal(logit: float, y: float, gamma: float) -> Any:
    p = ref.sigmoid(logit)
    q = p if y == 1 else 1 - p
    return -((1 - q) ** gamma) * np.log(q)


def _contrastive(a: Any, b: Any, same: bool) -> Any:
    d = np.linalg.norm(a - b)
    return d * d if same else max(0.0, 4.0 - d) ** 2


def ctc(logp: Any, labels: Any) -> Any:
    """-log of the sum over all paths of blanks (0) and labels that collapse to the labels."""
    steps, symbols = logp.shape
    total = 0.0
    for path in product(range(symbols), repeat=steps):
        short = [p for i, p in enumerate(path) if i == 0 or p != path[i - 1]]
        if [p for p in short if p != 0] == list(labels):
            total += np.exp(sum(logp[t, p] for t, p in enumerate(path)))
    return -np.log(total)


def _list_mle(score: Any) -> Any:
    return sum(ref.logsumexp(score[i:]) - score[i] for i in range(len(score)))


def log_probabilities(*shape: int) -> Any:
    def make(r: Rng) -> Any:
        return ref.log_softmax(r.normal(size=shape)).astype(np.float32)

    return make


CASES = [
    Case(
        "cross_entropy", "logits: f32[C], label: i32", "f32", "cross_entropy(logits, label)",
        lambda x, i: -ref.log_softmax(x)[i], {"C": 5}, LABEL,
    ),
    Case(
        "cross_entropy_rows", "logits: f32[N, C], labels: i32[N]", "f32",
        "cross_entropy_rows(logits, labels)",
        lambda x, i: -np.mean([ref.log_softmax(row)[k] for row, k in zip(x, i, strict=True)]),
        {"N": 3, "C": 5}, {"labels": ids(5, 3)},
    ),
    Case(
        "smooth_cross_entropy", "logits: f32[C], label: i32, eps: f32", "f32",
        "smooth_cross_entropy(logits, label, eps)", _smooth, {"C": 5},
        {**LABEL, "eps": number(0.1, 0.3)},
    ),
    Case("nll", "logp: f32[C], label: i32", "f32", "nll(logp, label)",
         lambda x, i: -x[i], {"C": 5}, LABEL),
    Case("bce", "logit: f32, y: f32", "f32", "bce(logit, y)", _bce, {}, {"y": number(0, 1)}),
    Case("mse", "y: f32[A, B], z: f32[A, B]", "f32", "mse(y, z)",
         lambda y, z: np.mean((y - z) ** 2), {"A": 2, "B": 3}),
    Case("mae", "y: f32[A, B], z: f32[A, B]", "f32", "mae(y, z)",
         lambda y, z: np.mean(np.abs(y - z)), {"A": 2, "B": 3}),
    Case("huber", "y: f32[A], z: f32[A], delta: f32", "f32", "huber(y, z, delta)", _huber,
         {"A": 7}, {"delta": number(0.5, 1)}),
    Case("hinge", "score: f32, y: f32", "f32", "hinge(score, y)",
         lambda s, y: max(0.0, 1 - y * s), {}, {"y": lambda r: np.float32(-1)}),
    Case("focal", "logit: f32, y: f32", "f32", "focal(logit, y, 1.5)",
         lambda x, y: _focal(x, y, 1.5), {}, BOTH, smooth=False),
    Case("focal_of_one", "logit: f32", "f32", "focal(logit, 1.0)",
         lambda x: _focal(x, 1, 2.0)),
    Case("kl_normal", "mu: f32[D], logvar: f32[D]", "f32", "kl_normal(mu, logvar)",
         lambda mu, lv: np.sum((mu**2 + np.exp(lv)) / 2 - 0.5 - lv / 2), {"D": 4}),
    Case("cosine", "a: f32[D], b: f32[D]", "f32", "cosine(a, b)",
         lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b), {"D": 4}),
    Case("triplet", "a: f32[D], p: f32[D], n: f32[D]", "f32", "triplet(a, p, n, margin=5.0)",
         lambda a, p, n: max(0.0, np.linalg.norm(a - p) - np.linalg.norm(a - n) + 5), {"D": 4}),
    Case("contrastive", "a: f32[D], b: f32[D], same: bool", "f32",
         "contrastive(a, b, same, 4.0)", _contrastive, {"D": 4}, {"same": whole(True)}),
    Case("contrastive_apart", "a: f32[D], b: f32[D], same: bool", "f32",
         "contrastive(a, b, same, 4.0)", _contrastive, {"D": 4}, {"same": whole(False)}),
    Case(
        "info_nce", "q: f32[N, D], k: f32[N, D], t: f32", "f32", "info_nce(q, k, t)",
        lambda q, k, t: -np.mean([ref.log_softmax(k @ q[i] / t)[i] for i in range(len(q))]),
        {"N": 4, "D": 3}, {"t": number(0.5, 2)},
    ),
    Case("gradient_penalty", "g: f32[D]", "f32", "gradient_penalty(g)",
         lambda g: (np.linalg.norm(g) - 1) ** 2, {"D": 4}),
    Case(
        "ctc", "logp: f32[T, C], labels: i32[L]", "f32", "ctc(logp, labels)", ctc,
        {"T": 4, "C": 3},
        {"logp": log_probabilities(4, 3), "labels": lambda r: np.array([1, 1], np.int32)},
    ),
    Case(
        "ctc_of_two", "logp: f32[T, C], labels: i32[L]", "f32", "ctc(logp, labels)", ctc,
        {"T": 5, "C": 3},
        {"logp": log_probabilities(5, 3), "labels": lambda r: np.array([2, 1], np.int32)},
    ),
    Case(
        "ctc_of_none", "logp: f32[T, C], labels: i32[L]", "f32", "ctc(logp, labels)", ctc,
        {"T": 3, "C": 3},
        {"logp": log_probabilities(3, 3), "labels": lambda r: np.zeros(0, np.int32)},
    ),
    Case("list_net", "score: f32[N], relevance: f32[N]", "f32", "list_net(score, relevance)",
         lambda s, y: -ref.softmax(y) @ ref.log_softmax(s), {"N": 5}),
    Case("list_mle", "score: f32[N]", "f32", "list_mle(score)", _list_mle, {"N": 5}),
]  # fmt: skip
