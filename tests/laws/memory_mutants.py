"""Mistakes that a planner of storage may make, one by one: each removes one rule.

A mutant is a list of replacements `(module or class, name, replacement)`; the replacement gets the
original first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from dlc.memory import classes, coalesce, columns, emit, liveness, normalise, plan, rings, rows
from dlc.memory.facts import is_update
from dlc.typesys.dims import ZERO

Patch = tuple[Any, str, Callable[[Any], Any]]


def _relation(change: Callable[..., Any]) -> Patch:
    """A mutant of what a result must not share bytes with."""

    def replace(original: Any) -> Any:
        def relation(self: Any, op: Any, result: Any, used: int) -> Any:
            changed = change(self, op, result, used)
            return original(self, op, result, used) if changed is None else changed

        return relation

    return liveness._Walk, "relation", replace  # pyright: ignore[reportPrivateUsage]


def _update(self: Any, op: Any, result: Any, used: int) -> Any:
    return (0, 0) if is_update(op) and result is op.results[0] else None


def _in_place(self: Any, op: Any, result: Any, used: int) -> Any:
    plain = op.name not in ("copy", "box", "map", "concat", "call") and not is_update(op)
    return (0, 0) if plain else None


def _in_place_map(self: Any, op: Any, result: Any, used: int) -> Any:
    return (0, 0) if op.name == "map" else None


def _list_copy(self: Any, op: Any, result: Any, used: int) -> Any:
    return (0, used) if op.name == "copy" else None


def _part_copy(self: Any, op: Any, result: Any, used: int) -> Any:
    return (0, 0) if op.name == "copy" and self.n.kinds[result].name == "SLOT" else None


def _call(self: Any, op: Any, result: Any, used: int) -> Any:
    return (0, 0) if op.name == "call" else None


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda original: lambda *args, **kwargs: value


def _no_conflict_of_offsets(original: Any) -> Any:
    return lambda self, i, oi, j, oj: False


def _no_through(original: Any) -> Any:
    def uses(self: Any, r: Any) -> int:
        return 0

    return uses


def _no_soft(original: Any) -> Any:
    def relation(self: Any, op: Any, result: Any, used: int) -> Any:
        out = original(self, op, result, used)
        if op.name == "concat":
            self.out.soft[self.out.index[result]] = 0
        return out

    return relation


def _rings_avoid_nothing(original: Any) -> Any:
    def buffers(c: Any, facts: Any, rows: Any, fresh: Any) -> Any:
        made = original(c, facts, rows, fresh)
        mine = 0
        for b in made:
            mine |= 1 << c.live.index[b]
        for k, own in enumerate(c.home):
            inside = mine >> k & 1
            c.live.edges[k] &= mine if inside else ~mine
            own.edges = c.live.edges[k] if inside else own.edges & ~mine
        return made

    return buffers


def _ring_ignores_copies(original: Any) -> Any:
    def place(c: Any) -> Any:
        c.live.exempt.clear()
        return original(c)

    return place


def _always_closed(original: Any) -> Any:
    def scope(self: Any, r: Any, finish: Any, *, closed: bool) -> Any:
        return original(self, r, finish, closed=True)

    return scope


def _one_copy_at_return(original: Any) -> Any:
    def returned(self: Any, end: Any) -> Any:
        places, self.fn = self.fn, self.fn
        stored = self.stored
        self.stored = lambda v, op: v
        try:
            return original(self, end)
        finally:
            self.stored = stored
            self.fn = places

    return returned


def _stay(original: Any) -> Any:
    def may_stay(self: Any, v: Any, kind: Any, carries: Any, seen: Any) -> bool:
        return original(self, v, kind, carries, set())

    return may_stay


def _sequential_moves(original: Any) -> Any:
    def parallel(self: Any, moves: Any) -> None:
        for move in moves:
            original(self, [move])

    return parallel


def _keep_nothing(original: Any) -> Any:
    def planned(p: Any) -> Any:
        made = original(p)
        return plan.Plan(made.slots, made.frame, made.slot_of, dict.fromkeys(made.keep, ZERO))

    return planned


def _lists_unboxed(original: Any) -> Any:
    def boxed(self: Any, v: Any, op: Any) -> Any:
        return v if self.kind(v).name == "LIST" else original(self, v, op)

    return boxed


_bufferise = import_module("dlc.memory.bufferise")
_WALK = liveness._Walk  # pyright: ignore[reportPrivateUsage]
_NORMAL = normalise._Normaliser  # pyright: ignore[reportPrivateUsage]
_EMIT = emit._Emitter  # pyright: ignore[reportPrivateUsage]

MUTANTS: Mapping[str, tuple[Patch, ...]] = {
    "an update may read from where it writes": (_relation(_update),),
    "any operation may write its operand": (_relation(_in_place),),
    "a map may write what it reads elsewhere": (_relation(_in_place_map),),
    "a list's copy is the list": (_relation(_list_copy),),
    "a part's copy may lie in the part": (_relation(_part_copy),),
    "a call may write its arguments": (_relation(_call),),
    "nothing is live through a loop": ((_WALK, "uses", _no_through),),
    "pieces of a concat are like others": ((_WALK, "relation", _no_soft),),
    "offsets never conflict": ((classes.Classes, "_overlap", _no_conflict_of_offsets),),
    "buffers of rings share with the body": ((rings, "_buffers", _rings_avoid_nothing),),
    "copies of ring values share with the ring": ((coalesce, "place_loops", _ring_ignores_copies),),
    "rows are written early in any case": ((rows, "_touches", _constant(False)),),
    "columns are written early in any case": ((columns, "_touches", _constant(False)),),
    "columns stay whatever becomes of the list": ((columns, "_unchanged", _constant(True)),),
    "rows wait for nobody's index": ((rows, "_is_sure", _constant(True)),),
    "every turn gives back its heap": ((_EMIT, "scope", _always_closed),),
    "one copy at returns": ((_NORMAL, "returned", _one_copy_at_return),),
    "a value is yielded twice uncopied": ((_NORMAL, "_may_stay", _stay),),
    "moves one after another": ((_EMIT, "parallel", _sequential_moves),),
    "calls keep nothing of the frame": ((_bufferise, "plan", _keep_nothing),),
    "lists in records are not copied": ((_NORMAL, "boxed", _lists_unboxed),),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Inside, the bufferiser makes the mistake."""
    saved: list[tuple[Any, str, Any]] = []
    try:
        for owner, attribute, replace in MUTANTS[name]:
            original = getattr(owner, attribute)
            saved.append((owner, attribute, original))
            setattr(owner, attribute, replace(original))
        yield
    finally:
        for owner, attribute, original in reversed(saved):
            setattr(owner, attribute, original)
