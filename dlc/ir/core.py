"""The intermediate representation: structured SSA, immutable, identity by object.

A `Module` holds algebraic types and functions. A `Function` has explicit integer dim parameters,
value parameters and one region. A `Region` is a straight list of operations whose last one is a
terminator (`yield`, or `return` at a function's outermost region); control flow is operations with
regions (`if match for loop map`). Nothing here is ever changed in place: a pass builds new
functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Union

import numpy as np

from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.types import AdtType, ListType, TensorType, Type, substitute_type

Attr = Union[
    bool, int, float, str, Dim, DType, TensorType, ListType, AdtType,
    "np.ndarray[Any, Any]", tuple["Attr", ...],
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loc:
    """A place in a source file: 1-based line and column, `file` as the user named it."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Loc("", 0, 0)


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """A value, defined once: by an operation, a region or a function. `hint` is its preferred
    name."""

    type: Type
    hint: str = ""

    @property
    def tensor(self) -> TensorType:
        """The type, where a tensor is known to be."""
        assert isinstance(self.type, TensorType), f"%{self.hint} is {self.type}"
        return self.type

    def suggest(self, hint: str) -> Value:
        """Proposes a name for printing, unless one is there. A name carries no meaning."""
        if not self.hint:
            object.__setattr__(self, "hint", hint)
        return self

    def __repr__(self) -> str:
        return f"%{self.hint or '?'}: {self.type}"


_EMPTY: Mapping[str, Attr] = MappingProxyType({})


def _no_attrs() -> Mapping[str, Attr]:
    return _EMPTY


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """`results = name(operands) {attrs} regions`. `dims` are the dim names that this operation
    defines: they may be used in its own result types and in everything that it dominates."""

    name: str
    operands: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    attrs: Mapping[str, Attr] = field(default_factory=_no_attrs)
    regions: tuple[Region, ...] = ()
    dims: tuple[str, ...] = ()
    loc: Loc = NOWHERE

    @property
    def result(self) -> Value:
        (r,) = self.results
        return r

    def attr_dim(self, key: str) -> Dim:
        """The attribute as a dim; a plain number counts as one."""
        v = self.attrs[key]
        assert isinstance(v, (Dim, int)), f"{self.name}.{key} is {v!r}"
        return Dim.of(v)

    def attr_int(self, key: str, default: int | None = None) -> int:
        v = self.attrs.get(key, default)
        assert isinstance(v, int), f"{self.name}.{key} is {v!r}"
        return v

    def attr_str(self, key: str, default: str | None = None) -> str:
        v = self.attrs.get(key, default)
        assert isinstance(v, str), f"{self.name}.{key} is {v!r}"
        return v

    def attr_flag(self, key: str) -> bool:
        return self.attrs.get(key, False) is True

    def attr_tuple(self, key: str) -> tuple[Attr, ...]:
        v = self.attrs.get(key, ())
        assert isinstance(v, tuple), f"{self.name}.{key} is {v!r}"
        return v

    def attr_dims(self, key: str = "dims") -> tuple[Dim, ...]:
        """A tuple of dims; plain numbers count as dims, a missing attribute as none."""
        out: list[Dim] = []
        for v in self.attr_tuple(key):
            assert isinstance(v, (Dim, int)), f"{self.name}.{key} holds {v!r}"
            out.append(Dim.of(v))
        return tuple(out)

    def attr_ints(self, key: str) -> tuple[int, ...]:
        out: list[int] = []
        for v in self.attr_tuple(key):
            assert isinstance(v, int), f"{self.name}.{key} holds {v!r}"
            out.append(v)
        return tuple(out)

    def attr_strs(self, key: str) -> tuple[str, ...]:
        out: list[str] = []
        for v in self.attr_tuple(key):
            assert isinstance(v, str), f"{self.name}.{key} holds {v!r}"
            out.append(v)
        return tuple(out)


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """Operations in order, the last a terminator. `dims` are dim names bound at entry (loops that
    carry values of hidden size)."""

    params: tuple[Value, ...]
    ops: tuple[Op, ...]
    dims: tuple[str, ...] = ()

    @property
    def terminator(self) -> Op:
        return self.ops[-1]

    @property
    def yields(self) -> tuple[Value, ...]:
        return self.ops[-1].operands


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Constructor:
    """One shape of an algebraic value. `dims` are hidden sizes that each value carries with it:
    field types may mention them besides the type's own dims; `variant` gives their values
    (attribute `dims`), and a `match` region defines them afresh (`region.dims`)."""

    name: str
    fields: tuple[Field, ...] = ()
    dims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdtDecl:
    """`type @name[dims] = constructors`. Field types mention the declared dims only."""

    name: str
    dims: tuple[str, ...]
    constructors: tuple[Constructor, ...]

    def constructor(self, name: str) -> Constructor:
        return next(c for c in self.constructors if c.name == name)

    def field_types(self, t: AdtType, name: str, dims: Sequence[Dim] = ()) -> tuple[Type, ...]:
        """The types of the constructor's fields in a value of type `t`: declared dims become those
        of `t`, the constructor's hidden dims become `dims`."""
        c = self.constructor(name)
        bind = dict(zip(self.dims, t.dims, strict=True))
        bind |= dict(zip(c.dims, dims, strict=True))
        return tuple(substitute_type(f.type, bind) for f in c.fields)

    def tag(self, name: str) -> int:
        return next(i for i, c in enumerate(self.constructors) if c.name == name)


@dataclass(frozen=True)
class Signature:
    """What a caller has to know of a function: names of its dims, types of parameters and
    results."""

    name: str
    dims: tuple[str, ...]
    params: tuple[Type, ...]
    results: tuple[Type, ...]
    result_dims: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Function:
    """`fn @name[dims](params) -> result_types`. `result_dims` are dim names that the result types
    may mention besides `dims`; `return` binds them (attribute `dims`), and every call defines them
    afresh."""

    name: str
    dims: tuple[str, ...]
    params: tuple[Value, ...]
    result_types: tuple[Type, ...]
    body: Region
    result_dims: tuple[str, ...] = ()
    attrs: Mapping[str, Attr] = field(default_factory=_no_attrs)
    loc: Loc = NOWHERE

    @property
    def signature(self) -> Signature:
        params = tuple(p.type for p in self.params)
        return Signature(self.name, self.dims, params, self.result_types, self.result_dims)

    def with_body(self, body: Region) -> Function:
        return replace(self, body=body)


@dataclass(frozen=True, eq=False)
class Module:
    """Algebraic types and functions, both in a stable order."""

    types: Mapping[str, AdtDecl] = field(default_factory=lambda: MappingProxyType({}))
    functions: Mapping[str, Function] = field(default_factory=lambda: MappingProxyType({}))

    @staticmethod
    def of(types: Mapping[str, AdtDecl], functions: Mapping[str, Function]) -> Module:
        return Module(MappingProxyType(dict(types)), MappingProxyType(dict(functions)))

    def map_functions(self, f: Callable[[Function], Function]) -> Module:
        """The module with every function replaced by `f` of it (names must stay)."""
        return Module.of(self.types, {n: f(fn) for n, fn in self.functions.items()})


def walk(region: Region) -> Iterator[Op]:
    """Every operation below the region, outer before inner, in program order."""
    for op in region.ops:
        yield op
        for r in op.regions:
            yield from walk(r)


def freeze_attrs(attrs: Mapping[str, Attr]) -> Mapping[str, Attr]:
    """The attributes as a read-only mapping with sorted keys, so that printing is deterministic."""
    return MappingProxyType({k: attrs[k] for k in sorted(attrs)}) if attrs else _EMPTY
