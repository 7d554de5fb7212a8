"""Bounds of what recursion over a given value needs, from the number of its nodes alone.

A call on a part with `n` nodes leaves at most `a * n` and needs at most `b + c * n`, if every part
is visited at most once: `a` is the most that one call leaves by itself, `c` the most that is below
a nested call's frame (or `a`, if that is more), `b` the most that a call needs without nested ones.
So a bound is one multiplication, where the exact need wants a walk over the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dlc.memory.cost import (
    BUILT,
    NOTHING,
    ByCase,
    Bytes,
    Cost,
    Growth,
    Most,
    Of,
    Path,
    Repeat,
    Sum,
    Unbounded,
    When,
    calls_of,
    most,
    plus,
    repeat,
    when,
)
from dlc.memory.need import Needs
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType


@dataclass(frozen=True)
class _Step:
    """A group's `a`, `b`, `c`."""

    left: Cost
    base: Cost
    step: Cost


def linear_bounds(needs: Needs) -> Mapping[str, Cost]:
    """For every function with a bound, its peak as a formula in dims, `arg.…`, `len.…` and
    `nodes.<parameter>`, the number of nodes of an algebraic argument: no calls, no cases."""
    groups: dict[int, list[str]] = {}
    for name, fn in needs.functions.items():
        if fn.group is not None and needs.of[name].peak is not None:
            groups.setdefault(fn.group, []).append(name)
    steps: dict[str, _Step] = {}
    for names in groups.values():
        step = _step(needs, names)
        if step is not None:
            steps.update(dict.fromkeys(names, step))
    out: dict[str, Cost] = {}
    for name in needs.functions:
        peak = needs.of[name].peak
        if peak is None or any(c.function not in steps for c in calls_of(peak)):
            continue
        if name in steps:
            params = needs.functions[name].params
            i = next(i for i, p in enumerate(params) if isinstance(p.type, AdtType))
            out[name] = _peak(steps[name], _nodes(needs, name, (i,)))
        else:
            try:
                out[name] = _closed(needs, name, peak, steps)
            except Unbounded:
                continue
    return out


def _nodes(needs: Needs, name: str, path: Path) -> Dim:
    """The number of nodes of a part: at most those of the whole argument."""
    p = needs.functions[name].params[path[0]]
    return Dim.sym(f"nodes.{p.name or path[0]}")


def _peak(s: _Step, nodes: Dim) -> Cost:
    return plus(s.base, repeat(nodes, s.step))


def _closed(needs: Needs, name: str, c: Cost, steps: Mapping[str, _Step]) -> Cost:
    """The cost with calls bounded and the largest of all cases."""

    def close(c: Cost) -> Cost:
        if isinstance(c, Of):
            if c.nodes[0] is None:
                raise Unbounded(BUILT)
            s, nodes = steps[c.function], _nodes(needs, name, c.nodes[0])
            return _peak(s, nodes) if c.what == "peak" else repeat(nodes, s.left)
        if isinstance(c, Sum):
            return plus(*map(close, c.parts))
        if isinstance(c, Most):
            return most(*map(close, c.parts))
        if isinstance(c, ByCase):
            return most(*(close(x) for _, x in c.cases))
        if isinstance(c, Repeat):
            return repeat(c.count, close(c.each))
        if isinstance(c, When):
            return when(c.count, close(c.then))
        return c

    return close(c)


def _step(needs: Needs, names: list[str]) -> _Step | None:
    """The group's numbers, or None if a part may be visited more than once."""
    left, base, step = NOTHING, NOTHING, NOTHING
    try:
        for name in names:
            need = needs.of[name]
            assert need.peak is not None and need.left is not None
            params = needs.functions[name].params
            first = next((i for i, p in enumerate(params) if isinstance(p.type, AdtType)), -1)
            for own, nested in _ways(need.left):
                _at_most_once(nested, first)
                left = most(left, own)
            for own, nested in _ways(need.peak):
                _at_most_once(nested, first)
                peaks = [c for c in nested if c.what == "peak"]
                if len(peaks) > 1:
                    return None
                step, base = (most(step, own), base) if nested else (step, most(base, own))
    except Unbounded:
        return None
    return _Step(left, base, most(step, left))


def _at_most_once(calls: tuple[Of, ...], first: int) -> None:
    """Every call must go down, from the first algebraic parameter, whose nodes are counted, to a
    part of it; and no part may be visited twice for the same purpose, also not within another."""
    seen: list[Path] = []
    for c in calls:
        path = c.nodes[0] or ()
        if len(path) < 2 or path[0] != first or any(_is_within(path, p) for p in seen):
            raise Unbounded("a part is visited twice")
        seen.append(path)


def _is_within(p: Path, q: Path) -> bool:
    """Whether one is the other, or a part of it."""
    return all(a == b for a, b in zip(p, q, strict=False))


def _ways(c: Cost) -> Iterator[tuple[Cost, tuple[Of, ...]]]:
    """The cost as alternatives, of which it is the largest: what a call takes by itself, and its
    nested calls."""
    if isinstance(c, Of):
        yield NOTHING, (c,)
    elif isinstance(c, Most):
        for p in c.parts:
            yield from _ways(p)
    elif isinstance(c, ByCase):
        for _, x in c.cases:
            yield from _ways(x)
    elif isinstance(c, Sum):
        yield from _sums(c.parts)
    elif isinstance(c, (Repeat, When)) and any(True for _ in calls_of(c)):
        raise Unbounded("nested calls in a loop")
    else:
        assert isinstance(c, (Bytes, Growth, Repeat, When))
        yield c, ()


def _sums(parts: tuple[Cost, ...]) -> Iterator[tuple[Cost, tuple[Of, ...]]]:
    first, *rest = parts
    for own, calls in _ways(first):
        if not rest:
            yield own, calls
            continue
        for more, others in _sums(tuple(rest)):
            yield plus(own, more), (*calls, *others)
