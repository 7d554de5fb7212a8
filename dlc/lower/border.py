"""The interface of a lowered program: how every dim is bound at an entry, and what is compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dlc.check.program import Checked
from dlc.lower.entry import refuse_inner_gradients
from dlc.lower.layout import Layout, absent
from dlc.lower.program import Entry, Instances
from dlc.lower.scope import Callee
from dlc.lower.weights import place_of
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.interface import (
    AdtInfo,
    Axis,
    Check,
    ConstructorInfo,
    DimInfo,
    ElementAxis,
    EntryInfo,
    FieldInfo,
    Interface,
    LastElement,
    LeafInfo,
    ParameterInfo,
    ParameterSet,
    Payload,
    Place,
    RecordInfo,
    ScalarValue,
    Source,
    TestInfo,
    Told,
)
from dlc.typesys.surface import short
from dlc.typesys.types import AdtType, ListType, TensorType, Type


@dataclass(frozen=True)
class _Mention:
    """A dim that the outside shows: where, and what the type says it is."""

    parameter: str
    at: Source
    size: Dim
    place: Place


def interface_of(checked: Checked, made: Instances, sets: Sequence[ParameterSet]) -> Interface:
    """The border of everything that was lowered."""
    entries = tuple(_entry(made.layout, e, checked) for e in made.entries)
    tests = tuple(TestInfo(t.name, name, place_of(t.span)) for name, t in made.tests)
    types = tuple(_adt(made.layout, name) for name in _adts(made.layout, entries))
    records = tuple(_record(made.layout, name) for name in _models(made.layout, entries))
    return Interface(checked.main, entries, tuple(sets), types, records, tests)


# -- entries


def _entry(layout: Layout, entry: Entry, checked: Checked) -> EntryInfo:
    callee, fn = entry.callee, entry.callee.typed
    refuse_inner_gradients(fn)
    back = dict(callee.inout)
    parameters: list[ParameterInfo] = []
    for p, which in zip(fn.params, callee.params, strict=True):
        paths = layout.leaves(p.type, absent)
        types = callee.signature.params[which]
        leaves = tuple(
            LeafInfo(x.path, t, which.start + i, back.get(which.start + i))
            for i, (x, t) in enumerate(zip(paths, types, strict=True))
        )
        name = p.local.name
        known = isinstance(p.type, surface.Model) and name in checked.parameter_sets
        of = name if known else None
        parameters.append(
            ParameterInfo(name, p.type, p.mut, p.is_dim, leaves, of, place_of(p.span))
        )
    results = layout.leaves(fn.result, absent)
    out = tuple(LeafInfo(x.path, callee.signature.results[i], i) for i, x in enumerate(results))
    dims, checks = _bind(callee, parameters, place_of(fn.span))
    return EntryInfo(
        short(fn.name),
        entry.name,
        tuple(parameters),
        fn.result,
        out,
        dims,
        checks,
        callee.signature.result_dims,
        place_of(fn.span),
    )


def _bind(
    callee: Callee, parameters: Sequence[ParameterInfo], place: Place
) -> tuple[tuple[DimInfo, ...], tuple[Check, ...]]:
    """A source for every dim: the value of the parameter of its name, else the first mention that
    stands alone (tensors first), else a mention linear in it. All other mentions are checks."""
    mentions = [m for p in parameters for m in _mentions(p)]
    sources: dict[str, Source] = {}
    used: set[int] = set()
    for p in parameters:
        if p.is_dim:
            sources[p.name] = ScalarValue(p.leaves[0].number)
    for tensors in (True, False):
        for i, m in enumerate(mentions):
            name = m.size.name
            if name is not None and name not in sources and isinstance(m.at, Axis) == tensors:
                sources[name] = m.at
                used.add(i)
    _solve_linear(mentions, sources, used)
    told = {d: _owner(d, parameters) for d in callee.signature.dims if d not in sources}
    dims = tuple(DimInfo(d, sources.get(d) or told[d], place) for d in callee.signature.dims)
    rest = (m for i, m in enumerate(mentions) if i not in used)
    return dims, tuple(Check(m.parameter, m.at, m.size, m.place) for m in rest)


def _solve_linear(mentions: Sequence[_Mention], sources: dict[str, Source], used: set[int]) -> None:
    """Dims such as the H of `4*H`, once all other names of the mention are bound."""
    progress = True
    while progress:
        progress = False
        for i, m in enumerate(mentions):
            if i in used or not isinstance(m.at, Axis):
                continue
            unknown = [d for d in m.size.symbols() if d not in sources]
            if len(unknown) == 1 and m.size.coefficient(unknown[0]) is not None:
                sources[unknown[0]] = m.at
                used.add(i)
                progress = True


def _owner(dim: str, parameters: Iterable[ParameterInfo]) -> Source:
    """A dim that nothing shows belongs to the parameter whose type mentions it."""
    for p in parameters:
        if dim in surface.dim_names(p.type):
            return Told(p.name, dim.removeprefix(f"{p.name}."))
    return Told("", dim)


def _mentions(p: ParameterInfo) -> Iterator[_Mention]:
    for at, size in _told(p.type, p.name, p.leaves):
        yield _Mention(p.name, at, size, p.place)
    for leaf in p.leaves:
        for at, size in _leaf_mentions(leaf):
            yield _Mention(p.name, at, size, p.place)


def _leaf_mentions(leaf: LeafInfo) -> Iterator[tuple[Source, Dim]]:
    t = leaf.type
    if isinstance(t, TensorType):
        for axis, d in enumerate(t.shape):
            yield Axis(leaf.number, axis, d), d
    elif isinstance(t, AdtType):
        for i, d in enumerate(t.dims):
            yield Payload(leaf.number, i), d
    else:
        for column, c in enumerate(t.columns):
            yield from _column_mentions(leaf.number, column, c)


def _column_mentions(leaf: int, column: int, t: Type) -> Iterator[tuple[Source, Dim]]:
    if isinstance(t, TensorType):
        for axis, d in enumerate(t.shape):
            yield ElementAxis(leaf, column, axis, d), d
    elif isinstance(t, AdtType):
        for i, d in enumerate(t.dims):
            yield Payload(leaf, i, column), d
    else:
        assert isinstance(t, ListType)


def _told(
    t: surface.Type, parameter: str, leaves: Sequence[LeafInfo]
) -> Iterator[tuple[Source, Dim]]:
    """Numbers that come with a structure and no tensor's shape shows."""
    match t:
        case surface.Graph():
            yield Told(parameter, "nodes"), t.nodes
        case surface.Segs():
            yield LastElement(leaves[0].number), t.items
        case surface.Sparse():
            yield Told(parameter, "size"), t.size
        case surface.Rows():
            yield Told(parameter, "count"), t.count
        case _:
            return


