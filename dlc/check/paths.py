"""Dims and fields of values by name: `m.H`, `g.nodes`, `m.cell`."""

from __future__ import annotations

from dlc.check.read_type import STRUCTURES
from dlc.check.tables import Tables
from dlc.diag import Diagnostic, error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.surface import (
    Adt,
    Array,
    Graph,
    List,
    Model,
    Segs,
    Sparse,
    Tangent,
    Tensor,
    Type,
    Unknown,
    short,
    tangent,
)


def dims_by_name(tables: Tables, t: Type) -> dict[str, Dim]:
    """The dims that a value of the type gives by name."""
    if isinstance(t, (Model, Adt)):
        decls = tables.dims_of(t.name) or ()
        return {d.name: v for d, v in zip(decls, t.dims, strict=False)}
    if isinstance(t, Graph):
        return dict(zip(STRUCTURES["Graph"], (t.nodes, t.arcs), strict=True))
    if isinstance(t, Segs):
        return dict(zip(STRUCTURES["Segs"], (t.rows, t.items), strict=True))
    return {}


def dim_of_type(tables: Tables, t: Type, name: str) -> Dim | None:
    """`v.H` of a value of the type."""
    return dims_by_name(tables, t).get(name)


def field_type(tables: Tables, t: Type, name: str) -> Type | None:
    """The type of a field of a record, or of the tangent of a record."""
    if isinstance(t, Model):
        return dict(tables.model_fields(t)).get(name)
    if isinstance(t, Tangent) and isinstance(t.of, Model):
        inner = dict(tables.model_fields(t.of)).get(name)
        if inner is None:
            return None
        prefix = f"{name}."
        rows = tuple(
            "" if r == name else r.removeprefix(prefix)
            for r in t.rows
            if r == name or r.startswith(prefix)
        )
        return tangent(inner, rows)
    return Unknown() if isinstance(t, Unknown) else None


def path_error(tables: Tables, t: Type, at: tree.Ident) -> Diagnostic:
    """E0207, E0210: `v.name` is neither a field nor a dim of the value."""
    name = at.text
    fields = [n for n, _ in tables.model_fields(t)] if isinstance(t, Model) else []
    dims = list(dims_by_name(tables, t))
    if name[:1].isupper() and isinstance(t, (Model, Adt)):
        found = error("E0207", f"`{short(t.name)}` has no dim `{name}`", at.span)
        decl = tables.models.get(t.name) or tables.adts.get(t.name)
        if decl is not None:
            found = found.with_label(decl.span, "declared here")
        found = found.with_note(f"its dims: {', '.join(dims) or 'none'}")
        return did_you_mean(found, name, (*dims, *fields), at.span)
    found = error("E0210", f"{t} has no field `{name}`", at.span)
    if isinstance(t, List) and name in ("push", "append", "add"):
        return found.with_help("there are no methods: `push(mut xs, …)`")
    if isinstance(t, (Tensor, List)) and name in ("shape", "size", "length", "len", "ndim"):
        return found.with_help("`len(x)` is the first dim; a dim of a signature has a name")
    if isinstance(t, Tensor):
        return found.with_note("there are no methods: write `f(x)`, not `x.f()`")
    if isinstance(t, Array):
        return found.with_help("take one of its models first: `xs[i]`")
    if isinstance(t, Sparse):
        return found.with_help("`i, v = active(x)` gives its indices and values")
    known = [*fields, *dims]
    if known:
        found = found.with_note(f"it has {', '.join(known[:12])}{', …' * (len(known) > 12)}")
    if isinstance(t, Adt) and not known:
        return found.with_help("`match` takes it apart")
    found = did_you_mean(found, name, known, at.span)
    return found if found.helps or found.notes else found.with_note("only models have fields")
