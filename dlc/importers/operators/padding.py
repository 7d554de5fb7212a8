"""Padding: Pad, CenterCropPad, and the padding that windows ask for."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.importers.call import Call, Operator, normal_axes, numbers_of
from dlc.importers.elements import INT64
from dlc.importers.operators.shapes import dims_from, elements
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Number, Shape, Tensor
from dlc.typesys.dims import ZERO, Dim


def pad(x: Tensor, low: Sequence[Dim], high: Sequence[Dim], value: Tensor | Number) -> Tensor:
    """Around `x`, `value`; negative numbers cut."""
    e = x.e
    v = x.like(value)
    for axis, (lo, hi) in enumerate(zip(low, high, strict=True)):
        x = _pad_axis(x, axis, lo, hi, e.reshape(v, ()) if v.rank else v)
    return x


def _is_negative(d: Dim) -> bool:
    return d.is_constant and d.constant < 0


def _pad_axis(x: Tensor, axis: int, lo: Dim, hi: Dim, value: Tensor) -> Tensor:
    e = x.e
    first = -lo if _is_negative(lo) else ZERO
    cut = -hi if _is_negative(hi) else ZERO
    if first != ZERO or cut != ZERO:
        left = x.shape[axis] - first - cut
        if left.is_constant and left.constant < 0:
            raise refuse("E0707", f"more than {x.shape[axis]} elements are cut from axis {axis}")
        x = e.slice(x, axis, first, left)
        lo, hi = lo + first, hi + cut
    if lo == ZERO and hi == ZERO:
        return x
    wide = (*x.shape[:axis], x.shape[axis] + lo + hi, *x.shape[axis + 1 :])
    base = e.broadcast(value, wide)
    return e.emit("insert_slice", base, x, e.dim(lo), axis=axis, in_bounds=True)


def _pad(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    mode = c.choice("mode", ("constant", "reflect", "edge", "wrap"), "constant")
    value: Tensor | Number
    if c.version < 11:
        raw = c.ints("pads") if c.version >= 2 else c.ints("paddings")
        pads, value, axes = e.integers(raw or ()), c.float("value", 0.0), tuple(range(x.rank))
    else:
        pads = c.tensor(1)
        zero: Number = False if x.element.is_bool else 0
        value = c.tensor(2) if c.has(2) else zero
        given = numbers_of(c.known(3, "the axes of Pad")) if c.has(3) else None
        axes = tuple(range(x.rank)) if given is None else normal_axes(given, x.rank)
    parts = elements(pads)
    if len(parts) != 2 * len(axes):
        raise refuse("E0707", f"{len(parts)} pads for {len(axes)} axes")
    zero_t = e.scalar(0, INT64)
    low = [zero_t] * x.rank
    high = [zero_t] * x.rank
    for i, a in enumerate(axes):
        low[a], high[a] = parts[i], parts[i + len(axes)]
    if mode == "constant":
        return _constant(x, low, high, value)
    for a in range(x.rank):
        x = _reflected(x, a, low[a], high[a], mode)
    return x


def _constant(
    x: Tensor, low: Sequence[Tensor], high: Sequence[Tensor], value: Tensor | Number
) -> Tensor:
    e = x.e
    if all(t.symbols is not None for t in (*low, *high)):
        ends = [
            [t.symbols.reshape(-1)[0] for t in ts if t.symbols is not None] for ts in (low, high)
        ]
        return pad(x, ends[0], ends[1], value)
    # Pads that the run decides may be negative: cut first, then pad by what is positive.
    for a, (lo, hi) in enumerate(zip(low, high, strict=True)):
        n = e.dim(x.shape[a])
        first, cut = (-lo).op("max", 0), (-hi).op("max", 0)
        size = e.to_dim(n - first - cut)
        x = e.emit("slice", x, first, axis=a, size=size)
        more = [e.to_dim(t.op("max", 0)) for t in (lo, hi)]
        x = _pad_axis(x, a, more[0], more[1], e.reshape(x.like(value), ()))
    return x


def _reflected(x: Tensor, axis: int, lo: Tensor, hi: Tensor, mode: str) -> Tensor:
    """Positions beyond the ends are taken back inside."""
    e, d = x.e, x.shape[axis]
    if all(t.known is not None and not int(t.known) for t in (lo, hi)):
        return x
    n = e.dim(d)
    size = e.to_dim(n + lo + hi)
    at = e.iota(size) - lo
    if mode == "edge":
        at = at.op("max", 0).op("min", n - 1)
    elif mode == "wrap":
        at = at.op("mod", n)
    else:
        period = ((n - 1) * 2).op("max", 1)
        at = at.op("mod", period)
        at = at.op("min", period - at)
    return e.emit("take", x, at, axis=axis)


def _center_crop_pad(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    given = c.ints("axes")
    axes = tuple(range(x.rank)) if given is None else normal_axes(given, x.rank)
    shape = dims_from(c.tensor(1))
    if len(shape) != len(axes):
        raise refuse("E0707", f"{len(shape)} sizes for {len(axes)} axes")
    for a, want in zip(axes, shape, strict=True):
        have = e.dim(x.shape[a])
        target = e.dim(want)
        cut, more = (have - target).op("max", 0), (target - have).op("max", 0)
        size = e.to_dim(have.op("min", target))
        x = e.emit("slice", x, cut.op("floordiv", 2), axis=a, size=size, in_bounds=True)
        lo = more.op("floordiv", 2)
        x = _pad_axis(x, a, e.to_dim(lo), e.to_dim(more - lo), x.like(0))
    return x


# -- windows


def same_padding(n: Dim, stride: int, reach: Dim, lower: bool) -> tuple[Dim, Dim] | None:
    """The padding with which `ceil(n / stride)` windows of `reach` elements fit, or None if it is
    no polynomial."""
    if n.is_constant and reach.is_constant:
        out = -(-n.constant // stride)
        total = Dim.const(max((out - 1) * stride + reach.constant - n.constant, 0))
    else:
        out_d = (n + (stride - 1)) // stride
        total = (out_d - 1) * stride + reach - n
        if not reach.at_least(stride):
            return None
    half = total // 2
    return (total - half, half) if lower else (half, total - half)


def as_ints(ds: Sequence[Dim]) -> tuple[int, ...] | None:
    """The numbers, if all are known and none is negative."""
    if all(d.is_constant and d.constant >= 0 for d in ds):
        return tuple(d.constant for d in ds)
    return None


def spatial_pads(
    c: Call, sizes: Shape, reach: Sequence[Dim], strides: Sequence[int]
) -> tuple[list[Dim], list[Dim]]:
    """Low and high padding of every spatial axis, by `pads` or `auto_pad`."""
    rank = len(sizes)
    auto = c.choice("auto_pad", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"), "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = (c.ints("pads") if auto == "NOTSET" else None) or (0,) * (2 * rank)
        if len(pads) != 2 * rank:
            raise refuse("E0707", f"{len(pads)} pads for {rank} axes")
        return [Dim.const(p) for p in pads[:rank]], [Dim.const(p) for p in pads[rank:]]
    low: list[Dim] = []
    high: list[Dim] = []
    for n, k, s in zip(sizes, reach, strides, strict=True):
        found = same_padding(n, s, k, auto == "SAME_LOWER")
        if found is None:
            size = c.e.dim(n)
            out = (size + (s - 1)).op("floordiv", s)
            total = ((out - 1) * s + c.e.dim(k) - size).op("max", 0)
            half = total.op("floordiv", 2)
            ends = (c.e.to_dim(half), c.e.to_dim(total - half))
            found = ends if auto == "SAME_UPPER" else (ends[1], ends[0])
        low.append(found[0])
        high.append(found[1])
    return low, high


def per_axis(c: Call, name: str, rank: int, least: int = 1) -> tuple[int, ...]:
    """An attribute with a number for each spatial axis, 1 if it is missing."""
    found = c.ints(name) or (1,) * rank
    if len(found) != rank or any(n < least for n in found):
        raise refuse("E0707", f"the attribute `{name}` is {list(found)} for {rank} axes")
    return found


OPERATORS: tuple[Operator, ...] = (
    Operator("Pad", (1, 2, 11, 13, 18, 19, 21, 23, 24, 25), _pad),
    Operator("CenterCropPad", (18,), _center_crop_pad),
)
