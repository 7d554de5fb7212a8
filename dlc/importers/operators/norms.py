"""Normalisations: by stored statistics, by batch, instance, layer, group, and neighbouring
channels."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.importers import numbers
from dlc.importers.broadcasting import stretch
from dlc.importers.call import Call, Operator, check_rank
from dlc.importers.elements import DOUBLE, Element, element_of
from dlc.importers.operators.padding import pad
from dlc.importers.operators.reductions import mean
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ZERO, Dim


def per_channel(p: Tensor, rank: int) -> Tensor:
    """A vector with a number for each channel, to be stretched over `[N, C, …]`."""
    check_rank(p, 1)
    return p.e.reshape(p, (p.shape[0], *[1] * (rank - 2)))


def _batch_normalization(c: Call) -> Tensor | tuple[Tensor, ...]:
    x, eps = c.tensor(0), c.float("epsilon", 1e-5)
    if x.rank < 2:
        raise refuse("E0707", f"BatchNormalization of {x}")
    if c.version < 9 and c.int("spatial", 1) != 1:
        raise c.refused("BatchNormalization with spatial=0")
    scale, bias, average, variance = (c.tensor(i) for i in range(1, 5))
    if c.version >= 14 and c.flag("training_mode"):
        return _trained(c, x, eps)
    if any(c.wants(i) for i in range(1, 5)):
        raise c.refused("BatchNormalization in training mode, before operator set 14")
    work = variance.element
    factor = numbers.cast(scale, work) / (variance + eps).op("sqrt")
    shift = numbers.cast(bias, work) - average * factor
    y = numbers.cast(x, work) * per_channel(factor, x.rank) + per_channel(shift, x.rank)
    return numbers.cast(y, x.element)


def _trained(c: Call, x: Tensor, eps: float) -> tuple[Tensor, ...]:
    """With the batch's own statistics, which move the running ones."""
    scale, bias, average, variance = (c.tensor(i) for i in range(1, 5))
    keep = c.float("momentum", 0.9)
    axes = (0, *range(2, x.rank))
    now, spread = moments(x, axes)
    y = (x - now) / (spread + eps).op("sqrt")
    y = y * per_channel(scale, x.rank) + per_channel(bias, x.rank)
    flat = [numbers.cast(x.e.reshape(t, average.shape), average.element) for t in (now, spread)]
    moved = [old * keep + new * (1.0 - keep) for old, new in zip((average, variance), flat,
                                                                strict=True)]  # fmt: skip
    return (y, *moved)


def moments(x: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes, which stay as 1."""
    m = mean(x, tuple(axes), True)
    d = x - m
    return m, mean(d * d, tuple(axes), True)


def _normalised(x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    m, v = moments(x, axes)
    return (x - m) / (v + eps).op("sqrt")


def _instance_normalization(c: Call) -> Tensor:
    x = c.tensor(0)
    if x.rank < 3:
        raise refuse("E0707", f"InstanceNormalization of {x}")
    y = _normalised(x, range(2, x.rank), c.float("epsilon", 1e-5))
    return y * per_channel(c.tensor(1), x.rank) + per_channel(c.tensor(2), x.rank)


def _stash(c: Call, x: Tensor) -> Element:
    """The type that statistics are computed in."""
    wanted = element_of(c.int("stash_type", 1))
    return DOUBLE if x.element is DOUBLE else wanted


def _layer_normalization(c: Call) -> tuple[Tensor, ...]:
    x, eps = c.tensor(0), c.float("epsilon", 1e-5)
    axis = c.axis(x.rank, default=-1)
    axes = tuple(range(axis, x.rank))
    wide = numbers.cast(x, _stash(c, x))
    m = mean(wide, axes, True)
    d = wide - m
    inverse = 1.0 / (mean(d * d, axes, True) + eps).op("sqrt")
    y = numbers.cast(d * inverse, x.element) * stretch(c.tensor(1), x.shape)
    if c.has(2):
        y = y + stretch(c.tensor(2), x.shape)
    return y, m, inverse


def _rms_normalization(c: Call) -> Tensor:
    x, scale = c.tensor(0), c.tensor(1)
    axes = tuple(range(c.axis(x.rank, default=-1), x.rank))
    wide = numbers.cast(x, _stash(c, x))
    y = wide / (mean(wide * wide, axes, True) + c.float("epsilon", 1e-5)).op("sqrt")
    return numbers.cast(numbers.cast(y, x.element), scale.element) * scale


def _group_normalization(c: Call) -> Tensor:
    x, e, groups = c.tensor(0), c.e, c.int("num_groups")
    each = x.shape[1].divide_exactly(Dim.const(groups)) if x.rank >= 3 and groups > 0 else None
    if each is None:
        raise refuse("E0707", f"GroupNormalization of {x} in {groups} groups")
    work = _stash(c, x) if c.version >= 21 else x.element
    shape = (x.shape[0], Dim.const(groups), each, *x.shape[2:])
    y = e.reshape(numbers.cast(x, work), shape)
    y = _normalised(y, range(2, y.rank), c.float("epsilon", 1e-5))
    scale, bias = (numbers.cast(c.tensor(i), work) for i in (1, 2))
    if c.version < 21:
        y = y * e.reshape(scale, (groups, *[1] * (y.rank - 2)))
        return e.reshape(y + e.reshape(bias, (groups, *[1] * (y.rank - 2))), x.shape)
    y = e.reshape(y, x.shape) * per_channel(scale, x.rank) + per_channel(bias, x.rank)
    return numbers.cast(y, x.element)


def _mean_variance(c: Call) -> Tensor:
    x = c.tensor(0)
    axes = c.ints("axes") or (0, 2, 3)
    if any(not 0 <= a < x.rank for a in axes):
        raise refuse("E0707", f"the axes {list(axes)} of {x}")
    m = mean(x, axes, True)
    square = mean(x * x, axes, True)
    return (x - m) / ((square - m * m).op("sqrt") + 1e-9)


def _lrn(c: Call) -> Tensor:
    """`x / (bias + alpha/size * sum of squares over neighbouring channels) ** beta`."""
    x, e, size = c.tensor(0), c.e, c.int("size")
    if x.rank < 3 or size < 1:
        raise refuse("E0707", f"LRN of {x} over {size} channels")
    e.budget.check_window(size)
    low = Dim.const((size - 1) // 2)
    rest = [ZERO] * (x.rank - 2)
    squares = pad(x * x, [ZERO, low, *rest], [ZERO, size - 1 - low, *rest], 0.0)
    total: Tensor | None = None
    for i in range(size):
        part = e.slice(squares, 1, i, x.shape[1])
        total = part if total is None else total + part
    assert total is not None
    alpha, beta, bias = (c.float(n, d) for n, d in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    return x / (total * (alpha / size) + bias).op("pow", beta)


OPERATORS: tuple[Operator, ...] = (
    Operator("BatchNormalization", (1, 6, 7, 9, 14, 15), _batch_normalization),
    Operator("InstanceNormalization", (1, 6, 22), _instance_normalization),
    Operator("LayerNormalization", (17,), _layer_normalization),
    Operator("RMSNormalization", (23,), _rms_normalization),
    Operator("GroupNormalization", (18, 21), _group_normalization),
    Operator("MeanVarianceNormalization", (9, 13), _mean_variance),
    Operator("LRN", (1, 13), _lrn),
)
