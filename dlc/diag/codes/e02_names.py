"""E02xx: names and modules."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = ()
