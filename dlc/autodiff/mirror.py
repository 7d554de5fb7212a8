"""A mutable copy of a function's body, which the backward pass may still extend.

The forward function is not finished when it has been copied: its regions will have to yield what
the backward turns out to use. So it is kept as `Node`s and `Block`s, and frozen into operations at
the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dlc.ir.core import NOWHERE, Attr, Loc, Op, Region, Value, freeze_attrs


@dataclass(eq=False)
class Node:
    """An operation that can still get further operands, results and attributes."""

    name: str
    operands: list[Value]
    results: list[Value]
    attrs: dict[str, Attr]
    blocks: list[Block] = field(default_factory=list["Block"])
    dims: list[str] = field(default_factory=list[str])
    loc: Loc = NOWHERE
    before: list[Node] = field(default_factory=list["Node"])
    """Operations that the backward pass has put in front of this one."""

    def as_op(self) -> Op:
        """The operation as it stands (regions included), for cards and for freezing."""
        return Op(
            self.name,
            tuple(self.operands),
            tuple(self.results),
            freeze_attrs(self.attrs),
            tuple(b.as_region() for b in self.blocks),
            tuple(self.dims),
            self.loc,
        )


@dataclass(eq=False)
class Block:
    """A region: parameters, nodes, of which the last is the terminator."""

    params: list[Value]
    nodes: list[Node]
    dims: list[str] = field(default_factory=list[str])

    @property
    def end(self) -> Node:
        return self.nodes[-1]

    def as_region(self) -> Region:
        return Region(tuple(self.params), tuple(n.as_op() for n in self.flat()), tuple(self.dims))

    def flat(self) -> Iterator[Node]:
        """The nodes in order, with what was put in front of them."""
        for n in self.nodes:
            yield from n.before
            yield n

    def defined(self) -> Iterator[Value]:
        """Every value defined in the block, blocks inside included."""
        yield from self.params
        for n in self.flat():
            yield from n.results
            for b in n.blocks:
                yield from b.defined()

    def direct(self) -> Iterator[Value]:
        """The values defined at the block's own level, in order."""
        yield from self.params
        for n in self.flat():
            yield from n.results

    def direct_dims(self) -> Iterator[str]:
        """The dim names defined at the block's own level."""
        yield from self.dims
        for n in self.flat():
            yield from n.dims

    def used(self) -> Iterator[Value]:
        """Every value used in the block, blocks inside included, in order, with repeats."""
        for n in self.flat():
            yield from n.operands
            for b in n.blocks:
                yield from b.used()

    def insert_before_end(self, nodes: list[Node]) -> None:
        self.nodes[-1:-1] = nodes


def copy_block(r: Region, values: dict[Value, Value]) -> Block:
    """A copy with fresh values; `values` maps old to new and is extended."""
    params = [_fresh(p, values) for p in r.params]
    return Block(params, [copy_op(op, values) for op in r.ops], list(r.dims))


def copy_op(op: Op, values: dict[Value, Value]) -> Node:
    """A copy of one operation. Values that the map doesn't know stay as they are."""
    operands = [values.get(v, v) for v in op.operands]
    blocks = [copy_block(r, values) for r in op.regions]
    results = [_fresh(v, values) for v in op.results]
    return Node(op.name, operands, results, dict(op.attrs), blocks, list(op.dims), op.loc)


def _fresh(v: Value, values: dict[Value, Value]) -> Value:
    values[v] = new = Value(v.type, v.hint)
    return new


def nodes_in(block: Block) -> Iterator[Node]:
    """Every node of the block, blocks inside included, outer ones first."""
    for n in block.flat():
        yield n
        for b in n.blocks:
            yield from nodes_in(b)
