"""Other arrangements of the same elements: views, and `concat`."""

from __future__ import annotations

from typing import Any

from dlc.diag import InternalError
from dlc.ir.core import Op, Value
from dlc.ir.hidden import same_but_for_dims
from dlc.ops import term
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    Rows,
    Run,
    RunError,
    Site,
    Trait,
)
from dlc.ops.numeric import COMPLEX, np
from dlc.typesys.dims import ONE, ZERO, Dim
from dlc.typesys.types import TensorType, Type


def stretched_axes(x: TensorType, y: TensorType) -> tuple[int, ...]:
    """The axes of `y = broadcast x` along which elements of x repeat."""
    lead = y.rank - x.rank
    return (*range(lead), *(i + lead for i, d in enumerate(x.shape) if d != y.shape[i + lead]))


class Broadcast(Card):
    """`y[…, i] = x[i]`, aligned right: a missing axis, or one of the dim 1, repeats."""

    name, operands, attributes = "broadcast", ("x",), ("shape",)
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x = site.tensor(0)
        y = x.with_shape(site.attr_dims("shape"))
        if x.rank > y.rank:
            raise CardError(f"`broadcast` of {x} to a lower rank, {y}")
        for a, b in zip(reversed(x.shape), reversed(y.shape), strict=False):
            if a not in (b, ONE):
                raise CardError(f"`broadcast` of {x} to {y}: {a} is not {b}, and not 1")
        return (y,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (np.broadcast_to(args[0], run.dims("shape")),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is None:
            return

        def back() -> Value:
            axes = stretched_axes(x.tensor, op.result.tensor)
            if not axes:
                return dy
            s = g.emit("reduce", dy, kind="sum", axes=axes)
            return s if s.type == x.type else g.emit("reshape", s, shape=x.tensor.shape)

        g.add(x, back)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        shape, (x,) = op.attr_dims("shape"), op.operands
        pad = (ONE,) * (len(shape) - x.tensor.rank)
        v = xs[0].value
        if pad:
            v = b.emit("reshape", v, shape=(b.rows, *pad, *x.tensor.shape))
        return (Rows(b.emit("broadcast", v, shape=(b.rows, *shape))),)


class Reshape(Card):
    """`y` has the elements of x in row-major order.

    Without `checked` the numbers of elements must be equal as dims; with it they are compared at
    run time."""

    name, operands, attributes = "reshape", ("x",), ("shape", "checked?")
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x = site.tensor(0)
        y = x.with_shape(site.attr_dims("shape"))
        if not site.attr_flag("checked") and x.size != y.size:
            raise CardError(f"`reshape` of {x} to {y}: {x.size} elements are not {y.size}")
        return (y,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        x, shape = np.asarray(args[0]), run.dims("shape")
        want = int(np.prod(shape, dtype=np.int64))
        if x.size != want:
            raise RunError("shape", f"{x.size} elements reshaped to {want}", x.size, want)
        return (x.reshape(shape)[()],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is not None:
            g.add(x, lambda: g.emit("reshape", dy, **_as(op, x.tensor.shape)))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        shape = (b.rows, *op.attr_dims("shape"))
        return (Rows(b.emit("reshape", xs[0].value, **_as(op, shape))),)

    def may_fail(self, op: Op) -> bool:
        return op.attr_flag("checked")


def _as(op: Op, shape: tuple[Dim, ...]) -> dict[str, Any]:
    """Attributes of a reshape to `shape` that is checked if `op` is."""
    return {"shape": shape, "checked": True} if op.attr_flag("checked") else {"shape": shape}


class Transpose(Card):
    """`y[i_perm[0], i_perm[1], …] = x[i_0, i_1, …]`: axis k of y is axis perm[k] of x."""

    name, operands, attributes = "transpose", ("x",), ("perm",)
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        x, perm = site.tensor(0), site.attr_ints("perm")
        if sorted(perm) != list(range(x.rank)):
            raise CardError(f"`transpose` of {x}: {list(perm)} is no order of its axes")
        return (x.with_shape([x.shape[a] for a in perm]),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (np.transpose(args[0], run.op.attr_ints("perm")),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        perm = op.attr_ints("perm")
        inverse = tuple(perm.index(k) for k in range(len(perm)))
        if dy is not None:
            g.add(x, lambda: g.emit("transpose", dy, perm=inverse))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        perm = (0, *(p + 1 for p in op.attr_ints("perm")))
        return (Rows(b.emit("transpose", xs[0].value, perm=perm)),)


class Reverse(Card):
    """`y[…, i, …] = x[…, n-1-i, …]` along the axis."""

    name, operands, attributes = "reverse", ("x",), ("axis",)
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        site.axis(site.tensor(0).rank)
        return (site.tensor(0),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (np.flip(args[0], run.op.attr_int("axis")),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is not None:
            g.add(x, lambda: g.emit("reverse", dy, **op.attrs))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        return (Rows(b.emit("reverse", xs[0].value, axis=op.attr_int("axis") + 1)),)


class Retype(Card):
    """`y = x`, whose dims are written in another way that a check before has shown to be equal."""

    name, operands = "retype", ("x",)
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        (x,), y = site.operands, site.declared_type()
        if not same_but_for_dims(x, y):
            raise CardError(f"`retype` of {x} to {y} changes more than dims")
        return (y,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (x,), t = args, run.op.result.type
        if isinstance(t, TensorType):
            shape = run.shape()
            if tuple(x.shape) != shape:
                message = f"a value of shape {list(x.shape)} retyped to {list(shape)}"
                raise InternalError(message, stage="evaluate", op="retype")
        return (x,)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is not None:
            g.add(x, lambda: g.emit_typed("retype", g.type_of(x), dy))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        t = op.result.tensor
        return (Rows(b.emit_typed("retype", t.with_shape((b.rows, *t.shape)), xs[0].value)),)


class Concat(Card):
    """The operands one after another along the axis."""

    name, operands, attributes = "concat", ("x", "*xs"), ("axis",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        x = site.tensor(0)
        axis, total = site.axis(x.rank), ZERO
        for i in range(len(site.operands)):
            t = site.tensor(i)
            rest = t.shape[:axis] + t.shape[axis + 1 :]
            if t.dtype != x.dtype or rest != x.shape[:axis] + x.shape[axis + 1 :]:
                raise CardError(f"`concat` along axis {axis} of {x} and {t}")
            total = total + t.shape[axis]
        return (x.with_shape((*x.shape[:axis], total, *x.shape[axis + 1 :])),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        if any(x.dtype == COMPLEX for x in args):
            args = tuple(x.astype(COMPLEX) for x in args)
        return (np.concatenate(args, run.op.attr_int("axis")),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,) = d
        if dy is None:
            return
        axis, at = op.attr_int("axis"), ZERO
        for x in op.operands:
            size = x.tensor.shape[axis]
            g.add(x, lambda at=at, size=size: _piece(g, dy, at, axis, size))
            at = at + size

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        parts = [b.full(x) for x in xs]
        return (Rows(b.emit("concat", *parts, axis=op.attr_int("axis") + 1)),)


def _piece(g: Gradient, x: Value, at: Dim, axis: int, size: Dim) -> Value:
    return g.emit("slice", x, term.dim(g, at), axis=axis, size=size, in_bounds=True)


CARDS: tuple[Card, ...] = (Broadcast(), Reshape(), Transpose(), Reverse(), Retype(), Concat())
