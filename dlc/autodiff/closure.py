"""Closure conversion: the values of a forward region that its backward region uses become
residuals.

A backward region is first written as if every value of the forward pass were in scope. Here its
free values that are defined in the paired forward region are found; what is cheap is built again;
the rest is packed in the forward region and unpacked in the backward one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from dlc.autodiff.mirror import Block, Node, copy_op
from dlc.ir.core import Op, Value
from dlc.ir.rewrite import Substitution, defined_values, used_dims, used_values
from dlc.ops.card import Trait
from dlc.ops.registry import card_of
from dlc.typesys.types import TensorType, type_symbols

CHEAP = frozenset(
    "add sub mul neg max min relu abs select convert and or not eq ne lt le gt ge".split()
)

CHAIN = 3
"""At most this many cheap operations in a row are run again rather than their result kept."""


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
    again: Callable[[Node], bool] | None = None,
) -> Demand:
    """What the backward operations `ops` need of the block. `free(v)`: values that cost nothing to
    have (the loop index, the parameters of a function), so they count as being outside. `again`:
    which operations a checkpoint has run again rather than keep their results."""
    own = set(fwd.direct()) - {v for v in fwd.direct() if free(v)}
    makers = {r: n for n in fwd.flat() for r in n.results}
    order = {v: i for i, v in enumerate(fwd.direct())}
    local = set(defined_values(ops))
    wanted = dict.fromkeys(v for v in (*used_values(ops), *extra) if v in own and v not in local)
    keep = sorted(wanted, key=lambda v: order[v])
    keep, rebuilt = _Rebuilding(makers, own, order, again, dict.fromkeys(keep)).run()
    inside = set(fwd.direct_dims())
    seen = list(used_dims(ops)) + list(used_dims(rebuilt))
    for v in keep:
        seen += type_symbols(v.type)
    bound = set(_bound(ops)) | set(_bound(rebuilt))
    dims = tuple(dict.fromkeys(d for d in seen if d in inside and d not in bound))
    return Demand(tuple(keep), dims, tuple(rebuilt))


@dataclass
class _Rebuilding:
    """Splits the wanted values of a block into those to store and those to build again: cheap ones,
    and results of what `may_run_again`. `order`: all values of the block; `own`: those that are not
    free to have."""

    makers: dict[Value, Node]
    own: set[Value]
    order: dict[Value, int]
    may_run_again: Callable[[Node], bool] | None
    stored: dict[Value, None]
    again: dict[Value, Node] = field(default_factory=dict[Value, Node])

    def run(self) -> tuple[list[Value], list[Op]]:
        changed = True
        while changed:
            changed = False
            for v in sorted(self.stored, key=lambda x: -self.order[x]):
                n = self.makers.get(v)
                if v in self.stored and n is not None and self.rebuilds(n):
                    self.move(n)
                    changed = True
        nodes = sorted(dict.fromkeys(self.again.values()), key=lambda n: self.order[n.results[0]])
        return sorted(self.stored, key=lambda v: self.order[v]), [n.as_op() for n in nodes]

    def rebuilds(self, n: Node) -> bool:
        return bool(self.may_run_again and self.may_run_again(n)) or self.is_cheap(n, CHAIN)

    def move(self, n: Node) -> None:
        """The operation runs again; what it uses is wanted instead of its results."""
        for r in n.results:
            self.stored.pop(r, None)
            self.again[r] = n
        for x in dict.fromkeys((*n.operands, *(x for b in n.blocks for x in b.used()))):
            if x in self.own and x not in self.again:
                self.stored.setdefault(x)

    def is_cheap(self, n: Node, chain: int) -> bool:
        """Whether a few element-wise operations (`chain` deep) give the result from what is there
        anyway."""
        if n.blocks or n.dims or n.name == "call":
            return False
        if n.name in ("const", "dim", "iota", "undef", "list_new"):
            return True
        if Trait.VIEW in card_of(n.name).traits or n.name == "retype":
            base = n.operands[0]
            # A view of something outside, or of something stored anyway: only indices are kept.
            small = all(_is_scalar(x) for x in n.operands[1:])
            fill = n.name == "broadcast" and _is_scalar(base)
            return (self.is_there(base) and small) or fill
        near = all(self.is_near(x, chain) for x in n.operands)
        return n.name in CHEAP and bool(n.operands) and near

    def is_there(self, x: Value) -> bool:
        return x not in self.own or x in self.stored or x in self.again

    def is_near(self, x: Value, chain: int) -> bool:
        if self.is_there(x):
            return True
        n = self.makers.get(x)
        return n is not None and chain > 1 and self.is_cheap(n, chain - 1)


def _bound(ops: Iterable[Op]) -> Iterator[str]:
    """Every dim name that the operations define."""
    for op in ops:
        yield from op.dims
        for r in op.regions:
            yield from r.dims
            yield from _bound(r.ops)


def _may_skip_bounds(op: Op) -> bool:
    return any(a.rstrip("?") == "in_bounds" for a in card_of(op.name).attributes)


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
        if not op.regions and op.name != "call" and _may_skip_bounds(op):
            node.attrs["in_bounds"] = True  # it has been checked when it ran first
        made = sub.op(node.as_op())
        for old, new in zip(op.results, made.results, strict=True):
            sub.values[old] = new
        head.append(made)
    return head + sub.ops(ops)
