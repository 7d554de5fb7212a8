"""The memory that a call reads and writes: there, aligned, and not overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.artifact.native.guard import NULL, Guard, fail_function
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.structs import member
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Operand, Value

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


def product(g: Guard, factors: Sequence[Operand], name: str) -> Value:
    """The product of numbers that are not negative; status `shape` if it exceeds 63 bits."""
    f = g.f
    total: Value = f.index(1)
    overflow: Value | None = None
    for x in factors:
        if x == 1:
            continue
        pair = f.call(
            f.module.declare("llvm.smul.with.overflow.i64", "{ i64, i1 }", (INDEX, INDEX)),
            total, x if isinstance(x, Value) else f.index(int(x)),
        )  # fmt: skip
        total = f.field(pair, 0, INDEX)
        over = f.field(pair, 1, "i1")
        overflow = over if overflow is None else f.or_(overflow, over)
    if overflow is not None:
        g.require(f.not_(overflow), "shape", f"{name}: too large")
    return total


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
