"""Values that are put together wrongly: the complaint names the place inside the value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import dlc
from dlc.artifact.python.net import Net

SOURCE = """
type J = Null | Num(v: f32) | Arr(items: List[J]) | Pair(a: J, b: Option[J], n: i32)

export fn f(j: J) -> J:
    return j

export fn g(js: List[J]) -> i32:
    return len(js)
"""


@pytest.fixture(scope="module")
def net() -> Net:
    return dlc.compile(SOURCE, "evaluate", name="json.dl")


CASES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda J: 3, "`j` must be a J, not an int"),
    (lambda J: J, "`j` must be a J, not the type J itself: make a value by a constructor"),
    (lambda J: J.Null, "`j` must be a J, not the constructor itself: write `J.Null()`"),
    (lambda J: J.Num, "`j` must be a J, not the constructor itself: write `J.Num(v)`"),
    (lambda J: J.Num("a"), "`j.Num.v` must hold f32, not str"),
    (lambda J: J.Arr(J.Null()), "`j.Arr.items` must be a list, not a Null"),
    (lambda J: J.Arr([1]), "`j.Arr.items[0]` must be a J, not an int"),
    (
        lambda J: J.Arr([J.Null(), J.Null]),
        "`j.Arr.items[1]` must be a J, not the constructor itself: write `J.Null()`",
    ),
    (lambda J: J.Pair(J.Null(), 3, 1), "`j.Pair.b` must be a J, not an int"),
    (
        lambda J: J.Pair(J.Arr([J.Num(1), J.Pair("x", None, 2)]), None, 1),
        "`j.Pair.a.Arr.items[1].Pair.a` must be a J, not a str",
    ),
]


@pytest.mark.parametrize(("make", "message"), CASES)
def test_the_place_is_named(net: Net, make: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        net.f(make(net.types.J))
    if "must be" in message:  # numbers are converted a column at a time, which has one name
        inside = message.replace("`j", "`js[1]", 1)
        with pytest.raises(TypeError, match=f"^{re.escape(inside)}$"):
            net.g([net.types.J.Null(), make(net.types.J)])


def test_a_place_deep_in_a_value(net: Net) -> None:
    J = net.types.J
    x = J.Null
    for _ in range(30_000):
        x = J.Pair(x, None, 1)
    with pytest.raises(TypeError, match="must be a J, not the constructor itself") as caught:
        net.f(x)
    assert len(str(caught.value)) < 300 and "`j.Pair.a.Pair" in str(caught.value)
