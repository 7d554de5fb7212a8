"""Operations made a function of their own, so that a size that is known only there is a dim of its
own: the planner then gives every value of that size a fixed place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.ir.core import Function, Loc, Op, Region, Value, freeze_attrs
from dlc.ir.names import defined_dims
from dlc.ir.rewrite import Substitution, free_values, used_dims
from dlc.typesys.dims import Dim
from dlc.typesys.types import type_symbols


@dataclass(frozen=True)
class Outlined:
    """A function, and what it is called with: values, and dims."""

    fn: Function
    args: tuple[Value, ...]
    dims: tuple[Dim, ...]


def outline(
    name: str, ops: Sequence[Op], results: Sequence[tuple[Value, Value]], loc: Loc
) -> Outlined:
    """`name(free values) -> results`. A result is given as (old, new): where `old` is a free value,
    the result takes its place (`inout`)."""
    end = Op("return", tuple(new for _, new in results), loc=loc)
    region = Region((), (*ops, end))
    args = list(free_values(region))
    own = set(defined_dims(region))
    symbols = [d for v in args for d in type_symbols(v.type)]
    names = tuple(d for d in dict.fromkeys((*symbols, *used_dims(region.ops))) if d not in own)
    params = {v: Value(v.type, v.hint) for v in args}
    body = Substitution(params).region(region)
    pairs = tuple((args.index(old), r) for r, (old, _) in enumerate(results) if old in params)
    fn = Function(
        name,
        names,
        tuple(params.values()),
        tuple(new.type for _, new in results),
        body,
        (),
        freeze_attrs({"inout": pairs} if pairs else {}),
        loc,
    )
    return Outlined(fn, tuple(args), tuple(map(Dim.sym, names)))
