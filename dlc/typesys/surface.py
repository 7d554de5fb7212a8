"""The types of the surface language, as the checker sees them and as a typed tree carries them.

In a typed tree every type is concrete: element types are `DType`, shapes hold only `Dim`, and none
of `DTypeVar`, `Flex`, `ShapeVar`, `ValueVar`, `Text`, `Unknown` occurs. Those exist while a generic
body is checked once for all its instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, F32, I32, I64, DType

DTypeKind: TypeAlias = Literal["float", "int", "number", "any"]
FlexKind: TypeAlias = Literal["int", "dim", "float"]


_FLEX_TEXT: dict[FlexKind, str] = {
    "int": "a whole number",
    "dim": "a dim",
    "float": "a number with a point",
}


@dataclass(frozen=True, slots=True)
class DTypeVar:
    """A generic element type, `T` of `[T: float]`."""

    name: str
    kind: DTypeKind

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Flex:
    """The element type of a literal before it meets another: a whole number fits every number type,
    a number with a point every float type, a dim used as a value every int type."""

    kind: FlexKind

    def __str__(self) -> str:
        return _FLEX_TEXT[self.kind]


@dataclass(frozen=True, slots=True)
class ShapeVar:
    """A run of dims of any length, `*S`."""

    name: str

    def __str__(self) -> str:
        return f"*{self.name}"


Element: TypeAlias = DType | DTypeVar | Flex
Item: TypeAlias = Dim | ShapeVar
Shape: TypeAlias = tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """`dtype[shape]`; rank 0 is a scalar."""

    dtype: Element
    shape: Shape = ()

    @property
    def is_scalar(self) -> bool:
        return not self.shape

    @property
    def rank(self) -> int | None:
        """The number of dims, or None while a `*S` is among them."""
        return None if any(isinstance(d, ShapeVar) for d in self.shape) else len(self.shape)

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The dims of a tensor whose rank is known."""
        out: list[Dim] = []
        for d in self.shape:
            assert isinstance(d, Dim), f"the rank of {self} is not known"
            out.append(d)
        return tuple(out)

    @property
    def concrete(self) -> DType:
        """The element type where it is known to be concrete (always, in a typed tree)."""
        assert isinstance(self.dtype, DType), f"the element type of {self} is open"
        return self.dtype

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]" if self.shape else str(self.dtype)


@dataclass(frozen=True, slots=True)
class Tuple:
    """`(A, B)`: several results; only taken apart."""

    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


@dataclass(frozen=True, slots=True)
class List:
    """`List[T]`: a growing sequence."""

    element: Type

    def __str__(self) -> str:
        return f"List[{self.element}]"


@dataclass(frozen=True, slots=True)
class Option:
    """`Option[T]`: `None | Some(value: T)`."""

    element: Type

    def __str__(self) -> str:
        return f"Option[{self.element}]"


@dataclass(frozen=True, slots=True)
class Adt:
    """An algebraic type at its dims. `name` is qualified by the module, `treelstm.Tree`."""

    name: str
    dims: tuple[Dim, ...] = ()

    def __str__(self) -> str:
        return _applied(short(self.name), self.dims)


@dataclass(frozen=True, slots=True)
class Model:
    """A record type (`model`, or a model imported from ONNX) at its dims. `name` is qualified."""

    name: str
    dims: tuple[Dim, ...] = ()

    def __str__(self) -> str:
        return _applied(short(self.name), self.dims)


@dataclass(frozen=True, slots=True)
class Array:
    """`Array[Block[W], B]`: `count` models of one type and equal dims, stored stacked."""

    element: Model
    count: Dim

    def __str__(self) -> str:
        return f"Array[{self.element}, {self.count}]"


@dataclass(frozen=True, slots=True)
class Graph:
    """`Graph[nodes, arcs]`."""

    nodes: Dim
    arcs: Dim

    def __str__(self) -> str:
        return f"Graph[{self.nodes}, {self.arcs}]"


