"""Pools over windows, over all positions, and over regions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from dlc.importers import numbers
from dlc.importers.call import Call, Operator
from dlc.importers.elements import INT64
from dlc.importers.operators.convolutions import check_windows
from dlc.importers.operators.padding import as_ints, pad, per_axis, spatial_pads
from dlc.importers.operators.reductions import mean
from dlc.importers.operators.shapes import dims_from
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Number, Shape, Tensor
from dlc.typesys.dims import ONE, ZERO, Dim


@dataclass(frozen=True)
class Windows:
    """The windows of a pool: per spatial axis the kernel, stride and dilation, the padding that the
    model asks for (`low`, `high`), how many windows there are, and the padding at the end with
    which they fit exactly (`end`)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    low: tuple[Dim, ...]
    high: tuple[Dim, ...]
    count: tuple[Dim, ...]
    end: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        return len(self.kernel)


def windows(c: Call, x: Tensor) -> Windows:
    """The geometry of a pool of `x`."""
    rank = x.rank - 2
    kernel = c.ints("kernel_shape") or ()
    if rank < 1 or len(kernel) != rank or any(k < 1 for k in kernel):
        raise refuse("E0707", f"{c.op} of {x} by windows of {list(kernel)}")
    strides, dilations = per_axis(c, "strides", rank), per_axis(c, "dilations", rank)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    low, high = spatial_pads(c, x.shape[2:], list(map(Dim.const, reach)), strides)
    count: list[Dim] = []
    end: list[Dim] = []
    for a, n in enumerate(x.shape[2:]):
        out = _count(c, n, low[a], high[a], reach[a], strides[a])
        count.append(out)
        end.append((out - 1) * strides[a] + reach[a] - n - low[a])
    pads = as_ints([*low, *high])
    if pads is not None and not c.flag("ceil_mode"):
        check_windows(c.e, x.shape[2:], list(map(Dim.const, reach)), pads, strides)
    return Windows(
        kernel, strides, dilations, tuple(low), tuple(high), tuple(count), tuple(end)
    )  # fmt: skip


def _count(c: Call, n: Dim, low: Dim, high: Dim, reach: int, stride: int) -> Dim:
    """How many windows there are. With `ceil_mode` one may reach over the end, but none begins in
    the padding there. Source: ONNX MaxPool-12."""
    room = n + low + high - reach
    if not c.flag("ceil_mode"):
        return room // stride + 1
    e = c.e
    up = (room + (stride - 1)) // stride + 1
    begins_outside = e.dim((up - 1) * stride) >= e.dim(n + low)
    return e.to_dim(begins_outside.choose(e.dim(up - 1), e.dim(up)))


def _max_pool(c: Call) -> Tensor | tuple[Tensor, ...]:
    x, e = c.tensor(0), c.e
    w = windows(c, x)
    if c.wants(1):
        return _max_with_indices(c, x, w)
    pads = _plain_pads(c, w)
    if pads is not None:
        return e.emit("pool", x, kind="max", size=w.kernel, strides=w.strides, pads=pads)
    y: Tensor | None = None
    for part, _ in _parts(x, w, numbers.lowest(x.element)):
        y = part if y is None else numbers.extreme("max", y, part)
    assert y is not None
    return y


def _plain_pads(c: Call, w: Windows) -> tuple[int, ...] | None:
    """The padding with which the IR's `pool` has the same windows, or None: it knows no dilation,
    and its padding are numbers, fewer than the kernel has."""
    if w.rank > 3 or set(w.dilations) != {1}:
        return None
    ends = list(w.end)
    for a, d in enumerate(w.end):
        if d.is_constant:
            ends[a] = Dim.const(max(d.constant, 0))
        elif not c.flag("ceil_mode"):
            ends[a] = w.high[a]
    pads = as_ints([*w.low, *ends])
    if pads is None or any(p >= k for p, k in zip(pads, (*w.kernel, *w.kernel), strict=True)):
        return None
    return pads


def _parts(x: Tensor, w: Windows, value: Number) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """For each position in the kernel, what all windows see there, and the position."""
    e = x.e
    e.budget.check_window(*w.kernel)
    whole = pad(x, [ZERO, ZERO, *w.low], [ZERO, ZERO, *w.end], value)
    for at in itertools.product(*map(range, w.kernel)):
        y = whole
        for a, k in enumerate(at):
            y = e.slice(y, a + 2, k * w.dilations[a], w.count[a], w.strides[a])
        yield y, at


def _max_with_indices(c: Call, x: Tensor, w: Windows) -> tuple[Tensor, ...]:
    """The largest element of each window, and its row-major (or, with `storage_order`,
    column-major) position in x."""
    e = x.e
    best: Tensor | None = None
    at: Tensor | None = None
    for part, where in _parts(x, w, numbers.lowest(x.element)):
        position = _position(x, w, where, c.int("storage_order", 0) == 1)
        if best is None or at is None:
            best, at = part, e.broadcast(position, (*[ONE] * 2, *w.count))
            continue
        more = numbers.compare("gt", part, best)
        best, at = more.choose(part, best), more.choose(position, at)
    assert best is not None and at is not None
    size = ONE
    for d in x.shape[2:]:
        size = size * d
    n, ch = x.shape[:2]
    row = e.reshape(e.iota(n), (n, 1)) * e.dim(ch) + e.reshape(e.iota(ch), (1, ch))
    offset = e.reshape(row * e.dim(size), (n, ch, *[1] * w.rank))
    return best, at + offset


