"""`dlc verify MODEL.onnx`: against ONNX Runtime where it is installed, and the first value that
differs (`--bisect`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from dlc.cli.comparison import LENGTH, first_difference
from dlc.cli.outcome import emit, say

if TYPE_CHECKING:
    from dlc.driver.onnx import OnnxModel
    from dlc.importers.model import Imported, Probed

RUNTIME_RUNS = 3
"""Inputs that are given to ONNX Runtime."""
COARSE = 1_000_000
"""Terms of a sum: what differs by this tolerance, about 1e-3 in f32, is more than rounding that a
logarithm or a division has magnified."""


@dataclass(frozen=True)
class Compared:
    """What is compared with the evaluator: its name, whether it ran, and where it differs."""

    name: str
    ran: int
    differs: str | None = None
    note: str = ""


def against_runtime(
    model: OnnxModel, made: Imported, inputs: Sequence[Mapping[str, Any]]
) -> Compared:
    """The evaluator against ONNX Runtime, for inputs by parameter."""
    from dlc.importers import runtime
    from dlc.importers.backend import RunFailedError, call

    if not runtime.is_present():
        return Compared("onnxruntime", 0, note="onnxruntime is not installed: not compared")
    ran = 0
    for given in inputs[:RUNTIME_RUNS]:
        arrays = _arrays(made, given)
        try:
            want = call(made, list(arrays.values()), "evaluate")
        except RunFailedError:
            continue
        try:
            got, _ = runtime.run(model.path, arrays)
        except RuntimeError as e:
            return Compared("onnxruntime", ran, note=f"onnxruntime does not run it: {e}")
        names = list(_output_names(made))
        found = first_difference(
            dict(zip(names, got, strict=True)), dict(zip(names, want, strict=True))
        )
        if found is not None:
            return Compared("onnxruntime", ran, found)
        ran += 1
    note = "" if ran else "every run ended with a status: nothing to give to onnxruntime"
    return Compared("onnxruntime", ran, note=note)


def _output_names(made: Imported) -> Iterator[str]:
    from dlc.importers.interface import ports

    for p in ports(made.outputs):
        yield p.name


def _arrays(made: Imported, given: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs by the names that they have in the file, with ONNX's element types."""
    import numpy as np

    from dlc.importers.elements import from_storage
    from dlc.importers.interface import ports

    return {
        p.name: from_storage(np.asarray(given[p.identifier], p.type.dtype.numpy), p.element)
        for p in ports(made.inputs)
    }


def bisect(model: OnnxModel, bind: Mapping[str, int], given: Mapping[str, Any]) -> list[Compared]:
    """The first value that native code, and ONNX Runtime, compute otherwise than the evaluator.
    Every value is made a result, which keeps some optimisations from happening. Where results
    differ, a value that is far off comes before one that is only beyond rounding."""
    from dlc.importers import runtime
    from dlc.importers.backend import RunFailedError, call
    from dlc.importers.model import import_onnx

    made = import_onnx(model.path, bind=bind, probing=True)
    arrays = _arrays(made, given)
    start = len(made.outputs)
    try:
        want = call(made, list(arrays.values()), "evaluate")
        got = call(made, list(arrays.values()), "cpu")
    except RunFailedError as e:
        return [Compared("cpu", 0, note=f"no values to compare: {e}")]
    wrong = _differ(got[:start], want[:start])
    out = [_first("cpu", list(zip(made.probes, got[start:], want[start:], strict=True)), wrong)]
    if runtime.is_present():
        named = {p.name: i for i, p in enumerate(made.probes) if p.name}
        try:
            found, values = runtime.run(model.path, arrays, list(named))
        except RuntimeError as e:
            return [*out, Compared("onnxruntime", 0, note=f"onnxruntime does not run it: {e}")]
        rows = [
            (made.probes[i], x, want[start + i])
            for i, x in zip(named.values(), values, strict=True)
        ]
        out.append(_first("onnxruntime", rows, _differ(found, want[:start])))
    return out


def _differ(got: Sequence[Any], want: Sequence[Any]) -> bool:
    return any(
        first_difference({"": x}, {"": y}) is not None for x, y in zip(got, want, strict=True)
    )


def _first(name: str, rows: Sequence[tuple[Probed, Any, Any]], wrong: bool) -> Compared:
    for length in (COARSE, *([LENGTH] if wrong else [])):
        for i, (p, got, want) in enumerate(rows):
            shown = p.name or "its result"
            found = first_difference({shown: got}, {shown: want}, length)
            if found is not None:
                return Compared(name, i, f"first at {p.place}: {found}")
    return Compared(name, len(rows))


def tell(entry: str, found: Compared, what: str, as_json: bool) -> bool:
    """One line about a comparison with the evaluator, of which `what` were counted; whether they
    differ."""
    counted = f"{found.ran} {what if found.ran != 1 else what.removesuffix('s')}"
    if as_json:
        emit(
            {
                "entry": entry,
                "against": found.name,
                what: found.ran,
                "differs": found.differs,
                "note": found.note or None,
            }
        )
    elif found.differs is not None:
        click.echo(f"{entry}: {found.name} DIFFERS after {counted}: {found.differs}")
    elif found.note:
        say(f"{entry}: {found.note}")
    else:
        click.echo(f"{entry}: {found.name}: {counted} agree")
    return found.differs is not None
