"""Takes slices before element-wise arithmetic instead of after it: `slice(a + b)` becomes
`slice(a) + slice(b)`, where the slices are disjoint and nothing else reads the sum.

So the bias of the gates of a recurrent cell is added in the map that computes the gates, and the
sum is never stored.
"""

from __future__ import annotations

from dlc.ir.core import Attr, Function, Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import use_counts
from dlc.memory.facts import is_elementwise, is_scalar, may_fail
from dlc.typesys.dims import ZERO, Dim


def sink_slices(fn: Function) -> Function:
    """The function with slices moved up through element-wise operations."""
    return fn.with_body(_Sinker(fn).region(fn.body))


class _Sinker:
    def __init__(self, fn: Function) -> None:
        self.counts = use_counts(fn.body)
        self.numbers: dict[Value, Dim] = {}
        self.makers: dict[Value, Op] = {}
        self.sliced: set[Value] = set()

    def region(self, r: Region) -> Region:
        ops: list[Op] = []
        for op in r.ops:
            self._note(op)
            if op.regions and op.name != "map":
                regions = tuple(map(self.region, op.regions))
                op = Op(op.name, op.operands, op.results, op.attrs, regions, op.dims, op.loc)
            ops.append(op)
        # Consumers first, so that the slices can move on through their producers.
        i = len(ops) - 1
        while i >= 0:
            op = ops[i]
            if is_elementwise(op) and op.result in self.sliced and not may_fail(op):
                slices = self._slices(ops, i)
                if slices:
                    i = self._move(ops, i, slices)
            i -= 1
        return Region(r.params, tuple(ops), r.dims)

    def _note(self, op: Op) -> None:
        for v in op.results:
            self.makers[v] = op
        if op.name == "slice":
            self.sliced.add(op.operands[0])
        elif op.name == "dim":
            self.numbers[op.result] = op.attr_dim("value")
        elif op.name == "const" and is_scalar(op.result):
            x = op.attrs["value"]
            if isinstance(x, int) and not isinstance(x, bool):
                self.numbers[op.result] = Dim.const(x)

    def _slices(self, ops: list[Op], i: int) -> list[int]:
        """The positions of the slices that are all uses of operation i's result, if these are
        disjoint, within bounds, along one axis, and used in arithmetic themselves."""
        v = ops[i].result
        found: list[int] = []
        parts: list[tuple[Dim, Dim]] = []
        axes: set[int] = set()
        for j in range(i + 1, len(ops)):
            op = ops[j]
            if v not in op.operands:
                continue
            start = self.numbers.get(op.operands[1]) if op.name == "slice" else None
            if start is None or op.attr_int("step", 1) != 1:
                return []
            size, axis = op.attr_dim("size"), op.attr_int("axis")
            if not (start.at_least(ZERO) and v.tensor.shape[axis].at_least(start + size)):
                return []
            if not self._in_arithmetic(ops, j):
                return []
            axes.add(axis)
            parts.append((start, start + size))
            found.append(j)
        if len(found) != self.counts.get(v, 0) or len(axes) != 1:
            return []
        return found if _disjoint(parts) else []

    def _in_arithmetic(self, ops: list[Op], j: int) -> bool:
        v = ops[j].result
        uses = [op for op in ops[j + 1 :] if v in op.operands]
        return bool(uses) and all(is_elementwise(op) for op in uses)

    def _move(self, ops: list[Op], i: int, slices: list[int]) -> int:
        """Replaces the slices, and drops operation i. Gives the position to go on from."""
        op = ops[i]
        for j in reversed(slices):
            ops[j : j + 1] = self._parts(op, ops[j])
        del ops[i]
        for x in op.operands:
            self.counts[x] -= 1
        return i

    def _parts(self, op: Op, cut: Op) -> list[Op]:
        """The slice of an element-wise result, as arithmetic on slices of the operands."""
        shape = cut.result.tensor.shape
        out: list[Op] = []
        made: dict[Value, Value] = {}
        for x in op.operands:
            if x not in made:
                new = Value(x.tensor.with_shape(shape), x.hint)
                out.append(self._part(x, new, cut))
                self._note(out[-1])
                made[x] = new
            self.counts[made[x]] = self.counts.get(made[x], 0) + 1
        args = tuple(made[x] for x in op.operands)
        out.append(Op(op.name, args, cut.results, op.attrs, (), (), op.loc))
        return out

    def _part(self, x: Value, new: Value, cut: Op) -> Op:
        maker = self.makers.get(x)
        if maker is not None and maker.name == "broadcast" and is_scalar(maker.operands[0]):
            attrs: dict[str, Attr] = {"shape": new.tensor.shape}
            return Op("broadcast", maker.operands, (new,), freeze_attrs(attrs), loc=cut.loc)
        self.counts[x] = self.counts.get(x, 0) + 1
        sure = freeze_attrs({**cut.attrs, "in_bounds": True})
        return Op("slice", (x, cut.operands[1]), (new,), sure, loc=cut.loc)


def _disjoint(parts: list[tuple[Dim, Dim]]) -> bool:
    return all(
        a[0].at_least(b[1]) or b[0].at_least(a[1]) for k, a in enumerate(parts) for b in parts[:k]
    )
