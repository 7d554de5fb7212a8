"""Common subexpressions: an operation equal to an earlier one that dominates it is that one."""

from __future__ import annotations

from dlc.ir.core import Function, Module, Op, Region, Value
from dlc.ir.printer import attr_text
from dlc.ir.rewrite import Substitution
from dlc.ops.card import Trait
from dlc.ops.registry import card_of
from dlc.passes.effects import STRUCTURED

Key = tuple[object, ...]


def eliminate_common_subexpressions(module: Module) -> Module:
    """One walk per function with scoped tables. Operations with regions, calls, and those that
    define dims are left alone; a failing operation may be replaced by an equal one that has already
    succeeded."""
    return module.map_functions(_function)


def _function(fn: Function) -> Function:
    return fn.with_body(_region(fn.body, {}, Substitution()))


def _region(r: Region, outer: dict[Key, tuple[Value, ...]], s: Substitution) -> Region:
    seen = dict(outer)
    out: list[Op] = []
    for op in r.ops:
        operands = tuple(map(s.value, op.operands))
        regions = tuple(_region(x, seen, s) for x in op.regions)
        now = Op(op.name, operands, op.results, op.attrs, regions, op.dims, op.loc)
        key = _key(now)
        if key is not None:
            if key in seen:
                s.values.update(zip(op.results, seen[key], strict=True))
                continue
            seen[key] = op.results
        out.append(now)
    return Region(r.params, tuple(out), r.dims)


def _key(op: Op) -> Key | None:
    if op.name in STRUCTURED or op.dims or op.regions or not op.results:
        return None
    if Trait.EFFECT in card_of(op.name).traits or op.name in ("undef", "list_new"):
        return None
    attrs = tuple((k, attr_text(v)) for k, v in op.attrs.items() if k != "in_bounds")
    return (op.name, op.operands, attrs, tuple(v.type for v in op.results))
