"""Gates: published machines, run through the same cost model, against their published numbers.

A gate reads a file of its form and returns rows, a summary and whether it holds. Nothing in here is
fitted to a layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from dlc.diag import CompileError, error
from dlc.isa.cost.layout import C, cost_state
from dlc.isa.fast.machine import fast_machine
from dlc.isa.model import ArrayUnit, Isa, Preset
from dlc.isa.project import load_isa

SEEDS = 5
_LARGEST = 1 << 26
_MOST_ENTRIES = 1 << 26


@dataclass(frozen=True, slots=True)
class GateReport:
    """A gate's result: a table, lines of summary, and whether it holds."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    summary: tuple[str, ...]
    passed: bool

    def text(self) -> str:
        """The table for people: texts to the left, numbers to the right."""
        cells = [[_cell(value) for value in row] for row in self.rows]
        widths = [max(len(c) for c in column) for column in zip(self.columns, *cells, strict=True)]
        lines = [
            "  ".join(
                c.ljust(w) if k == 0 else c.rjust(w)
                for k, (c, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in (self.columns, *cells)
        ]
        verdict = "holds" if self.passed else "does not hold"
        return "\n".join((*lines, *self.summary, f"gate {self.name}: {verdict}")) + "\n"

    def as_json(self) -> dict[str, Any]:
        return {
            "gate": self.name,
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "summary": list(self.summary),
            "passed": self.passed,
        }


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


# -- reading ---------------------------------------------------------------------------------------


def _object(value: Any) -> dict[str, Any]:
    """A JSON object; anything else is as if it were empty."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _array(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


class _Form:
    """A file of a known form; whatever it lacks is said with the place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.stat().st_size > _LARGEST:
                raise self.wrong("it is larger than 64 MiB")
            self.whole: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as e:
            raise CompileError(error("E0901", f"cannot read {path}: {e.strerror or e}")) from None
        except (ValueError, RecursionError):
            raise self.wrong("it isn't JSON") from None
        if not isinstance(self.whole, dict):
            raise self.wrong("it isn't one JSON object")

    def wrong(self, message: str) -> CompileError:
        return CompileError(error("E0811", f"{self.path}: {message}"))

    def member(self, key: str) -> Any:
        """A member of the whole, or None."""
        return cast("dict[str, Any]", self.whole).get(key)

    def limit(self, name: str, entries: float) -> None:
        """Refuse a layer whose entries would not fit this machine."""
        if entries > _MOST_ENTRIES:
            told = f"about {entries:.3g} stored entries, and a gate takes {_MOST_ENTRIES}"
            raise self.wrong(f"layer {name}: {told}")

    def layers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        found = _array(self.member("layers"))
        if not found:
            raise self.wrong("it has no list `layers`")
        for k, layer in enumerate(found):
            name = _object(layer).get("layer")
            if not isinstance(name, str):
                raise self.wrong(f"layer {k} has no name `layer`")
            yield name, _object(layer)

    def number(
        self, layer: dict[str, Any], key: str, low: float, high: float = float("inf")
    ) -> float:
        value = layer.get(key)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise self.wrong(
                f"layer {layer['layer']}: `{key}` must be a number from {low:g} to {high:g}"
            )
        return value

    def whole_number(self, layer: dict[str, Any], key: str, low: int, high: int = 1 << 24) -> int:
        value = self.number(layer, key, low, high)
        if int(value) != value:
            raise self.wrong(f"layer {layer['layer']}: `{key}` must be a whole number")
        return int(value)

    def counts(
        self, layer: dict[str, Any], key: str, length: int, high: int
    ) -> npt.NDArray[np.int64]:
        values = _array(layer.get(key))
        if len(values) != length:
            raise self.wrong(f"layer {layer['layer']}: `{key}` must list {length} numbers")
        if any(type(value) is not int or not 0 <= value <= high for value in values):
            told = f"`{key}` must hold whole numbers from 0 to {high}"
            raise self.wrong(f"layer {layer['layer']}: {told}")
        return np.array(values, np.int64)


# -- the array alone -------------------------------------------------------------------------------


def columns_cycles(
    isa: Isa,
    preset: Preset,
    pointers: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int32],
    listed: npt.NDArray[np.int32],
) -> tuple[int, int, int]:
    """(cycles, entries, padding) of the array for one event-driven product: the listed columns
    of a pattern, in order."""
    state = cost_state(isa, preset, dense=False)
    cycles = fast_machine(isa).array_columns(state, pointers, rows, listed)
    entries = int((pointers[listed + 1] - pointers[listed]).astype(np.int64).sum())
    return cycles, entries, int(state[C.PADDING])


def random_columns(
    rng: np.random.Generator, sizes: npt.NDArray[np.int64], height: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(pointers, rows) of columns with so many entries each, on random rows, ascending."""
    pointers = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    counts: list[int] = sizes.tolist()
    parts = [np.sort(rng.choice(height, n, replace=False, shuffle=False)) for n in counts]
    rows = np.concatenate(parts) if parts else np.zeros(0)
    return pointers, rows.astype(np.int32)


def random_mask(
    rng: np.random.Generator, height: int, width: int, density: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(pointers, rows) of a matrix whose entries are kept independently with a probability. Gaps
    between kept entries are geometric, so the work is the number of entries, not of places."""
    total = height * width
    at = np.zeros(0, np.int64)
    last = -1
    while last < total and total:
        count = int(density * (total - last) * 1.01) + 64
        more = last + np.cumsum(rng.geometric(density, count))
        at = np.concatenate([at, more])
        last = int(more[-1])
    at = at[at < total]
    pointers = np.searchsorted(at, np.arange(width + 1) * height).astype(np.int32)
    return pointers, (at % height).astype(np.int32)


# -- Eyeriss v2 ------------------------------------------------------------------------------------


def eyeriss_layers(path: str | Path, isa: Isa | None = None) -> tuple[tuple[str, int, int], ...]:
    """(layer, cycles, published cycles) of every layer of a file like `eyeriss_v2_pe.json`.

    A layer's counts become events and columns: channel c is active in as many positions as the file
    counts, and its column has as many weights on random rows. Each position is one event-driven
    product on the preset `eyeriss2pe`; positions with the same active channels cost the same, so
    each such set is run once.

    Raises CompileError E0811 (not of that form), E0901 (unreadable).
    """
    isa = load_isa() if isa is None else isa
    preset = isa.presets["eyeriss2pe"]
    form = _Form(Path(path))
    found: list[tuple[str, int, int]] = []
    for name, layer in form.layers():
        channels = form.whole_number(layer, "in_channels", 1)
        height = form.whole_number(layer, "out_channels", 1)
        positions = form.whole_number(layer, "positions", 1)
        active = form.counts(layer, "active_inputs_by_channel", channels, positions)
        weights = form.counts(layer, "nonzero_weights_by_channel", channels, height)
        published = form.whole_number(layer, "cycles", 0, 1 << 52)
        form.limit(name, float(weights.sum()))
        pointers, rows = random_columns(np.random.default_rng(0), weights, height)
        cycles = position = 0
        ends: list[int] = np.unique(active[active > 0]).tolist()
        for end in ends:
            listed = np.flatnonzero(active >= end).astype(np.int32)
            alike = columns_cycles(isa, preset, pointers, rows, listed)[0]
            cycles += (end - position) * alike
            position = end
        found.append((name, cycles, published))
    return tuple(found)


def _eyeriss(path: Path, isa: Isa) -> GateReport:
    rows = eyeriss_layers(path, isa)
    wrong = [name for name, cycles, published in rows if cycles != published]
    summary = f"{len(rows) - len(wrong)} of {len(rows)} layers equal, cycle for cycle"
    return GateReport(
        "eyeriss2pe", ("layer", "cycles", "published cycles"), rows, (summary,), not wrong
    )


# -- EIE -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EieLayer:
    """A layer of EIE's table and the model's times for it, microseconds, means over seeds."""

    name: str
    theoretical: float
    actual: float
    published_theoretical: float
    published_actual: float

    @property
    def theoretical_error(self) -> float:
        """Per cent of the published time."""
        return 100 * (self.theoretical / self.published_theoretical - 1)

    @property
    def actual_error(self) -> float:
        return 100 * (self.actual / self.published_actual - 1)


def eie_layers(
    path: str | Path, isa: Isa | None = None, seeds: int = SEEDS, fifo: int | None = None
) -> tuple[EieLayer, ...]:
    """The layers of a file like `eie.json` on the preset `eie64`, with random masks at the
    published densities.

    Theoretical: entries and padding spread evenly over the elements. Actual: the array's cycles.
    `fifo` replaces the depth.

    Raises CompileError E0811 (not of that form), E0901 (unreadable).
    """
    isa = load_isa() if isa is None else isa
    preset = isa.presets["eie64"]
    array = next(u for u in preset.units.values() if isinstance(u, ArrayUnit))
    if fifo is not None:
        array = replace(array, fifo=fifo)
        preset = replace(preset, units={**preset.units, "array": array})
    form = _Form(Path(path))
    found: list[EieLayer] = []
    for name, layer in form.layers():
        inputs, outputs = (
            form.whole_number(layer, "inputs", 1),
            form.whole_number(layer, "outputs", 1),
        )
        weights = form.number(layer, "weight_density_percent", 0.001, 100) / 100
        active = form.number(layer, "activation_density_percent", 0, 100) / 100
        form.limit(name, inputs * active * outputs * weights)
        published = [form.number(layer, key, 1e-6, 1e12) for key in ("theoretical_us", "actual_us")]
        times: list[tuple[float, float]] = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            listed = int(np.count_nonzero(rng.random(inputs) < active))
            pointers, rows = random_mask(rng, outputs, listed, weights)
            columns = np.arange(listed, dtype=np.int32)
            cycles, entries, padding = columns_cycles(isa, preset, pointers, rows, columns)
            times.append(
                ((entries + padding) / array.pes / preset.clock_mhz, cycles / preset.clock_mhz)
            )
        mean = np.mean(times, axis=0)
        found.append(EieLayer(name, float(mean[0]), float(mean[1]), published[0], published[1]))
    return tuple(found)


def pe_cycle_picojoule(isa: Isa, table: str = "eie") -> float:
    """pJ that an energy table charges for a cycle of a processing element."""
    return sum(p.picojoule for p in isa.energies[table].prices if p.counter == "pe_cycle")


def _eie(path: Path, isa: Isa) -> GateReport:
    layers = eie_layers(path, isa)
    columns = (
        "layer",
        "theoretical us",
        "published",
        "error %",
        "actual us",
        "published actual",
        "actual error %",
    )
    rows = tuple(
        (
            e.name,
            e.theoretical,
            e.published_theoretical,
            e.theoretical_error,
            e.actual,
            e.published_actual,
            e.actual_error,
        )
        for e in layers
    )
    means = [
        float(np.mean([abs(getattr(e, kind)) for e in layers]))
        for kind in ("theoretical_error", "actual_error")
    ]
    preset = isa.presets["eie64"]
    array = next(u for u in preset.units.values() if isinstance(u, ArrayUnit))
    unit = pe_cycle_picojoule(isa)
    watts = unit * 1e-12 * array.pes * preset.clock_mhz * 1e6
    summary = (
        f"mean error: theoretical {means[0]:.2f} % (at most 8), actual {means[1]:.2f} % (at "
        "most 12)",
        f"energy: {unit:.2f} pJ a cycle of an element (11.44 +- 0.01), {watts:.3f} W (0.6 +- 5 %)",
    )
    holds = (
        means[0] <= 8
        and means[1] <= 12
        and abs(unit - 11.44) <= 0.0101
        and abs(watts / 0.6 - 1) <= 0.05
    )
    return GateReport("eie64", columns, rows, summary, holds)


def _fifo(path: Path, isa: Isa) -> GateReport:
    depths = (1, 8, 256)
    by_depth = [eie_layers(path, isa, seeds=1, fifo=depth) for depth in depths]
    rows: list[tuple[Any, ...]] = []
    near = slow = 0
    for shallow, eight, deep in zip(*by_depth, strict=True):
        rows.append(
            (
                shallow.name,
                shallow.actual,
                eight.actual,
                deep.actual,
                eight.actual / deep.actual,
                shallow.actual / deep.actual,
            )
        )
        near += eight.actual <= 1.1 * deep.actual
        slow += shallow.actual >= 1.4 * deep.actual
    columns = ("layer", "depth 1, us", "depth 8", "depth 256", "8 / 256", "1 / 256")
    summary = (
        f"depth 8 within 10 % of depth 256 on {near} of {len(rows)} layers (8 of 9)",
        f"depth 1 at least 1.4 times slower than depth 256 on {slow} of {len(rows)} (all)",
    )
    return GateReport(
        "fifo", columns, tuple(rows), summary, 9 * near >= 8 * len(rows) and slow == len(rows)
    )


# -- energy units ----------------------------------------------------------------------------------


def _horowitz(path: Path, isa: Isa) -> GateReport:
    form = _Form(path)
    published = _object(form.member("pj"))
    if not published:
        raise form.wrong("it has no object `pj`")
    ours = isa.quantities["horowitz45"]
    rows = tuple(
        (name, ours.get(name), published.get(name)) for name in sorted({*ours, *published})
    )
    wrong = sum(mine != theirs for _, mine, theirs in rows)
    return GateReport(
        "horowitz45",
        ("quantity", "pJ", "published"),
        rows,
        (f"{len(rows) - wrong} of {len(rows)} equal",),
        not wrong,
    )


GATES: dict[str, Callable[[Path, Isa], GateReport]] = {
    "eyeriss2pe": _eyeriss,
    "eie64": _eie,
    "fifo": _fifo,
    "horowitz45": _horowitz,
}


def run_gate(name: str, path: str | Path, isa: Isa | None = None) -> GateReport:
    """Run a gate on a file of its form.

    Raises CompileError E0810 (no such gate), E0811 (not of that form), E0901 (unreadable).
    """
    if name not in GATES:
        known = ", ".join(f"`{gate}`" for gate in GATES)
        raise CompileError(
            error("E0810", f"there is no gate `{name}`").with_note(f"gates: {known}")
        )
    return GATES[name](Path(path), load_isa() if isa is None else isa)
