"""What the commands `asm`, `dis` and `sim` do, without printing: files in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlc.diag import CompileError, SourceFile, error
from dlc.isa.cost.measure import measure
from dlc.isa.cost.report import Report, report_text
from dlc.isa.cost.trace import heat_text, lines_text, trace_json
from dlc.isa.gates import GateReport, run_gate
from dlc.isa.listing import assemble, disassemble
from dlc.isa.machine import FUEL, Engine, Machine, Run
from dlc.isa.program import Program
from dlc.isa.project import load_isa
from dlc.isa.spw import read_program, write_program

__all__ = [
    "GateReport",
    "Simulation",
    "assemble_text",
    "disassemble_file",
    "load_program",
    "program_bytes",
    "run_gate",
    "simulate",
]


def load_program(path: str | Path) -> Program:
    """The program of an `.spw` file, or of an assembly text (any other ending).

    Raises CompileError E0901 (unreadable), E0805, E0806 (a bad program file), E0803, E0804 (a bad
    text).
    """
    path = Path(path)
    if path.suffix == ".spw":
        return read_program(load_isa(), _bytes(path), str(path))
    try:
        text = _bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise CompileError(
            error("E0803", f"{path} is neither a program file nor UTF-8 text")
        ) from None
    return assemble_text(text, str(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise CompileError(error("E0901", f"cannot read {path}: {e.strerror or e}")) from None


def assemble_text(text: str, name: str = "<text>") -> Program:
    """The program of an assembly text.

    Raises CompileError E0803, E0804.
    """
    return assemble(load_isa(), SourceFile(name, text))


def program_bytes(program: Program) -> bytes:
    """The `.spw` file of a program: the same bytes for the same program."""
    return write_program(program)


def disassemble_file(path: str | Path) -> str:
    """The assembly text of a program file."""
    return disassemble(load_isa(), load_program(path))


@dataclass(frozen=True, slots=True)
class Simulation:
    """A run with its costs. `report` is text for people, `trace` Chrome's JSON (empty unless
    asked for), `heat` a map in characters, `lines` the costliest lines of the source."""

    run: Run
    costs: Report
    report: str
    trace: str
    heat: str
    lines: str

    def as_json(self) -> dict[str, Any]:
        """The run and its costs as plain values; results are nested lists."""
        run = self.run
        return {
            "entry": run.entry,
            "trap": run.trap,
            "code": run.code,
            "word": run.word,
            "fuel": run.fuel,
            "results": {name: value.tolist() for name, value in run.results.items()},
            **self.costs.as_json(),
        }


def simulate(
    program: Program,
    entry: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    *,
    preset: str = "sparrow",
    fuel: int = FUEL,
    trace: int = 0,
    engine: Engine = "fast",
    parameters: Mapping[str, Any] | None = None,
    name: str = "program",
) -> Simulation:
    """Verify, load and run a program, with its costs. `entry` may be left out where there is
    one. `parameters` go to symbols first.

    Raises CompileError E0807 (not verified), E0808 (too large), E0809 (entry or arguments), E0810
    (preset).
    """
    machine = Machine.load(program, engine=engine, name=name)
    if entry is None:
        if len(program.entries) != 1:
            names = ", ".join(f"`{e.name}`" for e in program.entries) or "none"
            raise CompileError(error("E0809", f"{name}: which entry? It has {names}"))
        entry = program.entries[0].name
    for symbol, value in (parameters or {}).items():
        machine.write(symbol, value)
    run, costs = measure(machine, entry, arguments, preset=preset, fuel=fuel, trace=trace)
    traced = trace_json(machine.isa, program, machine.text, costs) if trace else ""
    heat, lines = (heat_text(costs), lines_text(program, costs)) if trace else ("", "")
    return Simulation(run, costs, report_text(costs), traced, heat, lines)


def trap_error(run: Run) -> CompileError:
    """The diagnostic of a run that trapped, for a command that can't go on."""
    code = f" (code {run.code})" if run.trap == "user" else ""
    where = f" at {run.mark.file}:{run.mark.line}:{run.mark.column}" if run.mark else ""
    doc = next(trap.doc for trap in load_isa().traps if trap.name == run.trap)
    made = error(
        "E0812", f"`{run.entry}` stopped at word {run.word}{where}: trap `{run.trap}`{code}"
    )
    return CompileError(made.with_note(doc))
