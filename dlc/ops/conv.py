"""Convolutions over 1, 2 or 3 spatial axes, and their two transposes.

`x [B, C, spatial…]`, `w [O, C/groups, kernel…]`, `y [B, O, windows…]`:

    y[b, o, p] = sum over c, k of x[b, g*C/groups + c, p*stride + k*dilation - low] * w[o, c, k]

with `g = o // (O/groups)`, and 0 outside of x. The three operations are the three ways to fix two
of x, w, y."""

from __future__ import annotations

from typing import Any

from dlc.ir.core import Attr, Op, Value
from dlc.ops import gather_terms as gt
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    NotBatchable,
    Rows,
    Run,
    Same,
    Site,
    Trait,
)
from dlc.ops.numeric import COMPLEX, finish, np, widen
from dlc.ops.windows import windows_at, windows_of
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType, Type

GEOMETRY = ("strides?", "pads?", "dilations?", "groups?")


def conv_type(site: Site, x: TensorType, w: TensorType) -> TensorType:
    """The type of `conv x, w`."""
    if x.rank != w.rank or x.dtype != w.dtype or not x.dtype.is_float:
        raise CardError(f"`{site.name}` of {x} and {w}")
    wins, groups = windows_at(site, x.rank - 2), site.attr_int("groups", 1)
    if groups < 1 or w.shape[1] * groups != x.shape[1] or w.shape[0].divide_exactly(
        Dim.const(groups)
    ) is None:  # fmt: skip
        raise CardError(f"`{site.name}` in {groups} groups of {x} and {w}")
    spatial = [
        wins.count(s, k, a) for a, (s, k) in enumerate(zip(x.shape[2:], w.shape[2:], strict=True))
    ]
    return x.with_shape((x.shape[0], w.shape[0], *spatial))


def _geometry(op: Op) -> dict[str, Attr]:
    return {k: v for k, v in op.attrs.items() if f"{k}?" in GEOMETRY}


def _grouped(a: Any, groups: int, axis: int) -> Any:
    """`axis` split into (groups, rest)."""
    shape = (*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])
    return a.reshape(shape)


def _work(*xs: Any) -> tuple[Any, ...]:
    """The operands in the dtype that is summed in."""
    if any(x.dtype == COMPLEX for x in xs):
        return tuple(x.astype(COMPLEX) for x in xs)
    return tuple(map(widen, xs))


