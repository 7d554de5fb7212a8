"""Sequences and optionals whose length and presence are known when importing: lists of tensors that
need no form at run time."""

from __future__ import annotations

from dlc.importers import numbers
from dlc.importers.call import Call, Operator, normal_axis, numbers_of
from dlc.importers.elements import BOOLEAN, INT64
from dlc.importers.operators.shapes import concat, split
from dlc.importers.refusal import refuse
from dlc.importers.tensor import OMITTED, Item, Nothing, Sequence, Tensor
from dlc.typesys.dims import ONE, Dim


def _construct(c: Call) -> Item:
    return Sequence(c.inputs)


def _empty(c: Call) -> Item:
    return Sequence(())


def _length(c: Call) -> Item:
    return c.e.scalar(len(c.sequence(0).items), INT64)


def _position(c: Call, i: int, count: int, past: int = 0) -> int:
    """Input i as a position among `count` items; the last one without it."""
    if not c.has(i):
        return count - 1 + past
    t = c.known(i, "the position in a sequence")
    assert t.known is not None
    at = int(t.known.reshape(-1)[0])
    at = at + count if at < 0 else at
    if not 0 <= at < count + past:
        raise refuse("E0707", f"position {at} of a sequence of {count}")
    return at


def _at(c: Call) -> Item:
    items = c.sequence(0).items
    if c.has(1) and c.tensor(1).known is None:
        return _at_run_time(c, items)
    return items[_position(c, 1, len(items))]


def _at_run_time(c: Call, items: tuple[Item, ...]) -> Item:
    """A position that the run decides, among tensors of one type."""
    e, i = c.e, numbers.cast(c.e.reshape(c.tensor(1), ()), INT64)
    xs = [x for x in items if isinstance(x, Tensor)]
    if not xs or len(xs) != len(items) or len({(x.element, x.shape) for x in xs}) > 1:
        raise c.open("the position in a sequence of tensors that differ")
    rows = e.concat([e.reshape(x, (1, *x.shape)) for x in xs], 0)
    at = (i < 0).choose(i + len(xs), i)
    return e.emit("take", rows, at, axis=0)


def _insert(c: Call) -> Item:
    items = c.sequence(0).items
    at = _position(c, 2, len(items), 1)
    return Sequence((*items[:at], c.inputs[1], *items[at:]))


def _erase(c: Call) -> Item:
    items = c.sequence(0).items
    at = _position(c, 1, len(items))
    return Sequence((*items[:at], *items[at + 1 :]))


def _split_to(c: Call) -> Item:
    x, e = c.tensor(0), c.e
    axis = normal_axis(c.int("axis", 0), x.rank)
    n = x.shape[axis]
    if not n.is_constant:
        raise c.open("how many pieces SplitToSequence makes")
    total, single = n.constant, not c.has(1)
    if single:
        sizes: tuple[int, ...] = (1,) * total
    else:
        given = c.known(1, "the sizes of SplitToSequence")
        found = numbers_of(given)
        assert found is not None
        if given.rank == 0:
            k = found[0]
            if k < 1:
                raise refuse("E0707", f"pieces of {k}")
            sizes = (*[k] * (total // k), *([total % k] if total % k else []))
        else:
            sizes = found
    parts = split(x, axis, tuple(map(Dim.const, sizes)))
    if single and not c.int("keepdims", 1):
        rest = [d for a, d in enumerate(x.shape) if a != axis]
        parts = tuple(e.reshape(p, rest) for p in parts)
    return Sequence(parts)


def _concat_from(c: Call) -> Item:
    xs: list[Tensor] = []
    for x in c.sequence(0).items:
        if not isinstance(x, Tensor):
            raise refuse("E0707", "a sequence of tensors is joined")
        xs.append(x)
    if not xs:
        raise refuse("E0707", "an empty sequence cannot be joined")
    new = c.flag("new_axis")
    axis = normal_axis(c.int("axis"), xs[0].rank + new)
    if new:
        xs = [c.e.reshape(x, (*x.shape[:axis], ONE, *x.shape[axis:])) for x in xs]
    return concat(xs, axis)


def _map(c: Call) -> tuple[Item, ...]:
    """The body for each position of the first sequence; tensors among the other inputs are the same
    for all."""
    graph, first = c.graph("body"), c.sequence(0).items
    rows: list[tuple[Item, ...]] = []
    for k in range(len(first)):
        given: list[Item] = []
        for x in c.inputs:
            if isinstance(x, Sequence) and len(x.items) != len(first):
                raise refuse("E0707", f"sequences of {len(first)} and {len(x.items)} items")
            given.append(x.items[k] if isinstance(x, Sequence) else x)
        rows.append(c.inside.graph(graph, given, f"body{k}"))
    if not rows:
        return tuple(Sequence(()) for _ in graph.outputs)
    return tuple(Sequence(column) for column in zip(*rows, strict=True))


def _optional(c: Call) -> Item:
    return c.inputs[0] if c.has(0) else OMITTED


def _has_element(c: Call) -> Item:
    return c.e.scalar(c.has(0), BOOLEAN)


def _get_element(c: Call) -> Item:
    x = c.inputs[0]
    if isinstance(x, Nothing):
        raise refuse("E0707", "the optional has no element")
    return x


OPERATORS: tuple[Operator, ...] = (
    Operator("SequenceConstruct", (11,), _construct),
    Operator("SequenceEmpty", (11,), _empty),
    Operator("SequenceLength", (11,), _length),
    Operator("SequenceAt", (11,), _at),
    Operator("SequenceInsert", (11,), _insert),
    Operator("SequenceErase", (11,), _erase),
    Operator("SplitToSequence", (11, 24), _split_to),
    Operator("ConcatFromSequence", (11,), _concat_from),
    Operator("SequenceMap", (17,), _map),
    Operator("Optional", (15, 28), _optional),
    Operator("OptionalHasElement", (15, 18, 28), _has_element),
    Operator("OptionalGetElement", (15, 18, 28), _get_element),
)
