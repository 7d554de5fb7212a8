"""Calls: of functions, builtins, constructors, static function parameters, ONNX models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dlc.check import typed
from dlc.check.body import Body, FunctionSlot, Val, Variable, bad, is_whole, not_static
from dlc.check.convert import (
    born,
    default_element,
    element_help,
    fit,
    misfit,
    settle,
)
from dlc.check.decls import ParamDecl, Signature
from dlc.check.entities import BrokenItem, ConstructorItem, Entity, FunctionItem, SpecialItem
from dlc.check.instances import FunctionValue, InstanceKey, Named
from dlc.check.keys import called
from dlc.check.rules.arguments import (
    Argument,
    arguments,
    arrange,
    mut_target,
    signature_line,
)
from dlc.check.rules.brackets import dims_in_brackets
from dlc.check.rules.construct import construct
from dlc.check.rules.lambdas import apply, capture
from dlc.check.rules.names import module_member, unknown_name
from dlc.check.rules.onnx import call_onnx
from dlc.check.rules.static import static_value
from dlc.check.typed import Local
from dlc.check.unify import Conflict, Matcher, flex_fits, flexible
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    Const,
    DTypeVar,
    Flex,
    Function,
    Item,
    Model,
    Rows,
    ShapeVar,
    Tangent,
    Tensor,
    Type,
    Unit,
    Unknown,
    short,
    substitute_dims,
)

DRAWING = frozenset({"normal", "uniform", "bits", "permutation", "split", "splits"})
FAILING = frozenset(
    {"graph", "segs", "seg_range", "take", "scatter_add", "scatter_max", "sparse", "top_k", "pop"}
)


def call(b: Body, node: tree.Call, want: Type | None) -> Val:
    callee = node.callee
    if isinstance(callee, tree.Index):
        item = _callee_item(b, callee.base)
        if isinstance(item, FunctionItem):
            return call_item(b, item, arguments(node.args), node.span, want, callee)
    if isinstance(callee, tree.Call):
        inner = _callee_item(b, callee.callee)
        if isinstance(inner, SpecialItem) and inner.name in (
            "grad",
            "value_and_grad",
            "vjp",
            "jvp",
        ):
            return b.world.special("derivative")(b, node, want)
    if isinstance(callee, tree.Name):
        slot = b.lookup(callee.id)
        if isinstance(slot, FunctionSlot):
            return call_slot(b, slot, arguments(node.args), callee, node.span, want)
        if slot is None and callee.id not in b.dim_names:
            return _named(b, callee, node, want)
    if isinstance(callee, tree.Attr):
        member = module_member(b, callee)
        if isinstance(member, Diagnostic):
            _check_args(b, node)
            return b.fail(member)
        if member is not None:
            return call_entity(b, callee.name.text, member, node, want)
        method = _method(b, callee, node)
        if method is not None:
            return method
    return _call_value(b, node)


def _callee_item(b: Body, e: tree.Expr) -> Entity | None:
    if isinstance(e, tree.Name) and b.lookup(e.id) is None and e.id not in b.dim_names:
        return b.tables.modules.find(b.module, e.id)
    if isinstance(e, tree.Attr):
        found = module_member(b, e)
        return None if isinstance(found, Diagnostic) else found
    return None


def _check_args(b: Body, node: tree.Call) -> None:
    """Check arguments for their own errors, and to note what they spend."""
    for a in node.args:
        if not isinstance(a.value, (tree.Lambda, tree.String)):
            b.expr(a.value)


def _named(b: Body, callee: tree.Name, node: tree.Call, want: Type | None) -> Val:
    entity = b.tables.modules.find(b.module, callee.id)
    if entity is None:
        found = unknown_name(b, callee.id, callee.span, "function")
        _check_args(b, node)
        return b.fail(found)
    return call_entity(b, callee.id, entity, node, want)


def call_entity(b: Body, text: str, entity: Entity, node: tree.Call, want: Type | None) -> Val:
    """A call of a name of the program."""
    if isinstance(entity, SpecialItem):
        return b.world.special(entity.name)(b, node, want)
    if isinstance(entity, ConstructorItem):
        return construct(b, entity, node.args, node.span, want, called=True)
    if isinstance(entity, FunctionItem):
        return call_item(b, entity, arguments(node.args), node.span, want, None)
    _check_args(b, node)
    if isinstance(entity, BrokenItem):
        return bad(node.span)
    found = error("E0316", f"`{text}` is {entity.kind}, not a function", node.callee.span)
    if entity.kind == "a model":
        return b.fail(found.with_help(f"`init({text}[…], key)` makes one"))
    return b.fail(
        found.with_label(entity.span, "declared here").with_note("only functions are called")
    )


def _method(b: Body, callee: tree.Attr, node: tree.Call) -> Val | None:
    """`xs.push(v)`: there are no methods. None if the base may be called."""
    base = callee.base
    if not isinstance(base, tree.Name) or not isinstance(b.lookup(base.id), Variable):
        return None
    v = b.lookup(base.id)
    assert isinstance(v, Variable)
    if isinstance(v.type, (Model, Unknown)):
        return None
    name = callee.name.text
    _check_args(b, node)
    found = error("E0210", f"{b.show(v.type)} has no field `{name}`", callee.name.span)
    rest = ", ".join(a.value.span.text for a in node.args)
    known = {"append": "push", "add": "push"}.get(name, name)
    found = found.with_note("there are no methods")
    if b.tables.modules.find(b.module, known) is not None:
        mark = "mut " if known == "push" else ""
        made = f"{known}({mark}{base.id}{', ' + rest if rest else ''})"
        return b.fail(found.with_help(f"`{made}`", Edit(node.span, made)))
    return b.fail(found.with_help("a function takes the value as its argument: `f(x)`"))


def _call_value(b: Body, node: tree.Call) -> Val:
    v = b.expr(node.callee)
    if v.is_bad:
        _check_args(b, node)
        return bad(node.span)
    if isinstance(v.type, Model) and v.type.name in b.tables.onnx:
        return call_onnx(b, v, v.type, node)
    _check_args(b, node)
    found = error("E0316", f"{b.show(v.type)} is not a function", node.callee.span)
    if isinstance(v.type, Model):
        found = found.with_help("a model is data: a function takes it as an argument, `f(m, x)`")
    elif isinstance(node.callee, (tree.Number, tree.Name)) and isinstance(v.type, Tensor):
        found = found.with_help(f"`{node.callee.span.text} * (…)` multiplies")
    return b.fail(found if found.helps else found.with_note("only functions are called"))


def call_item(
    b: Body,
    item: FunctionItem,
    args: Sequence[Argument],
    span: Span,
    want: Type | None,
    brackets: tree.Index | None,
) -> Val:
    """A call of a function of the program or of a builtin with a signature."""
    sig = b.tables.signatures.get(item.name)
    if sig is None:
        for a in args:
            if a.value is not None and not isinstance(a.value, (tree.Lambda, tree.String)):
                b.expr(a.value)
        b.found.calls[item.name] = None
        return bad(span)
    p = prepare(b, sig, args, span, want, brackets)
    return bad(span) if p is None else p.call(b, span)


def call_slot(
    b: Body,
    slot: FunctionSlot,
    args: Sequence[Argument],
    callee: tree.Name,
    span: Span,
    want: Type | None,
) -> Val:
    """A call of a static function parameter."""
    if slot.type is None:
        return _captured_slot(b, slot, args, span, want)
    wanted = slot.type.params
    if len(args) != len(wanted) or any(a.mut or a.name for a in args):
        text = f"`{callee.id}` takes {len(wanted)} argument{'s' * (len(wanted) != 1)} by position"
        found = error("E0312", text, span).with_label(slot.span, "declared here")
        return b.fail(found.with_note(f"it is {slot.type}"))
    vals: list[Val] = []
    for a, t in zip(args, wanted, strict=True):
        assert a.value is not None
        v = b.expr(a.value, t)
        if v.is_bad:
            return bad(span)
        if misfit(b, v.type, t) is not None:
            text = f"`{callee.id}` takes {b.show(t)} here, this is {b.show(v.type)}"
            found = error("E0332", text, a.span).with_label(slot.span, "declared here")
            return b.fail(element_help(found, v.type, t, a.text, a.span))
        vals.append(fit(b, v, t))
    if slot.value is None:
        exprs = tuple(v.expr for v in vals)
        nothing = typed.Literal(0, type=slot.type.result, span=span)
        f = typed.Lambda((), (), (), nothing, span=span)
        return Val(typed.InlineCall(f, exprs, type=slot.type.result, span=span))
    if isinstance(slot.value, Named):
        item = b.tables.functions[slot.value.name]
        given = [Argument(v.span, None, v) for v in vals]
        return _as_declared(b, call_item(b, item, given, span, want, None), slot.type.result)
    return _as_declared(b, _inline(b, slot, vals, span, want), slot.type.result)


def _captured_slot(
    b: Body, slot: FunctionSlot, args: Sequence[Argument], span: Span, want: Type | None
) -> Val:
    """A call, inside a closure, of a function value that it captured."""
    vals = [settle(b, b.expr(a.value)) for a in args if a.value is not None]
    if any(v.is_bad for v in vals):
        return bad(span)
    if isinstance(slot.value, Named):
        item = b.tables.functions[slot.value.name]
        given = [Argument(v.span, None, v) for v in vals]
        return call_item(b, item, given, span, want, None)
    return _inline(b, slot, vals, span, want)


def _as_declared(b: Body, v: Val, t: Type) -> Val:
    """The result of a function parameter, as its type says."""
    if v.is_bad or misfit(b, v.type, t) is not None:
        return v
    return fit(b, v, t)


def _inline(b: Body, slot: FunctionSlot, vals: Sequence[Val], span: Span, want: Type | None) -> Val:
    assert slot.value is not None and not isinstance(slot.value, Named)
    kept = (b.env, b.module, b.dim_names)
    b.env, b.module, b.dim_names = dict(slot.env), slot.value.module, dict(slot.dims)
    done = apply(b, slot.value.node, [v.type for v in vals], want)
    b.env, b.module, b.dim_names = kept
    if done is None:
        return bad(span)
    exprs = tuple(v.expr for v in vals)
    return Val(typed.InlineCall(done.function, exprs, type=done.type, span=span))


# -- matching


@dataclass
class Prepared:
    """A call whose arguments fit; what is needed to write it down."""

    sig: Signature
    matcher: Matcher
    args: dict[str, Val]
    result: Type
    born: tuple[tuple[str, str], ...]
    changed: dict[str, Local]
    consts: dict[str, int | str] = field(default_factory=dict[str, int | str])
    functions: dict[str, FunctionValue] = field(default_factory=dict[str, FunctionValue])
    captured: list[Val] = field(default_factory=list[Val])
    outer: dict[str, Dim] = field(default_factory=dict[str, Dim])

    def target(self, b: Body) -> tuple[InstanceKey, tuple[tuple[str, Dim], ...]]:
        """The instance and its dims; only meaningful where all is concrete."""
        if not b.concrete:
            return InstanceKey(self.sig.name), ()
        found = called(b.tables, self.sig, self.matcher, self.consts, self.functions, self.outer)
        return found.key, found.dims

    def operands(self) -> tuple[typed.Expr, ...]:
        """Arguments in the order of the instance's parameters."""
        own = [self.args[p.name].expr for p in self.sig.params if p.name in self.args]
        return (*own, *(v.expr for v in self.captured))

    def call(self, b: Body, span: Span) -> Val:
        if self.sig.builtin:
            return self._builtin(b, span)
        b.found.calls[self.sig.name] = None
        key, dims = self.target(b)
        names = [p.name for p in self.sig.params if p.name in self.args]
        changed = tuple((names.index(n), local) for n, local in self.changed.items())
        if changed:
            _changes(b, self)
        result = self._result(b, key)
        made = typed.CallFunction(
            key, self.operands(), dims, self.born, changed, type=result, span=span
        )
        return Val(made)

    def _result(self, b: Body, key: InstanceKey) -> Type:
        """The result's type; where tangents go in and come out, how they are stored is found from
        the instance."""
        if not key.rows or not b.concrete or not _has_tangent(self.sig.result):
            return self.result
        made = b.world.function(key)
        return self.result if made is None else with_rows(self.result, made.result)

    def _builtin(self, b: Body, span: Span) -> Val:
        name = short(self.sig.name)
        b.does(draws=name in DRAWING, fails=name in FAILING)
        m = self.matcher
        dtypes = tuple((n, e) for n, e in m.dtypes.items() if isinstance(e, DType))
        shapes = tuple(
            (r, tuple(d for d in m.runs.get(r, ()) if isinstance(d, Dim))) for r in self.sig.runs
        )
        dims = tuple((n, m.dims[f"?{n}"]) for n in self.sig.dims if f"?{n}" in m.dims)
        consts = tuple(self.consts.items())
        made = typed.CallBuiltin(
            name,
            self.operands(),
            dtypes,
            shapes,
            dims,
            consts,
            self.born,
            type=self.result,
            span=span,
        )
        return Val(made)


