"""Matrix times vector, outer products, dot products.

W is row-major with a row stride in elements; y overlaps no operand; sizes may be 0.

gemv "n": y[M] (+)= W[M, K] x[K] · "t": y[N] (+)= W[K, N]^T x[K], `incx` the stride of x. Of a mixed
dtype `a_b_c`, x is a, W is b, y is c. Order: "n" as
gemm's "nt" (lanes, then a tree); "t" runs over k in order.
outer: c[M, N] (+)= a[M] b[N]^T, `inca` the stride of a. dot: four vectors of lanes, then a tree;
the result has the type of sums (f32 for halves, i32 for narrow integers).
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.targets.cpu.kernels.dots import write_dot, write_gemv
from dlc.targets.cpu.kernels.operands import OPERANDS, Operands
from dlc.targets.cpu.kernels.registry import Family, Key, Params
from dlc.targets.cpu.kernels.simd import vector_loop, zero
from dlc.targets.cpu.llvm import INDEX, Builder, Value

ROWS = 8
"""Rows of W that one pass over y takes in."""

STRIP = 2048
"""Elements of y that stay in the first cache while all rows of W pass."""


def _gemv_params(key: Key) -> Params:
    if key.variant == "n":
        sizes: Params = ((INDEX, "m"), (INDEX, "k"), ("ptr", "w"), (INDEX, "ldw"), ("ptr", "x"))
    else:
        sizes = (
            (INDEX, "k"),
            (INDEX, "n"),
            ("ptr", "w"),
            (INDEX, "ldw"),
            ("ptr", "x"),
            (INDEX, "incx"),
        )
    return (*sizes, ("ptr noalias", "y"), ("i1", "accumulate"))


def _gemv(f: Builder, key: Key) -> None:
    ops = OPERANDS[key.dtype]
    if key.variant == "n":
        write_gemv(f, ops)
    else:
        _write_transposed(f, ops)


def _write_transposed(f: Builder, ops: Operands) -> None:
    """Strips of y; for each, eight rows of W at a time are added."""
    k, n, *_, y, accumulate = f.params
    if not ops.exact_in_c:
        _write_columns(f, ops)
        return
    c = ops.memory("c")
    with f.when(f.not_(accumulate)), f.loop(0, n, name="clear") as loop:
        f.store(zero(c), f.gep(c, y, loop.index))
    with f.loop(0, n, STRIP, name="strip") as strip:
        first = strip.index
        last = f.imin(f.add(first, STRIP), n)
        with f.loop(0, f.sub(k, ROWS - 1), ROWS, name="rows") as rows:
            _add_rows(f, ops, rows.index, ROWS, first, last)
        with f.loop(rows.index, k, name="row") as row:
            _add_rows(f, ops, row.index, 1, first, last)


def _add_rows(f: Builder, ops: Operands, at: Value, count: int, first: Value, last: Value) -> None:
    """y[first..last] += x[at] W[at] + … for `count` rows, in order."""
    _, _, w, ldw, x, incx, y, _ = f.params
    factors: list[Value] = []
    rows: list[Value] = []
    for i in range(count):
        k = f.add(at, i)
        factors.append(ops.load(f, "a", f.gep(ops.memory("a"), x, f.mul(k, incx))))
        rows.append(f.gep(ops.memory("b"), w, f.mul(k, ldw)))
    add_scaled_rows(f, ops, factors, rows, y, (first, last))


def add_scaled_rows(
    f: Builder,
    ops: Operands,
    factors: Sequence[Value],
    rows: Sequence[Value],
    y: Value,
    bounds: tuple[Value, Value],
) -> None:
    """y[j] += factors[0] rows[0][j] + …, one after the other, for j within the bounds."""

    def turn(j: Value, lanes: int) -> None:
        place = f.gep(ops.memory("c"), y, j)
        total = ops.load(f, "c", place, lanes)
        for factor, row in zip(factors, rows, strict=True):
            b = ops.load(f, "b", f.gep(ops.memory("b"), row, j), lanes)
            total = ops.mac(f, factor, b, total)
        ops.store(f, total, place)

    first, last = bounds
    vector_loop(f, last, ops.lanes(f.module.target), turn, first)


def _write_columns(f: Builder, ops: Operands) -> None:
    """Column by column of vectors, so that sums of halves are rounded once."""
    k, n, w, ldw, x, incx, y, accumulate = f.params

    def turn(j: Value, lanes: int) -> None:
        place = f.gep(ops.memory("c"), y, j)
        t = ops.vector(lanes)
        (start,) = f.if_else(
            accumulate, lambda: (ops.load(f, "c", place, lanes),), lambda: (zero(t),)
        )
        with f.loop(0, k, carried=[start], name="k") as loop:
            factor = ops.load(f, "a", f.gep(ops.memory("a"), x, f.mul(loop.index, incx)))
            at = f.add(f.mul(loop.index, ldw), j)
            b = ops.load(f, "b", f.gep(ops.memory("b"), w, at), lanes)
            loop.next(ops.mac(f, factor, b, loop.carried[0]))
        ops.store(f, loop.carried[0], place)

    vector_loop(f, n, ops.lanes(f.module.target), turn)


def _outer_params(key: Key) -> Params:
    return (
        (INDEX, "m"),
        (INDEX, "n"),
        ("ptr", "a"),
        (INDEX, "inca"),
        ("ptr", "b"),
        ("ptr noalias", "c"),
        (INDEX, "ldc"),
        ("i1", "accumulate"),
    )


def _outer(f: Builder, key: Key) -> None:
    """c[i, j] (+)= a[i] b[j]."""
    ops = OPERANDS[key.dtype]
    m, n, a, inca, b, c, ldc, accumulate = f.params

    def rows(add: bool) -> None:
        with f.loop(0, m, name="row") as row:
            x = ops.load(f, "a", f.gep(ops.memory("a"), a, f.mul(row.index, inca)))
            at = f.gep(ops.memory("c"), c, f.mul(row.index, ldc))

            def turn(j: Value, lanes: int) -> None:
                y = ops.load(f, "b", f.gep(ops.memory("b"), b, j), lanes)
                place = f.gep(ops.memory("c"), at, j)
                if add:
                    total = ops.mac(f, x, y, ops.load(f, "c", place, lanes))
                else:
                    total = f.times(f.splat(x, lanes), y)
                ops.store(f, total, place)

            vector_loop(f, n, ops.lanes(f.module.target), turn)

    with f.when(accumulate):
        rows(True)
        f.ret()
    rows(False)


def _dot_params(key: Key) -> Params:
    return ((INDEX, "n"), ("ptr", "x"), ("ptr", "y"))


def _dot(f: Builder, key: Key) -> None:
    write_dot(f, OPERANDS[key.dtype])


def _sum_type(key: Key) -> str:
    return OPERANDS[key.dtype].sum


GEMV = Family("gemv", tuple(OPERANDS), _gemv_params, _gemv, ("n", "t"))

FAMILIES = (
    GEMV,
    Family("outer", tuple(OPERANDS), _outer_params, _outer),
    Family("dot", tuple(OPERANDS), _dot_params, _dot, result=_sum_type),
)
