"""Generated programs: evaluator before and after the passes, and native code, agree; so do
gradients, with exact directional derivatives. A failing seed is printed with its source;
`generate.program(seed)` makes it again."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dlc.autodiff.expand import differentiate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate import complex_step, run
from dlc.ir.core import Module
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.ops.verify import verify
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BATCHING, BEFORE_AUTODIFF, PRUNE
from dlc.targets.cpu.llvm import Options
from dlc.targets.cpu.run import compile_module
from tests.laws.doubling import doubled


def _generator() -> ModuleType:
    path = Path(__file__).with_name("generate.py")
    spec = importlib.util.spec_from_file_location("dl_generator", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["dl_generator"] = module
    spec.loader.exec_module(module)
    return module


generate = _generator()
SIZE = 8
CHUNK = 10

GRADIENT = """
fn scalar(w: f32[N, N], x: f32[N], y: f32, k: i32, t: Tree) -> f32:
    return sum(main(x, y, w, k, t)) + 0.125 * sum(sin(w))

export fn value(w: f32[N, N], x: f32[N], y: f32, k: i32, t: Tree) -> f32:
    return scalar(w, x, y, k, t)

export fn gradient(w: f32[N, N], x: f32[N], y: f32, k: i32, t: Tree) -> (f32, f32[N, N], f32[N]):
    l, a = value_and_grad(scalar, wrt=w)(w, x, y, k, t)
    b = grad(scalar, wrt=x)(w, x, y, k, t)
    return l, a, b
"""

SECOND = """
fn scalar(w: f32[N, N], x: f32[N], y: f32, k: i32, t: Tree) -> f32:
    return sum(main(x, y, w, k, t))

fn slope(w: f32[N, N], x: f32[N], y: f32, k: i32, t: Tree) -> f32:
    return sum(sin(grad(scalar, wrt=x)(w, x, y, k, t))) + 0.125 * sum(sin(w))

export fn value(w: f32[N, N], x: f32[N], y: f32, k: i32, t: Tree) -> f32:
    return slope(w, x, y, k, t)

export fn gradient(w: f32[N, N], x: f32[N], y: f32, k: i32, t: Tree) -> (f32, f32[N, N], f32[N]):
    l, a = value_and_grad(slope, wrt=w)(w, x, y, k, t)
    b = grad(slope, wrt=x)(w, x, y, k, t)
    return l, a, b
