"""From the passes' IR to the one that is planned: aliases gone, general maps as loops, sums into
accumulators named as such, element-wise operations gathered into scalar-bodied maps. Every step is
IR to IR and keeps the meaning."""

from __future__ import annotations

from collections.abc import Collection

from dlc.ir.core import Function, Op, Region, Value, freeze_attrs, walk
from dlc.ir.rewrite import Substitution, rewrite, used_values
from dlc.memory.access import VIEWS
from dlc.memory.facts import (
    ACCUMULATES,
    is_elementwise,
    is_removable,
    is_scalar,
    is_tensor,
    may_fail,
    updated,
)
from dlc.memory.fuse import fuse
from dlc.memory.maps import expand_maps
from dlc.memory.scaling import scale_element_wise
from dlc.memory.sink import sink_slices
from dlc.memory.storage import inout_pairs


def prepare(fn: Function) -> Function:
    """All steps, in order."""
    fn = without_aliases(scale_element_wise(expand_maps(fn)))
    fn = fuse(sink_slices(with_accumulation(fn)))
    return without_unused(fn)


def without_aliases(fn: Function) -> Function:
    """Drops operations that give their operand a second name: `stop_grad`, views that change
    nothing, `retype` of what is not a tensor. A view of equal elements is such a tensor itself."""
    s = Substitution()
    elements: dict[Value, Value] = {}
    """For tensors of equal elements, the element."""

    def change(op: Op) -> list[Op] | None:
        if op.name == "stop_grad" or (op.name == "retype" and not is_tensor(op.result)):
            s.values[op.result] = op.operands[0]
            return []
        if op.name not in VIEWS:
            return None
        x, y = op.operands[0], op.result
        idle = op.name != "transpose" or op.attr_ints("perm") == tuple(range(y.tensor.rank))
        if x.type == y.type and idle and op.name in _RENAMING:
            s.values[y] = x
            return []
        element = x if is_scalar(x) else elements.get(x)
        if element is None or may_fail(op):
            return None
        if is_scalar(y):
            s.values[y] = element
            return []
        elements[y] = element
        attrs = freeze_attrs({"shape": y.tensor.shape})
        return [Op("broadcast", (element,), (y,), attrs, (), (), op.loc)]

    return fn.with_body(rewrite(fn.body, change, s))


_RENAMING = frozenset({"broadcast", "reshape", "retype", "transpose"})


def without_unused(fn: Function) -> Function:
    """Drops pure operations whose results nobody uses."""
    needed: set[Value] = set()

    def region(r: Region) -> Region:
        kept: list[Op] = []
        for op in reversed(r.ops):
            if is_removable(op) and not any(v in needed for v in op.results):
                continue
            if op.regions:
                regions = tuple(region(x) for x in reversed(op.regions))[::-1]
                op = Op(op.name, op.operands, op.results, op.attrs, regions, op.dims, op.loc)
            needed.update(op.operands)
            kept.append(op)
        return Region(r.params, tuple(reversed(kept)), r.dims)

    return fn.with_body(region(fn.body))


# -- accumulation


def with_accumulation(fn: Function) -> Function:
    """`add(acc, contract(a, b))` as one `contract` that adds to `acc`; the same for a `reduce` that
    sums. `acc` must be something that is carried or handed on, and so must be the sum: what other
    element-wise operations read is better added in their map.

    Changes the order of summation: `acc + p_0 + p_1 …`."""
    state = _Sums(fn.body)
    return fn.with_body(state.region(fn.body, {fn.params[p] for p, _ in inout_pairs(fn)}))


class _Sums:
    def __init__(self, body: Region) -> None:
        self.counts: dict[Value, int] = {}
        for v in used_values(body.ops):
            self.counts[v] = self.counts.get(v, 0) + 1
        self.stored: set[Value] = set()
        """Values of the present block that live in a place of their own anyhow: parameters that are
        updated in place, carries, other sums."""
        sums = {op.results[0] for op in walk(body) if _is_sum(op)}
        self.mapped: set[Value] = set()
        """Operands of element-wise operations that will not become accumulation."""
        for op in walk(body):
            chained = op.name == "add" and any(v in sums for v in op.operands)
            if is_elementwise(op) and not chained:
                self.mapped.update(op.operands)
        self.last: dict[Value, Op] = {}
        """The last user of a value in the present block."""
        self.roots: dict[Value, Value] = {}
        for op in walk(body):
            if op.name in VIEWS:
                self.roots[op.result] = self.root(op.operands[0])

    def root(self, v: Value) -> Value:
        return self.roots.get(v, v)

    def region(self, r: Region, places: Collection[Value] = ()) -> Region:
        outer, self.stored = self.stored, {*r.params, *places}
        out = self.block(r)
        self.stored = outer
        return Region(r.params, out, r.dims)

    def block(self, r: Region) -> tuple[Op, ...]:
        products: dict[Value, int] = {}
        out: list[Op | None] = []
        last = {v: op for op in r.ops for v in used_values((op,))}
        self.last = last
        for op in r.ops:
            if op.regions:
                regions = tuple(map(self.region, op.regions))
                op = Op(op.name, op.operands, op.results, op.attrs, regions, op.dims, op.loc)
                self.last = last
            at = self.product(op, products, out) if op.name == "add" else None
            if at is not None:
                product, out[at] = out[at], None
                assert product is not None
                op = _accumulating(op, product)
            if op.regions or op.name == "call" or _is_sum(op):
                self.stored.update(op.results)
            if _is_sum(op) and not op.attr_flag("accumulate"):
                products[op.result] = len(out)
            out.append(op)
        return tuple(op for op in out if op is not None)

    def product(self, op: Op, products: dict[Value, int], out: list[Op | None]) -> int | None:
        """The position of the sum that may move down to the `add` and be part of it."""
        if not is_tensor(op.result) or op.result in self.mapped:
            return None
        a, b = op.operands
        for acc, term in ((a, b), (b, a)):
            at = products.get(term)
            if at is None or acc is term or self.counts[term] > 1:
                continue
            if acc not in self.stored or self.last[acc] is not op:
                continue
            product = out[at]
            assert product is not None
            read = set(map(self.root, product.operands))
            later = [o for o in out[at + 1 :] if o is not None]
            if not any(self.root(v) in read for o in later for v in updated(o, {})):
                return at
        return None


def _is_sum(op: Op) -> bool:
    if op.name not in ACCUMULATES or not is_tensor(op.result):
        return False
    return op.name == "contract" or op.attr_str("kind") == "sum"


def _accumulating(op: Op, product: Op) -> Op:
    """`op` adds the product to its other operand."""
    a, b = op.operands
    acc = a if b is product.result else b
    attrs = freeze_attrs({**product.attrs, "accumulate": True})
    return Op(product.name, (acc, *product.operands), op.results, attrs, (), (), op.loc)
