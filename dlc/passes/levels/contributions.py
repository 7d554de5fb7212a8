"""What a case adds to an accumulator: a chain of additions from the parameter to the result.

Every link is one of the forms below; calls hand the chain on. The links leave the body, and what
they add is kept, to be added for all nodes at once (`REASSOCIATES`: in another order)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dlc.ir.core import Function, Op, Value
from dlc.ir.rewrite import used_values
from dlc.passes.levels.specialise import Refused, Straight

Kind = Literal["sum", "at", "slice", "scatter", "push"]


@dataclass(frozen=True)
class Contribution:
    """| kind | link | values |
    |---|---|---|
    | sum | `add(acc, x)` | x |
    | at | `insert(acc, add(index(acc, i…), x), i…)` | x, i… |
    | slice | `insert_slice(acc, add(slice(acc, s), x), s)` | x, s |
    | scatter | `scatter_add(acc, i, x)` along axis 0 | x, i |
    | push | `list_push(acc, column…)` | columns |"""

    kind: Kind
    op: Op
    values: tuple[Value, ...]


def contributions(
    fn: Function, acc: Sequence[tuple[int, int]], body: Straight
) -> tuple[tuple[Op, ...], tuple[tuple[Contribution, ...], ...]]:
    """The operations that are neither calls nor links, and the contributions to each accumulator.

    Raises Refused where an accumulator is read, or not threaded through."""
    links: set[Op] = {c.op for c in body.calls}
    out: list[tuple[Contribution, ...]] = []
    for p, r in acc:
        chain = _Chain(fn, p, r, body)
        out.append(chain.run())
        links |= chain.links
    rest = tuple(op for op in body.ops if op not in links)
    carried = {fn.params[p] for p, _ in acc} | {v for op in links for v in op.results}
    made = {v for c in body.calls for v in c.op.results}
    for v in used_values(rest):
        if v in carried and v not in made:
            raise Refused("an accumulator is read", fn.loc)
    return rest, tuple(out)


def is_threaded(fn: Function, p: int, r: int, body: Straight) -> bool:
    """Whether parameter `p` is an accumulator that result `r` hands back: only ever added to."""
    try:
        _Chain(fn, p, r, body).run()
    except Refused:
        return False
    return True


class _Chain:
    def __init__(self, fn: Function, p: int, r: int, body: Straight) -> None:
        self.fn, self.p, self.r, self.body = fn, p, r, body
        self.links: set[Op] = set()
        self.passed = 0
        self.users: dict[Value, list[Op]] = {}
        for op in body.ops:
            for v in dict.fromkeys(op.operands):
                self.users.setdefault(v, []).append(op)
            for v in dict.fromkeys(used_values([o for r in op.regions for o in r.ops])):
                self.users.setdefault(v, []).append(op)

    def run(self) -> tuple[Contribution, ...]:
        out: list[Contribution] = []
        cur = self.fn.params[self.p]
        while cur is not self.body.results[self.r]:
            users = self.users.get(cur, [])
            nxt = self.step(cur, users, out)
            if nxt is None:
                where = users[0].loc if users else self.fn.loc
                raise Refused("an accumulator is read or not handed on", where)
            cur = nxt
        if self.users.get(cur):
            raise Refused("an accumulator is read", self.fn.loc)
        if self.passed != len(self.body.calls):
            raise Refused("a call adds to an accumulator of its own", self.fn.loc)
        return tuple(out)

    def step(self, cur: Value, users: list[Op], out: list[Contribution]) -> Value | None:
        """The accumulator after the next link."""
        if len(users) == 1:
            (op,) = users
            if op.name == "call" and op.attr_str("fn") == self.fn.name:
                passed = [i for i, v in enumerate(op.operands) if v is cur]
                self.passed += 1
                return op.results[self.r] if passed == [self.p] else None
            found = _link(op, cur)
            if found is None:
                return None
            self.links.add(op)
            out.append(found)
            return op.result
        if len(users) == 2:
            return self.part(cur, users, out)
        return None

    def part(self, cur: Value, users: list[Op], out: list[Contribution]) -> Value | None:
        """A part that is read, added to, and put back."""
        read, write = users
        names = {"index": ("insert", "at"), "slice": ("insert_slice", "slice")}
        if read.name not in names or write.name != names[read.name][0]:
            return None
        adds = self.users.get(read.result, [])
        if len(adds) != 1 or adds[0].name != "add" or write.operands[1] is not adds[0].result:
            return None
        if self.users.get(adds[0].result) != [write] or write.operands[0] is not cur:
            return None
        if read.operands[1:] != write.operands[2:] or cur in read.operands[1:]:
            return None
        if not (read.attr_flag("in_bounds") and write.attr_flag("in_bounds")):
            return None
        keys = ("axis", "step")
        if any(read.attrs.get(k) != write.attrs.get(k) for k in keys):
            return None
        x = _other(adds[0], read.result)
        if x is None or read.operands[0] is not cur or x is cur:
            return None
        kind: Kind = "at" if read.name == "index" else "slice"
        self.links.update((read, adds[0], write))
        out.append(Contribution(kind, write, (x, *read.operands[1:])))
        return write.result


def _other(op: Op, v: Value) -> Value | None:
    """The operand of an addition that is not `v`, if there is one."""
    a, b = op.operands
    return b if a is v and b is not v else a if b is v and a is not v else None


def _link(op: Op, cur: Value) -> Contribution | None:
    if op.name == "add":
        x = _other(op, cur)
        return None if x is None else Contribution("sum", op, (x,))
    if op.operands[0] is not cur or cur in op.operands[1:]:
        return None
    if op.name == "list_push":
        return Contribution("push", op, op.operands[1:])
    if op.name == "scatter_add" and op.attr_int("axis", 0) == 0 and op.attr_flag("in_bounds"):
        return Contribution("scatter", op, (op.operands[2], op.operands[1]))
    return None
