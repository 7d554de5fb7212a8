"""Products along contiguous rows: c[i, j] (+)= sum over k of a[i, k] b[j, k], and its special
cases.

Each sum is kept in the lanes of one vector (lane l takes k = l modulo the lanes; the last, partial
vector too on machines with masks, else what is left of k goes to lane 0), and the lanes are added
by a tree: l with l + half, again and again. The order is the same for every tile, so an element
does not depend on which tile it fell into.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.operands import Operands
from dlc.targets.cpu.kernels.simd import fold, fold_many, partial_load, zero
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Function, Module, Target, Value


def tile_widths(target: Target) -> dict[int, int]:
    """Rows of b in a tile, by its rows of a: the sums and the rows of b fit into registers, and
    there are chains of multiply-adds enough to hide their latency."""
    if target.vector_registers >= 32:
        return {1: 8, 2: 8, 3: 4, 4: 4, 5: 4, 6: 4}
    return {1: 8, 2: 4}


VECTOR_ROWS = 8
"""Rows of b in a tile for a single a: enough chains of multiply-adds to hide their latency."""


def dot_tile(module: Module, ops: Operands, height: int, width: int) -> Function:
    """`void (m, n, k, a, lda, b, ldb, c, rsc, csc, accumulate)`: the first min(m, height) rows of
    a times the first min(n, width) of b; c[i, j] at i * rsc + j * csc; m, n >= 1.

    Rows beyond m or n are computed from the last row, and not stored.
    """
    name = f"dlc.dots.{height}x{width}.{ops.name}"

    def emit() -> tuple[Function, str]:
        params = [
            (INDEX, "m"),
            (INDEX, "n"),
            (INDEX, "k"),
            ("ptr", "a"),
            (INDEX, "lda"),
            ("ptr", "b"),
            (INDEX, "ldb"),
            ("ptr noalias", "c"),
            (INDEX, "rsc"),
            (INDEX, "csc"),
            ("i1", "accumulate"),
        ]
        f = Builder(module, name, "void", params, inline="never")
        _write_tile(f, ops, height, width)
        f.ret()
        return f.finish()

    return module.function(name, emit)


def _write_tile(f: Builder, ops: Operands, height: int, width: int) -> None:
    m, n, k, a, lda, b, ldb, c, rsc, csc, accumulate = f.params

    def rows(operand: str, base: Value, stride: Value, count: Value, most: int) -> list[Value]:
        memory = ops.memory(operand)
        last = f.sub(count, 1)
        return [f.gep(memory, base, f.mul(f.imin(last, i), stride)) for i in range(most)]

    sums = row_products(f, ops, k, rows("a", a, lda, m, height), rows("b", b, ldb, n, width))
    memory = ops.memory("c")
    for i in range(height):
        totals = fold_many(f, sums[i * width : (i + 1) * width])
        with f.when(f.icmp("slt", i, m)):
            row = f.gep(memory, c, f.mul(rsc, i))
            for j in range(width):
                with f.when(f.icmp("slt", j, n)):
                    add_to(
                        f, ops, f.extract(totals, j), f.gep(memory, row, f.mul(csc, j)), accumulate
                    )


def add_to(f: Builder, ops: Operands, x: Value, place: Value, accumulate: Value) -> None:
    """c = x, or c += x."""
    (total,) = f.if_else(accumulate, lambda: (f.plus(ops.load(f, "c", place), x),), lambda: (x,))
    ops.store(f, total, place)


PAIRS = MappingProxyType({16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd"})
"""By lanes of i32: sums of two neighbouring products of i16 each."""


def pairs(ops: Operands, target: Target) -> str | None:
    """The instruction for products of bytes that are summed in i32, if the machine has it."""
    bytes_ = {ops.a, ops.b} <= {"i8", "u8"} and ops.sum == "i32"
    lanes = ops.lanes(target)
    feature = {16: "+avx512bw", 8: "+avx2"}.get(lanes, "")
    has = feature in target.features.split(",") or (lanes == 16 and target.vnni)
    return PAIRS[lanes] if bytes_ and feature and has else None


def _paired(
    f: Builder,
    ops: Operands,
    k: Value,
    rows: tuple[Sequence[Value], Sequence[Value]],
    sums: Sequence[Value],
) -> tuple[Value | int, Sequence[Value]]:
    """The products of bytes of the first k rounded down to whole vectors of i16, and how many they
    are. Sums of whole numbers don't depend on their order."""
    name = pairs(ops, f.module.target)
    if name is None:
        return 0, sums
    lanes = ops.lanes(f.module.target)
    whole = f.and_(k, -2 * lanes)

    def loads(operand: str, own: Sequence[Value], at: Value) -> list[Value]:
        dtype = str(getattr(ops, operand))
        memory, widen = ops.memory(operand), "sext" if ELEMENTS[dtype].signed else "zext"
        raw = [convert.load(f, dtype, f.gep(memory, r, at), 2 * lanes) for r in own]
        return [f.cast(widen, x, "i16") for x in raw]

    with f.loop(0, whole, 2 * lanes, carried=list(sums), name="pairs") as loop:
        xs, ys = (loads(o, r, loop.index) for o, r in zip(("a", "b"), rows, strict=True))
        made = [f.raw_intrinsic(name, ops.vector(lanes), x, y) for x in xs for y in ys]
        loop.next(*(f.plus(s, p) for s, p in zip(loop.carried, made, strict=True)))
    return whole, loop.carried


