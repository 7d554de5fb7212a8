"""`dlc verify`: native code against the evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dlc.cli.outcome import EXIT_MISMATCH, Outcome, emit, json_option, say
from dlc.cli.program import bind_option

if TYPE_CHECKING:
    from dlc.artifact.python.net import Net


@click.command(help="Compare native code with the evaluator, on random or given inputs.")
@click.argument("file")
@click.option("--entry", "entries", multiple=True, metavar="NAME", help="Only these exports.")
@bind_option
@click.option("--runs", type=click.IntRange(1, 1_000_000), default=10, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**62), default=0, show_default=True)
@click.option("--weights", metavar="FILE", help="Weights: safetensors or npz; random otherwise.")
@click.option("--in", "inputs", multiple=True, metavar="NAME=VALUE", help="An input, as for run.")
@click.option("--bisect", is_flag=True, help="ONNX: name the first value that differs.")
@json_option
def command(
    file: str, entries: tuple[str, ...], bind: tuple[str, ...], runs: int, seed: int,
    weights: str | None, inputs: tuple[str, ...], bisect: bool, as_json: bool,
) -> None:  # fmt: skip
    from dlc.cli import onnx_verify, program
    from dlc.driver.onnx import ImportedProgram, OnnxModel
    from dlc.driver.options import Options

    numbers = program.parse_bind(bind)
    checked = program.front(file)
    names = list(dict.fromkeys(entries)) or [e.rsplit(".", 1)[-1] for e in checked.exports]
    if inputs:
        names, runs = [program.the_entry(checked, names[0] if len(names) == 1 else None)], 1
    if bisect and not isinstance(checked, OnnxModel):
        raise click.UsageError("--bisect follows the operators of an ONNX model")
    low = program.lowered(checked, numbers, names)
    made = program.program_of(checked, low)
    oracle = program.net_of(made, Options(target="evaluate"))
    native = program.net_of(made, Options(target="cpu"))
    differ = False
    # Which of several wrong sizes of an ONNX model is found first is nobody's promise.
    strict = not isinstance(checked, OnnxModel)
    for name in names:
        agreed, ended = 0, 0
        found: str | None = None
        at = seed
        for at in range(seed, seed + runs):
            found, status = _run(oracle, native, name, at, weights, inputs, strict)
            if found is not None:
                break
            agreed, ended = agreed + 1, ended + (status is not None)
        differ = differ or found is not None
        where = None if found is None else at
        _say(name, agreed, ended, found, where, as_json, bool(inputs))
    if isinstance(low, ImportedProgram) and isinstance(checked, OnnxModel):
        drawn = [_inputs(oracle, names[0], at, inputs) for at in range(seed, seed + runs)]
        if weights is None:
            c = onnx_verify.against_runtime(checked, low.imported, drawn)
            differ = onnx_verify.tell(names[0], c, "runs", as_json) or differ
        for c in onnx_verify.bisect(checked, numbers, drawn[0]) if bisect else ():
            differ = onnx_verify.tell(names[0], c, "values", as_json) or differ
    if differ:
        raise Outcome(EXIT_MISMATCH)


def _run(
    oracle: Net,
    native: Net,
    name: str,
    seed: int,
    weights: str | None,
    texts: tuple[str, ...],
    strict: bool,
) -> tuple[str | None, str | None]:
    """The first difference of one run, and the status if both ended with one (the same, if
    `strict`)."""
    import numpy as np

    from dlc.cli.comparison import first_difference
    from dlc.cli.program import give_weights
    from dlc.cli.random_inputs import sizes_of

    sizes = sizes_of(oracle.interface, np.random.default_rng(seed))
    for net in (oracle, native):
        give_weights(net, weights, seed, sizes)
    found = first_difference(_weights(native), _weights(oracle))
    if found is not None:
        return f"initial weights: {found}", None
    want, status = _called(oracle, name, seed, texts)
    got, other = _called(native, name, seed, texts)
    if (status != other) if strict else ((status is None) != (other is None)):
        return f"native code ends with {other or 'ok'}, the evaluator with {status or 'ok'}", None
    if status is not None:
        return None, status
    return first_difference({**got, **_weights(native)}, {**want, **_weights(oracle)}), None


def _weights(net: Net) -> dict[str, Any]:
    return dict(net.params.arrays())


def _called(
    net: Net, name: str, seed: int, texts: tuple[str, ...]
) -> tuple[Mapping[str, Any], str | None]:
    """The results by name, or the status and its line."""
    from dlc.artifact.python.entry import python_name
    from dlc.artifact.python.errors import CallError
    from dlc.cli.commands.run import complaint, named

    info = net.entries[name].border.entry
    values = _inputs(net, name, seed, texts)
    try:
        got = net.entries[name](**{python_name(n): v for n, v in values.items()})
    except CallError as e:
        return {}, f"{e.status} at line {e.line}" if e.line else e.status
    except (TypeError, ValueError) as e:
        raise complaint(e) from None
    out = named(got)
    return {**out, **{p.name: values[p.name] for p in info.parameters if _comes_back(p)}}, None


def _inputs(net: Net, name: str, seed: int, texts: tuple[str, ...]) -> dict[str, Any]:
    """The inputs that are given, or random ones."""
    from dlc.cli.commands.run import arguments
    from dlc.cli.random_inputs import Source

    if texts:
        return arguments(net, name, texts)
    info = net.entries[name].border.entry
    return Source(net.interface, net.types, dict(net.dims.items()), seed).inputs(info)


def _comes_back(p: Any) -> bool:
    return p.mut and p.parameter_set is None


def _say(
    name: str,
    agreed: int,
    ended: int,
    found: str | None,
    seed: int | None,
    as_json: bool,
    given: bool,
) -> None:
    if as_json:
        emit({"entry": name, "agreed": agreed, "ended": ended, "differs": found, "seed": seed})
    elif found is not None:
        click.echo(f"{name}: DIFFERS after {agreed} run{'' if agreed == 1 else 's'}: {found}")
        if not given:
            say(f"  see it again: --entry {name} --seed {seed} --runs 1")
    else:
        more = f" ({ended} ended with the same status)" if ended else ""
        click.echo(f"{name}: {agreed} run{'' if agreed == 1 else 's'} agree{more}")
