"""Where a function keeps its registers and dims from statement to statement.

What lives across a call gets a word of the frame on STACK, so calls save nothing; the rest shares
the machine's registers by linear scan over the statements in order. Intervals are whole: they
cover a loop if a turn may read what an earlier one wrote, or if the value is also used outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass

from dlc.memory.form import (
    Address,
    Alloc,
    BFunction,
    Block,
    Call,
    For,
    If,
    ListAt,
    ListPush,
    Loop,
    Map,
    Move,
    Reg,
    Slot,
    Statement,
    Switch,
    Tensor,
    View,
)
from dlc.memory.frame import Home, nested, reads, statements, writes
from dlc.targets.sparrow.code import FLOAT_HOMES, HOMES, Flt, Int
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the frame."""

    index: int


Where = Int | Flt | Word


@dataclass(frozen=True)
class Homes:
    """The place of every home, the words of the frame, and the counter and bound of each `for`.

    The last word of the frame on STACK keeps the address of the other frame across calls. `top` is
    the address behind that one; `dram` are registers whose addresses always lie in DRAM."""

    places: Mapping[Home, Where]
    counters: Mapping[For, tuple[Reg, Reg]]
    words: int
    top: Reg
    dram: frozenset[Reg]
    dims: Mapping[Dim, Word] = field(default_factory=dict["Dim", "Word"])
    """Dims that the function computes at its start, in this order."""


@dataclass
class _Interval:
    first: int
    last: int
    weight: int = 0


@dataclass
class _Scan:
    """One walk in program order."""

    fn: BFunction
    top: Reg
    position: int = 0
    depth: int = 0
    intervals: dict[Home, _Interval] = field(default_factory=dict["Home", "_Interval"])
    calls: list[int] = field(default_factory=list[int])
    counters: dict[For, tuple[Reg, Reg]] = field(default_factory=dict["For", "tuple[Reg, Reg]"])

    def mention(self, h: Home) -> None:
        found = self.intervals.setdefault(h, _Interval(self.position, self.position))
        found.last = self.position
        found.weight += 8**self.depth

    def mentions(self, homes: tuple[Home, ...]) -> None:
        for h in homes:
            self.mention(h)

    def block(self, b: Block) -> None:
        for s in b:
            self.position += 1
            self.mentions(reads(s))
            self.mentions(slot_dims(self.fn, s))
            if isinstance(s, (Map, Tensor)):
                self.mention(self.top)
            if isinstance(s, (For, Loop)):
                self._loop(s)
            elif isinstance(s, Switch):
                for c in s.cases:
                    self.mentions((*c.payload, *c.dims))
                    self.block(c.body)
            elif isinstance(s, If):
                self.block(s.then)
                self.block(s.otherwise)
            if isinstance(s, Call):
                self.calls.append(self.position)
                self.position += 1
            if not isinstance(s, For):
                self.mentions(writes(s))

    def _loop(self, s: For | Loop) -> None:
        start = self.position
        if isinstance(s, For):
            own = Reg(I64, "counter"), Reg(I64, "bound")
            self.counters[s] = own
            self.mentions((*own, s.index))
        self.depth += 1
        before = set(self.intervals)
        self.block(s.body)
        self.depth -= 1
        self.position += 1
        if isinstance(s, For):
            self.mentions((*self.counters[s], s.index))
        if s.go is not None:
            self.mention(s.go)
        local = set(_made_in_turn(s.body))
        for h, i in self.intervals.items():
            inside = i.last >= start
            if inside and (h in before or h not in local):
                i.first, i.last = min(i.first, start), self.position


def slot_dims(fn: BFunction, x: Statement) -> tuple[Home, ...]:
    """The dims in the offsets of the slots that a statement names."""
    slots = (s for s in _parts(x) if isinstance(s, Slot))
    return tuple(n for s in slots for n in fn.slots[s.index].offset.symbols())


def has_wide_slots(fn: BFunction) -> bool:
    """Whether elements of 64 bits lie in the frame. Slots are shared by views of any element
    type, so the views say it."""
    parts = (x for s in statements(fn.body) for x in _parts(s))
    return any(isinstance(x, View) and x.dtype == I64 and isinstance(x.place, Slot) for x in parts)


