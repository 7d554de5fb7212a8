"""Inlining of functions outside recursive groups, and their specialisation to constant dims."""

from __future__ import annotations

from dlc import resources
from dlc.ir.core import Function, Module, Op, Region, Value, freeze_attrs, walk
from dlc.ir.names import DimNames
from dlc.ir.rewrite import Substitution, all_dims, inline_body, located
from dlc.passes.effects import calls
from dlc.typesys.dims import Dim

SMALL = 40
"""A callee of at most this many operations is inlined at every call; a larger one if it is called
once."""
LARGEST = 4000
"""A function is not grown beyond this many operations."""


def inline_calls(module: Module) -> Module:
    """Callees first. Recursive functions, those with a rule of their own (`vjp`) and those that a
    derivative still names stay functions; so do public ones, for their callers outside."""
    order, recursive = _order(module)
    named = _derivative_targets(module)
    uses = _call_counts(module)
    done: dict[str, Function] = dict(module.functions)
    for name in order:
        done[name] = _Inliner(done, recursive, named, uses).function(done[name])
    return Module.of(module.types, {n: done[n] for n in module.functions})


def _order(module: Module) -> tuple[list[str], set[str]]:
    """Functions, callees before callers, and those that can reach themselves."""
    edges = calls(module)
    state: dict[str, int] = {}
    order: list[str] = []
    for root in module.functions:
        work: list[tuple[str, int]] = [(root, 0)]
        while work:
            name, k = work.pop()
            if k == 0:
                if name in state or name not in module.functions:
                    continue
                state[name] = 1
            if k < len(edges[name]):
                work.append((name, k + 1))
                work.append((edges[name][k], 0))
            else:
                order.append(name)
    reach: dict[str, set[str]] = {n: set(edges[n]) for n in module.functions}
    changed = True
    while changed:
        changed = False
        for n in order:
            more = reach[n].union(*(reach[m] for m in reach[n] if m in reach))
            if len(more) > len(reach[n]):
                reach[n] = more
                changed = True
    return order, {n for n in module.functions if n in reach[n]}


def _derivative_targets(module: Module) -> set[str]:
    out: set[str] = set()
    for fn in module.functions.values():
        for op in walk(fn.body):
            if op.name != "call" and "fn" in op.attrs:
                out.add(op.attr_str("fn"))
    return out


def _call_counts(module: Module) -> dict[str, int]:
    out: dict[str, int] = dict.fromkeys(module.functions, 0)
    for fn in module.functions.values():
        for op in walk(fn.body):
            if op.name == "call":
                out[op.attr_str("fn")] = out.get(op.attr_str("fn"), 0) + 1
    return out


def size_of(fn: Function) -> int:
    """Number of operations, regions included."""
    return sum(1 for _ in walk(fn.body))


class _Inliner:
    def __init__(
        self,
        functions: dict[str, Function],
        recursive: set[str],
        named: set[str],
        uses: dict[str, int],
    ) -> None:
        self.functions, self.recursive = functions, recursive
        self.named, self.uses = named, uses
        self.names = DimNames()
        self.size = 0

    def function(self, fn: Function) -> Function:
        self.names = DimNames(all_dims(fn))
        self.size = size_of(fn)
        body = self.region(fn.body, Substitution())
        return fn.with_body(body)

    def wants(self, op: Op) -> bool:
        name = op.attr_str("fn")
        fn = self.functions.get(name)
        if fn is None or name in self.recursive or "vjp" in fn.attrs or "checkpoint" in fn.attrs:
            return False
        n = size_of(fn)
        once = self.uses.get(name, 0) == 1 and name not in self.named
        return (once or n <= SMALL) and self.size + n <= LARGEST

    def region(self, r: Region, s: Substitution) -> Region:
        dims = s.define_dims(r.dims)
        params = tuple(map(s.define, r.params))
        out: list[Op] = []
        for op in r.ops:
            operands = tuple(map(s.value, op.operands))
            attrs = s.attrs(op.attrs)
            if op.name == "call" and self.wants(op):
                now = Op(op.name, operands, op.results, attrs, (), op.dims, op.loc)
                out += self.expand(now, s)
                continue
            regions = tuple(self.region(x, s) for x in op.regions)
            results = tuple(map(s.define, op.results))
            out.append(Op(op.name, operands, results, attrs, regions, op.dims, op.loc))
        return Region(params, tuple(out), dims)

    def expand(self, op: Op, s: Substitution) -> list[Op]:
        fn = self.functions[op.attr_str("fn")]
        self.size += size_of(fn)
        ops, values, hidden = inline_body(fn, op.operands, op.attr_dims(), self.names)
        for d, value in zip(op.dims, hidden, strict=True):
            s.dims[d] = value
        for r, v in zip(op.results, values, strict=True):
            # Definitions after this one follow the dims; the value itself is the inlined one.
            s.values[r] = v
        return located(ops, op.loc) if _enters_library(op, fn) else ops


