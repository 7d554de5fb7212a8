"""Cotangents at places, and the interface through which cards contribute to them."""

from __future__ import annotations

from collections.abc import Callable

from dlc.autodiff.activity import Activity
from dlc.autodiff.tangents import Tangents
from dlc.ir.core import Attr, Value
from dlc.ops.build import Builder
from dlc.typesys.types import ListType, TensorType, Type


class Places:
    """`value -> its cotangent so far`; absence is zero. A copy per branch, so regions inherit."""

    def __init__(
        self,
        b: Builder,
        active: Activity,
        rows: frozenset[Value],
        ct: dict[Value, Value] | None = None,
    ) -> None:
        self.b = b
        self.active_values = active
        self.rows = rows
        self.ct: dict[Value, Value] = ct if ct is not None else {}

    @property
    def tangents(self) -> Tangents:
        return self.active_values.tangents

    def inside(self, b: Builder) -> Places:
        """The places as a region sees them at its start."""
        return Places(b, self.active_values, self.rows, dict(self.ct))

    # -- the protocol of `dlc.ops.card.Gradient`

    def emit(self, name: str, *operands: Value, **attrs: Attr) -> Value:
        return self.b.emit(name, *operands, **attrs)

    def emit_many(self, name: str, *operands: Value, **attrs: Attr) -> tuple[Value, ...]:
        return self.b.emit_many(name, *operands, **attrs)

    def emit_typed(self, name: str, t: Type, *operands: Value, **attrs: Attr) -> Value:
        return self.b.emit_typed(name, t, *operands, **attrs)

    def active(self, x: Value) -> bool:
        return x in self.active_values

    def add(self, x: Value, contribution: Callable[[], Value]) -> None:
        if x not in self.active_values:
            return
        new = contribution()
        old = self.ct.get(x)
        if x in self.rows:
            raise AssertionError("a table whose gradient is rows is used densely")
        self.ct[x] = new if old is None else self.tangents.add(self.b, old, new)

    def update(self, x: Value, change: Callable[[Value], Value]) -> None:
        if x in self.active_values:
            self.ct[x] = change(self.now(x))

    # -- for the pass

    def now(self, x: Value) -> Value:
        """The cotangent of `x`, as a value: a zero if nothing has contributed."""
        old = self.ct.get(x)
        return old if old is not None else self.zero(x)

    def zero(self, x: Value) -> Value:
        if x in self.rows:
            return self.b.emit_typed("list_new", rows_type(x.type))
        return self.tangents.zero(self.b, x.type, x)

    def type_of(self, x: Value) -> Type:
        """The type of the cotangent of `x`."""
        if x in self.rows:
            return rows_type(x.type)
        t = self.tangents.of(x.type)
        assert t is not None, f"{x} has no tangent"
        return t

    def fitted(self, g: Value, x: Value) -> Value:
        """The cotangent with the names that hidden sizes have in the type of `x`."""
        t = self.type_of(x)
        return g if g.type == t else self.b.emit_typed("retype", t, g)


def rows_type(t: Type) -> ListType:
    """The tangent of a table that is only ever gathered from: (row number, row) pairs."""
    from dlc.typesys.types import SCALAR_I32

    assert isinstance(t, TensorType) and t.rank >= 1
    return ListType((SCALAR_I32, TensorType(t.dtype, t.shape[1:])))
