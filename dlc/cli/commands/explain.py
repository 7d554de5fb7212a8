"""`dlc explain`: what a code means."""

from __future__ import annotations

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, Outcome, emit, json_option, say


@click.command(help="Explain a diagnostic's code, for example `dlc explain E0302`.")
@click.argument("code", required=False)
@json_option
def command(code: str | None, as_json: bool) -> None:
    from dlc.diag.codes import all_codes, explain, find
    from dlc.diag.suggest import near

    if code is None:
        for c in all_codes():
            if as_json:
                emit({"code": c.code, "title": c.title})
            else:
                click.echo(f"{c.code}  {c.title}")
        return
    found = find(code)
    if found is None:
        close = near(code.upper(), [c.code for c in all_codes()])
        hint = f"; did you mean {close[0]}?" if close else ""
        say(f"no diagnostic has the code `{code}`{hint}")
        raise Outcome(EXIT_DIAGNOSTICS)
    if as_json:
        emit(
            {
                "code": found.code,
                "title": found.title,
                "explanation": found.explanation,
                "bad": found.bad,
                "good": found.good,
            }
        )
    else:
        click.echo(explain(found))
