"""Every sample and function of the library as IR: valid, the same each time, right by numpy."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc import evaluate
from dlc.autodiff.expand import differentiate
from dlc.check.program import Checked, check_file, check_program
from dlc.diag import CompileError, SourceFile
from dlc.ir.core import NOWHERE, Module, walk
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.lower.lowered import Lowered, lower
from dlc.ops.verify import verify
from dlc.passes.pipeline import AFTER_AUTODIFF, BATCHING, BEFORE_AUTODIFF, PRUNE
from dlc.resources import std_folder
from dlc.typesys.interface_json import from_json, to_json
from dlc.typesys.surface import Function

SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = sorted(p.stem for p in SAMPLES.glob("*.dl") if "import onnx" not in p.read_text())
CONSTS = {"beam": {"K": 3}, "anytime": {"B": 2}}
RNG = np.random.default_rng(11)


def sample(name: str) -> Lowered:
    return lower(check_file(SAMPLES / f"{name}.dl"), tests=True, consts=CONSTS)


@pytest.mark.parametrize("name", NAMES)
def test_samples(name):
    made = sample(name)
    verify(made.module)
    text = print_module(made.module)
    assert text == print_module(sample(name).module)
    assert print_module(read_module(text)) == text
    assert from_json(json.loads(json.dumps(to_json(made.interface)))) == made.interface
    for fn in made.module.functions.values():
        if not fn.name.startswith("init."):
            assert fn.loc != NOWHERE
            assert all(op.loc != NOWHERE for op in walk(fn.body)), fn.name


def library() -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for path in sorted(std_folder().glob("*.dl")):
        if path.stem != "prelude":
            out.append((f"own_{path.stem}", path.read_text(encoding="utf-8")))
    return out


@pytest.mark.parametrize(("name", "text"), library())
def test_library(name, text):
    """Every function that leaves no type open is lowered by itself."""
    checked = check_program(SourceFile(f"{name}.dl", text))
    count = 0
    for full, decl in checked.functions.items():
        # A function parameter is open until a call says which function it is.
        params = decl.signature.params
        if not full.startswith(f"{name}.") or any(isinstance(p.type, Function) for p in params):
            continue
        consts = {full.split(".")[-1]: {c: 1 if c == "pad" else 2 for c in decl.signature.consts}}
        try:
            made = lower(checked, entries=[full], consts=consts)
        except CompileError as e:
            assert [d.code for d in e.diagnostics] == ["E0602"], full
            continue
        verify(made.module)
        count += 1
    assert count >= 3


def f32(*shape: int, scale: float = 1.0) -> np.ndarray:
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def close(got: Any, want: Any, tol: float = 2e-5) -> None:
    np.testing.assert_allclose(np.asarray(got, np.float64), want, rtol=tol, atol=tol)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def differentiated(name: str) -> Lowered:
    made = sample(name)
    return Lowered(verify(differentiate(made.module)), made.interface)


def random_tree(leaves: int, words: int) -> tuple:
    if leaves == 1:
        return ("Leaf", int(RNG.integers(words)))
    left = int(RNG.integers(1, leaves))
    return ("Node", random_tree(left, words), random_tree(leaves - left, words))


def encode(m: dict[str, np.ndarray], t: tuple) -> tuple[np.ndarray, np.ndarray]:
    if t[0] == "Leaf":
        i, o, u = np.split(m["wl"] @ m["emb"][t[1]] + m["bl"], 3)
        c = sigmoid(i) * np.tanh(u)
        return sigmoid(o) * np.tanh(c), c
    (hl, cl), (hr, cr) = encode(m, t[1]), encode(m, t[2])
    i, fl, fr, o, u = np.split(m["wn"] @ np.concatenate([hl, hr]) + m["bn"], 5)
    c = sigmoid(i) * np.tanh(u) + sigmoid(fl) * cl + sigmoid(fr) * cr
    return sigmoid(o) * np.tanh(c), c


def drawn(made: Lowered, name: str, **dims: int) -> dict[str, np.ndarray]:
    """The first values of a parameter set, by weight name."""
    s = made.interface.parameter_set(name)
    assert s is not None and s.init is not None
    values = evaluate.run(made.module, s.init, [1], {f"{name}.{d}": n for d, n in dims.items()})
    return {w.name: v for w, v in zip(s.weights, values, strict=True)}


def test_treelstm():
    made = sample("treelstm")
    m = drawn(made, "m", V=10, D=4, H=3, C=2)
    program = evaluate.Program(made.module)
    for leaves in (1, 2, 7, 20):
        t = random_tree(leaves, 10)
        (y,) = evaluate.run(program, "logits", [*m.values(), t])
        close(y, m["wo"] @ encode(m, t)[0])


def test_treelstm_training_goes_downhill():
    made = differentiated("treelstm")
    m = list(drawn(made, "m", V=10, D=4, H=3, C=2).values())
    t = random_tree(6, 10)
    losses = []
    for _ in range(5):
        loss, *m = evaluate.run(made.module, "train", [*m, t, 1, 0.5])
        losses.append(float(loss))
    assert losses == sorted(losses, reverse=True)


def test_tests_run():
    made = sample("treelstm")
    (t,) = made.interface.tests
    assert t.name == "a leaf and a node both classify"
    assert evaluate.run(made.module, t.function, []) == ()


def test_memory_networks():
    made = sample("memory_nets")
    names = {e.name: e for e in made.interface.entries}
    v, d = 12, 5
    weights = [f32(v, d) for _ in range(4)]
    a, b, c, w = weights
    starts = np.array([0, 3, 3, 7], np.int32)
    words = RNG.integers(0, v, 7).astype(np.int32)
    q = np.array([1, 2], np.int32)
    keys = np.stack([a[words[s:e]].sum(0) for s, e in itertools.pairwise(starts)])
    vals = np.stack([c[words[s:e]].sum(0) for s, e in itertools.pairwise(starts)])
    u = b[q].sum(0)
    for _ in range(3):
        u = u + softmax(keys @ u) @ vals
    (y,) = evaluate.run(
        made.module, names["answer"].function, [*weights, starts, words, q], {"story.items": 7}
    )
    close(y, softmax(w @ u), 1e-4)


def test_graph_networks():
    made = sample("graph_nets")
    src, dst = np.array([0, 1, 2, 0], np.int32), np.array([1, 2, 1, 3], np.int32)
    w, x = f32(3, 2), f32(5, 2)
    degree = np.bincount(dst, minlength=5)
    n = 1 / np.sqrt(1 + degree)
    xw = n[:, None] * (x @ w.T)
    total = xw.copy()
    np.add.at(total, dst, xw[src])
    (y,) = evaluate.run(made.module, "gcn", [w, src, dst, x], {"g.nodes": 5})
    close(y, np.maximum(n[:, None] * total, 0))
    a, b = f32(3), f32(3)
    h = x @ w.T
    e = h[src] @ a + h[dst] @ b
    e = np.where(e > 0, e, 0.2 * e)
    want = np.zeros((5, 3))
    for node in range(5):
        arcs = np.flatnonzero(dst == node)
        if len(arcs):
            want[node] = softmax(e[arcs]) @ h[src[arcs]]
    (y,) = evaluate.run(made.module, "gat", [w, a, b, src, dst, x], {"g.nodes": 5})
    close(y, want)
    with pytest.raises(evaluate.RunError):
        evaluate.run(made.module, "gcn", [w, src, dst + 9, x], {"g.nodes": 5})


def test_the_poincare_step_moves_only_its_rows():
    made = differentiated("poincare")
    e = f32(9, 3, scale=0.2)
    neg = np.array([4, 4, 7], np.int32)
    loss, new = evaluate.run(made.module, "step", [e, 1, 2, neg, 0.1])
    moved = np.flatnonzero(np.any(new != e, axis=1))
    assert list(moved) == [1, 2, 4, 7]

    def dist(u, v):
        return np.arccosh(1 + 2 * ((u - v) @ (u - v)) / ((1 - u @ u) * (1 - v @ v)))

    def objective(e):
        e = e.astype(np.float64)
        far = np.array([dist(e[1], e[n]) for n in neg])
        near = dist(e[1], e[2])
        return near + np.log(np.exp(-near) + np.exp(-far).sum())

    close(loss, objective(e))
    for row in moved:
        grad = np.zeros(3)
        for j in range(3):
            bump = np.zeros_like(e, np.float64)
            bump[row, j] = 1e-6
            grad[j] = (objective(e + bump) - objective(e - bump)) / 2e-6
        s = (1 - e[row] @ e[row]) ** 2 / 4
        close(new[row], e[row] - 0.1 * s * grad, 1e-4)


def test_exits_really_leave():
    made = sample("early_exit")
    m = drawn(made, "m", W=4, C=3)
    x = f32(3, 32, 32)
    p, b = evaluate.run(made.module, "anytime", [*m.values(), x, 0.0])
    assert b == 0 and abs(p.sum() - 1) < 1e-5
    _, b = evaluate.run(made.module, "anytime", [*m.values(), x, 2.0])
    assert b == 1


def test_beam_search_gives_a_path():
    made = sample("beam")
    m = drawn(made, "m", V=6, D=3, H=4)
    (out,) = evaluate.run(made.module, "beam", [*m.values(), f32(4), 0, 5, 7])
    tokens = [int(x) for x in evaluate.to_python(out)]
    assert 1 <= len(tokens) <= 7 and all(0 <= t < 6 for t in tokens)


def test_sparse_events():
    made = sample("sparse")
    w1, w2 = f32(4, 6), f32(2, 4)
    idx, val = np.array([0, 5], np.int32), f32(2)
    x = np.zeros(6, np.float32)
    x[idx] = val
    (y,) = evaluate.run(made.module, "events", [w1, w2, idx, val])
    close(y, w2 @ np.maximum(w1 @ x, 0))
    e, w, weight = f32(7, 3), f32(2, 3), f32(4)
    ids = np.array([0, 6, 6, 2], np.int32)
    close(evaluate.run(made.module, "bag", [e, w, ids, weight])[0], w @ (weight @ e[ids]))


def test_a_written_program_runs():
    made = sample("reason")
    m = drawn(made, "m", W=5, D=4, P=3, A=2)
    img, q = f32(3, 4), f32(4)

    def plan(h: np.ndarray, depth: int) -> tuple:
        k = int(np.argmax(m["op"] @ h)) if depth > 0 else 0
        w = int(np.argmax(m["word"] @ h))
        if k == 0:
            return ("Find", w)
        if k == 1:
            left, right = (plan(np.tanh(m[s] @ h), depth - 1) for s in ("left", "right"))
            return ("Both", left, right)
        return ("Shift", w, plan(np.tanh(m["left"] @ h), depth - 1))

    def run(look: tuple) -> np.ndarray:
        if look[0] == "Find":
            return softmax(img @ m["find"][look[1]])
        if look[0] == "Both":
            return run(look[1]) * run(look[2])
        return softmax(m["shift"][look[1]] @ run(look[2]))

    (y,) = evaluate.run(made.module, "answer", [*m.values(), img, q])
    close(y, softmax(m["out"] @ (run(plan(q, 3)) @ img)))


def test_spectral_filters():
    made = sample("spectral")
    theta, u, x = f32(3, 2, 4), f32(5, 3), f32(5, 2)
    want = u @ np.einsum("kf,kfo->ko", u.T @ x, theta)
    close(evaluate.run(made.module, "spectral", [theta, u, x])[0], want)
    src, dst = np.array([0, 1, 4], np.int32), np.array([1, 0, 2], np.int32)
    lap = f32(3)
    dense = np.zeros((5, 5))
    np.add.at(dense, (dst, src), lap)
    t0, t1 = x, dense @ x
    want = t0 @ theta[0] + t1 @ theta[1]
    t2 = 2 * dense @ t1 - t0
    want = want + t2 @ theta[2]
    args = [theta, src, dst, lap, x]
    close(evaluate.run(made.module, "chebyshev", args, {"g.nodes": 5})[0], want)


def test_inference_by_descent_and_training_through_it():
    made = differentiated("energy")
    m = drawn(made, "m", X=3, Y=2, H=4)
    x, y0 = f32(3), f32(2)

    def gradient(y):
        z = m["wx"] @ x + m["wy"] @ y
        return m["wy"].T @ (m["v"] * sigmoid(z)) + y

    y = y0.astype(np.float64)
    for _ in range(100):
        g = gradient(y)
        y = y - 0.1 * g
        if np.linalg.norm(g) < 1e-3:
            break
    close(evaluate.run(made.module, "infer", [*m.values(), x, y0, 0.1, 1e-3])[0], y, 1e-4)
    loss, *better = evaluate.run(made.module, "train", [*m.values(), x, y0, 0.1])
    again, *_ = evaluate.run(made.module, "train", [*better, x, y0, 0.1])
    assert again < loss


def test_bound_consts_choose_instances(monkeypatch):
    checked: Checked = check_file(SAMPLES / "beam.dl")
    with pytest.raises(CompileError) as e:
        lower(checked)
    assert e.value.diagnostics[0].code == "E0601"
    made: Module = lower(checked, consts={"beam": {"K": 2}}).module
    assert "K" not in made.functions["beam"].dims


@pytest.mark.parametrize(
    "name", [n if n == "treelstm" else pytest.param(n, marks=pytest.mark.full) for n in NAMES]
)
def test_samples_after_every_pass(name):
    """Every function verifies, and its text reads back as it was."""
    module = sample(name).module
    steps = [p.run for p in BEFORE_AUTODIFF]
    steps += [differentiate, *(p.run for p in (*AFTER_AUTODIFF, *BATCHING, PRUNE))]
    seen = ""
    for step in steps:
        module = verify(step(module))
        text = print_module(module)
        if text != seen:
            assert print_module(read_module(text)) == text
            seen = text
