"""Tree-LSTM, batch one, one thread: microseconds per tree, ours beside the peers in one run.

    python -m bench treelstm --peers FOLDER [--python PYTHON]

FOLDER holds the peers' programs (`treelstm_infer.py`, `treelstm_train.py`, `trees.py`); PYTHON is
an interpreter that has their packages. The trees and sizes (H 256, E 300, 10 to 50 leaves) are
those of `trees.py`. Rounds of ours and of each peer alternate, and ratios are of medians over
rounds: these machines are shared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]


def ours(peers: Path, seconds: float) -> dict[str, float]:
    """Median over trees of each tree's best round, for `logits` and `train`, and the compile's
    seconds."""
    import dlc

    sys.path.insert(0, str(peers))
    import trees as T  # pyright: ignore[reportMissingImports]

    start = time.perf_counter()
    net = dlc.load(dlc.compile(ROOT / "samples" / "treelstm.dl"))
    compiled = time.perf_counter() - start
    w = T.weights()
    names = {"m.emb": "E", "m.wl": "Wl", "m.bl": "bl", "m.wn": "U", "m.bn": "bu", "m.wo": "Wo"}
    net.load({ours: w[theirs] for ours, theirs in names.items()})
    Tree = net.types.Tree

    def convert(t: Any) -> Any:
        return Tree.Leaf(t.w) if t.l is None else Tree.Node(convert(t.l), convert(t.r))

    trees = [convert(t) for t in T.trees()]
    return {
        "compile_s": compiled,
        "infer_us": _median_of_best(lambda t: net.logits(t), trees, seconds),
        "train_us": _median_of_best(lambda t: net.train(t, 1, 0.0001), trees, seconds),
    }


def _median_of_best(f: Any, trees: list[Any], seconds: float) -> float:
    best = [float("inf")] * len(trees)
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 2 or time.perf_counter() < end:
        for i, t in enumerate(trees):
            start = time.perf_counter()
            f(t)
            best[i] = min(best[i], time.perf_counter() - start)
        rounds += 1
    return median(best) * 1e6


def peer(python: str, script: Path, names: str, seconds: float) -> list[dict[str, Any]]:
    """The rows that a peer's program prints."""
    run = subprocess.run(
        [python, script.name, "--peers", names, "--seconds", str(seconds)],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=600,
    )
    rows = [json.loads(x) for x in run.stdout.splitlines() if x.startswith("{")]
    return [r for r in rows if r.get("median_us")]


def main(arguments: list[str]) -> None:
    import argparse

    p = argparse.ArgumentParser(prog="python -m bench treelstm")
    p.add_argument("--peers", type=Path, required=True)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--names", default="numpy,torch")
    p.add_argument("--seconds", type=float, default=2.0)
    a = p.parse_args(arguments)
    peers = a.peers.resolve()
    mine = ours(peers, a.seconds)
    print(json.dumps({"workload": "treelstm", "peer": "dlc", **mine}))
    for kind in ("infer", "train"):
        rows = peer(a.python, peers / f"treelstm_{kind}.py", a.names, a.seconds)
        again = ours(peers, a.seconds)
        us = float(np.mean([mine[f"{kind}_us"], again[f"{kind}_us"]]))
        for r in rows:
            best = r.get("best_us") or r["min_us"]
            print(json.dumps({**r, "dlc_us": round(us, 1), "ratio": round(best / us, 2)}))
