"""IR text, evaluated and run on the modelled machine: both must give the same values or the same
status."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlc.diag import CompileError
from dlc.evaluate import RunError, run
from dlc.ir.core import Module
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.targets.sparrow import (
    SparrowError,
    SparrowOptions,
    SparrowProgram,
    compile_module,
    run_entry,
)
from tests.unit.targets.cpu.emit.agreement import main, same

LACKS = ("f64", "f16", "i16", "u8")

__all__ = ["agree", "agree_or_refused", "compiled", "main", "same"]


def compiled(text: str | Module, options: SparrowOptions | None = None) -> SparrowProgram:
    module = read_module(text) if isinstance(text, str) else text
    return compile_module(bufferise(module), options)


def agree(
    text: str | Module,
    *cases: Sequence[Any],
    dims: Mapping[str, int] | None = None,
    tolerance: float = 1e-5,
    options: SparrowOptions | None = None,
    entry: str = "main",
) -> SparrowProgram:
    """Check every case of arguments for an entry. Loading verifies the program."""
    module = read_module(text) if isinstance(text, str) else text
    program = compiled(module, options)
    for args in cases:
        try:
            want = run(module, entry, _copies(args), dims)
        except RunError as e:
            try:
                run_entry(program, entry, _copies(args), dims)
            except SparrowError as got:
                assert got.status == e.status, (got, e)
                assert (got.line, got.column) == (e.loc.line, e.loc.column), (got, e.loc)
            except RunError as got:
                assert got.status == e.status, (got, e)
            else:
                raise AssertionError(f"no status where the evaluator says {e.status}") from e
            continue
        got = run_entry(program, entry, _copies(args), dims).results
        for g, w in zip(got, want, strict=True):
            same(g, w, tolerance)
    return program


def _copies(args: Sequence[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def agree_or_refused(text: str | Module, *cases: Sequence[Any], **given: Any) -> None:
    """As `agree`; a program of element types that the machine lacks must be refused in words."""
    module = read_module(text) if isinstance(text, str) else text
    shown = print_module(module)
    lacking = any(re.search(rf"\b{d}\b", shown) for d in LACKS)
    try:
        agree(module, *cases, **given)
    except CompileError as e:
        assert lacking and [d.code for d in e.diagnostics] == ["E0640"], e
    else:
        assert not lacking
