"""Carried tensors that cannot keep their place: a ring of buffers whose addresses move, not data.

`t0, t1 = t1, 2*x*t1 - t0` carries two tensors and makes one fresh one a turn: three buffers. At the
end of a turn the carried registers take the buffers of what was yielded, and the fresh value's
register takes the buffer that nobody carries any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.ir.core import Op, Value
from dlc.memory.classes import Classes
from dlc.memory.liveness import LoopFacts, bits
from dlc.memory.storage import MOVED, Kind
from dlc.typesys.types import TensorType


@dataclass(frozen=True, eq=False)
class Ring:
    """One group of equal size of a loop's carried positions.

    `carried` are the arguments, `results` the loop's results for them; `fresh` the values made in a
    turn that have a buffer of their own. `buffers` back the carried ones first, then the fresh
    ones. `sources[p]` says what carried position p has in the next turn: the register that held
    position `sources[p]` of `carried + fresh`; the entries after the carried ones say it for the
    fresh registers."""

    op: Op
    carried: tuple[Value, ...]
    fresh: tuple[Value, ...]
    results: tuple[Value, ...]
    buffers: tuple[Value, ...]
    sources: tuple[int, ...]

    @property
    def registers(self) -> tuple[Value, ...]:
        """The values whose address register stands for a buffer, in the order of `buffers`."""
        return self.carried + self.fresh


def carried_of(op: Op) -> tuple[tuple[Value, Value, Value, Value], ...]:
    """(first value, argument, yielded value, result) of every carried position."""
    (body,) = op.regions
    n = len(op.results)
    first, args = op.operands[len(op.operands) - n :], body.params[len(body.params) - n :]
    yields = body.yields[len(body.yields) - n :]
    return tuple(zip(first, args, yields, op.results, strict=True))


def place_loops(c: Classes) -> tuple[Ring, ...]:
    """Decides for every carried value, inner loops first: in place, by moved handles, or a ring."""
    rings: list[Ring] = []
    for facts in c.live.loops:
        rings += _place_loop(c, facts)
    return tuple(rings)


def _place_loop(c: Classes, facts: LoopFacts) -> list[Ring]:
    index = c.live.index
    waiting: list[tuple[Value, Value, Value, Value]] = []
    rows = carried_of(facts.op)
    # What another position takes over as it is must not be overwritten in its place.
    leaving = {y for _, arg, y, _ in rows if y is not arg}
    for first, arg, y, result in rows:
        if arg not in index:
            continue
        kind = c.n.kinds[arg]
        if kind in MOVED:
            _join(c, arg, first, result)
            c.merge(index[arg], index[y])
        elif arg not in leaving and (
            y is arg or (y not in facts.body.params and c.merge(index[arg], index[y]))
        ):
            _join(c, arg, first, result)
        else:
            waiting.append((first, arg, y, result))
    groups: dict[tuple[object, object], list[tuple[Value, Value, Value, Value]]] = {}
    for row in waiting:
        t = row[1].tensor
        groups.setdefault((t.dtype, c.size_of(row[1])), []).append(row)
    return [_ring(c, facts, rows) for rows in groups.values()]


def _join(c: Classes, arg: Value, *others: Value) -> None:
    index = c.live.index
    for v in others:
        merged = c.merge(index[arg], index[v])
        assert merged, f"{v!r} cannot have the place of {arg!r}"


def _ring(c: Classes, facts: LoopFacts, rows: list[tuple[Value, Value, Value, Value]]) -> Ring:
    index = c.live.index
    carried = tuple(arg for _, arg, _, _ in rows)
    position = {arg: p for p, arg in enumerate(carried)}
    yielded = [y for _, _, y, _ in rows]
    free = [a for a in carried if a not in yielded]
    sources: list[int] = []
    fresh: list[Value] = []
    for y in yielded:
        if y in position:
            sources.append(position[y])
            continue
        taken = next((a for a in free if c.merge(index[a], index[y])), None)
        if taken is not None:
            free.remove(taken)
            sources.append(position[taken])
        else:
            sources.append(len(carried) + len(fresh))
            fresh.append(y)
    # What no position takes over is free for the fresh values of the next turn.
    sources += [position[a] for a in free]
    for v in (*carried, *fresh):
        c.of_value(v).scope = facts.region
    results = tuple(r for _, _, _, r in rows)
    for r in results:
        c.of_value(r).frozen = True
    buffers = _buffers(c, facts, rows, fresh)
    for (first, _, _, _), b in zip(rows, buffers, strict=False):
        _join(c, b, first)
    return Ring(facts.op, carried, tuple(fresh), results, buffers, tuple(sources))


def _buffers(
    c: Classes,
    facts: LoopFacts,
    rows: list[tuple[Value, Value, Value, Value]],
    fresh: list[Value],
) -> tuple[Value, ...]:
    """Values that stand for the buffers. They must not share bytes with anything in the body, live
    through it, or live with a result."""
    live, index = c.live, c.live.index
    t = rows[0][1].tensor
    avoid = facts.inside | facts.through
    for row in rows:
        for v in row[1:]:
            # Where in the ring a value is, is not known: nothing may count on being where it is.
            avoid |= live.edges[index[v]] | live.exempt.get(index[v], 0)
    inits = 0
    for first, _, _, _ in rows:
        inits |= 1 << index[first]
    for k, v in enumerate(live.values):
        if v.hint == "ring" and live.inside(k, facts.region):
            avoid |= 1 << k
    made: list[int] = []
    for i in range(len(rows) + len(fresh)):
        v = Value(TensorType(t.dtype, t.shape), "ring")
        c.n.kinds[v] = Kind.SLOT
        k = live.add(v, live.region[index[rows[0][0]]])
        made.append(k)
        own = 1 << index[rows[i][0]] if i < len(rows) else 0
        live.edges[k] = (avoid | inits) & ~own
    for k in made:
        for j in made:
            if j != k:
                live.edges[k] |= 1 << j
        for j in bits(live.edges[k]):
            live.edges[j] |= 1 << k
            if j < len(c.home):
                c.home[j].edges |= 1 << k
    for k in made:
        c.add(k)
    return tuple(live.values[k] for k in made)
