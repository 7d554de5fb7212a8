"""Order: the place of an extreme, sorting, the k largest, search in a sorted row, places of true.

All work on one line at a time with element strides. NaN comes last when sorting, in either
direction, and wins in argmax and argmin; -0 equals +0. Equal elements keep their order: the lower
index first.

argmax, argmin: n, x, incx → i32, n >= 1.
sort: n, x, incx, val, idx i32, inc, tmp_val, tmp_idx, descending — scratch of n values and n
indices, contiguous; `val` and `idx` have the stride `inc`; x is not overlapped.
top_k: n, k, x, incx, val, idx i32, inc — the first k of the descending order; 0 <= k <= n.
searchsorted: n, sorted, inc, m, x, out i32 — out[q] = how many leading elements of `sorted` are
less than x[q]; 0 for NaN.
nonzero (dtype bool): n, mask, idx i32 → count; `idx` has room for n.
"""

from __future__ import annotations

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.registry import Family, Key, Params
from dlc.targets.cpu.kernels.sorting import write_sort, write_top_k
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Value, vector
from dlc.targets.cpu.llvm.types import constant, lanes_of

NUMBERS = tuple(d for d, e in ELEMENTS.items() if e.kind != "bool")


def _i32(key: Key) -> str:
    return "i32"


def _count(key: Key) -> str:
    return INDEX


def _arg_params(key: Key) -> Params:
    return ((INDEX, "n"), ("ptr", "x"), (INDEX, "incx"))


class _Extreme:
    """Comparison of candidates for argmax or argmin: NaN beats all, the earlier beats its
    equals."""

    def __init__(self, f: Builder, key: Key) -> None:
        self.f, self.largest, self.element = f, key.name == "argmax", ELEMENTS[key.dtype]

    def beats(self, a: Value, b: Value) -> Value:
        """Whether a wins against b if it comes later."""
        f = self.f
        if self.element.is_float:
            nan = f.and_(f.fcmp("uno", a, a), f.fcmp("ord", b, b))
            return f.or_(f.fcmp("ogt" if self.largest else "olt", a, b), nan)
        sign = "s" if self.element.signed else "u"
        return f.icmp(sign + ("gt" if self.largest else "lt"), a, b)

    def better(self, a: tuple[Value, Value], b: tuple[Value, Value]) -> tuple[Value, Value]:
        """The winner of two (value, index) pairs, lane by lane."""
        f = self.f
        earlier = f.icmp("slt", b[1], a[1])
        tie = f.and_(f.not_(self.beats(a[0], b[0])), earlier)
        take = f.or_(self.beats(b[0], a[0]), tie)
        return f.select(take, b[0], a[0]), f.select(take, b[1], a[1])


def _argument(f: Builder, key: Key) -> None:
    """Lanes keep their own winner; the winners then meet in a tree. Contiguous lines only; else
    one."""
    n, x, incx = f.params
    e = ELEMENTS[key.dtype]
    rule = _Extreme(f, key)
    lanes = f.module.target.lanes(4)
    if lanes > 1:
        with f.when(f.and_(f.icmp("eq", incx, 1), f.icmp("sge", n, lanes))):
            f.ret(_argument_lanes(f, key, rule, lanes))
    first = convert.load(f, key.dtype, x)
    with f.loop(1, n, carried=[first, constant("i32", 0)], name="each") as loop:
        value, place = loop.carried
        new = convert.load(f, key.dtype, f.gep(e.memory, x, f.mul(loop.index, incx)))
        wins = rule.beats(new, value)
        here = f.cast("trunc", loop.index, "i32")
        loop.next(f.select(wins, new, value), f.select(wins, here, place))
    f.ret(loop.carried[1])


def _argument_lanes(f: Builder, key: Key, rule: _Extreme, lanes: int) -> Value:
    n, x, _ = f.params
    memory = ELEMENTS[key.dtype].memory
    numbers = f.lane_numbers("i32", lanes)
    start = [convert.load(f, key.dtype, x, lanes), numbers]
    whole = f.and_(n, -lanes)

    def at(i: Value) -> tuple[Value, Value]:
        value = convert.load(f, key.dtype, f.gep(memory, x, i), lanes)
        return value, f.add(f.splat(f.cast("trunc", i, "i32"), lanes), numbers)

    with f.loop(lanes, whole, lanes, carried=start, name="lanes") as loop:
        value, place = loop.carried
        new, here = at(loop.index)
        wins = rule.beats(new, value)
        loop.next(f.select(wins, new, value), f.select(wins, here, place))
    # The last vector overlaps what was seen: the same candidates again change nothing.
    best = rule.better((loop.carried[0], loop.carried[1]), at(f.sub(n, lanes)))
    while (count := lanes_of(best[0].type)) > 1:
        half = count // 2
        low = tuple(f.shuffle(v, None, range(half)) for v in best)
        high = tuple(f.shuffle(v, None, range(half, count)) for v in best)
        best = rule.better((low[0], low[1]), (high[0], high[1]))
    return best[1]


