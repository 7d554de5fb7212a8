"""Checks the form: every register is written before it is read, types agree, destinations overlap
no source, what is lent is not written, calls fit their callees, slots have sizes known at entry.

Overlap is decided by coefficient-wise dominance of offsets, all dims being >= 0. Registers that go
round (rings) point to several places; two of them are taken for different, as the planner promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlc.diag import InternalError
from dlc.memory.facts import STRIDED_INPUTS, STRIDED_OUTPUTS
from dlc.memory.form import (
    Address,
    Alloc,
    BFunction,
    Block,
    BModule,
    Call,
    Const,
    Data,
    For,
    If,
    Load,
    Loop,
    Map,
    Mark,
    Move,
    Operand,
    Reg,
    Release,
    Slot,
    Statement,
    Store,
    Switch,
    Tensor,
    View,
)
from dlc.memory.frame import Home, nested, reads, statements, writes
from dlc.memory.places import reg_type
from dlc.ops.card import Trait
from dlc.ops.registry import CARDS
from dlc.typesys.dims import ONE, ZERO, Dim
from dlc.typesys.types import TensorType


def verify(m: BModule) -> None:
    """Raises InternalError that names everything that is wrong with the module."""
    found = problems(m)
    if found:
        raise InternalError("; ".join(found), stage="memory")


def problems(m: BModule) -> list[str]:
    """What is wrong with the module, function by function."""
    return [
        f"@{fn.name}: {text}" for fn in m.functions.values() for text in _Function(m, fn).problems()
    ]


class _Function:
    def __init__(self, m: BModule, fn: BFunction) -> None:
        self.m, self.fn = m, fn
        self.found: list[str] = []
        self.lent = set[Reg]()
        for p in fn.params:
            if p.mode == "in":
                self.lent.add(p.reg)
        for s in statements(fn.body):
            if isinstance(s, Data):
                self.lent.add(s.dst)
            elif isinstance(s, Switch):
                self.lent.update(r for c in s.cases for r in c.payload)
        self.rings = {s.dst for s in statements(fn.body) if isinstance(s, Address)}

    def problems(self) -> list[str]:
        fn = self.fn
        self.slots()
        known: set[Home] = {*fn.dims, *(p.reg for p in fn.params)}
        self.block(fn.body, known)
        for r in fn.results:
            if r not in known:
                self.wrong(f"result {r.hint} may be unwritten")
        for d in fn.result_dims:
            self.wrong_dims(d, known)
        for p in fn.params:
            if p.reg.type != reg_type(p.type):
                self.wrong(f"parameter {p.name} of {p.type} in a register of {p.reg.type}")
        return self.found

    def wrong(self, text: str) -> None:
        self.found.append(text)

    def wrong_dims(self, d: Dim, known: set[Home]) -> None:
        for s in d.symbols():
            if s not in known:
                self.wrong(f"the dim {s} may be unknown")

    def slots(self) -> None:
        fn, end = self.fn, ZERO
        for i, s in enumerate(fn.slots):
            names = [n for d in (s.size, s.offset, s.bytes) for n in d.symbols()]
            if any(n not in fn.dims for n in names):
                self.wrong(f"slot {i} has a size that is not known at entry")
            if s.offset != end:
                self.wrong(f"slot {i} begins at {s.offset}, not at {end}")
            end = s.offset + s.bytes
        if fn.frame != end:
            self.wrong(f"the frame has {fn.frame} bytes, its slots {end}")

    # -- definite assignment

    def block(self, b: Block, known: set[Home]) -> None:
        """Checks the statements; `known` grows by what is surely written."""
        marks: list[Reg] = []
        for s in b:
            for h in reads(s):
                if h not in known:
                    what = f"the dim {h}" if isinstance(h, str) else f"register {h.hint}"
                    self.wrong(f"{type(s).__name__} reads {what}, which may be unwritten")
            self.statement(s)
            if isinstance(s, Mark):
                marks.append(s.dst)
            elif isinstance(s, Release) and s.mark not in marks:
                self.wrong("a release of a mark of another block")
            known.update(writes(s))
            if nested(s):
                self.inner(s, known)

    def inner(self, s: Statement, known: set[Home]) -> None:
        outs: list[set[Home]] = []
        if isinstance(s, Switch):
            for c in s.cases:
                outs.append({*known, *c.payload, *c.dims})
                self.block(c.body, outs[-1])
        else:
            for b in nested(s):
                outs.append(set(known))
                self.block(b, outs[-1])
        if isinstance(s, (If, Switch)):
            known.update(h for h in outs[0] if all(h in o for o in outs))
        elif isinstance(s, Loop):
            known.update(outs[0])
        go = getattr(s, "go", None)
        if isinstance(go, Reg) and go not in outs[0]:
            self.wrong("a loop's condition may be unwritten")

    # -- one statement

    def statement(self, s: Statement) -> None:
        if isinstance(s, Move) and s.dst.type != s.src.type:
            self.wrong(f"a move from {s.src.type} to {s.dst.type}")
        elif isinstance(s, Map):
            self.map(s)
        elif isinstance(s, Tensor):
            self.tensor(s)
        elif isinstance(s, Call):
            self.call(s)
        elif isinstance(s, (Load, Store)) and s.view.shape:
            self.wrong(f"{type(s).__name__} of more than one element")
        elif isinstance(s, (Alloc, Address)) and s.dst.type != "place":
            self.wrong("an address in a register of another type")
        elif isinstance(s, Const) and s.dst.type in ("place", "list"):
            self.wrong(f"a number in a register of type {s.dst.type}")
        if isinstance(s, Store):
            self.written(s.view)
        elif isinstance(s, (If, For, Loop, Switch)):
            return
        for v in _views(s):
            if isinstance(v.place, Slot) and not v.place.index < len(self.fn.slots):
                self.wrong(f"slot {v.place.index} does not exist")
            elif isinstance(v.place, Reg) and v.place.type != "place":
                self.wrong("a view of something that is no place")

    def written(self, v: View) -> None:
        if isinstance(v.place, Reg) and v.place in self.lent:
            self.wrong(f"a write to {v.place.hint}, which is lent")

    def map(self, s: Map) -> None:
        for v in (*s.outs, *s.ins):
            if v.shape != s.space:
                self.wrong(f"a map over {list(s.space)} with a view of {list(v.shape)}")
        for i in s.body:
            card = CARDS.get(i.op)
            if card is None or Trait.ELEMENTWISE not in card.traits:
                self.wrong(f"{i.op} in a map")
        for k, out in enumerate(s.outs):
            self.written(out)
            for v in s.ins:
                if v != out:
                    self.apart(out, v, "map")
            for other in s.outs[:k]:
                self.apart(out, other, "map")

    def tensor(self, s: Tensor) -> None:
        if s.op not in ("copy", "fill") and s.op not in CARDS:
            self.wrong(f"`{s.op}` is no operation")
        outs = _only_views(s.outs)
        for k, out in enumerate(outs):
            self.written(out)
            if s.op not in STRIDED_OUTPUTS and not out.is_contiguous:
                self.wrong(f"`{s.op}` writes to a strided view")
            for v in (*_only_views(s.ins), *outs[:k], *s.scratch):
                self.apart(out, v, s.op)
        which = STRIDED_INPUTS.get(s.op, frozenset[int]())
        for i, v in enumerate(s.ins):
            strided = isinstance(v, View) and not v.is_contiguous
            if strided and which is not None and i not in which:
                self.wrong(f"`{s.op}` reads a strided view")

    def call(self, s: Call) -> None:
        callee = self.m.functions.get(s.function)
        if callee is None:
            self.wrong(f"a call of @{s.function}, which does not exist")
            return
        given = [p for p in callee.params if p.mode != "out"]
        places = len(callee.params) - len(given)
        counts = (
            (len(s.dims), len(callee.dims)), (len(s.args), len(given)), (len(s.outs), places),
            (len(s.results), len(callee.results)), (len(s.defines), len(callee.result_dims)),
        )  # fmt: skip
        if any(a != b for a, b in counts):
            self.wrong(f"a call that does not fit @{s.function}")
            return
        for r, p in zip(s.results, callee.results, strict=True):
            if r.type != p.type:
                self.wrong(f"a result of {p.type} in a register of {r.type}")
        read = [v for v, p in zip(s.args, given, strict=True) if p.mode == "in"]
        changed = [v for v, p in zip(s.args, given, strict=True) if p.mode == "inout"]
        targets = [*s.outs, *_only_views(changed)]
        for k, v in enumerate(targets):
            self.written(v)
            for other in (*targets[:k], *_only_views(read)):
                self.apart(v, other, f"call of @{s.function}")
        for v in (*s.outs, *_only_views(s.args)):
            if not v.is_contiguous:
                self.wrong(f"a strided view in a call of @{s.function}")
        for v, p in zip(s.args, given, strict=True):
            if isinstance(v, View) != (isinstance(p.type, TensorType) and p.type.rank > 0):
                self.wrong(f"argument {p.name} of @{s.function} is not {p.type}")

    def apart(self, a: View, b: View, what: str) -> None:
        """Two views that must not share an element."""
        if a.place == b.place and not disjoint(a, b):
            self.wrong(f"{what}: views of one place overlap")


def _views(s: Statement) -> Iterator[View]:
    if isinstance(s, (Load, Store, Address)):
        yield s.view
    elif isinstance(s, Map):
        yield from (*s.outs, *s.ins)
    elif isinstance(s, Tensor):
        yield from _only_views((*s.outs, *s.ins, *s.scratch))
    elif isinstance(s, Call):
        yield from _only_views((*s.outs, *s.args))


def _only_views(xs: Iterable[Operand | int | float | bool]) -> list[View]:
    return [x for x in xs if isinstance(x, View)]


def disjoint(a: View, b: View) -> bool:
    """Whether two views of one place have no element in common, whatever the dims are."""
    if a.terms != b.terms:
        return False
    for x, y in ((a, b), (b, a)):
        low, end = _extent(x)
        other, _ = _extent(y)
        if low is not None and end is not None and other is not None and other.at_least(end):
            return True
        if _side_by_side(x, y):
            return True
    return False


def _extent(v: View) -> tuple[Dim | None, Dim | None]:
    """The first element and the one after the last, if the strides' signs are known."""
    low, high = v.base, v.base
    for n, s in zip(v.shape, v.strides, strict=True):
        if n == ZERO:
            return v.base, v.base
        if s.at_least(ZERO):
            high = high + (n - 1) * s
        elif (-s).at_least(ZERO):
            low = low + (n - 1) * s
        else:
            return None, None
    return low, high + 1


def _side_by_side(a: View, b: View) -> bool:
    """Columns of one table: equal strides, and `b` lies in what is left of every row of `a`."""
    if a.strides != b.strides or a.dtype != b.dtype:
        return False
    between = b.base - a.base
    for d, s in enumerate(a.strides):
        rest = range(d + 1, len(a.strides))
        width, other = ONE, ONE
        for i in rest:
            width = width + (a.shape[i] - 1) * a.strides[i]
            other = other + (b.shape[i] - 1) * b.strides[i]
        if between.at_least(width) and s.at_least(between + other):
            return True
    return False
