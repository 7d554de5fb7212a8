"""What an instruction must wait for and makes others wait for: derived from its reads and
writes."""

from __future__ import annotations

from dataclasses import dataclass

from dlc.isa import terms as t
from dlc.isa.model import Instruction


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that one instruction at a time may change.

    `kind`: `r` or `f` a register (operand None: all of the file), `T W Q` a descriptor, matrix or
    queue, `data` the bytes of a tensor, `values` those of a matrix, `word` a word of DRAM at
    `index`, `core` what only the scalar core touches (special registers, frames, residuals).
    """

    kind: str
    operand: str | None = None
    index: t.Expr | None = None
    width: int = 0


@dataclass(frozen=True, slots=True)
class Resources:
    """Reads and writes of an instruction."""

    reads: tuple[Resource, ...]
    writes: tuple[Resource, ...]


def resources(instruction: Instruction) -> Resources:
    """What an instruction waits for, and makes others wait for."""
    reads: list[Resource] = []
    writes: list[Resource] = []
    for places, found in ((instruction.reads, reads), (instruction.writes, writes)):
        for place in places:
            if place.base in ("r", "f", "Q"):
                found.append(Resource(place.base, place.operand))
            elif place.base == "T":
                found.append(Resource("T" if place.descriptor else "data", place.operand))
            elif place.base == "W":
                found.append(Resource("W" if place.descriptor else "values", place.operand))
            elif place.base == "DRAM":
                found.append(_word(instruction))
            elif Resource("core") not in found:
                found.append(Resource("core"))
    written = {resource.operand for resource in writes if resource.kind in ("T", "W")}
    for field in instruction.operands:
        if field.kind is not None and field.kind.of in ("T", "W") and field.name not in written:
            described = Resource(field.kind.of, field.name)
            if described not in reads:
                reads.append(described)
    return Resources(tuple(reads), tuple(writes))


def _word(instruction: Instruction) -> Resource:
    for stmt in t.statements(instruction.body):
        for term in t.statement_terms(stmt):
            for part in t.walk(term):
                if isinstance(part, t.Word) and part.space == "DRAM":
                    return Resource("word", None, part.index, 8 if part.view == "i64" else 4)
    raise ValueError(f"`{instruction.mnemonic}` names no word of DRAM")


def fence_mask(instruction: Instruction) -> t.Expr | None:
    """The units that an instruction waits for before others issue."""
    for stmt in t.statements(instruction.body):
        if isinstance(stmt, t.Effect) and stmt.name == "fence":
            mask = stmt.args[0]
            return None if isinstance(mask, t.Ref) else mask
    return None
