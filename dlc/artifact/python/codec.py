"""How Python values of the surface types become IR values, and back.

A codec explodes a value into its leaves and implodes leaves into a value. Leaves are numbers and
arrays; a list's is a Python list with a tuple of leaves for each element; an algebraic value's is
the Python value itself, which its `Node` codec opens when its turn comes (so that nothing here
recurses along a value)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from dlc.artifact.python import tensors
from dlc.artifact.python.algebra import Types, Value
from dlc.artifact.python.structures import Graph, Rows, Segs, Sparse
from dlc.diag import InternalError
from dlc.targets.cpu.schema import Child, Items, Leaf, Part, Schema, Shape
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.interface import AdtInfo, Interface
from dlc.typesys.types import AdtType

Leaves = Sequence[Any]
Env = Mapping[str, int]


# -- where leaves go


@dataclass(frozen=True, slots=True)
class LeafPlan:
    """A number or an array, in column `number`."""

    number: int
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class NodePlan:
    """An algebraic value."""

    node: Node


@dataclass(frozen=True, slots=True)
class ListPlan:
    """A list; one plan for each column."""

    columns: tuple[Plan, ...]
    has_nodes: bool


Plan = LeafPlan | NodePlan | ListPlan


@dataclass(eq=False)
class Node:
    """The codec of an algebraic type: `open(value)` gives the constructor's number in the type and
    the leaves, `close` is its inverse. One plan for each leaf of each constructor."""

    name: str
    shapes: list[Shape] = field(default_factory=list["Shape"])
    plans: list[tuple[Plan, ...]] = field(default_factory=list["tuple[Plan, ...]"])
    open: Callable[[str, Any], tuple[int, Leaves]] = lambda what, x: (0, ())
    close: Callable[[int, Leaves, Env], Any] = lambda tag, leaves, env: None
    hidden: list[tuple[tuple[int, int], ...]] = field(
        default_factory=list["tuple[tuple[int, int], ...]"]
    )
    """For each constructor, the leaf and axis that show each of its hidden dims."""
    classes: list[type[Value]] = field(default_factory=list["type[Value]"])
    """The Python class of each constructor of a declared type."""


@dataclass(frozen=True)
class Codec:
    """The codec of a surface type."""

    explode: Callable[[str, Any], Leaves]
    implode: Callable[[Leaves, Env], Any]
    plans: tuple[Plan, ...]


class Codecs:
    """The codecs of one program. Columns of records are counted from 0, as in its schema."""

    def __init__(self, interface: Interface, schema: Schema, types: Types) -> None:
        self._schema, self._types = schema, types
        self._adts = {a.type: a for a in interface.types}
        self._records = {r.name: r for r in interface.records}
        self._nodes: dict[tuple[surface.Type, str], Node] = {}

    def codec(self, t: surface.Type, parts: Sequence[Part]) -> Codec:
        """The codec of a type whose leaves are these parts."""
        rest = iter(parts)
        made = self._codec(t, rest)
        if next(rest, None) is not None:
            raise InternalError(f"{t} has fewer leaves than its IR type", stage="python")
        return made

    def _codec(self, t: surface.Type, parts: Iterator[Part]) -> Codec:
        match t:
            case surface.Tensor():
                return _tensor(t, next(parts))
            case surface.Key():
                return _single(lambda what, x: tensors.key(what, x), _leaf_plan(next(parts)))
            case surface.Tuple():
                return _tuple([self._codec(x, parts) for x in t.items])
            case surface.List():
                return self._list(t.element, next(parts))
            case surface.Rows():
                return _rows(t, self._plan_of(next(parts)))
            case surface.Option() | surface.Adt():
                part = next(parts)
                assert isinstance(part, Child)
                return _single(lambda what, x: x, NodePlan(self._node(t, part.type)))
            case surface.Segs():
                return _segs(next(parts))
            case surface.Sparse():
                return _sparse(t, next(parts), next(parts))
            case surface.Graph():
                return _graph(t, next(parts), next(parts))
            case surface.Model():
                return self._record(t, parts)
            case _:
                raise TypeError(f"a value of type {t} has no form in Python")

    def _plan_of(self, part: Part) -> Plan:
        """The plan of a part without algebraic values."""
        if isinstance(part, Leaf):
            return LeafPlan(part.number, part)
        assert isinstance(part, Items)
        return ListPlan(tuple(self._plan_of(c) for c in part.columns), False)

    # -- lists and records

    def _list(self, element: surface.Type, part: Part) -> Codec:
        assert isinstance(part, Items)
        first = part.columns[0] if part.columns else None
        if isinstance(first, Child) and first.type.name.startswith("Packed."):
            node = self._packed(element, first.type)
            plan = ListPlan((NodePlan(node),), True)
            return Codec(
                lambda what, xs: [[(x,) for x in sequence(what, xs)]],
                lambda leaves, env: [x for (x,) in leaves[0]],
                (plan,),
            )
        inner = self.codec(element, part.columns)
        plan = ListPlan(inner.plans, _holds_nodes(inner.plans))
        explode, implode = inner.explode, inner.implode
        if isinstance(element, surface.Tensor) and not element.shape:
            dtype = element.concrete
            return Codec(
                lambda what, xs: [[(x,) for x in number_sequence(what, dtype, xs)]],
                lambda leaves, env: [x for (x,) in leaves[0]],
                (plan,),
            )
        if isinstance(element, (surface.Tensor, surface.Adt)):
            return Codec(
                lambda what, xs: [[explode(what, x) for x in sequence(what, xs)]],
                lambda leaves, env: [x for (x,) in leaves[0]],
                (plan,),
            )
        return Codec(
            lambda what, xs: [[tuple(explode(what, x)) for x in sequence(what, xs)]],
            lambda leaves, env: [implode(x, env) for x in leaves[0]],
            (plan,),
        )

    def _record(self, t: surface.Model, parts: Iterator[Part]) -> Codec:
        info = self._records[t.name]
        bind = dict(zip(info.dims, t.dims, strict=True))
        fields = [(n, surface.substitute_dims(ft, bind)) for n, ft in info.fields]
        codecs = [(n, self._codec(ft, parts)) for n, ft in fields]
        counts = [len(c.plans) for _, c in codecs]

        def explode(what: str, x: Any) -> Leaves:
            out: list[Any] = []
            for n, c in codecs:
                out += c.explode(f"{what}.{n}", attribute(what, x, n))
            return out

        def implode(leaves: Leaves, env: Env) -> Any:
            out: dict[str, Any] = {}
            at = 0
            for (n, c), k in zip(codecs, counts, strict=True):
                out[n] = c.implode(leaves[at : at + k], env)
                at += k
            return Record(out)

        return Codec(explode, implode, tuple(p for _, c in codecs for p in c.plans))

    # -- algebraic types

    def _node(self, t: surface.Option | surface.Adt, ir: AdtType) -> Node:
        plain = surface.Adt(t.name) if isinstance(t, surface.Adt) else t
        key = (plain, ir.name)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = Node(str(plain))
            if isinstance(t, surface.Option):
                self._fill_option(found, t, ir)
            else:
                self._fill_adt(found, self._adts[ir.name])
        return found

    def _shapes(self, name: str) -> list[Shape]:
        return [s for s in self._schema.shapes if s.type.name == name]

    def _fill_adt(self, node: Node, info: AdtInfo) -> None:
        node.shapes = self._shapes(info.type)
        base = self._types[info.name]
        classes = [getattr(base, c.name) for c in info.constructors]
        node.classes = classes
        numbers = {c.name: i for i, c in enumerate(info.constructors)}
        codecs: list[list[tuple[str, Codec]]] = []
        for c, shape in zip(info.constructors, node.shapes, strict=True):
            own = [
                (f.name, self.codec(f.type, shape.fields[f.first : f.first + f.count]))
                for f in c.fields
            ]
            codecs.append(own)
            node.plans.append(tuple(p for _, f in own for p in f.plans))
            node.hidden.append(_hidden(shape))
        node.open = _opener(info.name, numbers, codecs)
        node.close = _closer(classes, codecs)

    def _fill_option(self, node: Node, t: surface.Option, ir: AdtType) -> None:
        node.shapes = self._shapes(ir.name)
        some = self.codec(t.element, node.shapes[1].fields)
        node.plans = [(), some.plans]
        node.hidden = [(), _hidden(node.shapes[1])]
        nested = isinstance(t.element, surface.Option)

        def open_(what: str, x: Any) -> tuple[int, Leaves]:
            if x is None:
                return 0, ()
            return 1, some.explode(what, x.value if isinstance(x, Some) else x)

        def close(tag: int, leaves: Leaves, env: Env) -> Any:
            if tag == 0:
                return None
            x = some.implode(leaves, env)
            return Some(x) if nested else x

        node.open, node.close = open_, close

    def _packed(self, t: surface.Type, ir: AdtType) -> Node:
        """Elements whose sizes differ from one to the next."""
        key = (t, ir.name)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = Node(str(t))
            found.shapes = self._shapes(ir.name)
            inner = self.codec(t, found.shapes[0].fields)
            found.plans = [inner.plans]
            found.hidden = [_hidden(found.shapes[0])]
            found.open = lambda what, x: (0, inner.explode(what, x))
            found.close = lambda tag, leaves, env: inner.implode(leaves, env)
        return found


@dataclass(frozen=True, slots=True)
class Some:
    """The value of an option that holds an option."""

    value: Any


class Record:
    """A record as Python has it: its fields are attributes."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)

    def __repr__(self) -> str:
        return f"Record({', '.join(self.__dict__)})"


