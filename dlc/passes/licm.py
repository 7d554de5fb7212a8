"""Loop-invariant code motion: what a loop's body computes anew each turn from outside values
alone."""

from __future__ import annotations

from dlc.ir.core import Function, Module, Op, Region, Value
from dlc.ir.rewrite import attr_symbols
from dlc.passes.effects import STRUCTURED, Effects
from dlc.typesys.types import type_symbols

LOOPS = ("for", "loop", "map")


def hoist_invariants(module: Module) -> Module:
    """Moves pure operations that cannot fail out of `for`, `loop` and `map`, innermost loops first.

    An operation with regions moves as a whole. Nothing is moved out of a branch: it might compute
    what is never used."""
    effects = Effects(module)
    return module.map_functions(lambda fn: _function(fn, effects))


def _function(fn: Function, effects: Effects) -> Function:
    return fn.with_body(_region(fn.body, effects))


def _region(r: Region, effects: Effects) -> Region:
    out: list[Op] = []
    for op in r.ops:
        regions = tuple(_region(x, effects) for x in op.regions)
        now = Op(op.name, op.operands, op.results, op.attrs, regions, op.dims, op.loc)
        if op.name in LOOPS:
            (body,) = regions
            moved, kept = _split(body, effects)
            out += moved
            now = Op(op.name, op.operands, op.results, op.attrs, (kept,), op.dims, op.loc)
        out.append(now)
    return Region(r.params, tuple(out), r.dims)


def _split(body: Region, effects: Effects) -> tuple[list[Op], Region]:
    inside: set[Value] = set(body.params)
    dims: set[str] = set(body.dims)
    moved: list[Op] = []
    kept: list[Op] = []
    for op in body.ops[:-1]:
        if _depends(op, inside, dims) or op.dims or effects.may_fail(op) or not op.results:
            kept.append(op)
            inside.update(op.results)
            dims.update(op.dims)
        else:
            moved.append(op)
    return moved, Region(body.params, (*kept, body.ops[-1]), body.dims)


def _depends(op: Op, inside: set[Value], dims: set[str]) -> bool:
    if any(v in inside for v in op.operands):
        return True
    if op.name not in STRUCTURED and op.name == "undef":
        return False
    if dims:
        for v in op.results:
            if any(d in dims for d in type_symbols(v.type)):
                return True
        for a in op.attrs.values():
            if any(d in dims for d in attr_symbols(a)):
                return True
    return any(_depends(o, inside, dims) for r in op.regions for o in r.ops)
