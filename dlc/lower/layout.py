"""How a value of the surface language lies in the IR: a fixed sequence of leaves.

A leaf is a tensor, a list or an algebraic value. A tuple is its items in order, a record its
fields, an `Array` its record's leaves stacked along a new first axis, a `Graph` its `src` and
`dst`, a `Segs` its `starts`, a `Sparse` its `indices` and `values`, a `Key` an i64, `Rows` a list
of (row, vector).

The number of active units of a `Sparse` is in no surface type: it is a *hidden dim*. Whoever asks
for the leaves says what hidden dims are called (`Hidden`). The elements of a list have one type, so
elements with hidden dims are packed into an algebraic value whose constructor carries them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dlc.check.decls import AdtDecl as SurfaceAdt
from dlc.check.decls import ModelDecl
from dlc.diag import InternalError
from dlc.ir.core import AdtDecl, Constructor, Field
from dlc.ir.hidden import replace_dims
from dlc.ir.tangent import declare_tangent, has_tangent, tangent_type
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32, I64, DType
from dlc.typesys.types import AdtType, ListType, TensorType, Type, type_dims

Hidden: TypeAlias = Callable[[str], Dim]
"""Gives the dim for the number of active units of the leaf at a path."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One IR value of a surface value, and where it is: field names and tuple positions."""

    path: tuple[str, ...]
    type: Type

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def under(self, prefix: str) -> Leaf:
        return Leaf((prefix, *self.path), self.type)


def no_hidden(path: str) -> Dim:
    """For types that have no hidden dims."""
    raise InternalError(f"a hidden dim at `{path}`", stage="lower")


def absent(path: str) -> Dim:
    """Hidden dims of a value that isn't there: nothing is active."""
    return Dim.const(0)


