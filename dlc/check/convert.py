"""Making a value fit a type: literals take their element type, dims are written as the type writes
them.

Nothing else converts. Where a value does not fit, `misfit` says how.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from dlc.check import typed
from dlc.check.body import Body, Val
from dlc.check.typed import Expr
from dlc.check.unify import Conflict, Matcher, flex_fits
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.typesys.dtypes import F32, I32, DType
from dlc.typesys.surface import (
    Adt,
    DTypeVar,
    Element,
    Flex,
    List,
    Model,
    Option,
    Rows,
    Tangent,
    Tensor,
    Tuple,
    Type,
    Unknown,
    dim_names,
)

_INT_RANGE = {
    "i64": (-(2**63), 2**63 - 1),
    "i32": (-(2**31), 2**31 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "i8": (-128, 127),
    "u8": (0, 255),
}
_FLOAT_MAX = {"f32": 3.4028235e38, "f16": 65504.0, "bf16": 3.39e38}


# -- literals


def retag(e: Expr, dtype: Element, report: Callable[[Diagnostic], None]) -> Expr:
    """The expression with its open element type settled."""
    t = e.type
    if isinstance(t, Tuple) and isinstance(e, typed.TupleOf):
        items = tuple(retag(i, dtype, report) for i in e.items)
        return replace(e, items=items, type=Tuple(tuple(i.type for i in items)))
    if not isinstance(t, Tensor) or not isinstance(t.dtype, Flex):
        return e
    now = Tensor(dtype, t.shape)
    if isinstance(e, typed.Literal):
        return _literal(e, dtype, report)
    if isinstance(e, typed.DimValue):
        return replace(e, type=now)
    if isinstance(e, typed.Elementwise):
        args = tuple(retag(a, dtype, report) for a in e.args)
        return replace(e, args=args, type=now)
    if isinstance(e, typed.TensorOf):
        return replace(e, items=tuple(retag(i, dtype, report) for i in e.items), type=now)
    if isinstance(e, typed.IfElse):
        then, orelse = retag(e.then, dtype, report), retag(e.orelse, dtype, report)
        return replace(e, then=then, orelse=orelse, type=now)
    if isinstance(e, (typed.Power, typed.Broadcast, typed.Retype)):
        return replace(e, operand=retag(e.operand, dtype, report), type=now)
    return e


def _literal(e: typed.Literal, dtype: Element, report: Callable[[Diagnostic], None]) -> Expr:
    now = Tensor(dtype)
    if isinstance(e.value, bool):
        return e
    if isinstance(dtype, DType) and dtype.is_int:
        low, high = _INT_RANGE[dtype.name]
        if not low <= e.value <= high:
            found = error("E0347", f"{e.value} does not fit {dtype}", e.span)
            found = found.with_note(f"{dtype} holds {low} to {high}")
            report(found.with_help(f"`i64({e.value})`, or a smaller number"))
            return replace(e, value=0, type=now)
        return replace(e, type=now)
    if isinstance(dtype, DType) and dtype.is_float:
        if abs(e.value) > _FLOAT_MAX.get(dtype.name, 1.8e308):
            found = error("E0347", f"{e.value} does not fit {dtype}", e.span)
            report(found.with_help("a smaller number, or f64"))
            return replace(e, value=0.0, type=now)
        return replace(e, value=float(e.value), type=now)
    return replace(e, type=now)


def default_element(flex: Flex) -> DType:
    """What a literal is where nothing says otherwise."""
    return F32 if flex.kind == "float" else I32


def settle(b: Body, v: Val, want: Type | None = None) -> Val:
    """The value with a definite element type: the wanted one if it fits, else the default."""
    if isinstance(v.expr, typed.TupleOf):
        wants: tuple[Type | None, ...] = (None,) * len(v.expr.items)
        if isinstance(want, Tuple) and len(want.items) == len(v.expr.items):
            wants = want.items
        items = tuple(settle(b, Val(i), w).expr for i, w in zip(v.expr.items, wants, strict=True))
        return Val(replace(v.expr, items=items, type=Tuple(tuple(i.type for i in items))))
    t = v.type
    if not isinstance(t, Tensor) or not isinstance(t.dtype, Flex):
        return v
    element: Element = default_element(t.dtype)
    if isinstance(want, Tensor) and isinstance(want.dtype, (DType, DTypeVar)):
        if flex_fits(t.dtype, want.dtype):
            element = want.dtype
    return Val(retag(v.expr, element, b.report), v.dim)


# -- fitting


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a type is not another: its form, its element type, or a dim (`conflict`)."""

    kind: Literal["form", "element", "dims"]
    conflict: Conflict | None = None


def misfit(b: Body, got: Type, want: Type) -> Misfit | None:
    """None if a value of type `got` may stand where `want` is wanted."""
    m = Matcher(b.norm)
    if isinstance(got, Unknown) or isinstance(want, Unknown):
        return None
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        if isinstance(got.dtype, Flex):
            fits = isinstance(want.dtype, Flex) or flex_fits(got.dtype, want.dtype)
            if not fits:
                return Misfit("element")
        elif got.dtype != want.dtype:
            return Misfit("element")
        if not m.equate_shapes(want.shape, got.shape):
            return Misfit("form")
    elif isinstance(got, Rows) and isinstance(want, Tensor):
        return Misfit("form")
    elif not _same_form(m, got, want):
        return Misfit("form")
    conflicts = m.solve()
    return Misfit("dims", conflicts[0]) if conflicts else None


