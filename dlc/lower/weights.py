"""Parameter sets: the weights of exported models, and functions that draw their first values."""

from __future__ import annotations

from collections.abc import Iterator

from dlc.diag import Span
from dlc.ir.core import Function
from dlc.lower.initialise import Initial, initial_leaves
from dlc.lower.layout import Layout
from dlc.ops.build import Builder, DimNames
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64
from dlc.typesys.interface import FROM_FILE, Initialiser, ParameterSet, Place, WeightInfo
from dlc.typesys.surface import dim_names
from dlc.typesys.types import TensorType


def parameter_set(layout: Layout, name: str, t: surface.Model, init: str | None) -> ParameterSet:
    """The set of an exported parameter name."""
    own = {f"{name}.{d.name}": d.default for d in layout.model_decl(t.name).dims}
    dims = dim_names(t)
    defaults = tuple((d, n) for d in dims if (n := own.get(d)) is not None)
    return ParameterSet(name, t, dims, defaults, tuple(weights_of(layout, t)), init)


def weights_of(layout: Layout, t: surface.Model) -> list[WeightInfo]:
    """The weights of a model, in the order of its leaves."""
    return list(_weights(layout, t, (), ()))


def _weights(
    layout: Layout, t: surface.Model, path: tuple[str, ...], arrays: tuple[int, ...]
) -> Iterator[WeightInfo]:
    for field, (name, ft) in zip(layout.model_decl(t.name).fields, layout.fields(t), strict=True):
        at = (*path, name)
        around = arrays
        inner = ft
        while isinstance(inner, surface.Array):
            inner, around = inner.element, (*around, len(at))
        if isinstance(inner, surface.Model):
            for w in _weights(layout, inner, at, around):
                yield w if inner is ft else _stacked(w, ft)
            continue
        (leaf,) = layout.leaf_types(ft)
        assert isinstance(leaf, TensorType)
        said = None if field.init is None else Initialiser(field.init.name, field.init.arguments)
        if layout.model_decl(t.name).onnx is not None:
            said = Initialiser(FROM_FILE, ())
        yield WeightInfo(at, leaf.dtype, leaf.shape, around, said, place_of(field.span))


def _stacked(w: WeightInfo, t: surface.Type) -> WeightInfo:
    """The weight with the axes of the Arrays around it in front."""
    counts: list[Dim] = []
    while isinstance(t, surface.Array):
        counts.append(t.count)
        t = t.element
    shape = (*counts, *w.shape)
    return WeightInfo(w.path, w.dtype, shape, w.arrays, w.initialiser, w.place)


def place_of(span: Span) -> Place:
    line, column = span.source.position(span.start)
    return Place(span.source.name, line, column)


def init_function(layout: Layout, name: str, t: surface.Model) -> Function | None:
    """`fn [dims](key) -> leaves` with the first values of a model, or None if some leaf has no
    initialiser."""
    weights = weights_of(layout, t)
    how: list[Initial] = []
    for w in weights:
        if w.initialiser is None:
            return None
        how.append(Initial(w.initialiser.name, w.initialiser.arguments, len(w.arrays)))
    dims = dim_names(t)
    b = Builder(layout.types, DimNames(dims)).nested([TensorType(I64)], ["key"])
    types = [TensorType(w.dtype, w.shape) for w in weights]
    made = initial_leaves(b, b.params[0], types, how)
    for v, w in zip(made, weights, strict=True):
        v.suggest(w.name)
    return b.function(name, dims, b.return_(*made), attrs={"entry": True, "public": True})
