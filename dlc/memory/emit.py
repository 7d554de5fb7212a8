"""Writes a placed function as statements of the form: control flow, merges, calls, the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dlc.ir.core import Loc, Op, Region
from dlc.memory.coalesce import Placed
from dlc.memory.emit_ops import emit_op
from dlc.memory.facts import is_tensor, is_update
from dlc.memory.form import (
    Address,
    Alloc,
    BFunction,
    BindDim,
    Block,
    Call,
    Case,
    Const,
    DimValue,
    For,
    If,
    ListCopy,
    ListNew,
    Loop,
    Mark,
    Move,
    Operand,
    Param,
    Reg,
    Release,
    ScalarArg,
    Statement,
    Switch,
    Variant,
    View,
)
from dlc.memory.frame import statements
from dlc.memory.places import Places
from dlc.memory.plan import Plan
from dlc.memory.reuse import GROWS
from dlc.memory.rings import carried_of
from dlc.memory.statements import Writer
from dlc.memory.storage import MOVED, Kind, is_entry, keeps_heap
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, I64
from dlc.typesys.types import AdtType

Moves = list[tuple[Reg, ScalarArg | Dim]]


def emit(p: Placed, plan: Plan) -> BFunction:
    """The function in the form."""
    return _Emitter(p, plan).function()


class _Emitter:
    def __init__(self, p: Placed, plan: Plan) -> None:
        self.p, self.n, self.plan = p, p.n, plan
        self.places = Places(p, plan)
        self.w = Writer(self.places)
        self.notes: list[tuple[Loc, str]] = []

    # -- the function

    def function(self) -> BFunction:
        n, fn, face = self.n, self.n.fn, self.n.face
        params: list[Param] = []
        for i, v in enumerate(fn.params):
            mode = "inout" if i in face.inout else "in"
            params.append(Param(v.hint, mode, v.type, self.places.reg(v), i in face.owned))
        for i, v in n.outs.items():
            reg = self.places.reg(v)
            params.append(Param(f"out{i}", "out", v.type, reg))
        results: list[Reg] = []
        by_value = [
            i
            for i in range(len(fn.result_types))
            if not face.by_place[i] and face.in_place_of(i) is None
        ]

        def finish(end: Op) -> None:
            results.extend(self.w.reg(end.operands[i]) for i in by_value)

        body = self.scope(fn.body, finish, closed=not keeps_heap(fn, face))
        end = fn.body.terminator
        return BFunction(
            fn.name,
            fn.dims,
            tuple(params),
            tuple(results),
            tuple(fn.result_types[i] for i in by_value),
            end.attr_dims(),
            self.returns(results, by_value),
            self.plan.slots,
            self.plan.frame,
            body,
            entry=is_entry(fn),
            loc=fn.loc,
            remarks=(*self.remarks(fn.body), *self.notes),
            result_names=fn.result_dims,
        )

    def returns(self, results: list[Reg], by_value: list[int]) -> tuple[Reg, ...]:
        """Where every IR result is."""
        n, out = self.n, dict(zip(by_value, results, strict=True))
        for i in range(len(n.fn.result_types)):
            p = n.face.in_place_of(i)
            if p is not None:
                out[i] = self.places.reg(n.fn.params[p])
            elif i in n.outs:
                out[i] = self.places.reg(n.outs[i])
        return tuple(out[i] for i in range(len(n.fn.result_types)))

    def remarks(self, r: Region) -> Iterable[tuple[Loc, str]]:
        """A remark for every update that had to copy what it updates."""
        copied = {op.result: op for op in r.ops if op.name == "copy" and not self.p.elided(op)}
        for op in r.ops:
            if is_update(op) and op.operands[0] in copied:
                source = copied[op.operands[0]].operands[0]
                yield op.loc, f"`{op.name}` copies {source.hint or 'its operand'}, still in use"
            for x in op.regions if op.name != "map" else ():
                yield from self.remarks(x)

    # -- blocks

    def block(self, r: Region, finish: Callable[[Op], None]) -> Block:
        outer = self.w.begin()
        for op in r.ops[:-1]:
            self.op(op)
        finish(r.terminator)
        return self.w.end(outer)

    def scope(self, r: Region, finish: Callable[[Op], None], *, closed: bool) -> Block:
        """A block after which nothing is left of what it allocates, if it is closed."""
        mark = Reg(I64, "mark")

        def release(end: Op) -> None:
            if closed:
                self.w.put(Release(mark))
            finish(end)

        body = self.block(r, release)
        return (Mark(mark), *body) if closed else body

    def op(self, op: Op) -> None:
        for insert in self.p.direct.inserts.get(op, ()):
            self.w.check_part(insert)
        self.w.early_rooms(op)
        for push in self.p.columns.before.get(op, ()):
            self.w.push(push)
        control = {
            "if": self.branch,
            "match": self.match,
            "for": self.counted,
            "loop": self.repeat,
            "call": self.call,
        }.get(op.name)
        if control is not None:
            control(op)
        else:
            emit_op(self.w, op)

    # -- branches

    def branch(self, op: Op) -> None:
        condition = self.w.reg(op.operands[0])
        dims = [Reg(I64, d) for d in op.dims]
        then, other = (self.block(r, self.merge(op, dims)) for r in op.regions)
        self.w.put(If(condition, then, other))
        self.bind(op.dims, dims)

    def match(self, op: Op) -> None:
        value = op.operands[0]
        assert isinstance(value.type, AdtType)
        dims = [Reg(I64, d) for d in op.dims]
        cases: list[Case] = []
        for name, r in zip(op.attr_strs("cases"), op.regions, strict=True):
            payload = tuple(map(self.places.reg, r.params))
            body = self.block(r, self.merge(op, dims))
            cases.append(Case(None if name == "_" else name, payload, body, r.dims))
        self.w.put(Switch(self.places.reg(value), value.type.name, tuple(cases)))
        self.bind(op.dims, dims)

    def merge(self, op: Op, dims: list[Reg]) -> Callable[[Op], None]:
        """What ends a branch: its results into the registers of the operation's."""

        def finish(end: Op) -> None:
            moves: Moves = [
                (self.places.reg(v), self.places.arg(y))
                for v, y in zip(op.results, end.operands, strict=True)
                if self.n.kinds[v] in (Kind.SCALAR, Kind.ADT)
            ]
            moves += zip(dims, end.attr_dims(), strict=True)
            self.parallel(moves)

        return finish

    def bind(self, names: tuple[str, ...], dims: list[Reg]) -> None:
        for name, r in zip(names, dims, strict=True):
            self.w.put(BindDim(name, r))

    def parallel(self, moves: Moves) -> None:
        """All moves at once: sources are read before any destination is written."""
        written = {dst for dst, _ in moves}
        later: list[Statement] = []
        for dst, src in moves:
            if isinstance(src, Dim):
                held = Reg(dst.type, dst.hint)
                self.w.put(DimValue(held, src))
                later.append(Move(dst, held))
            elif not isinstance(src, Reg):
                later.append(Const(dst, src))
            elif src is not dst:
                if src in written:
                    held = Reg(src.type, src.hint)
                    self.w.put(Move(held, src))
                    src = held
                later.append(Move(dst, src))
        for s in later:
            self.w.put(s)

    # -- loops

    def counted(self, op: Op) -> None:
        lo, hi = (self.places.arg(v) for v in op.operands[:2])
        (r,) = op.regions
        go = Reg(BOOL, "go") if op.attr_flag("exits") else None
        dims = self.enter(op)
        body = self.turn(op, dims, go)
        index = self.places.reg(r.params[0])
        self.w.put(For(index, lo, hi, body, op.attr_flag("reverse"), go))
        self.bind(op.dims, dims)

    def repeat(self, op: Op) -> None:
        go = Reg(BOOL, "go")
        dims = self.enter(op)
        self.w.put(Loop(self.turn(op, dims, go), go, op.attr_flag("visits"), op.loc))
        self.bind(op.dims, dims)

    def enter(self, op: Op) -> list[Reg]:
        """First values of carried registers; the registers of hidden dims."""
        moves: Moves = []
        for first, arg, _, result in carried_of(op):
            if self.n.kinds[arg] in (Kind.SCALAR, Kind.ADT):
                moves.append((self.places.reg(arg), self.places.arg(first)))
                self.places.same_register(result, arg)
        dims = [Reg(I64, d) for d in op.regions[0].dims]
        moves += zip(dims, op.attr_dims("init_dims"), strict=True)
        self.parallel(moves)
        for ring in self.p.rings.get(op, ()):
            for v, b in zip(ring.registers, ring.buffers, strict=True):
                self.w.put(Address(self.places.reg(v), self.places.destination(b)))
        return dims

    def turn(self, op: Op, dims: list[Reg], go: Reg | None) -> Block:
        (r,) = op.regions
        carried = carried_of(op)
        closed = all(self.n.kinds[arg] in (Kind.SCALAR, Kind.SLOT) for _, arg, _, _ in carried)

        def finish(end: Op) -> None:
            moves: Moves = []
            if go is not None:
                moves.append((go, self.places.arg(end.operands[0])))
            for _, arg, y, _ in carried:
                kind = self.n.kinds[arg]
                if kind in (Kind.SCALAR, Kind.ADT) or kind in MOVED:
                    moves.append((self.places.reg(arg), self.places.arg(y)))
            for ring in self.p.rings.get(op, ()):
                regs = [self.places.reg(v) for v in ring.registers]
                moves += [(regs[i], regs[s]) for i, s in enumerate(ring.sources)]
            moves += zip(dims, end.attr_dims(), strict=True)
            self.parallel(moves)

        outer = self.w.begin()
        self.bind(r.dims, dims)
        start = self.w.end(outer)
        body = self.scope(r, finish, closed=closed)
        if not closed and any(map(self.leaves_garbage, statements(body))):
            self.notes.append((op.loc, GROWS))
        return (*start, *body)

    def leaves_garbage(self, s: Statement) -> bool:
        """Whether the statement takes heap that may be dead after the turn."""
        if isinstance(s, Variant):
            return bool(s.fields or s.dims)
        if isinstance(s, Call):
            return any(isinstance(r.type, str) for r in s.results)
        return isinstance(s, (Alloc, ListCopy, ListNew))

    # -- calls

    def call(self, op: Op) -> None:
        name = op.attr_str("fn")
        face = self.n.faces[name]
        args: list[Operand | int | float | bool] = []
        for v in op.operands:
            args.append(self.places.view(v) if is_tensor(v) else self.places.arg(v))
        outs: list[View] = []
        results: list[Reg] = []
        for i, v in enumerate(op.results):
            if face.by_place[i]:
                self.w.make_room(op, v)
                outs.append(self.places.destination(v))
            elif face.in_place_of(i) is None:
                results.append(self.places.reg(v))
        self.w.put(
            Call(
                name,
                op.attr_dims(),
                tuple(args),
                tuple(outs),
                tuple(results),
                op.dims,
                self.plan.keep[op],
                op.loc,
            )
        )
