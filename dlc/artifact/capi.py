"""The C interface of an artefact, as data: functions, structs, names.

The header prints it, the generated code implements it, and the Python interface fills its structs.

    net_status net_logits(const net_model *, const net_logits_in *, net_logits_out *,
                          void *arena, size_t bytes, const net_options *, net_error *);

One struct in, one out, for each entry, with a member for each item; the parameter sets of all
entries are in one `net_model`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dlc.artifact.border import Border, border_of
from dlc.artifact.carriers import Carriers
from dlc.artifact.items import Item
from dlc.artifact.names import Scope, identifier
from dlc.artifact.structs import I32, I64, U32, Array, Member, Pointer, Primitive, Struct
from dlc.artifact.weights.block import BlockLayout, block_layout, fixed_dims
from dlc.diag import CompileError, error
from dlc.ir.core import AdtDecl
from dlc.typesys.interface import Interface

ABI_VERSION = 2

STATUS = (
    ("OK", "all went well"),
    ("E_ABI", "a struct is not of this header: wrong size, or another build"),
    ("E_ARG", "a null, misaligned or overlapping argument"),
    ("E_SHAPE", "sizes that do not fit together"),
    ("E_STRUCT", "a list, graph or tree that is none"),
    ("E_ARENA", "the arena is too small; error.want is what is known to be needed"),
    ("E_WEIGHTS", "the block of weights is not one of this program"),
    ("E_FUEL", "a loop without a bound took too many turns"),
    ("E_BOUNDS", "an index out of range"),
    ("E_ASSERT", "an `assert` of the program failed"),
    ("E_DIVZERO", "a whole number divided by zero"),
    ("E_SPACE", "a result does not fit into the caller's buffer"),
)
"""Names of the statuses in order of their numbers, and what each means."""

ERROR_SIZE = 96
"""Bytes of `net_error`."""

_FUNCTIONS = (
    "model_init", "model_init_mut", "model_dims", "model_bytes", "model_layout", "status_text",
    "weights", "error", "no_error", "status", "need", "model", "dims", "no_dims", "options",
    "no_options",
)  # fmt: skip
"""Names that the interface uses after the prefix."""

_OF_ENTRY = ("bytes", "sizes", "in", "out", "input", "output", "fixed")
"""Names that it uses after an entry's."""


@dataclass(frozen=True)
class EntryApi:
    """An entry: the symbols of its functions, its structs, and which member is which item.

    `in_members` and `out_members` give a member's number for each input and output; `back` for each
    input that comes back through the out struct (a changed list or algebraic value)."""

    border: Border
    symbol: str
    input: Struct
    output: Struct
    in_members: tuple[int, ...]
    out_members: tuple[int, ...]
    back: Mapping[int, int]

    @property
    def name(self) -> str:
        return self.border.entry.name

    @property
    def is_static(self) -> bool:
        """Whether every size is known when compiling."""
        b = self.border
        return not b.steps and not b.model_dims and not b.entry.result_dims


