"""The state of the cost model as one array of 64-bit words, the same for the native and the
reference model."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from dlc.isa.model import ArrayUnit, Isa, Preset, RateUnit, counter_names

PES = 1024
"""Most processing elements that a preset may have."""
RING = 1024
"""Deepest queue that is modelled; a preset's deeper one counts as unbounded."""
INTERVALS = 64
"""Stretches of memory that the scoreboard keeps. An instruction starts only when its unit is
free, so those in flight are no more than there are units, and their stretches always find room
once settled ones are forgotten."""
TRACE_WORDS = 6
"""Words of a traced instruction: word of the text, unit, issue, start, end, cause of the wait."""


class C(IntEnum):
    """Single words."""

    CLOCK = 0
    """Cycle in which the next instruction may issue."""
    END = 1
    INSTRUCTIONS = 2
    STALL_UNIT = 3
    STALL_DATA = 4
    BOARD = 5
    """Stretches on the scoreboard."""
    TRACE = 6
    """Address of the trace, its capacity, and how many instructions wanted to be there."""
    TRACE_LIMIT = 7
    TRACED = 8
    STEPS = 9
    PADDING = 10
    BROADCAST = 11
    """Cycle of the last step's broadcast, within the present array operation."""
    SLOT = 12
    DENSE = 13
    """1 for the dense twin."""
    READY = 14
    """Cycle from which the scalar core's special registers, frames and residuals are settled."""
    HEAT = 15
    """Address of the busy cycles of each element in each traced operation of the array, or 0."""


class U(IntEnum):
    """Words of a unit: numbers of the preset, then what it did. Idle cycles are counted by
    cause."""

    LATENCY = 0
    PER_CYCLE = 1
    FREE = 2
    BUSY = 3
    IDLE_ISSUE = 4
    IDLE_DATA = 5
    IDLE_DRAM = 6
    COUNT = 7


class P(IntEnum):
    """Numbers of the array unit, in the order of `ArrayUnit`."""

    PES = 0
    LANES = 1
    INDEX_BITS = 2
    FIFO = 3
    ISSUE = 4
    EMPTY = 5
    DRAIN = 6


UNIT_WORDS = 8
CAUSES = ("unit", "data")
"""Causes of a wait at issue, as the trace numbers them from 1."""


@dataclass(frozen=True, slots=True)
class CostLayout:
    """Where the vectors of the cost state begin."""

    units: int
    array: int
    r: int
    f: int
    T: int
    W: int
    Q: int
    board: int
    counters: int
    done: int
    entries: int
    last: int
    before: int
    busy: int
    starved: int
    ring: int
    total: int


@functools.lru_cache(maxsize=4)
def cost_layout(isa: Isa) -> CostLayout:
    """The layout for an ISA."""
    sizes = {
        "units": UNIT_WORDS * len(isa.units),
        "array": 8,
        **{name: isa.file(name).count for name in ("r", "f", "T", "W", "Q")},
        "board": 4 * INTERVALS,
        "counters": len(counter_names(isa.actions, isa.spaces)),
        **dict.fromkeys(("done", "entries", "last", "before", "busy", "starved"), PES),
        "ring": RING,
    }
    at = len(C)
    offsets: dict[str, int] = {}
    for name, size in sizes.items():
        offsets[name] = at
        at += size
    return CostLayout(**offsets, total=at)


def cost_state(isa: Isa, preset: Preset, dense: bool) -> npt.NDArray[np.int64]:
    """The cost state before a run."""
    layout = cost_layout(isa)
    words = np.zeros(layout.total, np.int64)
    words[C.DENSE] = dense
    for number, unit in enumerate(isa.units):
        numbers = preset.units[unit.name]
        match numbers:
            case RateUnit(latency=latency, per_cycle=per_cycle):
                at = layout.units + UNIT_WORDS * number
                words[at + U.LATENCY], words[at + U.PER_CYCLE] = latency, per_cycle
            case ArrayUnit():
                words[layout.array : layout.array + len(P)] = [
                    numbers.pes, numbers.lanes, numbers.index_bits, numbers.fifo,
                    numbers.issue, numbers.empty, numbers.drain,
                ]  # fmt: skip
    return words
