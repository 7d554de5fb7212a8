"""`x[i]`, `x[i, a:b]`, `x[idx]`, of tensors, lists and arrays of models; `[a, b]` as a tensor or a
list."""

from __future__ import annotations

from dataclasses import dataclass

from dlc.check import typed
from dlc.check.body import Body, Val, bad
from dlc.check.convert import fact_normal, fit, is_open, misfit, retag, settle
from dlc.check.rules.align import elements_clash
from dlc.check.rules.names import dim_value
from dlc.check.rules.static import static_number
from dlc.check.unify import Matcher, join_elements
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import ZERO, Dim, DimError
from dlc.typesys.dtypes import BOOL, I32, I64
from dlc.typesys.surface import (
    I32_SCALAR,
    Array,
    Element,
    Flex,
    Item,
    Key,
    Keys,
    List,
    Model,
    Rows,
    Shape,
    ShapeVar,
    Sparse,
    Tensor,
    Tuple,
    Type,
    Unit,
    Unknown,
    substitute_dims,
)


def index(b: Body, node: tree.Index, want: Type | None) -> Val:
    base = settle(b, b.expr(node.base))
    if base.is_bad:
        _check_subs(b, node)
        return bad(node.span)
    t = base.type
    if isinstance(t, Tensor):
        return _tensor(b, base, t, node)
    if isinstance(t, (List, Array)):
        return _element_at(b, base, node)
    _check_subs(b, node)
    return b.fail(_no_index(b, base, node))


def _check_subs(b: Body, node: tree.Index) -> None:
    for s in node.subs:
        if isinstance(s, tree.Slice):
            for e in (s.start, s.stop):
                if e is not None:
                    b.expr(e)
        elif not isinstance(s, (tree.NamedDim, tree.ShapeVar)):
            b.expr(s)


def _no_index(b: Body, base: Val, node: tree.Index) -> Diagnostic:
    if isinstance(base.type, Tuple):
        found = error("E0324", "a tuple is only taken apart", node.span)
        names = ", ".join("abcdefgh"[i] for i in range(min(8, len(base.type.items))))
        return found.with_help(f"`{names} = {base.span.text}`")
    found = error("E0322", f"{b.show(base.type)} has no elements by number", node.span)
    if isinstance(base.type, Keys):
        return found.with_help("walk keys with `for k in ks` or `map(fn(k, …) => …, ks, …)`")
    if isinstance(base.type, Sparse):
        return found.with_help("`dense(x)[i]`, or `i, v = active(x)`")
    if isinstance(base.type, Rows):
        return found.with_help("`for row, d in g:` walks it")
    if isinstance(base.type, Model):
        return found.with_help("a field is written `m.w`")
    return found.with_note("tensors, lists and Arrays have")


# -- tensors


@dataclass(frozen=True, slots=True)
class Indexed:
    """What subs select: `subs` for a slice, or `rows` for a gather; the type selected."""

    subs: tuple[typed.Sub, ...]
    rows: Val | None
    type: Tensor


def _tensor(b: Body, base: Val, t: Tensor, node: tree.Index) -> Val:
    found = select(b, t, node, base.span.text)
    if found is None:
        return bad(node.span)
    if found.rows is not None:
        made = typed.Gather(base.expr, found.rows.expr, type=found.type, span=node.span)
        return Val(made)
    return fact_normal(b, Val(typed.Slice(base.expr, found.subs, type=found.type, span=node.span)))


def select(b: Body, t: Tensor, node: tree.Index, text: str) -> Indexed | None:
    """The subs of `x[…]` checked against the type of x."""
    subs = node.subs
    if not t.shape:
        _check_subs(b, node)
        found = error("E0322", f"a number has no elements: `{text}` is {b.show(t)}", node.span)
        b.report(found.with_note("only tensors, lists and Arrays have elements"))
        return None
    if len(subs) == 1 and not isinstance(subs[0], (tree.Slice, tree.NamedDim, tree.ShapeVar)):
        one = b.expr(subs[0])
        if one.is_bad:
            return None
        if isinstance(one.type, Tensor) and one.type.shape:
            return _gather(b, t, settle(b, one), text)
        return _subs(b, t, node, {0: one})
    return _subs(b, t, node, {})