def _same_form(m: Matcher, got: Type, want: Type) -> bool:
    if isinstance(got, Tuple) and isinstance(want, Tuple):
        if len(got.items) != len(want.items):
            return False
        return all(_same_form(m, g, w) for g, w in zip(got.items, want.items, strict=True))
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        if isinstance(got.dtype, Flex) and isinstance(want.dtype, (DType, DTypeVar)):
            return flex_fits(got.dtype, want.dtype) and m.equate_shapes(want.shape, got.shape)
        return got.dtype == want.dtype and m.equate_shapes(want.shape, got.shape)
    return m.equate(want, got)


def fit(b: Body, v: Val, want: Type) -> Val:
    """The value as exactly the type `want`, which it fits: settled, retyped, made dense."""
    if v.is_bad or isinstance(want, Unknown):
        return v
    if isinstance(v.expr, typed.TupleOf) and isinstance(want, Tuple):
        items = tuple(fit(b, Val(i), w).expr for i, w in zip(v.expr.items, want.items, strict=True))
        return Val(replace(v.expr, items=items, type=Tuple(tuple(i.type for i in items))))
    v = settle(b, v, want)
    got = v.type
    if got == want:
        return v
    if is_open(got):
        return Val(_closed(b, v.expr, want), v.dim)
    e = v.expr
    if isinstance(got, Tangent) and isinstance(want, Tangent) and got.rows != want.rows:
        e = typed.Densify(e, type=Tangent(got.of, want.rows), span=e.span)
    if e.type != want:
        e = typed.Retype(e, type=want, span=e.span)
    return Val(e, v.dim)


def is_open(t: Type) -> bool:
    """Whether the type has dims that the call around it has still to find."""
    return any(name.startswith("?") for name in dim_names(t))


def _closed(b: Body, e: typed.Expr, want: Type) -> typed.Expr:
    """A display or an option that was written where dims were still open, as what is wanted."""
    if isinstance(e, typed.ListOf) and isinstance(want, List):
        items = tuple(fit(b, Val(i), want.element).expr for i in e.items)
        return replace(e, items=items, type=want)
    if isinstance(e, typed.Construct) and isinstance(want, Option):
        fields = tuple(fit(b, Val(i), want.element).expr for i in e.args)
        return replace(e, args=fields, type=want)
    return typed.Retype(e, type=want, span=e.span)


def fact_normal(b: Body, v: Val) -> Val:
    """A value with its type under the facts of this place."""
    if not b.facts:
        return v
    t = b.norm_type(v.type)
    dim = None if v.dim is None else b.norm(v.dim)
    if t == v.type:
        return Val(v.expr, dim)
    return Val(typed.Retype(v.expr, type=t, span=v.span), dim)


# -- words


def differs(b: Body, c: Conflict) -> str:
    """Why two dims are not the same: "`N` is never `N + 1`", "`k` is not known to be `N`"."""
    want, got = b.show(c.want), b.show(c.got)
    if c.kind == "never":
        return f"`{got}` is never `{want}`"
    if c.kind == "inexact":
        return f"`{got}` is not known to be a multiple as in `{c.equation.want}`"
    return f"`{got}` is not known to be `{want}`"


def element_help(found: Diagnostic, got: Type, want: Type, text: str, span: Span) -> Diagnostic:
    """What makes the types agree: a conversion, `Some(…)`, or a list made as one."""
    if isinstance(want, Option) and want.element == got:
        return found.with_help(f"`Some({text})`", Edit(span, f"Some({text})"))
    if isinstance(want, List) and isinstance(got, Tensor) and len(got.shape) == 1:
        return found.with_help(f"brackets make a tensor; `xs: {want} = […]` makes a list")
    if not isinstance(got, Tensor) or not isinstance(want, Tensor) or got.dtype == want.dtype:
        return found
    if isinstance(want.dtype, DType) and not want.dtype.is_bool:
        if isinstance(got.dtype, Flex) and got.dtype.kind == "float" and want.dtype.is_int:
            return found.with_help("write the number without a point")
        return found.with_help(f"`{want.dtype}({text})`", Edit(span, f"{want.dtype}({text})"))
    return found


def born(b: Body, found: Diagnostic, *dims: object) -> Diagnostic:
    """Labels that say where unknowns and versions in these dims come from."""
    for d in dims:
        for name in dict.fromkeys(re.findall(r"[A-Za-z_][\w.]*", str(d))):
            atom = b.atoms.get(name)
            if atom is not None and all(l.span != atom.span for l in found.labels):
                found = found.with_label(atom.span, f"`{atom.base}` was born here ({atom.origin})")
    return found


def structure_name(t: Type) -> str:
    """`a list`, `a tensor`, …, for a message about the form of a value."""
    if isinstance(t, (Adt, Model)):
        return f"a {t.name.rsplit('.', 1)[-1]}"
    if isinstance(t, (List, Option)):
        return f"a {type(t).__name__}"
    return str(t)
