"""Formulas as `dlc inspect` shows them: the same numbers in fewer characters."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from dlc.cli import formulas

CHUNKS = "(chunks(Q, 8*((4*m.D+7)//8)+8) - chunks(Q-1, 8*((4*m.D+7)//8)+8))"
LONG = (
    f"max({CHUNKS} + 64*((12*m.D+63)//64), {CHUNKS} + {CHUNKS}) + 128*((4*m.D+63)//64) + "
    "(64*((8*Q*m.D+63)//64)+64*((Q+63)//64) if Q-1 > 0 else 0)"
    " + 64*((8*Q*m.D+63)//64)+64*((Q+63)//64)"
)


def value(lines: tuple[str, ...], env: dict[str, Any]) -> int:
    """The number that the lines say, their named parts first."""
    text = " ".join(lines)
    first, *parts = re.split(r" (?=[A-Z] = )", text)
    env = dict(env)
    for part in reversed(parts):
        name, _, body = part.partition(" = ")
        env[name] = eval(body, env)  # the formula's own text
    return eval(first, env)


class _Dims:
    def __init__(self, **dims: int) -> None:
        vars(self).update(dims)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("64*((4*m.D+63)//64)", "up(4*m.D)"),
        ("256*((4*m.D*Q+63)//64)+640", "4*up(4*m.D*Q) + 640"),
        ("192*((4*Q+3)//64)", "192*((4*Q + 3)//64)"),
        ("32*((4*Q+63)//64)", "32*((4*Q + 63)//64)"),
    ],
)
def test_roundings_have_a_name(formula: str, text: str) -> None:
    found = formulas.shown(formula)
    assert found.lines == (text,)
    assert bool(found.notes) == ("up(" in text)


def test_the_numbers_stay() -> None:
    found = formulas.shown(LONG)
    assert found.lines is not None and found.names == ("Q", "m.D")
    assert len(" ".join(found.lines)) < 0.6 * len(LONG)
    assert [n.partition("(")[0] for n in found.notes] == ["up", "chunks"]
    functions = {"up": lambda n: (n + 63) // 64 * 64, "chunks": lambda n, b: 7 * n * b + b // 3}
    for q, d in product((0, 1, 2, 17, 100), (0, 1, 3, 64)):
        env = {**functions, "Q": q, "m": _Dims(D=d)}
        assert value(found.lines, env) == eval(LONG, env)


def test_a_page_is_told_in_a_word() -> None:
    terms = " + ".join(f"64*(({i}*m.H*Q+63)//64)" for i in range(1, 60))
    found = formulas.shown(terms)
    assert found.lines is None and found.names == ("m.H", "Q")


def test_text_that_is_no_formula() -> None:
    assert formulas.shown("max(1,").lines is None