def _gather(b: Body, t: Tensor, rows: Val, text: str) -> Indexed | None:
    assert isinstance(rows.type, Tensor)
    if rows.type.dtype == BOOL:
        found = error("E0323", "a mask does not select", rows.span)
        made = f"nonzero_indices({rows.span.text})"
        help = f"`{text}[{made}]` has as many rows as are true"
        b.report(found.with_help(help, Edit(rows.span, made)))
        return None
    if rows.type.dtype not in (I32, I64):
        found = error("E0323", f"an index must be i32, this is {b.show(rows.type)}", rows.span)
        made = f"i32({rows.span.text})"
        b.report(found.with_help(f"`{made}`", Edit(rows.span, made)))
        return None
    if isinstance(t.shape[0], ShapeVar):
        b.report(_open_rank(t, rows.span))
        return None
    rest = t.shape[1:]
    if any(isinstance(d, ShapeVar) for d in rest) and any(
        isinstance(d, ShapeVar) for d in rows.type.shape
    ):
        b.report(_open_rank(t, rows.span))
        return None
    b.does(fails=True)
    return Indexed((), rows, Tensor(t.dtype, (*rows.type.shape, *rest)))


def _open_rank(t: Tensor, span: Span) -> Diagnostic:
    found = error("E0322", f"the first dim of {t} is not known", span)
    return found.with_help("write out the dims: `x: f32[N, *S]`")


def _subs(b: Body, t: Tensor, node: tree.Index, done: dict[int, Val]) -> Indexed | None:
    out: list[typed.Sub] = []
    shape: list[Item] = []
    ok = True
    rank = t.rank
    new = next((s for s in node.subs if isinstance(s, tree.Name) and s.id == "None"), None)
    if new is not None and b.lookup("None") is None:
        found = error("E0322", "an index makes no new dim", new.span)
        made = "`column(x)` is f32[N, 1] of f32[N]; `reshape(x, …)` gives any other shape"
        b.report(found.with_help(made))
        return None
    if len(node.subs) > (len(t.shape) if rank is None else rank):
        _check_subs(b, node) if not done else None
        found = error("E0322", f"too many indices for {b.show(t)}", node.span)
        b.report(found.with_note(f"it has {len(t.shape)} dim{'s' * (len(t.shape) != 1)}"))
        return None
    for i, s in enumerate(node.subs):
        size = t.shape[i]
        if isinstance(size, ShapeVar):
            b.report(_open_rank(t, s.span))
            return None
        if isinstance(s, tree.Slice):
            sub = _slice(b, s, size)
            if sub is not None:
                shape.append(size if isinstance(sub, typed.Whole) else sub.length)
        elif isinstance(s, (tree.NamedDim, tree.ShapeVar)):
            b.report(error("E0322", "this cannot be an index", s.span).with_help("`x[i]`"))
            sub = None
        else:
            sub = at(b, s, size, done.get(i))
        ok = ok and sub is not None
        if sub is not None:
            out.append(sub)
    if not ok:
        return None
    rest = t.shape[len(node.subs) :]
    out.extend(typed.Whole(span=node.span) for _ in rest)
    return Indexed(tuple(out), None, Tensor(t.dtype, (*shape, *rest)))


