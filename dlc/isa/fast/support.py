"""Functions that the instructions' text calls: descriptors made and compared, quotients that round
down, the tree of banked sums.

The rules are those of `dlc.isa.descriptors`; a test compares the two on random descriptors.
"""

from __future__ import annotations

from dlc.isa.fast.primitives import THROUGH_F64
from dlc.isa.fast.text import Builder
from dlc.isa.layout import MAX_SIZE, MAX_STRIDE, SPACE_SHIFT, D, Flag, R, S

AXES = range(4)
_SIZES = ", ".join(f"i64 %n{k}" for k in AXES)
_STRIDES = ", ".join(f"i64 %s{k}" for k in AXES)
_TABLE = 0x00020102


def _item_shift(b: Builder, dtype: str) -> str:
    place = b.op(f"shl i64 {dtype}, 3")
    shifted = b.op(f"lshr i64 {_TABLE}, {place}")
    return b.op(f"and i64 {shifted}, 255")


def _test(b: Builder, relation: str, x: str, y: str | int) -> str:
    return b.op(f"icmp {relation} i64 {x}, {y}")


def _all(b: Builder, tests: list[str]) -> str:
    result = "true"
    for test in tests:
        result = b.op(f"and i1 {result}, {test}")
    return result


def _any(b: Builder, tests: list[str]) -> str:
    result = "false"
    for test in tests:
        result = b.op(f"or i1 {result}, {test}")
    return result


def _extent(b: Builder, size: str, shift: str) -> str:
    """Bytes from the first to past the last element of sizes %n and strides %s."""
    total = "1"
    for k in AXES:
        less = b.op(f"sub i64 %n{k}, 1")
        reach = b.op(f"mul i64 {less}, %s{k}")
        total = b.op(f"add i64 {total}, {reach}")
    bytes_ = b.op(f"shl i64 {total}, {shift}")
    return b.select(_test(b, "eq", size, 0), "i64", "0", bytes_)


def _product(b: Builder) -> str:
    total = "1"
    for k in AXES:
        total = b.op(f"mul i64 {total}, %n{k}")
    return total


def _flags(b: Builder, size: str) -> str:
    single = _test(b, "ule", size, 1)
    wide = [_test(b, "ugt", f"%n{k}", 1) for k in AXES]
    step = "1"
    packed: list[str] = []
    for k in reversed(AXES):
        equal = _test(b, "eq", f"%s{k}", step)
        packed.append(b.select(wide[k], "i1", equal, "true"))
        step = b.op(f"mul i64 {step}, %n{k}")
    apart: list[str] = []
    for k in AXES:
        reach = "0"
        for j in AXES:
            if j == k:
                continue
            below = _test(b, "ule" if j < k else "ult", f"%s{j}", f"%s{k}")
            less = b.op(f"sub i64 %n{j}, 1")
            span = b.op(f"mul i64 {less}, %s{j}")
            counted = b.op(f"and i1 {below}, {wide[j]}")
            reach = b.op(f"add i64 {reach}, {b.select(counted, 'i64', span, '0')}")
        inside = _test(b, "ult", reach, f"%s{k}")
        apart.append(b.select(wide[k], "i1", inside, "true"))
    last_size, last_stride = "1", "1"
    for k in AXES:
        here = _test(b, "eq", "%rank", k + 1)
        last_size = b.select(here, "i64", f"%n{k}", last_size)
        last_stride = b.select(here, "i64", f"%s{k}", last_stride)
    unit = _any(b, [_test(b, "ule", last_size, 1), _test(b, "eq", last_stride, 1)])
    result = "0"
    for flag, holds in (
        (Flag.PACKED, _any(b, [single, _all(b, packed)])),
        (Flag.INJECTIVE, _any(b, [single, _all(b, apart)])),
        (Flag.UNIT, unit),
    ):
        result = b.op(f"or i64 {result}, {b.select(holds, 'i64', str(int(flag)), '0')}")
    return result


