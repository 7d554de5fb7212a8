"""The C header of an artefact: C99, C11 and C++17, without a warning.

It needs `stddef.h` and `stdint.h` only. All functions are pure: nothing is allocated, no global is
written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from dlc.artifact.capi import STATUS, Api, EntryApi
from dlc.artifact.names import Scope
from dlc.artifact.structs import Array, CType, Member, Pointer, Primitive, Struct
from dlc.typesys.interface import EntryInfo

WIDTH = 100


def header(api: Api, arena: Mapping[str, int] | None = None, note: str = "") -> str:
    """The header's text. `arena`: the bytes that an entry needs, for those whose need is one
    number. `note` is printed at its top."""
    p = api.prefix
    guard = f"{p.upper()}_H"
    lines = [
        *_comment(_INTRODUCTION.format(p=p, big=p.upper(), note=note)),
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        *_aligned(p.upper()),
        "#ifdef __cplusplus",
        f"#define {p.upper()}_ZERO {{}}",
        'extern "C" {',
        "#else",
        f"#define {p.upper()}_ZERO {{0}}",
        "#endif",
        "",
        f"#define {p.upper()}_ABI UINT32_C(0x{api.number:08x})",
        "",
        *_statuses(api),
        *_struct(api.error),
        *_maker(api, api.error.name, "no_error", "A record to be told what went wrong.", abi=False),
        *_struct(api.options),
        *_maker(api, api.options.name, "no_options", "What is usual, to be changed."),
        f"/* A status in words. */\nconst char *{p}_status_text({p}_status status);",
        "",
    ]
    if api.tags:
        lines += ["/* Constructors: what stands in `tags`. */", *_enum(api.tags), ""]
    for s in api.structs:
        lines += _struct(s)
    if api.model is not None:
        lines += _model(api)
    for e in api.entries:
        lines += _entry(api, e, (arena or {}).get(e.name))
    lines += ["#ifdef __cplusplus", "}", "#endif", "", f"#endif /* {guard} */"]
    return "\n".join(lines) + "\n"


_INTRODUCTION = """{p}.h: native code without run-time library. {note}

Nothing here allocates, does I/O or writes a global. A {p}_model is never changed by a call and may
serve any number of threads; an arena serves one call at a time. An arena begins at a multiple of
64 bytes and is a multiple of 64 bytes long.

A call checks its arguments and binds every size before it computes: a call that ends with
{big}_E_ABI, _E_ARG, _E_SHAPE or _E_STRUCT has changed nothing. After any other failure what the
call may change (results, `mut` arguments, weights of a model that it trains) has no defined
contents. Inputs, results and the arena may not overlap."""


def _aligned(big: str) -> Iterator[str]:
    """How every compiler aligns a variable as arenas and weights are."""
    name = f"{big}_ALIGNED"
    yield f"/* Of a variable that holds an arena or weights: `static {name} char arena[4096];` */"
    yield "#if defined(__GNUC__)"
    yield f"#define {name} __attribute__((aligned(64)))"
    yield "#elif defined(_MSC_VER)"
    yield f"#define {name} __declspec(align(64))"
    yield "#else"
    yield f"#define {name} _Alignas(64)"
    yield "#endif"
    yield ""


def _comment(text: str) -> list[str]:
    lines = text.replace("*/", "* /").split("\n")
    out = [f"/* {lines[0]}"] + [f" * {line}".rstrip() for line in lines[1:]]
    out[-1] += " */"
    return out


def _statuses(api: Api) -> Iterator[str]:
    p, big = api.prefix, api.prefix.upper()
    yield f"typedef int32_t {p}_status;"
    yield "enum {"
    for i, (name, meaning) in enumerate(STATUS):
        comma = "," if i + 1 < len(STATUS) else ""
        yield f"    {big}_{name} = {i}{comma} /* {meaning} */"
    yield "};"
    yield ""
    yield "/* How much to trust a number of bytes: always enough and never too much, always enough,"
    yield f" * or a guess (call again with more after {big}_E_ARENA). */"
    yield f"typedef int32_t {p}_need;"
    yield f"enum {{ {big}_EXACT = 0, {big}_BOUND = 1, {big}_UNBOUNDED = 2 }};"
    yield ""


def _enum(constants: Sequence[tuple[str, int]]) -> Iterator[str]:
    yield "enum {"
    for i, (name, n) in enumerate(constants):
        yield f"    {name} = {n}" + ("," if i + 1 < len(constants) else "")
    yield "};"


def declaration(t: CType, name: str) -> str:
    """`const float *data`, `int64_t dims[2]`."""
    if isinstance(t, Primitive):
        return f"{t.c} {name}"
    if isinstance(t, Pointer):
        return f"{'const ' if t.const else ''}{t.to} *{name}"
    if isinstance(t, Array):
        return f"{t.of.c} {name}[{t.count}]"
    return f"{t.name} {name}"


def _struct(s: Struct) -> Iterator[str]:
    if s.doc:
        yield from _comment(s.doc)
    yield "typedef struct {"
    for m in s.members:
        yield _member(m)
    yield f"}} {s.name};"
    yield ""


def _member(m: Member) -> str:
    text = f"    {declaration(m.type, m.name)};"
    return f"{text} /* {m.doc} */" if m.doc else text


def _maker(
    api: Api,
    struct: str,
    function: str,
    doc: str,
    *,
    abi: bool = True,
    known: Sequence[tuple[str, int]] = (),
) -> Iterator[str]:
    """An inline function that gives an empty struct with its size filled in, and the members that
    are `known`."""
    p = api.prefix
    yield f"/* {doc} */"
    yield f"static inline {struct} {p}_{function}(void) {{"
    yield f"    {struct} x = {p.upper()}_ZERO;"
    yield "    x.size = (uint32_t)sizeof x;"
    if abi:
        yield f"    x.abi = {p.upper()}_ABI;"
    for member, n in known:
        yield f"    x.{member} = {n};"
    yield "    return x;"
    yield "}"
    yield ""


# -- the model


_MODEL = """/* Weights lie in one block that begins at a multiple of 64 bytes: {p}.weights.bin
 * read or mapped into memory{embedded}. The block must stay where it is as long as the model is
 * used. */
{p}_status {p}_model_init({p}_model *model, const void *weights, size_t bytes, {p}_error *error);

