"""The typed language of `do`: what an instruction means, as values that every back end of the ISA
walks.

Three types: `i` a 64-bit integer that wraps, `f` a 32-bit float rounded after every operation, `b`
a truth value. Names are resolved: a term names operands, registers, special registers and locals,
and nothing is looked up again. Programs are total: the bound of a loop or quantifier is evaluated
once, and there is no other loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Type: TypeAlias = Literal["i", "f", "b"]
Access: TypeAlias = Literal["at", "flat", "int", "iflat"]
View: TypeAlias = Literal["i64", "f32"]
Scalars: TypeAlias = Literal["r", "f"]
Structures: TypeAlias = Literal["T", "W", "Q"]
Reduction: TypeAlias = Literal["sum", "any", "all", "banksum"]


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number, held to 64 bits."""

    value: int

    @property
    def type(self) -> Type:
        return "i"


@dataclass(frozen=True, slots=True)
class Real:
    """A float, rounded to 32 bits."""

    value: float

    @property
    def type(self) -> Type:
        return "f"


@dataclass(frozen=True, slots=True)
class Local:
    """A `let`, a loop variable, or the accumulator of a fold."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Operand:
    """The value of an immediate, enum or table-row operand."""

    name: str

    @property
    def type(self) -> Type:
        return "i"


@dataclass(frozen=True, slots=True)
class Special:
    """A special register: pc, sp, heap, tape."""

    name: str

    @property
    def type(self) -> Type:
        return "i"


@dataclass(frozen=True, slots=True)
class Register:
    """An integer (`r`) or float (`f`) register, named by an operand."""

    file: Scalars
    operand: str

    @property
    def type(self) -> Type:
        return "i" if self.file == "r" else "f"


@dataclass(frozen=True, slots=True)
class Ref:
    """A descriptor (`T`), compressed matrix (`W`) or queue (`Q`), named by an operand; not a
    number."""

    file: Structures
    operand: str


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the data of T[operand].

    `at` and `int` take an index an axis, so they fix the rank; `flat` and `iflat` count row by row
    over any rank. `at` and `flat` are floats (bf16 widens), `int` and `iflat` integers (i8 widens).
    """

    operand: str
    access: Access
    indices: tuple[Expr, ...]

    @property
    def type(self) -> Type:
        return "f" if self.access in ("at", "flat") else "i"


@dataclass(frozen=True, slots=True)
class Word:
    """An integer (`i64`) or float (`f32`) of a space, by its number (not by its byte)."""

    space: str
    view: View
    index: Expr

    @property
    def type(self) -> Type:
        return "i" if self.view == "i64" else "f"


@dataclass(frozen=True, slots=True)
class Minus:
    """`-value`."""

    value: Expr

    @property
    def type(self) -> Type:
        return self.value.type


@dataclass(frozen=True, slots=True)
class Not:
    """`not value`."""

    value: Expr

    @property
    def type(self) -> Type:
        return "b"


@dataclass(frozen=True, slots=True)
class Binary:
    """`+ - *` of either type; `//`, `%` (both round down) and `&` of integers; `/` of floats."""

    op: str
    left: Expr
    right: Expr

    @property
    def type(self) -> Type:
        return self.left.type


@dataclass(frozen=True, slots=True)
class Compare:
    """`== != < <= > >=` of two integers or two floats; false on NaN, but `!=`."""

    op: str
    left: Expr
    right: Expr

    @property
    def type(self) -> Type:
        return "b"


@dataclass(frozen=True, slots=True)
class Logic:
    """`and`, `or`: the right side is evaluated only where it decides."""

    op: Literal["and", "or"]
    left: Expr
    right: Expr

    @property
    def type(self) -> Type:
        return "b"


@dataclass(frozen=True, slots=True)
class Choice:
    """`if test then yes else no`; only the chosen side is evaluated."""

    test: Expr
    yes: Expr
    no: Expr

    @property
    def type(self) -> Type:
        return self.yes.type


@dataclass(frozen=True, slots=True)
class Match:
    """The arm that an enum operand names; arms are (member, its value, term), every member once."""

    operand: str
    arms: tuple[tuple[str, int, Expr], ...]

    @property
    def type(self) -> Type:
        return self.arms[0][2].type


@dataclass(frozen=True, slots=True)
class Call:
    """A primitive of `dlc.isa.primitives`."""

    name: str
    args: tuple[Expr | Ref, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Quantifier:
    """`sum`, `any`, `all` over var < bound, or `banksum`: partial sums by lane mod 64, then a
    tree."""

    kind: Reduction
    var: str
    bound: Expr
    body: Expr
    lane: Expr | None = None

    @property
    def type(self) -> Type:
        return self.body.type


@dataclass(frozen=True, slots=True)
class Fold:
    """`accumulator = start; for var < bound: accumulator = body`, in order."""

    accumulator: str
    start: Expr
    var: str
    bound: Expr
    body: Expr

    @property
    def type(self) -> Type:
        return self.start.type


Expr: TypeAlias = (
    Int
    | Real
    | Local
    | Operand
    | Special
    | Register
    | Element
    | Word
    | Minus
    | Not
    | Binary
    | Compare
    | Logic
    | Choice
    | Match
    | Call
    | Quantifier
    | Fold
)
Place: TypeAlias = Register | Special | Element | Word


@dataclass(frozen=True, slots=True)
class Let:
    """Names a value for the rest of its block."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Assign:
    """The value first, then the place."""

    place: Place
    value: Expr


@dataclass(frozen=True, slots=True)
class Loop:
    """`for var < bound { body }`; the bound is evaluated once."""

    var: str
    bound: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class When:
    """The body where the test holds."""

    test: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """A named change of state: of descriptors, queues, or of running itself."""

    name: str
    args: tuple[Expr | Ref, ...]


Stmt: TypeAlias = Let | Assign | Loop | When | Effect
Term: TypeAlias = Expr | Ref


def parts(term: Term) -> tuple[Term, ...]:
    """The terms directly inside a term, in the order in which they are evaluated."""
    match term:
        case Element(indices=indices):
            return indices
        case Word(index=index):
            return (index,)
        case Minus(value=value) | Not(value=value):
            return (value,)
        case (
            Binary(left=left, right=right)
            | Compare(left=left, right=right)
            | Logic(left=left, right=right)
        ):
            return (left, right)
        case Choice(test=test, yes=yes, no=no):
            return (test, yes, no)
        case Match(arms=arms):
            return tuple(arm[2] for arm in arms)
        case Call(args=args):
            return args
        case Quantifier(bound=bound, body=body, lane=lane):
            return (bound, body) if lane is None else (bound, lane, body)
        case Fold(start=start, bound=bound, body=body):
            return (start, bound, body)
        case _:
            return ()


def walk(term: Term) -> Iterator[Term]:
    """A term and all inside it, outermost first."""
    yield term
    for part in parts(term):
        yield from walk(part)


def statement_terms(stmt: Stmt) -> tuple[Term, ...]:
    """The terms directly in a statement, places included, bodies not."""
    match stmt:
        case Let(value=value):
            return (value,)
        case Assign(place=place, value=value):
            return (value, place)
        case Loop(bound=bound):
            return (bound,)
        case When(test=test):
            return (test,)
        case Effect(args=args):
            return args


def statements(block: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """Every statement of a block, bodies included, in order."""
    for stmt in block:
        yield stmt
        if isinstance(stmt, Loop | When):
            yield from statements(stmt.body)
