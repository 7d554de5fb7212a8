"""Rounding to floats of 8 and 4 bits, which are stored as f32.

Every such type is a grid of numbers `m * 2**e` with few bits of m. Rounding to it is arithmetic
in f32: the exponent of x gives the step of the grid, and `round` the nearest multiple, ties to
even."""

from __future__ import annotations

import math

from dlc.importers.elements import FLOAT, INT32, Minifloat
from dlc.importers.tensor import Tensor


def rounded(x: Tensor, t: Minifloat, saturate: bool) -> Tensor:
    """f32 numbers as the nearest of the type. Beyond the highest one: that (`saturate`), else
    infinity or NaN, as the type has them. Source: ONNX Cast-19, tables of float 8."""
    e = x.e
    bits = e.emit("bitcast", x, element=INT32, dtype=INT32.storage)
    exponent = bits.op("shr_logical", 23).op("and", 255) - 127
    least = 1 - t.bias
    step = exponent.op("max", least) - t.mantissa
    scale = _power_of_two(step)
    y = (x / scale).op("round") * scale
    over = y.op("abs") > t.highest
    beyond = over if saturate else over.op("or", x.op("is_inf"))
    if saturate or not (t.inf or t.nan):
        y = _cut(x, y, t, over)
        if t.inf and not saturate:
            return y
    else:
        y = beyond.choose(_beyond(x, t), y)
    if not t.negative_zero:
        y = y.equals(0.0).choose(0.0, y)
    return y


def power(x: Tensor, saturate: bool, mode: str) -> Tensor:
    """f32 numbers as powers of two, of their magnitude: the next one `up`, `down`, or the `nearest`
    (ties up). NaN and infinity become NaN, as does what is beyond 2**127 unless it is saturated;
    the least is 2**-127. Source: ONNX Cast-24, table of float8e8m0."""
    e = x.e
    bits = e.emit("bitcast", x, element=INT32, dtype=INT32.storage)
    exponent = bits.op("shr_logical", 23).op("and", 255)
    rest = bits.op("and", 0x7FFFFF)
    if mode == "down":
        more = e.full(0, x.shape, INT32)
    elif mode == "up":
        more = (rest > 0).choose(exponent.like(1), 0)
    else:  # a number below 2**-126 has no leading one: half way it stays
        above = (rest > 0x400000).op("or", rest.equals(0x400000).op("and", exponent > 0))
        more = above.choose(exponent.like(1), 0)
    special = exponent.equals(255)
    code = exponent + more
    if saturate:
        code = code.op("min", 254)
    least = math.ldexp(1.0, -127)
    made = e.emit("bitcast", code.op("min", 254).op("shl", 23), element=FLOAT, dtype=FLOAT.storage)
    made = code.equals(0).choose(made.like(least), made)
    lost = special if saturate else special.op("or", code.equals(255))
    return lost.choose(made.like(math.nan), made)


def _cut(x: Tensor, y: Tensor, t: Minifloat, over: Tensor) -> Tensor:
    """The highest number of the sign where it is exceeded; NaN stays if the type has it, else it is
    0."""
    edge = (x > 0.0).choose(x.like(t.highest), x.like(-t.highest))
    y = over.choose(edge, y)
    if t.nan:
        return y
    return x.op("is_nan").choose(0.0, y)


def _beyond(x: Tensor, t: Minifloat) -> Tensor:
    if not t.inf:
        return x.e.full(math.nan, x.shape, x.element)
    inf = x.like(math.inf)
    return x.op("is_nan").choose(x, (x > 0.0).choose(inf, -inf))


def _power_of_two(k: Tensor) -> Tensor:
    """`2.0 ** k` for whole numbers from -126 to 127."""
    return k.e.emit("bitcast", (k + 127).op("shl", 23), element=FLOAT, dtype=FLOAT.storage)
