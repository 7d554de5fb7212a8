"""The recurrence of the array: by hand, and the properties that any queue has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dlc.isa.cost.array import ArrayRun
from dlc.isa.gates import columns_cycles
from dlc.isa.model import ArrayUnit, Preset
from dlc.isa.project import load_isa

ISA = load_isa()
TWO = ArrayUnit(pes=2, lanes=1, index_bits=0, fifo=1, issue=1, empty=0, drain=0)


def ran(unit: ArrayUnit, steps: list[list[int]]) -> tuple[int, ArrayRun]:
    run = ArrayRun(unit, [0] * unit.pes, [0] * unit.pes)
    run.start()
    for rows in steps:
        run.column(rows, 1)
    return run.finish(), run


def test_by_hand() -> None:
    steps = [[0, 2, 4], [1], [0, 1]]  # element 0: 3, 0, 1 entries; element 1: 0, 1, 1
    assert ran(TWO, steps)[0] == 3 + 1 + 1  # one step at a time
    deep = replace(TWO, fifo=8)
    cycles, run = ran(deep, steps)
    assert cycles == 4 and run.busy == [4, 2]
    assert ran(replace(deep, drain=5), steps)[0] == 9
    assert ran(replace(deep, lanes=4), steps)[0] == 3
    assert ran(replace(deep, empty=1), steps)[1].busy == [5, 3]
    assert ran(deep, [])[0] == 0


def test_padding() -> None:
    four = ArrayUnit(pes=1, lanes=1, index_bits=4, fifo=8, issue=1, empty=0, drain=0)
    for rows, pads in (
        ([0], 0),
        ([15], 0),
        ([16], 1),
        ([0, 16], 0),
        ([0, 17], 1),
        ([40], 2),
        ([3, 40, 100], 2 + 3),
    ):
        assert ran(four, [rows])[1].padding == pads, rows
    assert ran(four, [[16], [16]])[1].padding == 2  # counted anew in every column


def drawn(seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [sorted(rng.permutation(40)[: rng.integers(0, 12)].tolist()) for _ in range(30)]


def test_bounds_and_monotonicity() -> None:
    unit = ArrayUnit(pes=4, lanes=1, index_bits=0, fifo=4, issue=1, empty=1, drain=0)
    for seed in range(30):
        steps = drawn(seed)
        by_depth = [ran(replace(unit, fifo=d), steps)[0] for d in (1, 2, 4, 8, 64)]
        assert by_depth == sorted(by_depth, reverse=True)
        cycles, run = ran(unit, steps)
        assert cycles >= max(run.busy)
        assert cycles >= len(steps) - 1
        assert all(b + s <= cycles for b, s in zip(run.busy, run.starved, strict=True))
        assert by_depth[0] == sum(max(max(run_step(rows, 4), default=0), 1) for rows in steps)


def run_step(rows: list[int], pes: int) -> list[int]:
    return [max(sum(r % pes == p for r in rows), 1) for p in range(pes)]


def test_native_recurrence() -> None:
    base = ISA.presets["sparrow"]
    for seed in range(20):
        steps = drawn(seed)
        rng = np.random.default_rng(seed)
        unit = ArrayUnit(
            *(
                int(rng.choice(c))
                for c in (
                    (1, 2, 3, 4, 64),
                    (1, 2, 4),
                    (0, 1, 2, 4),
                    (1, 2, 8, 5000),
                    (0, 1, 3),
                    (0, 1),
                    (0, 7),
                )
            )
        )
        preset: Preset = replace(base, units={**base.units, "array": unit})
        pointers = np.concatenate([[0], np.cumsum([len(s) for s in steps])]).astype(np.int32)
        rows = np.array([r for s in steps for r in s], np.int32)
        cycles, entries, padding = columns_cycles(
            ISA, preset, pointers, rows, np.arange(len(steps), dtype=np.int32)
        )
        expected, run = ran(unit, steps)
        assert (cycles, entries, padding) == (expected, len(rows), run.padding)