def _position(x: Tensor, w: Windows, where: tuple[int, ...], by_column: bool) -> Tensor:
    """The position in one channel of the elements that windows see at `where`: [1, 1, count…]."""
    e, total, stride = x.e, None, ONE
    axes = list(range(w.rank))
    for a in axes if by_column else reversed(axes):
        n = w.count[a]
        at = e.iota(n) * w.strides[a] + (e.dim(0) - e.dim(w.low[a]) + where[a] * w.dilations[a])
        part = e.reshape(at, [n if i == a else ONE for i in axes]) * e.dim(stride)
        total = part if total is None else total + part
        stride = stride * x.shape[a + 2]
    assert total is not None
    return e.reshape(total, (1, 1, *total.shape))


def _average_pool(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    w = windows(c, x)
    with_pad = c.flag("count_include_pad")
    pads = _plain_pads(c, w)
    if pads is not None and (not with_pad or _exact(w)):
        return e.emit(
            "pool", x, kind="mean", size=w.kernel, strides=w.strides, pads=pads, count_pad=with_pad
        )
    s = _sum(x, w)
    ones = e.full(1.0, (ONE, ONE, *x.shape[2:]), x.element)
    if with_pad:
        # Padding that the model asks for counts, what a last window reaches beyond it does not.
        ends = [Dim.const(0) if _less(b, a) else b for a, b in zip(w.end, w.high, strict=True)]
        ones = pad(ones, [ZERO, ZERO, *w.low], [ZERO, ZERO, *ends], 1.0)
        inner = tuple(a - b for a, b in zip(w.end, ends, strict=True))
        zeros = (ZERO,) * w.rank
        counted = Windows(w.kernel, w.strides, w.dilations, zeros, zeros, w.count, inner)
        return s / _sum(ones, counted)
    return s / _sum(ones, w)


def _less(a: Dim, b: Dim) -> bool:
    """Whether the end is cut: fewer elements are needed than the padding has."""
    d = b - a
    return d.is_constant and d.constant < 0


def _exact(w: Windows) -> bool:
    """Whether no window reaches beyond the padding."""
    return all(h.at_least(n) for n, h in zip(w.end, w.high, strict=True))


def _sum(x: Tensor, w: Windows) -> Tensor:
    total: Tensor | None = None
    for part, _ in _parts(x, w, 0.0):
        total = part if total is None else total + part
    assert total is not None
    return total


def _lp_pool(c: Call) -> Tensor:
    x = c.tensor(0)
    p = c.int("p", 2) if c.version >= 2 else int(c.float("p", 2.0))
    return _root(_sum(_power(x, p), windows(c, x)), p)


def _power(x: Tensor, p: int) -> Tensor:
    if p == 1:
        return x.op("abs")
    return x * x if p == 2 else x.op("abs").op("pow", float(p))


def _root(x: Tensor, p: int) -> Tensor:
    if p < 1:
        raise refuse("E0707", f"there is no norm of order {p}")
    if p == 1:
        return x
    return x.op("sqrt") if p == 2 else x.op("pow", 1.0 / p)


def _spatial(x: Tensor) -> tuple[int, ...]:
    if x.rank < 3:
        raise refuse("E0707", f"there are no spatial axes in {x}")
    return tuple(range(2, x.rank))


def _global_average(c: Call) -> Tensor:
    return mean(c.tensor(0), _spatial(c.tensor(0)), True)


def _global_max(c: Call) -> Tensor:
    return c.e.reduce("max", c.tensor(0), _spatial(c.tensor(0)), keep=True)


def _global_lp(c: Call) -> Tensor:
    x = c.tensor(0)
    p = c.int("p", 2) if c.version >= 2 else int(c.float("p", 2.0))
    return _root(c.e.reduce("sum", _power(x, p), _spatial(x), keep=True), p)


def _max_unpool(c: Call) -> Tensor:
    x, index, e = c.tensor(0), c.tensor(1), c.e
    rank = x.rank - 2
    kernel, strides = c.ints("kernel_shape") or (), per_axis(c, "strides", rank)
    pads = c.ints("pads") or (0,) * (2 * rank)
    if len(kernel) != rank or len(pads) != 2 * rank or index.shape != x.shape:
        raise refuse("E0707", f"MaxUnpool of {x} at {index}")
    inner: Shape = tuple(
        (n - 1) * strides[a] + (kernel[a] - pads[a] - pads[a + rank])
        for a, n in enumerate(x.shape[2:])
    )
    shape = (*x.shape[:2], *inner)
    want = dims_from(c.tensor(2)) if c.has(2) else shape
    size, count = ONE, ONE
    for d in shape:
        size = size * d
    for d in x.shape:
        count = count * d
    zeros = e.full(0, (size,), x.element)
    flat = numbers.cast(e.reshape(index, (count,)), INT64)
    y = e.reshape(e.emit("scatter", zeros, flat, e.reshape(x, (count,))), shape)
    return pad(y, [ZERO] * x.rank, [b - a for a, b in zip(shape, want, strict=True)], 0)


OPERATORS: tuple[Operator, ...] = (
    Operator("MaxPool", (1, 8, 10, 11, 12, 22), _max_pool),
    Operator("AveragePool", (1, 7, 10, 11, 19, 22), _average_pool),
    Operator("LpPool", (1, 2, 11, 18, 22), _lp_pool),
    Operator("GlobalAveragePool", (1, 22), _global_average),
    Operator("GlobalMaxPool", (1, 22), _global_max),
    Operator("GlobalLpPool", (1, 2, 22), _global_lp),
    Operator("MaxUnpool", (9, 11, 22), _max_unpool),
)
