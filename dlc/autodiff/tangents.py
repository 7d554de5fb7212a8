"""Tangent types, and the zeros and sums of their values.

    primal                    tangent
    float tensor              the same type
    int or bool tensor        none
    List[cols]                List of the columns' tangents, of the same length; none if no column
    has one @X without a float        none
    @X with floats            @d.X = d.Zero | C(tangents of the fields) ...
    @d.X                      itself

(`dlc.ir.tangent` says it for types; here are the values.)

Sums and zeros of lists and algebraic values are generated functions, made on demand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dlc.ir.core import AdtDecl, Constructor, Function, Signature, Value
from dlc.ir.tangent import ZERO, declare_tangent, tangent_type
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim
from dlc.typesys.types import SCALAR_I32, AdtType, ListType, TensorType, Type, substitute_type
from dlc.typesys.types import type_dims as dims_of


class Tangents:
    """Tangent types of one module under differentiation; collects the declarations and functions it
    makes."""

    def __init__(self, types: Mapping[str, AdtDecl]) -> None:
        self.types: dict[str, AdtDecl] = dict(types)
        self.functions: dict[str, Function] = {}
        self._signatures: dict[tuple[str, Type], Signature] = {}
        self._known: dict[Type, Type | None] = {}

    # -- types

    def of(self, t: Type) -> Type | None:
        """The tangent type, declared where it is algebraic, or None where there is no
        derivative."""
        if isinstance(t, TensorType):
            return t if t.dtype.is_float else None
        if t not in self._known:
            declare_tangent(self.types, t)
            self._known[t] = tangent_type(self.types, t)
        return self._known[t]

    def column_map(self, columns: tuple[Type, ...]) -> tuple[int | None, ...]:
        """For each column (or field) its position among those that have a tangent."""
        out: list[int | None] = []
        n = 0
        for c in columns:
            has = self.of(c) is not None
            out.append(n if has else None)
            n += has
        return tuple(out)

    # -- zeros

    def zero(self, b: Builder, t: Type, primal: Value | None) -> Value:
        """The zero tangent of a value of type `t`. Lists need the value itself, for its length."""
        if isinstance(t, TensorType):
            return b.full(0.0, t)
        tangent = self.of(t)
        assert tangent is not None, f"{t} has no tangent"
        if isinstance(tangent, AdtType):
            return b.emit_typed("variant", tangent, constructor=ZERO)
        assert isinstance(t, ListType) and primal is not None
        if all(isinstance(c, TensorType) for c in t.columns) or not _has_list(t):
            zeros = [self.zero(b, c, None) for c in t.columns if self.of(c) is not None]
            return b.emit("list_fill", b.emit("list_len", primal), *zeros)
        return self._call(b, "zero", t, (primal,))

    def add(self, b: Builder, x: Value, y: Value) -> Value:
        """The sum of two tangents of one type."""
        if isinstance(x.type, TensorType):
            return b.emit("add", x, y)
        return self._call(b, "add", x.type, (x, y))

    def _call(self, b: Builder, kind: str, t: Type, args: tuple[Value, ...]) -> Value:
        generic, dims = _generalise(t)
        key = (kind, generic)
        if key not in self._signatures:
            self._generate(kind, generic, len(dims))
        (r,) = b.call(self._signatures[key], args, dims)
        return r

    def _generate(self, kind: str, t: Type, n: int) -> None:
        names = tuple(f"d{i}" for i in range(n))
        name = f"{kind}.{re.sub(r'[^A-Za-z0-9]+', '_', str(t)).strip('_')}"
        while name in self.functions:
            name += "_"
        result = self.of(t)
        assert result is not None
        params = (t,) if kind == "zero" else (t, t)
        sig = Signature(name, names, params, (result,))
        self._signatures[kind, t] = sig
        b = Builder(self.types, DimNames(names)).nested(params, ("x", "y")[: len(params)])
        if kind == "zero":
            assert isinstance(t, ListType)
            r = self._zero_list(b, t, b.params[0])
        elif isinstance(t, ListType):
            r = self._add_lists(b, t, *b.params)
        else:
            assert isinstance(t, AdtType)
            r = self._add_variants(b, t, *b.params)
        self.functions[name] = b.function(name, names, b.return_(r))

    def _zero_list(self, b: Builder, t: ListType, x: Value) -> Value:
        tangent = self.of(t)
        assert isinstance(tangent, ListType)
        empty = b.emit_typed("list_new", tangent)
        body = b.nested((SCALAR_I32, tangent), ("i", "z"))
        i, z = body.params
        cols = body.emit_many("list_get", x, i, in_bounds=True)
        zeros = [self.zero(body, c.type, c) for c in cols if self.of(c.type) is not None]
        out = body.emit("list_push", z, *zeros)
        n = b.emit("list_len", x)
        (r,) = b.for_(b.dim(0), n, (empty,), body.yield_(out))
        return r

    def _add_lists(self, b: Builder, t: ListType, x: Value, y: Value) -> Value:
        body = b.nested((SCALAR_I32, t), ("i", "s"))
        i, s = body.params
        xs = body.emit_many("list_get", s, i, in_bounds=True)
        ys = body.emit_many("list_get", y, i, in_bounds=True)
        sums = [self.add(body, p, q) for p, q in zip(xs, ys, strict=True)]
        out = body.emit("list_set", s, i, *sums, in_bounds=True)
        (r,) = b.for_(b.dim(0), b.emit("list_len", y), (x,), body.yield_(out))
        return r

    def _add_variants(self, b: Builder, t: AdtType, x: Value, y: Value) -> Value:
        """`Z + y = y`, `x + Z = x`, same constructor: field by field. Others cannot meet."""
        decl = self.types[t.name]
        names = [c.name for c in decl.constructors]
        regions = [self._add_case(b, t, c, x, y) for c in decl.constructors]
        (r,) = b.match_(x, names, regions)
        return r

    def _add_case(self, b: Builder, t: AdtType, c: Constructor, x: Value, y: Value):
        decl = self.types[t.name]
        bind = dict(zip(decl.dims, t.dims, strict=True))
        if c.name == ZERO:
            return b.nested().yield_(y)
        inner, fields = open_case(b, c, bind)
        if not fields:
            return inner.yield_(x)
        keep, other = inner.nested(), None
        other, theirs = open_case(inner, c, bind)
        # Both come from one primal value, so their hidden sizes are equal numbers.
        back = [other.emit_typed("retype", f.type, g) for f, g in zip(fields, theirs, strict=True)]
        sums = [self.add(other, f, g) for f, g in zip(fields, back, strict=True)]
        dims = tuple(Dim.sym(d) for d in inner.dims)
        out = other.emit_typed("variant", t, *sums, constructor=c.name, **hidden(dims))
        (r,) = inner.match_(y, (c.name, "_"), (other.yield_(out), keep.yield_(x)))
        return inner.yield_(r)


def hidden(dims: tuple[Dim, ...]) -> dict[str, tuple[Dim, ...]]:
    """The attribute that gives a constructor's hidden sizes, absent where there are none."""
    return {"dims": dims} if dims else {}


