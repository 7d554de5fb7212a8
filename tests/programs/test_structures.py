"""Every exported function of every sample: evaluator and native code agree on random structures,
the smallest and the odd ones included (single leaf, empty graph, isolated nodes, empty story, no
turns, sizes of one and primes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlc

SAMPLES = Path(__file__).parents[2] / "samples"
SIZES = (1, 2, 3, 5, 7)
Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """An entry, numbers of its weights' dims, and random arguments (`d` are the numbers)."""

    sample: str
    entry: str
    arguments: Callable[[Any, Rng, dict[str, int]], list[Any]]
    dims: tuple[str, ...] = ()
    bind: dict[str, int] = field(default_factory=dict)
    changed: tuple[int, ...] = ()
    """Positions of `mut` tensors among the arguments."""


def vec(r: Rng, *shape: int) -> Any:
    return r.normal(size=shape).astype(np.float32)


def tree(net: Any, r: Rng, words: int, leaves: int) -> Any:
    Tree = net.types.Tree
    parts = [Tree.Leaf(int(r.integers(words))) for _ in range(leaves)]
    while len(parts) > 1:
        k = int(r.integers(len(parts) - 1))
        parts[k : k + 2] = [Tree.Node(parts[k], parts[k + 1])]
    return parts[0]


def graph(r: Rng) -> tuple[Any, int]:
    nodes = int(r.choice([1, 2, 3, 5, 8, 13]))
    arcs = int(r.choice([0, 0, 1, 4, 17]))
    src, dst = (r.integers(0, nodes, arcs).astype(np.int32) for _ in range(2))
    return dlc.Graph(src, dst, nodes), nodes


def story(r: Rng, words: int) -> tuple[Any, Any]:
    lengths = r.integers(0, 5, int(r.choice([1, 2, 5]))).astype(np.int32)
    return dlc.Segs(lengths), r.integers(0, words, int(lengths.sum())).astype(np.int32)


