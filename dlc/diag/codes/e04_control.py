"""E04xx: control flow, assignment, keys and effects."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = ()
