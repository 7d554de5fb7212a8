"""If, Loop and Scan as control flow of the IR.

Values from around a graph are simply used inside it; an `If` whose condition is known is the branch
that is taken."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.importers import numbers
from dlc.importers.broadcasting import agree
from dlc.importers.call import Call, Operator, normal_axis
from dlc.importers.elements import BOOLEAN, INT64
from dlc.importers.loops import Turn, make_loop
from dlc.importers.messages import Graph, TensorInfo
from dlc.importers.refusal import refuse
from dlc.importers.scope import Uses
from dlc.importers.tensor import Item, Nothing, Tensor
from dlc.importers.tensor import Sequence as Items
from dlc.ir.core import Region

# -- structured values as tensors


def flatten(x: Item) -> list[Tensor]:
    """The tensors of an item."""
    if isinstance(x, Tensor):
        return [x]
    return [t for i in x.items for t in flatten(i)] if isinstance(x, Items) else []


def rebuild(like: Item, tensors: list[Tensor]) -> Item:
    """An item of this form from its tensors, which are taken off the front of the list."""
    if isinstance(like, Tensor):
        return tensors.pop(0)
    if isinstance(like, Items):
        return Items(tuple(rebuild(i, tensors) for i in like.items))
    return like


def form(x: Item) -> object:
    """What two branches must agree in."""
    if isinstance(x, Tensor):
        return (x.element, x.rank)
    if isinstance(x, Items):
        return tuple(form(i) for i in x.items)
    return None


# -- If


def _if(c: Call) -> tuple[Item, ...]:
    e = c.e
    condition = numbers.truth(c.tensor(0))
    if condition.rank:
        condition = e.reshape(condition, ())
    branches = (("then_branch", "then"), ("else_branch", "else"))
    if condition.known is not None:
        name, label = branches[0 if bool(condition.known) else 1]
        return c.inside.graph(c.graph(name), (), label)
    squeezed = next((k for k in (0, 1) if _squeezes(c, branches[k][0], branches[1 - k][0])), None)
    if squeezed is not None:
        name, label = branches[squeezed]
        holds = condition if squeezed == 0 else condition.op("not")
        e.check(holds, "If takes the branch that keeps an axis: a size that is not 1")
        return c.inside.graph(c.graph(name), (), label)
    value = e.value(condition)
    regions: list[Region] = []
    made: list[tuple[Item, ...]] = []
    for name, label in branches:
        with e.region():
            out = c.inside.graph(c.graph(name), (), label)
            made.append(out)
            regions.append(e.yield_region(*(t for x in out for t in flatten(x))))
    forms = [[form(x) for x in out] for out in made]
    if forms[0] != forms[1]:
        found = refuse("E0709", "the branches of If give values of different types or ranks")
        raise found.with_help("if its condition depends on sizes, give those numbers with --bind")
    results = e.b.if_(value, regions[0], regions[1])
    flat = [t for x in made[0] for t in flatten(x)]
    tensors = [e.tensor(v, t.element) for v, t in zip(results, flat, strict=True)]
    return tuple(rebuild(x, tensors) for x in made[0])


def _squeezes(c: Call, one: str, other: str) -> bool:
    """Whether one branch drops axes of a value and the other leaves it as it is: how exporters
    write a squeeze of an axis whose size they do not know. The rank is the first branch's then,
    and that the condition takes it is checked when the program runs."""
    of = _source(c.graph(one), "Squeeze")
    return of is not None and of == _source(c.graph(other), "Identity")


def _source(graph: Graph, op: str) -> str | None:
    """The value around the graph whose `op` is all that the graph gives; None for other graphs."""
    if len(graph.outputs) != 1 or any(
        n.domain or n.op not in (op, "Constant") for n in graph.nodes
    ):
        return None
    name = graph.outputs[0].name
    of = name if op == "Identity" else ""
    for n in graph.nodes:
        if name in n.outputs:
            of = n.inputs[0] if n.op == op and n.inputs else ""
    return of if of in Uses().of_graph(graph) else None


# -- Loop


def _tensors(xs: Sequence[Item], what: str) -> list[Tensor]:
    out: list[Tensor] = []
    for x in xs:
        if not isinstance(x, Tensor):
            raise refuse("E0709", f"{what} are tensors; sequences and optionals are not supported")
        out.append(x)
    return out


def _loop(c: Call) -> tuple[Item, ...]:
    e, graph = c.e, c.graph("body")
    count = len(c.inputs) - 2
    if len(graph.inputs) != count + 2 or len(graph.outputs) < count + 1:
        raise refuse("E0707", f"the body of Loop has {len(graph.inputs)} inputs and "
                     f"{len(graph.outputs)} outputs for {count} carried values")  # fmt: skip
    if any(not isinstance(x, Tensor) for x in c.inputs[2:]):
        return _unrolled(c, count)
    firsts = _tensors(c.inputs[2:], "the values that Loop carries")
    start = c.optional(1)
    begin = None if start is None else e.reshape(numbers.truth(start), ())
    trips = c.optional(0)
    limit = e.scalar((1 << 63) - 1, INT64) if trips is None else e.reshape(
        numbers.cast(trips, INT64), ()
    )  # fmt: skip
    if begin is not None and not (begin.known is not None and bool(begin.known)):
        limit = begin.choose(limit, 0)

    def body(index: Tensor, carried: Sequence[Tensor]) -> Turn:
        given = _body_inputs(graph, index)
        out = c.inside.graph(graph, (*given, *carried), "body")
        go, *rest = _tensors(out, "what the body of Loop gives")
        go = e.reshape(numbers.truth(go), ())
        always = go.known is not None and bool(go.known)
        return Turn(tuple(rest[:count]), None if always else go, tuple(rest[count:]))

    fixed = trips is not None and limit.symbols is not None
    turns = e.to_dim(limit.op("max", 0), "turns") if fixed else None
    lasts, collected = make_loop(e, firsts, body, limit, turns)
    return (*lasts, *collected)


def _unrolled(c: Call, count: int) -> tuple[Item, ...]:
    """A loop that carries sequences or optionals: one copy of the body for each turn, whose number
    must be known."""
    e, graph = c.e, c.graph("body")
    what = "the number of turns of a Loop that carries sequences"
    trips = c.known(0, what) if c.has(0) else None
    start = c.known(1, what) if c.has(1) else None
    carried: tuple[Item, ...] = tuple(c.inputs[2:])
    collected: list[list[Tensor]] = [[] for _ in graph.outputs[count + 1 :]]
    limit = (1 << 31) if trips is None or trips.known is None else int(trips.known.reshape(-1)[0])
    go = start is None or start.known is None or bool(start.known.reshape(-1)[0])
    turn = 0
    while go and turn < limit:
        given = _body_inputs(graph, e.scalar(turn, INT64))
        again, *rest = c.inside.graph(graph, (*given, *carried), "body")
        if not isinstance(again, Tensor) or again.known is None:
            raise c.open(what)
        go = bool(again.known.reshape(-1)[0])
        carried = tuple(rest[:count])
        for xs, x in zip(collected, _tensors(rest[count:], "what Loop collects"), strict=True):
            xs.append(e.reshape(x, (1, *x.shape)))
        turn += 1
    if not turn and collected:
        raise c.refused("Loop that carries sequences, collects tensors, and has no turn")
    return (*carried, *(e.concat(xs, 0) for xs in collected))


def _body_inputs(graph: Graph, index: Tensor) -> tuple[Tensor, Tensor]:
    """The number of the turn and the condition, in the shapes that the body declares."""
    e = index.e
    out: list[Tensor] = []
    for v, x in zip(graph.inputs, (index, e.scalar(True, BOOLEAN)), strict=False):
        t = v.type
        single = isinstance(t, TensorInfo) and t.shape is not None and len(t.shape) == 1
        out.append(e.reshape(x, (1,)) if single else x)
    return out[0], out[1]


# -- Scan


def _scan(c: Call) -> tuple[Item, ...]:
    if c.version == 8:
        return _scan_8(c)
    graph, count = c.graph("body"), c.int("num_scan_inputs")
    states = len(c.inputs) - count
    if count < 1 or states < 0 or len(graph.inputs) != len(c.inputs):
        raise refuse("E0707", f"Scan with {count} scanned of {len(c.inputs)} inputs")
    xs = _tensors(c.inputs, "the inputs of Scan")
    outs = len(graph.outputs) - states
    into = _numbers(c, "scan_input_directions", count), _numbers(c, "scan_output_directions", outs)
    axes_in, axes_out = _numbers(c, "scan_input_axes", count), _numbers(c, "scan_output_axes", outs)
    rows = [_rows(x, a, d) for x, a, d in zip(xs[states:], axes_in, into[0], strict=True)]
    lasts, made = scanned(c, graph, xs[:states], rows)
    stacked = [_placed(t, a, d) for t, a, d in zip(made, axes_out, into[1], strict=True)]
    return (*lasts, *stacked)


def _numbers(c: Call, name: str, n: int) -> tuple[int, ...]:
    found = c.ints(name)
    if found is None:
        return (0,) * n
    if len(found) != n:
        raise refuse("E0707", f"the attribute `{name}` has {len(found)} numbers, not {n}")
    return found


def _rows(x: Tensor, axis: int, backward: int) -> Tensor:
    """The steps of a scanned input on axis 0, in the order in which they are taken."""
    a = normal_axis(axis, x.rank)
    y = x.e.transpose(x, (a, *(k for k in range(x.rank) if k != a)))
    return x.e.emit("reverse", y, axis=0) if backward else y


def _placed(y: Tensor, axis: int, backward: int) -> Tensor:
    """Collected rows along an axis of the result."""
    a = normal_axis(axis, y.rank)
    y = y.e.emit("reverse", y, axis=0) if backward else y
    order = list(range(1, y.rank))
    order.insert(a, 0)
    return y.e.transpose(y, order)


def scanned(
    c: Call, graph: Graph, states: Sequence[Tensor], rows: Sequence[Tensor],
    limit: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:  # fmt: skip
    """The body for every step: last states, and what was collected on axis 0. With `limit` later
    steps are left out and give zeros."""
    e = c.e
    first, *others = rows
    for k, r in enumerate(others):
        first, others[k] = agree(first, 0, r, 0, "the number of steps of Scan")
    rows = [first, *others]
    steps = first.shape[0]
    values = [e.value(r) for r in rows]
    n = len(states)

    def body(index: Tensor, carried: Sequence[Tensor]) -> Turn:
        i = e.value(index)
        now = [
            e.tensor(e.b.emit("index", v, i, in_bounds=True), r.element)
            for v, r in zip(values, rows, strict=True)
        ]
        out = _tensors(
            c.inside.graph(graph, (*carried, *now), "body"), "what the body of Scan gives"
        )
        return Turn(tuple(out[:n]), None, tuple(out[n:]))

    hi = e.dim(steps) if limit is None else limit
    return make_loop(e, states, body, hi, steps)


def _scan_8(c: Call) -> tuple[Item, ...]:
    """The first axis is the batch: one scan for each of its rows."""
    e, graph, count = c.e, c.graph("body"), c.int("num_scan_inputs")
    lengths, *given = c.inputs
    xs = _tensors(given, "the inputs of Scan")
    states = len(xs) - count
    if count < 1 or states < 0 or len(graph.inputs) != len(xs):
        raise refuse("E0707", f"Scan with {count} scanned of {len(xs)} inputs")
    ways = _numbers(c, "directions", count)
    if any(not x.rank for x in xs):
        raise refuse("E0707", "the inputs of Scan have an axis of rows")
    batch = xs[0].shape[0]
    ends = None if isinstance(lengths, Nothing) else numbers.cast(c.tensor(0), INT64)
    values = [e.value(x) for x in xs]
    if ends is not None:
        e.value(ends)

    def body(index: Tensor, carried: Sequence[Tensor]) -> Turn:
        i = e.value(index)
        row = [
            e.tensor(e.b.emit("index", v, i), x.element) for v, x in zip(values, xs, strict=True)
        ]
        steps = [
            e.emit("reverse", r, axis=0) if w else r
            for r, w in zip(row[states:], ways, strict=True)
        ]
        limit = None
        if ends is not None:
            limit = e.tensor(e.b.emit("index", e.value(ends), i), INT64)
        lasts, made = scanned(c, graph, row[:states], steps, limit)
        return Turn((), None, (*lasts, *made))

    _, out = make_loop(e, [], body, e.dim(batch), batch)
    return tuple(out)


OPERATORS: tuple[Operator, ...] = (
    Operator("If", (1, 11, 13, 16, 19, 21, 23, 24, 25), _if),
    Operator("Loop", (1, 11, 13, 16, 19, 21, 23, 24, 25), _loop),
    Operator("Scan", (8, 9, 11, 16, 19, 21, 23, 24, 25), _scan),
)
