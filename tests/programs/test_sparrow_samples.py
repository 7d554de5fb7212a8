"""Every sample on the modelled machine: each call of the evaluator is run there as well, and in the
dense twin, and must give the same results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlc
from dlc import evaluate
from dlc.artifact.python import evaluated
from dlc.driver.front import check, lowered
from dlc.driver.options import Options
from dlc.driver.stages import Clock, differentiated, simplified
from dlc.memory.bufferise import bufferise
from dlc.memory.form import BModule
from dlc.passes.pipeline import AFTER_AUTODIFF, PRUNE
from dlc.targets.sparrow import SparrowOptions, SparrowProgram, compile_module, run_entry
from tests.programs.samples_inputs import SAMPLES
from tests.unit.targets.cpu.emit.agreement import same

ROOT = Path(__file__).parents[2]
TURNS = 3


def bufferised(name: str, bind: Mapping[str, int]) -> BModule:
    o, clock = Options(bind=tuple(bind.items())), Clock(())
    program = lowered(check(ROOT / "samples" / f"{name}.dl"), o)
    module = differentiated(program.module, o, clock)
    return bufferise(simplified(module, (*AFTER_AUTODIFF, PRUNE), "optimise", o, clock))


class Both:
    """Stands in for the evaluator's module: what it runs, the machine runs, too."""

    Program = evaluate.Program
    Limits = evaluate.Limits

    def __init__(self, programs: list[SparrowProgram]) -> None:
        self.programs = programs
        self.calls = 0

    def run(
        self, program: Any, entry: str, args: list[Any], dims: Any = None, limits: Any = None
    ) -> Any:
        mine = [
            (p, [x.copy() if isinstance(x, np.ndarray) else x for x in args])
            for p in self.programs
            if entry in p.entries
        ]
        want = evaluate.run(program, entry, args, dims, limits=limits)
        for p, given in mine:
            self.calls += 1
            for g, w in zip(run_entry(p, entry, given, dims).results, want, strict=True):
                same(g, w, 2e-4)
        return want


@pytest.mark.parametrize("name", SAMPLES)
def test_the_machine_and_the_evaluator_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bind, sizes, entries = SAMPLES[name]
    module = bufferised(name, bind)
    both = Both([compile_module(module, SparrowOptions(dense=d)) for d in (False, True)])
    monkeypatch.setattr(evaluated, "evaluate", both)
    net = dlc.compile(ROOT / "samples" / f"{name}.dl", target="evaluate", bind=bind)
    if sizes:
        net.init(3, dims={k: v for k, v in sizes.items() if k not in bind})
    r = np.random.default_rng(17)
    for entry, inputs in entries.items():
        for _ in range(TURNS):
            net.entries[entry](*inputs(net, r))
    assert both.calls >= 2 * TURNS * len(entries)
