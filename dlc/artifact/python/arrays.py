"""Exploded values as the flat arrays of the border, and back. Nothing recurses along a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.artifact.python import tensors
from dlc.artifact.python.codec import Env, LeafPlan, Leaves, ListPlan, Node, NodePlan, Plan
from dlc.artifact.python.errors import StructureError
from dlc.targets.cpu.schema import Leaf, Schema, own_leaves
from dlc.typesys.types import AdtType, ListType

Array = np.ndarray[Any, Any]


PLACE = 120
"""Characters of a place inside a value that a message shows."""


@dataclass(frozen=True)
class Flat:
    """A list or algebraic value as arrays. `length` is -1 for an algebraic value, `root` for a
    list; one array and one number of rows for each raw column."""

    length: int
    root: int
    tags: Array
    children: Array
    columns: tuple[Array, ...]
    rows: tuple[int, ...]
    row_shapes: tuple[tuple[int, ...] | None, ...]
    """The shape of each column's rows; None where there are none."""


def raw_leaves(schema: Schema, t: AdtType | ListType) -> tuple[int, tuple[Leaf, ...]]:
    """The number of a list's own columns, and the leaves of all raw columns."""
    own = own_leaves(t)[1] if isinstance(t, ListType) else ()
    return len(own), (*own, *schema.leaves)


# -- encoding


def encode(
    what: str, plan: Plan, value: Any, own: int, leaves: Sequence[Leaf], names: Sequence[str]
) -> Flat:
    """The arrays of an exploded value; `plan` is that of a list or an algebraic value, `names` are
    what messages call the columns.

    Raises TypeError, ValueError, StructureError naming `what` or a column."""
    try:
        return _Encoder(what, own, leaves, names).encode(plan, value)
    except (TypeError, ValueError):
        _blame(what, plan, value)
        raise


