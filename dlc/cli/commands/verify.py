"""`dlc verify`: the back ends against the evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from dlc.cli.outcome import EXIT_MISMATCH, Outcome, emit, json_option, say
from dlc.cli.program import bind_option

if TYPE_CHECKING:
    from dlc.artifact.python.net import Net
    from dlc.check.program import Checked
    from dlc.driver.build import Program
    from dlc.driver.options import Options

TARGETS, ONNX_TARGETS = ("cpu", "sparrow"), ("cpu",)
"""What is compared with the evaluator unless targets are named. Imported models are large for a
modelled machine."""


@click.command(help="Compare back ends with the evaluator, on random or given inputs.")
@click.argument("file")
@click.option("--entry", "entries", multiple=True, metavar="NAME", help="Only these exports.")
@bind_option
@click.option(
    "--target", "targets", multiple=True, metavar="NAME",
    help="Only this back end: cpu, sparrow, sparrow:PRESET. May be given more than once.",
)  # fmt: skip
@click.option("--runs", type=click.IntRange(1, 1_000_000), default=10, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**62), default=0, show_default=True)
@click.option("--weights", metavar="FILE", help="Weights: safetensors or npz; random otherwise.")
@click.option("--in", "inputs", multiple=True, metavar="NAME=VALUE", help="An input, as for run.")
@click.option("--bisect", is_flag=True, help="ONNX: name the first value that differs.")
@json_option
def command(
    file: str, entries: tuple[str, ...], bind: tuple[str, ...], targets: tuple[str, ...],
    runs: int, seed: int, weights: str | None, inputs: tuple[str, ...], bisect: bool,
    as_json: bool,
) -> None:  # fmt: skip
    from dlc.cli import onnx_verify, program
    from dlc.cli.target import options_of
    from dlc.driver.onnx import ImportedProgram, OnnxModel

    numbers = program.parse_bind(bind)
    checked = program.front(file)
    names = list(dict.fromkeys(entries)) or program.all_entries(checked)
    if inputs:
        names, runs = [program.the_entry(checked, names[0] if len(names) == 1 else None)], 1
    default = ONNX_TARGETS if isinstance(checked, OnnxModel) else TARGETS
    wanted = {name: options_of(name) for name in targets or default}
    if bisect and not isinstance(checked, OnnxModel):
        raise click.UsageError("--bisect follows the operators of an ONNX model")
    if not isinstance(checked, OnnxModel):
        numbers |= _drawn_consts(checked, names, numbers, seed)
    low = program.lowered(checked, numbers, names)
    made = program.program_of(checked, low)
    oracle = program.net_of(made, options_of("evaluate"))
    differ = False
    fits: dict[str, dict[str, int]] = {}
    # Which of several wrong sizes of an ONNX model is found first is nobody's promise.
    strict = not isinstance(checked, OnnxModel)
    for target, options in wanted.items():
        net = _back_end(made, options, bool(targets))
        for name in names if net is not None else ():
            assert net is not None
            of = Runs(name, target, runs, seed, weights, inputs, strict)
            c = _compared(oracle, net, of, fits)
            differ = differ or c.differs is not None
            _say(c, len(wanted) > 1, as_json)
    if isinstance(low, ImportedProgram) and isinstance(checked, OnnxModel):
        drawn = [_inputs(oracle, names[0], at, inputs) for at in range(seed, seed + runs)]
        if weights is None:
            c = onnx_verify.against_runtime(checked, low.imported, drawn)
            differ = onnx_verify.tell(names[0], c, "runs", as_json) or differ
        for c in onnx_verify.bisect(checked, numbers, drawn[0]) if bisect else ():
            differ = onnx_verify.tell(names[0], c, "values", as_json) or differ
    if differ:
        raise Outcome(EXIT_MISMATCH)


@dataclass(frozen=True)
class Runs:
    """Calls of an entry on a back end, with random inputs of these seeds or those given; with
    `strict` both must end with the same status, else both with some."""

    entry: str
    target: str
    runs: int
    seed: int
    weights: str | None
    inputs: tuple[str, ...]
    strict: bool


@dataclass(frozen=True)
class Compared:
    """How many runs agreed, how many of those ended with a status (`statuses`: with which, and at
    which lines), and the first difference with its seed."""

    of: Runs
    agreed: int
    ended: int
    differs: str | None = None
    seed: int | None = None
    statuses: tuple[str, ...] = ()


def _back_end(made: Program, options: Options, asked: bool) -> Net | None:
    """The program on a back end; None, with a word, where that lacks something and nobody asked
    for it by name."""
    from dlc.cli.program import net_of
    from dlc.diag import CompileError

    try:
        return net_of(made, options)
    except CompileError as e:
        if asked or options.target != "sparrow":
            raise
        say(f"sparrow: not compared: {e.diagnostics[0].message}")
        return None


def _drawn_consts(
    checked: Checked, names: list[str], numbers: Mapping[str, int], seed: int
) -> dict[str, int]:
    """Numbers for the consts that have none, said."""
    from dlc.cli.sizes import with_consts

    drawn = with_consts(checked, names, numbers, seed)
    if drawn:
        told = ", ".join(f"{name} = {n}" for name, n in drawn.items())
        say(f"drawn: {told} (--bind for others)")
    return drawn


def _compared(oracle: Net, net: Net, of: Runs, fits: dict[str, dict[str, int]]) -> Compared:
    """All runs. Where drawn sizes are not what the program demands, one that fits is looked for
    once, said, and kept in `fits`, by entry."""
    agreed, ended = 0, 0
    statuses: dict[str, None] = {}
    for at in range(of.seed, of.seed + of.runs):
        found, status = _run(oracle, net, of, at, fits.get(of.entry, {}))
        first = at == of.seed and of.entry not in fits
        if first and status is not None and status.startswith("shape"):
            fits[of.entry] = _fitting(oracle, of, status)
            if fits[of.entry]:
                found, status = _run(oracle, net, of, at, fits[of.entry])
        if found is not None:
            return Compared(of, agreed, ended, found, at)
        agreed, ended = agreed + 1, ended + (status is not None)
        if status is not None:
            statuses[status] = None
    return Compared(of, agreed, ended, statuses=tuple(statuses))


def _fitting(oracle: Net, of: Runs, status: str) -> dict[str, int]:
    """A size of weights with which the entry, by the evaluator, does not end for its sizes."""
    import numpy as np

    from dlc.cli.program import give_weights
    from dlc.cli.random_inputs import sizes_of
    from dlc.cli.sizes import fitting

    if of.inputs or of.weights is not None:
        return {}

    def ends(sizes: dict[str, int]) -> str | None:
        give_weights(oracle, None, of.seed, sizes)
        return _called(oracle, of.entry, of.seed, ())[1]

    sizes = sizes_of(oracle.interface, np.random.default_rng(of.seed))
    found = fitting(oracle.interface, sizes, ends) or {}
    for name, n in found.items():
        say(f"{of.entry}: {name} = {n} from here on, as other sizes end with {status}")
    return found


def _run(
    oracle: Net, other: Net, of: Runs, seed: int, fit: Mapping[str, int]
) -> tuple[str | None, str | None]:
    """The first difference of one run, and the status if both ended with one."""
    import numpy as np

    from dlc.cli.comparison import first_difference
    from dlc.cli.program import give_weights, shown_sizes
    from dlc.cli.random_inputs import sizes_of

    sizes = {**sizes_of(oracle.interface, np.random.default_rng(seed)), **fit}
    if of.inputs:
        values = _inputs(oracle, of.entry, seed, of.inputs)
        sizes |= shown_sizes(oracle, of.entry, values)
    for net in (oracle, other):
        give_weights(net, of.weights, seed, sizes)
    found = first_difference(_weights(other), _weights(oracle))
    if found is not None:
        return f"initial weights: {found}", None
    want, status = _called(oracle, of.entry, seed, of.inputs)
    got, end = _called(other, of.entry, seed, of.inputs)
    if (status != end) if of.strict else ((status is None) != (end is None)):
        return f"{of.target} ends with {end or 'ok'}, the evaluator with {status or 'ok'}", None
    if status is not None:
        return None, status
    return first_difference({**got, **_weights(other)}, {**want, **_weights(oracle)}), None


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
    out = named(got, info.result)
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


def _say(c: Compared, with_target: bool, as_json: bool) -> None:
    name, agreed = c.of.entry, c.agreed
    if as_json:
        emit(
            {
                "entry": name, "target": c.of.target, "agreed": agreed, "ended": c.ended,
                "differs": c.differs, "seed": c.seed,
            }
        )  # fmt: skip
        return
    label = f"{name}: {c.of.target}" if with_target else name
    count = f"{agreed} run{'' if agreed == 1 else 's'}"
    if c.differs is not None:
        click.echo(f"{label}: DIFFERS after {count}: {c.differs}")
        if not c.of.inputs:
            target = f" --target {c.of.target}" if with_target else ""
            say(f"  see it again: --entry {name}{target} --seed {c.seed} --runs 1")
    else:
        more = f" ({c.ended} ended with {', '.join(c.statuses)})" if c.ended else ""
        click.echo(f"{label}: {count} agree{'s' if agreed == 1 else ''}{more}")
