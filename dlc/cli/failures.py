"""Calls that end with a status, as diagnostics with the line of the source."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dlc.artifact.python.errors import CallError
from dlc.diag import Diagnostic, SourceFile, error

_PLACE = re.compile(
    r"(?P<message>.*?)(?: at (?=\S+$)| \()(?P<file>[^()\n]+?):\d+:\d+\)?", re.DOTALL
)
"""A message that ends with its place."""

_HELPS: Mapping[str, str] = {
    "arena": "the call needs more memory than this machine has",
    "fuel": "the loop may never end: bound it",
    "weights": "give --weights FILE, or --seed N with --bind for the sizes",
}


def diagnostic(
    e: CallError,
    modules: Mapping[str, SourceFile] | None = None,
    operators: Mapping[tuple[str, int], str] | None = None,
) -> Diagnostic:
    """The code is the status (`ASSERT`, `BOUNDS`, `SHAPE`, …). `operators` says which operator of
    which ONNX file a line stands for."""
    m = _PLACE.fullmatch(str(e))
    message, where = (str(e), "") if m is None else (m["message"], m["file"])
    found = error((e.status or "failed").upper(), message)
    if operators is not None and (where, e.line) in operators:
        found = found.with_note(f"at {where}: {operators[where, e.line]}")
    elif e.line and modules is not None:
        source = _source(modules, where)
        if source is not None and e.line <= source.line_count:
            start = source.line_start(e.line) + max(e.column, 1) - 1
            found = error(found.code, message, source.span(start, start + 1))
        elif where:
            found = found.with_note(f"at {where}:{e.line}:{e.column}")
    help_ = _HELPS.get(e.status)
    return found if help_ is None else found.with_help(help_)


def _source(modules: Mapping[str, SourceFile], where: str) -> SourceFile | None:
    for name, source in modules.items():
        if where in (source.name, name):
            return source
    return None