class _Encoder:
    def __init__(self, what: str, own: int, leaves: Sequence[Leaf], names: Sequence[str]) -> None:
        self.what, self.own, self.leaves, self.names = what, own, leaves, names
        self.rows: list[list[Any]] = [[] for _ in leaves]
        self.tags: list[int] = []
        self.children: list[int] = []

    def encode(self, plan: Plan, value: Any) -> Flat:
        length = root = -1
        if isinstance(plan, NodePlan):
            (root,) = self._nodes([(plan.node, value)])
        else:
            assert isinstance(plan, ListPlan)
            inside: list[tuple[Node, Any]] = []
            _collect(plan, value, inside)
            numbers = iter(self._nodes(inside))
            length = len(value)
            self._elements(plan, value, 0, numbers)
        return self._flat(length, root)

    def _nodes(self, roots: Sequence[tuple[Node, Any]]) -> list[int]:
        """Numbers all nodes below the roots in post-order; gives those of the roots."""
        finished: list[int] = []
        on_path: set[tuple[int, int]] = set()
        work: list[tuple[Node, Any, int, Leaves | None, int]] = [
            (node, x, 0, None, 0) for node, x in reversed(roots)
        ]
        while work:
            node, x, tag, values, below = work.pop()
            if values is None:
                tag, values = node.open(self.what, x)
                inside: list[tuple[Node, Any]] = []
                for plan, v in zip(node.plans[tag], values, strict=True):
                    if not isinstance(plan, LeafPlan):
                        _collect(plan, v, inside)
                if inside:
                    mark = (id(x), id(node))
                    if mark in on_path:
                        raise StructureError(f"`{self.what}` contains itself", status="struct")
                    on_path.add(mark)
                    work.append((node, x, tag, values, len(inside)))
                    work.extend((n, y, 0, None, 0) for n, y in reversed(inside))
                    continue
            else:
                on_path.discard((id(x), id(node)))
            first = len(finished) - below
            self._node(node, tag, values, iter(finished[first:]))
            del finished[first:]
            finished.append(len(self.tags) - 1)
        return finished

    def _node(self, node: Node, tag: int, values: Leaves, numbers: Iterator[int]) -> None:
        shape = node.shapes[tag]
        self.tags.append(shape.tag)
        for leaf, (which, axis) in zip(shape.dims, node.hidden[tag], strict=True):
            self.rows[self.own + leaf.number].append(values[which].shape[axis])
        for plan, v in zip(node.plans[tag], values, strict=True):
            self._part(plan, v, self.own, numbers)

    def _part(self, plan: Plan, v: Any, offset: int, numbers: Iterator[int]) -> None:
        if isinstance(plan, LeafPlan):
            self.rows[offset + plan.number].append(v)
        elif isinstance(plan, NodePlan):
            self.children.append(next(numbers))
        else:
            self.children.append(len(v))
            self._elements(plan, v, offset, numbers)

    def _elements(
        self, plan: ListPlan, elements: Sequence[Leaves], offset: int, numbers: Iterator[int]
    ) -> None:
        if all(isinstance(c, LeafPlan) for c in plan.columns):
            for i, c in enumerate(plan.columns):
                assert isinstance(c, LeafPlan)
                self.rows[offset + c.number].extend([e[i] for e in elements])
            return
        for e in elements:
            for c, v in zip(plan.columns, e, strict=True):
                self._part(c, v, offset, numbers)

    def _flat(self, length: int, root: int) -> Flat:
        columns: list[Array] = []
        counts: list[int] = []
        shapes: list[tuple[int, ...] | None] = []
        for leaf, rows, name in zip(self.leaves, self.rows, self.names, strict=True):
            column, shape = self._column(leaf, rows, name)
            columns.append(column)
            counts.append(len(column) if leaf.varies else len(rows))
            shapes.append(shape)
        tags, children = (np.array(x, np.int32) for x in (self.tags, self.children))
        return Flat(length, root, tags, children, tuple(columns), tuple(counts), tuple(shapes))

    def _column(
        self, leaf: Leaf, rows: list[Any], name: str
    ) -> tuple[Array, tuple[int, ...] | None]:
        if leaf.is_scalar:
            return tensors.numbers(name, leaf.dtype, rows), ()
        if not rows:
            return np.empty(0, leaf.dtype.numpy), None
        if leaf.varies:
            return np.concatenate([x.ravel() for x in rows]), None
        shape = rows[0].shape
        odd = next((x.shape for x in rows if x.shape != shape), None)
        if odd is not None:
            raise ValueError(f"`{name}` holds arrays of the shapes {shape} and {odd}")
        return np.concatenate([x.reshape(-1) for x in rows]), shape


def _blame(what: str, plan: Plan, value: Any) -> None:
    """Opens the values again, from the outside in, with their places: `t.Node.kids[2]`. Raises the
    TypeError or ValueError of the first that is none of its type."""
    seen: set[tuple[int, int]] = set()
    work = _placed(what, plan, value)[::-1]
    while work:
        place, node, x = work.pop()
        if (id(x), id(node)) in seen:
            continue
        seen.add((id(x), id(node)))
        tag, values = node.open(place, x)
        plans = node.plans[tag]
        names: Sequence[str] = node.classes[tag].field_names if node.classes else ()
        inside: list[tuple[str, Node, Any]] = []
        for i, (p, v) in enumerate(zip(plans, values, strict=True)):
            known = len(names) == len(plans)
            step = f".{node.classes[tag].constructor}.{names[i]}" if known else ""
            inside += _placed(_short(place) + step, p, v)
        work += reversed(inside)


def _short(place: str) -> str:
    """A place that may be as deep as a tree: its begin and its end."""
    return place if len(place) <= PLACE else f"{place[: PLACE // 3]}…{place[-PLACE // 2 :]}"


def _placed(place: str, plan: Plan, v: Any) -> list[tuple[str, Node, Any]]:
    """The algebraic values right inside a leaf, each with its place."""
    if isinstance(plan, NodePlan):
        return [(place, plan.node, v)]
    out: list[tuple[str, Node, Any]] = []
    if isinstance(plan, ListPlan) and plan.has_nodes:
        for i, element in enumerate(v):
            for c, x in zip(plan.columns, element, strict=True):
                out += _placed(f"{place}[{i}]", c, x)
    return out


