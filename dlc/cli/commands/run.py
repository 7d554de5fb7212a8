"""`dlc run`: a program compiled in memory, and one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, EXIT_LIMIT, Outcome, json_option, report, say
from dlc.cli.program import bind_option
from dlc.cli.target import announce_machine, options_of, target_option
from dlc.typesys import surface

if TYPE_CHECKING:
    from dlc.artifact.python.modelled import ModelledRun
    from dlc.artifact.python.net import Net
    from dlc.diag import SourceFile


@click.command(help="Compile a program in memory and call one of its functions.")
@click.argument("file")
@click.option("--entry", metavar="NAME", help="The function to call; not needed if there is one.")
@bind_option
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the weights.")
@click.option("--weights", metavar="FILE", help="Weights: safetensors or npz.")
@target_option
@click.option(
    "--in", "inputs", multiple=True, metavar="NAME=VALUE",
    help="An input: x=1,2,3, t='Node(Leaf(1), Leaf(2))', x=@a.npy, g=@graph.npz.",
)  # fmt: skip
@click.option("--out", metavar="FILE",
    help="FILE.npy, .npz, .json or .txt (folders are made); `-` is standard output.",
)  # fmt: skip
@json_option
def command(
    file: str, entry: str | None, bind: tuple[str, ...], seed: int, weights: str | None,
    target: str, inputs: tuple[str, ...], out: str | None, as_json: bool,
) -> None:  # fmt: skip
    from dlc.cli import program, results

    options = options_of(target)
    numbers = program.parse_bind(bind)
    try:
        results.check_path(out or "-")
    except ValueError as e:
        raise click.UsageError(f"--out {e}") from None
    checked = program.front(file)
    name = program.the_entry(checked, entry)
    low = program.lowered(checked, numbers, [name])
    net = program.net_of(program.program_of(checked, low), options)
    values = arguments(net, name, inputs)
    if net.machine is not None:
        announce_machine()
    program.give_weights(net, weights, seed, program.shown_sizes(net, name, values))
    found = call(net, name, values, checked.modules, program.operators(checked, low))
    _deliver(found, out, as_json)
    if net.last_run is not None and not as_json:
        say(cost_line(net.last_run))


def arguments(net: Net, name: str, texts: Sequence[str]) -> dict[str, Any]:
    """The inputs as values. Raises click.UsageError with everything that is wrong."""
    from dlc.cli.arguments import ArgumentTextError, Reader, read_inputs
    from dlc.cli.values import read_value

    info = net.entries[name].border.entry
    reader = Reader(net.interface, net.types)
    try:
        return read_inputs(reader, info, texts, read_value)
    except ArgumentTextError as e:
        raise click.UsageError(f"--in: {e}") from None


def call(
    net: Net,
    name: str,
    values: Mapping[str, Any],
    modules: Mapping[str, SourceFile] | None = None,
    operators: Mapping[tuple[str, int], str] | None = None,
) -> dict[str, Any]:
    """The results by name: `result` (`result.0`, … for several), and the inputs that have changed.

    A call that fails is reported, and ends the command."""
    from dlc.artifact.python.entry import python_name
    from dlc.artifact.python.errors import ArenaError, CallError
    from dlc.cli.failures import diagnostic

    info = net.entries[name].border.entry
    try:
        got = net.entries[name](**{python_name(n): v for n, v in values.items()})
    except CallError as e:
        report([diagnostic(e, modules, operators)])
        limit = isinstance(e, ArenaError) or e.status in ("space", "fuel")
        raise Outcome(EXIT_LIMIT if limit else EXIT_DIAGNOSTICS) from None
    except MemoryError:
        say(f"dlc: {name}: out of memory")
        raise Outcome(EXIT_LIMIT) from None
    except (TypeError, ValueError) as e:
        raise complaint(e) from None
    out = named(got, info.result)
    for p in info.parameters:
        if p.mut and p.parameter_set is None:
            out[p.name] = values[p.name]
    return out


def complaint(e: Exception) -> Exception:
    """An error of a call as one about its inputs. Complaints about arguments name them in
    backticks; anything else is a bug of ours and stays what it is."""
    return click.UsageError(f"--in: {e}") if "`" in str(e) else e


def named(got: Any, result: surface.Type) -> dict[str, Any]:
    """The parts of a result by name; the None of an `Option` is a result as any other."""
    if isinstance(result, surface.Unit):
        return {}
    if isinstance(got, tuple):
        return {f"result.{i}": v for i, v in enumerate(got)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return {"result": got}


def cost_line(run: ModelledRun) -> str:
    """What a call cost on the modelled machine; `dlc sim` tells more."""
    costs, dense = run.report.sparse, run.report.dense
    return (
        f"{costs.cycles:,} cycles, {costs.seconds * 1e6:.4g} us, {costs.joules * 1e6:.4g} uJ on "
        f"{costs.preset.name} (the dense twin: {dense.cycles:,} cycles, "
        f"{dense.joules * 1e6:.4g} uJ)"
    )


def _deliver(found: Mapping[str, Any], out: str | None, as_json: bool) -> None:
    from dlc.cli.results import json_of, lines_of, save

    try:
        if out is not None and out != "-":
            save(out, found)
            say(f"wrote {out}")
        elif as_json:
            click.echo(json_of(found))
        else:
            click.echo(lines_of(found))
    except ValueError as e:
        raise click.ClickException(str(e)) from None
