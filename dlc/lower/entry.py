"""Entries: what an exported function checks before its body runs.

Index tensors of graphs, segments, sparse vectors and rows that come from outside are checked once,
at the entry, so no operation inside has to. An entry that has such parameters is a function of its
own, which checks and calls; others are the function itself."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check.typed import TypedFunction
from dlc.diag import CompileError, Diagnostic, Span, error
from dlc.ir.core import Attr, Function, Value
from dlc.lower.layout import Layout
from dlc.lower.scope import Callee, Leaves, loc_of
from dlc.ops.build import Builder, DimNames
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.types import SCALAR_I32

_STRUCTURES = (surface.Graph, surface.Segs, surface.Sparse, surface.Rows)


def has_structure(layout: Layout, t: surface.Type) -> bool:
    """Whether a value of the type has index tensors that must be checked."""
    if isinstance(t, _STRUCTURES):
        return True
    if isinstance(t, surface.Adt):
        return _adt_has_structure(layout, t.name, set())
    return any(has_structure(layout, x) for x in surface.parts(t))


def _adt_has_structure(layout: Layout, name: str, seen: set[str]) -> bool:
    if name in seen:
        return False
    seen.add(name)
    fields = [f.type for c in layout.adt_decl(name).constructors for f in c.fields]
    while fields:
        t = fields.pop()
        if isinstance(t, _STRUCTURES):
            return True
        if isinstance(t, surface.Adt) and _adt_has_structure(layout, t.name, seen):
            return True
        fields.extend(surface.parts(t))
    return False


def needs_checks(layout: Layout, callee: Callee) -> bool:
    """Whether the entry of a function has to check structures."""
    return any(has_structure(layout, p.type) for p in callee.typed.params)


def entry_function(
    layout: Layout, name: str, callee: Callee, hints: Sequence[str], attrs: dict[str, Attr]
) -> Function:
    """A function that checks its structures and then calls the instance."""
    sig = callee.signature
    names = DimNames((*sig.dims, *sig.result_dims))
    b = Builder(layout.types, names, loc_of(callee.typed.span)).nested(sig.params, hints)
    for p, which in zip(callee.typed.params, callee.params, strict=True):
        check(b, layout, p.type, b.params[which], p.span)
    call: dict[str, Attr] = {"fn": sig.name, "dims": tuple(map(Dim.sym, sig.dims))}
    out = b.structured("call", b.params, sig.results, call, (), sig.result_dims)
    return b.function(
        name,
        sig.dims,
        b.return_(*out, dims=tuple(map(Dim.sym, sig.result_dims))),
        result_types=sig.results,
        result_dims=sig.result_dims,
        attrs=attrs,
        loc=b.loc,
    )


def check(b: Builder, layout: Layout, t: surface.Type, leaves: Leaves, span: Span) -> None:
    """Emits the checks of a value's index tensors."""
    match t:
        case surface.Graph():
            for ends in leaves:
                b.emit_many("check_indices", ends, bound=t.nodes)
        case surface.Segs():
            b.emit_many("check_segments", leaves[0], items=t.items)
        case surface.Sparse():
            b.emit_many("check_indices", leaves[0], bound=t.size)
        case surface.Rows():
            _check_rows(b, leaves[0], t.count)
        case surface.Tuple():
            for item, which in zip(t.items, layout.items(t), strict=True):
                check(b, layout, item, leaves[which], span)
        case _:
            if has_structure(layout, t):
                raise CompileError(_refused(t, span))


def _refused(t: surface.Type, span: Span) -> Diagnostic:
    message = f"an exported function can't take {t}: it holds graphs, segments or sparse vectors"
    found = error("E0633", message, span)
    return found.with_help("take them as parameters of their own, and build the value inside")


def refuse_inner_gradients(fn: TypedFunction) -> None:
    """Raises CompileError E0610 for a parameter or result that has the gradient of an algebraic
    value or of an element of a list in it: its zeros have no structure, so it has no columns."""
    for p in fn.params:
        _only_outer("takes", p.type, p.span)
    _only_outer("gives", fn.result, fn.span)


def _only_outer(verb: str, t: surface.Type, span: Span) -> None:
    items = t.items if isinstance(t, surface.Tuple) else (t,)
    for item in items:
        at = item.of if isinstance(item, surface.Tangent) else item
        inner = isinstance(item, surface.Tangent) and isinstance(at, surface.Adt)
        if inner or _holds_gradient(at):
            found = error("E0610", f"an exported function {verb} {item}", span)
            found = found.with_note("gradients of tensors, of models and of lists of such may")
            give = "give the changed value, `each(fn(p, d) => p - d, x, g)`, or a `total` of it"
            how = {"gives": give, "takes": "take the value, and differentiate inside"}
            raise CompileError(found.with_help(how[verb]))


def _holds_gradient(t: surface.Type) -> bool:
    return any(
        isinstance(x, (surface.Tangent, surface.Unit)) or _holds_gradient(x)
        for x in surface.parts(t)
    )


def _check_rows(b: Builder, rows: Value, count: Dim) -> None:
    """Every row number is one of the table's."""
    body = b.nested((SCALAR_I32,), ("i",))
    number, _ = body.emit_many("list_get", rows, body.params[0], in_bounds=True)
    low = body.emit("ge", number, body.dim(0))
    inside = body.emit("and", low, body.emit("lt", number, body.dim(count)))
    body.emit_many("assert", inside, message="a row number outside the table")
    b.for_(b.dim(0), b.emit("list_len", rows), (), body.yield_())
