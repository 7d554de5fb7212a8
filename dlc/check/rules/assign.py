"""Assignments: to names, tuples of names, elements; `return`, `assert` and expressions as
statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from dlc.check import typed
from dlc.check.body import Body, Constant, FunctionSlot, Val, Variable, is_whole
from dlc.check.convert import born, differs, element_help, fit, misfit, settle
from dlc.check.rules.align import align, join, spoil, stretch
from dlc.check.rules.annotate import annotated_type
from dlc.check.rules.arguments import constant_name
from dlc.check.rules.indexing import list_index, pack, select
from dlc.check.rules.operators import COMPARISONS, arithmetic, condition
from dlc.check.rules.prepared import with_rows
from dlc.check.rules.static import static_value
from dlc.check.typed import Local
from dlc.check.unify import Matcher, flexible, strip_rows
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import ZERO, DimError
from dlc.typesys.surface import (
    BOOL_SCALAR,
    Array,
    Key,
    List,
    Model,
    Tensor,
    Tuple,
    Type,
    Unit,
    Unknown,
    substitute_dims,
)


def assign(b: Body, node: tree.Assign) -> str:
    targets = node.targets
    wants = [_wanted(b, t) for t in targets]
    if len(node.values) == 1:
        value = node.values[0]
        if len(targets) == 1:
            _one(b, targets[0], value, wants[0])
            return "no"
        want = Tuple(tuple(w or Unknown() for w in wants)) if any(wants) else None
        whole = b.expr(value, want)
    else:
        if len(node.values) != len(targets):
            for e in node.values:
                b.expr(e)
            _bind_bad(b, targets)
            text = f"{len(targets)} names take {len(node.values)} values"
            b.report(error("E0341", text, node.span).with_help("as many names as values"))
            return "no"
        vals = [b.expr(e, w) for e, w in zip(node.values, wants, strict=True)]
        for v, t in zip(vals, targets, strict=True):
            if v.is_bad:
                _bind_bad(b, (t,))
        whole = pack(b, vals, node.span)
    _unpack(b, node, targets, whole)
    return "no"


def _wanted(b: Body, target: tree.Expr) -> Type | None:
    """The type that a target has to keep, to guide its value."""
    if isinstance(target, tree.Name):
        v = b.lookup(target.id)
        if isinstance(v, Variable) and v.how in ("mut", "local") and v.clash is None:
            if v.how == "mut" or isinstance(v.type, List):
                return v.type
    return None


def _bind_bad(b: Body, targets: tuple[tree.Expr, ...]) -> None:
    """After an error the names exist, so that they are not reported again."""
    for t in targets:
        if isinstance(t, tree.Name) and t.id != "_":
            before = b.lookup(t.id)
            if isinstance(before, Variable) and before.how != "local":
                continue
            if not isinstance(before, (Constant, FunctionSlot)):
                old = before.type if isinstance(before, Variable) else Unknown()
                b.bind(t.id, old, "local", t.span)


def _one(b: Body, target: tree.Expr, value: tree.Expr, want: Type | None) -> None:
    if isinstance(target, tree.Index):
        _element(b, target, lambda w: b.expr(value, w))
        return
    assert isinstance(target, tree.Name)
    v = settle(b, b.expr(value, want), want)
    if v.is_bad:
        _bind_bad(b, (target,))
        return
    _to_name(b, target, v, value.span)


def _to_name(b: Body, target: tree.Name, v: Val, span: Span) -> None:
    name = target.id
    if isinstance(v.type, Unit):
        found = error("E0405", "this call gives no value", span)
        b.report(found.with_help("call it on a line of its own"))
        _bind_bad(b, (target,))
        return
    if name == "_":
        b.emit(typed.Evaluate(v.expr, span=target.span))
        return
    how = assignable(b, name, target.span, v.type)
    if how is None:
        return
    if how == "mut":
        _to_mut(b, name, v, span)
        return
    if isinstance(v.type, Tuple) and not b.values:
        _whole_tuple(b, target, v.type, span)
        _bind_bad(b, (target,))
        return
    before = b.lookup(name)
    local = before.local if how == "param" and isinstance(before, Variable) else b.slot(name)
    b.emit(typed.Assign(local, v.expr, span=target.span))
    b.bind(name, v.type, how, target.span, local, v.dim if _whole(v.type) else None)


def _whole_tuple(b: Body, target: tree.Name, t: Tuple, span: Span) -> None:
    """E0324: a tuple cannot have a name."""
    found = error("E0324", "a tuple is only taken apart", target.span)
    if span == target.span:
        found = found.with_note(f"this part of a tuple is itself one: {b.show(t)}")
        b.report(found.with_help("let the function return all parts side by side"))
        return
    names = ", ".join("abcdefgh"[i % 8] for i in range(len(t.items)))
    b.report(found.with_help(f"`{names} = {_short(span)}`", Edit(target.span, names)))


def _whole(t: Type) -> bool:
    return is_whole(t)


def _short(span: Span) -> str:
    text = span.text
    return text if len(text) < 60 and "\n" not in text else "…"


def assignable(b: Body, name: str, span: Span, t: Type) -> str | None:
    """How a name may be assigned: `local`, `mut`, or `param` for a key; None after E0406."""
    v = b.lookup(name)
    if isinstance(v, Variable):
        if v.how in ("local", "mut"):
            return v.how
        if isinstance(v.type, Key) and isinstance(t, Key):
            return v.how
        if v.how == "param" and isinstance(v.type, Unknown):
            return None
        b.report(constant_name(name, v, span))
        return None
    if v is not None or name in b.dim_names:
        what = "a function" if isinstance(v, FunctionSlot) else "known when compiling"
        if v is None:
            what = "a dim"
        found = error("E0406", f"`{name}` is {what} and cannot be assigned", span)
        if v is not None:
            found = found.with_label(v.span, "declared here")
        b.report(found.with_help("use another name"))
        return None
    return "local"


def _to_mut(b: Body, name: str, v: Val, span: Span) -> None:
    """A `mut` parameter keeps its type and dims (E0407)."""
    var = b.lookup(name)
    assert isinstance(var, Variable)
    wrong = misfit(b, v.type, var.type)
    if wrong is not None:
        text = f"`{name}` is {b.show(var.type)} and keeps its type; this is {b.show(v.type)}"
        if wrong.conflict is not None:
            text += f": {differs(b, wrong.conflict)}"
        found = error("E0407", text, span).with_label(var.span, "declared `mut` here")
        if wrong.conflict is not None:
            found = born(b, found, wrong.conflict.want, wrong.conflict.got)
            help = f"`{name}2: {b.show(var.type)} = {_short(span)}` checks it when the program runs"
            found = found.with_help(help)
        else:
            found = found.with_note("the caller's variable has this type after the call as well")
        b.report(element_help(found, v.type, var.type, _short(span), span))
        return
    v = fit(b, v, strip_rows(var.type))
    b.does(writes=True)
    b.emit(typed.Assign(var.local, v.expr, span=span))
    dim = v.dim if _whole(var.type) else None
    dim = dim or b.version(name, var.type, span, var.local)
    b.update(name, spent=None, dim=dim, written=span)


def _unpack(b: Body, node: tree.Assign, targets: tuple[tree.Expr, ...], whole: Val) -> None:
    """`a, b[i], _ = value`."""
    if whole.is_bad:
        _bind_bad(b, targets)
        return
    if not isinstance(whole.type, Tuple) or len(whole.type.items) != len(targets):
        n = len(whole.type.items) if isinstance(whole.type, Tuple) else 1
        text = f"{len(targets)} names take {n} value{'s' * (n != 1)}: {b.show(whole.type)}"
        found = error("E0341", text, node.span).with_label(whole.span, b.show(whole.type))
        b.report(found.with_help("as many names as values; `_` takes one that is not needed"))
        _bind_bad(b, targets)
        return
    whole = settle(b, whole)
    assert isinstance(whole.type, Tuple)
    temps: list[Local | None] = []
    for t in targets:
        discard = isinstance(t, tree.Name) and t.id == "_"
        temps.append(None if discard else b.fresh_local("part"))
    b.emit(typed.Unpack(tuple(temps), whole.expr, span=node.span))
    for t, local, part in zip(targets, temps, whole.type.items, strict=True):
        if local is None:
            continue
        read = Val(typed.Read(local, type=part, span=t.span))
        if isinstance(t, tree.Index):
            _element(b, t, _known(read))
        elif isinstance(t, tree.Name):
            _to_name(b, t, read, t.span)


# -- elements

Compute: TypeAlias = Callable[[Type | None], Val]
"""The value to assign, checked with the type that is wanted."""


def _known(v: Val) -> Compute:
    return lambda _: v


def _element(b: Body, target: tree.Index, compute: Compute) -> None:
    """`a[i] = v`, `xs[i] = v`."""
    base = target.base
    if not isinstance(base, tree.Name):
        compute(None)
        b.report(_no_target(target))
        return
    v = b.lookup(base.id)
    if not isinstance(v, Variable):
        b.expr(base)
        compute(None)
        if v is not None or base.id in b.dim_names:
            found = error("E0408", f"`{base.id}` has no elements to assign", base.span)
            b.report(found.with_note("elements of tensors and lists can be"))
        return
    if v.how not in ("local", "mut"):
        compute(None)
        b.report(constant_name(base.id, v, base.span))
        return
    read = b.expr(base)
    if read.is_bad:
        compute(None)
        return
    if v.how == "mut":
        b.does(writes=True)
    t = read.type
    if isinstance(t, List):
        _list_element(b, target, v, t, compute)
    elif isinstance(t, Tensor):
        _tensor_element(b, target, v, t, compute)
    else:
        compute(None)
        what = f"parts of {b.show(t)}" if isinstance(t, (Array, Model)) else b.show(t)
        found = error("E0408", f"{what} cannot be assigned", target.span)
        b.report(found.with_note("elements of tensors and lists can"))


def _no_target(target: tree.Index) -> Diagnostic:
    base = target.base
    if isinstance(base, tree.Index) and not any(
        isinstance(s, tree.Slice) for s in (*base.subs, *target.subs)
    ):
        subs = ", ".join(s.span.text for s in (*base.subs, *target.subs))
        made = f"{base.base.span.text}[{subs}]"
        found = error("E0408", "only an element of a variable is assigned", target.span)
        return found.with_help(f"`{made} = …`", Edit(target.span, made))
    if isinstance(base, tree.Attr):
        found = error("E0408", "a field is never assigned", target.span)
        return found.with_help("`mut` a tensor, or return a new model (`each(fn(p) => …, m)`)")
    found = error("E0408", "only an element of a variable is assigned", target.span)
    return found.with_help("name the value first")


def _tensor_element(b: Body, target: tree.Index, v: Variable, t: Tensor, compute: Compute) -> None:
    found = select(b, t, target, target.base.span.text)
    want = None if found is None else found.type
    value = compute(want)
    if found is None or value.is_bad:
        return
    value = settle(b, value, found.type)
    if not _fits_element(b, value, found.type):
        b.report(_wrong_element(b, target, value, found.type))
        return
    if value.type != found.type:
        if isinstance(value.type, Tensor) and not value.type.shape:
            value = Val(stretch(value, found.type.shape))
        else:
            value = fit(b, value, found.type)
    if found.rows is not None:
        b.emit(typed.AssignRows(v.local, found.rows.expr, value.expr, span=target.span))
    else:
        b.emit(typed.AssignAt(v.local, found.subs, value.expr, span=target.span))


def _fits_element(b: Body, value: Val, want: Tensor) -> bool:
    if misfit(b, value.type, want) is None:
        return True
    return isinstance(value.type, Tensor) and value.type == Tensor(want.dtype)


def _wrong_element(b: Body, target: tree.Index, v: Val, want: Tensor) -> Diagnostic:
    text = f"`{_short(target.span)}` is {b.show(want)}, this is {b.show(v.type)}"
    found = error("E0308", text, v.span)
    if isinstance(v.type, Tensor) and v.type.dtype != want.dtype:
        return element_help(found, v.type, want, _short(v.span), v.span)
    if isinstance(v.type, Tensor):
        shape = align(b, v.type.shape, want.shape)
        if shape == want.shape:
            return found.with_note("a row or one number is assigned; nothing else is stretched")
    return found.with_note("a row of the same type is assigned, or one number")


def _list_element(b: Body, target: tree.Index, v: Variable, t: List, compute: Compute) -> None:
    sub = target.subs[0]
    if len(target.subs) != 1 or isinstance(sub, (tree.Slice, tree.NamedDim, tree.ShapeVar)):
        compute(None)
        found = error("E0322", "a List is indexed by one whole number", target.span)
        b.report(found.with_help("assign its elements one by one"))
        return
    index = list_index(b, sub)
    value = compute(t.element)
    if index is None or value.is_bad:
        return
    if misfit(b, value.type, t.element) is not None:
        text = f"this List holds {b.show(t.element)}, this is {b.show(value.type)}"
        found = error("E0308", text, value.span)
        b.report(element_help(found, value.type, t.element, _short(value.span), value.span))
        return
    value = fit(b, value, t.element)
    b.emit(typed.AssignListAt(v.local, index[0], index[1], value.expr, span=target.span))


# -- augmented and annotated


def aug_assign(b: Body, node: tree.AugAssign) -> str:
    target, op = node.target, node.op[0]
    if isinstance(target, tree.Index):

        def compute(_: Type | None) -> Val:
            old = b.expr(target)
            return arithmetic(b, op, old, b.expr(node.value), node.op_span, node.span)

        _element(b, target, compute)
        return "no"
    assert isinstance(target, tree.Name)
    old, value = b.expr(target), b.expr(node.value)
    v = settle(b, arithmetic(b, op, old, value, node.op_span, node.span))
    if v.is_bad:
        spoil(b, target.id)
        return "no"
    if misfit(b, v.type, old.type) is not None and isinstance(v.type, Tensor):
        text = f"`{node.op}` makes `{target.id}` {b.show(v.type)}, it is {b.show(old.type)}"
        found = error("E0308", text, node.op_span).with_label(node.value.span, b.show(value.type))
        b.report(found.with_help(f"`{target.id} = {target.id} {op} …` may change its shape"))
        return "no"
    _to_name(b, target, v, node.span)
    return "no"


def ann_assign(b: Body, node: tree.AnnAssign) -> str:
    name = node.name.text
    a = annotated_type(b, node)
    v = b.expr(node.value, Unknown() if a is None else a.hint)
    target = tree.Name(name, span=node.name.span)
    if a is None:
        if not isinstance(b.lookup(name), (Constant, FunctionSlot)):
            b.bind(name, Unknown(), "local", node.name.span)
        return "no"
    if v.is_bad:
        a.bind_names(b)
        b.bind(name, a.shown(b), "local", node.name.span)
        return "no"
    v = settle(b, v, a.type)
    t = a.check(b, node, v)
    if t is None:
        b.bind(name, a.shown(b), "local", node.name.span)
        return "no"
    _to_name(b, target, fit(b, v, t), node.value.span)
    return "no"


# -- return, assert, expressions


def return_(b: Body, node: tree.Return) -> str:
    wants: tuple[Type | None, ...] = (b.result,)
    if len(node.values) != 1:
        wants = (None,) * len(node.values)
        if isinstance(b.result, Tuple) and len(b.result.items) == len(node.values):
            wants = b.result.items
    vals = [b.expr(e, w) for e, w in zip(node.values, wants, strict=True)]
    if not vals:
        if not isinstance(b.result, (Unit, Unknown)):
            found = error(
                "E0425",
                f"`{b.name_text}` returns {b.show(b.result)}, this returns nothing",
                node.span,
            )
            b.report(found.with_help("`return …`"))
        b.emit(typed.Return(None, (), span=node.span))
        return "yes"
    whole = vals[0] if len(vals) == 1 else pack(b, vals, vals[0].span.to(vals[-1].span))
    if whole.is_bad or isinstance(b.result, Unknown):
        b.emit(typed.Return(None, (), span=node.span))
        return "yes"
    if isinstance(b.result, Unit):
        found = error(
            "E0425",
            f"`{b.name_text}` returns nothing, this returns {b.show(whole.type)}",
            whole.span,
        )
        b.report(found.with_help(f"declare it: `-> {b.show(settle(b, whole).type)}`"))
    else:
        _return_value(b, node, whole)
    return "yes"


def _return_value(b: Body, node: tree.Return, whole: Val) -> None:
    whole = settle(b, whole, b.result)
    m = Matcher(b.norm)
    wanted = substitute_dims(b.result, flexible(b.unknowns))
    ok = m.match(wanted, strip_rows(whole.type)) and _exact(whole.type, b.result)
    conflicts = m.solve() if ok else []
    if not ok or conflicts:
        text = f"`{b.name_text}` returns {b.show_result()}, this is {b.show(whole.type)}"
        if conflicts:
            text += f": {differs(b, conflicts[0])}"
        found = error("E0313", text, whole.span)
        if conflicts:
            found = born(b, found, conflicts[0].want, conflicts[0].got)
            if conflicts[0].kind == "differs" and isinstance(whole.type, Tensor):
                found = _checked_return(b, found, node, whole, whole.type)
        else:
            found = element_help(found, whole.type, b.result, _short(whole.span), whole.span)
        b.report(
            found
            if found.helps or found.notes
            else found.with_note("the result's type is declared")
        )
        b.emit(typed.Return(None, (), span=node.span))
        return
    b.found.returns.append(whole.type)
    bound = {f"?{u}": m.dims.get(f"?{u}", ZERO) for u in b.unknowns}
    target = substitute_dims(wanted, bound)
    if b.keep_rows:
        target = keep_rows(target, whole.type)
    value = fit(b, whole, target)
    unknowns = tuple((u, bound[f"?{u}"]) for u in b.unknowns)
    b.emit(typed.Return(value.expr, unknowns, span=node.span))


def _checked_return(
    b: Body, found: Diagnostic, node: tree.Return, whole: Val, t: Tensor
) -> Diagnostic:
    """The help that makes a demand of the result's type a check when the program runs."""
    name = b.new_name("y")
    line = f"{name}: {b.show(b.result)} = {_short(whole.span)}"
    indent = " " * (node.span.column - 1)
    edits = (Edit(node.span, f"{line}\n{indent}return {name}"),) if not b.unknowns else ()
    text = f"`{line}` checks it when the program runs"
    return found.with_help(f"{text}, or return `{_unknown_form(b, t)}`", *edits)


