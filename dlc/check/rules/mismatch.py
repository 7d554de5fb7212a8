"""Arguments that do not fit: what is said about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dlc.check.body import Body, Val, Variable
from dlc.check.convert import (
    born,
    element_help,
)
from dlc.check.decls import ParamDecl, Signature
from dlc.check.paths import dims_by_name
from dlc.check.rules.arguments import (
    Argument,
    signature_line,
)
from dlc.check.typed import Local
from dlc.check.unify import Conflict, Matcher
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    DTypeVar,
    Flex,
    Function,
    Model,
    Option,
    Tensor,
    Type,
    short,
    substitute_dims,
)


@dataclass
class Matching:
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


def wrong_form(b: Body, c: Matching, p: ParamDecl, a: Argument, v: Val) -> Diagnostic:
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
    if isinstance(t, Option) and not isinstance(got, Option):
        made = f"Some({a.text})"
        return found.with_help(f"`{made}`", Edit(a.span, made))
    if isinstance(got, Option) and not isinstance(t, Option):
        return found.with_help("`match` tells `Some(x)` from `None`")
    return found.with_note(signature_line(c.sig))


def _ranks(t: Tensor) -> str:
    n = len(t.shape)
    return "a number (no dims)" if n == 0 else f"{n} dim{'s' * (n != 1)}"


def report(b: Body, c: Matching, conflicts: Sequence[Conflict]) -> None:
    """E0331: dims of arguments that do not agree; one error for those with one cure."""
    groups: dict[str, list[Conflict]] = {}
    for k in conflicts:
        c.ok = False
        written = _written(b, k)
        key = f"argument {k.equation.arg}" if written is None else f"parameter {written.param}"
        groups.setdefault(key, []).append(k)
    for together in groups.values():
        b.report(_disagreement(b, c, together))


def _disagreement(b: Body, c: Matching, conflicts: Sequence[Conflict]) -> Diagnostic:
    k = conflicts[0]
    p = c.sig.params[k.equation.arg]
    a = c.argument(k.equation.arg)
    name = short(c.sig.name)
    text = f"`{p.name}` of `{name}` {_needs(b, k)}"
    found = error("E0331", text, c.span if a is None else a.span)
    found = _blame(b, c, k, found)
    if not c.sig.builtin:
        found = found.with_label(p.span, "declared here")
    found = born(b, found, k.want, k.got)
    for other in conflicts[1:]:
        q, place = c.sig.params[other.equation.arg], c.argument(other.equation.arg)
        if q is p or place is None:
            found = found.with_note(f"it {_needs(b, other)}, too")
        else:
            found = found.with_label(place.span, f"`{q.name}` {_needs(b, other)}")
    return _cure(b, conflicts, found)


def _needs(b: Body, k: Conflict) -> str:
    if k.kind in ("inexact", "open"):
        shape = str(k.equation.want).replace("?", "")
        return f"has a dim `{shape}`, this has `{b.show(k.got)}`"
    return f"needs `{b.show(k.want)}` where this has `{b.show(k.got)}`"


def _blame(b: Body, c: Matching, k: Conflict, found: Diagnostic) -> Diagnostic:
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


def _cure(b: Body, conflicts: Sequence[Conflict], found: Diagnostic) -> Diagnostic:
    k = conflicts[0]
    if k.kind == "never":
        return found.with_note(f"`{b.show(k.got)}` is never `{b.show(k.want)}`")
    if k.kind == "inexact":
        return found.with_help("bind it first, with a type: `y: f32[2*?n] = x` checks it")
    if k.kind == "open":
        return found.with_help("name the parts in an annotated binding first")
    if not b.can_write(k.want, k.got):
        return found.with_help("an annotated binding checks it when the program runs")
    lines: list[str] = []
    for other in conflicts:
        line = f"assert {b.show(other.got)} == {b.show(other.want)}"
        if line not in lines and b.can_write(other.want, other.got):
            lines.append(line)
    listed = " and ".join(f"`{line}`" for line in lines)
    edits = [e for line in lines for e in b.before(line)]
    found = found.with_help(f"{listed} before, if that is so", *edits)
    first = _written(b, k)
    if first is None:
        return found
    dims = dict(first.known)
    for other in conflicts:
        more = _written(b, other)
        if more is not None and more.param == first.param:
            dims[more.dim] = more.value
    listed = ", ".join(f"{name}={value}" for name, value in dims.items())
    text = f"`{first.param}: {first.type}[{listed}]`"
    return found.with_help(f"or write it into the signature: {text}")


@dataclass(frozen=True, slots=True)
class _Written:
    """A dim of a parameter of the caller as its signature may say it: `m: Net[dim=value]`, beside
    what it says already."""

    param: str
    type: str
    dim: str
    value: str
    known: tuple[tuple[str, str], ...]


def _written(b: Body, k: Conflict) -> _Written | None:
    """How the caller's signature would settle a conflict; None if it cannot. A dim may mention
    what stands left of it only, and names of its own."""
    if k.kind != "differs" or not b.can_write(k.want, k.got):
        return None
    sides = [(k.got, k.want), (k.want, k.got)]
    for mine, other in sides:
        v = _parameter(b, mine)
        w = _parameter(b, other)
        if v is None or other.name is None or mine.name is None:
            continue
        if w is not None and w.span.start >= v.span.start:
            continue
        assert isinstance(v.type, Model)
        param, dim = mine.name.split(".")
        said = dims_by_name(b.tables, v.type).items()
        known = [(n, b.show(d)) for n, d in said if d.name != f"{param}.{n}"]
        return _Written(param, short(v.type.name), dim, b.show(other), tuple(known))
    return None


def _parameter(b: Body, d: Dim) -> Variable | None:
    """The parameter of model type that a dim `m.H` is of."""
    if d.name is None or d.name.count(".") != 1:
        return None
    v = b.lookup(d.name.split(".")[0])
    if isinstance(v, Variable) and isinstance(v.type, Model) and v.how in ("param", "mut"):
        return v
    return None
