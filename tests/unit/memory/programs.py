"""Small programs by family and name: each merges, shares or updates storage in one way.

A file has one program after another, each under a line `;; name`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

X = np.arange(1, 5, dtype=np.float32)
Y = np.array([5, -1, 2, 0.5], np.float32)
TREE = "type @T = Leaf(a: i32) | Node(l: @T, r: @T)\n"


def _family(name: str, head: str = "") -> dict[str, str]:
    text = (Path(__file__).parent / "programs" / f"{name}.ir").read_text()
    parts = (p.split("\n", 1) for p in ("\n" + text).split("\n;; ")[1:])
    return {title: head + body for title, body in parts}


STRAIGHT = _family("straight")
LOOPS = _family("loops")
CALLS = _family("calls")
STRUCTURES = _family("structures", TREE)
ALL = {**STRAIGHT, **LOOPS, **CALLS, **STRUCTURES}
