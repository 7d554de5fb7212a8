"""The names that a body starts with: parameters, dims, generics; open, or as an instance binds
them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dlc.check.body import Binding, Body, Constant, FunctionSlot, Variable, World
from dlc.check.decls import ParamDecl, Signature
from dlc.check.instances import Closure, FunctionValue, InstanceKey, Static
from dlc.check.keys import function_captures
from dlc.check.typed import Local, TypedParam
from dlc.diag import Diagnostic, Span
from dlc.typesys.dims import Dim
from dlc.typesys.surface import (
    Const,
    DTypeVar,
    Element,
    Function,
    Rewrite,
    Rows,
    Shape,
    ShapeVar,
    Tangent,
    Tensor,
    Type,
    ValueVar,
    substitute_dims,
)

Report = Callable[[Diagnostic], None]


@dataclass(frozen=True, slots=True)
class Bindings:
    """What the generics of a signature are in a body."""

    consts: Mapping[str, Static]
    dtypes: Mapping[str, Element]
    runs: Mapping[str, Shape]
    values: Mapping[str, Type]
    functions: Mapping[str, FunctionValue]
    rows: Mapping[str, tuple[str, ...]]
    where: Mapping[str, Dim]

    def rewrite(self) -> Rewrite:
        numbers = {
            n: Dim.const(v)
            for n, v in self.consts.items()
            if isinstance(v, int) and not isinstance(v, bool)
        }
        known = {**numbers, **self.where}

        def dtype(e: Element) -> Element:
            return self.dtypes.get(e.name, e) if isinstance(e, DTypeVar) else e

        def run(s: ShapeVar) -> Shape:
            return self.runs.get(s.name, (s,))

        def value(v: ValueVar) -> Type:
            return self.values.get(v.name, v)

        return Rewrite(dim=lambda d: d.substitute(known), run=run, dtype=dtype, value=value)


def open_bindings(sig: Signature, consts: Mapping[str, Static]) -> Bindings:
    """Generics that stand for themselves; const numbers may be given for a trial."""
    return Bindings(
        consts,
        {g.name: DTypeVar(g.name, g.kind) for g in sig.generics if g.kind is not None},
        {r: (ShapeVar(r),) for r in sig.runs},
        {g.name: ValueVar(g.name) for g in sig.generics if g.value},
        {},
        {},
        {},
    )


def instance_bindings(key: InstanceKey) -> Bindings:
    """Generics as the key of an instance binds them."""
    return Bindings(
        dict(key.consts),
        dict(key.dtypes),
        {r: tuple(_at(key, f"{r}.{i}") for i in range(n)) for r, n in key.ranks},
        {n: substitute_dims(t, dict(key.where)) for n, t in key.structures},
        dict(key.functions),
        dict(key.rows),
        dict(key.where),
    )


def _at(key: InstanceKey, name: str) -> Dim:
    return dict(key.where).get(name, Dim.sym(name))


def function_body(
    world: World, module: str, sig: Signature, given: Bindings, concrete: bool, report: Report
) -> tuple[Body, tuple[TypedParam, ...]]:
    """A body with its parameters bound."""
    b = Body(world, module, sig.name, report, concrete=concrete)
    b.signature = sig
    b.consts = frozenset(n for n in sig.consts if n not in given.consts)
    b.elements, b.runs, b.values = given.dtypes, given.runs, given.values
    for n in (*sig.dims, *(u.name for u in sig.generics if u.kind is None and not u.value)):
        value = given.consts.get(n)
        known = Dim.const(value) if isinstance(value, int) else Dim.sym(n)
        b.dim_names[n] = given.where.get(n, known)
    for n, own in sig.aliases:
        b.dim_names[n] = b.dim_names[own]
    rewrite = given.rewrite()
    b.result = rewrite(sig.result)
    b.unknowns = sig.unknowns
    params: list[TypedParam] = []
    slots: list[tuple[ParamDecl, Function, FunctionValue | None]] = []
    for p in sig.params:
        if p.run:
            continue
        if isinstance(p.type, Const):
            known = given.consts.get(p.name)
            b.env[p.name] = Constant(Dim.sym(p.name) if known is None else known, p.span)
            continue
        t = rewrite(p.type)
        if isinstance(t, Function):
            slots.append((p, t, given.functions.get(p.name)))
            continue
        params.append(_param(b, sig, p, _stored(t, given.rows.get(p.name, ()))))
    for p, t, value in slots:
        _slot(b, p, t, value, params)
    return b, tuple(params)


def _stored(t: Type, rows: tuple[str, ...]) -> Type:
    """The type of a parameter whose tangent comes as rows."""
    if not rows:
        return t
    if isinstance(t, Tangent):
        return Tangent(t.of, rows)
    if isinstance(t, Tensor) and len(t.shape) == 2:
        count, width = t.dims
        return Rows(t.dtype, count, width)
    return t


def _param(b: Body, sig: Signature, p: ParamDecl, t: Type) -> TypedParam:
    local = b.fresh_local(p.name)
    is_dim = p.name in sig.value_dims
    dim = b.dim_names.get(p.name) if is_dim else None
    b.bind(p.name, t, "mut" if p.mut else "param", p.span, local, dim)
    return TypedParam(local, t, p.mut, is_dim, p.span)


def _slot(
    b: Body, p: ParamDecl, t: Function, value: FunctionValue | None, params: list[TypedParam]
) -> None:
    """A function parameter; what its closure captured become parameters of their own."""
    env: Mapping[str, Binding] = {}
    dims: Mapping[str, Dim] = {}
    if isinstance(value, Closure):
        locals: dict[str, Local] = {}
        for name, ct in function_captures(value):
            locals[name] = b.fresh_local(name)
            params.append(TypedParam(locals[name], ct, False, False, p.span))
        env, dims = closure_scope(b, value, locals, p.span)
    b.env[p.name] = FunctionSlot(t, value, p.span, env, dims)


def closure_scope(
    b: Body, c: Closure, locals: Mapping[str, Local], span: Span
) -> tuple[dict[str, Binding], dict[str, Dim]]:
    """What the names of a closure mean in the instance it was given to."""
    env: dict[str, Binding] = {}
    for name, param, t in c.captures:
        local = locals[param]
        dim = dict(c.sizes).get(name) or b.version(param, t, span, local)
        env[name] = Variable(local, t, "capture", span, dim)
    for name, value in c.statics:
        env[name] = Constant(value, span)
    for name, inner in c.functions:
        if isinstance(inner, Closure):
            inner_env, inner_dims = closure_scope(b, inner, locals, span)
        else:
            inner_env, inner_dims = {}, {}
        env[name] = FunctionSlot(None, inner, span, inner_env, inner_dims)
    for n in c.dims:
        b.dim_names.setdefault(n[1], Dim.sym(n[1]))
    return env, {n: Dim.sym(param) for n, param in c.dims}


def lambda_body(
    world: World, key: InstanceKey, report: Report
) -> tuple[Body, tuple[TypedParam, ...], Mapping[str, Dim]]:
    """The body of a lambda that became a function: captures first, then its own parameters."""
    c = key.lifted
    assert c is not None
    b = Body(world, c.module, key.function, report, concrete=True)
    span = c.node.span
    params: list[TypedParam] = []
    locals: dict[str, Local] = {}
    for name, t in function_captures(c):
        locals[name] = b.fresh_local(name)
        params.append(TypedParam(locals[name], t, False, False, span))
    env, dims = closure_scope(b, c, locals, span)
    b.env, b.dim_names = env, {**b.dim_names, **dims}
    for ident, t in zip(c.node.params, key.params, strict=True):
        local = b.fresh_local(ident.text)
        if ident.text != "_":
            b.bind(ident.text, t, "lambda", ident.span, local)
        params.append(TypedParam(local, t, False, False, ident.span))
    return b, tuple(params), dims
