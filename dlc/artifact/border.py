"""How the dims of an entry are found from what its caller gives, and what is compared.

A *mention* is a number that the caller shows (the length of an axis, the nodes of a graph) and the
dim that it must be. One mention binds each dim; all others are compared once every dim is known.
Dims of parameter sets come with the model, dims bound when compiling are constants. The Python
interface (`Border.bind`) and the generated C interface follow the same `Border`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlc.artifact.flat import FlatType, flat_type
from dlc.artifact.items import Item, parameter_items, result_items
from dlc.diag import CompileError, Diagnostic, error
from dlc.ir.core import AdtDecl
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.interface import EntryInfo, Fixed, Interface, Place
from dlc.typesys.types import AdtType, ListType, TensorType

MAX_DIM = 2**31 - 1
"""The largest dim: every index is an i32."""


# -- what the caller shows


@dataclass(frozen=True, slots=True)
class Extent:
    """The length of an axis of a tensor; for a graph, segments or a sparse vector, of a leaf."""

    item: int
    leaf: int
    axis: int


@dataclass(frozen=True, slots=True)
class Number:
    """The value of a whole-number parameter."""

    item: int


@dataclass(frozen=True, slots=True)
class Told:
    """A number that comes with a structure: `nodes` of a graph, `size` of a sparse vector."""

    item: int
    what: str


@dataclass(frozen=True, slots=True)
class Last:
    """The items of segments: the last of their starts."""

    item: int


@dataclass(frozen=True, slots=True)
class ColumnExtent:
    """The length of an axis of the rows of a column of a list or algebraic value. Without rows it
    says nothing."""

    item: int
    column: int
    axis: int


Shown = Extent | Number | Told | Last | ColumnExtent


@dataclass(frozen=True, slots=True)
class Mention:
    """`at` must be `size`. `text` says where it is: `x, axis 1`."""

    at: Shown
    size: Dim
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Step:
    """Binds `dim`: the mention's size is linear in it, and all its other names are bound before.

    `others` are mentions of the same size that serve when the first one's column has no rows."""

    dim: str
    mention: Mention
    others: tuple[Mention, ...] = ()


@dataclass(frozen=True)
class Border:
    """An entry at the border. `inputs` are the items of its parameters in order, without parameter
    sets, which are named in `sets`; `outputs` those of its result. `flats` describes the items that
    are lists or algebraic values, by number of the input or output."""

    entry: EntryInfo
    sets: tuple[str, ...]
    written: tuple[str, ...]
    inputs: tuple[Item, ...]
    outputs: tuple[Item, ...]
    flats_in: Mapping[int, FlatType]
    flats_out: Mapping[int, FlatType]
    model_dims: tuple[str, ...]
    fixed: Mapping[str, int]
    steps: tuple[Step, ...]
    compares: tuple[Mention, ...]

    @property
    def writes(self) -> bool:
        """Whether a call changes something that its caller owns."""
        return bool(self.written) or any(x.mut for x in self.inputs)


def border_of(entry: EntryInfo, interface: Interface, types: Mapping[str, AdtDecl]) -> Border:
    """The border of an entry.

    Raises CompileError: E0610 for a type that cannot cross, E0620 for a dim that nothing shows."""
    sets = tuple(p for p in entry.parameters if p.parameter_set is not None)
    plain = tuple(p for p in entry.parameters if p.parameter_set is None)
    inputs: list[Item] = []
    mentions: list[Mention] = []
    flats: dict[int, FlatType] = {}
    for p in plain:
        for item in parameter_items(p):
            number = len(inputs)
            inputs.append(item)
            if item.kind == "flat":
                flats[number] = _flat(item, types)
            mentions += _mentions(number, item, flats.get(number), p.place)
            if p.is_dim:
                mentions.append(Mention(Number(number), Dim.sym(p.name), p.name, p.place))
    outputs = result_items(entry)
    _check_told(entry, outputs)
    flats_out = {i: _flat(x, types) for i, x in enumerate(outputs) if x.kind == "flat"}
    for x in flats_out.values():
        _sized(entry, x)
    fixed = {d.name: d.source.value for d in entry.dims if isinstance(d.source, Fixed)}
    owned = _set_dims(interface, [p.parameter_set or "" for p in sets])
    model_dims = tuple(d for d in owned if d not in fixed)
    wanted = [d.name for d in entry.dims if d.name not in fixed and d.name not in model_dims]
    steps, compares = _solve(wanted, {*fixed, *model_dims}, mentions, entry)
    return Border(
        entry,
        tuple(p.parameter_set or "" for p in sets),
        tuple(p.parameter_set or "" for p in sets if p.mut),
        tuple(inputs),
        outputs,
        flats,
        flats_out,
        model_dims,
        fixed,
        steps,
        compares,
    )


