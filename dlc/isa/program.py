"""A program for the machine, as values: words, tables, what memories hold at the start, entries,
and what tools need to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

DTYPES = ("f32", "bf16", "i32", "i8")
"""Element types of descriptors, by number."""
PORT_BYTES = {"f32": 4, "bf16": 2, "i32": 4, "i8": 1, "i64": 8}
"""Bytes of an element of a parameter or result; i64 only where scalar loads reach it."""


@dataclass(frozen=True, slots=True)
class FromRegister:
    """A size or stride that is the value of integer register `number` when the descriptor is
    made."""

    number: int


Size: TypeAlias = int | FromRegister


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the descriptor table. `stride` in elements; None is row-major. `offset` in bytes of
    the space, added to the address."""

    space: str
    dtype: str
    shape: tuple[Size, ...]
    stride: tuple[Size, ...] | None = None
    offset: int = 0

    @property
    def is_static(self) -> bool:
        return not any(
            isinstance(size, FromRegister) for size in (*self.shape, *(self.stride or ()))
        )


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix compressed by columns. `pointers` (i32[cols + 1]) and `row` (i32[nnz]) are bytes of
    IDX, `values` of WGT.

    dtype `f32`, `bf16`, or `code4`: two codes a byte, the low four bits first, into 16 floats at
    byte `codebook` of WGT.
    """

    rows: int
    cols: int
    nnz: int
    pointers: int
    row: int
    values: int
    dtype: str = "f32"
    codebook: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """What a stretch of a space holds at the start; bytes of no image are 0."""

    space: str
    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named place: a tensor of a space (its packed elements), for parameters, results and
    tools."""

    name: str
    space: str
    address: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Relocation:
    """Operand `operand` of word `word` is the address of `symbol` plus `addend` bytes."""

    word: int
    operand: str
    symbol: str
    addend: int = 0


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the text. Bounds are claims of its compiler: words of STACK and of TAPE that a
    call may need, None if unbounded."""

    name: str
    start: int
    frame_words: int = 0
    stack_words: int | None = None
    tape_words: int | None = None


@dataclass(frozen=True, slots=True)
class InRegister:
    """A scalar in a register: file `r` or `f`."""

    file: str
    number: int


@dataclass(frozen=True, slots=True)
class At:
    """A fixed stretch of a space, with room for `capacity` bytes."""

    space: str
    address: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Given:
    """A buffer in DRAM that the host allocates before the start; integer register `register` holds
    its first byte."""

    register: int


@dataclass(frozen=True, slots=True)
class Made:
    """A buffer in DRAM whose first byte integer register `register` holds at the end."""

    register: int


PortPlace: TypeAlias = InRegister | At | Given | Made


@dataclass(frozen=True, slots=True)
class Port:
    """A parameter or result. `shape`: formulas over the entry's dims, such as `2*H + 1`; () is a
    scalar."""

    name: str
    dtype: str
    shape: tuple[str, ...]
    place: PortPlace


@dataclass(frozen=True, slots=True)
class Dim:
    """A named size of an entry. `register` holds it: at the start, or at the end where `made` (a
    size that the run decides)."""

    name: str
    register: int | None = None
    bound: int | None = None
    made: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A place where the host may start. A name that is both parameter and result is updated in
    place."""

    name: str
    start: int
    dims: tuple[Dim, ...] = ()
    parameters: tuple[Port, ...] = ()
    results: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Words from `word` on come from this place of a source, up to the next mark."""

    word: int
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Program:
    """A linked program.

    `memories`: bytes of each space (multiples of 64; absent ones are 0). `heap`: bytes of DRAM from
    which the heap may grow. `queue`: events that each queue holds. `predicted`: cycles by preset,
    as the compiler estimates them.
    """

    isa: str
    text: tuple[int, ...]
    memories: Mapping[str, int] = field(default_factory=dict[str, int])
    heap: int = 0
    queue: int = 0
    table: tuple[Row, ...] = ()
    matrices: tuple[Matrix, ...] = ()
    images: tuple[Image, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    relocations: tuple[Relocation, ...] = ()
    functions: tuple[Function, ...] = ()
    entries: tuple[Entry, ...] = ()
    marks: tuple[Mark, ...] = ()
    predicted: tuple[tuple[str, int], ...] = ()

    def entry(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)

    def symbol(self, name: str) -> Symbol | None:
        return next((symbol for symbol in self.symbols if symbol.name == name), None)

    def mark(self, word: int) -> Mark | None:
        """The source place of a word."""
        found: Mark | None = None
        for mark in self.marks:
            if mark.word > word:
                break
            found = mark
        return found
