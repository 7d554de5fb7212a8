"""LLVM for every primitive of `dlc.isa.primitives`; a test checks that the tables agree.

An emitter takes the context, then the arguments: LLVM values, and names of operands for
descriptors, matrices and queues.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dlc.isa.fast.access import canonical_bits, widen
from dlc.isa.fast.context import Context
from dlc.isa.fast.text import real
from dlc.isa.layout import D, E, Flag, M, S

Emitter = Callable[..., str]
OVERLOADED = ("abs", "max", "min")
"""Primitives of either type of number; the type comes as the last argument."""
THROUGH_F64 = (
    "exp",
    "expm1",
    "log",
    "log1p",
    "sin",
    "cos",
    "tanh",
    "erf",
    "asinh",
    "acosh",
    "atanh",
)
"""Functions of C's mathematical library."""
_ROUNDINGS = {
    "floor": "floor",
    "ceil": "ceil",
    "round": "roundeven",
    "trunc": "trunc",
    "sqrt": "sqrt",
}


def _through(name: str) -> Emitter:
    def emit(ctx: Context, *args: str) -> str:
        b = ctx.builder
        wide = [b.op(f"fpext float {x} to double") for x in args]
        result = b.op(f"call double @{name}({', '.join(f'double {x}' for x in wide)})")
        return b.op(f"fptrunc double {result} to float")

    return emit


def _rounding(name: str) -> Emitter:
    def emit(ctx: Context, x: str) -> str:
        return ctx.builder.op(f"call float @llvm.{name}.f32(float {x})")

    return emit


def _sigmoid(ctx: Context, x: str) -> str:
    b = ctx.builder
    wide = b.op(f"fpext float {x} to double")
    minus = b.op(f"fneg double {wide}")
    grown = b.op(f"call double @exp(double {minus})")
    below = b.op(f"fadd double 1.0, {grown}")
    quotient = b.op(f"fdiv double 1.0, {below}")
    return b.op(f"fptrunc double {quotient} to float")


def _relu(ctx: Context, x: str) -> str:
    b = ctx.builder
    rest = b.select(b.is_nan(x), "float", x, "0.0")
    return b.select(b.op(f"fcmp ogt float {x}, 0.0"), "float", x, rest)


def _sign(ctx: Context, x: str) -> str:
    b = ctx.builder
    rest = b.select(b.is_nan(x), "float", x, "0.0")
    low = b.select(b.op(f"fcmp olt float {x}, 0.0"), "float", "-1.0", rest)
    return b.select(b.op(f"fcmp ogt float {x}, 0.0"), "float", "1.0", low)


def _mac(ctx: Context, s: str, x: str, y: str) -> str:
    product = ctx.builder.op(f"fmul float {x}, {y}")
    return ctx.builder.op(f"fadd float {s}, {product}")


def _abs(ctx: Context, x: str, kind: str) -> str:
    if kind == "f":
        return ctx.builder.op(f"call float @llvm.fabs.f32(float {x})")
    return ctx.builder.op(f"call i64 @llvm.abs.i64(i64 {x}, i1 false)")


def _extreme(relation: str, integer: str) -> Emitter:
    def emit(ctx: Context, x: str, y: str, kind: str) -> str:
        b = ctx.builder
        if kind == "i":
            return b.op(f"call i64 @llvm.{integer}.i64(i64 {x}, i64 {y})")
        chosen = b.select(b.op(f"fcmp {relation} float {x}, {y}"), "float", x, y)
        return b.select(b.op(f"fcmp uno float {x}, {y}"), "float", real(math.nan), chosen)

    return emit


def _bits(ctx: Context, x: str) -> str:
    word = canonical_bits(ctx, x)
    return ctx.builder.op(f"zext i32 {word} to i64")


def _from_bits(ctx: Context, x: str) -> str:
    word = ctx.builder.op(f"trunc i64 {x} to i32")
    return ctx.builder.op(f"bitcast i32 {word} to float")


