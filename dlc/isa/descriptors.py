"""Tensor descriptors: made valid, so that every instruction after may trust them.

A descriptor in the machine always lies inside its space and is aligned; what makes one says no
otherwise. The fast machine has the same rules in its own code; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.isa.layout import ITEM_BYTES, MAX_SIZE, MAX_STRIDE, D, Flag, M, R

SHAPE, MISALIGNED, OUTSIDE = 1, 2, 3
"""Faults of a descriptor, in the order in which they are looked for."""


def row_major(shape: Sequence[int]) -> list[int]:
    """Strides without gaps, the last axis fastest."""
    strides = [1] * len(shape)
    for k in range(len(shape) - 2, -1, -1):
        strides[k] = strides[k + 1] * shape[k + 1]
    return strides


def make(
    space: int,
    dtype: int,
    pointer: int,
    shape: Sequence[int],
    stride: Sequence[int] | None,
    lo: int,
    hi: int,
) -> tuple[int, list[int]]:
    """(fault, words) of the view at byte `pointer` of the buffer, which must stay in [lo, hi).
    Fault 0: the words are valid."""
    rank = len(shape)
    if rank > 4 or any(not 0 <= n <= MAX_SIZE for n in shape):
        return SHAPE, []
    size = 1
    for n in shape:
        size *= n
    nonzero = 1
    for n in shape:
        nonzero *= max(n, 1)
    if nonzero > MAX_SIZE:
        return SHAPE, []
    strides = row_major(shape) if stride is None else list(stride)
    if any(not 0 <= s <= MAX_STRIDE for s in strides):
        return SHAPE, []
    item = ITEM_BYTES[dtype]
    if pointer % item:
        return MISALIGNED, []
    extent = (
        0
        if size == 0
        else (sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1) * item
    )
    if not lo <= pointer <= hi or extent > hi - pointer:
        return OUTSIDE, []
    return 0, finish(space, dtype, pointer, shape, strides)


def finish(
    space: int, dtype: int, pointer: int, shape: Sequence[int], strides: Sequence[int]
) -> list[int]:
    """The words of a view that is known to be valid: size, interval and flags follow from the
    rest."""
    rank = len(shape)
    size = 1
    for n in shape:
        size *= n
    item = ITEM_BYTES[dtype]
    extent = (
        0
        if size == 0
        else (sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1) * item
    )
    words = [0] * 16
    words[D.POINTER : D.SIZE + 1] = [pointer, dtype, rank, size]
    words[D.SHAPE : D.SHAPE + 4] = [*shape, *[1] * (4 - rank)]
    words[D.STRIDE : D.STRIDE + 4] = [*strides, *[0] * (4 - rank)]
    words[D.LO], words[D.HI], words[D.SPACE] = pointer, pointer + extent, space
    words[D.FLAGS] = _flags(size, shape, strides)
    return words


def _flags(size: int, shape: Sequence[int], strides: Sequence[int]) -> int:
    flags = 0
    wide = [(s, k, n) for k, (n, s) in enumerate(zip(shape, strides, strict=True)) if n > 1]
    if size <= 1 or all(
        strides[k] == want for k, want in enumerate(row_major(shape)) if shape[k] > 1
    ):
        flags |= Flag.PACKED
    reaches = (sum((m - 1) * t for t, j, m in wide if (t, j) < (s, k)) < s for s, k, _ in wide)
    if size <= 1 or all(reaches):
        flags |= Flag.INJECTIVE
    if not shape or strides[-1] == 1 or shape[-1] <= 1:
        flags |= Flag.UNIT
    return flags


def resolve(row: Sequence[int], registers: Sequence[int]) -> tuple[list[int], list[int] | None]:
    """Sizes and strides of a row of the descriptor table, those that name registers taken from
    there."""
    rank, mask = row[R.RANK], row[R.MASK]
    shape = [
        registers[row[R.SHAPE + k]] if mask >> k & 1 else row[R.SHAPE + k] for k in range(rank)
    ]
    if row[R.PACKED]:
        return shape, None
    return shape, [
        registers[row[R.STRIDE + k]] if mask >> 4 + k & 1 else row[R.STRIDE + k]
        for k in range(rank)
    ]


def side_by_side(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two views whose intervals meet still share no byte, because they are columns of rows
    of one pitch."""
    ia, ib = ITEM_BYTES[a[D.DTYPE]], ITEM_BYTES[b[D.DTYPE]]
    pitch = a[D.STRIDE] * ia
    if a[D.RANK] < 2 or b[D.RANK] < 2 or pitch == 0 or pitch != b[D.STRIDE] * ib:
        return False
    inner_a = a[D.HI] - a[D.LO] - (a[D.SHAPE] - 1) * pitch
    inner_b = b[D.HI] - b[D.LO] - (b[D.SHAPE] - 1) * pitch
    apart = (b[D.POINTER] - a[D.POINTER]) % pitch
    return inner_a <= apart and apart + inner_b <= pitch


def overlap(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two views may share bytes: their intervals meet, and they aren't columns side by
    side."""
    meet = a[D.LO] < b[D.HI] and b[D.LO] < a[D.HI]
    return meet and not side_by_side(a, b)


def identical(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two descriptors name the same elements in the same order."""
    return list(a[: D.LO]) == list(b[: D.LO])


def values_overlap(a: Sequence[int], matrix: Sequence[int]) -> bool:
    """Whether a view and the values of a matrix may share bytes."""
    return a[D.LO] < matrix[M.HI] and matrix[M.LO] < a[D.HI]
