"""From the text of types to types: element types, shapes, nominal types with dims.

What a name between brackets may be depends on where the type stands; a `Place` knows that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from dlc.check.decls import DimDecl
from dlc.check.entities import (
    DTYPE_NAMES,
    TYPE_NAMES,
    AdtItem,
    BrokenItem,
    Entity,
    ModelItem,
    ModuleItem,
    Modules,
    SpecialItem,
)
from dlc.check.modules import declared_names
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.diag.suggest import did_you_mean
from dlc.resources import std_modules
from dlc.syntax import tree
from dlc.typesys.dims import Dim, DimError
from dlc.typesys.dtypes import DTYPES
from dlc.typesys.surface import (
    I32_SCALAR,
    KEY,
    UNKNOWN,
    Adt,
    Array,
    Const,
    Element,
    Function,
    Graph,
    Item,
    Key,
    Keys,
    List,
    Model,
    Option,
    Rows,
    Segs,
    ShapeVar,
    Sparse,
    Tensor,
    Tuple,
    Type,
    Unknown,
    ValueVar,
    items,
    short,
    tangent,
)

Report = Callable[[Diagnostic], None]
MAX_RANK = 16
TYPES_ARE = "types are element types, builtin types, and what `model` and `type` declare"

_FORMS = {
    "List": "List[f32]",
    "Option": "Option[f32]",
    "Array": "Array[Block, B]",
    "Sparse": "Sparse[f32, N]",
    "Rows": "Rows[f32, V, D]",
    "Tangent": "Tangent[M]",
    "Keys": "Keys[N]",
}

STRUCTURES: Mapping[str, tuple[str, str]] = {
    "Graph": ("nodes", "arcs"),
    "Segs": ("rows", "items"),
}


class Nominals(Protocol):
    """The heads of nominal types."""

    def dims_of(self, name: str) -> tuple[DimDecl, ...] | None:
        """The dims of a model or an algebraic type, by qualified name; None if it is broken."""
        ...


class Place(Protocol):
    """What dims and names mean where a type stands. A result of None means: reported, or silent."""

    def name(self, node: tree.Name) -> Dim | None: ...

    def path(self, node: tree.Attr) -> Dim | None: ...

    def fresh(self, node: tree.FreshDim) -> Dim | None: ...

    def open(self, owner: str, dim: DimDecl, span: Span) -> Dim | None: ...

    def known(self, dim: Dim, owner: str, span: Span) -> bool:
        """Whether a dim is known when compiling, as the owner's const dim has to be (else
        reported)."""
        ...

    def run(self, node: tree.ShapeVar) -> tuple[Item, ...] | None: ...

    def element(self, name: str) -> Element | None: ...

    def value(self, name: str) -> Type | None: ...


class _Failed(Exception):
    """A part of a type was wrong, and reported."""


class TypeReader:
    """Reads types of one module at one place."""

    def __init__(
        self, modules: Modules, nominals: Nominals, module: str, place: Place, report: Report
    ) -> None:
        self._modules = modules
        self._nominals = nominals
        self._module = module
        self._place = place
        self._report = report

    # -- types

    def type(self, node: tree.TypeExpr) -> Type:
        """The type, or UNKNOWN after an error."""
        try:
            return self._type(node)
        except _Failed:
            return UNKNOWN

    def _fail(self, found: Diagnostic) -> _Failed:
        self._report(found)
        return _Failed()

    def _type(self, node: tree.TypeExpr) -> Type:
        if isinstance(node, tree.ConstType):
            return Const()
        if isinstance(node, tree.TupleType):
            return Tuple(tuple(self._type(i) for i in node.items))
        if isinstance(node, tree.FnType):
            return Function(tuple(map(self._type, node.params)), self._type(node.result))
        return self._named(node)

    def _named(self, node: tree.TypeRef) -> Type:
        name = node.name.text
        if node.module is None:
            element = self._place.element(name)
            if element is not None:
                return self._tensor(element, node)
            if name in DTYPES:
                return self._tensor(DTYPES[name], node)
            value = self._place.value(name)
            if isinstance(value, Unknown):
                raise _Failed
            if value is not None:
                self._count(node, 0, 0)
                return value
            if name in TYPE_NAMES:
                return self._builtin(node)
        return self._nominal(node, self._entity(node))

    def _tensor(self, dtype: Element, node: tree.TypeRef) -> Type:
        shape: list[Item] = []
        for arg in node.args or ():
            if arg.name is not None:
                text = f"{node.name} has no named dims"
                found = error("E0302", text, arg.span)
                raise self._fail(found.with_help("write the dims in order"))
            if isinstance(arg.value, tree.ShapeVar):
                run = self._place.run(arg.value)
                if run is None:
                    raise _Failed
                shape.extend(run)
            else:
                shape.append(self._dim_arg(arg))
        if sum(isinstance(d, ShapeVar) for d in shape) > 1:
            text = "a shape holds one `*` at most: two runs of dims cannot be told apart"
            raise self._fail(error("E0309", text, node.span).with_help("write out all but one"))
        if len(shape) > MAX_RANK:
            found = error("E0348", f"a tensor of more than {MAX_RANK} dims", node.span)
            raise self._fail(found.with_help("join some of them: `f32[A*B, …]`"))
        return Tensor(dtype, tuple(shape))

    def _builtin(self, node: tree.TypeRef) -> Type:
        name = node.name.text
        if name in STRUCTURES:
            dims = self._dims(node, self._structure_dims(name))
            return Graph(*dims) if name == "Graph" else Segs(*dims)
        if name in ("Key", "int"):
            self._count(node, 0, 0)
            return KEY if name == "Key" else I32_SCALAR
        if name == "Keys":
            (arg,) = self._count(node, 1, 1)
            return Keys(self._dim_arg(arg))
        if name in ("Sparse", "Rows"):
            return self._sparse_or_rows(node)
        return self._container(node)

    def _container(self, node: tree.TypeRef) -> Type:
        name = node.name.text
        args = self._count(node, 1, 2 if name == "Array" else 1)
        inside = self._type_arg(args[0])
        if isinstance(inside, (Key, Keys)) and name in ("List", "Option"):
            text = f"a Key cannot be kept in a {name}: it is used once"
            raise self._fail(
                error("E0412", text, args[0].span).with_help(
                    "`splits(k, n)` makes n keys for `map`"
                )
            )
        if isinstance(inside, (Function, Const)):
            found = error("E0311", f"a {name} cannot hold {inside}", args[0].span)
            raise self._fail(found.with_note("functions and `const` are parameters only"))
        if name == "List":
            return List(inside)
        if name == "Option":
            return Option(inside)
        if name == "Tangent":
            return tangent(inside)
        if not isinstance(inside, (Model, Unknown)) or len(args) != 2:
            found = error("E0302", "an Array is of models", node.span)
            raise self._fail(found.with_help("`Array[Block, B]`"))
        count = self._dim_arg(args[1])
        self._known(count, "the length of an Array", args[1].span)
        return Array(inside, count) if isinstance(inside, Model) else UNKNOWN

    def _sparse_or_rows(self, node: tree.TypeRef) -> Type:
        wanted = 2 if node.name.text == "Sparse" else 3
        args = self._count(node, wanted, wanted)
        element = self._type_arg(args[0])
        if not isinstance(element, Tensor) or element.shape:
            found = error("E0302", f"{node.name} begins with an element type", args[0].span)
            raise self._fail(found.with_help(f"`{_FORMS[node.name.text]}`"))
        dims = [self._dim_arg(a) for a in args[1:]]
        return Sparse(element.dtype, dims[0]) if wanted == 2 else Rows(element.dtype, *dims)

    def _count(self, node: tree.TypeRef, least: int, most: int) -> tuple[tree.TypeArg, ...]:
        args = node.args or ()
        if least <= len(args) <= most:
            return args
        if most == 0:
            text = f"{node.name} takes nothing in brackets"
        else:
            counted = str(least) if least == most else f"{least} or {most}"
            text = f"{node.name} needs {counted} in brackets, this has {len(args)}"
        form = _FORMS.get(node.name.text)
        found = error("E0302", text, node.span)
        raise self._fail(found.with_help(f"`{form}`" if form else "leave the brackets out"))

    def _type_arg(self, arg: tree.TypeArg) -> Type:
        value = arg.value
        if isinstance(value, (tree.TypeRef, tree.TupleType, tree.FnType, tree.ConstType)):
            return self._type(value)
        if isinstance(value, tree.Name):
            ident = tree.Ident(value.id, span=value.span)
            return self._type(tree.TypeRef(None, ident, None, span=value.span))
        if isinstance(value, tree.Attr) and isinstance(value.base, tree.Name):
            base = tree.Ident(value.base.id, span=value.base.span)
            return self._type(tree.TypeRef(base, value.name, None, span=value.span))
        raise self._fail(error("E0301", "this is not a type", arg.span).with_note(TYPES_ARE))

    # -- nominal types

    def _entity(self, node: tree.TypeRef) -> Entity:
        name = node.name.text
        if node.module is None:
            found = self._modules.find(self._module, name)
            if found is None:
                raise self._fail(self._no_type(node))
            return found
        at = node.module
        owner = self._modules.find(self._module, at.text)
        if isinstance(owner, BrokenItem):
            raise _Failed
        if not isinstance(owner, ModuleItem):
            found = error("E0201", f"no module `{at.text}` is imported here", at.span)
            raise self._fail(found.with_help(f"`import {at.text}` at the top of the file"))
        scope = self._modules.by_name[owner.name]
        found = scope.own.get(name)
        if found is None:
            text = f"module `{owner.name}` has no `{name}`"
            what = error("E0203", text, node.name.span)
            raise self._fail(did_you_mean(what, name, scope.own, node.name.span))
        return found

    def _no_type(self, node: tree.TypeRef) -> Diagnostic:
        name = node.name.text
        found = error("E0201", f"no type `{name}`", node.name.span)
        lower = {"float": "f32", "double": "f64", "half": "f16", "tensor": "f32[N]", "str": "const"}
        if name.lower() in lower:
            right = lower[name.lower()]
            return found.with_help(f"write `{right}`", Edit(node.name.span, right))
        for module in std_modules():
            if name in declared_names(module, functions=False):
                return found.with_help(f"`from {module} import {name}`")
        kinds = (AdtItem, ModelItem)
        names = [
            n
            for n in self._modules.visible(self._module)
            if isinstance(self._modules.find(self._module, n), kinds)
        ]
        found = did_you_mean(found, name, (*names, *DTYPE_NAMES, *TYPE_NAMES), node.name.span)
        return found if found.helps else found.with_note(TYPES_ARE)

    def _nominal(self, node: tree.TypeRef, entity: Entity) -> Type:
        if isinstance(entity, BrokenItem):
            raise _Failed
        if isinstance(entity, SpecialItem):
            found = error("E0301", f"`{node.name}` is a function, not a type", node.span)
            raise self._fail(found.with_note(TYPES_ARE))
        if not isinstance(entity, (AdtItem, ModelItem)):
            text = f"`{node.name}` is {entity.kind}, not a type"
            found = error("E0301", text, node.span)
            raise self._fail(found.with_label(entity.span, "declared here").with_note(TYPES_ARE))
        decls = self._nominals.dims_of(entity.name)
        if decls is None:
            raise _Failed
        dims = self._dims(node, decls)
        return Adt(entity.name, dims) if isinstance(entity, AdtItem) else Model(entity.name, dims)

    def _structure_dims(self, name: str) -> tuple[DimDecl, ...]:
        at = self._modules.by_name["prelude"].tree.span.first()
        return tuple(DimDecl(d, False, None, at) for d in STRUCTURES[name])

    def _dims(self, node: tree.TypeRef, decls: tuple[DimDecl, ...]) -> tuple[Dim, ...]:
        """The dims of a nominal type: by position or by name, the others left open."""
        given: dict[str, Dim] = {}
        names = [d.name for d in decls]
        named = False
        for i, arg in enumerate(node.args or ()):
            if arg.name is None and (i >= len(decls) or named):
                raise self._fail(self._too_many(node, decls, arg))
            key = names[i] if arg.name is None else arg.name.text
            named = named or arg.name is not None
            if key not in names:
                at = arg.span if arg.name is None else arg.name.span
                found = error("E0207", f"`{node.name}` has no dim `{key}`", at)
                found = found.with_note(f"its dims: {', '.join(names) or 'none'}")
                raise self._fail(did_you_mean(found, key, names, at))
            if key in given:
                text = f"`{key}` of `{node.name}` is given twice"
                raise self._fail(error("E0302", text, arg.span).with_help("give each dim once"))
            if not (isinstance(arg.value, tree.Name) and arg.value.id == "_"):
                dim = given[key] = self._dim_arg(arg)
                if decls[names.index(key)].const:
                    self._known(dim, f"`{key}` of `{node.name}`", arg.span)
        out: list[Dim] = []
        missing: list[DimDecl] = []
        for d in decls:
            dim = given[d.name] if d.name in given else self._open(node, d)
            if dim is None:
                missing.append(d)
            else:
                out.append(dim)
        if missing:
            raise self._fail(self._needs_dims(node, decls))
        return tuple(out)

    def _known(self, dim: Dim, owner: str, span: Span) -> None:
        if not dim.is_constant and not self._place.known(dim, owner, span):
            raise _Failed

    def _open(self, node: tree.TypeRef, decl: DimDecl) -> Dim | None:
        return self._place.open(node.name.text, decl, node.span)

    def _too_many(
        self, node: tree.TypeRef, decls: tuple[DimDecl, ...], arg: tree.TypeArg
    ) -> Diagnostic:
        if arg.name is None and len(node.args or ()) <= len(decls):
            found = error("E0302", "a dim by position after one by name", arg.span)
            return found.with_help("positions come first")
        count = len(decls)
        text = (
            f"`{node.name}` has {count} dim{'s' * (count != 1)}, this gives {len(node.args or ())}"
        )
        return error("E0302", text, arg.span).with_note(
            f"its dims: {', '.join(d.name for d in decls) or 'none'}"
        )

    def _needs_dims(self, node: tree.TypeRef, decls: tuple[DimDecl, ...]) -> Diagnostic:
        names = ", ".join(d.name for d in decls)
        found = error("E0303", f"`{node.name}` needs its dims here: {names}", node.span)
        found = found.with_note("only a parameter or a result may leave them open")
        return found.with_help(f"write `{node.name}[{names}]`, with dims that are known here")

    # -- dims

    def _dim_arg(self, arg: tree.TypeArg) -> Dim:
        value = arg.value
        if isinstance(value, tree.ShapeVar):
            text = f"`*{value.name}` stands only in the shape of a tensor"
            raise self._fail(error("E0309", text, arg.span).with_help("write the dims out"))
        if isinstance(value, (tree.TypeRef, tree.TupleType, tree.FnType, tree.ConstType)):
            raise self._fail(not_a_dim(value.span))
        return self._dim(value)

    def dim(self, node: tree.Expr) -> Dim | None:
        """A dim written as an expression, or None after an error."""
        try:
            return self._dim(node)
        except _Failed:
            return None

    def _dim(self, node: tree.Expr) -> Dim:
        if isinstance(node, tree.Number):
            if isinstance(node.value, int):
                return Dim.const(node.value)
            raise self._fail(not_a_dim(node.span))
        found: Dim | None
        if isinstance(node, tree.Name):
            found = self._place.name(node)
        elif isinstance(node, tree.Attr):
            found = self._place.path(node)
        elif isinstance(node, tree.FreshDim):
            found = self._place.fresh(node)
        elif isinstance(node, tree.Unary):
            return -self._dim(node.operand)
        elif isinstance(node, tree.Binary):
            return self._binary(node)
        else:
            raise self._fail(not_a_dim(node.span))
        if found is None:
            raise _Failed
        return found

    def _binary(self, node: tree.Binary) -> Dim:
        left, right = self._dim(node.left), self._dim(node.right)
        try:
            made = combine_dims(node.op, left, right)
        except DimError as problem:
            found = error("E0349", str(problem), node.span)
            raise self._fail(found.with_help("name a part of it, or write less")) from None
        if made is None:
            raise self._fail(not_a_dim(node.span))
        return made


MAX_WRITTEN = 64
"""Terms of a product of dims: each use of it computes all of them."""


def combine_dims(op: str, a: Dim, b: Dim) -> Dim | None:
    """The dim `a op b`, or None if it is no dim. Raises DimError beyond the limits."""
    if op == "+":
        return a + b
    if op == "-":
        return a - b
    if op == "*":
        return _short(a * b)
    if op == "//":
        return a // b
    if op == "%":
        return a % b
    if op == "**" and b.is_constant and b.constant >= 0:
        if b.constant > 6 and not a.is_constant:
            raise DimError("a dim of degree above 6")
        if a.is_constant and (b.constant > 64 or abs(a.constant) ** b.constant > 2**63):
            raise DimError("a dim above 2**63")
        return _short(a**b.constant)
    return None


def _short(d: Dim) -> Dim:
    """The dim, if it can be written out. Raises DimError if it has too many terms."""
    if len(d.terms) > MAX_WRITTEN:
        raise DimError(f"a product of more than {MAX_WRITTEN} terms")
    return d


def not_a_dim(span: Span) -> Diagnostic:
    """E0304: an expression that has no polynomial."""
    found = error("E0304", "this cannot be a dim", span)
    found = found.with_note("a dim is built from names, whole numbers, `+ - * // %` and powers")
    return found.with_help("name the value first: `k = …`, then use `k`")


def holds(t: Type, kinds: tuple[type, ...]) -> Type | None:
    """The first part of one of these kinds inside a type, itself included."""
    if isinstance(t, kinds):
        return t
    inner: tuple[Type, ...] = ()
    if isinstance(t, Tuple):
        inner = t.items
    elif isinstance(t, (List, Option)):
        inner = (t.element,)
    for i in inner:
        found = holds(i, kinds)
        if found is not None:
            return found
    return None


def mentions_run(t: Type) -> bool:
    """Whether a `*S` is in the type."""
    return any(isinstance(d, ShapeVar) for d in items(t))


def type_name(t: Type) -> str:
    """What to call a type in a message."""
    if isinstance(t, (Adt, Model)):
        return short(t.name)
    if isinstance(t, ValueVar):
        return t.name
    return str(t)