# -- single types


def _single(explode: Callable[[str, Any], Any], plan: Plan) -> Codec:
    return Codec(lambda what, x: (explode(what, x),), lambda leaves, env: leaves[0], (plan,))


def _leaf_plan(part: Part) -> LeafPlan:
    assert isinstance(part, Leaf)
    return LeafPlan(part.number, part)


def _tensor(t: surface.Tensor, part: Part) -> Codec:
    plan = _leaf_plan(part)
    d, rank = t.concrete, len(t.shape)
    if not rank:
        # Numbers are converted together, a column at a time.
        return _single(lambda what, x: x, plan)

    def explode(what: str, x: Any) -> Any:
        made = tensors.tensor(what, d, x)
        if made.ndim != rank:
            raise ValueError(f"`{what}` must be {t}, not an array of shape {made.shape}")
        return made

    return _single(explode, plan)


def _tuple(codecs: Sequence[Codec]) -> Codec:
    counts = [len(c.plans) for c in codecs]

    def explode(what: str, x: Any) -> Leaves:
        if not isinstance(x, (tuple, list)) or len(x) != len(codecs):  # pyright: ignore[reportUnknownArgumentType]
            raise TypeError(f"`{what}` must be a tuple of {len(codecs)} values")
        out: list[Any] = []
        for i, (c, y) in enumerate(zip(codecs, cast("Sequence[Any]", x), strict=True)):
            out += c.explode(f"{what}.{i}", y)
        return out

    def implode(leaves: Leaves, env: Env) -> Any:
        out: list[Any] = []
        at = 0
        for c, k in zip(codecs, counts, strict=True):
            out.append(c.implode(leaves[at : at + k], env))
            at += k
        return tuple(out)

    return Codec(explode, implode, tuple(p for c in codecs for p in c.plans))


