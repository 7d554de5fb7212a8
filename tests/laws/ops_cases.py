"""Random uses of every operation: operands, attributes, sizes. The laws, and tests of targets,
start here.

`case(name, seed, dtype)` is one use; the same arguments give the same use. Sizes are partly numbers
and partly names, some of them 0 or 1. With `smooth`, operands keep away from kinks (distinct
elements, off whole numbers)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlc.ir.core import Attr, Module
from dlc.ops.build import Builder, DimNames
from dlc.ops.elementwise import Elementwise
from dlc.ops.registry import CARDS
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DTYPES, F32, F64, I32, I64, DType
from dlc.typesys.types import TensorType, Type


@dataclass
class Case:
    """One use of an operation: types with dims, their values, attributes, operands."""

    name: str
    types: list[TensorType] = field(default_factory=list)
    args: list[Any] = field(default_factory=list)
    attrs: dict[str, Attr] = field(default_factory=dict)
    declared: tuple[Type, ...] = ()
    env: dict[str, int] = field(default_factory=dict)

    def module(self) -> Module:
        """`fn @f` that is the operation."""
        b = Builder(names=DimNames(self.env)).nested(self.types)
        op = b.emit_op(self.name, b.params, self.attrs, self.declared)
        dims = tuple(map(Dim.sym, op.dims))
        types = tuple(v.type for v in op.results)
        body = b.return_(*op.results, dims=dims)
        fn = b.function("f", tuple(self.env), body, result_types=types, result_dims=op.dims)
        if op.dims:
            # The function's own hidden dims need names of their own.
            fresh = tuple(f"{d}.out" for d in op.dims)
            bind = {d: Dim.sym(n) for d, n in zip(op.dims, fresh, strict=True)}
            from dlc.typesys.types import substitute_type

            types = tuple(substitute_type(t, bind) for t in types)
            fn = b.function("f", tuple(self.env), body, result_types=types, result_dims=fresh)
        return Module.of({}, {"f": fn})


class Draw:
    """Draws dims and tensors of one case."""

    def __init__(self, seed: int, dtype: DType, smooth: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype, self.smooth = dtype, smooth
        self.env: dict[str, int] = {}
        self.case: Case | None = None

    def pick(self, items: Sequence[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def flag(self) -> bool:
        return bool(self.rng.integers(2))

    def dim(self, least: int = 0) -> Dim:
        """A size from 0 (or `least`) to 5, as a number or a name."""
        n = least + int(self.pick([0, 1, 1, 2, 2, 3, 4, 5]))
        return self.named(n) if self.flag() else Dim.const(n)

    def named(self, n: int) -> Dim:
        name = f"N{len(self.env)}"
        self.env[name] = n
        return Dim.sym(name)

    def shape(self, rank: int | None = None, least: int = 0) -> list[Dim]:
        rank = int(self.rng.integers(0, 4)) if rank is None else rank
        return [self.dim(least) for _ in range(rank)]

    def sizes(self, shape: Sequence[Dim]) -> tuple[int, ...]:
        return tuple(d.evaluate(self.env) for d in shape)

    def size(self, d: Dim) -> int:
        return d.evaluate(self.env)

    # -- tensors: (type, value)

    def tensor(
        self, shape: Sequence[Dim], low: float = -2.0, high: float = 2.0, dtype: DType | None = None
    ) -> tuple[TensorType, Any]:
        d = dtype or self.dtype
        sizes = self.sizes(shape)
        if d.is_bool:
            v = self.rng.integers(0, 2, sizes).astype(bool)
        elif d.is_int:
            v = self.rng.integers(0 if not d.signed else -9, 10, sizes).astype(d.numpy)
        else:
            v = self.rng.uniform(low, high, sizes).astype(d.numpy)
        return TensorType(d, tuple(shape)), v

    def distinct(self, shape: Sequence[Dim]) -> tuple[TensorType, Any]:
        """Elements in random order; far apart for smooth cases, with repeats otherwise."""
        if not self.smooth or not self.dtype.is_float:
            t, v = self.tensor(shape)
            return t, np.round(v) if self.dtype.is_float and self.dtype.bits > 16 else v
        sizes = self.sizes(shape)
        n = int(np.prod(sizes))
        v = (self.rng.permutation(n) - n / 2 + 0.25) * 0.37
        return TensorType(self.dtype, tuple(shape)), v.reshape(sizes).astype(self.dtype.numpy)

    def index(self, shape: Sequence[Dim], bound: int, dtype: DType = I32) -> tuple[TensorType, Any]:
        v = self.rng.integers(0, max(bound, 1), self.sizes(shape)).astype(dtype.numpy)
        return TensorType(dtype, tuple(shape)), v

    def starts(self, rows: Dim, items: int) -> tuple[TensorType, Any]:
        cuts = np.sort(self.rng.integers(0, items + 1, max(self.size(rows) - 1, 0)))
        v = np.concatenate([[0], cuts, [items]])[: self.size(rows) + 1].astype(np.int32)
        if self.size(rows) == 0:
            v = np.zeros(1, np.int32)
        return TensorType(I32, (rows + 1,)), v

    def index_dtype(self) -> DType:
        return self.pick([I32, I32, I64])


Maker = Callable[[Draw], Case]
MAKERS: dict[str, Maker] = {}


def maker(*names: str) -> Callable[[Callable[[Draw, str], Case]], Callable[[Draw, str], Case]]:
    """Registers how uses of these operations are drawn."""

    def register(f: Callable[[Draw, str], Case]) -> Callable[[Draw, str], Case]:
        for n in names:
            MAKERS[n] = lambda d, n=n: f(d, n)
        return f

    return register


def use(
    d: Draw, name: str, operands: Sequence[tuple[TensorType, Any]], *declared: Type, **attrs: Attr
) -> Case:
    """The case of these (type, value) pairs."""
    types, args = [t for t, _ in operands], [v for _, v in operands]
    return Case(name, types, args, attrs, declared, dict(d.env))


def case(name: str, seed: int, dtype: DType = F64, *, smooth: bool = False) -> Case:
    """One use of the operation, at operands of the element type where there is a choice."""
    return MAKERS[name](Draw(zlib.crc32(f"{name} {seed} {dtype}".encode()), dtype, smooth))


def dtypes_of(name: str) -> list[DType]:
    """The element types that the operation's tensors of free type may have."""
    card = CARDS[name]
    if isinstance(card, Elementwise):
        return [d for d in DTYPES.values() if card.accepts(d)]
    floats = [d for d in DTYPES.values() if d.is_float]
    if name in FLOAT_ONLY:
        return floats
    if name in ANY_TYPE:
        return list(DTYPES.values())
    if name in NUMBERS:
        return [d for d in DTYPES.values() if d.is_number]
    return [F32]


FLOAT_ONLY = ("conv", "conv_input_grad", "conv_weight_grad")
ANY_TYPE = (
    "const", "undef", "select", "convert", "stop_grad", "broadcast", "reshape", "transpose",
    "reverse", "retype", "concat", "slice", "index", "insert", "insert_slice", "take", "take_along",
    "scatter", "reduce", "segment_reduce",
)  # fmt: skip
NUMBERS = (
    "iota", "dim", "bitcast", "add_along", "scatter_add", "scatter_max", "scatter_min", "argmax",
    "argmin", "cumsum", "sort", "top_k", "searchsorted", "contract", "pool", "pool_grad",
)  # fmt: skip
