"""Which slots are still wanted: what a loop carries and an `if` yields is no more than that.

Also how blocks may end, which decides how control flow is lowered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TypeAlias

from dlc.check.typed import (
    Assign,
    AssignAt,
    AssignListAt,
    AssignRows,
    Block,
    Break,
    Continue,
    DefineDim,
    ForEach,
    ForRange,
    If,
    Local,
    Match,
    Push,
    Read,
    Return,
    Stmt,
    Typed,
    TypedFunction,
    Unpack,
    While,
)

Locals: TypeAlias = frozenset[Local]
Loop: TypeAlias = While | ForRange | ForEach
NOTHING: Locals = frozenset()


@dataclass(frozen=True, slots=True)
class Exits:
    """How a block may end: by reaching its end, `return`, `break`, `continue`."""

    falls: bool = False
    returns: bool = False
    breaks: bool = False
    continues: bool = False

    def __or__(self, other: Exits) -> Exits:
        return Exits(
            self.falls or other.falls,
            self.returns or other.returns,
            self.breaks or other.breaks,
            self.continues or other.continues,
        )

    @property
    def leaves(self) -> bool:
        """Whether it may end otherwise than by reaching its end."""
        return self.returns or self.breaks or self.continues


_FALLS = Exits(falls=True)


@dataclass(frozen=True)
class Flow:
    """What is known of a function's control flow. Statements are keys by identity."""

    after: Mapping[Stmt, Locals]
    """For `if`, `match` and loops: the slots that are read later."""
    head: Mapping[Stmt, Locals]
    """For loops: the slots that the next turn, or what follows, reads."""
    exits: Mapping[Stmt, Exits]
    """For `if`, `match` and loops: how they may end."""

    def block(self, block: Block) -> Exits:
        """How a block may end."""
        out = Exits()
        for st in block:
            e = self.statement(st)
            out = out | Exits(False, e.returns, e.breaks, e.continues)
            if not e.falls:
                return out
        return out | _FALLS

    def statement(self, st: Stmt) -> Exits:
        if isinstance(st, Return):
            return Exits(returns=True)
        if isinstance(st, Break):
            return Exits(breaks=True)
        if isinstance(st, Continue):
            return Exits(continues=True)
        return self.exits.get(st, _FALLS)


def analyse(fn: TypedFunction) -> Flow:
    """The flow of a function; its `mut` parameters are read when it returns."""
    out = frozenset(p.local for p in fn.params if p.mut)
    return analyse_block(fn.body, out)


def analyse_block(block: Block, out: Locals) -> Flow:
    """The flow of a body after which `out` is read."""
    a = _Analysis(out)
    a.block(block, out, NOTHING, NOTHING)
    return Flow(MappingProxyType(a.after), MappingProxyType(a.head), MappingProxyType(a.exits))


class _Analysis:
    """Backward over the statements: from the slots live after to those live before."""

    def __init__(self, at_return: Locals) -> None:
        self.at_return = at_return
        self.after: dict[Stmt, Locals] = {}
        self.head: dict[Stmt, Locals] = {}
        self.exits: dict[Stmt, Exits] = {}
        self._reads: dict[Typed, Locals] = {}
        self._turn: dict[Loop, Locals] = {}
        self._final = True

    def reads(self, *nodes: Typed | None) -> Locals:
        out: set[Local] = set()
        for n in nodes:
            if n is not None:
                if n not in self._reads:
                    self._reads[n] = frozenset(_reads(n))
                out |= self._reads[n]
        return frozenset(out)

    def block(self, block: Block, out: Locals, stop: Locals, again: Locals) -> Locals:
        """`stop` is live after a `break`, `again` after a `continue`."""
        for st in reversed(block):
            out = self.statement(st, out, stop, again)
        return out

    def statement(self, st: Stmt, out: Locals, stop: Locals, again: Locals) -> Locals:
        match st:
            case Return():
                return self.at_return | self.reads(st.value)
            case Break():
                return stop
            case Continue():
                return again
            case If() | Match():
                return self.choice(st, out, stop, again)
            case While() | ForRange() | ForEach():
                return self.loop(st, out)
            case Assign():
                return (out - {st.local}) | self.reads(st.value)
            case Unpack():
                return (out - set(st.locals)) | self.reads(st.value)
            case AssignAt() | AssignRows() | AssignListAt() | Push():
                return out | {st.local} | self.reads(st)
            case DefineDim():
                return out | {st.local}
            case _:
                return out | self.reads(st)

    def choice(self, st: If | Match, out: Locals, stop: Locals, again: Locals) -> Locals:
        if isinstance(st, If):
            arms = [(st.then, NOTHING), (st.orelse, NOTHING)]
            live = self.reads(st.cond)
        else:
            arms = [(a.body, frozenset(f for f in a.fields if f is not None)) for a in st.arms]
            live = self.reads(st.subject)
        for body, bound in arms:
            live = live | (self.block(body, out, stop, again) - bound)
        if self._final:
            self.after[st] = out
            exits = Exits()
            for body, _ in arms:
                exits = exits | self.ends(body)
            self.exits[st] = exits
        return live

    def loop(self, st: Loop, out: Locals) -> Locals:
        if isinstance(st, While):
            bound, every, once = NOTHING, self.reads(st.cond), NOTHING
        elif isinstance(st, ForRange):
            bound = frozenset([st.local]) if st.local is not None else NOTHING
            every, once = NOTHING, self.reads(st.start, st.stop)
        else:
            bound = frozenset(x for x in st.locals if x is not None)
            every, once = NOTHING, self.reads(st.iterable)
        # What a turn reads before it writes does not depend on what is live after the loop. So it
        # is found once, the slots live at the head follow, and no statement is visited more than
        # twice.
        if st not in self._turn:
            final, self._final = self._final, False
            self._turn[st] = every | (self.block(st.body, NOTHING, NOTHING, NOTHING) - bound)
            self._final = final
        head = out | self._turn[st]
        if self._final:
            self.block(st.body, head, out, head)
            self.after[st] = out
            self.head[st] = head
            self.exits[st] = Exits(falls=True, returns=self.ends(st.body).returns)
        return head | once

    def ends(self, block: Block) -> Exits:
        return Flow(self.after, self.head, self.exits).block(block)


def _reads(node: object) -> Iterator[Local]:
    """The slots that an expression, or an expression's part of a statement, reads."""
    if isinstance(node, Read):
        yield node.local
    elif isinstance(node, tuple):
        for x in node:  # pyright: ignore[reportUnknownVariableType]
            yield from _reads(x)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(node, Typed):
        if isinstance(node, DefineDim):
            yield node.local
        for f in fields(node):
            if f.name not in ("span", "type"):
                yield from _reads(getattr(node, f.name))


def free_slots(node: Typed, bound: tuple[Local, ...]) -> tuple[Local, ...]:
    """The slots that an expression reads from around it, in order of appearance. `bound` are its
    own (a lambda's parameters)."""
    own = {*bound, *_own(node)}
    return tuple(dict.fromkeys(x for x in _reads(node) if x not in own))


def _own(node: object) -> Iterator[Local]:
    """The slots that lambdas inside the node bind."""
    if isinstance(node, tuple):
        for x in node:  # pyright: ignore[reportUnknownVariableType]
            yield from _own(x)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(node, Typed):
        yield from getattr(node, "params", ())
        for f in fields(node):
            if f.name not in ("span", "type", "params"):
                yield from _own(getattr(node, f.name))