def keep_rows(target: Type, got: Type) -> Type:
    """The declared type with tangents stored as the value has them."""
    return with_rows(target, got)


def _exact(got: Type, want: Type) -> bool:
    """Element types must be equal: matching lets literals through, which are settled by now."""
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        return got.dtype == want.dtype
    return True


def _unknown_form(b: Body, t: Tensor) -> str:
    shown: list[str] = []
    for d in t.shape:
        atom = b.atoms.get(str(d))
        shown.append(f"?{atom.base}" if atom is not None else b.show(d))
    return f"{t.dtype}[{', '.join(shown)}]"


def assert_(b: Body, node: tree.Assert) -> str:
    message = node.message.value if node.message is not None else node.cond.span.text
    cond = node.cond
    both = isinstance(cond, tree.BoolOp) and cond.op == "and"
    parts = cond.values if isinstance(cond, tree.BoolOp) and both else (cond,)
    for e in parts:
        if static_value(b, e) is False:
            found = error("E0427", "this assertion never holds", e.span)
            b.report(
                found.with_note("it is known when compiling").with_help(
                    "remove it, or what follows"
                )
            )
            continue
        if isinstance(e, tree.Compare) and e.op == "==" and _assert_dims(b, e, message):
            continue
        if static_value(b, e) is True:
            continue
        cond = condition(b, e)
        b.does(fails=True)
        if not cond.is_bad:
            b.emit(typed.Assert(cond.expr, message, span=node.span))
    return "no"


