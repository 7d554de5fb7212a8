"""Putting the two halves of a differentiated function together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dlc.autodiff.closure import Demand, unpack
from dlc.autodiff.mirror import Block
from dlc.autodiff.residuals import nodes_of
from dlc.autodiff.tangents import Tangents, hidden
from dlc.ir.core import (
    AdtDecl,
    Attr,
    Constructor,
    Field,
    Function,
    Op,
    Region,
    Signature,
    Value,
    freeze_attrs,
)
from dlc.ir.names import DimNames
from dlc.ir.rewrite import Substitution, used_values
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, substitute_type


@dataclass(frozen=True)
class Parts:
    """What has been written for one variant: the copied forward block and its parameters, what the
    backward operations need of it, the cotangents that come in, the accumulators by parameter
    number, the active parameters in order, and the cotangents that go out."""

    block: Block
    params: list[Value]
    need: Demand
    builder: Builder
    cotangents: list[Value]
    accumulators: dict[int, Value]
    order: list[int]
    outs: list[Value]

    @property
    def needed(self) -> tuple[int, ...]:
        """Numbers of the parameters that the backward half uses, directly or in what it runs
        again."""
        seen = {*used_values(self.builder.ops), *self.outs, *used_values(self.need.again)}
        return tuple(i for i, p in enumerate(self.params) if p in seen)


def pack_record(tangents: Tangents, t: AdtType, parts: Parts, f: Function) -> Value:
    """One record of all residuals, made at the end of the forward block; declares its type."""
    need = parts.need
    fields = tuple(Field(f"r{i}", v.type) for i, v in enumerate(need.values))
    tangents.types[t.name] = AdtDecl(t.name, f.dims, (Constructor("R", fields, need.dims),))
    g = Builder(tangents.types, DimNames(), f.loc)
    sizes = hidden(tuple(map(Dim.sym, need.dims)))
    r = g.emit_typed("variant", t, *need.values, constructor="R", **sizes)
    parts.block.insert_before_end(nodes_of(g.ops))
    return r


def forward_half(name: str, f: Function, parts: Parts, record: Value | None) -> Function:
    """`f` with its residuals as further results."""
    kept = [record] if record is not None else list(parts.need.values)
    parts.block.end.operands += kept
    attrs = {k: a for k, a in f.attrs.items() if k in ("inout", "batch")}
    return Function(
        name,
        f.dims,
        tuple(parts.params),
        (*f.result_types, *(v.type for v in kept)),
        parts.block.as_region(),
        f.result_dims,
        freeze_attrs(attrs),
        f.loc,
    )


def backward_half(
    name: str, f: Function, parts: Parts, record: Value | None, tangents: Tangents
) -> Function:
    """Parameters: what is needed of `f`'s, residuals, cotangents of results, accumulators. Results:
    the cotangent of each active parameter; those of accumulators are the accumulators, updated in
    place."""
    again = {i: Value(parts.params[i].type, parts.params[i].hint) for i in parts.needed}
    sub = Substitution({parts.params[i]: v for i, v in again.items()}, {})
    if record is None:
        residuals = [Value(v.type, v.hint) for v in parts.need.values]
        stored = dict(zip(parts.need.values, residuals, strict=True))
        ops = unpack(parts.builder.ops, parts.need, stored, sub)
        ends = list(map(sub.value, parts.outs))
    else:
        residuals = [Value(record.type, "res")]
        ops, ends = _open_record(parts, residuals[0], sub, tangents, f)
    accs = [parts.accumulators[i] for i in parts.order if i in parts.accumulators]
    params = (*again.values(), *residuals, *parts.cotangents, *accs)
    ret = Op("return", tuple(ends), (), freeze_attrs({}), (), (), f.loc)
    return Function(
        name,
        (*f.dims, *f.result_dims),
        params,
        tuple(v.type for v in ends),
        Region((), (*ops, ret)),
        (),
        _inout(parts, params),
        f.loc,
    )


def _open_record(
    parts: Parts, record: Value, sub: Substitution, tangents: Tangents, f: Function
) -> tuple[Sequence[Op], list[Value]]:
    payload = tuple(Value(v.type, v.hint) for v in parts.need.values)
    stored = dict(zip(parts.need.values, payload, strict=True))
    inside = unpack(parts.builder.ops, parts.need, stored, sub)
    ends = tuple(map(sub.value, parts.outs))
    end = Op("yield", ends, (), freeze_attrs({}), (), (), f.loc)
    case = Region(payload, (*inside, end), parts.need.dims)
    m = Builder(tangents.types, parts.builder.names, f.loc)
    types = [v.type for v in ends]
    out = m.structured("match", (record,), types, {"cases": ("R",)}, [case])
    return m.ops, list(out)


class Halves(Protocol):
    """The two halves of a function that is run again."""

    @property
    def forward(self) -> Signature: ...

    @property
    def backward(self) -> Signature: ...

    @property
    def need(self) -> tuple[int, ...]: ...

    @property
    def active(self) -> tuple[int, ...]: ...

    @property
    def accumulated(self) -> frozenset[int]: ...

    @property
    def results_wanted(self) -> tuple[bool, ...]: ...


def run_again(name: str, f: Function, v: Halves, tangents: Tangents) -> Function:
    """The backward half of `f` that needs all parameters and no residuals: `v`'s forward half, then
    its backward half."""
    cts = [tangents.of(t) for t, on in zip(f.result_types, v.results_wanted, strict=True) if on]
    accs = v.backward.params[len(v.backward.params) - len(v.accumulated) :]
    types = (*(p.type for p in f.params), *(t for t in cts if t is not None), *accs)
    hints = [p.hint for p in f.params]
    dims = (*f.dims, *f.result_dims)
    b = Builder(tangents.types, DimNames(dims), f.loc).nested(types, hints)
    args, rest = b.params[: len(f.params)], b.params[len(f.params) :]
    given = tuple(map(Dim.sym, f.dims))
    out = b.call(v.forward, args, given)
    found = (*given, *map(Dim.sym, b.ops[-1].dims))
    bind = dict(zip(v.backward.dims, found, strict=True))
    into = [args[i] for i in v.need] + list(out[len(f.result_types) :])
    for g, t in zip(rest, v.backward.params[len(into) :], strict=True):
        # Hidden sizes were found again under other names.
        now = substitute_type(t, bind)
        into.append(g if g.type == now else b.emit_typed("retype", now, g))
    grads = b.call(v.backward, into, found)
    first = len(types) - len(accs)
    order = [k for k, i in enumerate(v.active) if i in v.accumulated]
    pairs = tuple((first + j, k) for j, k in enumerate(order))
    attrs: dict[str, Attr] = {"inout": pairs} if pairs else {}
    return b.function(name, dims, b.return_(*grads), attrs=attrs, loc=f.loc)


def _inout(parts: Parts, params: Sequence[Value]) -> Mapping[str, Attr]:
    number = {v: i for i, v in enumerate(params)}
    pairs = tuple(
        (number[parts.accumulators[i]], k)
        for k, i in enumerate(parts.order)
        if i in parts.accumulators
    )
    return freeze_attrs({"inout": pairs} if pairs else {})
