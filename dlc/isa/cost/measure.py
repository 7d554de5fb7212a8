"""Measuring a run: results as ever, and what it cost under a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlc.diag import CompileError, error
from dlc.isa.cost.layout import CAUSES, TRACE_WORDS, C, cost_state
from dlc.isa.cost.model import CostModel
from dlc.isa.cost.report import Report, Traced, costs_of
from dlc.isa.machine import FUEL, Machine, Run
from dlc.isa.model import ArrayUnit, Isa, Preset
from dlc.isa.program import Program
from dlc.isa.reference import ReferenceMachine


def find_preset(isa: Isa, name: str) -> Preset:
    """Raises CompileError E0810."""
    if name not in isa.presets:
        known = ", ".join(f"`{preset}`" for preset in isa.presets)
        raise CompileError(
            error("E0810", f"there is no preset `{name}`").with_note(f"presets: {known}")
        )
    return isa.presets[name]


def measure(
    machine: Machine,
    entry: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    preset: str | Preset = "sparrow",
    fuel: int = FUEL,
    trace: int = 0,
) -> tuple[Run, Report]:
    """Run an entry and report its costs and those of its dense twin. `trace`: instructions to
    record.

    Raises CompileError E0809 (the arguments don't fit), E0810 (no such preset).
    """
    isa = machine.isa
    numbers = find_preset(isa, preset) if isinstance(preset, str) else preset
    bound = machine.bind(entry, arguments or {}, fuel)
    status, report = resume_measured(machine, numbers, trace)
    return machine.outcome(bound, status, fuel), report


def resume_measured(
    machine: Machine, preset: str | Preset = "sparrow", trace: int = 0
) -> tuple[int, Report]:
    """Go on from the present state, as `Machine.resume` does, with the costs of what runs.

    Raises CompileError E0810 (no such preset)."""
    isa = machine.isa
    numbers = find_preset(isa, preset) if isinstance(preset, str) else preset
    if machine.engine == "reference":
        return _measure_reference(machine, numbers, trace)
    from dlc.isa.fast.machine import fast_machine

    sparse, dense = cost_state(isa, numbers, False), cost_state(isa, numbers, True)
    pes = next(u.pes for u in numbers.units.values() if isinstance(u, ArrayUnit))
    rows = np.zeros((max(trace, 1), TRACE_WORDS), np.int64)
    heat = np.zeros((max(trace, 1), pes), np.int64)
    sparse[C.TRACE], sparse[C.TRACE_LIMIT] = rows.ctypes.data, trace
    sparse[C.HEAT] = heat.ctypes.data if trace else 0
    status = fast_machine(isa).run(machine.state, machine.text, (sparse, dense))
    kept = min(int(sparse[C.TRACED]), trace)
    report = Report(
        costs_of(isa, numbers, sparse),
        costs_of(isa, numbers, dense),
        tuple(_traced(row) for row in rows[:kept].tolist()),
        int(sparse[C.TRACED]) - kept if trace else 0,
        heat[:kept] if trace else None,
        exceeded(machine.program, numbers),
    )
    return status, report


def _traced(row: list[int]) -> Traced:
    word, unit, issue, start, end, cause = row
    return Traced(word, unit, issue, start, end, CAUSES[cause - 1] if cause else None)


def exceeded(program: Program, preset: Preset) -> tuple[str, ...]:
    """Spaces of which a program needs more than a preset has."""
    return tuple(
        space for space, size in preset.memories.items() if program.memories.get(space, 0) > size
    )


def _measure_reference(machine: Machine, preset: Preset, trace: int) -> tuple[int, Report]:
    models = [CostModel(machine.isa, preset, dense) for dense in (False, True)]
    reference = ReferenceMachine(machine.isa, machine.state, machine.text)

    def observe(running: ReferenceMachine, decoded: Any) -> None:
        for model in models:
            model(running, decoded)

    reference.observe = observe
    status = reference.run()
    found = [costs_of(machine.isa, preset, model.final()) for model in models]
    rows = models[0].trace[:trace]
    heat = np.array(models[0].heat[:trace], np.int64) if trace else None
    report = Report(
        found[0],
        found[1],
        tuple(_traced(list(row)) for row in rows),
        len(models[0].trace) - len(rows) if trace else 0,
        heat,
        exceeded(machine.program, preset),
    )
    return status, report
