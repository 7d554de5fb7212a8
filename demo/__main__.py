"""`make demo`: a Tree-LSTM learns, in native code, which of eight packages of Python's standard
library a function comes from; then a C program without Python classifies functions of files that it
has never seen.

    python -m demo [SECONDS of training, 20]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import dlc
from demo import reference, trees
from dlc.driver.options import Options

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "demo"
SIZES = {"V": 1000, "D": 32, "H": 32, "C": len(trees.PACKAGES)}


def say(text: str = "") -> None:
    print(text, flush=True)


def train(net: Any, data: trees.Data, seconds: float) -> int:
    """Stochastic gradient descent by the compiled step, for some seconds; the number of steps."""
    rng = np.random.default_rng(0)
    samples = [(native(net, s.tree), s.label) for s in data.train]
    end, steps, losses = time.monotonic() + seconds, 0, list[float]()
    report = time.monotonic() + seconds / 5
    while time.monotonic() < end:
        for i in rng.permutation(len(samples)):
            tree, label = samples[i]
            rate = 0.15 * max(0.1, (end - time.monotonic()) / seconds)
            losses.append(float(net.train(tree, label, rate)))
            steps += 1
            if time.monotonic() > report:
                say(f"  {steps:6d} steps, loss {np.mean(losses[-500:]):.3f}")
                report += seconds / 5
            if time.monotonic() > end:
                break
    return steps


def native(net: Any, tree: trees.Tree) -> Any:
    """The tree as a value of the compiled program's type."""
    Tree = net.types.Tree
    done: list[Any] = []
    work: list[tuple[trees.Tree, bool]] = [(tree, False)]
    while work:
        t, seen = work.pop()
        if isinstance(t, int):
            done.append(Tree.Leaf(t))
        elif not seen:
            work += [(t, True), (t[1], False), (t[0], False)]
        else:
            right, left = done.pop(), done.pop()
            done.append(Tree.Node(left, right))
    return done[0]


def write_trees(path: Path, samples: list[trees.Sample]) -> None:
    """The input of `classify.c`."""
    with path.open("w") as f:
        for s in samples:
            tags, children, words = trees.flat(s.tree)
            f.write(f"{s.label} {len(tags)} {len(children)} {len(words)}\n")
            for row in (tags, children, words):
                f.write(" ".join(map(str, row)) + "\n")


def c_program(base: Path) -> Path:
    """Compiles `classify.c` with the object that the compiler made."""
    cc = shutil.which("cc")
    if cc is None:
        sys.exit("the demo needs a C compiler called `cc`")
    out = BUILD / "classify"
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{BUILD}"]
    source = ROOT / "demo" / "classify.c"
    subprocess.run([cc, *flags, str(source), f"{base}.o", "-o", str(out)], check=True)
    return out


def main(seconds: float = 20.0) -> int:
    start = time.monotonic()
    BUILD.mkdir(parents=True, exist_ok=True)
    data = trees.load(SIZES["V"])
    sizes = [trees.size_of(s.tree) for s in data.train]
    say(f"{len(data.train)} functions to learn from, {len(data.held_out)} of other files held out;")
    say(f"trees of {min(sizes)} to {max(sizes)} leaves, classes: {', '.join(trees.PACKAGES)}")

    made = dlc.build(ROOT / "samples" / "treelstm.dl", options=Options(prefix="treelstm"))
    net = dlc.load(made)
    net.init(0, **SIZES)
    net.params["m.emb"][...] *= 6.0
    say(f"compiled samples/treelstm.dl in {sum(t.seconds for t in made.times):.1f} s; training:")
    steps = train(net, data, seconds)
    net.save(BUILD / "treelstm.safetensors")

    final = dlc.build(
        ROOT / "samples" / "treelstm.dl",
        options=Options(prefix="treelstm"),
        weights=BUILD / "treelstm.safetensors",
        entries=("logits",),
    )
    final.artifact.publish(BUILD / "treelstm")
    write_trees(BUILD / "held_out.txt", data.held_out)
    program = c_program(BUILD / "treelstm")
    run = subprocess.run(
        [program, BUILD / "treelstm.weights.bin", BUILD / "held_out.txt", BUILD / "logits.txt"],
        capture_output=True,
        text=True,
        check=True,
    )
    count, right, us = run.stdout.split()
    return report(net, data, steps, int(count), int(right), float(us), time.monotonic() - start)


def report(
    net: Any, data: trees.Data, steps: int, count: int, right: int, us: float, seconds: float
) -> int:
    """What came out, and whether C, Python, the evaluator and numpy agree."""
    from_c = np.loadtxt(BUILD / "logits.txt", dtype=np.float32, ndmin=2)
    weights = {k.removeprefix("m."): np.asarray(v) for k, v in net.params.arrays().items()}
    start = time.perf_counter()
    by_hand = np.array([reference.logits(weights, s.tree) for s in data.held_out])
    numpy_us = 1e6 * (time.perf_counter() - start) / len(data.held_out)
    oracle = dlc.load(dlc.compile(ROOT / "samples" / "treelstm.dl", target="evaluate"))
    oracle.load(net.params)
    some = range(0, len(data.held_out), max(1, len(data.held_out) // 40))
    evaluated = np.array([oracle.logits(native(oracle, data.held_out[i].tree)) for i in some])
    called = np.array([net.logits(native(net, s.tree)) for s in data.held_out])
    scale = float(np.abs(by_hand).max())
    errors = {
        "numpy": float(np.abs(from_c - by_hand).max()) / scale,
        "evaluator": float(np.abs(from_c[list(some)] - evaluated).max()) / scale,
        "Python": float(np.abs(from_c - called).max()) / scale,
    }
    majority = float(np.bincount([s.label for s in data.held_out]).max()) / count
    say(f"{steps} steps. A C program without Python classified {count} held-out functions:")
    say(f"  accuracy      {right / count:6.1%}   (always the commonest class: {majority:.1%})")
    say(f"  time a tree   {us:6.1f} µs (numpy by hand, one by one: {numpy_us:.0f} µs)")
    differences = ", ".join(f"{k} {v:.1e}" for k, v in errors.items())
    say(f"  largest difference of logits, relative: {differences}")
    ok = max(errors.values()) < 1e-4 and right / count >= 2 * majority
    say(f"{'all agree' if ok else 'THIS IS NOT AS IT SHOULD BE'}; {seconds:.0f} s in all")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(*(float(x) for x in sys.argv[1:2])))
