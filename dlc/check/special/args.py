"""Arguments of builtins without a signature."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check.body import Body, Val
from dlc.check.convert import settle
from dlc.check.rules import foreign
from dlc.check.rules.static import static_number
from dlc.diag import error
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.typesys.surface import Tensor, Unit


def check_all(b: Body, args: Sequence[tree.Arg]) -> None:
    """Check arguments for their own errors."""
    for a in args:
        if not isinstance(a.value, (tree.Lambda, tree.String)):
            b.expr(a.value)


def take(
    b: Body, node: tree.Call, names: Sequence[str], least: int, shown: str
) -> dict[str, tree.Expr] | None:
    """The arguments by name, given by position or by name; None after E0312. `shown` is the form of
    the call, for the message."""
    out: dict[str, tree.Expr] = {}
    function = shown.split("(")[0]
    for i, a in enumerate(node.args):
        if a.mut:
            b.report(error("E0422", f"`{function}` changes nothing", a.span).with_help("no `mut`"))
        if a.name is None and i >= len(names):
            counted = f"at most {len(names)}" if least < len(names) else str(len(names))
            text = f"`{function}` takes {counted} arguments, this gives {len(node.args)}"
            check_all(b, node.args)
            b.report(error("E0312", text, a.span).with_note(f"`{shown}`"))
            return None
        name = names[i] if a.name is None else a.name.text
        if name not in names or name in out:
            assert a.name is not None
            check_all(b, node.args)
            why = "is given twice" if name in out else "is no parameter"
            found = error("E0312", f"`{name}` of `{function}` {why}", a.name.span)
            found = found.with_note(f"`{shown}`")
            if name in foreign.KEYWORDS and name not in out:
                b.report(found.with_help(foreign.KEYWORDS[name]))
            else:
                b.report(did_you_mean(found, name, names, a.name.span))
            return None
        out[name] = a.value
    missing = [n for n in names[:least] if n not in out]
    if missing:
        check_all(b, node.args)
        text = f"{', '.join(f'`{n}`' for n in missing)} of `{function}` is missing"
        b.report(error("E0312", text, node.span).with_note(f"`{shown}`"))
        return None
    return out


def tensor(b: Body, e: tree.Expr, function: str) -> Val | None:
    """A tensor argument, its element type settled; None after an error."""
    v = settle(b, b.expr(e))
    if v.is_bad:
        return None
    if isinstance(v.type, Tensor):
        return v
    found = error("E0332", f"`{function}` is of tensors, this is {b.show(v.type)}", v.span)
    if isinstance(v.type, Unit):
        found = found.with_note("this call gives no value")
    elif function == "sum":
        found = found.with_help("`total(fn(p) => …, m)` sums over every float of a structure")
    b.report(
        found if found.helps or found.notes else found.with_note("a tensor has dims and numbers")
    )
    return None


def axis(b: Body, e: tree.Expr, t: Tensor, function: str) -> int | None:
    """An axis of a tensor: a number known when compiling, negative ones from the end (E0327)."""
    n = static_number(b, e)
    if n is None:
        b.expr(e)
        found = error("E0327", f"the axis of `{function}` must be a number", e.span)
        if function in ("max", "min"):
            which = "larger" if function == "max" else "smaller"
            found = found.with_help(f"`{function}imum(a, b)` is the {which} of two")
        else:
            found = found.with_help("write it out: `axis=0`")
        b.report(found)
        return None
    rank = t.rank
    if rank is None:
        found = error("E0327", f"the axes of {b.show(t)} are not known", e.span)
        b.report(found.with_help("write out its dims"))
        return None
    if not -rank <= n < rank:
        found = error("E0327", f"axis {n} of {b.show(t)}", e.span)
        last = f"its axes are 0 to {rank - 1}" if rank > 1 else "its only axis is 0"
        b.report(found.with_note(last if rank else "a number has no axes"))
        return None
    return n % rank


def no_kwargs(b: Body, node: tree.Call, function: str, allowed: Sequence[str] = ()) -> bool:
    """Report named and `mut` arguments of a builtin that takes none."""
    for a in node.args:
        if a.mut or (a.name is not None and a.name.text not in allowed):
            b.report(
                error("E0312", f"`{function}` takes its arguments by position", a.span).with_help(
                    "leave the name out"
                )
            )
            check_all(b, node.args)
            return False
    return True
