"""Traces of a run: Chrome's and Perfetto's JSON, and a heat map of the processing elements over
time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlc.isa.codec import Decoded
from dlc.isa.cost.report import Report
from dlc.isa.model import Isa
from dlc.isa.program import Program

_SHADES = " .:-=+*#%@"


def trace_json(isa: Isa, program: Program, text: tuple[Decoded, ...], report: Report) -> str:
    """The trace in the form of chrome://tracing and Perfetto; a time stamp is a microsecond of
    the preset's clock."""
    scale = 1 / report.sparse.preset.clock_mhz
    events: list[dict[str, object]] = [
        {"ph": "M", "pid": 0, "tid": k, "name": "thread_name", "args": {"name": unit.name}}
        for k, unit in enumerate(isa.units)
    ]
    for step in report.trace:
        facts: dict[str, object] = {"word": step.word, "waited": step.start - step.issue}
        if step.cause is not None:
            facts["for"] = step.cause
        mark = program.mark(step.word)
        if mark is not None:
            facts["source"] = f"{mark.file}:{mark.line}:{mark.column}"
        events.append(
            {
                "ph": "X",
                "pid": 0,
                "tid": step.unit,
                "name": text[step.word].instruction.mnemonic,
                "ts": step.start * scale,
                "dur": (step.end - step.start) * scale,
                "args": facts,
            }
        )
    other = {"preset": report.sparse.preset.name, "dropped": report.dropped}
    return json.dumps({"traceEvents": events, "otherData": other}, sort_keys=True)


def heat_map(report: Report, bins: int = 64) -> npt.NDArray[np.float64]:
    """Busy share of each element (row) in each of `bins` equal stretches of the traced time
    (column)."""
    if report.heat is None or not report.trace:
        return np.zeros((len(report.sparse.pe_busy), bins))
    span = max(step.end for step in report.trace)
    width = max(span / bins, 1e-9)
    found = np.zeros((len(report.sparse.pe_busy), bins))
    for k, step in enumerate(report.trace):
        busy = report.heat[k]
        if step.end == step.start or not busy.any():
            continue
        share = busy / (step.end - step.start)
        first, last = int(step.start / width), min(int(step.end / width), bins - 1)
        for column in range(first, last + 1):
            begin, end = max(step.start, column * width), min(step.end, (column + 1) * width)
            found[:, column] += share * max(end - begin, 0.0)
    return found / width


def heat_text(report: Report, bins: int = 64, name: Callable[[int], str] = str) -> str:
    """The heat map in characters, a line an element."""
    rows = heat_map(report, bins)
    lines = [f"elements over {max((s.end for s in report.trace), default=0):,} cycles; '@' is busy"]
    for p, row in enumerate(rows):
        shades = "".join(_SHADES[min(int(x * len(_SHADES)), len(_SHADES) - 1)] for x in row)
        lines.append(f"{name(p):>4} {shades}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class LineCost:
    """What the traced instructions of a source line took: cycles of their units, and cycles in
    which they waited at the head."""

    file: str
    line: int
    instructions: int
    busy: int
    waited: int


def line_costs(program: Program, report: Report) -> tuple[LineCost, ...]:
    """The source lines of the traced instructions, the costliest first. Instructions without a
    place are line 0 of no file."""
    found: dict[tuple[str, int], list[int]] = {}
    for step in report.trace:
        mark = program.mark(step.word)
        key = ("", 0) if mark is None else (mark.file, mark.line)
        sums = found.setdefault(key, [0, 0, 0])
        sums[0] += 1
        sums[1] += step.end - step.start
        sums[2] += step.start - step.issue
    rows = [LineCost(file, line, *sums) for (file, line), sums in found.items()]
    return tuple(sorted(rows, key=lambda r: (-r.busy - r.waited, r.file, r.line)))


def lines_text(program: Program, report: Report, most: int = 20) -> str:
    """The costliest source lines for people. Units overlap, so cycles of lines may add up to more
    than those of the run."""
    rows = line_costs(program, report)
    whole = max(sum(row.busy for row in rows), 1)
    out = [f"{'busy':>12}{'':8}{'waited':>12}{'instructions':>14}  line"]
    for row in rows[:most]:
        place = f"{row.file}:{row.line}" if row.line else "(no place)"
        out.append(
            f"{row.busy:12,}{row.busy / whole:8.1%}{row.waited:12,}{row.instructions:14,}  {place}"
        )
    if len(rows) > most:
        out.append(f"and {len(rows) - most} lines more")
    if report.dropped:
        out.append(f"without the last {report.dropped:,} instructions (--limit)")
    return "\n".join(out) + "\n"
