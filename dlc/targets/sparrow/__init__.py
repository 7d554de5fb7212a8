"""The back end for Sparrow: from the bufferised form to a program of the machine, and calls of it.

    compiled = compile_module(bufferise(module), SparrowOptions())
    outcome = run_entry(compiled, "logits", [x, tree], preset="sparrow")
    outcome.results          # as the evaluator gives them
    outcome.report.sparse    # cycles, energy; .dense: those of the dense twin

`dlc.targets.sparrow.program` says how a call lies in the machine's memory.
"""

from __future__ import annotations

from dlc.targets.sparrow.compile import compile_module
from dlc.targets.sparrow.program import (
    Site,
    SparrowEntry,
    SparrowOptions,
    SparrowParameter,
    SparrowProgram,
    SparrowResult,
)
from dlc.targets.sparrow.run import Outcome, SparrowError, run_entry

__all__ = [
    "Outcome",
    "Site",
    "SparrowEntry",
    "SparrowError",
    "SparrowOptions",
    "SparrowParameter",
    "SparrowProgram",
    "SparrowResult",
    "compile_module",
    "run_entry",
]
