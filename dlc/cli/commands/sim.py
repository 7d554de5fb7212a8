"""`dlc sim`: a program of the accelerator on its model, with what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, EXIT_LIMIT, EXIT_MISMATCH, Outcome, emit, json_option

if TYPE_CHECKING:
    from dlc.cli.simulation import Shown

TRACED = 100_000
"""Instructions that a trace holds unless told otherwise."""


@click.command(
    help="Run a Sparrow program (.spw, or assembly text) on the machine's model: results, cycles, "
    "energy, and the dense twin's beside them. With --gate: a published machine's table against "
    "the model."
)
@click.argument("file")
@click.option("--entry", metavar="NAME", help="The entry to run; not needed if there is one.")
@click.option("--in", "inputs", multiple=True, metavar="NAME=VALUE", help="An input, as for run.")
@click.option("--bind", multiple=True, metavar="N=…", help="Dims that no input shows: N=4.")
@click.option("--preset", metavar="NAME", help="The machine's numbers, if not its own.")
@click.option("--fuel", type=click.IntRange(1, 1 << 62), help="Work units that the run may spend.")
@click.option(
    "--engine", type=click.Choice(["fast", "reference"]), default="fast", show_default=True,
    help="The compiled machine, or the one that follows the text of the ISA.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Draws weights, if none come.")
@click.option("--weights", metavar="FILE", help="Weights of a compiled program: safetensors, npz.")
@click.option("--cold", is_flag=True, help="Weights are read from DRAM, not kept on the machine.")
@click.option("--out", metavar="FILE", help="Results as .npy, .npz, .json or .txt.")
@click.option("--counters", is_flag=True, help="All counts: macs, bytes by memory, events, …")
@click.option("--trace", "trace_file", metavar="FILE", help="A trace for Perfetto or Chrome.")
@click.option("--lines", is_flag=True, help="The source lines that cost most.")
@click.option("--heat", is_flag=True, help="A map of the busy processing elements over time.")
@click.option(
    "--limit", type=click.IntRange(1), default=TRACED, show_default=True,
    help="Instructions that --trace, --lines and --heat look at.",
)  # fmt: skip
@click.option("--gate", metavar="NAME", help="eyeriss2pe, eie64, fifo or horowitz45, on FILE.")
@json_option
def command(
    file: str, entry: str | None, inputs: tuple[str, ...], bind: tuple[str, ...],
    preset: str | None, fuel: int | None, engine: Literal["fast", "reference"], seed: int,
    weights: str | None, cold: bool, out: str | None, counters: bool, trace_file: str | None,
    lines: bool, heat: bool, limit: int, gate: str | None, as_json: bool,
) -> None:  # fmt: skip
    if gate is not None:
        given = {
            "--entry": entry, "--in": inputs, "--bind": bind, "--preset": preset, "--out": out,
            "--trace": trace_file, "--heat": heat, "--fuel": fuel, "--weights": weights,
            "--lines": lines, "--counters": counters,
        }  # fmt: skip
        _gate(gate, file, [name for name, value in given.items() if value], as_json)
        return
    from dlc.cli import simulation

    if file.endswith(".dl"):
        made = f"{Path(file).stem}.spw"
        raise click.UsageError(
            f"{file} is a program in dl: first `dlc compile {file} --target sparrow -o {made}`"
        )
    asked = simulation.Asked(
        file, entry, inputs, bind, preset, fuel, engine, seed, weights,
        limit if trace_file is not None or heat or lines else 0, cold,
    )  # fmt: skip
    simulation.check_paths(out, trace_file)
    shown = simulation.run(asked)
    wanted = [text for text, asked_for in ((shown.lines, lines), (shown.heat, heat)) if asked_for]
    _deliver(shown, out, trace_file, counters, wanted, as_json)


def _gate(name: str, file: str, strange: list[str], as_json: bool) -> None:
    """Exit status 4 where a gate doesn't hold: model and publication differ."""
    from dlc.isa.commands import run_gate

    if strange:
        raise click.UsageError(f"{strange[0]} has no meaning with --gate")
    report = run_gate(name, file)
    if as_json:
        emit(report.as_json())
    else:
        click.echo(report.text(), nl=False)
    if not report.passed:
        raise Outcome(EXIT_MISMATCH)


def _deliver(
    shown: Shown, out: str | None, trace_file: str | None, counters: bool, more: list[str],
    as_json: bool,
) -> None:  # fmt: skip
    from dlc.artifact.publish import write_file
    from dlc.cli import simulation
    from dlc.cli.outcome import report, say

    if trace_file is not None:
        write_file(Path(trace_file), shown.trace.encode())
        say(f"wrote {trace_file}")
    if out is not None and shown.failure is None:
        simulation.save_results(out, shown.results)
        say(f"wrote {out}")
    if as_json:
        emit({**shown.as_json(), **({"texts": more} if more else {})})
    else:
        for text in (*simulation.texts(shown, counters, with_results=out is None), *more):
            click.echo(text, nl=False)
    if shown.failure is not None:
        report([shown.failure], as_json=as_json)
        raise Outcome(EXIT_LIMIT if shown.is_limit else EXIT_DIAGNOSTICS)
