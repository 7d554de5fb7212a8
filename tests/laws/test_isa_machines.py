"""The two machines and the two cost models say the same; traps are precise; declared counts are
executed counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dlc.isa.codec import Decoded
from dlc.isa.cost.layout import C, cost_layout, cost_state
from dlc.isa.cost.model import CostModel
from dlc.isa.cost.report import costs_of
from dlc.isa.fast.machine import fast_machine
from dlc.isa.layout import S
from dlc.isa.project import load_isa
from dlc.isa.reference import ReferenceMachine
from dlc.isa.verify import Verified, verify
from tests.fuzz.isa_programs import FUEL, Generator, differences, make_world
from tests.laws.isa_lab import Case, lay_out, perform

ISA = load_isa()


def made(seed: int) -> Verified:
    world = make_world(ISA, seed)
    found = verify(ISA, Generator(world, fast_machine(ISA), seed).program())
    assert isinstance(found, Verified), found
    found.state.scalars[S.FUEL] = FUEL
    return found


def compared(seeds: range) -> set[str]:
    """Run programs on both machines; the instructions that ran."""
    ran: set[str] = set()
    for seed in seeds:
        program = made(seed)
        other = program.state.copy()
        status = fast_machine(ISA).run(program.state, program.text)
        reference = ReferenceMachine(ISA, other, program.text)
        assert status == reference.run(), seed
        assert not differences(program.state, other), seed
        ran |= set(reference.executed)
    return ran


def test_fast_is_reference() -> None:
    missing = set(ISA.instructions) - compared(range(48))
    assert len(missing) <= 6, missing  # those have their laws


@pytest.mark.full
def test_fast_is_reference_on_many() -> None:
    assert set(ISA.instructions) - compared(range(1000, 1110)) <= {"trap"}


@pytest.mark.parametrize("seed, preset", list(itertools.product(range(100, 106), ISA.presets)))
def test_native_costs_are_reference_costs(seed: int, preset: str) -> None:
    program, numbers = made(seed), ISA.presets[preset]
    states = [program.state, program.state.copy(), program.state.copy()]
    native = (cost_state(ISA, numbers, False), cost_state(ISA, numbers, True))
    fast_machine(ISA).run(states[0], program.text, native)
    layout = cost_layout(ISA)
    for state, words, dense in zip(states[1:], native, (False, True), strict=True):
        machine, model = ReferenceMachine(ISA, state, program.text), CostModel(ISA, numbers, dense)
        machine.observe = model
        machine.run()
        expected = model.final()
        for k in (
            C.CLOCK,
            C.END,
            C.INSTRUCTIONS,
            C.STALL_UNIT,
            C.STALL_DATA,
            C.READY,
        ):
            assert words[k] == expected[k], C(k)
        for first, after in ((layout.units, layout.board), (layout.counters, layout.done)):
            assert np.array_equal(words[first:after], expected[first:after])
        assert np.array_equal(words[layout.busy : layout.ring], expected[layout.busy : layout.ring])
        assert words[C.TRACED] == len(model.trace)


@pytest.mark.parametrize("seed", range(200, 206))
def test_cycles_add_up(seed: int) -> None:
    program = made(seed)
    for preset in ISA.presets.values():
        state = program.state.copy()
        native = (cost_state(ISA, preset, False), cost_state(ISA, preset, True))
        fast_machine(ISA).run(state, program.text, native)
        for words in native:
            costs = costs_of(ISA, preset, words)
            for unit in costs.units:
                assert unit.busy + unit.issue + unit.data + unit.dram + unit.tail == costs.cycles
                assert min(unit.busy, unit.issue, unit.data, unit.dram, unit.tail) >= 0
            for busy, starved in zip(costs.pe_busy, costs.pe_starved, strict=True):
                assert busy + starved <= costs.counters["pe_cycle"] // len(costs.pe_busy)
            assert sum(unit.count for unit in costs.units) >= costs.instructions


BORDERS = ("conv", "conv.dx", "conv.dw", "ev.conv")
"""Declared for the whole window; what falls outside isn't executed."""


