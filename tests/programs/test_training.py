"""The samples learn: each training function runs natively some hundred times on generated data and
lowers its loss; its gradient, read off its own step, is the slope of its own loss before and after.

A step with rate one moves the weights by the gradient, and one with rate zero is the loss alone, so
what is compared is the native code that trains, not a relative of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlc

SAMPLES = Path(__file__).parents[2] / "samples"
Array = np.ndarray[Any, Any]
Rng = np.random.Generator
RATE = 0.125
"""The rate of the step whose gradient is read: a power of two, so that the division is exact."""
STEP = 2.0**-7
"""Half the distance of the differences, in f32: the fourth power of it and rounding are alike."""
NEAR = 2.0**-10
"""The same where the loss has kinks (relu) or bends sharply (the distance of near points)."""


@cache
def net_of(sample: str) -> dlc.Net:
    return dlc.compile(SAMPLES / f"{sample}.dl", level=1)


def vec(r: Rng, *shape: int) -> Array:
    return r.standard_normal(shape).astype(np.float32)


@dataclass(frozen=True)
class Task:
    """A training function with its data: `step(data, rate)` changes `weights` and gives the
    loss."""

    weights: dict[str, Array]
    data: list[tuple[Any, ...]]
    step: Callable[..., float]
    gradient_of: Callable[[dict[str, Array], dict[str, Array]], dict[str, Array]]
    distance: float = STEP

    def loss(self, x: tuple[Any, ...]) -> float:
        return float(self.step(*x, 0.0))

    def mean_loss(self) -> float:
        return float(np.mean([self.loss(x) for x in self.data]))

    def train(self, epochs: int, rate: float) -> None:
        for _ in range(epochs):
            for x in self.data:
                self.step(*x, rate)

    def gradient(self, x: tuple[Any, ...]) -> dict[str, Array]:
        before = {n: w.copy() for n, w in self.weights.items()}
        self.step(*x, RATE)
        after = {n: w.copy() for n, w in self.weights.items()}
        self.put(before)
        return self.gradient_of(before, after)

    def put(self, values: dict[str, Array]) -> None:
        for n, w in self.weights.items():
            w[...] = values[n]

    def slope(self, x: tuple[Any, ...], v: dict[str, Array]) -> float:
        start = {n: w.copy() for n, w in self.weights.items()}
        sides: list[float] = []
        step = self.distance
        for h in (step, -step, 2 * step, -2 * step):
            self.put({n: (w + h * v[n]).astype(np.float32) for n, w in start.items()})
            sides.append(self.loss(x))
        self.put(start)
        a, b = (sides[0] - sides[1]) / (2 * step), (sides[2] - sides[3]) / (4 * step)
        return (4 * a - b) / 3

    def check_gradient(self, seed: int, tolerance: float = 2e-3) -> None:
        """Along the gradient itself, where nothing can cancel, and along each weight's share of
        it, so that one weight's mistake is not hidden by the others."""
        x = self.data[seed % len(self.data)]
        g = self.gradient(x)
        norm = float(np.sqrt(sum(np.sum(d * d, dtype=np.float64) for d in g.values())))
        assert norm > 1e-4
        r = np.random.default_rng(seed)
        ways = [{n: d / norm for n, d in g.items()}]
        ways += [{n: d / norm if n == one else 0 * d for n, d in g.items()} for one in g]
        sparse = {n: r.standard_normal(d.shape) * (d != 0) for n, d in g.items()}
        size = float(np.sqrt(sum(np.sum(d * d) for d in sparse.values())))
        ways.append({n: d / size for n, d in sparse.items()})
        for v in ways:
            want = sum(float(np.sum(g[n] * v[n], dtype=np.float64)) for n in g)
            got = self.slope(x, v)
            assert abs(got - want) <= tolerance * max(norm, 0.02), (want, got, norm)


def sgd_gradient(before: dict[str, Array], after: dict[str, Array]) -> dict[str, Array]:
    return {n: (before[n] - after[n]) / RATE for n in before}


def trained(net: dlc.Net, entry: str, prefix: str, data: list[tuple[Any, ...]]) -> Task:
    weights = {n: w for n, w in net.params.items() if n.startswith(prefix)}
    return Task(weights, data, net.entries[entry], sgd_gradient)


