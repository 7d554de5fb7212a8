"""From a matched call to the key of the instance it calls, and the order of an instance's dims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlc.check.decls import Signature
from dlc.check.instances import Closure, FunctionValue, InstanceKey
from dlc.check.tables import Tables
from dlc.check.unify import Matcher
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    Adt,
    Array,
    List,
    Model,
    Option,
    Rewrite,
    Sparse,
    Tensor,
    Tuple,
    Type,
    dim_names,
)


@dataclass
class _Renamer:
    """Gives every dim of a structure a name of its own: `M.H` at the top of a nominal type, else
    `M.0`, `M.1`, …; const dims stay numbers."""

    tables: Tables
    name: str
    bindings: dict[str, Dim]

    def dim(self, d: Dim, label: str | None = None) -> Dim:
        name = f"{self.name}.{len(self.bindings) if label is None else label}"
        self.bindings[name] = d
        return Dim.sym(name)

    def type(self, t: Type, top: bool = False) -> Type:
        if isinstance(t, (Model, Adt)):
            decls = self.tables.dims_of(t.name) or ()
            dims = [
                v if d.const else self.dim(v, d.name if top else None)
                for d, v in zip(decls, t.dims, strict=False)
            ]
            return Model(t.name, tuple(dims)) if isinstance(t, Model) else Adt(t.name, tuple(dims))
        if isinstance(t, Array):
            element = self.type(t.element)
            assert isinstance(element, Model)
            return Array(element, t.count)
        if isinstance(t, Tensor):
            return Tensor(t.dtype, tuple(self.dim(d) for d in t.dims))
        if isinstance(t, Sparse):
            return Sparse(t.dtype, self.dim(t.size))
        if isinstance(t, Tuple):
            return Tuple(tuple(self.type(i) for i in t.items))
        if isinstance(t, List):
            return List(self.type(t.element))
        if isinstance(t, Option):
            return Option(self.type(t.element))
        return Rewrite(dim=self.dim)(t)


def structure_form(tables: Tables, name: str, t: Type) -> tuple[Type, dict[str, Dim]]:
    """The structure bound to `[M: value]` with its dims renamed, and what they are at the call."""
    renamer = _Renamer(tables, name, {})
    return renamer.type(t, top=True), renamer.bindings


@dataclass(frozen=True, slots=True)
class Called:
    """The instance that a call calls, and what its dims are at the call."""

    key: InstanceKey
    dims: tuple[tuple[str, Dim], ...]


def called(
    tables: Tables,
    sig: Signature,
    m: Matcher,
    consts: Mapping[str, int | str],
    functions: Mapping[str, FunctionValue],
    closure_dims: Mapping[str, Dim],
) -> Called:
    """The key of a call that was matched where everything is concrete."""
    bound: dict[str, Dim] = {}
    dtypes: list[tuple[str, DType]] = []
    structures: list[tuple[str, Type]] = []
    for g in sig.generics:
        if g.kind is not None:
            element = m.dtypes.get(g.name)
            assert isinstance(element, DType), f"{g.name} of {sig.name} is open"
            dtypes.append((g.name, element))
        elif g.value:
            form, dims = structure_form(tables, g.name, m.values[g.name])
            structures.append((g.name, form))
            bound.update(dims)
    ranks: list[tuple[str, int]] = []
    for r in sig.runs:
        run = m.runs.get(r, ())
        ranks.append((r, len(run)))
        bound.update((f"{r}.{i}", d) for i, d in enumerate(run) if isinstance(d, Dim))
    numbers: list[tuple[str, int | str | bool]] = []
    for c in sig.consts:
        if c in consts:
            numbers.append((c, consts[c]))
        elif f"?{c}" in m.dims and m.dims[f"?{c}"].is_constant:
            numbers.append((c, m.dims[f"?{c}"].constant))
    rows = tuple((sig.params[i].name, leaves) for i, leaves in sorted(m.rows.items()) if leaves)
    for n in sig.dims:
        if f"?{n}" in m.dims:
            bound[n] = m.dims[f"?{n}"]
    where = _known(sig, bound, closure_dims) if functions else ()
    key = InstanceKey(
        sig.name,
        dtypes=tuple(dtypes),
        ranks=tuple(ranks),
        consts=tuple(numbers),
        functions=tuple(functions.items()),
        structures=tuple(structures),
        rows=rows,
        where=where,
    )
    bound.update(closure_dims)
    return Called(key, tuple((n, bound[n]) for n in instance_dims(sig, key)))


def _known(
    sig: Signature, bound: Mapping[str, Dim], closure_dims: Mapping[str, Dim]
) -> tuple[tuple[str, Dim], ...]:
    """Dims that follow from those of closures, or are numbers."""
    back: dict[str, Dim] = {}
    for name, d in closure_dims.items():
        if d.name is not None:
            back.setdefault(d.name, Dim.sym(name))
    return tuple(
        (n, d.substitute(back))
        for n, d in bound.items()
        if n not in sig.value_dims and n not in sig.consts and all(s in back for s in d.symbols())
    )


def instance_dims(sig: Signature, key: InstanceKey) -> tuple[str, ...]:
    """The dim parameters of an instance, in order: those of the signature that are not const, dims
    of runs, of structures, of the places where closures were written."""
    fixed = {n for n, _ in key.consts} | {n for n, _ in key.where}
    out: dict[str, None] = dict.fromkeys(sig.dims)
    for r, rank in key.ranks:
        out.update((f"{r}.{i}", None) for i in range(rank))
    for _, t in key.structures:
        out.update(dict.fromkeys(dim_names(t)))
    for _, f in key.functions:
        out.update(dict.fromkeys(function_dims(f)))
    return tuple(n for n in out if n not in fixed)


def function_dims(f: FunctionValue) -> tuple[str, ...]:
    """The dim parameters that a function value brings into an instance."""
    if not isinstance(f, Closure):
        return ()
    out = dict.fromkeys(n for _, n in f.dims)
    for _, inner in f.functions:
        out.update(dict.fromkeys(function_dims(inner)))
    return tuple(out)


def function_captures(f: FunctionValue) -> tuple[tuple[str, Type], ...]:
    """The parameters that a function value adds to an instance: names and types."""
    if not isinstance(f, Closure):
        return ()
    out = [(param, t) for _, param, t in f.captures]
    for _, inner in f.functions:
        out.extend(function_captures(inner))
    return tuple(out)
