"""Runs of accelerator programs for the command line: inputs in, results and costs out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np

from dlc.artifact.product import Artifact
from dlc.cli.arguments import ArgumentTextError, split_inputs
from dlc.cli.program import parse_bind
from dlc.cli.target import announce_machine
from dlc.cli.values import ValueTextError, read_value
from dlc.diag import CompileError, Diagnostic, error
from dlc.isa import commands
from dlc.isa.cost.report import Report, counts_text, report_text
from dlc.isa.machine import FUEL, Engine
from dlc.isa.program import Entry, Port, Program

if TYPE_CHECKING:
    from dlc.isa.commands import Simulation

Array = np.ndarray[Any, Any]
LIMITS = ("out_of_fuel", "out_of_memory", "stack_overflow", "queue_full")
"""Traps that say that a limit was exceeded, not that the program or its input is wrong."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for. `traced`: instructions to record, 0 for none. Without a
    preset it is the one that a program was compiled for."""

    file: str
    entry: str | None
    inputs: tuple[str, ...]
    bind: tuple[str, ...]
    preset: str | None
    fuel: int | None
    engine: Engine
    seed: int
    weights: str | None
    traced: int
    cold: bool


@dataclass(frozen=True)
class Shown:
    """What a run gave: results by name or, if it stopped, why; and what it cost."""

    entry: str
    results: Mapping[str, Any]
    costs: Report
    fuel: int
    failure: Diagnostic | None = None
    is_limit: bool = False
    trace: str = ""
    heat: str = ""
    lines: str = ""

    def as_json(self) -> dict[str, Any]:
        """Results and costs as plain values."""
        from dlc.cli.results import json_of

        return {
            "entry": self.entry,
            "results": json.loads(json_of(self.results)),
            "fuel": self.fuel,
            "failed": None if self.failure is None else self.failure.message,
            **self.costs.as_json(),
        }


def check_paths(out: str | None, trace_file: str | None) -> None:
    """Refuses early what writing would refuse late."""
    from dlc.cli.results import check_path

    try:
        check_path(out or "-")
    except ValueError as e:
        raise click.UsageError(f"--out {e}") from None
    if trace_file is not None and out is not None and Path(trace_file) == Path(out):
        raise click.UsageError("--trace and --out name one file")


def run(asked: Asked) -> Shown:
    """The run that was asked for.

    Raises CompileError E0805 to E0810, E0901, E0932, click.UsageError (inputs)."""
    if asked.engine == "fast":
        announce_machine()
    artifact = compiled_artifact(asked.file)
    if artifact is not None:
        return _run_compiled(artifact, asked)
    program = commands.load_program(asked.file)
    entry = _entry(program, asked.entry, asked.file)
    if [p.name for p in entry.parameters] == ["block"] and asked.file.endswith(".spw"):
        manifest = Path(asked.file).with_suffix(".manifest.json").name
        text = f"{asked.file} was compiled from a program: {manifest} must lie beside it"
        raise click.UsageError(text)
    if asked.weights is not None or asked.cold:
        option = "--cold" if asked.cold else "--weights"
        raise click.UsageError(f"{option}: this program has no model parameters")
    found = commands.simulate(
        program, entry.name, _arguments(entry, asked), preset=asked.preset or "sparrow",
        fuel=FUEL if asked.fuel is None else asked.fuel, trace=asked.traced, engine=asked.engine,
        name=asked.file,
    )  # fmt: skip
    return _shown(found)


def _entry(program: Program, name: str | None, file: str) -> Entry:
    names = [e.name for e in program.entries]
    if not names:
        raise click.UsageError(f"{file} has no entry: write one with .entry")
    found = program.entry(_named(names, name, file))
    assert found is not None
    return found


def _named(names: Sequence[str], name: str | None, file: str) -> str:
    """The entry that was asked for, or the only one there is. Raises click.UsageError."""
    from dlc.diag.suggest import near

    if name is None:
        if len(names) != 1:
            raise click.UsageError(f"which entry? --entry {names[0]} (there is {', '.join(names)})")
        return names[0]
    if name not in names:
        close = near(name, names)
        hint = f"did you mean `{close[0]}`? " if close else ""
        raise click.UsageError(f"{file} has no entry `{name}`: {hint}there is {', '.join(names)}")
    return name


def _shown(found: Simulation) -> Shown:
    run = found.run
    failure = None if run.done else commands.trap_error(run).diagnostics[0]
    return Shown(
        run.entry, run.results, found.costs, run.fuel, failure, run.trap in LIMITS, found.trace,
        found.heat, found.lines,
    )  # fmt: skip


# -- compiled programs


def compiled_artifact(file: str) -> Artifact | None:
    """The artefact that a program file belongs to, with this file as its program: None without a
    manifest beside it. For the dense twin, the twin is the program. An artefact may also be named
    without a suffix, or by its manifest.

    Raises CompileError E0901, E0931, E0932, E0934 (an artefact for another target)."""
    from dlc.artifact.load import SUFFIX, read_artifact

    at = Path(file)
    base = at.name.removesuffix(SUFFIX)
    if base != at.name or at.with_name(base + SUFFIX).exists():
        return read_artifact(at)
    for ending, role in ((".dense.spw", "twin"), (".spw", "program")):
        base = at.name.removesuffix(ending)
        if base == at.name or not at.with_name(base + SUFFIX).exists():
            continue
        artifact = read_artifact(at.with_name(base))
        if artifact.manifest.file(role) == at.name:
            return _with_twin(artifact) if role == "twin" else artifact
    return None


def _with_twin(artifact: Artifact) -> Artifact:
    """The dense twin as the program."""
    device = dict(artifact.manifest.device or {})
    device.update(program=device.get("twin"), twin=None)
    manifest = replace(artifact.manifest, device=MappingProxyType(device))
    contents = {**artifact.contents, "program": artifact.contents["twin"]}
    return Artifact(manifest, MappingProxyType(contents), artifact.path)


def _run_compiled(artifact: Artifact, asked: Asked) -> Shown:
    """A run as `dlc run` does it. A call that fails is reported, and ends the command."""
    from dlc.artifact.python.net import Net
    from dlc.cli.commands.run import arguments, call
    from dlc.cli.program import give_weights, shown_sizes

    kind = artifact.manifest.kind
    if kind != "sparrow":
        found = error("E0934", f"{asked.file} is an artefact for {kind}, not for the accelerator")
        raise CompileError(found.with_help("compile it with --target sparrow"))
    net = Net(artifact)
    machine = net.machine
    assert machine is not None
    if asked.preset is not None:
        machine.preset = asked.preset
    name = _named(list(net.entries), asked.entry, asked.file)
    values = arguments(net, name, asked.inputs)
    numbers = parse_bind(asked.bind)
    if asked.weights is not None or "weights" not in artifact.contents:
        sizes = {**shown_sizes(net, name, values), **numbers}
        give_weights(net, asked.weights, asked.seed, sizes)
    net.fuel = asked.fuel or net.fuel
    machine.engine, machine.trace, machine.cold = asked.engine, asked.traced, asked.cold
    found = call(net, name, values, {})
    run = net.last_run
    assert run is not None
    shown = Shown(name, found, run.report, run.run.fuel)
    if not asked.traced:
        return shown
    return replace(shown, trace=run.trace(), heat=run.heat(), lines=run.lines())


# -- inputs of bare programs


def _arguments(entry: Entry, asked: Asked) -> dict[str, Any]:
    """Arrays for the parameters of an entry. Raises click.UsageError with all that is wrong."""
    try:
        given = split_inputs(asked.inputs)
    except ArgumentTextError as e:
        raise click.UsageError(f"--in: {e}") from None
    ports = {port.name: port for port in entry.parameters}
    wrong = [f"there is no `{name}`" for name in given if name not in ports]
    wrong += [
        f"`{n}` is missing: --in {n}=… ({_type(p)})" for n, p in ports.items() if n not in given
    ]
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name in ports:
            try:
                values[name] = _array(ports[name], read_value(text))
            except OSError as e:
                wrong.append(f"`{name}`: cannot read {e.filename or 'it'}: {e.strerror or e}")
            except (ValueTextError, ValueError, TypeError) as e:
                wrong.append(f"`{name}`: {e}")
    if wrong:
        raise click.UsageError(f"--in: {entry.name}: " + "\n  ".join(wrong))
    numbers = parse_bind(asked.bind)
    strange = [n for n in numbers if n not in {d.name for d in entry.dims}]
    if strange:
        names = ", ".join(d.name for d in entry.dims if not d.made) or "none"
        raise click.UsageError(f"--bind: {entry.name} has no dim `{strange[0]}`; there is {names}")
    return {**values, **numbers}


def _type(port: Port) -> str:
    return f"{port.dtype}[{', '.join(port.shape)}]" if port.shape else port.dtype


def _array(port: Port, raw: Any) -> Array:
    """A value for a parameter: numbers, of as many axes as it has."""
    if isinstance(raw, dict):
        arrays = cast("dict[str, Array]", raw)
        if len(arrays) != 1:
            raise ValueError(f"the file has {', '.join(arrays) or 'no array'}; one is needed")
        raw = next(iter(arrays.values()))
    value = np.asarray(raw)
    if value.dtype.kind not in "fiub":
        raise ValueError(f"must be numbers ({_type(port)})")
    if value.ndim == 0 and len(port.shape) == 1:
        value = value.reshape(1)
    if value.ndim != len(port.shape):
        raise ValueError(f"must be {_type(port)}, not of shape {list(value.shape)}")
    if not value.size and value.dtype.kind == "f" and port.dtype not in ("f32", "bf16"):
        value = value.astype(np.int64)  # `[]` has no numbers that would tell
    return value


# -- results


def save_results(out: str, results: Mapping[str, Any]) -> None:
    """Writes results to a file. Raises click.ClickException for what it cannot hold."""
    from dlc.cli.results import save

    try:
        save(out, results)
    except ValueError as e:
        raise click.ClickException(str(e)) from None


def texts(shown: Shown, counters: bool, with_results: bool) -> Iterator[str]:
    """What a person is shown: results, then what the run cost."""
    from dlc.cli.results import lines_of

    if with_results and shown.results:
        yield lines_of(shown.results) + "\n\n"
    yield report_text(shown.costs)
    if counters:
        yield counts_text(shown.costs)
