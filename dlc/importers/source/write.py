"""The text of a program that does what an imported model does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dlc.check.program import check_program
from dlc.diag import CompileError, Diagnostic, SourceFile, error
from dlc.importers.findings import Place
from dlc.importers.interface import MODEL
from dlc.importers.messages import Array
from dlc.importers.model import Imported
from dlc.importers.source.names import Names
from dlc.importers.source.scope import Scope, Uses
from dlc.importers.source.statements import body
from dlc.importers.source.text import Dims, Text, call
from dlc.ir.core import Value
from dlc.syntax.format import format_source
from dlc.typesys.dims import Dim, DimError


@dataclass(frozen=True)
class Source:
    """A program and its weights by the names that it gives them (`m.conv1_weight`)."""

    text: str
    weights: Mapping[str, Array]


def write(net: Imported, name: str) -> Source:
    """The model as a dl program called `name`, with one export, `main`.

    Raises CompileError E0714 with all that dl has no words for."""
    fn = net.module.functions[net.function]
    s = Scope(Uses.of(fn.body), Names(), Dims(), places=net.places)
    s.number(fn.body)
    for d in fn.dims:
        s.dims.name(d, s.names.fresh(d))
    s.names.fresh(MODEL)
    model = s.names.fresh("Weights")
    fields = _weights(s, net, fn.params)
    params: list[str] = []
    for v in fn.params[len(net.weights) :]:
        v_name = s.names.fresh(v.hint)
        s.texts[v] = Text(v_name)
        params.append(f"{v_name}: {s.dims.type(v.type)}")
    body(s, fn.body.ops[:-1])
    known = {s.dims.text(Dim.sym(d)).text for d in fn.dims}
    made = [_result(s, v, known) for v in fn.body.yields]
    results = [text for text, _ in made]
    s.line(f"return {', '.join(results)}")
    if s.unsayable:
        raise CompileError(_refusal(net, s.unsayable))
    types = [t for _, t in made]
    result = types[0] if len(types) == 1 else f"({', '.join(types)})"
    fields |= s.constants
    declared: list[str] = []
    if fields:
        params.insert(0, f"{MODEL}: {model}")
        declared = [f"    {n}: {s.dims.type(v.type)}" for n, (v, _) in fields.items()]
        declared = [f"model {model}:", *declared, ""]
    lines = [
        f"# {name}, from {net.file.rsplit('/', 1)[-1]}: {len(net.places)} operators.",
        *declared,
        f"export fn main({', '.join(params)}) -> {result}:",
        *s.lines,
    ]
    weights = {f"{MODEL}.{n}": x for n, (_, x) in fields.items()}
    return Source(_checked(net, name, "\n".join(lines) + "\n"), MappingProxyType(weights))


def _result(s: Scope, v: Value, known: Collection[str]) -> tuple[str, str]:
    """A result and its type. A size that only the run decides is written `?k` where it is one
    name; what is computed of such sizes gets a name."""
    t = v.tensor
    if not t.shape:
        return s.arg(v), t.dtype.name
    sizes, shape, renamed = list[str](), list[str](), False
    for d in t.shape:
        text = s.dims.text(d).text
        if all(s.dims.text(Dim.sym(n)).text in known for n in d.symbols()):
            sizes.append(text)
            shape.append(text)
            continue
        if not text.isidentifier():
            name = s.names.fresh("size")
            s.line(f"{name} = {text}")
            text, renamed = name, True
        sizes.append(f"?{text}")
        shape.append(text)
    made = call("reshape", s.arg(v), *shape).text if renamed else s.arg(v)
    return made, f"{t.dtype.name}[{', '.join(sizes)}]"


def _weights(s: Scope, net: Imported, params: tuple[Value, ...]) -> dict[str, tuple[Value, Array]]:
    """The fields for the initialisers."""
    out: dict[str, tuple[Value, Array]] = {}
    for v, (full, x) in zip(params, net.weights.items(), strict=False):
        name = s.fields.fresh(full[len(MODEL) + 1 :])
        out[name] = v, x
        s.texts[v] = Text(f"{MODEL}.{name}")
    return out


def _refusal(net: Imported, unsayable: Mapping[tuple[str, str], list[int]]) -> Diagnostic:
    rows = [(op, str(len(lines)), _place(net, lines[0]), why)
            for (op, why), lines in sorted(unsayable.items())]  # fmt: skip
    head = ("operation", "times", "first at", "why")
    widths = [max(len(r[i]) for r in (head, *rows)) for i in range(3)]
    table = "\n".join(
        "  ".join((*(c.ljust(w) for c, w in zip(r[:3], widths, strict=True)), r[3]))
        for r in (head, *rows)
    )
    found = error("E0714", f"{net.file}: dl has no words for {', '.join(r[0] for r in rows)}")
    return found.with_note(table).with_help(
        'import the model as it is: `import onnx "…" as Name`, or compile it without dl'
    )


def _place(net: Imported, line: int) -> str:
    known = 0 < line <= len(net.places)
    return _shown(net.places[line - 1]) if known else "the inputs"


def _shown(p: Place) -> str:
    return f"{p.path}, {p.operator}"


def _checked(net: Imported, name: str, text: str) -> str:
    """The text in its canonical form. What the checker cannot prove of sizes, it refuses."""
    source = SourceFile(f"{name}.dl", text)
    try:
        formatted = format_source(source)
        check_program(SourceFile(f"{name}.dl", formatted))
    except (CompileError, DimError) as e:
        found = error("E0714", f"{net.file}: as a program in dl it does not check")
        for d in e.diagnostics[:3] if isinstance(e, CompileError) else ():
            where = "" if d.primary is None else f" at `{d.primary.span.text[:60]}`"
            found = found.with_note(f"{d.code}: {d.message}{where}")
        if isinstance(e, DimError):
            found = found.with_note(str(e))
        raise CompileError(
            found.with_help("bind the sizes that are open: --bind batch=1, or import it as it is")
        ) from None
    return formatted
