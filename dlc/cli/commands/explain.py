"""`dlc explain`: what a code, a status or a name of the library means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, Outcome, emit, json_option, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlc.check.manual import ManualEntry


@click.command(
    help="Explain a diagnostic (`dlc explain E0302`), the status of a call (BOUNDS), a name of "
    "the library (softmax, nn.gru), or a word of the language (match, Graph). Without a NAME, list "
    "them."
)
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    from dlc.check.manual import find_entries
    from dlc.diag.codes import explain, find
    from dlc.diag.statuses import explain_status, find_status
    from dlc.diag.words import explain_word, find_word

    if name is None:
        _list(as_json)
        return
    code = find(name)
    entries = () if code is not None else find_entries(name)
    word = None if code is not None or entries else find_word(name)
    status = None if code is not None or entries or word is not None else find_status(name)
    if code is not None:
        if as_json:
            text = {"code": code.code, "title": code.title, "explanation": code.explanation}
            emit({**text, "bad": code.bad, "good": code.good})
        else:
            click.echo(explain(code))
    elif status is not None:
        if as_json:
            emit({"status": status.name, "meaning": status.meaning, "remedy": status.remedy})
        else:
            click.echo(explain_status(status))
    elif entries:
        _entries(entries, as_json)
    elif word is not None:
        if as_json:
            emit({"names": list(word.names), "meaning": word.meaning, "example": word.example})
        else:
            click.echo(explain_word(word))
    else:
        _unknown(name)


def _list(as_json: bool) -> None:
    from dlc.check.manual import manual
    from dlc.diag.codes import all_codes
    from dlc.diag.statuses import STATUSES
    from dlc.diag.words import WORDS

    for c in all_codes():
        if as_json:
            emit({"code": c.code, "title": c.title})
        else:
            click.echo(f"{c.code}  {c.title}")
    for s in STATUSES:
        if as_json:
            emit({"status": s.name, "meaning": s.meaning})
        else:
            click.echo(f"{s.name.upper():8}  {s.meaning.partition(':')[0].rstrip('.')}")
    for e in manual():
        if as_json:
            emit({"name": e.full_name, "text": e.text})
        else:
            click.echo(e.full_name)
    for w in WORDS:
        if as_json:
            emit({"names": list(w.names), "meaning": w.meaning})
        else:
            click.echo(", ".join(w.names))


def _entries(entries: Sequence[ManualEntry], as_json: bool) -> None:
    from dlc.check.manual import explain_entry

    for e in entries:
        if as_json:
            emit({"name": e.full_name, "text": e.text, "comment": e.comment})
        else:
            click.echo(explain_entry(e))


def _unknown(name: str) -> None:
    from dlc.check.manual import manual
    from dlc.diag.codes import all_codes
    from dlc.diag.statuses import STATUSES
    from dlc.diag.suggest import near
    from dlc.diag.words import WORDS

    known = [c.code for c in all_codes()] + [s.name.upper() for s in STATUSES]
    names = dict.fromkeys(n for e in manual() for n in (e.name, e.full_name))
    names |= dict.fromkeys(n for w in WORDS for n in w.names)
    close = near(name, names) or near(name.upper(), known)
    hint = f"; did you mean {close[0]}?" if close else ""
    say(f"`{name}` is no code, no status, no name of the library and no word of the language{hint}")
    raise Outcome(EXIT_DIAGNOSTICS)
