"""Programs as text: reading and writing are inverse, and what is wrong is shown where it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dlc.diag import CompileError, SourceFile
from dlc.isa.assembly import real_bits, real_text
from dlc.isa.listing import assemble, disassemble
from dlc.isa.program import Program
from dlc.isa.project import load_isa
from tests.unit.isa.test_spw import sample
from tests.unit.isa.test_verify import GOOD, program


def test_round_trip() -> None:
    isa = load_isa()
    for made in (program(), sample()):
        text = disassemble(isa, made)
        assert assemble(isa, SourceFile("x", text)) == made
        assert disassemble(isa, assemble(isa, SourceFile("x", text))) == text


def test_names_are_kept() -> None:
    text = disassemble(load_isa(), sample())
    assert "li r1, #x+4" in text and "call @f" in text and "\nf:\n" in text
    assert '.function "main" frame 0 stack 3 tape 0' in text and '.mark "net.dl" 7 1' in text


def test_strange_names() -> None:
    isa, made = load_isa(), sample()
    for name in ("a b", 'q"uote', "L2", "é", "x"):
        functions = (made.functions[0], replace(made.functions[1], name=name))
        other = replace(made, functions=functions)
        assert assemble(isa, SourceFile("x", disassemble(isa, other))) == other


def test_words_that_are_no_instruction() -> None:
    isa, made = load_isa(), sample()
    odd = replace(made, text=(0, (1 << 64) - 1, *made.text), functions=(), relocations=(), marks=())
    text = disassemble(isa, odd)
    assert ".word 0x0000000000000000 ; 0x00 is no opcode" in text
    assert assemble(isa, SourceFile("x", text)) == odd


def test_comments_and_data() -> None:
    data = ".data SP 0\n.f32 1.0 -2.5\n.i32 7\n.i8 -1 1\n"
    text = f'.memory SP 64 ; a comment\n{data}.mark ";" 1 1\nhalt;end\n'
    made = assemble(load_isa(), SourceFile("x", text))
    assert made.images[0].data.hex() == "0000803f000020c007000000ff01"
    assert made.marks[0].file == ";" and len(made.text) == 1


def test_floats_read_back() -> None:
    for bits in (
        0,
        0x80000000,
        0x3F800000,
        1,
        0x007FFFFF,
        0x7F800000,
        0xFF800000,
        0x7FC00000,
        0x7FC00001,
        0x3DCCCCCD,
        0x501502F9,
    ):
        assert real_bits(real_text(bits)) == bits
    assert real_text(0x3DCCCCCD) == "0.1"


BAD = (
    ("frob r1, r2", "frob"),
    ("add r1, r2", "r1, r2"),
    ("add r1, r2, x3", "x3"),
    ("add r1, r2, r64", "r64"),
    ("ew.un t1, t2, expp", "expp"),
    ("li r1, 5", "5"),
    ("li r1, #5000000000", "#5000000000"),
    ("li r1, #３", "#３"),
    ("li r1, #1_000", "#1_000"),
    ("fli f1, =abc", "=abc"),
    ("fli f1, =1.5.5", "=1.5.5"),
    ("fli f1, =1e39", "=1e39"),
    ("fli f1, =-3.5e38", "=-3.5e38"),
    ("fli f1, =0x100000000", "=0x100000000"),
    ("fli f1, =１", "=１"),
    ("w.const w16, %0", "w16"),
    (".word", ".word"),
    (".frob 1", ".frob 1"),
    (".memory SP", ".memory SP"),
    (".row SP f32", ".row SP f32"),
    (".row SP f32 [4] stride", ".row SP f32 [4] stride"),
    (".matrix 1 2 3 rows 4", ".matrix 1 2 3 rows 4"),
    (".bytes 12", ".bytes 12"),
    (".data SP 0\n.bytes 1", ".bytes 1"),
    (".entry [1]", ".entry [1]"),
    (".entry nonsense", ".entry nonsense"),
    (".symbol x SP 0 f32 [1]", ".symbol x SP 0 f32 [1]"),
    (".isa 12", ".isa 12"),
)


@pytest.mark.parametrize("case", BAD, ids=lambda c: c[0])
def test_bad_lines(case: tuple[str, str]) -> None:
    line, piece = case
    with pytest.raises(CompileError) as caught:
        assemble(load_isa(), SourceFile("x.s", f"halt\n{line}\nhalt\n"))
    found = caught.value.diagnostics[0]
    assert found.code == "E0803" and found.primary is not None and found.primary.span.text == piece


@pytest.mark.parametrize(
    "line",
    [
        "jmp @nowhere",
        "li r1, #nowhere",
        "a:\na:",
        "call @x",
        '.symbol "x" SP 0 f32 [1]\n.symbol "x" SP 0 f32 [1]',
    ],
)
def test_bad_labels(line: str) -> None:
    with pytest.raises(CompileError) as caught:
        assemble(load_isa(), SourceFile("x.s", line))
    assert caught.value.diagnostics[0].code in ("E0803", "E0804")
    if "symbol" not in line:
        assert caught.value.diagnostics[0].code == "E0804"


def test_many_bad_lines_are_shown_together() -> None:
    with pytest.raises(CompileError) as caught:
        assemble(load_isa(), SourceFile("x.s", "frob\n" * 30))
    assert len(caught.value.diagnostics) == 20


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ev.mw t0, w0, q0", "there is no instruction `ev.mw`; did you mean `ev.mv`?"),
        ("li r1, #2147483648", "`#2147483648` is no signed immediate (-2147483648 to 2147483647)"),
        ("w.const w16, %0", "`w16` is no compressed matrix (0 to 15)"),
        ("li r1, #" + "9" * 5000, f"`#{'9' * 38}…` is no signed immediate"),
        ("x" * 100_000, f"there is no instruction `{'x' * 39}…`"),
        ("." * 100_000, f"there is no directive `{'.' * 39}…`"),
        ("jmp @" + "y" * 5000, f"there is no label `{'y' * 39}…`"),
    ],
)
def test_messages_say_what_would_do_and_stay_short(line: str, told: str) -> None:
    with pytest.raises(CompileError) as caught:
        assemble(load_isa(), SourceFile("x.s", line))
    assert caught.value.diagnostics[0].message.startswith(told)


def test_labels_of_any_letters() -> None:
    made = assemble(load_isa(), SourceFile("x.s", "jmp @größe2\nhalt\ngröße2:\nhalt\n"))
    assert made.text[0] & 0xFFFFFFFF == 2


def test_much_data_is_read_in_linear_time() -> None:
    lines = ".data SP 0\n" + ".i8 1 2 3 4\n" * 50_000
    (image,) = assemble(load_isa(), SourceFile("x.s", lines)).images
    assert image.data == bytes([1, 2, 3, 4]) * 50_000


def test_good_text_has_every_directive() -> None:
    assert {
        ".memory",
        ".heap",
        ".queue",
        ".row",
        ".data",
        ".matrix",
        ".symbol",
        ".entry",
        ".mark",
    } <= set(GOOD.split())


def assemble_lines(lines: list[str]) -> Program:
    """A program whose entry `main` starts at the first word."""
    text = "\n".join(['.entry ["main",0,[],[],[]]', *lines])
    return assemble(load_isa(), SourceFile("lines", text))
