"""Which argument is for which parameter, and what `mut` asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.check.body import Body, Val, Variable
from dlc.check.decls import ParamDecl, Signature
from dlc.check.rules import foreign
from dlc.check.typed import Local
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.syntax.walk import walk
from dlc.typesys.surface import Function, Key, Unknown, short


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call: an expression, or a value that is checked already."""

    span: Span
    value: tree.Expr | None = None
    val: Val | None = None
    name: tree.Ident | None = None
    mut: bool = False

    @property
    def text(self) -> str:
        return self.span.text


def arguments(args: Sequence[tree.Arg]) -> tuple[Argument, ...]:
    return tuple(Argument(a.value.span, a.value, None, a.name, a.mut) for a in args)


@dataclass(frozen=True, slots=True)
class Arranged:
    """Arguments by parameter; a missing one takes the default. `run` are the dims for a `*S`."""

    by_param: dict[str, Argument]
    run: tuple[Argument, ...]


def arrange(b: Body, sig: Signature, args: Sequence[Argument], span: Span) -> Arranged | Diagnostic:
    """Match arguments with parameters by position and name (E0312)."""
    name = short(sig.name)
    params = [p for p in sig.params if not p.run]
    takes_run = any(p.run for p in sig.params)
    by: dict[str, Argument] = {}
    run: list[Argument] = []
    for i, a in enumerate(args):
        if a.name is None:
            if i < len(params):
                by[params[i].name] = a
            elif takes_run:
                run.append(a)
            else:
                return _count(sig, params, args, a.span)
            continue
        p = sig.param(a.name.text)
        if p is None or p.run:
            found = error("E0312", f"`{name}` has no parameter `{a.name}`", a.name.span)
            found = found.with_note(signature_line(sig))
            if sig.builtin and a.name.text in foreign.KEYWORDS:
                return found.with_help(foreign.KEYWORDS[a.name.text])
            return did_you_mean(found, a.name.text, [q.name for q in params], a.name.span)
        if p.name in by:
            found = error("E0312", f"`{p.name}` of `{name}` is given twice", a.span)
            return found.with_label(by[p.name].span, "first here").with_note(signature_line(sig))
        by[p.name] = a
    missing = [p for p in params if p.name not in by and p.default is None]
    if missing:
        text = ", ".join(f"`{p.name}`" for p in missing)
        found = error(
            "E0312", f"{text} of `{name}` {'is' if len(missing) == 1 else 'are'} missing", span
        )
        return found.with_note(signature_line(sig))
    return Arranged(by, tuple(run))


def _count(
    sig: Signature, params: list[ParamDecl], args: Sequence[Argument], span: Span
) -> Diagnostic:
    name, n = short(sig.name), len(params)
    text = f"`{name}` takes {n} argument{'s' * (n != 1)}, this gives {len(args)}"
    return error("E0312", text, span).with_note(signature_line(sig))


def signature_line(sig: Signature) -> str:
    """`f(x: f32[N], w: i32) -> f32[w]`, for a note."""
    shown: list[str] = []
    for p in sig.params:
        if p.run:
            shown.append(f"*{p.name}")
            continue
        default = "" if p.default is None else f" = {p.default}"
        shown.append(f"{p.name}: {'mut ' * p.mut}{p.type}{default}")
    return f"`{short(sig.name)}({', '.join(shown)}) -> {sig.result}`"


# -- mut


def mut_target(
    b: Body, sig: Signature, p: ParamDecl, a: Argument, all: Sequence[Argument]
) -> Local | None:
    """The slot that a `mut` argument changes (E0420 to E0423, E0406)."""
    name = short(sig.name)
    if not a.mut:
        found = error("E0420", f"`{name}` changes `{p.name}`; say so: `mut {a.text}`", a.span)
        found = found.with_label(p.span, "declared `mut` here")
        b.report(found.with_help(f"`mut {a.text}`", Edit(a.span, f"mut {a.text}")))
        return None
    return changed_variable(b, a, all, f"`{name}`")


def changed_variable(b: Body, a: Argument, all: Sequence[Argument], by: str) -> Local | None:
    """The variable of an argument marked `mut`, which must be plain, changeable and mentioned
    once."""
    if not isinstance(a.value, tree.Name):
        found = error("E0423", "only a plain variable can be changed", a.span)
        v2 = b.new_name("v")
        edits = (*b.before(f"{v2} = {a.text}"), Edit(a.span, v2))
        b.report(found.with_help(f"`{v2} = {a.text}` first, then `mut {v2}`", *edits))
        return None
    text = a.value.id
    v = b.lookup(text)
    if not isinstance(v, Variable):
        b.expr(a.value)
        if text in b.dim_names or v is not None:
            b.report(
                error("E0423", "only a plain variable can be changed", a.span).with_help(
                    "name a variable"
                )
            )
        return None
    if isinstance(v.type, Unknown):
        return v.local
    if b.lambda_names and text not in b.lambda_names[-1]:
        found = error("E0423", f"a function value cannot change `{text}`", a.span)
        b.report(found.with_help("write a loop: `for x in xs:`"))
        return None
    if v.how not in ("mut", "local"):
        b.report(constant_name(text, v, a.span))
        return None
    for other in all:
        if other is not a and other.value is not None and _mentions(other.value, text):
            found = error(
                "E0421", f"`{text}` is changed by this call and used by it as well", other.span
            )
            found = found.with_label(a.span, "changed here")
            old = b.new_name("old")
            uses = [n.span for n in walk(other.value) if isinstance(n, tree.Name) and n.id == text]
            edits = (*b.before(f"{old} = {text}"), *(Edit(s, old) for s in uses))
            b.report(found.with_help(f"`{old} = {text}` first, and use `{old}`", *edits))
            return None
    return v.local


def _mentions(e: tree.Expr, name: str) -> bool:
    return any(isinstance(n, tree.Name) and n.id == name for n in walk(e))


def constant_name(text: str, v: Variable, span: Span) -> Diagnostic:
    """E0406: parameters, loop and pattern variables are constants."""
    what = {
        "param": "a parameter",
        "capture": "a parameter",
        "loop": "a loop variable",
        "pattern": "a pattern variable",
        "lambda": "a parameter of this function",
    }.get(v.how, "a constant")
    found = error("E0406", f"`{text}` is {what} and cannot be assigned", span)
    found = found.with_label(v.span, "declared here")
    if v.how == "param" and not isinstance(v.type, (Key, Function)):
        rest = v.span.source.text[v.span.end : v.span.end + 1]
        edits = (
            (Edit(Span(v.span.source, v.span.end, v.span.end + 1), ": mut"),) if rest == ":" else ()
        )
        help = f"`{text}: mut …` changes the caller's, or use another name"
        return found.with_help(help, *edits)
    return found.with_help("use another name")
