"""The function that goes over a schedule: one for each half of a recursion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlc.ir.core import AdtDecl, Attr, Function, Value
from dlc.ir.names import DimNames
from dlc.ops.build import Builder
from dlc.ops.card import Batched, Rows
from dlc.passes.effects import Effects
from dlc.passes.levels.deferred import Adder, needed
from dlc.passes.levels.recursion import Recursion
from dlc.passes.levels.schedule import Schedule
from dlc.passes.levels.sweeps import Sweeps


@dataclass(frozen=True)
class Written:
    """`fn` takes the recursion's parameters but the node, then the schedule, then the tables that
    it was given; it returns ups, then accumulators, then the tables that were asked for (or, for a
    second half, the results in their order). `functions` are it and what it calls."""

    fn: Function
    functions: tuple[Function, ...]
    tables: tuple[Mapping[Value, Batched], ...]


def sweep_name(fn: Function) -> str:
    return f"{fn.name}.sweep"


def builder(
    fn: Function, types: Mapping[str, AdtDecl], params: Sequence[Value], dims: Sequence[str] = ()
) -> Builder:
    """A builder for a function beside `fn`, with its dims and more, and such parameters."""
    b = Builder(types, DimNames((*fn.dims, *dims)), fn.loc)
    return b.nested([p.type for p in params], [p.hint for p in params])


def write_sweeps(
    rec: Recursion,
    shape: Schedule,
    tables: Sequence[Mapping[Value, Batched]] | None,
    kept: Sequence[Sequence[Value]],
    effects: Effects,
    types: Mapping[str, AdtDecl],
    zeros: frozenset[int] = frozenset(),
) -> Written:
    """A half over a schedule of this shape. `tables` are the leaves of each case; without them they
    are the schedule's fields. Accumulators in `zeros` begin with nothing and are no parameters.
    Raises Refused, NotBatchable."""
    fn, roles, first = rec.fn, rec.roles, tables is None
    own = [p for i, p in enumerate(fn.params) if i not in roles.nodes and i not in zeros]
    flat = [] if tables is None else [x.value for t in tables for x in t.values()]
    names = tuple(d.name or "" for d in shape.dims)
    scheduled = shape.values(payload=first)
    b = builder(fn, types, [*own, *scheduled, *flat], names)
    params = dict(zip(own, b.params, strict=False))
    rest = iter(b.params[len(own) :])
    here = shape.with_values([next(rest) for _ in scheduled], shape.dims, payload=first)
    leaves: list[dict[Value, Batched]] = []
    if tables is None:
        for case, rows in zip(rec.cases, here.cases, strict=True):
            fields: list[Batched] = [Rows(x) for x in rows.payload]
            leaves.append(dict(zip(case.leaves, fields, strict=True)))
    else:
        leaves += [{v: type(x)(next(rest)) for v, x in t.items()} for t in tables]
    sweeps = Sweeps(b, rec, here, params, leaves, effects)
    more = [needed(p.case, p.time) for p in sweeps.parts]
    sweeps.write([[*a, *m] for a, m in zip(kept, more, strict=True)])
    out = {r: sweeps.result(r) for r in roles.up}
    add = Adder(b, sweeps)
    for n, (p, r) in enumerate(roles.acc):
        out[r] = add.add(n, params.get(fn.params[p]))
    order = [*roles.up, *(r for _, r in roles.acc)] if first else range(len(fn.result_types))
    made = [{x: sweeps.table(n, x) for x in xs} for n, xs in enumerate(kept)]
    results = [*(out[r] for r in order), *(x.value for t in made for x in t.values())]
    pairs = tuple(
        (own.index(fn.params[p]), list(order).index(r)) for p, r in roles.acc if p not in zeros
    )
    attrs: dict[str, Attr] = {"inout": pairs} if pairs else {}
    name, dims = sweep_name(fn), (*fn.dims, *names)
    main = b.function(name, dims, b.return_(*results), attrs=attrs, loc=fn.loc)
    return Written(main, (main, *sweeps.functions), tuple(made))
