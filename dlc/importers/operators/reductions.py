"""Folds over axes, running sums, and what normalises along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable

from dlc.importers import numbers
from dlc.importers.call import Call, Operator, Rule
from dlc.importers.elements import FLOAT, INT32, INT64, UINT8
from dlc.importers.operators.shapes import axes_of
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, ZERO, Dim
from dlc.typesys.types import TensorType

Fold = Callable[[Tensor, tuple[int, ...], bool], Tensor]
"""`(x, axes, keep) -> y`."""


def total(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.e.reduce("sum", x, axes, keep=keep)


def count(x: Tensor, axes: tuple[int, ...]) -> Dim:
    """How many elements are folded into one."""
    n = ONE
    for a in axes:
        n = n * x.shape[a]
    return n


def mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """Floats are summed and divided; whole numbers are divided towards zero."""
    n = count(x, axes)
    s = total(x, axes, keep)
    if not x.element.is_float:
        return numbers.divide(s, numbers.cast(x.e.dim(n), x.element))
    if n.is_constant:
        return s / float(n.constant)
    return s / x.e.convert(x.e.dim(n), x.element)


def extreme(kind: str) -> Fold:
    """The largest or the least; of nothing, the infinity (or end of the range) that any number
    replaces."""

    def fold(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
        e = x.e
        if x.element.is_bool:
            y = e.reduce(kind, e.convert(x, UINT8), axes, keep=keep)
            return y.op("ne", 0)
        y = numbers.restored(e.reduce(kind, numbers.ordered(x), axes, keep=keep), x.element)
        if not x.element.is_float:
            return y
        n = count(x, axes)
        nothing = x.like(-math.inf if kind == "max" else math.inf)
        if n == ZERO:
            return e.broadcast(nothing, y.shape)
        if n.never_zero() or e.reason.at_least(n, 1):
            return y
        return e.dim(n).equals(0).choose(nothing, y)

    return fold


def log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """`log sum exp x`, shifted by the largest so that nothing overflows."""
    e = x.e
    top = extreme("max")(x, axes, True)
    top = top.op("is_finite").choose(top, 0.0)
    y = total((x - top).op("exp"), axes, True).op("log") + top
    return y if keep else e.reshape(y, [d for a, d in enumerate(x.shape) if a not in axes])


_FOLDS: dict[str, tuple[tuple[int, ...], Fold]] = {
    "ReduceSum": ((1, 11, 13), total),
    "ReduceMean": ((1, 11, 13, 18), mean),
    "ReduceMax": ((1, 11, 12, 13, 18, 20), extreme("max")),
    "ReduceMin": ((1, 11, 12, 13, 18, 20), extreme("min")),
    "ReduceProd": ((1, 11, 13, 18), lambda x, a, k: x.e.reduce("prod", x, a, keep=k)),
    "ReduceL1": ((1, 11, 13, 18), lambda x, a, k: total(numbers.absolute(x), a, k)),
    "ReduceL2": ((1, 11, 13, 18), lambda x, a, k: _root(total(x * x, a, k))),
    "ReduceSumSquare": ((1, 11, 13, 18), lambda x, a, k: total(x * x, a, k)),
    "ReduceLogSum": ((1, 11, 13, 18, 28), lambda x, a, k: total(x, a, k).op("log")),
    "ReduceLogSumExp": ((1, 11, 13, 18, 28), log_sum_exp),
}


def _root(x: Tensor) -> Tensor:
    """The square root; whole numbers are rounded to zero."""
    if x.element.is_float:
        return x.op("sqrt")
    return numbers.cast(numbers.cast(x, FLOAT).op("sqrt"), x.element)


def _reduce(fold: Fold, since: int) -> Rule:
    """`since`: the version from which the axes are an input."""

    def rule(c: Call) -> Tensor:
        x = c.tensor(0)
        axes = axes_of(c, 1, x.rank, since)
        if not axes:
            if c.flag("noop_with_empty_axes") and c.version >= since:
                return fold(x, (), True)
            axes = tuple(range(x.rank))
        return fold(x, axes, c.int("keepdims", 1) != 0)

    return rule


# -- along one axis


def _cum_sum(c: Call) -> Tensor:
    x, axis = _running(c)
    exclusive, reverse = c.flag("exclusive"), c.flag("reverse")
    return c.e.emit("cumsum", x, axis=axis, exclusive=exclusive, reverse=reverse)


def _running(c: Call) -> tuple[Tensor, int]:
    from dlc.importers.call import normal_axis

    x, at = c.tensor(0), c.known(1, "the axis")
    assert at.known is not None
    if at.known.size != 1:
        raise refuse("E0707", "the axis is one number")
    return x, normal_axis(int(at.known.reshape(-1)[0]), x.rank)


def _cum_prod(c: Call) -> Tensor:
    """One row after another."""
    (x, axis), e = _running(c), c.e
    order = (axis, *(a for a in range(x.rank) if a != axis))
    back = tuple(order.index(a) for a in range(x.rank))
    y = e.transpose(x, order)
    value = e.value(y)
    n, rest = y.shape[0], y.shape[1:]
    lo, hi = e.b.scalar(0, INT64.storage), e.b.dim(n, INT64.storage)
    one = e.value(e.full(1, rest, x.element))
    out = e.b.full(0, value.tensor)
    types = [lo.tensor, one.type, out.type]
    exclusive, reverse = c.flag("exclusive"), c.flag("reverse")
    with e.region(types, ["i", "product", "y"]) as b:
        i, product, now = b.params
        after = b.emit("mul", product, b.emit("index", value, i, in_bounds=True))
        kept = b.emit("insert", now, product if exclusive else after, i, in_bounds=True)
        body = b.yield_(after, kept)
    _, made = e.b.for_(lo, hi, (one, out), body, reverse=reverse)
    return e.transpose(e.tensor(made, x.element), back)


def softmax(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`exp(x - max) / sum exp(x - max)` over the axes."""
    powers = (x - x.e.reduce("max", x, axes, keep=True)).op("exp")
    return powers / total(powers, axes, True)


