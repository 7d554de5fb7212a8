"""Remedies for words of other languages name what is there."""

from __future__ import annotations

import re

from dlc.check.modules import prelude_names
from dlc.check.rules.foreign import KEYWORDS, METHODS, NAMES

OWN = {"f", "forward"}
"""Functions of the reader's own, which remedies speak of."""


def test_remedies_name_functions_of_the_prelude() -> None:
    known = prelude_names()
    for table in (NAMES, METHODS, KEYWORDS):
        for word, remedy in table.items():
            called = set(re.findall(r"(\w+)\(", remedy)) - OWN
            assert called <= set(known), word


def test_unknown_names_are_unknown() -> None:
    assert not set(NAMES) & set(prelude_names())
