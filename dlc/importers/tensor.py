"""A tensor while a graph is being imported: an IR value, or numbers that are known already, or
whole numbers that are dims.

Arithmetic on tensors emits operations (with numpy's broadcasting) where something is known only at
run time, and computes the rest at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dlc.importers.elements import Element
from dlc.importers.messages import Array
from dlc.ir.core import Attr, Value
from dlc.typesys.dims import Dim

if TYPE_CHECKING:
    from dlc.importers.emission import Emission

Number: TypeAlias = int | float | bool
Shape: TypeAlias = tuple[Dim, ...]


@dataclass(frozen=True, eq=False, slots=True)
class SparseMatrix:
    """The elements of a matrix that are stored: `values [K]` (a parameter if they are floats) at
    `rows [K]` and `columns [K]`, whole numbers, each place once; `dense` makes all of it."""

    values: Tensor
    rows: Array
    columns: Array
    dense: Callable[[], Array]

    @property
    def transposed(self) -> SparseMatrix:
        return SparseMatrix(self.values, self.columns, self.rows, lambda: self.dense().T)


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """`known` are its numbers as the IR stores them; `dims` its elements as an array of `Dim`;
    `value` the IR value. At least one is there.

    `hint` is its name in the file. `is_parameter`: an initialiser of floats, which stays a weight
    of its own however small it is. `sparse`: a matrix of which only some elements are stored; its
    zeros are made where an operator does not know it. `view_of`: known numbers that are those of
    another tensor in another arrangement, and the operation that arranges them, so that no weight
    is stored twice."""

    e: Emission
    element: Element
    shape: Shape
    value: Value | None = None
    known: Array | None = None
    dims: Array | None = None
    hint: str = ""
    is_parameter: bool = False
    view_of: View | None = None
    sparse: SparseMatrix | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def symbols(self) -> Array | None:
        """The elements as dims: an array of `Dim`, if they are known or symbolic whole numbers."""
        if self.dims is not None:
            return self.dims
        if self.known is None or not self.element.is_int or self.known.size > MAX_SYMBOLS:
            return None
        out = np.empty(self.known.shape, object)
        for at, n in np.ndenumerate(self.known):
            out[at] = Dim.const(int(n))
        return out

    @property
    def is_scalar(self) -> bool:
        return not self.shape

    def __str__(self) -> str:
        return f"{self.element}[{', '.join(map(str, self.shape))}]"

    # -- formulas

    def op(self, name: str, *others: Tensor | Number) -> Tensor:
        """`name(self, others…)` for an element-wise operation; numbers become tensors of this
        type."""
        return self.e.elementwise(name, self, *(self.like(x) for x in others))

    def like(self, x: Tensor | Number) -> Tensor:
        """A number as a scalar of this tensor's element type; a tensor as it is."""
        return x if isinstance(x, Tensor) else self.e.scalar(x, self.element)

    def __add__(self, other: Tensor | Number) -> Tensor:
        return self.op("add", other)

    def __radd__(self, other: Number) -> Tensor:
        return self.like(other).op("add", self)

    def __sub__(self, other: Tensor | Number) -> Tensor:
        return self.op("sub", other)

    def __rsub__(self, other: Number) -> Tensor:
        return self.like(other).op("sub", self)

    def __mul__(self, other: Tensor | Number) -> Tensor:
        return self.op("mul", other)

    def __rmul__(self, other: Number) -> Tensor:
        return self.like(other).op("mul", self)

    def __truediv__(self, other: Tensor | Number) -> Tensor:
        return self.op("div", other)

    def __rtruediv__(self, other: Number) -> Tensor:
        return self.like(other).op("div", self)

    def __neg__(self) -> Tensor:
        return self.op("neg")

    def __lt__(self, other: Tensor | Number) -> Tensor:
        return self.op("lt", other)

    def __le__(self, other: Tensor | Number) -> Tensor:
        return self.op("le", other)

    def __gt__(self, other: Tensor | Number) -> Tensor:
        return self.op("gt", other)

    def __ge__(self, other: Tensor | Number) -> Tensor:
        return self.op("ge", other)

    def equals(self, other: Tensor | Number) -> Tensor:
        return self.op("eq", other)

    def choose(self, a: Tensor | Number, b: Tensor | Number) -> Tensor:
        """`a` where this condition holds, else `b`; at least one is a tensor."""
        like = a if isinstance(a, Tensor) else b
        assert isinstance(like, Tensor)
        return self.e.elementwise("select", self, like.like(a), like.like(b))


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """`name of {attrs}`."""

    name: str
    of: tuple[Tensor, ...]
    attrs: Mapping[str, Attr]


MAX_SYMBOLS = 4096
"""Elements of a tensor that is followed symbolically."""


@dataclass(frozen=True, eq=False, slots=True)
class Sequence:
    """An ONNX sequence whose length is known: its items."""

    items: tuple[Item, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Nothing:
    """An optional without an element, an input that is left out, or the result of an operator that
    could not be imported (`failed`): what needs it fails silently, for the cause is reported."""

    failed: bool = False


Item: TypeAlias = Tensor | Sequence | Nothing

OMITTED = Nothing()
FAILED = Nothing(True)
