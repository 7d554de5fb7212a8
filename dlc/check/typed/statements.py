"""Typed statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Choice
from typing import TypeAlias

from dlc.check.typed.expressions import DefineDim, DimBinding, Expr, Local, Sub, Typed
from dlc.typesys.dims import Dim
from dlc.typesys.surface import Type


@dataclass(frozen=True, slots=True, eq=False)
class Joined(Typed):
    """A slot whose value differs by the path taken, and its type after they meet."""

    local: Local
    type: Type


@dataclass(frozen=True, slots=True, eq=False)
class Assign(Typed):
    """`local = value`."""

    local: Local
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Unpack(Typed):
    """`a, _, b = value`, the value is a Tuple; None discards. All parts are computed before any is
    bound."""

    locals: tuple[Local | None, ...]
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class AssignAt(Typed):
    """`local[subs] = value`; the value has exactly the type of `local[subs]`."""

    local: Local
    subs: tuple[Sub, ...]
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class AssignRows(Typed):
    """`local[idx] = value` with a tensor of whole numbers (the last of repeated rows stays)."""

    local: Local
    indices: Expr
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class AssignListAt(Typed):
    """`xs[i] = value` of a List, checked against the length."""

    local: Local
    index: Expr
    from_end: bool
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Push(Typed):
    """`push(mut xs, value)`."""

    local: Local
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Evaluate(Typed):
    """An expression for what it changes (a call with `mut` arguments), or `_ = e`; its value is
    dropped."""

    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class CheckDims(Typed):
    """First define each dim of `define` (quotients round down), then check each equation (got,
    want). `why` says where it comes from: an annotated binding, or an `assert` on dims with its
    text."""

    define: tuple[DimBinding, ...]
    equations: tuple[tuple[Dim, Dim], ...]
    why: Choice["binding", "assert"]
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Assert(Typed):
    """Stops with a status unless the scalar bool holds."""

    cond: Expr
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class If(Typed):
    """`elif` is an `if` inside `orelse`. `then_ends`, `else_ends`: that arm never reaches the
    end."""

    cond: Expr
    then: Block
    orelse: Block
    joins: tuple[Joined, ...]
    then_ends: bool
    else_ends: bool


@dataclass(frozen=True, slots=True, eq=False)
class MatchArm(Typed):
    """`Node(left, right):`. `constructor` None takes all that no earlier arm took (`_:`)."""

    constructor: str | None
    fields: tuple[Local | None, ...]
    field_types: tuple[Type, ...]
    body: Block
    ends: bool


@dataclass(frozen=True, slots=True, eq=False)
class Match(Typed):
    """Exhaustive; the subject is an algebraic value or an Option."""

    subject: Expr
    arms: tuple[MatchArm, ...]
    joins: tuple[Joined, ...]


@dataclass(frozen=True, slots=True, eq=False)
class While(Typed):
    """`while cond:`; the condition may read carried slots."""

    cond: Expr
    body: Block
    carried: tuple[Joined, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ForRange(Typed):
    """`for i in start..stop:`, bounds i32 scalars evaluated once; no turn if it runs backwards."""

    local: Local | None
    start: Expr
    stop: Expr
    body: Block
    carried: tuple[Joined, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ForEach(Typed):
    """`for a, b in xs:` over rows of a Tensor, elements of a List, pairs (row, f32[D]) of Rows, or
    Keys. `locals` has one slot, or one per component of a tuple element (for Rows: row number and
    vector)."""

    locals: tuple[Local | None, ...]
    element_types: tuple[Type, ...]
    iterable: Expr
    body: Block
    carried: tuple[Joined, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Return(Typed):
    """`return e`; `unknowns` binds each `?k` of the result type."""

    value: Expr | None
    unknowns: tuple[DimBinding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Break(Typed):
    """Carried slots have their carried types here."""


@dataclass(frozen=True, slots=True, eq=False)
class Continue(Typed):
    """Carried slots have their carried types here."""


Stmt: TypeAlias = (
    Assign
    | Unpack
    | AssignAt
    | AssignRows
    | AssignListAt
    | Push
    | Evaluate
    | DefineDim
    | CheckDims
    | Assert
    | If
    | Match
    | While
    | ForRange
    | ForEach
    | Return
    | Break
    | Continue
)
Block: TypeAlias = tuple[Stmt, ...]
