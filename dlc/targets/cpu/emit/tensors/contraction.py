"""`contract`: sums of products over letters, by the kernels for matrices where the strides allow.

Letters fall into four kinds: *both* (in a, b and the result), *left* (a and the result), *right*
(b and the result) and *summed* (not in the result). Letters of one kind that every operand walks
as one axis become one. A matrix product takes one letter each of left, right and summed; what
remains are loops around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from dlc.memory.form import Tensor
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.nest import ONE, ZERO
from dlc.targets.cpu.emit.tensors.letters import Letter, by_kind, mirror
from dlc.targets.cpu.emit.tensors.operands import Strided, destination, dtype_of, source
from dlc.targets.cpu.emit.tensors.products import Product, emit_product
from dlc.targets.cpu.emit.tensors.sums import emit_sums
from dlc.targets.cpu.kernels.operands import OPERANDS
from dlc.targets.cpu.llvm import ELEMENTS, Value
from dlc.typesys.dtypes import F32, DType


def emit_contract(b: Body, s: Tensor) -> None:
    # A number has the element type of the other operand, or of the result.
    dtype = dtype_of(s.ins[0], dtype_of(s.ins[1], dtype_of(s.outs[0], F32)))
    a, x = source(b, s.ins[0], dtype), source(b, s.ins[1], dtype)
    with destination(b, s) as out:
        contract(b, str(s.attrs["spec"]), a, x, out, s.accumulate)


def contract(b: Body, spec: str, a: Strided, x: Strided, out: Strided, accumulate: bool) -> None:
    """out (+)= the contraction of a and x."""
    groups = by_kind(_letters(spec, a, x, out))
    name = product_dtype(a.dtype, x.dtype, out.dtype)
    both, left = list(groups["both"]), list(groups["left"])
    right, summed = list(groups["right"]), list(groups["summed"])
    if name is None or _rounds_between(name, summed):
        emit_sums(b, a, x, out, [*both, *left, *right], summed, accumulate)
        return
    core = _Core(_take(left, 0), _take(right, 1), _take_summed(summed))
    exact = OPERANDS[name].exact_in_c
    if not core.possible(exact) or (core.product().form() is None and core.mirrored().is_better()):
        core, a, x = core.mirrored(), x, a
        both, left, right, summed = ([mirror(c) for c in g] for g in (both, right, left, summed))
        name = product_dtype(a.dtype, x.dtype, out.dtype)
    if not core.possible(exact) or name is None:
        loops = [*both, *left, *right, *core.free()]
        emit_sums(b, a, x, out, loops, [*summed, *core.summed()], accumulate)
        return
    _emit_around(b, name, core.product(), (a, x, out), [*both, *left, *right], summed, accumulate)


def product_dtype(a: DType, b: DType, out: DType) -> str | None:
    """The name of the kernels' operand types, or None if no kernel has them."""
    if a == b == out:
        return a.name if a.name in OPERANDS else None
    name = f"{a}_{b}_{out}"
    return name if name in OPERANDS else None


def _rounds_between(name: str, summed: Sequence[Letter]) -> bool:
    """Whether sums over several axes would be rounded to 16 bits on the way."""
    return len(summed) > 1 and ELEMENTS[OPERANDS[name].c].is_half


def _letters(spec: str, a: Strided, x: Strided, out: Strided) -> list[Letter]:
    left, _, result = spec.partition("->")
    names = (*left.split(","), result)
    operands = (a, x, out)
    order = dict.fromkeys((*result, *names[0], *names[1]))
    letters: list[Letter] = []
    for c in order:
        where = [n.find(c) for n in names]
        size = next(o.shape[i] for o, i in zip(operands, where, strict=True) if i >= 0)
        if size == ONE:
            continue
        strides = [o.strides[i] if i >= 0 else ZERO for o, i in zip(operands, where, strict=True)]
        inside = (where[0] >= 0, where[1] >= 0, where[2] >= 0)
        letters.append(Letter(size, (strides[0], strides[1], strides[2]), inside))
    return letters


