"""Where code goes while a function is lowered: a builder, and what each slot holds there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from dlc.check.instances import InstanceKey
from dlc.check.typed import Expr, Local, TypedFunction
from dlc.diag import InternalError, Span
from dlc.ir.core import Function, Loc, Region, Signature, Value
from dlc.ir.hidden import HiddenDimError, same_but_for_dims, solve_dims
from dlc.lower.bounds import at_least
from dlc.lower.layout import Layout
from dlc.ops.build import Builder
from dlc.typesys import surface
from dlc.typesys.dims import ZERO, Dim
from dlc.typesys.dtypes import I64
from dlc.typesys.types import Type, substitute_type

Leaves: TypeAlias = tuple[Value, ...]
"""A surface value: one IR value per leaf of its type."""


@dataclass(frozen=True)
class Callee:
    """A function instance as its callers see it.

    The signature's dims are those of the instance, then `hidden`, the hidden dims of its
    parameters. `params` says which leaves belong to which parameter. The results are the leaves of
    the result, then those of each `mut` parameter, in order."""

    typed: TypedFunction
    signature: Signature
    hidden: tuple[str, ...]
    params: tuple[slice, ...]
    results: int

    @property
    def inout(self) -> tuple[tuple[int, int], ...]:
        """Pairs of leaf numbers: this parameter comes back as that result."""
        out: list[tuple[int, int]] = []
        at = self.results
        for p, leaves in zip(self.typed.params, self.params, strict=True):
            if p.mut:
                for i in range(leaves.start, leaves.stop):
                    out.append((i, at))
                    at += 1
        return tuple(out)


class Program(Protocol):
    """The program as one function's lowering sees it."""

    @property
    def layout(self) -> Layout: ...

    def callee(self, key: InstanceKey) -> Callee:
        """An instance, lowered sooner or later."""
        ...

    def helper(
        self, key: Hashable, signature: Signature, make: Callable[[Signature], Function]
    ) -> Signature:
        """A function that lowering itself writes: made once per key. `make` gets the signature with
        the final name and may call itself."""
        ...

    def onnx(self, model: str) -> Signature:
        """The function of a model that came from ONNX."""
        ...


@dataclass(slots=True)
class Scope:
    """One region being built. `slots` are those that are visible, with their present values;
    `sizes` are the dims that are known not to be negative. A nested scope starts with copies."""

    program: Program
    lower: Callable[[Scope, Expr], Leaves]
    b: Builder
    slots: dict[Local, Leaves]
    sizes: set[Dim] = field(default_factory=set[Dim])

    @property
    def layout(self) -> Layout:
        return self.program.layout

    def nested(
        self, params: Sequence[Type] = (), hints: Sequence[str] = (), dims: tuple[str, ...] = ()
    ) -> Scope:
        """A scope for a region of an operation that is emitted here later."""
        return self.inside(self.b.nested(params, hints, dims))

    def inside(self, b: Builder) -> Scope:
        """The scope of another region within this one."""
        return Scope(self.program, self.lower, b, dict(self.slots), set(self.sizes))

    # -- values

    def expr(self, e: Expr) -> Leaves:
        """The leaves of an expression's value."""
        before = self.b.loc
        self.b.loc = loc_of(e.span)
        out = self.lower(self, e)
        self.b.loc = before
        return out

    def one(self, e: Expr) -> Value:
        """The value of an expression that has one leaf."""
        (v,) = self.expr(e)
        return v

    def get(self, local: Local) -> Leaves:
        if local not in self.slots:
            raise InternalError(f"`{local.name}` is read before it is given", stage="lower")
        return self.slots[local]

    def put(self, local: Local, leaves: Leaves) -> None:
        """Assigns a slot, and proposes its name for values that have none."""
        self.slots[local] = leaves
        for v in leaves:
            v.suggest(local.name)

    # -- types

    def types(self, t: surface.Type, leaves: Leaves) -> tuple[Type, ...]:
        """The leaf types of the type, hidden dims being those of the leaves."""
        marks: list[str] = []

        def mark(path: str) -> Dim:
            marks.append(f"?{len(marks)}")
            return Dim.sym(marks[-1])

        pattern = self.layout.leaf_types(t, mark)
        if not marks:
            return pattern
        found = solve_dims(marks, pattern, [v.type for v in leaves])
        bind = dict(zip(marks, found, strict=True))
        return tuple(substitute_type(p, bind) for p in pattern)

    def conform(self, leaves: Leaves, t: surface.Type) -> Leaves:
        """The same leaves, their dims written as the type writes them."""
        return conform(self.b, leaves, self.types(t, leaves))

    def carried(self, types: Sequence[surface.Type], leaves: Leaves) -> Carried:
        """Values of these types as a loop carries them, starting with the leaves."""
        dims: list[str] = []

        def fresh(path: str) -> Dim:
            dims.append(self.b.names.fresh(f"{path}.k" if path else "k"))
            return Dim.sym(dims[-1])

        pattern = [t for x in types for t in self.layout.leaf_types(x, fresh)]
        return carry(self.b, pattern, tuple(dims), leaves)

    def require(self, dims: Iterable[Dim]) -> None:
        """Ends the program (status `shape`) where one of the sizes is negative. What follows from
        names being sizes, and what has been checked before this place, needs no check."""
        for d in dims:
            if d not in self.sizes and not at_least(d, ZERO):
                self.sizes.add(d)
                name = self.b.names.fresh("size")
                self.b.emit_op("as_dim", (self.b.dim(d, I64),), {}, (), (name,))

    # -- regions

    def branch(self, c: Value, then: Region, other: Region) -> Leaves:
        """`then` or `other`; no operation where nothing is yielded and nothing can happen."""
        if not then.yields and len(then.ops) == 1 and len(other.ops) == 1:
            return ()
        return self.b.if_(c, then, other)


@dataclass(frozen=True, slots=True)
class Carried:
    """What a loop carries: types in its region, the region's hidden dims, and the first values."""

    types: tuple[Type, ...]
    dims: tuple[str, ...]
    inits: Leaves
    init_dims: tuple[Dim, ...]


def carry(b: Builder, types: Sequence[Type], dims: tuple[str, ...], inits: Leaves) -> Carried:
    """Values carried with types that mention `dims`, which change from turn to turn."""
    first = solve_hidden(dims, types, inits)
    bind = dict(zip(dims, first, strict=True))
    given = conform(b, inits, [substitute_type(t, bind) for t in types])
    return Carried(tuple(types), dims, given, first)


def conform(b: Builder, leaves: Sequence[Value], types: Sequence[Type]) -> Leaves:
    """The leaves with exactly these types, from which theirs may differ in how dims are written."""
    out: list[Value] = []
    for v, t in zip(leaves, types, strict=True):
        if v.type == t:
            out.append(v)
        elif same_but_for_dims(v.type, t):
            out.append(b.emit_typed("retype", t, v))
        else:
            raise InternalError(f"{v.type} where {t} is expected", stage="lower")
    return tuple(out)


def solve_hidden(
    names: Sequence[str], pattern: Sequence[Type], leaves: Sequence[Value]
) -> tuple[Dim, ...]:
    """The values of hidden dims of a pattern of types for these leaves."""
    try:
        return solve_dims(names, pattern, [v.type for v in leaves])
    except HiddenDimError as e:
        raise InternalError(str(e), stage="lower") from e


def loc_of(span: Span) -> Loc:
    """The place where a stretch of source begins."""
    line, column = span.source.position(span.start)
    return Loc(span.source.name, line, column)