def log_softmax(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`x - max - log sum exp(x - max)`."""
    shifted = x - x.e.reduce("max", x, axes, keep=True)
    return shifted - total(shifted.op("exp"), axes, True).op("log")


def hardmax(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """1 at the first of the largest, else 0."""
    e, (axis,) = x.e, axes
    first = e.emit("argmax", x, element=INT32, axis=axis)
    first = e.reshape(first, [ONE if a == axis else d for a, d in enumerate(x.shape)])
    n = x.shape[axis]
    place = e.reshape(e.iota(n, INT32), [n if a == axis else ONE for a in range(x.rank)])
    return e.convert(first.equals(place), x.element)


def _along(f: Callable[[Tensor, tuple[int, ...]], Tensor]) -> Rule:
    def rule(c: Call) -> Tensor:
        x, e = c.tensor(0), c.e
        if c.version >= 13:
            return f(x, (c.axis(x.rank, default=-1),))
        # Before version 13 all axes from `axis` on are one.
        axis = c.axis(x.rank, default=1)
        left = TensorType(x.element.storage, x.shape[:axis]).size
        right = TensorType(x.element.storage, x.shape[axis:]).size
        return e.reshape(f(e.reshape(x, (left, right)), (1,)), x.shape)

    return rule


def _lp_normalization(c: Call) -> Tensor:
    x = c.tensor(0)
    axis, p = c.axis(x.rank, default=-1), c.int("p", 2)
    if p not in (1, 2):
        raise refuse("E0707", f"the norm p is 1 or 2, not {p}")
    norm = total(x * x, (axis,), True).op("sqrt") if p == 2 else total(x.op("abs"), (axis,), True)
    return norm.equals(0.0).choose(0.0, x / norm)


OPERATORS: tuple[Operator, ...] = (
    *(
        Operator(name, versions, _reduce(fold, 13 if name == "ReduceSum" else 18))
        for name, (versions, fold) in _FOLDS.items()
    ),
    Operator("CumSum", (11, 14), _cum_sum),
    Operator("CumProd", (26,), _cum_prod),
    Operator("Softmax", (1, 11, 13), _along(softmax)),
    Operator("LogSoftmax", (1, 11, 13), _along(log_softmax)),
    Operator("Hardmax", (1, 11, 13), _along(hardmax)),
    Operator("LpNormalization", (1, 22), _lp_normalization),
)
