"""`dlc opt`: passes on IR text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, Outcome, emit, json_option, say

if TYPE_CHECKING:
    from dlc.ir.core import Module


@click.command(help="Run passes on a module in IR text and print the result.")
@click.argument("file", required=False)
@click.option("-p", "--passes", default="", help="Comma-separated names, in order. See --list.")
@click.option("--list", "listing", is_flag=True, help="List the passes and end.")
@click.option("--no-locations", is_flag=True, help="Print without source positions.")
@click.option("--verify/--no-verify", default=True, help="Run the verifier between passes.")
@click.option("--time-passes", is_flag=True, help="Say how long each pass took.")
@json_option
def command(
    file: str | None, passes: str, listing: bool, no_locations: bool, verify: bool,
    time_passes: bool, as_json: bool,
) -> None:  # fmt: skip
    from dlc.autodiff.expand import differentiate
    from dlc.ir.printer import print_module
    from dlc.ir.reader import ReadError, read_module
    from dlc.ops.verify import problems
    from dlc.passes.base import Pass, run_passes
    from dlc.passes.pipeline import PASSES

    known = {**PASSES, "autodiff": Pass("autodiff", "derivatives into calls", differentiate)}
    if listing:
        for p in known.values():
            if as_json:
                emit({"pass": p.name, "line": p.line})
            else:
                click.echo(f"{p.name:10} {p.line}")
        return
    names = [n.strip() for n in passes.split(",") if n.strip()]
    unknown = [n for n in names if n not in known]
    if unknown:
        hint = "`dlc opt --list` lists them"
        raise click.UsageError(f"no pass is called `{unknown[0]}`; {hint}")
    if file is None:
        raise click.UsageError("which FILE? `-` is standard input")
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        module = read_module(data.decode("utf-8"))
    except OSError as e:
        raise click.ClickException(f"cannot read {file}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise click.ClickException(f"{file} is no text in UTF-8 (byte {e.start})") from e
    except ReadError as e:
        say(f"{file}:{e}")
        raise Outcome(EXIT_DIAGNOSTICS) from e
    found = problems(module)
    for problem in found:
        say(f"{file}: {problem}")
    if found:
        raise Outcome(EXIT_DIAGNOSTICS)
    check = _verify if verify else None
    module, timings = run_passes(module, [known[n] for n in names], verify=check)
    made = print_module(module, locations=not no_locations)
    if as_json:
        times = [{"pass": t.name, "ms": round(t.seconds * 1e3, 3)} for t in timings]
        emit({"module": made, "passes": times})
        return
    for t in timings if time_passes else ():
        say(f"{t.name:10} {t.seconds * 1e3:8.2f} ms")
    click.echo(made, nl=False)


def _verify(module: Module) -> None:
    from dlc.ops.verify import verify

    verify(module)
