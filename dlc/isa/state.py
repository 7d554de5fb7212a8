"""The machine's state: arrays that both machines work on, made from a program whose tables are
checked on the way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dlc.isa import descriptors
from dlc.isa.layout import (
    DESCRIPTOR_WORDS,
    ITEM_BYTES,
    MATRIX_WORDS,
    MAX_SIZE,
    QUEUE_WORDS,
    ROW_WORDS,
    SCALAR_WORDS,
    D,
    E,
    M,
    R,
    S,
)
from dlc.isa.model import Isa
from dlc.isa.program import DTYPES, FromRegister, Matrix, Program, Row, Size

Words: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]

GRAIN = 64
PATTERNS = "IDX"
"""The space of the patterns of compressed matrices. They are checked when a program is loaded,
so nobody writes there afterwards."""
_EMPTY = {"f32": 0}


class LoadError(ValueError):
    """A program that can't be loaded: the name of the verifier's rule that it breaks, and the
    facts."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a run can change, and the tables that it can't. See `dlc.isa.layout` for the
    words.

    `memory` holds every space, one after the other, then the queues' events.
    """

    isa: Isa
    memory: Bytes
    r: Words
    f: npt.NDArray[np.float32]
    T: Words
    W: Words
    Q: Words
    scalars: Words
    table: Words
    static: Words
    matrices: Words

    def base(self, space: str) -> int:
        """First byte of a space in the buffer."""
        return int(self.scalars[S.BASE + self.isa.space(space)])

    def size(self, space: str) -> int:
        return int(self.scalars[S.BYTES + self.isa.space(space)])

    def bytes_of(self, space: str) -> Bytes:
        """The bytes of a space, writable in place."""
        base = self.base(space)
        return self.memory[base : base + self.size(space)]

    def copy(self) -> State:
        """An independent state with the same contents."""
        arrays = {
            name: getattr(self, name).copy()
            for name in ("memory", "r", "f", "T", "W", "Q", "scalars")
        }
        return State(
            isa=self.isa, table=self.table, static=self.static, matrices=self.matrices, **arrays
        )

    def restart(self) -> None:
        """Registers, descriptors, queues, frames, residuals and heap as at the start; memories
        stay."""
        self.r[:] = 0
        self.f[:] = 0
        self.T[:] = _empty_descriptor(self)
        self.W[:] = _empty_matrix(self)
        self.Q[:, E.LENGTH] = 0
        scalars = self.scalars
        scalars[S.PC] = scalars[S.FUEL] = scalars[S.TAPE] = scalars[S.CODE] = 0
        scalars[S.SP] = scalars[S.STACK_WORDS]
        scalars[S.HEAP] = scalars[S.HEAP_BASE]


def memory_bytes(isa: Isa, program: Program) -> int:
    """Bytes of the buffer that a program's machine needs."""
    queues = isa.file("Q").count * _up(program.queue * 4) * 2
    return sum(_up(program.memories.get(space.name, 0)) for space in isa.spaces) + queues + GRAIN


