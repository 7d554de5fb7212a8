"""Products with gathered rows: only what is named is read, and nothing is copied first.

`sum over e of v[e] * w[i[e], …]`, written as a gather and a product, makes a table of all gathered
rows and reads it once. As a loop it adds each row, scaled, to the sum: the cost is that of the rows
named, the memory that of one sum. It is what products with sparse vectors are lowered to
(`w @ nonzero(x)`), and weighted bags of embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlc.ir.core import Function, Module, Op, Region, Value
from dlc.ir.names import DimNames
from dlc.ir.rewrite import Substitution, all_dims, use_counts
from dlc.ops.build import Builder
from dlc.ops.contract import parse_spec
from dlc.typesys.dtypes import I32
from dlc.typesys.types import TensorType


def sum_gathered_rows(module: Module) -> Module:
    """Rewrites products of a vector with gathered rows, where nothing else reads those."""
    return module.map_functions(_function)


def _function(fn: Function) -> Function:
    counts = use_counts(fn.body)
    names = DimNames(all_dims(fn))
    return fn.with_body(_region(fn.body, counts, {}, names))


def _region(
    r: Region, counts: Mapping[Value, int], outer: Mapping[Value, Op], names: DimNames
) -> Region:
    makers = dict(outer)
    out: list[Op] = []
    s = Substitution()
    for op in r.ops:
        operands = tuple(map(s.value, op.operands))
        regions = op.regions
        if op.name != "map":
            regions = tuple(_region(s.region(x), counts, makers, names) for x in op.regions)
        now = Op(op.name, operands, op.results, op.attrs, regions, op.dims, op.loc)
        found = _match(now, makers, counts) if op.name == "contract" else None
        if found is None:
            out.append(now)
            makers.update((v, now) for v in now.results)
            continue
        b = Builder(names=names, loc=op.loc)
        s.values[op.result] = _sum(b, found, op.result).suggest(op.result.hint)
        out += b.ops
    return Region(r.params, tuple(out), r.dims)


@dataclass(frozen=True)
class _Gathered:
    """`sum over e of v[e] * rows[i[e], …]`, where `rows` is `w` with its axis in front."""

    w: Value
    axis: int
    index: Value
    v: Value


def _match(op: Op, makers: Mapping[Value, Op], counts: Mapping[Value, int]) -> _Gathered | None:
    s = parse_spec(op.attr_str("spec"))
    t = op.result.tensor
    if any(x.tensor.dtype != t.dtype for x in op.operands) or not t.rank or t.dtype.bits < 32:
        return None
    for n, table, vector in ((0, s.a, s.b), (1, s.b, s.a)):
        x = op.operands[n]
        take = makers.get(x)
        if take is None or take.name != "take" or counts.get(x) != 1 or len(vector) != 1:
            continue
        w, index = take.operands
        axis = take.attr_int("axis", 0)
        if index.tensor.rank != 1 or not take.attr_flag("in_bounds") or table[axis] != vector:
            continue
        if table.replace(vector, "") == s.out:
            return _Gathered(w, axis, index, op.operands[1 - n])
    return None


def _sum(b: Builder, g: _Gathered, like: Value) -> Value:
    rows = g.w
    if g.axis:
        order = (g.axis, *(a for a in range(rows.tensor.rank) if a != g.axis))
        rows = b.emit("transpose", rows, perm=order)
    t = like.tensor
    body = b.nested((TensorType(I32), t), ("event", "sum"))
    e, total = body.params
    at = body.emit("index", g.index, e, in_bounds=True)
    row = body.emit("index", rows, at, in_bounds=True)
    scale = body.emit("index", g.v, e, in_bounds=True)
    scaled = body.emit("mul", body.emit("broadcast", scale, shape=t.shape), row)
    region = body.yield_(body.emit("add", total, scaled))
    count = b.dim(g.index.tensor.shape[0])
    return b.for_(b.scalar(0, I32), count, (b.full(0, t),), region)[0]