def _has_tangent(t: Type) -> bool:
    from dlc.typesys.surface import Tuple, ValueVar

    if isinstance(t, Tuple):
        return any(map(_has_tangent, t.items))
    return isinstance(t, Tangent) or isinstance(t, ValueVar)


def with_rows(here: Type, made: Type) -> Type:
    """A type with tangents stored as in the instance's result."""
    from dlc.typesys.surface import Tuple

    if isinstance(here, Tuple) and isinstance(made, Tuple):
        return Tuple(tuple(map(with_rows, here.items, made.items)))
    if isinstance(here, Tangent) and isinstance(made, Tangent):
        return Tangent(here.of, made.rows)
    if isinstance(here, Tensor) and isinstance(made, Rows) and len(here.shape) == 2:
        count, width = here.dims
        return Rows(here.dtype, count, width)
    return here


def _changes(b: Body, p: Prepared) -> None:
    """After this statement the slots that the call wrote have their declared types again, and new
    versions where they are whole numbers."""
    for name, local in p.changed.items():
        value = p.args[name]
        found = [n for n, v in b.env.items() if isinstance(v, Variable) and v.local == local]
        for n in found:
            v = b.env[n]
            assert isinstance(v, Variable)
            declared, span = v.type, value.span
            b.update(n, dim=None, type=value.type)

            def restore(
                n: str = n,
                t: Type = declared,
                now: Type = value.type,
                at: Span = span,
                local: Local = local,
            ) -> None:
                if t != now:
                    read = typed.Read(local, type=now, span=at)
                    b.emit(typed.Assign(local, typed.Retype(read, type=t, span=at), span=at))
                here = b.env.get(n)
                if isinstance(here, Variable):
                    b.update(n, type=t, dim=b.version(n, t, at, local))

            b.later.append(restore)


