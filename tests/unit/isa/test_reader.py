"""The reader proof-reads: the project's own files hold together, and planted errors are refused
by name."""

from __future__ import annotations

import pytest

from dlc.diag import CompileError, SourceFile
from dlc.isa.fast import effects as fast_effects
from dlc.isa.fast import primitives as fast_primitives
from dlc.isa.primitives import EFFECTS, PRIMITIVES
from dlc.isa.project import isa_files, load_isa
from dlc.isa.reader import read_isa
from dlc.isa.runtime import Runtime

FILES = {file.name: file.text for file in isa_files()}
TABLE = """
    halt trap assert wait li add sub mul div rem and or xor shl sra slt seq addi lih fli fadd fsub
    fmul fdiv fmax fun flt feq i2f f2i jmp beq bne blt bge jtab call ret enter leave lds sts flds
    fsts ld st fld fst alloc mark release td.const td.at td.row td.slice td.view td.perm td.dim
    td.len t.copy t.fill twr trd trdi mv mvt outer mm conv conv.dx conv.dw pool mv.q8 mm.q8 requant
    ev.nz ev.all ev.topk ev.delta ev.mv ev.mvt ev.outer ev.keep ev.read ev.conv ev.rows q.len
    q.push q.get q.clear gather scatter.add seg.sum seg.max seg.softmax arc.mm ew.un ew.bin ew.cmp
    select axpy ew.row lut rand red red.axis argmax dot softmax cumsum rank tp.push tp.pop tp.pusht
    tp.popt tp.pushi tp.popi""".split()


def refusals(texts: dict[str, str]) -> list[str]:
    try:
        read_isa(SourceFile(name, text) for name, text in texts.items())
    except CompileError as e:
        return [f"{d.code} {d.message}" for d in e.diagnostics]
    return []


def test_all_of_the_table_is_there() -> None:
    isa = load_isa()
    assert len(TABLE) == 117
    assert not set(TABLE) - set(isa.instructions)
    assert 0 not in isa.opcodes


def test_presets_and_energy_tables() -> None:
    isa = load_isa()
    assert set(isa.presets) == {"sparrow", "eie64", "eyeriss2pe", "dense16"}
    assert sum(p.picojoule for p in isa.energies["eie"].prices if p.counter == "pe_cycle") == (
        pytest.approx(11.44, abs=1e-9)
    )


def test_primitives_are_the_same_everywhere() -> None:
    assert set(fast_primitives.EMIT) == set(PRIMITIVES)
    assert {n.removeprefix("p_") for n in dir(Runtime) if n.startswith("p_")} == set(PRIMITIVES)
    assert set(fast_effects.EMIT) == set(EFFECTS)
    assert {n.removeprefix("e_") for n in dir(Runtime) if n.startswith("e_")} == set(EFFECTS)


def test_the_digest_is_of_the_meaning() -> None:
    digest = load_isa().digest
    same = FILES | {
        "isa/scalar.isa": FILES["isa/scalar.isa"].replace('"Jump."', '"Go there."'),
        "isa/presets.isa": FILES["isa/presets.isa"].replace("fifo = 8", "fifo = 9"),
    }
    other = FILES | {
        "isa/scalar.isa": FILES["isa/scalar.isa"].replace("pc + to else", "pc + 2 else")
    }
    sources = [[SourceFile(n, t) for n, t in texts.items()] for texts in (same, other)]
    assert read_isa(sources[0]).digest == digest
    assert refusals(other)  # `beq` in a way that the verifier can't follow
    moved = FILES["isa/scalar.isa"].replace("0x10:8 d:int", "0x05:8 d:int")
    assert (
        read_isa(
            [
                SourceFile("isa/scalar.isa", moved),
                *(SourceFile(n, t) for n, t in FILES.items() if n != "isa/scalar.isa"),
            ]
        ).digest
        != digest
    )


