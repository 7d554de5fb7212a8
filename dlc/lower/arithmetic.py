"""Literals, arithmetic, conversions, choices and the building of tuples, tensors and lists."""

from __future__ import annotations

import numpy as np

from dlc.check import typed
from dlc.ir.core import Value
from dlc.lower.scope import Leaves, Scope, conform, solve_hidden
from dlc.ops.build import Builder
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, ListType, substitute_type

OPS = {"minimum": "min", "maximum": "max", "where": "select"}
_SQUARINGS = 64
"""The largest exponent that becomes multiplications; beyond it `pow` is as good and shorter."""


def lower_literal(s: Scope, e: typed.Literal) -> Leaves:
    assert isinstance(e.type, surface.Tensor)
    return (s.b.scalar(e.value, e.type.concrete),)


def lower_read(s: Scope, e: typed.Read) -> Leaves:
    return s.get(e.local)


def lower_dim_value(s: Scope, e: typed.DimValue) -> Leaves:
    assert isinstance(e.type, surface.Tensor)
    return (s.b.dim(e.dim, e.type.concrete),)


def lower_tuple(s: Scope, e: typed.TupleOf) -> Leaves:
    return tuple(v for item in e.items for v in s.expr(item))


def lower_tensor_of(s: Scope, e: typed.TensorOf) -> Leaves:
    """A constant where all parts are literals, else the parts one after the other."""
    assert isinstance(e.type, surface.Tensor)
    known = _literals(e)
    if known is not None:
        dtype = e.type.concrete
        return (s.b.array(np.array(known, dtype=dtype.numpy), dtype),)
    parts: list[Value] = []
    for item in e.items:
        v = s.one(item)
        parts.append(s.b.emit("reshape", v, shape=(Dim.const(1), *v.tensor.shape)))
    return (s.b.emit("concat", *parts, axis=0) if len(parts) > 1 else parts[0],)


def _literals(e: typed.Expr) -> list[object] | None:
    """The numbers of nested tensor literals, or None if something has to be computed."""
    assert isinstance(e, typed.TensorOf)
    out: list[object] = []
    for item in e.items:
        if isinstance(item, typed.Literal):
            out.append(item.value)
        elif isinstance(item, typed.TensorOf):
            inner = _literals(item)
            if inner is None:
                return None
            out.append(inner)
        else:
            return None
    return out


def lower_list_of(s: Scope, e: typed.ListOf) -> Leaves:
    assert isinstance(e.type, surface.List)
    out = s.b.emit_typed("list_new", ListType(s.layout.columns(e.type.element)))
    for item in e.items:
        out = s.b.emit("list_push", out, *as_columns(s, e.type.element, s.expr(item)))
    return (out,)


def as_columns(s: Scope, element: surface.Type, leaves: Leaves) -> Leaves:
    """A list element as the columns of its list."""
    if s.layout.has_hidden(element):
        packed = s.layout.packed(element)
        return (make_variant(s, packed, s.layout.types[packed.name].constructors[0].name, leaves),)
    return conform(s.b, leaves, s.layout.leaf_types(element))


def from_columns(s: Scope, element: surface.Type, columns: Leaves) -> Leaves:
    """The leaves of a list element from the columns of its list."""
    if not s.layout.has_hidden(element):
        return columns
    (v,) = columns
    name = s.layout.types[s.layout.packed(element).name].constructors[0].name
    case = s.b.case(v, name)
    return s.b.match_(v, (name,), (case.yield_(*case.params),))


def make_variant(s: Scope, t: AdtType, constructor: str, leaves: Leaves) -> Value:
    """A value of the constructor; the hidden dims of the leaves become its own."""
    decl = s.layout.types[t.name]
    made = decl.constructor(constructor)
    bind = dict(zip(decl.dims, t.dims, strict=True))
    pattern = [substitute_type(f.type, bind) for f in made.fields]
    sizes = solve_hidden(made.dims, pattern, leaves)
    bind = dict(zip(made.dims, sizes, strict=True))
    fields = conform(s.b, leaves, [substitute_type(p, bind) for p in pattern])
    return s.b.variant(t, constructor, fields, sizes)


def lower_elementwise(s: Scope, e: typed.Elementwise) -> Leaves:
    return (s.b.emit(OPS.get(e.op, e.op), *(s.one(a) for a in e.args)),)