@dataclass
class _Call:
    """A call being matched."""

    sig: Signature
    span: Span
    given: dict[str, Argument]
    matcher: Matcher
    flexed: dict[str, Dim]
    values: dict[str, Val] = field(default_factory=dict[str, Val])
    changed: dict[str, Local] = field(default_factory=dict[str, Local])
    consts: dict[str, int | str] = field(default_factory=dict[str, int | str])
    ok: bool = True

    def type_of(self, p: ParamDecl) -> Type:
        return substitute_dims(p.type, self.flexed)

    def type_of_result(self, p: ParamDecl) -> Type:
        assert isinstance(p.type, Function)
        return substitute_dims(p.type.result, self.flexed)

    def argument(self, i: int) -> Argument | None:
        return self.given.get(self.sig.params[i].name)


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
    c = _Call(sig, span, arranged.by_param, Matcher(b.norm), flexible(names))
    if brackets is not None and not _brackets(b, c, brackets):
        c.ok = False
    for i, p in enumerate(sig.params):
        c.matcher.arg = i
        if p.run:
            _run(b, c, p, arranged.run)
        elif not isinstance(p.type, Function):
            _argument(b, c, p, args, want)
    _report(b, c, c.matcher.solve())
    functions = _functions(b, c)
    if not c.ok or c.matcher.poisoned or functions is None:
        return None
    if not _defaults_and_rest(b, c):
        return None
    return _fitted(b, c, functions, want)


