"""What a call needs of the arena: exactly, at most, or nobody knows.

The program's twin: the form is run over formulas instead of numbers, tensor work left out. Frames
grow up, the heap grows down, so what is in use is a sum; a call on top of what a call site keeps
adds its own peak. Control that depends on data gives a bound, the larger of both ways; loops whose
number of turns nobody knows must leave nothing behind. Recursion over a given algebraic value gives
one formula for each constructor, in which the needs of calls on parts stand: `Needs.evaluate` fills
a table, children first, without recursion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any, Literal

from dlc.ir.core import AdtDecl
from dlc.memory.cost import ELEMENT, Cost, Evaluator, Of, Parts, Path, Unbounded, evaluator, symbols
from dlc.memory.escape import fills_lists, leaves_heap
from dlc.memory.form import BFunction, BModule
from dlc.memory.frame import frame_layout
from dlc.memory.twin import Twin
from dlc.memory.twin_state import Summary
from dlc.ops.values import AdtValue, ListValue
from dlc.typesys.types import AdtType

_CHANGES = (
    "a recursion changes the lengths of lists or the numbers that it hands down; it is bounded if "
    "they stay as they are"
)
Status = Literal["exact", "bound", "unbounded"]


@dataclass(frozen=True)
class Need:
    """The bytes that a call takes of the arena at its peak, and that it leaves on the heap, besides
    the arguments themselves. Formulas in the function's dims, in `arg.<name>` for whole-number
    parameters, `len.<name>` for the lengths of lists and `nodes.<name>` for the nodes of algebraic
    arguments; None if nothing bounds it, for `reason`.
    """

    status: Status
    peak: Cost | None
    left: Cost | None
    reason: str = ""


@dataclass(frozen=True)
class Needs:
    """The needs of all functions of a module."""

    types: Mapping[str, AdtDecl]
    functions: Mapping[str, BFunction]
    of: Mapping[str, Need]

    def evaluate(
        self, name: str, env: Mapping[str, int], args: Sequence[Any] = ()
    ) -> tuple[Status, int]:
        """The bytes for given dims and arguments (as the evaluator holds them; only algebraic ones
        are looked at). Raises Unbounded."""
        need = self.of[name]
        if need.peak is None:
            raise Unbounded(need.reason)
        table = _Table(self, {**env, **self._nodes(name, args)})
        kinds = (AdtValue, ListValue)
        last = max((i for i, a in enumerate(args) if isinstance(a, kinds)), default=-1)
        return need.status, table.evaluate("peak", name, tuple(args[: last + 1]))

    def _nodes(self, name: str, args: Sequence[Any]) -> dict[str, int]:
        """The number of nodes of each algebraic argument, by the name that formulas give it."""
        params = [p for p in self.functions[name].params if p.mode != "out"]
        out: dict[str, int] = {}
        for i, (p, a) in enumerate(zip(params, args, strict=False)):
            if isinstance(a, (AdtValue, ListValue)):
                out[f"nodes.{p.name or i}"] = _count(a)
        return out


def _count(v: AdtValue | ListValue) -> int:
    """How many constructors a value is made of; a part that occurs twice counts twice."""
    total = 0
    work: list[Any] = [v]
    while work:
        x = work.pop()
        if isinstance(x, AdtValue):
            total += 1
            work += x.fields
        elif isinstance(x, ListValue):
            work += [part for element in x for part in element]
    return total


def needs(m: BModule) -> Needs:
    """The needs of every function of the module."""
    found: dict[str, Summary | Unbounded] = {}
    headers, leaving = header_bytes(m), leaves_heap(m.functions)
    filling = fills_lists(m.functions)
    for _, members in groupby(m.functions.values(), key=_group_of):
        fns = list(members)
        for fn in fns:
            try:
                steady = fn.name not in filling
                found[fn.name] = Twin(m, fn, headers, leaving, found, steady=steady).run()
            except Unbounded as e:
                found[fn.name] = e
        _level([fn.name for fn in fns], found)
    return Needs(m.types, m.functions, {n: _need(found[n]) for n in m.functions})


def _group_of(fn: BFunction) -> tuple[int | None, str]:
    return fn.group, fn.name if fn.group is None else ""


def header_bytes(m: BModule) -> dict[str, int]:
    """The bytes before the slots in every function's frame."""
    out: dict[str, int] = {}
    for name, fn in m.functions.items():
        group = frozenset(f.name for f in m.functions.values() if f.group == fn.group)
        out[name] = 0 if fn.group is None else frame_layout(fn, group).header
    return out


