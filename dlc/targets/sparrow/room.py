"""Storage for the time of one statement: behind the present frame in the scratchpad while there is
room, else on the heap, which is given back."""

from __future__ import annotations

from dlc.memory.form import row_major
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import LIMIT, TAG, Int
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType


class Room:
    """Opens with the first `take`; `give_back` ends it."""

    def __init__(self, b: Body) -> None:
        self.b = b
        self.mark = b.c.int()
        self.next = b.c.int()
        self.is_open = False

    def take(self, dtype: DType, shape: tuple[Dim, ...]) -> Window:
        """A dense tensor. Elements of 64 bits go on the heap."""
        size = Dim.const(dtype.bytes)
        for n in shape:
            size = size * n
        at = self.b.c.int()
        with self.b.c.scope():
            self.take_bytes(self.b.dim(size), at, heap=dtype == I64)
        return Window("DRAM", dtype, at, shape, row_major(shape))

    def take_bytes(self, size: Int, at: Int, *, heap: bool = False) -> None:
        """at := the address of so many bytes, a multiple of 64."""
        c = self.b.c
        self._open()
        done, on_heap = c.label(), c.label()
        with c.scope():
            if not heap:
                rounded = c.op("and", c.addi(size, 63), c.number(-64))
                c.move(at, self.next)
                c.branch("blt", self.next, TAG, on_heap)
                c.add(self.next, rounded, self.next)
                c.branch("bge", LIMIT, self.next, done)
            c.place(on_heap)
            c.emit("alloc", d=at.number, a=size.number)
            c.place(done)

    def _open(self) -> None:
        """The mark is taken where all ways come by, so that it is there when it is given back."""
        if self.is_open:
            return
        self.is_open = True
        self.b.c.emit("mark", d=self.mark.number)
        self.b.c.move(self.next, self.b.get_int(self.b.homes.top))

    def give_back(self) -> None:
        if self.is_open:
            self.b.c.emit("release", a=self.mark.number)