def _rows(t: surface.Rows, plan: Plan) -> Codec:
    assert isinstance(t.dtype, DType)
    dtype = t.dtype

    def explode(what: str, x: Any) -> Leaves:
        rows = rows_value(what, x)
        values = tensors.tensor(f"{what}.values", dtype, rows.values)
        return [list(zip(rows.indices, values, strict=True))]

    def implode(leaves: Leaves, env: Env) -> Any:
        width = t.width.evaluate(env)
        values = np.array([v for _, v in leaves[0]], dtype.numpy).reshape(len(leaves[0]), width)
        return Rows([i for i, _ in leaves[0]], values, _known(t.count, env))

    return Codec(explode, implode, (plan,))


def _segs(part: Part) -> Codec:
    def explode(what: str, x: Any) -> Leaves:
        return (segs_value(what, x).starts,)

    return Codec(explode, lambda leaves, env: Segs.from_starts(leaves[0]), (_leaf_plan(part),))


def _sparse(t: surface.Sparse, indices: Part, values: Part) -> Codec:
    assert isinstance(t.dtype, DType)
    dtype = t.dtype

    def explode(what: str, x: Any) -> Leaves:
        s = sparse_value(what, x)
        return s.indices, tensors.tensor(f"{what}.values", dtype, s.values)

    def implode(leaves: Leaves, env: Env) -> Any:
        return Sparse(leaves[0], leaves[1], _known(t.size, env) or 0)

    return Codec(explode, implode, (_leaf_plan(indices), _leaf_plan(values)))


def _graph(t: surface.Graph, src: Part, dst: Part) -> Codec:
    def explode(what: str, x: Any) -> Leaves:
        g = graph_value(what, x)
        return g.src, g.dst

    def implode(leaves: Leaves, env: Env) -> Any:
        return Graph(leaves[0], leaves[1], _known(t.nodes, env) or 0)

    return Codec(explode, implode, (_leaf_plan(src), _leaf_plan(dst)))


def _known(d: Dim, env: Env) -> int | None:
    return d.evaluate(env) if all(s in env for s in d.symbols()) else None


def _holds_nodes(plans: Sequence[Plan]) -> bool:
    return any(isinstance(p, NodePlan) or (isinstance(p, ListPlan) and p.has_nodes) for p in plans)


def _hidden(shape: Shape) -> tuple[tuple[int, int], ...]:
    """For each hidden dim, a leaf whose axis is that dim alone."""
    out: list[tuple[int, int]] = []
    for name in shape.constructor.dims:
        places = (
            (i, axis)
            for i, part in enumerate(shape.fields)
            if isinstance(part, Leaf)
            for axis, d in enumerate(part.shape)
            if d.name == name
        )
        found = next(places, None)
        if found is None:
            raise TypeError(f"{shape.constructor.name} has a size that none of its fields shows")
        out.append(found)
    return tuple(out)


