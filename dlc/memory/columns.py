"""Tensors made in the element of a list that they are pushed to.

The push moves up to before the first of its columns is made, if nobody looks at the list in
between; a column's later readers read the list's element, which never moves, as long as nobody
changes the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dlc.ir.core import Op, Region, Value
from dlc.ir.rewrite import used_values
from dlc.memory.classes import Class, Classes
from dlc.memory.facts import is_update
from dlc.memory.storage import Kind

_UNFIT = frozenset({"if", "match", "for", "loop", "undef", "box", "list_pop", "list_get"})
_HARMLESS = frozenset({"list_push", "list_get", "list_len"})


@dataclass(frozen=True)
class Columns:
    """`home[v]`: the push and the number of its column in which v is made; `before[op]`: the pushes
    that come before the operation instead of where they are."""

    home: dict[Value, tuple[Op, int]] = field(default_factory=dict[Value, tuple[Op, int]])
    before: dict[Op, list[Op]] = field(default_factory=dict[Op, list[Op]])

    def moved(self, op: Op) -> bool:
        """Whether the push has been done before."""
        return any(op in pushes for pushes in self.before.values())


def columns_written_directly(c: Classes, body: Region) -> Columns:
    """All such values; their classes are frozen and need no slot."""
    out = Columns()
    for r in _regions(body):
        if any(op.name == "list_push" for op in r.ops):
            _in_block(c, r, out)
    return out


def _regions(r: Region) -> Iterable[Region]:
    yield r
    for op in r.ops:
        if op.name != "map":
            for x in op.regions:
                yield from _regions(x)


def _in_block(c: Classes, r: Region, out: Columns) -> None:
    position = {v: i for i, op in enumerate(r.ops) for v in op.results}
    last = _last_uses(c, r)
    for j, op in enumerate(r.ops):
        if op.name != "list_push":
            continue
        target = c.of_value(op.results[0])
        least = _first_after_touch(c, r, j, target)
        chosen: dict[Value, int] = {}
        for k, v in enumerate(op.operands[1:]):
            i = position.get(v, -1)
            if v in chosen or i < least or not _fits(c, r.ops[i], v):
                continue
            if _unchanged(c, r.ops[j + 1 : last[v] + 1], target):
                chosen[v] = i
                out.home[v] = (op, k)
                c.of_value(v).frozen = True
        if chosen:
            out.before.setdefault(r.ops[min(chosen.values())], []).append(op)


def _last_uses(c: Classes, r: Region) -> Mapping[Value, int]:
    """The last operation of the block that reads a value's storage."""
    out: dict[Value, int] = {}
    for i, op in enumerate(r.ops):
        for v in used_values((op,)):
            root = c.n.root(v) if v in c.n.kinds else None
            if root is not None:
                out[root] = i
    return out


def _fits(c: Classes, maker: Op, v: Value) -> bool:
    if v not in c.live.index or maker.name in _UNFIT or is_update(maker):
        return False
    own = c.of_value(v)
    alone = len(own.members) == 1 and own.pinned is None and own.scope is None
    return own.kind is Kind.SLOT and alone and not own.frozen


def _first_after_touch(c: Classes, r: Region, j: int, target: Class) -> int:
    """The first position from which on nothing before operation j has to do with the list."""
    for i in range(j - 1, -1, -1):
        if _touches(c, r.ops[i], target):
            return i + 1
    return 0


def _touches(c: Classes, op: Op, target: Class) -> bool:
    if op.name == "copy" and c.same(op.result, op.operands[0]):
        return False
    for v in (*used_values((op,)), *op.results):
        root = c.n.root(v) if v in c.n.kinds else None
        if root is not None and c.of_value(root) is target:
            return True
    return any(_touches(c, o, target) for x in op.regions for o in x.ops)


def _unchanged(c: Classes, later: tuple[Op, ...], target: Class) -> bool:
    """Whether the operations leave the list's elements as they are."""
    return not any(o.name not in _HARMLESS and _touches(c, o, target) for o in later)
