"""Programs that run by themselves: a C source with `main` for the entries of an artefact.

    net logits t.tags=0,0,1 t.children=0,1 t.Leaf_word=3,5 -w net.weights.bin -o results

Arguments are members of the entries' C structs. `main.c` has the code, which is the same for all
programs; here are the tables that say where each number and each array of a struct lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlc.artifact.capi import Api, EntryApi
from dlc.artifact.flat import FlatType
from dlc.artifact.header import signature
from dlc.artifact.items import Item
from dlc.artifact.structs import Struct
from dlc.typesys.types import ListType, TensorType

_TABLES = "/* TABLES */\n"
_LETTERS = {
    "f64": "d", "f32": "f", "f16": "e", "bf16": "b", "i64": "l", "i32": "i", "i16": "h", "i8": "c",
    "u8": "u", "bool": "?",
}  # fmt: skip
_CHANGES = ", which the call changes"
_ENDS = {"src": ": where each arc begins", "dst": ": where each arc ends"}


@dataclass(frozen=True)
class _Slot:
    """A row of a table; places are members of the struct, "" where there is none."""

    name: str
    letter: str
    data: str
    is_number: bool = False
    is_mut: bool = False
    rank: int = 0
    less: int = 0
    dims: str = ""
    count: str = ""
    capacity: str = ""
    source: str = ""
    is_field: bool = False
    what: str = ""

    def text(self, struct: str) -> str:
        places = ", ".join(
            f"offsetof({struct}, {m})" if m else "NONE"
            for m in (self.data, self.dims, self.count, self.capacity, self.source)
        )
        flags = (self.is_number, self.is_mut, bool(self.count), self.is_field)
        numbers = ", ".join(str(int(x)) for x in (*flags, self.rank, self.less))
        head = f"    {{\"{self.name}\", '{self.letter}', {numbers}, {places},"
        return f'{head}\n     "{_quoted(self.what)}"}},'


def main_source(api: Api, header: str) -> str:
    """The program's text, the header included."""
    code = (Path(__file__).parent / "main.c").read_text(encoding="utf-8")
    before, after = code.split(_TABLES)
    head = [*_names(api)]
    tables = [line for i, e in enumerate(api.entries) for line in _entry(api, i, e)]
    rows = [line for i, e in enumerate(api.entries) for line in _row(i, e)]
    body = [*tables, "static const entry entries[] = {", *rows, "};", *_model(api)]
    return "\n".join([header, *head, before, *body, after])


def _names(api: Api) -> Iterator[str]:
    """What the code calls the types and constants of the header."""
    p, big = api.prefix, api.prefix.upper()
    yield f"typedef {p}_error error_record;"
    yield f"typedef {p}_options call_options;"
    for name in ("no_error", "no_options", "status_text"):
        yield f"#define {name} {p}_{name}"
    for name in ("ARENA", "FUEL", "SPACE"):
        yield f"#define STATUS_{name} {big}_E_{name}"
    yield f"#define ENTRIES {len(api.entries)}"
    yield f"#define MODEL_SIZE {f'sizeof({p}_model)' if api.model is not None else 1}"


def _entry(api: Api, i: int, e: EntryApi) -> Iterator[str]:
    own = "model, " if e.border.sets else ""
    unused = "" if e.border.sets else "(void)model; "
    for what, struct, slots in (
        ("in", e.input, _inputs(e)), ("out", e.output, _outputs(e)),
    ):  # fmt: skip
        yield f"static const slot {what}_{i}[] = {{"
        yield from (s.text(struct.name) for s in slots)
        yield f"    {{NULL, {'0, ' * 7}{'NONE, ' * 5}NULL}}"
        yield "};"
    yield f"static void start_{i}(void *in, void *out) {{"
    name = f"{api.prefix}_{e.name.replace('.', '_')}"
    yield f"    *({e.input.name} *)in = {name}_input();"
    yield f"    *({e.output.name} *)out = {name}_output();"
    yield "}"
    yield f"static int32_t sizes_{i}(const void *model, const void *in, void *out,"
    yield f"    error_record *error) {{ {unused}return {e.symbol}_sizes({own}in, out, error); }}"
    yield f"static int32_t bytes_{i}(const void *model, const void *in, size_t *bytes,"
    yield "    error_record *error) {"
    yield f"    {unused}return {e.symbol}_bytes({own}in, bytes, NULL, error);"
    yield "}"
    yield f"static int32_t call_{i}(void *model, const void *in, void *out, void *arena,"
    yield "    size_t bytes, const call_options *options, error_record *error) {"
    yield f"    {unused}return {e.symbol}({own}in, out, arena, bytes, options, error);"
    yield "}"


def _row(i: int, e: EntryApi) -> Iterator[str]:
    counts = f"{len(_inputs(e))}, {len(_outputs(e))}"
    flags = f"{int(bool(e.border.sets))}, {int(bool(e.border.written))}"
    text = _quoted(signature(e.border.entry))
    yield f'    {{"{e.name}", "{text}", in_{i}, out_{i}, {counts}, {flags},'
    yield f"     sizeof({e.input.name}), sizeof({e.output.name}),"
    yield f"     start_{i}, sizes_{i}, bytes_{i}, call_{i}}},"


def _model(api: Api) -> Iterator[str]:
    """Making the model, and the block that is compiled in."""
    p = api.prefix
    yield "static int32_t open_model(void *model, void *weights, size_t bytes, error_record *e) {"
    if api.model is not None:
        yield f"    return {p}_model_init_mut(model, weights, bytes, e);"
    else:
        yield "    (void)model, (void)weights, (void)bytes, (void)e;"
        yield "    return 0;"
    yield "}"
    yield "static size_t embedded(char *to) {"
    if api.embedded:
        yield f"    if (to) memcpy(to, {p}_weights, sizeof {p}_weights);"
        yield f"    return sizeof {p}_weights;"
    else:
        yield "    (void)to;"
        yield "    return 0;"
    yield "}"


