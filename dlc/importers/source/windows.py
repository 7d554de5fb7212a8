"""Convolutions and pools: dl has them for one image, with equal numbers for all axes."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.importers.source.scope import Scope, Unsayable
from dlc.importers.source.text import ATOM, Text, call, number
from dlc.ir.core import Op, Value
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, DType


def conv(s: Scope, op: Op) -> Text:
    """`map` of `conv2d` over the batch. Pads that differ are made before; strides that differ are
    taken of the result."""
    x, w = op.operands
    rank = len(x.tensor.shape) - 2
    strides = _each(op, "strides", rank)
    dilations = _each(op, "dilations", rank)
    if len(set(dilations)) > 1:
        raise Unsayable("dilations that differ from axis to axis")
    low, high = _pads(op, rank)
    equal = len({*low, *high}) == 1
    text = s.arg(x) if equal else padded(s, x, low, high, number(0, x.tensor.dtype).text)
    stride = strides[0] if len(set(strides)) == 1 else 1
    more = [
        f"{name}={n}"
        for name, n, plain in (
            ("stride", stride, 1), ("pad", low[0] if equal else 0, 0),
            ("dilation", dilations[0], 1), ("groups", op.attr_int("groups", 1), 1),
        )
        if n != plain
    ]  # fmt: skip
    kernel = s.named(w)
    inner = call(f"conv{rank}d", s.image, kernel, *more)
    made = call("map", f"fn({s.image}) => {inner.text}", text)
    if len(set(strides)) == 1:
        return made
    return _strided(s, made, op.result.tensor.shape, strides)


def _strided(s: Scope, made: Text, shape: Sequence[Dim], strides: Sequence[int]) -> Text:
    """Every `stride`-th element along the axes after the channels."""
    rank = len(shape)
    text = made.text
    for axis, step in enumerate(strides, 2):
        if step == 1:
            continue
        front = [axis, *(a for a in range(rank) if a != axis)]
        back = [*range(1, axis + 1), 0, *range(axis + 1, rank)]
        at = f"iota({s.dims.text(shape[axis]).text}) * {step}"
        turned = call("transpose", text, *map(str, front)).text
        text = call("transpose", f"{turned}[{at}]", *map(str, back)).text
    return Text(text)


def pool(s: Scope, op: Op) -> Text:
    """`map` of a pool over the batch; pads are made before, of numbers that take no part."""
    (x,) = op.operands
    size = op.attr_ints("size")
    rank = len(size)
    strides = _each(op, "strides", rank)
    if len(set(size)) > 1 or len(set(strides)) > 1:
        raise Unsayable("windows or strides that differ from axis to axis")
    low, high = _pads(op, rank)
    mean, d = op.attr_str("kind") == "mean", x.tensor.dtype
    name = f"{'mean' if mean else 'max'}_pool{rank}d"
    padding = any((*low, *high))
    filler = number(0, d) if mean else _lowest(d)
    text = padded(s, x, low, high, filler.text) if padding else s.arg(x)
    made = _pooled(s, name, text, size[0], strides[0])
    if not mean or not padding or op.attr_flag("count_pad"):
        return made
    # The mean of what is there: the sum over the share of the window that is no padding.
    ones = s.names.fresh("inside")
    shape = [*s.shape(x)[:2], *_grown(s, x, low, high)]
    s.line(f"{ones} = {call('fill', number(0, d).text, *shape).text}")
    where = ", ".join(_range(s, d, n) for d, n in zip(x.tensor.shape[2:], low, strict=True))
    s.line(f"{ones}[:, :, {where}] = {call('fill', number(1, d).text, *s.shape(x)).text}")
    share = _pooled(s, name, ones, size[0], strides[0])
    return Text(f"{made.text} / {share.text}", 5)


def _pooled(s: Scope, name: str, x: str, size: int, stride: int) -> Text:
    return call("map", f"fn({s.image}) => {name}({s.image}, {size}, {stride})", x)


def _lowest(d: DType) -> Text:
    import numpy as np

    if d is F32:
        return number(np.finfo(np.float32).min, d)
    if d.name == "f64":
        return number(np.finfo(np.float64).min, d)
    raise Unsayable(f"a largest element of padded {d}")


# -- padding


def padded(s: Scope, x: Value, low: Sequence[int], high: Sequence[int], filler: str) -> str:
    """A new variable: the value inside of a border along the axes after the channels."""
    if not any((*low, *high)):
        return s.arg(x)
    inside = s.arg(x)
    name = s.names.fresh(f"{x.hint}_padded" if x.hint else "padded")
    s.line(f"{name} = {call('fill', filler, *s.shape(x)[:2], *_grown(s, x, low, high)).text}")
    where = ", ".join(_range(s, d, n) for d, n in zip(x.tensor.shape[2:], low, strict=True))
    s.line(f"{name}[:, :, {where}] = {inside}")
    return name


def _grown(s: Scope, x: Value, low: Sequence[int], high: Sequence[int]) -> list[str]:
    sizes = x.tensor.shape[2:]
    return [s.dims.text(d + a + b).text for d, a, b in zip(sizes, low, high, strict=True)]


def _range(s: Scope, d: Dim, low: int) -> str:
    return f"{low}:{s.dims.text(d + low).at(ATOM)}"


def _each(op: Op, key: str, rank: int) -> tuple[int, ...]:
    return op.attr_ints(key) or (1,) * rank


def _pads(op: Op, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pads = op.attr_ints("pads") or (0,) * (2 * rank)
    return pads[:rank], pads[rank:]