def _flat(item: Item, types: Mapping[str, AdtDecl]) -> FlatType:
    t = item.leaf.type
    assert isinstance(t, AdtType | ListType), f"{item.name} is {t}"
    return flat_type(t, types)


def _sized(entry: EntryInfo, t: FlatType) -> None:
    """E0610 for the rows of a result's column that have a size which only the run decides: without
    rows nothing would say it."""
    for column in t.columns:
        lost = [n for d in column.shape for n in d.symbols() if n in entry.result_dims]
        if lost and not column.varies:
            message = f"a result of `{entry.name}` holds tensors of a size only the run decides"
            found = error("E0610", message).with_note(f"the size is `?{lost[0]}` of {t.type}")
            help_ = "return a tensor, or tensors of sizes that parameters show"
            raise CompileError(found.with_help(help_))


def _check_told(entry: EntryInfo, outputs: Sequence[Item]) -> None:
    """E0610 for a resulting structure with a number (the nodes of a graph, say) that only the run
    decides, and that no axis of a result shows."""
    leaves = [leaf.type for x in outputs for leaf in x.leaves]
    axes = [d for t in leaves if isinstance(t, TensorType) for d in t.shape]
    shown = {d.name for d in axes}
    for x in outputs:
        t = x.type
        what, number = "", Dim.const(0)
        if isinstance(t, surface.Graph):
            what, number = "nodes", t.nodes
        elif isinstance(t, surface.Sparse):
            what, number = "size", t.size
        elif isinstance(t, surface.Rows):
            what, number = "count", t.count
        lost = [n for n in number.symbols() if n in entry.result_dims and n not in shown]
        if lost:
            message = f"nothing says the {what} of a result of `{entry.name}`"
            note = f"it is {t}, and only the run decides {lost[0]}"
            found = error("E0610", message).with_note(note)
            raise CompileError(found.with_help(f"return a tensor with an axis of `?{lost[0]}` too"))


def _set_dims(interface: Interface, sets: Sequence[str]) -> tuple[str, ...]:
    """The dims that come with the model of an entry that takes these sets."""
    if not sets:
        return ()
    return tuple(dict.fromkeys(d for s in interface.parameter_sets for d in s.dims))


# -- mentions


def _mentions(number: int, item: Item, flat: FlatType | None, place: Place) -> Iterator[Mention]:
    t = item.type
    match item.kind:
        case "scalar":
            return
        case "tensor":
            yield from _axes(number, item, 0, place)
        case "graph":
            assert isinstance(t, surface.Graph)
            yield Mention(Told(number, "nodes"), t.nodes, f"{item.name}, nodes", place)
            yield Mention(Extent(number, 0, 0), t.arcs, f"{item.name}, arcs", place)
        case "segs":
            assert isinstance(t, surface.Segs)
            yield Mention(Extent(number, 0, 0), t.rows + 1, f"{item.name}, rows", place)
            yield Mention(Last(number), t.items, f"{item.name}, items", place)
        case "sparse":
            assert isinstance(t, surface.Sparse)
            yield Mention(Told(number, "size"), t.size, f"{item.name}, size", place)
            yield from _axes(number, item, 0, place)
        case "flat":
            assert flat is not None
            if isinstance(t, surface.Rows):
                yield Mention(Told(number, "count"), t.count, f"{item.name}, count", place)
            for c, column in enumerate(flat.columns):
                if not column.varies:
                    for axis, d in enumerate(column.shape):
                        text = f"{item.name}.{column.name}".rstrip(".")
                        yield Mention(
                            ColumnExtent(number, c, axis), d, f"{text}, axis {axis}", place
                        )


def _axes(number: int, item: Item, leaf: int, place: Place) -> Iterator[Mention]:
    t = item.leaves[leaf].type
    assert isinstance(t, TensorType)
    for axis, d in enumerate(t.shape):
        yield Mention(Extent(number, leaf, axis), d, f"{item.name}, axis {axis}", place)


# -- solving


