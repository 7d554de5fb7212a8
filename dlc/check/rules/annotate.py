"""Annotated bindings, `y: f32[m.D] = e`: types among statements, and what they check when
running."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.check import typed
from dlc.check.body import Body, Constant, FunctionSlot, Val, Variable, not_static
from dlc.check.convert import born, differs, element_help
from dlc.check.decls import DimDecl
from dlc.check.paths import dim_of_type, field_type, path_error
from dlc.check.read_type import TypeReader, not_a_dim
from dlc.check.typed import DimBinding
from dlc.check.unify import Conflict, Matcher, strip_rows
from dlc.diag import Diagnostic, Span, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.dims import Dim, DimError
from dlc.typesys.surface import (
    UNKNOWN,
    Const,
    Element,
    Function,
    Item,
    Keys,
    Tensor,
    Type,
    Unknown,
    substitute_dims,
)


@dataclass
class LocalPlace:
    """Types among statements: dims are those that are known here, and new unknowns `?k`."""

    b: Body
    fresh_names: dict[str, Span] = field(default_factory=dict[str, Span])

    def name(self, node: tree.Name) -> Dim | None:
        b = self.b
        v = b.lookup(node.id)
        if isinstance(v, Constant):
            if isinstance(v.value, Dim):
                return v.value
            return Dim.const(v.value) if isinstance(v.value, int) else None
        if isinstance(v, Variable):
            if v.dim is not None and v.missing is None and v.clash is None:
                return v.dim
            if not isinstance(v.type, Unknown):
                text = f"`{node.id}` is {b.show(v.type)}: only a whole number is a dim"
                b.report(
                    error("E0304", text, node.span)
                    .with_label(v.span, "declared here")
                    .with_note("dims are i32")
                )
            return None
        if v is None and node.id in b.dim_names:
            return b.dim_names[node.id]
        if node.id in self.fresh_names:
            return Dim.sym(f"?{node.id}")
        if isinstance(v, FunctionSlot):
            b.report(not_a_dim(node.span))
            return None
        found = error("E0201", f"no dim `{node.id}`", node.span)
        names = [*b.dim_names, *(n for n, x in b.env.items() if isinstance(x, Variable) and x.dim)]
        found = did_you_mean(found, node.id, names, node.span)
        b.report(found.with_help(f"`?{node.id}` names a dim that the value tells"))
        return None

    def path(self, node: tree.Attr) -> Dim | None:
        t = self._type_of(node.base)
        if t is None:
            return None
        found = dim_of_type(self.b.tables, t, node.name.text)
        if found is None and not isinstance(t, Unknown):
            self.b.report(path_error(self.b.tables, t, node.name))
        return found

    def _type_of(self, node: tree.Expr) -> Type | None:
        if isinstance(node, tree.Name):
            v = self.b.lookup(node.id)
            if isinstance(v, Variable) and v.missing is None and v.clash is None:
                return v.type
            self.b.expr(node)
            return None
        if isinstance(node, tree.Attr):
            t = self._type_of(node.base)
            if t is None:
                return None
            inner = field_type(self.b.tables, t, node.name.text)
            if inner is None:
                self.b.report(path_error(self.b.tables, t, node.name))
            return inner
        self.b.report(not_a_dim(node.span))
        return None

    def fresh(self, node: tree.FreshDim) -> Dim | None:
        name = node.name.text
        if self.b.lookup(name) is not None or name in self.b.dim_names:
            text = f"`{name}` is known here: an unknown needs a name of its own"
            found = error("E0306", text, node.span)
            self.b.report(found.with_help(f"write `{name}` for the one that is known"))
            return None
        self.fresh_names.setdefault(name, node.span)
        return Dim.sym(f"?{name}")

    def open(self, owner: str, dim: DimDecl, span: Span) -> Dim | None:
        name = f"_{dim.name}"
        while name in self.fresh_names:
            name = f"_{name}"
        self.fresh_names[name] = span
        return Dim.sym(f"?{name}")

    def known(self, dim: Dim, owner: str, span: Span) -> bool:
        if self.b.is_static(dim) or any(s.startswith("?") for s in dim.symbols()):
            return True
        self.b.report(not_static(span, owner))
        return False

    def run(self, node: tree.ShapeVar) -> tuple[Item, ...] | None:
        found = self.b.run(node.name.text)
        if found is None:
            what = error("E0309", f"no `*{node.name}` here", node.span)
            self.b.report(what.with_note(f"a parameter must have it: `x: f32[*{node.name}]`"))
        return found

    def element(self, name: str) -> Element | None:
        return self.b.element(name)

    def value(self, name: str) -> Type | None:
        return self.b.value(name)


def reader(b: Body, place: LocalPlace) -> TypeReader:
    return TypeReader(b.tables.modules, b.tables, b.module, place, b.report)


@dataclass
class Annotation:
    """A declared type with its new dims open, and where they are named."""

    type: Type
    place: LocalPlace

    @property
    def hint(self) -> Type:
        return self.type

    def shown(self, b: Body) -> Type:
        """The type for names whose value was wrong."""
        if self.place.fresh_names:
            return UNKNOWN
        return self.type

    def bind_names(self, b: Body) -> None:
        """After an error the new dims exist, with a value that is not known."""
        for name, span in self.place.fresh_names.items():
            if not name.startswith("_"):
                atom = b.fresh_atom(name, span, "annotation")
                b.env[name] = Constant(Dim.sym(atom.name), span)

    def check(self, b: Body, node: tree.AnnAssign, v: Val) -> Type | None:
        """The type of the binding: `v` fits it, perhaps by a check when running. None after
        E0308."""
        m = Matcher(b.norm)
        if not m.equate(self.type, strip_rows(v.type)) or not _elements(self.type, v.type):
            b.report(self._wrong(b, node, v, None))
            self.bind_names(b)
            return None
        conflicts = m.solve()
        define: list[DimBinding] = []
        equations: list[tuple[Dim, Dim]] = []
        for c in conflicts:
            if c.kind == "never":
                b.report(self._wrong(b, node, v, c))
                self.bind_names(b)
                return None
            if c.kind == "inexact" and not self._divide(b, m, c, define):
                b.report(self._wrong(b, node, v, c))
                self.bind_names(b)
                return None
            want = b.norm(c.equation.want.substitute(m.dims))
            equations.append((b.norm(c.equation.got), want))
        left = m.left()
        if left or any(f"?{n}" not in m.dims for n in self.place.fresh_names):
            self._open(b, node)
            return None
        for name, span in self.place.fresh_names.items():
            if not name.startswith("_"):
                b.env[name] = Constant(m.dims[f"?{name}"], span)
        if define or equations:
            b.does(fails=True)
            checked = tuple(equations)
            b.emit(
                typed.CheckDims(tuple(define), checked, "binding", node.span.text, span=node.span)
            )
            for got, want in equations:
                b.learn(got, want)
        return b.norm_type(substitute_dims(self.type, m.dims))

    def _divide(self, b: Body, m: Matcher, c: Conflict, define: list[DimBinding]) -> bool:
        """`2*?n = D`: n is D // 2, and 2*n == D is checked."""
        want = c.equation.want.substitute(m.dims)
        open = [s for s in want.symbols() if s.startswith("?")]
        if len(open) != 1:
            return False
        factor = want.coefficient(open[0])
        if factor is None:
            return False
        try:
            value = b.norm((c.equation.got - (want - factor * Dim.sym(open[0]))) // factor)
        except DimError:
            return False
        name = open[0][1:]
        atom = b.fresh_atom(name.lstrip("_"), self.place.fresh_names[name], "annotation")
        define.append((atom.name, value))
        m.dims[open[0]] = Dim.sym(atom.name)
        return True

    def _open(self, b: Body, node: tree.AnnAssign) -> None:
        names = [n for n in self.place.fresh_names if not n.startswith("_")]
        listed = ", ".join(f"`?{n}`" for n in names) or "the dims of this type"
        found = error("E0353", f"{listed} cannot be found from the value", node.type.span)
        b.report(found.with_help("write dims that are known here"))
        self.bind_names(b)

    def _wrong(self, b: Body, node: tree.AnnAssign, v: Val, c: Conflict | None) -> Diagnostic:
        declared = _plain(b.show(self.type))
        text = f"this is {b.show(v.type)}; `{node.name}` is declared {declared}"
        if c is not None:
            text += f": {differs(b, c)}"
        found = error("E0308", text, node.value.span).with_label(node.type.span, "declared here")
        if c is not None:
            found = found.with_note("for no sizes can this be so")
            return born(b, found, c.want, c.got)
        found = element_help(found, v.type, self.type, node.value.span.text, node.value.span)
        return found if found.helps else found.with_note("a binding converts nothing")


def _plain(text: str) -> str:
    return text.replace("?_", "")


def _elements(want: Type, got: Type) -> bool:
    if isinstance(want, Tensor) and isinstance(got, Tensor):
        return want.dtype == got.dtype
    return True


def annotated_type(b: Body, node: tree.AnnAssign) -> Annotation | None:
    """The declared type of an annotated binding; None after an error."""
    place = LocalPlace(b)
    t = reader(b, place).type(node.type)
    if isinstance(t, (Const, Function, Keys)):
        found = error(
            "E0311",
            f"a variable cannot be {'a function' if isinstance(t, Function) else t}",
            node.type.span,
        )
        b.report(found.with_note("variables are tensors, lists, models, algebraic values, keys"))
        return None
    if isinstance(t, Unknown):
        return None
    return Annotation(t, place)