def _finish() -> str:
    head = (
        "define internal void @finish(ptr %out, i64 %space, i64 %dtype, i64 %pointer, i64 %rank, "
        f"{_SIZES}, {_STRIDES})"
    )
    b = Builder(head)
    size = _product(b)
    extent = _extent(b, size, _item_shift(b, "%dtype"))
    words = {
        D.POINTER: "%pointer",
        D.DTYPE: "%dtype",
        D.RANK: "%rank",
        D.SIZE: size,
        D.LO: "%pointer",
        D.HI: b.op(f"add i64 %pointer, {extent}"),
        D.SPACE: "%space",
        D.FLAGS: _flags(b, size),
    }
    for word, value in words.items():
        b.store("i64", value, "%out", str(int(word)), 8)
    for k in AXES:
        b.store("i64", f"%n{k}", "%out", str(D.SHAPE + k), 8)
        b.store("i64", f"%s{k}", "%out", str(D.STRIDE + k), 8)
    b.do("ret void")
    return b.finish()


def _make() -> str:
    """Fault of a view, or its words. Sizes beyond the rank are 1, strides 0; with %packed the
    strides are made here."""
    head = (
        "define internal i64 @make(ptr %out, i64 %space, i64 %dtype, i64 %pointer, i64 %rank, "
        f"{_SIZES.replace('%n', '%m')}, "
        f"{_STRIDES.replace('%s', '%t')}, i1 %packed, i64 %lo, i64 %hi)"
    )
    b = Builder(head)
    outside = [_test(b, "ugt", f"%m{k}", MAX_SIZE) for k in AXES]
    bad = _any(b, outside)
    sizes = [b.select(bad, "i64", "1", f"%m{k}") for k in AXES]
    nonzero = "1"
    for n in sizes:
        positive = b.op(f"call i64 @llvm.smax.i64(i64 {n}, i64 1)")
        product = b.op(f"mul i64 {nonzero}, {positive}")
        large = _test(b, "ugt", product, MAX_SIZE)
        bad = _any(b, [bad, large])
        nonzero = b.select(large, "i64", "1", product)
    step = "1"
    strides: list[str] = ["", "", "", ""]
    for k in reversed(AXES):
        own = b.select("%packed", "i64", step, f"%t{k}")
        strides[k] = b.select(_test(b, "ult", str(k), "%rank"), "i64", own, "0")
        step = b.op(f"mul i64 {step}, {b.select(bad, 'i64', '1', sizes[k])}")
    bad = _any(b, [bad, *(_test(b, "ugt", s, MAX_STRIDE) for s in strides)])
    sizes = [b.select(bad, "i64", "1", n) for n in sizes]
    strides = [b.select(bad, "i64", "0", s) for s in strides]
    shift = _item_shift(b, "%dtype")
    size, total = "1", "1"
    for n, s in zip(sizes, strides, strict=True):
        size = b.op(f"mul i64 {size}, {n}")
        less = b.op(f"sub i64 {n}, 1")
        reach = b.op(f"mul i64 {less}, {s}")
        total = b.op(f"add i64 {total}, {reach}")
    extent = b.select(_test(b, "eq", size, 0), "i64", "0", b.op(f"shl i64 {total}, {shift}"))
    item = b.op(f"shl i64 1, {shift}")
    mask = b.op(f"sub i64 {item}, 1")
    misaligned = _test(b, "ne", b.op(f"and i64 %pointer, {mask}"), 0)
    room = b.op("sub i64 %hi, %pointer")
    away = _any(
        b,
        [
            _test(b, "slt", "%pointer", "%lo"),
            _test(b, "sgt", "%pointer", "%hi"),
            _test(b, "sgt", extent, room),
        ],
    )
    fault = b.select(
        bad, "i64", "1", b.select(misaligned, "i64", "2", b.select(away, "i64", "3", "0"))
    )
    b.branch(_test(b, "eq", fault, 0), "fine", "faulty")
    b.start("fine")
    numbers = ", ".join(f"i64 {x}" for x in (*sizes, *strides))
    b.do(f"call void @finish(ptr %out, i64 %space, i64 %dtype, i64 %pointer, i64 %rank, {numbers})")
    b.do("ret i64 0")
    b.start("faulty")
    b.do(f"ret i64 {fault}")
    return b.finish()


