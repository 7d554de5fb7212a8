"""Which dims a function computes once, at its start, into words of its frame.

A first emission of the program counts how often every dim is asked for; what is asked for often
enough to pay is kept. Dims that the function itself defines are not known at its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlc.memory.form import BFunction
from dlc.typesys.dims import Atom, Dim

TURNS = 8
"""How often a loop is taken to run."""


@dataclass
class Asked:
    """How often each function asks for each dim, by the function's name."""

    counts: dict[str, dict[Dim, int]] = field(default_factory=dict[str, dict[Dim, int]])

    def note(self, fn: BFunction, d: Dim, depth: int) -> None:
        if all(n in fn.dims for n in d.symbols()):
            counts = self.counts.setdefault(fn.name, {})
            counts[d] = counts.get(d, 0) + TURNS ** min(depth, 3)


def cost(d: Dim) -> int:
    """About how many instructions compute the dim."""
    total = len(d.terms) - 1
    for monomial, coefficient in d.terms:
        total += sum(p * _atom(a) for a, p in monomial) - 1 if monomial else 0
        total += 2 if coefficient != 1 else 0
    return total


def _atom(a: Atom) -> int:
    return 1 if isinstance(a, str) else 3 + cost(a.numerator) + cost(a.denominator)


def is_name(d: Dim) -> bool:
    """Whether the dim is a dim's name, which has a home."""
    return d.name is not None


def kept(fn: BFunction, asked: Mapping[Dim, int]) -> tuple[Dim, ...]:
    """The dims to keep, parts before what is made of them. A function that calls itself starts more
    often than it comes by any one place."""
    least = 2 if fn.group is None else 3
    found = [d for d, n in asked.items() if n >= least and cost(d) >= 2 and not is_name(d)]
    return tuple(sorted(found, key=lambda d: (_height(d), len(d.terms))))


def _height(d: Dim) -> int:
    quotients = (a for m, _ in d.terms for a, _ in m if not isinstance(a, str))
    return max(
        (1 + max(_height(q.numerator), _height(q.denominator)) for q in quotients), default=0
    )
