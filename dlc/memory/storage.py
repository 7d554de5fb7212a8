"""Kinds of storage that a value may have, bounds of sizes, what a function wants of its callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from dlc.diag import InternalError
from dlc.ir.core import Function, Module, Op, Region, Value
from dlc.memory.facts import LIST_UPDATES, is_list, is_tensor
from dlc.typesys.dims import ONE, Dim, Monomial, Quotient
from dlc.typesys.types import AdtType, ListType, TensorType, Type, type_symbols


class Kind(Enum):
    SCALAR = auto()
    """A rank-0 tensor, in a register."""
    ADT = auto()
    """A handle of an immutable record."""
    LIST = auto()
    """A handle of a list that belongs to the value: it may be updated in place when it is dead."""
    LENT_LIST = auto()
    """A handle of a list that belongs to somebody else: copied before any update."""
    SLOT = auto()
    """A tensor in the frame, or in a parameter's place: its size is bounded at entry."""
    HEAP = auto()
    """A tensor in storage allocated when it is made; its register moves where it is merged."""
    LENT = auto()
    """A tensor at an address that belongs to somebody else: never written."""
    VIEW = auto()
    """Other strides over a tensor, or an element of a list."""


OWNING = frozenset({Kind.LIST, Kind.SLOT, Kind.HEAP})
"""Kinds that have storage of their own, which the planner gives places."""
MOVED = frozenset({Kind.LIST, Kind.HEAP})
"""Kinds whose merges move a register instead of data."""


@dataclass(frozen=True)
class Sizes:
    """Which sizes are known, or bounded, by the function's own dims."""

    known: frozenset[str]
    bounds: Mapping[str, Dim]

    @staticmethod
    def of(fn: Function) -> Sizes:
        sizes = Sizes(frozenset(fn.dims), {})
        return Sizes(sizes.known, _bounds(fn.body, sizes.known, {}))

    def bound(self, d: Dim) -> Dim | None:
        """A polynomial in the known dims that is at least `d`; `d` itself if it is one."""
        names = [s for s in d.symbols() if s not in self.known]
        if not names:
            return d
        if any(n not in self.bounds for n in names) or not _grows(d, frozenset(names)):
            return None
        return d.substitute({n: self.bounds[n] for n in names})

    def of_type(self, t: TensorType) -> Dim | None:
        """The number of elements to reserve, or None if nothing bounds it."""
        n = ONE
        for d in t.shape:
            b = self.bound(d)
            if b is None:
                return None
            n = n * b
        return n


def _grows(d: Dim, names: frozenset[str]) -> bool:
    """Whether the dim can only grow with the names."""
    return all(c > 0 or not _mentions(m, names) for m, c in d.terms) and all(
        _grows_monomial(m, names) for m, _ in d.terms
    )


def _mentions(m: Monomial, names: frozenset[str]) -> bool:
    return any(s in names for s in Dim(((m, 1),)).symbols())


def _grows_monomial(m: Monomial, names: frozenset[str]) -> bool:
    for a, _ in m:
        if isinstance(a, Quotient) and _mentions(((a, 1),), names):
            q = a.denominator
            if not (q.is_constant and q.constant > 0 and _grows(a.numerator, names)):
                return False
    return True


def _bounds(r: Region, known: frozenset[str], found: dict[str, Dim]) -> dict[str, Dim]:
    """Upper bounds of dims that operations define, in known dims."""
    for op in r.ops:
        for inner in op.regions:
            _bounds(inner, known, found)
        sizes = Sizes(known, found)
        if op.name == "nonzero_indices":
            (n,) = op.operands[0].tensor.shape
            rows = [[n]]
        elif op.name in ("if", "match"):
            rows = [list(x.terminator.attr_dims()) for x in op.regions]
        else:
            continue
        for j, name in enumerate(op.dims):
            b = _largest([sizes.bound(row[j]) for row in rows])
            if b is not None:
                found[name] = b
    return found


def _largest(dims: list[Dim | None]) -> Dim | None:
    """The one that is at least all others, if that can be seen."""
    for d in dims:
        if d is not None and all(x is not None and d.at_least(x) for x in dims):
            return d
    return None


# -- interfaces


@dataclass(frozen=True)
class Interface:
    """How a function is called: `inout` maps tensor parameters to the results that take their
    place; `owned` are the list parameters that it takes over; `by_place[i]`: result i is written to
    a place that the caller gives."""

    inout: Mapping[int, int]
    owned: frozenset[int]
    by_place: tuple[bool, ...]

    @property
    def taken_over(self) -> frozenset[int]:
        """All parameters whose storage the function may change."""
        return self.owned | frozenset(self.inout)

    def in_place_of(self, result: int) -> int | None:
        """The parameter whose place is the result's."""
        return next((p for p, r in self.inout.items() if r == result), None)


