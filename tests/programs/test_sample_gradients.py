"""The gradient of every sample by every float that goes in, weights and inputs: evaluator and
native code, in f64, against exact slopes (a complex step) and central differences.

Each sample's functions are made scalars by random weights of their results, which are inputs as
well. The samples' own steps, in f32: `test_training.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.autodiff.expand import differentiate
from dlc.diag import SourceFile
from dlc.driver.front import check
from dlc.driver.onnx import onnx_functions
from dlc.evaluate import complex_step, run
from dlc.ir.core import Function, Module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from dlc.targets.cpu.llvm import Options
from dlc.targets.cpu.run import compile_module
from dlc.typesys.types import AdtType, TensorType
from tests.laws.doubling import doubled
from tests.laws.test_autodiff import with_gradient

SAMPLES = Path(__file__).parents[2] / "samples"
Rng = np.random.Generator
Given = dict[str, Callable[[Rng, dict[str, int]], Any]]


@dataclass(frozen=True)
class Probe:
    """A scalar of a sample: a function to be appended to its text, sizes for its dims, and whole
    numbers or structures by parameter (floats are drawn)."""

    sample: str
    name: str
    text: str
    dims: dict[str, int]
    given: Given = field(default_factory=dict)
    consts: dict[str, int] = field(default_factory=dict)
    scale: float = 0.6

    def __str__(self) -> str:
        return f"{self.sample}.{self.name}"


def below(dim: str, count: str = "") -> Callable[[Rng, dict[str, int]], Any]:
    """A whole number below a size, or as many as another size says."""
    return lambda r, d: r.integers(0, d[dim], d[count] if count else None).astype(np.int32)


def tree(r: Rng, d: dict[str, int]) -> Any:
    parts: list[Any] = [("Leaf", int(r.integers(d["m.V"]))) for _ in range(int(r.integers(1, 7)))]
    while len(parts) > 1:
        k = int(r.integers(len(parts) - 1))
        parts[k : k + 2] = [("Node", parts[k], parts[k + 1])]
    return parts[0]


def starts(r: Rng, d: dict[str, int]) -> Any:
    cuts = np.sort(r.integers(0, d["story.items"] + 1, d["story.rows"] - 1))
    return np.concatenate([[0], cuts, [d["story.items"]]]).astype(np.int32)


def active(r: Rng, d: dict[str, int]) -> Any:
    return np.sort(r.permutation(d["m.X"])[: d["x.k"]]).astype(np.int32)


GRAPH: Given = {"g.src": below("g.nodes", "g.arcs"), "g.dst": below("g.nodes", "g.arcs")}
NODES = {"g.nodes": 5, "g.arcs": 9}
MEMORY = {"m.V": 7, "m.D": 3, "story.rows": 3, "story.items": 6, "Q": 2}
STORY: Given = {
    "story.starts": starts, "words": below("m.V", "story.items"), "q": below("m.V", "Q"),
}  # fmt: skip
SMALL = {"m.X": 4, "m.Y": 3, "m.H": 5}
PAIR = {"g.I": 2, "g.H": 5, "g.O": 3, "d.H": 4}

PROBES = [
    Probe("treelstm", "loss", """
export fn probe(m: TreeLSTM, t: Tree, label: i32, a: f32[m.C]) -> f32:
    return loss(m, t, label) + dot(a, logits(m, t))
""", {"m.V": 6, "m.D": 3, "m.H": 4, "m.C": 3}, {"t": tree, "label": below("m.C")}),
    Probe("graph_nets", "gat", """
export fn probe(m: GAT, g: Graph, x: f32[g.nodes, m.F], a: f32[g.nodes, m.D]) -> f32:
    return sum(a * gat(m, g, x))
""", {"m.F": 3, "m.D": 4, **NODES}, GRAPH),
    Probe("graph_nets", "gcn", """
export fn probe(w: f32[D, F], g: Graph, x: f32[g.nodes, F], a: f32[g.nodes, D]) -> f32:
    return sum(a * gcn(w, g, x))
""", {"F": 3, "D": 4, **NODES}, GRAPH),
    Probe("memory_nets", "answer", """
export fn probe(m: MemN2N, story: Segs, words: i32[story.items], q: i32[Q], a: f32[m.V]) -> f32:
    return dot(a, answer(m, story, words, q))
""", MEMORY, STORY),
    Probe("memory_nets", "ntm", """
export fn probe(
    n: NTM, mem: f32[n.N, n.M], xs: f32[T, n.X], a: f32[T, n.Y], b: f32[n.N, n.M]
) -> f32:
    after = mem
    y = ntm(n, mut after, xs)
    return sum(a * y) + sum(b * after)
