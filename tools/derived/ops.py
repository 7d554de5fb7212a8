"""The page about the operations."""

from __future__ import annotations

from dlc.ops.page import ops_page


def derived() -> dict[str, str]:
    return {"docs/ops.md": ops_page()}
