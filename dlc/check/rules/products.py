"""`a @ b` in all its forms."""

from __future__ import annotations

from dlc.check import typed
from dlc.check.body import Body, Val, Variable, bad
from dlc.check.convert import born, retag, settle
from dlc.check.rules.align import elements_clash
from dlc.check.unify import join_elements
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.typesys.dtypes import I8, I32
from dlc.typesys.surface import (
    Element,
    Flex,
    Item,
    Shape,
    Sparse,
    Tensor,
    Type,
)

_LETTERS = "abcdefghlmnopqrstuvw"


def matmul(b: Body, x: Val, y: Val, op_span: Span, span: Span) -> Val:
    """Ranks (2,2) (2,1) (1,2); (n,2) contracts the last dim; equal leading dims batch."""
    if x.is_bad or y.is_bad:
        return bad(span)
    if isinstance(y.type, Sparse):
        return _sparse(b, x, y, y.type, op_span, span)
    for v in (x, y):
        if not isinstance(v.type, Tensor):
            found = error("E0321", f"`@` of {b.show(v.type)}", op_span)
            found = found.with_label(v.span, b.show(v.type))
            help = (
                "`m @ x` with the sparse vector at the right"
                if isinstance(v.type, Sparse)
                else None
            )
            return b.fail(found.with_help(help or "`@` multiplies tensors"))
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    element = _element(b, x, y, op_span)
    if element is None:
        return bad(span)
    x, y = _settled(b, x, element[0]), _settled(b, y, element[0])
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    rx, ry = x.type.rank, y.type.rank
    if rx is None or ry is None:
        found = error("E0321", "`@` of a tensor whose rank is open", op_span)
        return b.fail(found.with_help("write out the dims: `x: f32[N, D]`"))
    if rx == 1 and ry == 1:
        one, other = x.span.text, y.span.text
        found = error("E0320", "`@` of two vectors", op_span)
        edit = Edit(x.span.to(y.span), f"dot({one}, {other})")
        found = found.with_help(f"`dot({one}, {other})` is the number", edit)
        return b.fail(found.with_help(f"`outer({one}, {other})` is the matrix"))
    spec = _spec(x.type.shape, y.type.shape)
    if spec is None:
        return b.fail(_cannot(b, x, y, op_span))
    text, shape = spec
    made = typed.Contract(text, (x.expr, y.expr), type=Tensor(element[1], shape), span=span)
    return Val(made)


def _element(b: Body, x: Val, y: Val, span: Span) -> tuple[Element, Element] | None:
    """The element type of the operands and that of the product."""
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    joined = join_elements(x.type.dtype, y.type.dtype)
    if joined is None:
        b.report(elements_clash(b, "@", x, y, span))
        return None
    if isinstance(joined, Flex):
        v = settle(b, Val(typed.Literal(0, type=Tensor(joined), span=span)))
        assert isinstance(v.type, Tensor)
        joined = v.type.dtype
    if joined.kind in ("bool", "any"):
        b.report(error("E0318", f"`@` of {joined}", span).with_help("`f32(x)` makes numbers"))
        return None
    return joined, (I32 if joined == I8 else joined)


def _settled(b: Body, v: Val, element: Element) -> Val:
    t = v.type
    if isinstance(t, Tensor) and isinstance(t.dtype, Flex):
        return Val(retag(v.expr, element, b.report), v.dim)
    return v


def _spec(x: Shape, y: Shape) -> tuple[str, Shape] | None:
    """The product as einsum text, and the shape of the result."""
    if not x or not y:
        return None
    if len(y) == 1:
        if x[-1] != y[0]:
            return None
        lead = _LETTERS[: len(x) - 1]
        return f"{lead}k,k->{lead}", x[:-1]
    if len(x) == 1:
        if len(y) != 2 or x[0] != y[0]:
            return None
        return "k,kj->j", y[1:]
    if len(y) == 2:
        if x[-1] != y[0]:
            return None
        lead = _LETTERS[: len(x) - 1]
        return f"{lead}k,kj->{lead}j", (*x[:-1], y[1])
    if len(x) != len(y) or x[:-2] != y[:-2] or x[-1] != y[-2]:
        return None
    batch = _LETTERS[: len(x) - 2]
    return f"{batch}ik,{batch}kj->{batch}ij", (*x[:-1], y[-1])