def interfaces(m: Module) -> dict[str, Interface]:
    """Every function's interface.

    A list parameter is taken over if the attribute `inout` says so, or if a list of its type comes
    back and the function (or one that it hands the list to) changes or returns it; not that of an
    entry, whose caller keeps what it gives."""
    out = {name: _declared(fn) for name, fn in m.functions.items()}
    changed = True
    while changed:
        changed = False
        for name, fn in m.functions.items():
            if is_entry(fn):
                continue
            old = out[name]
            owned = old.owned | _Flow(fn, out).consumed()
            if owned != old.owned:
                out[name] = Interface(old.inout, owned, old.by_place)
                changed = True
    return out


def is_entry(fn: Function) -> bool:
    """Whether the function can be called from outside."""
    return fn.attrs.get("entry") is True or fn.attrs.get("export") is True


def inout_pairs(fn: Function) -> tuple[tuple[int, int], ...]:
    """The attribute `inout`: pairs of a parameter's number and that of the result in its place."""
    out: list[tuple[int, int]] = []
    value = fn.attrs.get("inout", ())
    assert isinstance(value, tuple)
    for pair in value:
        assert isinstance(pair, tuple)
        p, r = pair
        assert isinstance(p, int) and isinstance(r, int)
        if len(pair) != 2 or fn.params[p].type != fn.result_types[r]:
            raise InternalError(f"{fn.name}: inout {pair} does not fit", stage="memory")
        out.append((p, r))
    return tuple(out)


def _declared(fn: Function) -> Interface:
    pairs = inout_pairs(fn)
    inout = {p: r for p, r in pairs if is_tensor(fn.params[p])}
    owned = frozenset(p for p, _ in pairs if is_list(fn.params[p]))
    taken = set(inout.values())
    known = frozenset(fn.dims)
    by_place = tuple(
        i not in taken and isinstance(t, TensorType) and t.rank > 0 and is_known(t, known)
        for i, t in enumerate(fn.result_types)
    )
    return Interface(inout, owned, by_place)


def is_known(t: Type, known: frozenset[str]) -> bool:
    """Whether the type mentions known dims only."""
    return all(s in known for s in type_symbols(t))


def keeps_heap(fn: Function, face: Interface) -> bool:
    """Whether what the function allocates may be reached after it has returned."""
    return any(
        isinstance(t, (ListType, AdtType))
        or (t.rank > 0 and not face.by_place[i] and face.in_place_of(i) is None)
        for i, t in enumerate(fn.result_types)
    )


class _Flow:
    """Which list parameters may be the very list that some operation changes or returns."""

    def __init__(self, fn: Function, faces: Mapping[str, Interface]) -> None:
        self.fn, self.faces = fn, faces
        self.from_params: dict[Value, frozenset[int]] = {}
        self.found: frozenset[int] = frozenset()
        returned = set(fn.result_types)
        for i, p in enumerate(fn.params):
            if is_list(p) and p.type in returned:
                self.from_params[p] = frozenset({i})

    def consumed(self) -> frozenset[int]:
        if self.from_params:
            size = -1
            while size != self._size():
                size = self._size()
                self._block(self.fn.body)
        return self.found

    def _size(self) -> int:
        return len(self.found) + sum(map(len, self.from_params.values()))

    def _of(self, v: Value) -> frozenset[int]:
        return self.from_params.get(v, frozenset())

    def _flow(self, to: Value, *sources: Value) -> None:
        all_of = frozenset[int]().union(self._of(to), *map(self._of, sources))
        if all_of:
            self.from_params[to] = all_of

    def _block(self, r: Region) -> None:
        for op in r.ops:
            for x in op.regions:
                self._block(x)
            self._op(op)

    def _op(self, op: Op) -> None:
        if op.name in ("if", "match"):
            for j, v in enumerate(op.results):
                self._flow(v, *(x.yields[j] for x in op.regions))
        elif op.name in ("for", "loop"):
            (body,) = op.regions
            backwards = (op.results, op.operands, body.params, body.yields)
            for v, i, c, y in zip(*map(reversed, backwards), strict=False):
                self._flow(c, i, y)
                self._flow(v, i, y)
        elif op.name == "retype":
            self._flow(op.result, op.operands[0])
        elif op.name in LIST_UPDATES:
            self.found |= self._of(op.operands[0])
        elif op.name == "return":
            for v in op.operands:
                self.found |= self._of(v)
        elif op.name == "call":
            mine = self.faces[op.attr_str("fn")].owned
            for i, v in enumerate(op.operands):
                if i in mine:
                    self.found |= self._of(v)
