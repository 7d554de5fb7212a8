"""Every operation, at every element type: the type rule is what evaluation gives; text and
verifier."""

from __future__ import annotations

import numpy as np
import pytest

import tests.laws.ops_makers  # noqa: F401
from dlc.evaluate import Limits, run
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ops.card import Run
from dlc.ops.registry import CARDS
from dlc.ops.verify import verify
from tests.laws.ops_cases import MAKERS, case, dtypes_of

SEEDS = range(6)
"""Uses of each operation in the fast tier; the full tier has 60."""


@pytest.fixture(name="seeds")
def _seeds(pytestconfig: pytest.Config) -> range:
    return range(60) if pytestconfig.getoption("--full") else SEEDS


def test_every_operation_has_cases() -> None:
    assert sorted({*CARDS} - {*MAKERS}) == ["variant"], "variants are tested with their types"


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_result_types_are_what_evaluation_gives(name: str, seeds: range) -> None:
    for dtype in dtypes_of(name):
        for seed in seeds:
            c = case(name, seed, dtype)
            m = verify(c.module())
            run(m, "f", c.args, c.env, limits=Limits(check=True))


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_text_round_trip(name: str) -> None:
    for dtype in dtypes_of(name):
        c = case(name, 0, dtype)
        text = print_module(c.module())
        again = read_module(text)
        assert print_module(verify(again)) == text
        if name == "undef":
            continue
        with np.errstate(all="ignore"):
            one, two = (run(m, "f", c.args, c.env) for m in (c.module(), again))
        for x, y in zip(one, two, strict=True):
            if hasattr(x, "dtype"):
                assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@pytest.mark.parametrize("name", sorted(n for n in MAKERS if CARDS[n].operands))
def test_the_fast_way_is_the_plain_way(name: str) -> None:
    """`specialise` gives what `evaluate` gives, bit for bit."""
    for dtype in dtypes_of(name):
        c = case(name, 2, dtype)
        op = c.module().functions["f"].body.ops[0]
        fast = CARDS[name].specialise(op)
        if fast is None:
            continue
        with np.errstate(all="ignore"):
            plain = CARDS[name].evaluate(Run(op, c.env), *c.args)
            for x, y in zip(fast(*c.args), plain, strict=True):
                assert x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes()
