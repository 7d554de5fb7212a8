"""Building algebraic values. Taking them apart is `match`."""

from __future__ import annotations

from typing import Any

from dlc.ops.card import Card, CardError, Run, Site
from dlc.ops.lists import Structural
from dlc.ops.values import AdtValue
from dlc.typesys.types import AdtType, Type


class Variant(Structural):
    """A value of the constructor; `dims` are the values of the constructor's hidden dims.

    That the fields fit the declaration is checked by the module's verifier, which knows it."""

    name, operands, attributes = "variant", ("*fields",), ("constructor", "dims?")

    def infer(self, site: Site) -> tuple[Type, ...]:
        t = site.declared_type()
        site.attr_str("constructor")
        if "dims" in site.attrs:
            site.attr_dims("dims")
        if not isinstance(t, AdtType):
            raise CardError(f"`variant` makes algebraic values, not {t}")
        return (t,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (AdtValue(run.op.attr_str("constructor"), args, run.dims("dims")),)


CARDS: tuple[Card, ...] = (Variant(),)
