"""Which functions leave something on the heap. Marks with no allocation in between are dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dlc.memory.form import (
    Alloc,
    BFunction,
    Block,
    Call,
    For,
    If,
    ListAt,
    ListCopy,
    ListNew,
    ListPush,
    Loop,
    Mark,
    Release,
    Statement,
    Store,
    Switch,
    Variant,
)
from dlc.memory.frame import nested, statements
from dlc.typesys.types import AdtType

ALLOCATING = (Alloc, ListCopy, ListNew, ListPush)


def prune_marks(functions: Mapping[str, BFunction]) -> dict[str, BFunction]:
    """The functions without `Mark` and `Release` around blocks that allocate nothing."""
    leaving = leaves_heap(functions)
    return {name: replace(fn, body=_pruned(fn.body, leaving)) for name, fn in functions.items()}


def leaves_heap(functions: Mapping[str, BFunction]) -> frozenset[str]:
    """Functions after whose call the heap may be larger than before."""

    def leaves(b: Block, leaving: frozenset[str]) -> bool:
        return not _releases(b) and any(_allocates(s, leaving) for s in statements(b))

    return _fewest(functions, leaves)


def fills_lists(functions: Mapping[str, BFunction]) -> frozenset[str]:
    """Functions in whose calls an algebraic value is written into a list, so that what a list
    holds may be no part of what was given."""

    def fills(b: Block, filling: frozenset[str]) -> bool:
        return _fills(b) or any(_calls(s, filling) for s in statements(b))

    return _fewest(functions, fills)


def _fewest(
    functions: Mapping[str, BFunction], holds: Callable[[Block, frozenset[str]], bool]
) -> frozenset[str]:
    """Functions of which it holds, given of which others it does: as few as there can be."""
    found: frozenset[str] = frozenset()
    while True:
        more = frozenset(name for name, fn in functions.items() if holds(fn.body, found))
        if more == found:
            return found
        found = more


def _calls(s: Statement, functions: frozenset[str]) -> bool:
    return isinstance(s, Call) and s.function in functions


def _fills(b: Block) -> bool:
    columns = {
        r
        for s in statements(b)
        if isinstance(s, (ListPush, ListAt))
        for r, t in zip(s.columns, s.type.columns, strict=True)
        if isinstance(t, AdtType)
    }
    return any(isinstance(s, Store) and s.view.place in columns for s in statements(b))


def _releases(b: Block) -> bool:
    """Whether the block gives back all that it allocates."""
    return bool(b) and isinstance(b[0], Mark)


def _allocates(s: Statement, leaving: frozenset[str]) -> bool:
    if isinstance(s, Variant):
        return bool(s.fields or s.dims)
    return isinstance(s, ALLOCATING) or _calls(s, leaving)


def _pruned(b: Block, leaving: frozenset[str]) -> Block:
    idle: set[object] = set()
    if b and isinstance(b[0], Mark) and not any(_allocates(s, leaving) for s in statements(b)):
        idle.add(b[0].dst)
    out: list[Statement] = []
    for s in b:
        if isinstance(s, Mark) and s.dst in idle:
            continue
        if isinstance(s, Release) and s.mark in idle:
            continue
        out.append(_inner(s, leaving) if nested(s) else s)
    return tuple(out)


def _inner(s: Statement, leaving: frozenset[str]) -> Statement:
    if isinstance(s, If):
        return replace(s, then=_pruned(s.then, leaving), otherwise=_pruned(s.otherwise, leaving))
    if isinstance(s, Switch):
        cases = tuple(replace(c, body=_pruned(c.body, leaving)) for c in s.cases)
        return replace(s, cases=cases)
    assert isinstance(s, (For, Loop))
    return replace(s, body=_pruned(s.body, leaving))
