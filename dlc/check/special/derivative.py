"""`grad value_and_grad vjp jvp (f, wrt=p)(…)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from dlc.check import typed
from dlc.check.body import Body, FunctionSlot, Val, bad
from dlc.check.convert import element_help, fit, misfit, settle
from dlc.check.entities import FunctionItem, SpecialItem
from dlc.check.instances import Closure, InstanceKey, Named
from dlc.check.row_only import lambda_row_only
from dlc.check.rules.arguments import arguments, signature_line
from dlc.check.rules.lambdas import apply, counted
from dlc.check.rules.matching import prepare
from dlc.check.rules.names import module_member, unknown_name
from dlc.check.rules.static import static_number
from dlc.check.special.args import check_all
from dlc.check.special.higher import lift
from dlc.diag import Diagnostic, Edit, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.surface import (
    Function,
    Tensor,
    Tuple,
    Type,
    Unit,
    short,
    tangent,
)

ANONYMOUS = "this function"
"""What a function without a name is called in messages."""

Kind = Literal["grad", "value_and_grad", "vjp", "jvp"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is differentiated: its name and result, its arguments and what names them, its
    instance."""

    name: str
    key: InstanceKey
    args: tuple[typed.Expr, ...]
    param_types: tuple[Type, ...]
    names: tuple[str, ...]
    dims: tuple[typed.DimBinding, ...]
    result: Type
    rows: dict[str, tuple[str, ...]]
    note: str


def derivative(b: Body, node: tree.Call, want: Type | None) -> Val:
    inner = node.callee
    assert isinstance(inner, tree.Call)
    kind = cast(
        Kind, (inner.callee.name if isinstance(inner.callee, tree.Attr) else inner.callee).span.text
    )
    opened = _opened(b, inner, kind)
    if opened is None:
        check_all(b, node.args)
        return bad(node.span)
    f, wrt = opened
    count = 1 if kind == "vjp" else (_wrt_count(wrt) if kind == "jvp" else 0)
    split = len(node.args) - count
    if count and (split < len(_parameters(b, f)) or any(a.name for a in node.args[split:])):
        check_all(b, node.args)
        return b.fail(_without_direction(b, f, node, kind, count))
    target = _target(b, f, node.args[:split], node)
    if target is None:
        check_all(b, node.args[split:])
        return bad(node.span)
    numbers = _numbers(b, target, wrt, f)
    extra = [settle(b, b.expr(a.value)) for a in node.args[split:]]
    if numbers is None or any(v.is_bad for v in extra):
        return bad(node.span)
    return _typed(b, node, kind, target, numbers, isinstance(wrt, tree.TupleExpr), extra)


def _without_direction(
    b: Body, f: tree.Expr, node: tree.Call, kind: Kind, count: int
) -> Diagnostic:
    what = "the cotangent" if kind == "vjp" else "the tangent" + "s" * (count > 1)
    found = error("E0312", f"`{kind}` takes {what} after the arguments", node.span)
    last = [f"d{k}" for k in range(1, count + 1)] if count > 1 else ["d"]
    names = _parameters(b, f) or ("x",)
    return found.with_help(f"`{node.callee.span.text}({', '.join((*names, *last))})`")


def _parameters(b: Body, f: tree.Expr) -> tuple[str, ...]:
    """The parameters that a function of the program must be given, as far as that is plain."""
    if not isinstance(f, tree.Name) or b.lookup(f.id) is not None:
        return ()
    item = b.tables.modules.find(b.module, f.id)
    sig = b.tables.signatures.get(item.name) if isinstance(item, FunctionItem) else None
    params = () if sig is None else sig.params
    return tuple(p.name for p in params if p.default is None and not p.run)


