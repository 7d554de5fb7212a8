"""One function instance: its signature in the IR, and its body."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dlc.check.typed import Expr, TypedFunction, TypedParam
from dlc.ir.core import Attr, Function, Signature
from dlc.lower.flow import Body, lower_block
from dlc.lower.layout import Hidden, Layout, absent
from dlc.lower.liveness import analyse
from dlc.lower.mentions import born_dims
from dlc.lower.scope import Callee, Leaves, Program, Scope, conform, loc_of, solve_hidden
from dlc.lower.tails import Results
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim
from dlc.typesys.types import Type, substitute_type, type_dims

Lower = Callable[[Scope, Expr], Leaves]


def signature_of(layout: Layout, fn: TypedFunction, name: str) -> Callee:
    """How callers see the instance. Hidden dims are called after the leaf, `x.k`."""
    names = DimNames((*fn.dims, *fn.unknowns))

    def hide(into: list[str], base: str) -> Hidden:
        def fresh(path: str) -> Dim:
            into.append(names.fresh(".".join(x for x in (base, path, "k") if x)))
            return Dim.sym(into[-1])

        return fresh

    hidden: list[str] = []
    params: list[Type] = []
    slices: list[slice] = []
    for p in fn.params:
        types = layout.leaf_types(p.type, hide(hidden, p.local.name))
        slices.append(slice(len(params), len(params) + len(types)))
        params.extend(types)
    born: list[str] = []
    results = list(layout.leaf_types(fn.result, hide(born, "result")))
    count = len(results)
    for p in fn.params:
        if p.mut:
            results.extend(layout.leaf_types(p.type, hide(born, p.local.name)))
    signature = Signature(
        name, (*fn.dims, *hidden), tuple(params), tuple(results), (*fn.unknowns, *born)
    )
    return Callee(fn, signature, tuple(hidden), tuple(slices), count)


def lower_function(
    program: Program, lower: Lower, callee: Callee, attrs: Mapping[str, Attr]
) -> Function:
    """The IR function of an instance."""
    fn, sig = callee.typed, callee.signature
    taken = (*sig.dims, *sig.result_dims, *born_dims(fn.body))
    root = Builder(program.layout.types, DimNames(taken), loc_of(fn.span))
    hints = [n for p in fn.params for n in leaf_names(program.layout, p)]
    known = {d for t in sig.params for d in type_dims(t)}
    s = Scope(program, lower, root.nested(sig.params, hints), {}, known)
    for p, which in zip(fn.params, callee.params, strict=True):
        # A parameter that is a dim is read as the dim: its value is then known to every analysis.
        number = (s.b.dim(Dim.sym(p.local.name)),) if p.is_dim and not p.mut else None
        s.slots[p.local] = s.b.params[which] if number is None else number
    body = Body(analyse(fn), Results.of(s, fn))
    leaves = lower_block(body, s, fn.body, body.results)
    values, dims = _give_back(s, callee, body.results, leaves)
    given: dict[str, Attr] = dict(attrs)
    if callee.inout:
        given["inout"] = callee.inout
    return s.b.function(
        sig.name,
        sig.dims,
        s.b.return_(*values, dims=dims),
        result_types=sig.results,
        result_dims=sig.result_dims,
        attrs=given,
        loc=loc_of(fn.span),
    )


def _give_back(
    s: Scope, callee: Callee, results: Results, leaves: Leaves
) -> tuple[Leaves, tuple[Dim, ...]]:
    """The values to return, with the result's types, and the values of the result's dims."""
    sig = callee.signature
    values = leaves[: len(sig.results)]
    known: dict[str, Dim] = {}
    for name, count in zip(results.counted, leaves[len(sig.results) :], strict=True):
        known[name] = s.b.as_dim(count, name)
    rest = tuple(d for d in sig.result_dims if d not in known)
    found = solve_hidden(rest, [substitute_type(t, known) for t in sig.results], values)
    known |= dict(zip(rest, found, strict=True))
    types = [substitute_type(t, known) for t in sig.results]
    return conform(s.b, values, types), tuple(known[d] for d in sig.result_dims)


def leaf_names(layout: Layout, p: TypedParam) -> list[str]:
    """The names of a parameter's leaves, `m.cell.wx`."""
    name = p.local.name
    leaves = layout.leaves(p.type, absent)
    return [f"{name}.{leaf.name}" if leaf.path else name for leaf in leaves]
