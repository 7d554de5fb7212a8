"""`grad`, `value_and_grad`, `vjp`, `jvp`: operations that the differentiation pass takes away.

These operations know only leaves: gradients are asked for by leaf number. A table that a function
only gathers from has its gradient stored as rows. A leaf that is stored as rows itself (a list of
row number and row) has as tangent the list of its rows' tangents, as every list has; on this side
of the operation the row numbers are put back, or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlc.check import typed
from dlc.ir.core import Attr, Function, Signature, Value
from dlc.ir.tangent import declare_tangent, has_tangent, tangent_type
from dlc.lower.calls import Arguments, arguments
from dlc.lower.layout import absent
from dlc.lower.rows import rows_of, stored_as_rows, with_numbers
from dlc.lower.scope import Callee, Leaves, Scope
from dlc.ops.build import Builder, DimNames
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import ListType, TensorType, Type, substitute_type


def lower_gradient(s: Scope, e: typed.Gradient) -> Leaves:
    callee = s.program.callee(e.key)
    args = arguments(s, callee, [s.expr(a) for a in e.args], e.dims)
    extra = tuple(v for x in e.extra for v in s.expr(x))
    if e.kind == "vjp":
        return _vjp(s, e, callee, args, extra)
    if e.kind == "jvp":
        return _jvp(s, e, callee, args, extra)
    out, tangents = _derive(s, e, "value_and_grad", callee.signature, callee, args, ())
    if e.kind == "value_and_grad":
        return (*out, *tangents)
    return (*tangents, *out[_first_component(s, callee) :])


def _first_component(s: Scope, callee: Callee) -> int:
    """The number of leaves of what is differentiated."""
    t = callee.typed.result
    return s.layout.count(t.items[0] if isinstance(t, surface.Tuple) else t)


def _wrt(s: Scope, e: typed.Gradient, callee: Callee) -> tuple[list[int], list[bool]]:
    """The numbers of the leaves to differentiate by, and which of them are stored as rows."""
    wrt: list[int] = []
    rows: list[bool] = []
    for p, tables in zip(e.wrt, e.rows, strict=True):
        t = callee.typed.params[p].type
        leaves = s.layout.leaves(t, absent)
        for i in s.layout.differentiable(t):
            wrt.append(callee.params[p].start + i)
            rows.append(leaves[i].name in tables)
    return wrt, rows


def _derive(
    s: Scope,
    e: typed.Gradient,
    name: str,
    sig: Signature,
    callee: Callee,
    args: Arguments,
    extra: Leaves,
) -> tuple[Leaves, Leaves]:
    """A derivative operation: the function's results, and the gradients of the wrt leaves."""
    wrt, rows = _wrt(s, e, callee)
    grads = [_gradient_type(s, args.leaves[i].type, r) for i, r in zip(wrt, rows, strict=True)]
    results, here = _results(s, sig, args)
    attrs = _attrs(sig, args, wrt)
    attrs["rows"] = tuple(rows)
    out = s.b.structured(name, (*args.leaves, *extra), [*results, *grads], attrs, (), here)
    tables = _tables_given(s, e, callee)
    made: list[Value] = []
    for i, given, g in zip(wrt, tables, out[len(results) :], strict=True):
        made.append(with_numbers(s, args.leaves[i], g) if given else g)
    return out[: len(results)], tuple(made)


def _tables_given(s: Scope, e: typed.Gradient, callee: Callee) -> list[bool]:
    """For each wrt leaf, whether the parameter itself is stored as rows."""
    out: list[bool] = []
    for p in e.wrt:
        t = callee.typed.params[p].type
        flags = stored_as_rows(s, t)
        out.extend(flags[i] for i in s.layout.differentiable(t))
    return out