def _brackets(b: Body, c: _Call, node: tree.Index) -> bool:
    """`beam[K=8](…)`: generics given where the function is named."""
    names = [g.name for g in c.sig.generics if g.kind is None and not g.value]
    found = dims_in_brackets(b, node, names, short(c.sig.name))
    if found is None:
        return False
    for n, d in found.items():
        c.matcher.dims[f"?{n}"] = b.norm(d)
    return True


def _run(b: Body, c: _Call, p: ParamDecl, run: Sequence[Argument]) -> None:
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


def dim_argument(b: Body, a: Argument, what: str) -> Dim | None:
    """An argument that becomes a dim: a polynomial or a named number (E0304)."""
    v = a.val if a.val is not None else b.expr(a.value) if a.value is not None else bad(a.span)
    if v.is_bad:
        return None
    d = v.dim
    t = v.type
    if d is not None and isinstance(t, Tensor) and not t.shape:
        if (d.is_constant and d.constant < 0) or (d.terms and all(k < 0 for _, k in d.terms)):
            found = error("E0304", f"{what} is {b.show(d)}, which is negative", a.span)
            b.report(found.with_note("a dim is 0 or more"))
            return None
        return b.norm(d)
    found = error("E0304", f"{what} must be a dim, this is {b.show(t)}", a.span)
    whole = isinstance(settle(b, v).type, Tensor) and is_whole(settle(b, v).type)
    if whole:
        found = error("E0304", f"{what} has no name", a.span)
        found = found.with_note("a dim is built from names, whole numbers, `+ - * // %` and powers")
        b.report(found.with_help(f"name it first: `k = {a.text}`, then `k`"))
        return None
    b.report(found.with_help("dims are whole numbers (i32): `i32(x)`, with a name of its own"))
    return None


