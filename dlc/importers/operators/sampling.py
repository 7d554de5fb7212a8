"""Reading images between their pixels: GridSample, RoiAlign, and the interpolation they share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from dlc.importers import numbers
from dlc.importers.call import Call, Operator, check_rank
from dlc.importers.elements import INT64
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, Dim

Pixel = tuple[Tensor, Tensor | None]
"""A position along one axis, inside; and whether it was inside before (None: it counts always)."""


def read(x: Tensor, places: Sequence[Tensor]) -> Tensor:
    """`y[b, c, p] = x[b, c, places[0][b, p], …]` for whole positions that are inside."""
    e, spatial = x.e, x.shape[2:]
    n, channels = x.shape[:2]
    size = ONE
    for d in spatial:
        size = size * d
    flat: Tensor | None = None
    for at, d in zip(places, spatial, strict=True):
        flat = at if flat is None else flat * e.dim(d) + at
    assert flat is not None
    row = e.reshape(e.iota(n), (n, *[1] * (flat.rank - 1)))
    flat = flat + row * e.dim(size)
    order = (0, *range(2, x.rank), 1)
    table = e.reshape(e.transpose(x, order), (n * size, channels))
    y = e.emit("take", table, flat, axis=0, in_bounds=True)
    return e.transpose(y, (0, y.rank - 1, *range(1, y.rank - 1)))


def clamped(at: Tensor, n: Dim) -> Tensor:
    """A whole position moved to the nearest end if it is outside."""
    return at.op("max", 0).op("min", at.e.dim(n, at.element) - 1)


def inside(at: Tensor, n: Dim) -> Tensor:
    return (at >= 0).op("and", at < at.e.dim(n, at.element))


def weighted(x: Tensor, taps: Sequence[Sequence[tuple[Pixel, Tensor]]]) -> Tensor:
    """The sum over all combinations of one tap per axis of the pixel times the weights."""
    e, total = x.e, None
    for combination in itertools.product(*taps):
        weight: Tensor | None = None
        for (_, is_in), w in combination:
            w = w if is_in is None else is_in.choose(w, 0.0)
            weight = w if weight is None else weight * w
        assert weight is not None
        y = read(x, [at for (at, _), _ in combination])
        y = y * e.reshape(weight, (weight.shape[0], 1, *weight.shape[1:]))
        total = y if total is None else total + y
    assert total is not None
    return total


def bilinear_at(x: Tensor, places: Sequence[Tensor]) -> Tensor:
    """Linear interpolation, with zeros outside."""
    taps = [linear_taps(at, n, zeros) for at, n in zip(places, x.shape[2:], strict=True)]
    return weighted(x, taps)


def zeros(at: Tensor, n: Dim) -> Pixel:
    return clamped(at, n), inside(at, n)


def edge(at: Tensor, n: Dim) -> Pixel:
    return clamped(at, n), None


Outside = Callable[[Tensor, Dim], Pixel]
"""What becomes of a whole position that may be outside."""


def linear_taps(at: Tensor, n: Dim, outside: Outside) -> list[tuple[Pixel, Tensor]]:
    low = at.op("floor")
    part = at - low
    i = numbers.cast(low, INT64)
    return [(outside(i, n), 1.0 - part), (outside(i + 1, n), part)]


def cubic_weights(part: Tensor, a: float) -> list[Tensor]:
    """Weights of the four neighbours of a place. Source: Keys 1981, equation 4."""
    rest = 1.0 - part

    def far(t: Tensor) -> Tensor:
        return ((t * a - 5 * a) * t + 8 * a) * t - 4 * a

    def near(t: Tensor) -> Tensor:
        return (t * (a + 2) - (a + 3)) * t * t + 1.0

    return [far(part + 1.0), near(part), near(rest), far(rest + 1.0)]


def cubic_taps(at: Tensor, n: Dim, outside: Outside, a: float) -> list[tuple[Pixel, Tensor]]:
    low = at.op("floor")
    i = numbers.cast(low, INT64)
    weights = cubic_weights(at - low, a)
    return [(outside(i + (k - 1), n), w) for k, w in enumerate(weights)]


# -- GridSample


def _reflected(at: Tensor, n: Dim, align: bool) -> Tensor:
    """Mirrored at the centres of the outer pixels (`align`) or at their edges."""
    e = at.e
    size = e.convert(e.dim(n), at.element)
    low = at.like(0.0 if align else -0.5)
    span = size - 1.0 if align else size
    period = (span * 2.0).op("max", 1.0)
    t = (at - low).op("mod", period)
    return low + t.op("min", period - t)


def _grid_sample(c: Call) -> Tensor:
    x, grid, e = c.tensor(0), c.tensor(1), c.e
    rank = x.rank - 2
    modes = ("linear", "nearest", "cubic", "bilinear", "bicubic")
    mode = c.choice("mode", modes, "linear").removeprefix("bi")
    padding = c.choice("padding_mode", ("zeros", "border", "reflection"), "zeros")
    align = c.flag("align_corners")
    if rank < 1 or grid.rank != x.rank or grid.shape[-1] != Dim.const(rank):
        raise refuse("E0707", f"GridSample of {x} at {grid}")
    places: list[Tensor] = []
    for a, n in enumerate(x.shape[2:]):
        g = e.reshape(e.slice(grid, grid.rank - 1, rank - 1 - a, 1), grid.shape[:-1])
        size = e.convert(e.dim(n), x.element)
        g = numbers.cast(g, x.element)
        at = (g + 1.0) * 0.5 * (size - 1.0) if align else ((g + 1.0) * size - 1.0) * 0.5
        places.append(at.op("round") if mode == "nearest" else at)
    if mode != "cubic":
        places = [_moved(at, n, padding, align) for at, n in zip(places, x.shape[2:], strict=True)]
    outside = _outside(padding, align)
    if mode == "nearest":
        whole = [numbers.cast(at, INT64) for at in places]
        return _nearest(x, [outside(at, n) for at, n in zip(whole, x.shape[2:], strict=True)])
    if mode == "linear":
        taps = [linear_taps(at, n, outside) for at, n in zip(places, x.shape[2:], strict=True)]
    else:
        taps = [
            cubic_taps(at, n, outside, -0.75) for at, n in zip(places, x.shape[2:], strict=True)
        ]
    return weighted(x, taps)


def _nearest(x: Tensor, pixels: Sequence[Pixel]) -> Tensor:
    """The pixels themselves, 0 where one is outside."""
    y = read(x, [at for at, _ in pixels])
    for _, is_in in pixels:
        if is_in is not None:
            y = y.e.reshape(is_in, (is_in.shape[0], 1, *is_in.shape[1:])).choose(y, 0.0)
    return y


def _moved(at: Tensor, n: Dim, padding: str, align: bool) -> Tensor:
    """A place outside, brought inside as the padding says."""
    e = at.e
    if padding == "border":
        return at.op("max", 0.0).op("min", e.convert(e.dim(n), at.element) - 1.0)
    return _reflected(at, n, align) if padding == "reflection" else at


def _outside(padding: str, align: bool) -> Outside:
    if padding == "zeros":
        return zeros
    if padding == "border":
        return edge

    def reflection(at: Tensor, n: Dim) -> Pixel:
        from dlc.importers.elements import DOUBLE

        turned = _reflected(numbers.cast(at, DOUBLE), n, align)
        return clamped(numbers.cast(turned.op("round"), INT64), n), None

    return reflection


# -- RoiAlign


def _roi_align(c: Call) -> Tensor:
    x, rois, batch, e = c.tensor(0), c.tensor(1), c.tensor(2), c.e
    if x.rank != 4 or rois.rank != 2:
        raise refuse("E0707", f"RoiAlign of {x} at {rois}")
    half = c.version >= 16 and c.text("coordinate_transformation_mode") == "half_pixel"
    ratio = c.int("sampling_ratio", 0)
    if ratio < 1:
        raise c.refused("RoiAlign with sampling_ratio=0, whose grid depends on the regions")
    scale = c.float("spatial_scale", 1.0)
    out = (c.int("output_height", 1), c.int("output_width", 1))
    count = rois.shape[0]
    image = e.emit("take", x, numbers.cast(check_rank(batch, 1), INT64), axis=0)
    taps: list[list[tuple[Pixel, Tensor]]] = []
    for a in range(2):
        ends = [e.reshape(e.slice(rois, 1, k, 1), (count, 1)) * scale for k in (1 - a, 3 - a)]
        if half:
            ends = [t - 0.5 for t in ends]
        size = ends[1] - ends[0]
        if not half:
            size = size.op("max", 1.0)
        steps = out[a] * ratio
        centre = numbers.cast(e.reshape(e.iota(steps), (1, steps)), x.element) + 0.5
        at = ends[0] + size * (centre / float(steps))
        shape = (count, steps, 1) if a == 0 else (count, 1, steps)
        at = e.broadcast(e.reshape(at, shape), (count, *(Dim.const(n * ratio) for n in out)))
        taps.append(_roi_taps(at, x.shape[2 + a]))
    split = (count, x.shape[1], out[0], ratio, out[1], ratio)
    if c.choice("mode", ("avg", "max"), "avg") == "avg":
        y = e.reduce("sum", e.reshape(weighted(image, taps), split), (3, 5))
        return y / float(ratio * ratio)
    best: Tensor | None = None
    for first, second in itertools.product(*taps):
        part = weighted(image, [[first], [second]])
        best = part if best is None else best.op("max", part)
    assert best is not None
    return e.reduce("max", e.reshape(best, split), (3, 5))


def _roi_taps(at: Tensor, n: Dim) -> list[tuple[Pixel, Tensor]]:
    """Linear interpolation inside, 0 more than a pixel away. Source: ONNX RoiAlign-16."""
    e = at.e
    size = e.convert(e.dim(n), at.element)
    far = (at < -1.0).op("or", at > size)
    at = at.op("max", 0.0).op("min", size - 1.0)
    low = at.op("floor")
    part = at - low
    i = numbers.cast(low, INT64)
    near = far.op("not")
    return [((clamped(i, n), near), 1.0 - part), ((clamped(i + 1, n), near), part)]


OPERATORS: tuple[Operator, ...] = (
    Operator("GridSample", (16, 20, 22), _grid_sample),
    Operator("RoiAlign", (10, 16, 22), _roi_align),
)
