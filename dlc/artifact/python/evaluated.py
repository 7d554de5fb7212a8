"""The evaluator as a back end: the oracle behind the same Python interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlc import evaluate, resources
from dlc.artifact.python.errors import failure
from dlc.ir.core import Module
from dlc.ops.card import RunError
from dlc.typesys.types import Type


class Evaluated:
    """The functions of a module, run by the evaluator."""

    def __init__(self, module: Module) -> None:
        self._program = evaluate.Program(module)
        self.fuel = 0
        """Turns that loops without a bound may take in one call, together; 0: as many as usual."""

    def dims(self, function: str) -> Sequence[str]:
        return self._program.module.functions[function].dims

    def result_types(self, function: str) -> Sequence[Type]:
        return self._program.module.functions[function].result_types

    def run(
        self, entry: str, function: str, args: Sequence[Any], dims: Mapping[str, int]
    ) -> Sequence[Any]:
        try:
            limits = evaluate.Limits(turns=self.fuel) if self.fuel else None
            return evaluate.run(self._program, function, list(args), dims, limits=limits)
        except RunError as e:
            raise run_failure(entry, e) from None


def run_failure(name: str, e: RunError) -> Exception:
    """The exception of a call that the evaluator gave up. What failed in the library is said to
    have failed at the line that called it, as in compiled programs."""
    loc = e.loc
    if loc.file.startswith(resources.LIBRARY):
        chain = (at for _, at in reversed(e.calls) if at.line)
        loc = next((at for at in chain if not at.file.startswith(resources.LIBRARY)), loc)
    return failure(name, loc.file, e.status, loc.line, loc.column, e.got, e.want, e.message)
