"""Sums of products with any strides and element types: a loop nest, vectors along the result where
it lies dense. What no kernel does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.nest import ONE, ZERO
from dlc.targets.cpu.emit.tensors.operands import Strided
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.simd import partial_load, partial_store
from dlc.targets.cpu.llvm import ELEMENTS, Value
from dlc.targets.cpu.llvm.types import constant, vector
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, DType


class Axis(Protocol):
    """A loop: its size and the strides of a, b and the result."""

    @property
    def size(self) -> Dim: ...

    @property
    def strides(self) -> tuple[Dim, Dim, Dim]: ...


def emit_sums(
    body: Body,
    a: Strided,
    b: Strided,
    out: Strided,
    free: Sequence[Axis],
    summed: Sequence[Axis],
    accumulate: bool = False,
) -> None:
    """out[free] (+)= sum over the summed axes of a * b, in the result's type (halves in f32), the
    last summed axis fastest."""
    writer = _Sums(body, a, b, out, summed, accumulate)
    f = body.f
    loops = list(free)
    dense = next((c for c in reversed(loops) if _is_dense(c)), None)
    if dense is not None:
        loops.remove(dense)
    sizes = [body.dim(c.size) for c in loops]
    strides = [[body.dim(d) for d in c.strides] for c in loops]
    n = None if dense is None else body.dim(dense.size)
    addresses = [a.address, b.address, out.address]
    with ExitStack() as stack:
        for c, size, by in zip(loops, sizes, strides, strict=True):
            turn = stack.enter_context(f.loop(0, size, name="free"))
            addresses = [
                at if d == ZERO else f.gep(o.memory, at, f.mul(turn.index, step))
                for o, at, step, d in zip((a, b, out), addresses, by, c.strides, strict=True)
            ]
        with body.region():
            if dense is None or n is None:
                writer.points(addresses, (ZERO, ZERO, ONE), f.index(0), 1, None)
            else:
                writer.row(addresses, dense.strides, n)


def _is_dense(c: Axis) -> bool:
    p, q, r = c.strides
    return r == ONE and p in (ZERO, ONE) and q in (ZERO, ONE)


class _Sums:
    def __init__(
        self,
        body: Body,
        a: Strided,
        b: Strided,
        out: Strided,
        summed: Sequence[Axis],
        accumulate: bool,
    ) -> None:
        self.body, self.f = body, body.f
        self.a, self.b, self.out, self.summed, self.accumulate = a, b, out, summed, accumulate
        self.sum = F32 if ELEMENTS[out.dtype.name].is_half else out.dtype
        self.sizes = [body.dim(c.size) for c in summed]
        self.strides = [[body.dim(d) for d in c.strides[:2]] for c in summed]

    def row(self, at: Sequence[Value], strides: tuple[Dim, Dim, Dim], n: Value) -> None:
        f = self.f
        lanes = f.module.target.lanes(max(4, self.sum.bytes))
        if lanes == 1:
            with f.loop(0, n, name="point") as loop:
                self.points(at, strides, loop.index, 1, None)
            return
        whole = f.and_(n, -lanes)
        with f.loop(0, whole, lanes, name="vector") as loop:
            self.points(at, strides, loop.index, lanes, None)
        rest = f.sub(n, whole)
        with f.when(f.icmp("sgt", rest, 0)):
            self.points(at, strides, whole, lanes, rest)

    def points(
        self,
        at: Sequence[Value],
        strides: tuple[Dim, Dim, Dim],
        i: Value,
        lanes: int,
        count: Value | None,
    ) -> None:
        """`lanes` results from the i-th of the row on (or the first `count` of them)."""
        f, out = self.f, self.out
        here = [
            x if d == ZERO else f.gep(o.memory, x, i)
            for o, x, d in zip((self.a, self.b, out), at, strides, strict=True)
        ]
        register = vector(ELEMENTS[self.sum.name].register, lanes)
        zero = constant(register, 0.0 if self.sum.is_float else 0)
        start = self._load(out.dtype, here[2], ONE, lanes, count) if self.accumulate else zero
        total = self._total(here, strides, start, lanes, count, 0)
        x = convert.convert(f, total, self.sum.name, out.dtype.name)
        if count is None:
            convert.store(f, out.dtype.name, x, here[2])
        else:
            partial_store(f, out.dtype.name, x, here[2], count)

    def _total(
        self,
        at: Sequence[Value],
        strides: tuple[Dim, Dim, Dim],
        total: Value,
        lanes: int,
        count: Value | None,
        depth: int,
    ) -> Value:
        f = self.f
        if depth == len(self.summed):
            x = self._load(self.a.dtype, at[0], strides[0], lanes, count)
            y = self._load(self.b.dtype, at[1], strides[1], lanes, count)
            return f.mul_add(x, y, total)
        with f.loop(0, self.sizes[depth], carried=[total], name="sum") as loop:
            inner = [
                x if d == ZERO else f.gep(o.memory, x, f.mul(loop.index, step))
                for o, x, step, d in zip(
                    (self.a, self.b), at, self.strides[depth], self.summed[depth].strides,
                    strict=False,
                )
            ]  # fmt: skip
            loop.next(self._total(inner, strides, loop.carried[0], lanes, count, depth + 1))
        return loop.carried[0]

    def _load(self, dtype: DType, at: Value, stride: Dim, lanes: int, count: Value | None) -> Value:
        f = self.f
        if stride == ZERO:
            x = f.splat(convert.load(f, dtype.name, at), lanes)
        elif count is None:
            x = convert.load(f, dtype.name, at, lanes)
        else:
            x = partial_load(f, dtype.name, at, count, lanes)
        return convert.convert(f, x, dtype.name, self.sum.name)
