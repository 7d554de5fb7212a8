"""The body of one function while it is written: registers, dims, places, checks.

Registers are stack variables, which LLVM's mem2reg turns into values. In a recursive group,
whatever is live across a call of the group lies in a cell of the frame instead.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.ir.core import NOWHERE, Loc
from dlc.memory.form import BFunction, Block, Immediate, Operand, Place, Reg, ScalarArg, Slot, View
from dlc.memory.frame import Home
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.dims import CheckedSize, constant, emit_dim
from dlc.targets.cpu.emit.unit import Unit, register_type
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Value
from dlc.targets.cpu.llvm import Operand as Number
from dlc.targets.cpu.llvm.types import constant as llvm_constant
from dlc.typesys.dims import Dim, Quotient
from dlc.typesys.dtypes import BOOL, DType

Emitters = Mapping[type, Callable[["Body", Any], None]]
"""How each kind of statement is written."""


class Body:
    """Where the statements of one function go.

    `frame_source` gives the frame's address: a parameter, or a variable that calls change. `cells`
    are byte offsets of homes in the frame, `slots_at` that of the first slot. `unwind` is the label
    that leaves the LLVM function with the status in the context. `described` are the LLVM
    function's debug description and its place, if there is one.
    """

    def __init__(
        self,
        unit: Unit,
        f: Builder,
        fn: BFunction,
        ctx: Value,
        frame_source: Callable[[], Value],
        emitters: Emitters,
        unwind: str,
        *,
        cells: Mapping[Home, int] | None = None,
        slots_at: int = 0,
        described: tuple[str, Loc] = ("", NOWHERE),
    ) -> None:
        self.unit, self.f, self.fn, self.ctx = unit, f, fn, ctx
        self.unwind = unwind
        self.cells: Mapping[Home, int] = cells if cells is not None else {}
        self.slots_at = slots_at
        self.group = unit.group_of(fn)
        self._frame_source = frame_source
        self._emitters = emitters
        self._fixed: dict[str, Value] = {}
        self._locals: dict[Home, Value] = {}
        self._known: list[dict[Dim | None, Value]] = [{}]
        self._described = described
        self.locate(fn.loc)

    # -- statements -------------------------------------------------------------------------------

    def block(self, statements: Block) -> None:
        """Write the statements of a block; what they compute of dims is known in it only."""
        self._known.append({})
        for s in statements:
            emit = self._emitters.get(type(s))
            if emit is None:
                raise InternalError(f"no code for {type(s).__name__}", stage="emit")
            self.locate(getattr(s, "loc", NOWHERE))
            emit(self, s)
        self._known.pop()

    def locate(self, loc: Loc) -> None:
        """From here on, instructions belong to this place in the source; without one, to that of
        what came before."""
        debug = self.unit.debug
        if debug is not None and (loc != NOWHERE or not self.f.debug):
            self.f.debug = debug.location(*self._described, loc)

    def forget(self) -> None:
        """What was known of the frame no longer holds: control comes from elsewhere."""
        for known in self._known:
            known.clear()

    # -- registers --------------------------------------------------------------------------------

    def fix(self, dim: str, value: Value) -> None:
        """The dim has this value in the whole function."""
        self._fixed[dim] = value

    def home(self, h: Home) -> Value:
        """Address of what holds a register or a dim."""
        at = self.cells.get(h)
        if at is not None:
            return self.f.gep("i8", self.frame(), at)
        found = self._locals.get(h)
        if found is None:
            type_ = INDEX if isinstance(h, str) else register_type(h.type)
            found = self._locals[h] = self.f.alloca(type_, 1, 8)
        return found

    def get(self, r: Reg) -> Value:
        return self.f.load(register_type(r.type), self.home(r))

    def set(self, r: Reg, x: Value) -> None:
        if x.type != register_type(r.type):
            raise InternalError(f"%{r.hint}: {r.type} is set to a {x.type}", stage="emit")
        self.f.store(x, self.home(r))

    def scalar(self, a: ScalarArg, dtype: DType) -> Value:
        """A register's value, or a number as a constant of the dtype."""
        return self.get(a) if isinstance(a, Reg) else immediate(a, dtype)

    # -- dims -------------------------------------------------------------------------------------

    def dim(self, d: Dim) -> Value:
        """The value of a dim, computed once where it is known to stay."""
        if d.is_constant:
            return constant(d.constant)
        for known in self._known:
            if d in known:
                return known[d]
        alone = len(d.terms) == 1 and d.terms[0][1] == 1
        value = emit_dim(self.f, d, self._dim_name, None if alone else self._quotient)
        if all(n in self.fn.dims for n in d.symbols()):
            self._known[-1][d] = value
        return value

    def _quotient(self, q: Quotient) -> Value:
        """A quotient inside a larger dim: often the same one again, as frames are made of them."""
        return self.dim(Dim(((((q, 1),), 1),)))

    def _dim_name(self, name: str) -> Value:
        fixed = self._fixed.get(name)
        return fixed if fixed is not None else self.f.load(INDEX, self.home(name))

    def set_dim(self, name: str, x: Value) -> None:
        self.f.store(x, self.home(name))

    def size(self, d: Dim) -> Value:
        """A number of bytes; leaves with status `arena` if it does not fit 64 bits."""
        checked = CheckedSize(self.f, self._dim_name)
        value = self.dim(d) if d.is_constant else checked.emit(d)
        if checked.overflow is not None:
            ok = self.f.not_(checked.overflow)
            self.check(ok, "arena", self.fn.loc, 0, -1, "more memory than 64 bits count")
        return value

    # -- places -----------------------------------------------------------------------------------

    def frame(self) -> Value:
        """Address of the frame."""
        for known in self._known:
            if None in known:
                return known[None]
        value = self._frame_source()
        self._known[-1][None] = value
        return value

    def place(self, p: Place) -> Value:
        """Address of a place's first byte."""
        if isinstance(p, Slot):
            offset = self.fn.slots[p.index].offset + self.slots_at
            return self.f.gep("i8", self.frame(), self.dim(offset))
        return self.get(p)

    def address(self, v: View) -> Value:
        """Address of a view's first element."""
        base = self.place(v.place)
        at: Value | None = None if v.base == Dim.const(0) else self.dim(v.base)
        for r, d in v.terms:
            index = self.index(r)
            term = index if d == Dim.const(1) else self.f.mul(index, self.dim(d))
            at = term if at is None else self.f.add(at, term)
        return base if at is None else self.f.gep(ELEMENTS[v.dtype.name].memory, base, at)

    def index(self, r: Reg) -> Value:
        """An integer register as an i64."""
        assert isinstance(r.type, DType)
        x = self.get(r)
        return self.f.cast("sext" if r.type.signed else "zext", x, INDEX)

    def load(self, v: View) -> Value:
        """The element of a rank-0 view."""
        return convert.load(self.f, v.dtype.name, self.address(v))

    def store(self, v: View, x: Value) -> None:
        convert.store(self.f, v.dtype.name, x, self.address(v))

    def operand(self, o: Operand | Immediate, dtype: DType) -> Value:
        """A scalar operand, wherever it is."""
        if isinstance(o, View):
            return self.load(o)
        return self.scalar(o, dtype)

    # -- failures ---------------------------------------------------------------------------------

    def check(
        self, ok: Value, status: str, loc: Loc, got: Number = 0, want: Number = 0, what: str = ""
    ) -> None:
        """Go on if `ok`; else leave with the status."""
        f = self.f
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(ok, good, bad)
        f.start(bad)
        context.fail(f, self.ctx, status, loc.line, loc.column, got, want, what)
        f.branch(self.unwind)
        f.start(good)

    def leave_unless(self, ok: Value) -> None:
        """Go on if `ok`; else leave with the status that is in the context already."""
        good = self.f.label("ok")
        self.f.branch_if(ok, good, self.unwind)
        self.f.start(good)

    @contextmanager
    def region(self) -> Generator[None]:
        """Code that may not run: what it learns of dims is forgotten after it."""
        self._known.append({})
        yield
        self._known.pop()


def immediate(a: Immediate, dtype: DType) -> Value:
    """A number as a constant of the dtype; f16 and bf16 are rounded to their format."""
    register = ELEMENTS[dtype.name].register
    if dtype.is_float:
        value = float(np.asarray(a, dtype.numpy)) if dtype.bits == 16 else float(a)
        return llvm_constant(register, value)
    return llvm_constant(register, bool(a) if dtype == BOOL else int(a))
