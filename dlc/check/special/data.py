"""Builtins that make and change data: `push`, `init`."""

from __future__ import annotations

from dlc.check import typed
from dlc.check.body import Body, Val, Variable, bad
from dlc.check.convert import element_help, fit, misfit, settle
from dlc.check.decls import Initialiser
from dlc.check.entities import BrokenItem, ModelItem
from dlc.check.rules.arguments import Argument, arguments, changed_variable
from dlc.check.rules.assign import nothing
from dlc.check.rules.brackets import dims_in_brackets
from dlc.check.rules.names import module_member, unknown_name
from dlc.check.special.args import check_all, take
from dlc.diag import Diagnostic, Edit, error
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.surface import Array, Key, List, Model, Tensor, Type, short


def push(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`push(mut xs, v)`."""
    if len(node.args) != 2 or any(a.name for a in node.args):
        check_all(b, [a for a in node.args if not a.mut])
        found = error("E0312", f"`push` takes 2 arguments, this gives {len(node.args)}", node.span)
        return b.fail(found.with_help("`push(mut xs, v)`"))
    given = arguments(node.args)
    xs, v = given
    if not xs.mut:
        b.expr(node.args[1].value)
        found = error("E0420", f"`push` changes `xs`; say so: `mut {xs.text}`", xs.span)
        return b.fail(found.with_help(f"`mut {xs.text}`", Edit(xs.span, f"mut {xs.text}")))
    local = changed_variable(b, xs, (xs,), "`push`")
    if local is None:
        b.expr(node.args[1].value)
        return bad(node.span)
    assert isinstance(xs.value, tree.Name)
    before = b.expr(xs.value)
    t = before.type
    var = b.lookup(xs.value.id)
    if isinstance(var, Variable) and var.how == "mut":
        b.does(writes=True)
    value = b.expr(node.args[1].value, t.element if isinstance(t, List) else None)
    if before.is_bad or value.is_bad:
        return bad(node.span)
    if not isinstance(t, List):
        found = error("E0332", f"`xs` of `push` is a List, this is {b.show(t)}", xs.span)
        return b.fail(found.with_help("`xs: List[…] = []` makes one"))
    return _pushed(b, node, local, t, value, v)


def _pushed(b: Body, node: tree.Call, local: typed.Local, t: List, value: Val, v: Argument) -> Val:
    if misfit(b, value.type, t.element) is not None:
        text = f"this List holds {b.show(t.element)}, this is {b.show(value.type)}"
        found = error("E0332", text, v.span)
        found = element_help(found, value.type, t.element, v.text, v.span)
        return b.fail(found if found.helps else found.with_note("all elements have one type"))
    b.emit(typed.Push(local, fit(b, value, t.element).expr, span=node.span))
    return nothing(node.span)


# -- init


def init(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`init(Net[10, H=4], key)`: a model whose tensors are drawn by their initialisers."""
    args = take(b, node, ("model", "key"), 2, "init(Net[…], key)")
    if args is None:
        return bad(node.span)
    key = settle(b, b.expr(args["key"]))
    t = _model(b, args["model"])
    if key.is_bad or t is None:
        return bad(node.span)
    if not isinstance(key.type, Key):
        found = error("E0332", f"`init` draws with a Key, this is {b.show(key.type)}", key.span)
        if isinstance(key.type, Tensor) and not key.type.shape:
            made = f"key({key.span.text})"
            found = found.with_help(f"`{made}`", Edit(key.span, made))
        return b.fail(found if found.helps else found.with_help("`key(0)`"))
    leaves: list[typed.InitLeaf] = []
    if not _leaves(b, t, (), (), leaves, node):
        return bad(node.span)
    b.does(draws=True)
    return Val(typed.InitModel(key.expr, tuple(leaves), type=t, span=node.span))


def _model(b: Body, e: tree.Expr) -> Model | None:
    """The model type that `init` is to make."""
    base = e.base if isinstance(e, tree.Index) else e
    entity = None
    if isinstance(base, tree.Name) and b.lookup(base.id) is None:
        entity = b.tables.modules.find(b.module, base.id)
        if entity is None:
            b.report(unknown_name(b, base.id, base.span, "model"))
            return None
    elif isinstance(base, tree.Attr):
        member = module_member(b, base)
        if isinstance(member, Diagnostic):
            b.report(member)
            return None
        entity = member
    if isinstance(entity, BrokenItem):
        return None
    if not isinstance(entity, ModelItem):
        found = error("E0332", "the first argument of `init` is a model with its dims", e.span)
        b.report(found.with_help("`init(Net[10, 4], key)`"))
        return None
    decls = b.tables.dims_of(entity.name)
    if decls is None:
        return None
    names = [d.name for d in decls]
    given: dict[str, Dim] = {}
    if isinstance(e, tree.Index):
        found_dims = dims_in_brackets(b, e, names, short(entity.name))
        if found_dims is None:
            return None
        given = found_dims
    for d in decls:
        if d.name not in given and d.default is not None:
            given[d.name] = Dim.const(d.default)
    if len(given) != len(names):
        listed = ", ".join(names)
        found = error("E0303", f"`{short(entity.name)}` needs its dims here: {listed}", e.span)
        b.report(found.with_help(f"`init({base.span.text}[{listed}], key)` with numbers or dims"))
        return None
    for d in decls:
        if d.const and not b.is_static(given[d.name]):
            found = error(
                "E0328",
                f"`{d.name}` of `{short(entity.name)}` must be known when compiling",
                e.span,
            )
            b.report(found.with_help("write a number, or a name of `[K: const]`"))
            return None
    return Model(entity.name, tuple(given[n] for n in names))


def _leaves(
    b: Body,
    t: Model,
    path: tuple[str, ...],
    arrays: tuple[Dim, ...],
    out: list[typed.InitLeaf],
    node: tree.Call,
) -> bool:
    decl = b.tables.models.get(t.name)
    if decl is None:
        return False
    ok = True
    for f, (_, ft) in zip(decl.fields, b.tables.model_fields(t), strict=True):
        here = (*path, f.name)
        if isinstance(ft, Model):
            ok = _leaves(b, ft, here, arrays, out, node) and ok
        elif isinstance(ft, Array):
            ok = _leaves(b, ft.element, here, (*arrays, ft.count), out, node) and ok
        elif isinstance(ft, Tensor):
            if f.init is None:
                name = f"{short(t.name)}.{f.name}"
                found = error("E0317", f"`{name}` has no initialiser", node.span)
                found = found.with_label(f.span, "declared without `~`")
                b.report(found.with_help(f"`{f.name}: {ft} ~ glorot()`"))
                ok = False
                continue
            shape = (*arrays, *ft.shape)
            out.append(_leaf(here, Tensor(ft.dtype, shape), f.init, len(arrays), node))
        else:
            ok = False
    return ok


def _leaf(
    path: tuple[str, ...], t: Tensor, init: Initialiser, arrays: int, node: tree.Call
) -> typed.InitLeaf:
    return typed.InitLeaf(path, t, init.name, init.arguments, arrays, span=node.span)