def _up(n: int) -> int:
    return -(-n // GRAIN) * GRAIN


def make_state(isa: Isa, program: Program, text_words: int) -> State:
    """The state at the start of a program: images in place, tables resolved.

    Raises LoadError where sizes, images, table rows or matrices don't hold together.
    """
    _check_sizes(isa, program)
    scalars = np.zeros(SCALAR_WORDS, np.int64)
    at = 0
    for number, space in enumerate(isa.spaces):
        size = program.memories.get(space.name, 0)
        scalars[S.BASE + number], scalars[S.BYTES + number] = at, size
        at += _up(size)
    queues = np.zeros((isa.file("Q").count, QUEUE_WORDS), np.int64)
    for q in range(len(queues)):
        queues[q, E.INDEX], queues[q, E.VALUE] = at, at + _up(program.queue * 4)
        at += 2 * _up(program.queue * 4)
    memory = np.zeros(at + GRAIN, np.uint8)
    dram = program.memories.get("DRAM", 0)
    scalars[S.CAPACITY] = program.queue
    scalars[S.STACK_WORDS] = program.memories.get("STACK", 0) // 8
    scalars[S.TAPE_WORDS] = program.memories.get("TAPE", 0) // 8
    scalars[S.DRAM_BYTES] = scalars[S.HEAP_LIMIT] = dram
    scalars[S.HEAP_BASE] = program.heap
    scalars[S.TEXT_WORDS] = text_words
    scalars[S.NAMED] = next(
        (k for k, space in enumerate(isa.spaces) if space.access == "lifo"), len(isa.spaces)
    )
    state = State(
        isa=isa,
        memory=memory,
        r=np.zeros(isa.file("r").count, np.int64),
        f=np.zeros(isa.file("f").count, np.float32),
        T=np.zeros((isa.file("T").count, DESCRIPTOR_WORDS), np.int64),
        W=np.zeros((isa.file("W").count, MATRIX_WORDS), np.int64),
        Q=queues,
        scalars=scalars,
        table=np.zeros((max(len(program.table), 1), ROW_WORDS), np.int64),
        static=np.zeros((max(len(program.table), 1), DESCRIPTOR_WORDS), np.int64),
        matrices=np.zeros((max(len(program.matrices), 1), MATRIX_WORDS), np.int64),
    )
    load_images(state, program)
    named = {
        s.name: (k, state.base(s.name), state.size(s.name))
        for k, s in enumerate(isa.spaces)
        if s.access != "lifo"
    }
    for k, row in enumerate(program.table):
        _load_row(state, k, row, named)
    for k, matrix in enumerate(program.matrices):
        state.matrices[k] = _load_matrix(state, k, matrix)
    state.restart()
    return state


def _check_sizes(isa: Isa, program: Program) -> None:
    known = {space.name for space in isa.spaces}
    for name, size in program.memories.items():
        if name not in known:
            raise LoadError("memories", f"there is no space `{name}`")
        if size < 0 or size % GRAIN:
            raise LoadError("memories", f"{name} has {size} bytes; sizes are multiples of {GRAIN}")
    if not 0 <= program.queue <= MAX_SIZE:
        raise LoadError("memories", f"queues of {program.queue} events")
    if program.heap % GRAIN or not 0 <= program.heap <= program.memories.get("DRAM", 0):
        raise LoadError("memories", f"the heap starts at byte {program.heap} of DRAM")


def load_images(state: State, program: Program) -> None:
    """Put the images of a program in place; the memories hold zeros before."""
    for image in program.images:
        if image.space not in {space.name for space in state.isa.spaces}:
            raise LoadError("images", f"there is no space `{image.space}`")
        target = state.bytes_of(image.space)
        if image.address < 0 or image.address + len(image.data) > len(target):
            end = image.address + len(image.data)
            raise LoadError(
                "images",
                f"an image fills bytes {image.address} to {end} of {image.space}, which has "
                f"{len(target)}",
            )
        target[image.address : image.address + len(image.data)] = np.frombuffer(
            image.data, np.uint8
        )
    for space in state.isa.spaces:
        if space.access == "lifo" and any(image.space == space.name for image in program.images):
            raise LoadError("images", f"{space.name} is empty at the start")


# -- tables ----------------------------------------------------------------------------------------


def _load_row(state: State, k: int, row: Row, spaces: Mapping[str, tuple[int, int, int]]) -> None:
    """`spaces`: number, first byte in the buffer and bytes of every space that descriptors can
    name."""
    if row.space not in spaces:
        raise LoadError("table_rows", f"row {k}: descriptors can't name `{row.space}`")
    if row.dtype not in DTYPES:
        raise LoadError("table_rows", f"row {k}: `{row.dtype}` is no element type")
    if len(row.shape) > 4 or (row.stride is not None and len(row.stride) != len(row.shape)):
        raise LoadError("table_rows", f"row {k}: rank {len(row.shape)}, strides {row.stride}")
    number, base, size = spaces[row.space]
    if not 0 <= row.offset <= size:
        raise LoadError("table_rows", f"row {k}: offset {row.offset} of {size} bytes")
    words = [0] * ROW_WORDS
    words[R.SPACE : R.OFFSET + 1] = number, DTYPES.index(row.dtype), len(row.shape), row.offset
    words[R.PACKED] = int(row.stride is None)
    for at, first, sizes in ((R.SHAPE, 1, row.shape), (R.STRIDE, 16, row.stride or ())):
        for axis, wanted in enumerate(sizes):
            words[at + axis] = _size(state, k, wanted)
            if isinstance(wanted, FromRegister):
                words[R.MASK] |= first << axis
    state.table[k] = words
    if words[R.MASK] == 0:
        shape, stride = descriptors.resolve(words, [])
        bounds = base, base + size
        fault, made = descriptors.make(
            number, words[R.DTYPE], base + row.offset, shape, stride, *bounds
        )
        if fault:
            reason = ("sizes or strides", "a misaligned address", "bytes outside its space")
            raise LoadError(
                "table_rows", f"row {k} of the descriptor table has {reason[fault - 1]}"
            )
        state.static[k] = made


def _size(state: State, k: int, size: Size) -> int:
    if isinstance(size, FromRegister):
        if not 0 <= size.number < len(state.r):
            raise LoadError("table_rows", f"row {k}: there is no register {size.number}")
        return size.number
    if not -(1 << 62) <= size < 1 << 62:
        raise LoadError("table_rows", f"row {k}: a size of {size}")
    return size


def _load_matrix(state: State, k: int, matrix: Matrix) -> list[int]:
    """The words of a compressed matrix, after its pattern was checked: pointers ascend, rows of a
    column strictly ascend."""

    def refuse(message: str) -> LoadError:
        return LoadError("matrices", f"matrix {k}: {message}")

    if not (
        0 <= matrix.rows <= MAX_SIZE and 0 <= matrix.cols < MAX_SIZE and 0 <= matrix.nnz <= MAX_SIZE
    ):
        raise refuse(f"{matrix.rows} rows, {matrix.cols} columns, {matrix.nnz} entries")
    pointers = _integers(state, matrix.pointers, matrix.cols + 1)
    rows = _integers(state, matrix.row, matrix.nnz)
    if pointers is None or rows is None:
        raise refuse("its pattern lies outside IDX, or isn't aligned to 4 bytes")
    check_pattern(pointers, rows, matrix.rows, refuse)
    codes = {"f32": 0, "bf16": 1, "code4": 4}
    if matrix.dtype not in codes:
        raise refuse(f"values can't be {matrix.dtype}")
    length = (
        (matrix.nnz + 1) // 2
        if matrix.dtype == "code4"
        else matrix.nnz * ITEM_BYTES[codes[matrix.dtype]]
    )
    align = 1 if matrix.dtype == "code4" else ITEM_BYTES[codes[matrix.dtype]]
    size = state.size("WGT")
    if matrix.values % align or not 0 <= matrix.values <= size - length:
        raise refuse("its values lie outside WGT, or aren't aligned")
    if matrix.dtype == "code4" and (matrix.codebook % 4 or not 0 <= matrix.codebook <= size - 64):
        raise refuse("its codebook lies outside WGT, or isn't aligned")
    wgt, idx = state.base("WGT"), state.base(PATTERNS)
    words = [0] * MATRIX_WORDS
    words[M.ROWS], words[M.COLS], words[M.NNZ] = matrix.rows, matrix.cols, matrix.nnz
    words[M.POINTERS], words[M.ROW], words[M.VALUES] = (
        idx + matrix.pointers,
        idx + matrix.row,
        wgt + matrix.values,
    )
    words[M.DTYPE], words[M.CODEBOOK] = codes[matrix.dtype], wgt + matrix.codebook
    words[M.LO], words[M.HI] = wgt + matrix.values, wgt + matrix.values + length
    return words


def check_pattern(
    pointers: npt.NDArray[np.int32], rows: npt.NDArray[np.int32], height: int, refuse: Any
) -> None:
    """Pointers run from 0 to the number of entries and never fall; the rows of each column strictly
    ascend below `height`."""
    if (
        int(pointers[0]) != 0
        or int(pointers[-1]) != len(rows)
        or bool(np.any(np.diff(pointers) < 0))
    ):
        raise refuse("its column pointers don't run from 0 to the number of entries")
    if len(rows):
        if int(rows.min()) < 0 or int(rows.max()) >= height:
            raise refuse("a row index lies outside the matrix")
        rises = np.diff(rows) > 0
        heads = pointers[1:-1][(pointers[1:-1] > 0) & (pointers[1:-1] < len(rows))] - 1
        rises[heads] = True
        if not bool(rises.all()):
            raise refuse("the rows of a column don't ascend")


def _integers(state: State, address: int, count: int) -> npt.NDArray[np.int32] | None:
    size = state.size(PATTERNS)
    if address % 4 or not 0 <= address <= size - 4 * count:
        return None
    return state.bytes_of(PATTERNS)[address : address + 4 * count].view(np.int32)


def _empty_descriptor(state: State) -> Sequence[int]:
    number = state.isa.space("SP")
    base = int(state.scalars[S.BASE + number])
    return descriptors.finish(number, _EMPTY["f32"], base, [0], [1])


def _empty_matrix(state: State) -> Sequence[int]:
    words = [0] * MATRIX_WORDS
    for word in (M.POINTERS, M.ROW):
        words[word] = state.base(PATTERNS)
    for word in (M.VALUES, M.CODEBOOK, M.LO, M.HI):
        words[word] = state.base("WGT")
    return words


def read_packed(state: State, words: Sequence[int]) -> npt.NDArray[Any]:
    """The elements of a descriptor as a new array: f32 or bf16 as float32, integers as int64."""
    item = ITEM_BYTES[words[D.DTYPE]]
    rank = words[D.RANK]
    shape = tuple(words[D.SHAPE : D.SHAPE + rank])
    stride = tuple(s * item for s in words[D.STRIDE : D.STRIDE + rank])
    if words[D.SIZE] == 0:
        return np.zeros(shape, np.float32 if words[D.DTYPE] < 2 else np.int64)
    kinds = (np.float32, np.uint16, np.int32, np.int8)
    flat = state.memory[words[D.LO] : words[D.HI]].view(kinds[words[D.DTYPE]])
    seen = np.lib.stride_tricks.as_strided(flat, shape, stride, writeable=False)
    if words[D.DTYPE] == 1:
        return (seen.astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return seen.astype(np.float32 if words[D.DTYPE] == 0 else np.int64)
