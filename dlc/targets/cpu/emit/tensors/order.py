"""`argmax`, `argmin`, `sort`, `top_k`, `searchsorted`, `nonzero_indices`."""

from __future__ import annotations

from dlc.memory.form import Tensor
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.tensors.axes import Along, product
from dlc.targets.cpu.emit.tensors.operands import (
    axis_of,
    destination,
    dim_of,
    input_view,
    source,
    view_of,
)
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.llvm import ELEMENTS, Value


def emit_extreme(b: Body, s: Tensor) -> None:
    """`argmax`, `argmin`: status `bounds` if there is nothing to choose from."""
    x = input_view(s)
    f = b.f
    along = Along.of(b, x.shape, axis_of(s))
    if s.attrs.get("in_bounds") is not True and not x.shape[axis_of(s)].never_zero():
        b.check(f.icmp("sgt", along.n, 0), "bounds", s.loc, 0, 1, f"`{s.op}` of nothing")
    function = kernel(f.module, s.op, x.dtype.name)
    at, memory = b.address(x), ELEMENTS[x.dtype.name].memory
    with destination(b, s) as out:

        def line(p: Value, q: Value) -> None:
            winner = f.call(function, along.n, f.gep(memory, at, along.start(b, p, q)), along.after)
            f.store(winner, f.gep("i32", out.address, f.add(f.mul(p, along.after), q)))

        along.lines(b, line)


def emit_sort(b: Body, s: Tensor) -> None:
    x, values, places = input_view(s), view_of(s, 0), view_of(s, 1)
    f = b.f
    along = Along.of(b, x.shape, axis_of(s))
    function = kernel(f.module, "sort", x.dtype.name)
    at, value_at, place_at = (b.address(v) for v in (x, values, places))
    spare, spare_places = (b.address(v) for v in s.scratch)
    memory = ELEMENTS[x.dtype.name].memory
    descending = s.attrs.get("descending") is True

    def line(p: Value, q: Value) -> None:
        start = along.start(b, p, q)
        f.call(
            function, along.n, f.gep(memory, at, start), along.after,
            f.gep(memory, value_at, start), f.gep("i32", place_at, start), along.after,
            spare, spare_places, descending,
        )  # fmt: skip

    along.lines(b, line)


def emit_top_k(b: Body, s: Tensor) -> None:
    """Status `bounds` if there are fewer than k."""
    x, values, places = input_view(s), view_of(s, 0), view_of(s, 1)
    f = b.f
    axis = axis_of(s)
    along, out = Along.of(b, x.shape, axis), Along.of(b, values.shape, axis)
    k = b.dim(dim_of(s, "k"))
    if s.attrs.get("in_bounds") is not True and not x.shape[axis].at_least(dim_of(s, "k")):
        b.check(f.icmp("sle", k, along.n), "bounds", s.loc, k, along.n, "the top of too few")
    function = kernel(f.module, "top_k", x.dtype.name)
    at, value_at, place_at = (b.address(v) for v in (x, values, places))
    memory = ELEMENTS[x.dtype.name].memory

    def line(p: Value, q: Value) -> None:
        start = out.start(b, p, q)
        f.call(
            function, along.n, k, f.gep(memory, at, along.start(b, p, q)), along.after,
            f.gep(memory, value_at, start), f.gep("i32", place_at, start), along.after,
        )  # fmt: skip

    along.lines(b, line)


def emit_searchsorted(b: Body, s: Tensor) -> None:
    table = input_view(s, 0)
    x = source(b, s.ins[1], table.dtype)
    f = b.f
    n, m = b.dim(table.shape[0]), b.dim(product(x.shape))
    function = kernel(f.module, "searchsorted", table.dtype.name)
    with destination(b, s) as out:
        f.call(function, n, b.address(table), b.dim(table.strides[0]), m, x.address, out.address)


def emit_nonzero(b: Body, s: Tensor) -> None:
    """Defines how many there are."""
    mask, out = input_view(s), view_of(s)
    n = b.dim(product(mask.shape))
    count = b.f.call(kernel(b.f.module, "nonzero", "bool"), n, b.address(mask), b.address(out))
    b.set_dim(s.dims[0], count)
