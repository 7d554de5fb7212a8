"""The forward event list is the residual: a ReLU network trained on events gives the bits of the
dense one, for less work."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.isa import program as p
from dlc.isa.builder import ProgramBuilder
from dlc.isa.cost.measure import measure
from dlc.isa.cost.report import Report
from dlc.isa.machine import Machine, Run
from dlc.isa.project import load_isa

Weights = list[np.ndarray]


def forward_and_backward(b: ProgramBuilder, t: dict[str, int], weights: Weights) -> None:
    """The step on events: the queue of the hidden layer goes over the residual stack."""
    for k, w in enumerate(weights):
        b.emit("w.const", d=k, k=b.matrix(w))
    b.emit("ev.nz", q=0, a=t["x"], b=0)
    b.emit("ev.mv", d=t["pre"], a=0, b=0)
    b.emit("ew.un", d=t["h"], a=t["pre"], fn=b.member("unary", "relu"))
    b.emit("ev.nz", q=1, a=t["h"], b=0)
    b.emit("ev.mv", d=t["y"], a=1, b=1)
    b.emit("tp.push", b=1)
    b.emit("q.clear", q=1)
    b.emit("tp.pop", q=2)
    b.emit("ev.outer", d=t["dw2"], a=1, b=2, c=t["dy"])
    b.emit("ev.mvt", d=t["dh"], a=1, b=2, c=t["dy"])
    b.emit("ev.keep", d=t["dpre"], a=t["dh"], b=2)
    b.emit("ev.outer", d=t["dw1"], a=0, b=0, c=t["dpre"])
    b.emit("ev.mvt", d=t["dx"], a=0, b=0, c=t["dpre"])


def dense_forward_and_backward(b: ProgramBuilder, t: dict[str, int], weights: Weights) -> None:
    for k, w in enumerate(weights):
        row = p.Row("WGT", "f32", w.shape, None, b.data("WGT", w))
        b.emit("td.const", d=t[f"w{k + 1}"], k=b.row(row))
    b.emit("mv", d=t["pre"], a=t["w1"], b=t["x"])
    b.emit("ew.un", d=t["h"], a=t["pre"], fn=b.member("unary", "relu"))
    b.emit("mv", d=t["y"], a=t["w2"], b=t["h"])
    b.emit("outer", d=t["dw2"], a=t["dy"], b=t["h"])
    b.emit("mvt", d=t["dh"], a=t["w2"], b=t["dy"])
    b.emit("ew.bin", d=t["dpre"], a=t["dh"], b=t["pre"], fn=b.member("binary", "gate"))
    b.emit("outer", d=t["dw1"], a=t["dpre"], b=t["x"])
    b.emit("mvt", d=t["dx"], a=t["w1"], b=t["dpre"])


def port(symbol: p.Symbol) -> p.Port:
    size = 4 * int(np.prod(symbol.shape))
    return p.Port(
        symbol.name, "f32", tuple(map(str, symbol.shape)), p.At(symbol.space, symbol.address, size)
    )


def network(weights: Weights, events: bool) -> p.Program:
    """y = W2 relu(W1 x); with dy: h' = W2ᵀ dy where h is active, dx = W1ᵀ h', and both weight
    gradients; on events or dense."""
    b = ProgramBuilder(load_isa())
    (h, x), (y, _) = (w.shape for w in weights)
    b.queue, b.tape_bytes = max(h, x), 1 << 14
    sizes = {"x": x, "pre": h, "h": h, "y": y, "dy": y, "dh": h, "dpre": h, "dx": x}
    spaces = {"x": "SP", "dy": "SP", "h": "SP"}
    made = [b.variable(n, spaces.get(n, "ACC"), "f32", (size,)) for n, size in sizes.items()]
    for k, w in enumerate(weights):
        shape = (np.count_nonzero(w),) if events else w.shape
        made.append(b.variable(f"dw{k + 1}", "ACC", "f32", shape))
    given = tuple(port(s) for s in made if s.name in ("x", "dy"))
    b.entry(
        p.Entry("step", 0, (), given, tuple(port(s) for s in made if s.name not in ("x", "dy")))
    )
    t = {n: k for k, n in enumerate([*(s.name for s in made), "w1", "w2"])}
    with b.function("step"):
        for s in made:
            b.emit(
                "td.const", d=t[s.name], k=b.row(p.Row(s.space, "f32", s.shape, None, s.address))
            )
        for n in ("pre", "y", "dh", "dx", "dw1", "dw2"):
            b.emit("t.fill", d=t[n], a=0)
        (forward_and_backward if events else dense_forward_and_backward)(b, t, weights)
        b.emit("halt")
    return b.finish()


def drawn(seed: int) -> tuple[Weights, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, h, y = rng.integers(1, 90, 3)
    scale = rng.choice([1e-30, 1.0, 1e18])
    weights = [
        (np.where(rng.random(s) < 0.3, rng.standard_normal(s), 0) * scale).astype(np.float32)
        for s in ((h, x), (y, h))
    ]
    value = np.where(rng.random(x) < 0.5, rng.standard_normal(x), 0).astype(np.float32)
    value[rng.random(x) < 0.05] = 1e-42
    return weights, value, rng.standard_normal(y).astype(np.float32)


def both(seed: int) -> tuple[Weights, np.ndarray, list[tuple[Run, Report]]]:
    weights, x, dy = drawn(seed)
    made = [
        measure(Machine.load(network(weights, e)), "step", {"x": x, "dy": dy})
        for e in (True, False)
    ]
    assert all(run.done for run, _ in made), [run for run, _ in made]
    return weights, x, made


@pytest.mark.parametrize("seed", range(24))
def test_event_backward_is_dense_backward(seed: int) -> None:
    weights, x, ((events, _), (dense, _)) = both(seed)
    for name in ("pre", "h", "y", "dpre"):
        a, b = events.results[name], dense.results[name]
        assert np.array_equal(
            (a + np.float32(0)).view(np.uint32), (b + np.float32(0)).view(np.uint32)
        ), name
    active = events.results["h"] > 0
    assert np.array_equal(events.results["dh"][active], dense.results["dh"][active])
    assert np.array_equal(events.results["dx"][x != 0], dense.results["dx"][x != 0])
    for k, w in enumerate(weights):
        rows, cols = np.nonzero(w.T)[::-1]
        assert np.array_equal(events.results[f"dw{k + 1}"], dense.results[f"dw{k + 1}"][rows, cols])


def test_only_what_is_active_costs() -> None:
    weights, x, ((events, sparse), (dense, full)) = both(3)
    columns = [np.count_nonzero(w, axis=0) for w in weights]
    active = [int(columns[0][x != 0].sum()), int(columns[1][events.results["h"] > 0].sum())]
    assert sparse.sparse.counters["mac"] == 3 * sum(active)
    assert (
        full.sparse.counters["mac"]
        == sparse.dense.counters["mac"]
        == 3 * sum(w.size for w in weights)
    )
    assert full.sparse.cycles > sparse.sparse.cycles
    assert dense.results["y"].shape == events.results["y"].shape


def test_every_preset_runs_the_same_program() -> None:
    weights, x, dy = drawn(5)
    found: dict[str, Report] = {}
    results: list[np.ndarray] = []
    for name in load_isa().presets:
        run, found[name] = measure(
            Machine.load(network(weights, True)), "step", {"x": x, "dy": dy}, preset=name
        )
        results.append(run.results["dx"])
    assert all(np.array_equal(r, results[0]) for r in results)
    assert len({r.sparse.counters["mac"] for r in found.values()}) == 1
    assert len({r.sparse.cycles for r in found.values()}) > 1
    assert all(r.sparse.joules > 0 for r in found.values())


def test_sparsity_can_lose() -> None:
    """A full matrix and full events: padding and empty steps make events slower than the dense
    twin."""
    rng = np.random.default_rng(0)
    w = np.where(rng.random((2048, 64)) < 0.06, 1, 0).astype(np.float32)
    isa = load_isa()
    b = ProgramBuilder(isa)
    b.queue = 64
    x, y = b.data("SP", np.ones(64, np.float32)), b.reserve("ACC", 4 * 2048)
    b.entry(p.Entry("main", 0))
    with b.function("main"):
        b.emit("td.const", d=1, k=b.row(p.Row("SP", "f32", (64,), None, x)))
        b.emit("td.const", d=2, k=b.row(p.Row("ACC", "f32", (2048,), None, y)))
        b.emit("w.const", d=0, k=b.matrix(w))
        b.emit("ev.nz", q=0, a=1, b=0)
        b.emit("ev.mv", d=2, a=0, b=0)
        b.emit("halt")
    program = b.finish()
    _, report = measure(Machine.load(program), "main", preset="eie64")
    assert report.sparse.padding_waste > 0.1 and report.speedup > 1
    full = np.ones((128, 64), np.float32)
    b = ProgramBuilder(isa)
    b.queue = 64
    x, y = b.data("SP", np.ones(64, np.float32)), b.reserve("ACC", 512)
    b.entry(p.Entry("main", 0))
    with b.function("main"):
        b.emit("td.const", d=1, k=b.row(p.Row("SP", "f32", (64,), None, x)))
        b.emit("td.const", d=2, k=b.row(p.Row("ACC", "f32", (128,), None, y)))
        b.emit("w.const", d=0, k=b.matrix(full))
        b.emit("ev.all", q=0, a=1)
        b.emit("ev.mv", d=2, a=0, b=0)
        b.emit("halt")
    _, report = measure(Machine.load(b.finish()), "main", preset="eie64")
    assert report.speedup <= 1
