"""Functions of typed trees built by hand, lowered, verified and run by the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from dlc import evaluate
from dlc.check import typed as T
from dlc.check.decls import AdtDecl, ModelDecl
from dlc.check.instances import InstanceKey
from dlc.check.program import Checked
from dlc.diag import SourceFile
from dlc.ir.core import Module
from dlc.lower.program import instances
from dlc.ops.verify import problems
from dlc.typesys import surface
from dlc.typesys.dims import Dim

SPAN = SourceFile("t.dl", "x").span(0, 1)


class One:
    """A program of functions that are there already."""

    def __init__(self, *functions: T.TypedFunction) -> None:
        self.functions = {f.key: f for f in functions}

    def instance(self, key: InstanceKey) -> T.TypedFunction:
        return self.functions[key]

    def entry(self, function: str, consts: Mapping[str, Any]) -> InstanceKey:
        return next(k for k in self.functions if k.function == function.removeprefix("t."))


def function(
    name: str,
    params: Sequence[surface.Type],
    result: surface.Type,
    body: Callable[[list[T.Expr]], T.Expr],
    *,
    unknowns: tuple[str, ...] = (),
    bind: tuple[tuple[str, Dim], ...] = (),
) -> T.TypedFunction:
    """A function whose body is one expression of its parameters."""
    locals_ = [T.Local(f"x{i}", i) for i in range(len(params))]
    reads: list[T.Expr] = [
        T.Read(local, type=t, span=SPAN) for local, t in zip(locals_, params, strict=True)
    ]
    dims = surface.dim_names(*params)
    typed = tuple(
        T.TypedParam(local, t, False, False, SPAN) for local, t in zip(locals_, params, strict=True)
    )
    block = (T.Return(body(reads), bind, span=SPAN),)
    return T.TypedFunction(
        InstanceKey(name), name, dims, typed, result, unknowns, block, T.PURE, None, None, None,
        True, SPAN,
    )  # fmt: skip


def lowered(
    *functions: T.TypedFunction,
    models: Mapping[str, ModelDecl] | None = None,
    adts: Mapping[str, AdtDecl] | None = None,
) -> Module:
    """The module of the first function and what it calls, verified."""
    names = (functions[0].name,)
    checked = Checked("t", {}, adts or {}, models or {}, {}, names, (), {}, (), One(*functions))
    module = instances(checked, {}, {}, checked.exports, False).module
    assert not problems(module), [str(p) for p in problems(module)]
    return module


def builtin(
    name: str,
    args: Sequence[T.Expr],
    result: surface.Type,
    dims: Mapping[str, Dim | int] | None = None,
    consts: Mapping[str, int] | None = None,
    born: tuple[tuple[str, str], ...] = (),
) -> T.CallBuiltin:
    bound = tuple((n, Dim.of(d)) for n, d in (dims or {}).items())
    known = tuple((consts or {}).items())
    return T.CallBuiltin(name, tuple(args), (), (), bound, known, born, type=result, span=SPAN)


Call = Callable[..., tuple[Any, ...]]


@pytest.fixture
def call() -> Call:
    """`call(name, result, (type, values…)…)`: the results of a builtin for these arguments."""

    def run(
        name: str,
        result: surface.Type,
        *args: tuple[Any, ...],
        dims: Mapping[str, Dim | int] | None = None,
        consts: Mapping[str, int] | None = None,
        born: tuple[tuple[str, str], ...] = (),
        given: Mapping[str, int] | None = None,
    ) -> tuple[Any, ...]:
        types = [a[0] for a in args]
        unknowns = tuple(here for _, here in born)
        bind = tuple((u, Dim.sym(u)) for u in unknowns)
        f = function(
            "f",
            types,
            result,
            lambda reads: builtin(name, reads, result, dims, consts, born),
            unknowns=unknowns,
            bind=bind,
        )
        module = lowered(f)
        leaves = [v for a in args for v in a[1:]]
        return evaluate.run(module, "f", leaves, given)

    return run
