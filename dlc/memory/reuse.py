"""Lists that are made again and again in one register keep their storage.

A loop that carries a list and makes a new one each turn would leave the old ones on the heap until
it ends. Where nobody but the register has the list, its header and chunks are taken for the next
one: `ListNew` empties it, `ListCopy` fills it again. The heap then grows to the longest list, not
with the turns.

Nobody else has a list whose register is only made, copied, pushed to, shortened and read: it is in
no record, no other list, no call, and is moved at most where the function is done with it. That a
register is written again says that its old value is dead, views of elements included
(`dlc.memory.coalesce`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dlc.memory.form import (
    Alloc,
    BFunction,
    Block,
    Call,
    For,
    If,
    ListAt,
    ListCopy,
    ListDrop,
    ListLen,
    ListNew,
    ListPush,
    Loop,
    Mark,
    Move,
    Reg,
    Release,
    Statement,
    Switch,
    Variant,
)
from dlc.memory.frame import element_layout, nested, reads, statements, writes
from dlc.typesys.types import ListType

GROWS = "the heap grows with every turn: the loop carries structures"
"""The remark of a loop whose turns leave something behind."""


@dataclass
class _Use:
    """What is known of a list's register. `marks`: the innermost marks where it takes storage."""

    types: list[ListType] = field(default_factory=list[ListType])
    marks: set[Reg | None] = field(default_factory=set["Reg | None"])
    last_taking: int = -1
    first_move: int | None = None
    shared: bool = False


def reuse_lists(fn: BFunction) -> BFunction:
    """The function with `reuse` at lists that take over their register's old storage."""
    uses = _uses(fn)
    own = {r for r, u in uses.items() if _is_own(fn, r, u)}
    again = {r for r in own if _is_made_in_a_loop(fn.body, r)}
    if not again:
        return fn
    body, _ = _Rewriter(again, uses).block(fn.body, frozenset(), None)
    loops = [s for s in statements(body) if isinstance(s, (For, Loop))]
    if any(_takes(s) for loop in loops for s in statements(loop.body)):
        return replace(fn, body=body)
    remarks = tuple(r for r in fn.remarks if r[1] != GROWS)
    return replace(fn, body=body, remarks=remarks)


def _takes(s: Statement) -> bool:
    """Whether the statement may leave something on the heap each time."""
    if isinstance(s, (ListNew, ListCopy)):
        return not s.reuse
    return isinstance(s, (Alloc, Call, Variant))


def _is_own(fn: BFunction, r: Reg, u: _Use) -> bool:
    if u.shared or not u.types or len(u.marks) != 1 or any(p.reg is r for p in fn.params):
        return False
    if any(t != u.types[0] for t in u.types):
        return False
    if u.first_move is not None and u.first_move <= u.last_taking:
        return False
    _, element = element_layout(u.types[0])
    return all(n in fn.dims for n in element.symbols())


def _is_made_in_a_loop(body: Block, r: Reg) -> bool:
    loops = (s for s in statements(body) if isinstance(s, (For, Loop)))
    made = (s for loop in loops for s in statements(loop.body))
    return any(isinstance(s, (ListNew, ListCopy)) and s.dst is r for s in made)


# -- uses


def _uses(fn: BFunction) -> dict[Reg, _Use]:
    out: dict[Reg, _Use] = {}
    for at, (s, opened) in enumerate(_marked(fn.body)):
        for inner, mark, is_nested in _placed(s, opened, False):
            _note(out, inner, mark, at, is_nested)
    return out


def _marked(b: Block) -> Iterator[tuple[Statement, Reg | None]]:
    """The statements of a block, each with the mark of the block that is open at it."""
    mark: Reg | None = None
    for s in b:
        yield s, mark
        if isinstance(s, Mark):
            mark = s.dst
        elif isinstance(s, Release):
            mark = None


def _placed(
    s: Statement, mark: Reg | None, is_nested: bool
) -> Iterator[tuple[Statement, Reg | None, bool]]:
    """The statement and those inside it, each with the innermost open mark."""
    yield s, mark, is_nested
    for b in nested(s):
        for inner, here in _marked(b):
            yield from _placed(inner, mark if here is None else here, True)


def _note(out: dict[Reg, _Use], s: Statement, mark: Reg | None, at: int, is_nested: bool) -> None:
    def use(r: Reg) -> _Use:
        return out.setdefault(r, _Use())

    if isinstance(s, (ListNew, ListCopy, ListPush)):
        r = s.list if isinstance(s, ListPush) else s.dst
        u = use(r)
        u.types.append(s.type)
        u.marks.add(mark)
        u.last_taking = at
        return
    if isinstance(s, (ListAt, ListLen, ListDrop)):
        return
    if isinstance(s, Move):
        u = use(s.src)
        if is_nested:
            u.shared = True
        elif u.first_move is None:
            u.first_move = at
        use(s.dst).shared = True
        return
    for h in (*reads(s), *writes(s)):
        if isinstance(h, Reg) and h.type == "list":
            use(h).shared = True
    if isinstance(s, Switch):
        for c in s.cases:
            for r in c.payload:
                use(r).shared = True


# -- rewriting

_Registers = frozenset[Reg]


class _Rewriter:
    """Writes blocks again; `filled` are registers that hold a list on every way to a place."""

    def __init__(self, again: set[Reg], uses: dict[Reg, _Use]) -> None:
        self.again, self.uses = again, uses

    def block(self, b: Block, filled: _Registers, mark: Reg | None) -> tuple[Block, _Registers]:
        out: list[Statement] = []
        for s in b:
            if isinstance(s, Mark):
                mark = s.dst
            if isinstance(s, (For, Loop)):
                for new in self._before(s, filled, mark):
                    out.append(new)
                    filled |= {new.dst}
            made, filled = self.statement(s, filled, mark)
            out.append(made)
        return tuple(out), filled

    def _before(self, loop: For | Loop, filled: _Registers, mark: Reg | None) -> list[ListNew]:
        """Empty lists for what the loop makes, where nothing is there yet."""
        out: dict[Reg, ListNew] = {}
        for s in statements(loop.body):
            if isinstance(s, (ListNew, ListCopy)) and s.dst in self.again - filled:
                if self.uses[s.dst].marks == {mark}:
                    out.setdefault(s.dst, ListNew(s.dst, s.type, loc=s.loc))
        return list(out.values())

    def statement(
        self, s: Statement, filled: _Registers, mark: Reg | None
    ) -> tuple[Statement, _Registers]:
        if isinstance(s, (ListNew, ListCopy)) and s.dst in self.again:
            return replace(s, reuse=s.dst in filled), filled | {s.dst}
        if isinstance(s, If):
            then, a = self.block(s.then, filled, mark)
            otherwise, b = self.block(s.otherwise, filled, mark)
            return replace(s, then=then, otherwise=otherwise), a & b
        if isinstance(s, Switch):
            ways = [self.block(c.body, filled, mark) for c in s.cases]
            cases = tuple(replace(c, body=body) for c, (body, _) in zip(s.cases, ways, strict=True))
            common = frozenset[Reg].intersection(*(f for _, f in ways)) if ways else filled
            return replace(s, cases=cases), common
        if isinstance(s, (For, Loop)):
            body, _ = self.block(s.body, filled, mark)
            return replace(s, body=body), filled
        return s, filled
