"""What every instruction means, said again and independently, with numpy: the laws of both
machines.

A law makes a case from random numbers and says what the operands must be afterwards. `close` where
the law sums in another order or in 64 bits, exact elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.laws.isa_lab import Array, Case

Rng = np.random.Generator


@dataclass
class Expected:
    """Operands after the instruction. `tensors` and `reals` are compared within rounding unless
    `exact`."""

    tensors: dict[str, Array] = field(default_factory=dict)
    integers: dict[str, int] = field(default_factory=dict)
    reals: dict[str, float] = field(default_factory=dict)
    queues: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    exact: bool = False


Law = Callable[[Rng], tuple[Case, Expected]]
LAWS: dict[str, list[Law]] = {}
"""Filled by the modules `isa_laws_*`."""


def law(*mnemonics: str) -> Callable[[Law], Law]:
    def note(function: Law) -> Law:
        for mnemonic in mnemonics:
            LAWS.setdefault(mnemonic, []).append(function)
        return function

    return note


def normal(rng: Rng, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def sparse(rng: Rng, *shape: int) -> Array:
    return np.where(rng.random(shape) < 0.5, normal(rng, *shape), 0).astype(np.float32)


def events(values: Array) -> list[tuple[int, float]]:
    return [(int(i), float(values.ravel()[i])) for i in np.flatnonzero(values)]


def whole(rng: Rng, low: int, high: int, *shape: int) -> Array:
    return rng.integers(low, high, shape).astype(np.int32)


def members(name: str) -> dict[str, int]:
    from dlc.isa.project import load_isa

    return dict(load_isa().enums[name])


def windows(x: Array, w: Array, sy: int, sx: int, py: int, px: int, h: int, v: int) -> Array:
    """out[o, y, x] by the definition, on a padded input."""
    c, height, width = x.shape
    padded = np.zeros((c, height + 2 * py + 8, width + 2 * px + 8), np.float64)
    padded[:, py : py + height, px : px + width] = x
    out = np.zeros((w.shape[0], h, v))
    for y in range(h):
        for k in range(v):
            window = padded[:, y * sy : y * sy + w.shape[2], k * sx : k * sx + w.shape[3]]
            out[:, y, k] = np.einsum("cuv,ocuv->o", window, w)
    return out


GEOMETRY = {"sy": 2, "sx": 1, "py": 1, "px": 0}


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


ODD = np.array(
    [0, -0.0, 1, -1, 0.5, -0.5, 2.5, np.inf, -np.inf, np.nan, 1e-40, 100.0, -100.0], np.float32
)

_ERF = np.vectorize(math.erf)
UNARY: dict[str, Callable[[Array], Any]] = {
    "copy": lambda x: x,
    "neg": np.negative,
    "abs": np.abs,
    "relu": lambda x: np.where(np.isnan(x), x, np.maximum(x, 0)),
    "step": lambda x: (x > 0) * 1.0,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "trunc": np.trunc,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "recip": lambda x: 1 / x,
    "square": np.square,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": _ERF,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "finite": lambda x: np.isfinite(x) * 1.0,
    "not": lambda x: (x == 0) * 1.0,
}
