"""Reports of a run's costs: cycles by unit and cause, counts, energy by component, beside the
dense twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt

from dlc.isa.cost.layout import CAUSES, UNIT_WORDS, C, U, cost_layout
from dlc.isa.model import ArrayUnit, Isa, Preset, RateUnit, counter_names


@dataclass(frozen=True, slots=True)
class UnitCost:
    """Cycles of a unit: busy, or idle by cause. busy + issue + data + dram + tail = cycles of
    the run.

    `issue`: nothing for it at the head; `data`: its instruction waited for data, or for the DRAM's
    unit; `dram`: held while DRAM was slower; `tail`: after its last instruction.
    """

    name: str
    count: int
    busy: int
    issue: int
    data: int
    dram: int
    tail: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run costs under a preset, or what its dense twin would."""

    preset: Preset
    cycles: int
    instructions: int
    stalls: Mapping[str, int]
    units: tuple[UnitCost, ...]
    counters: Mapping[str, int]
    energy: Mapping[str, float]
    """pJ by component."""
    pe_busy: tuple[int, ...]
    pe_starved: tuple[int, ...]
    unpriced: tuple[tuple[str, str], ...] = ()
    """Counters of this run that the energy table gives no price of their own, and why."""

    @property
    def seconds(self) -> float:
        return self.cycles / (self.preset.clock_mhz * 1e6)

    @property
    def joules(self) -> float:
        return sum(self.energy.values()) * 1e-12

    @property
    def watts(self) -> float:
        return self.joules / self.seconds if self.cycles else 0.0

    @property
    def array_cycles(self) -> int:
        """Cycles in which the array worked."""
        return self.counters["pe_cycle"] // len(self.pe_busy)

    @property
    def occupancy(self) -> float:
        """Busy share of the elements' cycles while the array worked; 0 if it never did."""
        whole = self.counters["pe_cycle"]
        return sum(self.pe_busy) / whole if whole else 0.0

    @property
    def starvation(self) -> float:
        """Share of the elements' cycles in which they waited for a step while the array worked."""
        whole = self.counters["pe_cycle"]
        return sum(self.pe_starved) / whole if whole else 0.0

    @property
    def macs(self) -> int:
        return self.counters["mac"] + self.counters["mac8"]

    @property
    def padding_waste(self) -> float:
        """Padding entries among all entries that the array took."""
        pads = self.counters["padding"]
        entries = pads + self.macs
        return pads / entries if entries else 0.0

    @property
    def dram_bytes(self) -> int:
        return self.counters["DRAM.read"] + self.counters["DRAM.write"]

    def roofline(self) -> dict[str, float]:
        """macs a cycle: done, the array's peak, and what DRAM's bandwidth allows at this
        intensity."""
        macs = self.macs
        array = next(u for u in self.preset.units.values() if isinstance(u, ArrayUnit))
        dma = self.preset.units["dma"]
        bandwidth = 4 * dma.per_cycle if isinstance(dma, RateUnit) else 0
        peak = float(array.pes * array.lanes)
        bound = peak if not self.dram_bytes else min(peak, bandwidth * macs / self.dram_bytes)
        return {
            "macs_per_cycle": macs / self.cycles if self.cycles else 0.0,
            "peak": peak,
            "bound": bound,
            "macs_per_dram_byte": macs / self.dram_bytes if self.dram_bytes else 0.0,
        }

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "preset": self.preset.name,
            "cycles": self.cycles,
            "seconds": self.seconds,
            "instructions": self.instructions,
            "joules": self.joules,
            "watts": self.watts,
            "energy_pj": dict(self.energy),
            "unpriced": dict(self.unpriced),
            "counters": {k: v for k, v in self.counters.items() if v},
            "units": {
                u.name: {
                    k: getattr(u, k) for k in ("count", "busy", "issue", "data", "dram", "tail")
                }
                for u in self.units
            },
            "stalls": dict(self.stalls),
            "occupancy": self.occupancy,
            "starvation": self.starvation,
            "padding_waste": self.padding_waste,
            "roofline": self.roofline(),
        }


def priced(isa: Isa, table: str, counters: Mapping[str, int]) -> dict[str, float]:
    """pJ by component: counts times the prices of an energy table."""
    found = dict.fromkeys(isa.energies[table].components(), 0.0)
    for price in isa.energies[table].prices:
        found[price.component] += counters[price.counter] * price.picojoule
    return found


def costs_of(isa: Isa, preset: Preset, words: npt.NDArray[np.int64]) -> Costs:
    """The costs that a cost state holds after a run."""
    layout = cost_layout(isa)
    cycles = int(words[C.END])
    units: list[UnitCost] = []
    for number, unit in enumerate(isa.units):
        at = layout.units + UNIT_WORDS * number
        row = [int(x) for x in words[at : at + UNIT_WORDS]]
        units.append(
            UnitCost(
                unit.name,
                row[U.COUNT],
                row[U.BUSY],
                row[U.IDLE_ISSUE],
                row[U.IDLE_DATA],
                row[U.IDLE_DRAM],
                cycles - row[U.FREE],
            )
        )
    names = counter_names(isa.actions, isa.spaces)
    counters = {name: int(words[layout.counters + k]) for k, name in enumerate(names)}
    pes = next(u.pes for u in preset.units.values() if isinstance(u, ArrayUnit))
    return Costs(
        preset,
        cycles,
        int(words[C.INSTRUCTIONS]),
        {
            cause: int(words[word])
            for cause, word in zip(CAUSES, (C.STALL_UNIT, C.STALL_DATA), strict=True)
        },
        tuple(units),
        counters,
        priced(isa, preset.energy, counters),
        tuple(int(x) for x in words[layout.busy : layout.busy + pes]),
        tuple(int(x) for x in words[layout.starved : layout.starved + pes]),
        tuple(item for item in isa.energies[preset.energy].included if counters[item[0]]),
    )


