"""Instructions of one program while they are written: scratch registers, labels, loops, numbers.

Registers by use (integers `r`, floats `f`):

    0        integers: reads 0
    1 .. 20  arguments and results of calls; 1 .. 7 belong to the routines of `routines`
    8 .. 35  scratch: handed out inside a statement, free again after it
    36 .. 56 homes: what a function keeps from statement to statement
    57       2^48: addresses from there on name a space (see `td.at`)
    58 59    the room for frames in DRAM: first byte, and the byte behind
    60 61    the present frame, and the byte behind the room for frames in the scratchpad
    62 63    the number 32; the address of the entry's block

Floats have scratch and homes likewise; descriptors and queues are scratch. A function with a
statement that takes more than the scratch registers keeps no integers in homes (see `roomy`).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from dlc.diag import InternalError
from dlc.isa.builder import Label, ProgramBuilder
from dlc.isa.model import Isa


@dataclass(frozen=True, slots=True)
class Int:
    """An integer register."""

    number: int


@dataclass(frozen=True, slots=True)
class Flt:
    """A float register."""

    number: int


@dataclass(frozen=True, slots=True)
class Ten:
    """A tensor descriptor."""

    number: int


Scalar = Int | Flt

ZERO = Int(0)
ARGUMENTS = range(1, 21)
SCRATCH = range(8, 36)
ROOMY_SCRATCH = range(8, 57)
HOMES = range(36, 57)
FLOAT_HOMES = range(36, 64)
TAG, DRAM_FRAMES, DRAM_LIMIT = Int(57), Int(58), Int(59)
FRAME, LIMIT, WIDTH, BLOCK = Int(60), Int(61), Int(62), Int(63)


class Crowded(Exception):
    """A statement takes more scratch registers than there are."""


class Code:
    """The text of a program; scratch registers are freed at the end of the scope they are taken
    in."""

    def __init__(self, isa: Isa) -> None:
        self.builder = ProgramBuilder(isa)
        self._ints: set[int] = set()
        self._floats: set[int] = set()
        self._tensors: set[int] = set()
        self._scratch = SCRATCH

    # -- registers

    @contextmanager
    def roomy(self) -> Generator[None]:
        """The registers of homes are scratch, too, in a function that keeps no integers there."""
        self._scratch = ROOMY_SCRATCH
        yield
        self._scratch = SCRATCH

    @contextmanager
    def scope(self) -> Generator[None]:
        """Registers taken inside are free afterwards."""
        saved = set(self._ints), set(self._floats), set(self._tensors)
        yield
        self._ints, self._floats, self._tensors = saved

    def hold(self, x: Int) -> Int:
        """Takes a register out of the scope that has just ended, so that it stays."""
        self._ints.add(x.number)
        return x

    def hold_tensor(self, t: Ten) -> Ten:
        self._tensors.add(t.number)
        return t

    @contextmanager
    def without(self, ints: int, floats: int) -> Generator[None]:
        """Arguments of a call, 1 up to these numbers, aren't handed out inside."""
        with self.scope():
            self._ints |= set(range(1, ints + 1))
            self._floats |= set(range(1, floats + 1))
            yield

    def int(self) -> Int:
        return Int(_take(self._ints, self._scratch))

    def flt(self) -> Flt:
        return Flt(_take(self._floats, SCRATCH))

    def ten(self) -> Ten:
        return Ten(_take(self._tensors, range(64)))

    def is_scratch(self, x: Scalar) -> bool:
        return x.number in (self._scratch if isinstance(x, Int) else SCRATCH)

    # -- text

    def emit(self, mnemonic: str, **operands: int | Label) -> None:
        self.builder.emit(mnemonic, **operands)

    def label(self) -> Label:
        return self.builder.label()

    def place(self, label: Label) -> None:
        self.builder.place(label)

    def jump(self, to: Label) -> None:
        self.emit("jmp", to=to)

    def branch(self, relation: str, a: Int, b: Int, to: Label) -> None:
        """Jump when `a relation b`: beq, bne, blt or bge."""
        self.emit(relation, a=a.number, b=b.number, to=to)

    @contextmanager
    def unless(self, relation: str, a: Int, b: Int) -> Generator[None]:
        """What is written inside is skipped when `a relation b`."""
        over = self.label()
        self.branch(relation, a, b, over)
        yield
        self.place(over)

    @contextmanager
    def count(self, n: Int, first: Int = ZERO) -> Generator[Int]:
        """A loop whose counter runs from `first` to `n - 1`; `n` must stay as it is."""
        with self.scope():
            i = self.int()
            self.move(i, first)
            head, done = self.label(), self.label()
            self.place(head)
            self.branch("bge", i, n, done)
            yield i
            self.emit("addi", d=i.number, a=i.number, v=1)
            self.jump(head)
            self.place(done)

    @contextmanager
    def count_down(self, n: Int) -> Generator[Int]:
        """A loop whose counter runs from `n - 1` to 0."""
        with self.scope():
            i = self.int()
            self.move(i, n)
            head, done = self.label(), self.label()
            self.place(head)
            self.branch("bge", ZERO, i, done)
            self.emit("addi", d=i.number, a=i.number, v=-1)
            yield i
            self.jump(head)
            self.place(done)

    # -- integers

    def set(self, d: Int, n: int) -> None:
        """d := n, any 64-bit number."""
        low = (n & 0xFFFFFFFF) - ((n & 0x80000000) << 1)
        self.emit("li", d=d.number, v=low)
        if not -(1 << 31) <= n < 1 << 31:
            high = n >> 32 & 0xFFFFFFFF
            self.emit("lih", d=d.number, a=d.number, v=high - ((high & 0x80000000) << 1))

    def number(self, n: int) -> Int:
        """A register that holds n."""
        if n == 0:
            return ZERO
        d = self.int()
        self.set(d, n)
        return d

    def move(self, d: Int, a: Int) -> None:
        if d != a:
            self.emit("addi", d=d.number, a=a.number, v=0)

    def op(self, mnemonic: str, a: Int, b: Int, d: Int | None = None) -> Int:
        """d := a op b: add sub mul div rem and or xor shl sra srl slt seq."""
        d = d or self.int()
        self.emit(mnemonic, d=d.number, a=a.number, b=b.number)
        return d

    def add(self, a: Int, b: Int, d: Int | None = None) -> Int:
        return self.op("add", a, b, d)

    def sub(self, a: Int, b: Int, d: Int | None = None) -> Int:
        return self.op("sub", a, b, d)

    def mul(self, a: Int, b: Int, d: Int | None = None) -> Int:
        return self.op("mul", a, b, d)

    def addi(self, a: Int, n: int, d: Int | None = None) -> Int:
        """a + n."""
        d = d or self.int()
        if -(1 << 31) <= n < 1 << 31:
            self.emit("addi", d=d.number, a=a.number, v=n)
        else:
            with self.scope():
                self.op("add", a, self.number(n), d)
        return d

    def row_major(self, i: Int, n: Int, j: Int, d: Int | None = None) -> Int:
        """i * n + j."""
        d = d or self.int()
        self.op("mul", i, n, d)
        return self.op("add", d, j, d)

    def times(self, a: Int, n: int, d: Int | None = None) -> Int:
        """a * n; a shift where n is a power of two."""
        if n == 1:
            if d is None:
                return a
            self.move(d, a)
            return d
        d = d or self.int()
        with self.scope():
            if n > 0 and n & (n - 1) == 0:
                return self.op("shl", a, self.number(n.bit_length() - 1), d)
            return self.op("mul", a, self.number(n), d)

    def least(self, a: Int, b: Int, d: Int | None = None) -> Int:
        """The lesser of two numbers."""
        return self._either("bge", a, b, d)

    def greatest(self, a: Int, b: Int, d: Int | None = None) -> Int:
        return self._either("blt", a, b, d)

    def _either(self, relation: str, a: Int, b: Int, d: Int | None) -> Int:
        d = d or self.int()
        with self.scope():
            to = self.int()
            self.move(to, b)
            with self.unless(relation, a, b):
                self.move(to, a)
            self.move(d, to)
        return d

    def negate_bool(self, a: Int, d: Int | None = None) -> Int:
        """1 where a is 0, else 0."""
        return self.op("seq", a, ZERO, d)

    # -- floats

    def real(self, x: float) -> Flt:
        """A register that holds the nearest f32."""
        d = self.flt()
        self.set_real(d, x)
        return d

    def set_real(self, d: Flt, x: float) -> None:
        with np.errstate(over="ignore"):
            bits = int(np.float32(x).view(np.int32))
        self.emit("fli", d=d.number, v=bits & 0xFFFFFFFF)

    def fop(self, mnemonic: str, a: Flt, b: Flt, d: Flt | None = None) -> Flt:
        """d := a op b: fadd fsub fmul fdiv fmax fmin fpow."""
        d = d or self.flt()
        self.emit(mnemonic, d=d.number, a=a.number, b=b.number)
        return d

    def fmove(self, d: Flt, a: Flt) -> None:
        """The greater of a number and itself: one cycle, and exact."""
        if d != a:
            self.emit("fmax", d=d.number, a=a.number, b=a.number)

    def fun(self, name: str, a: Flt, d: Flt | None = None) -> Flt:
        """A function of the list `unary`."""
        d = d or self.flt()
        self.emit("fun", d=d.number, a=a.number, fn=self.builder.member("unary", name))
        return d

    def compare(self, mnemonic: str, a: Flt, b: Flt, d: Int | None = None) -> Int:
        """1 where a < b (`flt`), a <= b (`fle`), a = b (`feq`)."""
        d = d or self.int()
        self.emit(mnemonic, d=d.number, a=a.number, b=b.number)
        return d

    def copy(self, d: Scalar, a: Scalar) -> None:
        """d := a, registers of one kind."""
        if isinstance(d, Int) and isinstance(a, Int):
            self.move(d, a)
        elif isinstance(d, Flt) and isinstance(a, Flt):
            self.fmove(d, a)
        else:
            raise InternalError("a move between kinds of registers", stage="sparrow")


def _take(used: set[int], numbers: range) -> int:
    for n in numbers:
        if n not in used:
            used.add(n)
            return n
    raise Crowded
