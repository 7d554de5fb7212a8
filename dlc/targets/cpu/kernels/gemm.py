"""Matrix products with sizes known at run time.

c[M, N] (+)= a b, rows contiguous, any row strides (in elements). Variants by how the operands lie:
"nn" a[M, K], b[K, N] · "nt" b[N, K] (b transposed) · "tn" a[K, M] (a transposed) · "np", "tp" b
packed by `pack` (weights). c overlaps no operand. Sizes may be 0: an empty sum is 0.

Order of summation: k in order for tiles of four rows and more; k modulo 4 (one row) or 2 (two or
three) in separate sums, added in pairs, for the last M mod 6 rows and small M. `nt`: lanes along
k, then a tree. f16 and bf16 are summed in f32 and rounded once. Integers wrap.
"""

from __future__ import annotations

from dlc.targets.cpu.kernels.dots import write_nt
from dlc.targets.cpu.kernels.gemv import GEMV
from dlc.targets.cpu.kernels.operands import OPERANDS, Operands
from dlc.targets.cpu.kernels.packing import DEPTH, panel_columns
from dlc.targets.cpu.kernels.registry import Family, Key, Params, require
from dlc.targets.cpu.kernels.tiles import column_of_tiles, largest
from dlc.targets.cpu.llvm import INDEX, Builder, Value


def _params(key: Key) -> Params:
    sizes: Params = ((INDEX, "m"), (INDEX, "n"), (INDEX, "k"))
    b: Params = (("ptr", "b"),) if key.variant.endswith("p") else (("ptr", "b"), (INDEX, "ldb"))
    return (
        *sizes,
        ("ptr", "a"),
        (INDEX, "lda"),
        *b,
        ("ptr noalias", "c"),
        (INDEX, "ldc"),
        ("i1", "accumulate"),
    )


def _write(f: Builder, key: Key) -> None:
    ops = OPERANDS[key.dtype]
    if key.variant == "nt":
        write_nt(f, ops)
        return
    a_order = "row" if key.variant[0] == "n" else "col"
    if key.variant[1] == "n":
        _single_row(f, ops, a_order)
    _write_tiles(f, ops, a_order, key.variant[1] == "p")


def _single_row(f: Builder, ops: Operands, a_order: str) -> None:
    """One row of c: stream through b as it lies, rather than down a panel of it."""
    m, n, k, a, lda, b, ldb, c, _, accumulate = f.params
    with f.when(f.icmp("eq", m, 1)):
        gemv = require(f.module, GEMV, ops.name, "t")
        f.call(gemv, k, n, b, ldb, a, f.index(1) if a_order == "row" else lda, c, accumulate)
        f.ret()


def _write_tiles(f: Builder, ops: Operands, a_order: str, packed: bool) -> None:
    """Blocks of DEPTH of k, then panels of columns, then tiles of rows."""
    m, n, k, a, lda, b, *rest = f.params
    columns = panel_columns(f.module.target, ops.name)
    ldb = f.index(columns) if packed else rest.pop(0)
    c, ldc, accumulate = rest
    # One turn even for k = 0, which must write zeros.
    some = f.imax(k, 1)
    step = Value(INDEX, str(DEPTH)) if ops.exact_in_c else some
    with f.loop(0, some, step, name="depth") as block:
        deep = f.imin(f.sub(k, block.index), step)
        add = f.or_(accumulate, f.icmp("ne", block.index, 0))
        a_at = f.gep(
            ops.memory("a"), a, block.index if a_order == "row" else f.mul(block.index, lda)
        )
        if packed:
            padded = f.and_(f.add(n, columns - 1), -columns)
            b_at = f.gep(ops.memory("b"), b, f.mul(block.index, padded))
        else:
            b_at = f.gep(ops.memory("b"), b, f.mul(block.index, ldb))
        panels(f, ops, a_order, packed, (m, n, deep, a_at, lda, b_at, ldb, c, ldc, add))


def panels(f: Builder, ops: Operands, a_order: str, packed: bool, args: tuple[Value, ...]) -> None:
    """Tiles over one block of k: `args` are m, n, k, a, lda, b, ldb, c, ldc, add. `packed`: b is
    made of full panels."""
    m, n, k, a, lda, b, ldb, c, ldc, add = args
    target = f.module.target
    lanes, columns = ops.lanes(target), panel_columns(target, ops.name)

    def panel(edge: str, j: Value, inside: Value, count: Value, row: Value | None = None) -> None:
        """Columns j.. of c, from `row` on; `inside` is where they start in their panel (packed)."""
        start = f.add(f.mul(f.sub(j, inside), k), inside) if packed else j
        b_at = f.gep(ops.memory("b"), b, start)
        c_at, a_at, rows = f.gep(ops.memory("c"), c, j), a, m
        if row is not None:
            c_at = f.gep(ops.memory("c"), c_at, f.mul(row, ldc))
            a_at = f.gep(ops.memory("a"), a, f.mul(row, lda) if a_order == "row" else row)
            rows = f.sub(m, row)
        tiles = column_of_tiles(f.module, ops, a_order, edge, packed)
        f.call(tiles, rows, k, a_at, lda, b_at, ldb, c_at, ldc, add, count)

    with f.loop(0, f.sub(n, columns - 1), columns, name="panel") as loop:
        panel("", loop.index, f.index(0), f.index(columns))
    first = loop.index
    if lanes == 1:
        with f.loop(first, n, name="edge") as edge:
            panel("scalar", edge.index, f.sub(edge.index, first), f.index(1))
        return
    if target.masked or packed:
        # Many columns left: whole tiles of full width, then single vectors for the rows below.
        left, height = f.sub(n, first), largest(target).height
        whole = f.sub(m, f.binary("urem", m, height))
        done = f.select(f.icmp("sgt", left, columns // 2), whole, f.index(0))
        with f.when(f.icmp("sgt", done, 0)):
            panel("wide", first, f.index(0), left)
        end = f.select(f.icmp("slt", done, m), n, first)
        with f.loop(first, end, lanes, name="edge") as edge:
            inside = f.sub(edge.index, first)
            panel("masked", edge.index, inside, f.sub(n, edge.index), done)
        return
    with f.loop(first, f.sub(n, lanes - 1), lanes, name="edge") as edge:
        panel("vector", edge.index, f.sub(edge.index, first), f.index(lanes))
    with f.loop(edge.index, n, name="edge") as last:
        panel("scalar", last.index, f.sub(last.index, first), f.index(1))


GEMM = Family("gemm", tuple(OPERANDS), _params, _write, ("nn", "nt", "tn", "np", "tp"))

FAMILIES = (GEMM,)
