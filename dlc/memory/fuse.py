"""Gathers element-wise operations of one shape into scalar-bodied maps.

An operation joins the group of an operand's producer if the group can move down to it: nobody in
between uses a value of the group, and nobody in between changes storage that the group reads. A
group becomes one `map`: broadcast scalars and counting are not read from memory there, and values
that only the group uses have no storage at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dlc.ir.core import Attr, Function, Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import used_values
from dlc.memory.facts import is_elementwise, is_tensor, may_fail, updated
from dlc.memory.maps import is_scalar_map
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32, DType
from dlc.typesys.types import TensorType

MAX_INPUTS, MAX_RESULTS, MAX_BODY = 18, 8, 64


def fuse(fn: Function) -> Function:
    """The function with every element-wise operation on tensors inside a scalar-bodied map."""
    made: dict[Value, Op] = {}
    return fn.with_body(_region(fn.body, made))


def _region(r: Region, made: dict[Value, Op]) -> Region:
    ops: list[Op] = []
    for op in r.ops:
        if op.regions and not is_scalar_map(op):
            regions = tuple(_region(x, made) for x in op.regions)
            op = Op(op.name, op.operands, op.results, op.attrs, regions, op.dims, op.loc)
        for v in op.results:
            made[v] = op
        ops.append(op)
    return Region(r.params, tuple(_Groups(ops, made).rebuilt()), r.dims)


@dataclass
class _Group:
    """Operations (by number in the block) that become one map where the last of them stands."""

    members: list[int]
    space: tuple[Dim, ...]
    inputs: set[Value]
    size: int

    @property
    def position(self) -> int:
        return self.members[-1]


class _Groups:
    """The groups of one block."""

    def __init__(self, ops: list[Op], made: dict[Value, Op]) -> None:
        self.ops, self.made = ops, made
        self.home: dict[int, _Group] = {}
        self.makers: dict[Value, int] = {}
        self.users: dict[Value, list[int]] = {}
        self.changed: list[frozenset[Value]] = []
        self.roots: dict[Value, Value] = {}
        for i, op in enumerate(ops):
            for v in _used(op):
                self.users.setdefault(v, []).append(i)
            self.changed.append(frozenset(map(self.root, updated(op, {}))))
            if op.name in ("slice", "index", "reshape", "transpose", "reverse", "retype"):
                self.roots[op.result] = self.root(op.operands[0])
            for v in op.results:
                self.makers[v] = i

    def root(self, v: Value) -> Value:
        return self.roots.get(v, v)

    def rebuilt(self) -> list[Op]:
        for i, op in enumerate(self.ops):
            if _joins(op):
                self.add(i, op)
        out: list[Op] = []
        for i, op in enumerate(self.ops):
            group = self.home.get(i)
            if group is None:
                out.append(op)
            elif group.position == i:
                out.append(self.build(group))
        return out

    def add(self, i: int, op: Op) -> None:
        body = len(op.regions[0].ops) - 1 if op.regions else 1
        group = _Group([i], op.results[0].tensor.shape, set(op.operands), body)
        self.home[i] = group
        if may_fail(op):
            return
        tried = True
        while tried:
            tried = False
            for v in sorted(group.inputs, key=lambda v: -self.makers.get(v, -1)):
                other = self.home.get(self.makers.get(v, -1))
                if other is None or other is group or not self._fits(other, group):
                    continue
                self._merge(other, group)
                tried = True
                break

    def _merge(self, other: _Group, group: _Group) -> None:
        for m in other.members:
            self.home[m] = group
        group.members = sorted(other.members + group.members)
        own = {v for m in group.members for v in self.ops[m].results}
        group.inputs = {v for v in (*other.inputs, *group.inputs) if v not in own}
        group.size += other.size

    def _fits(self, other: _Group, group: _Group) -> bool:
        """Whether `other` may move down to `group`, which stands at the end so far."""
        if other.space != group.space or may_fail(self.ops[other.members[0]]):
            return False
        if other.size + group.size > MAX_BODY:
            return False
        at = group.position
        for m in other.members:
            for v in self.ops[m].results:
                for u in self.users.get(v, ()):
                    h = self.home.get(u)
                    if h is group or h is other:
                        continue
                    if (h.position if h is not None else u) < at:
                        return False
        roots = frozenset(map(self.root, other.inputs))
        between = range(other.position + 1, at)
        if any(self.changed[k] & roots for k in between if self.home.get(k) is not group):
            return False
        return self._small_enough(other, group)

    def _small_enough(self, other: _Group, group: _Group) -> bool:
        members = other.members + group.members
        own = {v for m in members for v in self.ops[m].results}
        inputs = {v for v in (*other.inputs, *group.inputs) if v not in own and self._is_read(v)}
        outs = [v for v in own if self._leaves(v, members)]
        return len(inputs) <= MAX_INPUTS and len(outs) <= MAX_RESULTS

    def _is_read(self, v: Value) -> bool:
        op = self.made.get(v)
        return not (op is not None and (_scalar_of(op) is not None or op.name == "iota"))

    def _leaves(self, v: Value, members: list[int]) -> bool:
        return any(u not in members for u in self.users.get(v, ()))

    # -- the map

    def build(self, group: _Group) -> Op:
        members = group.members
        results = [
            v for m in members for v in self.ops[m].results if self._leaves(v, members)
        ] or list(self.ops[members[-1]].results)
        body = _Body(group.space, self.made)
        for m in members:
            body.add(self.ops[m])
        return body.finish(results, self.ops[members[-1]])


def _joins(op: Op) -> bool:
    if op.name == "map":
        return is_scalar_map(op)
    return is_elementwise(op) and is_tensor(op.results[0])


def _used(op: Op) -> Iterable[Value]:
    return dict.fromkeys(used_values((op,)))


def _scalar_of(op: Op) -> Value | np.generic | None:
    """The one number that every element of the result is, if the operation says so."""
    if op.name == "broadcast" and not op.operands[0].tensor.rank:
        return op.operands[0]
    if op.name == "const":
        return uniform(op.attrs["value"])
    return None


def uniform(v: Attr) -> np.generic | None:
    """The element of a constant array all of whose elements are the same bits."""
    if not isinstance(v, np.ndarray) or not v.size:
        return None
    flat = np.ascontiguousarray(v).reshape(-1)
    raw = flat.view(np.uint8).reshape(v.size, -1)
    return flat[0] if bool((raw == raw[0]).all()) else None


def number_attr(x: np.generic, d: DType) -> Attr:
    """A numpy scalar as the attribute of a scalar `const`."""
    return bool(x) if d.is_bool else int(x) if d.is_int else float(x)  # pyright: ignore


class _Body:
    """The scalar program of a group."""

    def __init__(self, space: tuple[Dim, ...], made: dict[Value, Op]) -> None:
        self.space, self.made = space, made
        self.lanes: dict[Value, Value] = {}
        self.inputs: list[Value] = []
        self.params: list[Value] = []
        self.indices = [Value(TensorType(I32), f"i{d}") for d in range(len(space))]
        self.indexed = False
        self.ops: list[Op] = []

    def add(self, op: Op) -> None:
        args = tuple(map(self.lane, op.operands))
        if op.name != "map":
            out = Value(TensorType(op.result.tensor.dtype), op.result.hint)
            self.ops.append(Op(op.name, args, (out,), op.attrs, (), (), op.loc))
            self.lanes[op.result] = out
            return
        (body,) = op.regions
        params = body.params
        if op.attr_flag("indexed"):
            self.indexed = True
            n = len(self.space)
            self.lanes.update(zip(params[:n], self.indices, strict=True))
            params = params[n:]
        self.lanes.update(zip(params, args, strict=True))
        for o in body.ops[:-1]:
            out = tuple(Value(v.type, v.hint) for v in o.results)
            operands = tuple(self.lanes.get(v, v) for v in o.operands)
            self.ops.append(Op(o.name, operands, out, o.attrs, (), (), o.loc))
            self.lanes.update(zip(o.results, out, strict=True))
        for r, y in zip(op.results, body.yields, strict=True):
            self.lanes[r] = self.lanes.get(y, y)

    def lane(self, v: Value) -> Value:
        """What stands for the tensor `v` at one point."""
        if v not in self.lanes:
            self.lanes[v] = self._counted(v) or self._number(v) or self._input(v)
        return self.lanes[v]

    def _number(self, v: Value) -> Value | None:
        op = self.made.get(v)
        x = _scalar_of(op) if op is not None else None
        if isinstance(x, Value):
            return x
        if x is None:
            return None
        d = v.tensor.dtype
        out = Value(TensorType(d))
        attrs = freeze_attrs({"value": number_attr(x, d)})
        self.ops.append(Op("const", (), (out,), attrs))
        return out

    def _counted(self, v: Value) -> Value | None:
        """`iota`, perhaps broadcast, is the point's own index."""
        op = self.made.get(v)
        axis = len(self.space) - 1
        if op is not None and op.name == "broadcast" and op.operands[0].tensor.rank == 1:
            if op.operands[0].tensor.shape[0] != self.space[axis]:
                return None
            op = self.made.get(op.operands[0])
        elif len(self.space) != 1:
            return None
        if op is None or op.name != "iota":
            return None
        self.indexed = True
        return self._converted(self.indices[axis], op.result.tensor.dtype)

    def _converted(self, v: Value, d: DType) -> Value:
        if v.tensor.dtype == d:
            return v
        out = Value(TensorType(d))
        self.ops.append(Op("convert", (v,), (out,), freeze_attrs({"dtype": d})))
        return out

    def _input(self, v: Value) -> Value:
        p = Value(TensorType(v.tensor.dtype), v.hint)
        self.inputs.append(v)
        self.params.append(p)
        return p

    def finish(self, results: list[Value], last: Op) -> Op:
        out = tuple(self.lanes[r] for r in results)
        end = Op("yield", out, loc=last.loc)
        attrs: dict[str, Attr] = {"shape": self.space}
        if self.indexed:
            attrs["indexed"] = True
        params = (*(self.indices if self.indexed else ()), *self.params)
        region = Region(params, (*self.ops, end))
        return Op(
            "map", tuple(self.inputs), tuple(results), freeze_attrs(attrs), (region,), (), last.loc
        )
