from __future__ import annotations

import random

import pytest

from dlc.diag import SourceFile, error
from dlc.diag.suggest import did_you_mean, distance, near


@pytest.mark.parametrize(
    ("a", "b", "d"),
    [
        ("softmax", "softmax", 0),
        ("sofmax", "softmax", 1),
        ("sotfmax", "softmax", 1),
        ("softmaxx", "softmax", 1),
        ("softmin", "softmax", 2),
        ("linear", "Linear", 1),
        ("LINEAR", "linear", 3),
        ("", "abc", 3),
    ],
)
def test_distance(a: str, b: str, d: int) -> None:
    assert distance(a, b, 5) == d
    assert distance(b, a, 5) == d


def test_distance_stops_at_the_limit() -> None:
    assert distance("abcdefgh", "stuvwxyz", 2) == 3
    assert distance("a" * 100, "b", 3) == 4


def test_distance_counts_random_edits() -> None:
    r = random.Random(7)
    for _ in range(300):
        word = "".join(r.choice("abcdef") for _ in range(r.randint(3, 9)))
        other = word
        for _ in range(2):
            i = r.randrange(len(other))
            other = r.choice([other[:i] + other[i + 1 :], other[:i] + "z" + other[i:]]) or "z"
        assert distance(word, other, 9) <= 2


def test_near_prefers_the_nearest_and_is_sorted() -> None:
    names = ["softmin", "softmax", "softplus", "max", "relu"]
    assert near("softmix", names) == ("softmax", "softmin")
    assert near("softmax", names) == ("softmin",)
    assert near("q", ["x", "y"]) == ()
    assert near("zzz", names) == ()
    assert near("x1", ["x2", "x4", "x3", "x5"]) == ("x2", "x3", "x4")


def test_did_you_mean() -> None:
    source = SourceFile("t.dl", "sofmax(x)")
    span = source.span(0, 6)
    found = error("E0201", "no function `sofmax`", span)
    one = did_you_mean(found, "sofmax", ["softmax", "exp"], span)
    (remedy,) = one.helps
    assert remedy.text == "did you mean `softmax`?"
    assert [(e.span, e.text) for e in remedy.edits] == [(span, "softmax")]
    two = did_you_mean(found, "softmix", ["softmin", "softmax"], span)
    assert two.helps[0].text == "did you mean `softmax` or `softmin`?"
    assert two.helps[0].edits == ()
    assert did_you_mean(found, "sofmax", ["exp"], span) is found
