"""`dlc targets`: what programs compile for."""

from __future__ import annotations

import click

from dlc.cli.outcome import emit, json_option

TARGETS = (
    ("cpu", "native code for this processor, or for one named with --cpu"),
    ("evaluate", "the reference interpreter in numpy: slow, and right by definition"),
    ("sparrow", "a modelled accelerator for sparse, event-driven networks: results and costs"),
)


@click.command(help="List the targets that programs compile for.")
@json_option
def command(as_json: bool) -> None:
    from dlc.isa.project import load_isa

    presets = [(f"sparrow:{p.name}", p.doc) for p in load_isa().presets.values()]
    for name, line in (*TARGETS, *presets):
        if as_json:
            emit({"target": name, "line": line})
        else:
            click.echo(f"{name:19} {line}")
