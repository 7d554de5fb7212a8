"""One line of assembly text and one word, by the template that the instruction declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

from dlc.diag.suggest import near
from dlc.isa.codec import Decoded, OperandError, in_range
from dlc.isa.model import Field, Instruction, Isa, OperandKind
from dlc.isa.proofread import HOLE

NAME = re.compile(r"(?:[^\W\d]|[.$])[\w.$]*")
_NAMED = re.compile(NAME.pattern + r"([+-][0-9]+)?")
_REAL = re.compile(
    r"nan|0x[0-9a-fA-F]{1,8}|[+-]?(inf|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)"
)
_LONGEST = 40
_LINE = re.compile(r"\s*(\S+)\s*(.*?)\s*$")


class AssemblyError(ValueError):
    """A line that isn't an instruction: what is wrong, and the piece of text at fault."""

    def __init__(self, message: str, piece: str) -> None:
        super().__init__(message)
        self.message = message
        self.piece = piece


def real_text(bits: int) -> str:
    """The shortest decimal that reads back as these bits; bits themselves for a NaN that isn't the
    canonical one."""
    value = np.uint32(bits).view(np.float32)
    if np.isnan(value):
        return "nan" if bits == 0x7FC00000 else f"{bits:#010x}"
    return str(value)


def real_bits(text: str) -> int:
    """The bits of a number, or those that `real_text` wrote.

    Raises ValueError, also for a number that f32 rounds to infinity.
    """
    if not _REAL.fullmatch(text):
        raise ValueError(text)
    if text == "nan":
        return 0x7FC00000
    if text.startswith("0x"):
        return int(text, 16)
    with np.errstate(over="ignore"):
        value = np.float32(text)
    if np.isinf(value) and "inf" not in text:
        raise ValueError(text)
    return int(value.view(np.uint32))


def shown(piece: str) -> str:
    """A piece of a line in a message: long ones are cut."""
    return f"`{piece if len(piece) <= _LONGEST else piece[: _LONGEST - 1] + '…'}`"


def _holds(kind: OperandKind) -> str:
    """What an operand is, with the numbers that it takes."""
    if kind.name == "real":
        return "f32: a number, `inf`, `-inf`, `nan`, or its bits as 0x…"
    if kind.signed:
        low, high = -(1 << kind.width - 1), (1 << kind.width - 1) - 1
    else:
        low, high = 0, (1 << kind.width if kind.below is None else kind.below) - 1
    return f"{kind.doc} ({low} to {high})"


def operand_text(field: Field, value: int) -> str:
    """An operand as text."""
    kind = field.kind
    assert kind is not None
    if kind.members:
        return kind.member(value) or str(value)
    if kind.name == "real":
        return kind.prefix + real_text(value)
    if kind.name == "target":
        return f"{kind.prefix}{value:+d}"
    return f"{kind.prefix}{value}"


def format_instruction(
    decoded: Decoded, symbolic: Callable[[Field, int], str | None] | None = None
) -> str:
    """The line of an instruction. `symbolic` may name an operand's value, such as the label of a
    branch."""
    texts: dict[str, str] = {}
    for field, value in zip(decoded.instruction.operands, decoded.values, strict=True):
        named = symbolic(field, value) if symbolic is not None else None
        texts[str(field.name)] = operand_text(field, value) if named is None else named
    return HOLE.sub(lambda hole: texts[hole[1]], decoded.instruction.assembly)


def parse_instruction(
    isa: Isa, line: str, resolve: Callable[[Field, str], int] | None = None
) -> Decoded:
    """The instruction of a line. `resolve` gives the value of a name where a number is expected.

    Raises AssemblyError.
    """
    found = _LINE.match(line)
    if found is None:
        raise AssemblyError("here is no instruction", line)
    instruction = isa.instructions.get(found[1])
    if instruction is None:
        hint = _near(found[1], isa.instructions)
        raise AssemblyError(f"there is no instruction {shown(found[1])}{hint}", found[1])
    order = HOLE.findall(instruction.assembly)
    given = [piece.strip() for piece in found[2].split(",")] if found[2] else []
    if len(given) != len(order):
        raise AssemblyError(
            f"`{instruction.mnemonic}` takes {_counted(len(order))}, here are {len(given)}",
            found[2] or found[1],
        )
    values: dict[str, int] = {}
    for name, piece in zip(order, given, strict=True):
        field = instruction.operand(name)
        values[name] = _operand(field, piece, resolve)
        if not in_range(field, values[name]):
            assert field.kind is not None
            raise AssemblyError(f"{shown(piece)} is no {_holds(field.kind)}", piece)
    return Decoded(instruction, tuple(values[str(field.name)] for field in instruction.operands))


def _near(name: str, known: Iterable[str]) -> str:
    close = near(name, known) if len(name) <= _LONGEST else ()
    return f"; did you mean `{close[0]}`?" if close else ""


def _counted(n: int) -> str:
    return "no operands" if n == 0 else "1 operand" if n == 1 else f"{n} operands"


def _operand(field: Field, piece: str, resolve: Callable[[Field, str], int] | None) -> int:
    kind = field.kind
    assert kind is not None
    if kind.members:
        value = dict(kind.members).get(piece)
        if value is None:
            raise AssemblyError(
                f"{shown(piece)} is none of {', '.join(name for name, _ in kind.members)}", piece
            )
        return value
    if not piece.startswith(kind.prefix):
        raise AssemblyError(
            f"{shown(piece)} should begin with `{kind.prefix}`: {_holds(kind)}", piece
        )
    body = piece[len(kind.prefix) :]
    try:
        if kind.name == "real":
            return real_bits(body)
        if _NAMED.fullmatch(body) and resolve is not None:
            return resolve(field, body)
        if re.fullmatch(r"[+-]?[0-9]+|0x[0-9a-fA-F]+", body):
            return int(body, 0)
    except OperandError as e:
        raise AssemblyError(str(e), piece) from None
    except ValueError:
        pass
    raise AssemblyError(f"{shown(piece)} is no {_holds(kind)}", piece)


def decoded(instruction: Instruction, **operands: int) -> Decoded:
    """An instruction with its operands by name."""
    return Decoded(instruction, tuple(operands[str(field.name)] for field in instruction.operands))