@dataclass(frozen=True, slots=True)
class Traced:
    """An instruction in the trace. `cause`: what it waited for at issue, or None."""

    word: int
    unit: int
    issue: int
    start: int
    end: int
    cause: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """Costs of a run and of its dense twin; `trace` holds the first instructions, `heat` the
    busy cycles of each element in each of them that worked on the array (zeros elsewhere).
    """

    sparse: Costs
    dense: Costs
    trace: tuple[Traced, ...] = ()
    dropped: int = 0
    """Instructions that the trace had no room for."""
    heat: npt.NDArray[np.int64] | None = None
    exceeded: tuple[str, ...] = ()
    """Spaces of which the program needs more than the preset has."""

    @property
    def speedup(self) -> float:
        """Cycles of the dense twin over cycles; below 1 sparsity loses."""
        return self.dense.cycles / self.sparse.cycles if self.sparse.cycles else 1.0

    def as_json(self) -> dict[str, Any]:
        return {
            "sparse": self.sparse.as_json(),
            "dense": self.dense.as_json(),
            "speedup": self.speedup,
            "exceeded": list(self.exceeded),
        }


def _table(sparse: Costs, dense: Costs) -> list[tuple[str, str, str]]:
    """The rows of the report: label, the run's number, the dense twin's."""
    rows: list[tuple[str, str, str]] = []

    def row(label: str, text: Callable[[Costs], str]) -> None:
        rows.append((label, text(sparse), text(dense)))

    row("cycles", lambda c: f"{c.cycles:,}")
    row("time, us", lambda c: f"{c.seconds * 1e6:.4g}")
    row("instructions", lambda c: f"{c.instructions:,}")
    row("macs", lambda c: f"{c.macs:,}")
    row("energy of the call, uJ", lambda c: f"{c.joules * 1e6:.4g}")
    row("power, mW", lambda c: f"{c.watts * 1e3:.1f}")
    row("array: busy", lambda c: f"{c.occupancy:.1%}")
    row("array: starved", lambda c: f"{c.starvation:.1%}")
    row("array: padding", lambda c: f"{c.padding_waste:.1%}")
    row("macs a cycle", lambda c: f"{c.roofline()['macs_per_cycle']:.3f}")
    row("  the roof for it", lambda c: f"{c.roofline()['bound']:.3f}")
    row("  the array's peak", lambda c: f"{c.roofline()['peak']:.3f}")
    row("macs a DRAM byte", lambda c: f"{c.roofline()['macs_per_dram_byte']:.3f}")
    rows.append(("energy, nJ", "", ""))
    for name in sparse.energy:
        if sparse.energy[name] or dense.energy[name]:
            row(f"  {name}", lambda c, name=name: f"{c.energy[name] / 1e3:.4g}")
    return rows


def report_text(report: Report) -> str:
    """The report for people, without the single counts."""
    sparse, dense = report.sparse, report.dense
    lines = [f"{'':24}{sparse.preset.name:>16}{'dense twin':>16}"]
    rows = _table(sparse, dense)
    lines += [f"{label:24}{value:>16}{other:>16}".rstrip() for label, value, other in rows]
    for reason in dict.fromkeys(reason for _, reason in sparse.unpriced):
        names = ", ".join(name for name, why in sparse.unpriced if why == reason)
        lines += fill(f"  no price for {names}: {reason}", 80, subsequent_indent="    ").split("\n")
    lines.append("cycles of the units: busy, and idle by cause")
    head = ("busy", "issue", "data", "dram", "tail")
    lines.append(f"  {'':10}" + "".join(f"{name:>12}" for name in head))
    for unit in sparse.units:
        lines.append(f"  {unit.name:10}" + "".join(f"{getattr(unit, name):>12,}" for name in head))
    lines.append(f"waits at issue: {', '.join(f'{k} {v:,}' for k, v in sparse.stalls.items())}")
    verdict = f"sparsity gains a factor of {report.speedup:.2f}"
    if report.speedup < 1:
        share = f"{report.speedup:.2f}"
        verdict = f"sparsity loses here: the dense twin takes {share} of the cycles"
    elif report.speedup == 1:
        verdict = "sparsity makes no difference to the cycles"
    lines.append(verdict)
    if report.exceeded:
        lines.append(f"more than {sparse.preset.name} has of: {', '.join(report.exceeded)}")
    return "\n".join(lines) + "\n"


def counts_text(report: Report) -> str:
    """Every count that isn't 0: of the run, and of its dense twin."""
    sparse, dense = report.sparse.counters, report.dense.counters
    lines = ["counts"]
    lines += [
        f"  {name:22}{count:>16,}{dense[name]:>16,}"
        for name, count in sparse.items()
        if count or dense[name]
    ]
    return "\n".join(lines) + "\n"
