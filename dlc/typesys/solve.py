"""Dims from numbers that the outside shows: shapes of weights and of arguments.

Every number is a `Fact`: `size` is `got`. A fact with one unknown name, linear in it, gives that
name its number, in the order of facts; then all are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dlc.typesys.dims import Dim
from dlc.typesys.interface import (
    Axis,
    ElementAxis,
    EntryInfo,
    Fixed,
    ParameterSet,
    Payload,
    Place,
    ScalarValue,
    Source,
)

LARGEST = 2**31 - 1
"""Dims are below 2**31."""


@dataclass(frozen=True, slots=True)
class Fact:
    """`size` is the number `got`, shown by `what` (a parameter or a weight) at `axis`."""

    what: str
    axis: int | None
    size: Dim
    got: int
    place: Place


class DimMismatch(ValueError):
    """A fact that can't be: `want` is what its size should be by earlier facts (None where no whole
    number makes it true), `other` the fact that bound one of its names."""

    def __init__(self, fact: Fact, want: int | None, other: Fact | None) -> None:
        self.fact, self.want, self.other = fact, want, other
        at = "" if fact.axis is None else f" axis {fact.axis}"
        if want is None:
            text = f"{fact.what}{at}: no number makes {fact.size} equal {fact.got}"
        else:
            text = f"{fact.what}{at}: {fact.got} where {fact.size} is {want}"
        super().__init__(text + (f" ({other.what} says so)" if other is not None else ""))


class UnknownDim(ValueError):
    """A dim that no fact determines."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(f"nothing determines {', '.join(names)}")


def solve(facts: Sequence[Fact], known: Mapping[str, int], wanted: Iterable[str]) -> dict[str, int]:
    """The numbers of the wanted dims. Raises DimMismatch, UnknownDim."""
    env = dict(known)
    by: dict[str, Fact] = {}
    waiting = list(facts)
    progress = True
    while progress:
        progress = False
        rest: list[Fact] = []
        for f in waiting:
            unknown = [d for d in f.size.symbols() if d not in env]
            if len(unknown) == 1 and f.size.coefficient(unknown[0]) is not None:
                env[unknown[0]] = _linear(f, unknown[0], env, by)
                by[unknown[0]] = f
                progress = True
            else:
                rest.append(f)
        waiting = rest
    for f in waiting:
        _compare(f, env, by)
    missing = [d for d in wanted if d not in env]
    if missing:
        raise UnknownDim(missing)
    return env


def _linear(f: Fact, name: str, env: Mapping[str, int], by: Mapping[str, Fact]) -> int:
    k = f.size.coefficient(name)
    assert k is not None
    rest = f.size.substitute({name: Dim.const(0)}).evaluate(env)
    factor = k.evaluate(env)
    if factor == 0 or (f.got - rest) % factor or not 0 <= (f.got - rest) // factor <= LARGEST:
        raise DimMismatch(f, None, _cause(f, by))
    return (f.got - rest) // factor


def _compare(f: Fact, env: Mapping[str, int], by: Mapping[str, Fact]) -> None:
    if all(d in env for d in f.size.symbols()):
        want = f.size.evaluate(env)
        if want != f.got:
            raise DimMismatch(f, want, _cause(f, by))


def _cause(f: Fact, by: Mapping[str, Fact]) -> Fact | None:
    return next((by[d] for d in f.size.symbols() if d in by), None)


def weight_facts(s: ParameterSet, shapes: Mapping[str, Sequence[int]]) -> list[Fact]:
    """The facts that weights of these shapes show, by weight name. Ranks must agree."""
    out: list[Fact] = []
    for w in s.weights:
        if w.name in shapes:
            for axis, (size, got) in enumerate(zip(w.shape, shapes[w.name], strict=True)):
                out.append(Fact(f"{s.name}.{w.name}", axis, size, got, w.place))
    return out


def entry_facts(entry: EntryInfo, read: Callable[[Source], int | None]) -> list[Fact]:
    """The facts of one call, in the order of binding. `read` gives the number at a source (the
    length of an axis, the value of a scalar, …), or None where an empty structure shows none."""
    out: list[Fact] = []
    owners = {leaf.number: p.name for p in entry.parameters for leaf in p.leaves}
    for d in entry.dims:
        if isinstance(d.source, Fixed):
            continue
        got = read(d.source)
        size = d.source.size if isinstance(d.source, (Axis, ElementAxis)) else Dim.sym(d.name)
        what, axis = _where(d.source, owners)
        out.append(Fact(what, axis, size, 0 if got is None else got, d.place))
    for c in entry.checks:
        got = read(c.at)
        if got is not None:
            _, axis = _where(c.at, owners)
            out.append(Fact(c.parameter, axis, c.size, got, c.place))
    return out


def _where(source: Source, owners: Mapping[int, str]) -> tuple[str, int | None]:
    if isinstance(source, (Axis, ElementAxis)):
        return owners[source.leaf], source.axis
    if isinstance(source, (ScalarValue, Payload)):
        return owners[source.leaf], None
    return getattr(source, "parameter", None) or owners.get(getattr(source, "leaf", -1), ""), None


def solve_entry(entry: EntryInfo, read: Callable[[Source], int | None]) -> dict[str, int]:
    """The numbers of an entry's dims for one call, everything compared. Raises DimMismatch."""
    fixed = {d.name: d.source.value for d in entry.dims if isinstance(d.source, Fixed)}
    return solve(entry_facts(entry, read), fixed, [d.name for d in entry.dims])
