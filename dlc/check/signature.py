"""Signatures: types of parameters and results, implicit dims, and that the arguments determine them
all.

A signature is read from left to right. A new name in a parameter is a new dim; a bare mention of a
nominal type fills its dims with path dims (`m.H`); a result introduces nothing but `?k`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dlc.check.declare import literal_number, whole_default
from dlc.check.decls import Default, DimDecl, GenericDecl, ParamDecl, Signature
from dlc.check.entities import FunctionItem
from dlc.check.paths import dim_of_type, field_type, path_error
from dlc.check.read_type import TypeReader, mentions_run
from dlc.check.sets import with_set_names
from dlc.check.tables import Tables
from dlc.diag import Span, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.surface import (
    UNIT,
    Const,
    DTypeKind,
    DTypeVar,
    Element,
    Function,
    Item,
    Key,
    Keys,
    ShapeVar,
    Tensor,
    Tuple,
    Type,
    Unknown,
    ValueVar,
    items,
    own_items,
    parts,
)

Mode = Literal["param", "result", "function"]
DTYPE_KINDS: dict[str, DTypeKind] = {
    "float": "float",
    "int": "int",
    "number": "number",
    "any": "any",
}
BOUNDS: dict[str, tuple[tuple[str, str], ...]] = {
    "nonzero_indices": (("k", "N"),),
    "active": (("k", "N"),),
}
"""Upper bounds of the unknowns of builtins."""


@dataclass
class SignaturePlace:
    """Where types of a signature stand, and what it has introduced so far."""

    tables: Tables
    function: str
    generics: dict[str, GenericDecl]
    mode: Mode = "param"
    param: str = ""
    dims: dict[str, Span] = field(default_factory=dict[str, Span])
    consts: dict[str, None] = field(default_factory=dict[str, None])
    runs: dict[str, Span] = field(default_factory=dict[str, Span])
    unknowns: dict[str, Span] = field(default_factory=dict[str, Span])
    value_dims: dict[str, None] = field(default_factory=dict[str, None])
    params: dict[str, ParamDecl] = field(default_factory=dict[str, ParamDecl])
    later: frozenset[str] = frozenset()
    """`const` parameters: known when compiling, so types before them may mention them."""
    broken: frozenset[str] = frozenset()
    """Generics of no kind: they are silently of every kind."""

    def name(self, node: tree.Name) -> Dim | None:
        name = node.id
        if name in self.dims:
            return Dim.sym(name)
        if name in self.params:
            return self._value(node, self.params[name])
        if name in self.later:
            self.consts[name] = None
            return Dim.sym(name)
        generic = self.generics.get(name)
        if generic is not None and (generic.kind is not None or generic.value):
            text = f"`{name}` is a generic type, not a dim"
            found = error("E0304", text, node.span).with_label(generic.span, "declared here")
            self.tables.bag.add(found.with_help("use another name for the dim"))
            return None
        if generic is not None and generic.const:
            self.consts[name] = None
        if generic is not None or self.mode != "result":
            self.dims[name] = node.span if generic is None else generic.span
            return Dim.sym(name)
        if name in self.unknowns:
            return Dim.sym(name)
        text = f"the result of `{self.function}` mentions `{name}`, which no parameter determines"
        found = did_you_mean(error("E0306", text, node.span), name, self.dims, node.span)
        self.tables.bag.add(found.with_help(f"write `?{name}` if only running it can tell"))
        return None

    def _value(self, node: tree.Name, p: ParamDecl) -> Dim | None:
        if isinstance(p.type, Const):
            self.consts[p.name] = None
            return Dim.sym(p.name)
        if isinstance(p.type, Unknown):
            return None
        if p.type != Tensor(I32):
            found = error(
                "E0304", f"`{p.name}` is {p.type}: only a whole number is a dim", node.span
            )
            found = found.with_label(p.span, "declared here")
            found = found.with_note("a parameter of type i32 may be a dim")
            self.tables.bag.add(found)
            return None
        if p.mut:
            text = f"`{p.name}` is changed by `{self.function}`: it cannot be a dim"
            found = error("E0304", text, node.span).with_label(p.span, "declared `mut` here")
            self.tables.bag.add(found.with_help("take it without `mut`, and return the new value"))
            return None
        self.dims[p.name] = p.span
        self.value_dims[p.name] = None
        return Dim.sym(p.name)

    def path(self, node: tree.Attr) -> Dim | None:
        t = self._type_of(node.base)
        if t is None:
            return None
        found = dim_of_type(self.tables, t, node.name.text)
        if found is None and not isinstance(t, Unknown):
            self.tables.bag.add(path_error(self.tables, t, node.name))
        return found

    def _type_of(self, node: tree.Expr) -> Type | None:
        """The type of `m` or `m.cell` in `m.cell.H`."""
        if isinstance(node, tree.Name):
            if node.id in self.params:
                return self.params[node.id].type
            found = error("E0201", f"no parameter `{node.id}` before this one", node.span)
            found = did_you_mean(found, node.id, self.params, node.span)
            self.tables.bag.add(found.with_note("a signature is read from left to right"))
            return None
        if isinstance(node, tree.Attr):
            t = self._type_of(node.base)
            if t is None:
                return None
            inner = field_type(self.tables, t, node.name.text)
            if inner is None and not isinstance(t, Unknown):
                self.tables.bag.add(path_error(self.tables, t, node.name))
            return inner
        found = error("E0304", "this cannot be a dim", node.span)
        self.tables.bag.add(found.with_help("a dim of a parameter is written `m.H`"))
        return None

    def fresh(self, node: tree.FreshDim) -> Dim | None:
        name = node.name.text
        if self.mode != "result":
            text = f"`?{name}` stands in results and annotated bindings only"
            found = error("E0306", text, node.span)
            self.tables.bag.add(found.with_help(f"a parameter finds its dims: write `{name}`"))
            return None
        if name in self.dims or name in self.params:
            text = f"`{name}` is known here: an unknown needs a name of its own"
            found = error("E0306", text, node.span)
            at = self.dims[name] if name in self.dims else self.params[name].span
            self.tables.bag.add(found.with_label(at, "known from here").with_help(f"`{name}`"))
            return None
        self.unknowns[name] = node.span
        return Dim.sym(name)

    def open(self, owner: str, dim: DimDecl, span: Span) -> Dim | None:
        if self.mode == "function":
            return None
        stem = dim.name if self.mode == "result" else f"{self.param}.{dim.name}"
        taken = {**self.dims, **self.unknowns, **self.params}
        name, n = stem, 0
        while name in taken:
            n += 1
            name = f"{stem}.{n}"
        if self.mode == "result":
            self.unknowns[name] = span
        else:
            self.dims[name] = span
            if dim.const:
                self.consts[name] = None
        return Dim.sym(name)

    def known(self, dim: Dim, owner: str, span: Span) -> bool:
        for name in dim.symbols():
            if name in self.unknowns or name in self.value_dims:
                found = error("E0351", f"{owner} must be known when compiling", span)
                help = f"`{name}: const`" if name in self.value_dims else "a const dim"
                self.tables.bag.add(found.with_help(f"write {help}"))
                return False
            self.consts[name] = None
        return True

    def run(self, node: tree.ShapeVar) -> tuple[Item, ...] | None:
        name = node.name.text
        if self.mode == "result" and name not in self.runs:
            text = f"the result mentions `*{name}`, which no parameter determines"
            found = did_you_mean(error("E0309", text, node.span), name, self.runs)
            self.tables.bag.add(found.with_note(f"a parameter must have it: `x: f32[*{name}]`"))
            return None
        if name in self.dims or (name in self.params and name not in self.runs):
            text = f"`{name}` is one dim, `*{name}` a run of them"
            self.tables.bag.add(error("E0309", text, node.span).with_help("use two names"))
            return None
        self.runs.setdefault(name, node.span)
        return (ShapeVar(name),)

    def element(self, name: str) -> Element | None:
        generic = self.generics.get(name)
        if generic is None or generic.kind is None:
            return None
        return DTypeVar(name, generic.kind)

    def value(self, name: str) -> Type | None:
        if name in self.broken:
            return Unknown()
        generic = self.generics.get(name)
        return ValueVar(name) if generic is not None and generic.value else None


def read_signature(tables: Tables, item: FunctionItem) -> Signature | None:
    """The signature of a function; None if a part of it is wrong (reported)."""
    node, bag = item.node, tables.bag
    before = len(bag.diagnostics)
    generics = _generics(tables, node)
    const = [p for p in node.params if isinstance(p, tree.Param)]
    later = frozenset(p.name.text for p in const if isinstance(p.type, tree.ConstType))
    place = SignaturePlace(tables, node.name.text, generics, later=later, broken=_broken(node))
    reader = TypeReader(tables.modules, tables, item.module, place, bag.add)
    for p in node.params:
        _param(tables, node, p, place, reader)
    place.mode = "result"
    result: Type = UNIT if node.result is None else reader.type(node.result)
    if isinstance(result, (Function, Const)):
        text = f"a result cannot be {'a function' if isinstance(result, Function) else 'const'}"
        found = error("E0311", text, node.result.span if node.result else node.name.span)
        bag.add(found.with_note("functions are second class: pass them down, never up"))
        result = Unknown()
    _determined(tables, node, place)
    if node.exported:
        _exportable(tables, node, place)
    broken = any(isinstance(p.type, Unknown) for p in place.params.values())
    if (broken or isinstance(result, Unknown)) and len(bag.diagnostics) == before:
        return None
    bounds = dict(BOUNDS.get(node.name.text, ())) if node.is_builtin else {}
    made = Signature(
        name=item.name,
        generics=tuple(generics.values()),
        params=tuple(place.params.values()),
        result=result,
        dims=tuple(place.dims),
        consts=tuple(place.consts),
        value_dims=tuple(place.value_dims),
        runs=tuple(place.runs),
        unknowns=tuple(place.unknowns),
        bounds=tuple((k, Dim.sym(v)) for k, v in bounds.items()),
        spans=tuple(place.dims.items()),
        builtin=node.is_builtin,
        exported=node.exported,
        span=node.name.span,
    )
    return with_set_names(tables, made) if node.exported else made


def _generics(tables: Tables, node: tree.FnDef) -> dict[str, GenericDecl]:
    out: dict[str, GenericDecl] = {}
    for g in node.generics:
        name = g.name.text
        if name in out:
            found = error("E0204", f"`{name}` is defined twice", g.name.span)
            found = found.with_label(out[name].span, "first here")
            tables.bag.add(found.with_help("give one of them another name"))
            continue
        word = None if g.kind is None else g.kind.text
        known = word is None or word in DTYPE_KINDS or word in ("const", "value")
        if not known and g.kind is not None:
            kinds = ("const", "value", *DTYPE_KINDS)
            found = error("E0307", f"no kind `{word}`", g.kind.span)
            found = found.with_note(f"kinds: {', '.join(kinds)}")
            tables.bag.add(did_you_mean(found, word or "", kinds, g.kind.span))
        kind = DTYPE_KINDS.get(word or "")
        default = whole_default(g, tables)
        value = word == "value"
        if default is not None and (kind is not None or value):
            text = f"only a dim has a default; `{name}` is a type"
            tables.bag.add(error("E0307", text, g.span).with_help("leave the default out"))
            default = None
        const = word == "const"
        out[name] = GenericDecl(name, kind, const, value, default, g.name.span)
    return out


def _broken(node: tree.FnDef) -> frozenset[str]:
    words = {*DTYPE_KINDS, "const", "value"}
    return frozenset(
        g.name.text for g in node.generics if g.kind is not None and g.kind.text not in words
    )


def _param(
    tables: Tables,
    fn: tree.FnDef,
    p: tree.Param | tree.DimsParam,
    place: SignaturePlace,
    reader: TypeReader,
) -> None:
    name = p.name.text
    if name in place.params or name in place.dims or name in place.runs or name in place.generics:
        found = error("E0204", f"`{name}` is defined twice", p.name.span)
        first = place.params[name].span if name in place.params else place.dims.get(name)
        if first is not None:
            found = found.with_label(first, "first here")
        if name in place.dims:
            found = found.with_note("a parameter that is a dim stands before its first mention")
        tables.bag.add(found.with_help("give one of them another name"))
        return
    if isinstance(p, tree.DimsParam):
        if p is not fn.params[-1]:
            text = f"`*{name}` takes all further arguments: it must be the last parameter"
            tables.bag.add(error("E0309", text, p.span).with_help("move it to the end"))
        place.runs[name] = p.name.span
        run = Tensor(I32, (ShapeVar(name),))
        place.params[name] = ParamDecl(name, run, False, None, p.name.span, True)
        return
    place.param = name
    place.mode = "function" if isinstance(p.type, tree.FnType) else "param"
    t = reader.type(p.type)
    place.mode = "param"
    if p.mut and isinstance(t, (Const, Function, Key, Keys, Tuple)):
        what = "a function" if isinstance(t, Function) else str(t)
        help = "keys are passed on: `k, a = split(k)`" if isinstance(t, Key) else "leave `mut` out"
        found = error("E0311", f"{what} cannot be `mut`", p.type.span)
        tables.bag.add(found.with_help(help))
        t = Unknown()
    default = None if p.default is None else _default(tables, p, p.default, t)
    place.params[name] = ParamDecl(name, t, p.mut, default, p.name.span)
    if isinstance(t, Const):
        place.consts[name] = None


def _default(tables: Tables, p: tree.Param, node: tree.Expr, t: Type) -> Default:
    """The value of `eps: f32 = 0.1`."""
    number = literal_number(node)
    if isinstance(t, Unknown):
        return 0
    if isinstance(t, Const):
        if isinstance(number, int):
            return number
        if isinstance(node, tree.String):
            return node.value
        text = "the default of a `const` is a whole number or a text"
        tables.bag.add(error("E0352", text, node.span).with_help('`= 1`, or `= "same"`'))
        return 0
    if isinstance(t, Tensor) and not t.shape and not p.mut:
        kind = getattr(t.dtype, "kind", "")
        if number is not None and (kind in ("float", "number") or isinstance(number, int)):
            if kind == "float":
                return float(number)
            if kind != "bool":
                return number
        if isinstance(node, tree.Name) and node.id in ("true", "false") and kind == "bool":
            return node.id == "true"
        found = error("E0352", f"this is no {t}", node.span)
        whole = isinstance(number, float)
        help = "a whole number is written without a point" if whole else "write a literal"
        found = found.with_help(help)
        tables.bag.add(found)
        return 0
    text = f"only numbers have defaults; `{p.name}` is {'`mut`' if p.mut else t}"
    tables.bag.add(error("E0352", text, node.span).with_help("leave the default out"))
    return 0


# -- determinacy


def _determined(tables: Tables, fn: tree.FnDef, place: SignaturePlace) -> None:
    """E0305: dims, element types and structures that no argument tells."""
    shapes: list[Dim] = []
    names: set[str] = set()
    for p in place.params.values():
        _collect(p.type, shapes, names)
    found: set[str] = {*place.value_dims}
    found |= {*place.later}
    changed = True
    while changed:
        changed = False
        for d in shapes:
            open = [n for n in d.symbols() if n not in found]
            if len(open) == 1 and (d.coefficient(open[0]) is not None):
                found.add(open[0])
                changed = True
    for g in place.generics.values():
        if g.name in place.broken:
            continue
        is_dim = g.kind is None and not g.value
        if is_dim:
            place.dims.setdefault(g.name, g.span)
        if g.const:
            place.consts[g.name] = None
        if (is_dim and (g.const or g.default is not None)) or g.name in names:
            found.add(g.name)
    lost = [n for n in place.dims if n not in found]
    lost += [
        g.name for g in place.generics.values() if g.name not in {*found, *lost, *place.broken}
    ]
    if lost:
        _report_lost(tables, fn, place, lost, shapes)


def _collect(t: Type, shapes: list[Dim], names: set[str]) -> None:
    """Dims and generic names that an argument of the type tells."""
    if isinstance(t, Function):
        _collect(t.result, shapes, names)
        return
    dtype = getattr(t, "dtype", None)
    if isinstance(dtype, DTypeVar):
        names.add(dtype.name)
    if isinstance(t, ValueVar):
        names.add(t.name)
    shapes.extend(d for d in own_items(t) if isinstance(d, Dim))
    for inner in parts(t):
        _collect(inner, shapes, names)


def _report_lost(
    tables: Tables, fn: tree.FnDef, place: SignaturePlace, lost: list[str], shapes: list[Dim]
) -> None:
    listed = " and ".join(f"`{n}`" for n in lost[:3]) if len(lost) < 4 else f"`{lost[0]}`, …"
    text = f"{listed} of `{fn.name}` cannot be found from its arguments"
    found = error("E0305", text, fn.name.span)
    holders = [d for d in shapes if any(n in d.symbols() for n in lost)]
    at = place.dims.get(lost[0])
    if at is not None and len(holders) == 1:
        found = found.with_label(at, f"`{holders[0]}` is the only dim that mentions it")
    elif at is not None:
        found = found.with_label(at, "mentioned here")
    if lost[0] in place.generics and place.generics[lost[0]].kind is not None:
        found = found.with_note("an element type is found from a parameter that has it")
        tables.bag.add(found.with_help(f"let a parameter be a {lost[0]}, or write f32"))
        return
    found = found.with_note(
        "a dim is found where it stands alone or is the only unknown of a linear expression"
    )
    help = f"let a parameter have a dim `{lost[0]}`, or write `[{lost[0]}: const]`"
    tables.bag.add(found.with_help(help))


def _exportable(tables: Tables, fn: tree.FnDef, place: SignaturePlace) -> None:
    """E0340: what cannot cross the border of an artefact."""
    for g in place.generics.values():
        if g.kind is not None or g.value:
            what = "an element type" if g.kind is not None else "a structure"
            text = f"an exported function cannot leave {what} open: `{g.name}`"
            found = error("E0340", text, g.span)
            tables.bag.add(found.with_help("export one with types written out, that calls it"))
    for p in place.params.values():
        if mentions_run(p.type):
            text = f"an exported function cannot take any shape: `{p.name}`"
            found = error("E0340", text, p.span)
            tables.bag.add(found.with_help("export one with dims written out, that calls it"))
        elif isinstance(p.type, Function):
            found = error(
                "E0340", f"an exported function cannot take a function: `{p.name}`", p.span
            )
            tables.bag.add(found.with_help("export one that calls it with a function"))


def signature_dims(s: Signature) -> tuple[str, ...]:
    """Every dim name of the parameters and the result, unknowns last."""
    seen: dict[str, None] = dict.fromkeys(s.dims)
    for p in s.params:
        for d in items(p.type):
            if isinstance(d, Dim):
                seen.update(dict.fromkeys(d.symbols()))
    return (*seen, *(u for u in s.unknowns if u not in seen))