def _resolved(b: Builder, row: str, rank: str) -> tuple[list[str], list[str]]:
    """Sizes and strides of a table row, registers looked up."""
    mask = b.load("i64", row, str(int(R.MASK)), 8)
    found: list[list[str]] = []
    for first, bit, absent in ((R.SHAPE, 0, "1"), (R.STRIDE, 4, "0")):
        values: list[str] = []
        for k in AXES:
            value = b.load("i64", row, str(first + k), 8)
            named = b.op(f"and i64 {mask}, {1 << bit + k}")
            number = value
            looked = b.choose(
                _test(b, "ne", named, 0),
                lambda number=number: b.load("i64", "%r", number, 8),
                lambda number=number: number,
                "i64",
            )
            values.append(b.select(_test(b, "ult", str(k), rank), "i64", looked, absent))
        found.append(values)
    return found[0], found[1]


def _described(
    b: Builder, row: str, rank: str, dtype: str, space: str, pointer: str, lo: str, hi: str
) -> None:
    sizes, strides = _resolved(b, row, rank)
    packed = _test(b, "ne", b.load("i64", row, str(int(R.PACKED)), 8), 0)
    numbers = ", ".join(f"i64 {x}" for x in (*sizes, *strides))
    arguments = (
        f"ptr %out, i64 {space}, i64 {dtype}, i64 {pointer}, i64 {rank}, {numbers}, i1 {packed}, "
        f"i64 {lo}, i64 {hi}"
    )
    b.do(f"ret i64 {b.op(f'call i64 @make({arguments})')}")


def _describe() -> str:
    b = Builder(
        "define internal i64 @describe(ptr %S, ptr %r, ptr %table, i64 %k, i64 %address, ptr %out)"
    )
    row = b.op(f"getelementptr i64, ptr %table, i64 {b.op('mul i64 %k, 16')}")
    own = b.load("i64", row, str(int(R.SPACE)), 8)
    moved = b.op(f"ashr i64 %address, {SPACE_SHIFT}")
    there = b.op(f"add i64 {own}, {moved}")
    named = b.load("i64", "%S", str(int(S.NAMED)), 8)
    tagged, known = _test(b, "sgt", moved, 0), _test(b, "slt", there, named)
    space = b.select(b.op(f"and i1 {tagged}, {known}"), "i64", there, own)
    nowhere = str(-1 << SPACE_SHIFT)
    low = b.op(f"and i64 %address, {(1 << SPACE_SHIFT) - 1}")
    address = b.select(tagged, "i64", b.select(known, "i64", low, nowhere), "%address")
    base = b.load("i64", "%S", b.op(f"add i64 {space}, {int(S.BASE)}"), 8)
    size = b.load("i64", "%S", b.op(f"add i64 {space}, {int(S.BYTES)}"), 8)
    offset = b.op(f"add i64 {address}, {b.load('i64', row, str(int(R.OFFSET)), 8)}")
    rank, dtype = b.load("i64", row, str(int(R.RANK)), 8), b.load("i64", row, str(int(R.DTYPE)), 8)
    _described(
        b,
        row,
        rank,
        dtype,
        space,
        b.op(f"add i64 {base}, {offset}"),
        base,
        b.op(f"add i64 {base}, {size}"),
    )
    return b.finish()


