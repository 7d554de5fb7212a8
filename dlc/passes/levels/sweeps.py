"""The level form of a recursion: what is the same for all nodes once, what comes with the nodes for
all rows at once, the rest level by level, down from the root and up from the leaves.

A value that is needed after its level is stored in a table of the case. Products that come with the
nodes are hoisted out of the levels; a case without calls is no special case: it depends on no other
node's results, so all its rows are computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dlc.ir.core import Function, Op, Value
from dlc.ops.build import Builder
from dlc.ops.card import Batched, Rows, Same
from dlc.passes.batch import RowBuilder, batch_ops, copy_op, free_operands
from dlc.passes.effects import Effects
from dlc.passes.levels.outline import outline
from dlc.passes.levels.recursion import Case, Recursion
from dlc.passes.levels.schedule import INDEX, CaseRows, Schedule
from dlc.passes.levels.specialise import Refused
from dlc.passes.levels.times import Time, closure, times
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import TensorType


@dataclass
class Part:
    """A case while it is written: what is known for all its rows (`table`), and the times."""

    number: int
    case: Case
    rows: CaseRows
    time: dict[Value, Time]
    table: dict[Value, Batched] = field(default_factory=dict[Value, Batched])

    @property
    def recurses(self) -> bool:
        return bool(self.case.calls)


class Sweeps:
    """Writes the level form of `rec` to `b`, whose values `params` stand for the parameters (the
    node's is not asked for). `leaves` are the tables of each case's leaves."""

    def __init__(
        self,
        b: Builder,
        rec: Recursion,
        schedule: Schedule,
        params: Mapping[Value, Value],
        leaves: Sequence[Mapping[Value, Batched]],
        effects: Effects,
    ) -> None:
        self.b, self.rec, self.schedule = b, rec, schedule
        self.params, self.effects = params, effects
        self.functions: list[Function] = []
        self.same: dict[Value, Batched] = {}
        self.up: dict[int, Value] = {}
        self.down: dict[int, Value] = {}
        self.parts: list[Part] = []
        for i in rec.roles.same:
            self.same[rec.params[i]] = Same(params[rec.params[i]])
        each = zip(rec.cases, schedule.cases, leaves, strict=True)
        for n, (case, rows, given) in enumerate(each):
            known = {v: Time.SAME if isinstance(x, Same) else Time.ALL for v, x in given.items()}
            self.parts.append(Part(n, case, rows, times(rec, case, known), dict(given)))

    def write(self, kept: Sequence[Sequence[Value]]) -> None:
        """Everything, so that afterwards `result` knows the results, and the tables hold `kept` of
        each case. Raises Refused, NotBatchable."""
        for p in self.parts:
            self.write_same(p)
        for p in self.parts:
            self.all_rows(p, self.hoisted(p))
        if self.rec.roles.down:
            self.sweep_down(kept)
        for p, vs in zip(self.parts, kept, strict=True):
            if not p.recurses:
                self.all_rows(p, [*vs, *self.yields(p), *self.failing(p)])
            else:
                self.all_rows(p, [v for v in vs if p.time[v] <= Time.ALL])
        if self.rec.roles.up:
            self.sweep_up(kept)

    def table(self, part: int, v: Value) -> Batched:
        """The value of the case for all rows."""
        return self.find(self.parts[part], v)

    def result(self, r: int) -> Value:
        """Result `r`, of role up."""
        return self.b.emit("index", self.up[r], self.schedule.root, in_bounds=True)

    # -- what does not depend on levels

    def find(self, p: Part, v: Value) -> Batched:
        return p.table[v] if v in p.table else self.same[v]

    def known(self, p: Part) -> Callable[[Value], bool]:
        return lambda v: v in p.table or v in self.same

    def write_same(self, p: Part) -> None:
        for op in p.case.ops:
            if any(p.time[v] != Time.SAME for v in _reads(op, p.time)):
                continue
            if self.effects.may_fail(op):
                raise Refused("what may fail depends on no node", op.loc)
            if not op.results or all(r in self.same for r in op.results):
                continue
            self.b.loc = op.loc
            made = copy_op(self.b, op, lambda v: self.find(p, v))
            self.same.update((r, Same(x)) for r, x in zip(op.results, made.results, strict=True))

    def failing(self, p: Part) -> list[Op]:
        return [op for op in p.case.ops if self.effects.may_fail(op)]

    def yields(self, p: Part) -> list[Value]:
        out: list[Value] = []
        for r in self.rec.roles.up:
            v = p.case.results[r]
            assert isinstance(v, Value)
            out.append(v)
        return out

    def hoisted(self, p: Part) -> list[Value | Op]:
        """Of a case with calls: products that come with the nodes, one side of which is the same
        for all, and what may fail."""
        if not p.recurses:
            return []
        out: list[Value | Op] = []
        for op in p.case.ops:
            if op.name == "contract" and p.time[op.result] == Time.ALL:
                if any(p.time[v] == Time.SAME for v in op.operands if v in p.time):
                    out.append(op.result)
            elif self.effects.may_fail(op):
                if max((p.time[v] for v in _reads(op, p.time)), default=Time.SAME) > Time.ALL:
                    raise Refused("what may fail depends on other nodes", op.loc)
                out.append(op)
        return out

    def all_rows(self, p: Part, wanted: Iterable[Value | Op]) -> None:
        """Puts the values into the table, computed for all rows at once."""
        for i in self.rec.roles.down:
            if not p.recurses and i in self.down:
                at = self.b.dim(self.schedule.before(p.number))
                own = self.b.emit(
                    "slice", self.down[i], at, axis=0, size=p.rows.count, in_bounds=True
                )
                p.table.setdefault(self.rec.params[i], Rows(own))
        ops = _making(p.case.ops, wanted, self.known(p))
        rows = RowBuilder(self.b, p.rows.count)
        batch_ops(rows, ops, p.table, lambda v: self.find(p, v))

    # -- level by level

    def sweep_down(self, kept: Sequence[Sequence[Value]]) -> None:
        """From the root: each level computes what its calls are given."""
        b, s, params = self.b, self.schedule, self.rec.params
        inits: list[Value] = []
        for i in self.rec.roles.down:
            t = params[i].tensor
            zeros = b.full(0, TensorType(t.dtype, (s.total, *t.shape)))
            inits.append(b.emit("insert", zeros, self.params[params[i]], s.root, in_bounds=True))
        stores = [(p, v) for p in self.parts if p.recurses for v in self.stored_down(p, kept)]
        loop = _Loop(self, "down", inits, stores)
        for p in self.parts:
            if p.recurses:
                rows = loop.enter(p, dict(zip(self.rec.roles.down, loop.tables, strict=True)), {})
                given = [c.op.operands[i] for c in p.case.calls for i in self.rec.roles.down]
                rows.compute([*given, *(v for q, v in stores if q is p)])
                loop.keep(rows)
                for c in p.case.calls:
                    child = rows.children(c.slot)
                    for n, i in enumerate(self.rec.roles.down):
                        x = rows.full(c.op.operands[i])
                        loop.tables[n] = rows.b.emit(
                            "scatter", loop.tables[n], child, x, in_bounds=True
                        )
                loop.leave(rows)
        tables = loop.close(reverse=True)
        self.down = dict(zip(self.rec.roles.down, tables, strict=True))

    def stored_down(self, p: Part, kept: Sequence[Sequence[Value]]) -> list[Value]:
        """What is known on the way down and needed after it."""
        later: list[Value] = [*kept[p.number], *self.yields(p)]
        if self.rec.roles.up:
            for op in p.case.ops:
                if any(p.time[r] == Time.UP for r in op.results):
                    later += _reads(op, p.time)
        return [v for v in dict.fromkeys(later) if p.time.get(v) == Time.DOWN]

    def sweep_up(self, kept: Sequence[Sequence[Value]]) -> None:
        """From the leaves: each level computes its results from those of its calls."""
        b, s = self.b, self.schedule
        inits: list[Value] = []
        for n, r in enumerate(self.rec.roles.up):
            t = self.rec.fn.result_types[r]
            assert isinstance(t, TensorType)
            table = b.full(0, TensorType(t.dtype, (s.total, *t.shape)))
            for p in self.parts:
                if not p.recurses:
                    x = RowBuilder(b, p.rows.count).full(self.find(p, self.yields(p)[n]))
                    at = b.dim(s.before(p.number))
                    table = b.emit("insert_slice", table, x, at, axis=0, in_bounds=True)
            inits.append(table)
        stores = [
            (p, v) for p in self.parts if p.recurses
            for v in dict.fromkeys(kept[p.number]) if p.time[v] == Time.UP
        ]  # fmt: skip
        loop = _Loop(self, "up", inits, stores)
        for p in self.parts:
            if p.recurses:
                rows = loop.enter(p, {}, dict(zip(self.rec.roles.up, loop.tables, strict=True)))
                rows.compute([*self.yields(p), *(v for q, v in stores if q is p)])
                loop.keep(rows)
                at = rows.position()
                for n, v in enumerate(self.yields(p)):
                    loop.tables[n] = rows.b.emit(
                        "insert_slice", loop.tables[n], rows.full(v), at, axis=0, in_bounds=True
                    )
                loop.leave(rows)
        self.up = dict(zip(self.rec.roles.up, loop.close(reverse=False), strict=True))


class _Loop:
    """A loop over levels: `tables` and the stores are carried. What it does for a case is a
    function, whose rows are a dim."""

    def __init__(
        self,
        sweeps: Sweeps,
        way: str,
        inits: Sequence[Value],
        stores: Sequence[tuple[Part, Value]],
    ) -> None:
        self.sweeps, self.way, self.stores = sweeps, way, list(stores)
        out = sweeps.b
        more: list[Value] = []
        for p, v in stores:
            more.append(out.full(0, TensorType(v.tensor.dtype, (p.rows.count, *v.tensor.shape))))
        self.inits = [*inits, *more]
        self.b = out.nested((INDEX, *(x.type for x in self.inits)), ("level",))
        self.level = self.b.params[0]
        self.tables = list(self.b.params[1 : 1 + len(inits)])
        self.kept = list(self.b.params[1 + len(inits) :])
        self.before: tuple[Value, ...] = ()

    def enter(self, p: Part, down: Mapping[int, Value], up: Mapping[int, Value]) -> _LevelRows:
        self.before = (*self.tables, *self.kept)
        return _LevelRows(self, p, down, up)

    def leave(self, rows: _LevelRows) -> None:
        """Calls a function that does what was written for the case."""
        after = (*self.tables, *self.kept)
        pairs = list(zip(self.before, after, strict=True))
        changed = [(a, b) for a, b in pairs if a is not b]
        fn = self.sweeps.rec.fn
        name = f"{fn.name}.{self.way}.{rows.part.case.constructor}"
        made = outline(name, rows.b.ops, changed, fn.loc)
        self.sweeps.functions.append(made.fn)
        results = self.b.call(made.fn.signature, made.args, made.dims)
        new = dict(zip((b for _, b in changed), results, strict=True))
        self.tables = [new.get(v, v) for v in self.tables]
        self.kept = [new.get(v, v) for v in self.kept]

    def keep(self, rows: _LevelRows) -> None:
        for n, (p, v) in enumerate(self.stores):
            if p is rows.part:
                self.kept[n] = rows.b.emit(
                    "insert_slice", self.kept[n], rows.full(v), rows.first, axis=0, in_bounds=True
                )

    def close(self, *, reverse: bool) -> list[Value]:
        """Ends the loop; the stores become tables of their cases."""
        out, s = self.sweeps.b, self.sweeps.schedule
        one = out.scalar(1, I32)
        end = out.dim(s.levels)
        body = self.b.yield_(*self.tables, *self.kept)
        done = out.for_(one, end, self.inits, body, reverse=reverse)
        n = len(self.tables)
        for (p, v), x in zip(self.stores, done[n:], strict=True):
            p.table[v] = Rows(x)
        return list(done[:n])


class _LevelRows:
    """The rows of one case at one level."""

    def __init__(
        self, loop: _Loop, p: Part, down: Mapping[int, Value], up: Mapping[int, Value]
    ) -> None:
        self.loop, self.part, self.down, self.up = loop, p, down, up
        self.env: dict[Value, Batched] = {}
        b, offsets = loop.b, p.rows.offsets
        assert offsets is not None
        self.first = b.emit("index", offsets, loop.level, in_bounds=True)
        after = b.emit("add", loop.level, b.scalar(1, I32))
        end = b.emit("index", offsets, after, in_bounds=True)
        self.count: Dim = b.as_dim(b.emit("sub", end, self.first), "k", at_most=p.rows.count)
        self.b = b.nested()

    def position(self) -> Value:
        """The first of the rows among all."""
        before = self.loop.sweeps.schedule.before(self.part.number)
        return self.b.emit("add", self.first, self.b.dim(before))

    def own(self, table: Value, at: Value) -> Value:
        return self.b.emit("slice", table, at, axis=0, size=self.count, in_bounds=True)

    def children(self, slot: int) -> Value:
        return self.own(self.part.rows.children[slot], self.first)

    def find(self, v: Value) -> Batched:
        if v not in self.env:
            self.env[v] = self.look_up(v)
        return self.env[v]

    def look_up(self, v: Value) -> Batched:
        p, rec = self.part, self.loop.sweeps.rec
        if v in p.table:
            x = p.table[v]
            return Rows(self.own(x.value, self.first)) if isinstance(x, Rows) else x
        for i, table in self.down.items():
            if rec.params[i] is v:
                return Rows(self.own(table, self.position()))
        for c in p.case.calls:
            for r, table in self.up.items():
                if c.op.results[r] is v:
                    return Rows(self.b.emit("take", table, self.children(c.slot), in_bounds=True))
        return self.loop.sweeps.same[v]

    def full(self, v: Value) -> Value:
        return RowBuilder(self.b, self.count).full(self.find(v))

    def known(self, v: Value) -> bool:
        p, rec = self.part, self.loop.sweeps.rec
        return (
            v in self.env
            or v in p.table
            or v in self.loop.sweeps.same
            or any(rec.params[i] is v for i in self.down)
            or any(c.op.results[r] is v for c in p.case.calls for r in self.up)
        )

    def compute(self, wanted: Iterable[Value]) -> None:
        ops = closure(self.part.case.ops, wanted, self.known)
        batch_ops(RowBuilder(self.b, self.count), ops, self.env, self.find)


def _reads(op: Op, time: Mapping[Value, Time]) -> list[Value]:
    return [v for v in free_operands(op) if v in time]


def _making(
    ops: Sequence[Op], wanted: Iterable[Value | Op], known: Callable[[Value], bool]
) -> list[Op]:
    """The operations that make the wanted values, and the wanted operations with what they read."""
    values: list[Value] = []
    must: set[Op] = set()
    for w in wanted:
        if isinstance(w, Op):
            must.add(w)
            values += free_operands(w)
        else:
            values.append(w)
    chosen = set(closure(ops, values, known)) | {
        op for op in must if not op.results or not all(map(known, op.results))
    }
    return [op for op in ops if op in chosen]
