"""Builds programs: instructions by name (the methods follow the files of `isa/`), labels,
functions, tables, data, entries.

b = ProgramBuilder(load_isa()) with b.function("main"):
    b.emit("td.const", d=1, k=b.row(Row("SP", "f32", (4,))))
    b.emit("jmp", to=b.label("out")); b.place("out"); b.emit("halt")
program = b.finish()
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dlc.diag import InternalError
from dlc.isa.codec import OperandError, encode
from dlc.isa.model import Instruction, Isa
from dlc.isa.program import (
    PORT_BYTES,
    Entry,
    Function,
    Image,
    Mark,
    Matrix,
    Program,
    Relocation,
    Row,
    Symbol,
)

GRAIN = 64


@dataclass(frozen=True, slots=True)
class Label:
    """A word of the text that isn't known yet; a label, or a function, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class AddressOf:
    """The address of a symbol, plus bytes."""

    symbol: str
    addend: int = 0


Value: TypeAlias = int | Label | AddressOf


@dataclass(slots=True)
class _Pending:
    instruction: Instruction
    operands: dict[str, Value]


class ProgramBuilder:
    """Collects a program; `finish` links it. Mistakes are InternalErrors: whoever calls this is a
    compiler."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self._text: list[_Pending] = []
        self._labels: dict[str, int] = {}
        self._functions: list[Function] = []
        self._entries: list[Entry] = []
        self._rows: dict[Row, int] = {}
        self._matrices: list[Matrix] = []
        self._images: list[Image] = []
        self._symbols: dict[str, Symbol] = {}
        self._marks: list[Mark] = []
        self._used: dict[str, int] = {space.name: 0 for space in isa.spaces}
        self._scope = ""
        self._fresh = 0
        self.queue = 0
        """Events that each queue must hold."""
        self.heap_bytes = 0
        """Bytes of DRAM for the heap, after everything that is placed."""
        self.stack_bytes = 0
        self.tape_bytes = 0
        self.predicted: tuple[tuple[str, int], ...] = ()

    # -- text --------------------------------------------------------------------------------------

    @property
    def here(self) -> int:
        """The number of the next word."""
        return len(self._text)

    def emit(self, mnemonic: str, **operands: Value) -> int:
        """Append an instruction; operands by the names of its file. Branch targets take a Label or
        a word's number. Returns its word."""
        instruction = self.isa.instructions.get(mnemonic)
        if instruction is None:
            raise InternalError(f"there is no instruction `{mnemonic}`", stage="program builder")
        wanted = {str(field.name) for field in instruction.operands}
        if set(operands) != wanted:
            raise InternalError(
                f"operands {sorted(operands)}, wanted {sorted(wanted)}",
                stage="program builder",
                op=mnemonic,
            )
        self._text.append(_Pending(instruction, operands))
        return len(self._text) - 1

    def retarget(self, old: int, new: int) -> bool:
        """Let the last instruction put its result, operand `d`, into register `new` instead of
        `old`. Whether it did: it does so if it writes a register of this number, and no label lies
        behind it."""
        last = self._text[-1] if self._text else None
        if last is None or last.operands.get("d") != old or self.here in self._labels.values():
            return False
        field = next(x for x in last.instruction.operands if x.name == "d")
        if field.kind is None or field.kind.name not in ("int", "flt"):
            return False
        last.operands["d"] = new
        return True

    def member(self, enum: str, name: str) -> int:
        """The value of a named operand, such as `member("unary", "exp")`."""
        return self.isa.enums[enum][name]

    def label(self, name: str | None = None) -> Label:
        """A label of the present function, fresh where it has no name."""
        if name is None:
            self._fresh += 1
            name = f".{self._fresh}"
        return Label(f"{self._scope}{name}")

    def place(self, label: Label | str) -> None:
        """The label is the next word."""
        name = label.name if isinstance(label, Label) else self.label(label).name
        if name in self._labels:
            raise InternalError(f"label `{name}` is placed twice", stage="program builder")
        self._labels[name] = self.here

    @contextmanager
    def function(
        self,
        name: str,
        stack_words: int | None = None,
        tape_words: int | None = None,
        frame_words: int = 0,
    ) -> Generator[Label]:
        """What is emitted inside is this function; labels inside are its own. Yields the label to
        call it by (or use `Label(name)`)."""
        if self._scope:
            raise InternalError(f"function `{name}` inside another", stage="program builder")
        self.place(Label(name))
        self._functions.append(Function(name, self.here, frame_words, stack_words, tape_words))
        self._scope = f"{name}."
        try:
            yield Label(name)
        finally:
            self._scope = ""

    def entry(self, entry: Entry) -> None:
        """An entry that starts at the next word."""
        self._entries.append(replace(entry, start=self.here))

    def mark(self, file: str, line: int, column: int) -> None:
        """What follows comes from this place of a source."""
        mark = Mark(self.here, file, line, column)
        if self._marks and self._marks[-1].word == mark.word:
            self._marks.pop()
        if not self._marks or (
            self._marks[-1].file,
            self._marks[-1].line,
            self._marks[-1].column,
        ) != (file, line, column):
            self._marks.append(mark)

    @property
    def last_mark(self) -> Mark | None:
        """Where in a source what was written last comes from."""
        return self._marks[-1] if self._marks else None

    # -- tables and data ---------------------------------------------------------------------------

    def row(self, row: Row) -> int:
        """The number of a row of the descriptor table; equal rows are one."""
        return self._rows.setdefault(row, len(self._rows))

    def reserve(self, space: str, size: int, align: int = GRAIN) -> int:
        """The address of `size` fresh bytes of a space."""
        at = -(-self._used[space] // align) * align
        self._used[space] = at + size
        return at

    def data(self, space: str, array: npt.NDArray[Any] | bytes, align: int = GRAIN) -> int:
        """The address of fresh bytes of a space that hold these at the start. bf16 comes as uint16
        bits."""
        raw = array if isinstance(array, bytes) else np.ascontiguousarray(array).tobytes()
        at = self.reserve(space, len(raw), align)
        if raw.strip(b"\0"):
            self._images.append(Image(space, at, raw))
        return at

    def symbol(
        self, name: str, space: str, address: int, dtype: str, shape: Sequence[int]
    ) -> Symbol:
        """Name a place."""
        if name in self._symbols:
            raise InternalError(f"symbol `{name}` is defined twice", stage="program builder")
        made = Symbol(name, space, address, dtype, tuple(shape))
        self._symbols[name] = made
        return made

    def variable(
        self,
        name: str,
        space: str,
        dtype: str,
        shape: Sequence[int],
        array: npt.NDArray[Any] | None = None,
    ) -> Symbol:
        """A named tensor with fresh bytes, and what it holds at the start."""
        size = PORT_BYTES[dtype] * int(np.prod(shape, dtype=np.int64))
        address = self.reserve(space, size) if array is None else self.data(space, array)
        return self.symbol(name, space, address, dtype, shape)

    def matrix(
        self,
        dense: npt.NDArray[np.float32],
        dtype: str = "f32",
        keep: npt.NDArray[np.bool_] | None = None,
    ) -> int:
        """Compress the non-zero entries (or those of `keep`) of a matrix by columns; the number of
        its row for `w.const`."""
        return self.columns(*compress(dense, keep), rows=dense.shape[0], dtype=dtype)

    def columns(
        self,
        pointers: npt.NDArray[np.int32],
        row: npt.NDArray[np.int32],
        values: npt.NDArray[np.float32],
        rows: int,
        dtype: str = "f32",
    ) -> int:
        """A matrix that is compressed by columns already. bf16 rounds to nearest even; code4 takes
        at most 16 distinct values."""
        codebook = 0
        if dtype == "f32":
            address = self.data("WGT", values.astype(np.float32))
        elif dtype == "bf16":
            address = self.data("WGT", bf16_bits(values))
        elif dtype == "code4":
            packed, book = codes4(values)
            codebook, address = self.data("WGT", book), self.data("WGT", packed)
        else:
            raise InternalError(f"values can't be {dtype}", stage="program builder")
        made = Matrix(
            rows,
            len(pointers) - 1,
            len(row),
            self.data("IDX", pointers.astype(np.int32)),
            self.data("IDX", row.astype(np.int32)),
            address,
            dtype,
            codebook,
        )
        self._matrices.append(made)
        return len(self._matrices) - 1

    def matrix_row(self, number: int) -> Matrix:
        """Where a compressed matrix lies."""
        return self._matrices[number]

    # -- linking -----------------------------------------------------------------------------------

    def finish(self) -> Program:
        """The linked program. Names of labels, functions and symbols become numbers; data symbols
        stay on as relocations."""
        text: list[int] = []
        relocations: list[Relocation] = []
        for word, pending in enumerate(self._text):
            values: dict[str, int] = {}
            for name, value in pending.operands.items():
                if isinstance(value, Label):
                    values[name] = self._labels.get(value.name, -1) - word
                    if value.name not in self._labels:
                        raise InternalError(
                            f"label `{value.name}` is nowhere",
                            stage="program builder",
                            op=pending.instruction.mnemonic,
                        )
                elif isinstance(value, AddressOf):
                    values[name] = self._symbols[value.symbol].address + value.addend
                    relocations.append(Relocation(word, name, value.symbol, value.addend))
                else:
                    values[name] = value
            try:
                text.append(encode(pending.instruction, values))
            except OperandError as e:
                raise InternalError(
                    str(e), stage="program builder", op=pending.instruction.mnemonic
                ) from None
        heap = _up(self._used["DRAM"])
        memories = {space: _up(size) for space, size in self._used.items() if size}
        memories |= {
            space: _up(size)
            for space, size in (("STACK", self.stack_bytes), ("TAPE", self.tape_bytes))
            if size
        }
        if heap + self.heap_bytes:
            memories["DRAM"] = heap + _up(self.heap_bytes)
        return Program(
            isa=self.isa.digest,
            text=tuple(text),
            memories=memories,
            heap=heap,
            queue=self.queue,
            table=tuple(self._rows),
            matrices=tuple(self._matrices),
            images=tuple(self._images),
            symbols=tuple(sorted(self._symbols.values(), key=lambda s: s.name)),
            relocations=tuple(relocations),
            functions=tuple(self._functions),
            entries=tuple(self._entries),
            marks=tuple(self._marks),
            predicted=self.predicted,
        )


def _up(n: int) -> int:
    return -(-n // GRAIN) * GRAIN


def compress(
    dense: npt.NDArray[np.float32], keep: npt.NDArray[np.bool_] | None = None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """(pointers, row, values) of the kept entries, column by column, rows ascending."""
    mask = dense != 0 if keep is None else keep
    cols, rows = np.nonzero(mask.T)
    pointers = np.zeros(dense.shape[1] + 1, np.int32)
    pointers[1:] = np.cumsum(np.bincount(cols, minlength=dense.shape[1]))
    return pointers, rows.astype(np.int32), dense[rows, cols].astype(np.float32)


def bf16_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Rounded to nearest even, as bits; NaN is the canonical one."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)


def codes4(
    values: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """(codes, two a byte, the low four bits first; the 16 values). At most 16 distinct values."""
    book = np.unique(values.astype(np.float32))
    if len(book) > 16:
        raise InternalError(
            f"{len(book)} distinct values; a codebook holds 16", stage="program builder"
        )
    codes = np.searchsorted(book, values).astype(np.uint8)
    if len(codes) % 2:
        codes = np.append(codes, np.uint8(0))
    return (codes[0::2] | codes[1::2] << 4).astype(np.uint8), np.pad(
        book, (0, 16 - len(book))
    ).astype(np.float32)
