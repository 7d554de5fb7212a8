"""Calls of functions, of lambdas in place, of derivatives, of fixpoints and of ONNX models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dlc.check import typed
from dlc.check.typed import DimBinding
from dlc.ir.core import Attr, Function, Signature
from dlc.ir.tangent import declare_tangent, has_tangent, tangent_type
from dlc.lower.layout import absent
from dlc.lower.scope import Callee, Leaves, Scope, conform, solve_hidden
from dlc.ops.build import Builder, DimNames
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import ListType, TensorType, Type, substitute_type


@dataclass(frozen=True)
class Arguments:
    """The operands of a call: leaves with the parameters' types, and the callee's dims."""

    leaves: Leaves
    dims: tuple[Dim, ...]
    bind: Mapping[str, Dim]


def arguments(
    s: Scope, callee: Callee, args: Sequence[Leaves], dims: Sequence[DimBinding]
) -> Arguments:
    """The operands for these arguments, hidden dims of the parameters found from them."""
    leaves = tuple(v for arg in args for v in arg)
    bind = dict(dims)
    sizes = solve_hidden(callee.hidden, callee.signature.params, leaves)
    bind |= dict(zip(callee.hidden, sizes, strict=True))
    types = [substitute_type(t, bind) for t in callee.signature.params]
    given = tuple(bind[d] for d in callee.signature.dims)
    s.require(given)
    return Arguments(conform(s.b, leaves, types), given, bind)


def emit_call(s: Scope, sig: Signature, args: Arguments, born: Sequence[tuple[str, str]]) -> Leaves:
    """The call; its result's unknowns become the dims of `born`, others get fresh names."""
    names = dict(born)
    here = tuple(names[d] if d in names else s.b.names.fresh(d) for d in sig.result_dims)
    bind = {**args.bind, **dict(zip(sig.result_dims, map(Dim.sym, here), strict=True))}
    types = [substitute_type(t, bind) for t in sig.results]
    attrs: dict[str, Attr] = {"fn": sig.name, "dims": args.dims}
    return s.b.structured("call", args.leaves, types, attrs, (), here)


def lower_call(s: Scope, e: typed.CallFunction) -> Leaves:
    callee = s.program.callee(e.key)
    given = [s.expr(a) for a in e.args]
    args = arguments(s, callee, given, e.dims)
    out = emit_call(s, callee.signature, args, e.born)
    at = callee.results
    locals = dict(e.changed)
    for i, p in enumerate(callee.typed.params):
        if p.mut:
            n = len(given[i])
            s.put(locals[i], s.conform(out[at : at + n], e.args[i].type))
            at += n
    return out[: callee.results]


def apply(s: Scope, function: typed.Lambda, args: Sequence[Leaves]) -> Leaves:
    """The lambda's body with its parameters bound, in this place."""
    for local, leaves in zip(function.params, args, strict=True):
        s.put(local, leaves)
    for d in function.defines:
        (v,) = s.get(d.local)
        s.b.emit_op("as_dim", (v,), {}, (), (d.name,))
    return s.expr(function.body)


def lower_inline(s: Scope, e: typed.InlineCall) -> Leaves:
    return apply(s, e.function, [s.expr(a) for a in e.args])


def lower_onnx(s: Scope, e: typed.CallOnnx) -> Leaves:
    sig = s.program.onnx(e.name)
    leaves = tuple(v for a in (e.model, *e.args) for v in s.expr(a))
    bind = dict(e.dims)
    types = [substitute_type(t, bind) for t in sig.params]
    args = Arguments(conform(s.b, leaves, types), tuple(bind[d] for d in sig.dims), bind)
    return emit_call(s, sig, args, e.born)


# -- derivatives


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
    return out[: len(results)], out[len(results) :]


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
    types = [*results, *tangents]
    out = s.b.structured("jvp", (*args.leaves, *extra), types, attrs, (), here)
    return out[: len(results) + count]
