"""What one operation means, said once: a card.

A card gives the operation's equation (docstring), type rule, numpy evaluation, gradient, batching rule and
the facts that the memory planner asks for. It knows no target. The evaluator, the verifier, the constant
folder, autodiff, batching and both back ends all start from here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ClassVar, Protocol

from dlc.ir.core import NOWHERE, Attr, Loc, Op, Value
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType, Type


class Trait(Enum):
    """Facts that hold for every use of an operation."""

    ELEMENTWISE = auto()
    """Operands and results have one shape; element i of the result depends on elements i only."""
    VIEW = auto()
    """The result is operand 0 seen through other strides or another offset: no data need move."""
    CONTRACTION = auto()
    """A sum of products over letters."""
    UPDATE = auto()
    """The result is operand 0 with a part replaced: in place if operand 0 is dead."""
    EFFECT = auto()
    """Kept in order with the other effects and never removed (checks and asserts)."""
    BINDS_DIMS = auto()
    """Defines dim names."""


class CardError(Exception):
    """An operation whose operands or attributes its card refuses. Turned into a diagnostic by the caller."""


class RunError(Exception):
    """A failure that the language defines: becomes a status with line and column on every back end."""

    def __init__(self, status: str, message: str, got: int = 0, want: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.got, self.want = status, message, got, want


@dataclass(frozen=True)
class Site:
    """The static surroundings of one operation, as its card sees them."""

    name: str
    operands: tuple[Type, ...]
    attrs: Mapping[str, Attr]
    dims: tuple[str, ...] = ()
    declared: tuple[Type, ...] = ()
    """Result types written in the text, for the few cards whose result the operands don't determine
    (`const undef list_new variant retype`); empty while building if the card can do without."""

    def tensor(self, i: int) -> TensorType:
        """Operand i's type, which must be a tensor."""
        t = self.operands[i]
        if not isinstance(t, TensorType):
            raise CardError(f"operand {i} of {self.name} must be a tensor, not {t}")
        return t


@dataclass(frozen=True)
class Run:
    """What an evaluation may ask besides its operands: attributes and the values of dims."""

    op: Op
    env: Mapping[str, int]
    bound: dict[str, int] = field(default_factory=dict[str, int])
    """Filled by cards that define dims: name -> value."""

    def dim(self, key: str) -> int:
        return self.op.attr_dim(key).evaluate(self.env)

    def dims(self, key: str) -> tuple[int, ...]:
        return tuple(d.evaluate(self.env) for d in self.op.attr_dims(key))

    def shape(self, i: int = 0) -> tuple[int, ...]:
        """The run-time shape of result i."""
        return tuple(d.evaluate({**self.env, **self.bound}) for d in self.op.results[i].tensor.shape)


class Emitter(Protocol):
    """Typed construction: result types come from the cards. See `dlc.ops.build.Builder`."""

    def emit(self, name: str, *operands: Value, **attrs: Attr) -> Value: ...

    def emit_many(self, name: str, *operands: Value, **attrs: Attr) -> tuple[Value, ...]: ...


class Gradient(Emitter, Protocol):
    """What a card's `gradient` writes to. Cotangents are accumulated at places; absence is zero."""

    def active(self, x: Value) -> bool:
        """Whether a cotangent of `x` is of use to anybody."""
        ...

    def add(self, x: Value, contribution: Callable[[], Value]) -> None:
        """`dx += contribution()`; the thunk is called only if `x` is active."""
        ...

    def update(self, x: Value, change: Callable[[Value], Value]) -> None:
        """`dx = change(dx)`, for operations that read a part of `x`: accumulate into the part."""
        ...


@dataclass(frozen=True)
class Same:
    """An operand of a batched operation that is the same for all rows."""

    value: Value


@dataclass(frozen=True)
class Rows:
    """An operand with one value a row: the new axis is always axis 0."""

    value: Value


Batched = Same | Rows


class NotBatchable(Exception):
    """The operation has no batching rule; the message says why and becomes a remark."""


class Batching(Emitter, Protocol):
    """What a card's `batch` writes to."""

    @property
    def rows(self) -> Dim:
        """The number of rows."""
        ...

    def full(self, x: Batched) -> Value:
        """The operand with a row axis, broadcast if it is the same for all."""
        ...


class Card(ABC):
    """One operation. Subclasses are instantiated once, in `dlc.ops.registry`."""

    name: ClassVar[str]
    operands: ClassVar[tuple[str, ...]] = ()
    """Names of the operands; the last may be `*name` for any number."""
    attributes: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes; `name?` may be missing."""
    traits: ClassVar[frozenset[Trait]] = frozenset()
    source: ClassVar[str] = ""
    """Where the definition comes from: paper, ONNX operator version, or this language."""

    @abstractmethod
    def infer(self, site: Site) -> tuple[Type, ...]:
        """The result types. Raises CardError. Run again by the verifier and compared."""

    @abstractmethod
    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        """The results, from numpy arrays, list values and algebraic values. Raises RunError.

        Also accepts complex numbers where the equation is analytic, so that a complex step gives exact
        directional derivatives; comparisons and branches look at real parts.
        """

    @abstractmethod
    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        """Adds to the operands' cotangents what the results' cotangents `d` (None = zero) contribute."""

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        """The operation over a new leading axis. Called only if some operand has rows."""
        raise NotBatchable(f"`{self.name}` has no batching rule")

    def may_fail(self, op: Op) -> bool:
        """Whether this use can end the program with a status."""
        return Trait.EFFECT in self.traits

    def writes_in_place(self, op: Op) -> int | None:
        """The operand whose storage the result may take over when it is dead after the operation
        (element-wise: any operand of the same type, which the planner knows), or None."""
        return 0 if Trait.UPDATE in self.traits else None

    def scratch(self, op: Op) -> tuple[TensorType, ...]:
        """Temporary tensors that an implementation needs, sizes as dims of the operation's operands."""
        return ()


def site_of(op: Op) -> Site:
    """The surroundings of an existing operation."""
    return Site(
        op.name,
        tuple(v.type for v in op.operands),
        op.attrs,
        op.dims,
        tuple(v.type for v in op.results),
    )


__all__ = [
    "NOWHERE",
    "Batched",
    "Batching",
    "Card",
    "CardError",
    "Emitter",
    "Gradient",
    "Loc",
    "NotBatchable",
    "Rows",
    "Run",
    "RunError",
    "Same",
    "Site",
    "Trait",
    "site_of",
]
