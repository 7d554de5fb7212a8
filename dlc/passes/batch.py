"""Operations over a new leading axis: one copy that works on all rows at once.

The rules are the cards'. What depends on no row is emitted once, as it is (`Same`), so that it can
stand outside whatever loop goes over the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dlc.ir.core import Attr, Op, Value
from dlc.ir.rewrite import Substitution, free_values
from dlc.ops.build import Builder
from dlc.ops.card import Batched, NotBatchable, Rows, Same
from dlc.ops.registry import card_of
from dlc.passes.effects import STRUCTURED
from dlc.typesys.dims import Dim
from dlc.typesys.types import Type

Lookup = Callable[[Value], Batched]


@dataclass(frozen=True)
class RowBuilder:
    """What a card's `batch` writes to: the operations go to `out`, `rows` is the number of rows."""

    out: Builder
    rows: Dim

    def emit(self, name: str, *operands: Value, **attrs: Attr) -> Value:
        return self.out.emit(name, *operands, **attrs)

    def emit_many(self, name: str, *operands: Value, **attrs: Attr) -> tuple[Value, ...]:
        return self.out.emit_many(name, *operands, **attrs)

    def emit_typed(self, name: str, t: Type, *operands: Value, **attrs: Attr) -> Value:
        return self.out.emit_typed(name, t, *operands, **attrs)

    def full(self, x: Batched) -> Value:
        """The operand with a row axis, broadcast if it is the same for all."""
        if isinstance(x, Rows):
            return x.value
        return self.emit("broadcast", x.value, shape=(self.rows, *x.value.tensor.shape))


def free_operands(op: Op) -> tuple[Value, ...]:
    """What the operation reads: its operands, then the free values of its regions."""
    inner = (v for r in op.regions for v in free_values(r))
    return tuple(dict.fromkeys((*op.operands, *inner)))


def batch_op(b: RowBuilder, op: Op, lookup: Lookup) -> tuple[Batched, ...]:
    """The operation's results for all rows, given those of what it reads.

    Raises NotBatchable for what has no rule: operations with regions or calls that depend on the
    row, lists, sizes that differ from row to row."""
    b.out.loc = op.loc
    if all(isinstance(lookup(v), Same) for v in free_operands(op)):
        return tuple(Same(v) for v in copy_op(b.out, op, lookup).results)
    if op.name in STRUCTURED:
        raise NotBatchable(f"`{op.name}` differs from node to node")
    if op.dims:
        raise NotBatchable(f"the sizes that `{op.name}` makes differ from node to node")
    return card_of(op.name).batch(b, op, tuple(map(lookup, op.operands)))


def copy_op(out: Builder, op: Op, lookup: Lookup) -> Op:
    """The operation as it is, on the looked up values."""
    values = {v: lookup(v).value for v in free_operands(op)}
    return out.append(Substitution(values, fresh=out.names).op(op))


def batch_ops(b: RowBuilder, ops: Iterable[Op], env: dict[Value, Batched], lookup: Lookup) -> None:
    """All operations in order; `env` gets their results, and is asked before `lookup`."""

    def find(v: Value) -> Batched:
        return env[v] if v in env else lookup(v)

    for op in ops:
        for r, x in zip(op.results, batch_op(b, op, find), strict=True):
            x.value.suggest(r.hint)
            env[r] = x
