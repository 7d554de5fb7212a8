"""What a region has to yield, by how control leaves it.

`break`, `continue` and early `return` do not exist in the IR. A block is lowered towards a *tail*:
whichever way it ends, the tail says which values its region yields then. All ways yield the same
number of values with the same types, some of them flags that say which way it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dlc.check.typed import Joined, Return, TypedFunction, TypedParam
from dlc.ir.core import Value
from dlc.ir.hidden import replace_dims
from dlc.lower.layout import Hidden, absent
from dlc.lower.scope import Leaves, Scope
from dlc.ops.build import Builder
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL
from dlc.typesys.types import SCALAR_BOOL, SCALAR_I32, Type, type_dims


class Tail(Protocol):
    """How a block's region ends."""

    def types(self, s: Scope) -> tuple[Type, ...]:
        """The types of what is yielded, hidden sizes being 0."""
        ...

    def fall(self, s: Scope) -> Leaves:
        """At the end of the block."""
        ...

    def returned(self, s: Scope, results: Leaves) -> Leaves:
        """At a `return`; `results` are what the function gives back (see `Results`)."""
        ...

    def stopped(self, s: Scope) -> Leaves:
        """At a `break`."""
        ...

    def again(self, s: Scope) -> Leaves:
        """At a `continue`."""
        ...


def undefined(b: Builder, types: Sequence[Type]) -> Leaves:
    """Values that nobody reads."""
    return tuple(b.emit_typed("undef", t) for t in types)


@dataclass(frozen=True)
class Results:
    """The tail of a function's body: the leaves of its result, then of its `mut` parameters.

    `counted` are unknowns of the result that no dim of its leaves shows alone; they travel as
    scalars behind the leaves."""

    result: surface.Type
    unknowns: tuple[str, ...]
    muts: tuple[TypedParam, ...]
    counted: tuple[str, ...]

    @staticmethod
    def of(s: Scope, fn: TypedFunction) -> Results:
        muts = tuple(p for p in fn.params if p.mut)
        leaves = s.layout.leaf_types(fn.result, absent)
        alone = {d.name for t in leaves for d in type_dims(t)}
        counted = tuple(u for u in fn.unknowns if u not in alone)
        return Results(fn.result, fn.unknowns, muts, counted)

    def types(self, s: Scope) -> tuple[Type, ...]:
        zero = {u: Dim.const(0) for u in self.unknowns}
        result = s.layout.leaf_types(surface.substitute_dims(self.result, zero), absent)
        return (*result, *self._mut_types(s), *[SCALAR_I32] * len(self.counted))

    def _mut_types(self, s: Scope) -> tuple[Type, ...]:
        return tuple(t for p in self.muts for t in s.layout.leaf_types(p.type, absent))

    def carried(self, s: Scope, fresh: Hidden) -> tuple[Type, ...]:
        """The types while a loop carries the results: dims with unknowns in them are hidden."""
        made: dict[Dim, Dim] = {}
        out: list[Type] = []
        for t in s.layout.leaf_types(self.result, fresh):
            for d in type_dims(t):
                if d not in made and set(self.unknowns).intersection(d.symbols()):
                    made[d] = fresh("")
            out.append(replace_dims(t, iter([made.get(d, d) for d in type_dims(t)])))
        muts = (t for p in self.muts for t in s.layout.leaf_types(p.type, fresh))
        return (*out, *muts, *[SCALAR_I32] * len(self.counted))

    def value(self, s: Scope, st: Return) -> Leaves:
        """What the function gives back at a `return`."""
        known = dict(st.unknowns)
        leaves: Leaves = ()
        if st.value is not None:
            t = surface.substitute_dims(self.result, known)
            leaves = s.conform(s.expr(st.value), t)
        sizes = tuple(s.b.dim(known[u]) for u in self.counted)
        return (*leaves, *self._changed(s), *sizes)

    def _changed(self, s: Scope) -> Leaves:
        return tuple(v for p in self.muts for v in s.conform(s.get(p.local), p.type))

    def fall(self, s: Scope) -> Leaves:
        return self._changed(s)

    def returned(self, s: Scope, results: Leaves) -> Leaves:
        return results

    def stopped(self, s: Scope) -> Leaves:
        raise AssertionError("a `break` outside a loop")

    def again(self, s: Scope) -> Leaves:
        raise AssertionError("a `continue` outside a loop")