# -- types


def _visit(layout: Layout, entries: Sequence[EntryInfo]) -> Iterator[surface.Type]:
    """Every type that the entries mention, fields of records and constructors included."""
    seen: set[str] = set()
    work: list[surface.Type] = []
    for e in entries:
        work.extend((*(p.type for p in e.parameters), e.result))
    while work:
        t = work.pop(0)
        yield t
        if isinstance(t, (surface.Model, surface.Adt)):
            if t.name in seen:
                continue
            seen.add(t.name)
        if isinstance(t, surface.Model):
            work.extend(ft for _, ft in layout.fields(t))
        elif isinstance(t, surface.Adt):
            decl = layout.adt_decl(t.name)
            work.extend(f.type for c in decl.constructors for f in c.fields)
        work.extend(surface.parts(t))


def _adts(layout: Layout, entries: Sequence[EntryInfo]) -> tuple[str, ...]:
    found = (t.name for t in _visit(layout, entries) if isinstance(t, surface.Adt))
    return tuple(dict.fromkeys(found))


def _models(layout: Layout, entries: Sequence[EntryInfo]) -> tuple[str, ...]:
    found = (t.name for t in _visit(layout, entries) if isinstance(t, surface.Model))
    return tuple(dict.fromkeys(found))


def _adt(layout: Layout, name: str) -> AdtInfo:
    decl = layout.adt_decl(name)
    constructors: list[ConstructorInfo] = []
    for c in decl.constructors:
        fields: list[FieldInfo] = []
        at = 0
        for f in c.fields:
            n = layout.count(f.type)
            fields.append(FieldInfo(f.name, f.type, at, n))
            at += n
        constructors.append(ConstructorInfo(c.name, tuple(fields)))
    dims = tuple(d.name for d in decl.dims)
    kind = layout.declare(name)
    return AdtInfo(short(name), kind, dims, tuple(constructors), place_of(decl.span))


def _record(layout: Layout, name: str) -> RecordInfo:
    decl = layout.model_decl(name)
    dims = tuple(d.name for d in decl.dims)
    return RecordInfo(name, dims, tuple((f.name, f.type) for f in decl.fields))