# -- slots


def _inputs(e: EntryApi) -> list[_Slot]:
    out: list[_Slot] = []
    for i, (x, at) in enumerate(zip(e.border.inputs, e.in_members, strict=True)):
        out += _item(x, e.input, at, e.border.flats_in.get(i), is_output=False)
    return out


def _outputs(e: EntryApi) -> list[_Slot]:
    out: list[_Slot] = []
    for i, (x, at) in enumerate(zip(e.border.outputs, e.out_members, strict=True)):
        out += _item(x, e.output, at, e.border.flats_out.get(i), is_output=True)
    for i, at in e.back.items():
        x = e.border.inputs[i]
        out += _item(x, e.output, at, e.border.flats_in.get(i), is_output=True)
    return out


def _item(
    x: Item, struct: Struct, at: int, flat: FlatType | None, *, is_output: bool
) -> Iterator[_Slot]:
    name = struct.members[at].name
    capacity = f"{name}.capacity" if is_output else ""
    if x.kind == "scalar":
        is_place = x.mut and not is_output
        letter = _LETTERS[x.tensor.dtype.name]
        what = f"{x.type}{_CHANGES if is_place else ''}"
        yield _Slot(name, letter, name, is_number=not is_place, is_mut=is_place, what=what)
    elif x.kind == "tensor":
        t = x.tensor
        yield _Slot(
            name, _LETTERS[t.dtype.name], f"{name}.data", is_mut=x.mut and not is_output,
            rank=t.rank, dims=f"{name}.dims", capacity=capacity,
            what=f"{x.type}{_CHANGES if x.mut else ''}",
        )  # fmt: skip
    elif flat is not None:
        carrier = struct.members[at].type
        assert isinstance(carrier, Struct)
        yield from _flat(name, carrier, flat)
    else:
        yield from _structure(x, name, capacity)


def _structure(x: Item, name: str, capacity: str) -> Iterator[_Slot]:
    """A graph, segments or a sparse vector."""
    if x.kind == "segs":
        yield _Slot(
            f"{name}.starts", "i", f"{name}.starts", less=1, count=f"{name}.rows",
            capacity=capacity, what="i32[rows + 1]: where each row of items begins, and the end",
        )  # fmt: skip
        return
    number, count = ("nodes", "arcs") if x.kind == "graph" else ("size", "count")
    what = "number of nodes" if x.kind == "graph" else "length with the zeros"
    yield _Slot(f"{name}.{number}", "l", f"{name}.{number}", is_number=True, what=what)
    arrays = ("src", "dst") if x.kind == "graph" else ("indices", "values")
    for array, leaf in zip(arrays, x.leaves, strict=True):
        assert isinstance(leaf.type, TensorType)
        yield _Slot(
            f"{name}.{array}", _LETTERS[leaf.type.dtype.name], f"{name}.{array}",
            count=f"{name}.{count}", capacity=capacity,
            what=f"{leaf.type.dtype}[{count}]{_ENDS.get(array, '')}",
        )  # fmt: skip


def _flat(name: str, carrier: Struct, flat: FlatType) -> Iterator[_Slot]:
    """A list or an algebraic value. Its length is that of its first column where that shows it."""
    members = [m.name for m in carrier.members]
    columns = members[len(members) - len(flat.columns) :]
    first = ""
    if isinstance(flat.type, ListType) and isinstance(flat.type.columns[0], TensorType):
        first = f"{name}.{columns[0]}.rows"
    for m in members:
        at = f"{name}.{m}"
        if m == "length":
            what = "number of elements"
            yield _Slot(at, "l", at, is_number=True, source=first, what=what)
        elif m == "count":
            what = "number of rows, those that are not listed included"
            yield _Slot(at, "l", at, is_number=True, what=what)
        elif m == "root":
            yield _Slot(
                at, "l", at, is_number=True, less=1, source=f"{name}.nodes", what="the last node"
            )
        elif m == "tags":
            kinds = ", ".join(f"{t.number} {t.constructor}" for t in flat.tags)
            what = f"i32[nodes]: each node's constructor ({kinds}), parts before wholes"
            yield _Slot(at, "i", at, count=f"{name}.nodes", what=what)
        elif m == "children":
            what = "i32[child_count]: the nodes' parts in order; for a list its length before"
            yield _Slot(at, "i", at, count=f"{name}.child_count", what=what)
    yield from _columns(name, columns, flat)


def _columns(name: str, columns: Sequence[str], flat: FlatType) -> Iterator[_Slot]:
    for m, c in zip(columns, flat.columns, strict=True):
        at = f"{name}.{m}"
        rank = 0 if c.varies else len(c.shape)
        axes = ["rows", *(str(d) for d in c.shape[:rank])]
        what = f"{c.dtype}[{', '.join(axes)}]: "
        is_field = c.number >= flat.own
        owner = f"`{c.path[-1]}` of a {c.path[0]}" if is_field else "element"
        what += "elements of all rows in order" if c.varies else f"a row for each {owner}"
        if is_field:
            what += "; may be left out if there is none"
        yield _Slot(
            at, _LETTERS[c.dtype.name], f"{at}.data", rank=rank,
            dims=f"{at}.dims" if rank else "", count=f"{at}.rows", is_field=is_field, what=what,
        )  # fmt: skip


def _quoted(text: str) -> str:
    """Inside of a string in C."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
