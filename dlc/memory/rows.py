"""Values written straight into the row (or slice) that a following `insert` would copy them to.

`ys = insert(ys, f(x), t)`: if `f(x)` has no other use and nobody looks at `ys` between its making
and the insert, `f` may as well write the row. The bounds are then checked before `f` runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dlc.ir.core import Op, Region, Value
from dlc.ir.rewrite import use_counts, used_values
from dlc.memory.access import Access, part_access
from dlc.memory.classes import Class, Classes
from dlc.memory.facts import STRIDED_OUTPUTS, is_tensor, is_update, may_fail
from dlc.memory.storage import Kind

_STRUCTURED = frozenset({"if", "match", "for", "loop"})


@dataclass(frozen=True)
class Direct:
    """`parts[v]`: where value v is written; `inserts[op]`: the insert whose work `op` does, and
    whose check comes before `op`; `done`: those inserts."""

    parts: dict[Value, Access] = field(default_factory=dict[Value, Access])
    inserts: dict[Op, list[Op]] = field(default_factory=dict[Op, list[Op]])
    done: set[Op] = field(default_factory=set[Op])


def rows_written_directly(c: Classes, body: Region) -> Direct:
    """All such values; their classes are frozen and need no slot."""
    out = Direct()
    counts = use_counts(body)
    for r in _regions(body):
        _in_block(c, r, counts, out)
    return out


def _regions(r: Region) -> Iterable[Region]:
    yield r
    for op in r.ops:
        if op.name != "map":
            for x in op.regions:
                yield from _regions(x)


def _in_block(c: Classes, r: Region, counts: dict[Value, int], out: Direct) -> None:
    position = {v: i for i, op in enumerate(r.ops) for v in op.results}
    for j, op in enumerate(r.ops):
        if op.name not in ("insert", "insert_slice"):
            continue
        base, v = op.operands[0], op.operands[1]
        i = position.get(v, -1)
        if i < 0 or counts[v] != 1 or v not in c.live.index:
            continue
        maker, own = r.ops[i], c.of_value(v)
        if own.kind is not Kind.SLOT or len(own.members) > 1 or own.pinned or own.scope is not None:
            continue
        part = part_access(op, c.n.access[base], c.n.numbers)
        if any(position.get(t, -1) >= i for t, _ in part.terms):
            continue
        if not _can_write(maker, part) or not _is_sure(r.ops[i:j], op):
            continue
        target = c.of_value(base)
        if any(_touches(c, o, target, part, o is maker) for o in r.ops[i:j]):
            continue
        own.frozen = True
        out.parts[v] = part
        out.inserts.setdefault(maker, []).append(op)
        out.done.add(op)


def _can_write(maker: Op, part: Access) -> bool:
    """Whether the maker can write to such a part."""
    if maker.name in _STRUCTURED or is_update(maker) or maker.name in ("undef", "box", "list_pop"):
        return False
    if maker.name == "map" or maker.name in STRIDED_OUTPUTS:
        return True
    return part.is_contiguous


def _is_sure(between: tuple[Op, ...], insert: Op) -> bool:
    """Whether checking the insert's bounds first reports no other failure than before."""
    return insert.attr_flag("in_bounds") or not any(map(_can_fail, between))


def _can_fail(op: Op) -> bool:
    return may_fail(op) or any(_can_fail(o) for r in op.regions for o in r.ops)


def _touches(c: Classes, op: Op, target: Class, part: Access, is_maker: bool) -> bool:
    """Whether the operation reads or writes storage of the class; the maker may read the part that
    it writes, point by point."""
    if op.name == "copy" and _is_nothing(c, op):
        return False
    for v in (*used_values((op,)), *op.results):
        root = c.n.root(v) if v in c.n.kinds else None
        if root is None or c.of_value(root) is not target:
            continue
        a = c.n.access.get(v)
        if not (is_maker and op.name == "map" and a is not None and _same_part(a, part, c)):
            return True
    return any(_touches(c, o, target, part, False) for r in op.regions for o in r.ops[:-1])


def _is_nothing(c: Classes, op: Op) -> bool:
    (x,) = op.operands
    a, root = c.n.access.get(x), c.n.root(x)
    return (a is None or a.whole) and root is not None and c.same(root, op.result)


def _same_part(a: Access, part: Access, c: Classes) -> bool:
    if not is_tensor(a.place) or a.place is not a.root or not c.same(a.root, part.root):
        return False
    mine, its = ((x.shape, x.strides, x.base, x.terms) for x in (a, part))
    return mine == its