@dataclass(frozen=True)
class Meet:
    """The tail of an arm that always goes on: the slots in which the arms differ."""

    joins: tuple[Joined, ...]

    def types(self, s: Scope) -> tuple[Type, ...]:
        return tuple(t for j in self.joins for t in s.layout.leaf_types(j.type, absent))

    def fall(self, s: Scope) -> Leaves:
        return slots_of(s, self.joins)

    def returned(self, s: Scope, results: Leaves) -> Leaves:
        raise AssertionError("a `return` in an arm that always goes on")

    def stopped(self, s: Scope) -> Leaves:
        raise AssertionError("a `break` in an arm that always goes on")

    def again(self, s: Scope) -> Leaves:
        raise AssertionError("a `continue` in an arm that always goes on")


@dataclass(frozen=True)
class Split:
    """The tail of an arm before a rest of the block that several arms reach: whether it goes on,
    what the outer tail yields if not, the slots in which the arms differ if so."""

    outer: Tail
    meet: Meet

    def types(self, s: Scope) -> tuple[Type, ...]:
        return (SCALAR_BOOL, *self.outer.types(s), *self.meet.types(s))

    def fall(self, s: Scope) -> Leaves:
        on = s.b.scalar(True, BOOL)
        return (on, *undefined(s.b, self.outer.types(s)), *self.meet.fall(s))

    def _left(self, s: Scope, leaves: Leaves) -> Leaves:
        on = s.b.scalar(False, BOOL)
        return (on, *leaves, *undefined(s.b, self.meet.types(s)))

    def returned(self, s: Scope, results: Leaves) -> Leaves:
        return self._left(s, self.outer.returned(s, results))

    def stopped(self, s: Scope) -> Leaves:
        return self._left(s, self.outer.stopped(s))

    def again(self, s: Scope) -> Leaves:
        return self._left(s, self.outer.again(s))


@dataclass(frozen=True)
class Turn:
    """The tail of a loop's body: whether to go on (`exits`), whether the function has returned and
    with what (`leaves`: what it is before that), the carried slots."""

    exits: bool
    leaves: Leaves | None
    carried: tuple[Joined, ...]

    def types(self, s: Scope) -> tuple[Type, ...]:
        go = (SCALAR_BOOL,) if self.exits else ()
        left = (SCALAR_BOOL, *(v.type for v in self.leaves)) if self.leaves is not None else ()
        return (*go, *left, *(t for j in self.carried for t in s.layout.leaf_types(j.type, absent)))

    def _with(self, s: Scope, go: bool, results: Leaves | None) -> Leaves:
        out: list[Value] = [s.b.scalar(go, BOOL)] if self.exits else []
        if self.leaves is not None:
            out.append(s.b.scalar(results is not None, BOOL))
            out.extend(self.leaves if results is None else results)
        return (*out, *slots_of(s, self.carried))

    def fall(self, s: Scope) -> Leaves:
        return self._with(s, True, None)

    def returned(self, s: Scope, results: Leaves) -> Leaves:
        return self._with(s, False, results)

    def stopped(self, s: Scope) -> Leaves:
        return self._with(s, False, None)

    def again(self, s: Scope) -> Leaves:
        return self.fall(s)


def slots_of(s: Scope, joins: Sequence[Joined]) -> Leaves:
    """The present values of slots, with their joined types."""
    return tuple(v for j in joins for v in s.conform(s.get(j.local), j.type))


def take_slots(s: Scope, joins: Sequence[Joined], leaves: Leaves) -> None:
    """Gives the slots the values that came out of a structured operation."""
    at = 0
    for j in joins:
        n = s.layout.count(j.type)
        s.put(j.local, leaves[at : at + n])
        at += n