@dataclass(frozen=True, slots=True)
class Segs:
    """`Segs[rows, items]`: `items` consecutive items cut into `rows` runs."""

    rows: Dim
    items: Dim

    def __str__(self) -> str:
        return f"Segs[{self.rows}, {self.items}]"


@dataclass(frozen=True, slots=True)
class Sparse:
    """`Sparse[f32, N]`: the active units of a vector of `size`, ascending, and their values."""

    dtype: Element
    size: Dim

    def __str__(self) -> str:
        return f"Sparse[{self.dtype}, {self.size}]"


@dataclass(frozen=True, slots=True)
class Rows:
    """`Rows[f32, V, D]`: the tangent of a gathered table, pairs (row, f32[D]); repeated rows are
    merged."""

    dtype: Element
    count: Dim
    width: Dim

    def __str__(self) -> str:
        return f"Rows[{self.dtype}, {self.count}, {self.width}]"


@dataclass(frozen=True, slots=True)
class Key:
    """A random key; spent by being read."""

    def __str__(self) -> str:
        return "Key"


@dataclass(frozen=True, slots=True)
class Keys:
    """The result of `splits(k, n)`: `count` keys, walked by `map` and `for` only."""

    count: Dim

    def __str__(self) -> str:
        return f"Keys[{self.count}]"


@dataclass(frozen=True, slots=True)
class Tangent:
    """`Tangent[M]`. `rows` are the leaves (field paths such as `cell.emb`, `""` for a whole) that
    are stored as `Rows`: an analysis result that the user never sees."""

    of: Type
    rows: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"Tangent[{self.of}]"


@dataclass(frozen=True, slots=True)
class ValueVar:
    """A generic type made of floats, `M` of `[M: value]`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Function:
    """The type of a static function parameter, `fn(f32[D]) -> f32`."""

    params: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        return f"fn({', '.join(map(str, self.params))}) -> {self.result}"


@dataclass(frozen=True, slots=True)
class Const:
    """The type of a `const` parameter: a whole number or a text, known when compiling."""

    def __str__(self) -> str:
        return "const"


@dataclass(frozen=True, slots=True)
class Text:
    """A text literal; only `const` parameters and special forms take one."""

    value: str

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True, slots=True)
class Unit:
    """No value."""

    def __str__(self) -> str:
        return "nothing"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The type of a failed expression; it satisfies everything silently."""

    def __str__(self) -> str:
        return "?"


Type: TypeAlias = (
    Tensor
    | Tuple
    | List
    | Option
    | Adt
    | Model
    | Array
    | Graph
    | Segs
    | Sparse
    | Rows
    | Key
    | Keys
    | Tangent
    | ValueVar
    | Function
    | Const
    | Text
    | Unit
    | Unknown
)

KEY = Key()
UNIT = Unit()
UNKNOWN = Unknown()
BOOL_SCALAR = Tensor(BOOL)
I32_SCALAR = Tensor(I32)
I64_SCALAR = Tensor(I64)
F32_SCALAR = Tensor(F32)


def short(name: str) -> str:
    """A qualified name without its module."""
    return name.rsplit(".", 1)[-1]


def _applied(name: str, dims: tuple[Dim, ...]) -> str:
    return f"{name}[{', '.join(map(str, dims))}]" if dims else name


def parts(t: Type) -> tuple[Type, ...]:
    """The types directly inside a type."""
    if isinstance(t, Tuple):
        return t.items
    if isinstance(t, (List, Option, Array)):
        return (t.element,)
    if isinstance(t, Tangent):
        return (t.of,)
    if isinstance(t, Function):
        return (*t.params, t.result)
    return ()


def own_items(t: Type) -> tuple[Item, ...]:
    """The dims that a type mentions itself, not inside its parts, in order."""
    if isinstance(t, Tensor):
        return t.shape
    if isinstance(t, (Adt, Model)):
        return t.dims
    if isinstance(t, Array):
        return (t.count,)
    if isinstance(t, Graph):
        return (t.nodes, t.arcs)
    if isinstance(t, Segs):
        return (t.rows, t.items)
    if isinstance(t, Sparse):
        return (t.size,)
    if isinstance(t, Rows):
        return (t.count, t.width)
    if isinstance(t, Keys):
        return (t.count,)
    return ()


