"""`dlc check`: what is wrong with programs."""

from __future__ import annotations

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, Outcome, json_option, report, say


@click.command(help="Find the mistakes in programs.")
@click.argument("files", nargs=-1, required=True)
@json_option
def command(files: tuple[str, ...], as_json: bool) -> None:
    from dlc.check.program import check_file, check_program
    from dlc.diag import CompileError

    failed = 0
    for name in files:
        try:
            if name == "-":
                checked = check_program(_standard_input())
            else:
                checked = check_file(name)
        except CompileError as e:
            report(e.diagnostics, as_json=as_json)
            failed += 1
            continue
        if checked.warnings:
            report(checked.warnings, as_json=as_json)
    if failed:
        raise Outcome(EXIT_DIAGNOSTICS)
    if not as_json:
        say("no mistakes" if len(files) == 1 else f"no mistakes in {len(files)} files")


def _standard_input():
    import sys

    from dlc.syntax.parse import decode_source

    return decode_source("<stdin>", sys.stdin.buffer.read())
