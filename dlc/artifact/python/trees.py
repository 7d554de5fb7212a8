"""Algebraic values whose fields are numbers and algebraic values: the common case, in two loops.

Popping a stack of nodes whose children are pushed left to right visits them in the reverse of
post-order. So the first loop only collects nodes; the second numbers them, and takes the numbers of
a node's children from a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from dlc.artifact.python import tensors
from dlc.artifact.python.algebra import Value
from dlc.artifact.python.arrays import Flat, nodes_of
from dlc.artifact.python.codec import LeafPlan, NodePlan, Plan
from dlc.artifact.python.errors import StructureError
from dlc.targets.cpu.schema import Leaf

MAX_NODES = 2**31 - 1
SUSPICIOUS = 1 << 20
"""A value of more nodes than this is looked through for one that contains itself, and for parts
that stand in so many places that all together are too many."""


@dataclass(frozen=True)
class _Shape:
    """A constructor: its tag, the positions of its children, and the column of each number."""

    tag: int
    children: tuple[int, ...]
    all_children: bool
    columns: tuple[tuple[int, int], ...]


class Trees:
    """Encodes the values of one type. `leaves` are the raw columns, `names` what messages call
    them."""

    def __init__(
        self, shapes: Mapping[type[Value], _Shape], leaves: Sequence[Leaf], names: Sequence[str]
    ) -> None:
        self._shapes, self._leaves, self._names = shapes, leaves, names

    @staticmethod
    def of(plan: Plan, leaves: Sequence[Leaf], names: Sequence[str]) -> Trees | None:
        """For a type that is simple enough, else None."""
        if not isinstance(plan, NodePlan):
            return None
        shapes: dict[type[Value], _Shape] = {}
        for node in nodes_of(plan):
            if len(node.classes) != len(node.plans):
                return None
            for cls, shape, plans in zip(node.classes, node.shapes, node.plans, strict=True):
                if shape.dims or len(plans) != len(cls.field_names):
                    return None
                if not all(isinstance(p, NodePlan) or _is_number(p) for p in plans):
                    return None
                children = tuple(i for i, p in enumerate(plans) if isinstance(p, NodePlan))
                columns = tuple(
                    (i, p.number) for i, p in enumerate(plans) if isinstance(p, LeafPlan)
                )
                shapes[cls] = _Shape(shape.tag, children, len(children) == len(plans), columns)
        return Trees(shapes, leaves, names)

    def encode(self, what: str, root: Any) -> Flat | None:
        """The arrays of a value; None if it holds something unusual, which the general way then
        names. Raises StructureError for a value that contains itself."""
        shapes = self._shapes
        order: list[Value] = []
        stack: list[Any] = [root]
        pop, push, visit = stack.pop, stack.extend, order.append
        limit = SUSPICIOUS
        while stack:
            x = pop()
            kind = cast("type[Value]", type(x))
            s = shapes.get(kind)
            if s is None:
                return None
            visit(x)
            if s.children:
                push(x.fields if s.all_children else [x.fields[i] for i in s.children])
                if len(order) > limit:
                    _refuse_cycle(what, root)
                    limit *= 16
        order.reverse()
        return self._numbered(order)

    def _numbered(self, order: list[Value]) -> Flat:
        shapes = self._shapes
        kinds = [shapes[type(x)] for x in order]
        children: list[int] = []
        open_: list[int] = []
        for i, s in enumerate(kinds):
            k = len(s.children)
            if k:
                children += open_[-k:]
                del open_[-k:]
            open_.append(i)
        columns: list[Any] = [np.empty(0, leaf.dtype.numpy) for leaf in self._leaves]
        rows = [0] * len(columns)
        for cls, s in shapes.items():
            for at, number in s.columns:
                found = [x.fields[at] for x in order if type(x) is cls]
                columns[number] = tensors.numbers(
                    self._names[number], self._leaves[number].dtype, found
                )
                rows[number] = len(found)
        tags = np.array([s.tag for s in kinds], np.int32)
        return Flat(
            -1, len(order) - 1, tags, np.array(children, np.int32), tuple(columns), tuple(rows),
            tuple(() if leaf.is_scalar else None for leaf in self._leaves),
        )  # fmt: skip


def _is_number(p: Plan) -> bool:
    return isinstance(p, LeafPlan) and p.leaf.is_scalar


def _refuse_cycle(what: str, root: Value) -> None:
    """Raises StructureError if a node lies below itself, or if there are too many nodes, those of
    a shared part counted everywhere."""
    on_path: set[int] = set()
    sizes: dict[int, int] = {}
    work: list[tuple[Value, bool]] = [(root, False)]
    while work:
        x, leaving = work.pop()
        if leaving:
            on_path.discard(id(x))
            size = 1 + sum(sizes[id(y)] for y in x.fields if isinstance(y, Value))
            sizes[id(x)] = size = min(size, 2 * MAX_NODES)
            if size > MAX_NODES:
                text = f"`{what}` has more than {MAX_NODES} nodes, shared parts counted everywhere"
                raise StructureError(text, status="struct")
        elif id(x) in on_path:
            raise StructureError(f"`{what}` contains itself", status="struct")
        elif id(x) not in sizes:
            on_path.add(id(x))
            work.append((x, True))
            work += [(y, False) for y in x.fields if isinstance(y, Value)]
