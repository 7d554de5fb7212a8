"""Generated programs on the modelled machine: it and the evaluator agree, gradients included, and
every program passes the verifier (loading is verifying)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.diag import CompileError
from dlc.evaluate import run
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.targets.sparrow import compile_module, run_entry
from tests.fuzz import test_programs as generated
from tests.programs import test_cpu_random as random_ir
from tests.unit.targets.sparrow.agreement import agree

CHUNK = 10


def agrees(seed: int, gradient: bool) -> None:
    p = generated.generate.program(seed, generated.SIZE)
    source = p.source + generated.GRADIENT if gradient else p.source
    try:
        args = [p.args[n] for n in ("w", "x", "y", "k", "t")] if gradient else [*p.args.values()]
        entry = "gradient" if gradient else "main"
        module = generated.optimised(generated.lowered(source), seed)
        want = run(module, entry, args)
        got = run_entry(compile_module(bufferise(module)), entry, args).results
        for u, v in zip(want, got, strict=True):
            assert generated.close(u, v, float(np.max(np.abs(u), initial=0.0))), (u, v)
    except BaseException:
        print(f"seed {seed}\n{source}")
        raise


def narrow(x: Any) -> Any:
    """The value with 32-bit floats."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.astype(np.float32) if x.dtype == np.float64 else x
    if isinstance(x, (list, tuple)):
        return type(x)(map(narrow, x))
    return x


def random_module(kind: str, seed: int) -> None:
    """The random modules are of 64-bit floats, which the machine lacks."""
    module, args, dims = random_ir.MAKERS[kind][0](seed)
    text = print_module(random_ir.with_entry(module)).replace("f64", "f32")
    agree(read_module(text), [narrow(x) for x in args], dims=dims, tolerance=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_some_programs(seed: int) -> None:
    agrees(seed, False)


def test_a_gradient() -> None:
    agrees(1000, True)


@pytest.mark.parametrize("kind", random_ir.MAKERS)
def test_some_random_modules(kind: str) -> None:
    for seed in range(4):
        random_module(kind, seed)


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(6))
def test_sixty_programs(chunk: int) -> None:
    """A program that computes in f64 is refused, and no other."""
    refused = 0
    for seed in range(30_000 + chunk * CHUNK, 30_000 + (chunk + 1) * CHUNK):
        try:
            agrees(seed, chunk % 3 == 2)
        except CompileError as e:
            assert [d.code for d in e.diagnostics] == ["E0640"], e
            assert "f64" in generated.generate.program(seed, generated.SIZE).source
            refused += 1
    assert refused <= CHUNK // 2


@pytest.mark.full
@pytest.mark.parametrize("kind", random_ir.MAKERS)
@pytest.mark.parametrize("chunk", range(4))
def test_forty_random_modules(kind: str, chunk: int) -> None:
    for seed in range(100 + chunk * CHUNK, 100 + (chunk + 1) * CHUNK):
        random_module(kind, seed)
