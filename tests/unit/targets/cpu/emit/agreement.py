"""IR text, evaluated and compiled: both must give the same values or the same status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from dlc.evaluate import RunError, run, to_python
from dlc.ir.core import Module
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.targets.cpu.emit import EmitOptions
from dlc.targets.cpu.llvm import Options
from dlc.targets.cpu.run import CallError, Compiled, compile_module

QUICK = Options(level=0)
POISON = EmitOptions(poison=True)


def level_of(module: Module) -> Options:
    """Half of all programs are optimised: which half, their text decides."""
    return Options(level=crc32(print_module(module).encode()) % 2)


def native(
    text: str | Module, options: Options | None = None, emit: EmitOptions = POISON
) -> Compiled:
    """The module, compiled, frames and freed heap filled with NaNs."""
    module = read_module(text) if isinstance(text, str) else text
    return compile_module(bufferise(module), emit_options=emit, options=options or level_of(module))


def main(signature: str, results: str, body: str) -> str:
    """A module of one entry."""
    return f"fn @main{signature} -> ({results}) {{entry=true}} {{\n{body}\n}}\n"


def agree(
    text: str,
    *cases: Sequence[Any],
    dims: Mapping[str, int] | None = None,
    tolerance: float = 1e-5,
    options: Options | None = None,
) -> Compiled:
    """Check every case of arguments for `@main`."""
    module = read_module(text)
    compiled = native(module, options)
    for args in cases:
        try:
            want = run(module, "main", args, dims)
        except RunError as e:
            try:
                compiled.call("main", _copies(args), dims)
            except CallError as got:
                assert got.status == e.status, (got, e)
            else:
                raise AssertionError(f"no status where the evaluator says {e.status}") from e
            continue
        got = compiled.call("main", _copies(args), dims)
        for g, w in zip(got, want, strict=True):
            same(g, w, tolerance)
    return compiled


def _copies(args: Sequence[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def same(got: Any, want: Any, tolerance: float = 1e-5) -> None:
    """Equal structure, equal integers, close floats. Nothing recurses."""
    work = [(to_python(got), to_python(want))]
    while work:
        a, b = work.pop()
        if isinstance(b, (list, tuple)):
            assert type(a) is type(b) and len(a) == len(b), (a, b)
            work += zip(a, b, strict=True)
        elif isinstance(b, str):
            assert a == b
        else:
            close(a, b, tolerance)


def close(a: Any, b: Any, tolerance: float) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype, a.shape, b.shape)
    if b.dtype.kind in "fV":
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        np.testing.assert_allclose(wide_a, wide_b, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(a, b)