def at(b: Body, node: tree.Expr, size: Dim, done: Val | None) -> typed.At | None:
    """One index on an axis of this size."""
    v = b.expr(node) if done is None else done
    v = whole_number(b, v, "an index")
    if v.is_bad:
        return None
    size = b.norm(size)
    known = v.dim.constant if v.dim is not None and v.dim.is_constant else None
    if known is not None:
        if size.is_constant and not -size.constant <= known < size.constant:
            found = error("E0326", f"index {known} of a dim of {size.constant}", node.span)
            b.report(found.with_note(f"indices are 0 to {size.constant - 1}; -1 is the last"))
            return None
        if known < 0:
            return _from_end(b, v, size, known, node.span)
    checked = not _within(v.dim, size)
    if checked:
        b.does(fails=True)
    return typed.At(v.expr, checked, span=node.span)


def _from_end(b: Body, v: Val, size: Dim, known: int, span: Span) -> typed.At:
    place = size + known
    checked = not place.at_least(0)
    if checked:
        b.does(fails=True)
    return typed.At(typed.DimValue(place, type=I32_SCALAR, span=span), checked, span=span)


def _within(i: Dim | None, size: Dim) -> bool:
    """Whether `0 <= i < size` follows from the text alone."""
    if i is None:
        return False
    try:
        return i.is_constant and i.constant >= 0 and size.at_least(i + 1)
    except DimError:
        return False


def whole_number(b: Body, v: Val, what: str) -> Val:
    """A scalar i32 or i64; E0323 if it is not."""
    if v.is_bad:
        return v
    v = settle(b, v, I32_SCALAR)
    if v.type in (I32_SCALAR, Tensor(I64)):
        return v
    found = error("E0323", f"{what} must be i32, this is {b.show(v.type)}", v.span)
    if isinstance(v.type, Tensor) and not v.type.shape:
        made = f"i32({v.span.text})"
        found = found.with_help(f"`{made}`", Edit(v.span, made))
    elif isinstance(v.type, Tensor):
        found = found.with_note("a tensor of indices stands alone: `x[idx]`")
    return b.fail(found if found.helps or found.notes else found.with_note("one whole number"))


def _slice(b: Body, s: tree.Slice, size: Dim) -> typed.Cut | typed.Whole | None:
    """`a:b` on an axis: the length must be a dim."""
    if s.start is None and s.stop is None:
        return typed.Whole(span=s.span)
    size = b.norm(size)
    start = _bound(b, s.start, size, ZERO)
    stop = _bound(b, s.stop, size, size)
    if start is None or stop is None:
        return None
    begin, end = start.dim, stop.dim
    if begin is None or end is None:
        b.report(_no_length(b, s, start, stop))
        return None
    try:
        length = b.norm(end - begin)
    except DimError:
        b.report(_no_length(b, s, start, stop))
        return None
    if (length.is_constant and length.constant < 0) or (
        (-length).never_zero() and (-length).at_least(0)
    ):
        found = error("E0326", f"this slice has a length of {b.show(length)}", s.span)
        b.report(found.with_note("a slice `a:b` ends at or after its start"))
        return None
    if size.is_constant and any(d.is_constant and d.constant > size.constant for d in (begin, end)):
        found = error("E0326", f"this slice goes past a dim of {size.constant}", s.span)
        b.report(found.with_note(f"it ends at {b.show(end)}"))
        return None
    safe = begin.at_least(0) and length.at_least(0) and (size - end).at_least(0)
    if not safe:
        b.does(fails=True)
    return typed.Cut(start.expr, length, not safe, span=s.span)


def _bound(b: Body, e: tree.Expr | None, size: Dim, default: Dim) -> Val | None:
    """A bound of a slice; negative literals count from the end."""
    if e is None:
        at = b.tables.modules.by_name[b.module].tree.span.first()
        return settle(b, dim_value(b, default, at))
    v = whole_number(b, b.expr(e), "a bound of a slice")
    if v.is_bad:
        return None
    if v.dim is not None and v.dim.is_constant and v.dim.constant < 0:
        return settle(b, dim_value(b, size + v.dim.constant, e.span))
    return v


