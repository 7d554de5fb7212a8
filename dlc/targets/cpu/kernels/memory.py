"""Moving bytes: copy, fill, and copies between strided views.

Sizes and strides count elements. Loops, not calls: a freestanding object has no memcpy.
"""

from __future__ import annotations

from dlc.targets.cpu.kernels.registry import Family, Key, Params
from dlc.targets.cpu.kernels.simd import vector_loop
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Value, vector

ALL = tuple(ELEMENTS)


def _copy_params(key: Key) -> Params:
    return (("ptr noalias", "to"), ("ptr noalias", "from"), (INDEX, "n"))


def _copy(f: Builder, key: Key) -> None:
    """to[i] = from[i], i < n. The stretches do not overlap."""
    to, source, n = f.params
    _copy_stretch(f, ELEMENTS[key.dtype].memory, to, source, n)


def _copy_stretch(f: Builder, t: str, to: Value, source: Value, n: Value) -> None:
    def turn(i: Value, lanes: int) -> None:
        f.store(f.load(vector(t, lanes), f.gep(t, source, i)), f.gep(t, to, i))

    vector_loop(f, n, _wide(f, t), turn)


def _wide(f: Builder, t: str) -> int:
    """Lanes of a full register for elements of the memory type `t`."""
    return f.module.target.lanes({"i8": 1, "i16": 2, "i32": 4, "float": 4}.get(t, 8))


def _fill_params(key: Key) -> Params:
    return (("ptr", "to"), (ELEMENTS[key.dtype].memory, "x"), (INDEX, "n"))


def _fill(f: Builder, key: Key) -> None:
    """to[i] = x, i < n; `x` as it lies in memory (f16, bf16: their bits)."""
    to, x, n = f.params

    def turn(i: Value, lanes: int) -> None:
        f.store(f.splat(x, lanes), f.gep(x.type, to, i))

    vector_loop(f, n, _wide(f, x.type), turn)


def _copy2_params(key: Key) -> Params:
    return (
        ("ptr noalias", "to"),
        (INDEX, "to_row"),
        (INDEX, "to_col"),
        ("ptr noalias", "from"),
        (INDEX, "from_row"),
        (INDEX, "from_col"),
        (INDEX, "rows"),
        (INDEX, "cols"),
    )


def _copy2(f: Builder, key: Key) -> None:
    """to[i*to_row + j*to_col] = from[i*from_row + j*from_col], i < rows, j < cols.

    Strides may be 0 in the source, and negative. Fast when both column strides are 1; a transpose
    goes in blocks of 16 x 16, so that both sides stay in the cache.
    """
    to, to_row, to_col, source, from_row, from_col, rows, cols = f.params
    t = ELEMENTS[key.dtype].memory
    unit = f.and_(f.icmp("eq", to_col, 1), f.icmp("eq", from_col, 1))
    general, done = f.label("general"), f.label("copied")
    fast = f.label("rows")
    f.branch_if(unit, fast, general)
    f.start(fast)
    with f.loop(0, rows, name="row") as row:
        a = f.gep(t, to, f.mul(row.index, to_row))
        b = f.gep(t, source, f.mul(row.index, from_row))
        _copy_stretch(f, t, a, b, cols)
    f.branch(done)
    f.start(general)
    with f.loop(0, rows, 16, name="block") as down, f.loop(0, cols, 16, name="block") as across:
        bottom = f.imin(f.add(down.index, 16), rows)
        right = f.imin(f.add(across.index, 16), cols)
        with (
            f.loop(down.index, bottom, name="row") as row,
            f.loop(across.index, right, name="col") as col,
        ):
            a = f.add(f.mul(row.index, to_row), f.mul(col.index, to_col))
            b = f.add(f.mul(row.index, from_row), f.mul(col.index, from_col))
            f.store(f.load(t, f.gep(t, source, b)), f.gep(t, to, a))
    f.start(done)


FILL = Family("fill", ALL, _fill_params, _fill)

FAMILIES = (
    Family("copy", ALL, _copy_params, _copy),
    FILL,
    Family("copy2", ALL, _copy2_params, _copy2),
)
