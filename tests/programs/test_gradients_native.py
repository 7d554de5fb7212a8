"""Gradients run natively: evaluator and CPU agree on the first- and second-order programs of the
laws."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.evaluate import AdtValue, ListValue, run
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.targets.cpu.run import compile_module

_LAWS = Path(__file__).parents[1] / "laws" / "test_autodiff.py"
_spec = importlib.util.spec_from_file_location("autodiff_laws", _LAWS)
assert _spec is not None and _spec.loader is not None
laws = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(laws)


def close(a: Any, b: Any) -> bool:
    if isinstance(a, AdtValue) or isinstance(b, AdtValue):
        return repr(a) == repr(b)
    if isinstance(a, (ListValue, list, tuple)):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.allclose(a, b, rtol=1e-9, atol=1e-9))


@pytest.mark.parametrize("path", laws.PROGRAMS, ids=lambda p: p.stem)
@pytest.mark.parametrize("order", [1, 2])
def test_evaluator_and_cpu_agree(path: Path, order: int) -> None:
    module = laws.with_gradient(read_module(path.read_text()), "f", "g")
    entry = "g"
    if order == 2:
        module = laws.with_scalar_of_gradient(module, "f", "g", "s")
        module = laws.with_gradient(module, "s", "h")
        entry = "h"
    module = laws.compiled(module)
    native = compile_module(bufferise(module))
    for seed in range(12):
        args = laws.arguments(module.functions[entry], np.random.default_rng(seed), laws.SIZES)
        want, got = run(module, entry, args), native.call(entry, args)
        assert all(close(w, g) for w, g in zip(want, got, strict=True)), seed
