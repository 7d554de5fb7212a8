"""Loads and stores of tensor elements and of words of spaces."""

from __future__ import annotations

from dlc.isa.fast.context import Context
from dlc.isa.layout import NAN_BITS, D, Flag, S


def _offset(ctx: Context, operand: str, how: str, indices: list[str]) -> str:
    """Elements from the start of a tensor."""
    b = ctx.builder
    common = operand in ctx.packed
    if how in ("flat", "iflat"):
        ctx.guard_below(indices[0], ctx.field("T", operand, D.SIZE))
        if common:
            return indices[0]
        packed = b.once(f"and i64 {ctx.field('T', operand, D.FLAGS)}, {int(Flag.PACKED)}")
        first = b.once(f"mul i64 {ctx.operands[operand]}, 16")
        far = b.once(f"getelementptr i64, ptr %T, i64 {first}")
        return b.choose(
            ctx.test("ne", packed, 0),
            lambda: indices[0],
            lambda: b.op(f"call i64 @unravel(ptr {far}, i64 {indices[0]})"),
            "i64",
        )
    total = ""
    for axis, index in enumerate(indices):
        ctx.guard_below(index, ctx.field("T", operand, D.SHAPE + axis))
        last = common and axis == len(indices) - 1
        step = (
            index if last else b.op(f"mul i64 {index}, {ctx.field('T', operand, D.STRIDE + axis)}")
        )
        total = b.op(f"add i64 {total}, {step}") if total else step
    return total or "0"


def _base(ctx: Context, operand: str) -> str:
    return ctx.builder.once(f"getelementptr i8, ptr %mem, i64 {ctx.field('T', operand, D.POINTER)}")


def load_element(ctx: Context, operand: str, how: str, indices: list[str]) -> str:
    """An element as float or i64."""
    b = ctx.builder
    at = _offset(ctx, operand, how, indices)
    base = _base(ctx, operand)
    floats = how in ("at", "flat")
    if operand in ctx.packed:
        return _load(ctx, base, at, ctx.expected[operand])
    kinds = (0, 1) if floats else (2, 3)
    first = ctx.test("eq", ctx.field("T", operand, D.DTYPE), kinds[0])
    return b.choose(
        first,
        lambda: _load(ctx, base, at, kinds[0]),
        lambda: _load(ctx, base, at, kinds[1]),
        "float" if floats else "i64",
    )


def _load(ctx: Context, base: str, at: str, dtype: int) -> str:
    b = ctx.builder
    match dtype:
        case 0:
            return b.load("float", base, at, 4)
        case 1:
            return widen(ctx, b.load("i16", base, at, 2))
        case 2:
            word = b.load("i32", base, at, 4)
            return b.op(f"sext i32 {word} to i64")
        case _:
            byte = b.load("i8", base, at, 1)
            return b.op(f"sext i8 {byte} to i64")


def widen(ctx: Context, half: str) -> str:
    """The float of 16 bits of bf16."""
    b = ctx.builder
    word = b.op(f"zext i16 {half} to i32")
    high = b.op(f"shl i32 {word}, 16")
    return b.op(f"bitcast i32 {high} to float")


def canonical_bits(ctx: Context, value: str) -> str:
    """The 32 bits of a float as they are written: there is one NaN."""
    b = ctx.builder
    raw = b.op(f"bitcast float {value} to i32")
    return b.select(b.is_nan(value), "i32", str(NAN_BITS), raw)


def store_element(ctx: Context, operand: str, how: str, indices: list[str], value: str) -> None:
    """Write an element, rounded or cut to its type."""
    b = ctx.builder
    at = _offset(ctx, operand, how, indices)
    base = _base(ctx, operand)
    if operand in ctx.packed:
        _store(ctx, base, at, ctx.expected[operand], value)
        return
    kinds = (0, 1) if how in ("at", "flat") else (2, 3)
    tag = b.fresh()
    b.branch(
        ctx.test("eq", ctx.field("T", operand, D.DTYPE), kinds[0]), f"wide{tag}", f"narrow{tag}"
    )
    for label, dtype in ((f"wide{tag}", kinds[0]), (f"narrow{tag}", kinds[1])):
        b.start(label)
        _store(ctx, base, at, dtype, value)
        b.jump(f"stored{tag}")
    b.start(f"stored{tag}")


def _store(ctx: Context, base: str, at: str, dtype: int, value: str) -> None:
    b = ctx.builder
    match dtype:
        case 0:
            b.store("i32", canonical_bits(ctx, value), base, at, 4)
        case 1:
            bits = canonical_bits(ctx, value)
            high = b.op(f"lshr i32 {bits}, 16")
            odd = b.op(f"and i32 {high}, 1")
            half = b.op(f"add i32 {bits}, 32767")
            rounded = b.op(f"add i32 {half}, {odd}")
            cut = b.op(f"lshr i32 {rounded}, 16")
            b.store("i16", b.op(f"trunc i32 {cut} to i16"), base, at, 2)
        case 2:
            b.store("i32", b.op(f"trunc i64 {value} to i32"), base, at, 4)
        case _:
            b.store("i8", b.op(f"trunc i64 {value} to i8"), base, at, 1)


def _word(ctx: Context, space: str, index: str, shift: int) -> str:
    b = ctx.builder
    if ctx.checked:
        size = ctx.number(S.BYTES + ctx.isa.space(space))
        ctx.guard_below(index, b.op(f"lshr i64 {size}, {shift}"))
    step = b.op(f"shl i64 {index}, {shift}")
    return ctx.pointer(b.op(f"add i64 {ctx.base(space)}, {step}"))


def load_word(ctx: Context, space: str, view: str, index: str) -> str:
    """A word of a space by its number."""
    if view == "i64":
        return ctx.builder.op(f"load i64, ptr {_word(ctx, space, index, 3)}, align 8")
    return ctx.builder.op(f"load float, ptr {_word(ctx, space, index, 2)}, align 4")


def store_word(ctx: Context, space: str, view: str, index: str, value: str) -> None:
    b = ctx.builder
    if view == "i64":
        b.do(f"store i64 {value}, ptr {_word(ctx, space, index, 3)}, align 8")
    else:
        bits = canonical_bits(ctx, value)
        b.do(f"store i32 {bits}, ptr {_word(ctx, space, index, 2)}, align 4")