def _order(ctx: Context, x: str) -> str:
    b = ctx.builder
    unsigned_zero = b.op(f"fadd float {x}, 0.0")
    bits = b.op(f"bitcast float {unsigned_zero} to i32")
    sign = b.op(f"ashr i32 {bits}, 31")
    flip = b.op(f"or i32 {sign}, -2147483648")
    ordered = b.op(f"xor i32 {bits}, {flip}")
    kept = b.select(b.is_nan(x), "i32", "-1", ordered)
    return b.op(f"zext i32 {kept} to i64")


def _shift(instruction: str) -> Emitter:
    def emit(ctx: Context, x: str, y: str) -> str:
        by = ctx.builder.op(f"and i64 {y}, 63")
        return ctx.builder.op(f"{instruction} i64 {x}, {by}")

    return emit


def _bitwise(instruction: str) -> Emitter:
    def emit(ctx: Context, x: str, y: str) -> str:
        return ctx.builder.op(f"{instruction} i64 {x}, {y}")

    return emit


def _to_real(ctx: Context, x: str) -> str:
    return ctx.builder.op(f"sitofp i64 {x} to float")


def _to_int(ctx: Context, x: str) -> str:
    return ctx.builder.op(f"call i64 @llvm.fptosi.sat.i64.f32(float {x})")


def _constant(text: str) -> Emitter:
    def emit(ctx: Context) -> str:
        return text

    return emit


def _finite(ctx: Context, x: str) -> str:
    size = ctx.builder.op(f"call float @llvm.fabs.f32(float {x})")
    return ctx.builder.op(f"fcmp olt float {size}, {real(math.inf)}")


# -- sizes -----------------------------------------------------------------------------------------


def _field(file: str, word: int) -> Emitter:
    def emit(ctx: Context, operand: str) -> str:
        return ctx.field(file, operand, word)

    return emit


def _number(word: int) -> Emitter:
    def emit(ctx: Context) -> str:
        return ctx.number(word)

    return emit


def _dim(ctx: Context, operand: str, axis: str) -> str:
    if axis.isdigit() and int(axis) < 4:
        return ctx.field("T", operand, D.SHAPE + int(axis))
    b = ctx.builder
    inside = ctx.test("ult", axis, 4)

    def load() -> str:
        first = b.op(f"mul i64 {ctx.operands[operand]}, 16")
        sizes = b.op(f"add i64 {first}, {int(D.SHAPE)}")
        return ctx.load("T", b.op(f"add i64 {sizes}, {axis}"))

    return b.choose(inside, load, lambda: "1", "i64")


def _address(ctx: Context, operand: str) -> str:
    b = ctx.builder
    space = ctx.field("T", operand, D.SPACE)
    base = ctx.load("S", b.op(f"add i64 {space}, {int(S.BASE)}"))
    return b.op(f"sub i64 {ctx.field('T', operand, D.POINTER)}, {base}")


def _same_shape(ctx: Context, a: str, c: str) -> str:
    b = ctx.builder
    result = ctx.test("eq", ctx.field("T", a, D.RANK), ctx.field("T", c, D.RANK))
    for axis in range(4):
        equal = ctx.test("eq", ctx.field("T", a, D.SHAPE + axis), ctx.field("T", c, D.SHAPE + axis))
        result = b.op(f"and i1 {result}, {equal}")
    return result


def descriptor(ctx: Context, file: str, operand: str) -> str:
    first = ctx.builder.op(f"mul i64 {ctx.operands[operand]}, 16")
    return ctx.builder.op(f"getelementptr i64, ptr %{file}, i64 {first}")


def _overlaps(ctx: Context, a: str, c: str) -> str:
    return ctx.builder.op(
        f"call i1 @views_overlap(ptr {descriptor(ctx, 'T', a)}, ptr {descriptor(ctx, 'T', c)})"
    )


def _clashes(ctx: Context, a: str, c: str) -> str:
    return ctx.builder.op(
        f"call i1 @views_clash(ptr {descriptor(ctx, 'T', a)}, ptr {descriptor(ctx, 'T', c)})"
    )


