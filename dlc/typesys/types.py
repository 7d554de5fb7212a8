"""The three kinds of value that the IR knows: tensors, lists and algebraic values.

Everything else of the language (tuples, records, arrays of models, graphs, segments, sparse
vectors, keys) is exploded into these when lowering, so no pass needs to know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, I32, DType


@dataclass(frozen=True)
class TensorType:
    """A dense array `dtype[shape]`, row-major. Rank 0 is a scalar."""

    dtype: DType
    shape: tuple[Dim, ...] = ()

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """Number of elements."""
        n = Dim.const(1)
        for d in self.shape:
            n = n * d
        return n

    def with_shape(self, shape: Sequence[Dim | int | str]) -> TensorType:
        return TensorType(self.dtype, tuple(Dim.of(d) for d in shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        dims = f"[{', '.join(map(str, self.shape))}]" if self.shape else ""
        return f"{self.dtype}{dims}"


@dataclass(frozen=True)
class ListType:
    """A growing sequence; each element has one value per column (a list of pairs has two
    columns)."""

    columns: tuple[Type, ...]

    def __str__(self) -> str:
        return f"List[{', '.join(map(str, self.columns))}]"


@dataclass(frozen=True)
class AdtType:
    """A value of the algebraic type `name`, declared in the module, at these dims."""

    name: str
    dims: tuple[Dim, ...] = ()

    def __str__(self) -> str:
        dims = f"[{', '.join(map(str, self.dims))}]" if self.dims else ""
        return f"@{self.name}{dims}"


Type = TensorType | ListType | AdtType

SCALAR_BOOL = TensorType(BOOL)
SCALAR_I32 = TensorType(I32)


def tensor(dtype: DType, *shape: Dim | int | str) -> TensorType:
    """`dtype[shape]`, from numbers, names and dims."""
    return TensorType(dtype, tuple(Dim.of(d) for d in shape))


def type_dims(t: Type) -> Iterator[Dim]:
    """Every dim that the type mentions, in order."""
    if isinstance(t, TensorType):
        yield from t.shape
    elif isinstance(t, ListType):
        for c in t.columns:
            yield from type_dims(c)
    else:
        yield from t.dims


def substitute_type(t: Type, bindings: Mapping[str, Dim]) -> Type:
    """The type with dim names replaced."""
    if isinstance(t, TensorType):
        return TensorType(t.dtype, tuple(d.substitute(bindings) for d in t.shape))
    if isinstance(t, ListType):
        return ListType(tuple(substitute_type(c, bindings) for c in t.columns))
    return AdtType(t.name, tuple(d.substitute(bindings) for d in t.dims))


def type_symbols(t: Type) -> tuple[str, ...]:
    """The dim names in the type, each once, in order of appearance."""
    return tuple(dict.fromkeys(s for d in type_dims(t) for s in d.symbols()))
