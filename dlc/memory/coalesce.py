"""Finds copies that need not be made: values that can share storage are put in one class.

Order matters: what must be one place (branches, updates, parameters), carried values of loops,
copies, boxes of records, pieces of `concat`, rows written directly, element-wise results in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dlc.diag import InternalError
from dlc.ir.core import Op, Region, Value
from dlc.memory.classes import Classes
from dlc.memory.columns import Columns, columns_written_directly
from dlc.memory.facts import is_tensor, is_update
from dlc.memory.liveness import Liveness, analyse
from dlc.memory.normalise import Normal
from dlc.memory.rings import Ring, place_loops
from dlc.memory.rows import Direct, rows_written_directly
from dlc.memory.storage import Kind
from dlc.typesys.dims import ONE, ZERO, Dim


@dataclass(frozen=True)
class Placed:
    """Every value's class, the rings of loops, and `direct`: values written straight into a part of
    another one's storage."""

    n: Normal
    live: Liveness
    classes: Classes
    rings: Mapping[Op, tuple[Ring, ...]]
    direct: Direct
    columns: Columns
    early: Mapping[Op, tuple[Value, ...]]
    """Values on the heap for which room must be made before an operation, not where they are."""

    def elided(self, op: Op) -> bool:
        """Whether a copy copies nothing, because both are the same bytes."""
        source = whole_source(self.n, op.operands[0])
        return source is not None and self.classes.same(source, op.result)


def coalesce(n: Normal) -> Placed:
    """All merging for a function in normal form."""
    live = analyse(n)
    c = Classes.of(n, live)
    ops = list(all_ops(n.fn.body))
    merger = _Merger(c, ops)
    merger.mandatory()
    rings = place_loops(c)
    merger.elide_copies()
    merger.elide_boxes()
    early = merger.place_pieces()
    direct = rows_written_directly(c, n.fn.body)
    columns = columns_written_directly(c, n.fn.body)
    merger.elementwise_in_place()
    table: dict[Op, tuple[Ring, ...]] = {}
    for r in rings:
        table[r.op] = (*table.get(r.op, ()), r)
    return Placed(n, live, c, table, direct, columns, early)


def all_ops(r: Region) -> Iterator[Op]:
    """All operations outside scalar bodies, outer before inner."""
    for op in r.ops:
        yield op
        if op.name != "map":
            for x in op.regions:
                yield from all_ops(x)


def whole_source(n: Normal, x: Value) -> Value | None:
    """The value with storage of its own of which `x` is all, in its own order."""
    a = n.access.get(x)
    return n.root(x) if a is None or a.whole else None


