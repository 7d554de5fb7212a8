"""Builtins that take a function: `map scan fold each total fixpoint`."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.check.body import Body, FunctionSlot, Val, bad
from dlc.check.convert import element_help, fit, misfit, settle
from dlc.check.instances import Closure, InstanceKey
from dlc.check.keys import function_dims
from dlc.check.rules.lambdas import Applied, apply, as_lambda, capture
from dlc.check.special.args import check_all, no_kwargs, take
from dlc.check.structure import float_elements, same_structure
from dlc.diag import Span, error
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, DType
from dlc.typesys.surface import (
    F32_SCALAR,
    I32_SCALAR,
    KEY,
    Key,
    Keys,
    List,
    Rows,
    Tensor,
    Tuple,
    Type,
    Unit,
    dim_names,
)


def _function_first(b: Body, node: tree.Call, name: str, least: int, shown: str) -> bool:
    """Whether a call has a function and enough further arguments (E0312)."""
    if len(node.args) < least:
        check_all(b, node.args)
        found = error("E0312", f"`{name}` needs a function and values", node.span)
        b.report(found.with_help(f"`{shown}`"))
        return False
    return no_kwargs(b, node, name)


def _elements(b: Body, vals: Sequence[Val], name: str) -> tuple[list[Type], Dim | None] | None:
    """The element types of things walked together, and how many there are if they are tensors."""
    types: list[Type] = []
    count: Dim | None = None
    first: Val | None = None
    for v in vals:
        t = v.type
        size: Dim | None = None
        if isinstance(t, Tensor) and t.shape and isinstance(t.shape[0], Dim):
            types.append(Tensor(t.dtype, t.shape[1:]))
            size = t.shape[0]
        elif isinstance(t, List):
            types.append(t.element)
        elif isinstance(t, Keys):
            types.append(KEY)
            size = t.count
        elif isinstance(t, Rows):
            types.append(Tuple((I32_SCALAR, Tensor(t.dtype, (t.width,)))))
        else:
            found = error(
                "E0345", f"`{name}` walks over tensors and Lists, this is {b.show(t)}", v.span
            )
            if isinstance(t, Key):
                found = found.with_help(f"`splits({v.span.text}, n)` makes a key for each")
            b.report(found if found.helps else found.with_note("it has no elements"))
            return None
        if size is not None and count is not None and b.norm(size) != b.norm(count):
            assert first is not None
            found = error(
                "E0319",
                f"`{name}` walks over `{b.show(count)}` and `{b.show(size)}` elements",
                v.span,
            )
            found = found.with_label(first.span, b.show(first.type))
            b.report(found.with_note("what is walked together has one length"))
            return None
        if size is not None and count is None:
            count, first = size, v
    if count is not None and any(isinstance(v.type, (List, Rows)) for v in vals):
        b.does(fails=True)
    return types, count


def _values(b: Body, args: Sequence[tree.Arg]) -> list[Val] | None:
    vals = [settle(b, b.expr(a.value)) for a in args]
    return None if any(v.is_bad for v in vals) else vals


def map_(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`map(f, xs, …)`: f of each row or element."""
    if not _function_first(b, node, "map", 2, "map(fn(x) => …, xs)"):
        return bad(node.span)
    vals = _values(b, node.args[1:])
    walked = None if vals is None else _elements(b, vals, "map")
    if vals is None or walked is None:
        return bad(node.span)
    types, count = walked
    done = apply(b, node.args[0].value, types)
    if done is None:
        return bad(node.span)
    t = _collected(b, done, count, node.span, lists=any(isinstance(v.type, List) for v in vals))
    if t is None:
        return bad(node.span)
    args = tuple(v.expr for v in vals)
    return Val(typed.MapCall(done.function, args, count, type=t, span=node.span))


def _collected(b: Body, done: Applied, count: Dim | None, span: Span, lists: bool) -> Type | None:
    """Results of `map`: tensors stacked, or a List; of a tuple, a tuple of these."""
    t = done.type
    if isinstance(t, Tuple):
        parts = [_one(b, p, count, lists) for p in t.items]
        if all(p is not None for p in parts):
            return Tuple(tuple(p for p in parts if p is not None))
        t = next(p for p, made in zip(t.items, parts, strict=True) if made is None)
        made = None
    else:
        made = _one(b, t, count, lists)
    if made is None:
        found = error("E0345", f"results of type {b.show(t)} cannot be collected", done.body.span)
        b.report(found.with_note("numbers, tensors and values are"))
    return made


