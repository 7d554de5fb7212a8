"""Typed construction of IR: a `Builder` collects the operations of one region.

Result types come from the cards, so a builder's user never writes one down (but for the few
operations whose operands don't determine it: `emit_typed`). Nested regions are built by nested
builders:

    then, other = b.nested(), b.nested()
    (y,) = b.if_(c, then.yield_(x), other.yield_(other.emit("neg", x)))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.ir.core import (
    NOWHERE,
    AdtDecl,
    Attr,
    Function,
    Loc,
    Op,
    Region,
    Signature,
    Value,
    freeze_attrs,
)
from dlc.ir.hidden import HiddenDimError, join_types, solve_dims
from dlc.ir.names import DimNames, own_dims
from dlc.ops import term
from dlc.ops.card import CardError, Site
from dlc.ops.registry import card_of
from dlc.typesys.dims import Dim, DimError
from dlc.typesys.dtypes import I32, DType
from dlc.typesys.types import AdtType, TensorType, Type, substitute_type


class BuildError(InternalError):
    """An operation that its card refuses: the builder's caller is wrong, not the user."""


class Builder:
    """The operations of one region, in the order of emission.

    `loc` is the source location of what is emitted next. `adts` are the algebraic types of the
    module (`match_` asks for the fields of constructors). `names` makes fresh dim names; one object
    serves all builders of a function.
    """

    def __init__(
        self,
        adts: Mapping[str, AdtDecl] | None = None,
        names: DimNames | None = None,
        loc: Loc = NOWHERE,
        params: tuple[Value, ...] = (),
        dims: tuple[str, ...] = (),
    ) -> None:
        self.adts: Mapping[str, AdtDecl] = adts if adts is not None else {}
        self.names = names if names is not None else DimNames()
        self.loc = loc
        self.params = params
        self.dims = dims
        self.ops: list[Op] = []

    # -- operations

    def append(self, op: Op) -> Op:
        """An operation as it is (its values belong to this function already)."""
        self.ops.append(op)
        return op

    def emit_op(
        self,
        name: str,
        operands: Sequence[Value],
        attrs: Mapping[str, Attr],
        declared: tuple[Type, ...] = (),
        dims: tuple[str, ...] | None = None,
    ) -> Op:
        """The operation, appended; dims that it defines get fresh names unless given.

        Raises BuildError if its card refuses operands or attributes."""
        card = card_of(name)
        if dims is None:
            dims = tuple(self.names.fresh(d) for d in card.binds)
        frozen = freeze_attrs(attrs)
        try:
            site = Site(name, tuple(v.type for v in operands), frozen, dims, declared)
            types = card.result_types(site)
        except (CardError, DimError) as e:
            raise BuildError(str(e), stage="build", op=name) from e
        results = tuple(Value(t) for t in types)
        return self.append(Op(name, tuple(operands), results, frozen, (), dims, self.loc))

    def emit(self, name: str, *operands: Value, **attrs: Attr) -> Value:
        """The one result of an operation."""
        return self.emit_op(name, operands, attrs).result

    def emit_many(self, name: str, *operands: Value, **attrs: Attr) -> tuple[Value, ...]:
        """All results of an operation (none, for checks)."""
        return self.emit_op(name, operands, attrs).results

    def emit_typed(self, name: str, t: Type, *operands: Value, **attrs: Attr) -> Value:
        """The result of an operation whose type the operands don't determine
        (`const undef list_new variant retype`)."""
        return self.emit_op(name, operands, attrs, (t,)).result

    # -- what is emitted everywhere

    def scalar(self, value: float | int | bool, dtype: DType) -> Value:
        """A constant of rank 0."""
        return term.scalar(self, value, dtype)

    def array(self, a: np.ndarray[Any, Any], dtype: DType) -> Value:
        """A constant tensor."""
        t = TensorType(dtype, tuple(Dim.const(n) for n in a.shape))
        return self.emit_typed("const", t, value=a.astype(dtype.numpy))

    def full(self, value: float | int | bool, t: TensorType) -> Value:
        """A tensor of equal elements."""
        return term.full(self, value, t)

    def dim(self, d: Dim | int, dtype: DType = I32) -> Value:
        """A dim's value as a scalar."""
        return term.dim(self, Dim.of(d), dtype)

    def as_dim(self, v: Value, hint: str = "k", *, at_most: Dim | None = None) -> Dim:
        """A fresh dim whose value is the scalar's, known to be at most `at_most`."""
        name = self.names.fresh(hint)
        attrs: dict[str, Attr] = {} if at_most is None else {"at_most": at_most}
        self.emit_op("as_dim", (v,), attrs, (), (name,))
        return Dim.sym(name)

    # -- regions

    def nested(
        self,
        params: Sequence[Type] = (),
        hints: Sequence[str] = (),
        dims: tuple[str, ...] = (),
    ) -> Builder:
        """A builder for a region of an operation that is emitted here later, with fresh
        parameters."""
        padded = [*hints, *[""] * (len(params) - len(hints))]
        values = tuple(Value(t, h) for t, h in zip(params, padded, strict=True))
        return Builder(self.adts, self.names, self.loc, values, dims)

    def finish(self, terminator: Op) -> Region:
        """The region, ended by the terminator."""
        return Region(self.params, (*self.ops, terminator), self.dims)

    def yield_(self, *values: Value, dims: Sequence[Dim] = ()) -> Region:
        """The region, ended by `yield`; `dims` are the values of hidden sizes (`if_` finds them
        itself)."""
        attrs = freeze_attrs({"dims": tuple(dims)}) if dims else freeze_attrs({})
        return self.finish(Op("yield", values, (), attrs, (), (), self.loc))

    def structured(
        self,
        name: str,
        operands: Sequence[Value],
        types: Sequence[Type],
        attrs: Mapping[str, Attr],
        regions: Sequence[Region],
        dims: tuple[str, ...] = (),
        hints: Sequence[str] = (),
    ) -> tuple[Value, ...]:
        """A structured operation with these result types."""
        padded = [*hints, *[""] * (len(types) - len(hints))]
        results = tuple(Value(t, h) for t, h in zip(types, padded, strict=True))
        self.append(
            Op(name, tuple(operands), results, freeze_attrs(attrs), tuple(regions), dims, self.loc)
        )
        return results

    def if_(self, c: Value, then: Region, other: Region) -> tuple[Value, ...]:
        """`then` or `other`. Where the types that they yield differ in dims, the results have new
        dims."""
        return self._branches("if", c, {}, (then, other))

    def match_(
        self, t: Value, cases: Sequence[str], regions: Sequence[Region]
    ) -> tuple[Value, ...]:
        """One region per case, made by `case`; the last case may be `_`."""
        return self._branches("match", t, {"cases": tuple(cases)}, regions)

    def case(self, t: Value, constructor: str, hints: Sequence[str] = ()) -> Builder:
        """A builder for one case of a match on `t`; its parameters are the constructor's fields
        (none for `_`), with the dims of `t` and fresh names for the constructor's hidden dims."""
        if constructor == "_":
            return self.nested()
        decl = adt_of(self.adts, t.type)
        fresh = tuple(self.names.fresh(d) for d in decl.constructor(constructor).dims)
        types = field_types(self.adts, t.type, constructor, tuple(map(Dim.sym, fresh)))
        return self.nested(types, hints, fresh)

    def _branches(
        self, name: str, on: Value, attrs: Mapping[str, Attr], regions: Sequence[Region]
    ) -> tuple[Value, ...]:
        rows = [[v.type for v in r.yields] for r in regions]
        local = frozenset(d for r in regions for d in own_dims(r))
        try:
            types, names, given = join_types(rows, self.names.fresh, local)
        except HiddenDimError as e:
            raise BuildError(str(e), stage="build", op=name) from e
        if names:
            regions = [_with_dims(r, ds) for r, ds in zip(regions, given, strict=True)]
        return self.structured(name, (on,), types, attrs, regions, names)

    def variant(
        self,
        t: AdtType,
        constructor: str,
        fields: Sequence[Value],
        dims: Sequence[Dim] = (),
    ) -> Value:
        """A value of the constructor; `dims` are the values of its hidden dims."""
        attrs: dict[str, Attr] = {"constructor": constructor}
        if dims:
            attrs["dims"] = tuple(dims)
        return self.emit_op("variant", fields, attrs, (t,)).result

    def for_(
        self,
        lo: Value,
        hi: Value,
        inits: Sequence[Value],
        body: Region,
        *,
        exits: bool = False,
        reverse: bool = False,
        init_dims: Sequence[Dim] = (),
    ) -> tuple[Value, ...]:
        """`body(index, carries…)` for lo <= index < hi; the final carries. `body.dims` are hidden
        sizes of the carries, `init_dims` their first values."""
        attrs: dict[str, Attr] = {}
        if exits:
            attrs["exits"] = True
        if reverse:
            attrs["reverse"] = True
        return self._loop("for", (lo, hi, *inits), body, body.params[1:], attrs, init_dims)

    def loop(
        self,
        inits: Sequence[Value],
        body: Region,
        *,
        init_dims: Sequence[Dim] = (),
        visits: bool = False,
    ) -> tuple[Value, ...]:
        """`body(carries…)`, which yields `(go, carries…)`, until go is false; the final carries.
        `visits` says that no two turns take the same node of the function's one structure."""
        attrs: dict[str, Attr] = {"visits": True} if visits else {}
        return self._loop("loop", inits, body, body.params, attrs, init_dims)

    def _loop(
        self,
        name: str,
        operands: Sequence[Value],
        body: Region,
        carries: Sequence[Value],
        attrs: dict[str, Attr],
        init_dims: Sequence[Dim],
    ) -> tuple[Value, ...]:
        if len(init_dims) != len(body.dims):
            raise BuildError(
                f"{len(body.dims)} hidden dims, {len(init_dims)} first values", op=name
            )
        after = {d: self.names.fresh(d) for d in body.dims}
        if after:
            attrs["init_dims"] = tuple(init_dims)
            first = len(body.yields) - len(carries)
            pattern = [v.type for v in carries]
            try:
                found = solve_dims(body.dims, pattern, [v.type for v in body.yields[first:]])
            except HiddenDimError as e:
                raise BuildError(str(e), stage="build", op=name) from e
            body = _with_dims(body, found)
        renamed = {d: Dim.sym(n) for d, n in after.items()}
        types = [substitute_type(v.type, renamed) for v in carries]
        hints = [v.hint for v in carries]
        return self.structured(name, operands, types, attrs, [body], tuple(after.values()), hints)

    def map_(self, shape: Sequence[Dim], xs: Sequence[Value], body: Region) -> tuple[Value, ...]:
        """`body` for every index below `shape`; build it with `map_body`. Results have `shape` in
        front."""
        indexed = len(body.params) == len(xs) + len(shape) and bool(shape)
        types: list[Type] = []
        for v in body.yields:
            types.append(TensorType(v.tensor.dtype, (*shape, *v.tensor.shape)))
        attrs: dict[str, Attr] = {"shape": tuple(shape)}
        if indexed:
            attrs["indexed"] = True
        return self.structured("map", xs, types, attrs, [body])

    def map_body(
        self,
        shape: Sequence[Dim],
        xs: Sequence[Value],
        *,
        indexed: bool = False,
        hints: Sequence[str] = (),
    ) -> Builder:
        """A builder for the body of a `map`: index parameters first if asked, then one element of
        each operand."""
        types: list[Type] = [TensorType(I32)] * len(shape) if indexed else []
        for x in xs:
            types.append(TensorType(x.tensor.dtype, x.tensor.shape[len(shape) :]))
        return self.nested(types, hints)

    def call(
        self,
        callee: Signature,
        args: Sequence[Value],
        dims: Sequence[Dim],
        *,
        hints: Sequence[str] = (),
    ) -> tuple[Value, ...]:
        """`callee(args)` with its dims given in order; hidden dims of the results become fresh
        names."""
        bind = dict(zip(callee.dims, map(Dim.of, dims), strict=True))
        fresh = tuple(self.names.fresh(d) for d in callee.result_dims)
        bind |= {d: Dim.sym(n) for d, n in zip(callee.result_dims, fresh, strict=True)}
        types = [substitute_type(t, bind) for t in callee.results]
        attrs: dict[str, Attr] = {"fn": callee.name, "dims": tuple(map(Dim.of, dims))}
        return self.structured("call", args, types, attrs, (), fresh, hints)

    # -- functions

    def return_(self, *values: Value, dims: Sequence[Dim] = ()) -> Region:
        """The body of a function, ended by `return`."""
        attrs = freeze_attrs({"dims": tuple(dims)}) if dims else freeze_attrs({})
        return self.finish(Op("return", values, (), attrs, (), (), self.loc))

    def function(
        self,
        name: str,
        dims: tuple[str, ...],
        body: Region,
        *,
        result_types: tuple[Type, ...] | None = None,
        result_dims: tuple[str, ...] = (),
        attrs: Mapping[str, Attr] | None = None,
        loc: Loc = NOWHERE,
    ) -> Function:
        """The function whose outermost region this builder built (its parameters are the
        builder's). Result types with hidden dims must be given; `return_` gives the values of these
        dims."""
        types = tuple(v.type for v in body.yields) if result_types is None else result_types
        inner = Region((), body.ops)
        return Function(
            name, dims, body.params, types, inner, result_dims, freeze_attrs(attrs or {}), loc
        )


def adt_of(adts: Mapping[str, AdtDecl], t: Type) -> AdtDecl:
    """The declaration of an algebraic type."""
    if not isinstance(t, AdtType) or t.name not in adts:
        raise BuildError(f"{t} has no constructors", stage="build", op="match")
    return adts[t.name]


def field_types(
    adts: Mapping[str, AdtDecl], t: Type, constructor: str, dims: Sequence[Dim] = ()
) -> tuple[Type, ...]:
    """The types of a constructor's fields for a value of type `t`: the declaration's dims replaced
    by those of `t`, the constructor's hidden dims by `dims`."""
    decl = adt_of(adts, t)
    assert isinstance(t, AdtType)
    return decl.field_types(t, constructor, dims)


def _with_dims(r: Region, dims: Sequence[Dim]) -> Region:
    """The region with the values of hidden dims at its terminator."""
    end = replace(r.terminator, attrs=freeze_attrs({**r.terminator.attrs, "dims": tuple(dims)}))
    return Region(r.params, (*r.ops[:-1], end), r.dims)