def open_case(
    b: Builder, c: Constructor, bind: Mapping[str, Dim]
) -> tuple[Builder, tuple[Value, ...]]:
    """A region for a match case on `c`: its builder (hidden sizes named afresh) and the payload."""
    fresh = tuple(b.names.fresh(d) for d in c.dims)
    full = {**bind, **{d: Dim.sym(n) for d, n in zip(c.dims, fresh, strict=True)}}
    types = [substitute_type(f.type, full) for f in c.fields]
    inner = b.nested(types, [f.name for f in c.fields], dims=fresh)
    return inner, inner.params


def _has_list(t: ListType) -> bool:
    return any(isinstance(c, ListType) for c in t.columns)


def _generalise(t: Type) -> tuple[Type, tuple[Dim, ...]]:
    """The type with every distinct dim replaced by `d0`, `d1`, …, and what these stand for."""
    found = list(dict.fromkeys(d for d in dims_of(t) if not d.is_constant))
    index = {d: Dim.sym(f"d{i}") for i, d in enumerate(found)}
    return _replace(t, index), tuple(found)


def _replace(t: Type, index: Mapping[Dim, Dim]) -> Type:
    if isinstance(t, TensorType):
        return TensorType(t.dtype, tuple(index.get(d, d) for d in t.shape))
    if isinstance(t, ListType):
        return ListType(tuple(_replace(c, index) for c in t.columns))
    return AdtType(t.name, tuple(index.get(d, d) for d in t.dims))
