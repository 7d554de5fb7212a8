"""What a compile is asked for, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Where = Literal["cpu", "evaluate", "sparrow"]
WeightsMode = Literal["blob", "embed"]


@dataclass(frozen=True, slots=True)
class Options:
    """`target`: native code, the evaluator, or a program of the accelerator. `triple`, `cpu` and
    `features` are the machine in LLVM's words; without a triple it is this one, with all that it
    can do.

    `level` 0..3 is LLVM's. `debug` maps instructions to source lines. `bind` gives numbers to dims
    (`m.V`, `V`, `beam.K`). `entries` are the exported functions to compile, None for all. `prefix`
    begins every C name. `verify` checks the IR after every stage; `dump` names stages whose text is
    kept (`STAGES` in `dlc.driver.stages`, and every pass). `poison` fills unused memory with NaNs;
    `fuel`, if not 0, limits the turns of unbounded loops in a call.

    For the accelerator, `preset` names the machine whose costs are told, and `dense` leaves events
    and compressed weights out; embedded weights are compressed where they are sparse."""

    target: Where = "cpu"
    triple: str | None = None
    cpu: str = ""
    features: str = ""
    level: int = 3
    debug: bool = False
    bind: tuple[tuple[str, int], ...] = ()
    entries: tuple[str, ...] | None = None
    prefix: str = "net"
    weights_mode: WeightsMode = "blob"
    tests: bool = False
    verify: bool = False
    dump: tuple[str, ...] = ()
    poison: bool = False
    fuel: int = 0
    preset: str = "sparrow"
    dense: bool = False


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds of a stage. `inside` are its parts, such as the passes."""

    name: str
    seconds: float
    inside: tuple[StageTime, ...] = field(default=())
