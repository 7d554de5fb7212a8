"""Every function of the library and of the prelude: evaluator, native code and numpy agree;
derivatives are those of central differences of the numpy function."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

import dlc
from dlc import resources
from tests.programs.library import builtins, graph, losses, memory, nn, rest
from tests.programs.library.case import (
    Case,
    as_tuple,
    dims_of_models,
    is_model,
    parameters,
    program,
    values,
    weights,
    wide,
)

TABLES: dict[str, tuple[Sequence[str], Sequence[Case]]] = {
    "nn": (nn.MODULES, nn.CASES),
    "graph": (graph.MODULES, graph.CASES),
    "memory": (memory.MODULES, memory.CASES),
    "loss": (losses.MODULES, losses.CASES),
    "rest": (rest.MODULES, rest.CASES),
    "prelude": (builtins.MODULES, builtins.CASES),
}
ALL = [pytest.param(t, c, id=f"{t}-{c.name}") for t, (_, cases) in TABLES.items() for c in cases]
TURNS = 2


@cache
def made(table: str) -> tuple[dlc.Net, dlc.Net] | Exception:
    """`nets`, or what went wrong, once."""
    try:
        return compiled(table)
    except Exception as e:
        return e


def nets(table: str) -> tuple[dlc.Net, dlc.Net]:
    """The evaluator's and the native program of a table, with the same weights."""
    found = made(table)
    if isinstance(found, Exception):
        raise found
    return found


def compiled(table: str) -> tuple[dlc.Net, dlc.Net]:
    modules, cases = TABLES[table]
    text = program(modules, cases) + (builtins.MORE if table == "prelude" else "")
    made: list[dlc.Net] = []
    for target in ("evaluate", "cpu"):
        net = dlc.compile(text, target=target, level=0, name=f"{table}.dl")
        if sizes := dims_of_models(cases):
            net.init(1, dims=sizes)
        made.append(net)
    r = np.random.default_rng(23)
    for n, x in made[0].params.items():
        drawn = (0.5 * r.normal(size=x.shape)).astype(np.float32)
        for net in made:
            net.params[n] = drawn
    return made[0], made[1]


def close(got: Any, want: Any, where: str, tol: float = 2e-4) -> None:
    """Structure and whole numbers exactly, floats nearly."""
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want), where
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            close(g, w, f"{where}.{i}", tol)
    elif isinstance(want, dlc.Graph):
        close((got.src, got.dst, got.nodes), (want.src, want.dst, want.nodes), where)
    elif isinstance(want, dlc.Segs):
        close(got.starts, want.starts, where)
    elif np.asarray(want).dtype.kind == "f":
        assert np.shape(got) == np.shape(want), where
        np.testing.assert_allclose(got, want, rtol=tol, atol=tol, err_msg=where)
    else:
        np.testing.assert_array_equal(got, want, err_msg=where)


def with_model(case: Case, net: dlc.Net, given: Sequence[Any]) -> list[Any]:
    """The arguments with the model's parameters in its place, floats as f64."""
    rest = iter(given)
    return [
        wide(parameters(net, case)) if is_model(t) else wide(next(rest)) for _, t in case.arguments
    ]


@pytest.mark.parametrize(("table", "case"), ALL)
def test_evaluator_and_cpu_and_numpy_agree(table: str, case: Case) -> None:
    oracle, native = nets(table)
    for seed in range(TURNS):
        given = values(case, np.random.default_rng(seed))
        draws: tuple[Any, ...] = ()
        if case.drawn:
            draws = as_tuple(oracle.entries[f"{case.name}_f"](*given))[-case.drawn :]
        arguments = with_model(case, oracle, copy.deepcopy(given))
        want = (*as_tuple(case.reference(*arguments, *map(wide, draws))), *draws)
        for which, net in (("evaluator", oracle), ("cpu", native)):
            mine = copy.deepcopy(given)
            got = as_tuple(net.entries[f"{case.name}_f"](*mine))
            names = [n for n, t in case.arguments if not is_model(t)]
            got += tuple(mine[names.index(n)] for n in case.changed if n in names)
            close(got, want, f"{case.name}, {which}, seed {seed}")


@pytest.mark.parametrize(("table", "case"), [p for p in ALL if p.values[1].differentiated])
def test_derivatives_are_those_of_central_differences(table: str, case: Case) -> None:
    oracle, native = nets(table)
    r = np.random.default_rng(3)
    given = values(case, r)
    arguments = with_model(case, oracle, given)
    u = weights(case, r, as_tuple(case.reference(*arguments)))
    floats = [i for i, (n, _) in enumerate(case.arguments) if n in case.differentiated]

    def loss() -> float:
        ys = as_tuple(case.reference(*arguments))
        some = [y for y in ys if np.asarray(y).dtype.kind == "f"]
        return sum(float(np.sum(wide(w) * y)) for w, y in zip(u, some, strict=True))

    for net in (oracle, native):
        before = {n: np.array(v) for n, v in net.params.items()}
        got = list(as_tuple(net.entries[f"{case.name}_d"](*given, *u)))
        grads = {n: np.array(v) for n, v in parameters(net, case).items()}
        for n, v in before.items():
            net.params[n] = v
        assert len(got) == len(floats) - (case.model is not None)
        for i in floats:
            if isinstance(arguments[i], dict):
                for n in arguments[i]:
                    against(loss, arguments[i], n, grads[n], r, f"{case.name}.{n}")
            else:
                against(loss, arguments, i, got.pop(0), r, f"{case.name}.{case.arguments[i][0]}")


def against(
    loss: Callable[[], float], holder: Any, at: Any, got: Any, r: np.random.Generator, where: str
) -> None:
    """A derivative at up to eight places."""
    x = np.array(holder[at], np.float64)
    if isinstance(got, dlc.Rows):
        dense = np.zeros(x.shape)
        np.add.at(dense, got.indices, got.values)
        got = dense
    assert np.shape(got) == x.shape, where
    step = 1e-5
    for k in r.permutation(x.size)[:8]:
        place = np.unravel_index(int(k), x.shape)
        sides: list[float] = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            holder[at] = moved
            sides.append(loss())
        holder[at] = x
        want = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(
            np.asarray(got)[place], want, rtol=3e-3, atol=3e-4, err_msg=f"{where}{list(place)}"
        )


def test_every_function_has_a_case() -> None:
    text = "\n".join(c.call for _, cases in TABLES.values() for c in cases) + builtins.MORE
    called = set(re.findall(r"[A-Za-z_]\w*", text))
    missing: list[str] = []
    paths = [resources.prelude(), *(resources.std_module(m) for m in resources.std_modules())]
    for path in paths:
        assert path is not None
        source = path.read_text(encoding="utf-8")
        names = re.findall(r"^(?:builtin )?fn (\w+)", source, re.MULTILINE)
        missing += [f"{path.stem}.{n}" for n in names if n not in called]
    assert not missing
