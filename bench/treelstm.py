"""Tree-LSTM, batch one, one thread: microseconds per tree, ours beside the peers in one run.

    python -m bench treelstm --peers FOLDER [--python PYTHON] [--json FILE]

FOLDER holds the peers' programs (`treelstm_infer.py`, `treelstm_train.py`, `trees.py`); PYTHON is
an interpreter that has their packages. The twenty trees and the sizes (H 256, E 300, 10 to 50
leaves) are those of `trees.py`. Rounds of ours and of the peers alternate, each in a process of its
own; a number is the mean over trees of each tree's best time, the median over rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.beside import best_of, compared, microseconds, own_process, peer_rows, table

ROOT = Path(__file__).parents[1]
NAMES = {"m.emb": "E", "m.wl": "Wl", "m.bl": "bl", "m.wn": "U", "m.bn": "bu", "m.wo": "Wo"}


def own(kind: str, peers: str, seconds: float) -> float:
    """Ours: `infer` or `train`, mean over the trees of each tree's best time."""
    import dlc

    sys.path.insert(0, peers)
    import trees as T  # pyright: ignore[reportMissingImports]

    net = dlc.compile(ROOT / "samples" / "treelstm.dl")
    w = T.weights()
    net.load({ours: w[theirs] for ours, theirs in NAMES.items()})
    Tree = net.types.Tree

    def convert(t: Any) -> Any:
        return Tree.Leaf(t.w) if t.l is None else Tree.Node(convert(t.l), convert(t.r))

    trees = [convert(t) for t in T.trees()]
    run = net.logits if kind == "infer" else lambda t: net.train(t, 1, 0.0001)
    return sum(best_of(lambda t=t: run(t), seconds / len(trees)) for t in trees) / len(trees)


def measure(kind: str, a: argparse.Namespace) -> dict[str, Any]:
    folder = a.peers.resolve()
    code = f"from bench.treelstm import own; print(own({kind!r}, {str(folder)!r}, {a.seconds}))"

    def peers() -> dict[str, float]:
        rows = peer_rows(a.python, folder / f"treelstm_{kind}.py", a.names, a.seconds)
        return {r["peer"]: microseconds(r, 20) for r in rows}

    return compared(f"treelstm {kind}", lambda: own_process(code), peers, a.rounds)


def main(arguments: list[str]) -> None:
    p = argparse.ArgumentParser(prog="python -m bench treelstm")
    p.add_argument("--peers", type=Path, required=True)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--names", default="numpy,torch")
    p.add_argument("--seconds", type=float, default=2.0)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=Path)
    a = p.parse_args(arguments)
    rows = [measure(kind, a) for kind in ("infer", "train")]
    print(table(rows))
    if a.json is not None:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")
