"""Banked sums over the rows of a matrix, column by column, walked row by row instead.

`for j < n { place[j] := banksum(i < m: f(i, j)) }` reads a row-major matrix down its columns. The
columns are independent, and each one's partial sums take the same terms in the same order if 64
columns are kept side by side and rows go outermost: the same bits, from memory in order. Only what
has this shape is done so; all else is compiled as it stands.
"""

from __future__ import annotations

from collections.abc import Callable

from dlc.isa import terms as t
from dlc.isa.fast.context import Context

TILE = 64


def banked_columns(stmt: t.Loop) -> tuple[t.Element, t.Quantifier] | None:
    """The place and the sum of a loop of that shape, whose terms run along memory in the loop's
    own variable."""
    if len(stmt.body) != 1 or not isinstance(stmt.body[0], t.Assign):
        return None
    place, value = stmt.body[0].place, stmt.body[0].value
    if (
        not isinstance(place, t.Element)
        or not isinstance(value, t.Quantifier)
        or value.kind != "banksum"
        or value.lane is not None
    ):
        return None
    local = t.Local(stmt.var, "i")
    inner = t.Local(value.var, "i")
    elements = [part for part in t.walk(value.body) if isinstance(part, t.Element)]
    along = [e for e in elements if e.access == "at" and e.indices[-1] == local]
    across = [
        e for e in elements if e.access == "at" and e.indices[-1] == inner and local in e.indices
    ]
    free = any(part == local for part in t.walk(value.bound))
    return (place, value) if along and not across and not free else None


def emit_banked_columns(
    ctx: Context,
    stmt: t.Loop,
    total: t.Quantifier,
    expr: Callable[[t.Term], str],
    store: Callable[[str], None],
) -> None:
    """The loop, 64 columns at a time. `store` writes the value of the present column."""
    b = ctx.builder
    columns, rows = expr(stmt.bound), expr(total.bound)
    banks = b.alloca(f"[{64 * TILE} x float]")
    up = b.op(f"add i64 {columns}, {TILE - 1}")
    tiles = b.op(f"ashr i64 {up}, 6")

    def tile(number: str) -> tuple[()]:
        first = b.op(f"shl i64 {number}, 6")
        left = b.op(f"sub i64 {columns}, {first}")
        width = b.op(f"call i64 @llvm.smin.i64(i64 {left}, i64 {TILE})")
        b.do(
            f"call void @llvm.memset.p0.i64(ptr align 64 {banks}, i8 0, i64 {256 * TILE}, i1 false)"
        )

        def row(i: str) -> tuple[()]:
            bank = b.op(f"and i64 {i}, 63")
            start = b.op(f"mul i64 {bank}, {TILE}")

            def column(k: str) -> tuple[()]:
                ctx.locals[total.var], ctx.locals[stmt.var] = i, b.op(f"add i64 {first}, {k}")
                at = b.op(f"add i64 {start}, {k}")
                old = b.load("float", banks, at, 4)
                b.store("float", b.op(f"fadd float {old}, {expr(total.body)}"), banks, at, 4)
                return ()

            b.loop(width, column)
            return ()

        b.loop(rows, row)
        for half in (32, 16, 8, 4, 2, 1):
            _halve(ctx, banks, half * TILE)

        def result(k: str) -> tuple[()]:
            ctx.locals[stmt.var] = b.op(f"add i64 {first}, {k}")
            store(b.load("float", banks, k, 4))
            return ()

        b.loop(width, result)
        return ()

    b.loop(tiles, tile)


def _halve(ctx: Context, banks: str, by: int) -> None:
    """Add the upper half of the banks to the lower one."""
    b = ctx.builder

    def turn(k: str) -> tuple[()]:
        low = b.load("float", banks, k, 4)
        high = b.load("float", banks, b.op(f"add i64 {k}, {by}"), 4)
        b.store("float", b.op(f"fadd float {low}, {high}"), banks, k, 4)
        return ()

    b.loop(str(by), turn)
