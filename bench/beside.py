"""Ours beside the peers' programs: processes that alternate, and what their rows say."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]


def best_of(call: Callable[[], object], seconds: float) -> float:
    """The best time of a call, in microseconds of the thread's clock."""
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.thread_time()
        call()
        best = min(best, time.thread_time() - start)
    return best * 1e6


def own_process(code: str) -> float:
    """The number that Python code prints, in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(run.stdout)


def peer_rows(python: str, script: Path, names: str, seconds: float) -> list[dict[str, Any]]:
    """The rows that a peer's program prints, of peers that are installed."""
    run = subprocess.run(
        [python, script.name, "--peers", names, "--seconds", str(seconds)],
        cwd=script.parent, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    rows = [json.loads(x) for x in run.stdout.splitlines() if x.startswith("{")]
    return [r for r in rows if r.get("median_us")]


def microseconds(row: Mapping[str, Any], items: int) -> float:
    """A peer's best time of one item, by the clock of its threads. A row over a set of inputs gives
    the sum of each one's best; a row that counts tokens is divided by those."""
    if row.get("cpu_best_sum_us"):
        return float(row["cpu_best_sum_us"]) / float(row.get("tokens", items))
    return float(row.get("cpu_min_us") or row["min_us"])


def compared(
    name: str, own: Callable[[], float], peers: Callable[[], Mapping[str, float]], rounds: int
) -> dict[str, Any]:
    """Medians over alternating rounds of ours and of each peer, and how many times as long the
    best peer takes."""
    mine: list[float] = []
    theirs: dict[str, list[float]] = {}
    for _ in range(rounds):
        mine.append(own())
        for peer, us in peers().items():
            theirs.setdefault(peer, []).append(us)
    us = median(mine)
    found = {k: round(median(v), 1) for k, v in theirs.items()}
    best = min(found.values(), default=float("nan"))
    return {"workload": name, "dlc_us": round(us, 1), "best_peer_us": best,
            "ratio": round(best / us, 2), "peers": found}  # fmt: skip


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a workload."""
    lines = [f"{'workload':16}{'dlc us':>12}{'best peer':>12}{'ratio':>8}  peers"]
    for r in rows:
        peers = ", ".join(f"{k} {v}" for k, v in r["peers"].items())
        lines.append(
            f"{r['workload']:16}{r['dlc_us']:12}{r['best_peer_us']:12}{r['ratio']:8}  {peers}"
        )
    return "\n".join(lines)
