"""Random inputs for every entry of every sample, small and of odd sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dlc.artifact.python.net import Net
from dlc.artifact.python.structures import Graph, Segs, Sparse

F = np.float32
Random = np.random.Generator
Inputs = Callable[[Net, Random], tuple[Any, ...]]


def floats(r: Random, *shape: int, scale: float = 1.0) -> np.ndarray[Any, Any]:
    return (r.standard_normal(shape) * scale).astype(F)


def ints(r: Random, high: int, *shape: int) -> np.ndarray[Any, Any]:
    return r.integers(0, high, shape).astype(np.int32)


def graph(r: Random, nodes: int, arcs: int) -> Graph:
    return Graph(ints(r, nodes, arcs), ints(r, nodes, arcs), nodes)


def tree(net: Net, r: Random, leaves: int, words: int) -> Any:
    t = net.types.Tree
    parts: list[Any] = [t.Leaf(int(r.integers(words))) for _ in range(leaves)]
    while len(parts) > 1:
        i = int(r.integers(len(parts) - 1))
        parts[i : i + 2] = [t.Node(parts[i], parts[i + 1])]
    return parts[0]


def _gcn(net: Net, r: Random) -> tuple[Any, ...]:
    n = int(r.integers(1, 8))
    return floats(r, 3, 5), graph(r, n, int(r.integers(0, 12))), floats(r, n, 5)


def _gat(net: Net, r: Random) -> tuple[Any, ...]:
    n = int(r.integers(1, 8))
    return graph(r, n, int(r.integers(0, 12))), floats(r, n, 5)


def _answer(net: Net, r: Random) -> tuple[Any, ...]:
    lengths = r.integers(0, 4, int(r.integers(1, 5)))
    return Segs(lengths), ints(r, 11, int(lengths.sum())), ints(r, 11, 3)


def _chebyshev(net: Net, r: Random) -> tuple[Any, ...]:
    n, a = int(r.integers(1, 7)), int(r.integers(0, 9))
    return floats(r, 4, 3, 2), graph(r, n, a), floats(r, a), floats(r, n, 3)


def _train(net: Net, r: Random) -> tuple[Any, ...]:
    return tree(net, r, int(r.integers(1, 9)), 10), int(r.integers(2)), 0.1


SAMPLES: dict[str, tuple[dict[str, int], dict[str, int], dict[str, Inputs]]] = {
    # name: (bind, sizes of the parameters, inputs of each entry)
    "beam": (
        {"K": 3},
        {"V": 7, "D": 4, "H": 5},
        {"beam": lambda net, r: (floats(r, 5), 1, 2, 6)},
    ),
    "early_exit": (
        {"B": 2},
        {"W": 3, "C": 4},
        {"anytime": lambda net, r: (floats(r, 3, 32, 32), float(r.uniform(0, 1)))},
    ),
    "energy": (
        {},
        {"X": 3, "Y": 2, "H": 5},
        {
            "infer": lambda net, r: (floats(r, 3), floats(r, 2), 0.1, 1e-3),
            "train": lambda net, r: (floats(r, 3), floats(r, 2), 0.05),
        },
    ),
    "gan": (
        {},
        {"g.I": 3, "g.H": 5, "g.O": 4, "d.H": 5},
        {"step": lambda net, r: (floats(r, 4), int(r.integers(1 << 40)), 0.05)},
    ),
    "graph_nets": ({}, {"F": 5, "D": 3}, {"gcn": _gcn, "gat": _gat}),
    "memory_nets": (
        {},
        {"m.V": 11, "m.D": 5, "n.N": 6, "n.M": 3, "n.H": 5, "n.X": 2, "n.Y": 4},
        {
            "answer": _answer,
            "ntm": lambda net, r: (floats(r, 6, 3), floats(r, int(r.integers(0, 5)), 2)),
        },
    ),
    "onnx_backbone": (
        {},
        {"D": 24, "E": 5},
        {
            "forward": lambda net, r: (floats(r, 3, 32, 32),),
            "train": lambda net, r: (floats(r, 3, 32, 32), floats(r, 24), 0.001),
        },
    ),
    "poincare": (
        {},
        {},
        {"step": lambda net, r: (floats(r, 9, 3, scale=0.2), 1, 2, ints(r, 9, 4), 0.01)},
    ),
    "reason": (
        {},
        {"W": 5, "D": 4, "P": 3, "A": 2},
        {"answer": lambda net, r: (floats(r, 3, 4), floats(r, 4))},
    ),
    "sparse": (
        {},
        {"X": 9, "H": 7, "C": 3},
        {
            "bag": lambda net, r: (
                floats(r, 11, 4), floats(r, 3, 4), ints(r, 11, 5), floats(r, 5),
            ),
            "events": lambda net, r: (Sparse.from_dense(np.maximum(floats(r, 9), 0)),),
        },
    ),
    "spectral": (
        {},
        {},
        {
            "spectral": lambda net, r: (
                floats(r, 3, 4, 2), floats(r, 7, 3), floats(r, 7, 4),
            ),
            "chebyshev": _chebyshev,
        },
    ),
    "treelstm": (
        {},
        {"V": 10, "D": 4, "H": 3, "C": 2},
        {"logits": lambda net, r: (tree(net, r, int(r.integers(1, 12)), 10),), "train": _train},
    ),
}  # fmt: skip