def _level(names: list[str], found: dict[str, Summary | Unbounded]) -> None:
    """What holds for one function of a group holds for all: exactness, and having no bound."""
    summaries: list[Summary] = []
    for n in names:
        x = found[n]
        if isinstance(x, Unbounded):
            found.update(dict.fromkeys(names, x))
            return
        summaries.append(x)
    for function, name in (c for x in summaries for c in x.changing):
        x = summaries[names.index(function)]
        if name in symbols(x.peak) or name in symbols(x.left):
            found.update(dict.fromkeys(names, Unbounded(_CHANGES)))
            return
    exact = all(x.exact for x in summaries)
    found.update((n, replace(x, exact=exact)) for n, x in zip(names, summaries, strict=True))


def _need(x: Summary | Unbounded) -> Need:
    if isinstance(x, Unbounded):
        return Need("unbounded", None, None, str(x))
    return Need("exact" if x.exact else "bound", x.peak, x.left)


# -- the table over nodes

Key = tuple[str, str, tuple[int, ...]]


class _Table:
    """Costs of calls by function and nodes, filled on demand with a work list."""

    def __init__(self, needs: Needs, env: Mapping[str, int]) -> None:
        self.needs, self.env = needs, env
        self.done: dict[Key, int] = {}
        self.open: set[Key] = set()
        self.formulas: dict[tuple[str, str], Evaluator] = {}
        self.places: dict[str, tuple[int, ...]] = {}

    def evaluate(self, what: str, name: str, args: tuple[Any, ...]) -> int:
        first = (what, name, args)
        work = [first]
        while work:
            what, name, args = work[-1]
            key = self._key(what, name, args)
            if key in self.done:
                work.pop()
                continue
            missing: list[tuple[str, str, tuple[Any, ...]]] = []
            value = self._try(what, name, args, missing)
            if not missing:
                self.done[key] = value
                self.open.discard(key)
                work.pop()
                continue
            if key in self.open and any(self._key(*x) in self.open for x in missing):
                raise Unbounded("a recursion that does not go down")
            self.open.add(key)
            work += missing
        return self.done[self._key(*first)]

    def _key(self, what: str, name: str, args: tuple[Any, ...]) -> Key:
        return what, name, tuple(id(a) if isinstance(a, AdtValue) else 0 for a in args)

    def _formula(self, what: str, name: str) -> Evaluator:
        if (what, name) not in self.formulas:
            need = self.needs.of[name]
            cost = need.peak if what == "peak" else need.left
            if cost is None:
                raise Unbounded(need.reason)
            self.formulas[what, name] = evaluator(cost, self.env)
        return self.formulas[what, name]

    def _places(self, name: str) -> tuple[int, ...]:
        """The numbers of the parameters that are algebraic values."""
        if name not in self.places:
            params = self.needs.functions[name].params
            found = (i for i, p in enumerate(params) if isinstance(p.type, AdtType))
            self.places[name] = tuple(found)
        return self.places[name]

    def _nodes(self, c: Of, places: Sequence[int], args: tuple[Any, ...]) -> Iterator[list[Any]]:
        """For each algebraic parameter of the called function the values that it may be given. Of
        elements of a list, a path may name parts of another type too: these are not meant."""
        params = self.needs.functions[c.function].params
        for i, p in zip(places, c.nodes, strict=True):
            t = params[i].type
            assert isinstance(t, AdtType)
            own = {x.name for x in self.needs.types[t.name].constructors}
            parts = [None] if p is None else _parts(args, p)
            yield [x for x in parts if x is None or _constructor(x) in own]

    def _try(self, what: str, name: str, args: tuple[Any, ...], missing: list[Any]) -> int:
        """The cost, as far as the table has what it needs; the calls that it lacks."""

        def call(c: Of) -> int:
            places = self._places(c.function)
            most = 0
            for chosen in product(*self._nodes(c, places, args)):
                given: list[Any] = [None] * (places[-1] + 1)
                for i, v in zip(places, chosen, strict=True):
                    given[i] = v
                node = tuple(given)
                key = self._key(c.what, c.function, node)
                if key not in self.done:
                    missing.append((c.what, c.function, node))
                most = max(most, self.done.get(key, 0))
            return most

        def constructor(p: Path) -> str:
            (part,) = _parts(args, p)
            return part.constructor

        return self._formula(what, name)(Parts(constructor, call))


def _constructor(x: Any) -> str | None:
    return x.constructor if isinstance(x, AdtValue) else None


def _parts(args: tuple[Any, ...], p: Path) -> list[Any]:
    """The part at a path; where it goes through a list, those of all elements that have it."""
    found: list[Any] = [args[p[0]]]
    for i in p[1:]:
        if i == ELEMENT:
            found = [x for v in found if isinstance(v, ListValue) for e in v for x in e]
        else:
            nodes = [v for v in found if isinstance(v, AdtValue)]
            found = [v.fields[i] for v in nodes if len(v.fields) > i]
    return found
