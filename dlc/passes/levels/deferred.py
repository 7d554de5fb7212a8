"""Accumulators: what all nodes add, in one operation for each case.

A product that is added keeps its factors instead of itself: `acc += sum_b a[b,…]*b[b,…]` is one
product over all rows, where the recursion adds a matrix a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_letters

from dlc.ir.core import NOWHERE, Op, Value, freeze_attrs
from dlc.ops.build import Builder
from dlc.ops.card import Batched, Rows, Same
from dlc.ops.contract import Spec, parse_spec
from dlc.passes.batch import RowBuilder
from dlc.passes.levels.contributions import Contribution
from dlc.passes.levels.recursion import Case
from dlc.passes.levels.specialise import Refused
from dlc.passes.levels.sweeps import Sweeps
from dlc.passes.levels.times import Time
from dlc.typesys.dtypes import I32

LINEAR = ("transpose", "reshape", "neg")
"""Operations of one operand that may be done after the sum instead of before."""


@dataclass(frozen=True)
class Sum:
    """The sum over all rows of `after(x)`, or of `after(product(a, b))`: the linear operations from
    the inside out, the product if there is one, and what must be known for all rows."""

    after: tuple[Op, ...]
    product: Op | None
    values: tuple[Value, ...]


def plan_sum(case: Case, x: Value, time: Mapping[Value, Time]) -> Sum:
    """How the sum of `x` over rows is computed. Raises Refused if a matrix a node were stored."""
    makers = {r: op for op in case.ops for r in op.results}
    after: list[Op] = []
    while (op := makers.get(x)) is not None and op.name in LINEAR and not _checked(op):
        after.append(op)
        (x,) = op.operands
    op = makers.get(x)
    if op is not None and op.name == "contract" and time[x] != Time.SAME:
        return Sum(tuple(reversed(after)), op, op.operands)
    if x.tensor.rank > 1 and time[x] != Time.SAME:
        raise Refused("it adds a matrix a node that is no product", op.loc if op else NOWHERE)
    return Sum(tuple(reversed(after)), None, (x,))


def _checked(op: Op) -> bool:
    return op.attr_flag("checked")


def needed(case: Case, time: Mapping[Value, Time]) -> tuple[Value, ...]:
    """What the contributions of the case need for all rows."""
    out: list[Value] = []
    for adds in case.added:
        for c in adds:
            if c.kind in ("sum", "slice"):
                out += plan_sum(case, c.values[0], time).values
                out += c.values[1:]
            elif c.kind == "at" and all(time[i] == Time.SAME for i in c.values[1:]):
                out += plan_sum(case, c.values[0], time).values
                out += c.values[1:]
            else:
                out += c.values
    return tuple(dict.fromkeys(out))


class Adder:
    """Emits the contributions of all cases to one accumulator after another."""

    def __init__(self, b: Builder, sweeps: Sweeps) -> None:
        self.b, self.sweeps = b, sweeps

    def add(self, number: int, acc: Value | None) -> Value:
        """Accumulator `number` with everything added; without a value to begin with, it begins with
        the first sum."""
        for part, case in enumerate(self.sweeps.rec.cases):
            for c in case.added[number]:
                self.b.loc = c.op.loc
                if acc is None and c.kind == "sum":
                    acc = self.sum(part, c.values[0])
                else:
                    acc = self.contribution(part, c, acc or self.zeros(number))
        return acc or self.zeros(number)

    def zeros(self, number: int) -> Value:
        rec = self.sweeps.rec
        return self.b.full(0, rec.params[rec.roles.acc[number][0]].tensor)

    def rows(self, part: int) -> RowBuilder:
        return RowBuilder(self.b, self.sweeps.parts[part].rows.count)

    def contribution(self, part: int, c: Contribution, acc: Value) -> Value:
        x, *at = c.values
        if c.kind == "sum":
            return self.b.emit("add", acc, self.sum(part, x))
        if c.kind == "push":
            return self.push(part, c, acc)
        where = [self.sweeps.table(part, i) for i in at]
        if c.kind == "slice" or all(isinstance(i, Same) for i in where):
            return self.part(part, c, acc, where)
        return self.scatter(part, x, where, acc)

    def part(self, part: int, c: Contribution, acc: Value, where: Sequence[Batched]) -> Value:
        """A part at a place that is the same for all rows."""
        at = [i.value for i in where]
        if any(isinstance(i, Rows) for i in where):
            raise Refused("it adds to slices at places of their own", c.op.loc)
        if c.kind == "scatter":
            return self.scatter(part, c.values[0], where, acc)
        x = self.sum(part, c.values[0])
        read = "index" if c.kind == "at" else "slice"
        attrs = dict(c.op.attrs)
        if read == "slice":
            attrs["size"] = x.tensor.shape[c.op.attr_int("axis")]
        old = self.b.emit(read, acc, *at, **attrs)
        return self.b.emit(c.op.name, acc, self.b.emit("add", old, x), *at, **c.op.attrs)

    def scatter(self, part: int, x: Value, where: Sequence[Batched], acc: Value) -> Value:
        """Rows of the accumulator, at each node's place."""
        if len(where) != 1:
            raise Refused("it adds to elements at several indices")
        rows = self.rows(part)
        index, v = rows.full(where[0]), rows.full(self.sweeps.table(part, x))
        return self.b.emit("scatter_add", acc, index, v, in_bounds=True)

    def push(self, part: int, c: Contribution, acc: Value) -> Value:
        tables = [self.sweeps.table(part, v) for v in c.values]
        body = self.b.nested((self.b.scalar(0, I32).type, acc.type), ("row", "acc"))
        row, grown = body.params
        columns = [
            body.emit("index", t.value, row, in_bounds=True) if isinstance(t, Rows) else t.value
            for t in tables
        ]
        grown = body.emit("list_push", grown, *columns)
        count = self.b.dim(self.sweeps.parts[part].rows.count)
        return self.b.for_(self.b.scalar(0, I32), count, (acc,), body.yield_(grown))[0]

    def sum(self, part: int, x: Value) -> Value:
        """The sum of `x` over all rows of the case."""
        p = self.sweeps.parts[part]
        plan = plan_sum(p.case, x, p.time)
        if plan.product is not None:
            y = self.product(part, plan.product)
        else:
            y = self.total(self.sweeps.table(part, plan.values[0]), part)
        for op in plan.after:
            y = self.b.emit(op.name, y, **op.attrs)
        return y

    def total(self, x: Batched, part: int) -> Value:
        return self.b.emit("reduce", self.rows(part).full(x), kind="sum", axes=(0,))

    def product(self, part: int, op: Op) -> Value:
        xs = [self.sweeps.table(part, v) for v in op.operands]
        s = parse_spec(op.attr_str("spec"))
        row = next(c for c in ascii_letters if c not in s.a + s.b)
        left, right = (row if isinstance(x, Rows) else "" for x in xs)
        attrs = freeze_attrs({**op.attrs, "spec": str(Spec(left + s.a, right + s.b, s.out))})
        return self.b.emit("contract", xs[0].value, xs[1].value, **attrs)