def _gcn(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    g, n = graph(r)
    f, o = int(r.choice(SIZES)), int(r.choice(SIZES))
    return [vec(r, o, f), g, vec(r, n, f)]


def _gat(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    g, n = graph(r)
    return [g, vec(r, n, d["F"])]


def _chebyshev(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    g, n = graph(r)
    p, f, o = int(r.choice([2, 3, 5])), int(r.choice(SIZES)), int(r.choice(SIZES))
    return [vec(r, p, f, o), g, vec(r, g.arcs), vec(r, n, f)]


def _spectral(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    k, f, o, n = (int(r.choice(SIZES)) for _ in range(4))
    return [vec(r, k, f, o), vec(r, n, k), vec(r, n, f)]


def _answer(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    s, words = story(r, d["V"])
    return [s, words, r.integers(0, d["V"], int(r.choice([1, 3]))).astype(np.int32)]


def _bag(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    v, e, c, n = (int(r.choice(SIZES)) for _ in range(4))
    n = int(r.choice([0, n]))
    return [vec(r, v, e), vec(r, c, e), r.integers(0, v, n).astype(np.int32), vec(r, n)]


def _events(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    on = np.flatnonzero(r.random(d["X"]) < 0.5).astype(np.int32)
    return [dlc.Sparse(on, vec(r, len(on)), d["X"])]


def _poincare(net: Any, r: Rng, d: dict[str, int]) -> list[Any]:
    v, e, k = int(r.choice([3, 5, 7])), int(r.choice(SIZES)), int(r.choice([1, 2, 5]))
    table = (0.1 * vec(r, v, e)).astype(np.float32)
    u, w = r.permutation(v)[:2]
    neg = r.integers(0, v, k)
    neg = np.where(neg == u, (u + 1) % v, neg).astype(np.int32)
    return [table, int(u), int(w), neg, 0.05]


CASES = [
    Case("treelstm", "logits",
         lambda n, r, d: [tree(n, r, d["V"], int(r.choice([1, 1, 2, 3, 9, 20])))],
         ("V", "D", "H", "C")),
    Case("treelstm", "train",
         lambda n, r, d: [tree(n, r, d["V"], int(r.choice([1, 2, 9]))), 1, 0.1],
         ("V", "D", "H", "C")),
    Case("graph_nets", "gcn", _gcn),
    Case("graph_nets", "gat", _gat, ("F", "D")),
    Case("spectral", "spectral", _spectral),
    Case("spectral", "chebyshev", _chebyshev),
    Case("memory_nets", "answer", _answer, ("MemN2N:V", "MemN2N:D")),
    Case("sparse", "bag", _bag),
    Case("sparse", "events", _events, ("X", "H", "C")),
    Case("poincare", "step", _poincare, changed=(0,)),
    Case("energy", "infer",
         lambda n, r, d: [vec(r, d["X"]), vec(r, d["Y"]), 0.1, 0.0001], ("X", "Y", "H")),
    Case("energy", "train",
         lambda n, r, d: [vec(r, d["X"]), vec(r, d["Y"]), 0.05], ("X", "Y", "H")),
    Case("reason", "answer",
         lambda n, r, d: [vec(r, d["P"], d["D"]), vec(r, d["D"])], ("W", "D", "P", "A")),
    Case("beam", "beam",
         lambda n, r, d: [vec(r, d["H"]), 0, int(r.integers(1, d["V"])), int(r.choice([0, 1, 9]))],
         ("V", "D", "H"), {"K": 3}),
    Case("early_exit", "anytime",
         lambda n, r, d: [vec(r, 3, 32, 32), float(r.choice([0.0, 0.3, 0.5, 2.0]))],
         ("W", "C"), {"B": 3}),
    Case("onnx_backbone", "forward",
         lambda n, r, d: [vec(r, 3, 32, 32)], ("D", "E"), {"m.D": 24}),
]  # fmt: skip


def sizes(case: Case, net: Any, r: Rng) -> tuple[dict[str, int], dict[str, int]]:
    """Random numbers for the dims of the entry's weights: by short and by full name."""
    short: dict[str, int] = {}
    full: dict[str, int] = {}
    for d in net.artifact.manifest.layout.dims:
        last = d.rsplit(".", 1)[-1]
        low = 3 if last in ("V", "W", "C", "E") else 1
        n = case.bind.get(d) or int(r.choice([s for s in SIZES if s >= low]))
        short[last] = full[d] = n
    return short, full


def nets(case: Case) -> tuple[Any, Any]:
    source = SAMPLES / f"{case.sample}.dl"
    options = {"bind": case.bind, "entries": (case.entry,)}
    native = dlc.load(dlc.compile(source, **options))
    return native, dlc.load(dlc.compile(source, target="evaluate", **options))


def pairs(x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(x, (tuple, list)):
        assert len(x) == len(y)
        for a, b in zip(x, y, strict=True):
            yield from pairs(a, b)
    else:
        yield x, y


def assert_close(x: Any, y: Any) -> None:
    for a, b in pairs(x, y):
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype.kind == "f":
            scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
            assert np.allclose(a, b, rtol=1e-4, atol=2e-5 * scale, equal_nan=True), (a, b)
        else:
            assert np.array_equal(a, b)


def copies(args: list[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.sample}.{c.entry}")
def test_evaluator_and_native_code_agree(case: Case) -> None:
    native, oracle = nets(case)
    r = np.random.default_rng(17)
    short: dict[str, int] = {}
    for run in range(50):
        if run % 10 == 0 and case.dims:
            short, full = sizes(case, native, r)
            native.init(run, **{k.rsplit(".", 1)[-1]: v for k, v in full.items()})
            oracle.load({k: v.copy() for k, v in native.params.arrays().items()})
        state = r.bit_generator.state
        mine = case.arguments(native, r, short)
        r.bit_generator.state = state
        theirs = copies(case.arguments(oracle, r, short))
        got = getattr(native, case.entry)(*mine)
        want = getattr(oracle, case.entry)(*theirs)
        assert_close(got, want)
        for i in case.changed:
            assert_close(mine[i], theirs[i])
        if case.entry in ("train", "step") and case.dims:
            a, b = native.params.arrays(), oracle.params.arrays()
            assert_close([a[k] for k in a], [b[k] for k in a])


def test_the_generative_adversarial_step() -> None:
    """Two models in one call, both changed; draws agree on both back ends."""
    case = Case("gan", "step", lambda n, r, d: [])
    native, oracle = nets(case)
    r = np.random.default_rng(0)
    arrays = {}
    i, h, o = 3, 4, 5
    for s, (a, b, c) in {"g": (i, h, o), "d": (o, h, 1)}.items():
        arrays |= {f"{s}.l1.w": vec(r, b, a), f"{s}.l1.b": vec(r, b)}
        arrays |= {f"{s}.l2.w": vec(r, c, b), f"{s}.l2.b": vec(r, c)}
    native.load(arrays)
    oracle.load({k: v.copy() for k, v in arrays.items()})
    for key in range(20):
        real = vec(r, o)
        assert_close(native.step(real, key, 0.05), oracle.step(real, key, 0.05))
    a, b = native.params.arrays(), oracle.params.arrays()
    assert_close([a[k] for k in a], [b[k] for k in a])


def test_a_writable_memory() -> None:
    case = Case("memory_nets", "ntm", lambda n, r, d: [])
    native, oracle = nets(case)
    r = np.random.default_rng(3)
    native.init(5, N=4, M=3, H=5, X=2, Y=2)
    oracle.load(native.params)
    for turns in (0, 1, 2, 5, 7) * 10:
        mem = vec(r, 4, 3)
        xs = vec(r, turns, 2)
        other = mem.copy()
        assert_close(native.ntm(mem, xs), oracle.ntm(other, xs))
        assert_close(mem, other)


def test_a_dim_that_no_weight_shows() -> None:
    native, oracle = nets(Case("memory_nets", "ntm", lambda n, r, d: []))
    arrays = native.init(5, N=4, M=3, H=5, X=2, Y=2).arrays()
    with pytest.raises(dlc.CompileError) as e:
        oracle.load(arrays)
    assert [d.code for d in e.value.diagnostics] == ["E0916"]
    oracle.load(arrays, N=4)
    with pytest.raises(TypeError, match="none of"):
        oracle.load(arrays, Q=4)


@pytest.mark.parametrize("depth", [1000, pytest.param(100_000, marks=pytest.mark.full)])
def test_a_comb(depth: int) -> None:
    nets = [
        dlc.compile(SAMPLES / "treelstm.dl", target, entries=("logits",))
        for target in ("evaluate", "cpu")
    ]
    nets[0].init(0, V=4, D=2, H=3, C=2)
    nets[1].load({name: np.array(x) for name, x in nets[0].params.items()})
    found: list[Any] = []
    for net in nets:
        Tree = net.types.Tree
        t = Tree.Leaf(0)
        for i in range(depth):
            t = Tree.Node(t, Tree.Leaf(i % 4))
        found.append(net.logits(t))
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_training_lowers_the_loss() -> None:
    r = np.random.default_rng(1)
    net = dlc.load(dlc.compile(SAMPLES / "energy.dl", entries=("train",)))
    net.init(0, X=4, Y=3, H=8)
    pairs_ = [(vec(r, 4), vec(r, 3)) for _ in range(4)]
    losses = [float(np.mean([net.train(x, z, 0.2) for x, z in pairs_])) for _ in range(150)]
    assert losses[-1] < 0.6 * losses[0]