def _values_overlap(ctx: Context, operand: str, matrix: str) -> str:
    b = ctx.builder
    left = ctx.test("slt", ctx.field("T", operand, D.LO), ctx.field("W", matrix, M.HI))
    right = ctx.test("slt", ctx.field("W", matrix, M.LO), ctx.field("T", operand, D.HI))
    return b.op(f"and i1 {left}, {right}")


def _writable(ctx: Context, operand: str) -> str:
    b = ctx.builder
    mask = sum(1 << k for k, space in enumerate(ctx.isa.spaces) if space.access == "writable")
    bit = b.op(f"lshr i64 {mask}, {ctx.field('T', operand, D.SPACE)}")
    return b.op(f"trunc i64 {bit} to i1")


def _injective(ctx: Context, operand: str) -> str:
    flag = ctx.builder.op(f"and i64 {ctx.field('T', operand, D.FLAGS)}, {int(Flag.INJECTIVE)}")
    return ctx.test("ne", flag, 0)


def _is_order(ctx: Context, operand: str, order: str) -> str:
    return ctx.builder.op(f"call i1 @is_order(i64 {ctx.field('T', operand, D.RANK)}, i64 {order})")


def _row_fault(ctx: Context, k: str, address: str) -> str:
    scratch = ctx.builder.alloca("[16 x i64]")
    return ctx.builder.op(
        f"call i64 @describe(ptr %S, ptr %r, ptr %table, i64 {k}, i64 {address}, ptr {scratch})"
    )


def _view_fault(ctx: Context, operand: str, k: str) -> str:
    scratch = ctx.builder.alloca("[16 x i64]")
    return ctx.builder.op(
        f"call i64 @view(ptr %r, ptr %table, ptr {descriptor(ctx, 'T', operand)}, i64 {k}, ptr "
        f"{scratch})"
    )


# -- matrices and queues ---------------------------------------------------------------------------


def _i32(ctx: Context, pointer: str, k: str, memory: str) -> str:
    word = ctx.builder.load("i32", ctx.pointer(pointer, memory), k, 4)
    return ctx.builder.op(f"sext i32 {word} to i64")


def _start(ctx: Context, matrix: str, column: str) -> str:
    ctx.guard_below(column, ctx.builder.op(f"add i64 {ctx.field('W', matrix, M.COLS)}, 1"))
    return _i32(ctx, ctx.field("W", matrix, M.POINTERS), column, "idx")


def _entries(ctx: Context, matrix: str, column: str) -> str:
    b = ctx.builder

    def stored() -> str:
        ctx.guard_below(column, ctx.field("W", matrix, M.COLS))
        pointers = ctx.field("W", matrix, M.POINTERS)
        following = _i32(ctx, pointers, b.op(f"add i64 {column}, 1"), "idx")
        return b.op(f"sub i64 {following}, {_i32(ctx, pointers, column, 'idx')}")

    if ctx.dense:
        return b.choose(ctx.dense, lambda: ctx.field("W", matrix, M.ROWS), stored, "i64")
    return stored()


def _entry(ctx: Context, matrix: str, column: str, entry: str) -> str:
    b = ctx.builder
    at = b.op(f"add i64 {_i32(ctx, ctx.field('W', matrix, M.POINTERS), column, 'idx')}, {entry}")
    ctx.guard_below(at, ctx.field("W", matrix, M.NNZ))
    return at


def _row(ctx: Context, matrix: str, column: str, entry: str) -> str:
    return _i32(ctx, ctx.field("W", matrix, M.ROW), _entry(ctx, matrix, column, entry), "idx")


