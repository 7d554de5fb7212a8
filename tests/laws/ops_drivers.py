"""Small drivers of the cards' rules: batching of one operation, reverse mode over a straight
function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dlc.ir.core import Attr, Function, Op, Value
from dlc.ops.build import Builder, DimNames
from dlc.ops.card import Batched, Rows
from dlc.ops.registry import card_of
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType, Type


class _Emits:
    """The part of both protocols that a builder serves."""

    def __init__(self, b: Builder) -> None:
        self.b = b

    def emit(self, name: str, *operands: Value, **attrs: Attr) -> Value:
        return self.b.emit(name, *operands, **attrs)

    def emit_many(self, name: str, *operands: Value, **attrs: Attr) -> tuple[Value, ...]:
        return self.b.emit_many(name, *operands, **attrs)

    def emit_typed(self, name: str, t: Type, *operands: Value, **attrs: Attr) -> Value:
        return self.b.emit_typed(name, t, *operands, **attrs)


class Batcher(_Emits):
    """`dlc.ops.card.Batching` for one operation."""

    def __init__(self, b: Builder, rows: Dim) -> None:
        super().__init__(b)
        self.rows = rows

    def full(self, x: Batched) -> Value:
        if isinstance(x, Rows):
            return x.value
        return self.b.emit("broadcast", x.value, shape=(self.rows, *x.value.tensor.shape))


class Reverse(_Emits):
    """`dlc.ops.card.Gradient` over straight code: cotangents by value."""

    def __init__(self, b: Builder, active: set[Value]) -> None:
        super().__init__(b)
        self.active_values, self.ct = active, dict[Value, Value]()

    def active(self, x: Value) -> bool:
        return x in self.active_values

    def add(self, x: Value, contribution: Callable[[], Value]) -> None:
        if x in self.active_values:
            new = contribution()
            assert new.type == x.type, f"a cotangent {new} of {x}"
            self.ct[x] = self.emit("add", self.ct[x], new) if x in self.ct else new

    def update(self, x: Value, change: Callable[[Value], Value]) -> None:
        if x in self.active_values:
            new = change(self.ct[x] if x in self.ct else self.b.full(0, x.tensor))
            assert new.type == x.type, f"a cotangent {new} of {x}"
            self.ct[x] = new

    def type_of(self, x: Value) -> Type:
        return x.type


def is_float(v: Value) -> bool:
    return isinstance(v.type, TensorType) and v.type.dtype.is_float


def gradient_function(fn: Function, name: str) -> Function:
    """`name(args…, cotangents of the float results…) -> cotangents of the float arguments`, for a
    function without regions and hidden dims."""
    seeds = [v.type for v in fn.body.yields if is_float(v)]
    params = [p.type for p in fn.params]
    b = Builder(names=DimNames.of(fn)).nested([*params, *seeds])
    values = dict(zip(fn.params, b.params, strict=False))
    ops: list[Op] = []
    for op in fn.body.ops[:-1]:
        operands = tuple(values[v] for v in op.operands)
        declared = tuple(v.type for v in op.results)
        ops.append(b.emit_op(op.name, operands, op.attrs, declared, op.dims))
        values.update(zip(op.results, ops[-1].results, strict=True))
    active = {v for v in b.params[: len(params)] if is_float(v)}
    for op in ops:
        if any(v in active for v in op.operands):
            active |= {v for v in op.results if is_float(v)}
    g = Reverse(b, active)
    ends = [values[v] for v in fn.body.yields if is_float(v)]
    for v, d in zip(ends, b.params[len(params) :], strict=True):
        g.add(v, lambda d=d: d)
    for op in reversed(ops):
        d = tuple(g.ct.get(v) for v in op.results)
        if any(x is not None for x in d):
            card_of(op.name).gradient(g, op, d)
    wanted = [v for v in b.params[: len(params)] if is_float(v)]
    out = [g.ct[v] if v in g.ct else b.full(0, v.tensor) for v in wanted]
    return b.function(name, fn.dims, b.return_(*out))


def batched_function(
    fn: Function, mapped: Sequence[bool], name: str
) -> tuple[Function, list[bool]]:
    """The function of one operation, batched over a new dim `R` of the mapped parameters, and which
    of its results have rows."""
    (op, _end), rows = fn.body.ops, Dim.sym("R")
    params: list[Type] = []
    for p, m in zip(fn.params, mapped, strict=True):
        assert isinstance(p.type, TensorType) or not m
        params.append(p.tensor.with_shape((rows, *p.tensor.shape)) if m else p.type)
    b = Builder(names=DimNames((*fn.dims, "R"))).nested(params)
    from dlc.ops.card import Same

    xs = tuple(Rows(v) if m else Same(v) for v, m in zip(b.params, mapped, strict=True))
    ys = card_of(op.name).batch(Batcher(b, rows), op, xs)
    out = b.function(name, (*fn.dims, "R"), b.return_(*(y.value for y in ys)))
    return out, [isinstance(y, Rows) for y in ys]
