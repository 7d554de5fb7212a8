"""What the twin knows at one point of a function, and what holds where ways meet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dlc.memory.cost import NOTHING, ByCase, Cost, Path, growth, most, plus
from dlc.memory.form import Reg
from dlc.typesys.dims import Dim

KEEPS = (
    "a loop that may turn any number of times keeps what its turns make; it is bounded as "
    "`for i in 0..n`"
)


@dataclass(frozen=True)
class Summary:
    """A function's peak and what it leaves; what is known of its results, by position: whole
    numbers, and lengths of lists; the most that its result dims can be."""

    peak: Cost
    left: Cost
    exact: bool
    values: tuple[Dim | None, ...]
    lengths: tuple[Dim | None, ...]
    changing: frozenset[tuple[str, str]] = frozenset()
    """(function, name) of whole numbers and lengths that differ from call to call of the group."""
    dims: tuple[Dim | None, ...] = ()


@dataclass
class FollowedList:
    """A list that has grown from `start` elements here."""

    start: Dim
    length: Dim | None
    element: Dim


@dataclass
class State:
    """What is known at one point. `heap` is without the growth of the lists that are known."""

    heap: Cost = NOTHING
    peak: Cost = NOTHING
    exact: bool = True
    numbers: dict[Reg, Dim] = field(default_factory=dict[Reg, Dim])
    bounds: dict[Reg, Dim] = field(default_factory=dict[Reg, Dim])
    """The most that a number can be, where it is not known."""
    dims: dict[str, Dim] = field(default_factory=dict[str, Dim])
    homes: dict[Reg, int] = field(default_factory=dict[Reg, int])
    lists: dict[int, FollowedList] = field(default_factory=dict[int, FollowedList])
    paths: dict[Reg, Path] = field(default_factory=dict[Reg, Path])

    def copy(self) -> State:
        lists = {k: replace(l) for k, l in self.lists.items()}
        return State(
            self.heap, self.peak, self.exact, dict(self.numbers), dict(self.bounds),
            dict(self.dims), dict(self.homes), lists, dict(self.paths),
        )  # fmt: skip

    def used(self) -> Cost:
        """All heap taken since the function began."""
        return plus(self.heap, *(self.grown(l) for l in self.lists.values()))

    def grown(self, l: FollowedList) -> Cost:
        return NOTHING if l.length is None else growth(l.start, l.length, l.element)

    def retire(self, k: int) -> None:
        """A list that is not followed any further: what it has taken stays taken."""
        self.heap = plus(self.heap, self.grown(self.lists.pop(k)))
        self.homes = {r: h for r, h in self.homes.items() if h != k}

    def forget(self, r: Reg) -> None:
        self.numbers.pop(r, None)
        self.bounds.pop(r, None)
        self.homes.pop(r, None)
        self.paths.pop(r, None)


def by_case(path: Path, names: list[str], costs: list[Cost]) -> Cost:
    if all(c == costs[0] for c in costs):
        return costs[0]
    return ByCase(path, tuple(zip(names, costs, strict=True)))


def joined(ends: list[State]) -> State:
    """What holds whichever way was taken: the larger costs, and what all agree about."""
    same = all(e.heap == ends[0].heap and e.peak == ends[0].peak for e in ends)
    first = ends[0]
    for k in dict.fromkeys(k for e in ends for k in e.lists):
        have = [e.lists.get(k) for e in ends]
        if all(l == have[0] for l in have):
            continue
        same = False
        longest = _longest([l for l in have if l is not None and l.length is not None])
        if longest is not None and None not in have:
            for e in ends:
                e.lists[k] = replace(longest)
        else:
            for e in ends:
                if k in e.lists:
                    e.retire(k)
    out = first.copy()
    out.exact = same and all(e.exact for e in ends)
    out.heap, out.peak = most(*(e.heap for e in ends)), most(*(e.peak for e in ends))
    out.numbers = {r: d for r, d in first.numbers.items() if _agree(ends, "numbers", r, d)}
    out.bounds = {r: d for r, d in first.bounds.items() if _agree(ends, "bounds", r, d)}
    out.dims = {n: d for n, d in first.dims.items() if _agree(ends, "dims", n, d)}
    out.homes = {r: k for r, k in first.homes.items() if _agree(ends, "homes", r, k)}
    out.paths = {r: p for r, p in first.paths.items() if _agree(ends, "paths", r, p)}
    return out


def _longest(lists: list[FollowedList]) -> FollowedList | None:
    for l in lists:
        length = l.length
        if length is not None and all(
            m.start == l.start and m.length is not None and length.at_least(m.length) for m in lists
        ):
            return l
    return None


def _agree(ends: list[State], table: str, key: object, value: object) -> bool:
    return all(getattr(e, table).get(key) == value for e in ends)
