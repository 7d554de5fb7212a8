"""From a source file and options as users write them to a program in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dlc.cli.outcome import EXIT_LIMIT, Outcome, report, say, wants_json

if TYPE_CHECKING:
    from dlc.artifact.python.net import Net
    from dlc.check.program import Checked
    from dlc.diag import SourceFile
    from dlc.driver.build import Program
    from dlc.driver.onnx import OnnxModel
    from dlc.driver.options import Options
    from dlc.ir.core import Module
    from dlc.lower.lowered import Lowered

    Front = Checked | OnnxModel

F = TypeVar("F", bound=Callable[..., Any])
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def parse_bind(texts: Sequence[str]) -> dict[str, int]:
    """`("V=10,D=4", "m.H=3")` as numbers by name. Raises click.UsageError."""
    out: dict[str, int] = {}
    for part in (p.strip() for text in texts for p in text.split(",")):
        name, sign, number = (x.strip() for x in part.partition("="))
        if not sign or not _NAME.fullmatch(name):
            raise click.UsageError(f"--bind takes NAME=NUMBER, as in V=10,D=4, not `{part}`")
        # Digits of other scripts are no numbers of ours, and a huge text is no dim.
        if not re.fullmatch(r"[-+]?[0-9]{1,19}", number):
            raise click.UsageError(f"--bind {name}: `{number}` is no whole number")
        if out.setdefault(name, int(number)) != int(number):
            raise click.UsageError(f"--bind gives `{name}` two numbers")
    return out


def front(path: str) -> Front:
    """The checked program, or the ONNX model; warnings are said. Raises CompileError."""
    from dlc.driver.onnx import OnnxModel, is_onnx

    return OnnxModel.of(path) if is_onnx(path) else check(path)


def check(path: str) -> Checked:
    """The checked program; warnings are said. `-` is standard input. Raises CompileError."""
    from dlc.driver.front import check as check_source
    from dlc.driver.onnx import is_onnx

    if is_onnx(path):
        from dlc.diag import CompileError, error

        found = error("E0617", f'"{path}" is no program in dl, which this command takes')
        raise CompileError(found.with_help(f"`dlc import {path} -o model.dl` makes one of it"))
    checked = check_source(standard_input() if path == "-" else path)
    if checked.warnings and not wants_json():
        report(checked.warnings, as_json=False)
    return checked


def standard_input() -> SourceFile:
    """The program on standard input. Raises CompileError: E0117, E0118."""
    import sys

    from dlc.syntax.parse import MAX_BYTES, decode_source

    return decode_source("<stdin>", sys.stdin.buffer.read(MAX_BYTES + 1))


def lowered(
    checked: Front,
    bind: Mapping[str, int],
    entries: Sequence[str] | None = None,
    *,
    tests: bool = False,
) -> Lowered:
    """The program as IR with these dims bound. `entries` are short names, None for all.

    Raises CompileError (lowering, names of dims), click.UsageError for an entry that is none."""
    from dlc.driver.onnx import OnnxModel, import_program, onnx_functions
    from dlc.lower.bind import bind_dims, resolve
    from dlc.lower.lowered import lower

    if entries is not None:
        entries = [entry_name(checked, e) for e in entries]
    if isinstance(checked, OnnxModel):
        made = import_program(checked, bind)
        if made.imported.warnings and not wants_json():
            report(made.imported.warnings, as_json=False)
        return made
    bindings = resolve(checked, bind, entries)
    functions = onnx_functions(checked)
    made = lower(checked, consts=bindings.consts, onnx=functions, entries=entries, tests=tests)
    return bind_dims(made, bindings.dims)


def entry_name(checked: Front, name: str) -> str:
    """The full name of an export."""
    from dlc.diag.suggest import near

    names = {e.rsplit(".", 1)[-1]: e for e in checked.exports}
    if name in names:
        return names[name]
    if not names:
        raise click.UsageError(_exports_nothing(checked))
    close = near(name, names)
    hint = f"did you mean `{close[0]}`? " if close else ""
    help_ = f"{hint}there is {', '.join(names)}"
    raise click.UsageError(f"{checked.main} exports no function `{name}`: {help_}")


def all_entries(checked: Front) -> list[str]:
    """The short names of all exports. Raises click.UsageError if there are none."""
    if not checked.exports:
        raise click.UsageError(_exports_nothing(checked))
    return [e.rsplit(".", 1)[-1] for e in checked.exports]


def _exports_nothing(checked: Front) -> str:
    return f"{checked.main} exports no function: write `export fn …`"


def the_entry(checked: Front, name: str | None) -> str:
    """The entry that was asked for, or the only one there is."""
    if name is not None:
        entry_name(checked, name)
        return name
    names = all_entries(checked)
    if len(names) == 1:
        return names[0]
    raise click.UsageError(f"which function? --entry {names[0]} (there is {', '.join(names)})")


def program_of(checked: Front, low: Lowered, weights: Mapping[str, Any] | None = None) -> Program:
    """What the driver compiles. Weights that are not given come from ONNX files, where they are
    there."""
    from dlc.driver.front import program_of
    from dlc.driver.onnx import ImportedProgram, OnnxModel, onnx_program

    if isinstance(checked, OnnxModel):
        assert isinstance(low, ImportedProgram)
        return onnx_program(checked, low, weights)
    return program_of(checked, low, weights)


def operators(checked: Front, low: Lowered) -> dict[tuple[str, int], str]:
    """What a file and a line in a run-time error stand for, where the file is an ONNX model."""
    from dlc.driver.onnx import ImportedProgram, OnnxModel, imported_of

    if isinstance(low, ImportedProgram):
        models = [low.imported]
    else:
        assert not isinstance(checked, OnnxModel)
        models = [imported_of(s) for s in checked.onnx.values()]
    return {(m.file, i): str(place) for m in models for i, place in enumerate(m.places, 1)}


def net_of(program: Program, options: Options) -> Net:
    """The program compiled into this process."""
    from dlc.artifact.python.net import Net
    from dlc.driver.build import build

    if options.target == "evaluate":
        program = replace(program, module=_without_derivatives(program.module, options))
    made = build(program, options)
    return Net(made.artifact, params=made.params, given=made.given)


def _without_derivatives(module: Module, options: Options) -> Module:
    """What the evaluator takes: the module as it was written, unless it asks for derivatives, which
    are IR passes."""
    from dlc.driver.stages import Clock, differentiated
    from dlc.ir.core import walk
    from dlc.ir.structure import GRADIENTS

    asks = any(op.name in GRADIENTS for fn in module.functions.values() for op in walk(fn.body))
    return differentiated(module, options, Clock(())) if asks else module


def give_weights(
    net: Net, weights: str | Mapping[str, Any] | None, seed: int, sizes: Mapping[str, int]
) -> None:
    """Weights from a file, or drawn with these sizes; what is missing is said in the words of the
    command line."""
    from dlc.artifact.python.errors import WeightsError

    if not net.artifact.manifest.layout.weights:
        if weights is not None:
            raise click.UsageError("--weights: this program has no model parameters")
        return
    layout = net.artifact.manifest.layout
    if weights is None and all(w.name in net.given for w in layout.weights):
        weights = net.given
    known = {d for s in net.interface.parameter_sets for d, _ in (*s.defaults, *s.fixed)}
    if weights is not None:
        # Some dims are only told: no weight's shape shows them.
        known |= {name for w in layout.weights for d in w.shape for name in d.symbols()}
    else:
        known |= set(sizes)
    missing = [d for d in layout.dims if d not in known]
    if missing:
        example = ",".join(f"{d.rsplit('.', 1)[-1]}=…" for d in missing)
        if weights is not None:
            what, other = "sizes that no weight of the file shows", ""
        else:
            what, other = "the weights' sizes are not known", ", or --weights FILE"
        raise click.UsageError(f"{what}: {', '.join(missing)}; give --bind {example}{other}")
    if weights is not None:
        net.load(weights)
        return
    try:
        net.init(seed, dims=sizes)
    except WeightsError as e:
        raise click.ClickException(f"{e} (--weights FILE)") from None
    except TypeError as e:
        # A size that is unknown, bound already, or no size.
        raise click.UsageError(f"--bind: {str(e).removeprefix('init: ')}") from None
    except MemoryError:
        say("dlc: the weights do not fit into memory")
        raise Outcome(EXIT_LIMIT) from None


def shown_sizes(net: Net, name: str, values: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of weights that an entry's inputs show. Inputs that do not fit show nothing: the
    call says what is wrong with them."""
    from dlc.artifact.python.entry import python_name
    from dlc.artifact.python.errors import CallError
    from dlc.artifact.weights.block import fixed_dims

    if not net.interface.parameter_sets:
        return {}
    named = {python_name(n): v for n, v in values.items()}
    try:
        found = net.entries[name].model_sizes(**named)
    except (CallError, TypeError, ValueError):
        return {}
    fixed = fixed_dims(net.interface)
    return {d: n for d, n in found.items() if d not in fixed}


def bind_option(command: F) -> F:
    """`--bind`."""
    return click.option(
        "--bind", multiple=True, metavar="N=…", help="Numbers for dims: V=10,D=4 or m.V=10."
    )(command)
