"""Functions of scalars, applied to whole tensors: element-wise operations where the body allows it,
a `map` where it doesn't.

A body is lifted if it is made of element-wise operations. A choice is not: a `select` computes
both sides, and the derivative of the side that was not taken may be NaN."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.check.typed import Expr, Lambda, Local
from dlc.ir.core import Value
from dlc.lower.arithmetic import OPS, power, stretch
from dlc.lower.builtins.elementwise import ELEMENTWISE
from dlc.lower.calls import apply
from dlc.lower.liveness import free_slots
from dlc.lower.scope import Scope
from dlc.typesys import surface
from dlc.typesys.dims import Dim


def apply_to_all(s: Scope, function: Lambda, xs: Sequence[Value], shape: tuple[Dim, ...]) -> Value:
    """`function(x[i], …)` for every index `i` of tensors of this shape."""
    if not shape:
        (y,) = apply(s, function, [(x,) for x in xs])
        return y
    varying = frozenset(function.params)
    if not function.defines and _liftable(function.body, varying):
        for p, x in zip(function.params, xs, strict=True):
            s.put(p, (x,))
        return _lift(s, function.body, shape, varying)
    hints = [p.name for p in function.params]
    inner = s.inside(s.b.map_body(shape, xs, hints=hints))
    (y,) = apply(inner, function, [(p,) for p in inner.b.params])
    (out,) = s.b.map_(shape, xs, inner.b.yield_(y))
    return out


def _scalar(e: Expr) -> bool:
    return isinstance(e.type, surface.Tensor) and e.type.is_scalar


def _depends(e: Expr, varying: frozenset[Local]) -> bool:
    return any(x in varying for x in free_slots(e, ()))


def _liftable(e: Expr, varying: frozenset[Local]) -> bool:
    if not _scalar(e):
        return False
    if not _depends(e, varying):
        return never_fails(e)
    match e:
        case typed.Read():
            return True
        case typed.Elementwise():
            return all(_liftable(a, varying) for a in e.args)
        case typed.Power() | typed.Convert() | typed.Retype() | typed.Broadcast():
            return _liftable(e.operand, varying)
        case typed.ShortCircuit():
            both = _liftable(e.left, varying) and _liftable(e.right, varying)
            return both and never_fails(e.right)
        case typed.CallBuiltin():
            return e.name in ELEMENTWISE and all(_liftable(a, varying) for a in e.args)
        case typed.InlineCall():
            inner = varying | frozenset(e.function.params)
            args = all(_liftable(a, varying) for a in e.args)
            return args and not e.function.defines and _liftable(e.function.body, inner)
        case _:
            return False


def never_fails(e: Expr) -> bool:
    """Whether evaluating the expression can't end the program, so that it may be evaluated although
    no element asks for it."""
    match e:
        case typed.Elementwise():
            whole = isinstance(e.type, surface.Tensor) and e.type.concrete.is_int
            return not (whole and e.op in ("floordiv", "mod")) and all(map(never_fails, e.args))
        case typed.CallBuiltin():
            return e.name in ELEMENTWISE and all(map(never_fails, e.args))
        case typed.ShortCircuit():
            return never_fails(e.left) and never_fails(e.right)
        case typed.IfElse():
            return all(map(never_fails, (e.cond, e.then, e.orelse)))
        case typed.Reduce():
            return not e.op.startswith("arg") and never_fails(e.operand)
        case typed.Power() | typed.Convert() | typed.Retype() | typed.Broadcast():
            return never_fails(e.operand)
        case typed.FieldOf() | typed.Transpose() | typed.Chunk():
            return never_fails(e.operand)
        case typed.Contract() | typed.Concat():
            return all(map(never_fails, e.args))
        case typed.TensorOf():
            return all(map(never_fails, e.items))
        case _:
            return isinstance(e, (typed.Literal, typed.Read, typed.DimValue))


def _lift(s: Scope, e: Expr, shape: tuple[Dim, ...], varying: frozenset[Local]) -> Value:
    if not _depends(e, varying):
        return stretch(s.b, s.one(e), shape)

    def each(x: Expr) -> Value:
        return _lift(s, x, shape, varying)

    match e:
        case typed.Read():
            (v,) = s.get(e.local)
            return v
        case typed.Elementwise():
            return s.b.emit(OPS.get(e.op, e.op), *map(each, e.args))
        case typed.Power():
            return power(s.b, each(e.operand), e.exponent)
        case typed.Convert():
            x = each(e.operand)
            return x if x.tensor.dtype == e.dtype else s.b.emit("convert", x, dtype=e.dtype)
        case typed.Retype() | typed.Broadcast():
            return each(e.operand)
        case typed.ShortCircuit():
            return s.b.emit(e.op, each(e.left), each(e.right))
        case typed.CallBuiltin():
            return ELEMENTWISE[e.name](s.b, [each(a) for a in e.args])
        case typed.InlineCall():
            for p, a in zip(e.function.params, e.args, strict=True):
                s.put(p, (each(a),))
            inner = varying | frozenset(e.function.params)
            return _lift(s, e.function.body, shape, inner)
        case _:
            raise AssertionError(f"{type(e).__name__} was not liftable")
