"""Reports: counts by memory, waiting by cause, energy as counts times prices, traces."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from dlc.diag import CompileError
from dlc.isa.commands import simulate
from dlc.isa.cost.measure import measure
from dlc.isa.cost.report import Report, priced
from dlc.isa.cost.trace import heat_map, heat_text
from dlc.isa.gates import columns_cycles, random_mask
from dlc.isa.machine import Machine
from dlc.isa.model import ArrayUnit, Preset, RateUnit
from dlc.isa.program import Program
from dlc.isa.project import load_isa
from tests.unit.isa.test_listing import assemble_lines

ISA = load_isa()


def report_of(lines: list[str], preset: str | Preset = "sparrow", trace: int = 0) -> Report:
    head = [
        ".memory SP 1024",
        ".memory ACC 1024",
        ".memory DRAM 4096",
        ".queue 64",
        ".row SP f32 [64]",
        ".row ACC f32 [64]",
        ".row DRAM f32 [64]",
        ".row SP bf16 [64] offset 512",
        ".row SP f32 [64] offset 256",
    ]
    program: Program = assemble_lines([*head, *lines, "halt"])
    run, report = measure(Machine.load(program), "main", preset=preset, trace=trace)
    assert run.done, run
    return report


def test_traffic_goes_to_the_memory_of_the_operand() -> None:
    counters = report_of(["td.const t1, &0", "td.const t2, &1", "t.copy t2, t1"]).sparse.counters
    assert (counters["SP.read"], counters["ACC.write"], counters["DRAM.read"]) == (256, 256, 0)
    counters = report_of(["td.const t1, &2", "td.const t2, &3", "t.copy t2, t1"]).sparse.counters
    assert (counters["DRAM.read"], counters["SP.write"]) == (256, 128)  # bf16 has two bytes


def test_units_overlap_until_data_makes_them_wait() -> None:
    setup = ["td.const t1, &0", "td.const t2, &1", "td.const t3, &4"]
    apart = report_of([*setup, "t.copy t2, t1", "ew.un t3, t3, relu"])
    chained = report_of([*setup, "t.copy t2, t1", "ew.un t3, t2, relu"])
    fenced = report_of([*setup, "t.copy t2, t1", "wait #2", "ew.un t3, t3, relu"])
    readers = report_of([*setup, "t.copy t2, t1", "ew.un t3, t1, relu"])
    assert (
        apart.sparse.cycles < chained.sparse.cycles and apart.sparse.cycles < fenced.sparse.cycles
    )
    assert readers.sparse.cycles == apart.sparse.cycles  # readers don't wait for readers
    assert chained.sparse.stalls["data"] > apart.sparse.stalls["data"]


def test_dram_holds_a_unit() -> None:
    setup = ["td.const t1, &0", "td.const t2, &2", "ew.un t1, t2, relu"]
    vector = next(u for u in report_of(setup).sparse.units if u.name == "vector")
    dma = next(u for u in report_of(setup).sparse.units if u.name == "dma")
    assert vector.dram > 0 and dma.busy == 16 + 256 // 64


def test_cycles_by_hand() -> None:
    costs = report_of(["li r1, #3", "mul r2, r1, r1", "add r3, r2, r1"]).sparse
    assert costs.cycles == 1 + 3 + 1 + 1 and costs.instructions == 4
    assert costs.counters["alu"] == 2


def test_energy_is_counts_times_prices() -> None:
    costs = report_of(["td.const t1, &0", "td.const t2, &1", "axpy t2, t1, f1"]).sparse
    c = costs.counters
    assert c["mac"] == 64
    assert costs.energy["arithmetic"] == pytest.approx(64 * 4.6)
    assert costs.energy["accumulators"] == pytest.approx((c["ACC.read"] + c["ACC.write"]) * 20 / 8)
    assert costs.joules == pytest.approx(sum(costs.energy.values()) * 1e-12)
    assert set(priced(ISA, "eie", c)) == {*ISA.quantities["eie_pe"], "dram"}


def test_energy_of_a_layer_by_component() -> None:
    """Alex-6 on `eie64`: the split of EIE's element, near 0.6 W for the published 30.3 us."""
    rng = np.random.default_rng(0)
    listed = int(9216 * 0.351)
    pointers, rows = random_mask(rng, 4096, listed, 0.09)
    cycles, _, _ = columns_cycles(
        ISA, ISA.presets["eie64"], pointers, rows, np.arange(listed, dtype=np.int32)
    )
    counters = dict.fromkeys((p.counter for p in ISA.energies["eie"].prices), 0) | {
        "pe_cycle": 64 * cycles
    }
    energy = {k: v * 1e-6 for k, v in priced(ISA, "eie", counters).items()}
    expected = {
        "sparse_matrix_read": 9.08,
        "pointer_read": 3.32,
        "arithmetic": 2.13,
        "activation_rw": 2.05,
        "queue": 0.21,
        "dram": 0.0,
    }
    assert {k: round(v, 2) for k, v in energy.items()} == pytest.approx(
        expected, rel=0.01, abs=0.01
    )


