"""Parameter sets: what the weights of an artefact are called, whichever export names them.

An export may call the dims of its model parameters something else: `fn f(m: Linear[A, B])`.
Outside they are `m.I` and `m.O`, so that `A` of one export is not that of another, and the set has
one type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dlc.check.decls import ParamDecl, Signature
from dlc.check.tables import Tables
from dlc.diag import error
from dlc.typesys.dims import Dim
from dlc.typesys.surface import Model, Type, short, substitute_dims


def with_set_names(tables: Tables, sig: Signature) -> Signature:
    """The signature of an export with dims that its models show called by the models' names; what
    the source calls them is in `aliases`."""
    names = _names(tables, sig)
    if not names:
        return sig
    dims = {n: Dim.sym(new) for n, new in names.items()}
    return replace(
        sig,
        params=tuple(replace(p, type=substitute_dims(p.type, dims)) for p in sig.params),
        result=substitute_dims(sig.result, dims),
        dims=tuple(dict.fromkeys(names.get(n, n) for n in sig.dims)),
        spans=tuple((names.get(n, n), at) for n, at in sig.spans),
        aliases=tuple(names.items()),
    )


def _names(tables: Tables, sig: Signature) -> dict[str, str]:
    """New names of dims: those of the model's that they stand for; in `Mlp[2*P]`, `m.P`."""
    fixed = {*sig.consts, *sig.value_dims, *(g.name for g in sig.generics if g.default is not None)}
    taken = {*sig.dims, *sig.unknowns}
    out: dict[str, str] = {}

    def give(name: str, new: str) -> None:
        if name not in out and name in sig.dims and "." not in name and name not in fixed:
            while new in taken:
                new = f"{new}_"
            taken.add(new)
            out[name] = new

    models = [(p.name, p.type) for p in sig.params if isinstance(p.type, Model)]
    for name, t in models:
        for own, d in zip(tables.dims_of(t.name) or (), t.dims, strict=False):
            if d.name is not None:
                give(d.name, f"{name}.{own.name}")
    for name, t in models:
        for n in (n for d in t.dims for n in d.symbols()):
            give(n, f"{name}.{n}")
    return out


def parameter_sets(tables: Tables, exports: Sequence[str]) -> dict[str, Type]:
    """The model types of the artefact by parameter name.

    E0339: one name of a model parameter is one set of parameters, of one type."""
    out: dict[str, Type] = {}
    first: dict[str, tuple[Signature, ParamDecl]] = {}
    for name in exports:
        sig = tables.signatures.get(name)
        for p in () if sig is None else sig.params:
            if sig is None or not isinstance(p.type, Model):
                continue
            out.setdefault(p.name, p.type)
            before, q = first.setdefault(p.name, (sig, p))
            if _form(tables, before, q) != _form(tables, sig, p):
                _differ(tables, p, q, before, sig)
    return out


def _form(tables: Tables, sig: Signature, p: ParamDecl) -> Type:
    """The type, with dims that are known when compiling called by the model's names."""
    assert isinstance(p.type, Model)
    consts: Mapping[str, Dim] = {
        d.name: Dim.sym(f"{p.name}.{own.name}")
        for own, d in zip(tables.dims_of(p.type.name) or (), p.type.dims, strict=False)
        if d.name is not None and d.name in sig.consts
    }
    return substitute_dims(p.type, consts)


def _differ(tables: Tables, p: ParamDecl, q: ParamDecl, before: Signature, sig: Signature) -> None:
    assert isinstance(p.type, Model) and isinstance(q.type, Model)
    if p.type.name != q.type.name:
        one, other = a_name(q.type.name), a_name(p.type.name)
        text = f"two exports use the name `{p.name}` for {one} and {other}"
        found = error("E0339", text, p.span).with_label(q.span, f"{one} here")
        found = found.with_note("parameters of an artefact are known by this name")
        tables.bag.add(found.with_help("give one of them another name"))
        return
    one, other = _as_written(before, q), _as_written(sig, p)
    text = f"`{p.name}` is {other} in `{short(sig.name)}`, and {one} in `{short(before.name)}`"
    found = error("E0339", text, p.span).with_label(q.span, f"{one} here")
    found = found.with_note(f"`{p.name}` of all exports is one set of parameters, of one type")
    tables.bag.add(found.with_help("write the same type in both, or give one of them another name"))


def _as_written(sig: Signature, p: ParamDecl) -> Type:
    return substitute_dims(p.type, {new: Dim.sym(old) for old, new in sig.aliases})


def a_name(name: str) -> str:
    """`a Mlp`, `an EBM`."""
    text = short(name)
    return f"an {text}" if text[:1] in "AEIOaeio" else f"a {text}"