def _one(b: Body, t: Type, count: Dim | None, lists: bool) -> Type | None:
    if isinstance(t, (Unit, Key, Keys, Tuple)):
        return None
    if lists or count is None:
        return List(t)
    return Tensor(t.dtype, (count, *t.shape)) if isinstance(t, Tensor) else List(t)


def scan(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`scan(f, x0, xs, …)`: the states after each element."""
    return _recurrence(b, node, "scan")


def fold(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`fold(f, x0, xs, …)`: the last state."""
    return _recurrence(b, node, "fold")


def _recurrence(b: Body, node: tree.Call, name: str) -> Val:
    shown = f"{name}(fn(state, x) => …, state0, xs)"
    if not _function_first(b, node, name, 3, shown):
        return bad(node.span)
    init = settle(b, b.expr(node.args[1].value))
    vals = _values(b, node.args[2:])
    walked = None if vals is None else _elements(b, vals, name)
    if vals is None or walked is None or init.is_bad:
        return bad(node.span)
    types, count = walked
    done = apply(b, node.args[0].value, (init.type, *types), init.type)
    if done is None:
        return bad(node.span)
    if misfit(b, done.type, init.type) is not None:
        text = f"the state is {b.show(init.type)} at first and {b.show(done.type)} after a turn"
        found = error("E0410", text, done.body.span).with_label(init.span, b.show(init.type))
        return b.fail(found.with_help("the function gives the next state, of the same type"))
    body = fit(b, done.body, init.type)
    f = done.function
    function = typed.Lambda(f.params, f.param_types, f.defines, body.expr, span=f.span)
    args = tuple(v.expr for v in vals)
    if name == "fold":
        made = typed.FoldCall(function, init.expr, args, count, type=init.type, span=node.span)
        return Val(made)
    lists = any(isinstance(v.type, List) for v in vals)
    t = _collected(b, Applied(function, body), count, node.span, lists)
    if t is None:
        return bad(node.span)
    return Val(typed.ScanCall(function, init.expr, args, count, type=t, span=node.span))


# -- every float of a structure

Bodies = list[tuple[tuple[DType, ...], typed.Lambda]]


def each(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`each(f, m, g, …)`: a function of scalars at every float of equal structures."""
    found = _leafwise(b, node, "each")
    if found is None:
        return bad(node.span)
    vals, bodies = found
    args = tuple(v.expr for v in vals)
    made = typed.EachCall(tuple(bodies), args, type=vals[0].type, span=node.span)
    return Val(made)


def total(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`total(f, m, …)`: the sum of a function of scalars over every float, an f32."""
    found = _leafwise(b, node, "total")
    if found is None:
        return bad(node.span)
    vals, bodies = found
    args = tuple(v.expr for v in vals)
    return Val(typed.TotalCall(tuple(bodies), args, type=F32_SCALAR, span=node.span))


def _leafwise(b: Body, node: tree.Call, name: str) -> tuple[list[Val], Bodies] | None:
    """The operands, and the function checked for each combination of elements at their floats."""
    if not _function_first(b, node, name, 2, f"{name}(fn(p) => …, m)"):
        return None
    vals = _values(b, node.args[1:])
    if vals is None:
        return None
    first = vals[0]
    for v in vals:
        if not b.tables.has_float(v.type):
            found = error("E0343", f"`{name}` works on floats, {b.show(v.type)} has none", v.span)
            b.report(found.with_note("whole numbers, keys and structures have no tangent"))
            return None
        if not same_structure(b, first.type, v.type):
            one, other = b.show(first.type), b.show(v.type)
            found = error(
                "E0343", f"`{name}` walks over equal structures: {one} and {other}", v.span
            )
            found = found.with_label(first.span, one).with_label(v.span, other)
            b.report(found.with_note("a tangent has the structure of its model"))
            return None
    columns = [float_elements(b.tables, v.type) for v in vals]
    combinations = dict.fromkeys(zip(*columns, strict=True))
    bodies: Bodies = []
    for elements in combinations:
        done = apply(b, node.args[0].value, [Tensor(e) for e in elements], Tensor(elements[0]))
        if done is None:
            return None
        made = _scalar(b, name, done, Tensor(elements[0]))
        if made is None:
            return None
        concrete = tuple(e for e in elements if isinstance(e, DType))
        bodies.append((concrete, made))
    return vals, bodies


def _scalar(b: Body, name: str, done: Applied, want: Tensor) -> typed.Lambda | None:
    """The function, which must give one float of the element type wanted."""
    t = done.type
    is_float = isinstance(t, Tensor) and not t.shape and t.dtype.kind == "float"
    if not is_float or (name == "each" and misfit(b, t, want) is not None):
        found = error(
            "E0343", f"the function of `{name}` gives {want}, this is {b.show(t)}", done.body.span
        )
        found = found.with_note(f"`{name}` calls it with scalars, once for every float")
        b.report(element_help(found, t, want, done.body.span.text, done.body.span))
        return None
    f, e = done.function, done.body.expr
    if name == "total" and t != F32_SCALAR:
        e = typed.Convert(e, F32, type=F32_SCALAR, span=e.span)
    return typed.Lambda(f.params, f.param_types, f.defines, e, span=f.span)


# -- fixpoint


def fixpoint(b: Body, node: tree.Call, want: Type | None) -> Val:
    """`fixpoint(f, x0, tol=1e-6, most=1000)`: x with f(x) = x, by iteration."""
    args = take(b, node, ("f", "x0", "tol", "most"), 2, "fixpoint(f, x0, tol, most)")
    if args is None:
        return bad(node.span)
    init = settle(b, b.expr(args["x0"]))
    tol = _scalar_argument(b, args.get("tol"), F32_SCALAR, 1e-6, node)
    most = _scalar_argument(b, args.get("most"), I32_SCALAR, 1000, node)
    if init.is_bad or tol is None or most is None:
        return bad(node.span)
    t = init.type
    if not isinstance(t, Tensor) or t.dtype.kind != "float":
        found = error("E0332", f"`fixpoint` is of a float tensor, this is {b.show(t)}", init.span)
        return b.fail(element_help(found, t, F32_SCALAR, init.span.text, init.span))
    done = apply(b, args["f"], (t,), t)
    if done is None:
        return bad(node.span)
    if misfit(b, done.type, t) is not None:
        text = f"`fixpoint` starts with {b.show(t)}, the function gives {b.show(done.type)}"
        found = error("E0410", text, done.body.span).with_label(init.span, b.show(t))
        return b.fail(found.with_help("the function gives the next x, of the same type"))
    lifted = lift(b, args["f"], (t,))
    if lifted is None:
        return bad(node.span)
    key, captures, dims = lifted
    made = typed.FixpointCall(
        key,
        tuple(v.expr for v in captures),
        init.expr,
        tol.expr,
        most.expr,
        dims,
        type=t,
        span=node.span,
    )
    return Val(made)


def _scalar_argument(
    b: Body, e: tree.Expr | None, t: Tensor, default: float, node: tree.Call
) -> Val | None:
    if e is None:
        value = default if t == F32_SCALAR else int(default)
        return Val(typed.Literal(value, type=t, span=node.span))
    v = settle(b, b.expr(e, t), t)
    if v.is_bad:
        return None
    if v.type != t:
        found = error("E0332", f"this must be {t}, it is {b.show(v.type)}", v.span)
        b.report(element_help(found, v.type, t, v.span.text, v.span))
        return None
    return v


def lift(
    b: Body, e: tree.Expr, params: tuple[Type, ...]
) -> tuple[InstanceKey, tuple[Val, ...], tuple[typed.DimBinding, ...]] | None:
    """A function value as a function of its own: what it captures becomes its first parameters."""
    if not b.concrete:
        return InstanceKey("<lambda>"), (), ()
    node = as_lambda(b, e, len(params))
    taken = None if node is None else capture(b, _lifted_source(b, e, node), "")
    if taken is None or not isinstance(taken.value, Closure):
        return None
    key = InstanceKey(b.name, lifted=taken.value, params=params)
    names = dict.fromkeys((*function_dims(taken.value), *dim_names(*params)))
    dims = tuple((n, taken.dims.get(n, Dim.sym(n))) for n in names)
    return key, taken.values, dims


def _lifted_source(b: Body, e: tree.Expr, node: tree.Lambda) -> tree.Expr:
    """A slot's own closure, else the lambda."""
    if isinstance(e, tree.Name):
        slot = b.lookup(e.id)
        if isinstance(slot, FunctionSlot) and isinstance(slot.value, Closure):
            return e
    return node
