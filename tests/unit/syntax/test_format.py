"""The formatter: the same tree, the same comments, nothing left to change, lines that fit."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from dlc.diag import SourceFile
from dlc.syntax import parse
from dlc.syntax.format import WIDTH, format_module, format_source
from dlc.syntax.walk import same
from tests.unit.syntax.random_source import RandomSource
from tests.unit.syntax.sources import SOURCES, is_prelude


def check(source: SourceFile, allow_builtin: bool = False) -> str:
    """Format a source and check every promise of the formatter; return the text."""
    before = parse(source, allow_builtin=allow_builtin)
    text = format_module(before)
    again = SourceFile(source.name + " (formatted)", text)
    after = parse(again, allow_builtin=allow_builtin)
    assert same(before, after), "the tree changed"
    kept, had = [Counter(c.text for c in m.comments) for m in (after, before)]
    assert kept == had, "comments changed"
    assert format_module(after) == text, "formatting again changes the text"
    assert all(line == line.rstrip() for line in text.split("\n"))
    assert "\n\n\n" not in text and not text.startswith("\n")
    assert text == "" or (text.endswith("\n") and not text.endswith("\n\n"))
    return text


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_the_sources_of_the_project(source: SourceFile) -> None:
    check(source, is_prelude(source))


@pytest.mark.parametrize("block", range(10))
def test_random_sources(block: int) -> None:
    for seed in range(25 * block, 25 * block + 25):
        text = check(SourceFile(f"seed {seed}", RandomSource(seed).source()))
        for line in text.split("\n"):
            code = line.split("  #")[0]
            can_break = any(sign in code for sign in "([") or " = " in code
            is_fixed = code.lstrip().startswith(("#", "type ", "import "))
            assert len(code) <= WIDTH or is_fixed or not can_break, f"seed {seed}: {line}"


@pytest.mark.full
@pytest.mark.parametrize("block", range(20))
def test_many_random_sources(block: int) -> None:
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        check(SourceFile(f"seed {seed}", RandomSource(seed).source()))


def with_comments(text: str, r: random.Random) -> str:
    """The text with comments and line breaks in brackets, behind lines and on lines between."""
    out: list[str] = []
    depth = 0
    for line in text.split("\n"):
        code, sign, comment = line.partition("#")
        made = ""
        for part in re.split(r'("[^"]*")', code):
            for char in part if not part.startswith('"') else [part]:
                made += char
                depth += (char in "([") - (char in ")]")
                if depth and char in "([," and r.random() < 0.15:
                    made += r.choice(["\n", "  # c ü\n", "# c\n\n"]) + " " * r.randrange(12)
        if not sign and made.strip() and r.random() < 0.2:
            made += "   # beside" + r.choice(["", "x" * 90])
        out.append(made + sign + comment)
        if r.random() < 0.1:
            out.append(" " * r.randrange(14) + "# between")
    made = r.choice(["\n", "\r\n"]).join(out)
    return made.rstrip() if r.random() < 0.5 else made


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_comments_everywhere(source: SourceFile) -> None:
    text = with_comments(source.text, random.Random(source.name))
    check(SourceFile(source.name, text), is_prelude(source))


def formatted(text: str) -> str:
    return check(SourceFile("t.dl", text))


def statement(text: str) -> str:
    made = formatted(f'test "t":\n    {text}\n')
    lines = made.split("\n")[1:-1]
    return "\n".join(line[4:] for line in lines)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x=a+b*c", "x = a + b * c"),
        ("x = (a + b)", "x = a + b"),
        ("x = (a * b) + c", "x = (a * b) + c"),
        ("x = ((a + b)) * c", "x = (a + b) * c"),
        ("x = (f(y)) + (z)", "x = f(y) + z"),
        ("x = f((a + b), [(c)])", "x = f(a + b, [c])"),
        ("x = - a ** - b", "x = -a ** -b"),
        ("x = (-a) ** b", "x = (-a) ** b"),
        ("x = (a ** b) ** c", "x = (a ** b) ** c"),
        ("x = a - (b - c)", "x = a - (b - c)"),
        ("x = (not a) == b", "x = (not a) == b"),
        ("x = (1.5).T", "x = (1.5).T"),
        ("x = (a if b else c) if d else e", "x = (a if b else c) if d else e"),
        ("x = (a, b), c", "x = (a, b), c"),
        ("y: f32[ 2*N , N*M//K+1 ] = x", "y: f32[2*N, N*M // K + 1] = x"),
        ("y: A [ O = 1,* S,? k ] = x", "y: A[O=1, *S, ?k] = x"),
        ("x[ i+1 : , : n-1 , i+1 ]=0", "x[i+1:, :n-1, i + 1] = 0"),
        ("for i in 0 .. n - 1 :\n        f( )", "for i in 0..n-1:\n    f()"),
        ("f( mut x , axis = 1 , )", "f(mut x, axis=1)"),
        ("return", "return"),
        ('assert x ,"t"', 'assert x, "t"'),
    ],
)
def test_statements(text: str, wanted: str) -> None:
    assert statement(text) == wanted


def test_a_long_call_breaks_at_its_last_brackets() -> None:
    name = "an_argument_of_forty_letters_and_a_bit"
    assert statement(f"x = grad(f, wrt=y)({name}, {name})") == (
        f"x = grad(f, wrt=y)(\n    {name}, {name}\n)"
    )
    assert statement(f"x = f({name}, {name}, {name})") == (
        f"x = f(\n    {name},\n    {name},\n    {name},\n)"
    )


def test_a_long_line_breaks_at_its_loosest_operator() -> None:
    a, b = "a" * 42, "b" * 42
    assert statement(f"x = {a} * 2 + {b} * 3 - c") == (
        f"x = (\n    {a} * 2\n    + {b} * 3\n    - c\n)"
    )
    assert statement(f"return ({a} and {b} or c)") == (f"return (\n    {a} and {b}\n    or c\n)")


def test_crlf_and_byte_order_mark_go() -> None:
    text = format_source(SourceFile("t", "\ufeffimport nn\r\n\r\n# c\r\nimport loss"))
    assert text == "import nn\n\n# c\nimport loss\n"


def test_only_comments() -> None:
    assert formatted("\n\n# a\n\n\n# b") == "# a\n\n# b\n"
    assert formatted("") == ""


def test_deep_expressions_do_not_recurse() -> None:
    deep = "(" * 100 + "a" + " + 1)" * 100
    chain = " + ".join("a" for _ in range(200))
    assert statement(f"x = {deep}").count("\n") > 10
    assert statement(f"x = {chain}").count("\n") == 201
    statement("x = " + "f(" * 120 + "y" + ")" * 120)
    statement("x = " + "not " * 200 + "y")
