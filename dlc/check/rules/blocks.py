"""Blocks of statements, `if` and `match`."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.check.body import Binding, Body, Val
from dlc.check.convert import settle
from dlc.check.rules.join import Path, join
from dlc.check.rules.operators import condition
from dlc.check.rules.static import static_value
from dlc.diag import Edit, Span, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.surface import UNKNOWN, Adt, Option, Type, Unknown, short


def statements(b: Body, body: Sequence[tree.Stmt]) -> str:
    """Check statements into `b.out`. How they end: `no`, `yes`, or `folded` (in this instance)."""
    ends = "no"
    last: tree.Stmt | None = None
    for s in body:
        if ends == "folded":
            return ends
        if ends == "yes":
            found = error("E0402", "this is never reached", s.span.first() if _long(s) else s.span)
            if last is not None:
                found = found.with_label(_head(last), "every path ends here")
            b.report(found.with_help("remove it, or move it before"))
            return ends
        b.here = s.span
        ends = b.world.statement(b, s)
        b.flush()
        last = s
    return ends


def _long(s: tree.Stmt) -> bool:
    return isinstance(s, (tree.If, tree.While, tree.For, tree.Match))


def _head(s: tree.Stmt) -> Span:
    return s.header if isinstance(s, (tree.If, tree.While, tree.For, tree.Match)) else s.span


def path(b: Body, body: Sequence[tree.Stmt], before: dict[str, Binding]) -> Path:
    """One arm, from the names of `before`; leaves the body's state for the next arm."""
    out, facts = b.out, b.facts
    b.out, b.env, b.facts = [], dict(before), dict(facts)
    b.flush()
    ends = statements(b, body)
    made = Path(b.out, b.env, b.facts, ends)
    b.out, b.facts = out, facts
    return made


# -- if


def if_(b: Body, node: tree.If) -> str:
    return _if(b, node.branches, node.orelse, node)


def _if(
    b: Body,
    branches: Sequence[tree.Branch],
    orelse: tuple[tree.Stmt, ...] | None,
    node: tree.If,
) -> str:
    if not branches:
        return "no" if orelse is None else statements(b, orelse)
    first, rest = branches[0], branches[1:]
    known = static_value(b, first.cond)
    if isinstance(known, bool):
        ends = statements(b, first.body) if known else _if(b, rest, orelse, node)
        return "folded" if ends == "yes" else ends
    cond = condition(b, first.cond)
    before = dict(b.env)
    b.flush()
    then = path(b, first.body, before)
    other = _rest(b, rest, orelse, node, before)
    span = first.span
    joins = join(b, before, (then, other), span)
    if not cond.is_bad:
        made = typed.If(
            cond.expr,
            tuple(then.out),
            tuple(other.out),
            joins,
            then.ends != "no",
            other.ends != "no",
            span=span,
        )
        b.emit(made)
    return _ends((then, other))


def _rest(
    b: Body,
    rest: Sequence[tree.Branch],
    orelse: tuple[tree.Stmt, ...] | None,
    node: tree.If,
    before: dict[str, Binding],
) -> Path:
    out, facts = b.out, b.facts
    b.out, b.env, b.facts = [], dict(before), dict(facts)
    ends = _if(b, rest, orelse, node)
    b.flush()
    made = Path(b.out, b.env, b.facts, ends)
    b.out, b.facts = out, facts
    return made


def _ends(paths: Sequence[Path]) -> str:
    if any(p.ends == "no" for p in paths):
        return "no"
    return "folded" if any(p.ends == "folded" for p in paths) else "yes"


# -- match


def match_(b: Body, node: tree.Match) -> str:
    subject = settle(b, b.expr(node.subject))
    variants = _variants(b, subject, node)
    before = dict(b.env)
    b.flush()
    seen: dict[str, Span] = {}
    arms: list[tuple[tree.Arm, str | None, tuple[typed.Local | None, ...], tuple[Type, ...], Path]]
    arms = []
    wild: Span | None = None
    for arm in node.arms:
        name = None if arm.is_wildcard else arm.name.text
        fields = _arm_fields(b, arm, variants, seen, wild, subject)
        if arm.is_wildcard:
            wild = arm.header
        locals, types, done = _arm(b, arm, fields, before)
        arms.append((arm, name, locals, types, done))
    if variants is not None and wild is None:
        _exhaustive(b, node, variants, seen, subject.type)
    paths = [a[4] for a in arms]
    joins = join(b, before, paths, node.header)
    made = tuple(
        typed.MatchArm(name, locals, types, tuple(p.out), p.ends != "no", span=arm.header)
        for arm, name, locals, types, p in arms
    )
    if not subject.is_bad:
        b.emit(typed.Match(subject.expr, made, joins, span=node.header))
    return _ends(paths)