""", {"n.N": 4, "n.M": 3, "n.H": 5, "n.X": 2, "n.Y": 3, "T": 6}),
    Probe("energy", "infer", """
export fn probe(
    m: EBM, x: f32[m.X], y0: f32[m.Y], rate: f32, tol: f32, a: f32[m.Y]
) -> f32:
    return dot(a, infer(m, x, y0, 0.1 * sigmoid(rate), 0.001 * sigmoid(tol)))
""", SMALL),
    Probe("energy", "loss", """
export fn probe(m: EBM, x: f32[m.X], z: f32[m.Y]) -> f32:
    return loss(m, x, z)
""", SMALL),
    Probe("gan", "discriminator", """
export fn probe(g: Mlp, d: Mlp[I=g.O, O=1], real: f32[d.I], z: f32[g.I]) -> f32:
    return d_loss(d, real, mlp(g, z))
""", PAIR),
    Probe("gan", "generator", """
export fn probe(g: Mlp, d: Mlp[I=g.O, O=1], z: f32[g.I], k: Key, a: f32[g.O]) -> f32:
    return g_loss(g, d, z) + dot(a, generate(g, k))
""", PAIR, {"k": lambda r, d: int(r.integers(1 << 40))}),
    Probe("poincare", "rank_loss", """
export fn probe(e: f32[V, D], u: i32, v: i32, neg: i32[K], x: f32[D]) -> f32:
    return rank_loss(e, u, v, neg) + sum(tanh(into_ball(x)))
""", {"V": 6, "D": 3, "K": 3}, {
        "u": lambda r, d: 0, "v": lambda r, d: 1,
        "neg": lambda r, d: r.integers(2, d["V"], d["K"]).astype(np.int32)}, scale=0.25),
    Probe("reason", "answer", """
export fn probe(m: Reasoner, img: f32[m.P, m.D], q: f32[m.D], a: f32[m.A]) -> f32:
    return dot(a, answer(m, img, q))
""", {"m.W": 4, "m.D": 3, "m.P": 3, "m.A": 2}, scale=1.0),
    Probe("sparse", "bag", """
export fn probe(e: f32[V, D], w: f32[C, D], ids: i32[N], weight: f32[N], a: f32[C]) -> f32:
    return dot(a, bag(e, w, ids, weight))
""", {"V": 6, "D": 3, "C": 4, "N": 5}, {"ids": below("V", "N")}),
    Probe("sparse", "events", """
export fn probe(m: Net, x: Sparse[f32, m.X], a: f32[m.C]) -> f32:
    return dot(a, events(m, x))
""", {"m.X": 6, "m.H": 5, "m.C": 3, "x.k": 3}, {"x.indices": active}),
    Probe("spectral", "spectral", """
export fn probe(theta: f32[K, F, O], u: f32[N, K], x: f32[N, F], a: f32[N, O]) -> f32:
    return sum(a * spectral(theta, u, x))
""", {"K": 3, "F": 2, "O": 4, "N": 5}),
    Probe("spectral", "chebyshev", """
export fn probe(
    theta: f32[P, F, O], g: Graph, lap: f32[g.arcs], x: f32[g.nodes, F], a: f32[g.nodes, O]
) -> f32:
    return sum(a * chebyshev(theta, g, lap, x))
""", {"P": 4, "F": 2, "O": 3, **NODES}, GRAPH),
    Probe("decoder", "step", """
export fn probe(
    m: Decoder, h: f32[K, m.H], tok: i32[K], a: f32[K, m.H], b: f32[K, m.V]
) -> f32:
    h2, p = step(m, h, tok)
    return sum(a * h2) + sum(b * p)
""", {"m.V": 6, "m.D": 3, "m.H": 4, "K": 3}, {"tok": below("m.V", "K")}),
    Probe("beam", "of the score", """
