"""Calls of functions, of lambdas in place, and of models from ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlc.check import typed
from dlc.check.typed import DimBinding
from dlc.ir.core import Attr, Signature
from dlc.lower.scope import Callee, Leaves, Scope, conform, solve_hidden
from dlc.typesys.dims import Dim
from dlc.typesys.types import substitute_type


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