def _assert_dims(b: Body, e: tree.Compare, message: str) -> bool:
    """`assert a == b` where both are dims: checked when the program runs, a fact from here on."""
    if not (_may_be_dim(b, e.left) and _may_be_dim(b, e.right)):
        return False
    x, y = b.expr(e.left), b.expr(e.right)
    if x.is_bad or y.is_bad:
        return True
    if x.dim is None or y.dim is None:
        element = join(b, e.op, x, y, e.op_span)
        if element is not None and isinstance(x.type, Tensor) and not x.type.shape:
            x, y = settle(b, x, y.type), settle(b, y, x.type)
            x = settle(b, x, y.type)
            made = typed.Elementwise(
                COMPARISONS[e.op], (x.expr, y.expr), type=BOOL_SCALAR, span=e.span
            )
            b.does(fails=True)
            b.emit(typed.Assert(made, message, span=e.span))
        return True
    a, c = b.norm(x.dim), b.norm(y.dim)
    try:
        difference = a - c
    except DimError:
        difference = None
    if difference == ZERO:
        return True
    if difference is not None and (difference.never_zero() or (-difference).never_zero()):
        found = error("E0427", f"this never holds: `{b.show(a)}` is never `{b.show(c)}`", e.span)
        b.report(found.with_help("remove it, or what follows"))
        return True
    b.does(fails=True)
    b.emit(typed.CheckDims((), ((a, c),), "assert", message, span=e.span))
    b.learn(a, c)
    return True