class Layout:
    """The leaves of every type of one program. Algebraic types are declared in `types` as they are
    met."""

    def __init__(self, models: Mapping[str, ModelDecl], adts: Mapping[str, SurfaceAdt]) -> None:
        self._models = models
        self._adts = adts
        self.types: dict[str, AdtDecl] = {}
        self._ir_names: dict[str, str] = {}
        self._counts: dict[surface.Type, int] = {}
        self._fields: dict[surface.Model, tuple[tuple[str, surface.Type], ...]] = {}

    # -- leaves

    def leaves(self, t: surface.Type, hidden: Hidden = no_hidden) -> tuple[Leaf, ...]:
        """The leaves of a value of the type, in order."""
        return self._leaves(t, hidden, "")

    def leaf_types(self, t: surface.Type, hidden: Hidden = no_hidden) -> tuple[Type, ...]:
        return tuple(leaf.type for leaf in self.leaves(t, hidden))

    def count(self, t: surface.Type) -> int:
        """The number of leaves."""
        if t not in self._counts:
            self._counts[t] = len(self.leaves(t, absent))
        return self._counts[t]

    def _leaves(self, t: surface.Type, hidden: Hidden, at: str) -> tuple[Leaf, ...]:
        match t:
            case surface.Tensor():
                return (Leaf((), TensorType(t.concrete, t.dims)),)
            case surface.Tuple():
                return self._parts(((str(i), x) for i, x in enumerate(t.items)), hidden, at)
            case surface.Model():
                return self._parts(self.fields(t), hidden, at)
            case surface.Array():
                inner = self._leaves(t.element, hidden, at)
                return tuple(Leaf(x.path, _stacked(x.type, t.count)) for x in inner)
            case surface.Sparse():
                return self._sparse(t, hidden(at))
            case surface.Tangent():
                return self._tangent(t, hidden, at)
            case surface.Graph():
                ends = TensorType(I32, (t.arcs,))
                return (Leaf(("src",), ends), Leaf(("dst",), ends))
            case surface.Segs():
                return (Leaf(("starts",), TensorType(I32, (t.rows + 1,))),)
            case surface.Unit():
                return ()
            case _:
                return (Leaf((), self._whole(t)),)

    def _whole(self, t: surface.Type) -> Type:
        """The type of a value that is one leaf."""
        match t:
            case surface.List():
                return ListType(self.columns(t.element))
            case surface.Option():
                return self.option(t)
            case surface.Adt():
                return AdtType(self.declare(t.name), t.dims)
            case surface.Rows():
                assert isinstance(t.dtype, DType)
                return ListType((TensorType(I32), TensorType(t.dtype, (t.width,))))
            case surface.Key():
                return TensorType(I64)
            case surface.Keys():
                return TensorType(I64, (t.count,))
            case _:
                raise InternalError(f"a value of type {t}", stage="lower")

    def _parts(
        self, parts: Iterable[tuple[str, surface.Type]], hidden: Hidden, at: str
    ) -> tuple[Leaf, ...]:
        out: list[Leaf] = []
        for name, t in parts:
            out.extend(x.under(name) for x in self._leaves(t, hidden, _join(at, name)))
        return tuple(out)

    def _sparse(self, t: surface.Sparse, k: Dim) -> tuple[Leaf, ...]:
        assert isinstance(t.dtype, DType)
        return (
            Leaf(("indices",), TensorType(I32, (k,))),
            Leaf(("values",), TensorType(t.dtype, (k,))),
        )

    def _tangent(self, t: surface.Tangent, hidden: Hidden, at: str) -> tuple[Leaf, ...]:
        out: list[Leaf] = []
        for leaf in self._leaves(t.of, hidden, at):
            made = self._tangent_leaf(leaf, leaf.name in t.rows)
            if made is not None:
                out.append(Leaf(leaf.path, made))
        return tuple(out)

    def _tangent_leaf(self, leaf: Leaf, rows: bool) -> Type | None:
        declare_tangent(self.types, leaf.type)
        made = tangent_type(self.types, leaf.type)
        if rows:
            assert isinstance(made, TensorType) and made.rank == 2, f"{leaf.name} stored as rows"
            return ListType((TensorType(I32), TensorType(made.dtype, made.shape[1:])))
        return made

    # -- parts

    def fields(self, t: surface.Model) -> tuple[tuple[str, surface.Type], ...]:
        """The fields of a record at its dims."""
        if t not in self._fields:
            decl = self._models[t.name]
            bind = dict(zip((d.name for d in decl.dims), t.dims, strict=True))
            made = ((f.name, surface.substitute_dims(f.type, bind)) for f in decl.fields)
            self._fields[t] = tuple(made)
        return self._fields[t]

    def field(self, t: surface.Type, name: str) -> tuple[slice, surface.Type]:
        """Which leaves of a record (or of its tangent) are its field's; the field's type."""
        if isinstance(t, surface.Tangent):
            return self._tangent_field(t, name)
        assert isinstance(t, surface.Model), f"a field of {t}"
        at = 0
        for field, ft in self.fields(t):
            n = self.count(ft)
            if field == name:
                return slice(at, at + n), ft
            at += n
        raise InternalError(f"{t} has no field {name}", stage="lower")

    def _tangent_field(self, t: surface.Tangent, name: str) -> tuple[slice, surface.Type]:
        hits = [i for i, x in enumerate(self.leaves(t, absent)) if x.path[:1] == (name,)]
        _, ft = self.field(t.of, name)
        inner = tuple(p[len(name) + 1 :] for p in t.rows if p.split(".")[0] == name)
        at = hits[0] if hits else 0
        return slice(at, at + len(hits)), surface.tangent(ft, inner)

    def items(self, t: surface.Tuple) -> tuple[slice, ...]:
        """Which leaves of a tuple are which item's."""
        out: list[slice] = []
        at = 0
        for x in t.items:
            n = self.count(x)
            out.append(slice(at, at + n))
            at += n
        return tuple(out)

    def model_decl(self, qualified: str) -> ModelDecl:
        return self._models[qualified]

    def adt_decl(self, qualified: str) -> SurfaceAdt:
        return self._adts[qualified]

    # -- lists

    def columns(self, element: surface.Type) -> tuple[Type, ...]:
        """The columns of a list of these elements."""
        if self.has_hidden(element):
            return (self.packed(element),)
        return self.leaf_types(element)

    def has_hidden(self, t: surface.Type) -> bool:
        """Whether the leaves of the type have hidden dims."""
        met: list[str] = []

        def note(path: str) -> Dim:
            met.append(path)
            return Dim.const(0)

        self.leaves(t, note)
        return bool(met)

    def packed(self, t: surface.Type) -> AdtType:
        """The algebraic type of one constructor that holds the leaves and their hidden dims."""
        return self._made("Packed", "Packed", t, ())

    # -- algebraic types

    def option(self, t: surface.Option) -> AdtType:
        """`None | Some(value)` for this element type."""
        return self._made("Option", "Some", t.element, (Constructor("None"),))

    def adt(self, t: surface.Adt | surface.Option) -> AdtType:
        """The IR type of an algebraic value."""
        if isinstance(t, surface.Option):
            return self.option(t)
        return AdtType(self.declare(t.name), t.dims)

    def _made(
        self, family: str, constructor: str, t: surface.Type, others: tuple[Constructor, ...]
    ) -> AdtType:
        hidden: list[str] = []

        def fresh(path: str) -> Dim:
            hidden.append(f"k{len(hidden)}")
            return Dim.sym(hidden[-1])

        leaves = self.leaves(t, fresh)
        name = f"{family}.{'.'.join(_mangle(x.type) for x in leaves)}"
        dims: list[Dim] = []
        fields: list[Field] = []
        for x in leaves:
            general, actual = _generalise(x.type, set(hidden), len(dims))
            dims.extend(actual)
            fields.append(Field(x.name or "value", general))
        if name not in self.types:
            made = Constructor(constructor, tuple(fields), tuple(hidden))
            params = tuple(f"d{i}" for i in range(len(dims)))
            self.types[name] = AdtDecl(name, params, (*others, made))
        return AdtType(name, tuple(dims))

    def declare(self, qualified: str) -> str:
        """The IR name of a declared algebraic type, which is declared on first use."""
        if qualified in self._ir_names:
            return self._ir_names[qualified]
        name = base = surface.short(qualified)
        n = 1
        while name in self.types:
            n += 1
            name = f"{base}.{n}"
        self._ir_names[qualified] = name
        decl = self._adts[qualified]
        dims = tuple(d.name for d in decl.dims)
        # Its own name must be known while its fields are laid out: types are recursive.
        self.types[name] = AdtDecl(name, dims, ())
        made = [
            self._constructor(c.name, tuple((f.name, f.type) for f in c.fields))
            for c in decl.constructors
        ]
        self.types[name] = AdtDecl(name, dims, tuple(made))
        return name

    def _constructor(self, name: str, fields: tuple[tuple[str, surface.Type], ...]) -> Constructor:
        hidden: list[str] = []

        def fresh(path: str) -> Dim:
            hidden.append(f"{path}.k" if path else "k")
            return Dim.sym(hidden[-1])

        leaves = self._parts(fields, fresh, "")
        return Constructor(name, tuple(Field(x.name, x.type) for x in leaves), tuple(hidden))

    # -- floats

    def differentiable(self, t: surface.Type) -> tuple[int, ...]:
        """The numbers of the leaves that have a tangent."""
        leaves = self.leaves(t, absent)
        return tuple(i for i, x in enumerate(leaves) if has_tangent(self.types, x.type))


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _stacked(t: Type, count: Dim) -> TensorType:
    assert isinstance(t, TensorType), f"an Array of records that hold {t}"
    return TensorType(t.dtype, (count, *t.shape))


def _mangle(t: Type) -> str:
    if isinstance(t, TensorType):
        return f"{t.dtype}r{t.rank}" if t.rank else str(t.dtype)
    if isinstance(t, ListType):
        return f"List{len(t.columns)}.{'.'.join(map(_mangle, t.columns))}"
    return t.name


def _generalise(t: Type, hidden: set[str], first: int) -> tuple[Type, tuple[Dim, ...]]:
    """The type with each dim that is not hidden replaced by `d{first}`, `d{first + 1}`, …, and what
    they stand for."""
    actual: list[Dim] = []

    def name(d: Dim) -> Dim:
        if hidden.intersection(d.symbols()):
            return d
        actual.append(d)
        return Dim.sym(f"d{first + len(actual) - 1}")

    made = replace_dims(t, iter([name(d) for d in type_dims(t)]))
    return made, tuple(actual)