def _variants(
    b: Body, subject: Val, node: tree.Match
) -> dict[str, tuple[tuple[str, Type], ...]] | None:
    """The constructors of the subject's type; None if it has none (E0415)."""
    t = subject.type
    if isinstance(t, Adt):
        decl = b.tables.adts[t.name]
        return {c.name: b.tables.constructor_fields(t, c.name) for c in decl.constructors}
    if isinstance(t, Option):
        return {"None": (), "Some": (("value", t.element),)}
    if not isinstance(t, Unknown):
        found = error(
            "E0415", f"only an algebraic value is matched, this is {b.show(t)}", subject.span
        )
        b.report(found.with_help(f"`if {subject.span.text} == …:` compares numbers"))
    return None


def _arm_fields(
    b: Body,
    arm: tree.Arm,
    variants: dict[str, tuple[tuple[str, Type], ...]] | None,
    seen: dict[str, Span],
    wild: Span | None,
    subject: Val,
) -> tuple[tuple[str, Type], ...] | None:
    """The fields that an arm takes apart; None if unknown or none."""
    name = arm.name.text
    if variants is None:
        return None
    if wild is not None:
        found = error("E0416", f"`{name}` is never reached", arm.name.span)
        b.report(found.with_label(wild, "`_` takes everything").with_help("move `_:` to the end"))
    elif not arm.is_wildcard and name in seen:
        found = error("E0416", f"`{name}` is matched twice", arm.name.span)
        b.report(found.with_label(seen[name], "first here").with_help("remove one of the arms"))
    elif arm.is_wildcard and len(seen) == len(variants):
        found = error("E0416", "`_` is never reached", arm.name.span)
        b.report(found.with_note("every variant has its arm").with_help("remove this arm"))
    if arm.is_wildcard:
        return None
    if name not in variants:
        owner = _owner(subject.type)
        found = error("E0211", f"`{owner}` has no variant `{name}`", arm.name.span)
        found = found.with_note(f"its variants: {', '.join(variants)}")
        b.report(did_you_mean(found, name, variants, arm.name.span))
        return None
    seen.setdefault(name, arm.name.span)
    fields = variants[name]
    given = len(arm.fields)
    if given != len(fields):
        text = f"`{name}` has {len(fields)} field{'s' * (len(fields) != 1)}, this takes {given}"
        shown = pattern(name, [f for f, _ in fields])
        found = error("E0424", text, arm.header if arm.fields else arm.name.span)
        stop = arm.header.start + max(0, arm.header.text.rfind(":"))
        edit = Edit(Span(arm.header.source, arm.name.span.start, stop), shown)
        b.report(found.with_help(f"`{shown}:`", edit))
        return None
    return fields


def _owner(t: Type) -> str:
    return short(t.name) if isinstance(t, Adt) else "Option"


def pattern(name: str, fields: Sequence[str]) -> str:
    """An arm's head, ready to paste."""
    return f"{name}({', '.join(fields)})" if fields else name


def _arm(
    b: Body,
    arm: tree.Arm,
    fields: tuple[tuple[str, Type], ...] | None,
    before: dict[str, Binding],
) -> tuple[tuple[typed.Local | None, ...], tuple[Type, ...], Path]:
    out, facts = b.out, b.facts
    b.out, b.env, b.facts = [], dict(before), dict(facts)
    locals: list[typed.Local | None] = []
    names: list[str] = []
    idents = arm.fields
    types = tuple(t for _, t in fields) if fields is not None else (UNKNOWN,) * len(idents)
    for ident, t in zip(idents, types, strict=True):
        if ident.text == "_":
            locals.append(None)
            continue
        if ident.text in names:
            found = error("E0204", f"`{ident}` is defined twice", ident.span)
            b.report(found.with_help("give each field its own name, or `_`"))
        names.append(ident.text)
        locals.append(b.bind(ident.text, t, "pattern", ident.span).local)
    ends = statements(b, arm.body)
    for n in names:
        restore(b, n, before)
    made = Path(b.out, b.env, b.facts, ends)
    b.out, b.facts = out, facts
    return tuple(locals), types, made


def restore(b: Body, name: str, before: dict[str, Binding]) -> None:
    """A name that was bound for a block means again what it meant before."""
    if name in before:
        b.env[name] = before[name]
    else:
        b.env.pop(name, None)


def _exhaustive(
    b: Body,
    node: tree.Match,
    variants: dict[str, tuple[tuple[str, Type], ...]],
    seen: dict[str, Span],
    t: Type,
) -> None:
    lost = [v for v in variants if v not in seen]
    if not lost:
        return
    listed = " and ".join(f"`{v}`" for v in lost)
    found = error("E0417", f"this match forgets {listed}", node.header)
    if isinstance(t, Adt):
        decl = b.tables.adts[t.name]
        for v in lost:
            found = found.with_label(decl.constructor(v).span, "declared here")
    arms = "\n".join(f"{pattern(v, [f for f, _ in variants[v]])}:" for v in lost)
    b.report(found.with_help(f"add the arm{'s' * (len(lost) > 1)}, or `_:` for all others\n{arms}"))
