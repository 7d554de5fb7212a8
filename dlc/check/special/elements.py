"""Builtins on elements: reductions, conversions, `minimum`, `maximum`, `where`."""

from __future__ import annotations

from dlc.check import typed
from dlc.check.body import Body, Val, bad
from dlc.check.convert import retag, settle
from dlc.check.rules.align import (
    Clashing,
    align,
    elements_clash,
    operand_text,
    shapes_clash,
    stretch,
)
from dlc.check.special.args import axis, take, tensor
from dlc.check.unify import flex_fits, join_elements
from dlc.diag import Edit, error
from dlc.syntax import tree
from dlc.typesys.dtypes import BOOL, DTYPES, F32, I32, DType
from dlc.typesys.surface import DTypeVar, Element, Flex, Sparse, Tensor, Type

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "argmax", "argmin", "any", "all")


def reduction(name: str, b: Body, node: tree.Call, want: Type | None) -> Val:
    """`sum(x)`, `sum(x, axis)`: over all elements, or over one axis, which is dropped."""
    args = take(b, node, ("x", "axis"), 1, f"{name}(x, axis)")
    if args is None:
        return bad(node.span)
    v = tensor(b, args["x"], name)
    at: int | None = None
    if v is not None and "axis" in args:
        assert isinstance(v.type, Tensor)
        at = axis(b, args["axis"], v.type, name)
    if v is None or ("axis" in args and at is None):
        return bad(node.span)
    t = v.type
    assert isinstance(t, Tensor)
    wrong = _reduces(name, t.dtype)
    if wrong is not None:
        found = error("E0332", f"`{name}` is of {wrong}, this is {b.show(t)}", v.span)
        text = operand_text(v)
        made = {"mean": f"f32({text})", "any": f"{text} != 0", "all": f"{text} != 0"}.get(name)
        made = made or f"i32({text})"
        return b.fail(found.with_help(f"`{made}`", Edit(v.span, made)))
    if name in ("argmax", "argmin", "max", "min") and _empty(t, at):
        found = error("E0326", f"`{name}` of nothing: {b.show(t)}", v.span)
        return b.fail(found.with_note("a dim of 0 has no largest element"))
    dtype: Element = I32 if name in ("argmax", "argmin") else t.dtype
    shape = () if at is None else (*t.shape[:at], *t.shape[at + 1 :])
    made_ = typed.Reduce(name, v.expr, at, type=Tensor(dtype, shape), span=node.span)
    return Val(made_)


def _empty(t: Tensor, at: int | None) -> bool:
    dims = t.shape if at is None else (t.shape[at],)
    return any(str(d) == "0" for d in dims)


def _reduces(name: str, e: Element) -> str | None:
    """What elements the reduction is of, if not these."""
    if name in ("any", "all"):
        return None if e == BOOL else "bools"
    if name == "mean":
        return None if e.kind == "float" else "floats"
    return None if e.kind in ("float", "int", "number") else "numbers"


# -- conversions


def conversion(name: str, b: Body, node: tree.Call, want: Type | None) -> Val:
    """`f32(x)`: the elements in another type, any rank."""
    return convert_to(DTYPES[name], b, node)


def convert_to(dtype: DType | DTypeVar, b: Body, node: tree.Call) -> Val:
    """The same for an element type that may be generic, `T(x)`."""
    name = str(dtype)
    args = take(b, node, ("x",), 1, f"{name}(x)")
    if args is None:
        return bad(node.span)
    made = dtype if isinstance(dtype, DType) else F32
    v = b.expr(args["x"])
    if v.is_bad:
        return bad(node.span)
    t = v.type
    if isinstance(t, Sparse):
        sparse = Sparse(dtype, t.size)
        return Val(typed.Convert(v.expr, made, type=sparse, span=node.span))
    if not isinstance(t, Tensor):
        found = error("E0332", f"`{name}` converts tensors, this is {b.show(t)}", v.span)
        return b.fail(found.with_note("a tensor has dims and numbers"))
    if isinstance(t.dtype, Flex) and flex_fits(t.dtype, dtype):
        return Val(retag(v.expr, dtype, b.report), v.dim if dtype == I32 else None)
    v = settle(b, v)
    assert isinstance(v.type, Tensor)
    dim = v.dim if dtype == I32 else None
    if v.type.dtype == dtype:
        return Val(v.expr, dim)
    now = Tensor(dtype, v.type.shape)
    out = typed.Convert(v.expr, made, type=now, span=node.span)
    return Val(out, dim if v.type.dtype.kind == "int" else None)