def test_more_lanes_and_elements_are_never_slower() -> None:
    rng = np.random.default_rng(1)
    pointers, rows = random_mask(rng, 512, 64, 0.2)
    base = ISA.presets["sparrow"]
    times: list[int] = []
    for pes, lanes in ((1, 1), (8, 1), (8, 4), (64, 4)):
        array = ArrayUnit(pes, lanes, 0, 8, 1, 0, 0)
        preset = replace(base, units={**base.units, "array": array})
        times.append(columns_cycles(ISA, preset, pointers, rows, np.arange(64, dtype=np.int32))[0])
    assert times == sorted(times, reverse=True)


def test_trace_and_heat() -> None:
    lines = [
        "td.const t1, &0",
        "td.const t2, &1",
        "ev.all q0, t1",
        "w.const w0, %0",
        "ev.mv t2, w0, q0",
    ]
    matrix = [
        ".memory WGT 64",
        ".memory IDX 320",
        ".data IDX 0",
        ".i32 0" + " 1" * 64 + " 0",
        ".matrix 64 64 1 pointers 0 row 260 values 0 dtype f32 codebook 0",
    ]
    report = report_of([*matrix, *lines], trace=100)
    assert [t.word for t in report.trace] == list(range(6)) and report.dropped == 0
    assert all(t.issue <= t.start <= t.end for t in report.trace)
    assert max(t.end for t in report.trace) == report.sparse.cycles
    shares = heat_map(report, 8)
    assert shares.shape == (64, 8) and (shares <= 1 + 1e-9).all()
    assert shares[0].sum() > 0 and shares[1:].sum() == 0
    assert len(heat_text(report).splitlines()) == 65
    short = report_of([*matrix, *lines], trace=2)
    assert len(short.trace) == 2 and short.dropped == 4


def test_the_trace_is_chrome_json() -> None:
    program = assemble_lines([".memory SP 64", '.mark "a.dl" 2 3', "li r1, #1", "halt"])
    events = json.loads(simulate(program, trace=10).trace)["traceEvents"]
    steps = [e for e in events if e["ph"] == "X"]
    assert [s["name"] for s in steps] == ["li", "halt"] and steps[0]["args"]["source"] == "a.dl:2:3"
    assert steps[1]["ts"] == pytest.approx(1 / 800)


def test_programs_larger_than_the_preset() -> None:
    program = assemble_lines([".memory SP 524288", "halt"])
    assert simulate(program, preset="sparrow").costs.exceeded == ("SP",)
    assert "more than sparrow has of: SP" in simulate(program).report
    assert simulate(program, preset="dense16").costs.exceeded == ()


def test_presets_are_numbers() -> None:
    for preset in ISA.presets.values():
        assert set(preset.units) == {u.name for u in ISA.units}
        assert all(isinstance(n, RateUnit | ArrayUnit) for n in preset.units.values())
    with pytest.raises(CompileError):
        simulate(assemble_lines(["halt"]), preset="tpu")
