"""The accelerator's model as a back end: results as on any other, and what each run cost."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlc.artifact.device import Device
from dlc.artifact.python.errors import WeightsError, failure
from dlc.artifact.python.evaluated import run_failure
from dlc.diag import InternalError
from dlc.isa.codec import Decoded, decode
from dlc.isa.cost.measure import find_preset
from dlc.isa.cost.report import Costs, Report, counts_text, report_text
from dlc.isa.cost.trace import heat_text, lines_text, trace_json
from dlc.isa.machine import FUEL, Engine, Run
from dlc.isa.project import load_isa
from dlc.ops.card import RunError
from dlc.targets.sparrow import Outcome, SparrowError, SparrowProgram, run_entry
from dlc.typesys.types import Type

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ModelledRun:
    """A call on the modelled machine. `report.dense` is the dense twin: the same source compiled
    without events and compressed weights if `twin` is `compiled`, else this program with all
    columns listed and stored. `bytes` of DRAM were used behind the program's own data."""

    entry: str
    report: Report
    run: Run
    bytes: int
    twin: str
    program: SparrowProgram

    @property
    def costs(self) -> Costs:
        return self.report.sparse

    @property
    def cycles(self) -> int:
        return self.report.sparse.cycles

    @property
    def seconds(self) -> float:
        return self.report.sparse.seconds

    @property
    def joules(self) -> float:
        return self.report.sparse.joules

    @property
    def speedup(self) -> float:
        """Cycles of the dense twin over cycles; below 1 sparsity loses."""
        return self.report.speedup

    def text(self, counters: bool = False) -> str:
        """The report for people; with `counters` every count too."""
        return report_text(self.report) + (counts_text(self.report) if counters else "")

    def trace(self) -> str:
        """The traced instructions in the form of Perfetto and Chrome."""
        isa = load_isa()
        words = [decode(isa, word) for word in self.program.program.text]
        text = tuple(word for word in words if isinstance(word, Decoded))
        if len(text) != len(words):
            raise InternalError("a program that ran has words that are none", stage="trace")
        return trace_json(isa, self.program.program, text, self.report)

    def heat(self) -> str:
        """The busy processing elements over the traced time."""
        return heat_text(self.report)

    def lines(self) -> str:
        """The source lines of the traced instructions, the costliest first."""
        return lines_text(self.program.program, self.report)

    def __str__(self) -> str:
        return self.text()


class ModelledMachine:
    """The machine that a net for the accelerator runs on. Its settings may be changed between
    calls.

    `preset` names the numbers of the cost model; `fuel` bounds the units of work of a call, 0 for
    as many as usual; `engine` is `fast` or `reference`; `trace` is how many instructions a run
    records. A machine keeps the weights of its models in the memory of weights from call to call;
    a `cold` one reads them from DRAM in every call. `last_run` is the last call of the present
    thread."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._preset = device.preset
        self.fuel = 0
        self.engine: Engine = "fast"
        self.trace = 0
        self.cold = False
        self._threads = threading.local()

    @property
    def preset(self) -> str:
        return self._preset

    @preset.setter
    def preset(self, name: str) -> None:
        """Raises CompileError E0810."""
        self._preset = find_preset(load_isa(), name).name

    @property
    def last_run(self) -> ModelledRun | None:
        """The last run of the present thread that came to an end; None before the first."""
        return getattr(self._threads, "last", None)

    # -- what the marshalling asks for

    def dims(self, function: str) -> Sequence[str]:
        return self.device.program.entries[function].dims

    def result_types(self, function: str) -> Sequence[Type]:
        return tuple(r.type for r in self.device.program.entries[function].results)

    def run(
        self, entry: str, function: str, args: Sequence[Any], dims: Mapping[str, int]
    ) -> Sequence[Any]:
        program, twin = self.device.program, self.device.twin
        others = None if twin is None else [_copied(x) for x in args]
        found = self._outcome(entry, program, function, args, dims)
        report, kind = found.report, "modelled"
        assert report is not None
        if twin is not None and others is not None:
            dense = self._outcome(entry, twin, function, others, dims).report
            assert dense is not None
            report, kind = replace(report, dense=dense.sparse), "compiled"
        self._threads.last = ModelledRun(entry, report, found.run, found.bytes, kind, program)
        return found.results

    def _outcome(
        self,
        entry: str,
        program: SparrowProgram,
        function: str,
        args: Sequence[Any],
        dims: Mapping[str, int],
    ) -> Outcome:
        try:
            return run_entry(
                program, function, args, dims, preset=self._preset, fuel=self.fuel or FUEL,
                engine=self.engine, trace=self.trace, resident=() if self.cold else None,
            )  # fmt: skip
        except RunError as e:
            raise run_failure(entry, e) from None
        except SparrowError as e:
            raise failure(
                entry, e.file, e.status, e.line, e.column, e.got, e.want, e.what
            ) from None


def _copied(x: Any) -> Any:
    """An argument that may be changed without changing the other; structures are values."""
    return copy.copy(x)  # that of an array has its own elements


class CompiledIn:
    """Guards programs that hold their weights: they compute with those and no others."""

    def __init__(self, block: Array) -> None:
        self._block = block.copy()

    def check(self, entry: str, block: Array) -> None:
        """Raises WeightsError."""
        if not np.array_equal(self._block, block):
            raise WeightsError(
                f"{entry}: the weights are compiled into this program, and those at hand are "
                "others: compile it again with them, or without weights",
                status="weights",
            )