def unapplied(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`grad(f, wrt=x)` without the second call."""
    name = node.callee.span.text
    found = error("E0501", f"`{name}(f, wrt=x)` is a function, and must be called", node.span)
    return b.fail(found.with_help(f"`{name}(f, wrt=x)(…)` with the arguments of `f`"))


def _opened(b: Body, inner: tree.Call, kind: str) -> tuple[tree.Expr, tree.Expr | None] | None:
    """The function and what is said of `wrt`."""
    f: tree.Expr | None = None
    wrt: tree.Expr | None = None
    for a in inner.args:
        if a.name is None and f is None:
            f = a.value
        elif a.name is not None and a.name.text == "wrt" and wrt is None:
            wrt = a.value
        else:
            found = error("E0312", f"`{kind}` takes a function and `wrt`", a.span)
            name = a.value.value if isinstance(a.value, tree.String) else a.span.text
            if a.name is None and name.isidentifier() and f is not None and wrt is None:
                b.report(found.with_help(f"`wrt={name}`", Edit(a.span, f"wrt={name}")))
            else:
                b.report(found.with_help(f"`{kind}(f, wrt=x)(…)`"))
            return None
    if f is None:
        found = error("E0312", f"`{kind}` takes a function and `wrt`", inner.span)
        b.report(found.with_help(f"`{kind}(f, wrt=x)(…)`"))
        return None
    return f, wrt


def _wrt_count(wrt: tree.Expr | None) -> int:
    return len(wrt.items) if isinstance(wrt, tree.TupleExpr) else 1


# -- the function


def _target(b: Body, f: tree.Expr, args: Sequence[tree.Arg], node: tree.Call) -> Target | None:
    if isinstance(f, tree.Lambda):
        return _lambda(b, f, f, args, node)
    entity: object = None
    if isinstance(f, tree.Name):
        slot = b.lookup(f.id)
        if isinstance(slot, FunctionSlot):
            return _slot(b, f, slot, args, node)
        if slot is None and f.id not in b.dim_names:
            entity = b.tables.modules.find(b.module, f.id)
            if entity is None:
                check_all(b, args)
                b.report(unknown_name(b, f.id, f.span, "function"))
                return None
    elif isinstance(f, tree.Attr):
        entity = module_member(b, f)
        if isinstance(entity, Diagnostic):
            check_all(b, args)
            b.report(entity)
            return None
    if isinstance(entity, FunctionItem) and not entity.node.is_builtin:
        return _function(b, f, entity, args, node)
    check_all(b, args)
    text = f.span.text
    if isinstance(entity, (FunctionItem, SpecialItem)):
        found = error("E0501", f"`{text}` is a builtin", f.span)
        b.report(found.with_help(f"wrap it: `fn(x) => {text}(x)`"))
    else:
        found = error("E0501", "only a function is differentiated", f.span)
        b.report(found.with_help("the name of a function, or `fn(x) => …`"))
    return None


def _function(
    b: Body, f: tree.Expr, item: FunctionItem, args: Sequence[tree.Arg], node: tree.Call
) -> Target | None:
    sig = b.tables.signatures.get(item.name)
    b.found.calls[item.name] = None
    if sig is None:
        check_all(b, args)
        return None
    changed = [p for p in sig.params if p.mut]
    name = short(item.name)
    if changed:
        check_all(b, args)
        found = error(
            "E0504", f"`{name}` changes `{changed[0].name}` and cannot be differentiated", f.span
        )
        found = found.with_label(changed[0].span, "`mut` here")
        b.report(found.with_help(f"return the new `{changed[0].name}`"))
        return None
    if b.tables.same_group(b.name, item.name):
        check_all(b, args)
        found = error(
            "E0506", f"`{b.name_text}` takes the gradient of `{name}`, which calls it again", f.span
        )
        found = found.with_note("its derivative would contain its own derivative without end")
        b.report(found.with_help("split off the part that is differentiated"))
        return None
    p = prepare(b, sig, arguments(args), node.span, None)
    if p is None:
        return None
    key, dims = p.target(b)
    own = [q.name for q in sig.params if q.name in p.args]
    b.does(draws=False)
    return Target(
        name,
        key,
        p.operands(),
        tuple(p.args[n].type for n in own),
        tuple(own),
        dims,
        p.result,
        dict(b.tables.row_only.get(item.name, {})),
        signature_line(sig),
    )


def _lambda(
    b: Body, f: tree.Expr, source: tree.Lambda, args: Sequence[tree.Arg], node: tree.Call
) -> Target | None:
    vals = [settle(b, b.expr(a.value)) for a in args]
    if any(v.is_bad for v in vals):
        return None
    types = tuple(v.type for v in vals)
    done = apply(b, f, types)
    if done is None:
        return None
    lifted = lift(b, f, types)
    if lifted is None:
        return None
    key, captures, dims = lifted
    names = tuple(p.text for p in source.params)
    rows = lambda_row_only(b.tables, b.module, source, types)
    note = f"its parameters: {', '.join(names)}"
    hidden = ("",) * len(captures)
    return Target(
        ANONYMOUS,
        key,
        tuple(v.expr for v in (*captures, *vals)),
        (*(v.type for v in captures), *types),
        (*hidden, *names),
        dims,
        done.type,
        rows,
        note,
    )


def _slot(
    b: Body, f: tree.Name, slot: FunctionSlot, args: Sequence[tree.Arg], node: tree.Call
) -> Target | None:
    """A static function parameter; its parameters are named by position, `wrt=0`."""
    value = slot.value
    if isinstance(value, Named):
        item = b.tables.functions[value.name]
        return _function(b, f, item, args, node)
    if isinstance(value, Closure):
        kept = (b.env, b.module, b.dim_names)
        vals = [settle(b, b.expr(a.value)) for a in args]
        if any(v.is_bad for v in vals):
            return None
        b.env, b.module, b.dim_names = dict(slot.env), value.module, dict(slot.dims)
        done = apply(b, value.node, [v.type for v in vals])
        b.env, b.module, b.dim_names = kept
        types = tuple(v.type for v in vals)
        lifted = None if done is None else lift(b, f, types)
        if done is None or lifted is None:
            return None
        key, captures, dims = lifted
        names = tuple(p.text for p in value.node.params)
        rows = lambda_row_only(b.tables, value.module, value.node, types)
        operands = tuple(v.expr for v in (*captures, *vals))
        all_types = (*(v.type for v in captures), *types)
        hidden = ("",) * len(captures)
        return Target(f.id, key, operands, all_types, (*hidden, *names), dims, done.type, rows, "")
    assert slot.type is not None
    return _open_slot(b, f, slot.type, args, node)


def _open_slot(
    b: Body, f: tree.Name, t: Function, args: Sequence[tree.Arg], node: tree.Call
) -> Target | None:
    if len(args) != len(t.params):
        check_all(b, args)
        found = error("E0312", f"`{f.id}` takes {counted(len(t.params))}", node.span)
        b.report(found.with_note(f"it is {t}"))
        return None
    vals: list[Val] = []
    for a, p in zip(args, t.params, strict=True):
        v = b.expr(a.value, p)
        if v.is_bad:
            return None
        if misfit(b, v.type, p) is not None:
            found = error(
                "E0332", f"`{f.id}` takes {b.show(p)} here, this is {b.show(v.type)}", a.span
            )
            b.report(element_help(found, v.type, p, a.value.span.text, a.value.span))
            return None
        vals.append(fit(b, v, p))
    exprs = tuple(v.expr for v in vals)
    key = InstanceKey(b.name)
    names = tuple(str(i) for i in range(len(exprs)))
    return Target(f.id, key, exprs, t.params, names, (), t.result, {}, f"it is {t}")


# -- wrt


def _numbers(b: Body, target: Target, wrt: tree.Expr | None, f: tree.Expr) -> list[int] | None:
    """The numbers of the parameters to differentiate by (E0502, E0505)."""
    shown = [n for n in target.names if n]
    first = len(target.names) - len(shown)
    if wrt is None:
        if len(shown) == 1:
            return _checked(b, target, [first], [f])
        found = error("E0502", f"which parameter of `{target.name}` to differentiate by?", f.span)
        found = found.with_note(target.note) if target.note else found
        b.report(found.with_help(f"`wrt={shown[0] if shown else 'x'}`"))
        return None
    items = wrt.items if isinstance(wrt, tree.TupleExpr) else (wrt,)
    out: list[int] = []
    for e in items:
        name = e.id if isinstance(e, tree.Name) else None
        at = static_number(b, e) if isinstance(e, tree.Number) else None
        if name in target.names and name:
            out.append(target.names.index(name))
        elif at is not None and 0 <= at < len(shown):
            out.append(first + at)
        else:
            b.report(_no_parameter(target, e, shown))
            return None
        if out[-1] in out[:-1]:
            b.report(
                error("E0502", f"`{e.span.text}` stands twice in `wrt`", e.span).with_help("once")
            )
            return None
    return _checked(b, target, out, list(items))


def _no_parameter(target: Target, e: tree.Expr, shown: Sequence[str]) -> Diagnostic:
    name = e.id if isinstance(e, tree.Name) else ""
    of = target.name if target.name == ANONYMOUS else f"`{target.name}`"
    found = error("E0502", f"{of} has no parameter `{e.span.text}`", e.span)
    found = found.with_note(target.note) if target.note else found
    if isinstance(e, tree.Attr) and isinstance(e.base, tree.Name) and e.base.id in shown:
        whole, field = e.base.id, e.name.text
        return found.with_help(f"`wrt={whole}`, and of the result its field, `g.{field}`")
    found = did_you_mean(found, name, shown, e.span)
    return found if found.helps else found.with_help(f"`wrt` names a parameter of {of}")


def _checked(
    b: Body, target: Target, numbers: list[int], at: Sequence[tree.Expr]
) -> list[int] | None:
    for n, e in zip(numbers, at, strict=True):
        t = target.param_types[n]
        if not b.tables.has_float(t):
            found = error(
                "E0505", f"`{target.names[n]}` is {b.show(t)}, which has no derivative", e.span
            )
            b.report(found.with_note("floats and structures of floats have one"))
            return None
    return numbers


# -- results


def _typed(
    b: Body,
    node: tree.Call,
    kind: Kind,
    target: Target,
    numbers: list[int],
    as_tuple: bool,
    extra: list[Val],
) -> Val:
    parts = target.result.items if isinstance(target.result, Tuple) else (target.result,)
    if isinstance(target.result, Unit) or not parts:
        return b.fail(_one_float(b, target, node))
    value = parts[0]
    if kind in ("grad", "value_and_grad"):
        is_float = isinstance(value, Tensor) and not value.shape and value.dtype.kind == "float"
        if not is_float:
            return b.fail(_one_float(b, target, node))
    elif not b.tables.has_float(value):
        found = error(
            "E0503",
            f"`{target.name}` returns {b.show(value)}, which has no float",
            node.callee.span,
        )
        return b.fail(found.with_help("return the floats first"))
    rows = tuple(_rows(target, n) if kind != "jvp" else () for n in numbers)
    tangents = tuple(tangent(target.param_types[n], r) for n, r in zip(numbers, rows, strict=True))
    if kind == "vjp":
        fitted = _extra(b, extra, (tangent(value),), "the cotangent")
        results = tangents
    elif kind == "jvp":
        fitted = _extra(b, extra, tangents, "a tangent")
        results = (*parts, tangent(value))
    else:
        fitted = ()
        results = (*tangents, *parts[1:]) if kind == "grad" else (*parts, *tangents)
    if fitted is None:
        return bad(node.span)
    made = typed.Gradient(
        kind,
        target.key,
        target.args,
        target.dims,
        tuple(numbers),
        as_tuple,
        rows,
        fitted,
        type=results[0] if len(results) == 1 and not as_tuple else Tuple(results),
        span=node.span,
    )
    return Val(made)


def _rows(target: Target, n: int) -> tuple[str, ...]:
    """The leaves of a parameter whose tangent is stored as rows."""
    return target.rows.get(target.names[n], ())


def _one_float(b: Body, target: Target, node: tree.Call) -> Diagnostic:
    shown = b.show(target.result)
    found = error(
        "E0503", f"grad needs one float; `{target.name}` returns {shown}", node.callee.span
    )
    return found.with_help("`sum(…)` makes one of a tensor; `vjp` takes a cotangent")


def _extra(
    b: Body, vals: Sequence[Val], wants: Sequence[Type], what: str
) -> tuple[typed.Expr, ...] | None:
    out: list[typed.Expr] = []
    for v, t in zip(vals, wants, strict=True):
        if misfit(b, v.type, t) is not None:
            found = error("E0332", f"{what} is {b.show(t)}, this is {b.show(v.type)}", v.span)
            b.report(
                element_help(found, v.type, t, v.span.text, v.span).with_note(
                    "it has the type of what it belongs to"
                )
            )
            return None
        out.append(fit(b, v, t).expr)
    return tuple(out)
