"""The gradient of every card, in f64 with random cotangents: against central differences, and
exactly against complex steps through the evaluator; and the gradient of the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tests.laws.ops_makers  # noqa: F401
from dlc.evaluate import Limits, Program, complex_step, run
from dlc.ir.core import Function, Module
from dlc.ops.lists import Structural
from dlc.ops.registry import CARDS
from dlc.ops.tolerance import GRADIENT_RTOL
from dlc.ops.verify import verify
from dlc.typesys.dtypes import F64
from dlc.typesys.types import TensorType
from tests.laws.ops_cases import MAKERS, Case, case, dtypes_of
from tests.laws.ops_drivers import gradient_function, is_float

SEEDS = range(12)
"""Uses of each operation in the fast tier; the full tier has 200."""


@pytest.fixture(name="seeds")
def _seeds(pytestconfig: pytest.Config) -> range:
    return range(200) if pytestconfig.getoption("--full") else SEEDS


STEP = 1e-6

FLAT = {
    "floor", "ceil", "round", "trunc", "sign", "is_finite", "is_nan", "is_inf", "floordiv",
    "argmax", "argmin", "eq", "ne", "lt", "le", "gt", "ge", "bitcast", "searchsorted", "stop_grad",
}  # fmt: skip
"""Cards whose derivative is zero, or cut off, by definition."""

DIFFERENTIABLE = sorted(
    n
    for n, card in CARDS.items()
    if n in MAKERS and any(d.is_float for d in dtypes_of(n)) and not isinstance(card, Structural)
)


def floats(fn: Function) -> list[int]:
    return [i for i, p in enumerate(fn.params) if is_float(p)]


def dot(xs: list[Any], ys: list[Any]) -> float:
    return float(
        sum(
            np.sum(np.asarray(x, float) * np.asarray(y, float)) for x, y in zip(xs, ys, strict=True)
        )
    )


def direction(rng: np.random.Generator, args: list[Any], at: list[int]) -> list[Any]:
    return [
        np.asarray(rng.uniform(-1, 1, np.shape(a))) if i in at else None for i, a in enumerate(args)
    ]


def moved(args: list[Any], v: list[Any], h: float) -> list[Any]:
    return [a if d is None else np.asarray(a + h * d) for a, d in zip(args, v, strict=True)]


class Checked:
    """One function of one module, with its gradient beside it."""

    def __init__(self, m: Module, name: str, env: dict[str, int]) -> None:
        self.fn = m.functions[name]
        back = gradient_function(self.fn, f"{name}.back")
        self.module = verify(Module.of(m.types, {**m.functions, back.name: back}))
        self.program, self.env, self.back = Program(self.module), env, back

    def values(self, args: list[Any]) -> list[Any]:
        out = run(self.program, self.fn.name, args, self.env)
        return [y for y, t in zip(out, self.fn.result_types, strict=True) if _float(t)]

    def compare(self, args: list[Any], rng: np.random.Generator, what: str) -> None:
        """`<dy, J v>` by differences and by complex step against `<J^T dy, v>`, for random dy and
        v."""
        at = floats(self.fn)
        v = direction(rng, args, at)
        ys = self.values(args)
        # The extreme of nothing is the lowest number there is: it moves with nothing, and
        # overflows.
        dy = [np.where(np.abs(y) > 1e300, 0.0, rng.uniform(-1, 1, np.shape(y))) for y in ys]
        dx = list(run(self.program, self.back.name, [*args, *dy], self.env))
        got = dot(dx, [v[i] for i in at])
        up, down = self.values(moved(args, v, STEP)), self.values(moved(args, v, -STEP))
        by_differences = (dot(dy, up) - dot(dy, down)) / (2 * STEP)
        scale = 1 + sum(float(np.sum(np.abs(d * y))) for d, y in zip(dy, ys, strict=True))
        assert abs(got - by_differences) <= GRADIENT_RTOL * scale, f"{what}: differences"
        _, slopes = complex_step(self.program, self.fn.name, args, v, self.env)
        exact = dot(dy, [s for s, t in zip(slopes, self.fn.result_types, strict=True) if _float(t)])
        size = 1 + sum(float(np.sum(np.abs(d))) for d in dx)
        assert abs(got - exact) <= 1e-12 * size, f"{what}: complex step {got} against {exact}"
        return [i for i, d in zip(at, dx, strict=True) if np.any(d)]


def _float(t: Any) -> bool:
    return isinstance(t, TensorType) and t.dtype.is_float


def smooth(name: str, seed: int) -> Case:
    return case(name, seed, F64, smooth=True)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient(name: str, seeds: range) -> None:
    moved_by: set[int] = set()
    wanted: set[int] = set()
    for seed in seeds:
        c = smooth(name, seed)
        m = c.module()
        fn = m.functions["f"]
        if fn.result_dims or not floats(fn) or not any(map(_float, fn.result_types)):
            continue
        if name in ("stop_grad", "bitcast"):
            continue  # constants to differentiation, whatever they compute
        rng, what = np.random.default_rng(seed), f"{name} {c.attrs}"
        moved_by |= {*Checked(m, "f", c.env).compare(c.args, rng, what)}
        wanted |= {*floats(fn)}
    unmoved = {0} if name == "pool_grad" else wanted if name in FLAT else set()
    assert moved_by == wanted - unmoved, "some operand's gradient was zero at every seed"


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_of_the_gradient(name: str, seeds: range) -> None:
    """What a gradient emits has gradients too, and they are right."""
    for seed in seeds:
        c = smooth(name, seed)
        fn = c.module().functions["f"]
        if fn.result_dims or not floats(fn) or not any(map(_float, fn.result_types)):
            continue
        rng = np.random.default_rng(seed)
        back = gradient_function(fn, "b")
        dy = [
            np.asarray(rng.uniform(-1, 1, [d.evaluate(c.env) for d in t.shape]))
            for t in fn.result_types
            if isinstance(t, TensorType) and t.dtype.is_float
        ]
        if any(op.dims for op in back.body.ops):
            continue
        Checked(Module.of({}, {"b": back}), "b", c.env).compare([*c.args, *dy], rng, f"{name}''")


def test_flat_cards_are_flat() -> None:
    """They are left out of nothing: their gradient functions give zeros."""
    for name in sorted(FLAT & {*DIFFERENTIABLE}):
        c = smooth(name, 1)
        fn = c.module().functions["f"]
        if not any(map(_float, fn.result_types)):
            continue
        back = gradient_function(fn, "b")
        dy = [np.ones([d.evaluate(c.env) for d in t.shape]) for t in fn.result_types]  # type: ignore[union-attr]
        for dx in run(Module.of({}, {"b": back}), "b", [*c.args, *dy], c.env):
            assert not np.any(dx), name


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_typed_at_every_float(name: str) -> None:
    """What a rule emits fits its types in f32, f16 and bf16 too."""
    for dtype in [d for d in dtypes_of(name) if d.is_float]:
        for seed in range(3):
            c = case(name, seed, dtype)
            fn = c.module().functions["f"]
            if fn.result_dims or not any(map(is_float, fn.params)):
                continue
            back = gradient_function(fn, "b")
            m = verify(Module.of({}, {"b": back}))
            shapes = [t for t in fn.result_types if isinstance(t, TensorType) and t.dtype.is_float]
            dy = [np.ones([d.evaluate(c.env) for d in t.shape], t.dtype.numpy) for t in shapes]
            run(m, "b", [*c.args, *dy], c.env, limits=Limits(check=True))


def test_a_wrong_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law can fail: with one sign turned, it does."""
    from dlc.ops.elementwise import Elementwise

    card = CARDS["sin"]
    assert isinstance(card, Elementwise)
    monkeypatch.setattr(card, "_derivatives", (lambda x, y, d: -(d * x.op("cos")),))
    with pytest.raises(AssertionError, match="differences"):
        for seed in SEEDS:
            c = smooth("sin", seed)
            Checked(c.module(), "f", c.env).compare(c.args, np.random.default_rng(seed), "sin")
