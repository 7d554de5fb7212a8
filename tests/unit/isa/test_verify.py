"""The verifier: every rule is broken by a small program, and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dlc.diag import CompileError, SourceFile
from dlc.isa import program as p
from dlc.isa.listing import assemble
from dlc.isa.machine import Machine
from dlc.isa.project import load_isa
from dlc.isa.verify import RULES, Verified, verify

GOOD = """
.memory DRAM 128
.memory SP 64
.memory WGT 64
.memory IDX 64
.memory STACK 128
.memory TAPE 64
.heap 64
.queue 4
.row SP f32 [4]
.row SP f32 [r5]
.data IDX 0
.i32 0 1 2 0 1
.matrix 2 2 2 pointers 0 row 12 values 0 dtype f32 codebook 0
.symbol "x" SP 0 f32 [4]
ENTRY
.function "main" frame 0 stack 4 tape 0
.mark "a.dl" 1 1
    enter #2
    td.const t1, &0
    w.const w0, %0
    sts r5, #1
    jtab r0, #2
    jmp @one
    jmp @two
one:
    td.at t2, r0, &1
two:
    li r1, #x
    call @f
    leave #2
    halt
.function "f" frame 1 stack 1 tape 0
.mark "a.dl" 2 1
f:
    beq r1, r0, @last
    enter #1
    leave #1
last:
    ret