def test_wrong_form() -> None:
    for text in ("instruction x", "space A purple", 'trap a "b', "isa a version 1 word 64", "}"):
        assert refusals(FILES | {"isa/x.isa": text})[0].startswith("E0801"), text


ADD = "do r[d] := r[a] + r[b]  actions alu: 1  work scalar: items 1  adjoint none\ninstruction addi"
MV = "do for i < dim(T[a], 0) { T[d][i] := fold("
PLANTED = (
    ("opcode taken", "scalar", "0x11:8 d:int", "0x10:8 d:int", "`add`: opcode"),
    (
        "63 bits",
        "scalar",
        "0x11:8 d:int a:int b:int 0:6 0:32",
        "0x11:8 d:int a:int b:int 0:6 0:31",
        "`add`: the fields are 63",
    ),
    (
        "literal too wide",
        "scalar",
        "0x11:8 d:int a:int b:int 0:6 0:32",
        "0x11:8 d:int a:int b:int 64:6 0:32",
        "`add`: 0x40 needs",
    ),
    (
        "operand twice",
        "scalar",
        "0x11:8 d:int a:int b:int 0:6",
        "0x11:8 d:int a:int a:int 0:6",
        "`add`: the operand `a`",
    ),
    (
        "clause twice",
        "scalar",
        ADD,
        ADD.replace("adjoint none", "work scalar: items 1  adjoint none"),
        "`add`: `work` is given twice",
    ),
    (
        "not in assembly",
        "scalar",
        '"add {d}, {a}, {b}"',
        '"add {d}, {a}"',
        "`add`: the assembly text",
    ),
    (
        "not encoded",
        "scalar",
        '"add {d}, {a}, {b}"',
        '"add {d}, {a}, {c}"',
        "`add`: the assembly text",
    ),
    (
        "unknown kind",
        "scalar",
        "0x11:8 d:int a:int b:int",
        "0x11:8 d:int a:int b:integer",
        "`add`: there is no operand kind",
    ),
    (
        "unknown trap",
        "scalar",
        "traps div_zero when r[b] == 0, overflow",
        "traps zero when r[b] == 0, overflow",
        "`div`: there is no trap",
    ),
    (
        "unknown action",
        "scalar",
        ADD,
        ADD.replace("alu: 1", "aluminium: 1"),
        "`add`: there is no action",
    ),
    (
        "unknown unit",
        "scalar",
        ADD,
        ADD.replace("work scalar", "work brain"),
        "`add`: there is no unit",
    ),
    (
        "wrong unit",
        "scalar",
        ADD,
        ADD.replace("work scalar", "work array"),
        "`add`: `array` is an array unit",
    ),
    (
        "unknown adjoint",
        "tensor",
        '"mvt {db}, {a}, {dd}"',
        '"mvtt {db}, {a}, {dd}"',
        "`mv`: its adjoint names `mvtt`",
    ),
    (
        "adjoint operands",
        "tensor",
        '"mvt {db}, {a}, {dd}"',
        '"mvt {db}, {a}"',
        "`mv`: its adjoint gives `mvt` 2",
    ),
    (
        "unknown function",
        "tensor",
        "mac(s, T[a][i, j], T[b][j])",
        "fma(s, T[a][i, j], T[b][j])",
        "`mv`: there is no function `fma`",
    ),
    ("unknown effect", "scalar", "do halt!()", "do stop!()", "`halt`: there is no effect"),
    (
        "unknown space",
        "scalar",
        "do DRAM.f32[(r[a] + k) // 4] := f[b]",
        "do RAM.f32[(r[a] + k) // 4] := f[b]",
        "`fst`: `RAM`|nothing is called `RAM`",
    ),
    (
        "unknown name",
        "scalar",
        ADD,
        ADD.replace("r[a] + r[b]", "r[a] + z"),
        "`add`: nothing is called `z`",
    ),
    (
        "wrong file",
        "scalar",
        ADD,
        ADD.replace("r[a] + r[b]", "r[a] + f[b]"),
        "`add`: `b` is integer register",
    ),
    (
        "ill typed",
        "scalar",
        ADD,
        ADD.replace("r[a] + r[b]", "r[a] + 1.0"),
        "`add`: here stands a float",
    ),
    ("arity", "scalar", "bit_or(r[a], r[b])", "bit_or(r[a])", "`or`: `bit_or` takes 2"),
    (
        "undeclared read",
        "scalar",
        "reads r[a], r[b]  writes r[d]\n  do r[d] := r[a] + r[b]",
        "reads r[a]  writes r[d]\n  do r[d] := r[a] + r[b]",
        "`add`: it reads r[b]",
    ),
    (
        "undeclared write",
        "scalar",
        "reads r[a], r[b]  writes r[d]\n  do r[d] := r[a] + r[b]",
        "reads r[a], r[b]\n  do r[d] := r[a] + r[b]",
        "`add`: it writes r[d]",
    ),
    (
        "unmade read",
        "scalar",
        "reads r[a], r[b]  writes r[d]\n  do r[d] := r[a] + r[b]",
        "reads r[a], r[b], pc  writes r[d]\n  do r[d] := r[a] + r[b]",
        "`add`: it is declared that it reads pc",
    ),
    (
        "arms differ",
        "scalar",
        "do r[d] := if r[a] < r[b] then 1 else 0",
        "do r[d] := if r[a] < r[b] then 1 else 0.0",
        "`slt`: here stands a float",
    ),
    ("arm missing", "scalar", "copy: x, neg: -x,", "neg: -x,", "`fun`: no arm for copy"),
    (
        "arm unknown",
        "scalar",
        "copy: x, neg: -x,",
        "copy: x, minus: x, neg: -x,",
        "`fun`: `unary` has no minus",
    ),
    (
        "clause missing",
        "scalar",
        ADD,
        ADD.replace("work scalar: items 1  ", ""),
        "`add`: there is no `work` clause",
    ),
    (
        "divisor",
        "scalar",
        "traps div_zero when r[b] == 0, overflow when r[b] == -1 and r[a] == least()  adjoint "
        "none\ninstruction rem",
        "traps overflow when r[b] == -1 and r[a] == least()  adjoint none\ninstruction rem",
        "`div`: a divisor may be 0",
    ),
    (
        "axis",
        "tensor",
        'dim(T[b], 0) != dim(T[a], 1)\n  adjoint T[a]: "outer {da}, {dd}, {b}"',
        'dim(T[b], 1) != dim(T[a], 1)\n  adjoint T[a]: "outer {da}, {dd}, {b}"',
        "`mv`: T[b] has no axis 1",
    ),
    ("shadowing", "tensor", MV, MV.replace("for i", "for a"), "`mv`: `a` already means"),
    (
        "read after write",
        "event",
        "do let k = r[a]; r[d] := Q[b].index[k]; f[e] := Q[b].value[k]",
        "do r[d] := Q[b].index[r[a]]; f[e] := Q[b].value[r[a]]",
        "`q.get`: r[a] is read after",
    ),
    (
        "order of traps",
        "graph",
        "traps shape when dim(T[d], 0) != dim(T[b], 0),\n    out_of_bounds when any(k < "
        "dim(T[b], 0): T[b].int[k] < 0 or T[b].int[k] >= dim(T[a], 0))  adjoint none",
        "traps out_of_bounds when any(k < dim(T[b], 0): T[b].int[k] < 0 or T[b].int[k] >= "
        "dim(T[a], 0)),\n    shape when dim(T[d], 0) != dim(T[b], 0)  adjoint none",
        "`igather`: the trap `shape`",
    ),
    (
        "readonly space",
        "scalar",
        "writes DRAM\n  do DRAM.f32[(r[a] + k) // 4] := f[b]",
        "writes CONST\n  do CONST.f32[(r[a] + k) // 4] := f[b]",
        "`fst`: it writes words of CONST",
    ),
    (
        "operand unused",
        "scalar",
        "do r[d] := r[a] + v  actions",
        "do r[d] := r[a]  actions",
        "`addi`: the operand `v`",
    ),
    (
        "two ranks",
        "tensor",
        "mac(s, T[a][i, j], T[b][j])) }",
        "mac(s, T[a][i], T[b][j])) }; for i < 1 { T[d][i] := T[a][i, i] }",
        "`mv`: T[a] is used with",
    ),
    (
        "floats and integers",
        "tensor",
        "do for i < size(T[d]) { T[d].flat[i] := f[a] }",
        "do for i < size(T[d]) { T[d].flat[i] := f[a]; T[d].iflat[i] := 1 }",
        "`t.fill`: T[d] is used as",
    ),
    (
        "dropped price",
        "presets",
        "  network: hop = int32_add\n",
        "",
        "`horowitz` doesn't price hop",
    ),
    (
        "unknown energy table",
        "presets",
        "clock 800  energy eie\n",
        "clock 800  energy eiffel\n",
        "there is no energy table",
    ),
    (
        "preset lacks a unit",
        "presets",
        "  unit scan { latency = 2 per_cycle = 2 }\n",
        "",
        "`eyeriss2pe` lacks scan",
    ),
    (
        "enum value twice",
        "machine",
        "f32 = 0, bf16 = 1",
        "f32 = 0, bf16 = 0",
        "`bf16` stands twice",
    ),
    ("two traps of a name", "machine", 'trap shape "', 'trap dtype "', "two declarations of trap"),
    (
        "pc",
        "scalar",
        "do pc := pc + to  work",
        "do pc := pc + to + 1  work",
        "`jmp`: `jmp` sets pc",
    ),
)


