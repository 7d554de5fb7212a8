"""`reduce` over any axes of a view with any strides, and `cumsum`.

Rows that lie dense along a reduced axis are folded by `reduce_rows`, dense kept columns by
`reduce_cols`; what remains are loops around the kernel, which combines with what is there from the
second turn on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from dlc.memory.form import Tensor
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.nest import ONE, ZERO
from dlc.targets.cpu.emit.tensors.axes import Along
from dlc.targets.cpu.emit.tensors.letters import Letter, by_kind
from dlc.targets.cpu.emit.tensors.operands import (
    Strided,
    axis_of,
    destination,
    dtype_of,
    input_view,
    source,
    view_of,
)
from dlc.targets.cpu.kernels import Key, kernel
from dlc.targets.cpu.kernels.reduce import Fold
from dlc.targets.cpu.llvm import ELEMENTS, Value
from dlc.typesys.dtypes import F32

Write = Callable[[Value, Value, Value], None]
"""What a kernel does at the addresses of x and y; the third says whether to combine."""


def emit_reduce(b: Body, s: Tensor) -> None:
    x = source(b, s.ins[0], dtype_of(s.outs[0], F32))
    axes = s.attrs["axes"]
    assert isinstance(axes, tuple)
    with destination(b, s) as y:
        _Reduction(b, str(s.attrs["kind"]), x, y, s.accumulate).emit(frozenset(axes))


class _Reduction:
    def __init__(self, b: Body, kind: str, x: Strided, y: Strided, accumulate: bool) -> None:
        self.b, self.f, self.kind, self.x, self.y = b, b.f, kind, x, y
        self.accumulate = accumulate
        self.fold = Fold(b.f, Key("reduce", x.dtype.name, kind))

    def emit(self, axes: frozenset[object]) -> None:
        groups = by_kind(self._letters(axes))
        kept, reduced = list(groups["left"]), list(groups["summed"])
        if ELEMENTS[self.x.dtype.name].is_half and len(reduced) > 1:
            self._points(kept, reduced)
            return
        row = next((c for c in reduced if c.strides[0] == ONE), None)
        column = next((c for c in kept if c.strides[0] == ONE and c.strides[2] == ONE), None)
        if row is None and column is None and reduced:
            self._points(kept, reduced)
        elif row is not None or column is None:
            self._by_rows(kept, reduced, row)
        else:
            self._by_columns(kept, reduced, column)

    def _letters(self, axes: frozenset[object]) -> list[Letter]:
        """Kept axes in the order of the result, then reduced ones."""
        letters: list[Letter] = []
        at = 0
        for axis, (n, d) in enumerate(zip(self.x.shape, self.x.strides, strict=True)):
            if axis not in axes:
                if n != ONE:
                    strides = (d, ZERO, self.y.strides[at])
                    letters.append(Letter(n, strides, (True, False, True)))
                at += 1
        for axis, (n, d) in enumerate(zip(self.x.shape, self.x.strides, strict=True)):
            if axis in axes and n != ONE:
                letters.append(Letter(n, (d, ZERO, ZERO), (True, False, False)))
        return letters

    def _by_rows(self, kept: list[Letter], reduced: list[Letter], row: Letter | None) -> None:
        """Fold dense rows. Without reduced axes, rows of one element."""
        inner = row or Letter(ONE, (ONE, ZERO, ZERO), (True, False, False))
        if row is not None:
            reduced.remove(row)
        rows = kept.pop() if kept else Letter(ONE, (ZERO, ZERO, ZERO), (True, False, True))
        b, f = self.b, self.f
        n, count = b.dim(inner.size), b.dim(rows.size)
        x_row, y_row = b.dim(rows.strides[0]), b.dim(rows.strides[2])
        function = kernel(f.module, "reduce_rows", self.x.dtype.name, self.kind)

        def write(x: Value, y: Value, add: Value) -> None:
            f.call(function, count, n, x, x_row, y, y_row, add)

        self._around(kept, reduced, [rows], write)

    def _by_columns(self, kept: list[Letter], reduced: list[Letter], column: Letter) -> None:
        kept.remove(column)
        down = reduced.pop() if reduced else Letter(ONE, (ZERO, ZERO, ZERO), (True, False, False))
        b, f = self.b, self.f
        n, count, x_row = b.dim(down.size), b.dim(column.size), b.dim(down.strides[0])
        function = kernel(f.module, "reduce_cols", self.x.dtype.name, self.kind)

        def write(x: Value, y: Value, add: Value) -> None:
            f.call(function, count, n, x, x_row, y, add)

        self._around(kept, reduced, [column], write)

    def _around(
        self, kept: Sequence[Letter], reduced: Sequence[Letter], rest: list[Letter], write: Write
    ) -> None:
        """`write` within loops over the axes that it does not take."""
        b, f = self.b, self.f
        loops = [*kept, *reduced]
        sizes = [b.dim(c.size) for c in loops]
        strides = [(b.dim(c.strides[0]), b.dim(c.strides[2])) for c in loops]
        add = Value("i1", "true" if self.accumulate else "false")
        if reduced and not self.accumulate:
            self._fill_if_empty([*kept, *rest], sizes[len(kept) :])
        x, y = self.x.address, self.y.address
        with ExitStack() as stack:
            for c, n, (x_by, y_by) in zip(loops, sizes, strides, strict=True):
                turn = stack.enter_context(f.loop(0, n, name="axis"))
                x = f.gep(self.x.memory, x, f.mul(turn.index, x_by))
                if c.inside[2]:
                    y = f.gep(self.y.memory, y, f.mul(turn.index, y_by))
                else:
                    add = f.or_(add, f.icmp("ne", turn.index, 0))
            write(x, y, add)

    def _fill_if_empty(self, kept: Sequence[Letter], sizes: Sequence[Value]) -> None:
        """Over no turns the kernel would never run: the result is that of nothing."""
        f = self.f
        empty = Value("i1", "false")
        for n in sizes:
            if not n.text.isdigit() or n.text == "0":
                empty = f.or_(empty, f.icmp("eq", n, 0))
        if empty.text == "false":
            return
        nothing = Letter(ZERO, (ZERO, ZERO, ZERO), (True, False, False))
        with f.when(empty), self.b.region():
            self._points(list(kept), [nothing])

    def _points(self, kept: Sequence[Letter], reduced: Sequence[Letter]) -> None:
        """Point by point, the last reduced axis fastest."""
        b, f, fold = self.b, self.f, self.fold
        sizes = [b.dim(c.size) for c in (*kept, *reduced)]
        strides = [(b.dim(c.strides[0]), b.dim(c.strides[2])) for c in (*kept, *reduced)]
        x, y = self.x.address, self.y.address
        outer = len(kept)

        def total(x: Value, acc: tuple[Value, Value], depth: int) -> tuple[Value, Value]:
            """The fold, and the number of elements folded."""
            if depth == len(sizes):
                return fold.combine(acc[0], fold.load(x)), f.add(acc[1], 1)
            with f.loop(0, sizes[depth], carried=acc, name="fold") as loop:
                at = f.gep(self.x.memory, x, f.mul(loop.index, strides[depth][0]))
                loop.next(*total(at, (loop.carried[0], loop.carried[1]), depth + 1))
            return loop.carried[0], loop.carried[1]

        with ExitStack() as stack:
            for n, (x_by, y_by) in zip(sizes[:outer], strides[:outer], strict=True):
                turn = stack.enter_context(f.loop(0, n, name="kept"))
                x = f.gep(self.x.memory, x, f.mul(turn.index, x_by))
                y = f.gep(self.y.memory, y, f.mul(turn.index, y_by))
            value, count = total(x, (fold.start(), f.index(0)), outer)
            if self.accumulate:
                value = fold.combine(fold.load(y), value)
            else:
                value = f.select(f.icmp("sgt", count, 0), value, fold.of_nothing())
            fold.store(value, y)


def emit_cumsum(b: Body, s: Tensor) -> None:
    x, out = input_view(s), view_of(s)
    along = Along.of(b, x.shape, axis_of(s))
    f = b.f
    function = kernel(f.module, "cumsum", x.dtype.name)
    source_at, to = b.address(x), b.address(out)
    flags = (s.attrs.get("reverse") is True, s.attrs.get("exclusive") is True)
    memory = ELEMENTS[x.dtype.name].memory
    with f.loop(0, along.before, name="before") as loop:
        start = along.start(b, loop.index, f.index(0))
        a, c = f.gep(memory, source_at, start), f.gep(memory, to, start)
        f.call(function, along.n, along.after, a, along.after, 1, c, along.after, 1, *flags)
