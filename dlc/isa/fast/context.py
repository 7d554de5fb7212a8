"""What the text of a function of the fast machine can reach: the arrays of the state, and how words
and bytes are addressed."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.isa.fast.text import Builder
from dlc.isa.layout import DESCRIPTOR_WORDS, MATRIX_WORDS, QUEUE_WORDS, ROW_WORDS, S
from dlc.isa.model import Isa

ARRAYS = ("S", "r", "f", "T", "W", "Q", "table", "static", "matrices", "mem", "idx")
"""Pointers that every function takes. `idx` is the same memory as `mem`, for bytes that nothing
writes."""
PARAMETERS = ", ".join(f"ptr noalias nocapture %{name}" for name in ARRAYS)
ARGUMENTS = ", ".join(f"ptr %{name}" for name in ARRAYS)
ITEM_SHIFT = 0x00020102
"""Byte d: log2 of the bytes of an element of dtype d."""
WORDS = {
    "T": DESCRIPTOR_WORDS,
    "W": MATRIX_WORDS,
    "Q": QUEUE_WORDS,
    "table": ROW_WORDS,
    "static": DESCRIPTOR_WORDS,
    "matrices": MATRIX_WORDS,
}


@dataclass(slots=True)
class Context:
    """A function under construction and what its names mean.

    `operands`: LLVM values of the operands. `specials`: of special registers; what `do` writes
    there is the new value. `members`: enum operands whose value is known. `checked`: every access
    to memory is tested, and a bad one ends the run as a bug.
    """

    isa: Isa
    builder: Builder
    operands: dict[str, str]
    specials: dict[str, str] = field(default_factory=dict[str, str])
    members: dict[str, int] = field(default_factory=dict[str, int])
    locals: dict[str, str] = field(default_factory=dict[str, str])
    checked: bool = False
    dense: str = ""
    """In costs: an i1 that is true for the dense twin."""
    packed: frozenset[str] = frozenset()
    """Descriptor operands known to be in the common form: see `dlc.isa.fast.terms`."""
    expected: dict[str, int] = field(default_factory=dict[str, int])
    """Their element types."""
    halted: bool = False
    macs: bool = False

    # -- words of the state ------------------------------------------------------------------------

    def load(self, array: str, word: str, type_: str = "i64") -> str:
        return self.builder.load(type_, f"%{array}", word, 8 if type_ == "i64" else 4)

    def store(self, array: str, word: str, value: str, type_: str = "i64") -> None:
        self.builder.store(type_, value, f"%{array}", word, 8 if type_ == "i64" else 4)

    def number(self, word: int) -> str:
        """A number of the machine that a run doesn't change; read once."""
        b = self.builder
        at = b.once(f"getelementptr i64, ptr %S, i64 {word}")
        return b.once(f"load i64, ptr {at}, align 8")

    def base(self, space: str) -> str:
        return self.number(S.BASE + self.isa.space(space))

    def field(self, file: str, operand: str, word: int) -> str:
        """A word of a descriptor, matrix or queue as the instruction found it; read once."""
        b = self.builder
        first = b.once(f"mul i64 {self.operands[operand]}, {WORDS[file]}")
        index = b.once(f"add i64 {first}, {word}")
        at = b.once(f"getelementptr i64, ptr %{file}, i64 {index}")
        return b.once(f"load i64, ptr {at}, align 8")

    def present(self, file: str, operand: str, word: int) -> str:
        """A word as it is now."""
        b = self.builder
        first = b.op(f"mul i64 {self.operands[operand]}, {WORDS[file]}")
        return self.load(file, b.op(f"add i64 {first}, {word}"))

    def set_field(self, file: str, operand: str, word: int, value: str) -> None:
        b = self.builder
        first = b.op(f"mul i64 {self.operands[operand]}, {WORDS[file]}")
        self.store(file, b.op(f"add i64 {first}, {word}"), value)

    # -- bytes of memory ---------------------------------------------------------------------------

    def pointer(self, byte: str, memory: str = "mem") -> str:
        return self.builder.op(f"getelementptr i8, ptr %{memory}, i64 {byte}")

    def item_shift(self, dtype: str) -> str:
        b = self.builder
        place = b.op(f"shl i64 {dtype}, 3")
        shifted = b.op(f"lshr i64 {ITEM_SHIFT}, {place}")
        return b.op(f"and i64 {shifted}, 255")

    def guard(self, holds: str) -> None:
        """In a checked build: leave with the status of a bug unless the test holds."""
        if not self.checked:
            return
        b = self.builder
        label = f"ok{b.fresh()}"
        b.branch(holds, label, "bug")
        b.start(label)

    def guard_below(self, index: str, count: str) -> None:
        if self.checked:
            self.guard(self.builder.op(f"icmp ult i64 {index}, {count}"))

    def test(self, relation: str, left: str, right: str | int) -> str:
        return self.builder.op(f"icmp {relation} i64 {left}, {right}")
