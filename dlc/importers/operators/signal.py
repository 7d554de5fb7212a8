"""Fourier transforms as products with matrices of angles, and mel filters."""

from __future__ import annotations

import math

import numpy as np

from dlc.importers import numbers
from dlc.importers.call import Call, Operator, check_rank, normal_axis, numbers_of
from dlc.importers.elements import DOUBLE, element_of
from dlc.importers.operators.padding import pad
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, ZERO, Dim


def _length(c: Call, i: int) -> Dim | None:
    return c.e.to_dim(c.tensor(i), "length") if c.has(i) else None


def _dft(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if c.version >= 20:
        axis = numbers_of(c.known(2, "the axis of DFT")) if c.has(2) else (-2,)
        assert axis is not None
        if len(axis) != 1:
            raise refuse("E0707", f"the axis of DFT is one number, not {len(axis)}")
        at = normal_axis(axis[0], x.rank)
    else:
        at = c.axis(x.rank, default=1)
    inverse, onesided = c.flag("inverse"), c.flag("onesided")
    if x.rank < 2 or at == x.rank - 1 or x.shape[-1] not in (ONE, Dim.const(2)):
        raise refuse("E0707", f"DFT of {x} along axis {at}")
    n = _length(c, 1)
    if n is None:
        n = (x.shape[at] - 1) * 2 if inverse and onesided else x.shape[at]
    order = (*(a for a in range(x.rank - 1) if a != at), at, x.rank - 1)
    back = tuple(order.index(a) for a in range(x.rank))
    # In double: what cancels leaves less than a rounding of float, as after fast transforms.
    y = numbers.cast(e.transpose(x, order), DOUBLE)
    if inverse and onesided:
        out = _real_inverse(y, n)
    else:
        out = transform(y, n, inverse=inverse, onesided=onesided)
    return numbers.cast(e.transpose(out, back), x.element)


def _fitted(x: Tensor, axis: int, n: Dim) -> Tensor:
    """Cut, or completed by zeros, to n elements along an axis."""
    have = x.shape[axis]
    if have == n:
        return x
    e = x.e
    if have.is_constant and n.is_constant:
        low, high = [ZERO] * x.rank, [ZERO] * x.rank
        high[axis] = n - have
        return pad(x, low, high, 0.0)
    kept = e.to_dim(e.dim(have).op("min", e.dim(n)))
    y = e.slice(x, axis, 0, kept)
    high = [ZERO] * x.rank
    high[axis] = n - kept
    return pad(y, [ZERO] * x.rank, high, 0.0)


def angles(e_like: Tensor, rows: Dim, columns: Dim, n: Dim) -> tuple[Tensor, Tensor]:
    """Cosines and sines of `2 pi i j / n` for i < rows, j < columns, in the tensor's type. The
    product is reduced modulo n first, so that large angles stay exact."""
    e, element = e_like.e, e_like.element
    i, j = e.reshape(e.iota(rows), (rows, 1)), e.reshape(e.iota(columns), (1, columns))
    turn = numbers.cast((i * j).op("mod", e.dim(n).op("max", 1)), DOUBLE)
    angle = turn * (2.0 * math.pi) / numbers.cast(e.dim(n), DOUBLE)
    return numbers.cast(angle.op("cos"), element), numbers.cast(angle.op("sin"), element)


def transform(x: Tensor, n: Dim, *, inverse: bool, onesided: bool) -> Tensor:
    """The transform along the last but one axis; the last holds real and imaginary parts."""
    e = x.e
    x = _fitted(x, x.rank - 2, n)
    bins = n // 2 + 1 if onesided else n
    cos, sin = angles(x, bins, n, n)
    lead = "abcdefgh"[: x.rank - 2]
    if len(lead) != x.rank - 2:
        raise refuse("E0709", f"DFT of {x}")
    spec = f"{lead}n,kn->{lead}k"
    parts = [e.reshape(e.slice(x, x.rank - 1, k, 1), x.shape[:-1])
             for k in range(x.shape[-1].constant)]  # fmt: skip
    sign = 1.0 if inverse else -1.0
    real, imaginary = e.contract(spec, parts[0], cos), e.contract(spec, parts[0], sin) * sign
    if len(parts) == 2:
        real = real - e.contract(spec, parts[1], sin) * sign
        imaginary = imaginary + e.contract(spec, parts[1], cos)
    y = e.concat([e.reshape(p, (*p.shape, 1)) for p in (real, imaginary)], x.rank - 1)
    return y / numbers.cast(e.dim(n), x.element) if inverse else y


def _real_inverse(x: Tensor, n: Dim) -> Tensor:
    """From the first half of the bins of a real signal: every bin but the first (and the middle one
    of an even length) counts twice."""
    e = x.e
    bins = n // 2 + 1
    x = _fitted(x, x.rank - 2, bins)
    k = e.iota(bins)
    single = k.equals(0).op("or", (k * 2).equals(e.dim(n)))
    weight = single.choose(x.like(1.0), 2.0)
    cos, sin = angles(x, bins, n, n)
    lead = "abcdefgh"[: x.rank - 2]
    spec = f"{lead}k,kn->{lead}n"
    parts = [e.reshape(e.slice(x, x.rank - 1, p, 1), x.shape[:-1]) * weight
             for p in range(x.shape[-1].constant)]  # fmt: skip
    y = e.contract(spec, parts[0], cos)
    if len(parts) == 2:
        y = y - e.contract(spec, parts[1], sin)
    y = y / numbers.cast(e.dim(n), x.element)
    return e.reshape(y, (*y.shape, 1))


def _stft(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if x.rank == 2:
        x = e.reshape(x, (*x.shape, 1))
    if x.rank != 3:
        raise refuse("E0707", f"STFT of {x}")
    step = e.to_dim(c.tensor(1), "step")
    window = c.optional(2)
    if window is not None:
        check_rank(window, 1)
    size = _length(c, 3) if c.has(3) else None if window is None else window.shape[0]
    if size is None:
        raise refuse("E0707", "STFT needs a window or the length of a frame")
    room = e.dim(x.shape[1] - size)
    frames = e.to_dim(room.op("floordiv", e.dim(step)) + 1)
    at = e.reshape(e.iota(frames), (frames, 1)) * e.dim(step) + e.reshape(e.iota(size), (1, size))
    y = e.emit("take", x, at, axis=1)
    if window is not None:
        y = y * e.reshape(_fitted(window, 0, size), (size, 1))
    return transform(y, size, inverse=False, onesided=c.int("onesided", 1) != 0)


def _mel(c: Call) -> Tensor:
    """Triangles between points that are equally far apart in mel. Source: ONNX
    MelWeightMatrix-17."""
    n, length, rate, low, high = (_one(c, i) for i in range(5))
    element = element_of(c.int("output_datatype", 1))
    bins, rows = int(n), int(length) // 2 + 1
    if not 0 < bins <= 1 << 16 or not 0 < rows <= 1 << 20 or rate <= 0:
        raise refuse("E0707", f"{bins} mel bins of {int(length)} samples at {rate} Hz")
    ends = [2595 * math.log10(1 + f / 700) for f in (low, high)]
    mel = ends[0] + np.arange(bins + 2) * ((ends[1] - ends[0]) / (bins + 2))
    hertz = 700 * (10 ** (mel / 2595) - 1)
    points = np.floor((length + 1) * hertz / rate).astype(np.int64)
    out = np.zeros((rows, bins))
    row = np.arange(rows)
    for i in range(bins):
        left, centre, right = (int(p) for p in points[i : i + 3])
        if centre == left:
            out[min(centre, rows - 1), i] = 1
        else:
            up = (row >= left) & (row <= centre)
            out[up, i] = (row[up] - left) / (centre - left)
        down = (row >= centre) & (row < right)
        if right > centre:
            out[down, i] = (right - row[down]) / (right - centre)
    return c.e.array(out, element)


def _one(c: Call, i: int) -> float:
    t = c.known(i, "the inputs of MelWeightMatrix")
    assert t.known is not None
    if t.known.size != 1:
        raise refuse("E0707", f"its input {i} is one number")
    return float(t.known.reshape(-1)[0])


_WINDOWS = {
    "HannWindow": (0.5, 0.5, 0.0),
    "HammingWindow": (25 / 46, 21 / 46, 0.0),
    "BlackmanWindow": (0.42, 0.5, 0.08),
}
"""Coefficients of `a0 - a1 cos(t) + a2 cos(2t)`."""


def _window(c: Call) -> Tensor:
    e, (a0, a1, a2) = c.e, _WINDOWS[c.op]
    n = e.to_dim(c.tensor(0), "size")
    element = element_of(c.int("output_datatype", 1))
    span = numbers.cast(e.dim(n if c.int("periodic", 1) else n - 1), DOUBLE)
    t = numbers.cast(e.iota(n), DOUBLE) * (2.0 * math.pi) / span
    y = a0 - t.op("cos") * a1
    if a2:
        y = y + (t * 2.0).op("cos") * a2
    return numbers.cast(y, element)


OPERATORS: tuple[Operator, ...] = (
    Operator("DFT", (17, 20), _dft),
    Operator("STFT", (17,), _stft),
    Operator("MelWeightMatrix", (17,), _mel),
    *(Operator(name, (17,), _window) for name in _WINDOWS),
)
