"""Every operation on the modelled machine, at random operands, attributes and sizes (0 and 1 among
them): what the evaluator says, and the reference machine what the fast one says, costs included."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tests.laws.ops_makers  # noqa: F401
from dlc.diag import CompileError
from dlc.evaluate import RunError, run
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.isa.machine import Engine
from dlc.memory.bufferise import bufferise
from dlc.targets.sparrow import SparrowError, SparrowProgram, compile_module, run_entry
from dlc.targets.sparrow.run import Outcome
from dlc.typesys.dtypes import DType
from tests.laws.ops_cases import MAKERS, Case, case, dtypes_of
from tests.unit.targets.cpu.emit.agreement import same

LACKS = ("f64", "f16", "i16", "u8")
LONGEST = 10_000
"""Instructions that the reference machine is asked to follow."""
NAMES = sorted({*MAKERS} - {"undef"})


def has(name: str) -> list[DType]:
    """The element types of the operation that the machine has."""
    return [d for d in dtypes_of(name) if d.name not in LACKS] or dtypes_of(name)[:1]


def as_entry(c: Case) -> str:
    """The case as the text of an exported function."""
    text = print_module(c.module())
    head, body = text.split("{\n", 1)
    return f"{head.rstrip()[:-1]}, entry=true}} {{\n{body}" if "{" in head else (
        f"{head}{{entry=true}} {{\n{body}"
    )  # fmt: skip


def outcome(f: Callable[[], Any]) -> tuple[str | None, Any]:
    try:
        with np.errstate(all="ignore"):
            return None, f()
    except (RunError, SparrowError) as e:
        return e.status, None


def copies(c: Case) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in c.args]


def compiled(c: Case, text: str) -> SparrowProgram | None:
    """The case on the machine; None for one of an element type that it lacks."""
    try:
        return compile_module(bufferise(read_module(text)))
    except CompileError as e:
        assert [d.code for d in e.diagnostics] == ["E0640"] and any(d in text for d in LACKS), e
        return None


def agrees(name: str, seed: int, dtype: DType) -> tuple[Case, SparrowProgram | None]:
    c = case(name, seed, dtype)
    text = as_entry(c)
    program = compiled(c, text)
    if program is None:
        return c, None
    status, want = outcome(lambda: run(read_module(text), "f", copies(c), c.env))
    got_status, got = outcome(lambda: run_entry(program, "f", copies(c), c.env).results)
    assert got_status == status, (seed, dtype)
    for g, w in zip(got or (), want or (), strict=True):
        same(g, w, 1e-2 if dtype.name == "bf16" else 1e-5)
    return c, program


@pytest.mark.parametrize("name", NAMES)
def test_an_operation(name: str) -> None:
    dtypes = has(name)
    agrees(name, 0, dtypes[zlib.crc32(name.encode()) % len(dtypes)])


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_at_every_type(name: str) -> None:
    for dtype in has(name):
        for seed in (1, 2, 3):
            agrees(name, seed, dtype)


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_both_machines_agree_on_results_and_costs(name: str) -> None:
    c, program = agrees(name, 100, has(name)[0])
    if program is None:
        return

    def on(engine: Engine) -> Outcome:
        return run_entry(program, "f", copies(c), c.env, engine=engine, preset="sparrow")

    ended, fast = outcome(lambda: on("fast"))
    if fast is not None and fast.report.sparse.instructions > LONGEST:
        return
    also, slow = outcome(lambda: on("reference"))
    assert ended == also
    if fast is not None:
        for g, w in zip(fast.results, slow.results, strict=True):
            same(g, w, 0)
        assert fast.run.fuel == slow.run.fuel
        assert fast.report.as_json() == slow.report.as_json()