def _sort_params(key: Key) -> Params:
    return (
        (INDEX, "n"),
        ("ptr", "x"),
        (INDEX, "incx"),
        ("ptr noalias", "val"),
        ("ptr noalias", "idx"),
        (INDEX, "inc"),
        ("ptr noalias", "tmp_val"),
        ("ptr noalias", "tmp_idx"),
        ("i1", "descending"),
    )


def _sort(f: Builder, key: Key) -> None:
    write_sort(f, key.dtype)


def _top_params(key: Key) -> Params:
    return (
        (INDEX, "n"),
        (INDEX, "k"),
        ("ptr", "x"),
        (INDEX, "incx"),
        ("ptr noalias", "val"),
        ("ptr noalias", "idx"),
        (INDEX, "inc"),
    )


def _top(f: Builder, key: Key) -> None:
    write_top_k(f, key.dtype)


def _search_params(key: Key) -> Params:
    return (
        (INDEX, "n"),
        ("ptr", "sorted"),
        (INDEX, "inc"),
        (INDEX, "m"),
        ("ptr", "x"),
        ("ptr noalias", "out"),
    )


def _search(f: Builder, key: Key) -> None:
    """Bisection without branches: the answer lies in low..low + size."""
    n, table, inc, m, x, out = f.params
    e = ELEMENTS[key.dtype]
    with f.loop(0, m, name="each") as loop:
        wanted = convert.load(f, key.dtype, f.gep(e.memory, x, loop.index))

        def halve(c: tuple[Value, ...], wanted: Value = wanted) -> tuple[Value, ...]:
            low, size = c
            half = f.lshr(size, 1)
            place = f.gep(e.memory, table, f.mul(f.add(low, half), inc))
            middle = convert.load(f, key.dtype, place)
            if e.is_float:
                less = f.fcmp("olt", middle, wanted)
            else:
                less = f.icmp("slt" if e.signed else "ult", middle, wanted)
            after = f.add(half, 1)
            return f.select(less, f.add(low, after), low), f.select(less, f.sub(size, after), half)

        low, _ = f.loop_while((f.index(0), n), lambda c: f.icmp("sgt", c[1], 0), halve)
        f.store(f.cast("trunc", low, "i32"), f.gep("i32", out, loop.index))


def _nonzero_params(key: Key) -> Params:
    return ((INDEX, "n"), ("ptr", "mask"), ("ptr noalias", "idx"))


def _nonzero(f: Builder, key: Key) -> None:
    """As `compress` of events, for indices alone."""
    n, mask, idx = f.params
    found, start = f.index(0), f.index(0)
    if f.module.target.compresses:
        whole = f.and_(n, -16)
        with f.loop(0, whole, 16, carried=[found], name="vector") as loop:
            bits = f.icmp("ne", f.load(vector("i8", 16), f.gep("i8", mask, loop.index)), 0)
            here = f.splat(f.cast("trunc", loop.index, "i32"), 16)
            numbers = f.add(here, f.lane_numbers("i32", 16))
            zero = constant(numbers.type, 0)
            packed = f.intrinsic("llvm.x86.avx512.mask.compress", numbers.type, numbers, zero, bits)
            f.store(packed, f.gep("i32", idx, loop.carried[0]))
            ones = f.intrinsic("llvm.ctpop", "i16", f.let("i16", f"bitcast {bits} to i16"))
            loop.next(f.add(loop.carried[0], f.cast("zext", ones, INDEX)))
        (found,), start = loop.carried, whole
    with f.loop(start, n, carried=[found], name="each") as each:
        (count,) = each.carried
        f.store(f.cast("trunc", each.index, "i32"), f.gep("i32", idx, count))
        true = f.icmp("ne", f.load("i8", f.gep("i8", mask, each.index)), 0)
        each.next(f.add(count, f.cast("zext", true, INDEX)))
    f.ret(each.carried[0])


FAMILIES = (
    Family("argmax", NUMBERS, _arg_params, _argument, result=_i32),
    Family("argmin", NUMBERS, _arg_params, _argument, result=_i32),
    Family("sort", NUMBERS, _sort_params, _sort),
    Family("top_k", NUMBERS, _top_params, _top),
    Family("searchsorted", NUMBERS, _search_params, _search),
    Family("nonzero", ("bool",), _nonzero_params, _nonzero, result=_count),
)
