"""`dlc check`: what is wrong with programs."""

from __future__ import annotations

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, Outcome, json_option, report, say
from dlc.cli.program import bind_option


@click.command(help="Find the mistakes in programs.")
@click.argument("files", nargs=-1, required=True)
@bind_option
@json_option
def command(files: tuple[str, ...], bind: tuple[str, ...], as_json: bool) -> None:
    from dlc.cli.program import parse_bind, standard_input
    from dlc.diag import CompileError
    from dlc.driver.front import check
    from dlc.driver.onnx import OnnxModel, import_program, is_onnx

    numbers = parse_bind(bind)

    failed = 0
    for name in files:
        try:
            if is_onnx(name):
                model = OnnxModel.of(name)
                warnings, open_ = import_program(model, numbers).imported.warnings, ()
            else:
                checked = check(standard_input() if name == "-" else name)
                warnings, open_ = checked.warnings, checked.open_entries()
        except CompileError as e:
            report(e.diagnostics, as_json=as_json)
            failed += 1
            continue
        if warnings:
            report(warnings, as_json=as_json)
        if not as_json and not numbers:
            for d in open_:
                say(f"remark: {d.message}: {d.helps[0].text}")
    if failed:
        raise Outcome(EXIT_DIAGNOSTICS)
    if not as_json:
        say("no mistakes" if len(files) == 1 else f"no mistakes in {len(files)} files")
