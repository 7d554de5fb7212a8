"""Function values: checked where they are applied, with the types of their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlc.check import typed
from dlc.check.body import Binding, Body, Constant, FunctionSlot, Val, Variable
from dlc.check.convert import settle
from dlc.check.entities import ConstructorItem, FunctionItem, SpecialItem
from dlc.check.instances import Closure, FunctionValue, Named, Static
from dlc.check.rules.names import module_member, read
from dlc.check.typed.walk import mentioned_dims
from dlc.diag import Span, error
from dlc.syntax import tree
from dlc.syntax.walk import children
from dlc.typesys.dims import Dim
from dlc.typesys.surface import Type, dim_names, substitute_dims


@dataclass(frozen=True, slots=True)
class Applied:
    """A function value checked for argument types: its body's value and the lambda around it."""

    function: typed.Lambda
    body: Val

    @property
    def type(self) -> Type:
        return self.body.type


def lambda_value(b: Body, node: tree.Lambda, want: Type | None) -> Val:
    found = error("E0314", "a function is not a value", node.span)
    return b.fail(
        found.with_help("give it to `map`, `each`, … or to a parameter that takes a function")
    )


def apply(b: Body, e: tree.Expr, args: Sequence[Type], want: Type | None = None) -> Applied | None:
    """The function value `e` applied to arguments of these types; None after an error."""
    node = as_lambda(b, e, len(args))
    if node is None:
        return None
    if len(node.params) != len(args):
        found = error("E0333", f"this function takes {counted(len(node.params))}", node.span)
        found = found.with_note(f"it is called with {counted(len(args))} here")
        names = ", ".join("abcdefgh"[i % 8] for i in range(len(args)))
        b.report(found.with_help(f"`fn({names}) => …`"))
        return None
    return _body(b, node, args, want)


def counted(n: int) -> str:
    """`1 argument`, `2 arguments`."""
    return f"{n} argument{'s' * (n != 1)}"


def as_lambda(b: Body, e: tree.Expr, count: int) -> tree.Lambda | None:
    """A function value as a lambda; a name becomes `fn(a, …) => name(a, …)`."""
    if isinstance(e, tree.Lambda):
        return e
    if not is_function(b, e):
        v = b.expr(e) if not isinstance(e, (tree.Name, tree.Attr)) else None
        if v is not None and v.is_bad:
            return None
        if v is None and isinstance(e, tree.Name) and _unknown(b, e):
            b.expr(e)
            return None
        found = error("E0316", "a function is expected here", e.span)
        b.report(found.with_help("the name of a function, or `fn(x) => …`"))
        return None
    idents = tuple(tree.Ident(f"argument {i}", span=e.span) for i in range(count))
    args = tuple(tree.Arg(tree.Name(i.text, span=e.span), span=e.span) for i in idents)
    call = tree.Call(e, args, span=e.span)
    return tree.Lambda(idents, call, span=e.span)


def _unknown(b: Body, e: tree.Name) -> bool:
    if b.lookup(e.id) is not None or e.id in b.dim_names:
        return False
    return b.tables.modules.find(b.module, e.id) is None


def is_function(b: Body, e: tree.Expr) -> bool:
    """Whether an expression names a function."""
    if isinstance(e, tree.Name):
        binding = b.lookup(e.id)
        if binding is not None or e.id in b.dim_names:
            return isinstance(binding, FunctionSlot)
        found = b.tables.modules.find(b.module, e.id)
        return isinstance(found, (FunctionItem, SpecialItem, ConstructorItem))
    if isinstance(e, tree.Attr):
        return isinstance(module_member(b, e), (FunctionItem, ConstructorItem))
    return isinstance(e, tree.Lambda)


def _body(b: Body, node: tree.Lambda, args: Sequence[Type], want: Type | None) -> Applied | None:
    env, out, later = b.env, b.out, b.later
    b.env, b.out, b.later = dict(env), [], []
    b.lambda_names.append(frozenset(p.text for p in node.params))
    locals: list[typed.Local] = []
    for p, t in zip(node.params, args, strict=True):
        local = b.fresh_local(p.text)
        locals.append(local)
        if p.text != "_":
            b.bind(p.text, t, "lambda", p.span, local)
    v = settle(b, b.expr(node.body, want), want)
    defines = [s for s in b.out if isinstance(s, typed.DefineDim)]
    b.lambda_names.pop()
    inner = b.env
    b.env, b.out, b.later = env, out, later
    for name, binding in inner.items():
        here = env.get(name)
        if isinstance(binding, Variable) and isinstance(here, Variable) and binding.how != "lambda":
            if binding.local == here.local and binding.spent is not None:
                b.update(name, spent=binding.spent)
    if v.is_bad:
        return None
    used = mentioned_dims(v.expr)
    kept = tuple(d for d in defines if d.name in used)
    made = typed.Lambda(tuple(locals), tuple(args), kept, v.expr, span=node.span)
    return Applied(made, v)


