"""What one operation means, said once: a card.

A card gives the operation's equation (docstring), type rule, numpy evaluation, gradient, batching
rule and the facts that the memory planner asks for. It knows no target. The evaluator, the
verifier, the constant folder, autodiff, batching and both back ends all start from here.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal, Protocol

from dlc.ir.core import NOWHERE, Attr, Loc, Op, Value
from dlc.typesys.dims import Dim, DimError
from dlc.typesys.dtypes import DType
from dlc.typesys.types import ListType, TensorType, Type


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
    """An operation whose operands or attributes its card refuses. Turned into a diagnostic by the
    caller."""


Status = Literal[
    "arg", "shape", "struct", "bounds", "assert", "div_zero", "fuel", "arena", "space", "weights"
]


class RunError(Exception):
    """A failure that the language defines: becomes a status with line and column on every back end.

    `loc` is the failing operation's place and `calls` the places of the calls that led there,
    outermost first; the evaluator fills them in."""

    def __init__(self, status: Status, message: str, got: int = 0, want: int = 0) -> None:
        super().__init__(message)
        self.status: Status = status
        self.message, self.got, self.want = message, got, want
        self.loc: Loc = NOWHERE
        self.calls: tuple[tuple[str, Loc], ...] = ()

    def __str__(self) -> str:
        place = f"{self.loc}: " if self.loc != NOWHERE else ""
        return f"{place}{self.message} [{self.status}]"


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
            raise CardError(f"operand {i} of `{self.name}` must be a tensor, not {t}")
        return t

    def list_type(self, i: int) -> ListType:
        """Operand i's type, which must be a list."""
        t = self.operands[i]
        if not isinstance(t, ListType):
            raise CardError(f"operand {i} of `{self.name}` must be a list, not {t}")
        return t

    def declared_type(self) -> Type:
        """The one declared result type."""
        if len(self.declared) != 1:
            raise CardError(f"`{self.name}` needs its one result type, not {len(self.declared)}")
        return self.declared[0]

    def attr_int(self, key: str, default: int | None = None) -> int:
        """A whole-number attribute."""
        v = self.attrs.get(key, default)
        if not isinstance(v, int) or isinstance(v, bool):
            raise CardError(f"`{self.name}`: `{key}` must be a whole number, not {v!r}")
        return v

    def attr_flag(self, key: str) -> bool:
        """A truth value that may be missing (false)."""
        v = self.attrs.get(key, False)
        if not isinstance(v, bool):
            raise CardError(f"`{self.name}`: `{key}` must be true or false, not {v!r}")
        return v

    def attr_str(self, key: str, choices: tuple[str, ...] = ()) -> str:
        """A text attribute, one of the choices if there are any."""
        v = self.attrs.get(key)
        if not isinstance(v, str) or (choices and v not in choices):
            want = f"one of {', '.join(choices)}" if choices else "a text"
            raise CardError(f"`{self.name}`: `{key}` must be {want}, not {v!r}")
        return v

    def attr_dtype(self, key: str, default: DType | None = None) -> DType:
        """An element type attribute."""
        v = self.attrs.get(key, default)
        if not isinstance(v, DType):
            raise CardError(f"`{self.name}`: `{key}` must be an element type, not {v!r}")
        return v

    def attr_dim(self, key: str) -> Dim:
        """A dim attribute; a plain number counts as one."""
        v = self.attrs.get(key)
        if not isinstance(v, (Dim, int)) or isinstance(v, bool):
            raise CardError(f"`{self.name}`: `{key}` must be a dim, not {v!r}")
        return Dim.of(v)

    def attr_dims(self, key: str) -> tuple[Dim, ...]:
        """A tuple of dims; plain numbers count as dims."""
        v = self.attrs.get(key)
        out: list[Dim] = []
        for d in v if isinstance(v, tuple) else (None,):
            if not isinstance(d, (Dim, int)) or isinstance(d, bool):
                raise CardError(f"`{self.name}`: `{key}` must be a list of dims, not {v!r}")
            out.append(Dim.of(d))
        return tuple(out)

    def attr_ints(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """A tuple of whole numbers."""
        v = self.attrs.get(key, default)
        out: list[int] = []
        for n in v if isinstance(v, tuple) else (None,):
            if not isinstance(n, int) or isinstance(n, bool):
                raise CardError(f"`{self.name}`: `{key}` must be whole numbers, not {v!r}")
            out.append(n)
        return tuple(out)

    def axis(self, rank: int, key: str = "axis", default: int | None = None) -> int:
        """An axis of a tensor of this rank, counted from 0."""
        a = self.attr_int(key, default)
        if not 0 <= a < rank:
            raise CardError(f"`{self.name}`: axis {a} of a tensor of rank {rank}")
        return a


@dataclass(slots=True)
class Run:
    """What an evaluation may ask besides its operands: attributes and the values of dims."""

    op: Op
    env: Mapping[str, int]
    bound: dict[str, int] = field(default_factory=dict[str, int])
    """Filled by cards that define dims: name -> value."""
    owned: bool = False
    """Operand 0 is dead after the operation and nobody else sees its array: it may be
    overwritten."""

    def dim(self, key: str) -> int:
        """The value of a dim attribute."""
        return self._size(self.op.attr_dim(key))

    def dims(self, key: str) -> tuple[int, ...]:
        """The values of an attribute that is a tuple of dims."""
        return tuple(self._size(d) for d in self.op.attr_dims(key))

    def _size(self, d: Dim) -> int:
        try:
            n = d.evaluate(self.env)
        except DimError as e:
            raise RunError("shape", str(e)) from e
        if n < 0:
            raise RunError("shape", f"the size {d} is negative", n, 0)
        return n

    def shape(self, i: int = 0) -> tuple[int, ...]:
        """The run-time shape of result i, for cards that define no dims."""
        return tuple(self._size(d) for d in self.op.results[i].tensor.shape)


class Emitter(Protocol):
    """Typed construction: result types come from the cards. See `dlc.ops.build.Builder`."""

    def emit(self, name: str, *operands: Value, **attrs: Attr) -> Value: ...

    def emit_many(self, name: str, *operands: Value, **attrs: Attr) -> tuple[Value, ...]: ...

    def emit_typed(self, name: str, t: Type, *operands: Value, **attrs: Attr) -> Value: ...


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

    def type_of(self, x: Value) -> Type:
        """The type of the cotangent of `x`, which must have one."""
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

    name: str
    operands: tuple[str, ...] = ()
    """Names of the operands; the last may be `*name` for any number."""
    attributes: tuple[str, ...] = ()
    """Names of the attributes; `name?` may be missing."""
    binds: tuple[str, ...] = ()
    """Names that a builder proposes for the dims that the operation defines."""
    traits: frozenset[Trait] = frozenset()
    keeps_zeros: tuple[int, ...] = ()
    """Operands whose zeros stay: where operand i is 0 the result is 0, if the others are finite."""
    derivative: Literal["rule", "zero", "pass"] = "rule"
    """Whether `gradient` has something to say, nothing ever (the derivative is zero or there is
    none), or leaves it to the pass, which knows the tangent types of structures."""
    batching: Literal["rule", "refused"] = "rule"
    """Whether `batch` has a rule, or always raises NotBatchable."""
    source: str = ""
    """Where the definition comes from: paper, ONNX operator version, or this language."""

    @property
    def equation(self) -> str:
        """What the operation computes, in one paragraph."""
        return inspect.cleandoc(self.__doc__ or "").split("\n\n", 1)[0]

    def result_types(self, site: Site) -> tuple[Type, ...]:
        """The result types, after a check that operands, attributes and defined dims are as many
        and as named as the card says. Raises CardError. Run by the builder, and again by the
        verifier."""
        self._check_form(site)
        return self.infer(site)

    def _check_form(self, site: Site) -> None:
        many = bool(self.operands) and self.operands[-1].startswith("*")
        least = len(self.operands) - many
        n = len(site.operands)
        if n < least or (n > least and not many):
            raise CardError(
                f"`{self.name}` takes {', '.join(self.operands) or 'no operand'}, not {n}"
            )
        for key in site.attrs:
            if key not in self.attributes and f"{key}?" not in self.attributes:
                raise CardError(f"`{self.name}` has no attribute `{key}`")
        for key in self.attributes:
            if not key.endswith("?") and key not in site.attrs:
                raise CardError(f"`{self.name}` lacks its attribute `{key}`")
        if len(site.dims) != len(self.binds):
            raise CardError(f"`{self.name}` defines {len(self.binds)} dims, not {len(site.dims)}")

    @abstractmethod
    def infer(self, site: Site) -> tuple[Type, ...]:
        """The result types of a well-formed use. Raises CardError for types that don't fit."""

    @abstractmethod
    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        """The results, from numpy arrays, list values and algebraic values. Raises RunError.

        Also accepts complex numbers where the equation is analytic, so that a complex step gives
        exact directional derivatives; comparisons and branches look at real parts.
        """

    def specialise(self, op: Op) -> Callable[..., tuple[Any, ...]] | None:
        """`evaluate` for this one operation, which asks for no dims; None if there is no faster
        way."""
        return None

    @abstractmethod
    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        """Adds to the operands' cotangents what the results' cotangents `d` (None = zero)
        contribute."""

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
        """Temporary tensors that an implementation needs, sizes as dims of the operation's
        operands."""
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
