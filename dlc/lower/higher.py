"""`map`, `scan` and `fold` over rows of tensors, elements of lists, and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.check import typed
from dlc.ir.core import Value
from dlc.lower.arithmetic import as_columns
from dlc.lower.calls import apply
from dlc.lower.flow import element, length
from dlc.lower.lift import apply_to_all
from dlc.lower.scope import Leaves, Scope, conform
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.types import SCALAR_I32, ListType, TensorType, Type


@dataclass(frozen=True)
class Over:
    """What a higher-order function runs over: types and leaves of its arguments."""

    types: tuple[surface.Type, ...]
    leaves: tuple[Leaves, ...]

    def at(self, s: Scope, i: Value) -> list[Leaves]:
        """Element `i` of each argument."""
        pairs = zip(self.types, self.leaves, strict=True)
        return [element(s, t, v, i) for t, v in pairs]

    def count(self, s: Scope, known: Dim | None) -> Value:
        """How many elements there are. Lists are checked to be of one length."""
        pairs = zip(self.types, self.leaves, strict=True)
        lengths = [length(s, t, v) for t, v in pairs if isinstance(t, surface.List)]
        n = s.b.dim(known) if known is not None else lengths.pop(0)
        for other in lengths:
            same = s.b.emit("eq", n, other)
            s.b.emit_many("assert", same, message="lists of different lengths")
        return n


def _over(s: Scope, args: Sequence[typed.Expr]) -> Over:
    """The arguments, evaluated."""
    return Over(tuple(a.type for a in args), tuple(s.expr(a) for a in args))


def _components(t: surface.Type) -> tuple[surface.Type, ...]:
    return t.items if isinstance(t, surface.Tuple) else (t,)


# -- collecting results


class _Collector:
    """The results of a loop, one per turn: stacked in tensors, or pushed on lists."""

    def __init__(self, s: Scope, whole: surface.Type, one: surface.Type) -> None:
        self.whole = _components(whole)
        self.one = _components(one)
        self.inits: list[Value] = []
        for t, x in zip(self.whole, self.one, strict=True):
            if isinstance(t, surface.List):
                self.inits.append(s.b.emit_typed("list_new", ListType(s.layout.columns(x))))
            else:
                self.inits.extend(s.b.full(0, _tensor(u)) for u in s.layout.leaf_types(t))

    def add(self, s: Scope, so_far: Leaves, i: Value, leaves: Leaves) -> list[Value]:
        """With the result of turn `i`."""
        out: list[Value] = []
        at = 0
        for t, x in zip(self.whole, self.one, strict=True):
            n = s.layout.count(x)
            part = leaves[at : at + n]
            at += n
            if isinstance(t, surface.List):
                out.append(s.b.emit("list_push", so_far[len(out)], *as_columns(s, x, part)))
            else:
                for v in s.conform(part, x):
                    out.append(s.b.emit("insert", so_far[len(out)], v, i, in_bounds=True))
        return out


def _tensor(t: Type) -> TensorType:
    assert isinstance(t, TensorType), f"a stack of {t}"
    return t


# -- map


def lower_map(s: Scope, e: typed.MapCall) -> Leaves:
    """Element-wise operations, a `map`, or (where lists take part) a loop."""
    over = _over(s, e.args)
    results = _components(e.type)
    lists = any(isinstance(t, surface.List) for t in (*over.types, *results))
    if lists or e.count is None:
        return _map_loop(s, e, over)
    xs = [v for leaves in over.leaves for v in leaves]
    scalar = isinstance(e.function.body.type, surface.Tensor) and e.function.body.type.is_scalar
    if scalar and all(x.tensor.rank == 1 for x in xs):
        xs = conform(s.b, xs, [TensorType(x.tensor.dtype, (e.count,)) for x in xs])
        return (apply_to_all(s, e.function, xs, (e.count,)),)
    shape = (e.count,)
    hints = [p.name for p in e.function.params]
    inner = s.inside(s.b.map_body(shape, xs, hints=hints))
    ys = apply(inner, e.function, [(p,) for p in inner.b.params])
    ys = inner.conform(ys, e.function.body.type)
    return s.b.map_(shape, xs, inner.b.yield_(*ys))


def _map_loop(s: Scope, e: typed.MapCall, over: Over) -> Leaves:
    n = over.count(s, e.count)
    out = _Collector(s, e.type, e.function.body.type)
    hints = ["i", *["out"] * len(out.inits)]
    inner = s.nested((SCALAR_I32, *(v.type for v in out.inits)), hints)
    i, *so_far = inner.b.params
    y = apply(inner, e.function, over.at(inner, i))
    region = inner.b.yield_(*out.add(inner, tuple(so_far), i, y))
    return s.b.for_(s.b.dim(0), n, out.inits, region)


# -- recurrences


def lower_scan(s: Scope, e: typed.ScanCall) -> Leaves:
    """`x[t] = f(x[t-1], xs[t])`, every state kept."""
    x0 = s.conform(s.expr(e.init), e.init.type)
    over = _over(s, e.args)
    out = _Collector(s, e.type, e.init.type)
    count, n = over.count(s, e.count), len(x0)
    types = [v.type for v in (*x0, *out.inits)]
    hints = ["i", *["x"] * n, *["out"] * len(out.inits)]
    inner = s.nested((SCALAR_I32, *types), hints)
    i, *carries = inner.b.params
    y = apply(inner, e.function, [tuple(carries[:n]), *over.at(inner, i)])
    y = inner.conform(y, e.init.type)
    kept = out.add(inner, tuple(carries[n:]), i, y)
    region = inner.b.yield_(*y, *kept)
    return s.b.for_(s.b.dim(0), count, (*x0, *out.inits), region)[n:]


def lower_fold(s: Scope, e: typed.FoldCall) -> Leaves:
    """The last state of the recurrence; the first where there is nothing to run over."""
    x0 = s.expr(e.init)
    over = _over(s, e.args)
    carry = s.carried([e.init.type], x0)
    hints = ["i", *["x"] * len(x0)]
    inner = s.nested((SCALAR_I32, *carry.types), hints, carry.dims)
    i, *x = inner.b.params
    y = apply(inner, e.function, [tuple(x), *over.at(inner, i)])
    region = inner.b.yield_(*inner.conform(y, e.init.type))
    n = over.count(s, e.count)
    return s.b.for_(s.b.dim(0), n, carry.inits, region, init_dims=carry.init_dims)