# -- closures


@dataclass(frozen=True, slots=True)
class Captured:
    """A function value for a static parameter: what it is, the values and dims it takes along."""

    value: FunctionValue
    values: tuple[Val, ...]
    dims: Mapping[str, Dim]


def capture(b: Body, e: tree.Expr, param: str) -> Captured | None:
    """The function value `e` as the argument for the static parameter `param`. An empty `param`
    keeps names as they are: for a lambda that becomes a function of its own."""
    if isinstance(e, tree.Name):
        slot = b.lookup(e.id)
        if isinstance(slot, FunctionSlot):
            return _slot(b, slot, param)
        found = b.tables.modules.find(b.module, e.id)
        if isinstance(found, FunctionItem) and not found.node.is_builtin:
            return Captured(Named(found.name), (), {})
    if isinstance(e, tree.Attr):
        member = module_member(b, e)
        if isinstance(member, FunctionItem):
            return Captured(Named(member.name), (), {})
    if not isinstance(e, tree.Lambda):
        return None
    return _closure(b, e, b.module, b.env, b.dim_names, param)


def _slot(b: Body, slot: FunctionSlot, param: str) -> Captured | None:
    value = slot.value
    if value is None or isinstance(value, Named):
        return None if value is None else Captured(value, (), {})
    return _closure(b, value.node, value.module, slot.env, slot.dims, param)


def _closure(
    b: Body,
    node: tree.Lambda,
    module: str,
    env: Mapping[str, Binding],
    dim_names: Mapping[str, Dim],
    param: str,
) -> Captured:
    prefix = f"{param}." if param else ""
    captures: list[tuple[str, str, Type]] = []
    values: list[Val] = []
    statics: list[tuple[str, Static]] = []
    whole: dict[str, Dim] = {}
    functions: list[tuple[str, FunctionValue]] = []
    outer: dict[str, Dim] = {}
    named: dict[str, str] = {}
    for name in free_names(node):
        binding = env.get(name)
        if isinstance(binding, Variable):
            v = _read(b, name, binding, node.span)
            values.append(v)
            captures.append((name, prefix + name, v.type))
            if v.dim is not None:
                whole[name] = v.dim
        elif isinstance(binding, Constant) and not isinstance(binding.value, Dim):
            statics.append((name, binding.value))
        elif isinstance(binding, FunctionSlot):
            inner = _slot(b, binding, prefix + name)
            if inner is not None:
                functions.append((name, inner.value))
                values.extend(inner.values)
                outer.update(inner.dims)
        elif binding is None and name in dim_names:
            d = dim_names[name]
            if d.is_constant:
                statics.append((name, d.constant))
            else:
                outer[prefix + name] = d
                named[name] = prefix + name
    back: dict[str, Dim] = {}
    for _, _, t in captures:
        for s in dim_names_of(t):
            outer.setdefault(prefix + s, Dim.sym(s))
            back[s] = Dim.sym(prefix + s)
            named.setdefault(s, prefix + s)
    sizes = tuple(
        (n, d.substitute(back)) for n, d in whole.items() if all(s in back for s in d.symbols())
    )
    renamed = tuple((n, p, substitute_dims(t, back)) for n, p, t in captures)
    at = f"{node.span.line}:{node.span.column}"
    value = Closure(
        node, module, at, renamed, tuple(named.items()), tuple(statics), sizes, tuple(functions)
    )
    return Captured(value, tuple(values), outer)


def dim_names_of(t: Type) -> tuple[str, ...]:
    return dim_names(t)


def _read(b: Body, name: str, v: Variable, span: Span) -> Val:
    kept = b.env
    b.env = {**b.env, name: v}
    out = read(b, name, v, span)
    b.env = kept
    return out


def free_names(node: tree.Lambda) -> tuple[str, ...]:
    """The names that a lambda's body mentions and its parameters do not bind, in order."""
    out: dict[str, None] = {}

    def visit(n: tree.Node, bound: frozenset[str]) -> None:
        if isinstance(n, tree.Name):
            if n.id not in bound:
                out.setdefault(n.id)
            return
        if isinstance(n, tree.Lambda):
            inner = bound | {p.text for p in n.params}
            visit(n.body, inner)
            return
        for c in children(n):
            visit(c, bound)

    visit(node, frozenset())
    return tuple(out)
