"""Exit statuses, and how diagnostics reach a person or a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import click

from dlc.diag import Diagnostic

EXIT_DIAGNOSTICS, EXIT_USAGE, EXIT_LIMIT, EXIT_MISMATCH = 1, 2, 3, 4
EXIT_BUG, EXIT_INTERRUPTED = 70, 130


class Outcome(Exception):
    """Ends the command with this status; everything has been said."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def wants_json() -> bool:
    """Whether the running command was called with `--json`."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx is not None and ctx.params.get("as_json")) or "--json" in sys.argv[1:]


def report(diagnostics: Iterable[Diagnostic], *, as_json: bool | None = None) -> None:
    """Diagnostics: text for people on standard error; with `--json` one object a line on standard
    output."""
    if wants_json() if as_json is None else as_json:
        from dlc.diag.jsonform import to_json

        for d in diagnostics:
            click.echo(json.dumps(to_json(d), ensure_ascii=False))
        return
    from dlc.diag.render import render_all

    click.echo(render_all(diagnostics, colour=sys.stderr.isatty()), err=True, nl=False)


def say(text: str) -> None:
    """A line for people, on standard error."""
    click.echo(text, err=True)


def emit(value: Any) -> None:
    """Data, on standard output: JSON, keys in the order given."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=None))


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Machine-readable output, one JSON object a line."
)