def learns(task: Task, epochs: int, rate: float, share: float) -> None:
    """The loss falls below `share` of what it was, and the gradient is right before and after."""
    for seed in range(3):
        task.check_gradient(seed)
    before = task.mean_loss()
    task.train(epochs, rate)
    after = task.mean_loss()
    assert after < share * before, (before, after)
    for seed in range(3, 6):
        task.check_gradient(seed)


# -- Tree-LSTM: is there an odd number of negations above and beside the word?


def polarity(net: dlc.Net, r: Rng, leaves: int) -> tuple[Any, int]:
    """A comb of negations (word 0) over a word that is good (1, 2) or bad (3, 4)."""
    Tree = net.types.Tree
    word = int(r.integers(1, 5))
    t, label = Tree.Leaf(word), int(word > 2)
    for _ in range(leaves - 1):
        if r.random() < 0.5:
            t, label = Tree.Node(Tree.Leaf(0), t), 1 - label
        else:
            t = Tree.Node(Tree.Leaf(5), t)
    return t, label


def test_tree_lstm() -> None:
    net = net_of("treelstm")
    net.init(1, V=6, D=4, H=8, C=2)
    r = np.random.default_rng(1)
    data = [polarity(net, r, int(r.integers(1, 4))) for _ in range(24)]
    learns(trained(net, "train", "m.", data), 60, 0.3, 0.2)


# -- Graphs: nodes of three kinds, arcs within a kind, noisy features


def communities(r: Rng) -> tuple[dlc.Graph, Array, Array]:
    n = 24
    labels = (np.arange(n) % 3).astype(np.int32)
    src, dst = r.integers(0, n, 150), r.integers(0, n, 150)
    keep = labels[src] == labels[dst]
    src, dst = np.append(src[keep], np.arange(n)), np.append(dst[keep], np.arange(n))
    x = vec(r, n, 4) + 1.5 * np.eye(4, dtype=np.float32)[labels]
    return dlc.Graph(src.astype(np.int32), dst.astype(np.int32), n), x, labels


def test_graph_attention() -> None:
    net = net_of("graph_nets")
    net.init(0, F=4, D=3)
    r = np.random.default_rng(2)
    data = [communities(r) for _ in range(2)]
    learns(trained(net, "train_gat", "m.", data), 100, 0.3, 0.5)


def test_graph_convolution() -> None:
    net = net_of("graph_nets")
    r = np.random.default_rng(3)
    w = 0.5 * vec(r, 3, 4)
    step = net.entries["train_gcn"]
    task = Task({"w": w}, [communities(r) for _ in range(2)],
                lambda *a: step(w, *a), sgd_gradient)  # fmt: skip
    learns(task, 100, 0.3, 0.5)


# -- Memories


def story(r: Rng) -> tuple[Any, Array, Array, int]:
    """Four people (0 to 3), each in one of four places (4 to 7): where is one of them?"""
    places = r.permutation(4)
    lines = [(int(p), 4 + int(places[p])) for p in r.permutation(4)]
    who = int(r.integers(4))
    words = np.array(lines, np.int32).reshape(-1)
    return (
        dlc.Segs(np.full(4, 2, np.int32)),
        words,
        np.array([8, who], np.int32),
        int(4 + places[who]),
    )


def memories() -> dlc.Net:
    net = net_of("memory_nets")
    sizes = {"m.V": 9, "m.D": 8, "n.N": 6, "n.M": 3, "n.H": 8, "n.X": 2, "n.Y": 2}
    net.init(4, dims=sizes)
    return net


def test_memory_network() -> None:
    r = np.random.default_rng(5)
    task = trained(memories(), "train_memn2n", "m.", [story(r) for _ in range(16)])
    learns(task, 120, 0.1, 0.2)


def test_turing_machine() -> None:
    """What came in two turns ago comes out."""
    r = np.random.default_rng(6)
    data: list[tuple[Any, ...]] = []
    for turns in (5, 6, 7, 5, 6, 7):
        xs = r.integers(0, 2, (turns, 2)).astype(np.float32)
        data.append((xs, np.concatenate([np.zeros((2, 2), np.float32), xs[:-2]])))
    learns(trained(memories(), "train_ntm", "n.", data), 100, 0.3, 0.6)


# -- Energies: the gradient of what gradient descent has found


def test_energy() -> None:
    net = net_of("energy")
    net.init(0, X=4, Y=3, H=8)
    r = np.random.default_rng(7)
    a = vec(r, 3, 4)
    data = [(x, np.tanh(a @ x)) for x in vec(r, 6, 4)]
    learns(trained(net, "train", "m.", data), 60, 0.1, 0.5)


