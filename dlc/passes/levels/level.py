"""Level batching of recursive functions, and of the two halves of their derivatives.

Nodes of the same height don't depend on each other, so a level is one product of matrices where the
recursion reads all weights for each node. Which functions qualify is decided by what they do, never
by a name; where one does not, it stays as it is, and its attribute `recursion` says why.

(Looks, Herreshoff, Hutchins and Norvig 2017; Neubig, Goldberg and Dyer 2017: both at run time.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dlc.ir.core import Function, Module, Op, Value, freeze_attrs
from dlc.ir.names import DimNames
from dlc.ir.rewrite import rewrite_function
from dlc.ops.build import Builder
from dlc.ops.card import Batched, NotBatchable
from dlc.passes.effects import Effects
from dlc.passes.levels.pairs import given_zeros, only_from, recursive, second_of
from dlc.passes.levels.recursion import Recursion, first_half, second_half, without_unread
from dlc.passes.levels.schedule import Schedule, Visits, schedule_function
from dlc.passes.levels.specialise import Refused
from dlc.passes.levels.times import Time, times
from dlc.passes.levels.write import builder, sweep_name, write_sweeps
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, substitute_type

WHY = "recursion"
"""The attribute of a function that stays recursive: the reason."""


def batch_levels(module: Module) -> Module:
    """The module with every recursion that qualifies in its level form. Values are the same up to
    the order of sums; what fails, fails at the same place."""
    done = _Batcher(module)
    for name in recursive(module):
        done.function(name)
    return done.module


@dataclass(frozen=True)
class _Level:
    """A level form: what callers of the recursion call instead. `functions` are those it
    calls; `shape` is the schedule and `tables` the residuals of each case, as its body has them."""

    fn: Function
    functions: tuple[Function, ...]
    shape: Schedule | None = None
    tables: tuple[Mapping[Value, Batched], ...] = ()


class _Batcher:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.schedules: dict[Visits, tuple[Function, Schedule]] = {}

    def function(self, name: str) -> None:
        fn = self.module.functions[name]
        nodes = [p for p in fn.params if isinstance(p.type, AdtType)]
        if fn.attrs.get("batch") == "off" or len(nodes) != 1:
            return
        try:
            self.replace(fn)
        except (Refused, NotBatchable) as e:
            note = freeze_attrs({**fn.attrs, WHY: str(e)})
            self.module = self.with_functions([replace(fn, attrs=note)])

    def with_functions(self, fns: Sequence[Function]) -> Module:
        return Module.of(self.module.types, {**self.module.functions, **{f.name: f for f in fns}})

    def replace(self, fn: Function) -> None:
        """The function, and its second half if it returns a structure, in level form."""
        effects = Effects(self.module)
        first = first_half(fn, self.module.types, effects)
        _worth(first)
        second: Recursion | None = None
        if first.roles.structure is not None:
            name = second_of(self.module, fn.name, first.roles.structure)
            if name is None or (name and name not in recursive(self.module)):
                raise Refused("the structure it returns is used elsewhere", fn.loc)
            if name:
                second = second_half(first, self.module.functions[name], self.module.types)
                if not only_from(self.module, first, second):
                    raise Refused("its second half is used elsewhere", fn.loc)
        first = without_unread(first, second)
        made = self.write_first(first, second, effects)
        fns = [made.fn, *made.functions]
        if second is not None:
            fns += self.write_second(second, made, effects)
        sched = self.schedule(_visits(first))[0]
        before = self.module
        self.module = self.with_functions([sched, *fns])
        try:
            self.relink(first, second, made)
        except Refused:
            self.module = before
            raise

    def schedule(self, v: Visits) -> tuple[Function, Schedule]:
        if v not in self.schedules:
            base = f"{v.node.name}.levels"
            taken = {f.name for f, _ in self.schedules.values()} | set(self.module.functions)
            n = 1
            name = base
            while name in taken:
                n += 1
                name = f"{base}.{n}"
            self.schedules[v] = schedule_function(name, v, self.module.types)
        return self.schedules[v]

    # -- writing

    def write_first(self, rec: Recursion, second: Recursion | None, effects: Effects) -> _Level:
        """The first half: makes the schedule, and goes over it."""
        fn = rec.fn
        b = builder(fn, self.module.types, fn.params)
        sfn, pattern = self.schedule(_visits(rec))
        here = tuple(map(Dim.sym, sfn.dims))
        results = b.call(sfn.signature, (b.params[rec.roles.nodes[0]],), here)
        shape = pattern.with_values(results, tuple(map(Dim.sym, b.ops[-1].dims)))
        kept: Sequence[Sequence[Value]] = [() for _ in rec.cases]
        if second is not None:
            kept = [c.leaves for c in second.cases]
        made = write_sweeps(rec, shape, None, kept, effects, self.module.types)
        rest = [p for i, p in enumerate(b.params) if i not in rec.roles.nodes]
        dims = (*map(Dim.sym, fn.dims), *shape.dims)
        out = b.call(made.fn.signature, (*rest, *shape.values()), dims)
        plain = len(rec.roles.up) + len(rec.roles.acc)
        pairs = tuple((p, len(rec.roles.up) + n) for n, (p, _) in enumerate(rec.roles.acc))
        if second is None:
            return _Level(_function(b, fn, out, (), pairs), made.functions)
        results = (*out[:plain], *shape.values(payload=False), *out[plain:])
        level = _function(b, fn, results, shape.dims, pairs)
        return _Level(level, made.functions, shape, made.tables)

    def write_second(self, rec: Recursion, first: _Level, effects: Effects) -> Sequence[Function]:
        """The second half: takes the schedule and the residuals instead of the structure."""
        assert first.shape is not None
        kept = [() for _ in rec.cases]
        zeros = given_zeros(self.module, rec)
        return write_sweeps(
            rec, first.shape, first.tables, kept, effects, self.module.types, zeros
        ).functions

    # -- callers

    def relink(self, first: Recursion, second: Recursion | None, made: _Level) -> None:
        """Everyone else calls the level forms."""
        names = [rec.fn.name for rec in (first, second) if rec is not None]
        zeros = given_zeros(self.module, second) if second is not None else frozenset[int]()
        changed: list[Function] = []
        for fn in self.module.functions.values():
            if fn.name not in names:
                new = _Relink(fn, first, second, made, zeros).run()
                if new is not None:
                    changed.append(new)
        if first.fn.attrs.get("public") is True:
            changed.append(self.entry(first, made))
        self.module = self.with_functions(changed)

    def entry(self, rec: Recursion, made: _Level) -> Function:
        """A public recursion under its own name: it calls its level form."""
        fn = rec.fn
        if rec.roles.structure is not None:
            raise Refused("it returns a structure to the outside", fn.loc)
        b = builder(fn, self.module.types, fn.params)
        results = b.call(made.fn.signature, b.params, tuple(map(Dim.sym, fn.dims)))
        order = [*rec.roles.up, *(r for _, r in rec.roles.acc)]
        body = b.return_(*(results[order.index(r)] for r in range(len(order))))
        return b.function(fn.name, fn.dims, body, attrs=fn.attrs, loc=fn.loc)


class _Relink:
    """One caller."""

    def __init__(
        self,
        fn: Function,
        first: Recursion,
        second: Recursion | None,
        made: _Level,
        zeros: frozenset[int],
    ) -> None:
        self.fn, self.first, self.second, self.made = fn, first, second, made
        self.zeros = zeros
        self.names = DimNames.of(fn)
        self.given: dict[Value, tuple[tuple[Value, ...], tuple[Dim, ...]]] = {}
        self.hit = False

    def run(self) -> Function | None:
        new = rewrite_function(self.fn, self.change)
        return new if self.hit else None

    def change(self, op: Op) -> Sequence[Op] | None:
        if op.name != "call":
            return None
        if op.attr_str("fn") == self.first.fn.name:
            return [self.call_first(op)]
        if self.second is not None and op.attr_str("fn") == self.second.fn.name:
            return [self.call_second(op)]
        return None

    def call_first(self, op: Op) -> Op:
        self.hit = True
        sig, made = self.made.fn.signature, self.made
        dims = tuple(self.names.fresh(d) for d in sig.result_dims)
        bind = dict(zip(sig.dims, op.attr_dims(), strict=True))
        bind |= {d: Dim.sym(n) for d, n in zip(sig.result_dims, dims, strict=True)}
        old = self.first.roles
        plain = (*old.up, *(r for _, r in old.acc))
        more = tuple(Value(substitute_type(t, bind)) for t in sig.results[len(plain) :])
        if old.structure is not None and made.shape is not None:
            self.given[op.results[old.structure]] = (more, tuple(map(Dim.sym, dims)))
        results = (*(op.results[r] for r in plain), *more)
        attrs = freeze_attrs({"fn": made.fn.name, "dims": op.attrs["dims"]})
        return Op("call", op.operands, results, attrs, (), dims, op.loc)

    def call_second(self, op: Op) -> Op:
        assert self.second is not None
        self.hit = True
        nodes = self.second.roles.nodes
        more, dims = self.given[op.operands[nodes[0]]]
        gone = {*nodes, *self.zeros}
        rest = tuple(v for i, v in enumerate(op.operands) if i not in gone)
        attrs = freeze_attrs({"fn": sweep_name(self.second.fn), "dims": (*op.attr_dims(), *dims)})
        return Op("call", (*rest, *more), op.results, attrs, (), (), op.loc)


def _name(fn: Function) -> str:
    return f"{fn.name}.levels"


def _visits(rec: Recursion) -> Visits:
    t = rec.node.type
    assert isinstance(t, AdtType)
    return Visits(t, rec.visits, tuple(case.fields for case in rec.cases))


def _function(
    b: Builder,
    fn: Function,
    out: Sequence[Value],
    dims: Sequence[Dim],
    pairs: tuple[tuple[int, int], ...],
) -> Function:
    names = tuple(b.names.fresh(f"n.{d.name}") for d in dims)
    renamed = {d.name or "": Dim.sym(n) for d, n in zip(dims, names, strict=True)}
    return b.function(
        _name(fn),
        fn.dims,
        b.return_(*out, dims=tuple(dims)),
        result_types=tuple(substitute_type(v.type, renamed) for v in out),
        result_dims=names,
        attrs={"inout": pairs} if pairs else {},
        loc=fn.loc,
    )


def _worth(rec: Recursion) -> None:
    """Batching pays where weights are read for each node: products with one side that is the same
    for all."""
    for case in rec.cases:
        known = dict.fromkeys(case.leaves, Time.ALL)
        time = times(rec, case, known)
        for op in case.ops:
            if op.name == "contract":
                sides = [time[v] for v in op.operands]
                if min(sides) == Time.SAME < max(sides):
                    return
    raise Refused("no product has one side that all nodes share", rec.fn.loc)


__all__ = ["batch_levels"]
