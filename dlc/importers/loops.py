"""One loop of the IR around a body that is imported for it.

What a loop carries keeps its element type and rank; an axis whose size changes from turn to turn
gets a name that each turn binds anew. The body is tried until the types of what it carries are
those that it yields, then imported for good: a second try is needed where a size changes, or where
something turns out never to change, for then it is known inside the body.

What is collected is written into a tensor if the number of turns is known before the loop, and else
grows as a list. Rows of a size that the turns decide are collected element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dlc.importers.elements import INT64, Element
from dlc.importers.emission import Emission
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Shape, Tensor
from dlc.ir.core import Op, Region, Value
from dlc.ir.names import defined_dims
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.types import ListType, TensorType, Type

INDEX = TensorType(INT64.storage)


@dataclass(frozen=True)
class Turn:
    """What importing the body once gives: the values carried on, whether to go on (None: always),
    and what is collected."""

    after: tuple[Tensor, ...]
    go: Tensor | None
    collected: tuple[Tensor, ...]


Body = Callable[[Tensor, Sequence[Tensor]], Turn]
"""`(number of the turn, carried values) -> Turn`, importing into the open region."""


@dataclass(frozen=True)
class Carried:
    """One value that a loop carries: what it is at first, its shape inside, the axes whose size
    changes, and whether it never changes at all."""

    first: Tensor
    shape: Shape
    open: frozenset[int] = frozenset()
    fixed: bool = False

    @property
    def type(self) -> TensorType:
        return TensorType(self.first.element.storage, self.shape)


@dataclass(frozen=True)
class Row:
    """What one turn adds to a collected tensor. `sizes` is True if the turn decides the shape."""

    element: Element
    shape: Shape
    sizes: bool


def make_loop(
    e: Emission, firsts: Sequence[Tensor], body: Body, limit: Tensor, turns: Dim | None
) -> tuple[list[Tensor], list[Tensor]]:
    """At most `limit` turns: the last carried values, and what was collected, stacked. `turns` is
    the number of turns as a dim, if it is one and the body has no exit."""
    carried, rows, exits = _settled(e, firsts, body)
    return _Loop(e, carried, rows, exits, None if exits else turns).emit(body, limit)


# -- trying


def _settled(
    e: Emission, firsts: Sequence[Tensor], body: Body
) -> tuple[list[Carried], list[Row], bool]:
    """The carried values with their shapes inside, the rows that are collected, and whether the
    body has an exit."""
    carried = [Carried(t, t.shape) for t in firsts]
    for _ in range(2 + len(firsts) + sum(t.rank for t in firsts)):
        named, hidden = _named(e, carried)
        types = [x.type for x in named if not x.fixed]
        with e.region([INDEX, *types], ["i"], hidden) as b:
            inside = _inside(e, b, named)
            turn = body(e.tensor(b.params[0], INT64), inside)
            local = frozenset(_local_dims(b))
        again = [_after(k, x, y, z) for k, (x, y, z) in enumerate(
            zip(named, inside, turn.after, strict=True))]  # fmt: skip
        if all(a.fixed == x.fixed and a.open == x.open
               for a, x in zip(again, carried, strict=True)):  # fmt: skip
            rows = [
                Row(t.element, t.shape, any(s in local for d in t.shape for s in d.symbols()))
                for t in turn.collected
            ]
            return named, rows, turn.go is not None
        carried = again
    raise refuse("E0709", "the sizes that the loop carries don't settle")


def _named(e: Emission, carried: Sequence[Carried]) -> tuple[list[Carried], tuple[str, ...]]:
    """The carried values with fresh names for sizes that change, and all these names."""
    out: list[Carried] = []
    names: list[str] = []
    for x in carried:
        shape = list(x.shape)
        for a in sorted(x.open):
            names.append(e.names.fresh("size"))
            shape[a] = Dim.sym(names[-1])
        out.append(replace(x, shape=tuple(shape)))
    return out, tuple(names)


def _inside(e: Emission, b: Builder, carried: Sequence[Carried]) -> list[Tensor]:
    """The carried values as the body sees them: the region's parameters, or what never changes."""
    params = iter(b.params[1:])
    return [x.first if x.fixed else e.tensor(next(params), x.first.element) for x in carried]


def _after(k: int, x: Carried, inside: Tensor, after: Tensor) -> Carried:
    """The carried value, with what one turn showed of it. Raises E0709."""
    if after.element is not x.first.element or after.rank != len(x.shape):
        raise refuse(
            "E0709",
            f"the carried value {k} of the loop begins as {x.first} and goes on as {after}: its "
            "type or rank changes",
        )
    if x.fixed or (after is inside and not x.open):
        return replace(x, fixed=True)
    changed = {a for a, (d, n) in enumerate(zip(x.shape, after.shape, strict=True)) if d != n}
    return replace(x, open=x.open | frozenset(changed))


def _local_dims(b: Builder) -> Iterator[str]:
    """The dims that mean nothing outside of the region."""
    yield from b.dims
    for op in b.ops:
        yield from _defined(op)


def _defined(op: Op) -> Iterator[str]:
    yield from op.dims
    for r in op.regions:
        yield from defined_dims(r)