def row_products(
    f: Builder, ops: Operands, k: Value, a_rows: Sequence[Value], b_rows: Sequence[Value]
) -> list[Value]:
    """For each row of a and each of b the vector whose lanes add up to their product."""
    lanes = ops.lanes(f.module.target)
    start: Sequence[Value] = [zero(ops.vector(lanes))] * (len(a_rows) * len(b_rows))
    done, start = _paired(f, ops, k, (a_rows, b_rows), start)

    def step(xs: list[Value], ys: list[Value], sums: Sequence[Value]) -> list[Value]:
        pairs = [(x, y) for x in xs for y in ys]
        return [ops.mac(f, x, y, s) for (x, y), s in zip(pairs, sums, strict=True)]

    def loads(operand: str, rows: Sequence[Value], at: Value) -> list[Value]:
        memory = ops.memory(operand)
        return [ops.load(f, operand, f.gep(memory, r, at), lanes) for r in rows]

    whole = f.and_(k, -lanes)
    with f.loop(done, whole, lanes, carried=start, name="k") as loop:
        at = loop.index
        loop.next(*step(loads("a", a_rows, at), loads("b", b_rows, at), loop.carried))
    sums = loop.carried
    if lanes == 1:
        return list(sums)
    if f.module.target.masked:
        left = f.sub(k, whole)

        def rest(operand: str, rows: Sequence[Value]) -> list[Value]:
            memory, dtype = ops.memory(operand), str(getattr(ops, operand))
            places = [f.gep(memory, r, whole) for r in rows]
            raw = [partial_load(f, dtype, p, left, lanes) for p in places]
            return [ops.widen(f, x, dtype) for x in raw]

        return list(
            f.if_else(
                f.icmp("sgt", left, 0),
                lambda: step(rest("a", a_rows), rest("b", b_rows), sums),
                lambda: sums,
            )
        )
    with f.loop(whole, k, carried=sums, name="k") as last:

        def one(operand: str, rows: Sequence[Value]) -> list[Value]:
            memory, none = ops.memory(operand), zero(ops.vector(lanes))
            places = [f.gep(memory, r, last.index) for r in rows]
            return [f.insert(none, ops.load(f, operand, p), 0) for p in places]

        last.next(*step(one("a", a_rows), one("b", b_rows), last.carried))
    return list(last.carried)


def write_nt(f: Builder, ops: Operands) -> None:
    """The driver of "nt": panels of eight rows of b, which stay in the nearest cache while all rows
    of a go over them, in tiles of the greatest height, then one of what is left: no row of a is
    computed twice, since few rows are the usual case."""
    m, n, k, a, lda, b, ldb, c, ldc, accumulate = f.params
    widths = tile_widths(f.module.target)
    highest = max(widths)

    def tiles(i: Value, j: Value, height: int) -> None:
        tile = dot_tile(f.module, ops, height, widths[height])
        a_at = f.gep(ops.memory("a"), a, f.mul(i, lda))
        with f.loop(j, f.imin(f.add(j, VECTOR_ROWS), n), widths[height], name="part") as part:
            at = part.index
            b_at = f.gep(ops.memory("b"), b, f.mul(at, ldb))
            c_at = f.gep(ops.memory("c"), c, f.add(f.mul(i, ldc), at))
            count, wide = f.index(height), f.sub(n, at)
            f.call(tile, count, wide, k, a_at, lda, b_at, ldb, c_at, ldc, 1, accumulate)

    with f.loop(0, n, VECTOR_ROWS, name="panel") as panel:
        with f.loop(0, f.sub(m, highest - 1), highest, name="rows") as rows:
            tiles(rows.index, panel.index, highest)
        left = f.sub(m, rows.index)
        for height in range(1, highest):
            with f.when(f.icmp("eq", left, height)):
                tiles(rows.index, panel.index, height)


def write_gemv(f: Builder, ops: Operands) -> None:
    """y[M] (+)= W[M, K] x[K], W's rows contiguous: eight rows at a time. `x` is operand a, `W` is
    b."""
    m, k, w, ldw, x, y, accumulate = f.params
    tile = dot_tile(f.module, ops, 1, VECTOR_ROWS)
    with f.loop(0, m, VECTOR_ROWS, name="rows") as loop:
        i = loop.index
        w_at = f.gep(ops.memory("b"), w, f.mul(i, ldw))
        y_at = f.gep(ops.memory("c"), y, i)
        f.call(tile, 1, f.sub(m, i), k, x, k, w_at, ldw, y_at, 0, 1, accumulate)


def write_dot(f: Builder, ops: Operands) -> None:
    """sum over k of x[k] y[k], in the type of sums: four vectors in turn, then the rest, then the
    trees."""
    n, x, y = f.params
    lanes = ops.lanes(f.module.target)
    stride = 4 * lanes
    whole = f.and_(n, -stride)
    none = zero(ops.vector(lanes))
    with f.loop(0, whole, stride, carried=[none] * 4, name="k") as loop:
        following: list[Value] = []
        for i, total in enumerate(loop.carried):
            at = f.add(loop.index, i * lanes)
            a = ops.load(f, "a", f.gep(ops.memory("a"), x, at), lanes)
            b = ops.load(f, "b", f.gep(ops.memory("b"), y, at), lanes)
            following.append(ops.mac(f, a, b, total))
        loop.next(*following)
    s0, s1, s2, s3 = loop.carried
    a_at, b_at = f.gep(ops.memory("a"), x, whole), f.gep(ops.memory("b"), y, whole)
    (rest,) = row_products(f, ops, f.sub(n, whole), [a_at], [b_at])
    total = f.plus(f.plus(f.plus(s0, s1), f.plus(s2, s3)), rest)
    f.ret(fold(f, total, f.plus))
