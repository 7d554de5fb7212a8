"""Dynamic networks at batch one, one thread: microseconds of a call beside the peers, in one run.

    python -m bench networks --peers FOLDER [--python PYTHON] [--only NAME …] [--json FILE]

FOLDER holds the peers' programs, PYTHON an interpreter with their packages. Each workload is a
program in `bench/programs`, at the sizes of the peer's. Our rounds and the peers' alternate in
processes of their own; a side's number is the median over rounds of its best call in each, of the
clock of the thread, so that neighbours on the machine count for neither.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.beside import best_of, compared, microseconds, own_process, peer_rows, table

PROGRAMS = Path(__file__).parent / "programs"
Call = Callable[[], object]


@dataclass(frozen=True)
class Workload:
    """`ours` makes the call to time. `rows` are the names of the peer's rows that do the same."""

    name: str
    script: str
    rows: tuple[str, ...]
    ours: Callable[[], Call]
    peers: str = "numpy,torch,scipy"
    calls: int = 1
    """How many items one of our calls stands for."""
    items: int = 1
    """How many inputs the peer goes over."""


def _net(
    program: str, weights: Mapping[str, np.ndarray[Any, Any]], bind: Mapping[str, int] | None = None
) -> Any:
    import dlc

    return dlc.compile(PROGRAMS / f"{program}.dl", weights=dict(weights), bind=bind)


def _normal(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray[Any, Any]]:
    r = np.random.RandomState(seed)
    return {f"m.{k}": (r.randn(*s) * 0.1).astype(np.float32) for k, s in shapes.items()}


def gcn() -> Call:
    """Cora's sizes: 2,708 nodes, 10,556 arcs and a loop each, 1,433 features, 1.3 % of them set."""
    import dlc

    r = np.random.RandomState(3)
    n, e, f, h, k = 2708, 10556, 1433, 16, 7
    p = 1.0 / (np.arange(n) + 20.0) ** 0.6
    u, v = r.choice(n, e // 2, p=p / p.sum()), r.randint(n, size=e // 2)
    src = np.concatenate((u, v, np.arange(n))).astype(np.int32)
    dst = np.concatenate((v, u, np.arange(n))).astype(np.int32)
    order = np.argsort(dst, kind="stable")
    src, dst = src[order], dst[order]
    degree = np.bincount(dst, minlength=n)
    norm = (1 / np.sqrt(degree[src] * degree[dst])).astype(np.float32)
    counts = r.randint(9, 28, n)
    columns = np.concatenate([np.sort(r.choice(f, c, replace=False)) for c in counts])
    values = np.repeat(1 / counts, counts).astype(np.float32)
    net = _net("gcn", _normal(3, w1=(f, h), b1=(h,), w2=(h, k), b2=(k,)))
    args = (dlc.Graph(src, dst, n), norm, dlc.Segs(counts), columns.astype(np.int32), values)
    return lambda: net.gcn(*args)


def memory() -> Call:
    """Thirty stories of 5 to 50 sentences of six words; a call is one story, in turn."""
    r = np.random.RandomState(2)
    net = _net("memory", _normal(2, e=(4, 200, 64), t=(4, 50, 64), p=(6, 64)))
    stories = [
        (r.randint(0, 200, (int(r.randint(5, 51)), 6)).astype(np.int32),
         r.randint(0, 200, 6).astype(np.int32))
        for _ in range(30)
    ]  # fmt: skip

    def all_stories() -> None:
        for story, q in stories:
            net.answer(story, q)

    return all_stories


def sparse(entry: str) -> Callable[[], Call]:
    """4,096 units in both layers, 5 % of which fire."""

    def make() -> Call:
        r = np.random.RandomState(5)
        n = 4096
        w1, w2 = ((r.randn(n, n) * 0.05).astype(np.float32) for _ in range(2))
        x = np.zeros(n, np.float32)
        x[r.choice(n, n // 20, replace=False)] = np.abs(r.randn(n // 20))
        b1 = np.full(n, -np.quantile(x @ w1, 0.95), np.float32)
        net = _net("sparse", {"m.w1": w1, "m.b1": b1, "m.w2": w2})
        call = getattr(net, entry)
        return lambda: call(x)

    return make


def energy() -> Call:
    """A network of 128, 256 and 256 units, fifty steps on 64 of its inputs."""
    r = np.random.RandomState(1)
    shapes = _normal(1, w1=(256, 128), b1=(256,), w2=(256, 256), b2=(256,), w3=(256,))
    net = _net("energy", shapes, {"m.X": 64})
    x, y = (r.randn(64)).astype(np.float32), np.zeros(64, np.float32)
    return lambda: net.infer(x, y)


def decode() -> Call:
    """512 units, 10,000 words, up to thirty words for each of twenty starts."""
    h, v = 512, 10000
    shapes = _normal(4, e=(v, h), wx=(4 * h, h), wh=(4 * h, h), b=(4 * h,), wo=(v, h), bo=(v,))
    net = _net("decode", {**shapes, **_normal(5, we=(h,))})
    starts = [int(s) for s in np.random.RandomState(6).randint(1, v, 20)]
    return lambda: [net.greedy(s, 1e9) for s in starts[:2]]


def online() -> Call:
    """64, 128, 64 and 10 units."""
    x = np.random.RandomState(6).randn(64).astype(np.float32)
    shapes = _normal(6, w1=(128, 64), b1=(128,), w2=(64, 128), b2=(64,), w3=(10, 64), b3=(10,))
    net = _net("online", shapes)
    return lambda: net.step(x, 3)


WORKLOADS = (
    Workload("gcn", "gcn_infer.py", ("gcn_infer",), gcn),
    Workload("memory", "memn2n.py", ("memn2n",), memory, calls=30, items=30),
    Workload("sparse-dense", "sparse_mlp.py", ("sparse_mlp_dense_a5",), sparse("dense")),
    Workload("sparse-events", "sparse_mlp.py", ("sparse_mlp_dense_a5",), sparse("events")),
    Workload("energy", "ebm_infer.py", ("ebm_infer",), energy),
    Workload("decode", "lstm_decode.py", ("lstm_decode_greedy",), decode, calls=60),
    Workload("online", "online_learn.py", ("online_mlp",), online),
)


def own(name: str, seconds: float) -> float:
    """Our best time of one item."""
    w = next(w for w in WORKLOADS if w.name == name)
    return best_of(w.ours(), seconds) / w.calls


def measure(w: Workload, a: argparse.Namespace) -> dict[str, Any]:
    """One workload, in alternating rounds."""
    code = f"from bench.networks import own; print(own({w.name!r}, {a.seconds}))"

    def peers() -> dict[str, float]:
        rows = peer_rows(a.python, a.peers.resolve() / w.script, w.peers, a.seconds)
        return {r["peer"]: microseconds(r, w.items) for r in rows if r["workload"] in w.rows}

    return compared(w.name, lambda: own_process(code), peers, a.rounds)


def main(arguments: list[str]) -> None:
    p = argparse.ArgumentParser(prog="python -m bench networks")
    p.add_argument("--peers", type=Path, required=True)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--only", nargs="*", default=[])
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=Path)
    a = p.parse_args(arguments)
    rows = [measure(w, a) for w in WORKLOADS if not a.only or w.name in a.only]
    print(table(rows))
    if a.json is not None:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")
