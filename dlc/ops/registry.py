"""Every operation's card, by name. The structured operations have none: `dlc.ir` knows them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.ops import (
    adt,
    checks,
    contract,
    conv,
    draws,
    elementwise,
    gather,
    lists,
    movement,
    order,
    pool,
    reduce,
    segments,
    slices,
    sources,
)
from dlc.ops.card import Card

FAMILIES = (
    sources, elementwise, movement, slices, gather, reduce, order, segments, contract, conv, pool,
    lists, adt, checks, draws,
)  # fmt: skip

CARDS: Mapping[str, Card] = MappingProxyType(
    {card.name: card for family in FAMILIES for card in family.CARDS}
)
"""In the order of the families' tables, which is the order of the generated page."""


def card_of(name: str) -> Card:
    """The card of an operation. Raises InternalError if there is none."""
    card = CARDS.get(name)
    if card is None:
        raise InternalError(f"no operation is named `{name}`", stage="ops", op=name)
    return card