def _may_be_dim(b: Body, e: tree.Expr) -> bool:
    """Whether an expression is made of dims and whole numbers alone, by its look."""
    if isinstance(e, tree.Number):
        return isinstance(e.value, int)
    if isinstance(e, tree.Name):
        v = b.lookup(e.id)
        if isinstance(v, Variable):
            return _whole(v.type) and v.missing is None and v.clash is None
        return isinstance(v, Constant) or (v is None and e.id in b.dim_names)
    if isinstance(e, tree.Attr):
        return e.name.text != "T" and isinstance(e.base, (tree.Name, tree.Attr))
    if isinstance(e, tree.Unary):
        return _may_be_dim(b, e.operand)
    if isinstance(e, tree.Binary):
        return (
            e.op in ("+", "-", "*", "//", "%")
            and _may_be_dim(b, e.left)
            and _may_be_dim(b, e.right)
        )
    if isinstance(e, tree.Call):
        return isinstance(e.callee, tree.Name) and e.callee.id == "len" and b.lookup("len") is None
    return False


def expr_stmt(b: Body, node: tree.ExprStmt) -> str:
    v = b.expr(node.value)
    if v.is_bad:
        return "no"
    if not isinstance(v.type, Unit):
        v = settle(b, v)
        found = error("E0405", f"this value of type {b.show(v.type)} is not used", node.span)
        start = Span(node.span.source, node.span.start, node.span.start)
        b.report(found.with_help("give it a name, or `_ = …`", Edit(start, "_ = ")))
        return "no"
    if not isinstance(v.expr, typed.TupleOf):
        b.emit(typed.Evaluate(v.expr, span=node.span))
    return "no"


def nothing(span: Span) -> Val:
    """The value of a builtin that only changes something."""
    return Val(typed.TupleOf((), type=Unit(), span=span))
