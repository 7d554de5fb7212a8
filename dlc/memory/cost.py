"""Formulas for bytes of arena: sums and maxima of polynomials in dims, storage of lists, and the
costs of calls on parts of an algebraic value.

A path names a part of a function's arguments: the number of the parameter, then of a field of a
record, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from dlc.memory.frame import chunk_start, round_up
from dlc.typesys.dims import ZERO, Dim

Path = tuple[int, ...]
ELEMENT = -1
"""In a path: an element of a list, nobody says which."""
What = Literal["peak", "left"]


@dataclass(frozen=True)
class Bytes:
    """The value of a dim."""

    dim: Dim


@dataclass(frozen=True)
class Sum:
    parts: tuple[Cost, ...]


@dataclass(frozen=True)
class Most:
    """The largest of the parts."""

    parts: tuple[Cost, ...]


@dataclass(frozen=True)
class Repeat:
    """`count` times the cost; 0 if the count is negative."""

    count: Dim
    each: Cost


@dataclass(frozen=True)
class When:
    """The cost if `count > 0`, else 0."""

    count: Dim
    then: Cost


@dataclass(frozen=True)
class Growth:
    """The chunks that a list takes when it grows from `start` to `end` elements of some bytes."""

    start: Dim
    end: Dim
    element: Dim


@dataclass(frozen=True)
class Of:
    """What a call of a function of a recursive group needs (`peak`) or leaves on the heap (`left`)
    for the parts `nodes` of the present arguments, one for each algebraic parameter."""

    what: What
    function: str
    nodes: tuple[Path | None, ...]


@dataclass(frozen=True)
class ByCase:
    """The cost that belongs to the constructor of a part; `_` stands for all others."""

    node: Path
    cases: tuple[tuple[str, Cost], ...]


Cost = Bytes | Sum | Most | Repeat | When | Growth | Of | ByCase

NOTHING = Bytes(ZERO)


def bytes_of(n: Dim | int) -> Cost:
    return Bytes(Dim.of(n))


def plus(*parts: Cost) -> Cost:
    """The sum, with all polynomials in one."""
    total, others = ZERO, list[Cost]()
    for p in _flat(parts, Sum):
        if isinstance(p, Bytes):
            total = total + p.dim
        else:
            others.append(p)
    if not others:
        return Bytes(total)
    if total != ZERO:
        others.append(Bytes(total))
    return others[0] if len(others) == 1 else Sum(tuple(others))


def most(*parts: Cost) -> Cost:
    """The maximum, without parts that can be seen to be smaller than others."""
    kept: list[Cost] = []
    for p in _flat(parts, Most):
        if any(_covers(q, p) for q in kept):
            continue
        kept = [q for q in kept if not _covers(p, q)]
        kept.append(p)
    return kept[0] if len(kept) == 1 else Most(tuple(kept))


def _flat(parts: tuple[Cost, ...], kind: type[Sum] | type[Most]) -> Iterator[Cost]:
    for p in parts:
        if isinstance(p, (Sum, Most)) and isinstance(p, kind):
            yield from _flat(p.parts, kind)
        else:
            yield p


def _covers(a: Cost, b: Cost) -> bool:
    """Whether `a >= b` can be seen: the same parts, and at least as many bytes besides."""
    if a == b:
        return True
    if isinstance(b, Most):
        return all(_covers(a, p) for p in b.parts)
    if isinstance(a, When) and isinstance(b, When) and a.count == b.count:
        return _covers(a.then, b.then)
    if isinstance(b, When):  # Costs are never negative, so it is at most what it guards.
        return _covers(a, b.then)
    more, rest_a = _split(a)
    less, rest_b = _split(b)
    for p in rest_b:
        if p not in rest_a:
            return False
        rest_a.remove(p)
    return more.at_least(less)


def _split(c: Cost) -> tuple[Dim, list[Cost]]:
    parts = c.parts if isinstance(c, Sum) else (c,)
    total = ZERO
    for p in parts:
        if isinstance(p, Bytes):
            total = total + p.dim
    return total, [p for p in parts if not isinstance(p, Bytes)]


def repeat(count: Dim, each: Cost) -> Cost:
    """`count` times, as a polynomial if it can be one."""
    if each == NOTHING or count == ZERO:
        return NOTHING
    if isinstance(each, Bytes) and count.at_least(ZERO):
        return Bytes(count * each.dim)
    return Repeat(count, each)


def when(count: Dim, then: Cost) -> Cost:
    if then == NOTHING or count.at_least(1):
        return then
    return When(count, then)


def growth(start: Dim, end: Dim, element: Dim) -> Cost:
    """In bytes at once if both lengths are numbers and the element's size is one."""
    if start == end:
        return NOTHING
    c = Growth(start, end, element)
    if start.is_constant and end.is_constant and element.is_constant:
        return bytes_of(chunk_bytes(end.constant, element.constant)
                        - chunk_bytes(start.constant, element.constant))  # fmt: skip
    return c


@lru_cache(maxsize=4096)
def chunk_bytes(length: int, element: int) -> int:
    """All chunks of a list that has had this many elements."""
    total, k = 0, 0
    while chunk_start(k) < length:
        total += round_up(4 * 2**k * element)
        k += 1
    return total