class _Merger:
    def __init__(self, c: Classes, ops: list[Op]) -> None:
        self.c, self.n, self.index = c, c.n, c.live.index
        self.makers = {v: op for op in ops for v in op.results}
        self.program_order = ops
        live = c.live
        depth = {op: live.depth[live.steps[op][0]] for op in ops}
        self.inner_first = sorted(ops, key=lambda op: -depth[op])

    def merge(self, a: Value, b: Value) -> bool:
        return self.c.merge(self.index[a], self.index[b])

    def must_merge(self, a: Value, b: Value) -> None:
        if not self.merge(a, b):
            raise InternalError(f"{a!r} and {b!r} must share a place, and cannot", stage="memory")

    def mandatory(self) -> None:
        """What the form wants in one place. Normal form sees to it that nothing conflicts."""
        for op in self.program_order:
            if op.name in ("if", "match"):
                for j, v in enumerate(op.results):
                    for r in op.regions if v in self.index else ():
                        self.must_merge(v, r.yields[j])
            elif is_update(op):
                self.must_merge(op.operands[0], op.results[0])
            elif op.name == "call":
                for p, r in self.n.faces[op.attr_str("fn")].inout.items():
                    self.must_merge(op.operands[p], op.results[r])
            elif op.name == "return":
                for i, v in enumerate(op.operands):
                    p = self.n.face.in_place_of(i)
                    place = self.n.outs.get(i) if p is None else self.n.fn.params[p]
                    if place is not None:
                        self.must_merge(place, v)

    def elide_copies(self) -> None:
        for op in self.inner_first:
            if op.name == "copy":
                source = whole_source(self.n, op.operands[0])
                if source is not None:
                    self.merge(source, op.result)

    def elide_boxes(self) -> None:
        """A value made for a record is made on the heap at once, if it shares nothing else."""
        for op in self.inner_first:
            source = whole_source(self.n, op.operands[0]) if op.name == "box" else None
            if source is None:
                continue
            if not is_tensor(op.result):
                self.merge(source, op.result)
                continue
            region, _ = self.c.live.steps[op]
            cls = self.c.of_value(source)
            inside = all(self.c.live.inside(k, region) for k, _ in cls.members)
            if not inside or cls.scope is not None:
                continue
            if cls.kind is Kind.HEAP:
                self.merge(source, op.result)
            elif self._is_plain(source, region):
                cls.kind = self.n.kinds[source] = Kind.HEAP
                if not self.merge(source, op.result):
                    cls.kind = self.n.kinds[source] = Kind.SLOT

    def _is_plain(self, v: Value, region: int) -> bool:
        """Whether one plain operation of the region makes the value, and it shares nothing."""
        k = self.index[v]
        cls = self.c.home[k]
        if len(cls.members) > 1 or cls.pinned is not None or cls.frozen:
            return False
        maker = self.makers.get(v)
        if maker is None or maker.name in ("if", "match", "for", "loop", "undef"):
            return False
        return self.c.live.region[k] == region

    def place_pieces(self) -> dict[Op, tuple[Value, ...]]:
        """Operands of `concat` are made where they belong, if they are dense there. Where that is
        on the heap, gives the operation before which room must be made."""
        early: dict[Op, tuple[Value, ...]] = {}
        for op in self.inner_first:
            if op.name != "concat":
                continue
            v, axis = op.result, op.attr_int("axis")
            on_heap = self.n.kinds[v] is Kind.HEAP
            if any(d != ONE for d in v.tensor.shape[:axis]):
                continue
            if on_heap and self.n.sizes.of_type(v.tensor) is None:
                continue
            r, at, row = self.index[v], ZERO, _row_size(v, axis)
            first: Op | None = None
            for x in op.operands:
                source = whole_source(self.n, x)
                if source is not None and self._place_piece(r, source, at * row, on_heap):
                    first = self._earlier(first, self.makers.get(source))
                at = at + x.tensor.shape[axis]
            if on_heap and first is not None:
                early[first] = (*early.get(first, ()), v)
        return early

    def _place_piece(self, r: int, source: Value, at: Dim, on_heap: bool) -> bool:
        """Merges a piece into result `r` of a concat, from element `at` on."""
        k = self.index[source]
        if not on_heap:
            return self.c.merge(r, k, at, exempt=1 << r)
        cls = self.c.home[k]
        if cls.kind is not Kind.SLOT or not self._is_plain(source, self.c.live.region[r]):
            return False
        cls.kind = self.n.kinds[source] = Kind.HEAP
        if self.c.merge(r, k, at, exempt=1 << r):
            return True
        cls.kind = self.n.kinds[source] = Kind.SLOT
        return False

    def _earlier(self, a: Op | None, b: Op | None) -> Op | None:
        steps = self.c.live.steps
        return b if a is None or (b is not None and steps[b] < steps[a]) else a

    def elementwise_in_place(self) -> None:
        """A map's result takes the storage of an operand that is read point by point, then dead."""
        for op in self.inner_first:
            if op.name != "map":
                continue
            for v in op.results:
                for x in op.operands:
                    source = whole_source(self.n, x)
                    if source is None or source.type != v.type or x.type != v.type:
                        continue
                    if self.merge(v, source):
                        break


def _row_size(v: Value, axis: int) -> Dim:
    n = ONE
    for d in v.tensor.shape[axis + 1 :]:
        n = n * d
    return n
