"""Mutated programs: an identifier, number or operator is replaced by another of the same
program."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+\.\d+|\d+|==|!=|<=|>=|[-+*/%@<>]")
_KEYWORDS = frozenset(
    "type model builtin fn import from as test const return if elif else while for in match assert "
    "and or not break continue export mut static".split()
)


def mutants(text: str, seed: int, count: int) -> Iterator[str]:
    """`count` variants of a program, each with one token replaced by another of its kind."""
    rng = random.Random(seed)
    tokens = [m for m in _TOKEN.finditer(text) if m.group() not in _KEYWORDS]
    names = sorted({m.group() for m in tokens if m.group()[0].isalpha()})
    numbers = ["0", "1", "2", "3", "1.0", "0.5", "-1", "N"]
    signs = ["+", "-", "*", "/", "//", "%", "@", "==", "<", "**"]
    for _ in range(count):
        m = rng.choice(tokens)
        old = m.group()
        pool = names if old[0].isalpha() else numbers if old[0].isdigit() else signs
        if rng.random() < 0.1:
            pool = [*names, *numbers, "", "mut x", "[0]", "x[0]", "f32", "grad"]
        yield text[: m.start()] + rng.choice(pool) + text[m.end() :]
