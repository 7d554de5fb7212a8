"""The saved parse table is that of the grammar, and the machine that runs it agrees with lark."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import pytest
from lark import Lark
from lark.exceptions import GrammarError, UnexpectedInput
from lark.indenter import Indenter

from dlc.diag import CompileError, SourceFile
from dlc.syntax import parse
from dlc.syntax.build_item import ItemBuilder
from dlc.syntax.generate import grammar_text, table_text
from dlc.syntax.table import load_table
from tests.unit.syntax.random_source import RandomSource
from tests.unit.syntax.sources import SOURCES


class Layout(Indenter):
    NL_type = "_NL"
    OPEN_PAREN_types = ["LPAR", "LSQB"]  # noqa: RUF012
    CLOSE_PAREN_types = ["RPAR", "RSQB"]  # noqa: RUF012
    INDENT_type = "_INDENT"
    DEDENT_type = "_DEDENT"
    tab_len = 4


def lark_parser() -> Any:
    return Lark(
        grammar_text().replace("NAME: /", "NAME: /(?!(" + "|".join(keywords()) + r")\b)"),
        parser="lalr",
        lexer="contextual",
        start="module",
        postlex=Layout(),
    )


def keywords() -> list[str]:
    return [t.word for t in load_table().terminals if t.word and t.word.isalpha()]


def test_the_saved_table_is_fresh() -> None:
    assert load_table().grammar == hashlib.sha256(grammar_text().encode()).hexdigest()


def test_the_table_does_not_depend_on_hashes() -> None:
    program = "from dlc.syntax.generate import *; print(table_text(grammar_text()), end='')"
    made = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert made[0] == made[1]


def test_conflicts_are_refused() -> None:
    with pytest.raises(GrammarError, match="conflict"):
        table_text(grammar_text().replace("names: _names\n", 'names: _names [","]\n'))


def test_loading_needs_no_lark() -> None:
    """The saved table is read, not made: reading it is what keeps the command line fast."""
    program = (
        "import sys\n"
        "from dlc.syntax.table import load_table\n"
        "load_table()\n"
        "assert 'lark' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_action_is_a_method_of_the_builder() -> None:
    actions = {rule.action for rule in load_table().rules} - {""}
    assert actions
    assert not [a for a in sorted(actions) if not callable(getattr(ItemBuilder, a, None))]


def test_all_keywords_are_reserved() -> None:
    wanted = (
        "and as assert break builtin const continue elif else export fn for from if import in match"
        " model mut not or return static test type while"
    )
    assert " ".join(sorted(keywords())) == wanted


def without_comments(source: SourceFile) -> str:
    """The text without comments and empty lines, whose indentation lark would count."""
    text = source.text
    for comment in reversed(parse(source, allow_builtin=True).comments):
        text = text[: comment.span.start] + text[comment.span.end :]
    return "\n".join(line for line in text.split("\n") if line.strip()) + "\n"


def accepts(parser: Any, text: str) -> bool:
    try:
        parser.parse(text)
    except UnexpectedInput:
        return False
    return True


def ours_accepts(text: str) -> bool:
    """Whether our machine finds no error of grammar (the builder's own checks do not count)."""
    try:
        parse(SourceFile("t", text), allow_builtin=True)
    except CompileError as problem:
        return not {d.code for d in problem.diagnostics} & {
            "E0110",
            "E0111",
            "E0112",
            "E0113",
            "E0114",
        }
    return True


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_lark_accepts_what_we_accept(source: SourceFile) -> None:
    assert accepts(lark_parser(), without_comments(source))


def test_we_agree_with_lark_on_random_lines() -> None:
    """One line of tokens at a time, inside a function: grammar only, no layout."""
    parser = lark_parser()
    agreed = {True: 0, False: 0}
    for seed in range(150):
        writer = RandomSource(seed)
        words = (
            "x 3 ( ) [ ] , = + - * @ ** .. . : < not and if else fn => mut ? return for in".split()
        )
        line = writer.expr(2).replace("\n", " ").replace("#", " ")
        parts = line.split(" ")
        for _ in range(writer.random.randint(0, 2)):
            parts.insert(writer.random.randrange(len(parts) + 1), writer.random.choice(words))
        text = f"fn f():\n    {' '.join(parts).strip()}\n"
        if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
            continue
        lark_says = accepts(parser, text)
        assert ours_accepts(text) == lark_says, f"seed {seed}: {text}"
        agreed[lark_says] += 1
    assert agreed[True] > 30 and agreed[False] > 30
