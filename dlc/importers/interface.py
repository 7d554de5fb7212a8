"""The border of an imported model, in the form that drivers and artefacts read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlc.importers.emission import Weight
from dlc.importers.ports import Absent, Port, Structure
from dlc.ir.core import Function
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.interface import (
    Axis,
    Check,
    DimInfo,
    EntryInfo,
    Interface,
    LeafInfo,
    ParameterInfo,
    ParameterSet,
    Place,
    RecordInfo,
    Source,
    Told,
    WeightInfo,
)
from dlc.typesys.types import TensorType

MODEL = "m"
"""The parameter that holds the weights."""


def ports(structures: Sequence[Structure]) -> Iterator[Port]:
    """The tensors in order."""
    for s in structures:
        if isinstance(s, Port):
            yield s
        elif not isinstance(s, Absent):
            yield from ports(s)


def interface_of(
    name: str,
    file: str,
    fn: Function,
    weights: Sequence[Weight],
    inputs: Sequence[Structure],
    outputs: Sequence[Structure],
) -> Interface:
    """One entry, with the weights as its first parameter if there are any."""
    place = Place(file, 1, 1)
    record = surface.Model(f"{name}.Weights")
    parameters: list[ParameterInfo] = []
    sets: list[ParameterSet] = []
    records: list[RecordInfo] = []
    if weights:
        leaves = tuple(LeafInfo((w.name,), w.value.type, i) for i, w in enumerate(weights))
        parameters.append(ParameterInfo(MODEL, record, False, False, leaves, MODEL, place))
        infos = tuple(
            WeightInfo((w.name,), w.value.tensor.dtype, w.value.tensor.shape, (), None, place)
            for w in weights
        )
        sets.append(ParameterSet(MODEL, record, (), (), infos, None))
        fields = tuple((w.name, _surface(w.value.tensor)) for w in weights)
        records.append(RecordInfo(record.name, (), fields))
    for i, port in enumerate(ports(inputs), len(weights)):
        leaf = LeafInfo((), port.type, i)
        parameters.append(
            ParameterInfo(port.identifier, _surface(port.type), False, False, (leaf,), None, place)
        )
    result, results = _results(fn, len(list(ports(outputs))))
    dims, checks = _bind(fn, parameters, place)
    entry = EntryInfo(
        fn.name, fn.name, tuple(parameters), result, results, dims, checks, fn.result_dims, place
    )
    return Interface(name, (entry,), tuple(sets), (), tuple(records), ())


def _surface(t: TensorType) -> surface.Tensor:
    return surface.Tensor(t.dtype, t.shape)


def _results(fn: Function, count: int) -> tuple[surface.Type, tuple[LeafInfo, ...]]:
    types: list[surface.Type] = []
    for t in fn.result_types:
        assert isinstance(t, TensorType)
        types.append(_surface(t))
    assert len(types) == count
    if len(types) == 1:
        return types[0], (LeafInfo((), fn.result_types[0], 0),)
    leaves = (LeafInfo((str(i),), t, i) for i, t in enumerate(fn.result_types))
    return surface.Tuple(tuple(types)), tuple(leaves)


def _bind(
    fn: Function, parameters: Sequence[ParameterInfo], place: Place
) -> tuple[tuple[DimInfo, ...], tuple[Check, ...]]:
    """Every dim of the function is an axis of an input; all other mentions are compared."""
    sources: dict[str, Source] = {}
    checks: list[Check] = []
    for p in parameters:
        if p.parameter_set is not None:
            continue
        for leaf in p.leaves:
            assert isinstance(leaf.type, TensorType)
            for axis, d in enumerate(leaf.type.shape):
                at = Axis(leaf.number, axis, d)
                if d.name is not None and d.name not in sources:
                    sources[d.name] = at
                else:
                    checks.append(Check(p.name, at, d, place))
    dims = tuple(DimInfo(n, sources.get(n) or Told("", n), place) for n in fn.dims)
    return dims, tuple(checks)


def dims_of_results(fn_dims: Sequence[str], types: Sequence[TensorType]) -> tuple[str, ...]:
    """The dims in the results that only the run decides, in order of appearance."""
    found: dict[str, None] = {}
    for t in types:
        for d in t.shape:
            found.update(dict.fromkeys(s for s in d.symbols() if s not in fn_dims))
    return tuple(found)


def hidden_values(names: Sequence[str]) -> tuple[Dim, ...]:
    return tuple(map(Dim.sym, names))
