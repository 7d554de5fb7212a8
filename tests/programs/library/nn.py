"""`nn`: layers."""

from __future__ import annotations

from typing import Any

import numpy as np

import dlc
from tests.programs.library import numpy_nn as ref
from tests.programs.library.case import Case, Rng

MODULES = ("nn",)
IO = {"m.I": 3, "m.O": 2}
IH = {"m.I": 3, "m.H": 4}


def ids(high: int, *shape: int) -> Any:
    return lambda r: r.integers(0, high, shape).astype(np.int32)


def whole(n: int) -> Any:
    return lambda r: n


def lengths(*n: int) -> Any:
    return lambda r: dlc.Segs(np.array(n, np.int32))


def positive(*shape: int) -> Any:
    return lambda r: r.uniform(0.5, 1.5, shape).astype(np.float32)


def mask(*shape: int) -> Any:
    def make(r: Rng) -> Any:
        m = r.random(shape) < 0.5
        m[..., 0] = True
        return m

    return make


def _rows(s: dlc.Segs, x: Any, of: Any) -> Any:
    return np.array([of(x[a:b]) for a, b in zip(s.starts, s.starts[1:], strict=False)])


def _segs_attend(s: Any, q: Any, k: Any, v: Any) -> Any:
    out = np.zeros((len(q), v.shape[1]))
    for i, (a, b) in enumerate(zip(s.starts, s.starts[1:], strict=False)):
        if b > a:
            out[i] = ref.attend(q[i : i + 1], k[a:b], v[a:b])[0]
    return out


def _group_norm(x: Any, gain: Any, bias: Any) -> Any:
    y = ref.normalise(x.reshape(2, -1), 1).reshape(x.shape)
    return gain[:, None] * y + bias[:, None]


def _batch_norm(x: Any, gain: Any, bias: Any, mean: Any, var: Any, rate: float) -> Any:
    y = gain * ref.normalise(x, 0) + bias
    return y, mean + rate * (x.mean(0) - mean), var + rate * (x.var(0) - var)