def _val(ctx: Context, matrix: str, column: str, entry: str) -> str:
    b = ctx.builder
    at = _entry(ctx, matrix, column, entry)
    base = b.op(f"getelementptr i8, ptr %mem, i64 {ctx.field('W', matrix, M.VALUES)}")

    def single() -> str:
        return b.load("float", base, at, 4)

    def half() -> str:
        return widen(ctx, b.load("i16", base, at, 2))

    def code() -> str:
        pair = b.load("i8", base, b.op(f"lshr i64 {at}, 1"), 1)
        odd = b.op(f"and i64 {at}, 1")
        shift = b.op(f"shl i64 {odd}, 2")
        both = b.op(f"zext i8 {pair} to i64")
        shifted = b.op(f"lshr i64 {both}, {shift}")
        number = b.op(f"and i64 {shifted}, 15")
        return b.load("float", ctx.pointer(ctx.field("W", matrix, M.CODEBOOK)), number, 4)

    if matrix in ctx.packed:
        return single()
    return b.switch(ctx.field("W", matrix, M.DTYPE), [(0, single), (1, half), (4, code)], "float")


def _len(ctx: Context, queue: str) -> str:
    return ctx.present("Q", queue, E.LENGTH)


def _active(ctx: Context, queue: str, everything: str) -> str:
    length = _len(ctx, queue)
    return ctx.builder.select(ctx.dense, "i64", everything, length) if ctx.dense else length


def _last(ctx: Context, queue: str) -> str:
    b = ctx.builder
    length = _len(ctx, queue)
    before = b.op(f"sub i64 {length}, 1")
    return b.choose(
        ctx.test("eq", length, 0),
        lambda: "-1",
        lambda: _i32(ctx, ctx.field("Q", queue, E.INDEX), before, "mem"),
        "i64",
    )


def _index(ctx: Context, queue: str, k: str) -> str:
    def listed() -> str:
        ctx.guard_below(k, _len(ctx, queue) if ctx.checked else "")
        return _i32(ctx, ctx.field("Q", queue, E.INDEX), k, "mem")

    return ctx.builder.choose(ctx.dense, lambda: k, listed, "i64") if ctx.dense else listed()


def _value(ctx: Context, queue: str, k: str) -> str:
    if ctx.checked:
        ctx.guard_below(k, _len(ctx, queue))
    return ctx.builder.load("float", ctx.pointer(ctx.field("Q", queue, E.VALUE)), k, 4)


EMIT: dict[str, Emitter] = {
    **{name: _through(name) for name in (*THROUGH_F64, "pow", "atan2")},
    **{name: _rounding(llvm) for name, llvm in _ROUNDINGS.items()},
    "sigmoid": _sigmoid,
    "relu": _relu,
    "sign": _sign,
    "mac": _mac,
    "abs": _abs,
    "max": _extreme("oge", "smax"),
    "min": _extreme("ole", "smin"),
    "bits": _bits,
    "from_bits": _from_bits,
    "to_real": _to_real,
    "to_int": _to_int,
    "order": _order,
    "shl": _shift("shl"),
    "sra": _shift("ashr"),
    "srl": _shift("lshr"),
    "bit_or": _bitwise("or"),
    "bit_xor": _bitwise("xor"),
    "least": _constant(str(-(1 << 63))),
    "finite": _finite,
    "no": _constant("false"),
    "dim": _dim,
    "rank": _field("T", D.RANK),
    "size": _field("T", D.SIZE),
    "dtype": _field("T", D.DTYPE),
    "address": _address,
    "rows": _field("W", M.ROWS),
    "cols": _field("W", M.COLS),
    "nnz": _field("W", M.NNZ),
    "capacity": _number(S.CAPACITY),
    "stack_words": _number(S.STACK_WORDS),
    "tape_words": _number(S.TAPE_WORDS),
    "dram_bytes": _number(S.DRAM_BYTES),
    "heap_base": _number(S.HEAP_BASE),
    "heap_limit": _number(S.HEAP_LIMIT),
    "row_fault": _row_fault,
    "view_fault": _view_fault,
    "same_shape": _same_shape,
    "overlaps": _overlaps,
    "clashes": _clashes,
    "values_overlap": _values_overlap,
    "writable": _writable,
    "injective": _injective,
    "is_order": _is_order,
    "row": _row,
    "val": _val,
    "entries": _entries,
    "start": _start,
    "len": _len,
    "active": _active,
    "last": _last,
    "index": _index,
    "value": _value,
}
