"""Runs an IR program by the evaluator and, bufferised, by the interpreter of the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlc import evaluate
from dlc.evaluate.arguments import Arguments
from dlc.ir.core import Module
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.memory.form import BFunction, BModule, Statement
from dlc.memory.frame import statements
from dlc.memory.interpret import interpret
from dlc.ops.card import RunError

Result = tuple[Any, ...] | tuple[str, str]


def outcome(run: Any) -> tuple[str, Any]:
    """("ok", results) or ("fails", status)."""
    try:
        return "ok", run()
    except RunError as e:
        return "fails", e.status


def evaluated(m: Module, fn: str, args: Sequence[Any], dims: Mapping[str, int] | None) -> Any:
    return tuple(map(evaluate.to_python, evaluate.run(m, fn, args, dims)))


def interpreted(
    m: Module, b: BModule, fn: str, args: Sequence[Any], dims: Mapping[str, int] | None
) -> Any:
    values, env = Arguments(m.types).convert(m.functions[fn], args, dims)
    return tuple(map(evaluate.to_python, interpret(b, fn, values, env).results))


def same(a: Any, b: Any) -> bool:
    """Equal structure, and numbers equal but for rounding."""
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, str):
        return a == b
    x, y = np.asarray(a), np.asarray(b)
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    return bool(np.allclose(x, y, rtol=1e-4, atol=1e-5, equal_nan=True))


def check(
    text: str, args: Sequence[Any], dims: Mapping[str, int] | None = None, fn: str = "main"
) -> BModule:
    """Asserts that both ways agree, in results or in the status of the failure."""
    m = read_module(text)
    b = bufferise(m)
    want = outcome(lambda: evaluated(m, fn, args, dims))
    got = outcome(lambda: interpreted(m, b, fn, args, dims))
    assert same(want, got), f"{want} became {got}"
    return b


def copies(fn: BFunction) -> int:
    """Statements that copy tensors or lists."""
    return sum(is_copy(s) for s in statements(fn.body))


def is_copy(s: Statement) -> bool:
    return getattr(s, "op", "") == "copy" or type(s).__name__ == "ListCopy"
