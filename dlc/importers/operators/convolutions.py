"""Convolutions and their transposes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlc.importers.broadcasting import with_dim
from dlc.importers.call import Call, Operator, check_rank
from dlc.importers.operators.padding import as_ints, pad, per_axis, spatial_pads
from dlc.importers.operators.shapes import dims_from
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.ir.core import Attr
from dlc.typesys.dims import ZERO, Dim

if TYPE_CHECKING:
    from dlc.importers.emission import Emission


def _conv(c: Call) -> Tensor:
    return convolve(c, c.tensor(0), c.tensor(1), c.optional(2))


def convolve(c: Call, x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution with the geometry of the call's attributes."""
    rank = x.rank - 2
    if rank < 0 or w.rank != x.rank:
        raise refuse("E0707", f"a convolution of {x} with {w}")
    if not 1 <= rank <= 3:
        raise c.refused(f"a convolution over {rank} axes; 1 to 3 are supported")
    e = x.e
    kernel = c.ints("kernel_shape")
    if kernel is not None:
        if len(kernel) != rank:
            raise refuse("E0707", f"the kernel_shape {list(kernel)} for {rank} axes")
        for a, k in enumerate(kernel, 2):
            w = with_dim(w, a, Dim.const(k), "kernel_shape and the weights")
    strides, dilations = per_axis(c, "strides", rank), per_axis(c, "dilations", rank)
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    low, high = spatial_pads(c, x.shape[2:], reach, strides)
    groups = c.int("group", 1)
    if groups < 1 or w.shape[0].divide_exactly(Dim.const(groups)) is None:
        raise refuse("E0707", f"{w.shape[0]} channels in {groups} groups")
    x = with_dim(x, 1, w.shape[1] * groups, "the channels of a convolution")
    pads = as_ints([*low, *high])
    if pads is None:
        x = pad(x, [ZERO, ZERO, *low], [ZERO, ZERO, *high], 0.0)
        pads = (0,) * (2 * rank)
    check_windows(e, x.shape[2:], reach, pads, strides)
    y = e.emit("conv", x, w, strides=strides, pads=pads, dilations=dilations, groups=groups)
    return y if bias is None else add_bias(y, bias)


def check_windows(
    e: Emission, sizes: Sequence[Dim], reach: Sequence[Dim], pads: Sequence[int],
    strides: Sequence[int],
) -> None:  # fmt: skip
    """Raises E0707 if a window is larger than what it moves over; where sizes come with the call,
    it ends with a status if less than no window fits."""
    half = len(pads) // 2
    for a, (n, k) in enumerate(zip(sizes, reach, strict=True)):
        room = n + pads[a] + pads[a + half] - k
        if room.is_constant and room.constant < 0:
            raise refuse("E0707", f"a window of {k} over {n} elements")
        count = room // strides[a] + 1
        if not e.reason.at_least(count, 0):
            e.check(e.dim(count) >= e.dim(ZERO), f"a window of {k} over {n} elements")


def add_bias(y: Tensor, bias: Tensor) -> Tensor:
    """One number for each channel."""
    check_rank(bias, 1)
    return y + y.e.reshape(bias, (bias.shape[0], *[1] * (y.rank - 2)))


