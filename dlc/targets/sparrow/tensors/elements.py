"""Single elements of tensors, by their number in row-major order: for operations that walk."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dlc.diag import InternalError
from dlc.memory.form import Immediate, Operand, Reg, View, row_major
from dlc.targets.sparrow.axes import axes_of, is_negative
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import ZERO, Int, Scalar, Ten
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.dtypes import DType


class Elements:
    """The elements of a view: reads and writes by row-major number.

    A register stands for a tensor of one element."""

    def __init__(
        self, b: Body, x: Operand | Immediate | Window, dtype: DType | None = None
    ) -> None:
        self.b = b
        self.scalar: Reg | Immediate | None = None
        self.tensor: Ten | None = None
        self.address = ZERO
        self.step = Dim.const(1)
        if isinstance(x, (View, Window)):
            self.dtype = x.dtype
            with b.c.scope():
                self._reach(b.window(x) if isinstance(x, View) else x)
            self._hold()
            return
        own = x.type if isinstance(x, Reg) else dtype
        assert isinstance(own, DType)
        self.dtype, self.scalar = own, x

    def _reach(self, w: Window) -> None:
        axes = axes_of(w.shape, [w.strides])
        if len(axes) > 4 or any(is_negative(a.strides[0]) for a in axes):
            raise InternalError("elements of a view that no descriptor names", stage="sparrow")
        shape = tuple(a.size for a in axes)
        flat = Window(w.space, w.dtype, w.address, shape, tuple(a.strides[0] for a in axes))
        if w.is_described:
            self.tensor = self.b.describe(flat)
            return
        if len(axes) > 1:
            raise InternalError("64-bit elements of a strided view", stage="sparrow")
        self.address = w.address
        self.step = axes[0].strides[0] if axes else ONE

    def _hold(self) -> None:
        if self.tensor is not None:
            self.b.c.hold_tensor(self.tensor)
        else:
            self.b.c.hold(self.address)

    @staticmethod
    def of(b: Body, make: Callable[[], Window]) -> Elements:
        """The elements of a window whose address nobody else needs."""
        with b.c.scope():
            made = Elements(b, make())
        made._hold()
        return made

    def read(self, i: Int) -> Scalar:
        """Element i."""
        b, c = self.b, self.b.c
        if self.scalar is not None:
            return b.scalar(self.scalar, self.dtype)
        if self.tensor is None:
            return b.load_at(self.dtype, self._at(i))
        if self.dtype.is_float:
            x = c.flt()
            c.emit("trd", d=x.number, a=self.tensor.number, b=i.number)
            return x
        d = c.int()
        c.emit("trdi", d=d.number, a=self.tensor.number, b=i.number)
        return d

    def read_int(self, i: Int) -> Int:
        x = self.read(i)
        assert isinstance(x, Int)
        return x

    def write(self, i: Int, x: Scalar) -> None:
        """Element i := x."""
        b, c = self.b, self.b.c
        if isinstance(self.scalar, Reg):
            b.put(self.scalar, x)
        elif self.tensor is None:
            b.store_at(self.dtype, self._at(i), x)
        else:
            name = "twr" if self.dtype.is_float else "twri"
            c.emit(name, d=self.tensor.number, a=i.number, b=x.number)

    def _at(self, i: Int) -> Int:
        c = self.b.c
        step = self.step * self.dtype.bytes
        by = c.times(i, step.constant) if step.is_constant else c.mul(i, self.b.dim(step))
        return c.add(self.address, by)


def product(shape: Sequence[Dim]) -> Dim:
    n = ONE
    for d in shape:
        n = n * d
    return n


def around(shape: Sequence[Dim], axis: int) -> tuple[Dim, Dim, Dim]:
    """(elements before the axis, its size, elements behind it): row-major number
    `(p * size + i) * behind + q`."""
    return product(shape[:axis]), shape[axis], product(shape[axis + 1 :])


def dense(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    return row_major(shape)