def _cannot(b: Body, x: Val, y: Val, span: Span) -> Diagnostic:
    """E0321: what does not meet, and what would."""
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    one, other = b.show(x.type), b.show(y.type)
    found = error("E0321", f"cannot multiply {one} by {other}", span)
    xs, ys = x.type.shape, y.type.shape
    if not xs or not ys:
        text = "`*` multiplies by a number"
        found = found.with_label(x.span, one).with_label(y.span, other)
        return found.with_help(text, Edit(span, "*"))
    columns, rows = xs[-1], ys[-min(2, len(ys))]
    if len(xs) > 2 and len(ys) > 2 and columns == rows:
        found = found.with_label(x.span, one).with_label(y.span, other)
        return found.with_note("leading dims must be equal")
    found = found.with_label(x.span, f"`{b.show(columns)}` columns")
    found = found.with_label(y.span, f"`{b.show(rows)}` {'rows' if len(ys) > 1 else 'long'}")
    found = born(b, found, columns, rows)
    found = found.with_note("`a @ b` needs columns of `a` = rows of `b`")
    return _remedy(b, found, x, y, columns, rows)


def _remedy(b: Body, found: Diagnostic, x: Val, y: Val, columns: Item, rows: Item) -> Diagnostic:
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    xs, ys = x.type.shape, y.type.shape
    for v, shape, other in ((y, ys, xs), (x, xs, ys)):
        if len(shape) == 2:
            turned = (shape[1], shape[0])
            spec = _spec(other, turned) if v is y else _spec(turned, other)
            if spec is not None and _is_path(v):
                text = f"{v.span.text}.T"
                return found.with_help(f"did you mean `{text}`?", Edit(v.span, text))
    if len(ys) == 1 or len(xs) == 1:
        spec = _spec(ys, xs)
        if spec is not None:
            text = f"{y.span.text} @ {x.span.text}"
            return found.with_help(f"did you mean `{text}`?", Edit(x.span.to(y.span), text))
    for name, v in b.env.items():
        if not isinstance(v, Variable) or v.missing or v.clash or not isinstance(v.type, Tensor):
            continue
        for old, shapes in ((y, (xs, v.type.shape)), (x, (v.type.shape, ys))):
            same = isinstance(old.type, Tensor) and old.type.dtype == v.type.dtype
            if same and name != old.span.text and _spec(*shapes) is not None and _is_path(old):
                size = f"`{b.show(columns if old is y else rows)}`"
                help = f"did you mean `{name}`, which has {size}?"
                return found.with_help(help, Edit(old.span, name))
    return found


def _is_path(v: Val) -> bool:
    return isinstance(v.expr, (typed.Read, typed.FieldOf, typed.Retype))


def _sparse(b: Body, x: Val, y: Val, t: Sparse, op_span: Span, span: Span) -> Val:
    """A matrix by the active units of a vector."""
    x = settle(b, x)
    m: Type = x.type
    if not isinstance(m, Tensor) or m.rank != 2:
        found = error("E0321", f"cannot multiply {b.show(m)} by {b.show(t)}", op_span)
        found = found.with_label(x.span, b.show(m)).with_label(y.span, b.show(t))
        return b.fail(found.with_help("a matrix stands before a Sparse vector"))
    if m.dtype != t.dtype:
        found = error("E0318", f"`@` of {m.dtype} and {t.dtype}", op_span)
        found = found.with_label(x.span, b.show(m)).with_label(y.span, b.show(t))
        return b.fail(found.with_help(f"convert the matrix: `{t.dtype}({x.span.text})`"))
    if m.shape[1] != t.size:
        found = error("E0321", f"cannot multiply {b.show(m)} by {b.show(t)}", op_span)
        found = found.with_label(x.span, f"`{b.show(m.shape[1])}` columns")
        found = found.with_label(y.span, f"`{b.show(t.size)}` long")
        return b.fail(found.with_note("`a @ b` needs columns of `a` = rows of `b`"))
    made = typed.SparseProduct(x.expr, y.expr, type=Tensor(m.dtype, m.shape[:1]), span=span)
    return Val(made)