def rewrite(c: Cost, dim: Callable[[Dim], Dim], node: Callable[[Path], Path | None]) -> Cost:
    """The cost with dims and paths replaced. Raises Unbounded where a path that decides has become
    none."""
    if isinstance(c, Bytes):
        return Bytes(dim(c.dim))
    if isinstance(c, Sum):
        return plus(*(rewrite(p, dim, node) for p in c.parts))
    if isinstance(c, Most):
        return most(*(rewrite(p, dim, node) for p in c.parts))
    if isinstance(c, Repeat):
        return repeat(dim(c.count), rewrite(c.each, dim, node))
    if isinstance(c, When):
        return when(dim(c.count), rewrite(c.then, dim, node))
    if isinstance(c, Growth):
        return growth(dim(c.start), dim(c.end), dim(c.element))
    if isinstance(c, Of):
        nodes = tuple(None if p is None else node(p) for p in c.nodes)
        if any(n is None and p is not None for n, p in zip(nodes, c.nodes, strict=True)):
            raise Unbounded(BUILT)
        return Of(c.what, c.function, nodes)
    to = node(c.node)
    cases = tuple((k, rewrite(x, dim, node)) for k, x in c.cases)
    # Of a value that is not given, or of one of many, any case may be meant.
    if to is None or ELEMENT in to:
        return most(*(x for _, x in cases))
    return ByCase(to, cases)


BUILT = (
    "a recursion goes over a value that the program builds; it is bounded over parts of an argument"
)


class Unbounded(Exception):
    """Nothing known at the call bounds what a function needs; the message says why, and what would
    give a bound."""


def symbols(c: Cost) -> Iterator[str]:
    """Every name that the cost mentions."""
    if isinstance(c, Bytes):
        yield from c.dim.symbols()
    elif isinstance(c, (Sum, Most)):
        for p in c.parts:
            yield from symbols(p)
    elif isinstance(c, Repeat):
        yield from (*c.count.symbols(), *symbols(c.each))
    elif isinstance(c, When):
        yield from (*c.count.symbols(), *symbols(c.then))
    elif isinstance(c, Growth):
        yield from (*c.start.symbols(), *c.end.symbols(), *c.element.symbols())
    elif isinstance(c, ByCase):
        for _, x in c.cases:
            yield from symbols(x)


def calls_of(c: Cost) -> Iterator[Of]:
    """Every call of a recursive group in the cost."""
    if isinstance(c, Of):
        yield c
    elif isinstance(c, (Sum, Most)):
        for p in c.parts:
            yield from calls_of(p)
    elif isinstance(c, Repeat):
        yield from calls_of(c.each)
    elif isinstance(c, When):
        yield from calls_of(c.then)
    elif isinstance(c, ByCase):
        for _, x in c.cases:
            yield from calls_of(x)


def has_cases(c: Cost) -> bool:
    """Whether the cost depends on the constructor of a part."""
    if isinstance(c, (Sum, Most)):
        return any(map(has_cases, c.parts))
    if isinstance(c, Repeat):
        return has_cases(c.each)
    return isinstance(c, ByCase) or (isinstance(c, When) and has_cases(c.then))


Env = Mapping[str, int]


@dataclass(frozen=True)
class Parts:
    """Answers about parts of the arguments: a part's constructor, and the cost of a call."""

    constructor: Callable[[Path], str]
    call: Callable[[Of], int]


def no_parts() -> Parts:
    """For costs without calls and cases: there is nothing to ask."""

    def call(c: Of) -> int:
        raise KeyError(c.function)

    return Parts(str, call)


Evaluator = Callable[[Parts], int]


def evaluator(c: Cost, env: Env) -> Evaluator:
    """The cost as a function of the arguments' structure, dims being these numbers."""
    if isinstance(c, Of):
        return lambda parts: parts.call(c)
    if isinstance(c, ByCase):
        return _by_case(c, env)
    if isinstance(c, (Sum, Most)):
        inner = [evaluator(p, env) for p in c.parts]
        if isinstance(c, Sum):
            return lambda parts: sum([e(parts) for e in inner])
        return lambda parts: max([e(parts) for e in inner])
    if isinstance(c, (Repeat, When)):
        count = c.count.evaluate(env)
        if count <= 0:
            return lambda parts: 0
        if isinstance(c, When):
            return evaluator(c.then, env)
        each = evaluator(c.each, env)
        return lambda parts: count * each(parts)
    if isinstance(c, Growth):
        size = c.element.evaluate(env)
        end, start = (chunk_bytes(max(0, d.evaluate(env)), size) for d in (c.end, c.start))
        n = end - start
    else:
        n = c.dim.evaluate(env)
    return lambda parts: n


def _by_case(c: ByCase, env: Env) -> Evaluator:
    node = c.node
    table = {name: evaluator(x, env) for name, x in c.cases}
    other = table.get("_")

    def choose(parts: Parts) -> int:
        e = table.get(parts.constructor(node), other)
        assert e is not None
        return e(parts)

    return choose
