"""Every operation on the modelled machine, at random operands, attributes and sizes (0 and 1 among
them): what the evaluator says, and the reference machine what the fast one says, costs included."""

from __future__ import annotations

import re
import zlib
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

import tests.laws.ops_makers  # noqa: F401
from dlc.diag import CompileError
from dlc.evaluate import RunError
from dlc.ir.core import Module, freeze_attrs
from dlc.ir.printer import print_module
from dlc.isa.machine import Engine
from dlc.targets.sparrow import SparrowError, SparrowProgram, run_entry
from dlc.targets.sparrow.run import Outcome
from dlc.typesys.dtypes import DType
from tests.laws.ops_cases import MAKERS, Case, case, dtypes_of
from tests.unit.targets.sparrow.agreement import LACKS, agree, same

LONGEST = 10_000
"""Instructions that the reference machine is asked to follow."""
NAMES = sorted({*MAKERS} - {"undef"})


def has(name: str) -> list[DType]:
    """The element types of the operation that the machine has."""
    return [d for d in dtypes_of(name) if d.name not in LACKS] or dtypes_of(name)[:1]


def as_entry(c: Case) -> Module:
    """The case, its function exported."""
    m = c.module()
    return m.map_functions(lambda fn: replace(fn, attrs=freeze_attrs({**fn.attrs, "entry": True})))


def agreed(c: Case, dtype: DType) -> SparrowProgram | None:
    """The case on the machine; None for one of an element type that it lacks."""
    module, tolerance = as_entry(c), 1e-2 if dtype.name == "bf16" else 1e-5
    try:
        with np.errstate(all="ignore"):
            return agree(module, c.args, dims=c.env, tolerance=tolerance, entry="f")
    except CompileError as e:
        assert [d.code for d in e.diagnostics] == ["E0640"], e
        assert re.search(rf"\b({'|'.join(LACKS)})\b", print_module(module)), e
        return None


@pytest.mark.parametrize("name", NAMES)
def test_an_operation(name: str) -> None:
    dtypes = has(name)
    dtype = dtypes[zlib.crc32(name.encode()) % len(dtypes)]
    agreed(case(name, 0, dtype), dtype)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_at_every_type(name: str) -> None:
    for dtype in has(name):
        for seed in (1, 2, 3):
            agreed(case(name, seed, dtype), dtype)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_both_machines_agree_on_results_and_costs(name: str) -> None:
    dtype = has(name)[0]
    c = case(name, 100, dtype)
    program = agreed(c, dtype)
    if program is None:
        return

    def on(engine: Engine) -> Outcome | str:
        try:
            return run_entry(program, "f", deepcopy(c.args), c.env, engine=engine, preset="sparrow")
        except (RunError, SparrowError) as e:
            return e.status

    fast = on("fast")
    if isinstance(fast, Outcome) and fast.report.sparse.instructions > LONGEST:
        return
    slow = on("reference")
    if isinstance(fast, str) or isinstance(slow, str):
        assert fast == slow
    else:
        for g, w in zip(fast.results, slow.results, strict=True):
            same(g, w, 0)
        assert fast.run.fuel == slow.run.fuel
        assert fast.report.as_json() == slow.report.as_json()
