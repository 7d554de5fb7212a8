"""The page about the operations, made from their cards."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from dlc.ops.card import Card, Trait
from dlc.ops.elementwise import Elementwise
from dlc.ops.registry import FAMILIES

_HEAD = """# The operations

Made from the cards in `dlc/ops/` by `make docs`; don't edit.

A value is a tensor `dtype[shape]` (rank 0 is a scalar), a list, or an algebraic value. Structured
operations (`if match for loop map call`) are described in `dlc/ir/structure.py`; all others are
here. `*x` is any number of operands, `name?` an attribute that may be missing.

- **derivative**: `rule`: the card says what the operands' cotangents are; `zero`: there is none, or
  it is zero; `pass`: a matter of tangent types, which differentiation itself knows.
- **batching**: how the operation widens over a new leading axis: `elements` and `letters` are
  derived from what it is, `rule` is the card's own, `loop` means that a loop over the rows is kept.
- **storage**: `view`: no data moves; `in place`: may take over its first operand's storage.
- **fails**: `yes`: may end the program with a status, unless `in_bounds` says that it was checked.
"""


def ops_page() -> str:
    """The whole page, Markdown."""
    parts = [_HEAD]
    for family in FAMILIES:
        title = inspect.cleandoc(family.__doc__ or "").split("\n", 1)[0]
        parts += [f"## {title.rstrip('.:')}\n", "\n".join(_table(family.CARDS)), ""]
    return "\n".join(parts)


def _table(cards: Iterable[Card]) -> list[str]:
    head = ("operation", "attributes", "meaning", "derivative", "batching", "storage", "fails")
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return rows + [f"| {' | '.join(_row(c))} |" for c in cards]


def _row(card: Card) -> tuple[str, ...]:
    text = " ".join(card.equation.split()).replace("|", "\\|")
    if isinstance(card, Elementwise):
        text += f" ({card.takes})"
    if card.source:
        text += f". Source: {card.source}"
    return (
        f"`{' '.join((card.name, ', '.join(card.operands))).strip()}`",
        ", ".join(f"`{a}`" for a in card.attributes),
        text,
        card.derivative,
        _batching(card),
        _storage(card),
        _fails(card),
    )


def _batching(card: Card) -> str:
    if card.batching == "refused":
        return "loop" if card.operands else ""
    if Trait.ELEMENTWISE in card.traits:
        return "elements"
    return "letters" if card.name == "contract" else "rule"


def _storage(card: Card) -> str:
    if Trait.VIEW in card.traits:
        return "view"
    return "in place" if card.traits & {Trait.UPDATE, Trait.ELEMENTWISE} else ""


def _fails(card: Card) -> str:
    checked = {"in_bounds?", "checked?"} & set(card.attributes)
    return "yes" if Trait.EFFECT in card.traits or checked or card.name == "list_fill" else ""
