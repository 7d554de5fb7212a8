"""Calls of a compiled program on the modelled machine, with the values of the evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlc.isa.cost.report import Report
from dlc.isa.machine import FUEL, Engine, Run
from dlc.targets.sparrow.program import SparrowProgram


class SparrowError(Exception):
    """A call that ended with a status: its name as in `dlc.ops.card.Status`, the place in the
    source, and what was found and wanted."""

    def __init__(
        self, status: str, file: str, line: int, column: int, got: int, want: int, what: str
    ) -> None:
        super().__init__(f"{status} at {line}:{column}: {what} (got {got}, want {want})")
        self.status, self.file, self.line, self.column = status, file, line, column
        self.got, self.want, self.what = got, want, what


@dataclass(frozen=True)
class Outcome:
    """`results` in the IR's order, as the evaluator gives them (numpy arrays and scalars,
    `ListValue`, `AdtValue`); those in place of an `inout` argument are that array, changed. `run` is
    how the machine ended, `report` what it cost under a preset (if asked for), `bytes` the DRAM that
    the call used behind the program's own data."""

    results: tuple[Any, ...]
    run: Run
    report: Report | None
    bytes: int


def run_entry(
    compiled: SparrowProgram,
    entry: str,
    args: Sequence[Any],
    dims: Mapping[str, int] | None = None,
    *,
    preset: str | None = None,
    fuel: int = FUEL,
    engine: Engine = "fast",
    trace: int = 0,
) -> Outcome:
    """Call an entry. Arguments are in the order of `SparrowEntry.given`: numpy arrays, numbers,
    `ListValue` or Python lists, `AdtValue` or tuples, as `dlc.evaluate.run` takes them. Dims come
    from their shapes; those that no argument shows are in `dims`. `inout` arrays are changed in
    place. `preset` names the machine that the costs are measured on. Memory grows until the call has
    enough (the program itself stays as it is).

    Raises: RunError for arguments that do not fit; SparrowError."""
    raise NotImplementedError
