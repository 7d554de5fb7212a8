"""Slices that together are all of a value (`chunk`): its cotangent is the concatenation of theirs.

Without this each slice would add into a zero-filled tensor: a pass over the whole for every part.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.autodiff.mirror import Block, Node
from dlc.autodiff.places import Places
from dlc.ir.core import Value
from dlc.typesys.dims import Dim


@dataclass
class Tiling:
    """The tiled values of one block: value -> its slices in order, along one axis."""

    slices: dict[Value, list[Node]]
    axis: dict[Value, int]
    kept: dict[Value, Value] = field(default_factory=dict[Value, Value])
    """Cotangents of slices that have been met."""

    def __post_init__(self) -> None:
        self.members = {n.results[0] for ns in self.slices.values() for n in ns}

    def keep(self, n: Node, g: Value) -> None:
        self.kept[n.results[0]] = g

    def assemble(self, x: Value, p: Places) -> None:
        """Adds the concatenation to the cotangent of `x`, if any slice has one."""
        parts = [n.results[0] for n in self.slices[x]]
        if not any(r in self.kept for r in parts):
            return
        gs = [self.kept.pop(r, None) or p.tangents.zero(p.b, r.type, r) for r in parts]
        p.add(x, lambda: p.b.emit("concat", *gs, axis=self.axis[x]))


def tilings(block: Block, makers: dict[Value, Node]) -> Tiling:
    """Finds the values whose slices in this block cover one axis without gap or overlap."""
    found: dict[tuple[Value, int], list[tuple[Dim, Dim, Node]]] = {}
    for n in block.nodes:
        if n.name == "slice" and n.attrs.get("step", 1) == 1:
            op = n.as_op()
            start = as_dim(makers, n.operands[1])
            if start is not None:
                key = (n.operands[0], op.attr_int("axis"))
                found.setdefault(key, []).append((start, op.attr_dim("size"), n))
    slices: dict[Value, list[Node]] = {}
    axis: dict[Value, int] = {}
    for (x, k), parts in found.items():
        ordered = _in_order(parts, x.tensor.shape[k])
        if ordered is not None and x not in slices:
            slices[x], axis[x] = ordered, k
    return Tiling(slices, axis)


def _in_order(parts: list[tuple[Dim, Dim, Node]], whole: Dim) -> list[Node] | None:
    """The slices from first to last, if each starts where the one before ends and the last at the
    end."""
    at, out, rest = Dim.const(0), list[Node](), list(parts)
    while at != whole:
        nxt = next((p for p in rest if p[0] == at and p[1] != Dim.const(0)), None)
        if nxt is None:
            return None
        rest.remove(nxt)
        out.append(nxt[2])
        at = at + nxt[1]
    return out if len(out) > 1 and not rest else None


def as_dim(makers: dict[Value, Node], v: Value) -> Dim | None:
    """The dim that a scalar is known to be."""
    n = makers.get(v)
    if n is None:
        return None
    if n.name == "dim":
        value = n.attrs["value"]
        assert isinstance(value, (Dim, int))
        return Dim.of(value)
    if n.name == "const" and isinstance(n.attrs["value"], int):
        return Dim.const(n.attrs["value"])
    return None
