"""Closure conversion: the values of a forward region that its backward region uses become
residuals.

A backward region is first written as if every value of the forward pass were in scope. Here its
free values that are defined in the paired forward region are found; what is cheap is built again;
the rest is packed in the forward region and unpacked in the backward one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dlc.autodiff.mirror import Block, Node, copy_op
from dlc.ir.core import Op, Value
from dlc.ir.rewrite import Substitution, defined_values, used_dims, used_values
from dlc.ops.card import Trait
from dlc.ops.registry import card_of
from dlc.typesys.types import TensorType, type_symbols

CHEAP = frozenset(
    "add sub mul neg max min relu abs select convert and or not eq ne lt le gt ge".split()
)


@dataclass(frozen=True)
class Demand:
    """What a backward region needs of a forward block: values to store, dims to store, and the
    operations to run again at its start (in order; they use stored and outer values only)."""

    values: tuple[Value, ...]
    dims: tuple[str, ...]
    again: tuple[Op, ...]


def demand(
    fwd: Block,
    ops: list[Op],
    extra: Iterable[Value] = (),
    free: Callable[[Value], bool] = lambda v: False,
) -> Demand:
    """What the backward operations `ops` need of the block. `free(v)`: values that cost nothing to
    have (the loop index, the parameters of a function), so they count as being outside."""
    own = set(fwd.direct()) - {v for v in fwd.direct() if free(v)}
    makers = {r: n for n in fwd.flat() for r in n.results}
    order = {v: i for i, v in enumerate(fwd.direct())}
    local = set(defined_values(ops))
    wanted = dict.fromkeys(v for v in (*used_values(ops), *extra) if v in own and v not in local)
    keep = sorted(wanted, key=lambda v: order[v])
    keep, again = _rebuild(keep, makers, own, order)
    inside = set(fwd.direct_dims())
    seen = list(used_dims(ops)) + list(used_dims(again))
    for v in keep:
        seen += type_symbols(v.type)
    bound = set(_bound(ops)) | set(_bound(again))
    dims = tuple(dict.fromkeys(d for d in seen if d in inside and d not in bound))
    return Demand(tuple(keep), dims, tuple(again))


def _rebuild(
    keep: list[Value], makers: dict[Value, Node], own: set[Value], order: dict[Value, int]
) -> tuple[list[Value], list[Op]]:
    """Splits the wanted values into those to store and the operations to run again instead."""
    stored: dict[Value, None] = dict.fromkeys(keep)
    again: dict[Value, Node] = {}
    changed = True
    while changed:
        changed = False
        for v in sorted(stored, key=lambda x: -order[x]):
            n = makers.get(v)
            if n is None or not _is_cheap(n, v, own, stored, again):
                continue
            del stored[v]
            again[v] = n
            for x in n.operands:
                if x in own and x not in again:
                    stored.setdefault(x)
            changed = True
    nodes = sorted(dict.fromkeys(again.values()), key=lambda n: order[n.results[0]])
    return sorted(stored, key=lambda v: order[v]), [n.as_op() for n in nodes]


def _is_cheap(
    n: Node, v: Value, own: set[Value], stored: dict[Value, None], again: dict[Value, Node]
) -> bool:
    if n.blocks or n.dims or n.name == "call":
        return False
    if n.name in ("const", "dim", "iota", "undef", "list_new"):
        return True
    inner = [x for x in n.operands if x in own]
    have = all(x in stored or x in again for x in inner)
    card = card_of(n.name)
    if Trait.VIEW in card.traits or n.name == "retype":
        base = n.operands[0]
        # A view of something outside, or of something stored anyway: only its indices are kept.
        free = base not in own or base in stored or base in again
        small = all(_is_scalar(x) for x in n.operands[1:])
        fill = n.name == "broadcast" and _is_scalar(base)
        return (free and small) or fill
    return n.name in CHEAP and have and bool(n.operands)


def _bound(ops: Iterable[Op]) -> Iterator[str]:
    """Every dim name that the operations define."""
    for op in ops:
        yield from op.dims
        for r in op.regions:
            yield from r.dims
            yield from _bound(r.ops)


def _is_scalar(v: Value) -> bool:
    return isinstance(v.type, TensorType) and v.type.rank == 0


def unpack(ops: list[Op], need: Demand, stored: dict[Value, Value], sub: Substitution) -> list[Op]:
    """The backward operations with stored values renamed; operations run again come first."""
    sub.values.update(stored)
    head: list[Op] = []
    for op in need.again:
        fresh: dict[Value, Value] = {}
        node = copy_op(op, fresh)
        node.operands = [sub.value(x) for x in op.operands]
        if any(a.rstrip("?") == "in_bounds" for a in card_of(op.name).attributes):
            node.attrs["in_bounds"] = True  # it has been checked when it ran first
        made = sub.op(node.as_op())
        for old, new in zip(op.results, made.results, strict=True):
            sub.values[old] = new
        head.append(made)
    return head + sub.ops(ops)
