"""`Map` and `Scalar`: element-wise programs, over all points of a space or on registers.

The innermost loop runs on whole vectors and ends with one partial vector, so every element is
computed by the same instructions. It is not unrolled: measured, that gains nothing. A row that some
view walks with another stride than 0 and 1 is gathered lane by lane if the program is worth it,
else done point by point.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.diag import InternalError
from dlc.memory.form import Immediate, Lane, Map, MapArg, MapInstr, Reg, Scalar, ScalarArg
from dlc.targets.cpu.emit.body import Body, immediate
from dlc.targets.cpu.emit.nest import ONE, ZERO, Row, emit_nest, plan
from dlc.targets.cpu.emit.scalars import MATH, Bad, emit_element
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.simd import first_lanes, partial_load, partial_store
from dlc.targets.cpu.llvm import ELEMENTS, Value, vector
from dlc.targets.cpu.llvm.types import constant as llvm_constant
from dlc.targets.cpu.llvm.types import lanes_of
from dlc.typesys.dtypes import BOOL, F32, I32, DType

COSTLY = frozenset((*MATH, "div")) - {"floor", "ceil", "trunc", "round", "is_finite"}
"""Operations that are worth gathering strided lanes for."""
MANY = 2
"""Costly operations from which on a program is written once, with masks in every turn."""


def emit_scalar(b: Body, s: Scalar) -> None:
    """One operation on registers; an integer division by 0 is a status."""
    assert isinstance(s.dst.type, DType)
    of = _operand_dtype(s.op, [a.type if isinstance(a, Reg) else a for a in s.args], s.dst.type)

    def bad(zero: Value) -> None:
        b.check(b.f.not_(zero), "div_zero", s.loc, 0, 0, "division by zero")

    xs: list[Value] = []
    for i, a in enumerate(s.args):
        xs.append(b.scalar(a, BOOL if s.op == "select" and i == 0 else of))
    b.set(s.dst, emit_element(b.f, s.op, tuple(xs), of, s.dst.type, s.attrs, bad))


def _operand_dtype(op: str, types: Sequence[object], to: DType) -> DType:
    """The element type that an operation works on: that of its first operand that has one."""
    relevant = types[1:] if op == "select" else types
    for t in relevant:
        if isinstance(t, DType):
            return t
    if op in ("eq", "ne", "lt", "le", "gt", "ge", "is_nan", "is_inf", "is_finite", "convert"):
        first = relevant[0]
        return BOOL if isinstance(first, bool) else I32 if isinstance(first, int) else F32
    return to


# -- maps -----------------------------------------------------------------------------------------


def emit_map(b: Body, s: Map) -> None:
    views = (*s.outs, *s.ins)
    counted = frozenset(
        a.index
        for instr in (*s.body, *_results_as_instr(s))
        for a in instr.args
        if isinstance(a, Lane) and a.kind == "index"
    )
    loops = plan(s.space, views, len(s.outs), counted)
    program = _Program(b, s)
    emit_nest(b, loops, views, program.row)
    program.finish()


def _results_as_instr(s: Map) -> tuple[MapInstr, ...]:
    """The results, as arguments to look through."""
    return (MapInstr("", s.results, F32),)


class _Program:
    """The body of one map, ready to be written for any number of lanes."""

    def __init__(self, b: Body, s: Map) -> None:
        self.b, self.f, self.s = b, b.f, s
        self.scalars = {r: b.get(r) for r in _registers(s)}
        self.temps = tuple(instr.dtype for instr in s.body)
        divides = any(instr.op in ("floordiv", "mod") and instr.dtype.is_int for instr in s.body)
        self.failed: Value | None = b.f.alloca("i1", 1, 8) if divides else None
        if self.failed is not None:
            b.f.store(llvm_constant("i1", False), self.failed)

    def finish(self) -> None:
        """After the loops: a division by zero in any lane is a status."""
        if self.failed is not None:
            bad = self.f.load("i1", self.failed)
            self.b.check(self.f.not_(bad), "div_zero", self.s.loc, 0, 0, "division by zero")

    # -- rows

    def lanes(self, size: int | None) -> int:
        """Lanes of the widest element type in the program, no more than a short row needs."""
        dtypes = [*(v.dtype for v in (*self.s.outs, *self.s.ins)), *self.temps]
        dtypes += [r.type for r in self.scalars if isinstance(r.type, DType)]
        used = [a for instr in self.s.body for a in instr.args if isinstance(a, Lane)]
        if any(a.kind == "index" for a in used):
            dtypes.append(I32)
        widths = [4 if ELEMENTS[d.name].is_half else d.bytes for d in dtypes if d != BOOL]
        lanes = self.f.module.target.lanes(max(widths, default=1))
        while size is not None and lanes > 1 and lanes // 2 >= size:
            lanes //= 2
        return lanes

    def _masks_pay(self) -> bool:
        """Whether to write the program once, with masks in every turn: it is long, and masked loads
        and stores of its types are instructions."""
        views = (*self.s.outs, *self.s.ins)
        return (
            self.f.module.target.masked
            and all(v.dtype.bytes >= 4 for v in views)
            and sum(instr.op in COSTLY for instr in self.s.body) >= MANY
        )

    def row(self, row: Row) -> None:
        """The innermost loop. What a row of no turns points to is not read."""
        if row.size.text.isdigit():
            if int(row.size.text):
                self._row(row, int(row.size.text))
        elif ZERO in row.strides[len(self.s.outs) :]:
            with self.f.when(self.f.icmp("sgt", row.size, 0)):
                self._row(row, None)
        else:
            self._row(row, None)

    def _row(self, row: Row, size: int | None) -> None:
        f = self.f
        lanes = self.lanes(size)
        dense = all(d in (ZERO, ONE) for d in row.strides)
        if not dense and not any(instr.op in COSTLY for instr in self.s.body):
            lanes = 1
        start = f.index(0)
        turn = _Turn(self, row)
        if lanes > 1 and dense and (size is None or size % lanes) and self._masks_pay():
            with f.loop(0, row.size, lanes, name="masked") as loop:
                turn.write(loop.index, lanes, f.sub(row.size, loop.index))
            return
        if lanes > 1 and (size is None or size >= lanes):
            with f.loop(0, f.and_(row.size, -lanes), lanes, name="vector") as loop:
                turn.write(loop.index, lanes, None)
            start = loop.index
        if size is not None and size % lanes == 0 and lanes > 1:
            return
        if lanes > 1 and dense:
            rest = f.sub(row.size, start)
            with f.when(f.icmp("sgt", rest, 0)):
                turn.write(start, lanes, rest)
        else:
            with f.loop(start, row.size, name="tail") as loop:
                turn.write(loop.index, 1, None)


def _registers(s: Map) -> tuple[Reg, ...]:
    args = (*(a for instr in s.body for a in instr.args), *s.results)
    return tuple(dict.fromkeys(a for a in args if isinstance(a, Reg)))


class _Turn:
    """A turn of the innermost loop. What the loop does not change is loaded before it."""

    def __init__(self, program: _Program, row: Row) -> None:
        self.p, self.f, self.s, self.row = program, program.f, program.s, row
        outs = len(self.s.outs)
        self.fixed: dict[int, Value] = {}
        used = {
            a.index
            for args in (*(i.args for i in self.s.body), self.s.results)
            for a in args
            if isinstance(a, Lane) and a.kind == "input"
        }
        self.used = sorted(used)
        for i in self.used:
            if row.strides[outs + i] == ZERO:
                self.fixed[i] = convert.load(
                    self.f, self.s.ins[i].dtype.name, row.addresses[outs + i]
                )

    def write(self, i: Value, lanes: int, count: Value | None) -> None:
        """Compute and store `lanes` points from `i` on, or only the first `count` of them."""
        f, s = self.f, self.s
        inputs = {k: self._input(k, i, lanes, count) for k in self.used}
        temps: list[Value] = []
        for instr in s.body:
            of = _operand_dtype(instr.op, [self._dtype(a) for a in instr.args], instr.dtype)
            xs: list[Value] = []
            for position, a in enumerate(instr.args):
                d = BOOL if instr.op == "select" and position == 0 else of
                xs.append(self._arg(a, d, inputs, temps, i, lanes))
            temps.append(
                emit_element(
                    f, instr.op, tuple(xs), of, instr.dtype, instr.attrs, self._bad(lanes, count)
                )
            )
        for k, (out, r) in enumerate(zip(s.outs, s.results, strict=True)):
            x = self._arg(r, out.dtype, inputs, temps, i, lanes)
            self._store(k, x, i, lanes, count)

    def _bad(self, lanes: int, count: Value | None) -> Bad:
        f, failed = self.f, self.p.failed

        def bad(zero: Value) -> None:
            assert failed is not None
            if count is not None and lanes > 1:
                zero = f.and_(zero, first_lanes(f, count, lanes))
            if lanes > 1:
                zero = f.intrinsic("llvm.vector.reduce.or", "i1", zero, overloads=(zero.type,))
            f.store(f.or_(f.load("i1", failed), zero), failed)

        return bad

    # -- operands

    def _dtype(self, a: MapArg) -> DType | Immediate:
        if isinstance(a, Lane):
            if a.kind == "input":
                return self.s.ins[a.index].dtype
            return self.s.body[a.index].dtype if a.kind == "temp" else I32
        if isinstance(a, Reg):
            assert isinstance(a.type, DType)
            return a.type
        return a

    def _arg(
        self,
        a: MapArg,
        dtype: DType,
        inputs: dict[int, Value],
        temps: Sequence[Value],
        i: Value,
        lanes: int,
    ) -> Value:
        f = self.f
        if isinstance(a, Lane):
            if a.kind == "input":
                return inputs[a.index]
            return temps[a.index] if a.kind == "temp" else self._index(a.index, i, lanes)
        return (
            self._scalar(a, dtype, lanes)
            if not isinstance(a, Reg)
            else f.splat(self.p.scalars[a], lanes)
        )

    def _scalar(self, a: ScalarArg, dtype: DType, lanes: int) -> Value:
        assert not isinstance(a, Reg)
        one = immediate(a, dtype)
        if lanes == 1:
            return one
        return Value(vector(one.type, lanes), f"splat ({one})")

    def _index(self, axis: int, i: Value, lanes: int) -> Value:
        f = self.f
        if axis == self.row.axis:
            first = f.splat(f.cast("trunc", i, "i32"), lanes)
            return f.add(first, f.lane_numbers("i32", lanes)) if lanes > 1 else first
        outer = self.row.indices.get(axis)
        if outer is None:  # an axis of one point
            return llvm_constant(vector("i32", lanes), 0)
        return f.splat(f.cast("trunc", outer, "i32"), lanes)

    # -- memory

    def _input(self, k: int, i: Value, lanes: int, count: Value | None) -> Value:
        f = self.f
        at = len(self.s.outs) + k
        dtype = self.s.ins[k].dtype.name
        d, address = self.row.strides[at], self.row.addresses[at]
        if d == ZERO:
            return f.splat(self.fixed[k], lanes)
        element = ELEMENTS[dtype].memory
        if d == ONE:
            here = f.gep(element, address, i)
            if count is not None:
                return partial_load(f, dtype, here, count, lanes)
            return convert.load(f, dtype, here, lanes)
        stride = self.p.b.dim(d)
        here = f.gep(element, address, f.mul(i, stride))
        if lanes == 1:
            return convert.load(f, dtype, here)
        x = Value(vector(element, lanes), "poison")
        for lane in range(lanes):
            one = f.load(element, f.gep(element, here, f.mul(stride, lane)))
            x = f.insert(x, one, lane)
        return convert.from_memory(f, dtype, x)

    def _store(self, k: int, x: Value, i: Value, lanes: int, count: Value | None) -> None:
        f = self.f
        dtype = self.s.outs[k].dtype.name
        d, address = self.row.strides[k], self.row.addresses[k]
        element = ELEMENTS[dtype].memory
        if lanes_of(x.type) != lanes:
            raise InternalError("a map's result has other lanes", stage="emit")
        if d == ZERO or d == ONE or lanes == 1:
            at = i if d == ONE else f.mul(i, self.p.b.dim(d))
            here = address if d == ZERO else f.gep(element, address, at)
            if count is not None:
                partial_store(f, dtype, x, here, count)
            else:
                convert.store(f, dtype, x, here)
            return
        stride = self.p.b.dim(d)
        raw = convert.to_memory(f, dtype, x)
        here = f.gep(element, address, f.mul(i, stride))
        for lane in range(lanes):
            f.store(f.extract(raw, lane), f.gep(element, here, f.mul(stride, lane)))
