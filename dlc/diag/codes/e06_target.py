"""E06xx: targets, binding of dims and limits."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = ()
