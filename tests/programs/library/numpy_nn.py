"""Layers in numpy, straight from their definitions, one output element at a time where it helps."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x: Any) -> Any:
    m = x.max(-1, keepdims=True)
    return x - m - np.log(np.exp(x - m).sum(-1, keepdims=True))


def logsumexp(x: Any) -> Any:
    return x.max() + np.log(np.exp(x - x.max()).sum())


def softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def conv(
    x: Array, w: Array, stride: int = 1, pad: int = 0, dilation: int = 1, groups: int = 1
) -> Array:
    """y[o, p] = sum of w[o, c, k] * x[c, stride*p + dilation*k - pad], any number of axes."""
    axes = x.ndim - 1
    x = np.pad(x, [(0, 0)] + [(pad, pad)] * axes)
    size = [
        (x.shape[a + 1] - dilation * (w.shape[a + 2] - 1) - 1) // stride + 1 for a in range(axes)
    ]
    y = np.zeros((w.shape[0], *size))
    outs, ins = w.shape[0] // groups, w.shape[1]
    for o in range(w.shape[0]):
        part = x[o // outs * ins : (o // outs + 1) * ins]
        for p in product(*map(range, size)):
            where = tuple(
                slice(stride * p[a], stride * p[a] + dilation * (w.shape[a + 2] - 1) + 1, dilation)
                for a in range(axes)
            )
            y[(o, *p)] = np.sum(part[(slice(None), *where)] * w[o])
    return y


def conv_transpose(x: Array, w: Array, stride: int, pad: int) -> Array:
    """y[o, stride*p + k - pad] += x[i, p] * w[i, o, k]."""
    axes = x.ndim - 1
    full = [stride * (x.shape[a + 1] - 1) + w.shape[a + 2] for a in range(axes)]
    y = np.zeros((w.shape[1], *full))
    for p in product(*map(range, x.shape[1:])):
        where = tuple(slice(stride * p[a], stride * p[a] + w.shape[a + 2]) for a in range(axes))
        y[(slice(None), *where)] += np.tensordot(x[(slice(None), *p)], w, (0, 0))
    return y[(slice(None), *(slice(pad, n - pad) for n in full))]


def pool(x: Array, size: int, stride: int, of: Any) -> Array:
    axes = x.ndim - 1
    out = [(n - size) // stride + 1 for n in x.shape[1:]]
    y = np.zeros((x.shape[0], *out))
    for p in product(*map(range, out)):
        where = tuple(slice(stride * i, stride * i + size) for i in p)
        y[(slice(None), *p)] = of(x[(slice(None), *where)], axis=tuple(range(1, axes + 1)))
    return y


def adaptive(x: Array, sizes: tuple[int, ...], of: Any) -> Array:
    y = np.zeros((x.shape[0], *sizes))
    for p in product(*map(range, sizes)):
        where = tuple(
            slice(i * n // k, -(-(i + 1) * n // k))
            for i, n, k in zip(p, x.shape[1:], sizes, strict=True)
        )
        part = x[(slice(None), *where)]
        y[(slice(None), *p)] = of(part, axis=tuple(range(1, x.ndim)))
    return y


def normalise(x: Array, axis: Any = None, eps: float = 1e-5) -> Array:
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


def gru(m: dict[str, Array], x: Array, h: Array, p: str = "") -> Array:
    zx, rx, nx = np.split(m[p + "wx"] @ x + m[p + "b"], 3)
    zh, rh, nh = np.split(m[p + "wh"] @ h, 3)
    z, r = sigmoid(zx + zh), sigmoid(rx + rh)
    return z * h + (1 - z) * np.tanh(nx + r * nh)


def gru_sequence(m: dict[str, Array], xs: Array, h: Array, p: str = "") -> Array:
    out = []
    for x in xs:
        h = gru(m, x, h, p)
        out.append(h)
    return np.array(out)


def lstm(m: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    i, f, o, u = np.split(m["wx"] @ x + m["wh"] @ h + m["b"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(u)
    return sigmoid(o) * np.tanh(c), c


def lstm_sequence(m: dict[str, Array], xs: Array) -> Array:
    h = c = np.zeros(m["wh"].shape[1])
    out = []
    for x in xs:
        h, c = lstm(m, x, h, c)
        out.append(h)
    return np.array(out)


def peephole(m: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    i, f, o, u = np.split(m["wx"] @ x + m["wh"] @ h + m["b"], 4)
    new = sigmoid(f + m["pf"] * c) * c + sigmoid(i + m["pi"] * c) * np.tanh(u)
    return sigmoid(o + m["po"] * new) * np.tanh(new), new


def attend(q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
    s = q @ k.T / np.sqrt(q.shape[1])
    return softmax(s if mask is None else np.where(mask, s, -1e9)) @ v


def multi_head(m: dict[str, Array], x: Array, heads: int) -> Array:
    q, k, v = (np.split(x @ m[n], heads, axis=1) for n in "qkv")
    return np.concatenate([attend(*part) for part in zip(q, k, v, strict=True)], axis=1) @ m["o"]


def rotary(x: Array, base: float = 10000.0) -> Array:
    """Pairs (x[n, i], x[n, i + D]) turned by the angle n * base**(-i/D)."""
    n, d = x.shape[0], x.shape[1] // 2
    angle = np.arange(n)[:, None] * base ** (-np.arange(d) / d)
    z = (x[:, :d] + 1j * x[:, d:]) * np.exp(1j * angle)
    return np.concatenate([z.real, z.imag], axis=1)


def mixture(m: dict[str, Array], x: Array, k: int) -> Array:
    p = softmax(m["gate"] @ x)
    best = np.argsort(-p, kind="stable")[:k]
    return sum(p[e] * (m["w"][e] @ x) for e in best)
