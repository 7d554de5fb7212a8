"""E03xx: types, dims and shapes."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = ()