def _conv_transpose(c: Call) -> Tensor:
    x, w, e = c.tensor(0), c.tensor(1), c.e
    rank = x.rank - 2
    if not 1 <= rank <= 3 or w.rank != x.rank:
        raise c.refused(f"ConvTranspose of {x} with {w}; 1 to 3 spatial axes are supported")
    strides, dilations = per_axis(c, "strides", rank), per_axis(c, "dilations", rank)
    more = c.ints("output_padding") or (0,) * rank
    groups = c.int("group", 1)
    if groups < 1 or len(more) != rank:
        raise refuse("E0707", f"{groups} groups, output_padding {list(more)}")
    x = with_dim(x, 1, w.shape[0], "the channels of ConvTranspose")
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    full = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], strides, reach, strict=True)]
    low, high = _transposed_pads(c, full, x.shape[2:], strides, more)
    shape = (x.shape[0], w.shape[1] * groups, *(
        n + m - lo - hi for n, m, lo, hi in zip(full, more, low, high, strict=True)
    ))  # fmt: skip
    pads = as_ints([*low, *high])
    geometry: dict[str, Attr] = {"strides": strides, "dilations": dilations, "groups": groups}
    if pads is not None and all(m < s for m, s in zip(more, strides, strict=True)):
        y = e.emit("conv_input_grad", x, w, shape=shape, pads=pads, attrs=geometry)
    else:
        y = e.emit("conv_input_grad", x, w, shape=(*shape[:2], *full), attrs=geometry)
        ends = [Dim.const(m) - hi for m, hi in zip(more, high, strict=True)]
        y = pad(y, [ZERO, ZERO, *(-lo for lo in low)], [ZERO, ZERO, *ends], 0.0)
    bias = c.optional(2)
    return y if bias is None else add_bias(y, bias)