"""


PLACE = '["x","f32",["N"],["at","SP",0,16]]'
RESULT = '["n","i64",[],["in","r",1]]'
GOOD = GOOD.replace("ENTRY", f'.entry ["main",0,[["N",5,4,false]],[{PLACE}],[{RESULT}]]')


def program(text: str = GOOD) -> p.Program:
    return assemble(load_isa(), SourceFile("good", text))


def swap(old: str, new: str) -> p.Program:
    assert old in GOOD
    return program(GOOD.replace(old, new, 1))


def with_text(word: int, bits: int) -> p.Program:
    good = program()
    return replace(good, text=(*good.text[:word], bits, *good.text[word + 1 :]))


def changed(**fields: object) -> p.Program:
    return replace(program(), **fields)


ENTRY = program().entries[0]
MATRIX = program().matrices[0]
BROKEN: tuple[tuple[str, str, Callable[[], p.Program]], ...] = (
    ("unknown_opcode", "zero", lambda: with_text(1, 0)),
    ("unknown_opcode", "high", lambda: with_text(1, 0xFE << 56)),
    ("reserved_bits", "", lambda: with_text(11, (0x01 << 56) | 1)),
    ("operand_range", "matrix", lambda: with_text(2, program().text[2] | 63 << 50)),
    ("branch_range", "far", lambda: swap("jmp @one", "jmp @+100")),
    ("branch_range", "before", lambda: swap("call @f", "call @-100")),
    ("table_range", "row", lambda: swap("td.const t1, &0", "td.const t1, &2")),
    ("table_range", "matrix", lambda: swap("w.const w0, %0", "w.const w0, %1")),
    ("static_row", "", lambda: swap("td.const t1, &0", "td.const t1, &1")),
    ("falls_off", "", lambda: swap("last:\n    ret", "last:\n    enter #0")),
    ("runs_into_function", "fall", lambda: swap("    halt", "    q.clear q0")),
    ("runs_into_function", "jump", lambda: swap("jmp @two", "jmp @f")),
    ("two_functions", "", lambda: swap("beq r1, r0, @last", "beq r1, r0, @two")),
    ("frame_depth", "", lambda: swap("one:\n    td.at t2, r0, &1", "one:\n    enter #1")),
    ("frame_balance", "ret", lambda: swap("last:\n    ret", "last:\n    enter #1\n    ret")),
    ("frame_balance", "leave", lambda: swap("leave #1", "leave #2")),
    ("frame_size", "", lambda: swap("enter #2", "enter #17")),
    ("frame_size", "negative", lambda: swap("enter #2", "enter #-2")),
    ("frame_slot", "high", lambda: swap("sts r5, #1", "sts r5, #2")),
    ("frame_slot", "low", lambda: swap("sts r5, #1", "fsts f5, #-1")),
    ("return_from_entry", "", lambda: swap("    halt", "    ret")),
    ("jump_table", "count", lambda: swap("jtab r0, #2", "jtab r0, #3")),
    ("jump_table", "none", lambda: swap("jtab r0, #2", "jtab r0, #0")),
    ("entry", "start", lambda: changed(entries=(replace(ENTRY, start=99),))),
    ("entry", "dim", lambda: changed(entries=(replace(ENTRY, dims=()),))),
    ("entry", "twice", lambda: changed(entries=(ENTRY, ENTRY))),
    ("entry", "place", lambda: swap('["at","SP",0,16]', '["at","SP",0,80]')),
    ("entry", "register", lambda: swap('["in","r",1]', '["in","r",64]')),
    ("entry", "file", lambda: swap('["in","r",1]', '["in","f",1]')),
    ("entry", "formula", lambda: swap('["N"],["at"', '["N("],["at"')),
    ("entry", "patterns", lambda: swap('["at","SP",0,16]', '["at","IDX",0,16]')),
    ("symbol", "outside", lambda: swap('"x" SP 0 f32 [4]', '"x" SP 0 f32 [17]')),
    (
        "symbol",
        "alignment",
        lambda: changed(symbols=(p.Symbol("x", "SP", 2, "f32", (1,)),), relocations=()),
    ),
    ("function", "", lambda: changed(functions=(p.Function("g", 3),))),
    ("relocation", "symbol", lambda: changed(relocations=(p.Relocation(8, "v", "y"),))),
    ("relocation", "value", lambda: changed(relocations=(p.Relocation(8, "v", "x", 4),))),
    ("marks", "", lambda: changed(marks=(p.Mark(3, "a", 1, 1), p.Mark(3, "a", 2, 1)))),
    ("memories", "grain", lambda: swap(".memory SP 64", ".memory SP 65")),
    ("memories", "unknown", lambda: swap(".memory TAPE 64", ".memory TAP 64")),
    ("memories", "heap", lambda: swap(".heap 64", ".heap 192")),
    ("images", "outside", lambda: changed(images=(p.Image("IDX", 60, b"12345"),))),
    ("images", "lifo", lambda: changed(images=(p.Image("STACK", 0, b"1"),))),
    ("table_rows", "space", lambda: swap(".row SP f32 [4]", ".row STACK f32 [4]")),
    ("table_rows", "outside", lambda: swap(".row SP f32 [4]", ".row SP f32 [17]")),
    ("table_rows", "dtype", lambda: swap(".row SP f32 [4]", ".row SP f64 [4]")),
    ("table_rows", "register", lambda: swap(".row SP f32 [r5]", ".row SP f32 [r64]")),
    ("table_rows", "misaligned", lambda: swap(".row SP f32 [4]", ".row SP f32 [4] offset 2")),
    ("matrices", "order", lambda: swap(".i32 0 1 2 0 1", ".i32 0 2 2 1 0")),
    ("matrices", "row", lambda: swap(".i32 0 1 2 0 1", ".i32 0 1 2 0 2")),
    ("matrices", "pointers", lambda: swap(".i32 0 1 2 0 1", ".i32 0 1 1 0 1")),
    ("matrices", "outside", lambda: changed(matrices=(replace(MATRIX, row=60),))),
    ("matrices", "values", lambda: changed(matrices=(replace(MATRIX, values=60),))),
    (
        "matrices",
        "codebook",
        lambda: changed(matrices=(replace(MATRIX, dtype="code4", codebook=4),)),
    ),
)


def test_the_good_program() -> None:
    isa = load_isa()
    assert isinstance(verify(isa, program()), Verified)
    for engine in ("fast", "reference"):
        run = Machine.load(program(), engine=engine).run("main", {"x": [1.0, 2.0]})
        assert run.done and int(run.results["n"]) == 0


@pytest.mark.parametrize("case", BROKEN, ids=lambda c: "-".join(c[:2]))
def test_broken_rules_are_named(case: tuple[str, str, Callable[[], p.Program]]) -> None:
    rule, _, make = case
    found = verify(load_isa(), make())
    assert not isinstance(found, Verified)
    assert found[0].rule == rule, found


def test_every_rule_is_broken_here() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_loading_refuses() -> None:
    with pytest.raises(CompileError) as caught:
        Machine.load(swap("enter #2", "enter #17"), name="net.spw")
    found = caught.value.diagnostics[0]
    assert found.code == "E0807"
    assert "net.spw, word 0" in found.message
    assert "rule `frame_size`" in found.notes[0] and "a.dl:1:1" in found.notes[1]


def test_all_findings_of_a_text_are_given() -> None:
    good = program()
    found = verify(load_isa(), replace(good, text=(0, *good.text[1:4], 0, *good.text[5:])))
    assert not isinstance(found, Verified)
    assert [f.word for f in found] == [0, 4]
