"""Models and algebraic types: heads, fields, initialisers, and that every type has a finite
value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dlc.check.decls import (
    AdtDecl,
    ConstructorDecl,
    DimDecl,
    FieldDecl,
    Initialiser,
    ModelDecl,
    ModelField,
)
from dlc.check.entities import INITIALISERS, AdtItem, FunctionItem, ModelItem
from dlc.check.onnx_model import OnnxReader
from dlc.check.read_type import TypeReader, type_name
from dlc.check.tables import Tables
from dlc.diag import CompileError, Diagnostic, Span, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.surface import (
    Adt,
    Array,
    Const,
    Element,
    Function,
    Item,
    Key,
    Keys,
    List,
    Model,
    Option,
    Rows,
    Tensor,
    Tuple,
    Type,
    Unit,
    Unknown,
)


def declare(tables: Tables, onnx: OnnxReader | None) -> None:
    """Fill `heads`, `adts`, `models`, `onnx` and `functions` of the tables."""
    items = [e for s in tables.modules.by_name.values() for e in s.own.values()]
    for item in items:
        if isinstance(item, (ModelItem, AdtItem)):
            tables.heads[item.name] = _head(tables, item)
        elif isinstance(item, FunctionItem):
            tables.functions[item.name] = item
    for item in items:
        if isinstance(item, AdtItem):
            _adt(tables, item)
        elif isinstance(item, ModelItem):
            if isinstance(item.node, tree.ModelDef):
                _model(tables, item, item.node)
            else:
                _onnx(tables, item, item.node, onnx)
    _finite(tables)
    _acyclic_models(tables)


def _head(tables: Tables, item: ModelItem | AdtItem) -> tuple[DimDecl, ...]:
    node = item.node
    if isinstance(node, tree.ImportOnnx):
        return ()
    out: dict[str, DimDecl] = {}
    for g in node.generics:
        const = g.kind is not None and g.kind.text == "const"
        if g.kind is not None and not const:
            text = f"a {'type' if isinstance(item, AdtItem) else 'model'} has dims only"
            found = error("E0307", text, g.kind.span)
            tables.bag.add(found.with_help("write the name alone, or `: const`"))
        if g.name.text in out:
            found = error("E0204", f"`{g.name}` is defined twice", g.name.span)
            found = found.with_label(out[g.name.text].span, "first here")
            tables.bag.add(found.with_help("give one of them another name"))
        default = whole_default(g, tables)
        out.setdefault(g.name.text, DimDecl(g.name.text, const, default, g.name.span))
    return tuple(out.values())


def whole_default(g: tree.Generic, tables: Tables) -> int | None:
    """The default of a dim, a whole number."""
    if g.default is None:
        return None
    if isinstance(g.default.value, int):
        return g.default.value
    text = f"the default of `{g.name}` must be a whole number"
    tables.bag.add(error("E0307", text, g.default.span).with_help("write it without a point"))
    return None


@dataclass
class FieldPlace:
    """Types of fields: their dims are those of the declaration."""

    tables: Tables
    owner: str
    dims: tuple[DimDecl, ...]

    def name(self, node: tree.Name) -> Dim | None:
        if any(d.name == node.id for d in self.dims):
            return Dim.sym(node.id)
        names = [d.name for d in self.dims]
        found = error("E0201", f"no dim `{node.id}`", node.span)
        found = found.with_note(f"the dims of `{self.owner}`: {', '.join(names) or 'none'}")
        found = did_you_mean(found, node.id, names, node.span)
        if not found.helps:
            every = ", ".join([*names, node.id])
            found = found.with_help(f"declare it: `{self.owner}[{every}]`")
        self.tables.bag.add(found)
        return None

    def path(self, node: tree.Attr) -> Dim | None:
        found = error("E0304", "a field's dims are those of its declaration", node.span)
        self.tables.bag.add(found.with_help(f"use a dim of `{self.owner}`"))
        return None

    def fresh(self, node: tree.FreshDim) -> Dim | None:
        found = error("E0306", f"`?{node.name}` cannot stand in a field", node.span)
        self.tables.bag.add(found.with_help(f"declare `{node.name}` as a dim of `{self.owner}`"))
        return None

    def open(self, owner: str, dim: DimDecl, span: Span) -> Dim | None:
        if owner == self.owner:
            return Dim.sym(dim.name)
        return None if dim.default is None else Dim.const(dim.default)

    def known(self, dim: Dim, owner: str, span: Span) -> bool:
        const = {d.name for d in self.dims if d.const}
        loose = [n for n in dim.symbols() if n not in const]
        if loose:
            found = error("E0351", f"{owner} must be known when compiling", span)
            self.tables.bag.add(found.with_help(f"declare it so: `{loose[0]}: const`"))
        return not loose

    def run(self, node: tree.ShapeVar) -> tuple[Item, ...] | None:
        found = error("E0309", f"`*{node.name}` cannot stand in a field", node.span)
        self.tables.bag.add(found.with_help("write out the dims"))
        return None

    def element(self, name: str) -> Element | None:
        return None

    def value(self, name: str) -> Type | None:
        return None


def _adt(tables: Tables, item: AdtItem) -> None:
    dims = tables.heads[item.name] or ()
    place = FieldPlace(tables, item.node.name.text, dims)
    reader = TypeReader(tables.modules, tables, item.module, place, tables.bag.add)
    constructors: list[ConstructorDecl] = []
    for v in item.node.variants:
        fields: dict[str, FieldDecl] = {}
        for f in v.fields:
            t = reader.type(f.type)
            if isinstance(t, (Key, Keys)):
                text = "a Key cannot be kept in a value: it is used once"
                tables.bag.add(error("E0412", text, f.type.span).with_help("pass it beside"))
                t = Unknown()
            if isinstance(t, (Function, Const, Rows, Unit)):
                text = f"a field of a type cannot be {_a(t)}"
                found = error("E0311", text, f.type.span)
                tables.bag.add(found.with_note("fields are tensors, lists, tuples, models, types"))
                t = Unknown()
            if f.name.text in fields:
                found = error("E0204", f"`{f.name}` is defined twice", f.name.span)
                found = found.with_label(fields[f.name.text].span, "first here")
                tables.bag.add(found.with_help("give one of them another name"))
            fields[f.name.text] = FieldDecl(f.name.text, t, f.name.span)
        constructors.append(ConstructorDecl(v.name.text, tuple(fields.values()), v.name.span))
    tables.adts[item.name] = AdtDecl(item.name, dims, tuple(constructors), item.span)


def _a(t: Type) -> str:
    return {"Function": "a function", "Const": "const", "Unit": "nothing"}.get(
        type(t).__name__, f"a {type_name(t)}"
    )


def _model(tables: Tables, item: ModelItem, node: tree.ModelDef) -> None:
    dims = tables.heads[item.name] or ()
    place = FieldPlace(tables, node.name.text, dims)
    reader = TypeReader(tables.modules, tables, item.module, place, tables.bag.add)
    fields: dict[str, ModelField] = {}
    names = {d.name: d.span for d in dims}
    for m in node.members:
        t = reader.type(m.type)
        if isinstance(t, (Key, Keys)):
            text = "a Key cannot be kept in a model: it is used once"
            tables.bag.add(error("E0412", text, m.type.span).with_help("pass it beside"))
            t = Unknown()
        elif not isinstance(t, (Tensor, Model, Array, Unknown)):
            found = error("E0311", f"a field of a model cannot be {_a(t)}", m.type.span)
            tables.bag.add(found.with_note("a model holds tensors, models, and Arrays of models"))
            t = Unknown()
        at = names.get(m.name.text) or (fields[m.name.text].span if m.name.text in fields else None)
        if at is not None or m.name.text == "T":
            found = error("E0204", f"`{m.name}` is defined twice", m.name.span)
            found = found.with_label(at, "first here") if at else found.with_note("`.T` transposes")
            tables.bag.add(found.with_help("give one of them another name"))
        init = _initialiser(tables, m, t)
        fields[m.name.text] = ModelField(m.name.text, t, init, m.name.span)
    head = node.header
    tables.models[item.name] = ModelDecl(item.name, dims, tuple(fields.values()), head)


def _initialiser(tables: Tables, m: tree.Member, t: Type) -> Initialiser | None:
    node = m.init
    if node is None:
        return None
    if not isinstance(t, Tensor):
        if not isinstance(t, Unknown):
            text = f"only a tensor has an initialiser; `{m.name}` is {_a(t)}"
            found = error("E0350", text, node.span)
            tables.bag.add(found.with_help("leave it out: a model's fields have their own"))
        return None
    callee = node.callee if isinstance(node, tree.Call) else node
    if not isinstance(callee, tree.Name) or callee.id not in INITIALISERS:
        found = error("E0350", "this is not an initialiser", node.span)
        found = found.with_note(f"initialisers: {', '.join(INITIALISERS)}")
        if isinstance(callee, tree.Name):
            found = did_you_mean(found, callee.id, INITIALISERS, callee.span)
        tables.bag.add(found)
        return None
    args: list[float] = []
    for a in node.args if isinstance(node, tree.Call) else ():
        value = literal_number(a.value)
        if value is None or a.name is not None:
            text = "the arguments of an initialiser are numbers"
            tables.bag.add(error("E0350", text, a.span).with_help(f"`~ {callee.id}(0.1)`"))
            return None
        args.append(float(value))
    return _arity(tables, node, callee.id, args)


_INIT_ARGS = {"normal": (0, 1), "uniform": (0, 2), "fill": (1, 1)}


def _arity(tables: Tables, node: tree.Expr, name: str, args: Sequence[float]) -> Initialiser | None:
    least, most = _INIT_ARGS.get(name, (0, 0))
    if not least <= len(args) <= most:
        counted = str(most) if least == most else f"{least} to {most}"
        text = f"`{name}` takes {counted} number{'s' * (most != 1)}, this gives {len(args)}"
        found = error("E0350", text, node.span)
        shown = {"normal": "normal(0.1)", "uniform": "uniform(-0.1, 0.1)", "fill": "fill(1.0)"}
        tables.bag.add(found.with_help(f"`~ {shown.get(name, name + '()')}`"))
        return None
    return Initialiser(name, tuple(args))


def literal_number(e: tree.Expr) -> int | float | None:
    """The value of a number or a negative number."""
    if isinstance(e, tree.Number):
        return e.value
    if isinstance(e, tree.Unary) and isinstance(e.operand, tree.Number):
        return -e.operand.value
    return None


def _onnx(
    tables: Tables, item: ModelItem, node: tree.ImportOnnx, reader: OnnxReader | None
) -> None:
    tables.heads[item.name] = None
    if reader is None:
        found = error("E0901", f'cannot read "{node.path.value}"', node.path.span)
        tables.bag.add(found.with_note("no importer of ONNX files is at hand here"))
        return
    try:
        signature = reader(node.path.value, node.path.span)
    except CompileError as problem:
        for found in problem.diagnostics:
            tables.bag.add(_placed(found, node.path.span))
        return
    fields = tuple(ModelField(n, t, None, node.name.span) for n, t in signature.weights)
    tables.heads[item.name] = ()
    tables.onnx[item.name] = signature
    tables.models[item.name] = ModelDecl(item.name, (), fields, node.span, signature.path)


def _placed(found: Diagnostic, span: Span) -> Diagnostic:
    if found.primary is not None:
        return found
    again = error(found.code, found.message, span)
    for note in found.notes:
        again = again.with_note(note)
    for help in found.helps:
        again = again.with_help(help.text, *help.edits)
    return again


# -- finiteness


def _finite(tables: Tables) -> None:
    """E0310: a type whose every constructor needs a value of the type itself."""
    finite: set[str] = set()
    changed = True
    while changed:
        changed = False
        for name, decl in tables.adts.items():
            if name not in finite and any(
                all(_is_finite(f.type, finite) for f in c.fields) for c in decl.constructors
            ):
                finite.add(name)
                changed = True
    for name, decl in tables.adts.items():
        if name not in finite:
            short = name.rsplit(".", 1)[-1]
            found = error("E0310", f"no value of `{short}` can ever be built", decl.span)
            for c in decl.constructors:
                for f in c.fields:
                    if not _is_finite(f.type, finite):
                        found = found.with_label(f.span, f"needs a {type_name(f.type)} first")
                        break
            tables.bag.add(found.with_help(f"add a variant without a `{short}`: `| Nil`"))


def _is_finite(t: Type, finite: set[str]) -> bool:
    if isinstance(t, Adt):
        return t.name in finite
    if isinstance(t, Tuple):
        return all(_is_finite(i, finite) for i in t.items)
    if isinstance(t, (List, Option)):
        return True
    return True


def _acyclic_models(tables: Tables) -> None:
    """E0310: a model that contains itself. The fields that lead back are broken from here on, so
    that no walk over fields runs in a circle."""
    circles = {n for n in tables.models if n in _inside(tables, n)}
    for name in sorted(circles):
        decl = tables.models[name]
        short = name.rsplit(".", 1)[-1]
        found = error("E0310", f"`{short}` contains itself", decl.span)
        tables.bag.add(found.with_help("a structure that repeats is a `type`, or an Array"))
    for name in sorted(circles):
        decl = tables.models[name]
        fields = tuple(
            replace(f, type=Unknown()) if _model_name(f.type) in circles else f for f in decl.fields
        )
        tables.models[name] = replace(decl, fields=fields)


def _model_name(t: Type) -> str:
    inner = t.element if isinstance(t, Array) else t
    return inner.name if isinstance(inner, Model) else ""


def _inside(tables: Tables, name: str) -> set[str]:
    """The models that are fields of a model, or of its fields."""
    seen: set[str] = set()
    stack = [_model_name(f.type) for f in tables.models[name].fields]
    while stack:
        top = stack.pop()
        if top in seen or top not in tables.models:
            continue
        seen.add(top)
        stack.extend(_model_name(f.type) for f in tables.models[top].fields)
    return seen
