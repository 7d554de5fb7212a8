"""Packing what a backward region needs in the forward one, and unpacking it there again.

branch           a sum with one constructor a branch, made in the branch, taken apart by `match`
counted loop     an array with a row a turn where the number of turns is a dim, else a list
loop with exit   a list, and the number of turns
function         extra results, or one record where the function is recursive
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.autodiff.closure import Demand, demand, unpack
from dlc.autodiff.mirror import Block, Node
from dlc.autodiff.tangents import Tangents, hidden
from dlc.ir.core import AdtDecl, Constructor, Field, Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import Substitution
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, Type, type_symbols


def nodes_of(ops: list[Op]) -> list[Node]:
    """Plain operations as nodes."""
    return [
        Node(
            op.name, list(op.operands), list(op.results), dict(op.attrs), [], list(op.dims), op.loc
        )
        for op in ops
    ]


@dataclass
class Residuals:
    """Makes residual types for one differentiated function, named after it."""

    owner: str
    tangents: Tangents
    names: DimNames
    made: int = 0
    types: list[str] = field(default_factory=list[str])

    def declare(self, kind: str, cases: list[tuple[str, list[Type], tuple[str, ...]]]) -> AdtType:
        """A new algebraic type with these constructors: (name, field types, hidden dims)."""
        self.made += 1
        name = f"{kind}.{self.owner}.{self.made}"
        return self.declare_as(name, cases)

    def declare_as(
        self, name: str, cases: list[tuple[str, list[Type], tuple[str, ...]]]
    ) -> AdtType:
        own: dict[str, None] = {}
        cs: list[Constructor] = []
        for c, types, dims in cases:
            own.update((s, None) for t in types for s in type_symbols(t) if s not in dims)
            fields = tuple(Field(f"r{i}", t) for i, t in enumerate(types))
            cs.append(Constructor(c, fields, dims))
        self.tangents.types[name] = AdtDecl(name, tuple(own), tuple(cs))
        self.types.append(name)
        return AdtType(name, tuple(map(Dim.sym, own)))

    def builder(self, n: Node) -> Builder:
        """A builder for further forward operations beside the node."""
        return Builder(self.tangents.types, self.names, n.loc)

    # -- branches

    def branches(
        self, n: Node, b: Builder, regions: list[tuple[Block, list[Op], list[Value]]]
    ) -> tuple[Value, ...]:
        """The backward `if` or `match` of a forward one, given each branch's operations and
        yields."""
        needs = [demand(block, ops, ys) for block, ops, ys in regions]
        types = [y.type for y in regions[0][2]]
        if not any(need.values or need.dims for need in needs):
            again: list[Region] = []
            for (block, ops, ys), need in zip(regions, needs, strict=True):
                params = tuple(Value(v.type, v.hint) for v in block.params)
                again.append(_closed(params, tuple(block.dims), ops, ys, need, {}, b))
            attrs = {"cases": n.attrs["cases"]} if n.name == "match" else {}
            return b.structured(n.name, (n.operands[0],), types, attrs, again)
        cases = [
            (f"b{k}", [v.type for v in need.values], need.dims) for k, need in enumerate(needs)
        ]
        t = self.declare("Br", cases)
        for (block, _, _), need, (c, _, _) in zip(regions, needs, cases, strict=True):
            w = self.builder(n)
            dims = tuple(map(Dim.sym, need.dims))
            r = w.emit_typed("variant", t, *need.values, constructor=c, **hidden(dims))
            block.insert_before_end(nodes_of(w.ops))
            block.end.operands.append(r)
        br = Value(t, "br")
        n.results.append(br)
        out: list[Region] = []
        for (_, ops, ys), need in zip(regions, needs, strict=True):
            params = tuple(Value(v.type, v.hint) for v in need.values)
            stored = dict(zip(need.values, params, strict=True))
            out.append(_closed(params, need.dims, ops, ys, need, stored, b))
        return b.structured("match", (br,), types, {"cases": tuple(c for c, _, _ in cases)}, out)


def _closed(
    params: tuple[Value, ...],
    dims: tuple[str, ...],
    ops: list[Op],
    yields: list[Value],
    need: Demand,
    stored: dict[Value, Value],
    b: Builder,
) -> Region:
    """The region with its residuals unpacked from its parameters."""
    sub = Substitution({}, {})
    body = unpack(ops, need, stored, sub)
    end = Op("yield", tuple(map(sub.value, yields)), (), freeze_attrs({}), (), (), b.loc)
    return Region(params, (*body, end), dims)
