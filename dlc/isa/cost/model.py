"""The reference cost model: observes the reference machine and counts.

In-order issue, one instruction a cycle. An instruction starts when it is at the head, its unit is
free (the DMA too, if it touches DRAM), and all that it reads or writes is settled: registers,
descriptors, queues, and stretches of memory on a scoreboard of byte intervals, where readers don't
wait for readers. It ends after its unit's cycles, or after DRAM's if those are more. A test
compares every word of this state with the native model's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dlc.isa import terms as t
from dlc.isa.codec import Decoded
from dlc.isa.cost.array import ArrayRun
from dlc.isa.cost.layout import INTERVALS, UNIT_WORDS, C, CostLayout, U, cost_layout, cost_state
from dlc.isa.cost.resources import Resource, Resources, fence_mask, resources
from dlc.isa.layout import ITEM_BYTES, D, M, S
from dlc.isa.model import (
    ArrayUnit,
    Count,
    Isa,
    Items,
    Preset,
    RateUnit,
    counter_names,
    wrap64,
)
from dlc.isa.python_text import PythonText
from dlc.isa.reference import ReferenceMachine
from dlc.isa.runtime import F, Runtime


class CostModel:
    """The cost of one run under one preset; with `dense`, of its dense twin. Use as
    `machine.observe`."""

    def __init__(self, isa: Isa, preset: Preset, dense: bool) -> None:
        self.isa = isa
        self.preset = preset
        self.dense = dense
        self.words: npt.NDArray[np.int64] = cost_state(isa, preset, dense)
        self.layout: CostLayout = cost_layout(isa)
        self.names = counter_names(isa.actions, isa.spaces)
        array = next(u for u in preset.units.values() if isinstance(u, ArrayUnit))
        self.array = ArrayRun(array, [0] * array.pes, [0] * array.pes)
        self.board: list[tuple[int, int, int, bool]] = []
        self.trace: list[tuple[int, int, int, int, int, int]] = []
        self.heat: list[list[int]] = []
        self._facts: dict[str, tuple[Resources, t.Expr | None]] = {}

    def final(self) -> npt.NDArray[np.int64]:
        """The cost state, with what the array's elements did."""
        for at, values in (
            (self.layout.busy, self.array.busy),
            (self.layout.starved, self.array.starved),
        ):
            self.words[at : at + len(values)] = values
        return self.words

    # -- evaluation of clauses ---------------------------------------------------------------------

    def _value(self, runtime: Runtime, decoded: Decoded, term: t.Expr, **local: int) -> Any:
        text = PythonText().expr(term)
        scope: dict[str, Any] = {"m": runtime, "F": F, "I": wrap64}
        scope |= {
            f"o_{f.name}": v
            for f, v in zip(decoded.instruction.operands, decoded.values, strict=True)
        }
        scope |= {f"v_{name}": value for name, value in local.items()}
        runtime.dense = self.dense
        try:
            return eval(compile(text, "<cost>", "eval"), scope)
        finally:
            runtime.dense = False

    # -- one instruction ---------------------------------------------------------------------------

    def __call__(self, machine: ReferenceMachine, decoded: Decoded) -> None:
        instruction = decoded.instruction
        if instruction.mnemonic not in self._facts:
            self._facts[instruction.mnemonic] = (resources(instruction), fence_mask(instruction))
        needs, fence = self._facts[instruction.mnemonic]
        dram = self._count(machine.runtime, decoded)
        unit = self.isa.unit_number(instruction.work.unit)
        before = list(self.array.busy)
        cycles = self._cycles(machine.runtime, decoded, unit)
        ready = self._ready(machine.runtime, decoded, needs)
        end = self._issue(int(machine.state.scalars[S.PC]), unit, cycles, dram, ready)
        self._settle(machine.runtime, decoded, needs, end)
        self.heat.append([now - then for now, then in zip(self.array.busy, before, strict=True)])
        if fence is not None:
            mask = self._value(machine.runtime, decoded, fence)
            for number in range(len(self.isa.units)):
                if mask >> number & 1:
                    free = int(self.words[self._unit(number) + U.FREE])
                    self.words[C.CLOCK] = max(int(self.words[C.CLOCK]), free)

    def _unit(self, number: int) -> int:
        return self.layout.units + UNIT_WORDS * number

    def add(self, counter: str, value: int) -> None:
        self.words[self.layout.counters + self.names.index(counter)] += value

    def _count(self, runtime: Runtime, decoded: Decoded) -> int:
        """Add the counts; returns the bytes of DRAM among them."""
        dram = 0
        for count in decoded.instruction.counts:
            value = self._value(runtime, decoded, count.value)
            for counter, amount in self._charges(runtime, decoded, count, value):
                self.add(counter, amount)
                dram += amount if counter.startswith("DRAM.") else 0
        return dram

    def _charges(
        self, runtime: Runtime, decoded: Decoded, count: Count, value: int
    ) -> list[tuple[str, int]]:
        if count.of is None:
            return [(count.counter, value)]
        number = decoded[count.of.operand]
        if count.of.file == "T":
            words = runtime.state.T[number]
            space = self.isa.spaces[int(words[D.SPACE])].name
            return [(f"{space}.{count.counter}", value * ITEM_BYTES[int(words[D.DTYPE])])]
        dtype = int(runtime.state.W[number, M.DTYPE])
        stored = value * 4 if dtype == 0 else value * 2 if dtype == 1 else (value + 1) // 2
        charged = [(f"WGT.{count.counter}", stored)]
        if not self.dense:
            bits = self.array.unit.index_bits or 32
            charged.append((f"IDX.{count.counter}", (value * bits + 7) // 8))
        return charged

    def _cycles(self, runtime: Runtime, decoded: Decoded, unit: int) -> int:
        work = decoded.instruction.work
        numbers = self.preset.units[work.unit]
        if isinstance(work, Items):
            assert isinstance(numbers, RateUnit)
            return numbers.latency + -(
                -self._value(runtime, decoded, work.count) // numbers.per_cycle
            )
        run = self.array
        run.start()
        for k in range(self._value(runtime, decoded, work.bound)):
            weight = self._value(runtime, decoded, work.weight, **{work.var: k})
            if work.matrix is None or work.column is None:
                run.all_rows(weight)
                continue
            matrix = decoded[work.matrix.operand]
            if self.dense:
                run.all_rows(runtime.p_rows(matrix) * weight)
                continue
            column = self._value(runtime, decoded, work.column, **{work.var: k})
            rows = [
                runtime.p_row(matrix, column, e) for e in range(runtime.p_entries(matrix, column))
            ]
            run.column(rows, weight)
        cycles = run.finish()
        self.add("padding", run.padding)
        self.add("hop", run.steps * run.unit.pes)
        self.add("pe_cycle", cycles * run.unit.pes)
        return cycles

    # -- waiting -----------------------------------------------------------------------------------

    def _interval(self, runtime: Runtime, decoded: Decoded, resource: Resource) -> tuple[int, int]:
        if resource.kind == "data":
            words = runtime.state.T[decoded[str(resource.operand)]]
            return int(words[D.LO]), int(words[D.HI])
        if resource.kind == "values":
            words = runtime.state.W[decoded[str(resource.operand)]]
            return int(words[M.LO]), int(words[M.HI])
        assert resource.index is not None
        at = (
            runtime.state.base("DRAM")
            + self._value(runtime, decoded, resource.index) * resource.width
        )
        return at, at + resource.width

    def _slots(self, decoded: Decoded, resource: Resource) -> range:
        """Words of the state that hold when a register or descriptor is settled."""
        if resource.kind == "core":
            return range(C.READY, C.READY + 1)
        first = getattr(self.layout, resource.kind)
        if resource.operand is None:
            return range(first, first + self.isa.file(resource.kind).count)
        at = first + decoded[resource.operand]
        return range(at, at + 1)

    def _ready(self, runtime: Runtime, decoded: Decoded, needs: Resources) -> int:
        ready = 0
        for resource, writes in (
            *((r, False) for r in needs.reads),
            *((r, True) for r in needs.writes),
        ):
            if resource.kind in ("data", "values", "word"):
                lo, hi = self._interval(runtime, decoded, resource)
                for low, high, time, written in self.board:
                    if (writes or written) and lo < high and low < hi:
                        ready = max(ready, time)
            else:
                ready = max(ready, *(int(self.words[k]) for k in self._slots(decoded, resource)))
        return ready

    def _settle(self, runtime: Runtime, decoded: Decoded, needs: Resources, end: int) -> None:
        for resource, writes in (
            *((r, False) for r in needs.reads),
            *((r, True) for r in needs.writes),
        ):
            if resource.kind in ("data", "values", "word"):
                lo, hi = self._interval(runtime, decoded, resource)
                if lo < hi:
                    self._note(lo, hi, end, writes)
            elif writes or resource.kind == "Q":
                for k in self._slots(decoded, resource):
                    if not (resource.kind == "r" and k == self.layout.r):
                        self.words[k] = end

    def _note(self, lo: int, hi: int, end: int, writes: bool) -> None:
        """Put a stretch on the scoreboard; a full one forgets what is settled."""
        if len(self.board) == INTERVALS:
            clock = int(self.words[C.CLOCK])
            self.board = [entry for entry in self.board if entry[2] > clock]
            assert len(self.board) < INTERVALS, "more stretches in flight than units can hold"
        self.board.append((lo, hi, end, writes))

    def _issue(self, pc: int, unit: int, cycles: int, dram: int, ready: int) -> int:
        words = self.words
        at, dma = self._unit(unit), self._unit(self.isa.unit_number("dma"))
        head = int(words[C.CLOCK])
        free = int(words[at + U.FREE])
        duration, moved = cycles, 0
        if dram and at != dma:
            numbers = self.preset.units["dma"]
            assert isinstance(numbers, RateUnit)
            moved = numbers.latency + -(-dram // (4 * numbers.per_cycle))
            duration = max(cycles, moved)
            free = max(free, int(words[dma + U.FREE]))
        open_ = max(head, free)
        start = max(open_, ready)
        end = start + duration
        words[C.STALL_UNIT] += open_ - head
        words[C.STALL_DATA] += start - open_
        words[C.INSTRUCTIONS] += 1
        words[C.CLOCK] = start + 1
        words[C.END] = max(int(words[C.END]), end)
        self._occupy(at, head, start, cycles, duration)
        if dram and at != dma:
            self._occupy(dma, head, start, moved, duration)
        cause = 2 if start > open_ else 1 if open_ > head else 0
        self.trace.append((pc, unit, head, start, end, cause))
        return end

    def _occupy(self, at: int, head: int, start: int, cycles: int, duration: int) -> None:
        """A unit works from `start`; what it idled before is put down to a cause."""
        words = self.words
        before = int(words[at + U.FREE])
        issued = max(head, before)
        words[at + U.IDLE_ISSUE] += issued - before
        words[at + U.IDLE_DATA] += start - issued
        words[at + U.BUSY] += cycles
        words[at + U.IDLE_DRAM] += duration - cycles
        words[at + U.FREE] = start + duration
        words[at + U.COUNT] += 1
