"""Operations on tensors of dims: what a chain of Shape, Gather, Concat, Reshape computes.

`evaluate` gives the elements of the result as an array of `Dim` (or of bools, for comparisons), or
None if they are not polynomials, so that the operation has to be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from dlc.importers.messages import Array
from dlc.ir.core import Attr
from dlc.typesys.dims import ONE, ZERO, Dim, DimError

Attrs = Mapping[str, Attr]
NotNegative = Callable[[Dim], bool]
"""Whether a dim is certainly not negative."""


class _Open(Exception):
    """An element that is no polynomial."""


def evaluate(
    name: str, xs: Sequence[Array], attrs: Attrs, not_negative: NotNegative
) -> Array | None:
    """The elements of `name(xs)`, each operand an array of `Dim` or (conditions) of bools."""
    try:
        if name in _BINARY:
            return _objects(_BINARY[name], *xs)
        if name in _COMPARE:
            return _objects(partial(_COMPARE[name], not_negative), *xs).astype(bool)
        if name in ("max", "min"):
            return _objects(partial(_extreme, name, not_negative), *xs)
        rule = _RULES.get(name)
        return None if rule is None else rule(xs, attrs)
    except (_Open, DimError):
        return None


def _objects(f: Callable[..., Any], *xs: Array) -> Array:
    """`f` on every element, as an array of objects (also for rank 0)."""
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    out = np.empty(shape, object)
    full = [np.broadcast_to(x, shape) for x in xs]
    for at in np.ndindex(shape):
        out[at] = f(*(x[at] for x in full))
    return out


def _quotient(a: Dim, b: Dim) -> Dim:
    exact = a.divide_exactly(b) if b != ZERO else None
    if exact is not None:
        return exact
    if not b.is_constant or b.constant <= 0:
        raise _Open
    return a // b


def _remainder(a: Dim, b: Dim) -> Dim:
    return a - b * _quotient(a, b)


def _select(c: bool, a: Dim, b: Dim) -> Dim:
    return a if c else b


_BINARY: Mapping[str, Callable[..., Dim]] = MappingProxyType(
    {
        "add": Dim.__add__,
        "sub": Dim.__sub__,
        "mul": Dim.__mul__,
        "neg": Dim.__neg__,
        "floordiv": _quotient,
        "mod": _remainder,
        "select": _select,
    }
)


def _certain(a: Dim, b: Dim, nn: NotNegative) -> int | None:
    """1, 0, -1 if a is certainly greater, equal, less; 2, -2 if at least, at most; else None."""
    if a == b:
        return 0
    if nn(a - b - 1):
        return 1
    if nn(b - a - 1):
        return -1
    if nn(a - b):
        return 2
    return -2 if nn(b - a) else None


Decide = Callable[[NotNegative, Dim, Dim], bool]


def _compared(truths: Mapping[int, bool]) -> Decide:
    def decide(nn: NotNegative, a: Dim, b: Dim) -> bool:
        order = _certain(a, b, nn)
        if order is None or order not in truths:
            raise _Open
        return truths[order]

    return decide


_COMPARE: Mapping[str, Decide] = MappingProxyType(
    {
        "eq": _compared({0: True, 1: False, -1: False}),
        "ne": _compared({0: False, 1: True, -1: True}),
        "lt": _compared({0: False, 1: False, 2: False, -1: True}),
        "le": _compared({0: True, 1: False, -1: True, -2: True}),
        "gt": _compared({0: False, 1: True, -1: False, -2: False}),
        "ge": _compared({0: True, 1: True, 2: True, -1: False}),
    }
)


def _extreme(name: str, nn: NotNegative, a: Dim, b: Dim) -> Dim:
    order = _certain(a, b, nn)
    if order is None:
        raise _Open
    larger, smaller = (a, b) if order > 0 else (b, a)
    return larger if name == "max" else smaller


# -- arrangements


def _ints(attrs: Attrs, key: str) -> tuple[int, ...]:
    """An attribute of dims that are numbers here."""
    v = attrs.get(key, ())
    assert isinstance(v, tuple)
    out: list[int] = []
    for d in v:
        assert isinstance(d, (int, Dim))
        n = Dim.of(d)
        if not n.is_constant:
            raise _Open
        out.append(n.constant)
    return tuple(out)


def _int(attrs: Attrs, key: str, default: int = 0) -> int:
    v = attrs.get(key, default)
    assert isinstance(v, (int, Dim))
    d = Dim.of(v)
    if not d.is_constant:
        raise _Open
    return d.constant


def _number(x: Array) -> int:
    return _constant(x.reshape(-1)[0])


def _constant(d: Dim) -> int:
    if not d.is_constant:
        raise _Open
    return d.constant


def _slice(xs: Sequence[Array], attrs: Attrs) -> Array:
    x, start = xs[0], _number(xs[1])
    axis, size, step = _int(attrs, "axis"), _int(attrs, "size"), _int(attrs, "step", 1)
    stop = start + (size - 1) * step + 1 if size > 0 else start
    if start < 0 or stop > x.shape[axis]:
        raise _Open
    return x[(*[slice(None)] * axis, slice(start, stop, step))]


def _take(xs: Sequence[Array], attrs: Attrs) -> Array:
    index = _objects(_constant, xs[1]).astype(np.int64)
    axis = _int(attrs, "axis")
    n = xs[0].shape[axis]
    if index.size and (int(index.min()) < 0 or int(index.max()) >= n):
        raise _Open
    return _array(np.take(xs[0], index, axis))


def _reduce(xs: Sequence[Array], attrs: Attrs) -> Array:
    kind = attrs["kind"]
    if kind not in ("sum", "prod"):
        raise _Open
    axes, x = _ints(attrs, "axes"), xs[0]
    rest = [a for a in range(x.ndim) if a not in axes]
    out = np.empty([x.shape[a] for a in rest], object)
    moved = np.moveaxis(x, rest, range(len(rest)))
    for at in np.ndindex(out.shape):
        total = ZERO if kind == "sum" else ONE
        for d in _array(moved[at]).reshape(-1):
            total = total + d if kind == "sum" else total * d
        out[at] = total
    return out


def _array(x: Any) -> Array:
    """An object array, also where numpy hands out the one element itself."""
    if isinstance(x, np.ndarray):
        return cast(Array, x)
    out = np.empty((), object)
    out[()] = x
    return out


_RULES: Mapping[str, Callable[[Sequence[Array], Attrs], Array]] = MappingProxyType(
    {
        "reshape": lambda xs, a: xs[0].reshape(_ints(a, "shape")),
        "broadcast": lambda xs, a: np.broadcast_to(xs[0], _ints(a, "shape")),
        "transpose": lambda xs, a: np.transpose(xs[0], _ints(a, "perm")),
        "reverse": lambda xs, a: np.flip(xs[0], _int(a, "axis")),
        "concat": lambda xs, a: np.concatenate(list(xs), _int(a, "axis")),
        "slice": _slice,
        "take": _take,
        "reduce": _reduce,
    }
)
