"""`Map`: element-wise programs over tensors, operation by operation.

Every operation is one vector instruction over the whole space, or, where there is none (64-bit
integers, shifts), a loop over its elements. What is between operations lies in the scratchpad if
its size is known and small, else on the heap for the time of the statement. Numbers and scalar
registers are views of stride 0 of a cell of the scratchpad.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dlc.diag import InternalError
from dlc.isa.program import Row
from dlc.memory.form import Immediate, Lane, Map, MapArg, MapInstr, Reg, ScalarArg, View, row_major
from dlc.targets.sparrow.axes import Axis, axes_of, loops, shifted, size_of, split
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import ZERO, Flt, Int, Scalar, Ten
from dlc.targets.sparrow.legal import legal, operand_dtype
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.scalars import compute
from dlc.targets.sparrow.vectors import emit_vector, is_vector
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.dtypes import BOOL, F32, I32, I64, DType

CELLS = 1024
"""Bytes at the start of the scratchpad for numbers that repeat."""
SMALL = 1 << 15
"""Bytes of the scratchpad that a statement's temporaries may take."""
CACHED = 56
"""Descriptors that a statement keeps."""


@dataclass(frozen=True)
class Uniform:
    """A number that is the same at every point, at byte `cell`: of CONST if it is known when
    compiling, else of the scratchpad."""

    cell: int
    dtype: DType
    number: Immediate | None = None


@dataclass(frozen=True)
class Held:
    """Temporary storage number `slot`, all of the space."""

    slot: int
    dtype: DType


@dataclass(frozen=True)
class Seen:
    """View `number` of the map (inputs, then outputs)."""

    number: int


@dataclass(frozen=True)
class Count:
    """The position along an inner axis: the counting tensor of that axis."""

    axis: int


@dataclass(frozen=True)
class _Number:
    """A number or scalar register that a loop reads as it is."""

    value: ScalarArg
    dtype: DType


Operand = Uniform | Held | Seen | Count


@dataclass
class _Storage:
    """Where temporaries lie: byte offsets of slots of one size, in SP or from a heap address."""

    space: str
    base: Int
    step: Int | int
    slots: int


@dataclass
class _Plan:
    """A map ready to be written."""

    s: Map
    outer: list[Axis]
    inner: list[Axis]
    slots: list[int]
    direct: Mapping[int, int]
    """Instructions that write right into an output."""
    count: int
    item: int
    uniforms: dict[tuple[object, str], Uniform] = field(
        default_factory=dict[tuple[object, str], Uniform]
    )


def emit_map(b: Body, s: Map) -> None:
    for v in (*s.ins, *s.outs):
        b.unit.check_dtype(v.dtype, s.loc)
    for i in s.body:
        b.unit.check_dtype(i.dtype, s.loc)
    _Writer(b, _plan(_saved(legal(s)))).write()


def _saved(s: Map) -> Map:
    """Results that are inputs, where an output may have been written over them: copied first."""
    body, results = list(s.body), list(s.results)
    for k, (v, r) in enumerate(zip(s.outs, s.results, strict=True)):
        if isinstance(r, Lane) and r.kind == "input" and s.ins[r.index] != v:
            source = s.ins[r.index]
            if any(o.place == source.place for o in s.outs):
                body.append(MapInstr("stop_grad", (r,), v.dtype))
                results[k] = Lane("temp", len(body) - 1)
    return replace(s, body=tuple(body), results=tuple(results))


def _plan(s: Map) -> _Plan:
    views = (*s.ins, *s.outs)
    args = [a for i in s.body for a in i.args] + list(s.results)
    indexed = any(isinstance(a, Lane) and a.kind == "index" for a in args)
    axes = axes_of(s.space, [v.strides for v in views], merge=not indexed)
    wide = any(v.dtype == I64 for v in views) or any(i.dtype == I64 for i in s.body)
    outer, inner = split(axes, 1 if wide else 4)
    direct = _direct(s)
    slots, count = _slots(s, direct)
    return _Plan(s, outer, inner, slots, direct, count, 8 if wide else 4)


