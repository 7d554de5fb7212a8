"""LLVM for every effect of `dlc.isa.primitives`."""

from __future__ import annotations

from collections.abc import Callable

from dlc.isa.fast.access import canonical_bits
from dlc.isa.fast.context import Context
from dlc.isa.fast.primitives import descriptor
from dlc.isa.layout import D, E


def _halt(ctx: Context) -> None:
    ctx.halted = True


def _nothing(ctx: Context, *_: str) -> None:
    pass


def _copy_from(file: str, table: str) -> Callable[..., None]:
    """An effect that copies a row of a table into a descriptor."""

    def emit(ctx: Context, operand: str, k: str) -> None:
        b = ctx.builder
        first = b.op(f"mul i64 {k}, 16")
        source = b.op(f"getelementptr i64, ptr %{table}, i64 {first}")
        target = descriptor(ctx, file, operand)
        places = f"ptr align 8 {target}, ptr align 8 {source}"
        b.do(f"call void @llvm.memcpy.p0.p0.i64({places}, i64 128, i1 false)")

    return emit


def _describe(ctx: Context, operand: str, k: str, address: str) -> None:
    target = descriptor(ctx, "T", operand)
    ctx.builder.op(
        f"call i64 @describe(ptr %S, ptr %r, ptr %table, i64 {k}, i64 {address}, ptr {target})"
    )


def _view(ctx: Context, operand: str, whole: str, k: str) -> None:
    target, source = descriptor(ctx, "T", operand), descriptor(ctx, "T", whole)
    ctx.builder.op(f"call i64 @view(ptr %r, ptr %table, ptr {source}, i64 {k}, ptr {target})")


def _finish(
    ctx: Context,
    operand: str,
    whole: str,
    pointer: str,
    rank: str,
    shape: list[str],
    stride: list[str],
) -> None:
    numbers = ", ".join(f"i64 {x}" for x in (pointer, rank, *shape, *stride))
    space, dtype = ctx.field("T", whole, D.SPACE), ctx.field("T", whole, D.DTYPE)
    ctx.builder.do(
        f"call void @finish(ptr {descriptor(ctx, 'T', operand)}, i64 {space}, i64 {dtype}, "
        f"{numbers})"
    )


def _axes(ctx: Context, whole: str) -> tuple[list[str], list[str]]:
    return [ctx.field("T", whole, D.SHAPE + k) for k in range(4)], [
        ctx.field("T", whole, D.STRIDE + k) for k in range(4)
    ]


def _moved(ctx: Context, whole: str, entries: str, stride: str) -> str:
    """The pointer, so many entries of an axis further."""
    b = ctx.builder
    elements = b.op(f"mul i64 {entries}, {stride}")
    step = b.op(f"shl i64 {elements}, {ctx.item_shift(ctx.field('T', whole, D.DTYPE))}")
    return b.op(f"add i64 {ctx.field('T', whole, D.POINTER)}, {step}")


def _row(ctx: Context, operand: str, whole: str, index: str) -> None:
    shape, stride = _axes(ctx, whole)
    pointer = _moved(ctx, whole, index, stride[0])
    rank = ctx.builder.op(f"sub i64 {ctx.field('T', whole, D.RANK)}, 1")
    _finish(ctx, operand, whole, pointer, rank, [*shape[1:], "1"], [*stride[1:], "0"])


def _slice(ctx: Context, operand: str, whole: str, axis: str, start: str, count: str) -> None:
    b = ctx.builder
    shape, stride = _axes(ctx, whole)
    here = [ctx.test("eq", axis, k) for k in range(4)]
    sizes = [b.select(here[k], "i64", count, shape[k]) for k in range(4)]
    step, size = "0", "1"
    for k in range(4):
        step = b.select(here[k], "i64", stride[k], step)
        size = b.op(f"mul i64 {size}, {sizes[k]}")
    first = b.select(ctx.test("eq", size, 0), "i64", "0", start)
    _finish(
        ctx,
        operand,
        whole,
        _moved(ctx, whole, first, step),
        ctx.field("T", whole, D.RANK),
        sizes,
        stride,
    )


def _permute(ctx: Context, operand: str, whole: str, order: str) -> None:
    b = ctx.builder
    shape, stride = _axes(ctx, whole)
    rank = ctx.field("T", whole, D.RANK)
    sizes: list[str] = []
    steps: list[str] = []
    for k in range(4):
        shifted = b.op(f"lshr i64 {order}, {2 * k}")
        axis = b.op(f"and i64 {shifted}, 3")
        size, step = shape[3], stride[3]
        for other in range(3):
            here = ctx.test("eq", axis, other)
            size, step = (
                b.select(here, "i64", shape[other], size),
                b.select(here, "i64", stride[other], step),
            )
        inside = ctx.test("ult", str(k), rank)
        sizes.append(b.select(inside, "i64", size, "1"))
        steps.append(b.select(inside, "i64", step, "0"))
    _finish(ctx, operand, whole, ctx.field("T", whole, D.POINTER), rank, sizes, steps)


def _clear(ctx: Context, queue: str) -> None:
    ctx.set_field("Q", queue, E.LENGTH, "0")


def _push(ctx: Context, queue: str, index: str, value: str) -> None:
    b = ctx.builder
    k = ctx.present("Q", queue, E.LENGTH)
    if ctx.checked:
        from dlc.isa.fast.primitives import EMIT

        ctx.guard_below(k, EMIT["capacity"](ctx))
        ctx.guard(b.op(f"icmp sgt i64 {index}, {EMIT['last'](ctx, queue)}"))
        ctx.guard_below(index, str(1 << 31))
    b.store(
        "i32", b.op(f"trunc i64 {index} to i32"), ctx.pointer(ctx.field("Q", queue, E.INDEX)), k, 4
    )
    b.store("i32", canonical_bits(ctx, value), ctx.pointer(ctx.field("Q", queue, E.VALUE)), k, 4)
    ctx.set_field("Q", queue, E.LENGTH, b.op(f"add i64 {k}, 1"))


EMIT: dict[str, Callable[..., None]] = {
    "halt": _halt,
    "nothing": _nothing,
    "fence": _nothing,
    "compress": _copy_from("W", "matrices"),
    "constant": _copy_from("T", "static"),
    "describe": _describe,
    "view": _view,
    "row": _row,
    "slice": _slice,
    "permute": _permute,
    "clear": _clear,
    "push": _push,
}
