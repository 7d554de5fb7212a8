"""The accelerator's model behind the Python interface: the same values as ever, and costs."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import dlc
from dlc.artifact.load import read_artifact
from dlc.artifact.python.errors import ArenaError, BoundsError, FuelError, WeightsError
from dlc.artifact.python.net import Net
from dlc.diag import CompileError
from dlc.driver.build import Program, build
from dlc.driver.options import Options
from dlc.ir.core import Module
from tests.unit.artifact.test_net import (
    test_a_shared_part_is_given_twice,
    test_a_value_may_be_deep,
    test_a_value_that_contains_itself,
    test_an_array_is_changed_in_place,
    test_failures_of_the_program_have_a_place,
    test_many_threads_share_one_net,
    test_only_what_is_on_disk_is_pickled,
    test_parameters_of_another_net,
    test_save_and_load,
    test_sizes_that_do_not_fit_are_named,
    test_structures,
    test_training_changes_the_parameters,
    test_trees_and_lists,
    test_weights_are_arrays_over_one_block,
    test_wrong_types_are_named,
)
from tests.unit.artifact.zoo import INTERFACE, MODULE

SAME = (
    test_a_shared_part_is_given_twice, test_a_value_may_be_deep, test_a_value_that_contains_itself,
    test_an_array_is_changed_in_place, test_failures_of_the_program_have_a_place,
    test_many_threads_share_one_net, test_only_what_is_on_disk_is_pickled,
    test_parameters_of_another_net, test_save_and_load, test_sizes_that_do_not_fit_are_named,
    test_structures, test_training_changes_the_parameters, test_trees_and_lists,
    test_weights_are_arrays_over_one_block, test_wrong_types_are_named,
)  # fmt: skip
"""What holds for native code and the evaluator holds here, with the fixture `net` below."""

F = np.float32
LAYER = """
from loss import mse
from optim import sgd

model Net[I, H, O]:
    w: f32[H, I]  ~ normal(1.0)
    v: f32[O, H]  ~ normal(1.0)

export fn out(m: Net, x: f32[m.I]) -> f32[m.O]:
    return m.v @ relu(m.w @ x)

fn loss(m: Net, x: f32[m.I], y: f32[m.O]) -> f32:
    return mse(out(m, x), y)

export fn train(m: mut Net, x: f32[m.I], y: f32[m.O], rate: f32) -> f32:
    l, g = value_and_grad(loss, wrt=m)(m, x, y)
    m = sgd(m, g, rate)
    return l

export fn spin(n: i32) -> i32:
    k = n
    while k > 0:
        k = k - 1
    return k
