"""`asm`, `dis`, `sim`, and `inspect` of programs of the accelerator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.isa.commands import assemble_text, program_bytes
from tests.unit.cli.test_commands import call
from tests.unit.isa.test_machine import scaled, tree_sum

ROOT = Path(__file__).resolve().parents[3]
LAYER = str(ROOT / "samples" / "sparrow" / "layer.s")
TABLES = ROOT / "tests" / "unit" / "isa" / "data"
Capture = pytest.CaptureFixture[str]
W = np.zeros((4, 6), np.float32)
W[[0, 2, 1, 0, 3, 0, 1, 2, 3], [0, 0, 1, 2, 2, 4, 4, 4, 5]] = (
    0.5, -1.0, 2.0, 1.5, 0.25, -0.5, 1.0, 0.75, -2.0,
)  # fmt: skip
X = np.array([1, -2, 0, 3, 0.5, -1], np.float32)
GIVEN = ("--in", "x=1,-2,0,3,0.5,-1")


def test_text_to_file_and_back(capsys: Capture, tmp_path: Path) -> None:
    spw, text, again = (str(tmp_path / n) for n in ("a.spw", "a.s", "b.spw"))
    assert call(capsys, "asm", LAYER, "-o", spw)[0] == 0
    assert call(capsys, "dis", spw, "-o", text)[0] == 0
    assert call(capsys, "asm", text, "-o", again)[0] == 0
    assert Path(spw).read_bytes() == Path(again).read_bytes()
    assert call(capsys, "dis", again)[1] == Path(text).read_text()
    assert json.loads(call(capsys, "dis", again, "--json")[1])["text"] == Path(text).read_text()
    status, out, _ = call(capsys, "dis", again, "-o", text, "--json")
    assert (status, json.loads(out)) == (0, {"files": [text]})
    status, out, _ = call(capsys, "asm", text, "--json")
    assert (status, json.loads(out)["words"]) == (0, 17)
    assert (tmp_path / "a.spw").read_bytes() == Path(again).read_bytes()
    assert call(capsys, "asm", spw)[0] == 2


def test_assembling_refuses(capsys: Capture, tmp_path: Path) -> None:
    bad = tmp_path / "bad.s"
    bad.write_text("    frobnicate r1\n")
    status, _, err = call(capsys, "asm", str(bad))
    assert status == 1 and "error[E0803]" in err and "bad.s:1:5" in err
    bad.write_text('.entry ["main",0,[],[],[]]\n    li r1, #1\n')
    status, _, err = call(capsys, "asm", str(bad))
    assert status == 1 and "error[E0807]" in err and "falls_off" in err
    assert not bad.with_suffix(".spw").exists()
    assert call(capsys, "asm", str(bad), "--no-verify")[0] == 0
    status, _, err = call(capsys, "sim", str(bad.with_suffix(".spw")))
    assert status == 1 and "error[E0807]" in err
    told = call(capsys, "inspect", str(bad.with_suffix(".spw")))[1]
    assert "does not pass the verifier" in told


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_results_are_those_of_the_equation(capsys: Capture, engine: str) -> None:
    args = ("sim", LAYER, *GIVEN, "--json", "--engine", engine)
    status, out, _ = call(capsys, *args, "--entry", "forward")
    told = json.loads(out)
    assert status == 0
    np.testing.assert_array_equal(np.float32(told["results"]["y"]), W @ np.maximum(X, 0))
    assert told["sparse"]["counters"]["mac"] == 5 and told["dense"]["counters"]["mac"] == 24
    assert told["sparse"]["cycles"] < told["dense"]["cycles"]
    dy = np.array([1, 2, -1, 3], np.float32)
    status, out, _ = call(capsys, *args, "--entry", "gradient", "--in", "dy=1,2,-1,3")
    np.testing.assert_array_equal(np.float32(json.loads(out)["results"]["dx"]), (dy @ W) * (X > 0))


def test_report_trace_and_heat(capsys: Capture, tmp_path: Path) -> None:
    trace, y = tmp_path / "t.json", tmp_path / "y.npy"
    args = ("sim", LAYER, *GIVEN, "--entry", "forward")
    status, out, err = call(
        capsys, *args, "--trace", str(trace), "--heat", "--counters", "--out", str(y)
    )
    assert status == 0 and out.startswith(" " * 24) and "t.json" in err
    for said in ("dense twin", "sparsity gains", "SP.read", "elements over 31 cycles"):
        assert said in out
    np.testing.assert_array_equal(np.load(y), W @ np.maximum(X, 0))
    names = [e["name"] for e in json.loads(trace.read_text())["traceEvents"] if e["ph"] == "X"]
    assert names[0] == "td.const" and names[-2:] == ["ev.mv", "halt"]
    _, short, _ = call(capsys, *args)
    assert short.startswith("[ 0.25 ,  0.5  , -0.625,  0.   ]\n") and "SP.read" not in short
    _, other, _ = call(capsys, *args, "--preset", "eie64")
    assert "eie64" in other and other != short


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "which entry? --entry forward"),
        (("--entry", "forwar"), "did you mean `forward`?"),
        (("--entry", "forward"), "`x` is missing: --in x=… (f32[6])"),
        (("--entry", "forward", *GIVEN, "--in", "y=1"), "there is no `y`"),
        (("--entry", "forward", "--in", "x=Leaf(1)"), "must be numbers"),
        (("--entry", "forward", "--in", "x=[[1, 2]]"), "not of shape [1, 2]"),
        (("--entry", "forward", "--in", "x=1,,2"), "a value is missing"),
        (("--entry", "forward", "--in", "x=@none.npy"), "cannot read none.npy"),
        (("--entry", "forward", *GIVEN, "--bind", "N=3"), "has no dim `N`"),
        (("--entry", "forward", *GIVEN, "--weights", "w.npz"), "no model parameters"),
        (("--entry", "forward", *GIVEN, "--cold"), "--cold: this program has no model"),
        (("--entry", "forward", *GIVEN, "--out", "y.png"), "results are written as"),
        (("--gate", "eie64", "--heat"), "--heat has no meaning with --gate"),
    ],
)
def test_wrong_calls(capsys: Capture, args: tuple[str, ...], said: str) -> None:
    status, out, err = call(capsys, "sim", LAYER, *args)
    assert (status, out) == (2, "") and said in err


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (("--in", "x=1,2"), 1, "error[E0809]: axis 0 of `x` is `6` = 6, given is 2"),
        ((*GIVEN, "--preset", "sparrw"), 1, "error[E0810]"),
        ((*GIVEN, "--fuel", "5"), 3, "trap `out_of_fuel`"),
    ],
)
def test_wrong_runs(capsys: Capture, args: tuple[str, ...], status: int, said: str) -> None:
    found, _, err = call(capsys, "sim", LAYER, "--entry", "forward", *args)
    assert found == status and said in err


def test_a_trap_ends_the_run(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "tree.spw").write_bytes(program_bytes(tree_sum()))
    args = ("sim", str(tmp_path / "tree.spw"), "--in", "nodes=[[0, 0, 0]]", "--in", "root=0")
    status, out, err = call(capsys, *args)
    assert status == 3 and "trap `stack_overflow`" in err and "cycles" in out
    status, out, _ = call(capsys, *args, "--json")
    first, second = out.splitlines()
    assert status == 3 and json.loads(first)["results"] == {}
    assert json.loads(second)["code"]["code"] == "E0812"
    assert "stack_overflow" in json.loads(first)["failed"]


def test_sizes_from_inputs(capsys: Capture, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 2), np.float32))
    (tmp_path / "p.spw").write_bytes(program_bytes(scaled()))
    args = ("--in", f"x=@{tmp_path / 'x.npy'}", "--in", "state=0,0,0,0", "--in", "factor=2")
    status, out, _ = call(capsys, "sim", str(tmp_path / "p.spw"), *args, "--json")
    assert status == 0 and json.loads(out)["results"]["y"] == [2.0] * 6


def test_bad_files(capsys: Capture, tmp_path: Path) -> None:
    good = program_bytes(assemble_text(Path(LAYER).read_text()))
    path = tmp_path / "p.spw"
    bad = {
        "E0805": good[:-1],
        "E0806": _resealed(good, 16, b"\xff" * 32),
    }
    for code, data in bad.items():
        path.write_bytes(data)
        for command in ("sim", "dis", "inspect"):
            status, out, err = call(capsys, command, str(path))
            assert (status, out) == (1, "") and f"error[{code}]" in err
    for command, name in (("sim", "none.spw"), ("dis", "none.spw"), ("asm", "none.s")):
        assert "error[E0901]" in call(capsys, command, str(tmp_path / name))[2]


def _resealed(data: bytes, at: int, new: bytes) -> bytes:
    import hashlib

    whole = data[:at] + new + data[at + len(new) : -32]
    return whole + hashlib.sha256(whole).digest()


@pytest.mark.parametrize("gate", ["eyeriss2pe", "horowitz45", "eie64"])
def test_gates(capsys: Capture, gate: str, tmp_path: Path) -> None:
    name = {"eyeriss2pe": "eyeriss_v2_pe", "eie64": "eie"}.get(gate, gate)
    status, out, _ = call(capsys, "sim", "--gate", gate, str(TABLES / f"{name}.json"))
    assert status == 0 and out.endswith(f"gate {gate}: holds\n")
    data = json.loads((TABLES / f"{name}.json").read_text())
    if gate == "horowitz45":
        data["pj"]["fp32_mul"] = 3.8
    elif gate == "eyeriss2pe":
        data["layers"] = data["layers"][:1]
        data["layers"][0]["cycles"] -= 1
    else:
        data["layers"] = data["layers"][-1:]
        data["layers"][0]["actual_us"] = 5.0
    (tmp_path / "x.json").write_text(json.dumps(data))
    status, out, _ = call(capsys, "sim", "--gate", gate, str(tmp_path / "x.json"), "--json")
    told = json.loads(out)
    assert status == 4 and not told["passed"] and len(told["rows"]) >= 1


def test_every_preset_prices_the_same_run(capsys: Capture) -> None:
    seen: dict[str, Any] = {}
    for name in ("sparrow", "eie64", "eyeriss2pe", "dense16"):
        args = ("sim", LAYER, "--entry", "forward", *GIVEN, "--preset", name)
        told = json.loads(call(capsys, *args, "--json")[1])
        assert told["sparse"]["preset"] == name and told["sparse"]["joules"] > 0
        seen[name] = (told["results"], told["sparse"]["counters"]["mac"])
        text = call(capsys, *args)[1]
        assert "no price for" in text
        for counter in told["sparse"]["unpriced"]:
            assert counter in text
    assert all(x == seen["sparrow"] for x in seen.values())


def test_wrong_gates(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert "error[E0810]" in call(capsys, "sim", "--gate", "none", str(tmp_path / "x.json"))[2]
    assert "error[E0811]" in call(capsys, "sim", "--gate", "eie64", str(tmp_path / "x.json"))[2]
    assert "error[E0901]" in call(capsys, "sim", "--gate", "eie64", str(tmp_path / "y.json"))[2]


def test_inspect(capsys: Capture, tmp_path: Path) -> None:
    spw = str(tmp_path / "layer.spw")
    call(capsys, "asm", LAYER, "-o", spw)
    status, out, _ = call(capsys, "inspect", spw)
    assert status == 0 and "17 words, verified" in out and "9 stored (37.5%)" in out
    assert "takes  x: f32[6] in SP 0..24" in out
    told = json.loads(call(capsys, "inspect", spw, "--json")[1])
    assert [e["name"] for e in told["entries"]] == ["forward", "gradient"] and told["verified"]


def test_compiled_programs(capsys: Capture, tmp_path: Path) -> None:
    out = str(tmp_path / "tree")
    tree = str(ROOT / "samples" / "treelstm.dl")
    sizes = ("--bind", "V=10,D=4,H=3,C=2")
    status, told, _ = call(
        capsys, "compile", tree, "--target", "sparrow:eie64", "-o", f"{out}.spw", "--json", *sizes,
        "--emit", "spw,asm,ir:bufferise",
    )  # fmt: skip
    names = {Path(f).name for f in json.loads(told)["files"]}
    assert status == 0 and {"tree.spw", "tree.manifest.json", "tree.s"} <= names
    assert names == {p.name for p in tmp_path.iterdir()}
    given = ("--entry", "logits", "--in", "t=Node(Leaf(1), Leaf(2))")
    _, text, _ = call(capsys, "sim", f"{out}.spw", *given, "--lines", "--limit", "100")
    assert "treelstm.dl:" in text and "without the last" in text
    table = call(capsys, "sim", f"{out}.spw", *given, "--lines", "--json")[1]
    (lines,) = json.loads(table)["texts"]
    counts = [int(row[32:46].replace(",", "")) for row in lines.splitlines()[1:]]
    assert sum(counts) == json.loads(table)["sparse"]["instructions"]
    _, want, _ = call(capsys, "run", tree, *sizes, *given, "--json")
    status, told, _ = call(capsys, "sim", f"{out}.spw", *given, "--json")
    found = json.loads(told)
    assert status == 0 and found["sparse"]["preset"] == "eie64"
    np.testing.assert_allclose(
        found["results"]["result"], json.loads(want)["result"], rtol=1e-5, atol=1e-6
    )
    other = ("--preset", "sparrow", "--seed", "1")
    status, text, _ = call(capsys, "sim", f"{out}.spw", *given, *other)
    assert status == 0 and "dense twin" in text and "sparrow" in text
    status, run, err = call(capsys, "run", tree, *sizes, *given, "--target", "sparrow")
    assert status == 0 and "cycles" in err and "dense twin" in err and "cycles" not in run
    status, told, _ = call(capsys, "inspect", f"{out}.spw")
    assert status == 0 and "for sparrow" in told and "program tree.spw" in told
    status, _, err = call(capsys, "sim", f"{out}.spw", "--entry", "logits", "--in", "t=Leaf(10)")
    assert status == 1 and "error[BOUNDS]" in err and "treelstm.dl:18:36" in err
    assert call(capsys, "sim", f"{out}.spw", *given, "--fuel", "100")[0] == 3
    assert call(capsys, "sim", f"{out}.spw", "--entry", "logit")[0] == 2
    status, _, err = call(capsys, "sim", f"{out}.spw", *given, "--bind", "nosuch=3")
    assert status == 2 and "--bind: nosuch is none of m.V" in err
    for name in (out, f"{out}.manifest.json"):
        assert json.loads(call(capsys, "sim", name, *given, "--json")[1]) == found
    alone = tmp_path / "alone.spw"
    alone.write_bytes(Path(f"{out}.spw").read_bytes())
    status, _, err = call(capsys, "sim", str(alone), "--entry", "logits")
    assert status == 2 and "alone.manifest.json must lie beside it" in err


def test_an_artefact_for_another_target(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "a.dl"
    path.write_text("export fn f(x: f32) -> f32:\n    return x\n")
    out = str(tmp_path / "a")
    assert call(capsys, "compile", str(path), "--target", "evaluate", "-o", out)[0] == 0
    status, _, err = call(capsys, "sim", out)
    assert status == 1 and "error[E0934]" in err and "--target sparrow" in err


def test_back_ends_are_verified(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "a.dl"
    path.write_text("export fn f(x: f32[N], k: i32) -> f32[N]:\n    return x * x + f32(k)\n")
    args = ("verify", str(path), "--runs", "3", "--target", "cpu", "--target", "sparrow:eie64")
    assert call(capsys, *args)[:2] == (0, "f: cpu: 3 runs agree\nf: sparrow:eie64: 3 runs agree\n")
    path.write_text("export fn f(x: f64) -> f64:\n    return x * 2.0\n")
    status, _, err = call(capsys, *args)
    assert status == 1 and "error[E0640]" in err


def test_tests_on_the_accelerator(capsys: Capture) -> None:
    tree = str(ROOT / "samples" / "treelstm.dl")
    status, out, _ = call(capsys, "test", tree, "--target", "sparrow")
    assert status == 0 and out.startswith("ok     sparrow")
    assert call(capsys, "test", tree, "--target", "sparow")[0] == 2


def test_a_program_in_dl_is_compiled_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = tmp_path / "agent.dl"
    source.write_text("export fn f(x: f32) -> f32:\n    return x\n")
    status, _, err = call(capsys, "sim", str(source))
    assert status == 2 and "--target sparrow -o agent.spw" in err and "E0803" not in err