def _collect(plan: Plan, v: Any, out: list[tuple[Node, Any]]) -> None:
    """The algebraic values right inside a leaf, in order."""
    if isinstance(plan, NodePlan):
        out.append((plan.node, v))
    elif isinstance(plan, ListPlan) and plan.has_nodes:
        for element in v:
            for c, x in zip(plan.columns, element, strict=True):
                _collect(c, x, out)


# -- decoding


def decode(
    plan: Plan,
    flat: Flat,
    own: int,
    leaves: Sequence[Leaf],
    env: Env,
    type_env: Mapping[str, Env],
) -> Any:
    """The exploded value of arrays that a call has filled: an algebraic value is closed. `env` are
    the dims of the entry, `type_env` those of each algebraic type in it."""
    return _Decoder(plan, flat, own, leaves, env, type_env).decode(plan)


class _Decoder:
    def __init__(
        self,
        plan: Plan,
        flat: Flat,
        own: int,
        leaves: Sequence[Leaf],
        env: Env,
        type_env: Mapping[str, Env],
    ) -> None:
        self.flat, self.own, self.leaves = flat, own, leaves
        self.env, self.type_env = env, type_env
        self.children = iter(flat.children.tolist())
        self.numbers = [
            iter(c.tolist()) if leaf.is_scalar else iter(())
            for leaf, c in zip(leaves, flat.columns, strict=True)
        ]
        self.at = [0] * len(leaves)
        self.values: list[Any] = []
        # Which codec a node has follows from the field that holds it, and parents come later: nodes
        # are kept open until their parent takes them.
        self.open: list[tuple[int, Leaves, Env]] = []
        self.base = {s.tag: s for node in nodes_of(plan) for s in node.shapes}
        self.plans = {
            s.tag: p
            for node in nodes_of(plan)
            for s, p in zip(node.shapes, node.plans, strict=True)
        }

    def decode(self, plan: Plan) -> Any:
        for tag in self.flat.tags.tolist():
            shape = self.base[tag]
            env = self.type_env[shape.type.name]
            if shape.dims:
                sizes = [next(self.numbers[self.own + leaf.number]) for leaf in shape.dims]
                env = {**env, **dict(zip(shape.constructor.dims, sizes, strict=True))}
            leaves = [self._part(p, self.own, env) for p in self.plans[tag]]
            self.open.append((shape.local_tag, leaves, env))
        if isinstance(plan, NodePlan):
            return self._closed(plan.node, self.flat.root)
        assert isinstance(plan, ListPlan)
        return self._items(plan, self.flat.length, 0, self.env)

    def _closed(self, node: Node, number: int) -> Any:
        tag, leaves, env = self.open[number]
        return node.close(tag, leaves, env)

    def _part(self, plan: Plan, offset: int, env: Env) -> Any:
        if isinstance(plan, LeafPlan):
            return self._leaf(plan.leaf, offset + plan.number, env)
        if isinstance(plan, NodePlan):
            return self._closed(plan.node, next(self.children))
        return self._items(plan, next(self.children), offset, env)

    def _items(self, plan: ListPlan, n: int, offset: int, env: Env) -> list[Leaves]:
        return [tuple(self._part(c, offset, env) for c in plan.columns) for _ in range(n)]

    def _leaf(self, leaf: Leaf, number: int, env: Env) -> Any:
        if leaf.is_scalar:
            return next(self.numbers[number])
        shape = tuple(d.evaluate(env) for d in leaf.shape)
        size = int(np.prod(shape, dtype=np.int64))
        at = self.at[number]
        self.at[number] = at + size
        return self.flat.columns[number][at : at + size].reshape(shape)


def nodes_of(plan: Plan) -> list[Node]:
    """Every codec that can occur in a value, outer ones first."""
    out: dict[int, Node] = {}
    work = [plan]
    while work:
        p = work.pop()
        if isinstance(p, ListPlan):
            work += p.columns
        elif isinstance(p, NodePlan) and id(p.node) not in out:
            out[id(p.node)] = p.node
            work += [q for plans in p.node.plans for q in plans]
    return list(out.values())
