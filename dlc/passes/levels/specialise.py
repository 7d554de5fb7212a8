"""A recursive function's body for one known constructor: straight-line, with its calls marked.

What is known about structure is kept symbolically and never reaches the result: a `match` of a
known constructor is the region it takes, a `variant` is remembered, the structure that a call
returns is a link to the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlc.diag import InternalError
from dlc.ir.core import NOWHERE, AdtDecl, Function, Loc, Op, Region, Value
from dlc.ir.rewrite import Substitution
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType


class Refused(Exception):
    """The recursion stays as it is; the message says why, `loc` where."""

    def __init__(self, message: str, loc: Loc = NOWHERE) -> None:
        super().__init__(message)
        self.loc = loc


@dataclass(frozen=True)
class Child:
    """The structure field `field` of the node itself."""

    field: int


@dataclass(frozen=True)
class Link:
    """The structure that call number `call` of the body returned."""

    call: int


@dataclass(frozen=True)
class Opaque:
    """A part of the node that nothing may look at."""

    what: str


@dataclass(frozen=True)
class Made:
    """A value of a known constructor."""

    constructor: str
    fields: tuple[Symbol, ...]


Symbol = Value | Child | Link | Opaque | Made


@dataclass(frozen=True)
class SelfCall:
    """A call of the function by itself: the operation, and what its arguments are."""

    op: Op
    args: tuple[Symbol, ...]


@dataclass(frozen=True)
class Straight:
    """The body for one case: operations in order (calls among them), calls, results. Every value
    that an operation reads is a parameter, a field, or a result of an earlier operation."""

    ops: tuple[Op, ...]
    calls: tuple[SelfCall, ...]
    results: tuple[Symbol, ...]


def specialise(
    fn: Function, given: Mapping[Value, Symbol], types: Mapping[str, AdtDecl]
) -> Straight:
    """The body where the parameters in `given` are these symbols.

    Raises Refused where structure is used for anything but matching and recursion."""
    return _Specialiser(fn, given, types).run()


class _Specialiser:
    def __init__(
        self, fn: Function, given: Mapping[Value, Symbol], types: Mapping[str, AdtDecl]
    ) -> None:
        self.fn, self.types = fn, types
        self.env: dict[Value, Symbol] = dict(given)
        self.ops: list[Op] = []
        self.calls: list[SelfCall] = []

    def run(self) -> Straight:
        results = self.region(self.fn.body)
        return Straight(tuple(self.ops), tuple(self.calls), results)

    def symbol(self, v: Value) -> Symbol:
        return self.env.get(v, v)

    def value(self, v: Value, op: Op) -> Value:
        """The value as something that an operation can read."""
        s = self.symbol(v)
        if not isinstance(s, Value):
            raise Refused(f"`{op.name}` looks at a structure", op.loc)
        return s

    def region(self, r: Region) -> tuple[Symbol, ...]:
        for op in r.ops[:-1]:
            self.op(op)
        return tuple(map(self.symbol, r.yields))

    def op(self, op: Op) -> None:
        if op.name == "match" and isinstance(self.symbol(op.operands[0]), Made):
            self.match(op)
        elif op.name == "variant":
            if op.attr_dims():
                raise Refused("a structure with sizes of its own", op.loc)
            fields = tuple(map(self.symbol, op.operands))
            self.env[op.result] = Made(op.attr_str("constructor"), fields)
        elif op.name == "call" and op.attr_str("fn") == self.fn.name:
            self.call(op)
        else:
            self.plain(op)

    def match(self, op: Op) -> None:
        made = self.symbol(op.operands[0])
        assert isinstance(made, Made)
        if op.dims:
            raise Refused("the branches give results of different sizes", op.loc)
        cases = op.attr_strs("cases")
        n = cases.index(made.constructor) if made.constructor in cases else len(cases) - 1
        region = op.regions[n]
        if region.dims:
            raise Refused("a constructor with sizes of its own", op.loc)
        if region.params:
            self.env.update(zip(region.params, made.fields, strict=True))
        self.env.update(zip(op.results, self.region(region), strict=True))

    def call(self, op: Op) -> None:
        if op.attr_dims() != tuple(map(Dim.sym, self.fn.dims)) or op.dims:
            raise Refused("the recursion changes sizes", op.loc)
        args = tuple(map(self.symbol, op.operands))
        given = (s if isinstance(s, Value) else v for v, s in zip(op.operands, args, strict=True))
        op = Op(op.name, tuple(given), op.results, op.attrs, (), (), op.loc)
        number = len(self.calls)
        self.calls.append(SelfCall(op, args))
        self.ops.append(op)
        for r in op.results:
            if isinstance(r.type, AdtType):
                self.env[r] = Link(number)

    def plain(self, op: Op) -> None:
        operands = tuple(self.value(v, op) for v in op.operands)
        for r in op.regions:
            self.inside(r)
        values = {v: s for v, s in self.env.items() if isinstance(s, Value) and s is not v}
        now = Op(op.name, operands, op.results, op.attrs, op.regions, op.dims, op.loc)
        if op.regions:
            now = Substitution(values).op(op)
            if now.results != op.results:
                raise InternalError("a copy has renamed results", stage="levels")
        if any(not _plain_type(v) for v in op.results):
            raise Refused(f"`{op.name}` makes a structure", op.loc)
        self.ops.append(now)

    def inside(self, r: Region) -> None:
        """Regions that stay may not recurse, nor look at structure."""
        for op in r.ops:
            if op.name == "call" and op.attr_str("fn") == self.fn.name:
                raise Refused("whether it recurses depends on more than the structure", op.loc)
            for v in op.operands:
                self.value(v, op)
            for inner in op.regions:
                self.inside(inner)


def _plain_type(v: Value) -> bool:
    return not isinstance(v.type, AdtType)
