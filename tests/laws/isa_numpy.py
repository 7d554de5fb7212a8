"""What every instruction means, said again and independently, with numpy: the laws of both machines.

A law makes a case from random numbers and says what the operands must be afterwards. `close` where the law sums in another order
or in 64 bits, exact elsewhere.
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
    """Operands after the instruction. `tensors` and `reals` are compared within rounding unless `exact`."""

    tensors: dict[str, Array] = field(default_factory=dict)
    integers: dict[str, int] = field(default_factory=dict)
    reals: dict[str, float] = field(default_factory=dict)
    queues: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    exact: bool = False


Law = Callable[[Rng], tuple[Case, Expected]]
LAWS: dict[str, list[Law]] = {}


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


# -- dense -----------------------------------------------------------------------------------------


@law("mv")
def _(rng: Rng) -> tuple[Case, Expected]:
    d, a, b = normal(rng, 5), normal(rng, 5, 7), normal(rng, 7)
    return Case("mv", {"d": d, "a": a, "b": b}), Expected({"d": d + a @ b})


@law("mvt")
def _(rng: Rng) -> tuple[Case, Expected]:
    d, a, b = normal(rng, 3), normal(rng, 150, 3), normal(rng, 150)
    return Case("mvt", {"d": d, "a": a, "b": b}), Expected({"d": b @ a})


@law("outer")
def _(rng: Rng) -> tuple[Case, Expected]:
    d, a, b = normal(rng, 4, 6), normal(rng, 4), normal(rng, 6)
    return Case("outer", {"d": d, "a": a, "b": b}), Expected({"d": d + np.outer(a, b)})


def _product(layout: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        d, a, b = normal(rng, 3, 4), normal(rng, 3, 5), normal(rng, 5, 4)
        shown = {"nn": (a, b), "nt": (a, b.T.copy()), "tn": (a.T.copy(), b)}[layout]
        case = Case(
            "mm",
            {"d": d, "a": shown[0], "b": shown[1]},
            immediates={"fn": members("layout")[layout]},
        )
        return case, Expected({"d": d + a @ b})

    return made


for _layout in ("nn", "nt", "tn"):
    law("mm")(_product(_layout))


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


@law("conv")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = normal(rng, 2, 6, 5), normal(rng, 3, 2, 3, 2)
    d = normal(rng, 3, 3, 4)
    case = Case("conv", {"d": d, "a": a, "b": b}, immediates=GEOMETRY)
    return case, Expected({"d": d + windows(a, b, 2, 1, 1, 0, 3, 4)})


@law("conv.dx")
def _(rng: Rng) -> tuple[Case, Expected]:
    x, w, g = normal(rng, 2, 6, 5), normal(rng, 3, 2, 3, 2), normal(rng, 3, 3, 4)
    expected = x.astype(np.float64)
    for index in np.ndindex(x.shape):
        unit = np.zeros(x.shape, np.float32)
        unit[index] = 1
        expected[index] += (windows(unit, w, 2, 1, 1, 0, 3, 4) * g).sum()
    return Case("conv.dx", {"d": x, "a": g, "b": w}, immediates=GEOMETRY), Expected({"d": expected})


@law("conv.dw")
def _(rng: Rng) -> tuple[Case, Expected]:
    x, w, g = normal(rng, 2, 6, 5), normal(rng, 3, 2, 3, 2), normal(rng, 3, 3, 4)
    expected = w.astype(np.float64)
    for index in np.ndindex(w.shape):
        unit = np.zeros(w.shape, np.float32)
        unit[index] = 1
        expected[index] += (windows(x, unit, 2, 1, 1, 0, 3, 4) * g).sum()
    return Case("conv.dw", {"d": w, "a": x, "b": g}, immediates=GEOMETRY), Expected({"d": expected})


def _pool(fn: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a, d = normal(rng, 2, 5, 6), normal(rng, 2, 2, 3)
        reduce = np.max if fn == "max" else np.mean
        expected = np.array(
            [
                [
                    [reduce(a[c, 2 * y : 2 * y + 3, 2 * x : 2 * x + 2]) for x in range(3)]
                    for y in range(2)
                ]
                for c in range(2)
            ]
        )
        immediates = {"fn": members("window")[fn], "ky": 3, "kx": 2, "sy": 2, "sx": 2}
        return Case("pool", {"d": d, "a": a}, immediates=immediates), Expected({"d": expected})

    return made


law("pool")(_pool("max"))
law("pool")(_pool("mean"))


@law("mv.q8")
def _(rng: Rng) -> tuple[Case, Expected]:
    d, a, b = whole(rng, -9, 9, 3), whole(rng, -128, 128, 3, 9), whole(rng, -128, 128, 9)
    case = Case("mv.q8", {"d": d, "a": a, "b": b}, dtypes={"a": "i8", "b": "i8"})
    return case, Expected({"d": d + a @ b}, exact=True)


@law("mm.q8")
def _(rng: Rng) -> tuple[Case, Expected]:
    d, a, b = whole(rng, -9, 9, 3, 2), whole(rng, -128, 128, 3, 9), whole(rng, -128, 128, 9, 2)
    case = Case("mm.q8", {"d": d, "a": a, "b": b}, dtypes={"a": "i8", "b": "i8"})
    return case, Expected({"d": d + a @ b}, exact=True)


@law("requant")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = whole(rng, -5000, 5000, 3, 8), np.array([0.05, 0.5, 0.013], np.float32)
    expected = np.clip(np.rint(a.astype(np.float32) * b[:, None]), -128, 127).astype(int)
    case = Case("requant", {"d": np.zeros((3, 8), np.int32), "a": a, "b": b}, dtypes={"d": "i8"})
    return case, Expected({"d": expected}, exact=True)


@law("quant")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = np.concatenate([normal(rng, 14) * 60, [np.nan, 0.5, 1.5, -2.5, 1e9, -1e9]]).astype(
        np.float32
    )
    expected = np.nan_to_num(np.clip(np.rint(a * np.float32(2)), -128, 127)).astype(int)
    case = Case(
        "quant", {"d": np.zeros(20, np.int32), "a": a}, floats={"b": 2.0}, dtypes={"d": "i8"}
    )
    return case, Expected({"d": expected}, exact=True)


@law("dequant")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = whole(rng, -128, 128, 9)
    case = Case("dequant", {"d": normal(rng, 9), "a": a}, floats={"b": 0.25}, dtypes={"a": "i8"})
    return case, Expected({"d": a * 0.25}, exact=True)


# -- moves -----------------------------------------------------------------------------------------


@law("t.copy")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 3, 4)
    return Case("t.copy", {"d": normal(rng, 3, 4), "a": a}), Expected({"d": a}, exact=True)


@law("t.copy")
def _(rng: Rng) -> tuple[Case, Expected]:
    import ml_dtypes

    a = np.concatenate([normal(rng, 30), [np.inf, -np.inf, 0, -0.0, 3.4e38, 1e-40, np.nan]]).astype(
        np.float32
    )
    rounded = a.astype(ml_dtypes.bfloat16).astype(np.float32)
    case = Case("t.copy", {"d": normal(rng, 37), "a": a}, dtypes={"d": "bf16"})
    return case, Expected({"d": rounded}, exact=True)


@law("t.fill")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("t.fill", {"d": normal(rng, 2, 3)}, floats={"a": 1.5})
    return case, Expected({"d": np.full((2, 3), 1.5)}, exact=True)


@law("t.icopy")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = whole(rng, -500, 500, 9)
    case = Case("t.icopy", {"d": whole(rng, 0, 9, 9), "a": a}, dtypes={"d": "i8"})
    return case, Expected({"d": a.astype(np.int8)}, exact=True)


@law("t.ifill")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("t.ifill", {"d": whole(rng, 0, 9, 4)}, integers={"a": (1 << 32) - 7})
    return case, Expected({"d": np.full(4, -7)}, exact=True)


@law("twr")
def _(rng: Rng) -> tuple[Case, Expected]:
    d = normal(rng, 3, 4)
    expected = d.copy()
    expected[1, 2] = 9.5
    return Case("twr", {"d": d}, integers={"a": 6}, floats={"b": 9.5}), Expected(
        {"d": expected}, exact=True
    )


@law("trd")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 3, 4)
    return Case("trd", {"a": a}, integers={"b": 6}), Expected(
        reals={"d": float(a[1, 2])}, exact=True
    )


@law("trdi")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = whole(rng, -9, 9, 3, 4)
    return Case("trdi", {"a": a}, integers={"b": 6}), Expected(integers={"d": int(a[1, 2])})


@law("twri")
def _(rng: Rng) -> tuple[Case, Expected]:
    d = whole(rng, -9, 9, 4)
    expected = d.copy()
    expected[3] = -1
    case = Case("twri", {"d": d}, integers={"a": 3, "b": (1 << 32) - 1})
    return case, Expected({"d": expected}, exact=True)


@law("td.dim")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("td.dim", {"a": normal(rng, 3, 4)}, immediates={"axis": 1}), Expected(
        integers={"d": 4}
    )


@law("td.len")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("td.len", {"a": normal(rng, 3, 4)}), Expected(integers={"d": 12})


@law("td.addr")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("td.addr", {"x": normal(rng, 16), "a": normal(rng, 3)})
    return case, Expected(integers={"d": 64})


# -- events ----------------------------------------------------------------------------------------


@law("ev.nz")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = np.concatenate([normal(rng, 8), [0, -0.0, np.nan, np.inf]]).astype(np.float32).reshape(3, 4)
    kept = [(i, float(v)) for i, v in enumerate(a.ravel()) if not abs(v) <= 0.5]
    return Case("ev.nz", {"a": a}, floats={"b": 0.5}), Expected(queues={"q": kept})


@law("ev.all")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = sparse(rng, 6)
    return Case("ev.all", {"a": a}), Expected(
        queues={"q": [(i, float(v)) for i, v in enumerate(a)]}
    )


def _top(k: int) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a = rng.choice(
            np.array([-1, -0.0, 0, 0.5, 0.5, 2, np.inf, -np.inf, np.nan], np.float32), 12
        )
        keys = np.where(np.isnan(a), np.inf, a)
        order = sorted(range(12), key=lambda i: (not np.isnan(a[i]), -keys[i], i))
        kept = sorted(order[: max(0, min(k, 12))])
        return Case("ev.topk", {"a": a}, integers={"b": k}), Expected(
            queues={"q": [(i, float(a[i])) for i in kept]}
        )

    return made


for _k in (-1, 0, 1, 4, 11, 12, 99):
    law("ev.topk")(_top(_k))


@law("ev.delta")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = normal(rng, 9), normal(rng, 9)
    sent = np.abs(a - b) > 0.7
    queue = [(int(i), float((a - b)[i])) for i in np.flatnonzero(sent)]
    case = Case("ev.delta", {"a": a, "b": b}, floats={"c": 0.7})
    return case, Expected({"b": np.where(sent, a, b)}, queues={"q": queue}, exact=True)


@law("ev.mv")
def _(rng: Rng) -> tuple[Case, Expected]:
    w, x, d = sparse(rng, 7, 9), sparse(rng, 9), normal(rng, 7)
    return Case("ev.mv", {"d": d}, {"a": w}, {"b": events(x)}), Expected({"d": d + w @ x})


@law("ev.mvt")
def _(rng: Rng) -> tuple[Case, Expected]:
    w, x, g, d = sparse(rng, 90, 9), sparse(rng, 9), normal(rng, 90), normal(rng, 9)
    expected = np.where(x != 0, g @ w, d)
    return Case("ev.mvt", {"d": d, "c": g}, {"a": w}, {"b": events(x)}), Expected({"d": expected})


@law("ev.outer")
def _(rng: Rng) -> tuple[Case, Expected]:
    w, x, g = sparse(rng, 7, 9), sparse(rng, 9), normal(rng, 7)
    d = normal(rng, np.count_nonzero(w))
    stored = np.nonzero(w.T)
    expected = d + g[stored[1]] * x[stored[0]]
    return Case("ev.outer", {"d": d, "c": g}, {"a": w}, {"b": events(x)}), Expected({"d": expected})


@law("ev.keep")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, x = normal(rng, 9), sparse(rng, 9)
    return Case("ev.keep", {"d": normal(rng, 9), "a": a}, queues={"b": events(x)}), Expected(
        {"d": np.where(x != 0, a, 0)}, exact=True
    )


@law("ev.read")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, x = normal(rng, 9), sparse(rng, 9)
    kept = [(i, float(a[i])) for i, _ in events(x)]
    return Case("ev.read", {"a": a}, queues={"b": events(x)}), Expected(queues={"q": kept})


@law("ev.conv")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b, d = sparse(rng, 2, 4, 5), normal(rng, 3, 2, 3, 2), normal(rng, 3, 2, 4)
    expected = d + windows(a, b, 2, 1, 1, 0, 2, 4)
    return Case(
        "ev.conv", {"d": d, "a": a, "b": b}, queues={"c": events(a)}, immediates=GEOMETRY
    ), Expected({"d": expected})


@law("ev.rows")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, x, d = normal(rng, 9, 5), sparse(rng, 9), normal(rng, 5)
    return Case("ev.rows", {"d": d, "a": a}, queues={"b": events(x)}), Expected({"d": d + x @ a})


@law("ev.rows.dx")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, x, g, d = normal(rng, 9, 70), sparse(rng, 9), normal(rng, 70), normal(rng, 9)
    case = Case("ev.rows.dx", {"d": d, "a": a, "c": g}, queues={"b": events(x)})
    return case, Expected({"d": np.where(x != 0, a @ g, d)})


@law("ev.rows.dw")
def _(rng: Rng) -> tuple[Case, Expected]:
    x, g, d = sparse(rng, 9), normal(rng, 5), normal(rng, 9, 5)
    return Case("ev.rows.dw", {"d": d, "c": g}, queues={"b": events(x)}), Expected(
        {"d": d + np.outer(x, g)}
    )


@law("ev.list")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = np.array([1, 4, 7], np.int32), normal(rng, 3)
    return Case("ev.list", {"a": a, "b": b}), Expected(
        queues={"q": [(int(i), float(v)) for i, v in zip(a, b, strict=True)]}
    )


@law("ev.store")
def _(rng: Rng) -> tuple[Case, Expected]:
    x = sparse(rng, 9)
    listed = np.flatnonzero(x)
    case = Case(
        "ev.store",
        {"d": np.zeros(len(listed), np.int32), "c": normal(rng, len(listed))},
        queues={"b": events(x)},
    )
    return case, Expected({"d": listed, "c": x[listed]}, exact=True)


@law("ev.dense")
def _(rng: Rng) -> tuple[Case, Expected]:
    x = sparse(rng, 3, 4)
    return Case("ev.dense", {"d": normal(rng, 3, 4)}, queues={"b": events(x)}), Expected(
        {"d": x}, exact=True
    )


@law("q.len")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("q.len", queues={"b": [(1, 2.0), (5, 3.0)]}), Expected(integers={"d": 2})


@law("q.push")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("q.push", queues={"q": [(1, 2.0)]}, integers={"a": 4}, floats={"b": 0.5})
    return case, Expected(queues={"q": [(1, 2.0), (4, 0.5)]})


@law("q.get")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("q.get", queues={"b": [(1, 2.0), (5, 3.0)]}, integers={"a": 1})
    return case, Expected(integers={"d": 5}, reals={"e": 3.0}, exact=True)


@law("q.clear")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("q.clear", queues={"q": [(1, 2.0)]}), Expected(queues={"q": []})


# -- graphs, index tensors -------------------------------------------------------------------------


@law("gather")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = normal(rng, 5, 3), whole(rng, 0, 5, 8)
    return Case("gather", {"d": normal(rng, 8, 3), "a": a, "b": b}), Expected(
        {"d": a[b]}, exact=True
    )


def _scatter(mnemonic: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        d, a, b = normal(rng, 5, 3), normal(rng, 8, 3), whole(rng, 0, 5, 8)
        expected = d.astype(np.float64)
        if mnemonic == "scatter":
            expected[b] = a
        else:
            (np.add if mnemonic == "scatter.add" else np.maximum).at(expected, b, a)
        return Case(mnemonic, {"d": d, "a": a, "b": b}), Expected({"d": expected})

    return made


for _name in ("scatter", "scatter.add", "scatter.max"):
    law(_name)(_scatter(_name))

OFFSETS = np.array([0, 2, 2, 5, 6], np.int32)


@law("seg.sum")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, d = normal(rng, 6, 3), normal(rng, 4, 3)
    expected = d + np.array([a[i:j].sum(0) for i, j in zip(OFFSETS, OFFSETS[1:], strict=False)])
    return Case("seg.sum", {"d": d, "a": a, "b": OFFSETS}), Expected({"d": expected})


@law("seg.max")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 6, 3)
    low = np.finfo(np.float32).min
    expected = np.array(
        [a[i:j].max(0, initial=low) for i, j in zip(OFFSETS, OFFSETS[1:], strict=False)]
    )
    return Case("seg.max", {"d": normal(rng, 4, 3), "a": a, "b": OFFSETS}), Expected(
        {"d": expected}, exact=True
    )


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@law("seg.softmax")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 6, 3)
    parts = [softmax(a[i:j], 0) for i, j in zip(OFFSETS, OFFSETS[1:], strict=False) if j > i]
    return Case("seg.softmax", {"d": normal(rng, 6, 3), "a": a, "b": OFFSETS}), Expected(
        {"d": np.concatenate(parts)}
    )


@law("arc.mm")
def _(rng: Rng) -> tuple[Case, Expected]:
    w, b, d = sparse(rng, 5, 6), normal(rng, 6, 3), normal(rng, 5, 3)
    return Case("arc.mm", {"d": d, "b": b}, {"a": w}), Expected({"d": d + w @ b})


@law("iota")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("iota", {"d": whole(rng, 0, 9, 5)}, integers={"a": 3, "b": -2})
    return case, Expected({"d": 3 - 2 * np.arange(5)}, exact=True)


@law("t.i2f")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = whole(rng, -(1 << 31), 1 << 31, 9)
    return Case("t.i2f", {"d": normal(rng, 9), "a": a}), Expected(
        {"d": a.astype(np.float32)}, exact=True
    )


@law("t.f2i")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = np.array([1.9, -1.9, np.nan, np.inf, -np.inf, 3e9, -3e9, 0.0, 2147483520.0], np.float32)
    expected = np.array([1, -1, 0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 0, 2147483520])
    return Case("t.f2i", {"d": whole(rng, 0, 9, 9), "a": a}), Expected({"d": expected}, exact=True)


INTEGRAL: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.floor_divide,
    "rem": np.mod,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
RELATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}


def _integral(fn: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a, b = whole(rng, -(1 << 31), 1 << 31, 12), whole(rng, -50, 50, 12)
        b[b == 0] = 7
        expected = INTEGRAL[fn](a.astype(np.int64), b.astype(np.int64)).astype(np.int32)
        case = Case(
            "ew.int",
            {"d": whole(rng, 0, 9, 12), "a": a, "b": b},
            immediates={"fn": members("integral")[fn]},
        )
        return case, Expected({"d": expected}, exact=True)

    return made


def _relation(mnemonic: str, fn: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a, b = whole(rng, -2, 3, 12), whole(rng, -2, 3, 12)
        if mnemonic == "ew.cmp":
            a, b = a.astype(np.float32), b.astype(np.float32)
            a[3] = np.nan
        case = Case(
            mnemonic,
            {"d": whole(rng, 0, 9, 12), "a": a, "b": b},
            immediates={"fn": members("relation")[fn]},
        )
        return case, Expected({"d": RELATIONS[fn](a, b).astype(int)}, exact=True)

    return made


for _fn in INTEGRAL:
    law("ew.int")(_integral(_fn))
for _fn in RELATIONS:
    law("ew.icmp")(_relation("ew.icmp", _fn))
    law("ew.cmp")(_relation("ew.cmp", _fn))


@law("iselect")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b, c = whole(rng, 0, 2, 9), whole(rng, -9, 9, 9), whole(rng, -9, 9, 9)
    return Case("iselect", {"d": whole(rng, 0, 9, 9), "a": a, "b": b, "c": c}), Expected(
        {"d": np.where(a, b, c)}, exact=True
    )


@law("igather")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = whole(rng, -9, 9, 5), whole(rng, 0, 5, 7)
    return Case("igather", {"d": whole(rng, 0, 9, 7), "a": a, "b": b}), Expected(
        {"d": a[b]}, exact=True
    )


@law("icount")
def _(rng: Rng) -> tuple[Case, Expected]:
    d, a, b = whole(rng, -9, 9, 5), whole(rng, -9, 9, 7), whole(rng, 0, 5, 7)
    expected = d.copy()
    np.add.at(expected, b, a)
    return Case("icount", {"d": d, "a": a, "b": b}), Expected({"d": expected}, exact=True)


@law("icumsum")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = whole(rng, -9, 9, 8)
    return Case("icumsum", {"d": whole(rng, 0, 9, 8), "a": a}), Expected(
        {"d": np.cumsum(a)}, exact=True
    )


def _red_int(fn: str, value: Callable[[Array], int]) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a = whole(rng, -9, 9, 2, 4)
        return Case("red.int", {"a": a}, immediates={"fn": members("reduction")[fn]}), Expected(
            integers={"d": int(value(a))}
        )

    return made


for _fn, _value in (("sum", np.sum), ("max", np.max), ("min", np.min), ("prod", np.prod)):
    law("red.int")(_red_int(_fn, _value))


@law("isearch")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = np.sort(whole(rng, -9, 9, 11)), whole(rng, -12, 12, 20)
    expected = np.searchsorted(a, b)
    return Case("isearch", {"d": whole(rng, 0, 9, 20), "a": a, "b": b}), Expected(
        {"d": expected}, exact=True
    )


@law("nonzero")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = whole(rng, 0, 2, 13)
    found = np.flatnonzero(a)
    rest = np.full(13, -5, np.int32)
    rest[: len(found)] = found
    case = Case("nonzero", {"b": np.full(13, -5, np.int32), "a": a})
    return case, Expected({"b": rest}, integers={"d": len(found)}, exact=True)


@law("seg.rows")
def _(rng: Rng) -> tuple[Case, Expected]:
    expected = np.repeat(np.arange(4), np.diff(OFFSETS))
    return Case("seg.rows", {"d": whole(rng, 0, 9, 6), "a": OFFSETS}), Expected(
        {"d": expected}, exact=True
    )


# -- element-wise and reductions -------------------------------------------------------------------

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
BINARY: dict[str, Callable[[Array, Array], Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "gate": lambda x, y: np.where(y > 0, x, 0),
    "pow": np.power,
    "atan2": np.arctan2,
}
ODD = np.array(
    [0, -0.0, 1, -1, 0.5, -0.5, 2.5, np.inf, -np.inf, np.nan, 1e-40, 100.0, -100.0], np.float32
)


def _unary(fn: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a = np.concatenate([normal(rng, 8) * 3, ODD]).astype(np.float32)
        with np.errstate(all="ignore"):
            expected = np.asarray(UNARY[fn](a.astype(np.float64))).astype(np.float32)
        case = Case(
            "ew.un", {"d": normal(rng, 21), "a": a}, immediates={"fn": members("unary")[fn]}
        )
        return case, Expected({"d": expected})

    return made


def _fun(fn: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a = float(rng.choice(ODD))
        with np.errstate(all="ignore"):
            expected = float(np.float32(UNARY[fn](np.float64(a))))
        return Case("fun", floats={"a": a}, immediates={"fn": members("unary")[fn]}), Expected(
            reals={"d": expected}
        )

    return made


def _binary(mnemonic: str, fn: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        if mnemonic == "ew.row":
            a, b = normal(rng, 3, 13), ODD
        else:
            a, b = rng.permuted(ODD), rng.permuted(ODD)
        with np.errstate(all="ignore"):
            expected = np.asarray(BINARY[fn](a.astype(np.float64), b.astype(np.float64))).astype(
                np.float32
            )
        case = Case(
            mnemonic,
            {"d": np.zeros(a.shape, np.float32), "a": a, "b": b},
            immediates={"fn": members("binary")[fn]},
        )
        return case, Expected({"d": expected})

    return made


for _fn in UNARY:
    law("ew.un")(_unary(_fn))
    law("fun")(_fun(_fn))
for _fn in BINARY:
    law("ew.bin")(_binary("ew.bin", _fn))
    law("ew.row")(_binary("ew.row", _fn))


@law("select")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b, c = whole(rng, 0, 2, 9), normal(rng, 9), normal(rng, 9)
    return Case("select", {"d": normal(rng, 9), "a": a, "b": b, "c": c}), Expected(
        {"d": np.where(a, b, c)}, exact=True
    )


@law("axpy")
def _(rng: Rng) -> tuple[Case, Expected]:
    d, a = normal(rng, 3, 4), normal(rng, 3, 4)
    return Case("axpy", {"d": d, "a": a}, floats={"b": 0.5}), Expected({"d": d + 0.5 * a})


@law("lut")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = whole(rng, -128, 128, 9), normal(rng, 256)
    return Case("lut", {"d": normal(rng, 9), "a": a, "b": b}, dtypes={"a": "i8"}), Expected(
        {"d": b[a + 128]}, exact=True
    )


@law("rand")
def _(rng: Rng) -> tuple[Case, Expected]:
    key, stream, mask = int(rng.integers(1 << 62)), 3, (1 << 64) - 1
    found: list[int] = []
    for i in range(
        9
    ):  # SplitMix64 (Steele, Lea, Flood 2014) at the state key + (i + 1 + stream 2^32) gamma
        z = key + (i + 1 + (stream << 32)) * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        found.append((z ^ z >> 31) & 0xFFFFFFFF)
    case = Case("rand", {"d": whole(rng, 0, 9, 9)}, integers={"a": key}, immediates={"v": stream})
    return case, Expected({"d": np.array(found, np.uint32).view(np.int32)}, exact=True)


def _red(fn: str, value: Callable[[Array], Any]) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a = (normal(rng, 5, 30) * 0.3 + 1).astype(np.float32)
        return Case("red", {"a": a}, immediates={"fn": members("reduction")[fn]}), Expected(
            reals={"d": float(value(a.astype(np.float64)))}
        )

    return made


def _red_axis(fn: str, value: Callable[..., Any]) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a = (normal(rng, 2, 9, 3) * 0.3 + 1).astype(np.float32)
        expected = value(a.astype(np.float64), axis=1)
        return Case(
            "red.axis",
            {"d": normal(rng, 2, 3), "a": a},
            immediates={"fn": members("reduction")[fn]},
        ), Expected({"d": expected})

    return made


for _fn, _value in (("sum", np.sum), ("max", np.max), ("min", np.min), ("prod", np.prod)):
    law("red")(_red(_fn, _value))
    law("red.axis")(_red_axis(_fn, _value))


@law("red")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("red", {"a": normal(rng, 0)}, immediates={"fn": members("reduction")["max"]})
    return case, Expected(reals={"d": float(np.finfo(np.float32).min)}, exact=True)


@law("argmax")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = rng.choice(np.array([1, 2, 3, -0.0, np.inf], np.float32), (3, 4))
    return Case("argmax", {"a": a}), Expected(integers={"d": int(np.argmax(a))})


@law("argmax")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = rng.choice(np.array([1, np.nan, np.inf], np.float32), (3, 4))
    return Case("argmax", {"a": a}), Expected(integers={"d": int(np.argmax(a))})


@law("dot")
def _(rng: Rng) -> tuple[Case, Expected]:
    a, b = normal(rng, 130), normal(rng, 130)
    return Case("dot", {"a": a, "b": b}), Expected(reals={"d": float(a.astype(np.float64) @ b)})


@law("softmax")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 70) * 10
    return Case("softmax", {"d": normal(rng, 70), "a": a}), Expected({"d": softmax(a, 0)})


@law("softmax.rows")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 3, 70) * 10
    return Case("softmax.rows", {"d": normal(rng, 3, 70), "a": a}), Expected({"d": softmax(a, 1)})


@law("cumsum")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 6, 3)
    return Case("cumsum", {"d": normal(rng, 6, 3), "a": a}), Expected({"d": np.cumsum(a, axis=0)})


@law("rank")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = rng.choice(np.array([1, 2, -0.0, 0, np.nan, np.inf], np.float32), 11)
    keys = [(not np.isnan(x), -np.nan_to_num(x, nan=0.0, posinf=1e30), i) for i, x in enumerate(a)]
    expected = np.argsort([k for _, k in sorted((key, k) for k, key in enumerate(keys))])
    return Case("rank", {"d": whole(rng, 0, 9, 11), "a": a}), Expected({"d": expected}, exact=True)


# -- scalars ---------------------------------------------------------------------------------------


def wrap(x: int) -> int:
    return (x + (1 << 63)) % (1 << 64) - (1 << 63)


def f32(x: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(x))


INTEGERS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a // b,
    "rem": lambda a, b: a % b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << (b & 63),
    "sra": lambda a, b: a >> (b & 63),
    "srl": lambda a, b: (a % (1 << 64)) >> (b & 63),
    "slt": lambda a, b: int(a < b),
    "seq": lambda a, b: int(a == b),
}
REALS: dict[str, Callable[[float, float], float]] = {
    "fadd": lambda a, b: a + b,
    "fsub": lambda a, b: a - b,
    "fmul": lambda a, b: a * b,
    "fdiv": lambda a, b: float(np.float64(a) / b),
    "fmax": lambda a, b: float(np.maximum(a, b)),
    "fmin": lambda a, b: float(np.minimum(a, b)),
    "fpow": lambda a, b: float(np.power(np.float64(a), b)),
}
TESTS: dict[str, Callable[[float, float], bool]] = {
    "flt": lambda a, b: a < b,
    "feq": lambda a, b: a == b,
    "fle": lambda a, b: a <= b,
}


def _pair(mnemonic: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a, b = (
            int(rng.choice(np.array([0, 1, -1, 7, -7, 63, 64, 1 << 40, -(1 << 63), (1 << 63) - 1])))
            for _ in range(2)
        )
        if mnemonic in ("div", "rem") and b in (0, -1):
            b = 3
        return Case(mnemonic, integers={"a": a, "b": b}), Expected(
            integers={"d": wrap(INTEGERS[mnemonic](a, b))}
        )

    return made


def _reals(mnemonic: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a, b = (f32(rng.choice(ODD)) for _ in range(2))
        with np.errstate(all="ignore"):
            if mnemonic in TESTS:
                return Case(mnemonic, floats={"a": a, "b": b}), Expected(
                    integers={"d": int(TESTS[mnemonic](a, b))}
                )
            expected = f32(REALS[mnemonic](a, b))
        return Case(mnemonic, floats={"a": a, "b": b}), Expected(
            reals={"d": expected}, exact=mnemonic != "fpow"
        )

    return made


for _name in INTEGERS:
    for _ in range(6):
        law(_name)(_pair(_name))
for _name in (*REALS, *TESTS):
    for _ in range(6):
        law(_name)(_reals(_name))


@law("li")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("li", immediates={"v": -5}), Expected(integers={"d": -5})


@law("addi")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("addi", integers={"a": (1 << 63) - 1}, immediates={"v": 2}), Expected(
        integers={"d": -(1 << 63) + 1}
    )


@law("lih")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("lih", integers={"a": -2}, immediates={"v": -1})
    return case, Expected(integers={"d": -2})


@law("fli")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("fli", immediates={"v": 0x3DCCCCCD}), Expected(reals={"d": f32(0.1)}, exact=True)


@law("i2f")
def _(rng: Rng) -> tuple[Case, Expected]:
    value = int(
        rng.choice(
            np.array(
                [0, -1, (1 << 24) + 1, (1 << 53) + (1 << 29), -(1 << 63), (1 << 62) + (1 << 38) + 1]
            )
        )
    )
    return Case("i2f", integers={"a": value}), Expected(
        reals={"d": float(np.array(value).astype(np.float32))}, exact=True
    )


@law("f2i")
def _(rng: Rng) -> tuple[Case, Expected]:
    pairs = (
        (2.9, 2),
        (-2.9, -2),
        (math.nan, 0),
        (math.inf, (1 << 63) - 1),
        (-math.inf, -(1 << 63)),
        (-0.5, 0),
    )
    value, expected = pairs[int(rng.integers(len(pairs)))]
    return Case("f2i", floats={"a": value}), Expected(integers={"d": expected})


@law("fbits")
def _(rng: Rng) -> tuple[Case, Expected]:
    value = float(rng.choice(ODD))
    bits = 0x7FC00000 if math.isnan(value) else int(np.float32(value).view(np.uint32))
    return Case("fbits", floats={"a": value}), Expected(integers={"d": bits})


@law("bitsf")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("bitsf", integers={"a": -1 << 32 | 0x40490FDB}), Expected(
        reals={"d": f32(math.pi)}, exact=True
    )
