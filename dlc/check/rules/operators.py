"""Operators on elements: arithmetic, comparisons, logic, and how shapes are aligned."""

from __future__ import annotations

from collections.abc import Mapping

from dlc.check import typed
from dlc.check.body import Binding, Body, Constant, Val, Variable, bad
from dlc.check.convert import fit, misfit, retag, settle
from dlc.check.read_type import combine_dims
from dlc.check.rules.align import (
    Clashing,
    align,
    as_tensor,
    is_float,
    join,
    operand_text,
    shapes_clash,
    stretch,
)
from dlc.check.rules.names import dim_value, truth
from dlc.check.rules.products import matmul
from dlc.check.rules.static import static_value
from dlc.check.unify import join_elements
from dlc.diag import Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import Dim, DimError
from dlc.typesys.dtypes import BOOL, DType
from dlc.typesys.surface import (
    BOOL_SCALAR,
    Element,
    Flex,
    Tensor,
    Tuple,
    Type,
)

NAMES = {"+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "mod", "**": "pow"}
COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def binary(b: Body, node: tree.Binary, want: Type | None) -> Val:
    left = b.expr(node.left, want if node.op != "@" else None)
    right = b.expr(node.right, want if node.op not in ("@", "**") else None)
    if node.op == "@":
        return matmul(b, left, right, node.op_span, node.span)
    return arithmetic(b, node.op, left, right, node.op_span, node.span)


def arithmetic(b: Body, op: str, x: Val, y: Val, op_span: Span, span: Span) -> Val:
    """`x op y` for numbers."""
    if not (as_tensor(b, op, x, op_span) and as_tensor(b, op, y, op_span)):
        return bad(span)
    if op == "**":
        return power(b, x, y, op_span, span)
    d = _dim_arithmetic(op, x, y)
    if d is not None and _both_open(x, y):
        return dim_or_literal(b, d, x, y, span)
    element = join(b, op, x, y, op_span)
    if element is None or not _allowed(b, op, element, x, y, op_span):
        return bad(span)
    x, y = _retagged(b, x, element), _retagged(b, y, element)
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    shape = align(b, x.type.shape, y.type.shape)
    if isinstance(shape, Clashing):
        texts = (operand_text(x), operand_text(y))
        return b.fail(shapes_clash(b, f"`{op}`", (x, y), op_span, shape, texts))
    if op in ("//", "%") and not _nonzero_literal(y):
        b.does(fails=True)
    args = (stretch(x, shape), stretch(y, shape))
    made = typed.Elementwise(NAMES[op], args, type=Tensor(element, shape), span=span)
    return Val(made, d)


def _dim_arithmetic(op: str, x: Val, y: Val) -> Dim | None:
    if x.dim is None or y.dim is None:
        return None
    try:
        return combine_dims(op, x.dim, y.dim)
    except DimError:
        return None


def _both_open(x: Val, y: Val) -> bool:
    types = (x.type, y.type)
    return all(isinstance(t, Tensor) and isinstance(t.dtype, Flex) for t in types)


def dim_or_literal(b: Body, d: Dim, x: Val, y: Val, span: Span) -> Val:
    """Arithmetic of whole numbers known when compiling, and of dims: one dim."""
    kinds = {
        t.dtype.kind
        for t in (x.type, y.type)
        if isinstance(t, Tensor) and isinstance(t.dtype, Flex)
    }
    if kinds == {"int"} and d.is_constant:
        return Val(typed.Literal(d.constant, type=Tensor(Flex("int")), span=span), d)
    return dim_value(b, d, span)


def _retagged(b: Body, v: Val, element: Element) -> Val:
    t = v.type
    if isinstance(t, Tensor) and isinstance(t.dtype, Flex) and t.dtype != element:
        return Val(retag(v.expr, element, b.report), v.dim)
    return v


def _nonzero_literal(v: Val) -> bool:
    e = v.expr.operand if isinstance(v.expr, typed.Broadcast) else v.expr
    return isinstance(e, typed.Literal) and e.value != 0


def _allowed(b: Body, op: str, element: Element, x: Val, y: Val, span: Span) -> bool:
    """Whether the operator works on these elements."""
    kind = element.kind
    if kind in ("bool", "any"):
        found = error("E0318", f"`{op}` of {element} and {element}", span)
        found = found.with_label(x.span, b.show(x.type)).with_label(y.span, b.show(y.type))
        help = "`and`, `or`, `!=` work on bools; `f32(x)` makes a number"
        b.report(found.with_help(help if kind == "bool" else "write `[T: number]`"))
        return False
    whole = kind in ("int", "dim")
    if op == "/" and whole:
        one, other = operand_text(x), operand_text(y)
        found = error("E0318", "`/` of whole numbers", span)
        found = found.with_label(x.span, b.show(x.type)).with_label(y.span, b.show(y.type))
        whole_line = x.span.to(y.span)
        edit = Edit(whole_line, f"f32({one}) / f32({other})")
        found = found.with_help(f"`f32({one}) / f32({other})` divides", edit)
        b.report(found.with_help("`//` rounds down"))
        return False
    if op in ("//", "%") and not whole:
        one, other = operand_text(x), operand_text(y)
        found = error("E0318", f"`{op}` of {element}", span)
        found = found.with_note(f"`{op}` is of whole numbers")
        help = f"`floor({one} / {other})`"
        if op == "%":
            help = f"`{one} - {other} * {help[1:-1]}`"
        b.report(found.with_help(help, Edit(x.span.to(y.span), help[1:-1])))
        return False
    if (op == "/" and kind == "number") or (op in ("//", "%") and kind == "number"):
        found = error("E0318", f"`{op}` of {element}, which may be any number", span)
        b.report(found.with_help("write `[T: float]`" if op == "/" else "write `[T: int]`"))
        return False
    return True


def power(b: Body, x: Val, y: Val, op_span: Span, span: Span) -> Val:
    """`x ** 2` for any number, `x ** y` for floats."""
    tx, ty = x.type, y.type
    assert isinstance(tx, Tensor) and isinstance(ty, Tensor)
    d = _dim_arithmetic("**", x, y)
    if d is not None and _both_open(x, y):
        return dim_or_literal(b, d, x, y, span)
    whole = y.dim.constant if y.dim is not None and y.dim.is_constant and not ty.shape else None
    if whole is not None and isinstance(ty.dtype, Flex):
        return _whole_power(b, x, whole, op_span, span, d)
    x = settle(b, x, ty)
    y = settle(b, y, x.type)
    element = join(b, "**", x, y, op_span)
    if element is None:
        return bad(span)
    if element.kind not in ("float",):
        found = error("E0318", f"`**` of {element} with an exponent that is not a number", op_span)
        return b.fail(
            found.with_help("convert the base: `f32(x)`, or write the exponent as a number")
        )
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    shape = align(b, x.type.shape, y.type.shape)
    if isinstance(shape, Clashing):
        texts = (operand_text(x), operand_text(y))
        return b.fail(shapes_clash(b, "`**`", (x, y), op_span, shape, texts))
    args = (stretch(x, shape), stretch(y, shape))
    return Val(typed.Elementwise("pow", args, type=Tensor(element, shape), span=span))


def _whole_power(b: Body, x: Val, n: int, op_span: Span, span: Span, d: Dim | None) -> Val:
    t = x.type
    assert isinstance(t, Tensor)
    if t.dtype.kind in ("bool", "any"):
        found = error("E0318", f"`**` of {t.dtype}", op_span)
        return b.fail(found.with_help("`f32(x)` makes a number"))
    if n < 0 and t.dtype.kind not in ("float",):
        found = error("E0318", f"`**` of {t.dtype} with a negative exponent", op_span)
        return b.fail(found.with_help("`1.0 / f32(x) ** n`"))
    if abs(n) > 1024:
        found = error("E0347", f"an exponent of {n} is too large", op_span)
        return b.fail(found.with_help("write the exponent as a float: `x ** 2000.0`"))
    return Val(typed.Power(x.expr, n, type=t, span=span), d)


def negate(b: Body, node: tree.Unary, want: Type | None) -> Val:
    v = b.expr(node.operand, want)
    if not as_tensor(b, "-", v, node.span.first()):
        return bad(node.span)
    t = v.type
    assert isinstance(t, Tensor)
    if t.dtype.kind in ("bool", "any"):
        found = error("E0318", f"`-` of {t.dtype}", node.span.first())
        return b.fail(found.with_help("`not x`" if t.dtype.kind == "bool" else "`[T: number]`"))
    d = None if v.dim is None else -v.dim
    if isinstance(v.expr, typed.Literal) and isinstance(t.dtype, Flex):
        return Val(typed.Literal(-v.expr.value, type=t, span=node.span), d)
    if d is not None and isinstance(t.dtype, Flex):
        return dim_value(b, d, node.span)
    return Val(typed.Elementwise("neg", (v.expr,), type=t, span=node.span), d)


def compare(b: Body, node: tree.Compare, want: Type | None) -> Val:
    known = static_value(b, node)
    if isinstance(known, bool):
        return truth(known, node.span)
    op, span = node.op, node.op_span
    if isinstance(node.left, tree.String) or isinstance(node.right, tree.String):
        return _texts(b, node)
    x, y = b.expr(node.left), b.expr(node.right)
    if not (as_tensor(b, op, x, span) and as_tensor(b, op, y, span)):
        return bad(node.span)
    element = join(b, op, x, y, span)
    if element is None:
        return bad(node.span)
    if element.kind in ("bool", "any") and op not in ("==", "!="):
        found = error("E0318", f"`{op}` of {element}", span)
        return b.fail(found.with_note("only numbers have an order").with_help("`==`, `!=`"))
    settled = settle(b, Val(typed.Literal(0, type=Tensor(element), span=span))).type
    assert isinstance(settled, Tensor)
    x, y = _retagged(b, x, settled.dtype), _retagged(b, y, settled.dtype)
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    shape = align(b, x.type.shape, y.type.shape)
    if isinstance(shape, Clashing):
        texts = (operand_text(x), operand_text(y))
        return b.fail(shapes_clash(b, f"`{op}`", (x, y), span, shape, texts))
    args = (stretch(x, shape), stretch(y, shape))
    made = typed.Elementwise(COMPARISONS[op], args, type=Tensor(BOOL, shape), span=node.span)
    return Val(made)


def _texts(b: Body, node: tree.Compare) -> Val:
    """A text is compared with a `const` parameter: each instance knows the answer."""
    other = node.left if isinstance(node.right, tree.String) else node.right
    binding = b.lookup(other.id) if isinstance(other, tree.Name) else None
    value = binding.value if isinstance(binding, Constant) else None
    if isinstance(value, Dim) and not value.is_constant and node.op in ("==", "!="):
        return truth(False, node.span)
    shown = "a whole number" if isinstance(value, (Dim, int)) else "this"
    found = error("E0318", f"`{node.op}` of {shown} and a text", node.op_span)
    found = found.with_note("a text is only compared with a `const` parameter that is a text")
    return b.fail(found.with_help('`kind: const = "sum"` is one; `==` and `!=` compare them'))


def logical_not(b: Body, node: tree.Not, want: Type | None) -> Val:
    known = static_value(b, node)
    if isinstance(known, bool):
        return truth(known, node.span)
    v = b.expr(node.operand)
    if not as_tensor(b, "not", v, node.span):
        return bad(node.span)
    t = v.type
    assert isinstance(t, Tensor)
    if t.dtype != BOOL:
        found = error("E0318", f"`not` of {t.dtype}", node.span).with_label(v.span, b.show(t))
        zero = "0.0" if isinstance(t.dtype, DType) and t.dtype.is_float else "0"
        text = f"{v.span.text} == {zero}"
        return b.fail(found.with_help(f"compare it: `{text}`", Edit(node.span, text)))
    return Val(typed.Elementwise("not", (v.expr,), type=t, span=node.span))


def bool_op(b: Body, node: tree.BoolOp, want: Type | None) -> Val:
    """`and`, `or`: short-circuit on scalars, element by element on tensors; what is known is
    folded."""
    values: list[Val] = []
    absorbing = node.op == "or"
    for e in node.values:
        known = static_value(b, e)
        if isinstance(known, bool):
            if known == absorbing:
                if not values:
                    return truth(known, node.span)
                values.append(truth(known, e.span))
                break
            continue
        values.append(_guarded(b, e) if values else b.expr(e))
    if not values:
        return truth(not absorbing, node.span)
    for v in values:
        if not as_tensor(b, node.op, v, node.span):
            return bad(node.span)
        if isinstance(v.type, Tensor) and v.type.dtype != BOOL:
            found = error("E0318", f"`{node.op}` of {b.show(v.type)}", v.span)
            return b.fail(found.with_note("both sides must be bool").with_help("compare: `x != 0`"))
    return _halves(b, node, values)


def _halves(b: Body, node: tree.BoolOp, values: list[Val]) -> Val:
    """All of them, in halves: thousands of conditions nest a dozen deep."""
    if len(values) == 1:
        return values[0]
    half = (len(values) + 1) // 2
    x, y = _halves(b, node, values[:half]), _halves(b, node, values[half:])
    return bad(node.span) if x.is_bad or y.is_bad else _both(b, node, x, y)


def _guarded(b: Body, e: tree.Expr) -> Val:
    """The right side, which may not be evaluated: a key that it spends is spent on one path."""
    return b.expr(e)


def _both(b: Body, node: tree.BoolOp, x: Val, y: Val) -> Val:
    assert isinstance(x.type, Tensor) and isinstance(y.type, Tensor)
    span = x.span.to(y.span)
    if not x.type.shape and not y.type.shape:
        made = typed.ShortCircuit(node.op, x.expr, y.expr, type=BOOL_SCALAR, span=span)
        return Val(made)
    shape = align(b, x.type.shape, y.type.shape)
    if isinstance(shape, Clashing):
        texts = (operand_text(x), operand_text(y))
        return b.fail(shapes_clash(b, f"`{node.op}`", (x, y), node.span, shape, texts))
    args = (stretch(x, shape), stretch(y, shape))
    return Val(typed.Elementwise(node.op, args, type=Tensor(BOOL, shape), span=span))


def condition(b: Body, node: tree.Expr) -> Val:
    """A condition: a scalar bool (E0403)."""
    v = b.expr(node)
    if v.is_bad or v.type == BOOL_SCALAR:
        return v
    found = error("E0403", f"a condition must be a bool, this is {b.show(v.type)}", node.span)
    if isinstance(v.type, Tensor) and v.type.dtype == BOOL:
        text = node.span.text
        found = found.with_help(f"`all({text})` or `any({text})`", Edit(node.span, f"all({text})"))
    elif isinstance(v.type, Tensor) and not v.type.shape:
        zero = "0.0" if is_float(v.type.dtype) else "0"
        text = node.span.text
        found = found.with_help(f"`{text} != {zero}`", Edit(node.span, f"{text} != {zero}"))
    else:
        found = found.with_note("only `true` and `false` decide")
    return b.fail(found)


def if_expr(b: Body, node: tree.IfExpr, want: Type | None) -> Val:
    known = static_value(b, node.cond)
    if isinstance(known, bool):
        return b.expr(node.then if known else node.orelse, want)
    cond = condition(b, node.cond)
    before = dict(b.env)
    then = b.expr(node.then, want)
    after_then, b.env = b.env, before
    orelse = b.expr(node.orelse, want)
    merge_keys(b, after_then)
    if then.is_bad or orelse.is_bad or cond.is_bad:
        return bad(node.span)
    return _joined(b, node, cond, then, orelse, want)


def _joined(
    b: Body, node: tree.IfExpr, cond: Val, then: Val, orelse: Val, want: Type | None
) -> Val:
    t, o = then.type, orelse.type
    if isinstance(t, Tensor) and isinstance(o, Tensor):
        element = join_elements(t.dtype, o.dtype)
        if element is not None:
            then, orelse = _retagged(b, then, element), _retagged(b, orelse, element)
    elif isinstance(t, Tuple):
        then, orelse = settle(b, then, want), settle(b, orelse, want)
    if misfit(b, orelse.type, then.type) is not None or isinstance(then.type, Flex):
        one, other = b.show(then.type), b.show(orelse.type)
        found = error("E0354", f"this is {one} if true and {other} if not", node.span)
        found = found.with_label(then.span, one).with_label(orelse.span, other)
        return b.fail(found.with_help("both sides must have one type and one shape"))
    orelse = orelse if _both_open(then, orelse) else fit(b, orelse, then.type)
    made = typed.IfElse(cond.expr, then.expr, orelse.expr, type=then.type, span=node.span)
    return Val(made)


def merge_keys(b: Body, other: Mapping[str, Binding]) -> None:
    """After two paths: a key that one of them spent is spent."""
    for name, v in other.items():
        here = b.env.get(name)
        if isinstance(v, Variable) and isinstance(here, Variable):
            if v.spent is not None and here.spent is None:
                b.update(name, spent=v.spent)
