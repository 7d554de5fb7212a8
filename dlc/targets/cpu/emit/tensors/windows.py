"""Convolutions and pools, by the kernels over a common geometry (see `kernels.windows`)."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.memory.form import Tensor, View
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.tensors.operands import input_view, view_of
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.llvm import INDEX, Value
from dlc.typesys.dims import ONE, ZERO, Dim


def emit_conv(b: Body, s: Tensor) -> None:
    x, w, y = input_view(s, 0), input_view(s, 1), view_of(s)
    _convolve(b, s, _conv_geometry(b, s, x, w, y), (x, w, y))


def emit_conv_input_grad(b: Body, s: Tensor) -> None:
    dy, w, dx = input_view(s, 0), input_view(s, 1), view_of(s)
    _convolve(b, s, _conv_geometry(b, s, dx, w, dy), (dy, w, dx))


def emit_conv_weight_grad(b: Body, s: Tensor) -> None:
    x, dy, dw = input_view(s, 0), input_view(s, 1), view_of(s)
    _convolve(b, s, _conv_geometry(b, s, x, dw, dy), (x, dy, dw))


def _convolve(b: Body, s: Tensor, geometry: Value, views: tuple[View, View, View]) -> None:
    function = kernel(b.f.module, s.op, views[2].dtype.name)
    b.f.call(function, geometry, *(b.address(v) for v in views), s.accumulate)


def emit_pool(b: Body, s: Tensor) -> None:
    x, y = input_view(s), view_of(s)
    function = kernel(b.f.module, "pool", x.dtype.name, _variant(s))
    b.f.call(function, _pool_geometry(b, s, x, y), b.address(x), b.address(y))


def emit_pool_grad(b: Body, s: Tensor) -> None:
    x, dy, dx = input_view(s, 0), input_view(s, 1), view_of(s)
    function = kernel(b.f.module, "pool_grad", x.dtype.name, _variant(s))
    addresses = [b.address(v) for v in (x, dy, dx)]
    b.f.call(function, _pool_geometry(b, s, x, dy), *addresses, s.accumulate)


def _variant(s: Tensor) -> str:
    padded = s.attrs["kind"] == "mean" and s.attrs.get("count_pad") is True
    return "mean_pad" if padded else str(s.attrs["kind"])


def _ints(s: Tensor, name: str, default: Sequence[int]) -> tuple[int, ...]:
    values = s.attrs.get(name) or tuple(default)
    assert isinstance(values, tuple)
    out: list[int] = []
    for n in values:
        assert isinstance(n, int)
        out.append(n)
    return tuple(out)


def _conv_geometry(b: Body, s: Tensor, x: View, w: View, y: View) -> Value:
    groups = s.attrs.get("groups", 1)
    assert isinstance(groups, int)
    og = y.shape[1] // groups
    channels = (Dim.const(groups), w.shape[1], og)
    return _geometry(b, s, x, w.shape[2:], y, channels)


def _pool_geometry(b: Body, s: Tensor, x: View, y: View) -> Value:
    size = tuple(map(Dim.const, _ints(s, "size", ())))
    return _geometry(b, s, x, size, y, (ONE, x.shape[1], x.shape[1]))


def _geometry(
    b: Body,
    s: Tensor,
    x: View,
    size: Sequence[Dim],
    y: View,
    channels: tuple[Dim, Dim, Dim],
) -> Value:
    """Address of the geometry: a constant if all its numbers are known, else filled in here."""
    axes = len(x.shape) - 2

    def three(values: Sequence[Dim], fill: Dim) -> list[Dim]:
        return [fill] * (3 - len(values)) + list(values)

    numbers = {
        "strides": _ints(s, "strides", (1,) * axes),
        "pads": _ints(s, "pads", (0,) * (2 * axes))[:axes],
        "dilations": _ints(s, "dilations", (1,) * axes),
    }
    strides, pads, dilations = (tuple(map(Dim.const, v)) for v in numbers.values())
    fields = [x.shape[0], *channels]
    for values in (x.shape[2:], size, y.shape[2:], strides):
        fields += three(values, ONE)
    fields += [*three(pads, ZERO), *three(dilations, ONE)]
    if all(d.is_constant for d in fields):
        return b.unit.module.array(INDEX, [str(d.constant) for d in fields])
    f = b.f
    at = f.alloca(INDEX, len(fields), 64)
    for i, d in enumerate(fields):
        f.store(b.dim(d), f.gep(INDEX, at, i))
    return at
