"""Runs the form over simulated memory: the oracle for mistakes in placing values.

Everything that the form leaves open is made as bad as it may be: frames, fresh and released heap
storage and destinations are poisoned, and an operation's operands are read after its destination
has been poisoned, so that any forbidden sharing of bytes shows in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.ir.core import NOWHERE, Attr, Loc, Op, Value, freeze_attrs
from dlc.memory import form as f
from dlc.memory.frame import field_offset, statements
from dlc.memory.image import Memory, closed, get_value, layout, put_value, sizes
from dlc.memory.need import header_bytes
from dlc.ops.card import Run, RunError, Trait
from dlc.ops.registry import card_of
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType, dtype_of_numpy
from dlc.typesys.types import ListType, TensorType, Type


@dataclass(frozen=True)
class Outcome:
    """Results in the IR's order; the most bytes of the arena that were in use at once, without
    those of the arguments; and these."""

    results: tuple[Any, ...]
    peak: int
    given: int


def interpret(
    m: f.BModule,
    name: str,
    args: list[Any],
    dims: Mapping[str, int],
    *,
    arena: int = 1 << 20,
    fuel: int = 1_000_000,
) -> Outcome:
    """The results of a function for arguments as the evaluator holds them.

    Raises RunError as the evaluator does; InternalError if the form is wrong: a register is read
    before it is written, a guard or an argument has been overwritten."""
    fn = m.functions[name]
    env = dict(dims)
    given = sum(64 + _bytes(p.type, env) for p in fn.params)
    given += sum(64 + s.value.nbytes for s in _data(m)) + 64 * 256
    machine = _Machine(m, Memory(given, arena, m.types), fuel)
    return machine.entry(fn, args, env)


def _data(m: f.BModule) -> list[f.Data]:
    return [s for fn in m.functions.values() for s in statements(fn.body) if isinstance(s, f.Data)]


def _bytes(t: Type, env: Mapping[str, int]) -> int:
    return t.dtype.bytes * t.size.evaluate(env) if isinstance(t, TensorType) else 0


class _Machine:
    def __init__(self, m: f.BModule, memory: Memory, fuel: int) -> None:
        self.m, self.memory, self.fuel = m, memory, fuel
        self.headers = header_bytes(m)
        self.data = {s: self._constant(s) for s in _data(m)}

    def _constant(self, s: f.Data) -> int:
        at = self.memory.given(s.value.nbytes)
        self.memory.array(at, s.dtype, s.value.shape)[...] = s.value
        return at

    def entry(self, fn: f.BFunction, args: list[Any], env: dict[str, int]) -> Outcome:
        """A call from outside: arguments into memory, results out of it."""
        memory, values = self.memory, iter(args)
        given: list[Any] = []
        kept: list[tuple[int, int, bytes]] = []
        for p in fn.params:
            t = closed(p.type, env)
            if not isinstance(t, TensorType):
                given.append(put_value(memory, next(values), t))
            elif not t.rank:
                given.append(next(values))
            else:
                size = _bytes(t, {})
                at = memory.given(size)
                if p.mode != "out":
                    memory.array(at, t.dtype, sizes(t.shape, {}))[...] = next(values)
                if p.mode == "in":
                    kept.append((at, size, memory.bytes[at : at + size].tobytes()))
                given.append(at)
        frame = _Frame(self, fn, memory.arena, env)
        taken = memory.end - memory.heap
        memory.peak = taken
        found = frame.run(given)
        for at, size, before in kept:
            if memory.bytes[at : at + size].tobytes() != before:
                raise InternalError(f"@{fn.name} writes to an argument", stage="memory")
        if not memory.guards_hold():
            raise InternalError(f"@{fn.name} writes outside its storage", stage="memory")
        places = dict(zip((p.reg for p in fn.params), given, strict=True))
        places.update(zip(fn.results, found, strict=True))
        types = {p.reg: p.type for p in fn.params}
        types.update(zip(fn.results, fn.result_types, strict=True))
        found_dims = (d.evaluate(frame.env) for d in fn.result_dims)
        hidden = dict(zip(fn.result_names, found_dims, strict=True))
        return Outcome(
            tuple(self.result(places[r], types[r], env | hidden) for r in fn.returns),
            memory.peak - taken,
            taken,
        )

    def result(self, x: Any, t: Type, env: Mapping[str, int]) -> Any:
        if isinstance(t, TensorType) and not t.rank:
            return x
        return get_value(self.memory, x, closed(t, env))


class _Frame:
    """One call of a function."""

    def __init__(self, machine: _Machine, fn: f.BFunction, base: int, env: dict[str, int]) -> None:
        self.machine, self.memory, self.fn, self.base = machine, machine.memory, fn, base
        self.env = env
        self.regs: dict[f.Reg, Any] = {}
        self.header = machine.headers[fn.name]
        self.slots = [base + self.header + s.offset.evaluate(env) for s in fn.slots]
        self.dims: dict[Dim, int] = {}

    def run(self, given: list[Any]) -> list[Any]:
        """The registers of the results."""
        size = self.header + self.fn.frame.evaluate(self.env)
        self.memory.raise_top(self.base + size)
        self.memory.poison(self.base, size)
        for p, x in zip(self.fn.params, given, strict=True):
            self.regs[p.reg] = x
            if p.mode == "out":
                self.memory.poison(x, _bytes(p.type, self.env))
        self.block(self.fn.body)
        return [self.get(r) for r in self.fn.results]

    def block(self, b: f.Block) -> None:
        for s in b:
            self.machine.fuel -= 1
            if self.machine.fuel < 0:
                raise RunError("fuel", "the interpreter's fuel is used up")
            try:
                _RULES[type(s)](self, s)
            except RunError as e:
                loc: Loc = getattr(s, "loc", NOWHERE)
                if e.loc == NOWHERE:
                    e.loc = loc
                raise

    # -- operands

    def get(self, r: f.Reg) -> Any:
        if r not in self.regs:
            raise InternalError(
                f"@{self.fn.name}: register {r.hint}: {r.type} is read before it is written",
                stage="memory",
            )
        return self.regs[r]

    def put(self, r: f.Reg, x: Any) -> None:
        self.regs[r] = x if isinstance(r.type, str) else np.asarray(x).astype(r.type.numpy)[()]

    def scalar(self, x: f.ScalarArg) -> Any:
        return self.get(x) if isinstance(x, f.Reg) else x

    def dim(self, d: Dim) -> int:
        return d.evaluate(self.env)

    def address(self, v: f.View) -> int:
        at = self.slots[v.place.index] if isinstance(v.place, f.Slot) else self.get(v.place)
        offset = self.dim(v.base) + sum(int(self.get(r)) * self.dim(d) for r, d in v.terms)
        return at + offset * v.dtype.bytes

    def array(self, v: f.View) -> np.ndarray[Any, Any]:
        shape, strides = sizes(v.shape, self.env), sizes(v.strides, self.env)
        if 0 in shape:
            return np.zeros(shape, v.dtype.numpy)
        return self.memory.array(self.address(v), v.dtype, shape, strides)

    def type_of(self, x: f.Operand | f.Immediate, like: DType) -> TensorType:
        if isinstance(x, f.View):
            return TensorType(x.dtype, tuple(Dim.const(n) for n in sizes(x.shape, self.env)))
        if isinstance(x, f.Reg):
            assert isinstance(x.type, DType)
            return TensorType(x.type)
        return TensorType(like)

    # -- registers

    def const(self, s: f.Const) -> None:
        self.put(s.dst, s.value)

    def data(self, s: f.Data) -> None:
        self.put(s.dst, self.machine.data[s])

    def move(self, s: f.Move) -> None:
        self.put(s.dst, self.get(s.src))

    def dim_value(self, s: f.DimValue) -> None:
        self.put(s.dst, np.int64(self.dim(s.dim)))

    def bind_dim(self, s: f.BindDim) -> None:
        n = int(self.get(s.src))
        if n < 0:
            raise RunError("shape", f"the dim {s.name} is negative", n, 0)
        self.env[s.name] = n

    def scalar_op(self, s: f.Scalar) -> None:
        assert isinstance(s.dst.type, DType)
        known = [a.type for a in s.args if isinstance(a, f.Reg) and isinstance(a.type, DType)]
        like = next((t for t in known if not t.is_bool), s.dst.type)
        (y,) = self.evaluate(s.op, s.args, [TensorType(s.dst.type)], s.attrs, like, s.loc)
        self.put(s.dst, y)

    def address_of(self, s: f.Address) -> None:
        self.put(s.dst, self.address(s.view))

    def load(self, s: f.Load) -> None:
        self.put(s.dst, self.array(s.view)[()])

    def store(self, s: f.Store) -> None:
        self.memory.store(self.address(s.view), s.view.dtype, self.scalar(s.src))

    # -- tensors

    def evaluate(
        self,
        op: str,
        args: tuple[Any, ...],
        results: list[TensorType],
        attrs: Mapping[str, Attr],
        like: DType,
        loc: Loc,
        names: tuple[str, ...] = (),
    ) -> tuple[Any, ...]:
        """The card's results; operands are views, registers or numbers of the type `like`."""
        operands: list[Value] = []
        values: list[Any] = []
        for a in args:
            t = self.type_of(a, like)
            operands.append(Value(t))
            if isinstance(a, f.View):
                values.append(np.array(self.array(a))[()])
            elif isinstance(a, f.Reg):
                values.append(self.get(a))
            else:
                values.append(np.asarray(a).astype(t.dtype.numpy)[()])
        outs = tuple(map(Value, results))
        node = Op(op, tuple(operands), outs, freeze_attrs(dict(attrs)), (), names, loc)
        run = Run(node, self.env)
        with np.errstate(all="ignore"):
            out = card_of(op).evaluate(run, *values)
        self.env.update(run.bound)
        return out

    def tensor(self, s: f.Tensor) -> None:
        if s.op == "fill":
            (to,), (x,) = s.outs, s.ins
            assert isinstance(to, f.View) and not isinstance(x, f.View)
            self.array(to)[...] = self.scalar(x)
            return
        keeps = s.accumulate or (s.op not in ("copy",) and _updates(s.op))
        old = [np.array(self.array(o)) for o in s.outs if isinstance(o, f.View)] if keeps else []
        for o in (*(() if keeps else s.outs), *s.scratch):
            if isinstance(o, f.View):
                self._poison(o)
        if s.op == "copy":
            (to,), (source,) = s.outs, s.ins
            assert isinstance(to, f.View) and isinstance(source, f.View)
            self.array(to)[...] = np.array(self.array(source))
            return
        self._general(s, old)

    def _poison(self, v: f.View) -> None:
        a = self.array(v)
        a[...] = np.frombuffer(b"\xff" * v.dtype.bytes, v.dtype.numpy)[0]

    def _general(self, s: f.Tensor, old: list[Any]) -> None:
        types = [
            TensorType(o.dtype, self._result_shape(s, o))
            if isinstance(o, f.View)
            else TensorType(o.type if isinstance(o.type, DType) else I64)
            for o in s.outs
        ]
        like = types[0].dtype if types else I64
        args: tuple[Any, ...] = s.ins
        if old and not s.accumulate:
            base = s.outs[0]
            args = (base, *args)
        ys = self.evaluate(s.op, args, types, s.attrs, like, s.loc, s.dims)
        for o, y in zip(s.outs, ys, strict=True):
            if isinstance(o, f.Reg):
                self.put(o, y)
            elif s.accumulate:
                self.array(o)[...] = (old[0] + y).astype(o.dtype.numpy)
            elif s.dims:
                self.array(o)[: len(y)] = y
            else:
                self.array(o)[...] = y

    def _result_shape(self, s: f.Tensor, o: f.View) -> tuple[Dim, ...]:
        if s.dims:
            return tuple(map(Dim.sym, s.dims))
        return tuple(Dim.const(n) for n in sizes(o.shape, self.env))

    def map(self, s: f.Map) -> None:
        """Points are independent, so they are all done at once; destinations that are not exactly
        an operand are poisoned first."""
        for o in s.outs:
            if o not in s.ins:
                self._poison(o)
        space = sizes(s.space, self.env)
        ins = [np.array(self.array(v)) for v in s.ins]
        temps: list[Any] = []

        def lane(a: f.MapArg, like: DType) -> Any:
            if isinstance(a, f.Lane):
                if a.kind == "index":
                    shape = [1] * len(space)
                    shape[a.index] = space[a.index]
                    counted = np.arange(space[a.index], dtype=np.int32).reshape(shape)
                    return np.broadcast_to(counted, space)
                return (ins if a.kind == "input" else temps)[a.index]
            x = np.asarray(self.scalar(a))
            x = x if isinstance(a, f.Reg) else x.astype(like.numpy)
            return np.broadcast_to(x, space)

        for i in s.body:
            like = _lane_type(s, i)
            temps.append(self._instruction(i, [lane(a, like) for a in i.args], s.loc))
        for o, r in zip(s.outs, s.results, strict=True):
            self.array(o)[...] = lane(r, o.dtype)

    def _instruction(self, i: f.MapInstr, args: list[Any], loc: Loc) -> Any:
        shape = tuple(Dim.const(n) for n in args[0].shape)
        operands = tuple(Value(TensorType(_dtype_of(a), shape)) for a in args)
        out = Value(TensorType(i.dtype, shape))
        node = Op(i.op, operands, (out,), freeze_attrs(dict(i.attrs)), (), (), loc)
        with np.errstate(all="ignore"):
            (y,) = card_of(i.op).evaluate(Run(node, self.env), *args)
        return np.asarray(y)

    # -- checks and storage

    def check_index(self, s: f.CheckIndex) -> None:
        i = int(self.get(s.index))
        n = int(self.get(s.bound)) if isinstance(s.bound, f.Reg) else self.dim(s.bound)
        if not 0 <= i < n:
            raise RunError("bounds", f"index {i} of {n} rows", i, n)

    def check_dims(self, s: f.CheckDims) -> None:
        left, right = self.dim(s.left), self.dim(s.right)
        if left != right:
            raise RunError("shape", s.message, left, right)

    def check(self, s: f.Assert) -> None:
        if not self.get(s.condition):
            raise RunError("assert", s.message)

    def alloc(self, s: f.Alloc) -> None:
        self.put(s.dst, self.memory.allocate(max(1, self.dim(s.size) * s.dtype.bytes)))

    def mark(self, s: f.Mark) -> None:
        self.put(s.dst, self.memory.heap)

    def release(self, s: f.Release) -> None:
        self.memory.release(int(self.get(s.mark)))

    # -- records and lists

    def variant(self, s: f.Variant) -> None:
        decl = self.machine.m.types[s.type]
        c = decl.constructor(s.constructor)
        at = self.memory.record(decl, c, sizes(s.dims, self.env))
        for i, (x, field) in enumerate(zip(s.fields, c.fields, strict=True)):
            to, t = at + field_offset(c, i), field.type
            if isinstance(t, TensorType) and not t.rank:
                self.memory.store(to, t.dtype, self.scalar(x))
            else:
                self.memory.set_cell(to, self.scalar(x))
        self.put(s.dst, at)

    def list_layout(self, t: ListType) -> tuple[list[int], int]:
        c = closed(t, self.env)
        assert isinstance(c, ListType)
        return layout(c)

    def list_new(self, s: f.ListNew) -> None:
        if s.reuse:
            self.memory.clear(self.get(s.dst), self.list_layout(s.type)[1])
        else:
            self.put(s.dst, self.memory.new_list())

    def list_push(self, s: f.ListPush) -> None:
        offsets, size = self.list_layout(s.type)
        at = self.memory.push(self.get(s.list), size)
        for r, o in zip(s.columns, offsets, strict=True):
            self.put(r, at + o)

    def list_at(self, s: f.ListAt) -> None:
        offsets, size = self.list_layout(s.type)
        at = self.memory.element(self.get(s.list), int(self.get(s.index)), size)
        for r, o in zip(s.columns, offsets, strict=True):
            self.put(r, at + o)

    def list_len(self, s: f.ListLen) -> None:
        self.put(s.dst, self.memory.list_length(self.get(s.list)))

    def list_drop(self, s: f.ListDrop) -> None:
        self.memory.drop(self.get(s.list))

    def list_copy(self, s: f.ListCopy) -> None:
        _, size = self.list_layout(s.type)
        if not s.reuse:
            self.put(s.dst, self.memory.copy_list(self.get(s.src), size))
        elif s.dst is not s.src:
            self.memory.clear(self.get(s.dst), size)
            self.memory.append(self.get(s.dst), self.get(s.src), size)

    # -- control

    def branch(self, s: f.If) -> None:
        self.block(s.then if self.get(s.condition) else s.otherwise)

    def switch(self, s: f.Switch) -> None:
        decl, at = self.machine.m.types[s.type], self.get(s.value)
        c = decl.constructors[self.memory.cell(at)]
        case = next(x for x in s.cases if x.constructor in (c.name, None))
        if case.constructor is not None:
            self.env.update(
                (d, self.memory.cell(at + 8 * (1 + k))) for k, d in enumerate(case.dims)
            )
            for i, (r, field) in enumerate(zip(case.payload, c.fields, strict=True)):
                cell, t = at + field_offset(c, i), field.type
                if isinstance(t, TensorType) and not t.rank:
                    self.put(r, self.memory.load(cell, t.dtype))
                else:
                    self.put(r, self.memory.cell(cell))
        self.block(case.body)

    def counted(self, s: f.For) -> None:
        lo, hi = int(self.scalar(s.lo)), int(self.scalar(s.hi))
        for i in range(hi - 1, lo - 1, -1) if s.reverse else range(lo, hi):
            self.put(s.index, i)
            self.block(s.body)
            if s.go is not None and not self.get(s.go):
                break

    def loop(self, s: f.Loop) -> None:
        while True:
            self.block(s.body)
            if not self.get(s.go):
                break

    def call(self, s: f.Call) -> None:
        callee = self.machine.m.functions[s.function]
        env = {d: self.dim(n) for d, n in zip(callee.dims, s.dims, strict=True)}
        args: list[Any] = []
        for a in s.args:
            if isinstance(a, f.View):
                if not a.is_contiguous:
                    raise InternalError("a strided argument", stage="memory", op="call")
                args.append(self.address(a))
            else:
                args.append(self.scalar(a))
        args += [self.address(v) for v in s.outs]
        given = _typed_arguments(callee, args)
        top = self.memory.top
        base = self.base + self.header + self.dim(s.keep)
        frame = _Frame(self.machine, callee, base, env)
        found = frame.run(given)
        for r, x in zip(s.results, found, strict=True):
            self.put(r, x)
        for name, d in zip(s.defines, callee.result_dims, strict=True):
            self.env[name] = d.evaluate(frame.env)
        self.memory.raise_top(top)


