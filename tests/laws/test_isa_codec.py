"""Words and text: encoding is canonical, and the assembler undoes the disassembler, for every
instruction."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from dlc.isa.assembly import format_instruction, parse_instruction
from dlc.isa.codec import Decoded, OperandError, decode, encode, in_range
from dlc.isa.model import Field
from dlc.isa.project import load_isa

ISA = load_isa()


def drawn(rng: random.Random, field: Field) -> int:
    kind = field.kind
    assert kind is not None
    if kind.members:
        return rng.choice(kind.members)[1]
    top = kind.below or 1 << kind.width
    value = rng.choice((0, 1, top - 1, rng.randrange(top)))
    return value - (1 << kind.width) if kind.signed and value >> kind.width - 1 else value


@pytest.mark.parametrize("mnemonic", sorted(ISA.instructions))
def test_codec_and_assembler(mnemonic: str) -> None:
    instruction, rng = ISA.instructions[mnemonic], random.Random(mnemonic)
    for _ in range(60):
        operands = {str(f.name): drawn(rng, f) for f in instruction.operands}
        word = encode(instruction, operands)
        found = decode(ISA, word)
        assert isinstance(found, Decoded) and found.instruction is instruction
        assert dict(zip(operands, found.values, strict=True)) == operands
        line = format_instruction(found)
        assert parse_instruction(ISA, line) == found and line.split()[0] == mnemonic


def test_words_decode_canonically_or_not_at_all() -> None:
    rng, decoded = random.Random(0), 0
    opcodes = sorted(ISA.opcodes)
    for _ in range(60_000):
        word = rng.choice(opcodes) << 56 | rng.getrandbits(56) & rng.getrandbits(56)
        if rng.random() < 0.5:
            word &= ~(0xFFFFFFFF if rng.random() < 0.5 else 0x3FFFFFFFF)
        found = decode(ISA, word)
        if isinstance(found, Decoded):
            decoded += 1
            names = [str(f.name) for f in found.instruction.operands]
            assert encode(found.instruction, dict(zip(names, found.values, strict=True))) == word
        else:
            assert found.rule in ("unknown_opcode", "reserved_bits", "operand_range")
    assert decoded > 5000


def test_fields_fill_the_word() -> None:
    for instruction in ISA.instructions.values():
        covered = sorted((field.shift, field.shift + field.width) for field in instruction.fields)
        assert covered[0][0] == 0 and covered[-1][1] == 64
        assert all(a[1] == b[0] for a, b in pairwise(covered))


def test_operands_out_of_range_are_refused() -> None:
    for instruction in ISA.instructions.values():
        good = {str(f.name): drawn(random.Random(0), f) for f in instruction.operands}
        for field in instruction.operands:
            for bad in (1 << field.width, -(1 << field.width), -1):
                if in_range(field, bad):
                    continue
                with pytest.raises(OperandError):
                    encode(instruction, good | {str(field.name): bad})
            with pytest.raises(OperandError):
                encode(instruction, {k: v for k, v in good.items() if k != field.name})
        with pytest.raises(OperandError):
            encode(instruction, good | {"nonsense": 1})


def test_the_zero_word_is_no_instruction() -> None:
    assert not isinstance(decode(ISA, 0), Decoded)
