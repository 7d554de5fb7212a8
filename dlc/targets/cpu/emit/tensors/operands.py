"""Operands of tensor operations as addresses: a scalar operand gets a place on the stack, a scalar
result is read from one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from dlc.memory.form import Immediate, Operand, Reg, Tensor, View
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Value
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType


@dataclass(frozen=True)
class Strided:
    """Elements of `dtype` at `address`, with a stride for every axis."""

    dtype: DType
    address: Value
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]

    @property
    def memory(self) -> str:
        return ELEMENTS[self.dtype.name].memory


def source(b: Body, x: Operand | Immediate, dtype: DType) -> Strided:
    """An operand to read; `dtype` is that of a number."""
    if isinstance(x, View):
        return Strided(x.dtype, b.address(x), x.shape, x.strides)
    t = x.type if isinstance(x, Reg) else dtype
    assert isinstance(t, DType)
    at = b.f.alloca(ELEMENTS[t.name].memory, 1, 8)
    convert.store(b.f, t.name, b.scalar(x, t), at)
    return Strided(t, at, (), ())


@contextmanager
def destination(b: Body, s: Tensor, at: int = 0) -> Generator[Strided]:
    """Result `at`, to write; a register is set when the block ends."""
    x = s.outs[at]
    if isinstance(x, View):
        yield Strided(x.dtype, b.address(x), x.shape, x.strides)
        return
    assert isinstance(x.type, DType)
    place = b.f.alloca(ELEMENTS[x.type.name].memory, 1, 8)
    if s.accumulate:
        convert.store(b.f, x.type.name, b.get(x), place)
    yield Strided(x.type, place, (), ())
    b.set(x, convert.load(b.f, x.type.name, place))


def dtype_of(x: Operand | Immediate, default: DType) -> DType:
    """The element type of an operand; `default` for a number."""
    t = x.dtype if isinstance(x, View) else x.type if isinstance(x, Reg) else default
    assert isinstance(t, DType)
    return t


def axis_of(s: Tensor, default: int | None = None) -> int:
    """The attribute `axis`."""
    axis = s.attrs.get("axis", default)
    assert isinstance(axis, int)
    return axis


def dim_of(s: Tensor, name: str) -> Dim:
    """An attribute that is a dim or a number."""
    d = s.attrs[name]
    assert isinstance(d, (Dim, int))
    return Dim.of(d)


def load_index(b: Body, index: View, at: Value, i: Value) -> Value:
    """Element i of dense indices, as an i64."""
    memory = ELEMENTS[index.dtype.name].memory
    return b.f.cast("sext", b.f.load(memory, b.f.gep(memory, at, i)), INDEX)


def view_of(s: Tensor, at: int = 0) -> View:
    """Result `at`, which is a view."""
    x = s.outs[at]
    assert isinstance(x, View), f"{s.op} needs a destination"
    return x


def input_view(s: Tensor, at: int = 0) -> View:
    """Operand `at`, which is a view."""
    x = s.ins[at]
    assert isinstance(x, View), f"{s.op} needs a view"
    return x
