"""Canonical loops and branches: carries that never change, loops of no or one turn, equal
yields."""

from __future__ import annotations

from dataclasses import replace

from dlc.ir.core import Function, Module, Op, Region, Value
from dlc.ir.rewrite import Substitution


def canonicalise_loops(module: Module) -> Module:
    """Drops carries that stay what they were (the body sees the init), loops without turns, and
    results that every branch yields alike from outside."""
    return module.map_functions(_function)


def _function(fn: Function) -> Function:
    return fn.with_body(_Canon().region(fn.body, Substitution()))


class _Canon:
    def __init__(self) -> None:
        self.makers: dict[Value, Op] = {}

    def region(self, r: Region, s: Substitution) -> Region:
        out: list[Op] = []
        for op in r.ops:
            operands = tuple(map(s.value, op.operands))
            now = replace(op, operands=operands)
            if op.name in ("for", "loop") and not op.dims:
                out += self.loop(now, s)
            elif op.name in ("if", "match") and not op.dims:
                out += self.branches(now, s)
            else:
                regions = tuple(self.region(x, s) for x in op.regions)
                out.append(replace(now, regions=regions))
            self.makers.update((v, out[-1]) for v in (out[-1].results if out else ()))
        return Region(r.params, tuple(out), r.dims)

    def number(self, v: Value) -> int | None:
        op = self.makers.get(v)
        if op is None or op.name != "const":
            return None
        x = op.attrs["value"]
        return x if isinstance(x, int) and not isinstance(x, bool) else None

    def loop(self, op: Op, s: Substitution) -> list[Op]:
        (body,) = op.regions
        counted = op.name == "for"
        first, lead = (2, 1) if counted else (0, 0)
        if counted:
            lo, hi = self.number(op.operands[0]), self.number(op.operands[1])
            if lo is not None and hi is not None and lo >= hi:
                s.values.update(zip(op.results, op.operands[first:], strict=True))
                return []
        skip = len(body.yields) - len(op.results)
        fixed: list[int] = []
        for j, p in enumerate(body.params[lead:]):
            y = s.value(body.yields[skip + j])
            if y is p or y is op.operands[first + j]:
                fixed.append(j)
                s.values[p] = op.operands[first + j]
                s.values[op.results[j]] = op.operands[first + j]
        inner = self.region(body, s)
        if not fixed:
            return [replace(op, regions=(inner,))]
        keep = [j for j in range(len(op.results)) if j not in fixed]
        end = inner.ops[-1]
        ys = (*end.operands[:skip], *(end.operands[skip + j] for j in keep))
        params = (*inner.params[:lead], *(inner.params[lead + j] for j in keep))
        new = Region(params, (*inner.ops[:-1], replace(end, operands=ys)), inner.dims)
        operands = (*op.operands[:first], *(op.operands[first + j] for j in keep))
        results = tuple(op.results[j] for j in keep)
        return [replace(op, operands=operands, results=results, regions=(new,))]

    def branches(self, op: Op, s: Substitution) -> list[Op]:
        regions = tuple(self.region(r, s) for r in op.regions)
        inside = [set(r.params) | {v for o in r.ops for v in o.results} for r in regions]
        keep: list[int] = []
        for k, res in enumerate(op.results):
            ys = [r.yields[k] for r in regions]
            if all(y is ys[0] for y in ys) and not any(ys[0] in own for own in inside):
                s.values[res] = ys[0]
            else:
                keep.append(k)
        if len(keep) == len(op.results):
            return [replace(op, regions=regions)]
        out: list[Region] = []
        for r in regions:
            end = replace(r.ops[-1], operands=tuple(r.yields[k] for k in keep))
            out.append(Region(r.params, (*r.ops[:-1], end), r.dims))
        results = tuple(op.results[k] for k in keep)
        return [replace(op, results=results, regions=tuple(out))]