def items(t: Type) -> Iterator[Item]:
    """Every dim and shape variable in the type, in order."""
    yield from own_items(t)
    for p in parts(t):
        yield from items(p)


def dim_names(*types: Type) -> tuple[str, ...]:
    """The dim names in the types, each once, in order of appearance."""
    seen: dict[str, None] = {}
    for t in types:
        for d in items(t):
            if isinstance(d, Dim):
                seen.update(dict.fromkeys(d.symbols()))
    return tuple(seen)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What becomes of the leaves of a type: each function maps one kind of them."""

    dim: Callable[[Dim], Dim] = lambda d: d
    run: Callable[[ShapeVar], Shape] = lambda s: (s,)
    dtype: Callable[[Element], Element] = lambda e: e
    value: Callable[[ValueVar], Type] = lambda v: v

    def shape(self, shape: Shape) -> Shape:
        out: list[Item] = []
        for d in shape:
            out.extend((self.dim(d),) if isinstance(d, Dim) else self.run(d))
        return tuple(out)

    def __call__(self, t: Type) -> Type:
        if isinstance(t, Tensor):
            return Tensor(self.dtype(t.dtype), self.shape(t.shape))
        if isinstance(t, (Adt, Model)):
            return replace(t, dims=tuple(map(self.dim, t.dims))) if t.dims else t
        if isinstance(t, (Tuple, List, Option, Array, Tangent, Function)):
            return self._inside(t)
        if isinstance(t, Graph):
            return Graph(self.dim(t.nodes), self.dim(t.arcs))
        if isinstance(t, Segs):
            return Segs(self.dim(t.rows), self.dim(t.items))
        if isinstance(t, Sparse):
            return Sparse(self.dtype(t.dtype), self.dim(t.size))
        if isinstance(t, Rows):
            return Rows(self.dtype(t.dtype), self.dim(t.count), self.dim(t.width))
        if isinstance(t, Keys):
            return Keys(self.dim(t.count))
        return self.value(t) if isinstance(t, ValueVar) else t

    def _inside(self, t: Tuple | List | Option | Array | Tangent | Function) -> Type:
        if isinstance(t, Tuple):
            return Tuple(tuple(map(self, t.items)))
        if isinstance(t, List):
            return List(self(t.element))
        if isinstance(t, Option):
            return Option(self(t.element))
        if isinstance(t, Function):
            return Function(tuple(map(self, t.params)), self(t.result))
        if isinstance(t, Tangent):
            return tangent(self(t.of), t.rows)
        element = self(t.element)
        assert isinstance(element, Model)
        return Array(element, self.dim(t.count))


def substitute_dims(t: Type, bindings: Mapping[str, Dim]) -> Type:
    """The type with dim names replaced."""
    if not bindings:
        return t
    return Rewrite(dim=lambda d: d.substitute(bindings))(t)


def tangent(t: Type, rows: tuple[str, ...] = ()) -> Type:
    """`Tangent[t]`, simplified: a float tensor is its own tangent, whole numbers, keys and
    structures have unit, tuples and lists are pointwise, and the tangent of a tangent is itself.
    Records and algebraic types stay `Tangent[…]`."""
    if isinstance(t, Tensor):
        if rows and isinstance(t.dtype, (DType, DTypeVar)) and len(t.shape) == 2:
            count, width = t.dims
            return Rows(t.dtype, count, width)
        discrete = isinstance(t.dtype, DType) and not t.dtype.is_float
        return UNIT if discrete else t
    if isinstance(t, (Key, Keys, Graph, Segs, Unit)):
        return UNIT
    if isinstance(t, (Unknown, Rows)):
        return t
    if isinstance(t, Tuple):
        return Tuple(tuple(map(tangent, t.items)))
    if isinstance(t, (List, Option)):
        inside = tangent(t.element)
        return UNIT if isinstance(inside, Unit) else replace(t, element=inside)
    if isinstance(t, Tangent):
        return t if not rows else Tangent(t.of, rows)
    return Tangent(t, rows)
