"""What dynamic networks cost on the modelled accelerator, beside their dense twins.

    python -m bench sparrow [--preset NAME] [--json FILE] [NAME …]

For every workload: cycles, time and energy of one call, those of the dense twin, and the products
that both add. Weights are known when compiling; nine in ten are pruned where the name says so. The
figures are the model's: the same on every machine, at every time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
F = np.float32
Arrays = Mapping[str, np.ndarray[Any, Any]]
Random = np.random.Generator


@dataclass(frozen=True)
class Workload:
    """An entry of a sample with its weights and inputs. Entries that train take their weights as
    arguments, the others have them compiled in."""

    name: str
    source: str
    entry: str
    weights: Callable[[Random], Arrays]
    inputs: Callable[[Any, Random], tuple[Any, ...]]
    bind: Mapping[str, int]
    trains: bool = False


def _normal(r: Random, *shape: int, kept: float = 1.0) -> np.ndarray[Any, Any]:
    """Scaled by the length of the rows; `kept` of the entries are there."""
    scale = 1 / np.sqrt(shape[-1] * kept)
    return (r.standard_normal(shape) * scale * (r.random(shape) < kept)).astype(F)


def _mlp(kept: float) -> Callable[[Random], Arrays]:
    return lambda r: {
        "w": _normal(r, 256, 784, kept=kept), "b": np.full(256, -0.2, F),
        "v": _normal(r, 10, 256, kept=kept),
    }  # fmt: skip


def _image(net: Any, r: Random) -> tuple[Any, ...]:
    """As an image of a digit: a fifth of it is ink."""
    return ((r.random(784) * (r.random(784) < 0.2)).astype(F),)


def _labelled(net: Any, r: Random) -> tuple[Any, ...]:
    return (*_image(net, r), 3, 0.01)


def _treelstm(r: Random) -> Arrays:
    v, d, h, c = 1000, 100, 100, 5
    return {
        "emb": _normal(r, v, d), "wl": _normal(r, 3 * h, d), "bl": np.zeros(3 * h, F),
        "wn": _normal(r, 5 * h, 2 * h), "bn": np.zeros(5 * h, F), "wo": _normal(r, c, h),
    }  # fmt: skip


def _tree(net: Any, r: Random) -> tuple[Any, ...]:
    """A sentence of twenty words."""
    t = net.types.Tree
    parts: list[Any] = [t.Leaf(int(w)) for w in r.integers(0, 1000, 20)]
    while len(parts) > 1:
        i = int(r.integers(len(parts) - 1))
        parts[i : i + 2] = [t.Node(parts[i], parts[i + 1])]
    return (parts[0],)


def _labelled_tree(net: Any, r: Random) -> tuple[Any, ...]:
    return (*_tree(net, r), 1, 0.01)


def _events(kept: float) -> Callable[[Random], Arrays]:
    return lambda r: {
        "w1": _normal(r, 512, 512, kept=kept), "w2": _normal(r, 64, 512, kept=kept),
    }  # fmt: skip


def _sparse_input(net: Any, r: Random) -> tuple[Any, ...]:
    import dlc

    x = np.zeros(512, F)
    x[r.choice(512, 25, replace=False)] = np.abs(r.standard_normal(25))
    return (dlc.Sparse.from_dense(x),)


def _graph(net: Any, r: Random) -> tuple[Any, ...]:
    """200 nodes with five arcs each, 32 features."""
    import dlc

    g = dlc.Graph(r.integers(0, 200, 1000), np.repeat(np.arange(200), 5), 200)
    return _normal(r, 16, 32), g, _normal(r, 200, 32)


MLP, TREE = "samples/sparrow/mlp.dl", "samples/treelstm.dl"
SIZES, WORDS = {"I": 784, "H": 256, "O": 10}, {"V": 1000, "D": 100, "H": 100, "C": 5}
WORKLOADS = (
    Workload("mlp", MLP, "logits", _mlp(1.0), _image, SIZES),
    Workload("mlp, pruned", MLP, "logits", _mlp(0.1), _image, SIZES),
    Workload("mlp, training", MLP, "train", _mlp(1.0), _labelled, SIZES, trains=True),
    Workload("tree-lstm", TREE, "logits", _treelstm, _tree, WORDS),
    Workload("tree-lstm, training", TREE, "train", _treelstm, _labelled_tree, WORDS, trains=True),
    Workload(
        "sparse input", "samples/sparse.dl", "events", _events(1.0), _sparse_input,
        {"m.X": 512, "m.H": 512, "m.C": 64},
    ),
    Workload(
        "sparse input, pruned", "samples/sparse.dl", "events", _events(0.1), _sparse_input,
        {"m.X": 512, "m.H": 512, "m.C": 64},
    ),
    Workload("graph convolution", "samples/graph_nets.dl", "gcn", lambda r: {}, _graph, {}),
)  # fmt: skip


def run(w: Workload, preset: str) -> dict[str, Any]:
    """One call of a workload, and what it cost."""
    import dlc

    r = np.random.default_rng(0)
    weights = dict(w.weights(r))
    net = dlc.compile(
        str(ROOT / w.source), f"sparrow:{preset}", entries=[w.entry], bind=dict(w.bind),
        weights=weights or None, weights_mode="blob" if w.trains or not weights else "embed",
    )  # fmt: skip
    net.entries[w.entry](*w.inputs(net, r))
    found = net.last_run
    assert found is not None
    costs, dense = found.report.sparse, found.report.dense
    return {
        "name": w.name, "cycles": costs.cycles, "us": costs.seconds * 1e6,
        "uj": costs.joules * 1e6, "macs": costs.macs, "dense_cycles": dense.cycles,
        "dense_uj": dense.joules * 1e6, "dense_macs": dense.macs,
    }  # fmt: skip


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table: a call, its dense twin, and the factors between them."""
    head = f"{'':22}{'cycles':>10}{'us':>10}{'uJ':>11}{'macs':>11}"
    head += f"{'dense: cycles':>15}{'uJ':>11}{'macs':>11}{'gain: cycles':>14}{'uJ':>7}"
    lines = [head]
    for x in rows:
        gains = x["dense_cycles"] / x["cycles"], x["dense_uj"] / x["uj"]
        lines.append(
            f"{x['name']:22}{x['cycles']:10,}{x['us']:10.2f}{x['uj']:11.3f}{x['macs']:11,}"
            f"{x['dense_cycles']:15,}{x['dense_uj']:11.3f}{x['dense_macs']:11,}"
            f"{gains[0]:14.2f}{gains[1]:7.2f}"
        )
    return "\n".join(lines)


def main(args: Sequence[str]) -> None:
    names = [w.name for w in WORKLOADS]
    parser = argparse.ArgumentParser(prog="python -m bench sparrow")
    parser.add_argument("--preset", default="sparrow")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    given = parser.parse_args(args)
    wrong = [n for n in given.names if n not in names]
    if wrong:
        parser.error(f"no workload `{wrong[0]}`: there is {', '.join(names)}")
    rows = [run(w, given.preset) for w in WORKLOADS if not given.names or w.name in given.names]
    print(text(rows))
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=1) + "\n")
