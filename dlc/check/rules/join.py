"""Where paths meet: what a variable is after branches and around loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dlc.check import typed
from dlc.check.body import Binding, Body, Clash, Constant, Variable
from dlc.check.convert import misfit
from dlc.check.typed import Stmt
from dlc.diag import Span
from dlc.typesys.dims import Dim
from dlc.typesys.surface import Tangent, Type


@dataclass
class Path:
    """One arm that has been checked: its statements, and names and facts at its end."""

    out: list[Stmt]
    env: dict[str, Binding]
    facts: dict[str, Dim]
    ends: str
    """`no`: goes on; `yes`: returns, breaks or continues; `folded`: does so in this instance."""


def _same_constant(a: Binding | None, c: Binding | None) -> bool:
    return isinstance(a, Constant) and isinstance(c, Constant) and a.value == c.value


def join(
    b: Body, before: dict[str, Binding], paths: Sequence[Path], span: Span
) -> tuple[typed.Joined, ...]:
    """The names after paths have met. Statements that bring values to one type are put at their
    ends; new dims are defined by `b.later`."""
    going = [p for p in paths if p.ends == "no"]
    if len(going) == 1:
        b.env = going[0].env
        return ()
    if not going:
        b.env = dict(before)
        return ()
    env: dict[str, Binding] = {}
    joins: list[typed.Joined] = []
    names = dict.fromkeys(n for p in going for n in p.env)
    for name in names:
        here = [p.env.get(name) for p in going]
        first = here[0]
        if all(h is first for h in here) and first is not None:
            env[name] = first
            continue
        values = [h for h in here if isinstance(h, Variable)]
        if len(values) != len([h for h in here if h is not None]):
            if first is not None and all(_same_constant(h, first) for h in here):
                env[name] = first
            continue
        if values:
            env[name] = _variable(b, name, going, values, len(here), joins, span)
    b.env = env
    return tuple(joins)


def _variable(
    b: Body,
    name: str,
    going: Sequence[Path],
    values: list[Variable],
    count: int,
    joins: list[typed.Joined],
    span: Span,
) -> Variable:
    first = values[0]
    spent = next((v.spent for v in values if v.spent is not None), None)
    missing = next((v.missing for v in values if v.missing is not None), None)
    if len(values) < count:
        missing = missing or first.span
    clash = next((v.clash for v in values if v.clash is not None), None)
    base = replace(first, spent=spent, missing=missing, clash=clash)
    if missing is not None or clash is not None:
        return replace(base, dim=None)
    if all(v.local == first.local and v.type == first.type and v.dim == first.dim for v in values):
        changed = any(v.span != first.span or v.written != first.written for v in values)
        if not changed:
            return base
        joins.append(typed.Joined(first.local, first.type, span=span))
        return replace(base, written=span)
    target = _common(b, going, values)
    if target is None:
        other = next(v for v in values if v.type != first.type)
        return replace(base, dim=None, clash=Clash(first.type, first.span, other.type, other.span))
    for p, v in zip(going, values, strict=True):
        if v.type != target:
            p.out.append(as_type(v, target, v.span))
    joins.append(typed.Joined(first.local, target, span=span))
    made = replace(base, type=target, dim=None, written=span)
    if all(v.dim == first.dim for v in values):
        return replace(made, dim=first.dim)
    b.later.append(lambda: redefine(b, name, span))
    return made


def redefine(b: Body, name: str, span: Span) -> None:
    """A new dim for a whole number whose value differs by the path taken."""
    v = b.env.get(name)
    if isinstance(v, Variable):
        b.update(name, dim=b.version(name, v.type, span, v.local))


def as_type(v: Variable, target: Type, span: Span) -> Stmt:
    """`v = v`, written with the dims of the target type and stored as it says."""
    e: typed.Expr = typed.Read(v.local, type=v.type, span=span)
    if isinstance(v.type, Tangent) and isinstance(target, Tangent) and v.type.rows != target.rows:
        e = typed.Densify(e, type=Tangent(v.type.of, target.rows), span=span)
    if e.type != target:
        e = typed.Retype(e, type=target, span=span)
    return typed.Assign(v.local, e, span=span)


def _common(b: Body, going: Sequence[Path], values: Sequence[Variable]) -> Type | None:
    """A type that every value has under the facts of its path."""
    kept = b.facts
    try:
        for candidate in values:
            fits = True
            for p, v in zip(going, values, strict=True):
                b.facts = p.facts
                fits = fits and misfit(b, v.type, candidate.type) is None
            if fits:
                return _dense(candidate.type, [v.type for v in values])
    finally:
        b.facts = kept
    return None


def _dense(t: Type, all: Sequence[Type]) -> Type:
    """A tangent of which only those leaves are stored as rows that are so on all paths."""
    if not isinstance(t, Tangent):
        return t
    rows = tuple(r for r in t.rows if all_have(all, r))
    return Tangent(t.of, rows)


def all_have(types: Sequence[Type], leaf: str) -> bool:
    return all(isinstance(t, Tangent) and leaf in t.rows for t in types)
