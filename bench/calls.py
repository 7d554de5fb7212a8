"""What a call costs besides its work, and how well the arena's need is known.

    python -m bench calls

Microseconds of calls that compute next to nothing, from Python and in C (by the difference of two
loops), and for every sample what `…_bytes` said beside what random calls took."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
KINDS = ("exact", "bound", "unbounded")
SOURCE = """
type Tree = Leaf(x: f32) | Node(left: Tree, right: Tree)

fn total(t: Tree) -> f32:
    match t:
        Leaf(x):
            return x
        Node(left, right):
            return total(left) + total(right)

export fn twice(x: f32) -> f32:
    return x + x

export fn add(x: f32[N], y: f32[N]) -> f32[N]:
    return x + y

export fn sum_tree(t: Tree) -> f32:
    return total(t)

export fn sum_list(xs: List[f32]) -> f32:
    s = 0.0
    for x in xs:
        s += x
    return s

export fn scale(x: mut f32[N], k: f32):
    x *= k
"""


def microseconds(call: Callable[[], Any], seconds: float = 0.4) -> float:
    """The best of ten rounds."""
    call()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds / 10:
        call()
        count += 1
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - start) / count)
    return best * 1e6


def python_calls(net: Any) -> None:
    x, y = np.ones(8, np.float32), np.ones(8, np.float32)
    t = net.types.Tree
    tree = t.Leaf(1.0)
    for _ in range(20):
        tree = t.Node(tree, t.Leaf(1.0))
    xs = [1.0] * 41
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("a number", lambda: net.twice(1.0)),
        ("two arrays", lambda: net.add(x, y)),
        ("an array changed in place", lambda: net.scale(x, 1.0)),
        ("a tree of 41 nodes", lambda: net.sum_tree(tree)),
        ("a list of 41 numbers", lambda: net.sum_list(xs)),
        ("numpy: two arrays", lambda: x + y),
    ]
    print("from Python, microseconds")
    for name, call in cases:
        print(f"  {name:28} {microseconds(call):8.2f}")


def c_call(net: Any) -> None:
    """One call of `add` through the C interface: the loop is ctypes', so its own cost is taken off
    by a function of the same signature that does nothing but check its arguments."""
    native = net._run.native
    e = native.entries["add"]
    frame = e.frame()
    x = np.ones(8, np.float32)
    values = net.entries["add"]._receiver.receive((x, x))
    for i, (item, v) in enumerate(zip(e.border.inputs, values.values, strict=True)):
        frame.give(i, item, v)
    y = np.empty(8, np.float32)
    member = e.e.out_members[0]
    frame.room(member, y, "data")
    frame.set_number(8, member, "capacity")
    args = (
        frame.input.address, frame.output.address, frame.arena.address, frame.arena.size,
        native.options, frame.error.address,
    )  # fmt: skip
    pointers = [ctypes.c_void_p(a) for a in args]
    refused = [ctypes.c_void_p(0), *pointers[1:]]
    whole = microseconds(lambda: e.function(*pointers))
    empty = microseconds(lambda: e.function(*refused))
    print(f"in C, microseconds\n  two arrays of 8              {max(0.0, whole - empty):8.2f}")


def needs() -> None:
    import dlc
    from tests.programs.arena_use import use
    from tests.programs.samples_inputs import SAMPLES

    print("arena: said / taken, over 12 random calls")
    for name, (bind, sizes, entries) in SAMPLES.items():
        net = dlc.compile(str(ROOT / "samples" / f"{name}.dl"), bind=bind, level=1)
        if sizes:
            net.init(3, dims={k: v for k, v in sizes.items() if k not in bind})
        r = np.random.default_rng(5)
        for entry, inputs in entries.items():
            uses = [use(net, entry, inputs(net, r)) for _ in range(12)]
            ratios = [u.said / max(64, u.taken) for u in uses if not u.status]
            kind = KINDS[uses[0].kind]
            wrong = kind == "exact" and any(u.said != u.taken for u in uses)
            mark = "  WRONG" if wrong else ""
            worst = f"{min(ratios):5.2f} to {max(ratios):5.2f}" if ratios else "never enough"
            print(f"  {name + '.' + entry:28} {kind:10} {worst}{mark}")


def main(args: list[str]) -> None:
    import dlc

    net = dlc.compile(SOURCE)
    python_calls(net)
    c_call(net)
    if "--no-needs" not in args:
        needs()
