"""`fixpoint(f, x0)`: the solution of `x = f(x)` by iteration, and its implicit derivative.

The solution is a function of what `f` captures, whatever way the iteration took. With
`x = f(c, x)` and a cotangent d of x, the cotangent of c is `(df/dc)' w` where `w = d + (df/dx)' w`:
another fixpoint, found the same way. So the loop is a function with a rule (`vjp`) of its own, and
its turns are never differentiated. x0 has no influence on the solution: its cotangent is zero.

Source: Bai, Kolter and Koltun 2019 (the implicit function theorem)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dlc.check import typed
from dlc.ir.core import Attr, Function, Loc, Signature, Value
from dlc.ir.tangent import declare_tangent, tangent_type
from dlc.lower.calls import Arguments, arguments, emit_call
from dlc.lower.each import zero_like
from dlc.lower.scope import Leaves, Scope, conform
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32
from dlc.typesys.types import SCALAR_I32, TensorType, Type


def lower_fixpoint(s: Scope, e: typed.FixpointCall) -> Leaves:
    """A call of the function with the loop in it: captures, x0, tolerance, most turns."""
    callee = s.program.callee(e.key)
    captures = [s.expr(c) for c in e.captures]
    x0 = s.expr(e.init)
    args = arguments(s, callee, [*captures, x0], e.dims)
    tail = (s.one(e.tolerance), s.one(e.most))
    f = callee.signature
    solver = Signature(
        f"{f.name}.fixpoint",
        f.dims,
        (*f.params, TensorType(F32), SCALAR_I32),
        f.params[-1:],
    )

    def make(made: Signature) -> Function:
        return _solver(s, made, f, e.key)

    sig = s.program.helper(("fixpoint", e.key), solver, make)
    whole = Arguments((*args.leaves, *tail), args.dims, args.bind)
    return emit_call(s, sig, whole, ())


@dataclass(frozen=True)
class _Problem:
    """The function whose fixpoint is wanted, as builders of helper functions see it."""

    f: Signature
    loc: Loc

    @property
    def dims(self) -> tuple[Dim, ...]:
        return tuple(map(Dim.sym, self.f.dims))

    def apply(self, b: Builder, captures: Sequence[Value], x: Value) -> Value:
        """`f(captures, x)`, with the type of x."""
        (y, *_) = b.call(self.f, (*captures, x), self.dims)
        return conform(b, [y], [x.type])[0]

    def pull(
        self, b: Builder, args: Sequence[Value], w: Value, wrt: Sequence[int], types: Sequence[Type]
    ) -> Leaves:
        """The cotangents of some leaves of f's arguments for the cotangent w of its result."""
        attrs: dict[str, Attr] = {
            "fn": self.f.name,
            "dims": self.dims,
            "wrt": tuple(wrt),
            "rows": (False,) * len(wrt),
        }
        results = list(self.f.results)
        w = conform(b, [w], results[:1])[0]
        out = b.structured("vjp", (*args, w), [*results, *types], attrs, ())
        return out[len(results) :]


def _builder(s: Scope, p: _Problem, params: Sequence[Type], hints: Sequence[str]) -> Builder:
    names = DimNames((*p.f.dims, *p.f.result_dims))
    return Builder(s.layout.types, names, p.loc).nested(params, hints)


def _solver(s: Scope, made: Signature, f: Signature, key: object) -> Function:
    p = _Problem(f, s.b.loc)
    b = _builder(s, p, made.params, [*[""] * (len(f.params) - 1), "x0", "tol", "most"])
    *captures, x0, tol, most = b.params
    x = _iterate(b, x0, tol, most, lambda w, x: p.apply(w, captures, x))
    rule = _rule(s, p, made, key)
    attrs: dict[str, Attr] = {"vjp": rule.name}
    return b.function(made.name, made.dims, b.return_(x), attrs=attrs, loc=p.loc)


def _rule(s: Scope, p: _Problem, solver: Signature, key: object) -> Signature:
    """Takes the solver's parameters and the cotangent of its result; gives the cotangents of its
    float parameters."""
    types = s.layout.types
    floats: list[int] = []
    tangents: list[Type] = []
    for i, t in enumerate(solver.params):
        declare_tangent(types, t)
        d = tangent_type(types, t)
        if d is not None:
            floats.append(i)
            tangents.append(d)
    wanted = replace(
        solver,
        name=f"{solver.name}.rule",
        params=(*solver.params, *solver.results),
        results=tuple(tangents),
    )

    def make(made: Signature) -> Function:
        hints = [*[""] * (len(p.f.params) - 1), "x0", "tol", "most", "d"]
        b = _builder(s, p, made.params, hints)
        *captures, x0, tol, most, d = b.params
        x = _iterate(b, x0, tol, most, lambda w, x: p.apply(w, captures, x))
        last = len(captures)

        def adjoint(w: Builder, v: Value) -> Value:
            (back,) = p.pull(w, (*captures, x), v, [last], [x.type])
            return w.emit("add", d, back)

        w = _iterate(b, d, tol, most, adjoint)
        own = [i for i in floats if i < last]
        kinds = tangents[: len(own)]
        grads = list(p.pull(b, (*captures, x), w, own, kinds)) if own else []
        inside = Scope(s.program, s.lower, b, {})
        grads += [zero_like(inside, b.params[i]) for i in floats if i >= last]
        return b.function(made.name, made.dims, b.return_(*grads), loc=p.loc)

    return s.program.helper(("fixpoint rule", key), wanted, make)


def _iterate(
    b: Builder, x0: Value, tol: Value, most: Value, step: Callable[[Builder, Value], Value]
) -> Value:
    """`x = step(x)` until the change is smaller than tol, at most `most` turns (none for 0)."""
    some, none = b.nested(), b.nested()
    turn = some.nested((SCALAR_I32, x0.type), ("n", "x"))
    n, x = turn.params
    y = step(turn, x)
    n1 = turn.emit("add", n, turn.dim(1))
    far = turn.emit("ge", _distance(turn, x, y), tol)
    go = turn.emit("and", far, turn.emit("lt", n1, most))
    _, last = some.loop((some.dim(0), x0), turn.yield_(go, n1, y))
    c = b.emit("gt", most, b.dim(0))
    (out,) = b.if_(c, some.yield_(last), none.yield_(x0))
    return out


def _distance(b: Builder, x: Value, y: Value) -> Value:
    """The Euclidean norm of `y - x`, as an f32."""
    d = b.emit("sub", y, x)
    if d.tensor.dtype != F32:
        d = b.emit("convert", d, dtype=F32)
    square = b.emit("mul", d, d)
    if d.tensor.rank:
        square = b.emit("reduce", square, kind="sum", axes=tuple(range(d.tensor.rank)))
    return b.emit("sqrt", square)
