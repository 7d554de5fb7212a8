"""A `map` whose body is more than element-wise arithmetic becomes a nest of counted loops that
write rows. What remains of `map` has scalar bodies only: that is what the form's `Map` runs."""

from __future__ import annotations

from dlc.ir.core import Function, Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import rewrite_function
from dlc.memory.facts import is_elementwise, is_scalar, may_fail
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import TensorType

_INDEX = TensorType(I32)


def is_scalar_map(op: Op) -> bool:
    """A `map` over elements whose body is pure arithmetic on scalars."""
    if op.name != "map" or not op.attr_tuple("shape"):
        return False
    (body,) = op.regions
    if not all(map(is_scalar, (*body.params, *body.yields))):
        return False
    return all(
        (is_elementwise(o) and not may_fail(o)) or o.name == "const" for o in body.ops[:-1]
    ) and all(map(is_scalar, (v for o in body.ops for v in (*o.operands, *o.results))))


def expand_maps(fn: Function) -> Function:
    """The function with every other `map` as loops."""

    def change(op: Op) -> list[Op] | None:
        return expand_map(op) if op.name == "map" and not is_scalar_map(op) else None

    return rewrite_function(fn, change)


def expand_map(op: Op) -> list[Op]:
    """`for i_0 in 0..shape[0]: …: acc = insert(acc, body(x[i_0, …]), i_0, …)`, row-major."""
    shape = op.attr_dims("shape")
    (body,) = op.regions
    indexed = op.attr_flag("indexed")
    n = len(shape)
    indices = body.params[:n] if indexed else tuple(Value(_INDEX, "i") for _ in shape)
    elements = body.params[n:] if indexed else body.params
    if not shape:
        return _once(op, body, elements)
    starts = [Op("undef", (), (Value(r.type),), loc=op.loc) for r in op.results]
    zero = Op("const", (), (Value(_INDEX),), freeze_attrs({"value": 0}), loc=op.loc)
    sizes = [_size(d, op) for d in shape]
    first = tuple(s.result for s in starts)
    bounds = tuple((zero.result, s.result) for s in sizes)
    nest = _nest(op, indices, elements, bounds, first, op.results)
    return [*starts, zero, *sizes, nest]


def _once(op: Op, body: Region, elements: tuple[Value, ...]) -> list[Op]:
    """A map over no axes runs its body once."""
    given = [
        Op("retype", (x,), (p,), loc=op.loc) for p, x in zip(elements, op.operands, strict=True)
    ]
    out = [
        Op("retype", (y,), (r,), loc=op.loc) for r, y in zip(op.results, body.yields, strict=True)
    ]
    return [*given, *body.ops[:-1], *out]


def _size(d: Dim, op: Op) -> Op:
    if d.is_constant:
        return Op("const", (), (Value(_INDEX),), freeze_attrs({"value": d.constant}), loc=op.loc)
    attrs = freeze_attrs({"value": d, "dtype": I32})
    return Op("dim", (), (Value(_INDEX),), attrs, loc=op.loc)


def _nest(
    op: Op,
    indices: tuple[Value, ...],
    elements: tuple[Value, ...],
    bounds: tuple[tuple[Value, Value], ...],
    inits: tuple[Value, ...],
    results: tuple[Value, ...],
) -> Op:
    """The loops from axis `len(indices) - len(bounds)` inwards."""
    carried = tuple(Value(v.type, v.hint) for v in inits)
    (lo, hi), *inner = bounds
    at = indices[len(indices) - len(bounds)]
    if inner:
        out = tuple(Value(v.type) for v in inits)
        ops = [_nest(op, indices, elements, tuple(inner), carried, out)]
    else:
        ops, out = _turn(op, indices, elements, carried)
    end = Op("yield", out, loc=op.loc)
    region = Region((at, *carried), (*ops, end))
    return Op("for", (lo, hi, *inits), results, freeze_attrs({}), (region,), (), op.loc)


def _turn(
    op: Op, indices: tuple[Value, ...], elements: tuple[Value, ...], carried: tuple[Value, ...]
) -> tuple[list[Op], tuple[Value, ...]]:
    (body,) = op.regions
    sure = freeze_attrs({"in_bounds": True})
    ops = [
        Op("index", (x, *indices), (p,), sure, loc=op.loc)
        for x, p in zip(op.operands, elements, strict=True)
    ]
    ops += body.ops[:-1]
    out: list[Value] = []
    for acc, y in zip(carried, body.yields, strict=True):
        new = Value(acc.type)
        ops.append(Op("insert", (acc, y, *indices), (new,), sure, loc=op.loc))
        out.append(new)
    return ops, tuple(out)