"""


def without(name: str) -> Program:
    """The zoo but an entry with types that the machine lacks."""
    functions = {n: fn for n, fn in MODULE.functions.items() if n != name}
    entries = tuple(e for e in INTERFACE.entries if e.name != name)
    return Program("zoo", Module.of(MODULE.types, functions), replace(INTERFACE, entries=entries))


@pytest.fixture(scope="module")
def artifact() -> Any:
    options = Options(target="sparrow", verify=True)
    return build(without("kinds"), options).artifact


@pytest.fixture
def net(artifact: Any) -> Net:
    made = Net(artifact)
    made.init(7, O=3, I=2)
    return made


@pytest.fixture(scope="module")
def layers() -> dict[str, dlc.Net]:
    return {t: dlc.compile(LAYER, t, name="layer.dl") for t in ("evaluate", "sparrow")}


def started(net: dlc.Net) -> dlc.Net:
    net.init(3, I=6, H=8, O=2)
    return net


def test_what_the_machine_lacks_is_said() -> None:
    with pytest.raises(CompileError) as e:
        build(Program("zoo", MODULE, INTERFACE), Options(target="sparrow"))
    assert e.value.diagnostics[0].code == "E0640"


def test_weights_results_and_training_agree(layers: dict[str, dlc.Net]) -> None:
    oracle, net = started(layers["evaluate"]), started(layers["sparrow"])
    for name, w in oracle.params.items():
        np.testing.assert_allclose(net.params[name], w, rtol=1e-6, err_msg=name)
    x = np.arange(6, dtype=F)
    y = np.array([1, -1], F)
    losses = [[made.train(x, y, 0.01) for _ in range(3)] for made in (oracle, net)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    np.testing.assert_allclose(net.out(x), oracle.out(x), rtol=1e-4)
    for name, w in oracle.params.items():
        np.testing.assert_allclose(net.params[name], w, rtol=1e-4, atol=1e-6, err_msg=name)


def test_costs_of_the_last_run(layers: dict[str, dlc.Net]) -> None:
    net = started(layers["sparrow"])
    x = np.ones(6, F)
    y = net.out(x)
    run = net.last_run
    assert run is not None and run.entry == "out" and run.cycles > 0 < run.joules
    assert run.seconds == run.cycles / 800e6
    assert 0 < run.costs.macs <= run.report.dense.macs == 6 * 8 + 8 * 2
    for unit in run.costs.units:
        idle = unit.issue + unit.data + unit.dram + unit.tail
        assert unit.busy + idle == run.cycles
    assert "dense twin" in str(run) and "DRAM.read" in run.text(counters=True)
    assert layers["evaluate"].last_run is None and layers["evaluate"].machine is None
    machine = net.machine
    assert machine is not None
    machine.preset, machine.engine, machine.trace = "eie64", "reference", 10_000
    np.testing.assert_array_equal(net.out(x), y)
    other = net.last_run
    assert other is not None and other.costs.preset.name == "eie64"
    assert other.report.sparse.instructions == run.report.sparse.instructions
    events = json.loads(other.trace())["traceEvents"]
    assert sum(e["ph"] == "X" for e in events) == other.report.sparse.instructions
    assert other.heat().count("\n") == 65
    with pytest.raises(CompileError):
        machine.preset = "eie65"
    machine.preset, machine.engine, machine.trace = "sparrow", "fast", 0
    net.out(x)
    again = net.last_run
    assert again is not None and again.report.as_json() == run.report.as_json()


def test_weights_stay_on_the_machine_or_come_from_dram(layers: dict[str, dlc.Net]) -> None:
    net = started(layers["sparrow"])
    machine = net.machine
    assert machine is not None
    x, seen = np.ones(6, F), []
    for cold in (False, True):
        machine.cold = cold
        y = net.out(x)
        run = net.last_run
        assert run is not None
        seen.append((y.tolist(), run.costs.counters["DRAM.read"], run.costs.counters["WGT.read"]))
    machine.cold = False
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] + 4 * (6 * 8 + 8 * 2) <= seen[1][1] + 64 and seen[0][2] > seen[1][2] == 0


def test_runs_belong_to_threads(layers: dict[str, dlc.Net]) -> None:
    net = started(layers["sparrow"])
    net.spin(3)
    seen: list[Any] = []

    def work() -> None:
        seen.append(net.last_run)
        net.spin(100)
        seen.append(net.last_run)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    mine = net.last_run
    assert seen[0] is None and mine is not None and seen[1].cycles > mine.cycles


def test_fuel() -> None:
    net = dlc.compile(LAYER, "sparrow", entries=["spin"], fuel=10_000)
    assert net.fuel == 10_000
    with pytest.raises(FuelError):
        net.spin(1_000_000)
    net.fuel = 0
    assert net.spin(10_000) == 0


# -- artefacts


def compiled(**options: Any) -> Any:
    given = {"m.I": 6, "m.H": 8, "m.O": 2}
    return dlc.build(LAYER, "sparrow", name="layer.dl", bind=given, **options)


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        compiled().artifact.publish(tmp_path / name / "net")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_files_and_loading(tmp_path: Path) -> None:
    net = started(dlc.load(compiled()))
    x = np.linspace(-1, 1, 6, dtype=F)
    net.save(tmp_path / "net")
    again = dlc.load(tmp_path / "net")
    np.testing.assert_array_equal(again.out(x), net.out(x))
    one, other = again.last_run, net.last_run
    assert one is not None and other is not None and one.cycles == other.cycles
    spw = tmp_path / "net.spw"
    spw.write_bytes(spw.read_bytes()[:-1] + b"\0")
    with pytest.raises(CompileError) as e:
        dlc.load(tmp_path / "net")
    assert e.value.diagnostics[0].code == "E0932"


def test_a_program_for_another_isa_is_refused() -> None:
    a = compiled().artifact
    data = a.contents["program"]
    whole = data[:16] + b"\xff" * 32 + data[48:-32]
    changed = a.with_contents({"program": whole + hashlib.sha256(whole).digest()})
    with pytest.raises(CompileError) as e:
        Net(changed)
    assert e.value.diagnostics[0].code == "E0806"


def test_compiled_in_weights_are_the_only_ones() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(8, 6)).astype(F) * (rng.random((8, 6)) < 0.2)
    weights = {"m.w": w, "m.v": rng.normal(size=(2, 8)).astype(F)}
    net = dlc.compile(LAYER, "sparrow", weights=weights, weights_mode="embed", entries=["out"])
    x = np.linspace(-1, 1, 6, dtype=F)
    want = weights["m.v"] @ np.maximum(w @ x, 0)
    np.testing.assert_allclose(net.out(x), want, rtol=1e-5, atol=1e-6)
    run = net.last_run
    assert run is not None and run.twin == "compiled"
    assert run.costs.macs <= np.count_nonzero(w) + 16 < run.report.dense.macs == 64
    net.params["m.v"] = np.zeros((2, 8), F)
    with pytest.raises(WeightsError, match="compiled into this program"):
        net.out(x)
    net.params["m.v"] = weights["m.v"]
    np.testing.assert_allclose(net.out(x), want, rtol=1e-5, atol=1e-6)


def test_the_dense_twin_is_a_program_of_its_own() -> None:
    plain, dense = compiled().artifact, compiled(options=Options(dense=True)).artifact
    assert "twin" not in dense.contents and dense.manifest.device is not None
    if "twin" in plain.contents:
        assert plain.contents["twin"] == dense.contents["program"]
    else:
        assert plain.contents["program"] == dense.contents["program"]
    assert MappingProxyType(dict(dense.manifest.device))["program"]["dense"] is True


def test_a_loaded_artefact_knows_its_files(tmp_path: Path) -> None:
    compiled().artifact.publish(tmp_path / "net")
    m = read_artifact(tmp_path / "net").manifest
    assert m.kind == "sparrow" and m.file("program") == "net.spw"


def test_memory_and_bounds(net: Net) -> None:
    assert len(net.upto(100_000)) == 100_000
    for _ in range(3):
        with pytest.raises(BoundsError):
            net.within(7)
    assert net.within(2) == 3.0
    assert issubclass(ArenaError, MemoryError)
