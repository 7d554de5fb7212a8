"""The saved parse table of the language."""

from __future__ import annotations

from dlc.syntax.generate import grammar_text, table_text


def derived() -> dict[str, str]:
    return {"grammar/dl.table.json": table_text(grammar_text())}
