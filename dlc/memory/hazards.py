"""Views that outlive the contents they see: where the storage below is about to be changed in
place, it is cheaper to copy the view's elements than everything below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dlc.ir.core import Function, Op, Region, Value
from dlc.ir.rewrite import used_values
from dlc.memory.access import VIEWS
from dlc.memory.facts import is_tensor, updated

Owned = Mapping[str, frozenset[int]]


def _blocks(r: Region) -> Iterator[Region]:
    yield r
    for op in r.ops:
        for x in op.regions:
            yield from _blocks(x)


class _Block:
    """Where in one block values are used last, directly and through views."""

    def __init__(self, r: Region, owned: Owned) -> None:
        self.ops = r.ops
        self.last: dict[Value, int] = {}
        self.seen_last: dict[Value, int] = {}
        for i, op in enumerate(r.ops):
            for v in used_values((op,)):
                self.last[v] = i
        for op in reversed(r.ops):
            if op.name in VIEWS and is_tensor(op.result):
                x = op.operands[0]
                self.seen_last[x] = max(self.seen_last.get(x, -1), self.last_seen(op.result))
        self.changes = [(i, v) for i, op in enumerate(r.ops) for v in updated(op, owned)]

    def last_seen(self, v: Value) -> int:
        """The last use of the value or of a view of it."""
        return max(self.last.get(v, -1), self.seen_last.get(v, -1))


def lists_changed_under(fn: Function, owned: Owned) -> frozenset[Value]:
    """Tensors taken from lists that are read when that very list is about to change."""
    out: set[Value] = set()
    for r in _blocks(fn.body):
        if any(op.name == "list_get" for op in r.ops):
            b = _Block(r, owned)
            out.update(_taken_before_change(b))
    return frozenset(out)


def _taken_before_change(b: _Block) -> Iterator[Value]:
    for i, op in enumerate(b.ops):
        if op.name != "list_get":
            continue
        for v in op.results:
            last = b.last_seen(v)
            if is_tensor(v) and any(i < j <= last and x is op.operands[0] for j, x in b.changes):
                yield v


def views_to_copy(fn: Function, owned: Owned) -> frozenset[Value]:
    """Views that alone keep an old version of a tensor alive when it is updated."""
    out: set[Value] = set()
    for r in _blocks(fn.body):
        b = _Block(r, owned)
        if not b.changes:
            continue
        defined = dict.fromkeys(r.params, -1)
        defined |= {v: i for i, op in enumerate(r.ops) for v in op.results}
        roots: dict[Value, Value] = {}
        parts: dict[Value, list[tuple[int, Op]]] = {}
        for i, op in enumerate(r.ops):
            if op.name in VIEWS and is_tensor(op.result):
                x = roots.get(op.operands[0], op.operands[0])
                roots[op.result] = x
                parts.setdefault(x, []).append((i, op))
        for j, base in b.changes:
            x = roots.get(base, base)
            if x not in defined or b.last.get(x, -1) > j:
                continue
            for i, op in parts.get(x, ()):
                if op.name == "broadcast" or op.operands[0] in out or op.result is base:
                    continue
                if i < j <= b.last_seen(op.result):
                    out.add(op.result)
    return frozenset(out)