@pytest.mark.parametrize("case", PLANTED, ids=lambda c: c[0])
def test_planted_errors(case: tuple[str, str, str, str, str]) -> None:
    _, file, old, new, expected = case
    name = f"isa/{file}.isa"
    assert old in FILES[name]
    with_it = {
        "isa/machine.isa": FILES["isa/machine.isa"],
        "isa/presets.isa": FILES["isa/presets.isa"],
    }
    found = refusals(with_it | {name: FILES[name].replace(old, new, 1)})
    assert any(e in message for e in expected.split("|") for message in found), found
    assert all(message.startswith("E0802") for message in found)


def test_places_of_refusals() -> None:
    text = FILES["isa/scalar.isa"].replace("r[a] + v  actions", "r[a] + w  actions", 1)
    with pytest.raises(CompileError) as caught:
        read_isa(SourceFile(n, text if n == "isa/scalar.isa" else t) for n, t in FILES.items())
    primary = caught.value.diagnostics[0].primary
    assert primary is not None and primary.span.text == "w"


def test_left_recursion_keeps_every_term() -> None:
    extra = """instruction x "x"
  encode 0xff:8 d:int a:int 0:12 0:32  assembly "x {d}, {a}"  reads r[a]  writes r[d]
  do r[d] := 100 - r[a] - 7 + 3 * r[a] // 2 * 5  work scalar: items 1  adjoint none"""
    isa = read_isa(SourceFile(n, t) for n, t in (FILES | {"isa/y.isa": extra}).items())
    from dlc.isa.python_text import PythonText

    text = PythonText().block(isa.instructions["x"].body, "")[0]
    seen: dict[str, object] = {}

    class Fake:
        def __init__(self) -> None:
            self.r = {1: 10}

        def set_r(self, register: int, value: int) -> None:
            seen["value"] = value

    exec(text, {"m": Fake(), "I": lambda x: x, "o_d": 2, "o_a": 1})
    assert seen["value"] == 100 - 10 - 7 + 3 * 10 // 2 * 5