def test_declared_macs_are_executed() -> None:
    seen: dict[str, int] = {}

    def observe(machine: ReferenceMachine, decoded: Decoded) -> None:
        instruction = decoded.instruction
        if instruction.mnemonic == "halt":
            return
        values = machine.clauses(instruction).counts(machine.runtime, *decoded.values)
        named = [count.counter for count in instruction.counts]
        declared = sum(v for v, name in zip(values, named, strict=True) if name == "mac")
        alone = ReferenceMachine(ISA, machine.state.copy(), machine.text)
        with np.errstate(all="ignore"):
            alone.clauses(instruction).do(alone.runtime, *decoded.values)
        executed = alone.runtime.mac_calls
        if instruction.mnemonic in BORDERS:
            assert executed <= declared
        else:
            assert executed == declared, instruction.mnemonic
        seen[instruction.mnemonic] = seen.get(instruction.mnemonic, 0) + (executed > 0)

    for seed in range(300, 312):
        program = made(seed)
        machine = ReferenceMachine(ISA, program.state, program.text)
        machine.observe = observe
        machine.run()
    assert sum(n > 0 for n in seen.values()) >= 8


def test_traps_change_nothing_in_either_machine() -> None:
    """Instructions with drawn operands on a live state: a trap leaves every byte and register."""
    import random

    from tests.fuzz.isa_programs import draw

    world = make_world(ISA, 7)
    generator = Generator(world, fast_machine(ISA), 7)
    generator.program()
    program = made(7)
    fast_machine(ISA).run(program.state, program.text)
    state, rng, trapped = program.state, random.Random(1), 0
    for instruction in generator.plain * 3:
        tried = draw(world, rng, instruction)
        state.scalars[S.PC], state.scalars[S.FUEL] = 0, FUEL
        before = state.copy()
        text = (tried, generator.halt)
        if ReferenceMachine(ISA, state, text).check(tried):
            trapped += 1
            assert not differences(before, state)
            after = before.copy()
            assert fast_machine(ISA).run(after, text) > 0
            assert not differences(before, after)
    assert trapped > 100


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_residuals_come_back(engine: str) -> None:
    """Whatever is pushed is popped again, the last one first, and only as what it was."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(5).astype(np.float32)
    n = rng.integers(-(1 << 31), 1 << 31, 7).astype(np.int32)
    case = Case(
        "tp.pusht", {"a": x, "y": np.zeros(5, np.float32), "n": n, "m": np.zeros(7, np.int32)}
    )
    case.queues = {"b": [(1, 2.5), (4, -1.0)], "q": []}
    state, numbers = lay_out(case, ISA)
    state.r[5] = 1 << 62

    def act(mnemonic: str, **operands: int) -> int:
        return perform(Case(mnemonic), engine, state, operands).status  # type: ignore[arg-type]

    underflow, residual = ISA.trap_number("stack_underflow"), ISA.trap_number("residual")
    assert act("tp.popi", d=6) == underflow
    assert act("tp.pusht", a=numbers["a"]) == act("tp.pushn", a=numbers["n"]) == 0
    assert act("tp.push", b=numbers["b"]) == act("tp.pushi", a=5) == 0
    assert act("tp.pop", q=numbers["q"]) == act("tp.popt", d=numbers["y"]) == residual
    assert act("tp.popi", d=6) == 0 and state.r[6] == 1 << 62
    assert act("tp.pop", q=numbers["q"]) == 0
    assert act("tp.popn", d=numbers["m"]) == act("tp.popt", d=numbers["y"]) == 0
    assert act("tp.popi", d=6) == underflow
    from tests.laws.isa_lab import Outcome

    found = Outcome(0, state, numbers)
    assert found.queue("q") == [(1, 2.5), (4, -1.0)]
    assert np.array_equal(found.tensor("y"), x) and np.array_equal(found.tensor("m"), n)