def _no_length(b: Body, s: tree.Slice, start: Val, stop: Val) -> Diagnostic:
    found = error("E0325", "the length of this slice has no name", s.span)
    found = found.with_note(
        "the length of a slice is a dim: both bounds must be dims or named numbers"
    )
    nameless = [(v, n) for v, n in ((start, "a"), (stop, "e")) if v.dim is None]
    binds = "; ".join(f"`{n} = {v.span.text}`" for v, n in nameless)
    names = {n: b.new_name(n) for _, n in nameless}
    lines = [x for v, n in nameless for x in b.before(f"{names[n]} = {v.span.text}")]
    edits = (*lines, *(Edit(v.span, names[n]) for v, n in nameless)) if lines else ()
    one = "a" if start.dim is None else ("" if s.start is None else s.start.span.text)
    other = "e" if stop.dim is None else ("" if s.stop is None else s.stop.span.text)
    return found.with_help(f"{binds} first, then `[{one} : {other}]`", *edits)


# -- lists and arrays


def _element_at(b: Body, base: Val, node: tree.Index) -> Val:
    t = base.type
    assert isinstance(t, (List, Array))
    kind = "List" if isinstance(t, List) else "Array"
    sub = node.subs[0]
    if len(node.subs) != 1 or isinstance(sub, (tree.Slice, tree.NamedDim, tree.ShapeVar)):
        _check_subs(b, node)
        found = error("E0322", f"a {kind} is indexed by one whole number", node.span)
        return b.fail(found.with_help(f"`{base.span.text}[i]`"))
    if isinstance(t, Array):
        return _array_at(b, base, t, sub, node.span)
    v = list_index(b, sub)
    if v is None:
        return bad(node.span)
    made = typed.ListAt(base.expr, v[0], v[1], type=t.element, span=node.span)
    return fact_normal(b, Val(made))


def list_index(b: Body, sub: tree.Expr) -> tuple[typed.Expr, bool] | None:
    """The index of a List element, and whether it counts from the end."""
    v = whole_number(b, b.expr(sub), "an index")
    if v.is_bad:
        return None
    b.does(fails=True)
    if v.dim is not None and v.dim.is_constant and v.dim.constant < 0:
        e = typed.Literal(-v.dim.constant, type=I32_SCALAR, span=sub.span)
        return e, True
    return v.expr, False


def _array_at(b: Body, base: Val, t: Array, sub: tree.Expr, span: Span) -> Val:
    known = static_number(b, sub)
    found = at(b, sub, t.count, None)
    if found is None:
        return bad(span)
    if known is not None and known < 0:
        known = t.count.constant + known if t.count.is_constant else None
    made = typed.ArrayAt(base.expr, found.index, known, found.checked, type=t.element, span=span)
    return fact_normal(b, Val(made))


# -- displays


def display(b: Body, node: tree.ListExpr, want: Type | None) -> Val:
    """`[a, b]`: a List where one is expected, else a tensor of equal parts."""
    if isinstance(want, List):
        return _list(b, node, want)
    if not node.items:
        if isinstance(want, Unknown):
            return bad(node.span)
        found = error("E0315", "what does this empty list hold?", node.span)
        return b.fail(found.with_help("annotate it: `xs: List[…] = []`"))
    inner = Tensor(want.dtype, want.shape[1:]) if isinstance(want, Tensor) and want.shape else None
    items = [b.expr(i, inner) for i in node.items]
    if any(i.is_bad for i in items):
        return bad(node.span)
    for i in items:
        if not isinstance(i.type, Tensor):
            return b.fail(_not_stacked(b, i))
    return _stack(b, node, items)


def _not_stacked(b: Body, v: Val) -> Diagnostic:
    found = error("E0342", f"a tensor cannot hold {b.show(v.type)}", v.span)
    if isinstance(v.type, (Key, Keys)):
        return found.with_help("`splits(k, n)` makes several keys")
    if isinstance(v.type, Unit):
        return found.with_note("this call gives no value")
    return found.with_help(f"annotate it as a List: `xs: List[{b.show(v.type)}] = [{v.span.text}]`")


