"""`dlc dis`: a program file of the accelerator as assembly text."""

from __future__ import annotations

from pathlib import Path

import click

from dlc.cli.outcome import emit, json_option, say


@click.command(help="Disassemble a Sparrow program file; `dlc asm` of the text gives it back.")
@click.argument("file")
@click.option("-o", "--out", metavar="OUT", default="-", help="Where; standard output if left out.")
@json_option
def command(file: str, out: str, as_json: bool) -> None:
    from dlc.artifact.publish import write_file
    from dlc.isa.commands import disassemble_file

    text = disassemble_file(file)
    if out == "-":
        if as_json:
            emit({"text": text})
        else:
            click.echo(text, nl=False)
        return
    write_file(Path(out), text.encode())
    if as_json:
        emit({"files": [out]})
    else:
        say(f"wrote {out}")
