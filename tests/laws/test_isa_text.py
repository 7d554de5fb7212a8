"""The instruction set prints and reads back: the printed clauses of every instruction mean the
same."""

from __future__ import annotations

from dlc.diag import SourceFile
from dlc.isa.manual import manual_text, work_text
from dlc.isa.model import Field, Instruction
from dlc.isa.printing import Printer
from dlc.isa.project import isa_files, load_isa
from dlc.isa.reader import read_isa


def field_text(field: Field) -> str:
    return f"{field.name}:{field.kind.name}" if field.kind else f"{field.literal:#x}:{field.width}"


def instruction_text(printer: Printer, i: Instruction) -> str:
    lines = [
        f'instruction {i.mnemonic} "{i.doc}"',
        f"encode {' '.join(field_text(f) for f in i.fields)}",
    ]
    lines.append(f'assembly "{i.assembly}"')
    for what, places in (("reads", i.reads), ("writes", i.writes)):
        if places:
            lines.append(f"{what} {', '.join(map(str, places))}")
    lines += ["do", *printer.block(i.body), f"work {work_text(printer, i.work)}"]
    traps = [trap for trap in i.traps if not trap.derived]
    if traps:
        codes = [f"({printer.expr(t.code)})" if t.code else "" for t in traps]
        told = [
            f"{t.trap}{code} when {printer.expr(t.when)}"
            for t, code in zip(traps, codes, strict=True)
        ]
        lines.append(f"traps {', '.join(told)}")
    counts = [
        f"{c.counter} {c.of.file}[{c.of.operand}]: {printer.expr(c.value)}"
        if c.of
        else f"{' '.join(reversed(c.counter.split('.')))}: {printer.expr(c.value)}"
        for c in i.counts
    ]
    if counts:
        lines.append(f"actions {', '.join(counts)}")
    return "\n".join([*lines, "adjoint none"])


def test_printed_instructions_mean_the_same() -> None:
    isa = load_isa()
    printer = Printer(isa.enums["dtype"])
    machine = next(file for file in isa_files() if file.name == "isa/machine.isa")
    printed = "\n".join(instruction_text(printer, i) for i in isa.instructions.values())
    again = read_isa([machine, SourceFile("printed", printed)])
    assert again.digest == isa.digest
    for mnemonic, instruction in isa.instructions.items():
        assert again.instructions[mnemonic].counts == instruction.counts


def test_the_manual_tells_of_every_instruction_and_rule() -> None:
    isa = load_isa()
    text = manual_text(isa, isa_files())
    for mnemonic in isa.instructions:
        assert f"\n### `{mnemonic}`\n" in text
    for name in (*isa.presets, *(t.name for t in isa.traps), "frame_slot", "banksum"):
        assert f"`{name}`" in text
