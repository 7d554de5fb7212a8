"""Inputs and outputs of a model: their types, and the dims that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

from dlc.importers.elements import Element, element_of
from dlc.importers.emission import Emission, identifier
from dlc.importers.messages import (
    Graph,
    OptionalInfo,
    SequenceInfo,
    TensorInfo,
    TypeInfo,
    ValueInfo,
)
from dlc.importers.refusal import refuse
from dlc.importers.tensor import OMITTED, Item, Nothing, Tensor
from dlc.importers.tensor import Sequence as Items
from dlc.ir.core import Value
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType


@dataclass(frozen=True, slots=True)
class Port:
    """A tensor that crosses the border. `name` is ONNX's, `identifier` that of the IR function's
    parameter; `element` says what ONNX's users see, `type` what the program takes."""

    name: str
    identifier: str
    element: Element
    type: TensorType


@dataclass(frozen=True, slots=True)
class Absent:
    """An optional that has no element."""


Structure: TypeAlias = Union[Port, Absent, "tuple[Structure, ...]"]
"""A port, or (for a sequence) the structure of each item."""

Bind: TypeAlias = Mapping[str, "int | str"]
"""A dim's name in the file to its number, or to another dim that it is equal to."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller says of an input beyond the file: the shape of a tensor whose rank is open, the
    items of a sequence, that an optional is not there."""

    shape: tuple[int | None, ...] | None = None
    items: tuple[Given, ...] | None = None
    absent: bool = False
    element: Element | None = None


class Inputs:
    """Makes the parameters for the inputs of the main graph."""

    def __init__(self, e: Emission, bind: Bind, given: Mapping[str, Given]) -> None:
        self.e, self.given = e, given
        self.bind = dict(bind)
        self.params: list[Value] = []
        self.dims: dict[str, None] = {}
        self._by_name: dict[str, Dim] = {}
        self._taken: set[str] = set()
        self._bindable: dict[str, None] = {}

    def make(self, graph: Graph) -> tuple[list[Item], tuple[Structure, ...]]:
        """An item and a structure for every input that is no initialiser."""
        stored = {t.name for t in graph.initialisers} | {s.values.name for s in graph.sparse}
        items: list[Item] = []
        structures: list[Structure] = []
        for v in graph.inputs:
            if v.name in stored:
                continue
            try:
                item, structure = self._item(v.name, v.type, self.given.get(v.name, Given()))
            except Exception as e:
                from dlc.importers.refusal import Refusal

                if isinstance(e, Refusal):
                    raise e.at(f"the input `{v.name}`") from None
                raise
            items.append(item)
            structures.append(structure)
        unknown = [n for n in self.bind if n not in self._bindable]
        if unknown:
            known = ", ".join(self._bindable) or "none"
            raise refuse("E0712", f"there is no dim `{unknown[0]}` to bind").with_help(
                f"the inputs' dims: {known}"
            )
        return items, tuple(structures)

    def _item(self, name: str, t: TypeInfo, given: Given) -> tuple[Item, Structure]:
        if isinstance(t, TensorInfo):
            return self._tensor(name, t, given)
        if isinstance(t, OptionalInfo):
            if given.absent:
                return OMITTED, Absent()
            if given.items is None and given.shape is None:
                raise refuse("E0709", "whether an optional input is there must be told").with_help(
                    "import the model for one of the two cases"
                )
            return self._item(name, t.of, given)
        if isinstance(t, SequenceInfo):
            if given.items is None:
                raise refuse("E0709", "how many items an input sequence has must be told")
            # Names of dims mean nothing beyond one item: items of a sequence differ in size.
            parts = [self._item(f"{name}_{i}", _nameless(t.of), g)
                     for i, g in enumerate(given.items)]  # fmt: skip
            return Items(tuple(p[0] for p in parts)), tuple(p[1] for p in parts)
        raise refuse("E0710", f"a value of type {t.kind} is not supported")

    def _tensor(self, name: str, t: TensorInfo, given: Given) -> tuple[Item, Structure]:
        element = element_of(t.element)
        if given.element is not None and given.element is not element:
            raise refuse("E0712", f"it is {element}, not {given.element}")
        shape: Sequence[int | str | None] | None = t.shape
        if shape is None:
            shape = given.shape
        if shape is None:
            raise refuse("E0709", "its rank is not given").with_help(
                "export the model with shapes, or say the shape of this input"
            )
        if len(shape) > self.e.budget.limits.rank:
            raise refuse("E0702", f"it has {len(shape)} axes")
        dims = tuple(self._dim(name, a, d) for a, d in enumerate(shape))
        ident, n = identifier(name), 1
        while ident in self._taken:
            n += 1
            ident = f"{identifier(name)}_{n}"
        self._taken.add(ident)
        v = Value(TensorType(element.storage, dims), ident)
        self.params.append(v)
        return self.e.tensor(v, element), Port(name, ident, element, v.tensor)

    def _dim(self, name: str, axis: int, d: int | str | None) -> Dim:
        """A number as it is. A name is a dim of the function; so is each nothing, and what some
        exporters write for "any" (0, -1, `?`)."""
        if isinstance(d, int) and d > 0:
            if d >= 1 << 31:
                raise refuse("E0702", f"axis {axis} has the size {d}; below 2**31")
            return Dim.const(d)
        if isinstance(d, str) and d.strip("?* "):
            return self._named(d)
        base = identifier(f"{name}_{axis}")
        self._bindable[base] = None
        if base in self.bind:
            return self._named(base)
        fresh = self._fresh(base)
        if d != 0:
            self.e.reason.positive[fresh] = None
        return Dim.sym(fresh)

    def _named(self, text: str, hops: int = 0) -> Dim:
        self._bindable[text] = None
        bound = self.bind.get(text)
        if bound is None:
            # On a command line, and in Python, odd characters are better left out.
            self._bindable[identifier(text)] = None
            bound = self.bind.get(identifier(text))
        if isinstance(bound, int):
            if not 0 <= bound < 1 << 31:
                raise refuse("E0712", f"the dim `{text}` cannot be {bound}")
            return Dim.const(bound)
        if isinstance(bound, str):
            if hops > len(self.bind):
                raise refuse("E0712", f"the dim `{text}` is bound to itself")
            return self._named(bound, hops + 1)
        if text not in self._by_name:
            fresh = self._fresh(identifier(text))
            self.e.reason.positive[fresh] = None
            self._by_name[text] = Dim.sym(fresh)
        return self._by_name[text]

    def _fresh(self, base: str) -> str:
        name = self.e.names.fresh(base)
        self.dims[name] = None
        return name


