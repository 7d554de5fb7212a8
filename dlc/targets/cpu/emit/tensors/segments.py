"""`row_of`, `segment_reduce`, and the checks of indices and segments.

`starts` of segments have been checked before: they ascend from 0 to the number of items.
"""

from __future__ import annotations

from dlc.memory.form import Tensor, View
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.nest import ONE
from dlc.targets.cpu.emit.tensors.axes import product
from dlc.targets.cpu.emit.tensors.operands import dim_of, input_view, load_index, view_of
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.kernels.simd import fold, vector_loop
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Value, vector
from dlc.targets.cpu.llvm.types import constant


def emit_row_of(b: Body, s: Tensor) -> None:
    starts, out = input_view(s), view_of(s)
    f = b.f
    rows = b.dim(starts.shape[0] - 1)
    at, to = b.address(starts), b.address(out)
    function = kernel(f.module, "fill", "i32")
    with f.loop(0, rows, name="row") as loop:
        first = load_index(b, starts, at, loop.index)
        last = load_index(b, starts, at, f.add(loop.index, 1))
        row = f.cast("trunc", loop.index, "i32")
        f.call(function, f.gep("i32", to, first), row, f.sub(last, first))


def emit_segment_reduce(b: Body, s: Tensor) -> None:
    x, starts, out = input_view(s, 0), input_view(s, 1), view_of(s)
    f = b.f
    width = product(x.shape[1:])
    rows, columns = b.dim(starts.shape[0] - 1), b.dim(width)
    at, starts_at, to = b.address(x), b.address(starts), b.address(out)
    memory = ELEMENTS[x.dtype.name].memory
    kind = str(s.attrs["kind"])
    single = width == ONE
    function = kernel(f.module, "reduce_rows" if single else "reduce_cols", x.dtype.name, kind)
    with f.loop(0, rows, name="segment") as loop:
        first = load_index(b, starts, starts_at, loop.index)
        n = f.sub(load_index(b, starts, starts_at, f.add(loop.index, 1)), first)
        a = f.gep(memory, at, f.mul(first, columns))
        c = f.gep(memory, to, f.mul(loop.index, columns))
        if single:
            f.call(function, 1, n, a, 0, c, 0, False)
        else:
            f.call(function, columns, n, a, columns, c, False)


def emit_check_indices(b: Body, s: Tensor) -> None:
    """One pass that only looks whether any is bad; if so, another to say which."""
    index = input_view(s)
    check_indices(b, s, index, b.dim(dim_of(s, "bound")))


def check_indices(b: Body, s: Tensor, index: View, bound: Value) -> None:
    """Status `bounds` unless every index lies in 0 … bound - 1."""
    f = b.f
    n = b.dim(product(index.shape))
    at = b.address(index)
    type_ = ELEMENTS[index.dtype.name].register
    limit = f.cast("trunc", bound, type_) if type_ != INDEX else bound
    lanes = f.module.target.lanes(index.dtype.bytes)
    bad = f.alloca("i1", 1, 8)
    f.store(Value("i1", "false"), bad)
    found = f.alloca(vector(type_, lanes), 1, 64)
    f.store(constant(vector(type_, lanes), 0), found)

    def turn(i: Value, count: int) -> None:
        x = f.load(vector(type_, count), f.gep(type_, at, i))
        out = f.icmp("uge", x, f.splat(limit, count))
        if count == 1:
            f.store(f.or_(f.load("i1", bad), out), bad)
        else:
            t = vector(type_, count)
            f.store(f.or_(f.load(t, found), f.cast("sext", out, type_)), found)

    vector_loop(f, n, lanes, turn)
    if lanes > 1:
        lanes_bad = fold(f, f.load(vector(type_, lanes), found), f.or_)
        f.store(f.or_(f.load("i1", bad), f.icmp("ne", lanes_bad, 0)), bad)
    with f.when(f.load("i1", bad)), f.loop(0, n, name="index") as loop:
        x = load_index(b, index, at, loop.index)
        ok = f.icmp("ult", x, bound)
        b.check(ok, "bounds", s.loc, x, bound, _of(b, index, "index out of range"))


def _of(b: Body, view: View, text: str) -> str:
    """The message about an array, which is named if it is a parameter of the function."""
    name = next((p.name for p in b.fn.params if p.reg == view.place), "")
    return f"{name}: {text}" if name else text


def emit_check_segments(b: Body, s: Tensor) -> None:
    """Status `struct` unless starts[0] = 0, starts never decreases, and its last entry is the
    number of items."""
    starts = input_view(s)
    f = b.f
    n, items = b.dim(starts.shape[0]), b.dim(dim_of(s, "items"))
    at = b.address(starts)
    b.check(f.icmp("sgt", n, 0), "struct", s.loc, 0, 1, _of(b, starts, "segments without a start"))
    first = load_index(b, starts, at, f.index(0))
    b.check(
        f.icmp("eq", first, 0),
        "struct",
        s.loc,
        first,
        0,
        _of(b, starts, "the first segment's start"),
    )
    with f.loop(1, n, name="segment") as loop:
        before = load_index(b, starts, at, f.sub(loop.index, 1))
        this = load_index(b, starts, at, loop.index)
        ok = f.icmp("sle", before, this)
        b.check(
            ok,
            "struct",
            s.loc,
            f.sub(loop.index, 1),
            0,
            _of(b, starts, "a segment ends before it starts"),
        )
    last = load_index(b, starts, at, f.sub(n, 1))
    b.check(
        f.icmp("eq", last, items),
        "struct",
        s.loc,
        last,
        items,
        _of(b, starts, "the last segment's end"),
    )