def _parts(x: object) -> Iterator[Slot | View]:
    """The slots and views that a statement names, those of the blocks inside left out."""
    if isinstance(x, (Slot, View)):
        yield x
    if isinstance(x, tuple):
        for item in x:  # pyright: ignore[reportUnknownVariableType]
            yield from _parts(item)  # pyright: ignore[reportUnknownArgumentType]
    elif is_dataclass(x) and not isinstance(x, (type, Reg, Dim, DType, If, Switch, For, Loop)):
        for f in fields(x):
            yield from _parts(getattr(x, f.name))


def _made_in_turn(body: Block) -> Iterator[Home]:
    """Homes that every turn writes before anything reads them."""
    seen: set[Home] = set()
    for s in body:
        for h in _read_anywhere(s):
            seen.add(h)
        for h in writes(s):
            if h not in seen:
                yield h
            seen.add(h)
        for inner in nested(s):
            for t in statements(inner):
                seen.update(writes(t))
        if isinstance(s, Switch):
            seen.update(h for c in s.cases for h in (*c.payload, *c.dims))


def _read_anywhere(s: Statement) -> Iterator[Home]:
    yield from reads(s)
    for b in nested(s):
        for t in statements(b):
            yield from reads(t)
            if isinstance(t, (For, Loop)) and t.go is not None:
                yield t.go


def assign(
    fn: BFunction, ends: tuple[Home, ...], kept: tuple[Dim, ...] = (), *, roomy: bool = False
) -> Homes:
    """Places for all homes of a function; `ends` are read when it returns. `kept` are dims that get
    a word. With `roomy` all integers lie in words."""
    scan = _Scan(fn, Reg(I64, "top"))
    scan.mentions((*fn.dims, *(p.reg for p in fn.params)))
    if any(isinstance(s, (Map, Tensor)) for s in statements(fn.body)):
        scan.mention(scan.top)
    scan.block(fn.body)
    scan.position += 1
    scan.mentions(ends)
    places: dict[Home, Where] = {}
    words = 0
    waiting: list[tuple[Home, _Interval]] = []
    for h, i in scan.intervals.items():
        if any(i.first < c < i.last for c in scan.calls):
            places[h] = Word(words)
            words += 1
        else:
            waiting.append((h, i))
    free = {Int: [] if roomy else list(HOMES), Flt: list(FLOAT_HOMES)}
    active: list[tuple[int, Home, Int | Flt]] = []
    for h, i in sorted(waiting, key=lambda x: (x[1].first, x[1].last)):
        for entry in [a for a in active if a[0] < i.first]:
            active.remove(entry)
            free[type(entry[2])].append(entry[2].number)
        kind = kind_of(h)
        if free[kind]:
            made = kind(free[kind].pop(0))
            places[h] = made
            active.append((i.last, h, made))
        else:
            places[h] = Word(words)
            words += 1
    dims = {d: Word(words + k) for k, d in enumerate(kept)}
    words += len(kept) + (1 if scan.calls else 0)
    return Homes(places, scan.counters, words, scan.top, always_in_dram(fn), dims)


def always_in_dram(fn: BFunction) -> frozenset[Reg]:
    """Address registers that hold nothing but addresses of heap storage, list elements and parts of
    records."""
    known: set[Reg] = set()
    moves: list[tuple[Reg, Reg | None]] = []
    for s in statements(fn.body):
        if isinstance(s, Switch):
            known.update(r for c in s.cases for r in c.payload if r.type == "place")
        elif isinstance(s, (Alloc, ListAt, ListPush)):
            known.update(r for r in writes(s) if isinstance(r, Reg))
        elif isinstance(s, Move):
            moves.append((s.dst, s.src))
        elif isinstance(s, Address):
            moves.append((s.dst, s.view.place if isinstance(s.view.place, Reg) else None))
        else:
            moves += [(r, None) for r in writes(s) if isinstance(r, Reg)]
    known |= {dst for dst, _ in moves}
    known -= {p.reg for p in fn.params}
    while True:
        gone = {dst for dst, src in moves if dst in known and (src is None or src not in known)}
        if not gone:
            return frozenset(known)
        known -= gone


def kind_of(h: Home) -> type[Int] | type[Flt]:
    """Which registers hold it."""
    is_float = isinstance(h, Reg) and isinstance(h.type, DType) and h.type.is_float
    return Flt if is_float else Int