class Conv(Card):
    """`y[b, o, p] = sum over c, k of x[b, c, p*stride + k*dilation - low] * w[o, c, k]`, 0 outside
    of x."""

    name, operands, attributes = "conv", ("x", "w"), GEOMETRY
    traits = frozenset({Trait.CONTRACTION})
    source = "ONNX Conv-11 without bias"

    def infer(self, site: Site) -> tuple[Type, ...]:
        return (conv_type(site, site.tensor(0), site.tensor(1)),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        op, (x, w) = run.op, _work(*args)
        wins, groups, shape = windows_of(op), op.attr_int("groups", 1), run.shape()
        y = np.zeros((shape[0], groups, shape[1] // groups, *shape[2:]), x.dtype)
        x, w = _grouped(wins.pad(x, 0), groups, 1), _grouped(w, groups, 0)
        for at, see in wins.offsets(w.shape[3:], shape[2:]):
            part = x[(slice(None), *see)]
            y += np.matmul(w[(..., *at)], _flat(part)).reshape(y.shape)
        return (finish(y.reshape(shape), op.result.tensor.dtype),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x, w), geo = d, op.operands, _geometry(op)
        if dy is not None:
            g.add(x, lambda: g.emit("conv_input_grad", dy, w, shape=x.tensor.shape, **geo))
            g.add(w, lambda: g.emit("conv_weight_grad", x, dy, shape=w.tensor.shape, **geo))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        return _fold_rows(b, op, xs[0], xs[1], {})


def _fold_rows(
    b: Batching, op: Op, x: Batched, w: Batched, attrs: dict[str, Attr]
) -> tuple[Batched, ...]:
    """Rows of x become part of the batch; the weights must be the same for all."""
    if not isinstance(w, Same):
        raise NotBatchable(f"`{op.name}`: every row has weights of its own")
    y = op.result.tensor
    out = b.emit(op.name, gt.merge_first(b, x.value), w.value, **{**op.attrs, **attrs})
    return (Rows(gt.reshape(b, out, (b.rows, *y.shape))),)


class ConvInputGrad(Card):
    """`dx` with `sum of dx*x = sum of dy * conv(x, w)` for every x: the transpose of `conv` in
    x."""

    name, operands, attributes = "conv_input_grad", ("dy", "w"), ("shape", *GEOMETRY)
    traits = frozenset({Trait.CONTRACTION})
    source = "ONNX ConvTranspose-11 without bias"

    def infer(self, site: Site) -> tuple[Type, ...]:
        dy, w = site.tensor(0), site.tensor(1)
        x = dy.with_shape(site.attr_dims("shape"))
        if conv_type(site, x, w) != dy:
            raise CardError(f"`conv_input_grad` of {dy} and {w} to {x}")
        return (x,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        op, (dy, w) = run.op, _work(*args)
        wins, groups, shape = windows_of(op), op.attr_int("groups", 1), run.shape()
        dx = _grouped(wins.pad(np.zeros(shape, dy.dtype), 0), groups, 1)
        dy, w = _grouped(dy, groups, 1), _grouped(w, groups, 0)
        for at, see in wins.offsets(w.shape[3:], dy.shape[3:]):
            part = dx[(slice(None), *see)]
            part += np.matmul(np.swapaxes(w[(..., *at)], 1, 2), _flat(dy)).reshape(part.shape)
        flat = dx.reshape(shape[0], shape[1], *dx.shape[3:])
        return (finish(wins.crop(flat), op.result.tensor.dtype),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (d_dx,), (dy, w), geo = d, op.operands, _geometry(op)
        if d_dx is not None:
            g.add(dy, lambda: g.emit("conv", d_dx, w, **geo))
            g.add(w, lambda: g.emit("conv_weight_grad", d_dx, dy, shape=w.tensor.shape, **geo))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        first, *rest = op.attr_dims("shape")
        return _fold_rows(b, op, xs[0], xs[1], {"shape": (b.rows * first, *rest)})


class ConvWeightGrad(Card):
    """`dw` with `sum of dw*w = sum of dy * conv(x, w)` for every w: the transpose of `conv` in
    w."""

    name, operands, attributes = "conv_weight_grad", ("x", "dy"), ("shape", *GEOMETRY)
    batching = "refused"
    traits = frozenset({Trait.CONTRACTION})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, dy = site.tensor(0), site.tensor(1)
        w = x.with_shape(site.attr_dims("shape"))
        if conv_type(site, x, w) != dy:
            raise CardError(f"`conv_weight_grad` of {x} and {dy} to {w}")
        return (w,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        op, (x, dy) = run.op, _work(*args)
        wins, groups, shape = windows_of(op), op.attr_int("groups", 1), run.shape()
        dw = np.zeros((groups, shape[0] // groups, *shape[1:]), x.dtype)
        x, dy = _grouped(wins.pad(x, 0), groups, 1), _grouped(dy, groups, 1)
        for at, see in wins.offsets(shape[2:], dy.shape[3:]):
            part = x[(slice(None), *see)]
            each = np.matmul(_flat(dy), np.swapaxes(_flat(part), 2, 3))
            dw[(..., *at)] = np.sum(each, axis=0, dtype=dw.dtype)
        return (finish(dw.reshape(shape), op.result.tensor.dtype),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (d_dw,), (x, dy), geo = d, op.operands, _geometry(op)
        if d_dw is not None:
            g.add(x, lambda: g.emit("conv_input_grad", dy, d_dw, shape=x.tensor.shape, **geo))
            g.add(dy, lambda: g.emit("conv", x, d_dw, **geo))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        raise NotBatchable("`conv_weight_grad`: every row has weights of its own")


def _flat(a: Any) -> Any:
    """All spatial axes made one."""
    return a.reshape(*a.shape[:3], int(np.prod(a.shape[3:])))


CARDS: tuple[Card, ...] = (Conv(), ConvInputGrad(), ConvWeightGrad())
