"""Laws of instructions in numpy. Element-wise functions and reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dlc.ops.random_bits import threefry
from tests.laws.isa_lab import Array, Case
from tests.laws.isa_numpy import (
    ODD,
    UNARY,
    Expected,
    Law,
    Rng,
    law,
    members,
    normal,
    softmax,
    whole,
)

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
    key, stream, count = int(rng.integers(1 << 62)), 3, 9
    c0 = np.arange((count + 1) // 2, dtype=np.uint32)
    words = threefry(key, c0, np.full(len(c0), stream, np.uint32))
    found = np.stack(words, axis=-1).reshape(-1)[:count]
    case = Case("rand", {"d": whole(rng, 0, 9, 9)}, integers={"a": key}, immediates={"v": stream})
    return case, Expected({"d": found.view(np.int32)}, exact=True)


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
