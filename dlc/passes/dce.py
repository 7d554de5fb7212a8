"""Dead code: operations whose results nobody uses, carries nobody reads, functions nobody calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlc.ir.core import AdtDecl, Attr, Function, Module, Op, Region, Value, freeze_attrs, walk
from dlc.ir.rewrite import attr_symbols
from dlc.passes.effects import Effects, calls
from dlc.typesys.types import AdtType, ListType, Type, type_symbols


def eliminate_dead_code(module: Module) -> Module:
    """Removes unused pure operations, unused results and carries of structured ones, then functions
    that no public function reaches, and types that no function mentions."""
    effects = Effects(module)
    return prune(module.map_functions(lambda fn: _function(fn, effects)))


def prune(module: Module) -> Module:
    """The module without unreachable functions and unmentioned types. A module without public
    functions keeps all functions."""
    roots = [n for n, f in module.functions.items() if f.attrs.get("public") is True]
    edges = calls(module)
    keep: dict[str, None] = {}
    work = list(reversed(roots)) or list(module.functions)
    while work:
        name = work.pop()
        if name not in keep and name in module.functions:
            keep[name] = None
            work.extend(edges[name])
    functions = {n: f for n, f in module.functions.items() if n in keep}
    return Module.of(_types(module, functions), functions)


def _types(module: Module, functions: dict[str, Function]) -> dict[str, AdtDecl]:
    seen: dict[str, None] = {}

    def visit(t: Type) -> None:
        if isinstance(t, ListType):
            for c in t.columns:
                visit(c)
        elif isinstance(t, AdtType) and t.name not in seen and t.name in module.types:
            seen[t.name] = None
            for c in module.types[t.name].constructors:
                for f in c.fields:
                    visit(f.type)

    def visit_attr(a: Attr) -> None:
        if isinstance(a, (ListType, AdtType)):
            visit(a)
        elif isinstance(a, tuple):
            for x in a:
                visit_attr(x)

    for fn in functions.values():
        for v in fn.params:
            visit(v.type)
        for t in fn.result_types:
            visit(t)
        for op in walk(fn.body):
            for v in op.results:
                visit(v.type)
            for r in op.regions:
                for v in r.params:
                    visit(v.type)
            for a in op.attrs.values():
                visit_attr(a)
    return {n: t for n, t in module.types.items() if n in seen}


def _function(fn: Function, effects: Effects) -> Function:
    return fn.with_body(_Sweep(effects).region(fn.body, None))


class _Sweep:
    """One backward walk: what is live is what effects, terminators and live operations use."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects
        self.live: set[Value] = set()
        self.dims: set[str] = set()

    def use(self, values: Sequence[Value]) -> None:
        for v in values:
            self.live.add(v)
            self.dims.update(type_symbols(v.type))

    def region(self, r: Region, wanted: Sequence[bool] | None) -> Region:
        """The region without what is dead; of its terminator's operands only the wanted stay."""
        end = r.ops[-1]
        if wanted is not None:
            kept = tuple(v for v, w in zip(end.operands, wanted, strict=True) if w)
            end = replace(end, operands=kept)
        out: list[Op] = [end]
        self.use(end.operands)
        self._use_attrs(end)
        for op in reversed(r.ops[:-1]):
            new = self.op(op)
            if new is not None:
                out.append(new)
        return Region(r.params, tuple(reversed(out)), r.dims)

    def op(self, op: Op) -> Op | None:
        needed = any(v in self.live for v in op.results) or any(d in self.dims for d in op.dims)
        if not needed and not self.effects.may_fail(op):
            return None
        if op.name in ("if", "match") and not op.dims:
            op = self._branches(op)
        elif op.name in ("for", "loop") and not op.dims:
            op = self._loop(op)
        elif op.name == "map":
            wanted = [v in self.live for v in op.results]
            body = self.region(op.regions[0], wanted)
            results = tuple(v for v in op.results if v in self.live)
            op = replace(op, results=results, regions=(body,))
        else:
            op = replace(op, regions=tuple(self.region(r, None) for r in op.regions))
        self.use(op.operands)
        self.use(op.results)
        for r in op.regions:
            self.use(r.params)
        self._use_attrs(op)
        return op

    def _use_attrs(self, op: Op) -> None:
        for a in op.attrs.values():
            self.dims.update(attr_symbols(a))

    def _branches(self, op: Op) -> Op:
        wanted = [v in self.live for v in op.results]
        regions = tuple(self.region(r, wanted) for r in op.regions)
        results = tuple(v for v in op.results if v in self.live)
        return replace(op, results=results, regions=regions)

    def _loop(self, op: Op) -> Op:
        """A carry stays if its result is used, or if the body needs it for one that stays."""
        (body,) = op.regions
        first = 2 if op.name == "for" else 0
        lead = 1 if op.name == "for" else 0
        go = len(body.yields) - len(op.results)
        keep = [v in self.live for v in op.results]
        while True:
            trial = _Sweep(self.effects)
            trial.live, trial.dims = set(self.live), set(self.dims)
            new = trial.region(body, [True] * go + keep)
            more = [k or p in trial.live for k, p in zip(keep, body.params[lead:], strict=True)]
            if more == keep:
                break
            keep = more
        self.live, self.dims = trial.live, trial.dims
        carries = tuple(p for p, k in zip(body.params[lead:], keep, strict=True) if k)
        inits = tuple(v for v, k in zip(op.operands[first:], keep, strict=True) if k)
        return replace(
            op,
            operands=(*op.operands[:first], *inits),
            results=tuple(v for v, k in zip(op.results, keep, strict=True) if k),
            regions=(Region((*body.params[:lead], *carries), new.ops, body.dims),),
        )


__all__ = ["eliminate_dead_code", "freeze_attrs", "prune"]
