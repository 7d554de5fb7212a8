"""What crosses the border of a compiled program, as data: entries, parameter sets, types.

The driver, headers, manifests and bindings read this and nothing else of the compiler. Everything
is frozen and goes through JSON unchanged (`dlc.typesys.interface_json`).

A *leaf* is one IR value of a surface value; leaves of parameters are numbered as the IR function's
parameters, leaves of results as its results. A dim is bound once, by its `source`; every other
mention of it is a `Check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.types import Type


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a source, line and column from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class LeafInfo:
    """One IR value: its path in the surface value (fields, tuple positions), its type, its number.

    `back` is the number of the result that is its new value, for leaves of `mut` parameters."""

    path: tuple[str, ...]
    type: Type
    number: int
    back: int | None = None


# -- where a dim comes from


@dataclass(frozen=True, slots=True)
class Axis:
    """`size` is the length of an axis of a tensor leaf; it is linear in the dim, whose other names
    are bound earlier."""

    leaf: int
    axis: int
    size: Dim


@dataclass(frozen=True, slots=True)
class ScalarValue:
    """The value of a whole-number parameter; it must lie in 0 <= n < 2**31."""

    leaf: int


@dataclass(frozen=True, slots=True)
class LastElement:
    """The last element of a tensor leaf: the items of a `Segs`."""

    leaf: int


@dataclass(frozen=True, slots=True)
class Told:
    """A number that comes with a structure: `nodes` of a Graph, `size` of a Sparse, `count` of
    Rows; or a dim of a model that no tensor shows (`dim`)."""

    parameter: str
    what: str


@dataclass(frozen=True, slots=True)
class Payload:
    """Dim number `argument` of an algebraic leaf, or of column `column` of a list leaf: shown by
    the shapes of the tensors in its payload."""

    leaf: int
    argument: int
    column: int | None = None


@dataclass(frozen=True, slots=True)
class ElementAxis:
    """The length of an axis of a tensor column of a list leaf; all elements must agree. An empty
    list does not show it: then it is 0."""

    leaf: int
    column: int
    axis: int
    size: Dim


@dataclass(frozen=True, slots=True)
class Fixed:
    """A number that was bound when compiling."""

    value: int


Source: TypeAlias = (
    Axis | ScalarValue | LastElement | Told | Payload | ElementAxis | Fixed
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DimInfo:
    """A dim parameter of an entry, in the order of the IR function's dims (fixed ones are no
    parameters any more)."""

    name: str
    source: Source
    place: Place


@dataclass(frozen=True, slots=True)
class Check:
    """A mention that must equal `size` once all dims are bound: status SHAPE otherwise, with the
    parameter, its axis, got, want and the place."""

    parameter: str
    at: Source
    size: Dim
    place: Place


# -- entries


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """A parameter of an entry. `parameter_set` is the artefact's set of that name if it is a model;
    `dims` is true if the dim of the same name has its value."""

    name: str
    type: surface.Type
    mut: bool
    is_dim: bool
    leaves: tuple[LeafInfo, ...]
    parameter_set: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """An exported function. `function` is its name in the module. `results` are the leaves of its
    result (the leaves of `mut` parameters that come back are with the parameters); `result_dims`
    names sizes that only the run decides, in the order of the IR function's."""

    name: str
    function: str
    parameters: tuple[ParameterInfo, ...]
    result: surface.Type
    results: tuple[LeafInfo, ...]
    dims: tuple[DimInfo, ...]
    checks: tuple[Check, ...]
    result_dims: tuple[str, ...]
    place: Place

    def parameter(self, name: str) -> ParameterInfo:
        return next(p for p in self.parameters if p.name == name)


@dataclass(frozen=True, slots=True)
class TestInfo:
    """A `test` item: a function without parameters and results that ends with a status if the test
    fails."""

    __test__ = False
    name: str
    function: str
    place: Place


# -- parameter sets


@dataclass(frozen=True, slots=True)
class Initialiser:
    """How a leaf begins: `normal(0.1)`. `FROM_FILE` stands for numbers of an imported model."""

    name: str
    arguments: tuple[float, ...]


FROM_FILE = "file"
"""The initialiser of weights whose numbers an imported model holds: an initialising function fills
them with NaNs, and who calls it puts the numbers there."""


@dataclass(frozen=True, slots=True)
class WeightInfo:
    """A leaf of a parameter set. `arrays` are the positions in the path after which an index of an
    Array stands: `blocks.k` with `arrays` (1,) is stored stacked, and in files also as
    `blocks.0.k`, `blocks.1.k`, …; the leaf's leading axes count them."""

    path: tuple[str, ...]
    dtype: DType
    shape: tuple[Dim, ...]
    arrays: tuple[int, ...]
    initialiser: Initialiser | None
    place: Place

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The weights of one exported parameter name. `dims` are the names of its dims as every entry
    has them (`m.H`); `defaults` gives their numbers where the model has some, `fixed` the numbers
    of those that were bound when compiling; `init` is the IR function (key) -> leaves with the dims
    that are not fixed, None if some leaf has no initialiser."""

    name: str
    type: surface.Model
    dims: tuple[str, ...]
    defaults: tuple[tuple[str, int], ...]
    weights: tuple[WeightInfo, ...]
    init: str | None
    fixed: tuple[tuple[str, int], ...] = ()


# -- algebraic types


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A field of a constructor, and which of the IR constructor's fields are its leaves."""

    name: str
    type: surface.Type
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class ConstructorInfo:
    name: str
    fields: tuple[FieldInfo, ...]


@dataclass(frozen=True, slots=True)
class AdtInfo:
    """An algebraic type: `name` as users write it, `type` as the IR does; tags count constructors
    in order."""

    name: str
    type: str
    dims: tuple[str, ...]
    constructors: tuple[ConstructorInfo, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class RecordInfo:
    """The fields of a model type, in order."""

    name: str
    dims: tuple[str, ...]
    fields: tuple[tuple[str, surface.Type], ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """The border of a program. `name` is the main module's."""

    name: str
    entries: tuple[EntryInfo, ...]
    parameter_sets: tuple[ParameterSet, ...]
    types: tuple[AdtInfo, ...]
    records: tuple[RecordInfo, ...]
    tests: tuple[TestInfo, ...]

    def entry(self, name: str) -> EntryInfo | None:
        return next((e for e in self.entries if e.name == name), None)

    def parameter_set(self, name: str) -> ParameterSet | None:
        return next((s for s in self.parameter_sets if s.name == name), None)
