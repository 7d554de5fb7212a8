"""Which values can carry a derivative: depends on an active parameter, through differentiable
operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dlc.autodiff.mirror import Block, Node
from dlc.autodiff.tangents import Tangents
from dlc.ir.core import Value

# Operations whose results never depend differentiably on an operand, whatever its type.
CUT = frozenset({"stop_grad", "list_len", "dim", "convert_to_int"})

CallActivity = Callable[[Node, tuple[bool, ...]], tuple[bool, ...]]


class Activity:
    """The set of active values of one copied function body."""

    def __init__(self, tangents: Tangents, calls: CallActivity) -> None:
        self.tangents = tangents
        self.calls = calls
        self.values: set[Value] = set()

    def __contains__(self, v: Value) -> bool:
        return v in self.values

    def mark(self, v: Value, on: bool = True) -> bool:
        """Makes the value active if `on` and its type has a tangent. Tells whether that is new."""
        if on and v not in self.values and self.tangents.of(v.type) is not None:
            self.values.add(v)
            return True
        return False

    def run(self, block: Block) -> None:
        """Forward through the block; its parameters have been marked."""
        for n in block.nodes[:-1]:
            self.node(n)

    def node(self, n: Node) -> None:
        if n.name in ("if", "match"):
            self._branches(n)
        elif n.name in ("for", "loop"):
            self._loop(n)
        elif n.name == "map":
            self._map(n)
        elif n.name == "call":
            on = self.calls(n, tuple(v in self for v in n.operands))
            for r, a in zip(n.results, on, strict=True):
                self.mark(r, a)
        elif n.name not in CUT and any(v in self for v in n.operands):
            for r in n.results:
                self.mark(r)

    def _branches(self, n: Node) -> None:
        for b in n.blocks:
            if n.name == "match" and n.operands[0] in self:
                for p in b.params:
                    self.mark(p)
            self.run(b)
            for r, y in zip(n.results, b.end.operands, strict=True):
                self.mark(r, y in self)

    def _loop(self, n: Node) -> None:
        (body,) = n.blocks
        first = 2 if n.name == "for" else 0
        params = body.params[1:] if n.name == "for" else body.params
        skip = len(body.end.operands) - len(params)
        for p, init in zip(params, n.operands[first:], strict=True):
            self.mark(p, init in self)
        changed = True
        while changed:
            self.run(body)
            changed = False
            for p, y in zip(params, body.end.operands[skip:], strict=True):
                changed |= self.mark(p, y in self)
        for p, r in zip(params, n.results, strict=True):
            self.mark(r, p in self)

    def _map(self, n: Node) -> None:
        (body,) = n.blocks
        for p, x in zip(body.params[len(body.params) - len(n.operands) :], n.operands, strict=True):
            self.mark(p, x in self)
        self.run(body)
        for r, y in zip(n.results, body.end.operands, strict=True):
            self.mark(r, y in self)


def reads_of(block: Block, callee_reads: Mapping[str, frozenset[int]]) -> set[Value]:
    """The values that some operation reads; an argument counts only if the callee reads the
    parameter."""
    out: set[Value] = set()
    for n in block.nodes:
        if n.name == "call":
            known = callee_reads.get(str(n.attrs["fn"]), frozenset())
            out.update(v for i, v in enumerate(n.operands) if i in known)
        else:
            out.update(n.operands)
        for b in n.blocks:
            out |= reads_of(b, callee_reads)
    return out