# -- making


class _Loop:
    """A loop whose types are known."""

    def __init__(
        self,
        e: Emission,
        carried: Sequence[Carried],
        rows: Sequence[Row],
        exits: bool,
        turns: Dim | None,
    ) -> None:
        self.e, self.rows, self.exits, self.turns = e, rows, exits, turns
        self.carried, self.hidden = _named(e, carried)
        self.moving = [x for x in self.carried if not x.fixed]

    def emit(self, body: Body, limit: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        e = self.e
        lo, hi = e.b.scalar(0, INT64.storage), e.value(limit)
        inits = [e.value(x.first) for x in self.moving]
        rooms = [v for r in self.rows for v in self._rooms(r)]
        types: list[Type] = [INDEX, *(x.type for x in self.moving), *(v.type for v in rooms)]
        hints = ["i", *["carried"] * len(self.moving), *["rows"] * len(rooms)]
        with e.region(types, hints, self.hidden) as b:
            turn = body(e.tensor(b.params[0], INT64), _inside(e, b, self.carried))
            region = self._yielded(b, turn)
        first_dims = [x.first.shape[a] for x in self.moving for a in sorted(x.open)]
        out = e.b.for_(lo, hi, [*inits, *rooms], region, exits=self.exits, init_dims=first_dims)
        results = iter(out)
        lasts = [
            x.first if x.fixed else e.tensor(next(results), x.first.element) for x in self.carried
        ]
        return lasts, [self._stacked(r, results) for r in self.rows]

    def _yielded(self, b: Builder, turn: Turn) -> Region:
        e = self.e
        kept = iter(b.params[1 + len(self.moving) :])
        values = [e.value(t) for t, x in zip(turn.after, self.carried, strict=True) if not x.fixed]
        for row, t in zip(self.rows, turn.collected, strict=True):
            values += self._added(b, row, t, kept)
        go = [] if turn.go is None else [e.value(turn.go)]
        return b.yield_(*go, *values)

    # -- collecting

    def _rooms(self, row: Row) -> list[Value]:
        """What a row is collected in, at first: a tensor; a list of rows; or a list of elements
        and the sizes of a row."""
        b, d = self.e.b, row.element.storage
        if row.sizes:
            empty = b.emit_typed("list_new", ListType((TensorType(d),)))
            return [empty, *(b.scalar(0, INT64.storage) for _ in row.shape)]
        if self.turns is None:
            return [b.emit_typed("list_new", ListType((TensorType(d, row.shape),)))]
        return [b.full(False if d.is_bool else 0, TensorType(d, (self.turns, *row.shape)))]

    def _added(self, b: Builder, row: Row, t: Tensor, kept: Iterator[Value]) -> list[Value]:
        e, room = self.e, next(kept)
        if row.sizes:
            for _ in row.shape:
                next(kept)
            size = TensorType(row.element.storage, t.shape).size
            flat = e.value(e.reshape(t, (size,)))
            sizes = [e.value(e.dim(d)) for d in t.shape]
            return [self._pushed(b, room, flat), *sizes]
        if self.turns is None:
            return [b.emit("list_push", room, e.value(t))]
        return [b.emit("insert", room, e.value(t), b.params[0], in_bounds=True)]

    def _pushed(self, b: Builder, room: Value, flat: Value) -> Value:
        """The list with all elements of a vector at its end."""
        lo, hi = b.scalar(0, INT64.storage), b.dim(flat.tensor.shape[0], INT64.storage)
        inner = b.nested([INDEX, room.type], ["k", "rows"])
        k, now = inner.params
        x = inner.emit("index", flat, k, in_bounds=True)
        (out,) = b.for_(lo, hi, [room], inner.yield_(inner.emit("list_push", now, x)))
        return out

    def _stacked(self, row: Row, results: Iterator[Value]) -> Tensor:
        e, v = self.e, next(results)
        if row.sizes:
            sizes = [e.to_dim(e.tensor(next(results), INT64), "size") for _ in row.shape]
            flat = self._gathered(v, TensorType(row.element.storage))
            count = TensorType(row.element.storage, tuple(sizes)).size
            n = e.dim(flat.tensor.shape[0]).op("floordiv", e.dim(count).op("max", 1))
            x = e.tensor(flat, row.element)
            return e.reshape(x, (e.to_dim(n, "turns"), *sizes))
        if self.turns is None:
            v = self._gathered(v, TensorType(row.element.storage, row.shape))
        return e.tensor(v, row.element)

    def _gathered(self, rows: Value, t: TensorType) -> Value:
        """A list of tensors of this type as one tensor."""
        b = self.e.b
        length = b.emit("list_len", rows)
        n = b.as_dim(length, "turns")
        whole = b.full(False if t.dtype.is_bool else 0, TensorType(t.dtype, (n, *t.shape)))
        lo = b.scalar(0, length.tensor.dtype)
        inner = b.nested([length.tensor, whole.tensor], ["i", "rows"])
        i, now = inner.params
        x = inner.emit("list_get", rows, i, in_bounds=True)
        body = inner.yield_(inner.emit("insert", now, x, i, in_bounds=True))
        (out,) = b.for_(lo, length, [whole], body)
        return out
