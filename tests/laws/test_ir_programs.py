"""Random modules verify, run as their types say, read back from their text, and survive being
rebuilt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.evaluate import Limits, complex_step, run, to_python
from dlc.ir.core import Function, Module
from dlc.ir.names import DimNames
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ir.rewrite import copy_function, inline_body, rewrite_function
from dlc.ops.build import Builder
from dlc.ops.verify import verify
from tests.laws.ir_programs import SIZES, Program, program

SEEDS = range(60)


def results(m: Module, p: Program) -> list[Any]:
    return [np.asarray(y) for y in run(m, "main", p.args, SIZES)]


def equal(a: list[Any], b: list[Any]) -> bool:
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("block", range(4))
def test_random_modules(block: int) -> None:
    structured: set[str] = set()
    for seed in SEEDS[block::4]:
        p = program(seed)
        verify(p.module)
        want = [
            np.asarray(y) for y in run(p.module, "main", p.args, SIZES, limits=Limits(check=True))
        ]
        assert all(np.all(np.isfinite(y)) for y in want), seed
        text = print_module(p.module)
        again = verify(read_module(text))
        assert print_module(again) == text, seed
        assert equal(results(again, p), want), seed
        copied = p.module.map_functions(lambda f: copy_function(f, f.name))
        assert print_module(verify(copied)) == text, seed
        same = p.module.map_functions(lambda f: rewrite_function(f, lambda op: None))
        assert print_module(verify(same)) == text, seed
        assert equal(results(_inlined(p.module), p), want), seed
        structured |= {
            w for w in ("if", "match", "for", "loop", "map", "call") if f"= {w} " in text
        }
    assert len(structured) == 6


def _inlined(m: Module) -> Module:
    """Every call of `@g` and `@h` replaced by a copy of the callee, dims fresh."""

    def one(fn: Function) -> Function:
        b = Builder(m.types, DimNames.of(fn), params=fn.params)

        def change(op: Any) -> list[Any] | None:
            if op.name != "call" or op.attrs["fn"] == "fold":
                return None
            ops, values, _ = inline_body(
                m.functions[op.attr_str("fn")], op.operands, op.attr_dims(), b.names
            )
            stand_ins.update(zip(op.results, values, strict=True))
            return ops

        from dlc.ir.rewrite import Substitution, rewrite

        s = Substitution()
        stand_ins = s.values
        return fn.with_body(rewrite(fn.body, change, s))

    return verify(m.map_functions(one))


def test_complex_steps_are_the_limit_of_differences() -> None:
    """The oracle's own oracle: exact slopes against central differences on whole programs."""
    compared = 0
    for seed in range(12):
        p = program(seed)
        x, v, h = p.args[1], np.random.default_rng(seed).uniform(-1, 1, SIZES["N"]), 1e-6
        directions: list[Any] = [None, v, None, None, None, None]
        _, slopes = complex_step(p.module, "main", p.args, directions, SIZES)

        def at(t: float, p: Program = p, x: Any = x, v: Any = v) -> list[Any]:
            return results(p.module, Program(p.module, [p.args[0], x + t * v, *p.args[2:]]))

        for exact, up, down in zip(slopes, at(h), at(-h), strict=True):
            assert np.allclose(exact, (up - down) / (2 * h), rtol=1e-5, atol=1e-7), seed
            compared += int(np.any(exact))
    assert compared > 5


def test_results_are_plain_python_values() -> None:
    p = program(3)
    assert [to_python(y).shape for y in run(p.module, "main", p.args, SIZES)] == [(), (3,), (2, 3)]


def test_overwriting_dead_arrays_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter may update a dead operand's array in place; without that, all is the same."""
    from dlc.evaluate import machine

    programs = [program(seed, steps=8) for seed in range(40)]
    owned: list[bool] = []
    original = machine._owned

    def noticed(args: list[Any]) -> bool:
        owned.append(original(args))
        return owned[-1]

    monkeypatch.setattr(machine, "_owned", noticed)
    fast = [results(p.module, p) for p in programs]
    monkeypatch.setattr(machine, "_owned", lambda args: False)
    assert all(equal(a, results(p.module, p)) for a, p in zip(fast, programs, strict=True))
    assert any(owned) and not all(owned)