CASES = [
    Case(
        "linear", "m: Linear, x: f32[m.I]", "f32[m.O]", "linear(m, x)",
        lambda m, x: m["w"] @ x + m["b"], IO,
    ),
    Case(
        "linear_rows", "m: Linear, x: f32[N, m.I]", "f32[N, m.O]", "linear_rows(m, x)",
        lambda m, x: np.array([m["w"] @ row + m["b"] for row in x]), {**IO, "N": 5},
    ),
    Case(
        "mlp", "m: Mlp, x: f32[m.I]", "f32[m.O]", "mlp(m, x)",
        lambda m, x: m["l2.w"] @ ref.relu(m["l1.w"] @ x + m["l1.b"]) + m["l2.b"], {**IO, "m.H": 5},
    ),
    Case(
        "bilinear", "m: Bilinear, x: f32[m.I], y: f32[m.J]", "f32[m.O]", "bilinear(m, x, y)",
        lambda m, x, y: np.array([x @ w @ y for w in m["w"]]), {**IO, "m.J": 4},
    ),
    Case(
        "bag", "e: f32[V, D], ids: i32[N]", "f32[D]", "bag(e, ids)",
        lambda e, i: e[i].sum(0), {"V": 5, "D": 3}, {"ids": ids(5, 7)}, rows=("e",),
    ),
    Case(
        "weighted_bag", "e: f32[V, D], ids: i32[N], w: f32[N]", "f32[D]",
        "weighted_bag(e, ids, w)",
        lambda e, i, w: (w[:, None] * e[i]).sum(0), {"V": 5, "D": 3, "N": 7}, {"ids": ids(5, 7)},
        rows=("e",),
    ),
    Case(
        "bags", "e: f32[V, D], s: Segs, ids: i32[s.items]", "f32[s.rows, D]", "bags(e, s, ids)",
        lambda e, s, i: _rows(s, e[i], lambda x: x.sum(0)), {"V": 5, "D": 3},
        {"ids": ids(5, 6), "s": lengths(2, 0, 3, 1)}, rows=("e",),
    ),
    Case(
        "gru", "m: GRU, x: f32[m.I], h: f32[m.H]", "f32[m.H]", "gru(m, x, h)", ref.gru, IH,
    ),
    Case(
        "lstm", "m: LSTM, x: f32[m.I], h: f32[m.H], c: f32[m.H]", "(f32[m.H], f32[m.H])",
        "lstm(m, x, h, c)", ref.lstm, IH,
    ),
    Case(
        "peephole", "m: Peephole, x: f32[m.I], h: f32[m.H], c: f32[m.H]", "(f32[m.H], f32[m.H])",
        "peephole(m, x, h, c)", ref.peephole, IH,
    ),
    Case(
        "rnn_sequence", "m: GRU, xs: f32[T, m.I], h: f32[m.H]", "f32[T, m.H]",
        "rnn_sequence(m, xs, h)", ref.gru_sequence, {**IH, "T": 3},
    ),
    Case(
        "lstm_sequence", "m: LSTM, xs: f32[T, m.I]", "f32[T, m.H]", "lstm_sequence(m, xs)",
        ref.lstm_sequence, {**IH, "T": 3}, rows=("xs",),
    ),
    Case(
        "bigru", "m: BiGRU, xs: f32[T, m.I]", "f32[T, 2*m.H]", "bigru(m, xs)",
        lambda m, xs: np.concatenate([
            ref.gru_sequence(m, xs, np.zeros(4), "forth."),
            ref.gru_sequence(m, xs[::-1], np.zeros(4), "back.")[::-1],
        ], axis=1), {**IH, "T": 3},
    ),
    Case(
        "layer_norm", "x: f32[D], gain: f32[D], bias: f32[D]", "f32[D]",
        "layer_norm(x, gain, bias)", lambda x, g, b: g * ref.normalise(x) + b, {"D": 7},
    ),
    Case(
        "rms_norm", "x: f32[D], gain: f32[D]", "f32[D]", "rms_norm(x, gain, eps=0.01)",
        lambda x, g: g * x / np.sqrt((x**2).mean() + 0.01), {"D": 7},
    ),
    Case(
        "group_norm", "x: f32[2*C, N], gain: f32[2*C], bias: f32[2*C]", "f32[2*C, N]",
        "group_norm(2, x, gain, bias)", _group_norm, {"C": 3, "N": 5},
    ),
    Case(
        "instance_norm", "x: f32[C, H, W], gain: f32[C], bias: f32[C]", "f32[C, H, W]",
        "instance_norm(x, gain, bias)",
        lambda x, g, b: (
            g[:, None, None] * ref.normalise(x, (1, 2)) + b[:, None, None]
        ), {"C": 3, "H": 4, "W": 5},
    ),
    Case(
        "divisive_norm", "x: f32[C, H, W], beta: f32[C], gamma: f32[C, C]", "f32[C, H, W]",
        "divisive_norm(x, beta, gamma)",
        lambda x, b, g: x / np.sqrt(b[:, None, None] + np.tensordot(g, x * x, 1)),
        {"C": 3, "H": 2, "W": 5}, {"beta": positive(3), "gamma": positive(3, 3)},
    ),
    Case(
        "batch_norm",
        "x: f32[N, C], gain: f32[C], bias: f32[C], mu: mut f32[C], v: mut f32[C], rate: f32",
        "f32[N, C]", "batch_norm(x, gain, bias, mut mu, mut v, rate)", _batch_norm,
        {"N": 6, "C": 3},
    ),
    Case(
        "fixed_batch_norm",
        "x: f32[N, C], gain: f32[C], bias: f32[C], mu: f32[C], v: f32[C]", "f32[N, C]",
        "batch_norm_fixed(x, gain, bias, mu, v)",
        lambda x, g, b, mu, v: g * (x - mu) / np.sqrt(v + 1e-5) + b, {"N": 6, "C": 3},
        {"v": positive(3)},
    ),
    Case(
        "weight_norm", "v: f32[O, I], gain: f32[O]", "f32[O, I]", "weight_norm(v, gain)",
        lambda v, g: g[:, None] * v / np.linalg.norm(v, axis=1, keepdims=True), {"O": 3, "I": 4},
    ),
    Case(
        "attend", "q: f32[Q, D], k: f32[N, D], v: f32[N, E]", "f32[Q, E]", "attend(q, k, v)",
        ref.attend, {"Q": 2, "D": 3, "N": 5, "E": 4},
    ),
    Case(
        "attend_masked", "q: f32[Q, D], k: f32[N, D], v: f32[N, E], mask: bool[Q, N]",
        "f32[Q, E]", "attend_masked(q, k, v, mask)", ref.attend,
        {"Q": 2, "D": 3, "N": 5, "E": 4}, {"mask": mask(2, 5)},
    ),
    Case(
        "attend_segs", "s: Segs, q: f32[s.rows, D], k: f32[s.items, D], v: f32[s.items, E]",
        "f32[s.rows, E]", "attend_segs(s, q, k, v)", _segs_attend,
        {"s.rows": 4, "s.items": 6, "D": 3, "E": 2}, {"s": lengths(2, 0, 3, 1)},
    ),
    Case(
        "self_attend", "m: Attention, x: f32[N, m.D]", "f32[N, m.D]", "self_attend(m, x)",
        lambda m, x: ref.attend(x @ m["q"], x @ m["k"], x @ m["v"]) @ m["o"],
        {"m.D": 3, "N": 4},
    ),
    Case(
        "multi_head", "m: MultiHead[2, P], x: f32[N, 2*P]", "f32[N, 2*P]", "multi_head(m, x)",
        lambda m, x: ref.multi_head(m, x, 2), {"m.K": 3, "P": 3, "N": 4},
    ),
    Case(
        "causal", "n: i32", "bool[n, n]", "causal(n)",
        lambda n: np.tril(np.ones((n, n), bool)), make={"n": whole(4)}, smooth=False,
    ),
    Case(
        "rotary", "x: f32[N, 2*D]", "f32[N, 2*D]", "rotary(x)", ref.rotary, {"N": 4, "D": 3},
    ),
    Case(
        "dropout", "k: Key, k2: Key, x: f32[N]", "(f32[N], f32[N])",
        "dropout(k, x, 0.25), uniform(k2, N)",
        lambda k, k2, x, u: np.where(u < 0.25, 0, x / 0.75), {"N": 50},
        {"k": whole(5), "k2": whole(5)}, smooth=False, drawn=1,
    ),
    Case(
        "embed", "m: Embedding, ids: i32[P, Q]", "f32[P, Q, m.D]", "embed(m, ids)",
        lambda m, i: m["table"][i], {"m.V": 5, "m.D": 3}, {"ids": ids(5, 2, 4)},
    ),
    Case(
        "conv1d_layer", "m: Conv1d, x: f32[m.I, W]",
        "f32[m.O, (W + 2 - m.K) // 2 + 1]", "conv1d_layer(m, x, stride=2, pad=1)",
        lambda m, x: ref.conv(x, m["w"], 2, 1) + m["b"][:, None], {**IO, "m.K": 3, "W": 8},
    ),
    Case(
        "conv2d_layer", "m: Conv2d, x: f32[m.I, H, W]",
        "f32[m.O, (H + 2 - m.K) // 2 + 1, (W + 2 - m.K) // 2 + 1]",
        "conv2d_layer(m, x, stride=2, pad=1)",
        lambda m, x: ref.conv(x, m["w"], 2, 1) + m["b"][:, None, None],
        {**IO, "m.K": 3, "W": 6, "H": 5},
    ),
    Case(
        "conv3d_layer", "m: Conv3d, x: f32[m.I, D, H, W]",
        "f32[m.O, (D - m.K) + 1, (H - m.K) + 1, (W - m.K) + 1]", "conv3d_layer(m, x)",
        lambda m, x: ref.conv(x, m["w"]) + m["b"][:, None, None, None],
        {**IO, "m.K": 2, "W": 4, "H": 2, "D": 3},
    ),
    Case(
        "conv_transpose1d", "m: ConvTranspose1d[A, B, 3], x: f32[A, W]",
        "f32[B, 2*(W - 1) - 2 + 3]", "conv_transpose1d(m, x, stride=2, pad=1)",
        lambda m, x: ref.conv_transpose(x, m["w"], 2, 1) + m["b"][:, None],
        {**IO, "A": 3, "W": 5},
    ),
    Case(
        "conv_transpose2d", "m: ConvTranspose2d[A, B, 3], x: f32[A, H, W]",
        "f32[B, 2*(H - 1) + 3, 2*(W - 1) + 3]", "conv_transpose2d(m, x, stride=2)",
        lambda m, x: ref.conv_transpose(x, m["w"], 2, 0) + m["b"][:, None, None],
        {**IO, "A": 3, "H": 2, "W": 3},
    ),
    Case(
        "global_mean_pool", "x: f32[C, H, W]", "f32[C]", "global_mean_pool(x)",
        lambda x: x.mean((1, 2)), {"C": 2, "H": 3, "W": 4},
    ),
    Case(
        "global_max_pool", "x: f32[C, H, W]", "f32[C]", "global_max_pool(x)",
        lambda x: x.max((1, 2)), {"C": 2, "H": 3, "W": 4},
    ),
    Case(
        "adaptive_mean_pool1d", "x: f32[C, W], n: i32", "f32[C, n]",
        "adaptive_mean_pool1d(x, n)",
        lambda x, n: ref.adaptive(x, (n,), np.mean), {"C": 2, "W": 7}, {"n": whole(3)},
    ),
    Case(
        "adaptive_mean_pool2d", "x: f32[C, H, W], h: i32, w: i32", "f32[C, h, w]",
        "adaptive_mean_pool2d(x, h, w)",
        lambda x, h, w: ref.adaptive(x, (h, w), np.mean), {"C": 2, "H": 4, "W": 6},
        {"h": whole(2), "w": whole(3)},
    ),
    Case(
        "adaptive_max_pool2d", "x: f32[C, H, W], h: i32, w: i32", "f32[C, h, w]",
        "adaptive_max_pool2d(x, h, w)",
        lambda x, h, w: ref.adaptive(x, (h, w), np.max), {"C": 2, "H": 5, "W": 7},
        {"h": whole(2), "w": whole(3)},
    ),
    Case(
        "highway", "m: Highway, x: f32[m.D]", "f32[m.D]", "highway(m, x)",
        lambda m, x: (
            (g := ref.sigmoid(m["t.w"] @ x + m["t.b"])) * ref.relu(m["h.w"] @ x + m["h.b"])
            + (1 - g) * x
        ), {"m.D": 4},
    ),
    Case(
        "mixture", "m: Experts, x: f32[m.I], k: i32", "f32[m.O]", "mixture(m, x, k)",
        ref.mixture, {**IO, "m.E": 5}, {"k": whole(2)},
    ),
]  # fmt: skip
