"""The words of the language: each name once, and whole examples check."""

from __future__ import annotations

import pytest

from dlc.check.manual import find_entries
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.diag.words import WORDS, Word, explain_word, find_word
from dlc.syntax import parse
from dlc.syntax.table import load_table

WHOLE = ("type ", "export fn ", "import ", "test ")


def test_every_name_has_one_entry() -> None:
    names = [n for w in WORDS for n in w.names]
    assert len(names) == len(set(names))
    assert all(find_word(n) is w for w in WORDS for n in w.names)
    assert find_word("Match") is None
    assert not [n for n in names if find_entries(n)]  # a name of the library has its entry there


def test_every_keyword_has_an_entry() -> None:
    """But `builtin`, which only the prelude may write."""
    keywords = {t.word for t in load_table().terminals if t.word and t.word.isalpha()}
    assert {"while", "and", "as"} < keywords
    assert [k for k in sorted(keywords) if find_word(k) is None] == ["builtin"]


@pytest.mark.parametrize("word", WORDS, ids=lambda w: w.names[0])
def test_examples_are_of_the_language(word: Word) -> None:
    assert all(line.strip() in explain_word(word) for line in word.example.split("\n"))
    if word.example.startswith(WHOLE):
        check_program(SourceFile("main.dl", word.example + "\n"))
    elif word.example and "…" not in word.example and word.example.endswith(":"):
        parse(SourceFile("main.dl", f"{word.example}\n    return x\n"))
