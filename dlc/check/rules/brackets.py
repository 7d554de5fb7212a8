"""Dims in brackets among expressions: `beam[K=8](…)`, `init(Net[10, H=4], key)`."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check.body import Body
from dlc.check.rules.arguments import Argument
from dlc.check.rules.dim_arguments import dim_argument
from dlc.diag import error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.dims import Dim


def dims_in_brackets(
    b: Body, node: tree.Index, names: Sequence[str], owner: str
) -> dict[str, Dim] | None:
    """Dims by position or by name; None after an error."""
    out: dict[str, Dim] = {}
    ok = True
    for i, s in enumerate(node.subs):
        if isinstance(s, (tree.Slice, tree.ShapeVar)):
            b.report(error("E0304", "this cannot be a dim", s.span).with_help("a name or a number"))
            ok = False
            continue
        named = isinstance(s, tree.NamedDim)
        if not named and i >= len(names):
            counted = f"{len(names)} dim{'s' * (len(names) != 1)}"
            found = error("E0302", f"`{owner}` has {counted}, this gives {len(node.subs)}", s.span)
            b.report(found.with_note(f"its dims: {', '.join(names) or 'none'}"))
            return None
        name = s.name.text if isinstance(s, tree.NamedDim) else names[i]
        value = s.value if isinstance(s, tree.NamedDim) else s
        if name not in names:
            assert isinstance(s, tree.NamedDim)
            found = error("E0207", f"`{owner}` has no dim `{name}`", s.name.span)
            found = found.with_note(f"its dims: {', '.join(names) or 'none'}")
            b.report(did_you_mean(found, name, names, s.name.span))
            ok = False
            continue
        if name in out:
            b.report(
                error("E0302", f"`{name}` of `{owner}` is given twice", s.span).with_help("once")
            )
            ok = False
        d = bracket_dim(b, value, f"`{name}` of `{owner}`")
        ok = ok and d is not None
        if d is not None:
            out[name] = d
    return out if ok else None


def bracket_dim(b: Body, e: tree.Expr, what: str) -> Dim | None:
    return dim_argument(b, Argument(e.span, e), what)