def _opener(
    name: str, numbers: Mapping[str, int], codecs: Sequence[Sequence[tuple[str, Codec]]]
) -> Callable[[str, Any], tuple[int, Leaves]]:
    simple = [all(len(c.plans) == 1 for _, c in own) for own in codecs]

    def open_(what: str, x: Any) -> tuple[int, Leaves]:
        if not isinstance(x, Value) or x.type_name != name:
            raise TypeError(f"`{what}` must be {article(name)}, not {_kind(x)}")
        number = numbers.get(x.constructor)
        if number is None or len(x.fields) != len(codecs[number]):
            raise TypeError(f"`{what}`: no constructor of this {name} is {x.constructor}")
        own = codecs[number]
        try:
            if simple[number]:
                return number, [c.explode(n, f)[0] for (n, c), f in zip(own, x.fields, strict=True)]
            out: list[Any] = []
            for (n, c), f in zip(own, x.fields, strict=True):
                out += c.explode(n, f)
            return number, out
        except (TypeError, ValueError):
            for (n, c), f in zip(own, x.fields, strict=True):  # again, with the whole name
                c.explode(f"{what}.{x.constructor}.{n}", f)
            raise

    return open_


def _closer(
    classes: Sequence[type[Value]], codecs: Sequence[Sequence[tuple[str, Codec]]]
) -> Callable[[int, Leaves, Env], Any]:
    def close(tag: int, leaves: Leaves, env: Env) -> Any:
        fields: list[Any] = []
        at = 0
        for _, c in codecs[tag]:
            k = len(c.plans)
            fields.append(c.implode(leaves[at : at + k], env))
            at += k
        return classes[tag](*fields)

    return close


def _kind(x: Any) -> str:
    if isinstance(x, type):
        return _class(cast("type[Any]", x))
    return "None" if x is None else article(type(x).__name__)


def _class(c: type[Any]) -> str:
    """A class that was given in place of one of its values."""
    if not issubclass(c, Value):
        return f"the type {c.__name__}"
    if not c.constructor:
        return f"the type {c.type_name} itself: make a value by a constructor"
    fields = ", ".join(c.field_names)
    return f"the constructor itself: write `{c.type_name}.{c.constructor}({fields})`"


def article(name: str) -> str:
    """`an int`, `a Tree`."""
    return f"{'an' if name[:1] in 'AEIOaeio' else 'a'} {name}"


# -- what users may give for a structure


def sequence(what: str, x: Any) -> Sequence[Any]:
    """A list, a tuple, or an array along its first axis."""
    if isinstance(x, (list, tuple)):
        return x  # pyright: ignore[reportUnknownVariableType]
    if isinstance(x, np.ndarray) and x.ndim:
        return list(x)  # pyright: ignore[reportUnknownArgumentType]
    raise TypeError(f"`{what}` must be a list, not {_kind(x)}")


def number_sequence(what: str, d: DType, x: Any) -> Sequence[Any]:
    """A list of numbers, or an array of them, which must have the element type."""
    if not isinstance(x, np.ndarray):
        return sequence(what, x)
    a = cast("np.ndarray[Any, Any]", x)
    if a.ndim != 1:
        raise ValueError(f"`{what}` must have one axis, not the shape {a.shape}")
    return tensors.tensor(what, d, a).tolist()


def attribute(what: str, x: Any, name: str) -> Any:
    """A field of a record, from an object or a mapping."""
    if isinstance(x, Mapping):
        if name in x:
            return x[name]  # pyright: ignore[reportUnknownVariableType]
    elif hasattr(x, name):
        return getattr(x, name)
    raise TypeError(f"`{what}` has no field `{name}`")


def graph_value(what: str, x: Any) -> Graph:
    if not isinstance(x, Graph):
        raise TypeError(f"`{what}` must be a dlc.Graph(src, dst, nodes), not {_kind(x)}")
    return x


def segs_value(what: str, x: Any) -> Segs:
    if not isinstance(x, Segs):
        raise TypeError(f"`{what}` must be a dlc.Segs(lengths), not {_kind(x)}")
    return x


def sparse_value(what: str, x: Any) -> Sparse:
    if not isinstance(x, Sparse):
        message = f"`{what}` must be a dlc.Sparse(indices, values, size), not {_kind(x)}"
        raise TypeError(message)
    return x


def rows_value(what: str, x: Any) -> Rows:
    if isinstance(x, Rows):
        return x
    if isinstance(x, tuple) and len(x) == 2:  # pyright: ignore[reportUnknownArgumentType]
        return Rows(*x)  # pyright: ignore[reportUnknownArgumentType]
    raise TypeError(f"`{what}` must be a dlc.Rows(indices, values), not {_kind(x)}")
