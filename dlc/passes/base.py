"""What a pass is, and how a list of passes runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from dlc.diag import InternalError
from dlc.ir.core import Module

Check = Callable[[Module], None]


@dataclass(frozen=True)
class Pass:
    """A named module-to-module function. `requires` are facts that must hold before it, `provides`
    facts that hold after it, `breaks` facts that it may undo (`derivative-free`: no gradient
    operations)."""

    name: str
    line: str
    run: Callable[[Module], Module]
    requires: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()
    breaks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Timing:
    name: str
    seconds: float


def run_passes(
    module: Module,
    passes: Sequence[Pass],
    *,
    verify: Check | None = None,
    after: Callable[[str, Module], None] | None = None,
    facts: frozenset[str] = frozenset(),
) -> tuple[Module, tuple[Timing, ...]]:
    """The module after all passes in order, and how long each took.

    `verify` runs between passes; `after` sees the module after each. Raises InternalError for a
    pass whose requirement does not hold."""
    timings: list[Timing] = []
    for p in passes:
        missing = p.requires - facts
        if missing:
            raise InternalError(f"needs {', '.join(sorted(missing))} first", stage=p.name)
        start = perf_counter()
        module = p.run(module)
        timings.append(Timing(p.name, perf_counter() - start))
        facts = (facts | p.provides) - p.breaks
        if verify is not None:
            verify(module)
        if after is not None:
            after(p.name, module)
    return module, tuple(timings)
