"""The page about the operations, and the facts on cards that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlc.ops.card import NotBatchable, Rows
from dlc.ops.page import ops_page
from dlc.ops.registry import CARDS
from tests.laws.ops_cases import MAKERS, case, dtypes_of
from tests.laws.ops_drivers import Batcher, gradient_function

import tests.laws.ops_makers  # noqa: F401  isort: skip

ZERO = [n for n in sorted(MAKERS) if CARDS[n].derivative == "zero" and CARDS[n].operands]
ROOT = Path(__file__).resolve().parents[3]


def test_every_card_is_on_the_page() -> None:
    page = ops_page()
    for name in CARDS:
        assert f"\n| `{name}" in page
    assert (ROOT / "docs/ops.md").read_text(encoding="utf-8") == page, "run `make docs`"


def test_every_card_says_what_it_means() -> None:
    for card in CARDS.values():
        assert len(card.equation) > 10, card.name
        assert "*" not in card.name and card.name == card.name.lower()


@pytest.mark.parametrize("name", ZERO)
def test_a_card_without_derivative_emits_nothing(name: str) -> None:
    for dtype in dtypes_of(name)[:1]:
        fn = case(name, 3, dtype).module().functions["f"]
        if fn.result_dims:
            continue
        made = [op.name for op in gradient_function(fn, "b").body.ops]
        assert [n for n in made if n not in ("const", "broadcast", "return")] == [name]


@pytest.mark.parametrize("name", sorted(n for n in MAKERS if CARDS[n].operands))
def test_a_card_refuses_batching_if_it_says_so(name: str) -> None:
    card, c = CARDS[name], case(name, 4, dtypes_of(name)[0])
    op = c.module().functions["f"].body.ops[0]
    if card.batching == "refused":
        with pytest.raises(NotBatchable):
            card.batch(None, op, tuple(map(Rows, op.operands)))  # type: ignore[arg-type]
    else:
        assert type(card).batch is not Batcher  # it has one: the law of batching runs it
        assert "batch" in {k for cls in type(card).__mro__[:-1] for k in vars(cls)}
