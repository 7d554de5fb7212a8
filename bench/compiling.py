"""Compile time by stage, size of the object, arena of a call, and how long the command takes to say
its help."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
SAMPLES = ("treelstm", "energy", "graph_nets", "memory_nets", "poincare", "reason")


def stages(sample: str, runs: int = 3) -> dict[str, object]:
    """Median seconds of each stage over some runs, and the bytes of the object."""
    import dlc
    from dlc.artifact.product import Artifact

    rows: list[dict[str, float]] = []
    artifact: Artifact | None = None
    for _ in range(runs):
        made = dlc.build(ROOT / "samples" / f"{sample}.dl")
        rows.append({t.name: t.seconds for t in made.times})
        artifact = made.artifact
    assert artifact is not None
    names = list(rows[0])
    out: dict[str, object] = {n: round(median(r[n] for r in rows), 4) for n in names}
    out["total"] = round(median(sum(r.values()) for r in rows), 3)
    out["object_bytes"] = len(artifact.contents["object"])
    return out


def help_seconds(runs: int = 5) -> float:
    """Median wall time of `dlc --help`."""
    times: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "from dlc.cli import main; main()", "--help"],
                       capture_output=True, check=False, cwd=ROOT)  # fmt: skip
        times.append(time.perf_counter() - start)
    return median(times)


def main(arguments: list[str]) -> None:
    for sample in arguments or SAMPLES:
        print(json.dumps({"sample": sample, **stages(sample)}))
    print(json.dumps({"help_s": round(help_seconds(), 3)}))
