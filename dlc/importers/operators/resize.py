"""Resize and Upsample: one axis after another, each output a weighted sum of a few inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dlc.importers import numbers
from dlc.importers.call import Call, Operator, normal_axes
from dlc.importers.elements import DOUBLE, INT64
from dlc.importers.operators.sampling import clamped, cubic_weights, inside
from dlc.importers.operators.shapes import dims_from, elements
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import Dim


@dataclass(frozen=True)
class Axis:
    """How one axis is resized: from `n` to `out`, `scale` as a tensor of rank 0 (and as a number if
    it is known), the region `first … last` of tf_crop_and_resize."""

    axis: int
    n: Dim
    out: Dim
    scale: Tensor
    number: float | None
    first: Tensor | None = None
    last: Tensor | None = None


@dataclass(frozen=True)
class Way:
    """What holds for all axes."""

    mode: str
    transformation: str
    nearest: str
    cubic: float
    exclude: bool
    antialias: bool


def _upsample(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if c.version == 1:
        scales = [1.0, 1.0, c.float("height_scale"), c.float("width_scale")]
        s = e.array(np.array(scales, np.float32), x.element)
    elif c.version < 9:
        s = e.array(np.array(c.floats("scales"), np.float32), x.element)
    else:
        s = c.tensor(1)
    mode = c.text("mode", "nearest").removeprefix("bi")
    way = Way(_mode(mode), "asymmetric", "floor", -0.75, False, False)
    return _by_scales(x, tuple(range(x.rank)), elements(s), way, None)


def _mode(text: str) -> str:
    if text not in ("nearest", "linear", "cubic"):
        raise refuse("E0707", f"the mode {text!r}")
    return text


def _resize(c: Call) -> Tensor:
    x = c.tensor(0)
    if c.version == 10:
        way = Way(_mode(c.text("mode", "nearest")), "asymmetric", "floor", -0.75, False, False)
        return _by_scales(x, tuple(range(x.rank)), elements(c.tensor(1)), way, None)
    given = c.ints("axes")
    axes = tuple(range(x.rank)) if given is None else normal_axes(given, x.rank)
    way = Way(
        _mode(c.text("mode", "nearest")),
        c.text("coordinate_transformation_mode", "half_pixel"),
        c.text("nearest_mode", "round_prefer_floor"),
        c.float("cubic_coeff_a", -0.75),
        c.flag("exclude_outside"),
        c.flag("antialias"),
    )
    crop = way.transformation == "tf_crop_and_resize"
    roi = elements(c.tensor(1)) if crop else None
    sizes = c.optional(3)
    if sizes is not None and sizes.shape != (Dim.const(0),):
        found = _by_sizes(c, x, axes, dims_from(sizes), roi)
        return _along(x, found, way, c.float("extrapolation_value", 0.0) if crop else None)
    scales = elements(c.tensor(2))
    return _by_scales(
        x, axes, scales, way, roi, c.float("extrapolation_value", 0.0) if crop else None
    )


def _by_scales(
    x: Tensor,
    axes: Sequence[int],
    scales: Sequence[Tensor],
    way: Way,
    roi: Sequence[Tensor] | None,
    beyond: float | None = None,
) -> Tensor:
    if len(scales) != len(axes):
        raise refuse("E0707", f"{len(scales)} scales for {len(axes)} axes")
    found: list[Axis] = []
    for i, (a, s) in enumerate(zip(axes, scales, strict=True)):
        number = None if s.known is None else float(s.known)
        if number is not None and not (number > 0 and math.isfinite(number)):
            raise refuse("E0707", f"the scale {number}")
        wide = numbers.cast(s, DOUBLE)
        out = _scaled(x, x.shape[a], wide, number)
        found.append(Axis(a, x.shape[a], out, wide, number, *_region(roi, i, len(axes))))
    return _along(x, found, way, beyond)


def _scaled(x: Tensor, n: Dim, scale: Tensor, number: float | None) -> Dim:
    """`floor(n * scale)`, as a polynomial where it is one."""
    e = x.e
    if number is not None:
        if n.is_constant:
            size = math.floor(n.constant * number)
            if size >= 1 << 31:
                raise refuse("E0702", f"an axis of {size}")
            return Dim.const(size)
        f = Fraction(number)
        if f.denominator <= 64:
            return n * f.numerator // f.denominator
    return e.to_dim(numbers.cast((numbers.cast(e.dim(n), DOUBLE) * scale).op("floor"), INT64))


def _by_sizes(
    c: Call, x: Tensor, axes: Sequence[int], sizes: Sequence[Dim], roi: Sequence[Tensor] | None
) -> list[Axis]:
    if len(sizes) != len(axes):
        raise refuse("E0707", f"{len(sizes)} sizes for {len(axes)} axes")
    if any(n.is_constant and n.constant < 0 for n in sizes):
        raise refuse("E0707", f"the sizes {', '.join(map(str, sizes))}")
    e = x.e
    ratios = [
        numbers.cast(e.dim(size), DOUBLE) / numbers.cast(e.dim(x.shape[a]), DOUBLE)
        for a, size in zip(axes, sizes, strict=True)
    ]
    policy = c.text("keep_aspect_ratio_policy", "stretch")
    outs = list(sizes)
    if policy != "stretch":
        common = ratios[0]
        for r in ratios[1:]:
            common = common.op("min" if policy == "not_larger" else "max", r)
        ratios = [common] * len(axes)
        outs = [
            e.to_dim(numbers.cast(
                (numbers.cast(e.dim(x.shape[a]), DOUBLE) * common + 0.5).op("floor"), INT64
            ))
            for a in axes
        ]  # fmt: skip
    return [
        Axis(a, x.shape[a], out, r, None if r.known is None else float(r.known),
             *_region(roi, i, len(axes)))
        for i, (a, out, r) in enumerate(zip(axes, outs, ratios, strict=True))
    ]  # fmt: skip


def _region(roi: Sequence[Tensor] | None, i: int, n: int) -> tuple[Tensor, ...]:
    if roi is None:
        return ()
    if len(roi) != 2 * n:
        raise refuse("E0707", f"a region of {len(roi)} numbers for {n} axes")
    return numbers.cast(roi[i], DOUBLE), numbers.cast(roi[i + n], DOUBLE)


def _along(x: Tensor, axes: Sequence[Axis], way: Way, beyond: float | None) -> Tensor:
    """Resizes one axis after another. `beyond`: what stands where a place is outside of x."""
    e = x.e
    element = x.element
    y = x if way.mode == "nearest" or element.is_float else numbers.cast(x, DOUBLE)
    masks: list[Tensor] = []
    for a in axes:
        if a.number == 1.0 and a.out == a.n and a.first is None:
            continue
        at = _places(x, a, way)
        y = _resized(y, a, at, way)
        if beyond is not None:
            last = numbers.cast(e.dim(a.n), DOUBLE) - 1.0
            is_out = (at < 0.0).op("or", at > last)
            masks.append(e.reshape(is_out, [a.out if k == a.axis else 1 for k in range(x.rank)]))
    for m in masks:
        y = m.choose(y.like(beyond or 0.0), y)
    return y if y.element is element else numbers.cast(y.op("round"), element)


def _places(x: Tensor, a: Axis, way: Way) -> Tensor:
    """Where each output lies in the input, as doubles. Source: ONNX Resize-19."""
    e = x.e
    i = numbers.cast(e.iota(a.out), DOUBLE)
    n, out = (numbers.cast(e.dim(d), DOUBLE) for d in (a.n, a.out))
    width = n * a.scale
    single = numbers.compare("eq", e.dim(a.out), e.dim(1))
    kind = way.transformation
    half = (i + 0.5) / a.scale - 0.5
    if kind == "half_pixel":
        return half
    if kind == "asymmetric":
        return i / a.scale
    if kind == "pytorch_half_pixel":
        return single.choose(0.0, half)
    if kind == "half_pixel_symmetric":
        return n * 0.5 * (1.0 - out / width) + half
    if kind == "align_corners":
        return single.choose(0.0, i * (n - 1.0) / (width - 1.0))
    if kind == "tf_half_pixel_for_nn":
        return (i + 0.5) / a.scale
    if kind == "tf_crop_and_resize" and a.first is not None and a.last is not None:
        span = (a.last - a.first) * (n - 1.0)
        inner = i * span / (out - 1.0)
        return a.first * (n - 1.0) + single.choose(span * 0.5, inner)
    raise refuse("E0707", f"the coordinate_transformation_mode {kind!r}")


def _nearest(at: Tensor, mode: str) -> Tensor:
    if mode == "round_prefer_floor":
        return (at - 0.5).op("ceil")
    if mode == "round_prefer_ceil":
        return (at + 0.5).op("floor")
    if mode in ("floor", "ceil"):
        return at.op(mode)
    raise refuse("E0707", f"the nearest_mode {mode!r}")


def _resized(y: Tensor, a: Axis, at: Tensor, way: Way) -> Tensor:
    e = y.e
    if way.mode == "nearest":
        index = clamped(numbers.cast(_nearest(at, way.nearest), INT64), a.n)
        return e.emit("take", y, index, axis=a.axis, in_bounds=True)
    first, weights = _weights(at, a, way)
    low = numbers.cast(at.op("floor"), INT64)
    places = [low + (first + k) for k in range(len(weights))]
    if way.exclude:
        weights = [inside(p, a.n).choose(w, 0.0) for p, w in zip(places, weights, strict=True)]
    if way.exclude or way.antialias:
        total = weights[0]
        for w in weights[1:]:
            total = total + w
        weights = [w / total for w in weights]
    indices = [clamped(p, a.n) for p in places]
    if len(weights) > 4:
        return _dense(y, a, indices, weights)
    shape = [a.out if k == a.axis else 1 for k in range(y.rank)]
    out: Tensor | None = None
    for index, w in zip(indices, weights, strict=True):
        part = e.emit("take", y, index, axis=a.axis, in_bounds=True)
        part = part * e.reshape(numbers.cast(w, y.element), shape)
        out = part if out is None else out + part
    assert out is not None
    return out


def _weights(at: Tensor, a: Axis, way: Way) -> tuple[int, list[Tensor]]:
    """The first neighbour, counted from the one below the place, and the weights of all."""
    part = at - at.op("floor")
    if way.antialias:
        if a.number is None:
            raise refuse("E0709", "the scale must be known for antialias").with_help(
                "export the model with fixed sizes"
            )
        return _stretched(part, min(a.number, 1.0), way)
    if way.mode == "linear":
        return 0, [1.0 - part, part]
    return -1, cubic_weights(part, way.cubic)


def _stretched(part: Tensor, scale: float, way: Way) -> tuple[int, list[Tensor]]:
    """The filter made wider by `1 / scale`, so that every input counts."""
    reach = 1.0 if way.mode == "linear" else 2.0
    if not scale > 0:
        scale = 1.0  # nothing is read or nothing is made
    first = math.floor(-reach / scale) + 1
    count = 2 - 2 * first
    if count > 4096:
        raise refuse("E0702", f"a filter over {count} elements")
    return first, [_filter((part.like(float(first + k)) - part) * scale, way) for k in range(count)]


def _filter(t: Tensor, way: Way) -> Tensor:
    t = t.op("abs")
    if way.mode == "linear":
        return (1.0 - t).op("max", 0.0)
    a = way.cubic
    near = (t * (a + 2) - (a + 3)) * t * t + 1.0
    far = ((t * a - 5 * a) * t + 8 * a) * t - 4 * a
    return (t <= 1.0).choose(near, (t < 2.0).choose(far, 0.0))


def _dense(y: Tensor, a: Axis, indices: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """The weighted sum as a product with a matrix, for filters over many inputs."""
    if not a.out.is_constant or not a.n.is_constant:
        raise refuse("E0709", "the sizes must be known for antialias over many elements")
    m = np.zeros((a.out.constant, a.n.constant))
    for index, w in zip(indices, weights, strict=True):
        assert index.known is not None and w.known is not None
        np.add.at(m, (np.arange(a.out.constant), index.known), w.known)
    e, rank = y.e, y.rank
    letters = "abcdefgh"[:rank]
    if rank > 8:
        raise refuse("E0709", f"antialias over {rank} axes")
    left, here = letters.replace(letters[a.axis], "z"), letters
    return e.contract(f"{here},z{letters[a.axis]}->{left}", y, e.array(m, y.element))


OPERATORS: tuple[Operator, ...] = (
    Operator("Upsample", (1, 7, 9, 10), _upsample),
    Operator("Resize", (10, 11, 13, 18, 19), _resize),
)