def _direct(s: Map) -> dict[int, int]:
    """Temporaries that are written right into an output: nothing reads there any more."""
    found: dict[int, int] = {}
    last = _last_uses(s)
    for k, (v, r) in enumerate(zip(s.outs, s.results, strict=True)):
        if not (isinstance(r, Lane) and r.kind == "temp") or r.index in found:
            continue
        j = r.index
        if s.body[j].dtype != v.dtype or last[j] > len(s.body) or last[j] < len(s.body):
            continue
        later = [a for i in s.body[j + 1 :] for a in i.args] + list(s.results)
        inputs = [s.ins[a.index] for a in later if isinstance(a, Lane) and a.kind == "input"]
        used = any(isinstance(a, Lane) and a == r for i in s.body[j + 1 :] for a in i.args)
        if not used and all(x.place != v.place for x in inputs):
            found[j] = k
    return found


def _last_uses(s: Map) -> list[int]:
    """For every temporary the last instruction that reads it; the number of instructions if it is a
    result."""
    last = list(range(len(s.body)))
    for k, i in enumerate(s.body):
        for a in i.args:
            if isinstance(a, Lane) and a.kind == "temp":
                last[a.index] = k
    for r in s.results:
        if isinstance(r, Lane) and r.kind == "temp":
            last[r.index] = len(s.body)
    return last


def _slots(s: Map, direct: Mapping[int, int]) -> tuple[list[int], int]:
    """A storage slot for every temporary, and how many there are."""
    last = _last_uses(s)
    free: list[int] = []
    count = 0
    slots: list[int] = []
    for k in range(len(s.body)):
        if k in direct:
            slots.append(-1)
        elif free:
            slots.append(free.pop())
        else:
            slots.append(count)
            count += 1
        free += [slots[j] for j in range(k + 1) if last[j] == k and slots[j] >= 0]
    return slots, count


def _bits(a: Immediate, dtype: DType) -> int | None:
    """A number as f32 or i32; None for one of 64 bits, which only loops read."""
    if dtype == I64:
        return None
    if dtype.is_float:
        narrow = np.asarray(a).astype(dtype.numpy).astype(np.float32)
        return int(narrow.view(np.uint32))
    return (int(bool(a)) if dtype.is_bool else int(a)) & 0xFFFFFFFF


