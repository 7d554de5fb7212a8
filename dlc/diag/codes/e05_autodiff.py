"""E05xx: differentiation."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = ()
