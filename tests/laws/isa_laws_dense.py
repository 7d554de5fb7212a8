"""Laws of instructions in numpy. Dense products, 8-bit products, moves."""

from __future__ import annotations

import numpy as np

from tests.laws.isa_lab import Case
from tests.laws.isa_numpy import (
    GEOMETRY,
    Expected,
    Law,
    Rng,
    law,
    members,
    normal,
    whole,
    windows,
)


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
