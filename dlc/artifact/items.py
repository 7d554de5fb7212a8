"""The parts of a parameter or result that cross the border as one value each.

A tensor or scalar is an item; so is a graph, a segmentation, a sparse vector, a list, an option or
an algebraic value. A tuple is the items of its parts; a record (a model, a tangent) an item for
each leaf. Headers, native code and Python agree because all three ask here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dlc.diag import InternalError
from dlc.typesys import surface
from dlc.typesys.interface import EntryInfo, LeafInfo, ParameterInfo
from dlc.typesys.types import TensorType, Type

Kind = Literal["scalar", "tensor", "graph", "segs", "sparse", "flat"]


@dataclass(frozen=True, slots=True)
class Item:
    """One value at the border. `path` begins with the parameter's name (a result's is empty for a
    result that is one item). `leaves` are its IR values; `mut` ones come back changed."""

    path: tuple[str, ...]
    kind: Kind
    type: surface.Type
    leaves: tuple[LeafInfo, ...]
    mut: bool = False

    @property
    def name(self) -> str:
        """As users write it: `t`, `pair.0`."""
        return ".".join(self.path)

    @property
    def leaf(self) -> LeafInfo:
        """The only leaf."""
        (leaf,) = self.leaves
        return leaf

    @property
    def tensor(self) -> TensorType:
        """The type of the only leaf, where a tensor is known to be."""
        t = self.leaf.type
        assert isinstance(t, TensorType), f"{self.name} is {t}"
        return t


def parameter_items(p: ParameterInfo) -> tuple[Item, ...]:
    """The items of a parameter that is no parameter set."""
    if p.parameter_set is not None:
        raise InternalError(f"`{p.name}` is a parameter set", stage="artifact")
    return tuple(_items(p.type, (p.name,), _pairs(p.leaves), p.mut))


def result_items(entry: EntryInfo) -> tuple[Item, ...]:
    """The items of an entry's result."""
    return tuple(_items(entry.result, (), _pairs(entry.results), False))


_Pair = tuple[tuple[str, ...], LeafInfo]
"""What is left of a leaf's path, and the leaf."""


def _pairs(leaves: Sequence[LeafInfo]) -> list[_Pair]:
    return [(leaf.path, leaf) for leaf in leaves]


def _items(
    t: surface.Type, path: tuple[str, ...], leaves: Sequence[_Pair], mut: bool
) -> Iterator[Item]:
    match t:
        case surface.Unit():
            return
        case surface.Tuple():
            for i, item in enumerate(t.items):
                inside = [(rest[1:], leaf) for rest, leaf in leaves if rest[:1] == (str(i),)]
                yield from _items(item, (*path, str(i)), inside, mut)
        case surface.Model() | surface.Array() | surface.Tangent():
            for rest, leaf in leaves:
                yield _single(path + rest, _plain(leaf.type), leaf, mut)
        case surface.Graph():
            yield Item(path, "graph", t, tuple(leaf for _, leaf in leaves), mut)
        case surface.Segs():
            yield Item(path, "segs", t, tuple(leaf for _, leaf in leaves), mut)
        case surface.Sparse():
            yield Item(path, "sparse", t, tuple(leaf for _, leaf in leaves), mut)
        case _:
            ((_, leaf),) = leaves
            yield _single(path, t, leaf, mut)


def _single(path: tuple[str, ...], t: surface.Type, leaf: LeafInfo, mut: bool) -> Item:
    kind: Kind = "flat"
    if isinstance(leaf.type, TensorType):
        kind = "tensor" if leaf.type.rank else "scalar"
    return Item(path, kind, t, (leaf,), mut)


def _plain(t: Type) -> surface.Type:
    """The surface type of a leaf of a record: a tensor, or a gradient stored as rows."""
    if isinstance(t, TensorType):
        return surface.Tensor(t.dtype, t.shape)
    rows = getattr(t, "columns", ())
    if len(rows) == 2 and isinstance(rows[1], TensorType) and rows[1].rank == 1:
        from dlc.typesys.dims import Dim

        return surface.Rows(rows[1].dtype, Dim.const(0), rows[1].shape[0])
    raise InternalError(f"a leaf of type {t} in a record", stage="artifact")
