"""E03xx: types, dims and shapes."""

from __future__ import annotations

from dlc.diag.codes.e03_calls import CODES as CALLS
from dlc.diag.codes.e03_declarations import CODES as DECLARATIONS
from dlc.diag.codes.e03_values import CODES as VALUES

CODES = tuple(sorted((*DECLARATIONS, *VALUES, *CALLS), key=lambda c: c.code))
