"""Laws of instructions in numpy. Graphs, segments, index tensors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from tests.laws.isa_lab import Array, Case
from tests.laws.isa_numpy import (
    Expected,
    Law,
    Rng,
    law,
    members,
    normal,
    softmax,
    sparse,
    whole,
)


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
    expected = d + np.array([a[i:j].sum(0) for i, j in pairwise(OFFSETS)])
    return Case("seg.sum", {"d": d, "a": a, "b": OFFSETS}), Expected({"d": expected})


@law("seg.max")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 6, 3)
    low = np.finfo(np.float32).min
    expected = np.array([a[i:j].max(0, initial=low) for i, j in pairwise(OFFSETS)])
    return Case("seg.max", {"d": normal(rng, 4, 3), "a": a, "b": OFFSETS}), Expected(
        {"d": expected}, exact=True
    )


@law("seg.softmax")
def _(rng: Rng) -> tuple[Case, Expected]:
    a = normal(rng, 6, 3)
    parts = [softmax(a[i:j], 0) for i, j in pairwise(OFFSETS) if j > i]
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
