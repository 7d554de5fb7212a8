"""Matching the arguments of a call with a signature, and fitting them to it."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.check.body import Body, Val, not_static
from dlc.check.convert import (
    default_element,
    fit,
    settle,
)
from dlc.check.decls import ParamDecl, Signature
from dlc.check.instances import FunctionValue
from dlc.check.rules.arguments import (
    Argument,
    arrange,
    mut_target,
)
from dlc.check.rules.brackets import dims_in_brackets
from dlc.check.rules.dim_arguments import dim_argument
from dlc.check.rules.lambdas import apply, as_lambda, capture
from dlc.check.rules.mismatch import Matching, report, wrong_form
from dlc.check.rules.prepared import Prepared
from dlc.check.rules.static import static_value
from dlc.check.unify import Matcher, flex_fits, flexible
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, DType
from dlc.typesys.surface import (
    Const,
    DTypeVar,
    Flex,
    Function,
    Item,
    Rows,
    ShapeVar,
    Tangent,
    Tensor,
    Type,
    Unit,
    ValueVar,
    parts,
    short,
    substitute_dims,
)

MAX_STRUCTURE = 4096
"""Parts of a value that is given for `[M: value]`."""


def prepare(
    b: Body,
    sig: Signature,
    args: Sequence[Argument],
    span: Span,
    want: Type | None,
    brackets: tree.Index | None = None,
) -> Prepared | None:
    """Match a call with a signature; None after an error or if an argument was wrong."""
    arranged = arrange(b, sig, args, span)
    if isinstance(arranged, Diagnostic):
        for a in args:
            if a.value is not None and not isinstance(a.value, (tree.Lambda, tree.String)):
                b.expr(a.value)
        b.report(arranged)
        return None
    names = (*sig.dims, *sig.consts, *sig.unknowns)
    c = Matching(sig, span, arranged.by_param, Matcher(b.norm), flexible(names))
    if brackets is not None and not _brackets(b, c, brackets):
        c.ok = False
    for i, p in enumerate(sig.params):
        c.matcher.arg = i
        if p.run:
            _run(b, c, p, arranged.run)
        elif not isinstance(p.type, Function):
            _argument(b, c, p, args, want)
    report(b, c, c.matcher.solve())
    functions = _functions(b, c)
    if not c.ok or c.matcher.poisoned or functions is None:
        return None
    if not _defaults_and_rest(b, c):
        return None
    return _fitted(b, c, functions, want)


def _brackets(b: Body, c: Matching, node: tree.Index) -> bool:
    """`beam[K=8](…)`: generics given where the function is named."""
    names = [g.name for g in c.sig.generics if g.kind is None and not g.value]
    found = dims_in_brackets(b, node, names, short(c.sig.name))
    if found is None:
        return False
    consts = {g.name for g in c.sig.generics if g.const}
    for i, s in enumerate(node.subs):
        name = s.name.text if isinstance(s, tree.NamedDim) else names[i]
        value = s.value if isinstance(s, tree.NamedDim) else s
        if name in consts and not isinstance(value, tree.Slice):
            _same_const(b, c, name, value)
    aliases = dict(c.sig.aliases)
    for n, d in found.items():
        c.matcher.dims[f"?{aliases.get(n, n)}"] = b.norm(d)
    return True


def _run(b: Body, c: Matching, p: ParamDecl, run: Sequence[Argument]) -> None:
    """The dims for a `*S`, one argument each."""
    out: list[Item] = []
    for a in run:
        d = dim_argument(b, a, f"a dim of `{short(c.sig.name)}`")
        c.ok = c.ok and d is not None
        if d is not None:
            out.append(d)
    if sum(isinstance(d, ShapeVar) for d in out) <= 1:
        c.matcher.runs[p.name] = tuple(out)
    elif c.ok:
        b.report(
            error("E0309", "a shape holds one `*` at most", c.span).with_note(
                "two runs of dims cannot be told apart"
            )
        )
        c.ok = False


def _argument(
    b: Body, c: Matching, p: ParamDecl, all: Sequence[Argument], want: Type | None
) -> None:
    a = c.given.get(p.name)
    if a is None:
        _default(b, c, p)
        return
    name = short(c.sig.name)
    if isinstance(p.type, Const):
        _const(b, c, p, a)
        return
    if p.mut:
        local = mut_target(b, c.sig, p, a, all)
        if local is None:
            c.ok = False
            if a.value is not None and not a.mut:
                b.expr(a.value)
            return
        c.changed[p.name] = local
    elif a.mut:
        found = error("E0422", f"`{name}` does not change `{p.name}`", a.span)
        found = found.with_label(p.span, "declared here, without `mut`")
        b.report(found.with_help(f"`{a.text}`", Edit(_mut_span(a), a.text)))
    expected = c.type_of(p)
    v = a.val
    if v is None:
        assert a.value is not None
        v = b.expr(a.value, _hint(c, expected))
    if v.is_bad:
        c.matcher.poisoned = True
        return
    if isinstance(p.type, ValueVar):
        v = settle(b, v)
        if size_of(v.type) > MAX_STRUCTURE:
            found = error("E0336", "this structure has too many parts", a.span)
            b.report(found.with_note(f"{MAX_STRUCTURE} are the most"))
            c.ok = False
            return
    if isinstance(v.type, Unit):
        b.report(
            error("E0405", "this call gives no value", a.span).with_help(
                "call it on a line of its own"
            )
        )
        c.ok = False
        return
    c.values[p.name] = v
    if not c.ok:
        return
    if not c.matcher.match(expected, v.type):
        c.ok = False
        b.report(wrong_form(b, c, p, a, v))
    elif p.name in c.sig.value_dims:
        d = dim_argument(b, Argument(a.span, val=v), f"`{p.name}` of `{name}`")
        if d is None:
            c.ok = False
        else:
            c.matcher.dims[f"?{p.name}"] = d


def size_of(t: Type) -> int:
    """The number of parts of a type, itself included; stops counting past the limit."""
    total, stack = 0, [t]
    while stack and total <= MAX_STRUCTURE:
        stack.extend(parts(stack.pop()))
        total += 1
    return total


def _mut_span(a: Argument) -> Span:
    text = a.span.source.text
    start = text.rfind("mut", 0, a.span.start)
    return Span(a.span.source, max(0, start), a.span.end)


def _hint(c: Matching, t: Type) -> Type | None:
    """What is known of a parameter's type so far, to guide literals, lists, None and constructors;
    None while a generic of it is open."""
    return c.matcher.rewrite()(t) if c.matcher.knows(t) else None


def _default(b: Body, c: Matching, p: ParamDecl) -> None:
    value = p.default
    assert value is not None
    if isinstance(p.type, Const):
        assert not isinstance(value, float)
        c.consts[p.name] = value
        if isinstance(value, int):
            c.matcher.dims[f"?{p.name}"] = Dim.const(value)
        return
    t = p.type
    if not isinstance(t, Tensor):
        c.matcher.poisoned = True
        return
    if isinstance(value, (bool, str)):
        assert not isinstance(value, str)
        c.values[p.name] = Val(typed.Literal(value, type=t, span=c.span))
        return
    kind = "float" if isinstance(value, float) else "int"
    v = Val(typed.Literal(value, type=Tensor(Flex(kind)), span=c.span))
    if isinstance(value, int) and p.name in c.sig.value_dims:
        c.matcher.dims[f"?{p.name}"] = Dim.const(value)
    c.values[p.name] = v
    c.matcher.match(c.type_of(p), v.type)


def _const(b: Body, c: Matching, p: ParamDecl, a: Argument) -> None:
    """An argument for a `const` parameter."""
    name = short(c.sig.name)
    if a.value is None:
        b.report(not_static(a.span, f"`{p.name}` of `{name}`"))
        c.ok = False
        return
    value = static_value(b, a.value)
    if value is not None and not isinstance(value, bool):
        c.consts[p.name] = value
        if isinstance(value, int):
            c.matcher.dims[f"?{p.name}"] = Dim.const(value)
    else:
        v = b.expr(a.value)
        if v.is_bad:
            c.matcher.poisoned = True
            return
        if v.dim is None or not b.is_static(v.dim) or not isinstance(v.type, Tensor):
            c.ok = False
            b.report(not_static(a.span, f"`{p.name}` of `{name}`"))
            return
        c.matcher.dims[f"?{p.name}"] = v.dim
    _same_const(b, c, p.name, a.value)


def _same_const(b: Body, c: Matching, name: str, value: tree.Expr) -> None:
    """E0337: a recursive call computes another number for a const."""
    if not b.tables.same_group(b.name, c.sig.name):
        return
    if isinstance(value, (tree.Binary, tree.Unary)):
        text = value.span.source.text[value.span.start : value.span.end]
        found = error("E0337", f"`{short(c.sig.name)}` calls itself with `{text}`", value.span)
        found = found.with_note(
            "a const may not change in a recursive call: there would be no end of copies"
        )
        b.report(found.with_help(f"let `{name}` be a whole number: `{name}: i32`"))
        c.ok = False


def _functions(b: Body, c: Matching) -> dict[str, tuple[Argument, Type]] | None:
    """Arguments for static function parameters: checked with the types found so far."""
    out: dict[str, tuple[Argument, Type]] = {}
    for i, p in enumerate(c.sig.params):
        if not isinstance(p.type, Function):
            continue
        a = c.given[p.name]
        if a.value is None:
            return None
        t = c.matcher.rewrite()(c.type_of(p))
        assert isinstance(t, Function)
        if c.matcher.poisoned or not c.ok:
            return None
        result = t.result if not _is_open(t.result) else None
        done = apply(b, a.value, t.params, result)
        if done is None:
            return None
        c.matcher.arg = i
        v = Val(done.body.expr)
        if not c.matcher.match(c.type_of_result(p), v.type):
            text = (
                f"`{p.name}` of `{short(c.sig.name)}` gives {t.result}, this gives {b.show(v.type)}"
            )
            found = error("E0332", text.replace("?", ""), a.span).with_label(
                p.span, "declared here"
            )
            b.report(found.with_note(f"it is {p.type}"))
            return None
        report(b, c, c.matcher.solve())
        out[p.name] = (a, t)
    return out


def _is_open(t: Type) -> bool:
    return "?" in str(t)


def _defaults_and_rest(b: Body, c: Matching) -> bool:
    """Defaults of dims that nothing told; E0331 for what stays open."""
    m = c.matcher
    for g in c.sig.generics:
        if g.default is not None and f"?{g.name}" not in m.dims:
            m.dims[f"?{g.name}"] = Dim.const(g.default)
    report(b, c, m.solve())
    if not c.ok:
        return False
    report(b, c, m.left())
    open = [n for n in c.sig.dims if f"?{n}" not in m.dims]
    if open and c.ok:
        names = ", ".join(f"`{n}`" for n in open)
        found = error(
            "E0328", f"{names} of `{short(c.sig.name)}` must be known when compiling", c.span
        )
        b.report(found.with_help(f"`{short(c.sig.name)}[{open[0]}=8](…)`"))
        return False
    for n in c.sig.consts:
        d = m.dims.get(f"?{n}")
        if d is not None and not b.is_static(d):
            found = error(
                "E0328", f"`{n}` of `{short(c.sig.name)}` must be known when compiling", c.span
            )
            found = found.with_note(f"it is `{b.show(d)}` here, known only when the program runs")
            b.report(found.with_help(f"`[{b.show(d)}: const]`" if d.name else "use a const dim"))
            return False
    return c.ok


def _fitted(
    b: Body, c: Matching, functions: dict[str, tuple[Argument, Type]], want: Type | None
) -> Prepared:
    m = c.matcher
    _settle_elements(c, want)
    born_here: list[tuple[str, str]] = []
    for u in c.sig.unknowns:
        atom = b.fresh_atom(u, c.span, short(c.sig.name))
        born_here.append((u, atom.name))
        m.dims[f"?{u}"] = Dim.sym(atom.name)
    rewrite = m.rewrite()
    args: dict[str, Val] = {}
    for i, p in enumerate(c.sig.params):
        if p.name not in c.values:
            continue
        v = c.values[p.name]
        t = rewrite(c.type_of(p))
        if i in m.rows:
            t = v.type if isinstance(v.type, Rows) else _stored(t, m.rows[i])
        args[p.name] = fit(b, v, t)
    result = rewrite(substitute_dims(c.sig.result, c.flexed))
    p = Prepared(c.sig, m, args, b.norm_type(result), tuple(born_here), c.changed, c.consts)
    for name, (a, _) in functions.items():
        assert a.value is not None
        taken = capture(b, a.value, name) if b.concrete else None
        if taken is not None:
            p.functions[name] = taken.value
            p.captured.extend(taken.values)
            p.outer.update(taken.dims)
        elif b.concrete:
            p.functions[name] = _wrapped(b, a.value, functions[name][1], name, p)
    return p


def _wrapped(b: Body, e: tree.Expr, t: Type, name: str, p: Prepared) -> FunctionValue:
    """A builtin as a function value: a lambda around it."""
    assert isinstance(t, Function)
    node = as_lambda(b, e, len(t.params))
    assert node is not None
    taken = capture(b, node, name)
    assert taken is not None
    p.captured.extend(taken.values)
    p.outer.update(taken.dims)
    return taken.value


def _stored(t: Type, rows: tuple[str, ...]) -> Type:
    return Tangent(t.of, rows) if isinstance(t, Tangent) else t


def _settle_elements(c: Matching, want: Type | None) -> None:
    """Element types that only literals told: the wanted one if it fits, else the default."""
    m = c.matcher
    for name, e in m.dtypes.items():
        if not isinstance(e, Flex):
            continue
        element: DType | DTypeVar = default_element(e)
        result = c.sig.result
        if isinstance(result, Tensor) and isinstance(result.dtype, DTypeVar):
            if result.dtype.name == name and isinstance(want, Tensor):
                if not isinstance(want.dtype, Flex) and flex_fits(e, want.dtype):
                    element = want.dtype
        kind = next((g.kind for g in c.sig.generics if g.name == name), None)
        if kind == "float" and isinstance(element, DType) and element.is_int:
            element = F32
        m.dtypes[name] = element