def lower_power(s: Scope, e: typed.Power) -> Leaves:
    return (power(s.b, s.one(e.operand), e.exponent),)


def power(b: Builder, x: Value, exponent: int) -> Value:
    """`x ** exponent` by squaring; negative exponents are one over the positive power (floats)."""
    n = abs(exponent)
    if n > _SQUARINGS:
        return b.emit("pow", x, b.full(exponent, x.tensor))
    if n == 0:
        return b.full(1, x.tensor)
    out: Value | None = None
    square = x
    while True:
        if n & 1:
            out = square if out is None else b.emit("mul", out, square)
        n >>= 1
        if not n:
            break
        square = b.emit("mul", square, square)
    assert out is not None
    return out if exponent > 0 else b.emit("div", b.full(1, x.tensor), out)


def lower_convert(s: Scope, e: typed.Convert) -> Leaves:
    x = s.one(e.operand)
    return (x if x.tensor.dtype == e.dtype else s.b.emit("convert", x, dtype=e.dtype),)


def lower_broadcast(s: Scope, e: typed.Broadcast) -> Leaves:
    assert isinstance(e.type, surface.Tensor)
    return (stretch(s.b, s.one(e.operand), e.type.dims),)


def stretch(b: Builder, x: Value, shape: tuple[Dim, ...]) -> Value:
    """`x` repeated to the shape; itself if it has that shape."""
    return x if x.tensor.shape == shape else b.emit("broadcast", x, shape=shape)


def lower_retype(s: Scope, e: typed.Retype) -> Leaves:
    return s.conform(s.expr(e.operand), e.type)


def lower_short_circuit(s: Scope, e: typed.ShortCircuit) -> Leaves:
    left = s.one(e.left)
    more, known = s.nested(), s.nested()
    region = more.b.yield_(more.one(e.right))
    other = known.b.yield_(left)
    return s.b.if_(left, region, other) if e.op == "and" else s.b.if_(left, other, region)


def lower_if_else(s: Scope, e: typed.IfElse) -> Leaves:
    c = s.one(e.cond)
    then, other = s.nested(), s.nested()
    a = then.conform(then.expr(e.then), e.type)
    b = other.conform(other.expr(e.orelse), e.type)
    return s.branch(c, then.b.yield_(*a), other.b.yield_(*b))


def lower_transpose(s: Scope, e: typed.Transpose) -> Leaves:
    x = s.one(e.operand)
    if e.perm == tuple(range(len(e.perm))):
        return (x,)
    return (s.b.emit("transpose", x, perm=e.perm),)


def lower_concat(s: Scope, e: typed.Concat) -> Leaves:
    parts = [s.one(a) for a in e.args]
    return (s.b.emit("concat", *parts, axis=e.axis) if len(parts) > 1 else parts[0],)


def lower_chunk(s: Scope, e: typed.Chunk) -> Leaves:
    x = s.one(e.operand)
    assert isinstance(e.type, surface.Tuple)
    out: list[Value] = []
    at = Dim.const(0)
    for item in e.type.items:
        assert isinstance(item, surface.Tensor)
        size = item.dims[0]
        start = s.b.dim(at)
        out.append(s.b.emit("slice", x, start, axis=0, size=size, in_bounds=True))
        at = at + size
    return tuple(out)


def lower_reshape(s: Scope, e: typed.Reshape) -> Leaves:
    x = s.one(e.operand)
    assert isinstance(e.type, surface.Tensor)
    shape = e.type.dims
    if x.tensor.shape == shape:
        return (x,)
    s.require(shape)
    if e.equation is None:
        return (s.b.emit("reshape", x, shape=shape),)
    return (s.b.emit("reshape", x, shape=shape, checked=True),)


def lower_field(s: Scope, e: typed.FieldOf) -> Leaves:
    which, _ = s.layout.field(e.operand.type, e.field)
    return s.expr(e.operand)[which]


def lower_length(s: Scope, e: typed.Length) -> Leaves:
    return (s.b.emit("list_len", s.one(e.operand)),)


def lower_construct(s: Scope, e: typed.Construct) -> Leaves:
    assert isinstance(e.type, (surface.Adt, surface.Option))
    leaves = tuple(v for a in e.args for v in s.expr(a))
    return (make_variant(s, s.layout.adt(e.type), e.constructor, leaves),)
