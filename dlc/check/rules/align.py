"""Operands: how shapes are aligned, which element type they share, and what is said if none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlc.check import typed
from dlc.check.body import Body, Val, Variable
from dlc.check.convert import born
from dlc.check.unify import join_elements
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.dtypes import F32, DType
from dlc.typesys.surface import (
    Adt,
    Element,
    Flex,
    Item,
    Option,
    Shape,
    ShapeVar,
    Sparse,
    Tangent,
    Tensor,
    Tuple,
    Unknown,
)

# -- shapes


@dataclass(frozen=True, slots=True)
class Clashing:
    """Two dims that do not go together, counted from the right."""

    left: Item
    right: Item
    from_right: int


def align(b: Body, x: Shape, y: Shape) -> Shape | Clashing:
    """The shape of an element-wise operation: aligned at the right; a dim is the same on both
    sides, or written 1 on one."""
    out: list[Item] = []
    for i in range(1, max(len(x), len(y)) + 1):
        if i > len(x) or i > len(y):
            out.append(y[-i] if i > len(x) else x[-i])
            continue
        left, right = x[-i], y[-i]
        if left == right or (right == ONE and isinstance(left, Dim)):
            out.append(left)
        elif left == ONE and isinstance(right, Dim):
            out.append(right)
        else:
            return Clashing(left, right, i)
    return tuple(reversed(out))


def stretch(v: Val, shape: Shape) -> typed.Expr:
    """The operand with the shape of the result."""
    t = v.type
    assert isinstance(t, Tensor)
    if t.shape == shape:
        return v.expr
    return typed.Broadcast(v.expr, type=Tensor(t.dtype, shape), span=v.span)


def shapes_clash(
    b: Body, op: str, vals: Sequence[Val], span: Span, c: Clashing, texts: Sequence[str]
) -> Diagnostic:
    """E0319."""
    one, other = vals[0], vals[1]
    shown = f"{op} of {b.show(one.type)} and {b.show(other.type)}"
    if isinstance(c.left, ShapeVar) or isinstance(c.right, ShapeVar):
        why = f"`{b.show(c.left)}` and `{b.show(c.right)}` are not known to be the same"
    else:
        difference = c.left - c.right
        never = difference.never_zero() or (-difference).never_zero()
        relation = "is never" if never else "is not known to be"
        why = f"`{b.show(c.left)}` {relation} `{b.show(c.right)}`"
    found = error("E0319", f"{shown}: {why}", span)
    found = found.with_label(one.span, b.show(one.type)).with_label(other.span, b.show(other.type))
    found = born(b, found, c.left, c.right)
    found = found.with_note(
        "shapes are aligned at the right; a dim must be the same on both sides, or be written 1"
    )
    s, t = one.type, other.type
    if op == "`*`" and isinstance(s, Tensor) and isinstance(t, Tensor):
        if s.rank == 2 and t.shape and s.shape[1] == t.shape[0]:
            product = f"`{texts[0]} @ {texts[1]}` is the matrix product"
            return found.with_help(product, Edit(span, "@"))
    return _column_help(b, found, vals, texts, c)


def _column_help(
    b: Body, found: Diagnostic, vals: Sequence[Val], texts: Sequence[str], c: Clashing
) -> Diagnostic:
    for v, other, text in ((vals[0], vals[1], texts[0]), (vals[1], vals[0], texts[1])):
        t, u = v.type, other.type
        if not isinstance(t, Tensor) or not isinstance(u, Tensor):
            continue
        if len(t.shape) == 1 and len(u.shape) == 2 and u.shape[0] == t.shape[0]:
            help = f"`column({text})` is {t.dtype}[{b.show(t.shape[0])}, 1]"
            return found.with_help(help, Edit(v.span, f"column({text})"))
    if isinstance(c.left, Dim) and isinstance(c.right, Dim):
        difference = c.left - c.right
        never = difference.never_zero() or (-difference).never_zero()
        if not never and b.can_write(c.left, c.right):
            line = f"assert {b.show(c.left)} == {b.show(c.right)}"
            return found.with_help(f"`{line}` before, if that is so", *b.before(line))
    return found


# -- elements


def operand_text(v: Val) -> str:
    text = v.span.text
    return text if "\n" not in text and len(text) < 40 else "…"


def join(b: Body, op: str, x: Val, y: Val, span: Span) -> Element | None:
    """The element type of both operands; E0318 if they have none."""
    tx, ty = x.type, y.type
    assert isinstance(tx, Tensor) and isinstance(ty, Tensor)
    joined = join_elements(tx.dtype, ty.dtype)
    if joined is None:
        b.report(elements_clash(b, op, x, y, span))
    return joined


def elements_clash(b: Body, op: str, x: Val, y: Val, span: Span) -> Diagnostic:
    """E0318: two element types under one operator, and the conversion that makes them agree."""
    tx, ty = x.type, y.type
    assert isinstance(tx, Tensor) and isinstance(ty, Tensor)
    found = error("E0318", f"`{op}` of {tx.dtype} and {ty.dtype}", span)
    found = found.with_label(x.span, b.show(tx)).with_label(y.span, b.show(ty))
    found = found.with_note("nothing is converted silently")
    for v, t, u in ((x, tx, ty), (y, ty, tx)):
        if isinstance(t.dtype, Flex) and t.dtype.kind == "float" and isinstance(u.dtype, DType):
            if isinstance(v.expr, typed.Literal) and float(v.expr.value).is_integer():
                whole = str(int(v.expr.value))
                return found.with_help(
                    f"a whole number has no point: `{whole}`", Edit(v.span, whole)
                )
    if span.text == f"{op}=" and is_float(ty.dtype):
        begun = _begun_whole(b, x)
        if begun is not None:
            text, edit = begun
            return found.with_help(text) if edit is None else found.with_help(text, edit)
    order = ((x, tx, ty), (y, ty, tx))
    for v, _, u in sorted(order, key=lambda o: is_float(o[1].dtype)):
        target = u.dtype if isinstance(u.dtype, DType) else None
        if isinstance(u.dtype, Flex) and u.dtype.kind == "float":
            target = F32
        if target is not None and not target.is_bool and text_of(v) is not None:
            made = f"{target}({text_of(v)})"
            return found.with_help(f"`{made}`", Edit(v.span, made))
    return found.with_help("convert one of them: `f32(x)`, `i32(x)`")


_WHOLE = re.compile(r"\s*=\s*(-?\d+)\s*(?:#.*)?")
"""What stands behind the name in `s = 0`."""


def _begun_whole(b: Body, x: Val) -> tuple[str, Edit | None] | None:
    """The help where `s = 0` made a whole number of what `s += …` wants to be a float: nothing can
    be converted on the left of `+=`."""
    name = x.span.text
    slot = b.lookup(name)
    if not isinstance(slot, Variable) or slot.how != "local":
        return None
    at = slot.span
    source, line = at.source, at.line
    rest = source.line_text(line)[at.column - 1 + len(name) :]
    m = _WHOLE.fullmatch(rest)
    if m is None or at.text != name:
        return f"begin with a float: `{name} = f32(…)` in line {line}", None
    start = at.end + m.start(1)
    number = f"{m[1]}.0"
    edit = Edit(Span(source, start, start + len(m[1])), number)
    return f"`{name} = {number}` in line {line}", edit


def spoil(b: Body, name: str) -> None:
    """After a failed `+=` nothing is known of a local variable, so that nothing more is said of
    it."""
    slot = b.lookup(name)
    if isinstance(slot, Variable) and slot.how == "local":
        b.bind(name, Unknown(), "local", slot.span)


def text_of(v: Val) -> str | None:
    text = v.span.text
    return text if "\n" not in text else None


def is_float(e: Element) -> bool:
    return getattr(e, "kind", "") == "float"


def as_tensor(b: Body, op: str, v: Val, span: Span) -> bool:
    """Whether an operand is a tensor; E0318 if not."""
    if v.is_bad:
        return False
    if isinstance(v.type, Tensor):
        return True
    found = error("E0318", f"`{op}` of {b.show(v.type)}", span).with_label(v.span, b.show(v.type))
    if isinstance(v.type, Tuple):
        found = found.with_help("take the tuple apart first: `a, b = …`")
    elif isinstance(v.type, Sparse):
        found = found.with_help("`dense(x)` is the vector, `matrix @ x` the product")
    elif isinstance(v.type, Tangent):
        found = found.with_help("`each(fn(d) => …, g)` works on every float of it")
    elif isinstance(v.type, Option):
        found = found.with_help("`match` tells `Some(x)` from `None`")
    elif isinstance(v.type, Adt):
        found = found.with_help("`match` takes it apart")
    else:
        found = found.with_note("operators work on tensors")
    b.report(found)
    return False