def _first_flags(s: Scope, callee: Callee) -> list[bool]:
    """For each leaf of the differentiated component that has a tangent, whether it is stored as
    rows."""
    t = callee.typed.result
    t = t.items[0] if isinstance(t, surface.Tuple) else t
    flags = stored_as_rows(s, t)
    return [flags[i] for i in s.layout.differentiable(t)]


def _without_numbers(s: Scope, leaves: Leaves, flags: Sequence[bool]) -> Leaves:
    return tuple(rows_of(s, v) if f else v for v, f in zip(leaves, flags, strict=True))


def _attrs(sig: Signature, args: Arguments, wrt: Sequence[int]) -> dict[str, Attr]:
    return {"fn": sig.name, "dims": args.dims, "wrt": tuple(wrt)}


def _results(s: Scope, sig: Signature, args: Arguments) -> tuple[list[Type], tuple[str, ...]]:
    here = tuple(s.b.names.fresh(d) for d in sig.result_dims)
    bind = {**args.bind, **dict(zip(sig.result_dims, map(Dim.sym, here), strict=True))}
    return [substitute_type(t, bind) for t in sig.results], here


def _gradient_type(s: Scope, t: Type, rows: bool) -> Type:
    declare_tangent(s.layout.types, t)
    made = tangent_type(s.layout.types, t)
    assert made is not None, f"{t} has no derivative"
    if rows:
        assert isinstance(made, TensorType)
        return ListType((TensorType(I32), TensorType(made.dtype, made.shape[1:])))
    return made


def _vjp(s: Scope, e: typed.Gradient, callee: Callee, args: Arguments, extra: Leaves) -> Leaves:
    """Only the first component has a cotangent: the others are not asked for."""
    sig = callee.signature
    extra = _without_numbers(s, extra, _first_flags(s, callee))
    first = _first_component(s, callee)
    if first < len(sig.results):
        whole = sig
        wanted = replace(whole, name=f"{whole.name}.first", results=whole.results[:first])
        sig = s.program.helper(("first", e.key), wanted, lambda made: _first_of(s, made, whole))
    _, tangents = _derive(s, e, "vjp", sig, callee, args, extra)
    return tangents


def _first_of(s: Scope, made: Signature, whole: Signature) -> Function:
    """A call of `whole` that gives back only the first of its results."""
    names = DimNames((*whole.dims, *whole.result_dims))
    b = Builder(s.layout.types, names, s.b.loc).nested(whole.params)
    attrs: dict[str, Attr] = {"fn": whole.name, "dims": tuple(map(Dim.sym, whole.dims))}
    out = b.structured("call", b.params, whole.results, attrs, (), whole.result_dims)
    kept = out[: len(made.results)]
    return b.function(
        made.name,
        made.dims,
        b.return_(*kept, dims=tuple(map(Dim.sym, whole.result_dims))),
        result_types=made.results,
        result_dims=made.result_dims,
        loc=s.b.loc,
    )


def _jvp(s: Scope, e: typed.Gradient, callee: Callee, args: Arguments, extra: Leaves) -> Leaves:
    """The function's value, and the tangent of its first component."""
    sig = callee.signature
    wrt, _ = _wrt(s, e, callee)
    results, here = _results(s, sig, args)
    tangents = [_gradient_type(s, t, False) for t in results if has_tangent(s.layout.types, t)]
    first = _first_component(s, callee)
    count = sum(has_tangent(s.layout.types, t) for t in results[:first])
    attrs = _attrs(sig, args, wrt)
    given = _without_numbers(s, extra, _tables_given(s, e, callee))
    types = [*results, *tangents]
    out = s.b.structured("jvp", (*args.leaves, *given), types, attrs, (), here)
    value = out[: len(results)]
    floats = [v for v in value[:first] if has_tangent(s.layout.types, v.type)]
    made: list[Value] = []
    pushed = out[len(results) : len(results) + count]
    for v, rows, d in zip(floats, _first_flags(s, callee), pushed, strict=True):
        made.append(with_numbers(s, v, d) if rows else d)
    return (*value, *made)