def _solve(
    wanted: Sequence[str], known: set[str], mentions: Sequence[Mention], entry: EntryInfo
) -> tuple[tuple[Step, ...], tuple[Mention, ...]]:
    """A mention for each dim: a whole-number parameter, else the first that stands alone (one that
    always shows it before a column's), else one linear in it. The rest are compared."""
    used: set[int] = set()
    steps: list[Step] = []
    bound = set(known)

    def take(d: str, i: int) -> None:
        used.add(i)
        bound.add(d)
        steps.append(Step(d, mentions[i], _same(mentions, i)))

    open_ = [d for d in wanted if d not in bound]
    for d in open_:
        alone = [i for i, m in enumerate(mentions) if m.size.name == d]
        alone.sort(key=lambda i: _rank(mentions[i].at))
        if alone:
            take(d, alone[0])
    progress = True
    while progress:
        progress = False
        for i, m in enumerate(mentions):
            unknown = [d for d in m.size.symbols() if d not in bound]
            linear = len(unknown) == 1 and m.size.coefficient(unknown[0]) is not None
            if i not in used and linear and unknown[0] in wanted:
                take(unknown[0], i)
                progress = True
    lost = [d for d in wanted if d not in bound]
    if lost:
        raise CompileError(_nothing_shows(lost, entry))
    return tuple(steps), tuple(m for i, m in enumerate(mentions) if i not in used)


def _rank(at: Shown) -> int:
    return (Number, Told, Extent, Last, ColumnExtent).index(type(at))


def _same(mentions: Sequence[Mention], chosen: int) -> tuple[Mention, ...]:
    """Other columns that show the same size."""
    m = mentions[chosen]
    if not isinstance(m.at, ColumnExtent):
        return ()
    return tuple(
        o
        for i, o in enumerate(mentions)
        if i > chosen and isinstance(o.at, ColumnExtent) and o.size == m.size
    )


def _nothing_shows(lost: Sequence[str], entry: EntryInfo) -> Diagnostic:
    names = ", ".join(f"`{d}`" for d in lost)
    message = f"nothing that `{entry.name}` takes shows {names}"
    at = f"{entry.place.file}:{entry.place.line}:{entry.place.column}"
    found = error("E0620", message).with_note(f"`{entry.name}` is exported at {at}")
    return found.with_help(f"bind it when compiling: --bind {entry.name}.{lost[0]}=…")


# -- the numbers of one call


class BindError(ValueError):
    """A dim that does not fit: the mention, what was found and what is wanted (None: no number of
    `dim` fits)."""

    def __init__(self, mention: Mention, got: int, want: int | None, dim: str | None = None):
        self.mention, self.got, self.want, self.dim = mention, got, want, dim
        if want is not None:
            message = f"{mention.text} is {got}, not {want}"
            if not mention.size.is_constant:
                message += f" ({mention.size})"
        elif mention.size.name is not None:
            message = f"{mention.text} is {got}, which is no size"
        else:
            message = f"{mention.text} is {got}, but is to be {mention.size}: no {dim} fits"
        super().__init__(message)


def bind(
    border: Border,
    model_dims: Mapping[str, int],
    read: Mapping[Shown, int | None],
) -> dict[str, int]:
    """The numbers of all dims of an entry. `read` is what the caller shows; None where a column
    without rows shows nothing.

    Raises BindError for the first mention that does not fit."""
    env = dict(border.fixed)
    env.update((d, model_dims[d]) for d in border.model_dims)
    for step in border.steps:
        env[step.dim] = _bound(step, read, env)
    for m in border.compares:
        got = read[m.at]
        if got is not None and got != (want := m.size.evaluate(env)):
            raise BindError(m, got, want)
    return env


def shown_sizes(border: Border, read: Mapping[Shown, int | None]) -> dict[str, int]:
    """The dims of the model that `read` shows. A call compares them; where there is no model yet,
    they are what it is made for.

    Raises BindError for a size that is none."""
    env = dict(border.fixed)
    every = (*(s.mention for s in border.steps), *border.compares)
    shown = [m for m in every if read[m.at] is not None]
    progress = True
    while progress:
        progress = False
        for m in shown:
            open_ = [d for d in m.size.symbols() if d not in env]
            if len(open_) == 1 and m.size.coefficient(open_[0]) is not None:
                env[open_[0]] = _bound(Step(open_[0], m), read, env)
                progress = True
    return {d: env[d] for d in border.model_dims if d in env}


def _bound(step: Step, read: Mapping[Shown, int | None], env: Mapping[str, int]) -> int:
    shown = [m for m in (step.mention, *step.others) if read[m.at] is not None]
    if not shown:
        return 0
    m = shown[0]
    got = read[m.at]
    assert got is not None
    k = m.size.coefficient(step.dim)
    assert k is not None
    factor = k.evaluate(env)
    rest = m.size.substitute({step.dim: Dim.const(0)}).evaluate(env)
    if factor == 0 or (got - rest) % factor or not 0 <= (got - rest) // factor <= MAX_DIM:
        raise BindError(m, got, None, step.dim)
    return (got - rest) // factor