"""
"""The gradient of a scalar of the gradient."""


def lowered(source: str) -> Module:
    module = lower(check_program(SourceFile("generated.dl", source))).module
    verify(module)
    return module


def optimised(module: Module, seed: int) -> Module:
    """Verified after every pass for some seeds, at the end for all: verifying takes long. Every
    second seed's recursions run level by level, as the CPU's do."""
    every = verify if seed % 4 == 0 else None
    module, _ = run_passes(module, BEFORE_AUTODIFF, verify=every)
    module = differentiate(module)
    batching = (*BATCHING, PRUNE) if seed % 2 else ()
    module, _ = run_passes(module, (*AFTER_AUTODIFF, *batching), verify=every)
    verify(module)
    return module


def native(module: Module, level: int) -> Any:
    return compile_module(bufferise(module), options=Options(level=level))


def level_of(seed: int) -> int:
    """LLVM's optimiser takes most of a program's time here, so only some go through it."""
    return {0: 3, 5: 1}.get(seed % 10, 0)


def close(a: Any, b: Any, scale: float = 1.0) -> bool:
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-4 * max(1.0, scale), equal_nan=True))


def agrees(seed: int) -> None:
    p = generate.program(seed, SIZE)
    try:
        module = lowered(p.source)
        args = list(p.args.values())
        want = run(differentiate(module), "main", args)
        after = optimised(module, seed)
        text = print_module(after)
        assert print_module(read_module(text)) == text
        now = run(after, "main", args)
        assert close(want[0], now[0]), ("passes", want, now)
        got = native(after, level_of(seed)).call("main", args)
        assert close(want[0], got[0]), ("native", want, got)
    except BaseException:
        print(f"seed {seed}\n{p.source}")
        raise


def gradient_agrees(seed: int, size: int = SIZE, with_gradient: str = GRADIENT) -> bool:
    """In f64: evaluator and native code give the same gradients, their products with a random
    direction are the exact slope (a complex step), and central differences where nothing bends
    nearby. Tells whether the differences could be used."""
    p = generate.program(seed, size)
    try:
        module = doubled(lowered(p.source + with_gradient))
        args = [p.args[n] for n in ("w", "x", "y", "k", "t")]
        args = [np.float64(a) if isinstance(a, (np.ndarray, np.floating)) else a for a in args]
        after = optimised(module, seed)
        rng = np.random.default_rng(seed)
        dw, dx = (rng.normal(size=p.args[n].shape) for n in ("w", "x"))
        plain = differentiate(module)
        _, exact = complex_step(plain, "value", args, [dw, dx, None, None, None])
        want = float(np.real(exact[0]))
        out = run(after, "gradient", args)
        parts = [out[1] * dw, out[2] * dx]
        got = float(sum(q.sum() for q in parts))
        size = max(1.0, float(sum(np.abs(q).sum() for q in parts)))
        assert abs(got - want) <= 1e-10 * size, ("complex step", got, want)
        for u, v in zip(out, native(after, level_of(seed)).call("gradient", args), strict=True):
            assert np.allclose(u, v, rtol=1e-9, atol=1e-10 * size), ("native", u, v)

        def along(h: float) -> float:
            up, down = ([args[0] + s * dw, args[1] + s * dx, *args[2:]] for s in (h, -h))
            return float(run(after, "value", up)[0] - run(after, "value", down)[0]) / (2 * h)

        if "stop_grad(" in p.source[len(generate.HEADER) :]:
            return False
        near, far = along(1e-6), along(4e-6)
        smooth = abs(near - far) <= 1e-6 * size
        assert not smooth or abs(near - got) <= 1e-6 * size, ("differences", near, got)
        return smooth
    except BaseException:
        print(f"seed {seed}\n{p.source}{with_gradient}")
        raise


@pytest.mark.parametrize("seed", range(6))
def test_some_programs(seed: int) -> None:
    agrees(seed)


@pytest.mark.parametrize("seed", range(1000, 1003))
def test_some_gradients(seed: int) -> None:
    gradient_agrees(seed)


@pytest.mark.parametrize("seed", range(2000, 2002))
def test_some_second_derivatives(seed: int) -> None:
    gradient_agrees(seed, 4, SECOND)


def test_every_construct_is_drawn() -> None:
    """By the programs of any fifty seeds in a row, outside of the fixed functions."""
    for first in (10_000, 20_000, 20_150):
        texts = [
            generate.program(s, SIZE).source[len(generate.HEADER) :]
            for s in range(first, first + 50)
        ]
        for construct, mark in generate.USES.items():
            assert sum(mark in t for t in texts) >= 5, construct


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(30))
def test_three_hundred_programs(chunk: int) -> None:
    for seed in range(10_000 + chunk * CHUNK, 10_000 + (chunk + 1) * CHUNK):
        agrees(seed)


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(20))
def test_two_hundred_gradients(chunk: int) -> None:
    used = [
        gradient_agrees(seed)
        for seed in range(20_000 + chunk * CHUNK, 20_000 + (chunk + 1) * CHUNK)
    ]
    assert sum(used) >= CHUNK // 4, "differences are hardly ever usable"


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(10))
def test_fifty_second_derivatives(chunk: int) -> None:
    for seed in range(30_000 + chunk * 5, 30_000 + (chunk + 1) * 5):
        gradient_agrees(seed, 4, SECOND)