def _transposed_pads(
    c: Call, full: Sequence[Dim], sizes: Sequence[Dim], strides: Sequence[int], more: Sequence[int]
) -> tuple[list[Dim], list[Dim]]:
    """What is cut from the ends of the full result."""
    auto = c.choice("auto_pad", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"), "NOTSET")
    wanted = c.ints("output_shape")
    if wanted is None and auto in ("NOTSET", "VALID"):
        return spatial_pads(c, tuple(sizes), full, strides)
    if wanted is not None:
        if len(wanted) < len(full):
            raise refuse("E0707", f"output_shape {list(wanted)} for {len(full)} spatial axes")
        out = [Dim.const(n) for n in wanted[-len(full) :]]
    else:
        out = [n * s for n, s in zip(sizes, strides, strict=True)]
    low: list[Dim] = []
    high: list[Dim] = []
    for n, m, want in zip(full, more, out, strict=True):
        total = n + m - want
        half = total // 2
        ends = (half, total - half) if auto == "SAME_UPPER" else (total - half, half)
        low.append(ends[0])
        high.append(ends[1])
    return low, high


def _col2im(c: Call) -> Tensor:
    """The transpose of taking windows apart: a transposed convolution with weights that are 1 at
    one place each."""
    x, e = c.tensor(0), c.e
    image, block = dims_from(c.tensor(1)), dims_from(c.tensor(2))
    rank = len(image)
    kernel = as_ints(block)
    if kernel is None:
        raise c.open("the block of Col2Im")
    if not 1 <= rank <= 3 or len(kernel) != rank or x.rank != 3:
        raise c.refused(f"Col2Im of {x} over {rank} axes; 1 to 3 are supported")
    strides, dilations = per_axis(c, "strides", rank), per_axis(c, "dilations", rank)
    pads = c.ints("pads") or (0,) * (2 * rank)
    volume = int(np.prod(kernel))
    channels = x.shape[1].divide_exactly(Dim.const(volume))
    if channels is None or not channels.is_constant or len(pads) != 2 * rank or min(pads) < 0:
        raise refuse("E0707", f"Col2Im of {x} with blocks of {list(kernel)}")
    counts = [
        (n + pads[a] + pads[a + rank] - (kernel[a] - 1) * dilations[a] - 1) // strides[a] + 1
        for a, n in enumerate(image)
    ]
    one = np.zeros((volume, 1, *kernel), np.float32)
    for i, at in enumerate(itertools.product(*map(range, kernel))):
        one[(i, 0, *at)] = 1.0
    w = e.array(np.tile(one, (channels.constant, *[1] * (rank + 1))), x.element)
    dy = e.reshape(x, (x.shape[0], x.shape[1], *counts))
    return e.emit(
        "conv_input_grad", dy, w, shape=(x.shape[0], channels, *image), strides=strides, pads=pads,
        dilations=dilations, groups=channels.constant,
    )  # fmt: skip


def _causal_conv(c: Call) -> tuple[Tensor, ...]:
    x, w, e = c.tensor(0), c.tensor(1), c.e
    if x.rank != 3 or w.rank != 3 or not w.shape[0].is_constant:
        raise refuse("E0707", f"CausalConvWithState of {x} with {w}")
    before = w.shape[2] - 1
    past = c.optional(3)
    if past is None:
        past = e.full(0.0, (x.shape[0], x.shape[1], before), x.element)
    full = e.concat([past, x], 2)
    groups = w.shape[0].constant
    full = with_dim(full, 1, Dim.const(groups), "the channels of a convolution")
    y = e.emit("conv", full, w, groups=groups)
    if c.has(2):
        y = add_bias(y, c.tensor(2))
    if c.choice("activation", ("none", "silu", "swish"), "none") != "none":
        y = y * y.op("sigmoid")
    return y, e.slice(full, 2, full.shape[2] - before, before)


def _deform_conv(c: Call) -> Tensor:
    """A convolution whose every element is read at a place of its own, by interpolation."""
    from dlc.importers.operators.sampling import bilinear_at

    x, w, offset, e = c.tensor(0), c.tensor(1), c.tensor(2), c.e
    if x.rank != 4:
        raise c.refused(f"DeformConv of {x}; two spatial axes are supported")
    check_rank(w, 4)
    check_rank(offset, 4)
    strides, dilations = per_axis(c, "strides", 2), per_axis(c, "dilations", 2)
    kernel = as_ints(w.shape[2:])
    if kernel is None:
        raise c.open("the kernel of DeformConv")
    e.budget.check_window(*kernel)
    reach = [Dim.const((k - 1) * d + 1) for k, d in zip(kernel, dilations, strict=True)]
    low, _ = spatial_pads(c, x.shape[2:], reach, strides)
    groups, parts = c.int("group", 1), c.int("offset_group", 1)
    n, channels, _, _ = x.shape
    oh, ow = offset.shape[2:]
    each = channels.divide_exactly(Dim.const(parts))
    if groups < 1 or parts < 1 or each is None or channels != w.shape[1] * groups:
        raise refuse("E0707", f"DeformConv of {x} with {w} in {groups} and {parts} groups")
    k = kernel[0] * kernel[1]
    # Where every element of every window is read: [N * parts, K, oh, ow].
    moves = e.reshape(offset, (n * parts, k, 2, oh, ow))
    places: list[Tensor] = []
    for a, size in enumerate((oh, ow)):
        at = e.iota(size) * strides[a] - e.dim(low[a])
        inner = e.array(np.array([p[a] * dilations[a] for p in itertools.product(
            *map(range, kernel))]), at.element)  # fmt: skip
        shape = (size, 1) if a == 0 else (1, size)
        base = e.reshape(at, (1, *shape)) + e.reshape(inner, (k, 1, 1))
        move = e.reshape(e.slice(moves, 2, a, 1), (n * parts, k, oh, ow))
        places.append(e.convert(base, x.element) + move)
    table = e.reshape(x, (n * parts, each, *x.shape[2:]))
    read = bilinear_at(table, places)
    if c.has(4):
        mask = e.reshape(c.tensor(4), (n * parts, 1, k, oh, ow))
        read = read * mask
    out, per = w.shape[0].divide_exactly(Dim.const(groups)), w.shape[1]
    if out is None:
        raise refuse("E0707", f"{w.shape[0]} channels in {groups} groups")
    cols = e.reshape(read, (n, groups, per, k, oh, ow))
    y = e.contract("ngckhw,gock->ngohw", cols, e.reshape(w, (groups, out, per, k)))
    y = e.reshape(y, (n, w.shape[0], oh, ow))
    return add_bias(y, c.tensor(3)) if c.has(3) else y


OPERATORS: tuple[Operator, ...] = (
    Operator("Conv", (1, 11, 22), _conv),
    Operator("ConvTranspose", (1, 11, 22), _conv_transpose),
    Operator("Col2Im", (18,), _col2im),
    Operator("CausalConvWithState", (27,), _causal_conv),
    Operator("DeformConv", (19, 22), _deform_conv),
)