@dataclass(frozen=True)
class Api:
    """The interface of an artefact. `number` tells builds apart: every struct carries it. `fixed`
    are the dims of parameter sets that were bound when compiling."""

    prefix: str
    number: int
    interface: Interface
    layout: BlockLayout
    fixed: Mapping[str, int]
    structs: tuple[Struct, ...]
    error: Struct
    options: Struct
    dims: Struct | None
    model: Struct | None
    entries: tuple[EntryApi, ...]
    initialisers: Mapping[str, str]
    tags: tuple[tuple[str, int], ...]
    embedded: bool

    def entry(self, name: str) -> EntryApi:
        return next(e for e in self.entries if e.name == name)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that the object defines."""
        p = self.prefix
        out = [f"{p}_status_text"]
        if self.model is not None:
            out += [f"{p}_{x}" for x in ("model_init", "model_init_mut", "model_layout")]
            out += [f"{p}_model_bytes", *([f"{p}_model_dims"] if self.dims is not None else [])]
            out += list(self.initialisers.values())
        for e in self.entries:
            out += [e.symbol, f"{e.symbol}_bytes", f"{e.symbol}_sizes"]
        return tuple(out)


def capi(
    interface: Interface, types: Mapping[str, AdtDecl], prefix: str, *, embedded: bool = False
) -> Api:
    """The C interface of a program, whose algebraic types are those of its final module.

    Raises CompileError: E0610, E0620, E0621 for an entry whose name is taken."""
    layout = block_layout(interface)
    scope = Scope()
    symbols = _symbols(interface, prefix, scope)
    shared = Carriers(prefix, scope)
    entries: list[EntryApi] = []
    for e in interface.entries:
        border = border_of(e, interface, types)
        entries.append(_entry(border, symbols[e.name], shared))
    dims = _dims_struct(prefix, layout)
    model = _model_struct(prefix, interface, dims) if interface.parameter_sets else None
    structs = [*shared.structs, *(s for e in entries for s in (e.input, e.output))]
    initialisers = {
        s.name: f"{prefix}_init_{identifier(s.name)}" for s in interface.parameter_sets if s.init
    }
    return Api(
        prefix,
        _number(structs, layout, [e.symbol for e in entries]),
        interface,
        layout,
        MappingProxyType(fixed_dims(interface)),
        tuple(shared.structs),
        _error_struct(prefix),
        _options_struct(prefix),
        dims,
        model,
        tuple(entries),
        MappingProxyType(initialisers),
        tuple(shared.tags.items()),
        embedded,
    )


def _symbols(interface: Interface, prefix: str, scope: Scope) -> dict[str, str]:
    """The function of every entry; nothing may hide them or one another."""
    out: dict[str, str] = {}
    reserved = Scope()
    for name in _FUNCTIONS:
        reserved.take(name)
    for s in interface.parameter_sets:
        reserved.take(f"init_{identifier(s.name)}")
    clash = ""
    for e in interface.entries:
        name = e.name.replace(".", "_")
        for made in (name, *(f"{name}_{x}" for x in _OF_ENTRY)):
            if reserved.has(made):
                clash = clash or e.name
            reserved.take(made)
            scope.take(f"{prefix}_{made}")
        out[e.name] = f"{prefix}_{name}"
    if clash:
        message = f"the C interface has another use for the name `{clash}`"
        raise CompileError(error("E0621", message).with_help("rename the exported function"))
    for name in _FUNCTIONS:
        scope.take(f"{prefix}_{name}")
    return out


_HEAD = (
    Member("size", U32, "sizeof of this struct"),
    Member("abi", U32, "the build of this header"),
)


def _entry(border: Border, symbol: str, carriers: Carriers) -> EntryApi:
    ins, outs = list(_HEAD), list(_HEAD)
    in_names, out_names = Scope(("size", "abi")), Scope(("size", "abi"))
    in_members: list[int] = []
    for i, x in enumerate(border.inputs):
        in_members.append(len(ins))
        flat = border.flats_in.get(i)
        ins.append(Member(in_names.take(*x.path), carriers.input(x, flat), described(x)))
    out_members: list[int] = []
    for i, x in enumerate(border.outputs):
        out_members.append(len(outs))
        path = _result_path(x, len(border.outputs))
        flat = border.flats_out.get(i)
        outs.append(Member(out_names.take(*path), carriers.output(x, flat), described(x)))
    back: dict[int, int] = {}
    for i, x in enumerate(border.inputs):
        if x.mut and x.kind in ("graph", "segs", "sparse"):
            message = f"`{border.entry.name}` changes `{x.name}`, and no {x.kind} can come back"
            raise CompileError(error("E0622", message).with_help(f"return a new {x.kind} instead"))
        if x.mut and x.kind == "flat":
            back[i] = len(outs)
            flat = border.flats_in.get(i)
            outs.append(Member(out_names.take(*x.path), carriers.output(x, flat), described(x)))
    name = border.entry.name
    return EntryApi(
        border,
        symbol,
        Struct(f"{symbol}_in", tuple(ins), f"What `{name}` takes."),
        Struct(f"{symbol}_out", tuple(outs), f"What `{name}` gives."),
        tuple(in_members),
        tuple(out_members),
        MappingProxyType(back),
    )


def _result_path(x: Item, count: int) -> tuple[str, ...]:
    """`result`, `result_0`, or the leaf's name in a record."""
    if not x.path:
        return ("result",)
    if count > 1 or x.path[0].isdigit():
        return ("result", *x.path)
    return x.path


def described(x: Item) -> str:
    """An item's type as the program says it."""
    return f"{'mut ' if x.mut else ''}{x.type}"


def _dims_struct(prefix: str, layout: BlockLayout) -> Struct | None:
    if not layout.dims:
        return None
    names = Scope(("size", "abi"))
    members = tuple(Member(names.take(d), I64, d) for d in layout.dims)
    return Struct(f"{prefix}_dims", (*_HEAD, *members), "The sizes of the parameter sets.")


def _model_struct(prefix: str, interface: Interface, dims: Struct | None) -> Struct:
    names = Scope(("size", "abi", "writable", "dims"))
    bases = tuple(
        Member(names.take("weights", s.name), Pointer("void", False), f"the block of `{s.name}`")
        for s in interface.parameter_sets
    )
    own = (*_HEAD, Member("writable", U32, "whether entries may change the weights"))
    inner = () if dims is None else (Member("dims", dims),)
    pad = (Member("reserved", U32),)
    doc = "The weights of all parameter sets; made by the functions below, and never changed."
    return Struct(f"{prefix}_model", (*own, *pad, *bases, *inner), doc)


def _error_struct(prefix: str) -> Struct:
    char = Array(_CHAR, 64)
    members = (
        Member("size", U32, "sizeof of this struct"),
        Member("code", I32, "the status"),
        Member("line", U32, "place in the source, 0 if there is none"),
        Member("column", U32),
        Member("got", I64, "what was found; after success, the arena bytes that were needed"),
        Member("want", I64, "what is wanted"),
        Member("what", char, "which argument, or which check"),
    )
    return Struct(f"{prefix}_error", members, "Why a call failed.")


def _options_struct(prefix: str) -> Struct:
    fuel = Member("fuel", I64, "turns of loops without a bound, all together; 0: as many as usual")
    doc = "How a call is to run. NULL, or zeros after the head, is what is usual."
    return Struct(f"{prefix}_options", (*_HEAD, fuel), doc)


_CHAR = Primitive("char", "i8", 1)


def _number(structs: Sequence[Struct], layout: BlockLayout, symbols: Sequence[str]) -> int:
    """32 bits of a hash over every struct's layout."""
    digest = hashlib.sha256(f"{ABI_VERSION} {layout.identity}".encode())
    for s in structs:
        digest.update(f"{s.llvm} {[m.name for m in s.members]}\n".encode())
    digest.update(" ".join(symbols).encode())
    return int.from_bytes(digest.digest()[:4], "little") or 1


__all__ = ["ABI_VERSION", "ERROR_SIZE", "STATUS", "Api", "EntryApi", "capi", "described"]
