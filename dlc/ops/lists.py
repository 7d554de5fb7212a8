"""Growing lists. Values: `set` and `push` give new lists; in place when the old one is dead.

A list has one or more columns. Cotangents of lists need the tangent types of their columns, which
belong to the pass: `dlc.autodiff` has the rules.
"""

from __future__ import annotations

from typing import Any

from dlc.diag import InternalError
from dlc.ir.core import Op, Value
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    NotBatchable,
    Run,
    RunError,
    Site,
    Trait,
)
from dlc.ops.slices import need_index
from dlc.ops.values import ListValue
from dlc.typesys.types import SCALAR_I32, ListType, Type


class Structural(Card):
    """An operation on lists or algebraic values: differentiated by the pass, kept in loops by the
    batcher."""

    derivative, batching = "pass", "refused"

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        raise InternalError(
            f"`{self.name}` is differentiated by the pass, which knows tangent types",
            stage="autodiff",
            op=self.name,
        )

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        raise NotBatchable(f"`{self.name}`: rows may differ in structure")


def _columns(site: Site, first: int) -> tuple[Type, ...]:
    """The types of operands `first…`, the values of an element."""
    return site.operands[first:]


def _fits(site: Site, l: ListType, first: int) -> None:
    if _columns(site, first) != l.columns:
        given = ", ".join(map(str, _columns(site, first)))
        raise CardError(f"`{site.name}`: an element of {l} is not ({given})")


class ListNew(Structural):
    """The empty list of its type."""

    name = "list_new"

    def infer(self, site: Site) -> tuple[Type, ...]:
        t = site.declared_type()
        if not isinstance(t, ListType):
            raise CardError(f"`list_new` makes lists, not {t}")
        return (t,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (ListValue(),)


class ListPush(Structural):
    """`l` with one more element at its end."""

    name, operands = "list_push", ("l", "*columns")
    traits = frozenset({Trait.UPDATE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        l = site.list_type(0)
        _fits(site, l, 1)
        return (l,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        l, *element = args
        return (l.push(tuple(element)),)


class _Positioned(Structural):
    """Checks its position unless it is known to be right."""

    def may_fail(self, op: Op) -> bool:
        return not op.attr_flag("in_bounds")


def _at(l: Any, i: Any) -> int:
    at = int(i)
    if not 0 <= at < len(l):
        raise RunError("bounds", f"index {at} of a list of {len(l)}", at, len(l))
    return at


class ListGet(_Positioned):
    """The columns of element i; fails unless `0 <= i < len`."""

    name, operands, attributes = "list_get", ("l", "i"), ("in_bounds?",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        need_index(site, 1, 0)
        return site.list_type(0).columns

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        l, i = args
        return l[_at(l, i)]


class ListSet(_Positioned):
    """`l` with element i replaced; fails unless `0 <= i < len`."""

    name, operands, attributes = "list_set", ("l", "i", "*columns"), ("in_bounds?",)
    traits = frozenset({Trait.UPDATE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        l = site.list_type(0)
        need_index(site, 1, 0)
        _fits(site, l, 2)
        return (l,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        l, i, *element = args
        return (l.set(_at(l, i), tuple(element)),)


class ListLen(Structural):
    """The number of elements."""

    name, operands = "list_len", ("l",)
    derivative = "zero"

    def infer(self, site: Site) -> tuple[Type, ...]:
        site.list_type(0)
        return (SCALAR_I32,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (SCALAR_I32.dtype.numpy.type(len(args[0])),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return


class ListPop(_Positioned):
    """`l` without its last element, and that element's columns; fails if there is none."""

    name, operands, attributes = "list_pop", ("l",), ("in_bounds?",)
    traits = frozenset({Trait.UPDATE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        l = site.list_type(0)
        return (l, *l.columns)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        (l,) = args
        last = l[_at(l, len(l) - 1)]
        return (l.pop(), *last)


class ListFill(Structural):
    """A list of n equal elements; fails (`shape`) if n is negative."""

    name, operands = "list_fill", ("n", "*columns")

    def infer(self, site: Site) -> tuple[Type, ...]:
        need_index(site, 0, 0)
        columns = _columns(site, 1)
        if not columns:
            raise CardError("`list_fill` needs at least one column")
        return (ListType(columns),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        n, *element = args
        if n < 0:
            raise RunError("shape", f"a list of {int(n)} elements", int(n), 0)
        return (ListValue([tuple(element)] * int(n)),)

    def may_fail(self, op: Op) -> bool:
        return True


CARDS: tuple[Card, ...] = (
    ListNew(), ListPush(), ListGet(), ListSet(), ListLen(), ListPop(), ListFill(),
)  # fmt: skip
