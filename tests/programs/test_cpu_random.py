"""Random IR programs: evaluator and native code agree, and every call needs exactly its peak of
arena. Frames and freed heap are poisoned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dlc.evaluate import RunError, run
from dlc.ir.core import Module, freeze_attrs
from dlc.memory.bufferise import bufferise
from dlc.targets.cpu.emit import EmitOptions
from dlc.targets.cpu.llvm import Options
from dlc.targets.cpu.run import CallError, Compiled, aligned, compile_module
from tests.fuzz import memory_programs
from tests.laws import ir_programs
from tests.unit.targets.cpu.emit.agreement import same

BLOCK, BLOCKS = 10, 2
"""Seeds of a test, and tests of a kind in the fast tier; the full tier has ten times as many."""

Case = tuple[Module, list[Any], dict[str, int]]


def structured(seed: int) -> Case:
    p = ir_programs.program(seed, steps=8, depth=3)
    return p.module, p.args, ir_programs.SIZES


def sharing(seed: int) -> Case:
    p = memory_programs.program(seed)
    return p.module, p.args, p.dims


def with_entry(m: Module) -> Module:
    main = m.functions["main"]
    entry = replace(main, attrs=freeze_attrs({**main.attrs, "entry": True}))
    return Module.of(m.types, {**m.functions, "main": entry})


def copies(args: list[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def check(case: Case, level: int, tolerance: float, seed: int) -> None:
    module, args, dims = case
    compiled = compile_module(
        bufferise(with_entry(module)),
        emit_options=EmitOptions(poison=True),
        options=Options(level=level),
    )
    try:
        want = run(module, "main", args, dims)
    except RunError as e:
        with pytest.raises(CallError) as got:
            compiled.call("main", copies(args), dims)
        assert got.value.status == e.status, seed
        return
    for g, w in zip(compiled.call("main", copies(args), dims), want, strict=True):
        same(g, w, tolerance)
    check_peak(compiled, args, dims, seed)


def check_peak(compiled: Compiled, args: list[Any], dims: dict[str, int], seed: int) -> None:
    peak = compiled.call_once("main", copies(args), aligned(1 << 22), dims, 4096).peak
    again = compiled.call_once("main", copies(args), aligned(peak), dims, 4096)
    assert again.peak == peak, seed
    if peak:
        with pytest.raises(CallError) as e:
            compiled.call_once("main", copies(args), aligned(peak - 64), dims, 4096)
        assert e.value.status == "arena", seed


MAKERS: dict[str, tuple[Callable[[int], Case], float]] = {
    "structured": (structured, 1e-9),
    "sharing": (sharing, 0.0),
}


def check_block(maker: str, block: int) -> None:
    make, tolerance = MAKERS[maker]
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        check(make(seed), seed % 2, tolerance, seed)


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("maker", MAKERS)
def test_programs(maker: str, block: int) -> None:
    check_block(maker, block)


@pytest.mark.full
@pytest.mark.parametrize("block", range(BLOCKS, 10 * BLOCKS))
@pytest.mark.parametrize("maker", MAKERS)
def test_more_programs(maker: str, block: int) -> None:
    check_block(maker, block)