def _typed_arguments(callee: f.BFunction, args: list[Any]) -> list[Any]:
    out: list[Any] = []
    for p, x in zip(callee.params, args, strict=True):
        t = p.reg.type
        out.append(np.asarray(x).astype(t.numpy)[()] if isinstance(t, DType) else x)
    return out


def _updates(op: str) -> bool:
    return Trait.UPDATE in card_of(op).traits


def _dtype_of(a: Any) -> DType:
    d = dtype_of_numpy(np.asarray(a).dtype)
    assert d is not None
    return d


def _lane_type(s: f.Map, i: f.MapInstr) -> DType:
    """The type of a number among the operands: that of the others."""
    for a in i.args:
        t: DType | None = None
        if isinstance(a, f.Lane):
            if a.kind == "input":
                t = s.ins[a.index].dtype
            elif a.kind == "temp":
                t = s.body[a.index].dtype
        elif isinstance(a, f.Reg) and isinstance(a.type, DType):
            t = a.type
        if t is not None and (not t.is_bool or i.op != "select"):
            return t
    return i.dtype


_RULES: Mapping[type[Any], Callable[[_Frame, Any], None]] = {
    f.Const: _Frame.const,
    f.Data: _Frame.data,
    f.Move: _Frame.move,
    f.DimValue: _Frame.dim_value,
    f.BindDim: _Frame.bind_dim,
    f.Scalar: _Frame.scalar_op,
    f.Address: _Frame.address_of,
    f.Load: _Frame.load,
    f.Store: _Frame.store,
    f.Map: _Frame.map,
    f.Tensor: _Frame.tensor,
    f.CheckIndex: _Frame.check_index,
    f.CheckDims: _Frame.check_dims,
    f.Assert: _Frame.check,
    f.Alloc: _Frame.alloc,
    f.Mark: _Frame.mark,
    f.Release: _Frame.release,
    f.Variant: _Frame.variant,
    f.ListNew: _Frame.list_new,
    f.ListPush: _Frame.list_push,
    f.ListAt: _Frame.list_at,
    f.ListLen: _Frame.list_len,
    f.ListDrop: _Frame.list_drop,
    f.ListCopy: _Frame.list_copy,
    f.If: _Frame.branch,
    f.Switch: _Frame.switch,
    f.For: _Frame.counted,
    f.Loop: _Frame.loop,
    f.Call: _Frame.call,
}