def _enters_library(op: Op, callee: Function) -> bool:
    """Whether the user's code calls the library here. What fails in there (a label out of range)
    failed at the user's line: nobody can mend a line of the library."""
    inside, outside = callee.loc.file, op.loc
    library = resources.LIBRARY
    return inside.startswith(library) and outside.line > 0 and not outside.file.startswith(library)


def bind_dims(module: Module, name: str, dims: dict[str, int]) -> Module:
    """The public function `name` with some of its dims made numbers; what it calls with constant
    dims is specialised to them in turn (one copy per set of constants)."""
    fn = module.functions[name]
    made: dict[str, Function] = {}
    bound = _specialise(fn, {d: Dim.const(n) for d, n in dims.items()}, fn.name)
    functions = {**module.functions, name: bound}
    todo = [name]
    while todo:
        n = todo.pop()
        functions[n] = _calls_specialised(functions[n], functions, made, todo)
    return Module.of(module.types, functions)


def _specialise(fn: Function, dims: dict[str, Dim], name: str) -> Function:
    from dataclasses import replace

    from dlc.typesys.types import substitute_type

    values = {p: Value(substitute_type(p.type, dims), p.hint) for p in fn.params}
    names = DimNames(d for d in fn.dims if d not in dims)
    s = Substitution(values, dims, fresh=names)
    ops = tuple(s.ops(fn.body.ops))
    return replace(
        fn,
        name=name,
        dims=tuple(d for d in fn.dims if d not in dims),
        params=tuple(values.values()),
        result_types=tuple(substitute_type(t, dims) for t in fn.result_types),
        body=Region((), ops),
    )


def _calls_specialised(
    fn: Function, functions: dict[str, Function], made: dict[str, Function], todo: list[str]
) -> Function:
    def change(op: Op) -> list[Op] | None:
        if "fn" not in op.attrs or op.attr_str("fn") not in functions:
            return None
        callee = functions[op.attr_str("fn")]
        given = dict(zip(callee.dims, op.attr_dims(), strict=True))
        fixed = {d: v for d, v in given.items() if v.is_constant}
        if not fixed:
            return None
        tag = ",".join(f"{d}={v}" for d, v in fixed.items())
        key = f"{callee.name}|{tag}"
        if key not in made:
            n = sum(1 for k in made if k.startswith(callee.name + "|"))
            name = f"{callee.name}.s{n + 1}"
            made[key] = _specialise(callee, fixed, name)
            functions[name] = _without_public(made[key])
            todo.append(name)
        rest = tuple(v for d, v in given.items() if d not in fixed)
        attrs = freeze_attrs({**op.attrs, "fn": made[key].name, "dims": rest})
        return [Op(op.name, op.operands, op.results, attrs, op.regions, op.dims, op.loc)]

    from dlc.ir.rewrite import rewrite_function

    return rewrite_function(fn, change)


def _without_public(fn: Function) -> Function:
    from dataclasses import replace

    return replace(fn, attrs=freeze_attrs({k: v for k, v in fn.attrs.items() if k != "public"}))
