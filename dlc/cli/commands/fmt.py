"""`dlc fmt`: the one canonical form of a program."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, Outcome, emit, json_option, report, say
from dlc.diag import CompileError


@click.command(help="Format programs in place. `-` is standard input to standard output.")
@click.argument("files", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a file would change.")
@json_option
def command(files: tuple[str, ...], check: bool, as_json: bool) -> None:
    from dlc.syntax.format import format_source
    from dlc.syntax.parse import decode_source, read_source

    changed: list[str] = []
    failed = False
    for name in files:
        try:
            if name == "-":
                source = decode_source("<stdin>", sys.stdin.buffer.read())
            else:
                source = read_source(name)
            new = format_source(source, allow_builtin=Path(name).name == "prelude.dl")
        except CompileError as e:
            report(e.diagnostics, as_json=as_json)
            failed = True
            continue
        if name == "-" and not check:
            click.echo(new, nl=False)
        elif new != source.text:
            changed.append(name)
            if not check:
                _replace(Path(name), new)
            if not as_json:
                say(f"{'would format' if check else 'formatted'} {name}")
    if as_json:
        emit({"changed": changed})
    if failed or (check and changed):
        raise Outcome(EXIT_DIAGNOSTICS)


def _replace(path: Path, text: str) -> None:
    """Writes beside the file and renames, so that it is never half written."""
    import os
    import tempfile

    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as f:
            f.write(text)
        os.chmod(temporary, path.stat().st_mode & 0o7777)
        os.replace(temporary, path.resolve())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
