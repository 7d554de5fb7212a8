"""`dlc asm`: assembly text to a program file of the accelerator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlc.cli.outcome import emit, json_option, say

if TYPE_CHECKING:
    from dlc.isa.program import Program


@click.command(
    help="Assemble Sparrow assembly text to a program file. `-` is standard input or output."
)
@click.argument("file")
@click.option("-o", "--out", metavar="OUT", help="Where; FILE with .spw if left out.")
@click.option(
    "--no-verify", is_flag=True, help="Write it even if a rule of the verifier is broken."
)
@json_option
def command(file: str, out: str | None, no_verify: bool, as_json: bool) -> None:
    from dlc.artifact.publish import write_file
    from dlc.isa.commands import program_bytes

    if out is None:
        if file == "-":
            raise click.UsageError("asm - needs a place: -o FILE.spw, or -o - for standard output")
        out = str(Path(file).with_suffix(".spw"))
        if out == file:
            raise click.UsageError(f"{file} is a program file already (`dlc dis` gives its text)")
    program = _assembled(file)
    if not no_verify:
        _verified(program, file)
    data = program_bytes(program)
    if out == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    write_file(Path(out), data)
    if as_json:
        emit({"file": out, "words": len(program.text), "bytes": len(data)})
    else:
        say(f"wrote {out}: {len(program.text)} words, {len(data)} bytes")


def _assembled(file: str) -> Program:
    """Raises CompileError E0901, E0803, E0804."""
    from dlc.diag import CompileError, error
    from dlc.isa.commands import assemble_text, load_program

    if file != "-":
        return load_program(file)
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise CompileError(error("E0803", "standard input is not UTF-8 text")) from None
    return assemble_text(text, "<stdin>")


def _verified(program: Program, name: str) -> None:
    """Raises CompileError E0807, E0808."""
    from dlc.isa.machine import Machine

    Machine.load(program, engine="reference", name=name)
