"""Constructors: values of algebraic types and of Option."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.check.body import Body, Val, bad
from dlc.check.convert import differs, element_help, fit, settle
from dlc.check.entities import ConstructorItem
from dlc.check.unify import Matcher, flexible
from dlc.diag import Diagnostic, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.surface import (
    Adt,
    Key,
    Keys,
    Option,
    Rewrite,
    Tensor,
    Tuple,
    Type,
    Unit,
    Unknown,
    short,
    substitute_dims,
)


def construct(
    b: Body,
    item: ConstructorItem,
    args: Sequence[tree.Arg],
    span: Span,
    want: Type | None,
    called: bool,
) -> Val:
    """`Node(a, b)` or `Leaf`; dims of the type are found from the fields, else from the wanted
    type."""
    decl = b.tables.adts.get(item.adt)
    if decl is None:
        return bad(span)
    names = tuple(d.name for d in decl.dims)
    flexed = flexible(names)
    fields = [(f.name, substitute_dims(f.type, flexed)) for f in decl.constructor(item.name).fields]
    wrong = _wrong_fields(item, args, [f for f, _ in fields], span, called)
    if wrong is not None:
        for a in args:
            b.expr(a.value)
        return b.fail(wrong)
    given = _ordered(args, [f for f, _ in fields])
    m = Matcher(b.norm)
    hints = _hints(want, item, names)
    values: list[Val] = []
    for i, (arg, (_, t)) in enumerate(zip(given, fields, strict=True)):
        m.arg = i
        values.append(b.expr(arg.value, substitute_dims(t, hints)))
    ok = True
    for i, (v, (field, t)) in enumerate(zip(values, fields, strict=True)):
        m.arg = i
        if not m.match(t, v.type):
            ok = _form(b, item, field, t, v, given[i]) and ok
    if m.poisoned or not ok:
        return bad(span)
    for c in m.solve():
        ok = False
        at = given[c.equation.arg]
        text = f"`{fields[c.equation.arg][0]}` of `{item.name}`: {differs(b, c)}"
        found = error("E0331", text, at.span)
        found = found.with_label(item.span, "declared here")
        b.report(found.with_note(f"all fields of one `{short(item.adt)}` have the same dims"))
    if not ok:
        return bad(span)
    return _finish(b, item, names, m, values, fields, hints, span)


def _finish(
    b: Body,
    item: ConstructorItem,
    names: tuple[str, ...],
    m: Matcher,
    values: list[Val],
    fields: list[tuple[str, Type]],
    hints: dict[str, Dim],
    span: Span,
) -> Val:
    dims: list[Dim] = []
    for n in names:
        found = m.dims.get(f"?{n}", hints.get(f"?{n}"))
        if found is None:
            text = f"the dims of this `{item.name}` are not known here: {', '.join(names)}"
            what = error("E0353", text, span)
            what = what.with_note("dims are found from the fields, or from the type that is wanted")
            return b.fail(what.with_help(f"annotate it: `x: {short(item.adt)}[…] = …`"))
        dims.append(b.norm(found))
    now = {f"?{n}": d for n, d in zip(names, dims, strict=True)}
    out = tuple(
        fit(b, v, substitute_dims(t, now)).expr for v, (_, t) in zip(values, fields, strict=True)
    )
    made = Adt(item.adt, tuple(dims))
    return Val(typed.Construct(item.name, out, type=made, span=span))


def _hints(want: Type | None, item: ConstructorItem, names: tuple[str, ...]) -> dict[str, Dim]:
    if not isinstance(want, Adt) or want.name != item.adt:
        return {}
    pairs = zip(names, want.dims, strict=False)
    return {f"?{n}": d for n, d in pairs if not any(s.startswith("?") for s in d.symbols())}


def _wrong_fields(
    item: ConstructorItem, args: Sequence[tree.Arg], names: list[str], span: Span, called: bool
) -> Diagnostic | None:
    shown = f"`{item.name}({', '.join(names)})`" if names else f"`{item.name}`"
    if not names and called:
        found = error("E0312", f"`{item.name}` has no fields", span)
        return found.with_help(f"write it without parentheses: {shown}")
    for a in args:
        if a.mut:
            return error("E0422", f"`{item.name}` changes nothing", a.span).with_help("no `mut`")
        if a.name is not None and a.name.text not in names:
            found = error("E0312", f"`{item.name}` has no field `{a.name}`", a.name.span)
            return found.with_note(f"its fields: {', '.join(names)}")
    if len(args) != len(names) or (not called and names):
        text = f"`{item.name}` has {len(names)} field{'s' * (len(names) != 1)}"
        found = error("E0312", f"{text}, this gives {len(args)}", span)
        return found.with_label(item.span, "declared here").with_help(f"write {shown}")
    said = [a.name.text for a in args if a.name is not None]
    if len(set(said)) != len(said) or any(n in names[: len(args) - len(said)] for n in said):
        return error("E0312", "a field is given twice", span).with_help(f"write {shown}")
    return None


def _ordered(args: Sequence[tree.Arg], names: list[str]) -> list[tree.Arg]:
    named = {a.name.text: a for a in args if a.name is not None}
    places = [a for a in args if a.name is None]
    return [places[i] if i < len(places) else named[n] for i, n in enumerate(names)]


def _form(b: Body, item: ConstructorItem, field: str, t: Type, v: Val, arg: tree.Arg) -> bool:
    wanted = str(t).replace("?", "")
    text = f"`{field}` of `{item.name}` is {wanted}, this is {b.show(v.type)}"
    found = error("E0332", text, arg.span).with_label(item.span, "declared here")
    if isinstance(v.type, Tensor) and isinstance(t, Tensor) and v.type.shape == t.shape:
        found = element_help(found, v.type, t, arg.value.span.text, arg.value.span)
    b.report(found if found.helps else found.with_note("nothing is converted silently"))
    return False


# -- Option


def some(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`Some(x)`."""
    if len(node.args) != 1 or node.args[0].mut:
        return b.fail(error("E0312", "`Some` takes one value", node.span).with_help("`Some(x)`"))
    inner = want.element if isinstance(want, Option) else None
    v = settle(b, b.expr(node.args[0].value, inner), inner)
    if v.is_bad:
        return bad(node.span)
    if isinstance(v.type, (Key, Keys)):
        found = error("E0412", "a Key cannot be kept in an Option: it is used once", v.span)
        return b.fail(found.with_help("pass it beside"))
    if isinstance(v.type, (Unit, Tuple)):
        found = error("E0311", f"an Option cannot hold {b.show(v.type)}", v.span)
        return b.fail(found.with_help("an algebraic type holds several values"))
    return Val(typed.Construct("Some", (v.expr,), type=Option(v.type), span=node.span))


def option_none(b: Body, span: Span, want: Type | None) -> Val:
    """`None`, whose type is the wanted one."""
    if isinstance(want, Option) and not isinstance(want.element, Unknown):
        made = Rewrite()(want)
        return Val(typed.Construct("None", (), type=made, span=span))
    if isinstance(want, Unknown):
        return bad(span)
    found = error("E0353", "what would this None hold?", span)
    return b.fail(found.with_help("annotate it: `x: Option[…] = None`"))


def none_called(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`None()`: it has no fields."""
    found = error("E0312", "`None` has no fields", node.span)
    return b.fail(found.with_help("write it without parentheses: `None`"))
