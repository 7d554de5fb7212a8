"""`@checkpoint`, `@vjp`, `@batch`."""

from __future__ import annotations

from dataclasses import dataclass

from dlc.check.decls import Signature
from dlc.check.entities import FunctionItem
from dlc.check.tables import Tables
from dlc.check.typed import Checkpoint
from dlc.check.unify import Matcher, flexible
from dlc.diag import Diagnostic, Span, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.surface import (
    Const,
    Function,
    Tuple,
    Type,
    Unit,
    short,
    substitute_dims,
    tangent,
)

NAMES = ("checkpoint", "vjp", "batch")


@dataclass(frozen=True, slots=True)
class Decorated:
    """What the decorators of a function say; `rule` is the qualified name of its `@vjp` rule."""

    checkpoint: Checkpoint | None = None
    rule: str | None = None
    batch: str | None = None


def decorated(tables: Tables, item: FunctionItem) -> Decorated:
    """Read and check the decorators of a function (E0428, E0338)."""
    checkpoint: Checkpoint | None = None
    rule: str | None = None
    batch: str | None = None
    seen: dict[str, Span] = {}
    for d in item.node.decorators:
        name = d.name.text
        if name not in NAMES:
            found = error("E0428", f"no decorator `@{name}`", d.name.span)
            found = found.with_note(f"decorators: {', '.join(f'@{n}' for n in NAMES)}")
            tables.bag.add(did_you_mean(found, name, NAMES, d.name.span))
            continue
        if name in seen:
            found = error("E0428", f"`@{name}` stands twice", d.span)
            tables.bag.add(found.with_label(seen[name], "first here").with_help("once"))
            continue
        seen[name] = d.span
        if name == "checkpoint":
            checkpoint = _checkpoint(tables, d)
        elif name == "batch":
            batch = _batch(tables, d)
        else:
            rule = _rule(tables, item, d)
    return Decorated(checkpoint, rule, batch)


def _wrong(d: tree.Decorator, forms: str) -> Diagnostic:
    found = error("E0428", f"`@{d.name}` is written {forms}", d.span)
    return found.with_help(forms.split(" or ")[0])


def _checkpoint(tables: Tables, d: tree.Decorator) -> Checkpoint | None:
    args = d.args or ()
    if len(args) == 1:
        a = args[0]
        if a.name is None and isinstance(a.value, tree.Name) and a.value.id in ("none", "sqrt"):
            return Checkpoint("none" if a.value.id == "none" else "sqrt")
        if a.name is not None and a.name.text == "every" and isinstance(a.value, tree.Number):
            if isinstance(a.value.value, int) and a.value.value > 0:
                return Checkpoint("every", a.value.value)
    forms = "`@checkpoint(sqrt)` or `@checkpoint(none)` or `@checkpoint(every=16)`"
    tables.bag.add(_wrong(d, forms))
    return None


def _batch(tables: Tables, d: tree.Decorator) -> str | None:
    args = d.args or ()
    if len(args) == 1 and args[0].name is None and isinstance(args[0].value, tree.Name):
        if args[0].value.id in ("levels", "off"):
            return args[0].value.id
    tables.bag.add(_wrong(d, "`@batch(levels)` or `@batch(off)`"))
    return None


def _rule(tables: Tables, item: FunctionItem, d: tree.Decorator) -> str | None:
    args = d.args or ()
    if len(args) != 1 or args[0].name is not None or not isinstance(args[0].value, tree.Name):
        tables.bag.add(_wrong(d, "`@vjp(rule)`"))
        return None
    name = args[0].value.id
    found = tables.modules.find(item.module, name)
    if not isinstance(found, FunctionItem) or found.node.is_builtin:
        what = error("E0338", f"`{name}` is no function of the program", args[0].span)
        what = what.with_note("a rule is an ordinary function")
        tables.bag.add(did_you_mean(what, name, [n.rsplit(".", 1)[-1] for n in tables.functions]))
        return None
    f, r = tables.signatures.get(item.name), tables.signatures.get(found.name)
    if f is None or r is None:
        return None
    if match_rule(tables, f, r) is None:
        wanted = _rule_signature(tables, f, name)
        text = f"rule `{name}` of `{short(f.name)}` must be {wanted}"
        what = error("E0338", text, args[0].span).with_label(r.span, "declared here")
        what = what.with_note("it takes the parameters, then the cotangents of the float results")
        tables.bag.add(what.with_note("it gives the tangents of the float parameters, in order"))
        return None
    return found.name


def _cotangents(tables: Tables, f: Signature) -> list[Type]:
    """The tangents of the float results, in order."""
    results = f.result.items if isinstance(f.result, Tuple) else (f.result,)
    found = [tangent(t) for t in results if tables.has_float(t)]
    return [t for t in found if not isinstance(t, Unit)]


def rule_result(tables: Tables, f: Signature) -> Type:
    """The tangents of the float parameters, in order."""
    floats = [tangent(p.type) for p in f.params if tables.has_float(p.type)]
    floats = [t for t in floats if not isinstance(t, Unit)]
    return floats[0] if len(floats) == 1 else Tuple(tuple(floats))


def _rule_signature(tables: Tables, f: Signature, name: str) -> str:
    params = [f"{p.name}: {p.type}" for p in f.params]
    given = _cotangents(tables, f)
    params += [f"d{k if len(given) > 1 else ''}: {t}" for k, t in enumerate(given, 1)]
    return f"`{name}({', '.join(params)}) -> {rule_result(tables, f)}`"


def match_rule(tables: Tables, f: Signature, r: Signature) -> Matcher | None:
    """How the generics of a rule follow from those of the function; None if it does not fit."""
    if any(p.mut or isinstance(p.type, (Const, Function)) for p in (*f.params, *r.params)):
        return None
    cotangents = _cotangents(tables, f)
    if len(r.params) != len(f.params) + len(cotangents):
        return None
    m = Matcher(lambda d: d)
    flexed = flexible((*r.dims, *r.unknowns))
    given = [*(p.type for p in f.params), *cotangents]
    for p, t in zip(r.params, given, strict=True):
        if not m.match(substitute_dims(p.type, flexed), t):
            return None
    if m.solve() or m.left():
        return None
    result = m.rewrite()(substitute_dims(r.result, flexed))
    if not m.equate(rule_result(tables, f), result) or m.solve():
        return None
    return m
