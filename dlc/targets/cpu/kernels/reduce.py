"""Reductions: sum, prod, max, min, any, all; and running sums.

reduce_rows, variant a kind: y[i * y_row] = fold over j < n of x[i * x_row + j], i < rows. In order:
lane l of 32 takes the elements j = l modulo 32, then lanes are combined as a tree (l with l + 16,
+ 8, + 4, + 2, + 1): the same on every target.
reduce_cols, variant a kind: y[j] = fold over i < n of x[i * x_row + j], j < cols, i in order.

With `accumulate` the old y is combined with the fold (old first). Of nothing: 0, 1, the lowest
finite number (max), the highest (min), false, true; with `accumulate`, the old y. NaN wins in max
and min. f16 and bf16 are folded in f32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable

from dlc.targets.cpu.kernels.math import convert, rounding
from dlc.targets.cpu.kernels.registry import Family, Key, Params
from dlc.targets.cpu.kernels.simd import (
    first_lanes,
    fold,
    partial_load,
    partial_store,
    takes_mask,
    vector_loop,
)
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Element, Value, vector
from dlc.targets.cpu.llvm.types import BITS, constant, is_float, lanes_of

KINDS = ("sum", "prod", "max", "min", "any", "all")
LANES = 32

_HIGHEST = {
    "f64": float.fromhex("0x1.fffffffffffffp1023"),
    "f32": float.fromhex("0x1.fffffep127"),
    "f16": 65504.0,
    "bf16": float.fromhex("0x1.fep127"),
}


class Fold:
    """One kind of reduction of one element type, on register values of `scalar`."""

    def __init__(self, f: Builder, key: Key) -> None:
        self.f, self.kind, self.dtype = f, key.variant, key.dtype
        self.element: Element = ELEMENTS[key.dtype]
        # Bools are combined as the bytes that they lie in.
        self.scalar = "i8" if self.element.kind == "bool" else self.element.register

    def load(self, address: Value, lanes: int = 1) -> Value:
        if self.element.kind == "bool":
            return self.f.load(vector("i8", lanes), address)
        return convert.load(self.f, self.dtype, address, lanes)

    def store(self, x: Value, address: Value) -> None:
        if self.element.kind == "bool":
            self.f.store(x, address)
        else:
            convert.store(self.f, self.dtype, x, address)

    def start(self, lanes: int = 1) -> Value:
        """What changes nothing: -inf for max, though the max of nothing is finite."""
        t = vector(self.scalar, lanes)
        if self.kind in ("max", "min"):
            if is_float(t):
                return constant(t, float("-inf") if self.kind == "max" else float("inf"))
            return constant(t, self._integer_end(self.kind == "min"))
        one = self.kind in ("prod", "all")
        return constant(t, float(one) if is_float(t) else int(one))

    def _integer_end(self, high: bool) -> int:
        bits = BITS[self.scalar]
        if not self.element.signed:
            return (1 << bits) - 1 if high else 0
        return (1 << bits - 1) - 1 if high else -(1 << bits - 1)

    def of_nothing(self) -> Value:
        """The result of an empty reduction."""
        if self.kind in ("max", "min") and self.element.is_float:
            top = _HIGHEST[self.dtype]
            return constant(self.scalar, -top if self.kind == "max" else top)
        return self.start()

    def combine(self, a: Value, b: Value) -> Value:
        f = self.f
        if self.kind == "any":
            return f.or_(a, b)
        if self.kind == "all":
            return f.and_(a, b)
        if self.kind == "sum":
            return f.plus(a, b)
        if self.kind == "prod":
            return f.times(a, b)
        if self.kind == "max":
            signed, unsigned = rounding.maximum, rounding.maximum_unsigned
        else:
            signed, unsigned = rounding.minimum, rounding.minimum_unsigned
        return (signed if self.element.signed else unsigned)(f, a, b)


def _row_params(key: Key) -> Params:
    return (
        (INDEX, "rows"),
        (INDEX, "n"),
        ("ptr", "x"),
        (INDEX, "x_row"),
        ("ptr noalias", "y"),
        (INDEX, "y_row"),
        ("i1", "accumulate"),
    )


def _rows(f: Builder, key: Key) -> None:
    rows, n, x, x_row, y, y_row, accumulate = f.params
    kind, memory = Fold(f, key), ELEMENTS[key.dtype].memory
    with f.loop(0, rows, name="row") as row:
        at = f.gep(memory, x, f.mul(row.index, x_row))
        total = fold(f, lanes_of_row(f, kind, at, n), kind.combine)
        _finish(f, kind, total, n, f.gep(memory, y, f.mul(row.index, y_row)), accumulate)


def lanes_of_row(f: Builder, kind: Fold, x: Value, n: Value) -> Value:
    """LANES partial results of x[0..n]."""
    memory = kind.element.memory
    whole = f.and_(n, -LANES)
    with f.loop(0, whole, LANES, carried=[kind.start(LANES)], name="lanes") as loop:
        part = kind.load(f.gep(memory, x, loop.index), LANES)
        loop.next(kind.combine(loop.carried[0], part))
    (lanes,) = loop.carried
    left = f.sub(n, whole)
    rest = f.gep(memory, x, whole)
    (total,) = f.if_else(
        f.icmp("sgt", left, 0),
        lambda: (kind.combine(lanes, _partial(f, kind, rest, left)),),
        lambda: (lanes,),
    )
    return total


def _partial(f: Builder, kind: Fold, x: Value, count: Value) -> Value:
    """The first `count` < LANES elements, and what changes nothing after them."""
    memory = kind.element.memory
    if f.module.target.masked and memory in ("float", "double", "i32", "i64"):
        part = partial_load(f, kind.dtype, x, count, LANES)
        numbers = f.lane_numbers("i32", LANES)
        inside = f.icmp("slt", numbers, f.splat(f.cast("trunc", count, "i32"), LANES))
        return f.select(inside, part, kind.start(LANES))
    buffer = f.alloca(kind.scalar, LANES)
    f.store(kind.start(LANES), buffer)
    with f.loop(0, count, name="rest") as loop:
        value = kind.load(f.gep(memory, x, loop.index))
        f.store(value, f.gep(kind.scalar, buffer, loop.index))
    return f.load(vector(kind.scalar, LANES), buffer)


def _finish(
    f: Builder, kind: Fold, total: Value, n: Value, place: Value, accumulate: Value
) -> None:
    """Store, with the old value or the value of nothing where they count. For any lanes."""
    lanes = lanes_of(total.type)
    result = _result(f, kind, total, n, lambda: kind.load(place, lanes), accumulate)
    kind.store(result, place)


def _result(
    f: Builder, kind: Fold, total: Value, n: Value, old: Callable[[], Value], accumulate: Value
) -> Value:
    """The total with the old value, or the value of nothing, where they count."""
    nothing = f.splat(kind.of_nothing(), lanes_of(total.type))
    (result,) = f.if_else(
        accumulate,
        lambda: (kind.combine(old(), total),),
        lambda: (f.select(f.icmp("sgt", n, 0), total, nothing),),
    )
    return result


def _col_params(key: Key) -> Params:
    return (
        (INDEX, "cols"),
        (INDEX, "n"),
        ("ptr", "x"),
        (INDEX, "x_row"),
        ("ptr noalias", "y"),
        ("i1", "accumulate"),
    )


def _cols(f: Builder, key: Key) -> None:
    cols, n, x, x_row, y, accumulate = f.params
    kind, memory = Fold(f, key), ELEMENTS[key.dtype].memory

    def strip(first: Value, lanes: int) -> None:
        column = f.gep(memory, x, first)
        with f.loop(0, n, carried=[kind.start(lanes)], name="row") as loop:
            part = kind.load(f.gep(memory, column, f.mul(loop.index, x_row)), lanes)
            loop.next(kind.combine(loop.carried[0], part))
        _finish(f, kind, loop.carried[0], n, f.gep(memory, y, first), accumulate)

    wide = 2 * f.module.target.lanes(BITS[kind.scalar] // 8)
    if not takes_mask(f, key.dtype):
        vector_loop(f, cols, wide, strip)
        return
    whole = f.and_(cols, -wide)
    with f.loop(0, whole, wide, name="vector") as loop:
        strip(loop.index, wide)
    with f.loop(whole, cols, wide // 2, name="tail") as tail:
        first, lanes = tail.index, wide // 2
        count = f.sub(cols, first)
        mask = first_lanes(f, count, lanes)
        column = f.gep(memory, x, first)
        with f.loop(0, n, carried=[kind.start(lanes)], name="row") as rows:
            at = f.gep(memory, column, f.mul(rows.index, x_row))
            part = partial_load(f, key.dtype, at, count, lanes, mask)
            rows.next(kind.combine(rows.carried[0], part))
        place = f.gep(memory, y, first)

        def old() -> Value:
            return partial_load(f, key.dtype, place, count, lanes, mask)

        total = _result(f, kind, rows.carried[0], n, old, accumulate)
        partial_store(f, key.dtype, total, place, count, mask)


def _cumsum_params(key: Key) -> Params:
    return (
        (INDEX, "n"),
        (INDEX, "cols"),
        ("ptr", "x"),
        (INDEX, "x_row"),
        (INDEX, "x_col"),
        ("ptr", "y"),
        (INDEX, "y_row"),
        (INDEX, "y_col"),
        ("i1", "reverse"),
        ("i1", "exclusive"),
    )


def _cumsum(f: Builder, key: Key) -> None:
    """y[i, j] = sum of x[k, j] over k <= i (exclusive: k < i; reverse: from the end), one by one.

    y may be x, with the same strides. Columns next to each other go in vectors.
    """
    n, cols, x, x_row, x_col, y, y_row, y_col, reverse, exclusive = f.params
    e = ELEMENTS[key.dtype]
    last = f.sub(n, 1)

    def column(a: Value, b: Value, lanes: int) -> None:
        zero = constant(vector(e.register, lanes), 0.0 if e.is_float else 0)
        with f.loop(0, n, carried=[zero], name="row") as loop:
            (before,) = loop.carried
            i = f.select(reverse, f.sub(last, loop.index), loop.index)
            part = convert.load(f, key.dtype, f.gep(e.memory, a, f.mul(i, x_row)), lanes)
            total = f.plus(before, part)
            out = f.select(exclusive, before, total)
            convert.store(f, key.dtype, out, f.gep(e.memory, b, f.mul(i, y_row)))
            loop.next(total)

    unit = f.and_(f.icmp("eq", x_col, 1), f.icmp("eq", y_col, 1))
    lanes = f.module.target.lanes(max(e.bytes, 4))
    first = f.index(0)
    if lanes > 1:
        whole = f.select(unit, f.and_(cols, -lanes), f.index(0))
        with f.loop(0, whole, lanes, name="vector") as strip:
            column(f.gep(e.memory, x, strip.index), f.gep(e.memory, y, strip.index), lanes)
        first = strip.index
    with f.loop(first, cols, name="column") as one:
        a = f.gep(e.memory, x, f.mul(one.index, x_col))
        column(a, f.gep(e.memory, y, f.mul(one.index, y_col)), 1)


_NUMBERS = tuple(d for d, e in ELEMENTS.items() if e.kind != "bool")


_ONLY = (("any", ("bool",)), ("all", ("bool",)))

FAMILIES = (
    Family("reduce_rows", _NUMBERS, _row_params, _rows, KINDS, _ONLY),
    Family("reduce_cols", _NUMBERS, _col_params, _cols, KINDS, _ONLY),
    Family("cumsum", _NUMBERS, _cumsum_params, _cumsum),
)
