"""`contract`: sums of products over letters, by matrix instructions.

Letters fall into four kinds: *both* (in a, b and the result), *left* (a and the result), *right*
(b and the result) and *summed*. An instruction takes at most one letter of left, right and summed,
with any strides that aren't negative; what remains are loops around it, in which it adds to what is
there.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.memory.form import Immediate, Operand, Reg, Tensor, View
from dlc.targets.sparrow.axes import Axis, is_negative, loops, shifted
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import ZERO as ZERO_REGISTER
from dlc.targets.sparrow.code import Int
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.scalars import compute, convert
from dlc.targets.sparrow.tensors.compressed import emit_compressed, is_sparse
from dlc.targets.sparrow.tensors.gather import take
from dlc.targets.sparrow.tensors.gathered import emit_gathered
from dlc.targets.sparrow.tensors.listed import OUT, A, B, Letters, listed
from dlc.targets.sparrow.tensors.movement import (
    copy_window,
    delivered,
    destination,
    fill_window,
    source,
)
from dlc.typesys.dims import ONE, ZERO, Dim
from dlc.typesys.dtypes import F32, I64, DType


def emit_contract(b: Body, s: Tensor) -> None:
    found, b.events.gathered = b.events.gathered, None
    if found is None:
        product(b, s)
        return
    emit_gathered(b, s, found, lambda: take(b, found.take), lambda: product(b, s))


def product(b: Body, s: Tensor) -> None:
    """The product of operands that are there."""
    (out,) = s.outs
    dtype = _dtype(s.ins[0]) or _dtype(s.ins[1]) or _dtype(out) or F32
    result = _dtype(out) or dtype
    if result == F32 and _by_known_weights(b, s, dtype):
        delivered(b, out, 2)
        return
    a, x = source(b, s.ins[0], dtype, 0), source(b, s.ins[1], dtype, 1)
    y = destination(b, out, 2, s.accumulate)
    letters = letters_of(str(s.attrs["spec"]), a, x, y)
    if not result.is_float:
        _whole_numbers(b, letters, a, x, y, s.accumulate)
    elif y.dtype.name == "f32":

        def dense(banked: bool) -> None:
            contract(b, letters, a, x, y, s.accumulate, banked)

        listed(b, s, letters, (a, x, y), dense)
    else:
        room = Room(b)
        wide = room.take(F32, y.shape)
        if s.accumulate:
            copy_window(b, wide, y)
        spec = str(s.attrs["spec"])
        contract(b, letters_of(spec, a, x, wide), a, x, wide, s.accumulate)
        copy_window(b, y, wide)
        room.give_back()
    delivered(b, out, 2)


def _by_known_weights(b: Body, s: Tensor, dtype: DType) -> bool:
    """By a compressed matrix, whose own place isn't needed."""
    if not b.unit.weights.names:
        return False
    letters = letters_of(str(s.attrs["spec"]), *map(_shaped, (*s.ins, *s.outs)))
    which = is_sparse(b, s, letters)
    if which is None:
        return False
    if b.unit.options.dense:
        a, x = source(b, s.ins[0], dtype, 0), source(b, s.ins[1], dtype, 1)
        contract(b, letters, a, x, destination(b, s.outs[0], 2, s.accumulate), s.accumulate, False)
        return True
    windows: list[Window | None] = [None, None, destination(b, s.outs[0], 2, s.accumulate)]
    windows[1 - which] = source(b, s.ins[1 - which], dtype, 1 - which)
    return emit_compressed(b, s, letters, tuple(windows), which)


def _shaped(x: Operand | Immediate) -> Window:
    """The shape and strides of an operand, whose address isn't needed."""
    if isinstance(x, View):
        return Window("DRAM", x.dtype, ZERO_REGISTER, x.shape, x.strides)
    return Window("DRAM", F32, ZERO_REGISTER, (), ())


def _dtype(x: Operand | Immediate) -> DType | None:
    if isinstance(x, View):
        return x.dtype
    return x.type if isinstance(x, Reg) and isinstance(x.type, DType) else None


def letters_of(spec: str, a: Window, x: Window, y: Window) -> Letters:
    """The letters by kind; neighbours that every operand runs through as one are one."""
    inputs, result = spec.split("->")
    first, second = inputs.split(",")
    sizes: dict[str, Dim] = {}
    strides: dict[str, list[Dim]] = {}
    for k, (names, w) in enumerate(((first, a), (second, x), (result, y))):
        for name, n, d in zip(names, w.shape, w.strides, strict=True):
            sizes.setdefault(name, n)
            strides.setdefault(name, [ZERO, ZERO, ZERO])
            strides[name][k] = strides[name][k] + d
    kinds: dict[str, list[Axis]] = {"both": [], "left": [], "right": [], "summed": []}
    for number, name in enumerate(dict.fromkeys(first + second)):
        if sizes[name] == ONE:
            continue
        if name not in result:
            kind = "summed"
        elif name in first:
            kind = "both" if name in second else "left"
        else:
            kind = "right"
        kinds[kind].append(Axis(sizes[name], tuple(strides[name]), number))
    return Letters(*(tuple(merged(kinds[k])) for k in ("both", "left", "right", "summed")))


def merged(axes: list[Axis]) -> list[Axis]:
    """Neighbours that every operand runs through without a break, as one axis."""
    out: list[Axis] = []
    for x in axes:
        before = out[-1] if out else None
        if before is not None and all(
            p == q * x.size for p, q in zip(before.strides, x.strides, strict=True)
        ):
            out[-1] = Axis(before.size * x.size, x.strides, x.number)
        else:
            out.append(x)
    return out