def _argument(b: Body, c: _Call, p: ParamDecl, all: Sequence[Argument], want: Type | None) -> None:
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
    if isinstance(v.type, Unit):
        b.report(
            error("E0405", "this call gives no value", a.span).with_help(
                "call it on a line of its own"
            )
        )
        c.ok = False
        return
    c.values[p.name] = v
    if not c.matcher.match(expected, v.type):
        c.ok = False
        b.report(_wrong_form(b, c, p, a, v))
    elif p.name in c.sig.value_dims:
        d = dim_argument(b, Argument(a.span, val=v), f"`{p.name}` of `{name}`")
        if d is None:
            c.ok = False
        else:
            c.matcher.dims[f"?{p.name}"] = d


def _mut_span(a: Argument) -> Span:
    text = a.span.source.text
    start = text.rfind("mut", 0, a.span.start)
    return Span(a.span.source, max(0, start), a.span.end)


def _hint(c: _Call, t: Type) -> Type | None:
    """What is known of a parameter's type so far, to guide literals, lists, None and constructors;
    None while a generic of it is open."""
    return c.matcher.rewrite()(t) if c.matcher.knows(t) else None


def _default(b: Body, c: _Call, p: ParamDecl) -> None:
    value = p.default
    assert value is not None
    if isinstance(p.type, Const):
        assert not isinstance(value, float)
        c.consts[p.name] = value
        if isinstance(value, int):
            c.matcher.dims[f"?{p.name}"] = Dim.const(value)
        return
    t = p.type
    assert isinstance(t, Tensor)
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


def _const(b: Body, c: _Call, p: ParamDecl, a: Argument) -> None:
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
    if b.tables.same_group(b.name, c.sig.name) and isinstance(a.value, (tree.Binary, tree.Unary)):
        found = error("E0337", f"`{name}` calls itself with `{a.text}`", a.span)
        found = found.with_note(
            "a const may not change in a recursive call: there would be no end of copies"
        )
        b.report(found.with_help(f"let `{p.name}` be a whole number: `{p.name}: i32`"))
        c.ok = False


def _wrong_form(b: Body, c: _Call, p: ParamDecl, a: Argument, v: Val) -> Diagnostic:
    """E0332: an argument of another form or element type than the parameter."""
    text = f"`{p.name}` of `{short(c.sig.name)}` is {p.type}, this is {b.show(v.type)}"
    found = error("E0332", text, a.span)
    if not c.sig.builtin:
        found = found.with_label(p.span, "declared here")
    t, got = p.type, v.type
    if isinstance(t, Tensor) and isinstance(got, Tensor):
        if len(t.shape) == len(got.shape) and isinstance(t.dtype, DType) and t.dtype != got.dtype:
            return element_help(
                found.with_note("nothing is converted silently"), got, t, a.text, a.span
            )
        if isinstance(t.dtype, DTypeVar) and t.dtype.name in c.matcher.dtypes:
            bound = c.matcher.dtypes[t.dtype.name]
            found = found.with_note(f"`{t.dtype}` of `{short(c.sig.name)}` is {bound} here")
            if isinstance(bound, DType) and bound != got.dtype:
                return element_help(found, got, Tensor(bound), a.text, a.span)
            return found
        if isinstance(t.dtype, DTypeVar):
            kinds = {"float": "a float", "int": "a whole number", "number": "a number"}
            if t.dtype.kind in kinds:
                found = found.with_note(f"`{t.dtype}` must be {kinds[t.dtype.kind]}")
                if (
                    t.dtype.kind == "float"
                    and isinstance(got.dtype, (DType, Flex))
                    and got.dtype.kind in ("int", "dim")
                ):
                    made = f"f32({a.text})"
                    return found.with_help(f"`{made}`", Edit(a.span, made))
                return found
        if len(t.shape) != len(got.shape):
            return found.with_note(f"it needs {_ranks(t)}, this has {_ranks(got)}")
    return found.with_note(signature_line(c.sig))


