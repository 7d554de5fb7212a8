"""Rebuilding functions: walks, substitution, cloning with fresh names, inlining.

Nothing is changed in place. A definition keeps its `Value` object as long as its type stays; where
dims are replaced in the type it gets a new one, and later uses follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dlc.ir.core import Attr, Function, Loc, Op, Region, Value, freeze_attrs
from dlc.ir.names import DimNames, defined_dims
from dlc.typesys.dims import Dim
from dlc.typesys.types import (
    AdtType,
    ListType,
    TensorType,
    substitute_type,
    type_symbols,
)

Ops = Sequence[Op]


# -- walks


def used_values(ops: Ops) -> Iterator[Value]:
    """Every value used by the operations, regions included, in order, with repeats."""
    for op in ops:
        yield from op.operands
        for r in op.regions:
            yield from used_values(r.ops)


def defined_values(ops: Ops) -> Iterator[Value]:
    """Every value defined by the operations, regions included."""
    for op in ops:
        yield from op.results
        for r in op.regions:
            yield from r.params
            yield from defined_values(r.ops)


def free_values(region: Region) -> tuple[Value, ...]:
    """The values that the region uses and doesn't define, each once, in order of use."""
    own = set(region.params) | set(defined_values(region.ops))
    return tuple(dict.fromkeys(v for v in used_values(region.ops) if v not in own))


def use_counts(region: Region) -> dict[Value, int]:
    """How often each value is an operand in the region."""
    out: dict[Value, int] = {}
    for v in used_values(region.ops):
        out[v] = out.get(v, 0) + 1
    return out


def attr_symbols(a: Attr) -> Iterator[str]:
    """The dim names in an attribute."""
    if isinstance(a, Dim):
        yield from a.symbols()
    elif isinstance(a, (TensorType, ListType, AdtType)):
        yield from type_symbols(a)
    elif isinstance(a, tuple):
        for x in a:
            yield from attr_symbols(x)


def used_dims(ops: Ops) -> Iterator[str]:
    """Every dim name that the operations mention, in types and attributes, in order, with
    repeats."""
    for op in ops:
        for v in (*op.results, *op.operands):
            yield from type_symbols(v.type)
        for a in op.attrs.values():
            yield from attr_symbols(a)
        for r in op.regions:
            for p in r.params:
                yield from type_symbols(p.type)
            yield from used_dims(r.ops)


# -- substitution


def substitute_attr(a: Attr, dims: Mapping[str, Dim]) -> Attr:
    """The attribute with dim names replaced."""
    if isinstance(a, Dim):
        return a.substitute(dims)
    if isinstance(a, (TensorType, ListType, AdtType)):
        return substitute_type(a, dims)
    if isinstance(a, tuple):
        return tuple(substitute_attr(x, dims) for x in a)
    return a