def _taken(axes: Sequence[Axis]) -> tuple[Axis | None, list[Axis]]:
    """The axis for the instruction, the last that can be, and the others."""
    for x in reversed(axes):
        if not any(map(is_negative, x.strides)):
            return x, [y for y in axes if y is not x]
    return None, list(axes)


def contract(
    b: Body,
    l: Letters,
    a: Window,
    x: Window,
    y: Window,
    accumulate: bool,
    banked: bool = True,
) -> None:
    """y (+)= the contraction, of floats; y is f32. `banked`: the sums over the rows of a matrix may
    be banked."""
    plain = not (l.left or l.right or l.summed)
    if plain and not accumulate and not any(is_negative(s) for t in l.both for s in t.strides):
        _products(b, l, a, x, y)
        return
    if banked and not accumulate and _transposed(b, l, a, x, y):
        return
    if not accumulate:
        fill_window(b, y, b.c.real(0.0))
    m, left = _taken(l.left)
    n, right = _taken(l.right)
    k, summed = _taken(l.summed)
    around = [*l.both, *left, *right, *summed]
    with loops(b, around) as counters:
        part = _Part(b, around, counters, a, x, y)
        part.emit(m, n, k)


def _transposed(b: Body, l: Letters, a: Window, x: Window, y: Window) -> bool:
    """A matrix read by its rows, summed over them: banked, as over events (see `listed`)."""
    rows = (*l.left, *l.right)
    if l.both or len(rows) != 1 or len(l.summed) != 1:
        return False
    (n,), (k,), (matrix, vector) = rows, l.summed, (A, B) if l.left else (B, A)
    negative = any(is_negative(d) for t in (n, k) for d in t.strides)
    if negative or n.strides[matrix] != ONE or k.strides[matrix] == ONE:
        return False
    part = _Part(b, [], (), a, x, y)
    d, p, q = part.tensor(OUT, n), part.tensor(matrix, k, n), part.tensor(vector, k)
    b.c.emit("mvt", d=d, a=p, b=q)
    return True


def _products(b: Body, l: Letters, a: Window, x: Window, y: Window) -> None:
    """Products point by point."""
    c = b.c
    inner = list(l.both[-4:])
    around = list(l.both[: -len(inner)]) if inner else []
    with loops(b, around) as counters:
        tensors = [
            b.describe(shifted(b, w, around, counters, i, inner)).number
            for i, w in ((OUT, y), (A, a), (B, x))
        ]
        fn = c.builder.member("binary", "mul")
        c.emit("ew.bin", d=tensors[0], a=tensors[1], b=tensors[2], fn=fn)


class _Part:
    """The operands at one turn of the loops around the instruction."""

    def __init__(
        self, b: Body, around: list[Axis], counters: Sequence[Int], a: Window, x: Window, y: Window
    ) -> None:
        self.b = b
        self.at = tuple(
            shifted(b, w, around, counters, i, []).address for i, w in ((A, a), (B, x), (OUT, y))
        )
        self.windows = (a, x, y)

    def tensor(self, which: int, *axes: Axis | None) -> int:
        """A descriptor over these axes; a missing one has the size 1."""
        w = self.windows[which]
        shape = tuple(ONE if x is None else x.size for x in axes)
        strides = tuple(ONE if x is None else x.strides[which] for x in axes)
        if len(axes) == 2 and axes[1] is None:
            strides = (strides[0], ONE)
        made = Window(w.space, w.dtype, self.at[which], shape, strides)
        return self.b.describe(made).number

    def emit(self, m: Axis | None, n: Axis | None, k: Axis | None) -> None:
        c = self.b.c
        if k is None:
            d, p, q = self.tensor(OUT, m, n), self.tensor(A, m), self.tensor(B, n)
            c.emit("outer", d=d, a=p, b=q)
        elif n is None:
            self._matrix_vector(A, B, m, k)
        elif m is None:
            self._matrix_vector(B, A, n, k)
        else:
            d, p, q = self.tensor(OUT, m, n), self.tensor(A, m, k), self.tensor(B, k, n)
            c.emit("mm", d=d, a=p, b=q, fn=c.builder.member("layout", "nn"))

    def _matrix_vector(self, matrix: int, vector: int, rows: Axis | None, k: Axis) -> None:
        d, p, q = self.tensor(OUT, rows), self.tensor(matrix, rows, k), self.tensor(vector, k)
        self.b.c.emit("mv", d=d, a=p, b=q)


def _whole_numbers(b: Body, l: Letters, a: Window, x: Window, y: Window, accumulate: bool) -> None:
    """Element by element; sums wrap in the result's dtype."""
    c = b.c
    outer = [*l.both, *l.left, *l.right]
    with loops(b, outer) as counters:
        to = shifted(b, y, outer, counters, OUT, [])
        total = c.int()
        if accumulate:
            c.copy(total, b.load_in(y.space, y.dtype, to.address))
        else:
            c.set(total, 0)
        with loops(b, l.summed) as inside, c.scope():
            axes, at = [*outer, *l.summed], [*counters, *inside]
            p = shifted(b, a, axes, at, A, []).address
            q = shifted(b, x, axes, at, B, []).address
            u = convert(b, b.load_in(a.space, a.dtype, p), a.dtype, y.dtype)
            v = convert(b, b.load_in(x.space, x.dtype, q), x.dtype, y.dtype)
            of = y.dtype if y.dtype != I64 else I64
            product = compute(b, "mul", [u, v], of, of)
            c.copy(total, compute(b, "add", [total, product], of, of))
        b.store_in(y.space, y.dtype, to.address, total)