def _take(letters: list[Letter], operand: int) -> Letter | None:
    """Removes the letter that belongs into the product: dense in the result, else dense in its
    operand, else the last."""
    if not letters:
        return None
    dense = [c for c in letters if c.strides[2] == ONE]
    dense += [c for c in letters if c.strides[operand] == ONE]
    chosen = (dense or letters[-1:])[0]
    letters.remove(chosen)
    return chosen


def _take_summed(letters: list[Letter]) -> Letter | None:
    """Removes the summed letter that belongs into the product: in both operands, dense in them."""
    shared = [c for c in letters if c.inside[0] and c.inside[1]] or letters
    if not shared:
        return None
    chosen = max(shared, key=lambda c: (c.strides[0] == ONE) + (c.strides[1] == ONE))
    letters.remove(chosen)
    return chosen


@dataclass(frozen=True)
class _Core:
    """The letters of one matrix product."""

    left: Letter | None
    right: Letter | None
    inner: Letter | None

    def mirrored(self) -> _Core:
        m, n, k = self.right, self.left, self.inner
        return _Core(*(None if c is None else mirror(c) for c in (m, n, k)))

    def free(self) -> list[Letter]:
        return [c for c in (self.left, self.right) if c is not None]

    def summed(self) -> list[Letter]:
        return [] if self.inner is None else [self.inner]

    def possible(self, exact: bool) -> bool:
        """Whether a kernel does it: as it lies, or (if partial sums may be kept in c) row by
        row."""
        product = self.product()
        return product.form() is not None or (exact and product.by_rows())

    def is_better(self) -> bool:
        """Whether a kernel does it as it lies."""
        return self.product().form() is not None

    def product(self) -> Product:
        none = Letter(ONE, (ZERO, ZERO, ZERO), (False, False, False))
        m, n, k = self.left or none, self.right or none, self.inner or none
        return Product(
            m.size, n.size, k.size,
            (m.strides[0], k.strides[0]), (k.strides[1], n.strides[1]),
            (m.strides[2], n.strides[2]),
        )  # fmt: skip


def _emit_around(
    b: Body,
    name: str,
    product: Product,
    operands: tuple[Strided, Strided, Strided],
    free: Sequence[Letter],
    summed: Sequence[Letter],
    accumulate: bool,
) -> None:
    """The product within loops over the letters that it does not take; it adds up from the second
    turn of the summed ones on."""
    f = b.f
    loops = [*free, *summed]
    sizes = [b.dim(c.size) for c in loops]
    strides = [[b.dim(d) for d in c.strides] for c in loops]
    prepared = product.prepare(b)
    add: Value = Value("i1", "true" if accumulate else "false")
    if summed and not accumulate:
        _clear_if_empty(b, operands, free, product, sizes[len(free) :])
    addresses = [o.address for o in operands]
    with ExitStack() as stack:
        for c, n, by in zip(loops, sizes, strides, strict=True):
            turn = stack.enter_context(f.loop(0, n, name="letter"))
            addresses = [
                at if d == ZERO else f.gep(o.memory, at, f.mul(turn.index, step))
                for o, at, step, d in zip(operands, addresses, by, c.strides, strict=True)
            ]
            if not c.inside[2]:
                add = f.or_(add, f.icmp("ne", turn.index, 0))
        a_at, b_at, c_at = addresses
        with b.region():
            emit_product(b, name, prepared, a_at, b_at, c_at, add)


def _clear_if_empty(
    b: Body,
    operands: tuple[Strided, Strided, Strided],
    free: Sequence[Letter],
    product: Product,
    sizes: Sequence[Value],
) -> None:
    """A sum over no terms at all is 0: the loops around the product would not touch it."""
    f = b.f
    empty: Value = Value("i1", "false")
    for n in sizes:
        if not n.text.isdigit() or n.text == "0":
            empty = f.or_(empty, f.icmp("eq", n, 0))
    if empty.text == "false":
        return
    a, x, out = operands
    rest = [
        Letter(n, (ZERO, ZERO, d), (True, False, True))
        for n, d in ((product.m, product.c[0]), (product.n, product.c[1]))
        if n != ONE
    ]
    nothing = Letter(ZERO, (ZERO, ZERO, ZERO), (True, True, False))
    with f.when(empty), b.region():
        emit_sums(b, a, x, out, [*free, *rest], [nothing])
