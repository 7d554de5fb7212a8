"""Packing what a backward region needs in the forward one, and unpacking it there again.

branch           a sum with one constructor a branch, made in the branch, taken apart by `match`
counted loop     an array with a row a turn where the number of turns is a dim, else a list
loop with exit   a list, and the number of turns
function         extra results, or one record where the function is recursive
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.autodiff.checkpoint import Again
from dlc.autodiff.closure import Demand, demand, unpack
from dlc.autodiff.mirror import Block, Node
from dlc.autodiff.tangents import Tangents, hidden
from dlc.ir.core import AdtDecl, Constructor, Field, Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import Substitution
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, TensorType, Type, type_symbols


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
    again: Again | None = None
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
        branches = [
            self._branch(n, k, block, ops, ys) for k, (block, ops, ys) in enumerate(regions)
        ]
        types = [y.type for y in regions[0][2]]
        if not any(x.need.values or x.need.dims for x in branches):
            attrs = {"cases": n.attrs["cases"]} if n.name == "match" else {}
            same = [_same_case(x, b) for x in branches]
            return b.structured(n.name, (n.operands[0],), types, attrs, same)
        cases = [
            (f"b{k}", [v.type for v in x.need.values], x.need.dims) for k, x in enumerate(branches)
        ]
        t = self.declare("Br", cases)
        for x, (c, _, _) in zip(branches, cases, strict=True):
            w = self.builder(n)
            dims = tuple(map(Dim.sym, x.need.dims))
            r = w.emit_typed("variant", t, *x.need.values, constructor=c, **hidden(dims))
            x.block.insert_before_end(nodes_of(w.ops))
            x.block.end.operands.append(r)
        br = Value(t, "br")
        n.results.append(br)
        out = [_opened(x, n.operands[0], b) for x in branches]
        return b.structured("match", (br,), types, {"cases": tuple(c for c, _, _ in cases)}, out)

    def _branch(self, n: Node, k: int, block: Block, ops: list[Op], ys: list[Value]) -> _Branch:
        """What one branch keeps. Where it wants tensors out of the payload of a `match`, the
        scrutinee is taken apart again: a reference instead of copies."""
        again = self.again.allows if self.again else None
        need = demand(block, ops, ys, again=again)
        payload = frozenset(block.params)
        heavy = any(
            v in payload and isinstance(v.type, TensorType) and v.type.rank > 0 for v in need.values
        )
        if n.name != "match" or block.dims or not heavy:
            return _Branch(block, ops, ys, need, None)
        need = demand(block, ops, ys, free=lambda v: v in payload, again=again)
        cases = n.attrs["cases"]
        assert isinstance(cases, tuple)
        alone = len(cases) == 1
        return _Branch(block, ops, ys, need, (str(cases[k]),) if alone else (str(cases[k]), "_"))


@dataclass(frozen=True)
class _Branch:
    """A forward branch, the backward operations and yields of it, and what these need. `reopen`:
    the cases of the `match` that takes the scrutinee apart again, if its payload is wanted."""

    block: Block
    ops: list[Op]
    yields: list[Value]
    need: Demand
    reopen: tuple[str, ...] | None


def _same_case(x: _Branch, b: Builder) -> Region:
    """The region of the same `if` or `match` again: nothing but the payload is wanted."""
    params = tuple(Value(v.type, v.hint) for v in x.block.params)
    stored = dict(zip(x.block.params, params, strict=True)) if x.reopen else {}
    return _closed(params, tuple(x.block.dims), x, stored, b)


def _opened(x: _Branch, scrutinee: Value, b: Builder) -> Region:
    """The region of the `match` on the sum of residuals."""
    params = tuple(Value(v.type, v.hint) for v in x.need.values)
    stored = dict(zip(x.need.values, params, strict=True))
    if x.reopen is None:
        return _closed(params, x.need.dims, x, stored, b)
    payload = tuple(Value(v.type, v.hint) for v in x.block.params)
    stored.update(zip(x.block.params, payload, strict=True))
    regions = [_closed(payload, (), x, stored, b)]
    inner = Builder(b.adts, b.names, b.loc)
    types = [v.type for v in regions[0].yields]
    if len(x.reopen) > 1:
        never = inner.nested()
        regions.append(never.yield_(*(never.emit_typed("undef", t) for t in types)))
    out = inner.structured("match", (scrutinee,), types, {"cases": x.reopen}, regions)
    end = Op("yield", out, (), freeze_attrs({}), (), (), b.loc)
    return Region(params, (*inner.ops, end), x.need.dims)


def _closed(
    params: tuple[Value, ...],
    dims: tuple[str, ...],
    x: _Branch,
    stored: dict[Value, Value],
    b: Builder,
) -> Region:
    """The region with its residuals unpacked from its parameters."""
    sub = Substitution({}, {})
    body = unpack(x.ops, x.need, stored, sub)
    end = Op("yield", tuple(map(sub.value, x.yields)), (), freeze_attrs({}), (), (), b.loc)
    return Region(params, (*body, end), dims)
