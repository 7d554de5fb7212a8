"""The memory that a call reads and writes: there, aligned, and not overlapping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlc.artifact.native.guard import NULL, Guard, fail_function
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.dims import emit_dim
from dlc.targets.cpu.emit.structs import member
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Operand, Value
from dlc.targets.cpu.llvm.types import constant
from dlc.typesys.dims import Dim

_RANGE = "{ ptr, i64, ptr }"
"""First byte, number of bytes, name."""


@dataclass(frozen=True)
class Buffer:
    """`bytes` at `address`, called `name` in messages."""

    address: Value
    bytes: Value
    name: str


class Buffers:
    """Collects the buffers of a call, checking each."""

    def __init__(self, g: Guard) -> None:
        self.g, self.f = g, g.f
        self._read: list[Buffer] = []
        self._written: list[Buffer] = []

    def add(
        self, address: Value, elements: Value, size: int, name: str, *, written: bool = False
    ) -> None:
        """`elements` of `size` bytes: null only if there are none, at a multiple of their size."""
        f = self.f
        empty = f.icmp("eq", elements, 0)
        there = f.or_(empty, f.icmp("ne", address, NULL))
        self.g.require(there, "arg", f"{name}: null", 0, elements)
        if size > 1:
            low = f.and_(f.cast("ptrtoint", address, INDEX), size - 1)
            self.g.require(
                f.icmp("eq", low, 0), "arg", f"{name}: not aligned to {size} bytes", low, 0
            )
        bytes_ = product(self.g, [elements, size], name)
        self.range(address, bytes_, name, written=written)

    def range(self, address: Value, bytes_: Value, name: str, *, written: bool = False) -> None:
        """Bytes that are known to be there."""
        (self._written if written else self._read).append(Buffer(address, bytes_, name))

    def check_overlap(self) -> None:
        """What is written overlaps nothing."""
        f = self.f
        every = [*self._read, *self._written]
        table = f.alloca(_RANGE, max(1, len(every)), 8)
        for i, b in enumerate(every):
            at = f.gep(_RANGE, table, i)
            f.store(b.address, member(f, _RANGE, at, 0))
            f.store(b.bytes, member(f, _RANGE, at, 1))
            f.store(context.text(f.module, b.name), member(f, _RANGE, at, 2))
        code = f.call(_overlap_function(f.module), table, len(self._read), len(every), self.g.err)
        self.g.passed(code)


LIMIT = Value("double", "0x43D0000000000000")
"""2**62: what no size may exceed. It is compared in floats, which need no 128-bit product."""


def product(g: Guard, factors: Sequence[Operand], name: str) -> Value:
    """The product of numbers that are not negative; status `shape` if it is 2**62 or more."""
    f = g.f
    total: Value | None = None
    large: Value | None = None
    for x in factors:
        if x == 1:
            continue
        n = x if isinstance(x, Value) else f.index(int(x))
        y = f.cast("sitofp", n, "double")
        total = n if total is None else f.mul(total, n)
        large = y if large is None else f.fmul(large, y)
    if total is None or large is None:
        return f.index(1)
    g.require(f.fcmp("olt", large, LIMIT), "shape", f"{name}: too large")
    return total


def polynomial(g: Guard, d: Dim, lookup: Callable[[str], Value], status: str, name: str) -> Value:
    """The value of a dim whose names are below 2**31; a status if it may be 2**62 or more."""
    f = g.f
    g.require(f.fcmp("olt", magnitude(f, d, lookup), LIMIT), status, f"{name}: too large")
    return emit_dim(f, d, lookup)


def magnitude(f: Builder, d: Dim, lookup: Callable[[str], Value]) -> Value:
    """The sum of the magnitudes of the dim's terms; a quotient counts as its numerator."""
    total: Value | None = None
    for monomial, c in d.terms:
        term = constant("double", float(abs(c)))
        for atom, power in monomial:
            if isinstance(atom, str):
                x = f.cast("sitofp", lookup(atom), "double")
            else:
                x = magnitude(f, atom.numerator, lookup)
            for _ in range(power):
                term = f.fmul(term, x)
        total = term if total is None else f.fadd(total, term)
    return constant("double", 0.0) if total is None else total


def _overlap_function(module: Module) -> Function:
    """`dlc.api.overlap(table, first, count, err)`: status `arg` if a range from number `first` on
    overlaps one before it."""
    params = (("ptr", "table"), (INDEX, "first"), (INDEX, "count"), ("ptr", "err"))

    def emit() -> tuple[Function, str]:
        f = Builder(module, "dlc.api.overlap", "i32", params, inline="never")
        table, first, count, err = f.params
        with f.loop(first, count, name="written") as outer:
            a = f.gep(_RANGE, table, outer.index)
            start, end = _bounds(f, a)
            with f.loop(0, outer.index, name="other") as inner:
                b = f.gep(_RANGE, table, inner.index)
                low, high = _bounds(f, b)
                apart = f.or_(f.icmp("ule", end, low), f.icmp("ule", high, start))
                nothing = f.or_(f.icmp("eq", start, end), f.icmp("eq", low, high))
                with f.when(f.not_(f.or_(apart, nothing))):
                    _report(f, err, a, b)
        f.ret(Value("i32", "0"))
        return f.finish()

    return module.function("dlc.api.overlap", emit)


def _bounds(f: Builder, at: Value) -> tuple[Value, Value]:
    start = f.cast("ptrtoint", f.load("ptr", member(f, _RANGE, at, 0)), INDEX)
    return start, f.add(start, f.load(INDEX, member(f, _RANGE, at, 1)))


def _report(f: Builder, err: Value, a: Value, b: Value) -> None:
    names = [f.load("ptr", member(f, _RANGE, at, 2)) for at in (a, b)]
    code = f.call(
        fail_function(f.module), err, context.status("arg"), 0, 0, 0, 0,
        names[0], context.text(f.module, " overlaps "), names[1], 3,
    )  # fmt: skip
    f.ret(code)
