"""What a compile is asked for, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from dlc.artifact.names import is_prefix

Where = Literal["cpu", "evaluate", "sparrow"]
WeightsMode = Literal["blob", "embed"]
Level = Literal[0, 1, 2, 3, "s"]


@dataclass(frozen=True, slots=True)
class Options:
    """`target`: native code, the evaluator, or a program of the accelerator. `triple`, `cpu` and
    `features` are the machine in LLVM's words; without a triple it is this one, with all that it
    can do.

    `level` 0..3 is LLVM's, "s" asks for small code. `debug` maps instructions to source lines.
    `bind` gives numbers to dims (`m.V`, `V`, `beam.K`). `entries` are the exported functions to
    compile, None for all. `prefix` begins every C name. `verify` checks the IR after every stage;
    `dump` names stages whose text is kept (`STAGES` in `dlc.driver.stages`, and every pass).
    `poison` fills unused memory with NaNs; `fuel`, if not 0, is how many turns loops without a
    bound may take in a call that does not say.

    For the accelerator, `preset` names the machine whose costs are told, and `dense` leaves events
    and compressed weights out; embedded weights are compressed where they are sparse.

    Raises TypeError, ValueError for what no option can be."""

    target: Where = "cpu"
    triple: str | None = None
    cpu: str = ""
    features: str = ""
    level: Level = 3
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

    def __post_init__(self) -> None:
        _one_of("target", self.target, get_args(Where))
        _one_of("weights_mode", self.weights_mode, get_args(WeightsMode))
        _one_of("level", self.level, get_args(Level))
        if not is_prefix(self.prefix):
            text = "a letter, then up to 30 letters, digits and _, and no word of C"
            raise ValueError(f"prefix {self.prefix!r} cannot begin C names: it must be {text}")
        if isinstance(self.fuel, bool) or not 0 <= self.fuel < 2**63:
            raise ValueError(f"fuel is {self.fuel}: it must be 0 or a number of turns")


def _one_of(name: str, given: object, allowed: tuple[object, ...]) -> None:
    # `True == 1`, but it is no level.
    if isinstance(given, bool) or given not in allowed:
        listed = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} is {given!r}: it must be one of {listed}")


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds of a stage. `inside` are its parts, such as the passes."""

    name: str
    seconds: float
    inside: tuple[StageTime, ...] = field(default=())
