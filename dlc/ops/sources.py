"""Values from nothing: constants, counting, the value of a dim."""

from __future__ import annotations

from typing import Any

import numpy

from dlc.ir.core import Op, Value
from dlc.ops.card import Card, CardError, Gradient, Run, Site
from dlc.ops.numeric import UNDEFINED, convert, np
from dlc.typesys.dtypes import I32
from dlc.typesys.types import TensorType, Type


class _Source(Card):
    """No operands: nothing to differentiate, nothing to batch (the batcher emits it once)."""

    derivative = "zero"
    batching = "refused"

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return


class Const(_Source):
    """The attribute's value: an array of exactly the result's type, or a number for a scalar."""

    name, attributes = "const", ("value",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        t, v = site.declared_type(), site.attrs["value"]
        if not isinstance(t, TensorType):
            raise CardError(f"`const` makes tensors, not {t}")
        if isinstance(v, numpy.ndarray):
            shape: tuple[int, ...] = v.shape
            if t.with_shape(shape) != t or v.dtype != t.dtype.numpy:
                raise CardError(f"`const` of {t} has an array {v.dtype}{list(shape)}")
            return (t,)
        if t.shape:
            raise CardError(f"`const` of {t} needs an array")
        fits = (
            isinstance(v, bool)
            if t.dtype.is_bool
            else isinstance(v, int) and not isinstance(v, bool)
            if t.dtype.is_int
            else isinstance(v, float)
        )
        if not fits:
            raise CardError(f"`const` of {t} has the value {v!r}")
        if t.dtype.is_int:
            info = np.iinfo(t.dtype.numpy)
            if not info.min <= v <= info.max:
                raise CardError(f"{v} is no {t.dtype}")
        return (t,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        v = run.op.attrs["value"]
        if isinstance(v, numpy.ndarray):
            return (v,)
        d = run.op.result.tensor.dtype
        return (convert(np.float64(v), d) if d.is_float else d.numpy.type(v),)


class Undef(_Source):
    """A value that nobody may read: the filler of carries and branches that are not taken."""

    name = "undef"

    def infer(self, site: Site) -> tuple[Type, ...]:
        return (site.declared_type(),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (UNDEFINED,)


class Iota(_Source):
    """`y[i] = i` for 0 <= i < size."""

    name, attributes = "iota", ("size", "dtype?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        d = site.attr_dtype("dtype", I32)
        if not d.is_number:
            raise CardError(f"`iota` counts in numbers, not {d}")
        return (TensorType(d, (site.attr_dim("size"),)),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        d = run.op.result.tensor.dtype
        return (convert(np.arange(run.dim("size"), dtype=np.int64), d),)


class DimValue(_Source):
    """The value of a dim as a scalar; wraps if the element type is too narrow."""

    name, attributes = "dim", ("value", "dtype?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        d = site.attr_dtype("dtype", I32)
        site.attr_dim("value")
        if not d.is_number:
            raise CardError(f"`dim` is a number, not {d}")
        return (TensorType(d),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        # Not `run.dim`: the value of a polynomial may be negative, only sizes may not.
        n = run.op.attr_dim("value").evaluate(run.env)
        return (convert(np.int64(n), run.op.result.tensor.dtype),)


CARDS: tuple[Card, ...] = (Const(), Undef(), Iota(), DimValue())