/* The same for a block that entries may change. */
{p}_status {p}_model_init_mut({p}_model *model, void *weights, size_t bytes, {p}_error *error);
"""

_DIMS = """
/* The sizes that the model has. */
{p}_status {p}_model_dims(const {p}_model *model, {p}_dims *dims, {p}_error *error);

/* Bytes of a block for these sizes, 0 if they are out of range. */
size_t {p}_model_bytes(const {p}_dims *dims);

/* Makes a block for these sizes, its weights all zero bytes. */
{p}_status {p}_model_layout(const {p}_dims *dims, void *weights, size_t bytes, {p}_error *error);
"""

_FIXED_DIMS = """
/* Bytes of a block. */
size_t {p}_model_bytes(void);

/* Makes a block whose weights are all zero bytes. */
{p}_status {p}_model_layout(void *weights, size_t bytes, {p}_error *error);
"""

_INIT = """
/* Draws the first weights of `{name}`. The model must be writable. */
{p}_status {symbol}({p}_model *model, int64_t key, void *arena, size_t bytes, {p}_error *error);
"""


def _model(api: Api) -> Iterator[str]:
    assert api.model is not None
    p = api.prefix
    if api.dims is not None:
        yield from _struct(api.dims)
        members = [m.name for m in api.dims.members[-len(api.layout.dims) :]]
        pairs = zip(members, api.layout.dims, strict=True)
        known = [(m, api.fixed[d]) for m, d in pairs if d in api.fixed]
        text = "Sizes to be filled in" + (", besides those that are bound." if known else ".")
        yield from _maker(api, api.dims.name, "no_dims", text, known=known)
    yield from _struct(api.model)
    embedded = (
        ", or\n * NULL with 0 bytes: the weights that were compiled in" if api.embedded else ""
    )
    text = _MODEL.format(p=p, embedded=embedded)
    text += (_FIXED_DIMS if api.dims is None else _DIMS).format(p=p)
    if api.embedded:
        big = p.upper()
        total = api.layout.places(api.fixed)[1]
        text += "\n/* The block that was compiled in; to train it, copy it. */\n"
        text += f"#define {big}_WEIGHTS_BYTES ((size_t){total})\n"
        text += f"extern const unsigned char {p}_weights[{total}];\n"
    for name, symbol in api.initialisers.items():
        text += _INIT.format(p=p, name=name, symbol=symbol)
    yield from text.rstrip("\n").split("\n")
    yield ""


# -- entries


def signature(e: EntryInfo) -> str:
    """The entry as the program declares it."""
    inside = ", ".join(f"{p.name}: {'mut ' if p.mut else ''}{p.type}" for p in e.parameters)
    return f"{e.name}({inside}) -> {e.result}"


def _entry(api: Api, e: EntryApi, arena: int | None) -> Iterator[str]:
    p, s = api.prefix, e.symbol
    place = e.border.entry.place
    yield f"/* ---- {e.name}"
    yield f" * {signature(e.border.entry)}".replace("*/", "* /")
    yield f" * {place.file}:{place.line}:{place.column} */"
    yield ""
    yield from _struct(e.input)
    yield from _struct(e.output)
    name = e.name.replace(".", "_")
    yield from _maker(api, e.input.name, f"{name}_input", "An empty input.")
    yield from _maker(api, e.output.name, f"{name}_output", "An empty output.")
    model = _model_parameter(api, e)
    yield f"{p}_status {s}({model}const {e.input.name} *in, {e.output.name} *out,"
    yield f"    void *arena, size_t bytes, const {p}_options *options, {p}_error *error);"
    yield ""
    yield "/* The bytes of arena that the call needs. */"
    const = _model_parameter(api, e, const=True)
    yield f"{p}_status {s}_bytes({const}const {e.input.name} *in, size_t *bytes, {p}_need *need,"
    yield f"    {p}_error *error);"
    yield ""
    yield "/* Fills in the dims of every result whose size is known before the call. */"
    yield f"{p}_status {s}_sizes({const}const {e.input.name} *in, {e.output.name} *out,"
    yield f"    {p}_error *error);"
    yield ""
    if e.is_static:
        yield from _static(api, e, arena)


def _model_parameter(api: Api, e: EntryApi, const: bool = False) -> str:
    if not e.border.sets:
        return ""
    mutable = bool(e.border.written) and not const
    return f"{'' if mutable else 'const '}{api.prefix}_model *model, "


def _static(api: Api, e: EntryApi, arena: int | None) -> Iterator[str]:
    """For entries of fixed sizes: a macro for each size, and a function of plain pointers."""
    big, fixed = e.symbol.upper(), e.border.fixed
    items = [*zip(e.border.inputs, e.in_members, strict=True)]
    results = [*zip(e.border.outputs, e.out_members, strict=True)]
    if any(x.kind not in ("scalar", "tensor") for x, _ in (*items, *results)):
        return
    parameters: list[str] = []
    body: list[str] = []
    after: list[str] = []
    # Locals of the function come first: a member may have any name.
    names = Scope(("in", "out", "status", "model", "arena", "bytes"))
    for owner, s, pairs in (("in", e.input, items), ("out", e.output, results)):
        for x, at in pairs:
            m = s.members[at]
            name = names.take(m.name)
            if isinstance(m.type, Struct):
                shape = [d.evaluate(fixed) for d in x.tensor.shape]
                count = math.prod(shape)
                yield f"#define {big}_{m.name.upper()}_ELEMENTS {count}"
                parameters.append(declaration(m.type.members[0].type, name))
                body.append(f"{owner}.{m.name}.data = {name};")
                if owner == "out":
                    body.append(f"{owner}.{m.name}.capacity = {count};")
                else:
                    body += [f"{owner}.{m.name}.dims[{i}] = {n};" for i, n in enumerate(shape)]
            elif owner == "in":
                parameters.append(declaration(m.type, name))
                body.append(f"{owner}.{m.name} = {name};")
            else:
                assert isinstance(m.type, Primitive)
                parameters.append(declaration(Pointer(m.type.c, False), name))
                after.append(f"*{name} = out.{m.name};")
    if arena is not None:
        yield f"#define {big}_ARENA_BYTES {arena}"
    yield from _static_function(api, e, parameters, (body, after), arena)


def _static_function(
    api: Api,
    e: EntryApi,
    parameters: list[str],
    lines: tuple[list[str], list[str]],
    arena: int | None,
) -> Iterator[str]:
    p, s = api.prefix, e.symbol
    name = e.name.replace(".", "_")
    model = "model, " if e.border.sets else ""
    size = "" if arena is not None else ", size_t bytes"
    yield "/* The same call with plain arrays. */"
    listed = ", ".join([*parameters, "void *arena"]) + size
    yield f"static inline {p}_status {s}_fixed({_model_parameter(api, e)}{listed}) {{"
    yield f"    {e.input.name} in = {p}_{name}_input();"
    yield f"    {e.output.name} out = {p}_{name}_output();"
    yield f"    {p}_status status;"
    for line in lines[0]:
        yield f"    {line}"
    bytes_ = f"{s.upper()}_ARENA_BYTES" if arena is not None else "bytes"
    yield f"    status = {s}({model}&in, &out, arena, {bytes_}, NULL, NULL);"
    for line in lines[1]:
        yield f"    {line}"
    yield "    return status;"
    yield "}"
    yield ""
