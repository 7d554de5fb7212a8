"""The machine's state as arrays of 64-bit words, for both machines: which word of a descriptor,
matrix, queue or of the scalars means what. All memories lie in one buffer; pointers are byte
offsets in it, so they are the same on every host."""

from __future__ import annotations

from enum import IntEnum


class D(IntEnum):
    """Words of a tensor descriptor. Sizes and strides beyond the rank are 1 and 0; strides count
    elements."""

    POINTER = 0
    DTYPE = 1
    RANK = 2
    SIZE = 3
    SHAPE = 4
    STRIDE = 8
    LO = 12
    HI = 13
    SPACE = 14
    FLAGS = 15


class Flag(IntEnum):
    """Bits of a descriptor's flags."""

    PACKED = 1
    """Row-major without gaps."""
    INJECTIVE = 2
    """No two elements share a byte."""
    UNIT = 4
    """The last axis has stride 1, or at most one entry."""


class R(IntEnum):
    """Words of a row of the descriptor table; mask bit k: size k, bit 4 + k: stride k, names a
    register."""

    SPACE = 0
    DTYPE = 1
    RANK = 2
    OFFSET = 3
    SHAPE = 4
    STRIDE = 8
    MASK = 12
    PACKED = 13


class M(IntEnum):
    """Words of a compressed matrix; POINTERS i32[cols + 1] and ROWS i32[nnz] lie in IDX, VALUES in
    WGT."""

    ROWS = 0
    COLS = 1
    NNZ = 2
    POINTERS = 3
    ROW = 4
    VALUES = 5
    DTYPE = 6
    CODEBOOK = 7
    LO = 8
    HI = 9


class E(IntEnum):
    """Words of an event queue; INDEX i32[capacity], VALUE f32[capacity]."""

    LENGTH = 0
    INDEX = 1
    VALUE = 2


class S(IntEnum):
    """Scalar state and the machine's numbers."""

    PC = 0
    SP = 1
    FUEL = 2
    HEAP = 3
    TAPE = 4
    CODE = 5
    CAPACITY = 6
    STACK_WORDS = 7
    TAPE_WORDS = 8
    DRAM_BYTES = 9
    HEAP_BASE = 10
    HEAP_LIMIT = 11
    TEXT_WORDS = 12
    NAMED = 13
    """Spaces that descriptors can name: those before the first whose access is lifo."""
    BASE = 16
    """First of the spaces' offsets in the buffer, in the order of declaration."""
    BYTES = 32
    """First of the spaces' sizes."""


DESCRIPTOR_WORDS = 16
ROW_WORDS = 16
MATRIX_WORDS = 16
QUEUE_WORDS = 4
SCALAR_WORDS = 64
MAX_SIZE = (1 << 31) - 1
"""Largest number of elements, and of entries along an axis."""
MAX_STRIDE = 1 << 29
SPACE_SHIFT = 48
"""An address from 2^48 on names a space: as many spaces behind that of the row as it has multiples
of 2^48."""
ITEM_BYTES = (4, 2, 4, 1)
"""Bytes of an element by dtype: f32, bf16, i32, i8."""
NAN_BITS = 0x7FC00000
"""The one NaN that is ever written to memory."""
