"""Products, convolutions and pools. A convolution has no batch axis: it is a batch of one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlc.diag import CompileError, error
from dlc.ir.core import Value
from dlc.lower.builtins.given import Builtin, Given
from dlc.lower.builtins.numbers import column_of
from dlc.lower.scope import Leaves
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim


def _dot(g: Given) -> Leaves:
    return (g.b.emit("contract", *g.xs, spec="i,i->"),)


def _outer(g: Given) -> Leaves:
    return (g.b.emit("contract", *g.xs, spec="i,j->ij"),)


def _scale_rows(g: Given) -> Leaves:
    """`y[i, …] = s[i] * x[i, …]`."""
    s, x = g.xs
    return (g.b.emit("mul", column_of(g.b, s, x.tensor), x),)


def _batch_of_one(b: Builder, x: Value) -> Value:
    return b.emit("reshape", x, shape=(Dim.const(1), *x.tensor.shape))


def _only(b: Builder, y: Value) -> Value:
    return b.emit("reshape", y, shape=y.tensor.shape[1:])


def _conv(g: Given) -> Leaves:
    """`y[o, p] = sum over c, k of x[c, stride*p + dilation*k - pad] * w[o, c, k]`, zero outside."""
    x, w = g.xs[:2]
    n = w.tensor.rank - 2
    _in_range(g, "stride", 1)
    _in_range(g, "pad", 0)
    _in_range(g, "dilation", 1)
    _in_range(g, "groups", 1)
    y = g.b.emit(
        "conv",
        _batch_of_one(g.b, x),
        w,
        strides=(g.number("stride"),) * n,
        pads=(g.number("pad"),) * (2 * n),
        dilations=(_optional(g, "dilation"),) * n,
        groups=_optional(g, "groups"),
    )
    return g.s.conform((_only(g.b, y),), g.call.type)


def _in_range(g: Given, name: str, least: int) -> None:
    """Raises CompileError E0635: such a number is only known in the instance."""
    n = g.number(name) if name in dict(g.call.consts) else least
    if n < least:
        text = f"`{name}` of `{g.call.name}` is {n}, and must be at least {least}"
        raise CompileError(error("E0635", text, g.call.span))


def _optional(g: Given, name: str) -> int:
    """A const parameter that is 1 unless given."""
    return g.number(name) if name in dict(g.call.consts) else 1


def _pool(kind: str) -> Builtin:
    def call(g: Given) -> Leaves:
        x = g.one(0)
        n = x.tensor.rank - 1
        _in_range(g, "size", 1)
        _in_range(g, "stride", 1)
        y = g.b.emit(
            "pool",
            _batch_of_one(g.b, x),
            kind=kind,
            size=(g.number("size"),) * n,
            strides=(g.number("stride"),) * n,
            pads=(0,) * (2 * n),
        )
        return g.s.conform((_only(g.b, y),), g.call.type)

    return call


PRODUCTS: Mapping[str, Builtin] = MappingProxyType(
    {
        "dot": _dot,
        "outer": _outer,
        "scale_rows": _scale_rows,
        **{f"conv{n}d": _conv for n in (1, 2, 3)},
        **{f"max_pool{n}d": _pool("max") for n in (1, 2, 3)},
        **{f"mean_pool{n}d": _pool("mean") for n in (1, 2, 3)},
    }
)
