"""Words to instructions and back, from one list of fields read both ways.

Encoding is canonical: a word decodes to operands that encode to the same word, or it doesn't
decode. Reserved bits are zero; the all-zero word is no instruction.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from dlc.isa.model import Field, Instruction, Isa


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction with the values of its operands, in the order of the word; signed fields are
    signed."""

    instruction: Instruction
    values: tuple[int, ...]

    def __getitem__(self, name: str) -> int:
        for field, value in zip(self.instruction.operands, self.values, strict=True):
            if field.name == name:
                return value
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why a word is no instruction: the name of a rule of the verifier, and the facts."""

    rule: str
    message: str


class OperandError(ValueError):
    """An operand that its field can't hold."""


def in_range(field: Field, value: int) -> bool:
    """Whether the field holds the value."""
    kind = field.kind
    assert kind is not None
    if kind.signed:
        return -(1 << kind.width - 1) <= value < 1 << kind.width - 1
    if kind.members:
        return kind.member(value) is not None
    return 0 <= value < (kind.below if kind.below is not None else 1 << kind.width)


def encode(instruction: Instruction, operands: Mapping[str, int]) -> int:
    """The word of an instruction.

    Raises OperandError for an operand that is missing, unknown or out of range.
    """
    word = 0
    for field in instruction.fields:
        if field.name is None:
            word |= field.literal << field.shift
            continue
        if field.name not in operands:
            raise OperandError(f"`{instruction.mnemonic}` lacks its operand `{field.name}`")
        value = operands[field.name]
        if not in_range(field, value):
            assert field.kind is not None
            raise OperandError(
                f"`{instruction.mnemonic}`: {value} is no {field.kind.doc} (operand `{field.name}`)"
            )
        word |= (value & (1 << field.width) - 1) << field.shift
    if len(operands) != len(instruction.operands):
        extra = sorted(set(operands) - {str(field.name) for field in instruction.operands})
        raise OperandError(f"`{instruction.mnemonic}` has no operand `{extra[0]}`")
    return word


@functools.lru_cache(maxsize=1 << 16)
def decode(isa: Isa, word: int) -> Decoded | Undecodable:
    """The instruction of a word, or the rule that it breaks."""
    instruction = isa.opcodes.get(word >> 56)
    if instruction is None:
        return Undecodable("unknown_opcode", f"{word >> 56:#04x} is no opcode")
    values: list[int] = []
    for field in instruction.fields:
        bits = word >> field.shift & (1 << field.width) - 1
        if field.name is None:
            if bits != field.literal:
                return Undecodable(
                    "reserved_bits",
                    f"`{instruction.mnemonic}` leaves bits {field.shift} to "
                    f"{field.shift + field.width - 1} zero",
                )
            continue
        assert field.kind is not None
        if field.kind.signed and bits >> field.width - 1:
            bits -= 1 << field.width
        if not in_range(field, bits):
            return Undecodable(
                "operand_range",
                f"`{instruction.mnemonic}`: {bits} is no {field.kind.doc} (operand `{field.name}`)",
            )
        values.append(bits)
    return Decoded(instruction, tuple(values))
