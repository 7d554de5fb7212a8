"""E08xx: the instruction set of the accelerator."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0801",
        "a file of the instruction set has the wrong form",
        "The files of `isa/` are read by `grammar/isa.lark`. The message names what was found and "
        "what may stand there.",
        shown_by="tests/unit/isa/test_reader.py::test_wrong_form",
    ),
    Code(
        "E0802",
        "the instruction set does not hold together",
        "Every instruction is proof-read: fields fill a word of 64 bits and no opcode is given "
        "twice, the assembly text names each operand once, `do` is well typed, reads and writes "
        "are exactly those that are declared, a divisor is tested, an axis exists, an adjoint "
        "names an instruction. The message begins with the mnemonic.",
        shown_by="tests/unit/isa/test_reader.py::test_planted_errors",
    ),
    Code(
        "E0803",
        "a line of assembly text cannot be read",
        "A line is a directive, a label, or an instruction by the template of its file in `isa/`. "
        "`isa/manual.md` lists them.",
        shown_by="tests/unit/isa/test_listing.py::test_bad_lines",
    ),
    Code(
        "E0804",
        "a label or symbol is nowhere, or twice",
        "A branch names a label of the same text, an address a symbol that a directive `.symbol` "
        "defines. Each is defined once.",
        shown_by="tests/unit/isa/test_listing.py::test_bad_labels",
    ),
    Code(
        "E0805",
        "not a program file, or a damaged one",
        "A file `.spw` has a fixed head, checksums of every section and of the whole, and one "
        "spelling for every program. A file that differs in a byte from what its writer would "
        "write is refused.",
        shown_by="tests/unit/isa/test_spw.py::test_damage_is_refused",
    ),
    Code(
        "E0806",
        "the program was made for another instruction set",
        "A program file names the instruction set by a digest of its meaning. Compile again with "
        "this version of dlc.",
        shown_by="tests/unit/isa/test_spw.py::test_another_isa",
    ),
    Code(
        "E0807",
        "the program breaks a rule of the verifier",
        "Before it runs, a program is checked in linear time: every word decodes, control stays "
        "where it belongs, frames are balanced, tables hold what they claim. The note names the "
        "rule; `isa/manual.md` lists them all.",
        shown_by="tests/unit/isa/test_verify.py::test_loading_refuses",
    ),
    Code(
        "E0808",
        "the program needs more memory than is allowed",
        "A program declares the bytes of every memory of its machine. A limit keeps a wrong file "
        "from taking all memory of the host; it can be raised.",
        shown_by="tests/unit/isa/test_machine.py::test_memory_limit",
    ),
    Code(
        "E0809",
        "an entry or argument that the program does not have",
        "An entry names its parameters, their element types and their shapes; sizes that several "
        "arguments share must agree.",
        shown_by="tests/unit/isa/test_machine.py::test_arguments_that_do_not_fit",
    ),
    Code(
        "E0810",
        "no such preset or gate",
        "Presets are the machines whose numbers `isa/presets.isa` gives; gates compare one of them "
        "with a published table.",
        shown_by="tests/unit/isa/test_gates.py::test_unknown_names",
    ),
    Code(
        "E0811",
        "a gate's file has the wrong form",
        "A gate reads a JSON file with a list `layers`; each has a name and the numbers that the "
        "gate needs.",
        shown_by="tests/unit/isa/test_gates.py::test_wrong_files",
    ),
    Code(
        "E0812",
        "the program stopped with a trap",
        "A verified program ends normally or with a listed trap, and a trap changes nothing: the "
        "state is that before the instruction. The message names the word, the trap and, where the "
        "compiler recorded it, the place in the source.",
        shown_by="tests/unit/isa/test_commands.py::test_trap_as_a_diagnostic",
    ),
)