def _view() -> str:
    b = Builder("define internal i64 @view(ptr %r, ptr %table, ptr %whole, i64 %k, ptr %out)")
    row = b.op(f"getelementptr i64, ptr %table, i64 {b.op('mul i64 %k, 16')}")
    pointer, space = (
        b.load("i64", "%whole", str(int(D.POINTER)), 8),
        b.load("i64", "%whole", str(int(D.SPACE)), 8),
    )
    lo, hi = b.load("i64", "%whole", str(int(D.LO)), 8), b.load("i64", "%whole", str(int(D.HI)), 8)
    rank, dtype = b.load("i64", row, str(int(R.RANK)), 8), b.load("i64", row, str(int(R.DTYPE)), 8)
    start = b.op(f"add i64 {pointer}, {b.load('i64', row, str(int(R.OFFSET)), 8)}")
    _described(b, row, rank, dtype, space, start, lo, hi)
    return b.finish()


def _unravel() -> str:
    b = Builder("define internal i64 @unravel(ptr %view, i64 %index)")
    rest, total = "%index", "0"
    for k in reversed(AXES):
        n = b.load("i64", "%view", str(D.SHAPE + k), 8)
        stride = b.load("i64", "%view", str(D.STRIDE + k), 8)
        at = b.op(f"urem i64 {rest}, {n}")
        rest = b.op(f"udiv i64 {rest}, {n}")
        step = b.op(f"mul i64 {at}, {stride}")
        total = b.op(f"add i64 {total}, {step}")
    b.do(f"ret i64 {total}")
    return b.finish()


def _overlap() -> str:
    b = Builder("define internal i1 @views_overlap(ptr %a, ptr %c)")

    def field(view: str, word: int) -> str:
        return b.load("i64", view, str(int(word)), 8)

    lo, hi = [field(v, D.LO) for v in ("%a", "%c")], [field(v, D.HI) for v in ("%a", "%c")]
    meet = _all(b, [_test(b, "slt", lo[0], hi[1]), _test(b, "slt", lo[1], hi[0])])
    pitch: list[str] = []
    inner: list[str] = []
    for k, view in enumerate(("%a", "%c")):
        pitch.append(
            b.op(f"shl i64 {field(view, D.STRIDE)}, {_item_shift(b, field(view, D.DTYPE))}")
        )
        rows = b.op(f"sub i64 {field(view, D.SHAPE)}, 1")
        length = b.op(f"sub i64 {hi[k]}, {lo[k]}")
        inner.append(b.op(f"sub i64 {length}, {b.op(f'mul i64 {rows}, {pitch[k]}')}"))
    zero = _test(b, "eq", pitch[0], 0)
    by = b.select(zero, "i64", "1", pitch[0])
    delta = b.op(f"sub i64 {field('%c', D.POINTER)}, {field('%a', D.POINTER)}")
    apart = b.op(f"call i64 @floor_remainder(i64 {delta}, i64 {by})")
    side = _all(
        b,
        [
            _test(b, "uge", field("%a", D.RANK), 2),
            _test(b, "uge", field("%c", D.RANK), 2),
            b.op(f"xor i1 {zero}, true"),
            _test(b, "eq", pitch[0], pitch[1]),
            _test(b, "sle", inner[0], apart),
            _test(b, "sle", b.op(f"add i64 {apart}, {inner[1]}"), pitch[0]),
        ],
    )
    b.do(f"ret i1 {_all(b, [meet, b.op(f'xor i1 {side}, true')])}")
    return b.finish()


def _clash() -> str:
    b = Builder("define internal i1 @views_clash(ptr %a, ptr %c)")
    same = _all(
        b,
        [
            _test(b, "eq", b.load("i64", "%a", str(k), 8), b.load("i64", "%c", str(k), 8))
            for k in range(D.LO)
        ],
    )
    overlap = b.op("call i1 @views_overlap(ptr %a, ptr %c)")
    b.do(f"ret i1 {_all(b, [overlap, b.op(f'xor i1 {same}, true')])}")
    return b.finish()