def _ranks(t: Tensor) -> str:
    n = len(t.shape)
    return "a number (no dims)" if n == 0 else f"{n} dim{'s' * (n != 1)}"


def _report(b: Body, c: _Call, conflicts: Sequence[Conflict]) -> None:
    """E0331: dims of arguments that do not agree."""
    for k in conflicts:
        c.ok = False
        p = c.sig.params[k.equation.arg]
        a = c.argument(k.equation.arg)
        name = short(c.sig.name)
        want, got = b.show(k.want), b.show(k.got)
        if k.kind in ("inexact", "open"):
            text = f"`{p.name}` of `{name}` has a dim `{str(k.equation.want).replace('?', '')}`, this has `{got}`"
        else:
            text = f"`{p.name}` of `{name}` needs `{want}` where this has `{got}`"
        found = error("E0331", text, c.span if a is None else a.span)
        found = _blame(b, c, k, found)
        if not c.sig.builtin:
            found = found.with_label(p.span, "declared here")
        found = born(b, found, k.want, k.got)
        b.report(_cure(b, c, k, found))


def _blame(b: Body, c: _Call, k: Conflict, found: Diagnostic) -> Diagnostic:
    """Where the demanded dim came from."""
    seen: set[int] = {k.equation.arg}
    for s in k.equation.want.symbols():
        by = c.matcher.solved_by.get(s)
        if by is None or by in seen:
            continue
        seen.add(by)
        a = c.argument(by)
        if a is not None:
            value = b.show(c.matcher.dims[s])
            text = f"this made `{s[1:]}` of `{short(c.sig.name)}` be `{value}`"
            found = found.with_label(a.span, text)
    return found


def _cure(b: Body, c: _Call, k: Conflict, found: Diagnostic) -> Diagnostic:
    if k.kind == "never":
        return found.with_note(f"`{b.show(k.got)}` is never `{b.show(k.want)}`")
    if k.kind == "inexact":
        return found.with_help("bind it first, with a type: `y: f32[2*?n] = x` checks it")
    if k.kind == "open":
        return found.with_help("name the parts in an annotated binding first")
    names = (*k.want.symbols(), *k.got.symbols())
    if all(n in b.dim_names or "." in n or n in b.env for n in names):
        want, got = b.show(k.want), b.show(k.got)
        found = found.with_help(f"`assert {got} == {want}` before, if that is so")
        for d, other in ((k.got, k.want), (k.want, k.got)):
            fixed = _path(b, d)
            if fixed is not None and other.name is not None:
                param, dim, t = fixed
                return found.with_help(
                    f"or write it into the signature: `{param}: {short(t.name)}[{dim}={b.show(other)}]`"
                )
    else:
        found = found.with_help("an annotated binding checks it when the program runs")
    return found


def _path(b: Body, d: Dim) -> tuple[str, str, Model] | None:
    if d.name is None or d.name.count(".") != 1:
        return None
    param, dim = d.name.split(".")
    v = b.lookup(param)
    if isinstance(v, Variable) and isinstance(v.type, Model) and v.how in ("param", "mut"):
        return param, dim, v.type
    return None


def _functions(b: Body, c: _Call) -> dict[str, tuple[Argument, Type]] | None:
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
        _report(b, c, c.matcher.solve())
        out[p.name] = (a, t)
    return out


def _is_open(t: Type) -> bool:
    return "?" in str(t)


def _defaults_and_rest(b: Body, c: _Call) -> bool:
    """Defaults of dims that nothing told; E0331 for what stays open."""
    m = c.matcher
    for g in c.sig.generics:
        if g.default is not None and f"?{g.name}" not in m.dims:
            m.dims[f"?{g.name}"] = Dim.const(g.default)
    _report(b, c, m.solve())
    if not c.ok:
        return False
    _report(b, c, m.left())
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
    b: Body, c: _Call, functions: dict[str, tuple[Argument, Type]], want: Type | None
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
    from dlc.check.rules.lambdas import as_lambda

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


def _settle_elements(c: _Call, want: Type | None) -> None:
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
            from dlc.typesys.dtypes import F32

            element = F32
        m.dtypes[name] = element
