"""The body of one function while it is written: homes, dims, places, elements, checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.ir.core import NOWHERE, Loc
from dlc.isa.program import FromRegister, Row
from dlc.memory.form import BFunction, Block, Place, Reg, ScalarArg, View, row_major
from dlc.memory.frame import Home
from dlc.ops.card import Status
from dlc.targets.sparrow.code import FRAME, ZERO, Code, Flt, Int, Scalar, Ten
from dlc.targets.sparrow.events import Events
from dlc.targets.sparrow.homes import Homes, Where, Word, kind_of
from dlc.targets.sparrow.unit import Unit
from dlc.typesys.dims import ONE, Dim, Monomial, Quotient
from dlc.typesys.dtypes import DType

Emitters = Mapping[type, Callable[["Body", Any], None]]
STORED = {"f32": "f32", "bf16": "bf16", "i32": "i32", "i8": "i8", "bool": "i8"}
"""Element types of descriptors, by those of the language."""


@dataclass(frozen=True)
class Window:
    """Elements at byte `address` of a space, with strides in elements: a view whose address is
    known. In DRAM, the address may name another space. Elements of 64 bits are always in DRAM."""

    space: str
    dtype: DType
    address: Int
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    offset: int = 0
    """Bytes behind the address."""

    @property
    def is_described(self) -> bool:
        """Whether a descriptor can name the element type."""
        return self.dtype.name in STORED

    @property
    def is_contiguous(self) -> bool:
        want = row_major(self.shape)
        return all(
            s == w or n == ONE for s, w, n in zip(self.strides, want, self.shape, strict=True)
        )


class Body:
    """Where the statements of one function go."""

    def __init__(self, unit: Unit, fn: BFunction, homes: Homes, emitters: Emitters) -> None:
        self.unit, self.fn, self.homes = unit, fn, homes
        self.c: Code = unit.code
        self._emitters = emitters
        self.loc = fn.loc
        self.events = Events.of(fn)
        self._is_last = True
        self.depth = 0
        """Loops around what is written."""
        self.has_dims = False
        """Whether the dims that are kept have been computed."""

    # -- statements

    def block(self, statements: Block) -> None:
        last = self._is_last
        for k, s in enumerate(statements):
            emit = self._emitters.get(type(s))
            if emit is None:
                raise InternalError(f"no code for {type(s).__name__}", stage="sparrow")
            loc: Loc = getattr(s, "loc", NOWHERE)
            if loc != NOWHERE:
                self.loc = loc
            self.c.builder.mark(self.loc.file, self.loc.line, self.loc.column)
            events = self.events
            events.before(s)
            events.following, events.is_last = statements[k + 1 :], last
            self._is_last = False
            with self.c.scope():
                emit(self, s)
            events.after(s)
            self._is_last = last

    # -- homes

    def where(self, h: Home) -> Where | None:
        """None for what nobody reads."""
        return self.homes.places.get(h)

    def get(self, h: Home) -> Scalar:
        """A register with the value."""
        place = self.where(h)
        if place is None:
            raise InternalError(f"{h} has no home", stage="sparrow")
        if not isinstance(place, Word):
            return place
        if kind_of(h) is Int:
            d = self.c.int()
            self.c.emit("lds", d=d.number, k=place.index)
            return d
        x = self.c.flt()
        self.c.emit("flds", d=x.number, k=place.index)
        return x

    def get_int(self, h: Home) -> Int:
        x = self.get(h)
        if not isinstance(x, Int):
            raise InternalError("a float where a whole number goes", stage="sparrow")
        return x

    def put(self, h: Home, x: Scalar) -> None:
        """h := x."""
        place = self.where(h)
        if place is None:
            return
        if not isinstance(place, Word):
            self.c.copy(place, x)
        elif isinstance(x, Int):
            self.c.emit("sts", a=x.number, k=place.index)
        else:
            self.c.emit("fsts", a=x.number, k=place.index)

    def give(self, h: Home, x: Scalar) -> None:
        """h := x, which nobody needs any more: what has just been computed goes there at once."""
        place = self.where(h)
        if isinstance(place, (Int, Flt)) and type(place) is type(x) and self.c.is_scratch(x):
            if self.c.builder.retarget(x.number, place.number):
                return
        self.put(h, x)

    def scalar(self, a: ScalarArg, dtype: DType) -> Scalar:
        """A register's value, or a number of the dtype."""
        return self.get(a) if isinstance(a, Reg) else self.immediate(a, dtype)

    def immediate(self, a: int | float | bool, dtype: DType) -> Scalar:
        if dtype.is_float:
            return self.c.real(float(np.asarray(a, dtype.numpy)))
        return self.c.number(int(bool(a)) if dtype.is_bool else int(a))

    # -- dims

    def dim(self, d: Dim) -> Int:
        """A register with the value of a dim; a home itself, so it must not be written."""
        c = self.c
        if d.is_constant:
            return c.number(d.constant)
        if d.name is not None:
            return self.get_int(d.name)
        word = self.homes.dims.get(d)
        if word is not None and self.has_dims:
            found = c.int()
            c.emit("lds", d=found.number, k=word.index)
            return found
        self.unit.asked.note(self.fn, d, self.depth)
        return self.computed(d)

    def computed(self, d: Dim) -> Int:
        """The value of a dim that isn't a number and not a name, from its parts."""
        c = self.c
        (monomial, coefficient), *rest = d.terms
        if not rest and coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            atom = monomial[0][0]
            assert isinstance(atom, Quotient)
            return self._quotient(atom)
        total = c.int()
        for k, (monomial, coefficient) in enumerate(d.terms):
            with c.scope():
                if not monomial:
                    c.addi(total if k else ZERO, coefficient, total)
                    continue
                x = self._monomial(monomial)
                if k == 0:
                    c.times(x, coefficient, total)
                else:
                    c.add(total, c.times(x, coefficient), total)
        return total

    def _monomial(self, monomial: Monomial) -> Int:
        x: Int | None = None
        for atom, power in monomial:
            a = self.get_int(atom) if isinstance(atom, str) else self.dim(Dim(((((atom, 1),), 1),)))
            for _ in range(power):
                x = a if x is None else self.c.mul(x, a)
        assert x is not None
        return x

    def _quotient(self, q: Quotient) -> Int:
        """Rounded down; 0 where the denominator is 0."""
        c = self.c
        d = c.int()
        with c.scope():
            n = self.dim(q.numerator)
            k = q.denominator.constant if q.denominator.is_constant else 0
            if k:
                power = k > 0 and k & (k - 1) == 0
                c.op("sra", n, c.number(k.bit_length() - 1), d) if power else c.op(
                    "div", n, c.number(k), d
                )
                return d
            by = self.dim(q.denominator)
            c.move(d, ZERO)
            with c.unless("beq", by, ZERO):
                c.op("div", n, by, d)
        return d

    def bytes_of(self, d: Dim, dtype: DType) -> Int:
        return self.dim(d * dtype.bytes)

    # -- places

    def place(self, p: Place) -> Int:
        """Address of a place, with the name of its space."""
        if isinstance(p, Reg):
            name = self.unit.weights.names.get(p)
            if name is not None:
                return self.c.number(self.unit.weight(name))
            return self.get_int(p)
        offset = self.fn.slots[p.index].offset
        if offset.is_constant:
            return self.c.addi(FRAME, offset.constant) if offset.constant else FRAME
        return self.c.add(FRAME, self.dim(offset))

    def address(self, v: View) -> Int:
        """Byte address of a view's first element."""
        c = self.c
        at, size = self.place(v.place), v.dtype.bytes
        made: Int | None = None
        if v.base != Dim.const(0):
            base = v.base * size
            made = c.int()
            with c.scope():
                if base.is_constant:
                    c.addi(at, base.constant, made)
                else:
                    c.add(at, self.dim(base), made)
            at = made
        for r, d in v.terms:
            made = made or c.int()
            with c.scope():
                i = self.get_int(r)
                step = d * size
                by = c.times(i, step.constant) if step.is_constant else c.mul(i, self.dim(step))
                at = c.add(at, by, made)
        return at

    def window(self, v: View) -> Window:
        """A view at its address."""
        with self.c.scope():
            at = self.address(v)
        return Window("DRAM", v.dtype, self.c.hold(at), v.shape, v.strides)

    def moved(self, w: Window, at: Int) -> Window:
        return replace(w, address=at)

    def describe(self, w: Window) -> Ten:
        """A descriptor of the window."""
        c = self.c
        t = c.ten()
        with c.scope():
            packed = w.is_contiguous
            shape = tuple(self._size(d) for d in w.shape)
            stride = None if packed else tuple(self._size(d) for d in w.strides)
            row = Row(w.space, STORED[w.dtype.name], shape, stride, w.offset)
            c.emit("td.at", d=t.number, a=w.address.number, k=c.builder.row(row))
        return t

    def _size(self, d: Dim) -> int | FromRegister:
        return d.constant if d.is_constant else FromRegister(self.dim(d).number)

    def tensor(self, v: View) -> Ten:
        """A descriptor of a view."""
        with self.c.scope():
            t = self.describe(self.window(v))
        return self.c.hold_tensor(t)

    # -- elements

    def load_at(self, dtype: DType, at: Int, offset: int = 0) -> Scalar:
        """The element at byte `at + offset` of DRAM."""
        c = self.c
        if dtype.name == "f32":
            x = c.flt()
            c.emit("fld", d=x.number, a=at.number, k=offset)
            return x
        if dtype.name == "i64":
            d = c.int()
            c.emit("ld", d=d.number, a=at.number, k=offset)
            return d
        t = self.element(dtype, at, offset)
        if dtype.is_float:
            x = c.flt()
            c.emit("trd", d=x.number, a=t.number, b=0)
            return x
        d = c.int()
        c.emit("trdi", d=d.number, a=t.number, b=0)
        return d

    def store_at(self, dtype: DType, at: Int, x: Scalar, offset: int = 0) -> None:
        c = self.c
        if dtype.name == "f32":
            c.emit("fst", a=at.number, b=x.number, k=offset)
            return
        if dtype.name == "i64":
            c.emit("st", a=at.number, b=x.number, k=offset)
            return
        with c.scope():
            t = self.element(dtype, at, offset)
            c.emit("twr" if dtype.is_float else "twri", d=t.number, a=0, b=x.number)

    def load(self, v: View) -> Scalar:
        """The element of a rank-0 view; in one step where it is known to lie in DRAM."""
        at = self.address(v)
        if v.place in self.homes.dram:
            return self.load_at(v.dtype, at)
        return self.load_in("DRAM", v.dtype, at)

    def store(self, v: View, x: Scalar) -> None:
        at = self.address(v)
        if v.place in self.homes.dram:
            self.store_at(v.dtype, at, x)
        else:
            self.store_in("DRAM", v.dtype, at, x)

    def load_in(self, space: str, dtype: DType, at: Int) -> Scalar:
        """The element at byte `at` of a space; of 64 bits only in DRAM."""
        if dtype.name == "i64":
            return self.load_at(dtype, at)
        c = self.c
        t = self.element(dtype, at, 0, space)
        x: Scalar = c.flt() if dtype.is_float else c.int()
        c.emit("trd" if dtype.is_float else "trdi", d=x.number, a=t.number, b=0)
        return x

    def store_in(self, space: str, dtype: DType, at: Int, x: Scalar) -> None:
        if dtype.name == "i64":
            self.store_at(dtype, at, x)
            return
        with self.c.scope():
            t = self.element(dtype, at, 0, space)
            name = "twr" if dtype.is_float else "twri"
            self.c.emit(name, d=t.number, a=0, b=x.number)

    def element(self, dtype: DType, at: Int, offset: int = 0, space: str = "DRAM") -> Ten:
        """A descriptor of one element."""
        self.unit.check_dtype(dtype, self.loc)
        t = self.c.ten()
        row = self.c.builder.row(Row(space, STORED[dtype.name], (), None, offset))
        self.c.emit("td.at", d=t.number, a=at.number, k=row)
        return t

    def load_cell(self, h: Reg, at: Int, offset: int) -> None:
        """h := what a cell holds: a scalar as its dtype, a handle or an address as it is."""
        dtype = h.type
        if isinstance(dtype, DType):
            self.put(h, self.load_at(dtype, at, offset))
            return
        d = self.c.int()
        self.c.emit("ld", d=d.number, a=at.number, k=offset)
        self.put(h, d)

    # -- failures

    def check(
        self,
        ok: Int,
        status: Status,
        message: str,
        got: int | Int = 0,
        want: int | Int = 0,
        loc: Loc | None = None,
    ) -> None:
        """Go on if `ok` isn't 0; else stop with the status."""
        site = self.unit.site(status, loc or self.loc, message, _told(got), _told(want))
        self.c.emit("assert", a=ok.number, v=site)


def _told(x: int | Int) -> int | str:
    return f"r{x.number}" if isinstance(x, Int) else x
