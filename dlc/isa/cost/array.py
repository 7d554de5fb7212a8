"""Timing of the array unit: processing elements behind queues of steps.

Row i lives on element i mod P, as its local row i div P. Step j brings element p so many entries;
with relative row indices of b bits it also takes a padding entry for every 2^b local rows skipped
since the entry before, counted anew in each step. Then

    w[j,p]    = ceil((entries + padding) / lanes), or `empty` if there are none
    b[j]      = max(b[j-1] + issue, slot[j-D])        the step is broadcast: a queue place is free
    done[j,p] = max(done[j-1,p], b[j]) + w[j,p]
    slot[j]   = max over p of done[j,p]               its places in all queues are free again
    cycles    = max of done + drain

Source: the FIFO of EIE (Han et al., ISCA 2016); a place frees when its step is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dlc.isa.cost.layout import RING
from dlc.isa.model import ArrayUnit


@dataclass(slots=True)
class ArrayRun:
    """One operation on the array, step by step. `busy` and `starved` add up over operations."""

    unit: ArrayUnit
    busy: list[int]
    starved: list[int]
    done: list[int] = field(default_factory=list[int])
    slots: list[int] = field(default_factory=list[int])
    broadcast: int = 0
    steps: int = 0
    padding: int = 0

    def start(self) -> None:
        """Begin an operation."""
        self.done = [0] * self.unit.pes
        self.slots = []
        self.broadcast = self.steps = self.padding = 0

    def column(self, rows: Iterable[int], weight: int) -> None:
        """A step with `weight` entries on each of these rows, ascending."""
        unit = self.unit
        entries = [0] * unit.pes
        last = [-1] * unit.pes
        for row in rows:
            p, local = row % unit.pes, row // unit.pes
            if unit.index_bits:
                pad = local - last[p] - 1 >> unit.index_bits
                entries[p] += pad
                self.padding += pad
                last[p] = local
            entries[p] += weight
        self._step(entries)

    def all_rows(self, count: int) -> None:
        """A step with an entry on each of rows 0 .. count - 1."""
        pes = self.unit.pes
        self._step([count // pes + (p < count % pes) for p in range(pes)])

    def _step(self, entries: list[int]) -> None:
        unit = self.unit
        if self.steps:
            self.broadcast += unit.issue
        if unit.fifo <= RING and self.steps >= unit.fifo:
            self.broadcast = max(self.broadcast, self.slots[self.steps - unit.fifo])
        for p, count in enumerate(entries):
            work = -(-count // unit.lanes) if count else unit.empty
            begin = max(self.done[p], self.broadcast)
            self.starved[p] += begin - self.done[p]
            self.busy[p] += work
            self.done[p] = begin + work
        self.slots.append(max(self.done))
        self.steps += 1

    def finish(self) -> int:
        """Cycles of the operation."""
        return (self.slots[-1] + self.unit.drain) if self.steps else self.unit.drain