def _is_order() -> str:
    b = Builder("define internal i1 @is_order(i64 %rank, i64 %order)")
    seen = "0"
    for k in AXES:
        shifted = b.op(f"lshr i64 %order, {2 * k}")
        bit = b.op(f"shl i64 1, {b.op(f'and i64 {shifted}, 3')}")
        seen = b.op(f"or i64 {seen}, {b.select(_test(b, 'ult', str(k), '%rank'), 'i64', bit, '0')}")
    full = b.op(f"sub i64 {b.op('shl i64 1, %rank')}, 1")
    limit = b.op(f"shl i64 1, {b.op('shl i64 %rank, 1')}")
    b.do(f"ret i1 {_all(b, [_test(b, 'eq', seen, full), _test(b, 'ult', '%order', limit)])}")
    return b.finish()


def _quotients() -> str:
    texts: list[str] = []
    for name in ("quotient", "remainder"):
        b = Builder(f"define internal i64 @floor_{name}(i64 %x, i64 %y) alwaysinline")
        negative = _test(b, "eq", "%y", -1)
        safe = b.select(b.op(f"or i1 {negative}, {_test(b, 'eq', '%y', 0)}"), "i64", "1", "%y")
        quotient, rest = b.op(f"sdiv i64 %x, {safe}"), b.op(f"srem i64 %x, {safe}")
        signs = _test(b, "slt", b.op(f"xor i64 {rest}, {safe}"), 0)
        low = b.op(f"and i1 {signs}, {_test(b, 'ne', rest, 0)}")
        if name == "quotient":
            floored = b.op(f"sub i64 {quotient}, {b.op(f'zext i1 {low} to i64')}")
            result = b.select(negative, "i64", b.op("sub i64 0, %x"), floored)
        else:
            floored = b.op(f"add i64 {rest}, {b.select(low, 'i64', safe, '0')}")
            result = b.select(negative, "i64", "0", floored)
        b.do(f"ret i64 {result}")
        texts.append(b.finish())
    return "\n".join(texts)


def _bank_tree() -> str:
    b = Builder("define internal float @bank_tree(ptr %banks)")
    for width in (32, 16, 8, 4, 2):
        type_ = f"<{width} x float>"
        low = b.op(f"load {type_}, ptr %banks, align 4")
        at = b.op(f"getelementptr float, ptr %banks, i64 {width}")
        high = b.op(f"load {type_}, ptr {at}, align 4")
        total = b.op(f"fadd {type_} {low}, {high}")
        b.do(f"store {type_} {total}, ptr %banks, align 4")
    first, second = b.load("float", "%banks", "0", 4), b.load("float", "%banks", "1", 4)
    b.do(f"ret float {b.op(f'fadd float {first}, {second}')}")
    return b.finish()


_DECLARATIONS = (
    *(f"declare double @{name}(double) nounwind nobuiltin" for name in THROUGH_F64),
    *(f"declare double @{name}(double, double) nounwind nobuiltin" for name in ("pow", "atan2")),
    *(
        f"declare float @llvm.{name}.f32(float)"
        for name in ("floor", "ceil", "roundeven", "trunc", "sqrt", "fabs")
    ),
    "declare i64 @llvm.abs.i64(i64, i1)",
    "declare i64 @llvm.smax.i64(i64, i64)",
    "declare i64 @llvm.smin.i64(i64, i64)",
    "declare i64 @llvm.fptosi.sat.i64.f32(float)",
    "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
    "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
)


def support_text() -> str:
    """Declarations and definitions that every module of the fast machine begins with."""
    functions = (
        _quotients(),
        _bank_tree(),
        _finish(),
        _make(),
        _describe(),
        _view(),
        _unravel(),
        _overlap(),
        _clash(),
        _is_order(),
    )
    return "\n".join((*_DECLARATIONS, *functions))
