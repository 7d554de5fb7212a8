"""Whole programs: samples, features, entries, limits, effects, tables that are gathered from."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutants import mutants
from verify_typed import verify_program

from dlc.check.onnx_model import OnnxSignature
from dlc.check.program import Checked, check_file, check_program
from dlc.diag import CompileError, SourceFile, Span
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32
from dlc.typesys.surface import Tensor

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = sorted((ROOT / "samples").glob("*.dl"))
PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.dl"))
CONSTS = {"K": 3, "B": 3, "m.B": 3}


def backbone(path: str, at: Span) -> OnnxSignature:
    """What the importer says of the sample's file."""
    image = Tensor(F32, tuple(map(Dim.of, ("batch", 3, 32, 32))))
    scores = Tensor(F32, (Dim.sym("batch"), Dim.const(24)))
    return OnnxSignature(path, (("image", image),), (scores,), (("w", Tensor(F32, (Dim.of(9),))),))


def check(text: str) -> Checked:
    return check_program(SourceFile("main.dl", text))


def codes(text: str) -> list[str]:
    try:
        check(text)
    except CompileError as problem:
        return [d.code for d in problem.diagnostics]
    return []


@pytest.mark.parametrize("path", [*SAMPLES, *PROGRAMS], ids=lambda p: p.stem)
def test_typed_trees_keep_their_promises(path: Path) -> None:
    c = check_file(path, onnx=backbone)
    assert verify_program(c, CONSTS) > 0 or not c.exports


def test_an_entry_needs_its_consts() -> None:
    c = check("export fn f[K: const](x: f32) -> f32[K]:\n    return fill(x, K)\n")
    with pytest.raises(CompileError, match=r"E0601.*\n.*--bind f\.K=8"):
        c.entry("f")
    assert [d.code for d in c.open_entries()] == ["E0601"]
    assert c.instance(c.entry("f", {"K": 4})).result == Tensor(F32, (Dim.const(4),))


def test_what_is_no_entry() -> None:
    c = check("fn f(x: f32[*S]) -> f32:\n    return sum(x)\n")
    for name in ("f", "nowhere"):
        with pytest.raises(CompileError, match="E0602"):
            c.entry(name)


def test_gathered_tables_are_rows() -> None:
    c = check_file(ROOT / "samples" / "treelstm.dl")
    assert dict(c.functions["treelstm.loss"].row_only)["m"] == ("emb",)
    c = check_file(ROOT / "samples" / "poincare.dl")
    assert dict(c.functions["poincare.rank_loss"].row_only)["e"] == ("",)
    dense = check("fn f(e: f32[V, D], i: i32) -> f32:\n    return sum(e[i]) + sum(e)\n")
    assert dense.functions["main.f"].row_only == ()


def test_effects() -> None:
    c = check_file(ROOT / "samples" / "reason.dl")
    assert c.functions["reason.plan"].effects.diverges
    assert not c.functions["reason.run"].effects.diverges
    c = check_file(ROOT / "samples" / "gan.dl")
    step = c.functions["gan.step"].effects
    assert step.writes and step.draws and not step.diverges


def test_the_same_source_gives_the_same_tree() -> None:
    path = ROOT / "samples" / "treelstm.dl"
    one, two = (c.instance(c.entry("train")) for c in (check_file(path), check_file(path)))
    assert (one.dims, one.name, len(one.body)) == (two.dims, two.name, len(two.body))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("fn f(x: f32) -> f32:\n    return " + "-" * 200 + "x\n", ""),
        ("fn f(x: f32) -> f32:\n    return " + "(1.0 + " * 100 + "x" + ")" * 100 + "\n", ""),
        ("fn f(n: i32) -> i32:\n    return n + 99999999999\n", "E0347"),
        ("fn f(x: f32[N]) -> f32:\n    y = zeros(N ** 9)\n    return sum(y)\n", "E0304"),
    ],
)
def test_limits(text: str, code: str) -> None:
    assert codes(text) == ([code] if code else [])


def test_a_model_in_itself_ends() -> None:
    text = "model A[H]:\n    w: f32[H] ~ zeros()\n    b: B[H]\nmodel B[H]:\n    a: A[H]\n"
    assert codes(text + "fn f(a: A) -> f32:\n    return sum(a.w)\n") == ["E0310", "E0310"]


def test_a_thousand_mutants() -> None:
    """Never a Python exception; every diagnostic has a place and a remedy."""
    files = [p for p in SAMPLES if p.stem != "onnx_backbone"]
    for i, path in enumerate(files):
        for k, text in enumerate(
            mutants(path.read_text(encoding="utf-8"), i, 1000 // len(files) + 1)
        ):
            try:
                check_program(SourceFile(path.name, text), folder=path.parent)
            except CompileError as problem:
                for d in problem.diagnostics:
                    assert d.primary is not None, (path.name, k, d)
                    assert d.helps or d.notes or d.code < "E02", (path.name, k, d)


CALLED = """type Pair = Both(a: f32, b: f32)

fn app(h: fn(f32) -> f32, x: f32) -> f32:
    return h(x)

fn f(x: f32) -> f32:
    {body}

export fn g(x: f32) -> f32:
    return grad(f)(x)
"""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("g = x * 2.0\n    return g * g", []),
        ("y, g = x, x\n    return y + g", []),
        ("y = x\n    for g in 0..2:\n        y = y * f32(g)\n    return y", []),
        ("return g(x)", ["E0506"]),
        ("y = g(x)\n    z = y * 2.0\n    return z", ["E0506"]),
        ("y = x\n    if x > 3.0:\n        g = x\n        y = g\n    return y", []),
        (
            "y = x\n    if x > 3.0:\n        g = x\n        y = g\n"
            "    else:\n        y = app(g, x)\n    return y",
            ["E0506"],
        ),
        ("if x > 3.0:\n        g = x\n        return g\n    return app(g, x)", ["E0506"]),
        (
            "if x > 3.0:\n        g = x\n    else:\n        g = -x\n    return g",
            [],
        ),
        ("match Both(x, x):\n        Both(g, b):\n            y = g * b\n    return y", []),
        (
            "match Both(x, x):\n        Both(g, b):\n            y = g * b\n    return app(g, y)",
            ["E0506"],
        ),
        ("return app(fn(g) => 2.0 * g, x)", []),
        ("return app(fn(v) => 2.0 * v, app(g, x))", ["E0506"]),
    ],
)
def test_a_value_called_like_a_function_is_no_call_of_it(body: str, found: list[str]) -> None:
    assert codes(CALLED.format(body=body)) == found


MANY = """model Cell[D]:
    w: f32[D, D]

model Net[K: const, D]:
    cells: Array[Cell[D], K]

fn run(m: Net, x: f32[m.D]) -> f32[m.D]:
    y = x
    static for k in 0..%s:
        y = m.cells[k].w @ y
    return y
"""


def test_a_count_of_the_text_does_not_clash_with_the_trial() -> None:
    assert codes(MANY % "3") == codes(MANY % "m.K") == []
    assert codes(MANY % "m.K + 1") == ["E0326"]
    entry = "\nexport fn small(m: Net[K=2], x: f32[m.D]) -> f32[m.D]:\n    return run(m, x)\n"
    assert codes(MANY % "2" + entry) == []
    assert codes(MANY % "3" + entry) == ["E0326"]
