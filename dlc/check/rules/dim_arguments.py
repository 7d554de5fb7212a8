"""Arguments that become dims."""

from __future__ import annotations

from dlc.check.body import Body, bad, is_whole
from dlc.check.convert import (
    settle,
)
from dlc.check.rules.arguments import (
    Argument,
)
from dlc.diag import Edit, error
from dlc.typesys.dims import Dim
from dlc.typesys.surface import (
    Tensor,
)


def dim_argument(b: Body, a: Argument, what: str) -> Dim | None:
    """An argument that becomes a dim: a polynomial or a named number (E0304)."""
    v = a.val if a.val is not None else b.expr(a.value) if a.value is not None else bad(a.span)
    if v.is_bad:
        return None
    d = v.dim
    t = v.type
    if d is not None and isinstance(t, Tensor) and not t.shape:
        if (d.is_constant and d.constant < 0) or (d.terms and all(k < 0 for _, k in d.terms)):
            found = error("E0304", f"{what} is {b.show(d)}, which is negative", a.span)
            b.report(found.with_note("a dim is 0 or more"))
            return None
        return b.norm(d)
    found = error("E0304", f"{what} must be a dim, this is {b.show(t)}", a.span)
    whole = isinstance(settle(b, v).type, Tensor) and is_whole(settle(b, v).type)
    if whole:
        found = error("E0304", f"{what} has no name", a.span)
        found = found.with_note("a dim is built from names, whole numbers, `+ - * // %` and powers")
        k = b.new_name("k")
        edits = (*b.before(f"{k} = {a.text}"), Edit(a.span, k))
        b.report(found.with_help(f"name it first: `{k} = {a.text}`, then `{k}`", *edits))
        return None
    b.report(found.with_help("dims are whole numbers (i32): `i32(x)`, with a name of its own"))
    return None
