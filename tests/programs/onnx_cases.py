"""ONNX's own backend cases, made by the installed onnx package, one module at a time."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

from dlc.diag import CompileError
from dlc.importers.backend import NotSupportedError, run

PACKAGE = "onnx.backend.test.case.node"


@dataclass(frozen=True)
class Case:
    """A model with inputs and the outputs that they must give."""

    name: str
    model: Any
    data: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]
    rtol: float
    atol: float


def modules() -> list[str]:
    """The names of all modules with cases."""
    package = importlib.import_module(PACKAGE)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_")


@cache
def cases(module: str) -> tuple[Case, ...]:
    """The cases that one module defines. They are made once, when it is imported, with a fixed
    seed."""
    made: list[Any] = importlib.import_module(PACKAGE)._NodeTestCases
    before = len(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{PACKAGE}.{module}")
    return tuple(map(_case, made[before:]))


def _case(c: Any) -> Case:
    data = tuple((tuple(map(_value, i)), tuple(map(_value, o))) for i, o in c.data_sets)
    return Case(c.name, c.model, data, c.rtol, c.atol)


def _value(x: Any) -> Any:
    if isinstance(x, onnx.TensorProto):
        return numpy_helper.to_array(x)
    return np.asarray(x) if isinstance(x, np.generic | float | int | bool) else x


def outcome(case: Case, target: str) -> str:
    """`pass`, `refused: why` or what is wrong. Inputs that decide shapes are given at run time
    first, and only if that is refused as initialisers."""
    try:
        for inputs, wanted in case.data:
            try:
                got = run(case.model, inputs, target=target)
            except NotSupportedError:
                model, rest = frozen(case.model, inputs)
                got = run(model, rest, target=target)
            compare(wanted, got, case.rtol, case.atol)
    except NotSupportedError as e:
        return f"refused: {e}"
    except (AssertionError, CompileError) as e:
        return f"{type(e).__name__}: {e}"
    return "pass"


def frozen(model: Any, inputs: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The model with small whole-number vectors (and scales) among its inputs as initialisers."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    rest: list[Any] = []
    for v, x in zip(list(out.graph.input), inputs, strict=True):
        small = isinstance(x, np.ndarray) and x.size <= 64 and x.ndim <= 1
        small = small and (x.dtype.kind == "i" or v.name == "scales")
        if small:
            out.graph.initializer.append(numpy_helper.from_array(x, v.name))
            out.graph.input.remove(v)
        else:
            rest.append(x)
    return out, rest


def compare(wanted: Sequence[Any], got: Sequence[Any], rtol: float, atol: float) -> None:
    """Structure, types and shapes exactly; numbers within the case's own tolerance."""
    assert len(wanted) == len(got), f"{len(got)} outputs, not {len(wanted)}"
    for w, g in zip(wanted, got, strict=True):
        if w is None or g is None:
            assert w is None and g is None
        elif isinstance(w, list | tuple):
            compare(w, g, rtol, atol)
        else:
            assert w.dtype == g.dtype, f"{g.dtype}, not {w.dtype}"
            assert w.shape == g.shape, f"shape {g.shape}, not {w.shape}"
            close(w, g, rtol, atol)


def close(wanted: Any, got: Any, rtol: float, atol: float) -> None:
    """Two arrays of one type. The epsilon of bfloat16 is larger than the cases' tolerance: two
    roundings may differ."""
    if wanted.dtype == ml_dtypes.bfloat16:
        rtol, atol = 2.0**-6, 2.0**-8
    if wanted.dtype.kind == "V":
        wanted, got = wanted.astype(np.float32), got.astype(np.float32)
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


def outcomes(module: str, target: str) -> Iterator[tuple[str, str]]:
    """Every case of a module with its outcome."""
    for case in cases(module):
        yield case.name, outcome(case, target)
