"""`dlc targets`: what programs compile for."""

from __future__ import annotations

import click

from dlc.cli.outcome import emit, json_option

TARGETS = (
    ("cpu", "native code for this processor, or for one named with --cpu"),
    ("evaluate", "the reference interpreter in numpy: slow, and right by definition"),
)


@click.command(help="List the targets that programs compile for.")
@json_option
def command(as_json: bool) -> None:
    for name, line in TARGETS:
        if as_json:
            emit({"target": name, "line": line})
        else:
            click.echo(f"{name:10} {line}")
