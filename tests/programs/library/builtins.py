"""The prelude: what is visible without an import."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import dlc
from tests.programs.library import numpy_nn as ref
from tests.programs.library.case import Case, Rng
from tests.programs.library.graph import ARCS, NODES, G, degree, sums
from tests.programs.library.memory import units
from tests.programs.library.nn import ids, lengths, whole

MODULES: tuple[str, ...] = ()
V, N = "f32[N]", {"N": 5}
GRAPH = {"g.nodes": NODES, "g.arcs": ARCS, "D": 2}
SIZES = (2, 0, 3)
SEGS = {"s.rows": 3, "s.items": 5, "D": 2}
S = {"s": lengths(*SIZES)}
BOUNDS = [(0, 2), (2, 2), (2, 5)]
LOWEST = float(np.finfo(np.float32).min)


def above_one(*shape: int) -> Any:
    return lambda r: r.uniform(1.1, 3, shape).astype(np.float32)


def spread(r: Rng) -> Any:
    """Away from the kinks of relu, abs, sign and the roundings."""
    return np.array([-2.3, -0.7, 0.4, 1.2, 2.6], np.float32)[r.permutation(5)]


def flags(*shape: int) -> Any:
    return lambda r: r.random(shape) < 0.5


def special(r: Rng) -> Any:
    return np.array([np.nan, np.inf, -np.inf, 1, -0.0], np.float32)[r.permutation(5)]


def definite(n: int) -> Any:
    def make(r: Rng) -> Any:
        x = r.normal(size=(n, n))
        return (x @ x.T + np.eye(n)).astype(np.float32)

    return make


def _of_each() -> list[Case]:
    """x -> f(x), element by element."""
    erf = np.vectorize(math.erf)
    plain: dict[str, Any] = {
        "exp": np.exp, "expm1": np.expm1, "sin": np.sin, "cos": np.cos, "sinh": np.sinh,
        "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "sigmoid": ref.sigmoid,
        "erf": erf, "atan": np.arctan, "softplus": ref.softplus,
        "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
        "silu": lambda x: x * ref.sigmoid(x), "softsign": lambda x: x / (1 + np.abs(x)),
    }  # fmt: skip
    made = [Case(n, "x: f32[N]", V, f"{n}(x)", f, N) for n, f in plain.items()]
    kinked: dict[str, Any] = {
        "relu": ref.relu, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil,
        "round": np.round, "trunc": np.trunc, "leaky_relu": lambda x: np.where(x > 0, x, x / 100),
        "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
        "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    }  # fmt: skip
    made += [Case(n, "x: f32[N]", V, f"{n}(x)", f, N, {"x": spread}) for n, f in kinked.items()]
    inside: dict[str, Any] = {
        "asin": np.arcsin, "acos": np.arccos, "atanh": np.arctanh, "log": np.log,
        "log1p": np.log1p, "sqrt": np.sqrt, "rsqrt": lambda x: x**-0.5, "tan": np.tan,
    }  # fmt: skip
    made += [Case(n, "x: f32[N]", V, f"{n}(x)", f, N, {"x": units(5)}) for n, f in inside.items()]
    tests: dict[str, Any] = {"is_finite": np.isfinite, "is_nan": np.isnan, "is_inf": np.isinf}
    made += [
        Case(n, "x: f32[N]", "bool[N]", f"{n}(x)", f, N, {"x": special}, smooth=False)
        for n, f in tests.items()
    ]
    return [
        *made,
        Case("acosh", "x: f32[N]", V, "acosh(x)", np.arccosh, N, {"x": above_one(5)}),
        Case("atan2", "y: f32[N], x: f32[N]", V, "atan2(y, x)", np.arctan2, N),
        Case("clamp", "x: f32[N]", V, "clamp(x, -1.0, 1.0)",
             lambda x: np.clip(x, -1, 1), N, {"x": spread}),
        Case("stop_grad", "x: f32[N]", V, "stop_grad(x)", lambda x: x, N, smooth=False),
    ]  # fmt: skip


REDUCTIONS = [
    Case("norm", "x: f32[N, M]", "f32", "norm(x)", np.linalg.norm, {"N": 2, "M": 3}),
    Case("logsumexp", "x: f32[N]", "f32", "logsumexp(x)", ref.logsumexp, N),
    Case("softmax", "x: f32[M, N]", "f32[M, N]", "softmax(x)", ref.softmax, {"M": 2, "N": 3}),
    Case("log_softmax", "x: f32[M, N]", "f32[M, N]", "log_softmax(x)", ref.log_softmax,
         {"M": 2, "N": 3}),
    Case("cumsum", "x: f32[M, N]", "f32[M, N]", "cumsum(x)", lambda x: np.cumsum(x, 0),
         {"M": 4, "N": 3}),
    Case("top_k", "x: f32[N], k: i32", "(f32[k], i32[k])", "top_k(x, k)",
         lambda x, k: (-np.sort(-x)[:k], np.argsort(-x)[:k]), N, {"k": whole(3)}),
    Case("sort", "x: f32[N]", "(f32[N], i32[N])", "sort(x)",
         lambda x: (-np.sort(-x), np.argsort(-x)), N),
    Case("nonzero_indices", "mask: bool[N]", "i32[?k]", "nonzero_indices(mask)",
         np.flatnonzero, N, {"mask": flags(5)}, smooth=False),
    Case("searchsorted", "s: f32[N], x: f32[M]", "i32[M]", "searchsorted(s, x)",
         np.searchsorted, {"N": 5, "M": 4}, {"s": lambda r: np.sort(spread(r))}, smooth=False),
    Case("sum_of_rows", "x: f32[M, N]", "f32[M]", "sum(x, 1)", lambda x: x.sum(1),
         {"M": 2, "N": 3}),
    Case("mean_of_columns", "x: f32[M, N]", "f32[N]", "mean(x, 0)", lambda x: x.mean(0),
         {"M": 2, "N": 3}),
    Case("extremes", "x: f32[M, N]", "(f32[M], f32[N], i32[M], i32)",
         "max(x, 1), min(x, 0), argmax(x, 1), argmin(x)",
         lambda x: (x.max(1), x.min(0), x.argmax(1), x.argmin()), {"M": 3, "N": 4}),
    Case("prod", "x: f32[M, N]", "(f32[M], f32)", "prod(x, 1), prod(x)",
         lambda x: (x.prod(1), x.prod()), {"M": 2, "N": 3}),
    Case("all_any", "b: bool[M, N]", "(bool[N], bool[M], bool, bool)",
         "all(b, 0), any(b, 1), all(b), any(b)",
         lambda b: (b.all(0), b.any(1), b.all(), b.any()), {}, {"b": flags(2, 3)}, smooth=False),
]  # fmt: skip

PRODUCTS = [
    Case("dot", "a: f32[N], b: f32[N]", "f32", "dot(a, b)", np.dot, N),
    Case("outer", "a: f32[N], b: f32[M]", "f32[N, M]", "outer(a, b)", np.outer, {"N": 3, "M": 2}),
    Case("scale_rows", "s: f32[N], x: f32[N, M]", "f32[N, M]", "scale_rows(s, x)",
         lambda s, x: s[:, None] * x, {"N": 3, "M": 2}),
    Case("conv1d", "x: f32[4, W], w: f32[2*O, 2, K]", "f32[2*O, (W + 4 - 2*(K - 1) - 1) // 2 + 1]",
         "conv1d(x, w, stride=2, pad=2, dilation=2, groups=2)",
         lambda x, w: ref.conv(x, w, 2, 2, 2, 2), {"W": 7, "O": 3, "K": 3}),
    Case("conv2d", "x: f32[4, H, W], w: f32[2*O, 2, J, K]",
         "f32[2*O, (H + 2 - J) // 2 + 1, (W + 2 - K) // 2 + 1]",
         "conv2d(x, w, stride=2, pad=1, groups=2)",
         lambda x, w: ref.conv(x, w, 2, 1, 1, 2), {"H": 5, "W": 6, "O": 2, "J": 3, "K": 2}),
    Case("conv3d", "x: f32[C, D, H, W], w: f32[O, C, 2, 2, 2]",
         "f32[O, D - 2, H - 2, W - 2]", "conv3d(x, w, dilation=2)",
         lambda x, w: ref.conv(x, w, dilation=2), {"C": 2, "D": 3, "H": 4, "W": 3, "O": 2}),
    *(
        Case(f"{kind}_pool{n}d", f"x: f32[C, {dims}]",
             f"f32[C, {', '.join(f'({d} - 3) // 2 + 1' for d in dims.split(', '))}]",
             f"{kind}_pool{n}d(x, 3, 2)",
             lambda x, of=of: ref.pool(x, 3, 2, of), {"C": 2, "A": 5, "B": 7, "E": 4})
        for kind, of in (("max", np.max), ("mean", np.mean))
        for n, dims in ((1, "A"), (2, "A, B"), (3, "A, B, E"))
    ),
    Case("cholesky", "a: f32[N, N]", "f32[N, N]", "cholesky(a)", np.linalg.cholesky, {"N": 4},
         {"a": definite(4)}),
    Case("eigenvalues", "x: f32[N, N]", "f32[N]", "eigenvalues(x)",
         lambda x: np.linalg.eigvalsh((x + x.T) / 2), {"N": 4}),
    Case("solve", "a: f32[N, N], b: f32[N, M]", "f32[N, M]", "solve(a, b)", np.linalg.solve,
         {"N": 4, "M": 2}, {"a": definite(4)}),
    Case("eigh", "a: f32[N, N]", "(f32[N], f32[N, N], f32[N, N])",
         "decomposed(a)", lambda a: (np.linalg.eigvalsh(a), a, np.eye(4)), {"N": 4},
         {"a": definite(4)}, smooth=False),
    Case("eigh_rule", "a: f32[N, N], g: f32[N, N]", "f32[N, N]", "slope_of_product(a, g)",
         lambda a, g: (g + g.T) / 2, {"N": 4}, {"a": definite(4)}, smooth=False),
    Case("einsum", "x: f32[B, I, J], y: f32[J, K]", "f32[B, K, I]", 'einsum("bij,jk->bki", x, y)',
         lambda x, y: (x @ y).transpose(0, 2, 1), {"B": 2, "I": 3, "J": 4, "K": 2}),
]  # fmt: skip


MOVES = [
    Case("constants", "n: i32", "(f32[n, 2], f32[n], i32[n], f32[n, n], i32[n])",
         "zeros(n, 2), ones(n), fill(7, n), eye(n), iota(n)",
         lambda n: (np.zeros((n, 2)), np.ones(n), np.full(n, 7), np.eye(n), np.arange(n)),
         make={"n": whole(3)}, smooth=False),
    Case("one_hot", "i: i32, n: i32", "f32[n]", "one_hot(i, n)", lambda i, n: np.eye(n)[i],
         make={"i": whole(2), "n": whole(4)}, smooth=False),
    Case("diag", "x: f32[N]", "f32[N, N]", "diag(x)", np.diag, N),
    Case("tile", "x: f32[N], n: i32", "f32[n, N]", "tile(x, n)", lambda x, n: np.tile(x, (n, 1)),
         N, {"n": whole(3)}),
    Case("column", "x: f32[N]", "f32[N, 1]", "column(x)", lambda x: x[:, None], N),
    Case("reverse", "x: f32[N, M]", "f32[N, M]", "reverse(x)", lambda x: x[::-1],
         {"N": 3, "M": 2}),
    Case("pad", "x: f32[N, M], v: f32", "f32[N + 3, M]", "pad(x, 1, 2, v)",
         lambda x, v: np.pad(x, ((1, 2), (0, 0)), constant_values=v), {"N": 3, "M": 2}),
    Case("take", "x: f32[N, M], i: i32[N]", V, "take(x, i)",
         lambda x, i: x[np.arange(4), i], {"N": 4, "M": 3}, {"i": ids(3, 4)}),
    Case("scatter_add", "x: f32[N, M], i: i32[K], v: f32[K, M]", "f32[N, M]",
         "scatter_add(x, i, v)", lambda x, i, v: _scattered(np.add, x, i, v),
         {"N": 4, "M": 2, "K": 6}, {"i": ids(4, 6)}),
    Case("scatter_max", "x: f32[N, M], i: i32[K], v: f32[K, M]", "f32[N, M]",
         "scatter_max(x, i, v)", lambda x, i, v: _scattered(np.maximum, x, i, v),
         {"N": 4, "M": 2, "K": 6}, {"i": ids(4, 6)}),
    Case("reversed_list", "xs: List[f32]", "List[f32]", "reversed_list(xs)",
         lambda xs: xs[::-1], {}, {"xs": lambda r: list(spread(r))}, smooth=False),
]  # fmt: skip


def _scattered(by: Any, x: Any, i: Any, v: Any) -> Any:
    y = x.copy()
    by.at(y, i, v)
    return y


def _max_in(g: Any, x: Any) -> Any:
    y = np.full((g.nodes, x.shape[1]), LOWEST)
    np.maximum.at(y, g.dst, x)
    return y


def _softmax_in(g: Any, x: Any) -> Any:
    e = np.exp(x)
    return e / sums(g, e)[g.dst]


def _rows(x: Any, of: Any, empty: float = 0.0) -> Any:
    return np.array([of(x[a:b]) if b > a else np.full(x.shape[1:], empty) for a, b in BOUNDS])


STRUCTURES = [
    Case("graph_arcs", "src: i32[E], dst: i32[E]", "(Graph[5, E], i32[E], i32[E])",
         "graph(5, src, dst), src, dst",
         lambda s, d: (dlc.Graph(s, d, 5), s, d), {}, {"src": ids(5, 7), "dst": ids(5, 7)},
         smooth=False),
    Case("arcs", "g: Graph", "(i32[g.arcs], i32[g.arcs])", "arcs(g)",
         lambda g: (g.src, g.dst), GRAPH, G, smooth=False),
    Case("reversed", "g: Graph", "Graph[g.nodes, g.arcs]", "reversed(g)",
         lambda g: dlc.Graph(g.dst, g.src, g.nodes), GRAPH, G, smooth=False),
    Case("degrees", "g: Graph", "(i32[g.nodes], i32[g.nodes])", "in_degree(g), out_degree(g)",
         lambda g: (degree(g), np.bincount(g.src, minlength=NODES)), GRAPH, G, smooth=False),
    Case("at_ends", "g: Graph, x: f32[g.nodes, D]", "(f32[g.arcs, D], f32[g.arcs, D])",
         "at_src(g, x), at_dst(g, x)", lambda g, x: (x[g.src], x[g.dst]), GRAPH, G),
    Case("sum_in", "g: Graph, x: f32[g.arcs, D]", "f32[g.nodes, D]", "sum_in(g, x)", sums,
         GRAPH, G),
    Case("mean_in", "g: Graph, x: f32[g.arcs, D]", "f32[g.nodes, D]", "mean_in(g, x)",
         lambda g, x: sums(g, x) / np.maximum(degree(g), 1)[:, None], GRAPH, G),
    Case("max_in", "g: Graph, x: f32[g.arcs, D]", "f32[g.nodes, D]", "max_in(g, x)", _max_in,
         GRAPH, G, smooth=False),
    Case("max_in_some", "g: Graph, x: f32[g.arcs, D]", "f32[g.nodes, D]",
         "maximum(max_in(g, x), -9.0)", lambda g, x: np.maximum(_max_in(g, x), -9), GRAPH, G),
    Case("softmax_in", "g: Graph, x: f32[g.arcs, D]", "f32[g.arcs, D]", "softmax_in(g, x)",
         _softmax_in, GRAPH, G),
    Case("segs", "n: i32[R], items: i32", "(Segs[R, items], i32[R], i32[items])",
         "segs(n, items), sizes(segs(n, items)), row_of(segs(n, items))",
         lambda n, k: (dlc.Segs(n), n, np.repeat(np.arange(3), n)), {},
         {"n": lambda r: np.array(SIZES, np.int32), "items": whole(5)}, smooth=False),
    Case("seg_range", "s: Segs, row: i32", "(i32, i32)", "seg_range(s, row)",
         lambda s, i: BOUNDS[i], SEGS, {**S, "row": whole(2)}, smooth=False),
    Case("to_items", "s: Segs, x: f32[s.rows, D]", "f32[s.items, D]", "to_items(s, x)",
         lambda s, x: np.repeat(x, SIZES, 0), SEGS, S),
    Case("sum_segs", "s: Segs, x: f32[s.items, D]", "f32[s.rows, D]", "sum_segs(s, x)",
         lambda s, x: _rows(x, lambda p: p.sum(0)), SEGS, S),
    Case("mean_segs", "s: Segs, x: f32[s.items, D]", "f32[s.rows, D]", "mean_segs(s, x)",
         lambda s, x: _rows(x, lambda p: p.mean(0)), SEGS, S),
    Case("max_segs", "s: Segs, x: f32[s.items, D]", "f32[s.rows, D]",
         "maximum(max_segs(s, x), -9.0)", lambda s, x: _rows(x, lambda p: p.max(0), -9.0),
         SEGS, S),
    Case("softmax_segs", "s: Segs, x: f32[s.items]", "f32[s.items]", "softmax_segs(s, x)",
         lambda s, x: np.concatenate([ref.softmax(x[a:b]) for a, b in BOUNDS if b > a]), SEGS, S),
    Case("active_sparse", "i: i32[K], v: f32[K], n: i32", "(f32[n], i32[?k], f32[?k])",
         "dense(sparse(i, v, n)), i, v",
         lambda i, v, n: (_scattered(np.add, np.zeros(n), i, v), i, v), {"K": 3},
         {"i": lambda r: np.array([1, 4, 5], np.int32), "n": whole(7)}, smooth=False),
    Case("dense_of_nonzero", "x: f32[N]", V, "dense(nonzero(relu(x)))", ref.relu, N,
         {"x": spread}),
    Case("active_nonzero", "x: f32[N]", "(i32[?k], f32[?k])", "active(nonzero(x))",
         lambda x: (np.arange(5), x), N, smooth=False),
]  # fmt: skip

DRAWS = [
    Case("uniform", "seed: i64, k: Key", "(f32[50], f32[50])",
         "uniform(key(seed), 50), uniform(k, 50)", lambda s, k, u: u,
         make={"seed": whole(4), "k": whole(4)}, smooth=False, drawn=1),
    Case("normal", "seed: i64, k: Key", "(f32[5, 9], f32[5, 9])",
         "normal(key(seed), 5, 9), normal(k, 5, 9)", lambda s, k, z: z,
         make={"seed": whole(4), "k": whole(4)}, smooth=False, drawn=1),
    Case("bits", "seed: i64, k: Key", "(i32[9], i32[9])", "bits(key(seed), 9), bits(k, 9)",
         lambda s, k, b: b, make={"seed": whole(4), "k": whole(4)}, smooth=False, drawn=1),
    Case("permutation", "k: Key, n: i32", "i32[n]", "ascending(permutation(k, n))",
         lambda k, n: np.arange(n), make={"k": whole(8), "n": whole(9)}, smooth=False),
    Case("split", "k: Key, j: Key", "(f32[2], f32[2])", "two(k), both(j)", lambda k, j, u: u,
         make={"k": whole(8), "j": whole(8)}, smooth=False, drawn=1),
    Case("splits", "k: Key", "bool", "differ(k)", lambda k: True, make={"k": whole(8)},
         smooth=False),
]  # fmt: skip

MORE = """
fn eigenvalues(x: f32[N, N]) -> f32[N]:
    w, _ = eigh(0.5 * (x + x.T))
    return w
fn decomposed(a: f32[N, N]) -> (f32[N], f32[N, N], f32[N, N]):
    w, u = eigh(a)
    return w, u @ diag(w) @ u.T, u.T @ u
fn slope_of_product(a: f32[N, N], g: f32[N, N]) -> f32[N, N]:
    w, u = eigh(a)
    s = 0.5 * (g + g.T)
    return eigh_rule(a, sum(u.T @ s @ u * eye(N), 1), 2.0 * s @ u @ diag(w))
fn two(k: Key) -> f32[2]:
    a, b = split(k)
    return [uniform(a), uniform(b)]
fn both(k: Key) -> f32[2]:
    a, b = split(k)
    y = uniform(b)
    return [uniform(a), y]
fn differ(k: Key) -> bool:
    u = map(fn(q) => uniform(q), splits(k, 9))
    s, _ = sort(u)
    return all(s[0 : 8] != s[1 : 9])
fn ascending(x: i32[N]) -> i32[N]:
    s, _ = sort(-x)
    return -s
"""

CASES = [*_of_each(), *REDUCTIONS, *PRODUCTS, *MOVES, *STRUCTURES, *DRAWS]
