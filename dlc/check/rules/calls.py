"""Calls: of functions, builtins, constructors, static function parameters, ONNX models."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.check.body import Body, FunctionSlot, Val, Variable, bad
from dlc.check.convert import (
    element_help,
    fit,
    misfit,
    settle,
)
from dlc.check.entities import BrokenItem, ConstructorItem, Entity, FunctionItem, SpecialItem
from dlc.check.instances import Named
from dlc.check.rules import foreign
from dlc.check.rules.arguments import (
    Argument,
    arguments,
)
from dlc.check.rules.construct import construct
from dlc.check.rules.lambdas import apply
from dlc.check.rules.matching import prepare
from dlc.check.rules.names import module_member, unknown_name
from dlc.check.rules.onnx import call_onnx
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    DTypeVar,
    Model,
    Tensor,
    Type,
    Unknown,
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
        element = b.element(callee.id) if slot is None else None
        if isinstance(element, (DType, DTypeVar)):
            return b.world.convert(element, b, node)
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
    if name != "to":
        _check_args(b, node)
    found = error("E0210", f"{b.show(v.type)} has no field `{name}`", callee.name.span)
    rest = ", ".join(a.value.span.text for a in node.args)
    known = {"append": "push", "add": "push"}.get(name, name)
    found = found.with_note("there are no methods")
    if b.tables.modules.find(b.module, known) is not None:
        mark = "mut " if known == "push" else ""
        made = f"{known}({mark}{base.id}{', ' + rest if rest else ''})"
        return b.fail(found.with_help(f"`{made}`", Edit(node.span, made)))
    help = foreign.METHODS.get(name, "a function takes the value as its argument: `f(x)`")
    return b.fail(found.with_help(help))


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