def _nameless(t: TypeInfo) -> TypeInfo:
    """The type without names of dims."""
    if isinstance(t, TensorInfo) and t.shape is not None:
        return TensorInfo(t.element, tuple(None if isinstance(d, str) else d for d in t.shape))
    return t


class Outputs:
    """Collects the values that the function returns."""

    def __init__(self, e: Emission) -> None:
        self.e = e
        self.values: list[Value] = []

    def structure(self, name: str, x: Item) -> Structure:
        """What the item is at the border; its tensors become results."""
        if isinstance(x, Nothing):
            return Absent()
        if isinstance(x, Items):
            return tuple(self.structure(f"{name}_{i}", item) for i, item in enumerate(x.items))
        v = self.e.value(x)
        self.values.append(v)
        return Port(name, identifier(name), x.element, v.tensor)


def conflicts(info: ValueInfo, x: Item) -> list[str]:
    """Where the file declares an output otherwise than it is computed."""
    t = info.type
    if not isinstance(t, TensorInfo) or not isinstance(x, Tensor):
        return []
    out: list[str] = []
    if t.element and t.element != x.element.code:
        out.append(f"it is declared as {element_of(t.element)}, computed as {x.element}")
    if t.shape is not None and len(t.shape) != x.rank:
        out.append(f"it is declared with {len(t.shape)} axes, computed with {x.rank}")
    for axis, (want, d) in enumerate(zip(t.shape or (), x.shape, strict=False)):
        if isinstance(want, int) and want > 0 and d.is_constant and d.constant != want:
            out.append(f"axis {axis} is declared as {want}, computed as {d}")
    return out
