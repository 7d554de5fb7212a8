"""Builtins that move elements: `reshape transpose concat chunk len einsum`."""

from __future__ import annotations

import re

from dlc.check import typed
from dlc.check.body import Body, Val, bad
from dlc.check.convert import born, fit, misfit, retag, settle
from dlc.check.rules.align import elements_clash
from dlc.check.rules.arguments import Argument
from dlc.check.rules.dim_arguments import dim_argument
from dlc.check.rules.names import dim_value
from dlc.check.rules.static import static_number, static_value
from dlc.check.special.args import axis, no_kwargs, take, tensor
from dlc.check.unify import join_elements
from dlc.diag import Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import ONE, ZERO, Dim, DimError
from dlc.typesys.surface import (
    I32_SCALAR,
    Element,
    Flex,
    Item,
    Keys,
    List,
    Rows,
    ShapeVar,
    Sparse,
    Tensor,
    Tuple,
    Type,
)


def length(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`len(x)`: the first dim of a tensor, the length of a List."""
    args = take(b, node, ("x",), 1, "len(x)")
    if args is None:
        return bad(node.span)
    v = settle(b, b.expr(args["x"]))
    t = v.type
    if v.is_bad:
        return v
    if isinstance(t, List):
        return Val(typed.Length(v.expr, type=I32_SCALAR, span=node.span))
    if isinstance(t, Tensor) and t.shape and isinstance(t.shape[0], Dim):
        return dim_value(b, t.shape[0], node.span)
    found = error("E0332", f"{b.show(t)} has no length", v.span)
    if isinstance(t, Tensor) and not t.shape:
        return b.fail(found.with_note("a number has no dims"))
    if isinstance(t, (Keys, Sparse, Rows)):
        return b.fail(found.with_note("its size is in its type"))
    return b.fail(found.with_note("tensors and Lists have one"))


# -- reshape


def reshape(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`reshape(x, A, B)`: the same elements; counts that are not provably equal are checked."""
    if not node.args:
        return b.fail(
            error("E0312", "`reshape` needs a tensor and its new dims", node.span).with_help(
                "`reshape(x, N, D)`"
            )
        )
    if not no_kwargs(b, node, "reshape"):
        return bad(node.span)
    v = tensor(b, node.args[0].value, "reshape")
    dims: list[Dim] = []
    ok = v is not None
    for a in node.args[1:]:
        d = dim_argument(b, Argument(a.value.span, a.value), "a dim of `reshape`")
        ok = ok and d is not None
        if d is not None:
            dims.append(d)
    if not ok or v is None:
        return bad(node.span)
    t = v.type
    assert isinstance(t, Tensor)
    got = _count(t.shape)
    made = Tensor(t.dtype, tuple(dims))
    if got is None:
        b.does(fails=True)
        return Val(typed.Reshape(v.expr, None, type=made, span=node.span))
    try:
        wanted = _product(dims)
        difference = b.norm(got) - b.norm(wanted)
    except DimError as problem:
        return b.fail(error("E0349", str(problem), node.span).with_help("name parts of it first"))
    if difference == ZERO:
        return Val(typed.Reshape(v.expr, None, type=made, span=node.span))
    if difference.never_zero() or (-difference).never_zero():
        counts = f"{b.show(got)} elements are never {b.show(wanted)}"
        found = error("E0344", f"cannot reshape {b.show(t)} to {b.show(made)}: {counts}", node.span)
        return b.fail(
            found.with_label(v.span, b.show(t)).with_note("the product of the dims stays")
        )
    b.does(fails=True)
    made_ = typed.Reshape(v.expr, (b.norm(got), b.norm(wanted)), type=made, span=node.span)
    return Val(made_)


def _product(dims: list[Dim]) -> Dim:
    out = ONE
    for d in dims:
        out = out * d
    return out


def _count(shape: tuple[Item, ...]) -> Dim | None:
    out = ONE
    for d in shape:
        if isinstance(d, ShapeVar):
            return None
        out = out * d
    return out


def transpose(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`transpose(x, 1, 0, 2)`: result dim i is dim perm[i] of x."""
    if not node.args or not no_kwargs(b, node, "transpose"):
        found = error("E0312", "`transpose` needs a tensor and an order of its axes", node.span)
        return b.fail(found.with_help("`transpose(x, 1, 0, 2)`, or `x.T`"))
    v = tensor(b, node.args[0].value, "transpose")
    if v is None:
        return bad(node.span)
    t = v.type
    assert isinstance(t, Tensor)
    perm: list[int] = []
    for a in node.args[1:]:
        n = axis(b, a.value, t, "transpose")
        if n is None:
            return bad(node.span)
        perm.append(n)
    if not perm and t.rank == 2:
        perm = [1, 0]
    if sorted(perm) != list(range(len(t.shape))):
        text = f"`transpose` of {b.show(t)} names each axis once"
        order = ", ".join(str(i) for i in reversed(range(len(t.shape))))
        found = error("E0327", text, node.span)
        return b.fail(found.with_help(f"`transpose({node.args[0].value.span.text}, {order})`"))
    made = Tensor(t.dtype, tuple(t.shape[i] for i in perm))
    return Val(typed.Transpose(v.expr, tuple(perm), type=made, span=node.span))


# -- concat, chunk


def concat(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`concat(a, b, …, axis=k)`: sums that dim; all others are equal."""
    parts = [a for a in node.args if a.name is None]
    named = [a for a in node.args if a.name is not None]
    if not parts or not no_kwargs(b, node, "concat", ("axis",)) or len(named) > 1:
        if not parts:
            b.report(
                error("E0312", "`concat` needs tensors", node.span).with_help("`concat(a, b)`")
            )
        return bad(node.span)
    vals = [b.expr(a.value) for a in parts]
    if any(v.is_bad for v in vals):
        return bad(node.span)
    element: Element | None = None
    for v in vals:
        if not isinstance(v.type, Tensor):
            found = error("E0332", f"`concat` is of tensors, this is {b.show(v.type)}", v.span)
            if isinstance(v.type, List):
                found = found.with_help("a loop with `push` joins Lists")
            return b.fail(found if found.helps else found.with_note("a tensor has dims"))
        joined = v.type.dtype if element is None else join_elements(element, v.type.dtype)
        if joined is None:
            return b.fail(elements_clash(b, "concat", vals[0], v, node.callee.span))
        element = joined
    assert element is not None
    vals = [_tag(b, settle(b, v) if isinstance(element, Flex) else v, element) for v in vals]
    first = vals[0].type
    assert isinstance(first, Tensor)
    at = axis(b, named[0].value, first, "concat") if named else 0
    if at is None:
        return bad(node.span)
    return _concatenated(b, node, vals, at)


def _tag(b: Body, v: Val, element: Element) -> Val:
    t = v.type
    if isinstance(t, Tensor) and isinstance(t.dtype, Flex) and not isinstance(element, Flex):
        return Val(retag(v.expr, element, b.report), v.dim)
    return v


def _concatenated(b: Body, node: tree.Call, vals: list[Val], at: int) -> Val:
    first = vals[0].type
    assert isinstance(first, Tensor)
    if not first.shape or isinstance(first.shape[at], ShapeVar):
        found = error(
            "E0332", f"`concat` is of vectors and more, this is {b.show(first)}", vals[0].span
        )
        text = vals[0].span.text
        return b.fail(
            found.with_help(f"`[{text}]` is a vector of one", Edit(vals[0].span, f"[{text}]"))
        )
    total = ZERO
    fixed: list[Val] = []
    for v in vals:
        t = v.type
        assert isinstance(t, Tensor)
        other = len(t.shape) != len(first.shape) or isinstance(t.shape[at], ShapeVar)
        wanted = (
            None
            if other
            else Tensor(first.dtype, (*first.shape[:at], t.shape[at], *first.shape[at + 1 :]))
        )
        if wanted is None or misfit(b, t, wanted) is not None:
            found = error(
                "E0319",
                f"`concat` of {b.show(first)} and {b.show(t)} along axis {at}",
                node.callee.span,
            )
            found = found.with_label(vals[0].span, b.show(first)).with_label(v.span, b.show(t))
            found = born(b, found, *t.shape)
            if wanted is None and len(t.shape) + 1 == len(first.shape):
                text = v.span.text
                return b.fail(
                    found.with_help(f"`[{text}]` has one dim more", Edit(v.span, f"[{text}]"))
                )
            return b.fail(found.with_note("all dims but that of the axis must be equal"))
        size = t.shape[at]
        assert isinstance(size, Dim)
        total = total + size
        fixed.append(fit(b, v, wanted))
    made = Tensor(first.dtype, (*first.shape[:at], b.norm(total), *first.shape[at + 1 :]))
    return Val(typed.Concat(tuple(v.expr for v in fixed), at, type=made, span=node.span))


def chunk(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`chunk(x, n)`: n equal parts of the first dim, as a tuple."""
    args = take(b, node, ("x", "n"), 2, "chunk(x, n)")
    if args is None:
        return bad(node.span)
    v = tensor(b, args["x"], "chunk")
    n = static_number(b, args["n"])
    if v is None:
        return bad(node.span)
    if n is None or not 1 <= n <= 64:
        b.expr(args["n"])
        found = error("E0334", "the number of parts must be a number, 1 to 64", args["n"].span)
        return b.fail(found.with_help("`chunk(x, 3)`"))
    t = v.type
    assert isinstance(t, Tensor)
    size = t.shape[0] if t.shape else None
    part = size.divide_exactly(Dim.const(n)) if isinstance(size, Dim) else None
    if part is None:
        shown = "a number" if size is None else f"`{b.show(size)}`"
        found = error("E0334", f"{shown} is not {n} equal parts", v.span).with_label(
            args["n"].span, ""
        )
        if isinstance(size, Dim) and size.name:
            y, rest = b.new_name("y"), "".join(f", {b.show(d)}" for d in t.shape[1:])
            line = f"{y}: {t.dtype}[{n}*?{b.new_name('p')}{rest}] = {v.span.text}"
            edits = (*b.before(line), Edit(v.span, y)) if b.can_write(t) else ()
            found = found.with_help(f"`{line}` checks it when the program runs", *edits)
        return b.fail(found if found.helps else found.with_note("each part has the same length"))
    made = Tensor(t.dtype, (part, *t.shape[1:]))
    if n == 1:
        return Val(typed.Chunk(v.expr, n, type=Tuple((made,)), span=node.span))
    return Val(typed.Chunk(v.expr, n, type=Tuple((made,) * n), span=node.span))


# -- einsum


_SPEC = re.compile(r"([A-Za-z]*(?:,[A-Za-z]*)*)->([A-Za-z]*)")


def einsum(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`einsum("ij,jk->ik", a, b)`: each letter is a dim; those not in the result are summed."""
    if not node.args or not no_kwargs(b, node, "einsum"):
        found = error("E0312", "`einsum` needs a text and tensors", node.span)
        return b.fail(found.with_help('`einsum("ij,jk->ik", a, b)`'))
    head, rest = node.args[0].value, node.args[1:]
    text = static_value(b, head)
    vals = [tensor(b, a.value, "einsum") for a in rest]
    if not isinstance(text, str):
        found = error("E0335", "the first argument of `einsum` is a text", head.span)
        return b.fail(found.with_help('`"ij,jk->ik"`'))
    if any(v is None for v in vals):
        return bad(node.span)
    operands = [v for v in vals if v is not None]
    compact = text.replace(" ", "")
    m = _SPEC.fullmatch(compact)
    if m is None:
        found = error("E0335", "this is no einsum: letters, commas, `->` and letters", head.span)
        return b.fail(found.with_help('`"ij,jk->ik"`'))
    return _einsum(b, node, head, compact, m.group(1).split(","), m.group(2), operands)


def _letter(head: tree.Expr, at: int) -> Span:
    """The place of a character of the text."""
    s = head.span
    return (
        Span(s.source, s.start + 1 + at, s.start + 2 + at) if isinstance(head, tree.String) else s
    )


def _einsum(
    b: Body,
    node: tree.Call,
    head: tree.Expr,
    spec: str,
    inputs: list[str],
    output: str,
    vals: list[Val],
) -> Val:
    if len(inputs) != len(vals):
        text = (
            f"the text has {len(inputs)} operand{'s' * (len(inputs) != 1)}, this gives {len(vals)}"
        )
        found = error("E0335", text, head.span)
        return b.fail(found.with_note("a comma stands between operands"))
    dims: dict[str, tuple[Dim, Val]] = {}
    element: Element | None = None
    for letters, v in zip(inputs, vals, strict=True):
        t = v.type
        assert isinstance(t, Tensor)
        if t.rank is None or t.rank != len(letters):
            found = error(
                "E0335", f"`{letters}` names {len(letters)} dims, this is {b.show(t)}", v.span
            )
            return b.fail(found.with_label(head.span, "").with_note("one letter for each dim"))
        if element not in (None, t.dtype):
            return b.fail(elements_clash(b, "einsum", vals[0], v, node.callee.span))
        if t.dtype.kind in ("bool", "any"):
            found = error("E0332", f"`einsum` is of numbers, this is {b.show(t)}", v.span)
            return b.fail(found.with_help(f"`f32({v.span.text})`"))
        if len(set(letters)) != len(letters):
            found = error("E0335", f"`{letters}` names one dim twice", head.span)
            return b.fail(found.with_note("each dim of an operand has its own letter"))
        element = t.dtype
        for letter, d in zip(letters, t.dims, strict=True):
            if letter not in dims:
                dims[letter] = (d, v)
            elif dims[letter][0] != d:
                other, at = dims[letter]
                text = f"`{letter}` is `{b.show(other)}` and `{b.show(d)}`"
                found = error("E0335", text, head.span).with_label(at.span, b.show(at.type))
                found = found.with_label(v.span, b.show(t))
                return b.fail(found.with_note("a letter is one dim everywhere"))
    for i, letter in enumerate(output):
        span = _letter(head, head.span.text[1:-1].rfind(letter))
        if letter not in dims:
            found = error("E0335", f"`{letter}` of the result names no dim", span)
            return b.fail(found.with_note(f"letters of the operands: {', '.join(dims) or 'none'}"))
        if letter in output[:i]:
            found = error("E0335", f"`{letter}` stands twice in the result", span)
            return b.fail(found.with_note("each dim of the result has its own letter"))
    assert element is not None
    made = Tensor(element, tuple(dims[x][0] for x in output))
    return Val(typed.Contract(spec, tuple(v.expr for v in vals), type=made, span=node.span))