class _Writer:
    def __init__(self, b: Body, plan: _Plan) -> None:
        self.b, self.c, self.p, self.s = b, b.c, plan, plan.s
        self.views: tuple[View, ...] = (*plan.s.ins, *plan.s.outs)
        self.counters: tuple[Int, ...] = ()
        self.cache: dict[Operand, Ten] = {}
        self.storage = _Storage("SP", ZERO, 0, 0)
        self.counts: dict[int, int] = {}

    def write(self) -> None:
        room = self._store_room()
        self._uniforms()
        with loops(self.b, self.p.outer) as counters:
            self.counters = counters
            self._outer_positions()
            with self.c.scope():
                self.cache = {}
                for k, i in enumerate(self.s.body):
                    self._instruction(k, i)
                for k, (v, r) in enumerate(zip(self.s.outs, self.s.results, strict=True)):
                    self._result(k, v, r)
        if room is not None:
            room.give_back()

    # -- storage

    def _inner_positions(self) -> list[Axis]:
        return [a for a in self.p.inner if self._position(a.number)]

    def _position(self, axis: int) -> bool:
        args = [a for i in self.s.body for a in i.args] + list(self.s.results)
        return Lane("index", axis) in args

    def _store_room(self) -> Room | None:
        """Room for temporaries and counting tensors; None where a fixed part of the scratchpad
        does."""
        b, c = self.b, self.c
        size = size_of(self.p.inner) * self.p.item
        positions = self._inner_positions()
        if not self.p.count and not positions:
            return None
        lengths = [a.size * 4 for a in positions]
        known = size.is_constant and all(n.is_constant for n in lengths)
        if known and self.p.item == 4:
            step = -(-size.constant // 64) * 64
            total = self.p.count * step + sum(-(-n.constant // 64) * 64 for n in lengths)
            if total <= SMALL:
                self.storage = _Storage("SP", c.number(CELLS), step, self.p.count)
                b.unit.room(0, CELLS + total)
                self._counts(positions, c.number(CELLS + self.p.count * step), "SP")
                return None
        room = Room(b)
        base, step_reg = c.int(), c.int()
        heap = self.p.item == 8
        with c.scope():
            c.op("and", c.addi(b.dim(size), 63), c.number(-64), step_reg)
            room.take_bytes(c.times(step_reg, self.p.count), base, heap=heap)
        self.storage = _Storage("DRAM", base, step_reg, self.p.count)
        for a in positions:
            at = c.int()
            with c.scope():
                room.take_bytes(b.dim(a.size * 4), at)
            self._counts([a], at, "DRAM")
        return room

    def _counts(self, axes: Sequence[Axis], at: Int, space: str) -> None:
        """Tensors 0, 1, 2, … for the axes, one after the other from an address."""
        b, c = self.b, self.c
        for a in axes:
            self.counts[a.number] = at.number
            c.hold(at)
            with c.scope():
                t = b.describe(Window(space, I32, at, (a.size,), (ONE,)))
                c.emit("iota", d=t.number, a=ZERO.number, b=c.number(1).number)
            if len(axes) > 1:
                at = c.addi(at, -(-(a.size * 4).constant // 64) * 64)

    def _temporary(self, h: Held) -> Window:
        c, st = self.c, self.storage
        if isinstance(st.step, int):
            at = c.addi(st.base, h.slot * st.step)
        else:
            at = c.add(st.base, c.times(st.step, h.slot)) if h.slot else st.base
        shape = tuple(a.size for a in self.p.inner)
        return Window(st.space, h.dtype, at, shape, row_major(shape))

    # -- numbers

    def _uniforms(self) -> None:
        """Writes every number and scalar register that repeats to its cell."""
        for i in self.s.body:
            for k, a in enumerate(i.args):
                if not isinstance(a, Lane):
                    self._uniform(a, self._dtype_of(i, k))
        for v, r in zip(self.s.outs, self.s.results, strict=True):
            if not isinstance(r, Lane):
                self._uniform(r, v.dtype)

    def _dtype_of(self, i: MapInstr, k: int) -> DType:
        return BOOL if i.op == "select" and k == 0 else operand_dtype(self.s, self.s.body, i)

    def _uniform(self, a: MapArg, dtype: DType) -> Uniform:
        key = a if isinstance(a, Reg) else repr(a), dtype.name
        found = self.p.uniforms.get(key)
        if found is not None:
            return found
        assert not isinstance(a, Lane)
        if isinstance(a, Reg):
            found = Uniform(self._next_cell(), dtype)
            with self.c.scope():
                self._fill_cell(found, self.b.scalar(a, dtype))
        else:
            bits = _bits(a, dtype)
            found = Uniform(0 if bits is None else self.b.unit.repeated(bits), dtype, a)
        self.p.uniforms[key] = found
        return found

    def _next_cell(self) -> int:
        used = sum(u.number is None for u in self.p.uniforms.values())
        return 4 * used

    def _fill_cell(self, u: Uniform, x: Scalar) -> None:
        """64-bit numbers have no cell: only loops read them."""
        c = self.c
        if u.dtype == I64:
            return
        self.b.unit.room(0, CELLS)
        if u.cell + 4 > CELLS:
            raise InternalError("too many numbers in one map", stage="sparrow", op="map")
        with c.scope():
            if isinstance(x, Flt):
                c.emit("twr", d=self._cell(u.cell, "f32").number, a=0, b=x.number)
            else:
                c.emit("twri", d=self._cell(u.cell, "i32").number, a=0, b=x.number)

    def _cell(self, cell: int, dtype: str) -> Ten:
        t = self.c.ten()
        row = Row("SP", dtype, (), None, cell)
        self.c.emit("td.const", d=t.number, k=self.c.builder.row(row))
        return t

    def _outer_positions(self) -> None:
        """Positions along axes that are looped over are numbers."""
        for axis, i in zip(self.p.outer, self.counters, strict=True):
            if self._position(axis.number):
                key = Lane("index", axis.number), "outer"
                u = self.p.uniforms.get(key) or Uniform(self._next_cell(), I32)
                self.p.uniforms[key] = u
                self._fill_cell(u, i)

    # -- operands

    def _operand(self, a: MapArg, dtype: DType) -> Operand:
        if not isinstance(a, Lane):
            return self._uniform(a, dtype)
        if a.kind == "input":
            return Seen(a.index)
        if a.kind == "temp":
            k = a.index
            if k in self.p.direct:
                return Seen(len(self.s.ins) + self.p.direct[k])
            return Held(self.p.slots[k], self.s.body[k].dtype)
        if a.index in self.counts:
            return Count(a.index)
        return self.p.uniforms[a, "outer"]

    def _window(self, o: Operand) -> Window:
        """Where the operand lies, over the inner axes."""
        zero = tuple(Dim.const(0) for _ in self.p.inner)
        shape = tuple(a.size for a in self.p.inner)
        if isinstance(o, Held):
            return self._temporary(o)
        if isinstance(o, Uniform):
            stored = F32 if o.dtype.is_float else I32
            space = "SP" if o.number is None else "CONST"
            return Window(space, stored, ZERO, shape, zero, o.cell)
        if isinstance(o, Count):
            strides = tuple(ONE if a.number == o.axis else Dim.const(0) for a in self.p.inner)
            return Window(self.storage.space, I32, Int(self.counts[o.axis]), shape, strides)
        w = self.b.window(self.views[o.number])
        return shifted(self.b, w, self.p.outer, self.counters, o.number, self.p.inner)

    def _tensor(self, o: Operand) -> Ten:
        """A descriptor, kept for later instructions while there are enough."""
        found = self.cache.get(o)
        if found is None:
            with self.c.scope():
                found = self.b.describe(self._window(o))
            self.c.hold_tensor(found)
            if len(self.cache) < CACHED:
                self.cache[o] = found
        return found

    # -- operations

    def _instruction(self, k: int, i: MapInstr) -> None:
        of = operand_dtype(self.s, self.s.body, i)
        dst = self._operand(Lane("temp", k), i.dtype)
        args = tuple(self._operand(a, self._dtype_of(i, n)) for n, a in enumerate(i.args))
        self._apply(i.op, dst, args, of, i)

    def _result(self, k: int, v: View, r: MapArg) -> None:
        if isinstance(r, Lane) and r.kind == "temp" and self.p.direct.get(r.index) == k:
            return
        dst: Operand = Seen(len(self.s.ins) + k)
        source = self._operand(r, v.dtype)
        if source != dst:
            copy = MapInstr("stop_grad", (r,), v.dtype)
            self._apply("stop_grad", dst, (source,), v.dtype, copy)

    def _apply(
        self, op: str, dst: Operand, args: tuple[Operand, ...], of: DType, i: MapInstr
    ) -> None:
        if is_vector(op, of, i.dtype):
            with self.c.scope():
                tensors = tuple(self._tensor(a) for a in args)
                emit_vector(self.c, op, self._tensor(dst), tensors, of, i.dtype)
                held = list(self.cache.values())
            for t in held:
                self.c.hold_tensor(t)
            return
        self._loop(op, dst, args, of, i)

    def _loop(
        self, op: str, dst: Operand, args: tuple[Operand, ...], of: DType, i: MapInstr
    ) -> None:
        """One operation, element by element."""
        b, c = self.b, self.c
        with c.scope():
            n = c.int()
            with c.scope():
                c.move(n, b.dim(size_of(self.p.inner)))
            sources = [
                _Number(a, self._dtype_of(i, k)) if not isinstance(a, Lane) else self._access(o)
                for k, (a, o) in enumerate(zip(i.args, args, strict=True))
            ]
            to = self._access(dst)
            with c.count(n) as at:
                values = [self._read(p, at) for p in sources]
                self._write_to(to, at, compute(b, op, values, of, i.dtype, i.attrs))

    def _access(self, o: Operand) -> Window | tuple[Ten, DType]:
        """A descriptor, or the address of 64-bit elements."""
        with self.c.scope():
            w = self._window(o)
            t = self.b.describe(w) if w.is_described else None
        if t is not None:
            return self.c.hold_tensor(t), w.dtype
        self.c.hold(w.address)
        return w

    def _read(self, p: Window | tuple[Ten, DType] | _Number, at: Int) -> Scalar:
        c = self.c
        if isinstance(p, _Number):
            return self.b.scalar(p.value, p.dtype)
        if isinstance(p, tuple):
            t, dtype = p
            if dtype.is_float:
                x = c.flt()
                c.emit("trd", d=x.number, a=t.number, b=at.number)
                return x
            d = c.int()
            c.emit("trdi", d=d.number, a=t.number, b=at.number)
            return d
        d = c.int()
        with c.scope():
            c.emit("ld", d=d.number, a=self._element(p, at).number, k=0)
        return d

    def _element(self, w: Window, at: Int) -> Int:
        """Byte address of an element of a window of at most one axis."""
        c = self.c
        step = (w.strides[0] if w.strides else Dim.const(0)) * 8
        by = c.times(at, step.constant) if step.is_constant else c.mul(at, self.b.dim(step))
        return c.add(w.address, by)

    def _write_to(self, p: Window | tuple[Ten, DType], at: Int, y: Scalar) -> None:
        c = self.c
        if isinstance(p, tuple):
            t, dtype = p
            c.emit("twr" if dtype.is_float else "twri", d=t.number, a=at.number, b=y.number)
            return
        with c.scope():
            self.b.store_at(I64, self._element(p, at), y)