class Substitution:
    """Replaces values and dim names. `fresh` renews every definition too, so that the result can
    stand beside the original: values become new objects, defined dims get names from `names`."""

    def __init__(
        self,
        values: Mapping[Value, Value] | None = None,
        dims: Mapping[str, Dim] | None = None,
        *,
        fresh: DimNames | None = None,
    ) -> None:
        self.values: dict[Value, Value] = dict(values or {})
        self.dims: dict[str, Dim] = dict(dims or {})
        self.fresh = fresh

    def value(self, v: Value) -> Value:
        """What stands for a value of the original."""
        return self.values.get(v, v)

    def ops(self, ops: Ops) -> list[Op]:
        return [self.op(op) for op in ops]

    def op(self, op: Op) -> Op:
        """The operation with everything below it rewritten."""
        operands = tuple(map(self.value, op.operands))
        attrs = self.attrs(op.attrs)
        regions = tuple(self.region(r) for r in op.regions)
        dims = self.define_dims(op.dims)
        results = tuple(map(self.define, op.results))
        return Op(op.name, operands, results, attrs, regions, dims, op.loc)

    def attrs(self, attrs: Mapping[str, Attr]) -> Mapping[str, Attr]:
        if not self.dims or not attrs:
            return attrs
        return freeze_attrs({k: substitute_attr(a, self.dims) for k, a in attrs.items()})

    def region(self, r: Region) -> Region:
        dims = self.define_dims(r.dims)
        params = tuple(map(self.define, r.params))
        return Region(params, tuple(self.ops(r.ops)), dims)

    def define_dims(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names under which the dims are defined in the result."""
        if self.fresh is None:
            return names
        out: list[str] = []
        for n in names:
            new = self.fresh.fresh(n)
            self.dims[n] = Dim.sym(new)
            out.append(new)
        return tuple(out)

    def define(self, v: Value) -> Value:
        """The value defined in the result where the original defines `v`."""
        t = substitute_type(v.type, self.dims) if self.dims else v.type
        if self.fresh is None and t == v.type:
            return v
        self.values[v] = new = Value(t, v.hint)
        return new


def located(ops: Sequence[Op], loc: Loc) -> list[Op]:
    """The operations and those in their regions, all of them at one place."""
    return [
        Op(op.name, op.operands, op.results, op.attrs, _located(op.regions, loc), op.dims, loc)
        for op in ops
    ]


def _located(regions: Sequence[Region], loc: Loc) -> tuple[Region, ...]:
    return tuple(Region(r.params, tuple(located(r.ops, loc)), r.dims) for r in regions)


def rename_dims(fn: Function, dims: Mapping[str, Dim]) -> Function:
    """The function with dim names replaced in its body, parameters and results (its dim parameters
    too, where the replacement is a name)."""
    s = Substitution({}, dims)
    params = tuple(map(s.define, fn.params))
    body = s.region(fn.body)
    kept = tuple(dims[d].name or d if d in dims else d for d in fn.dims)
    results = tuple(substitute_type(t, dims) for t in fn.result_types)
    return replace(fn, dims=kept, params=params, body=body, result_types=results)


# -- rewriting operation by operation


def rewrite(region: Region, change: Callable[[Op], Sequence[Op] | None], s: Substitution) -> Region:
    """The region with each operation (inner ones first, operands already rewritten) replaced by
    `change(op)`, or kept where that is None. `change` may add to `s.values` what stands for the
    results it drops."""
    params = tuple(map(s.define, region.params))
    out: list[Op] = []
    for op in region.ops:
        operands = tuple(map(s.value, op.operands))
        attrs = s.attrs(op.attrs)
        regions = tuple(rewrite(r, change, s) for r in op.regions)
        results = tuple(map(s.define, op.results))
        now = Op(op.name, operands, results, attrs, regions, op.dims, op.loc)
        new = change(now)
        out += [now] if new is None else new
    return Region(params, tuple(out), region.dims)


def rewrite_function(fn: Function, change: Callable[[Op], Sequence[Op] | None]) -> Function:
    """`rewrite` on a function's body."""
    return fn.with_body(rewrite(fn.body, change, s=Substitution()))


# -- copies


def inline_body(
    callee: Function, args: Sequence[Value], dims: Sequence[Dim], names: DimNames
) -> tuple[list[Op], tuple[Value, ...], tuple[Dim, ...]]:
    """A copy of the callee's body for these arguments and dims: its operations, the returned
    values, and the values of its result dims. Dims it defines get fresh names."""
    bind = dict(zip(callee.dims, dims, strict=True))
    s = Substitution(dict(zip(callee.params, args, strict=True)), bind, fresh=names)
    ops = s.ops(callee.body.ops)
    end = ops.pop()
    return ops, end.operands, end.attr_dims()


def copy_function(fn: Function, name: str) -> Function:
    """The function under another name, sharing no value with the original."""
    values = {p: Value(p.type, p.hint) for p in fn.params}
    t = Substitution(values, fresh=_SameNames())
    body = Region((), tuple(t.ops(fn.body.ops)))
    return replace(fn, name=name, params=tuple(values.values()), body=body)


class _SameNames(DimNames):
    """Keeps every dim name: a copy of a whole function has a scope of its own."""

    def fresh(self, base: str = "k") -> str:
        return base


def all_dims(fn: Function) -> Iterable[str]:
    """Every dim name that the function binds."""
    return (*fn.dims, *fn.result_dims, *defined_dims(fn.body))
