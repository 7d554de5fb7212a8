"""Merge sort and selection by a heap, of values with their indices.

Sort: runs of RUN elements by insertion, then merges of neighbours, to and fro between the result
and the scratch, starting where the last merge ends in the result. Selection: the k best so far in
a heap with the worst at its root, in the result itself; then the heap is taken apart from the
worst up.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Element, Function, Module, Value

RUN = 16


@dataclass(frozen=True, slots=True)
class Pairs:
    """Values and their indices (i32) with one stride."""

    val: Value
    idx: Value
    inc: Value


@dataclass(frozen=True, slots=True)
class Item:
    """A value as it lies in memory, as a register value, and its index."""

    raw: Value
    value: Value
    index: Value


class _Access:
    """Loads, stores and comparisons for one element type."""

    def __init__(self, f: Builder, dtype: str) -> None:
        self.f, self.dtype = f, dtype
        self.element: Element = ELEMENTS[dtype]

    def value_of(self, raw: Value) -> Value:
        return convert.from_memory(self.f, self.dtype, raw)

    def load(self, p: Pairs, at: Value) -> Item:
        f, i = self.f, self.f.mul(at, p.inc)
        raw = f.load(self.element.memory, f.gep(self.element.memory, p.val, i))
        return Item(raw, self.value_of(raw), f.load("i32", f.gep("i32", p.idx, i)))

    def store(self, x: Item, p: Pairs, at: Value) -> None:
        f, i = self.f, self.f.mul(at, p.inc)
        f.store(x.raw, f.gep(self.element.memory, p.val, i))
        f.store(x.index, f.gep("i32", p.idx, i))

    def before(self, a: Value, b: Value, descending: Value) -> Value:
        """Whether a comes strictly before b. NaN comes last in both directions."""
        f = self.f
        if not self.element.is_float:
            sign = "s" if self.element.signed else "u"
            down, up = f.icmp(sign + "gt", a, b), f.icmp(sign + "lt", a, b)
            return f.select(descending, down, up)
        down, up = f.fcmp("ogt", a, b), f.fcmp("olt", a, b)
        number = f.and_(f.fcmp("uno", b, b), f.fcmp("ord", a, a))
        return f.or_(f.select(descending, down, up), number)

    def worse(self, a: Item, b: Item) -> Value:
        """Whether a comes after b in descending order, the lower index first among equals."""
        f = self.f
        yes = Value("i1", "true")
        after = self.before(b.value, a.value, yes)
        tie = f.not_(self.before(a.value, b.value, yes))
        return f.or_(after, f.and_(tie, f.icmp("sgt", a.index, b.index)))


def write_sort(f: Builder, dtype: str) -> None:
    n, x, incx, val, idx, inc, tmp_val, tmp_idx, descending = f.params
    one = f.index(1)
    passes = _merge_passes(f, n)
    odd = f.icmp("ne", f.and_(passes, 1), 0)

    def chosen(first: Value) -> tuple[Pairs, Pairs]:
        """The scratch and the result, or the other way round."""
        a = Pairs(
            f.select(first, tmp_val, val), f.select(first, tmp_idx, idx), f.select(first, one, inc)
        )
        b = Pairs(
            f.select(first, val, tmp_val), f.select(first, idx, tmp_idx), f.select(first, inc, one)
        )
        return a, b

    start, _ = chosen(odd)
    runs = _runs_function(f.module, dtype)
    f.call(runs, n, x, incx, start.val, start.idx, start.inc, descending)
    merge = _merge_function(f.module, dtype)
    with f.loop(0, passes, name="pass", carried=[f.index(RUN), odd]) as loop:
        width, from_scratch = loop.carried
        source, to = chosen(from_scratch)
        f.call(
            merge, n, width, source.val, source.idx, source.inc, to.val, to.idx, to.inc, descending
        )
        loop.next(f.shl(width, 1), f.not_(from_scratch))


def _merge_passes(f: Builder, n: Value) -> Value:
    """How often RUN must be doubled to reach n."""
    _, passes = f.loop_while(
        (f.index(RUN), f.index(0)),
        lambda c: f.icmp("slt", c[0], n),
        lambda c: (f.shl(c[0], 1), f.add(c[1], 1)),
    )
    return passes


def _runs_function(module: Module, dtype: str) -> Function:
    """Copy x to `to` with indices, each stretch of RUN sorted by insertion."""
    name = f"dlc.sort_runs.{dtype}"

    def emit() -> tuple[Function, str]:
        params = [
            (INDEX, "n"),
            ("ptr", "x"),
            (INDEX, "incx"),
            ("ptr", "val"),
            ("ptr", "idx"),
            (INDEX, "inc"),
            ("i1", "descending"),
        ]
        f = Builder(module, name, "void", params, inline="never")
        n, x, incx, val, idx, inc, descending = f.params
        access, to = _Access(f, dtype), Pairs(val, idx, inc)
        memory = access.element.memory
        with f.loop(0, n, name="each") as loop:
            i = loop.index
            first = f.and_(i, -RUN)
            raw = f.load(memory, f.gep(memory, x, f.mul(i, incx)))
            new = Item(raw, access.value_of(raw), f.cast("trunc", i, "i32"))
            _insert(f, access, to, new, first, i, descending)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _insert(
    f: Builder, access: _Access, to: Pairs, new: Item, first: Value, at: Value, descending: Value
) -> None:
    """Move what comes after `new` up by one, from `at` down to `first`, and put it there."""

    def move(c: tuple[Value, ...]) -> tuple[Value, ...]:
        here, _ = c
        below = f.sub(here, 1)
        other = access.load(to, below)
        moves = access.before(new.value, other.value, descending)
        with f.when(moves):
            access.store(other, to, here)
        return f.select(moves, below, here), f.and_(moves, f.icmp("sgt", below, first))

    start = (at, f.icmp("sgt", at, first))
    here, _ = f.loop_while(start, lambda c: c[1], move, "insert")
    access.store(new, to, here)


def _merge_function(module: Module, dtype: str) -> Function:
    """Merge neighbouring sorted stretches of `width`, all of them, from `a` to `b`."""
    name = f"dlc.merge.{dtype}"

    def emit() -> tuple[Function, str]:
        params = [
            (INDEX, "n"),
            (INDEX, "width"),
            ("ptr", "a_val"),
            ("ptr", "a_idx"),
            (INDEX, "a_inc"),
            ("ptr", "b_val"),
            ("ptr", "b_idx"),
            (INDEX, "b_inc"),
            ("i1", "descending"),
        ]
        f = Builder(module, name, "void", params, inline="never")
        n, width, a_val, a_idx, a_inc, b_val, b_idx, b_inc, descending = f.params
        access = _Access(f, dtype)
        a, b = Pairs(a_val, a_idx, a_inc), Pairs(b_val, b_idx, b_inc)
        with f.loop(0, n, f.shl(width, 1), name="pair") as loop:
            middle = f.imin(f.add(loop.index, width), n)
            end = f.imin(f.add(middle, width), n)
            _merge_two(f, access, a, b, (loop.index, middle, end), descending)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _merge_two(
    f: Builder,
    access: _Access,
    a: Pairs,
    b: Pairs,
    bounds: tuple[Value, Value, Value],
    descending: Value,
) -> None:
    """Take the right one only if it comes strictly before the left one: stable."""
    low, middle, end = bounds

    def both(c: tuple[Value, ...]) -> Value:
        return f.and_(f.icmp("slt", c[0], middle), f.icmp("slt", c[1], end))

    def take(c: tuple[Value, ...]) -> tuple[Value, ...]:
        i, j, out = c
        left, right = access.load(a, i), access.load(a, j)
        later = access.before(right.value, left.value, descending)
        chosen = Item(
            f.select(later, right.raw, left.raw),
            left.value,
            f.select(later, right.index, left.index),
        )
        access.store(chosen, b, out)
        step = f.cast("zext", later, INDEX)
        return f.add(i, f.sub(1, step)), f.add(j, step), f.add(out, 1)

    i, j, out = f.loop_while((low, middle, low), both, take)
    for start, stop in ((i, middle), (j, end)):
        with f.loop(start, stop, carried=[out], name="rest") as rest:
            access.store(access.load(a, rest.index), b, rest.carried[0])
            rest.next(f.add(rest.carried[0], 1))
        (out,) = rest.carried


def write_top_k(f: Builder, dtype: str) -> None:
    n, k, x, incx, val, idx, inc = f.params
    access, heap = _Access(f, dtype), Pairs(val, idx, inc)
    memory = access.element.memory
    sift = _sift_function(f.module, dtype)
    with f.when(f.icmp("sle", k, 0)):
        f.ret()

    def item(i: Value) -> Item:
        raw = f.load(memory, f.gep(memory, x, f.mul(i, incx)))
        return Item(raw, access.value_of(raw), f.cast("trunc", i, "i32"))

    with f.loop(0, k, name="fill") as fill:
        access.store(item(fill.index), heap, fill.index)
    half = f.lshr(k, 1)
    with f.loop(0, half, name="heapify") as loop:
        f.call(sift, val, idx, inc, k, f.sub(f.sub(half, 1), loop.index))
    with f.loop(k, n, name="scan") as scan:
        new, root = item(scan.index), access.load(heap, f.index(0))
        # Equal elements come later: they never replace the root.
        with f.when(access.before(new.value, root.value, Value("i1", "true"))):
            access.store(new, heap, f.index(0))
            f.call(sift, val, idx, inc, k, 0)
    with f.loop(1, k, name="take") as take:
        last = f.sub(k, take.index)
        worst, other = access.load(heap, f.index(0)), access.load(heap, last)
        access.store(worst, heap, last)
        access.store(other, heap, f.index(0))
        f.call(sift, val, idx, inc, last, 0)


def _sift_function(module: Module, dtype: str) -> Function:
    """Let the item at `at` sink until both children are better than it."""
    name = f"dlc.sift.{dtype}"

    def emit() -> tuple[Function, str]:
        params = [("ptr", "val"), ("ptr", "idx"), (INDEX, "inc"), (INDEX, "size"), (INDEX, "at")]
        f = Builder(module, name, "void", params, inline="never")
        val, idx, inc, size, at = f.params
        access, heap = _Access(f, dtype), Pairs(val, idx, inc)
        moving = access.load(heap, at)
        zero = f.const("i1", False)

        def test(c: tuple[Value, ...]) -> Value:
            child = f.add(f.shl(c[0], 1), 1)
            return f.and_(f.not_(c[1]), f.icmp("slt", child, size))

        def sink(c: tuple[Value, ...]) -> tuple[Value, ...]:
            place, _ = c
            left = f.add(f.shl(place, 1), 1)
            right = f.imin(f.add(left, 1), f.sub(size, 1))
            a, b = access.load(heap, left), access.load(heap, right)
            other = access.worse(b, a)
            child = f.select(other, right, left)
            worst = Item(
                f.select(other, b.raw, a.raw),
                f.select(other, b.value, a.value),
                f.select(other, b.index, a.index),
            )
            sinks = access.worse(worst, moving)
            with f.when(sinks):
                access.store(worst, heap, place)
            return f.select(sinks, child, place), f.not_(sinks)

        place, _ = f.loop_while((at, zero), test, sink)
        access.store(moving, heap, place)
        f.ret()
        return f.finish()

    return module.function(name, emit)