# -- two or three operands, aligned


def extremum(name: str, b: Body, node: tree.Call, want: Type | None) -> Val:
    """`minimum(a, b)`, `maximum(a, b)`, aligned as `+`; NaN if either is."""
    args = take(b, node, ("a", "b"), 2, f"{name}(a, b)")
    if args is None:
        return bad(node.span)
    x, y = b.expr(args["a"], want), b.expr(args["b"], want)
    pair = _pair(b, f"`{name}`", x, y, node)
    if pair is None:
        return bad(node.span)
    x, y, element = pair
    if element.kind in ("bool", "any"):
        found = error("E0332", f"`{name}` is of numbers, these are {element}", node.span)
        return b.fail(found.with_help("`and`, `or` work on bools"))
    return _aligned(b, name, (x, y), element, node)


def _pair(b: Body, op: str, x: Val, y: Val, node: tree.Call) -> tuple[Val, Val, Element] | None:
    if x.is_bad or y.is_bad:
        return None
    for v in (x, y):
        if not isinstance(v.type, Tensor):
            found = error("E0332", f"{op} is of tensors, this is {b.show(v.type)}", v.span)
            b.report(found.with_note("a tensor has dims and numbers"))
            return None
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    joined = join_elements(x.type.dtype, y.type.dtype)
    if joined is None:
        b.report(elements_clash(b, op.strip("`"), x, y, node.callee.span))
        return None
    return _tag(b, x, joined), _tag(b, y, joined), joined


def _tag(b: Body, v: Val, element: Element) -> Val:
    t = v.type
    if isinstance(t, Tensor) and isinstance(t.dtype, Flex) and t.dtype != element:
        return Val(retag(v.expr, element, b.report), v.dim)
    return v


def _aligned(
    b: Body, name: str, operands: tuple[Val, Val], element: Element, node: tree.Call
) -> Val:
    x, y = operands
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    shape = align(b, x.type.shape, y.type.shape)
    if isinstance(shape, Clashing):
        texts = (operand_text(x), operand_text(y))
        return b.fail(shapes_clash(b, f"`{name}`", operands, node.callee.span, shape, texts))
    args = (stretch(x, shape), stretch(y, shape))
    return Val(typed.Elementwise(name, args, type=Tensor(element, shape), span=node.span))


def where(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`where(c, a, b)`: `a` where the condition holds, else `b`; all three are aligned."""
    args = take(b, node, ("c", "a", "b"), 3, "where(c, a, b)")
    if args is None:
        return bad(node.span)
    c = b.expr(args["c"])
    x, y = b.expr(args["a"], want), b.expr(args["b"], want)
    pair = _pair(b, "`where`", x, y, node)
    if pair is None or c.is_bad:
        return bad(node.span)
    x, y, element = pair
    if not isinstance(c.type, Tensor) or c.type.dtype != BOOL:
        found = error(
            "E0332", f"the condition of `where` is bool, this is {b.show(c.type)}", c.span
        )
        return b.fail(found.with_help("compare: `x > 0.0`"))
    if isinstance(element, Flex):
        settled = settle(b, Val(typed.Literal(0, type=Tensor(element), span=node.span)), want).type
        assert isinstance(settled, Tensor)
        element = settled.dtype
        x, y = _tag(b, x, element), _tag(b, y, element)
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    shape = align(b, x.type.shape, y.type.shape)
    texts = (operand_text(x), operand_text(y))
    if isinstance(shape, Clashing):
        return b.fail(shapes_clash(b, "`where`", (x, y), node.callee.span, shape, texts))
    both = Val(stretch(x, shape))
    whole = align(b, c.type.shape, shape)
    if isinstance(whole, Clashing):
        texts = (operand_text(c), texts[0])
        return b.fail(shapes_clash(b, "`where`", (c, both), node.callee.span, whole, texts))
    exprs = (stretch(c, whole), stretch(x, whole), stretch(y, whole))
    return Val(typed.Elementwise("where", exprs, type=Tensor(element, whole), span=node.span))