# -- Adversaries: the generator's points move to where the real ones are


def adversaries() -> tuple[dlc.Net, dict[str, Array]]:
    net = net_of("gan")
    net.init(2, dims={"g.I": 3, "g.H": 8, "g.O": 2, "d.H": 8})
    return net, dict(net.params.items())


@pytest.mark.parametrize("after", [0, 300])
def test_adversarial_gradients(after: int) -> None:
    """The discriminator's gradient is that of its loss; the generator's is taken after the
    discriminator's step."""
    net, weights = adversaries()
    r = np.random.default_rng(8)
    for key in range(after):
        net.step(vec(r, 2), key, 0.05)
    start = {n: w.copy() for n, w in weights.items()}
    x = (vec(r, 2), 77)
    d = {n: w for n, w in weights.items() if n.startswith("d.")}
    g = {n: w for n, w in weights.items() if n.startswith("g.")}

    def discriminator(real: Array, key: int, rate: float) -> float:
        for n, w in g.items():
            w[...] = start[n]
        return float(net.step(real, key, rate)[0])

    Task(d, [x], discriminator, sgd_gradient, NEAR).check_gradient(0)
    net.step(*x, RATE)
    stepped = {n: w.copy() for n, w in d.items()}

    def generator(real: Array, key: int, rate: float) -> float:
        """The loss at the stepped discriminator; with a rate, the step of both from the start."""
        for n, w in d.items():
            w[...] = start[n] if rate else stepped[n]
        return float(net.step(real, key, rate)[1])

    for n, w in g.items():
        w[...] = start[n]
    Task(g, [x], generator, sgd_gradient, NEAR).check_gradient(1)


def test_adversaries() -> None:
    net, _ = adversaries()
    r = np.random.default_rng(9)
    middle = np.array([2.0, -1.0], np.float32)

    def distance() -> float:
        points = np.array([net.generate(k) for k in range(10_000, 10_200)])
        return float(np.linalg.norm(points.mean(0) - middle))

    def losses(keys: range) -> Array:
        """Means of both losses."""
        real = np.random.default_rng(10)
        return np.mean([net.step(middle + 0.3 * vec(real, 2), k, 0.0) for k in keys], axis=0)

    before, first = distance(), losses(range(100))
    for key in range(600):
        net.step(middle + 0.3 * vec(r, 2), key, 0.05)
    assert distance() < 0.4 * before, (before, distance())
    assert losses(range(100))[1] < first[1] + 0.5


# -- Poincare: a table whose gradient is rows, and a step in the disc


def hierarchy() -> Task:
    net = net_of("poincare")
    r = np.random.default_rng(11)
    table = (0.05 * vec(r, 7, 2)).astype(np.float32)
    data: list[tuple[Any, ...]] = []
    for child in range(1, 7):
        parent = (child - 1) // 2
        others = [n for n in range(7) if n not in (child, parent)]
        data.append((child, parent, np.array(others[:4], np.int32)))
    step = net.entries["step"]

    def gradient(before: dict[str, Array], after: dict[str, Array]) -> dict[str, Array]:
        e = before["e"].astype(np.float64)
        scale = (1 - np.sum(e * e, axis=1, keepdims=True)) ** 2 / 4
        return {"e": (e - after["e"]) / (RATE * scale)}

    return Task({"e": table}, data, lambda *a: step(table, *a), gradient, NEAR)


def test_poincare() -> None:
    learns(hierarchy(), 60, 0.05, 0.6)


# -- The test can fail


def test_a_wrong_step_is_noticed() -> None:
    """A gradient that is a fifth too long, or lacks one weight, does not pass."""
    good = hierarchy()

    def longer(before: dict[str, Array], after: dict[str, Array]) -> dict[str, Array]:
        return {n: 1.2 * d for n, d in good.gradient_of(before, after).items()}

    with pytest.raises(AssertionError):
        Task(good.weights, good.data, good.step, longer).check_gradient(0)
    net = net_of("treelstm")
    net.init(1, V=6, D=4, H=8, C=2)
    r = np.random.default_rng(1)
    whole = trained(net, "train", "m.", [polarity(net, r, 3)])

    def without(before: dict[str, Array], after: dict[str, Array]) -> dict[str, Array]:
        g = sgd_gradient(before, after)
        return {**g, "m.bn": np.ones_like(g["m.bn"])}

    with pytest.raises(AssertionError):
        Task(whole.weights, whole.data, whole.step, without).check_gradient(0)
