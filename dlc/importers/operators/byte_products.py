"""Products of bytes: exact sums.

A sum of products of bytes is a whole number. Where all of them fit into int8, the product is one of
int8 summed in int32: the machine's own, and weights stay as small as they are. A zero point `z` of
unsigned bytes `x` moves out of it: `(x - z) w = (x - 128) w + (128 - z) sum w`.

Otherwise it is computed in float: below 2**24 every partial sum is one that f32 holds, so a product
of matrices of floats gives it exactly. Where the sum may be larger, it is cut into parts that are
not, which are added in int32."""

from __future__ import annotations

import numpy as np

from dlc.importers import numbers
from dlc.importers.elements import FLOAT, INT8, INT16, INT32
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE

EXACT = 1 << 24
LARGEST = 255
"""The largest magnitude of a byte less its zero point."""
MIDDLE = 128


def is_small(w: Tensor, zero: Tensor | None) -> bool:
    """Whether weights are known, in int8, and have no zero point."""
    without = zero is None or (zero.known is not None and not zero.known.any())
    return w.known is not None and w.element is INT8 and without


def by_small(spec: str, x: Tensor, zero: Tensor | None, w: Tensor, unsigned: bool) -> Tensor:
    """`(x - zero) w` in int32, for bytes `x` (unsigned or signed, as whole numbers of any type)
    with a zero point of rank 0, and known weights in int8, which are laid out along the sum."""
    e = x.e
    inputs, out = spec.split("->")
    left, right = inputs.split(",")
    (letter,) = set(left) - set(out)
    assert w.known is not None
    axis = right.index(letter)
    kept = right.replace(letter, "")
    w = e.array(np.ascontiguousarray(np.moveaxis(w.known, axis, -1)), INT8, w.hint)
    middle = MIDDLE if unsigned else 0
    centred = numbers.cast(x - middle if middle else x, INT8)
    made = e.contract(f"{left},{kept}{letter}->{out}", centred, w, INT32)
    if zero is None and not middle:
        return made
    sums = e.reduce("sum", numbers.cast(w, INT32), (w.rank - 1,))
    sums = e.reshape(sums, [w.shape[kept.index(c)] if c in kept else ONE for c in out])
    moved = e.scalar(middle, INT32)
    if zero is not None:
        moved = moved - e.reshape(numbers.cast(zero, INT32), ())
    return made + sums * moved


def shifted(x: Tensor, zero: Tensor | None, rows: bool) -> Tensor:
    """`x - zero` in float, exactly. A vector of zero points is one for each row (`rows`) or column
    of the matrices."""
    y = numbers.cast(x, FLOAT)
    if zero is None or (zero.known is not None and not zero.known.any()):
        return y
    z = numbers.cast(zero, FLOAT)
    if z.rank == 1 and z.shape != (ONE,) and rows:
        z = x.e.reshape(z, (z.shape[0], 1))
    elif z.rank == 1 and z.shape == (ONE,):
        z = x.e.reshape(z, ())
    return y - z


def contract(spec: str, a: Tensor, b: Tensor) -> Tensor:
    """The product over the one letter that the result lacks, of whole numbers from -255 to 255 in
    float; exact, in int32."""
    e = a.e
    inputs, out = spec.split("->")
    left, right = inputs.split(",")
    (letter,) = set(left) - set(out)
    at, bt = left.index(letter), right.index(letter)
    size = b.shape[bt]
    if not size.is_constant:
        return e.contract(spec, numbers.cast(a, INT16), numbers.cast(b, INT16), INT32)
    terms = size.constant
    part = terms if _sum(b, bt) * LARGEST < EXACT else (EXACT - 1) // (LARGEST * LARGEST)
    total: Tensor | None = None
    for start in range(0, max(terms, 1), max(part, 1)):
        count = min(part, terms - start)
        x, y = a, b
        if count < terms:
            x, y = e.slice(a, at, start, count), e.slice(b, bt, start, count)
        made = numbers.cast(e.contract(spec, x, y), INT32)
        total = made if total is None else total + made
    assert total is not None
    return total


def _sum(b: Tensor, axis: int) -> int:
    """The largest sum of magnitudes along the axis, as far as the numbers are known."""
    if b.known is None:
        return b.shape[axis].constant * LARGEST
    sums = np.abs(b.known).sum(axis)
    return int(sums.max()) if sums.size else 0
