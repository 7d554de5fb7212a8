"""Laws of instructions in numpy. Events and queues."""

from __future__ import annotations

import numpy as np

from tests.laws.isa_lab import Case
from tests.laws.isa_numpy import (
    GEOMETRY,
    Expected,
    Law,
    Rng,
    events,
    law,
    normal,
    sparse,
    windows,
)


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
