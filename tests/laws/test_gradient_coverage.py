"""No operation and no operand is without a gradient law: each has a case in `test_ops_gradient`, a
rule of the pass that the programs of `test_autodiff` use, or a reason here."""

from __future__ import annotations

from typing import Any

import pytest

import tests.laws.ops_makers  # noqa: F401
from dlc.autodiff import backward
from dlc.autodiff.expand import differentiate
from dlc.autodiff.structure_rules import RULES
from dlc.ir.core import walk
from dlc.ir.reader import read_module
from dlc.ops.lists import Structural
from dlc.ops.registry import CARDS
from dlc.typesys.types import TensorType
from tests.laws.ops_cases import MAKERS, dtypes_of
from tests.laws.test_autodiff import PROGRAMS, with_gradient, with_scalar_of_gradient
from tests.laws.test_ops_gradient import DIFFERENTIABLE, FLAT, SEEDS, floats, smooth

NO_FLOATS = set("not and or xor shl shr shr_logical".split())
"""Operations on whole numbers and truth values."""
NO_FLOAT_RESULT = set(
    "argmax argmin eq ne lt le gt ge is_finite is_inf is_nan searchsorted as_dim"
    " nonzero_indices".split()
)
"""Comparisons and searches: their results carry no derivative."""
NO_FLOAT_OPERAND = set(
    "assert check_dims check_indices check_segments const dim iota key_split random_bits"
    " random_uniform row_of undef".split()
)
"""Checks, constants, draws."""
CUT = {"stop_grad", "bitcast"}
"""Constants to differentiation by definition."""
EMPTY = {"list_new", "list_len"}
"""Structural operations without an operand that carries a derivative."""


def float_operands(name: str) -> tuple[set[int], bool]:
    """The positions of float operands over the seeds of the law, and whether a result is a
    float."""
    at: set[int] = set()
    result = False
    for seed in SEEDS:
        fn = smooth(name, seed).module().functions["f"]
        at |= {*floats(fn)}
        result |= any(isinstance(t, TensorType) and t.dtype.is_float for t in fn.result_types)
    return at, result


def test_every_operation_is_classified() -> None:
    structural = {n for n, c in CARDS.items() if isinstance(c, Structural)}
    assert structural <= {*RULES}
    for name in sorted({*CARDS} - structural):
        assert name in MAKERS, f"{name} has no cases"
        if name in NO_FLOATS:
            assert not any(d.is_float for d in dtypes_of(name)), name
            continue
        assert name in DIFFERENTIABLE, name
        at, result = float_operands(name)
        if name in NO_FLOAT_OPERAND:
            assert not at, f"{name} has the float operands {at}"
        elif name in NO_FLOAT_RESULT:
            assert not result, f"{name} has a float result"
        else:
            # `test_gradient` compares it, and asks that every float operand moved something.
            assert at and result, f"{name} has no case with a float operand and result"
    assert NO_FLOAT_RESULT - {"as_dim", "nonzero_indices"} | CUT <= FLAT


CHOICES = {
    "reduce": {"sum", "max", "min", "prod"},
    "segment_reduce": {"sum", "max", "min", "prod"},
    "pool": {"max", "mean"},
    "pool_grad": {"max", "mean"},
}


@pytest.mark.parametrize("name", CHOICES)
def test_every_kind_is_drawn(name: str) -> None:
    assert {str(smooth(name, seed).attrs["kind"]) for seed in SEEDS} == CHOICES[name]


def test_every_floating_binary_operation_has_two_active_operands() -> None:
    for name in "add sub mul div pow max min atan2 contract conv select concat insert".split():
        at, _ = float_operands(name)
        assert len(at) >= 2, name


def test_every_rule_of_the_pass_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the programs whose derivatives are compared with exact ones."""
    used: set[str] = set()

    def counted(name: str, rule: Any) -> Any:
        def run(*args: Any) -> Any:
            used.add(name)
            return rule(*args)

        return run

    monkeypatch.setattr(backward, "RULES", {n: counted(n, r) for n, r in RULES.items()})
    seen: set[str] = set()
    for path in PROGRAMS:
        first = with_gradient(read_module(path.read_text()), "f", "g")
        differentiate(first)
        second = with_gradient(with_scalar_of_gradient(first, "f", "g", "s"), "s", "h")
        differentiate(second)
        for fn in second.functions.values():
            seen |= {op.name for op in walk(fn.body)}
    without_cotangents = EMPTY | {"undef", "stop_grad"}
    assert {*RULES} - without_cotangents <= used, {*RULES} - used
    assert {"if", "match", "for", "loop", "map", "call"} <= seen