export fn probe[K: const](m: Decoder, h0: f32[m.H], a: f32[K]) -> f32:
    h = tile(h0, K)
    score = concat(zeros(1), fill(-10.0, K - 1))
    tok = fill(0, K)
    for t in 0..3:
        h, logp = step(m, h, tok)
        score, flat = top_k(reshape(column(score) + logp, K * m.V), K)
        h = h[flat // m.V]
        tok = flat % m.V
    return dot(a, score)
""", {"m.V": 6, "m.D": 3, "m.H": 4}, consts={"K": 3}),
    Probe("early_exit", "anytime", """
export fn probe[B: const](m: MSD[B], x: f32[3, 32, 32], tau: f32, a: f32[m.C]) -> f32:
    p, b = anytime(m, x, 0.4 + 0.01 * sigmoid(tau))
    return dot(a, p)
""", {"m.W": 2, "m.C": 3}, consts={"B": 2}, scale=0.5),
    Probe("msdnet", "all exits", """
export fn probe[B: const](m: MSD[B], x: f32[3, 5, 6], a: f32[B, m.C]) -> f32:
    s = stem(m.stem, x)
    y = 0.0
    static for b in 0..B:
        s = block(m.blocks[b], s)
        y += dot(a[b], head(m.heads[b], s))
    return y
""", {"m.W": 2, "m.C": 3}, consts={"B": 2}),
    Probe("onnx_backbone", "loss", """
export fn probe(m: Router, image: f32[3, 32, 32], target: f32[m.D]) -> f32:
    return loss(m, image, target)
""", {"m.D": 24, "m.E": 3}, scale=0.3),
]  # fmt: skip


def lowered(p: Probe) -> Module:
    path = SAMPLES / f"{p.sample}.dl"
    source = SourceFile(str(path), path.read_text(encoding="utf-8") + p.text)
    others = {
        q.stem: SourceFile(str(q), q.read_text(encoding="utf-8")) for q in SAMPLES.glob("*.dl")
    }
    checked = check(source, others)
    consts = {"probe": p.consts, **({"beam": p.consts, "anytime": p.consts} if p.consts else {})}
    return lower(checked, consts=consts, onnx=onnx_functions(checked)).module


def arguments(p: Probe, f: Function, r: Rng) -> list[Any]:
    out: list[Any] = []
    for v in f.params:
        if v.hint in p.given:
            out.append(p.given[v.hint](r, p.dims))
        elif isinstance(v.type, AdtType):
            raise AssertionError(f"{p}: no value for {v.hint}")
        else:
            assert v.tensor.dtype.is_float, f"{p}: no value for {v.hint}"
            out.append(p.scale * r.normal(size=[d.evaluate(p.dims) for d in v.tensor.shape]))
    return out


def floats(f: Function) -> list[int]:
    types = [v.type for v in f.params]
    return [i for i, t in enumerate(types) if isinstance(t, TensorType) and t.dtype.is_float]


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_the_gradient_of_a_sample(probe: Probe) -> None:
    source = doubled(lowered(probe))
    module = with_gradient(source, "probe", "slope")
    reference = differentiate(source)
    module, _ = run_passes(module, BEFORE_AUTODIFF)
    module, _ = run_passes(differentiate(module), AFTER_AUTODIFF)
    native = compile_module(bufferise(module), options=Options(level=0))
    f = source.functions["probe"]
    at = floats(f)
    r = np.random.default_rng(5)
    moved: set[int] = set()
    smooth = 0
    for _ in range(3):
        args = arguments(probe, f, r)
        out = run(module, "slope", args)
        got = native.call("slope", args)
        for x, y in zip(out, got, strict=True):
            assert np.allclose(x, y, rtol=1e-9, atol=1e-11)
        v = [r.normal(size=np.shape(a)) if i in at else None for i, a in enumerate(args)]
        parts = [got[1 + k] * v[i] for k, i in enumerate(at)]
        moved |= {i for k, i in enumerate(at) if np.any(got[1 + k])}
        slope = float(sum(np.sum(x) for x in parts))
        size = 1.0 + float(sum(np.sum(np.abs(x)) for x in parts))
        _, exact = complex_step(reference, "probe", args, v)
        assert abs(slope - float(np.real(exact[0]))) <= 1e-9 * size

        def along(h: float, args: list[Any] = args, v: list[Any] = v) -> float:
            up, down = (
                [a if d is None else a + s * d for a, d in zip(args, v, strict=True)]
                for s in (h, -h)
            )
            return float(native.call("probe", up)[0] - native.call("probe", down)[0]) / (2 * h)

        near, far = along(1e-6), along(4e-6)
        if abs(near - far) <= 1e-6 * size:  # else something bends or changes its mind nearby
            smooth += 1
            assert abs(near - slope) <= 1e-6 * size
    assert smooth >= 1
    idle = {f.params[i].hint for i in at if i not in moved}
    # What decides which words a plan is made of, and when to stop, is not differentiable.
    assert idle <= IDLE.get(str(probe), set()), idle


IDLE = {
    "reason.answer": {"m.op", "m.word", "m.left", "m.right", "q"},
    "energy.infer": {"tol"},
    "early_exit.anytime": {"tau"},
}


def test_every_sample_is_probed() -> None:
    assert {p.sample for p in PROBES} == {p.stem for p in SAMPLES.glob("*.dl")}
