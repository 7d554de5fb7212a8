"""Diagnostics as JSON values, in the form that rustc uses, so that existing tools can read them."""

from __future__ import annotations

from dlc.diag.diagnostic import Diagnostic, Edit, Label
from dlc.diag.render import render
from dlc.diag.source import Span

Json = dict[str, object]


def to_json(found: Diagnostic) -> Json:
    """One diagnostic as a JSON object: `message code level spans children rendered`.

    Offsets are in bytes of the UTF-8 source; lines and columns (in characters) count from 1. A help
    with edits is a child whose spans carry `suggested_replacement`."""
    spans = [] if found.primary is None else [_label(found.primary, True)]
    spans += [_label(label, False) for label in found.labels]
    children = [_child("note", text, ()) for text in found.notes]
    children += [_child("help", h.text, h.edits) for h in found.helps]
    return {
        "$message_type": "diagnostic",
        "message": found.message,
        "code": {"code": found.code},
        "level": found.severity.value,
        "spans": spans,
        "children": children,
        "rendered": render(found),
    }


def _child(level: str, text: str, edits: tuple[Edit, ...]) -> Json:
    spans = [_span(e.span) | {"suggested_replacement": e.text} for e in edits]
    return {"message": text, "code": None, "level": level, "spans": spans, "children": []}


def _label(label: Label, is_primary: bool) -> Json:
    return _span(label.span) | {"is_primary": is_primary, "label": label.text or None}


def _span(span: Span) -> Json:
    source = span.source
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    before = len(source.text[: span.start].encode("utf-8", "surrogatepass"))
    size = len(source.text[span.start : span.end].encode("utf-8", "surrogatepass"))
    return {
        "file_name": source.name,
        "byte_start": before,
        "byte_end": before + size,
        "line_start": line,
        "line_end": end_line,
        "column_start": column,
        "column_end": end_column,
    }
