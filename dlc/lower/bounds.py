"""Indices that need no check: those that provably lie inside.

A forward walk over a function keeps, for whole-number values, an interval of dims that holds all
elements: loop indices, `argmax`, `iota`, the indices of `top_k` and `sort`, and sums, quotients and
remainders of such. An operation whose indices fit the axis gets `in_bounds`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from dlc.ir.core import Attr, Function, Op, Region, Value, freeze_attrs
from dlc.typesys.dims import ONE, ZERO, Dim, DimError, Quotient
from dlc.typesys.types import TensorType


@dataclass(frozen=True, slots=True)
class Interval:
    """`low <= x < high` as whole numbers. `exact`: the computed value is that number even where
    arithmetic wraps; sums are equal to it only once it is known to be a number of an axis."""

    low: Dim
    high: Dim
    exact: bool = True


Known: TypeAlias = dict[Value, Interval]


def at_least(a: Dim, b: Dim) -> bool:
    """Whether `a >= b` follows from all names being >= 0."""
    return all(c >= 0 and all(_never_negative(x) for x, _ in m) for m, c in (a - b).terms)


def _never_negative(atom: str | Quotient) -> bool:
    if isinstance(atom, str):
        return True
    return at_least(atom.numerator, ZERO) and at_least(atom.denominator, ZERO)


def prove_bounds(fn: Function) -> Function:
    """The function with `in_bounds` wherever it can be shown."""
    return fn.with_body(_region(fn.body, {}))


def _region(r: Region, known: Known) -> Region:
    known = dict(known)
    ops: list[Op] = []
    for op in r.ops:
        op = _marked(op, known)
        if op.regions:
            op = replace(op, regions=tuple(_inner(op, x, known) for x in op.regions))
        ops.append(op)
        _learn(op, known)
    return Region(r.params, tuple(ops), r.dims)


def _inner(op: Op, r: Region, known: Known) -> Region:
    """A region, with what is known of its parameters."""
    inside = dict(known)
    if op.name == "for":
        lo, hi = (known.get(v) for v in op.operands[:2])
        if lo is not None and hi is not None and lo.exact and hi.exact:
            inside[r.params[0]] = Interval(lo.low, hi.high - 1)
    elif op.name == "map":
        shape = op.attr_dims("shape")
        indices = len(r.params) - len(op.operands)
        for p, d in zip(r.params[:indices], shape, strict=False):
            inside[p] = Interval(ZERO, d)
        for p, v in zip(r.params[indices:], op.operands, strict=True):
            if v in known:
                inside[p] = known[v]
    return _region(r, inside)


# -- what operations tell


def _learn(op: Op, known: Known) -> None:
    if op.name == "as_dim":
        named = Dim.sym(op.dims[0])
        known[op.operands[0]] = Interval(named, named + 1)
    rule = _RULES.get(op.name)
    if rule is None:
        return
    try:
        found = rule(op, known)
    except DimError:
        return
    for v, interval in zip(op.results, found, strict=False):
        # Narrower numbers wrap below the size of an axis.
        if interval is not None and v.tensor.dtype.is_int and v.tensor.dtype.bits >= 32:
            known[v] = interval


_Found: TypeAlias = Sequence[Interval | None]
_Rule: TypeAlias = Callable[[Op, Known], _Found]


def _const(op: Op, known: Known) -> _Found:
    v = op.attrs["value"]
    if isinstance(v, bool) or isinstance(v, float):
        return ()
    if isinstance(v, int):
        return (Interval(Dim.const(v), Dim.const(v + 1)),)
    if isinstance(v, np.ndarray) and v.size and op.result.tensor.dtype.is_int:
        return (Interval(Dim.const(int(v.min())), Dim.const(int(v.max()) + 1)),)
    return ()


def _dim(op: Op, known: Known) -> _Found:
    d = op.attr_dim("value")
    return (Interval(d, d + 1),)


def _iota(op: Op, known: Known) -> _Found:
    return (Interval(ZERO, op.attr_dim("size")),)


def _winner(op: Op, known: Known) -> _Found:
    return (Interval(ZERO, op.operands[0].tensor.shape[op.attr_int("axis")]),)


def _order(op: Op, known: Known) -> _Found:
    """Results are values and their indices."""
    of = known.get(op.operands[0])
    return (of, Interval(ZERO, op.operands[0].tensor.shape[op.attr_int("axis")]))


def _nonzero(op: Op, known: Known) -> _Found:
    return (Interval(ZERO, op.operands[0].tensor.shape[0]),)


def _row_of(op: Op, known: Known) -> _Found:
    return (Interval(ZERO, op.operands[0].tensor.shape[0] - 1),)


def _same(op: Op, known: Known) -> _Found:
    return (known.get(op.operands[0]),)


def _joined(op: Op, known: Known) -> _Found:
    """All operands have one interval (of `select`: the last two)."""
    parts = op.operands[1:] if op.name == "select" else op.operands
    found = [known.get(v) for v in parts]
    return (found[0] if all(f == found[0] for f in found) else None,)


def _two(op: Op, known: Known) -> tuple[Interval, Interval] | None:
    a, b = (known.get(v) for v in op.operands)
    return None if a is None or b is None else (a, b)


def _add(op: Op, known: Known) -> _Found:
    both = _two(op, known)
    if both is None:
        return ()
    a, b = both
    return (Interval(a.low + b.low, a.high + b.high - 1, False),)


def _sub(op: Op, known: Known) -> _Found:
    both = _two(op, known)
    if both is None:
        return ()
    a, b = both
    return (Interval(a.low - b.high + 1, a.high - b.low, False),)


def _divisor(b: Interval) -> Dim | None:
    """The one number that a divisor can be; a zero ends the program."""
    single = b.exact and b.high - b.low == ONE and at_least(b.low, ZERO)
    return b.low if single else None


def _mod(op: Op, known: Known) -> _Found:
    b = known.get(op.operands[1])
    d = _divisor(b) if b is not None else None
    return () if d is None else (Interval(ZERO, d),)


def _floordiv(op: Op, known: Known) -> _Found:
    both = _two(op, known)
    if both is None:
        return ()
    a, b = both
    d = _divisor(b)
    if d is None or d == ZERO or not a.exact or not at_least(a.low, ZERO):
        return ()
    whole = a.high.divide_exactly(d)
    if whole is None and d.is_constant:
        whole = (a.high + d - 1) // d
    return () if whole is None else (Interval(ZERO, whole),)


_KEEP = (
    "convert", "reshape", "broadcast", "transpose", "reverse", "retype", "slice", "index", "take",
    "take_along",
)  # fmt: skip
"""Results hold elements of operand 0, or numbers equal to them."""

_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "const": _const,
        "dim": _dim,
        "iota": _iota,
        "argmax": _winner,
        "argmin": _winner,
        "sort": _order,
        "top_k": _order,
        "nonzero_indices": _nonzero,
        "row_of": _row_of,
        "add": _add,
        "sub": _sub,
        "mod": _mod,
        "floordiv": _floordiv,
        "select": _joined,
        "concat": _joined,
        **dict.fromkeys(_KEEP, _same),
    }
)


# -- what operations need


def _marked(op: Op, known: Known) -> Op:
    if op.attr_flag("in_bounds"):
        return op
    needs = _NEEDS.get(op.name)
    if needs is None or not _holds(needs(op), known):
        return op
    attrs: dict[str, Attr] = {**op.attrs, "in_bounds": True}
    return replace(op, attrs=freeze_attrs(attrs))


_Need: TypeAlias = tuple[Value, Dim]
"""An index, and the bound that it must be below."""


def _holds(needs: Sequence[_Need], known: Known) -> bool:
    for v, bound in needs:
        interval = known.get(v)
        if interval is None or not at_least(interval.low, ZERO):
            return False
        if not at_least(bound, interval.high):
            return False
    return True


def _axis_size(op: Op) -> Dim:
    t = op.operands[0].type
    assert isinstance(t, TensorType)
    return t.shape[op.attr_int("axis", 0)]


def _need_index(op: Op) -> Sequence[_Need]:
    first = 2 if op.name == "insert" else 1
    shape = op.operands[0].tensor.shape
    return tuple(zip(op.operands[first:], shape, strict=False))


def _need_take(op: Op) -> Sequence[_Need]:
    return ((op.operands[1], _axis_size(op)),)


def _need_run(op: Op) -> Sequence[_Need]:
    """A start needs the whole run behind it: start + (size - 1) * step + 1 <= axis."""
    inserted = op.name == "insert_slice"
    axis = op.attr_int("axis")
    size = op.operands[1].tensor.shape[axis] if inserted else op.attr_dim("size")
    start = op.operands[2 if inserted else 1]
    return ((start, _axis_size(op) - (size - 1) * op.attr_int("step", 1)),)


_NEEDS: Mapping[str, Callable[[Op], Sequence[_Need]]] = MappingProxyType(
    {
        "index": _need_index,
        "insert": _need_index,
        "take": _need_take,
        "take_along": _need_take,
        "add_along": _need_take,
        "scatter": _need_take,
        "scatter_add": _need_take,
        "scatter_max": _need_take,
        "scatter_min": _need_take,
        "slice": _need_run,
        "insert_slice": _need_run,
    }
)