def _stack(b: Body, node: tree.ListExpr, items: list[Val]) -> Val:
    element: Element | None = None
    for v in items:
        assert isinstance(v.type, Tensor)
        joined = v.type.dtype if element is None else join_elements(element, v.type.dtype)
        if joined is None:
            first = Val(retag(items[0].expr, element or I32, b.report))
            found = elements_clash(b, "[…]", first, v, v.span)
            return b.fail(found)
        element = joined
    assert element is not None
    fixed = [_tag(b, v, element) for v in items]
    first = fixed[0].type
    assert isinstance(first, Tensor)
    for v in fixed[1:]:
        if misfit(b, v.type, first) is not None:
            found = error("E0342", "the parts of a tensor must have one shape", node.span)
            found = found.with_label(fixed[0].span, b.show(first)).with_label(
                v.span, b.show(v.type)
            )
            return b.fail(found.with_help("parts of unequal shapes go into a List"))
    fixed = [v if v.type == first else fit(b, v, first) for v in fixed]
    shape: Shape = (Dim.const(len(fixed)), *first.shape)
    if sum(isinstance(d, ShapeVar) for d in shape) > 1:
        return bad(node.span)
    made = typed.TensorOf(tuple(v.expr for v in fixed), type=Tensor(element, shape), span=node.span)
    return Val(made)


def _tag(b: Body, v: Val, element: Element) -> Val:
    t = v.type
    if isinstance(t, Tensor) and isinstance(t.dtype, Flex) and t.dtype != element:
        return Val(retag(v.expr, element, b.report), v.dim)
    return v


def _list(b: Body, node: tree.ListExpr, want: List) -> Val:
    """The dims that a call or a constructor leaves open in the wanted type are those of the
    elements; of an empty list they stay open until `fit` knows them."""
    element = want.element
    items: list[Val] = []
    for i in node.items:
        v = b.expr(i, element)
        if v.is_bad:
            return bad(node.span)
        if is_open(element):
            m = Matcher(b.norm)
            if m.match(element, v.type) and not m.solve():
                element = substitute_dims(element, m.dims)
        items.append(v)
    out: list[typed.Expr] = []
    for v in items:
        if misfit(b, v.type, element) is not None:
            shown = b.show(element).replace("?", "")
            text = f"this List holds {shown}, this is {b.show(v.type)}"
            return b.fail(error("E0342", text, v.span).with_note("all elements have one type"))
        out.append(fit(b, v, element).expr)
    return Val(typed.ListOf(tuple(out), type=List(element), span=node.span))


def tuple_expr(b: Body, node: tree.TupleExpr, want: Type | None) -> Val:
    wants: tuple[Type | None, ...] = (None,) * len(node.items)
    if isinstance(want, Tuple) and len(want.items) == len(node.items):
        wants = want.items
    return pack(b, [b.expr(i, w) for i, w in zip(node.items, wants, strict=True)], node.span)


def pack(b: Body, items: list[Val], span: Span) -> Val:
    """A tuple of values."""
    if any(i.is_bad for i in items):
        return bad(span)
    for i in items:
        if isinstance(i.type, Unit):
            found = error("E0405", "this call gives no value", i.span)
            return b.fail(found.with_help("call it on a line of its own"))
    types = tuple(i.type for i in items)
    return Val(typed.TupleOf(tuple(i.expr for i in items), type=Tuple(types), span=span))


def range_expr(b: Body, node: tree.Range, want: Type | None) -> Val:
    for e in (node.start, node.stop):
        b.expr(e)
    found = error("E0345", "a range stands only in `for i in a..b`", node.span)
    return b.fail(found.with_help("`iota(n)` is the vector 0, 1, …, n - 1"))
