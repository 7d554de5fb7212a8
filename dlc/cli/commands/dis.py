"""`dlc dis`: a program file of the accelerator as assembly text."""

from __future__ import annotations

from pathlib import Path

import click

from dlc.cli.outcome import say


@click.command(help="Disassemble a Sparrow program file; `dlc asm` of the text gives it back.")
@click.argument("file")
@click.option("-o", "--out", metavar="OUT", default="-", help="Where; standard output if left out.")
def command(file: str, out: str) -> None:
    from dlc.artifact.publish import write_file
    from dlc.isa.commands import disassemble_file

    text = disassemble_file(file)
    if out == "-":
        click.echo(text, nl=False)
        return
    write_file(Path(out), text.encode())
    say(f"wrote {out}")
