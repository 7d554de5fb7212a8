"""A Tree-LSTM training step, and inference by descent on an energy: one thread, beside peers.

    python -m bench training --peers FOLDER [--python PYTHON] [--names numpy,torch] [--core 0]

FOLDER holds the peers' programs (`treelstm_train.py`, `ebm_infer.py`, `trees.py`); PYTHON is an
interpreter that has their packages. Ours and each peer run in processes of their own, in turns, on
one core; a figure is the median over the turns of each process's fastest calls, in CPU time, and a
ratio is of such figures of the same run: these machines are shared.

train    all trees of `trees.py` (H 256, E 300, 10 to 50 leaves): forward, backward, plain SGD
energy   50 steps of descent on y of an MLP of (x, y), 128 -> 256 -> 256 -> 1, SiLU between
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
STEPS = 50
RATE = 0.1

ENERGY = """
model Energy[X, Y, H]:
    w1: f32[H, X + Y] ~ glorot()
    b1: f32[H]        ~ zeros()
    w2: f32[H, H]     ~ glorot()
    b2: f32[H]        ~ zeros()
    w3: f32[H]        ~ normal(0.1)

fn energy(m: Energy, x: f32[m.X], y: f32[m.Y]) -> f32:
    h = silu(m.w1 @ concat(x, y) + m.b1)
    return dot(m.w3, silu(m.w2 @ h + m.b2))

export fn infer(m: Energy, x: f32[m.X], y0: f32[m.Y]) -> f32[m.Y]:
    y = y0
    for i in 0..50:
        y -= 0.1 * grad(energy, wrt=y)(m, x, y)
    return y
"""
PEERS = {"train": "treelstm_train.py", "energy": "ebm_infer.py"}


# -- ours, in a process of its own


def train(peers: Path, seconds: float) -> float:
    """Microseconds: the sum over the trees of each one's fastest step."""
    import dlc

    sys.path.insert(0, str(peers))
    import trees as T  # pyright: ignore[reportMissingImports]

    net = dlc.compile(ROOT / "samples" / "treelstm.dl", entries=("train",))
    w = T.weights()
    names = {"m.emb": "E", "m.wl": "Wl", "m.bl": "bl", "m.wn": "U", "m.bn": "bu", "m.wo": "Wo"}
    net.load({ours: w[theirs] for ours, theirs in names.items()})
    Tree = net.types.Tree

    def convert(t: Any) -> Any:
        return Tree.Leaf(t.w) if t.l is None else Tree.Node(convert(t.l), convert(t.r))

    trees = [convert(t) for t in T.trees()]
    best = [float("inf")] * len(trees)
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 3 or time.perf_counter() < end:
        for i, t in enumerate(trees):
            start = time.process_time()
            net.train(t, 1, 0.0001)
            best[i] = min(best[i], time.process_time() - start)
        rounds += 1
    return sum(best) * 1e6


def weights() -> tuple[dict[str, Any], Any]:
    """The weights of the energy and its x: those of the peers' program."""
    r = np.random.RandomState(1)

    def draw(*s: int) -> Any:
        return (r.randn(*s) / np.sqrt(s[-1])).astype(np.float32)

    w = {"w1": draw(256, 128), "b1": draw(256), "w2": draw(256, 256), "b2": draw(256),
         "w3": draw(1, 256)[0]}  # fmt: skip
    return w, draw(64) * np.float32(8)


def by_hand(w: dict[str, Any], x: Any) -> Any:
    """What the steps should end at: the gradient derived by hand, in f64."""
    m = {n: v.astype(np.float64) for n, v in w.items()}
    y = np.zeros(64)
    for _ in range(STEPS):
        z1 = m["w1"] @ np.concatenate([x, y]) + m["b1"]
        s1 = 1 / (1 + np.exp(-z1))
        z2 = m["w2"] @ (z1 * s1) + m["b2"]
        s2 = 1 / (1 + np.exp(-z2))
        d2 = m["w3"] * s2 * (1 + z2 * (1 - s2))
        d1 = (m["w2"].T @ d2) * s1 * (1 + z1 * (1 - s1))
        y = y - RATE * (m["w1"][:, 64:].T @ d1)
    return y


def energy(peers: Path, seconds: float) -> float:
    """Microseconds of the fastest inference."""
    import dlc

    net = dlc.compile(ENERGY, entries=("infer",))
    w, x = weights()
    net.load({f"m.{n}": v for n, v in w.items()}, X=64, Y=64)
    y0 = np.zeros(64, np.float32)
    np.testing.assert_allclose(net.infer(x, y0), by_hand(w, x), rtol=1e-3, atol=1e-3)
    best = float("inf")
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 20 or time.perf_counter() < end:
        start = time.process_time()
        net.infer(x, y0)
        best = min(best, time.process_time() - start)
        rounds += 1
    return best * 1e6


OURS = {"train": train, "energy": energy}


# -- all, in turns


def pinned(command: list[str], core: int, folder: Path) -> str:
    """The output of a process on one core, with one thread."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(one, "1")}

    def pin() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})

    run = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, preexec_fn=pin
    )
    if run.returncode:
        sys.stderr.write(run.stderr)
    return run.stdout


def ours(kind: str, a: argparse.Namespace) -> float:
    command = [sys.executable, "-m", "bench", "training", "--peers", str(a.peers.resolve()),
               "--ours", kind, "--seconds", str(a.seconds)]  # fmt: skip
    return float(json.loads(pinned(command, a.core, ROOT))["us"])


def theirs(kind: str, name: str, a: argparse.Namespace) -> dict[str, float]:
    """Microseconds by the peer's name (one program may be several)."""
    command = [a.python, PEERS[kind], "--peers", name, "--seconds", str(a.seconds)]
    lines = pinned(command, a.core, a.peers.resolve()).splitlines()
    rows = [json.loads(x) for x in lines if x.startswith("{")]
    known = [r for r in rows if r.get("median_us")]
    return {r["peer"]: float(r.get("cpu_best_sum_us") or r["cpu_min_us"]) for r in known}


def main(arguments: list[str]) -> None:
    p = argparse.ArgumentParser(prog="python -m bench training")
    p.add_argument("--peers", type=Path, required=True)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--names", default="numpy,torch")
    p.add_argument("--kinds", default="train,energy")
    p.add_argument("--seconds", type=float, default=1.5, help="of every process")
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--core", type=int, default=0)
    p.add_argument("--ours", choices=OURS, help="measure ours here and now")
    a = p.parse_args(arguments)
    if a.ours:
        print(json.dumps({"us": OURS[a.ours](a.peers, a.seconds)}))
        return
    for kind in a.kinds.split(","):
        mine: list[float] = []
        peers: dict[str, list[float]] = {}
        for _ in range(a.turns):
            mine.append(ours(kind, a))
            for name in a.names.split(","):
                for peer, us in theirs(kind, name, a).items():
                    peers.setdefault(peer, []).append(us)
        us = median(mine)
        print(json.dumps({"workload": kind, "peer": "dlc", "us": round(us, 1)}))
        for peer, times in peers.items():
            row = {"workload": kind, "peer": peer, "us": round(median(times), 1)}
            print(json.dumps({**row, "ratio": round(median(times) / us, 2)}))
