"""Folding axes away: sums, products, extremes, truth."""

from __future__ import annotations

from typing import Any

from dlc.ir.core import Op, Value
from dlc.ops import gather_terms as gt
from dlc.ops.card import Batched, Batching, Card, CardError, Gradient, Rows, Run, Site
from dlc.ops.numeric import COMPLEX, finish, np, widen
from dlc.ops.term import Term
from dlc.typesys.dtypes import I32, DType
from dlc.typesys.types import Type

KINDS = ("sum", "max", "min", "prod", "any", "all")


def identity(kind: str, dtype: DType) -> float | int | bool:
    """The reduction of nothing: 0, 1, false, true, and for max and min the lowest and highest
    finite number."""
    if kind in ("sum", "prod"):
        return int(kind == "prod")
    if kind in ("any", "all"):
        return kind == "all"
    if dtype.is_int:
        info = np.iinfo(dtype.numpy)
        return int(info.min if kind == "max" else info.max)
    top = _HIGHEST[dtype.name]
    return -top if kind == "max" else top


_HIGHEST = {
    "f64": float(np.finfo(np.float64).max),
    "f32": float(np.finfo(np.float32).max),
    "f16": 65504.0,
    "bf16": float(2.0**127 * (2 - 2.0**-7)),
}


def check_kind(site: Site, dtype: DType) -> str:
    """The attribute `kind`, if it is defined for the element type."""
    kind = site.attr_str("kind", KINDS)
    if dtype.is_bool != (kind in ("any", "all")):
        raise CardError(f"`{site.name}` of kind {kind} is not defined for {dtype}")
    return kind


def fold(kind: str, x: Any, axes: tuple[int, ...], dtype: DType) -> Any:
    """The reduction of a numpy array over axes, in f32 for narrow floats."""
    if kind in ("any", "all"):
        return getattr(np, kind)(x, axis=axes)
    if kind in ("sum", "prod"):
        wide = widen(x)
        return finish(getattr(np, kind)(wide, axis=axes, dtype=wide.dtype), dtype)
    first = np.asarray(identity(kind, dtype), dtype=x.dtype)
    if any(x.shape[a] == 0 for a in axes):
        return np.full([n for a, n in enumerate(x.shape) if a not in axes], first)
    if x.dtype == COMPLEX:
        return _complex_extreme(kind, x, axes)
    return getattr(np, kind)(widen(x), axis=axes).astype(x.dtype)


def _complex_extreme(kind: str, x: Any, axes: tuple[int, ...]) -> Any:
    """The element whose real part wins, the first of equals."""
    rest = [a for a in range(x.ndim) if a not in axes]
    folded = int(np.prod([x.shape[a] for a in axes]))
    m = np.transpose(x, (*rest, *axes)).reshape(*(x.shape[a] for a in rest), folded)
    at = getattr(np, f"arg{kind}")(m.real, axis=-1)
    return np.take_along_axis(m, np.expand_dims(at, -1), -1)[..., 0]


class Reduce(Card):
    """`y = fold of x over the axes`, which are dropped; narrow floats are folded in f32.

    Of nothing: sum 0, prod 1, any false, all true, max the lowest and min the highest finite
    number. NaN wins in max and min. The cotangent of max and min goes to the first winner in
    row-major order."""

    name, operands, attributes = "reduce", ("x",), ("kind", "axes")

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, axes = site.tensor(0), site.attr_ints("axes")
        check_kind(site, x.dtype)
        if len(set(axes)) != len(axes) or not all(0 <= a < x.rank for a in axes):
            raise CardError(f"`reduce` of {x} over axes {list(axes)}")
        return (x.with_shape([d for a, d in enumerate(x.shape) if a not in axes]),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        op = run.op
        t = op.operands[0].tensor
        return (fold(op.attr_str("kind"), args[0], op.attr_ints("axes"), t.dtype)[()],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is None:
            return
        kind, shape = op.attr_str("kind"), x.tensor.shape
        kept = [a for a in range(len(shape)) if a not in op.attr_ints("axes")]

        def back() -> Value:
            dx = Term(g, gt.spread(g, dy, shape, kept))
            if kind == "sum":
                return dx.v
            y = Term(g, gt.spread(g, op.result, shape, kept))
            if kind == "prod":
                return _d_prod(g, op, Term(g, x), dx).v
            return _first(g, op, Term(g, x), y).choose(dx, 0).v

        g.add(x, back)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        axes = tuple(a + 1 for a in op.attr_ints("axes"))
        y = b.emit("reduce", xs[0].value, kind=op.attr_str("kind"), axes=axes)
        return (Rows(y),)


def winners(x: Term, y: Term) -> Term:
    """Where x is the extreme y: equal, or both NaN."""
    return x.equals(y).op("or", x.op("is_nan")) if x.v.tensor.dtype.is_float else x.equals(y)


def before_in_rows(g: Gradient, hit: Value) -> Value:
    """How many of the earlier elements of its row (along axis 1) are true."""
    return g.emit("cumsum", g.emit("convert", hit, dtype=I32), axis=1, exclusive=True)


def _first(g: Gradient, op: Op, x: Term, y: Term) -> Term:
    """Where x is the first of the elements that equal their reduction y, in row-major order."""
    t, axes = x.v.tensor, op.attr_ints("axes")
    kept = [a for a in range(t.rank) if a not in axes]
    perm = (*kept, *sorted(axes))
    hit = winners(x, y).v
    last = gt.transpose(g, hit, perm)
    rows = gt.reshape(g, last, (gt.product([t.shape[a] for a in kept]),
                                gt.product([t.shape[a] for a in sorted(axes)])))  # fmt: skip
    first = Term(g, rows).op("and", Term(g, before_in_rows(g, rows)).equals(0)).v
    shaped = gt.reshape(g, first, last.tensor.shape)
    inverse = [perm.index(a) for a in range(t.rank)]
    return Term(g, gt.transpose(g, shaped, inverse))


def _d_prod(g: Gradient, op: Op, x: Term, dx: Term) -> Term:
    """`d * product of the others`, which is y / x unless a factor is zero."""
    shape, axes = x.v.tensor.shape, op.attr_ints("axes")
    kept = [a for a in range(len(shape)) if a not in axes]
    zero = x.equals(0)
    ones = zero.choose(1, x)
    rest = g.emit("reduce", ones.v, kind="prod", axes=axes)
    count = g.emit("reduce", zero.op("convert", dtype=I32).v, kind="sum", axes=axes)
    rest = Term(g, gt.spread(g, rest, shape, kept))
    others = Term(g, gt.spread(g, count, shape, kept)) - zero.op("convert", dtype=I32)
    return others.equals(0).choose(dx * rest / ones, 0)


CARDS: tuple[Card, ...] = (Reduce(),)
