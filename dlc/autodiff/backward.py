"""The backward pass over one copied function body, construct by construct.

Operations are visited in reverse; one whose results have no cotangent is skipped, so nothing is
computed or stored that no gradient needs. Rules per construct: `docs/autodiff.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dlc.autodiff.activity import Activity
from dlc.autodiff.loops import backward_loop
from dlc.autodiff.maps import backward_map
from dlc.autodiff.mirror import Block, Node
from dlc.autodiff.places import Places
from dlc.autodiff.residuals import Residuals
from dlc.autodiff.structure_rules import RULES, payload_cotangent
from dlc.autodiff.tangents import Tangents
from dlc.autodiff.tiles import tilings
from dlc.ir.core import Op, Region, Value, freeze_attrs
from dlc.ops.build import Builder
from dlc.ops.registry import card_of


class Callee(Protocol):
    """A differentiated function, as a call to it needs it."""

    @property
    def need(self) -> tuple[int, ...]: ...

    @property
    def active(self) -> tuple[int, ...]: ...

    @property
    def accumulated(self) -> frozenset[int]: ...

    @property
    def results_wanted(self) -> tuple[bool, ...]: ...

    def call_forward(self, node: Node) -> list[Value]: ...

    def call_backward(self, b: Builder, node: Node, args: list[Value]) -> tuple[Value, ...]: ...


class Backward:
    """Writes the backward operations of a copied body. `callee(node, active args, rows args,
    results)` gives the differentiated form of a called function."""

    def __init__(
        self,
        active: Activity,
        rows: frozenset[Value],
        makers: dict[Value, Node],
        residuals: Residuals,
        callee: Callable[[Node, tuple[int, ...], tuple[bool, ...]], Callee],
    ) -> None:
        self.active = active
        self.rows = rows
        self.makers = makers
        self.residuals = residuals
        self.callee = callee

    @property
    def tangents(self) -> Tangents:
        return self.active.tangents

    def block(self, block: Block, p: Places) -> None:
        """Runs the block's nodes in reverse; cotangents of its terminator's operands are in `p`."""
        tiling = tilings(block, self.makers)
        for n in reversed(block.nodes[:-1]):
            p.b.loc = n.loc
            for r in n.results:
                if r in tiling.slices:
                    tiling.assemble(r, p)
            if n.results and n.results[0] in tiling.members:
                if n.results[0] in p.ct:
                    tiling.keep(n, p.ct.pop(n.results[0]))
            elif any(r in p.ct for r in n.results):
                self.node(n, p)
        for x in tiling.slices:
            tiling.assemble(x, p)  # those that were defined outside the block

    def node(self, n: Node, p: Places) -> None:
        d = [p.ct.pop(r, None) for r in n.results]
        if n.name in ("if", "match"):
            self.branches(n, p, d)
        elif n.name in ("for", "loop"):
            backward_loop(self, n, p, d)
        elif n.name == "map":
            backward_map(self, n, p, d)
        elif n.name == "call":
            self.call(n, p, d)
        elif n.name in RULES:
            RULES[n.name](p, n, d)
        elif n.operands and n.operands[0] in self.rows:
            self.gather(n, p, d)
        else:
            card_of(n.name).gradient(p, n.as_op(), tuple(d))

    # -- gathers from a table whose gradient is rows

    def gather(self, n: Node, p: Places, d: list[Value | None]) -> None:
        """`table[i]` and `take(table, idx)`: append (row number, cotangent of the row)."""
        (g,) = d
        assert g is not None
        table, idx = n.operands[0], n.operands[1]
        if n.name == "retype":
            p.ct[table] = g
            return
        if n.name == "index" and len(n.operands) == 2:
            p.ct[table] = p.b.emit("list_push", p.now(table), self._row_number(p.b, idx), g)
            return
        assert n.name == "take", f"{n.name} of a table whose gradient is rows"
        count = idx.tensor.size
        flat = p.b.emit("reshape", idx, shape=(count,))
        rows = p.b.emit("reshape", g, shape=(count, *table.tensor.shape[1:]))
        init = p.now(table)
        lo, hi = p.b.dim(0), p.b.dim(count)
        body = p.b.nested((lo.type, init.type), ("t", "rows"))
        t, acc = body.params
        i = self._row_number(body, body.emit("index", flat, t, in_bounds=True))
        row = body.emit("index", rows, t, in_bounds=True)
        out = body.emit("list_push", acc, i, row)
        (p.ct[table],) = p.b.for_(lo, hi, (init,), body.yield_(out))

    @staticmethod
    def _row_number(b: Builder, i: Value) -> Value:
        from dlc.typesys.dtypes import I32

        return i if i.tensor.dtype == I32 else b.emit("convert", i, dtype=I32)

    # -- branches

    def branches(self, n: Node, p: Places, d: list[Value | None]) -> None:
        inner: list[tuple[Block, Places, Builder]] = []
        changed: dict[Value, None] = {}
        for k, block in enumerate(n.blocks):
            b = p.b.nested()
            q = p.inside(b)
            for y, g in zip(block.end.operands, d, strict=True):
                if g is not None:
                    q.add(y, lambda g=g, y=y, q=q: q.fitted(g, y))
            self.block(block, q)
            if n.name == "match" and block.params:
                name = n.as_op().attr_strs("cases")[k]
                payload_cotangent(q, n.operands[0], name, block.params, tuple(block.dims))
            own = set(block.defined())
            for key, g in q.ct.items():
                if key not in own and p.ct.get(key) is not g:
                    changed.setdefault(key)
            inner.append((block, q, b))
        keys = list(changed)
        regions: list[tuple[Block, list[Op], list[Value]]] = []
        for block, q, b in inner:
            yields = [q.now(key) for key in keys]
            regions.append((block, b.ops, yields))
        results = self.residuals.branches(n, p.b, regions)
        p.ct.update(zip(keys, results, strict=True))

    # -- calls

    def call(self, n: Node, p: Places, d: list[Value | None]) -> None:
        modes = tuple(2 if v in self.rows else int(v in self.active) for v in n.operands)
        callee = self.callee(n, modes, tuple(g is not None for g in d))
        extra = callee.call_forward(n)
        args = [n.operands[i] for i in callee.need] + extra
        args += [
            g if g is not None else p.tangents.zero(p.b, r.type, r)
            for g, r, wanted in zip(d, n.results, callee.results_wanted, strict=False)
            if wanted
        ]
        given: set[Value] = set()
        for i in callee.active:
            if i in callee.accumulated:
                x = n.operands[i]
                # The same place in two accumulators: the second starts at zero and is added.
                args.append(p.zero(x) if x in given else p.now(x))
                given.add(x)
        out = callee.call_backward(p.b, n, args)
        replaced: set[Value] = set()
        for i, g in zip(callee.active, out, strict=True):
            x = n.operands[i]
            if i in callee.accumulated and x not in replaced:
                p.ct[x] = g
                replaced.add(x)
        seen: set[Value] = set()
        for i, g in zip(callee.active, out, strict=True):
            x = n.operands[i]
            if i in callee.accumulated and x in replaced and x not in seen:
                seen.add(x)
                continue
            self.join(p, x, g)

    def join(self, p: Places, x: Value, g: Value) -> None:
        """Adds a whole cotangent to a place; rows are appended to rows."""
        if x not in self.rows or x not in p.ct:
            if x in self.active:
                if x in self.rows:
                    p.ct[x] = g
                else:
                    p.add(x, lambda: g)
            return
        init = p.ct[x]
        lo, hi = p.b.dim(0), p.b.emit("list_len", g)
        body = p.b.nested((lo.type, init.type), ("t", "rows"))
        parts = body.emit_many("list_get", g, body.params[0], in_bounds=True)
        out = body.emit("list_push", body.params[1], *parts)
        (p.ct[x],) = p.b.for_(lo, hi, (init,), body.yield_(out))


def region_of(b: Builder, ops: list[Op], yields: list[Value]) -> Region:
    """A region with the builder's parameters and these operations, ended by a yield."""
    end = Op("yield", tuple(yields), (), freeze_attrs({}), (), (), b.loc)
    return Region(b.params, (*ops, end), b.dims)
