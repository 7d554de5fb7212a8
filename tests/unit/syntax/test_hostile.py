"""No bytes make a traceback, a hang or an endless report."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlc.diag import CompileError, SourceFile
from dlc.diag.jsonform import to_json
from dlc.diag.render import render_all
from dlc.syntax import decode_source, parse
from tests.unit.syntax.random_source import RandomSource
from tests.unit.syntax.sources import SOURCES, is_prelude

PIECES = (
    *"()[],:=<.@*\"#~|?\0é'\r\n\t\\",
    *("==", "..", "**", "->", "=>", "    ", "fn ", "if ", "else", "match ", "return ", "mut "),
    *("1", "1.5", "x", "type ", "export ", 'test "a":\n', "builtin ", "\r\n", "not ", "\ud800"),
)


def is_handled(source: SourceFile | bytes, allow_builtin: bool = False) -> bool:
    """Parse; whatever is wrong must be told in at most 20 diagnostics with places and remedies."""
    try:
        if isinstance(source, bytes):
            source = decode_source("t.dl", source)
        parse(source, allow_builtin=allow_builtin)
    except CompileError as problem:
        assert 1 <= len(problem.diagnostics) <= 20
        for found in problem.diagnostics:
            assert found.primary is not None and found.helps
            span = found.primary.span
            assert 0 <= span.start <= span.end <= len(span.source.text)
            to_json(found)
        assert len(render_all(problem.diagnostics).encode("utf-8")) < 60_000
        return False
    return True


def mutated(text: str, r: random.Random) -> str:
    for _ in range(r.choice((1, 1, 1, 2, 3, 8))):
        i = r.randrange(len(text) + 1)
        j = min(len(text), i + r.choice((0, 1, 1, 2, 5, 20, 100)))
        kind = r.random()
        if kind < 0.35:
            text = text[:i] + text[j:]
        elif kind < 0.8:
            text = text[:i] + r.choice(PIECES) + text[i:]
        elif kind < 0.9:
            text = text[:i] + 2 * text[i:j] + text[j:]
        else:
            k = r.randrange(len(text) + 1)
            text = text[:i] + text[k : k + 60] + text[j:]
    return text


def mutate_many(first: int, count: int) -> None:
    good = 0
    for seed in range(first, first + count):
        r = random.Random(seed)
        source = r.choice(SOURCES)
        text = source.text if r.random() < 0.7 else RandomSource(seed).source()
        try:
            good += is_handled(SourceFile("t.dl", mutated(text, r)), is_prelude(source))
        except Exception as problem:
            pytest.fail(f"seed {seed}: {problem!r}")
    assert 0 < good < count


def test_mutated_sources() -> None:
    mutate_many(0, 300)


@pytest.mark.full
@pytest.mark.parametrize("block", range(10))
def test_many_mutated_sources(block: int) -> None:
    mutate_many(10_000 + 500 * block, 500)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    is_handled(data)


@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_pieces(parts: list[str]) -> None:
    is_handled(SourceFile("t.dl", "".join(parts)))


RETURN = "fn f(x: f32) -> f32:\n    return "
N = 30_000
LARGE = {
    "a name": "a" * N,
    "open brackets": RETURN + "(" * N,
    "closing brackets": ")" * N,
    "operators": RETURN + "-" * N,
    "words": RETURN + "not " * N,
    "a sum": RETURN + "x" + "+x" * N + "\n",
    "powers": RETURN + "x" + "**x" * N + "\n",
    "fields": RETURN + "x" + ".x" * N + "\n",
    "choices": RETURN + "x if x else " * N + "x\n",
    "calls": RETURN + "f(" * 300 + "x" + ")" * 300 + "\n",
    "lambdas": RETURN + "(fn() => " * 300 + "x" + ")" * 300 + "\n",
    "decorators": "@a\n" * N,
    "imports": "import a" + ",a" * N + "\n",
    "conditions": RETURN + "x" + " and x" * N + "\n",
    "blocks": "fn f():\n" + "".join(" " * i + "if x:\n" for i in range(1, 1500)),
    "comments": "#\n" * N,
    "tabs": "\t" * N,
    "zeros": "\0" * N,
    "quotes": '"' * N,
    "digits": "1" * N,
    "points": "." * N,
    "types": "fn f(x: " + "A[" * N,
    "tuples": RETURN + "(x, " * 300 + "x" + ")" * 300 + "\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_large_sources_cost_linear_time(name: str) -> None:
    started = time.process_time()
    is_handled(SourceFile("t.dl", LARGE[name]))
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("(" * 251 + "x" + ")" * 251, True),
        ("(" * 257 + "x" + ")" * 257, False),
        ("x" + " + x" * 250, True),
        ("x" + " + x" * 257, False),
        ("x" + ".T" * 257, False),
        ("x" + " and x" * 1000, True),
        ("f(" + "x, " * 1000 + ")", True),
    ],
    ids=lambda v: str(v)[:12],
)
def test_the_limit_of_nesting(text: str, is_good: bool) -> None:
    assert is_handled(SourceFile("t.dl", RETURN + text + "\n")) == is_good
