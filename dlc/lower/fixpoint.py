"""`fixpoint(f, x0)`: the solution of `x = f(x)` by iteration, and its implicit derivative.

The solution is a function of what `f` captures, whatever way the iteration took. With
`x = f(c, x)`, `A = df/dx` and a cotangent d of x, the cotangent of c is `(df/dc)' w`, where
`w = d + A' w`: another fixpoint, found the same way. So the loop is a function with a rule (`vjp`)
of its own, and its turns are never differentiated. x0 has no influence on the solution: its
cotangent is zero.

Nor are the turns of the equations of the rule, which end when d is met: they are two solvers,
`w = d + A' w` and `v = u + A v`, each of which has a rule that calls the other. For both, with w
and v as one of them found and the other finds, the cotangent of (c, x) is that of
`<v, A(c, x)' w>`. So derivatives of every order, and `jvp`, are those of the solution.

Source: Bai, Kolter and Koltun 2019 (the implicit function theorem)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

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

_TAIL: tuple[Type, ...] = (TensorType(F32), SCALAR_I32)
"""The tolerance, and the greatest number of turns."""


def lower_fixpoint(s: Scope, e: typed.FixpointCall) -> Leaves:
    """A call of the function with the loop in it: captures, x0, tolerance, most turns."""
    callee = s.program.callee(e.key)
    captures = [s.expr(c) for c in e.captures]
    x0 = s.expr(e.init)
    args = arguments(s, callee, [*captures, x0], e.dims)
    tail = (s.one(e.tolerance), s.one(e.most))
    sig = _Problem(s, callee.signature, e.key, s.b.loc).solver()
    whole = Arguments((*args.leaves, *tail), args.dims, args.bind)
    return emit_call(s, sig, whole, ())


@dataclass(frozen=True)
class _Problem:
    """The function `f` whose fixpoint is wanted. Each method gives a function, made once, whose
    parameters end in a tolerance and a greatest number of turns."""

    scope: Scope
    f: Signature
    key: Hashable
    loc: Loc

    # -- the functions

    def solver(self) -> Signature:
        """`x(c, x0)` with `x = f(c, x)`."""

        def body(b: Builder) -> Leaves:
            *captures, x0, tol, most = b.params
            return (_iterate(b, x0, tol, most, lambda t, x: self.apply(t, captures, x)),)

        return self._function("fixpoint", (*self.f.params, *_TAIL), self._x, body, self._rule)

    def _rule(self, solver: Signature) -> Signature:
        """The solver's parameters and a cotangent d of x -> the cotangents of its floats."""

        def body(b: Builder) -> Leaves:
            *captures, _, tol, most, d = b.params
            (x,) = b.call(solver, b.params[:-1], self.dims)
            (w,) = b.call(self.backward(), (*captures, x, d, tol, most), self.dims)
            at, types = self._captured()
            grads = self.pull(b, self.f, (*captures, x), w, at, types)
            return (*grads, *self._zeros(b, len(captures)))

        params = (*solver.params, *self._x)
        return self._function("fixpoint.rule", params, self._tangents(solver.params), body)

    def backward(self) -> Signature:
        """`w(c, x, d)` with `w = d + A(c, x)' w`."""
        return self._linear(back=True)

    def forward(self) -> Signature:
        """`v(c, x, u)` with `v = u + A(c, x) v`."""
        return self._linear(back=False)

    def _linear(self, *, back: bool) -> Signature:
        """One of these two; the other is in its rule."""
        name = "fixpoint.backward" if back else "fixpoint.forward"

        def step(b: Builder, at: Sequence[Value], y: Value) -> Value:
            if back:
                return b.call(self.transposed(), (*at, y), self.dims)[0]
            return self.pull(b, self.transposed(), (*at, y), y, [len(at)], self._x)[0]

        params = (*self.f.params, *self._x, *_TAIL)

        def body(b: Builder) -> Leaves:
            *at, d, tol, most = b.params
            return (_iterate(b, d, tol, most, lambda t, y: t.emit("add", d, step(t, at, y))),)

        def rule(solver: Signature) -> Signature:
            def body(b: Builder) -> Leaves:
                *at, _, tol, most, e = b.params
                (y,) = b.call(solver, b.params[:-1], self.dims)
                dual = self.forward() if back else self.backward()
                (z,) = b.call(dual, (*at, e, tol, most), self.dims)
                w, v = (y, z) if back else (z, y)
                floats, types = self._captured()
                which, kinds = [*floats, len(at) - 1], [*types, *self._x]
                grads = self.pull(b, self.transposed(), (*at, w), v, which, kinds)
                return (*grads, z, *self._zeros(b, len(at) + 1))

            wanted = self._tangents(params)
            return self._function(f"{name}.rule", (*params, *self._x), wanted, body)

        return self._function(name, params, self._x, body, rule)

    def transposed(self) -> Signature:
        """`A(c, x)' w` of c, x and w."""

        def body(b: Builder) -> Leaves:
            *at, w = b.params
            return self.pull(b, self.f, at, w, [len(at) - 1], self._x)

        params = (*self.f.params, *self._x)
        return self._function("fixpoint.transposed", params, self._x, body)

    def _function(
        self,
        name: str,
        params: tuple[Type, ...],
        results: tuple[Type, ...],
        body: Callable[[Builder], Leaves],
        rule: Callable[[Signature], Signature] | None = None,
    ) -> Signature:
        types = self.scope.layout.types

        def make(made: Signature) -> Function:
            names = DimNames((*self.f.dims, *self.f.result_dims))
            b = Builder(types, names, self.loc).nested(params, [""] * len(params))
            out = b.return_(*body(b))
            attrs: dict[str, Attr] = {} if rule is None else {"vjp": rule(made).name}
            return b.function(made.name, made.dims, out, attrs=attrs, loc=self.loc)

        wanted = Signature(f"{self.f.name}.{name}", self.f.dims, params, results)
        return self.scope.program.helper((name, self.key), wanted, make)

    # -- parts of their bodies

    @property
    def dims(self) -> tuple[Dim, ...]:
        return tuple(map(Dim.sym, self.f.dims))

    @property
    def _x(self) -> tuple[Type, ...]:
        return self.f.params[-1:]

    def apply(self, b: Builder, captures: Sequence[Value], x: Value) -> Value:
        """`f(captures, x)`, with the type of x."""
        (y, *_) = b.call(self.f, (*captures, x), self.dims)
        return conform(b, [y], [x.type])[0]

    def pull(
        self,
        b: Builder,
        of: Signature,
        args: Sequence[Value],
        w: Value,
        wrt: Sequence[int],
        types: Sequence[Type],
    ) -> Leaves:
        """The cotangents of some arguments for the cotangent w of the function's result."""
        if not wrt:
            return ()
        attrs: dict[str, Attr] = {
            "fn": of.name,
            "dims": self.dims,
            "wrt": tuple(wrt),
            "rows": (False,) * len(wrt),
        }
        results = list(of.results)
        w = conform(b, [w], results[:1])[0]
        out = b.structured("vjp", (*args, w), [*results, *types], attrs, ())
        return out[len(results) :]

    def _captured(self) -> tuple[list[int], list[Type]]:
        """Which captured leaves have derivatives, and their types."""
        types = self.scope.layout.types
        found = [(i, tangent_type(types, t)) for i, t in enumerate(self.f.params[:-1])]
        kept = [(i, t) for i, t in found if t is not None]
        return [i for i, _ in kept], [t for _, t in kept]

    def _tangents(self, params: Sequence[Type]) -> tuple[Type, ...]:
        types = self.scope.layout.types
        for t in params:
            declare_tangent(types, t)
        return tuple(d for t in params if (d := tangent_type(types, t)) is not None)

    def _zeros(self, b: Builder, start: int) -> Leaves:
        """Zero cotangents of the floats among the parameters from `start` on, the last left out,
        which is a cotangent itself."""
        inside = Scope(self.scope.program, self.scope.lower, b, {})
        types = self.scope.layout.types
        rest = b.params[start:-1]
        return tuple(zero_like(inside, p) for p in rest if tangent_type(types, p.type) is not None)


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
