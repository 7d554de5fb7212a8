"""`graph`: layers on graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

import dlc
from tests.programs.library import numpy_nn as ref
from tests.programs.library.case import Case, Rng
from tests.programs.library.nn import ids, whole

MODULES = ("graph",)
NODES, ARCS = 5, 9
SIZES = {"g.nodes": NODES, "g.arcs": ARCS, "F": 3, "D": 2, "O": 2}


def a_graph(r: Rng) -> dlc.Graph:
    """Node 4 has no arcs; there are loops and repeated arcs."""
    src, dst = (r.integers(0, NODES - 1, ARCS).astype(np.int32) for _ in range(2))
    return dlc.Graph(src, dst, NODES)


G = {"g": a_graph}


def sums(g: Any, x: Any) -> Any:
    """For each node the sum over its incoming arcs."""
    y = np.zeros((g.nodes, *x.shape[1:]))
    for a, d in enumerate(g.dst):
        y[d] += x[a]
    return y


def degree(g: Any) -> Any:
    return np.bincount(g.dst, minlength=g.nodes)


def matrix(g: Any, weight: Any = None) -> Any:
    """a[dst, src] is the weight of the arcs from src to dst."""
    a = np.zeros((g.nodes, g.nodes))
    for k, (s, d) in enumerate(zip(g.src, g.dst, strict=True)):
        a[d, s] += 1.0 if weight is None else weight[k]
    return a


def _gcn(w: Any, g: Any, x: Any) -> Any:
    n = np.diag((1.0 + degree(g)) ** -0.5)
    return n @ (np.eye(g.nodes) + matrix(g)) @ n @ x @ w.T


def _gat(m: Any, g: Any, x: Any) -> Any:
    h = x @ m["w"].T
    y = np.zeros_like(h)
    for node in range(g.nodes):
        into = [k for k, d in enumerate(g.dst) if d == node]
        if into:
            e = np.array([h[g.src[k]] @ m["a"] + h[node] @ m["b"] for k in into])
            p = ref.softmax(np.where(e > 0, e, 0.2 * e))
            y[node] = sum(q * h[g.src[k]] for q, k in zip(p, into, strict=True))
    return y


def _mpnn(m: Any, g: Any, x: Any, e: Any) -> Any:
    parts = [
        np.concatenate([x[s], x[d], e[k]])
        for k, (s, d) in enumerate(zip(g.src, g.dst, strict=True))
    ]
    msg = np.array([ref.relu(m["message"] @ p) for p in parts])
    return np.tanh(np.concatenate([x, sums(g, msg)], 1) @ m["update"].T)


def _chebyshev(theta: Any, g: Any, lap: Any, x: Any) -> Any:
    a = matrix(g, lap)
    t = [np.eye(g.nodes), a]
    for _ in range(2, len(theta)):
        t.append(2 * a @ t[-1] - t[-2])
    return sum(p @ x @ w for p, w in zip(t, theta, strict=False))


def _page_rank(g: Any, damping: float, turns: int) -> Any:
    out = np.maximum(np.bincount(g.src, minlength=g.nodes), 1)
    r = np.full(g.nodes, 1 / g.nodes)
    for _ in range(turns):
        r = (1 - damping) / g.nodes + damping * sums(g, (r / out)[g.src])
    return r


def _relational(w: Any, g: Any, kind: Any, x: Any) -> Any:
    return sums(g, np.array([w[k] @ x[s] for k, s in zip(kind, g.src, strict=True)]))


def _gated(m: Any, g: Any, x: Any, turns: int) -> Any:
    for _ in range(turns):
        a = sums(g, (x @ m["message"].T)[g.src])
        x = np.array([ref.gru(m, u, v, "cell.") for u, v in zip(a, x, strict=True)])
    return x


def _top_pool(m: Any, g: Any, x: Any, k: int) -> Any:
    score = x @ m["p"] / (np.linalg.norm(m["p"]) + 1e-6)
    keep = np.argsort(-score, kind="stable")[:k]
    place = {int(n): i for i, n in enumerate(keep)}
    arcs = [(s, d) for s, d in zip(g.src, g.dst, strict=True) if s in place and d in place]
    src, dst = ([place[int(a[i])] for a in arcs] for i in (0, 1))
    return dlc.Graph(np.array(src, np.int32), np.array(dst, np.int32), k), (
        np.tanh(score[keep])[:, None] * x[keep]
    )


CASES = [
    Case(
        "gcn", "w: f32[D, F], g: Graph, x: f32[g.nodes, F]", "f32[g.nodes, D]", "gcn(w, g, x)",
        _gcn, SIZES, G,
    ),
    Case(
        "gcn_layer", "m: GCN, g: Graph, x: f32[g.nodes, m.I]", "f32[g.nodes, m.O]",
        "gcn_layer(m, g, x)", lambda m, g, x: ref.relu(_gcn(m["w"], g, x)),
        {**SIZES, "m.I": 3, "m.O": 2}, G,
    ),
    Case(
        "gat", "m: GAT, g: Graph, x: f32[g.nodes, m.I]", "f32[g.nodes, m.O]", "gat(m, g, x)",
        _gat, {**SIZES, "m.I": 3, "m.O": 2}, G,
    ),
    Case(
        "sage", "m: Sage, g: Graph, x: f32[g.nodes, m.I]", "f32[g.nodes, m.O]", "sage(m, g, x)",
        lambda m, g, x: ref.relu(
            x @ m["own"].T
            + sums(g, x[g.src]) / np.maximum(degree(g), 1)[:, None] @ m["other"].T
        ), {**SIZES, "m.I": 3, "m.O": 2}, G,
    ),
    Case(
        "gin", "m: GIN, g: Graph, x: f32[g.nodes, m.I]", "f32[g.nodes, m.O]", "gin(m, g, x)",
        lambda m, g, x: ref.relu(((1 + m["eps"]) * x + matrix(g) @ x) @ m["w"].T),
        {**SIZES, "m.I": 3, "m.O": 2}, G,
    ),
    Case(
        "mpnn", "m: MPNN, g: Graph, x: f32[g.nodes, m.D], e: f32[g.arcs, m.E]",
        "f32[g.nodes, m.D]", "mpnn(m, g, x, e)", _mpnn, {**SIZES, "m.D": 3, "m.E": 2}, G,
    ),
    Case(
        "chebyshev", "theta: f32[P, F, O], g: Graph, lap: f32[g.arcs], x: f32[g.nodes, F]",
        "f32[g.nodes, O]", "chebyshev(theta, g, lap, x)", _chebyshev, {**SIZES, "P": 4}, G,
    ),
    Case(
        "chebyshev_of_one",
        "theta: f32[1, F, O], g: Graph, lap: f32[g.arcs], x: f32[g.nodes, F]",
        "f32[g.nodes, O]", "chebyshev(theta, g, lap, x)", _chebyshev, SIZES, G,
    ),
    Case(
        "spectral", "theta: f32[K, F, O], u: f32[N, K], x: f32[N, F]", "f32[N, O]",
        "spectral(theta, u, x)",
        lambda theta, u, x: u @ np.array([(u.T @ x)[k] @ theta[k] for k in range(3)]),
        {"K": 3, "F": 4, "O": 2, "N": 5},
    ),
    Case(
        "propagate", "g: Graph, w: f32[g.arcs], x: f32[g.nodes, F]", "f32[g.nodes, F]",
        "propagate(g, w, x)", lambda g, w, x: matrix(g, w) @ x, SIZES, G,
    ),
    Case(
        "laplacian", "g: Graph", "f32[g.arcs]", "laplacian(g)",
        lambda g: ((1.0 + degree(g)) ** -0.5)[g.src] * ((1.0 + degree(g)) ** -0.5)[g.dst],
        SIZES, G, smooth=False,
    ),
    Case(
        "page_rank", "g: Graph, damping: f32, turns: i32", "f32[g.nodes]",
        "page_rank(g, damping, turns)", _page_rank, SIZES,
        {**G, "damping": lambda r: np.float32(0.8), "turns": whole(6)},
    ),
    Case(
        "readout_mean", "g: Graph, x: f32[g.nodes, D]", "f32[D]", "readout_mean(g, x)",
        lambda g, x: x.mean(0), SIZES, G,
    ),
    Case(
        "relational",
        "w: f32[R, O, F], g: Graph, kind: i32[g.arcs], x: f32[g.nodes, F]", "f32[g.nodes, O]",
        "relational(w, g, kind, x)", _relational, {**SIZES, "R": 3}, {**G, "kind": ids(3, ARCS)},
    ),
    Case(
        "graph_norm", "g: Graph, x: f32[g.nodes, D], gain: f32[D], bias: f32[D]",
        "f32[g.nodes, D]", "graph_norm(g, x, gain, bias)",
        lambda g, x, gain, bias: gain * ref.normalise(x, 0) + bias, SIZES, G,
    ),
    Case(
        "pool_graphs", "s: Segs, x: f32[s.items, D]", "f32[s.rows, D]", "pool_graphs(s, x)",
        lambda s, x: np.array([
            x[a:b].mean(0) if b > a else np.zeros(2)
            for a, b in zip(s.starts, s.starts[1:], strict=False)
        ]),
        {"s.rows": 3, "s.items": 4, "D": 2},
        {"s": lambda r: dlc.Segs(np.array([3, 0, 1], np.int32))},
    ),
    Case(
        "gated", "m: Gated, g: Graph, x: f32[g.nodes, m.D], turns: i32", "f32[g.nodes, m.D]",
        "gated(m, g, x, turns)", _gated, {**SIZES, "m.D": 3}, {**G, "turns": whole(2)},
    ),
    Case(
        "top_pool", "m: TopPool, g: Graph, x: f32[g.nodes, m.D], k: i32",
        "(Graph[k, ?e], f32[k, m.D])", "top_pool(m, g, x, k)", _top_pool,
        {**SIZES, "m.D": 3}, {**G, "k": whole(3)}, smooth=False,
    ),
]  # fmt: skip
