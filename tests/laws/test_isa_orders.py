"""The order of every reduction is part of the architecture: numpy, told to add in that order,
gives the same bits.

Serial: from the accumulator, ascending, `s + x*y` rounded twice. Banked: 64 partial sums by index
mod 64, ascending, then a tree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.laws.isa_lab import Array, Case, perform
from tests.laws.isa_numpy import events, members, sparse

Rng = np.random.Generator


def serial(start: Array, terms: Array) -> Array:
    """start + terms[0] + terms[1] + ..., each rounded."""
    total = start.astype(np.float32)
    for term in terms:
        total = (total + term.astype(np.float32)).astype(np.float32)
    return total


def banked(terms: Array) -> Array:
    """Sum over axis 0 in 64 banks, then a tree."""
    rows = -(-len(terms) // 64) * 64
    padded = np.zeros((rows, *terms.shape[1:]), np.float32)
    padded[: len(terms)] = terms
    banks = np.zeros((64, *terms.shape[1:]), np.float32)
    used = np.arange(rows).reshape(-1, 64) < len(terms)
    for group, present in zip(padded.reshape(-1, 64, *terms.shape[1:]), used, strict=True):
        banks[present] = banks[present] + group[present]
    while len(banks) > 1:
        half = len(banks) // 2
        banks = banks[:half] + banks[half:]
    return banks[0]


def wild(rng: Rng, *shape: int) -> Array:
    """Numbers of very different size: any other order of adding shows."""
    return (rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 7, shape)).astype(np.float32)


def mv(rng: Rng) -> tuple[Case, Array]:
    d, a, b = wild(rng, 70), wild(rng, 70, 130), wild(rng, 130)
    return Case("mv", {"d": d, "a": a, "b": b}), serial(d, (a * b).T)


def mvt(rng: Rng) -> tuple[Case, Array]:
    d, a, b = wild(rng, 100), wild(rng, 150, 100), wild(rng, 150)
    return Case("mvt", {"d": d, "a": a, "b": b}), banked(a * b[:, None])


def mm(layout: str) -> Callable[[Rng], tuple[Case, Array]]:
    def made(rng: Rng) -> tuple[Case, Array]:
        d, a, b = wild(rng, 9, 70), wild(rng, 9, 40), wild(rng, 40, 70)
        shown = {"nn": (a, b), "nt": (a, b.T.copy()), "tn": (a.T.copy(), b)}[layout]
        case = Case(
            "mm",
            {"d": d, "a": shown[0], "b": shown[1]},
            immediates={"fn": members("layout")[layout]},
        )
        return case, serial(
            d, np.array([np.outer(a[:, k], b[k]).astype(np.float32) for k in range(40)])
        )

    return made


def ev_mv(rng: Rng) -> tuple[Case, Array]:
    w, x, d = sparse(rng, 70, 60) * wild(rng, 70, 60), sparse(rng, 60), wild(rng, 70)
    return Case("ev.mv", {"d": d}, {"a": w}, {"b": events(x)}), serial(d, (w * x).T[x != 0])


def ev_mvt(rng: Rng) -> tuple[Case, Array]:
    w, x, g = sparse(rng, 200, 30) * wild(rng, 200, 30), sparse(rng, 30), wild(rng, 200)
    expected = np.where(x != 0, banked(w * g[:, None]), np.float32(7))
    return Case(
        "ev.mvt", {"d": np.full(30, 7, np.float32), "c": g}, {"a": w}, {"b": events(x)}
    ), expected


def red_axis(rng: Rng) -> tuple[Case, Array]:
    a = wild(rng, 2, 130, 70)
    case = Case(
        "red.axis", {"d": wild(rng, 2, 70), "a": a}, immediates={"fn": members("reduction")["sum"]}
    )
    return case, np.array([banked(part) for part in a])


def scatter(rng: Rng) -> tuple[Case, Array]:
    d, a, b = wild(rng, 5, 3), wild(rng, 90, 3), rng.integers(0, 5, 90).astype(np.int32)
    return Case("scatter.add", {"d": d, "a": a, "b": b}), np.array(
        [serial(d[s], a[b == s]) for s in range(5)]
    )


def conv(rng: Rng) -> tuple[Case, Array]:
    d, a, b = wild(rng, 3, 6, 5), wild(rng, 4, 6, 6), wild(rng, 3, 4, 3, 2)
    padded = np.pad(a, ((0, 0), (1, 1), (0, 0)))
    inside = np.pad(np.ones_like(a), ((0, 0), (1, 1), (0, 0)))
    total = d.copy()
    for c, u, v in np.ndindex(4, 3, 2):
        window, present = padded[c, u : u + 6, v : v + 5], inside[c, u : u + 6, v : v + 5] > 0
        for o in range(3):
            moved = (total[o] + (window * b[o, c, u, v]).astype(np.float32)).astype(np.float32)
            total[o] = np.where(present, moved, total[o])
    return Case(
        "conv", {"d": d, "a": a, "b": b}, immediates={"sy": 1, "sx": 1, "py": 1, "px": 0}
    ), total


ORDERS = {
    "mv": mv,
    "mvt": mvt,
    "mm.nn": mm("nn"),
    "mm.nt": mm("nt"),
    "mm.tn": mm("tn"),
    "ev.mv": ev_mv,
    "ev.mvt": ev_mvt,
    "red.axis": red_axis,
    "scatter.add": scatter,
    "conv": conv,
}


@pytest.mark.parametrize("name", ORDERS)
def test_order_of_sums(name: str) -> None:
    for turn in range(3):
        case, expected = ORDERS[name](np.random.default_rng(turn))
        for engine in ("fast", "reference") if turn == 0 else ("fast",):
            found = perform(case, engine)  # type: ignore[arg-type]
            assert found.status == 0
            assert np.array_equal(
                found.tensor("d").view(np.uint32), expected.astype(np.float32).view(np.uint32)
            ), engine


@pytest.mark.parametrize("mnemonic", ["dot", "red"])
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000])
def test_banked_scalars(mnemonic: str, size: int) -> None:
    rng = np.random.default_rng(size)
    a, b = wild(rng, size), wild(rng, size)
    case = (
        Case("dot", {"a": a, "b": b})
        if mnemonic == "dot"
        else Case("red", {"a": a}, immediates={"fn": 0})
    )
    expected = banked(a * b if mnemonic == "dot" else a)
    for engine in ("fast", "reference"):
        assert perform(case, engine).real("d") == float(expected)  # type: ignore[arg-type]


def test_rows_are_lanes_so_sparse_is_dense() -> None:
    """A product over stored entries adds as the dense one does: the bank is the row, not the
    place among the entries."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        w, g = sparse(rng, 150, 20) * wild(rng, 150, 20), wild(rng, 150)
        every = [(i, 1.0) for i in range(20)]
        events_ = perform(
            Case("ev.mvt", {"d": np.zeros(20), "c": g}, {"a": w}, {"b": every})
        ).tensor("d")
        dense = perform(Case("mvt", {"d": np.zeros(20), "a": w, "b": g})).tensor("d")
        assert np.array_equal(events_, dense)
