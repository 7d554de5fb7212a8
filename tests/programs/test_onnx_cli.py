"""The commands on ONNX models: compile, run, verify, check, inspect; and `dlc.compile`."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlc
from dlc.cli.app import run
from dlc.importers import backend, runtime
from dlc.importers.model import import_onnx
from dlc.importers.source.write import write
from tests.unit.importers.models import INT64, info, model, node

F = np.float32
ROOT = Path(__file__).parents[2]
BACKBONE = ROOT / "samples" / "backbone.onnx"


@pytest.fixture
def mlp(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """`y = tanh(x w + b)` with a symbolic number of rows, its name not one of dl."""
    r = np.random.default_rng(3)
    weights = {"fc.w": r.standard_normal((4, 3)).astype(F), "fc.b": r.standard_normal(3).astype(F)}
    m = model(
        [node("MatMul", "x fc.w", "h"), node("Add", "h fc.b", "a"), node("Tanh", "a", "y")],
        [info("x", ["batch size", 4])], [info("y", ["batch size", 3])], weights,
    )  # fmt: skip
    path = tmp_path / "mlp.onnx"
    path.write_bytes(m.SerializeToString())
    return path, weights


def expected(weights: dict[str, Any], x: Any) -> Any:
    return np.tanh(x @ weights["fc.w"] + weights["fc.b"])


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
def test_compiled_in_python(target: Any, mlp: tuple[Path, dict[str, Any]]) -> None:
    path, weights = mlp
    net = dlc.compile(path, target, level=0)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(F)
    np.testing.assert_allclose(net.main(x), expected(weights, x), rtol=1e-5)
    assert list(net.params.keys()) == ["m.fc_w", "m.fc_b"]
    net.params["fc_b"] = np.zeros(3, F)
    np.testing.assert_allclose(net.main(x), np.tanh(x @ weights["fc.w"]), rtol=1e-5)


def test_dims_are_bound_by_their_names_or_without_odd_characters(
    mlp: tuple[Path, dict[str, Any]],
) -> None:
    path, _ = mlp
    for name in ("batch size", "batch_size"):
        net = dlc.compile(path, bind={name: 2}, level=0)
        assert net.main(np.ones((2, 4), F)).shape == (2, 3)
        with pytest.raises(dlc.CallError):
            net.main(np.ones((3, 4), F))
    with pytest.raises(dlc.CompileError) as caught:
        dlc.compile(path, bind={"batch": 2})
    assert caught.value.diagnostics[0].code == "E0712"
    assert "batch size" in caught.value.diagnostics[0].helps[0].text


def test_weights_take_the_place_of_initialisers(mlp: tuple[Path, dict[str, Any]]) -> None:
    path, weights = mlp
    net = dlc.compile(path, weights={"m.fc_b": np.zeros(3, F)}, level=0)
    np.testing.assert_allclose(net.params["m.fc_w"], weights["fc.w"])
    assert not net.params["m.fc_b"].any()
    with pytest.raises(dlc.CompileError) as caught:
        dlc.compile(path, weights={"m.fc_c": np.zeros(3, F)})
    assert caught.value.diagnostics[0].code == "E0911"


def test_artefacts_hold_the_weights(mlp: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, weights = mlp
    x = np.ones((2, 4), F)
    for mode in ("blob", "embed"):
        base = tmp_path / mode
        assert run(["compile", str(path), "-o", str(base), "--emit", "obj,header,shared",
                    "--weights-mode", mode, "-O0"]) == 0  # fmt: skip
        assert (base.with_suffix(".weights.bin")).exists() == (mode == "blob")
        np.testing.assert_allclose(dlc.load(base).main(x), expected(weights, x), rtol=1e-5)
    text = (tmp_path / "blob.h").read_text()
    assert "blob_main(" in text
    sources = dlc.load(tmp_path / "blob").artifact.manifest.sources
    assert [name for name, _ in sources] == ["mlp"]


def test_run(
    mlp: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, weights = mlp
    x = np.random.default_rng(1).standard_normal((2, 4)).astype(F)
    np.save(tmp_path / "x.npy", x)
    for target in ("cpu", "evaluate"):
        out = tmp_path / f"{target}.npy"
        line = ["run", str(path), "--in", f"x=@{tmp_path}/x.npy", "--out", str(out)]
        assert run([*line, "--target", target]) == 0
        np.testing.assert_allclose(np.load(out), expected(weights, x), rtol=1e-5)
    assert run(["run", str(path), "--in", "x=[[1,2,3]]"]) != 0
    assert "4" in capsys.readouterr().err


def test_a_run_time_error_names_the_operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    m = model(
        [node("Gather", "x i", "y", name="pick")], [info("x", ["n"]), info("i", ["k"], INT64)],
        [info("y", None)],
    )  # fmt: skip
    path = tmp_path / "pick.onnx"
    path.write_bytes(m.SerializeToString())
    text = f'import onnx "{path}" as P\n\nexport fn f(m: P, x: f32[N], i: i64[K]) -> f32[K]:\n'
    (tmp_path / "p.dl").write_text(text + "    return m(x, i)\n")
    for file in (path, tmp_path / "p.dl"):
        assert run(["run", str(file), "--in", "x=[1,2]", "--in", "i=[5]"]) == 1
        assert "main/Gather_0 (`pick`), Gather-13" in capsys.readouterr().err


def test_verify_and_bisect(
    mlp: tuple[Path, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, _ = mlp
    line = ["verify", str(path), "--runs", "2", "--bisect", "--json"]
    assert run(line) == 0
    found = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
    assert found[0]["agreed"] == 2
    assert {"against": "cpu", "values": 3}.items() <= found[2].items()

    native = backend._CALL["cpu"]

    def wrong(net: Any, args: Any) -> Any:
        """Native code with a bug: from the second operator on everything is doubled."""
        out, *probes = native(net, args)
        return [2 * out, *(x if i == 0 else 2 * x for i, x in enumerate(probes))]

    monkeypatch.setattr(backend, "_CALL", {**backend._CALL, "cpu": wrong})
    assert run(line) == 4
    found = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
    assert found[2]["differs"].startswith("first at main/Add_1, Add-14: a: ")


def test_bisect_is_for_onnx(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(ROOT / "samples" / "energy.dl"), "--bisect"]) == 2


@pytest.mark.skipif(not runtime.is_present(), reason="onnxruntime is not installed")
def test_onnx_runtime_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(BACKBONE), "--runs", "2", "--bisect"]) == 0
    assert "onnxruntime: 25 values agree" in capsys.readouterr().out


def test_check_and_inspect(
    mlp: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = mlp
    assert run(["check", str(path), str(BACKBONE)]) == 0
    assert run(["inspect", str(path), "--bind", "batch_size=2"]) == 0
    assert "entry main(m: Weights, x: f32[2, 4]) -> f32[2, 3]" in capsys.readouterr().out
    bad = model([node("NoSuch", "x", "y")], [info("x", [1])], [info("y", None)])
    (tmp_path / "bad.onnx").write_bytes(bad.SerializeToString())
    for command in ("check", "inspect", "compile", "run", "verify"):
        assert run([command, str(tmp_path / "bad.onnx")]) == 1
        assert "E0708" in capsys.readouterr().err
    assert run(["compile", str(path), "--entry", "other"]) == 2
    assert run(["test", str(path)]) == 1
    assert "E0617" in capsys.readouterr().err


def test_opt_takes_the_ir_of_a_model(
    mlp: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = mlp
    text = tmp_path / "m.ir"
    assert run(["compile", str(path), "--emit", "ir:lower", "-o", str(text)]) == 0
    assert run(["opt", str(text), "-p", "fold,dce"]) == 0
    assert "@main" in capsys.readouterr().out


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_from_c(mlp: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, weights = mlp
    assert run(["compile", str(path), "-o", str(tmp_path / "mlp"), "-O0"]) == 0
    (tmp_path / "main.c").write_text(C_MAIN)
    line = ["cc", "-std=c11", "-Wall", "-Werror", "main.c", "mlp.o", "-lm", "-o", "main"]
    subprocess.run(line, cwd=tmp_path, check=True)
    done = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True, text=True)
    want = expected(weights, np.array([[1, 2, 3, 4]], F))[0]
    np.testing.assert_allclose([float(n) for n in done.stdout.split()], want, rtol=1e-4)


C_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "mlp.h"

int main(void) {
    static _Alignas(64) unsigned char weights[4096];
    static _Alignas(64) unsigned char arena[65536];
    float x[4] = {1, 2, 3, 4}, y[3];
    FILE *f = fopen("mlp.weights.bin", "rb");
    size_t n = fread(weights, 1, sizeof weights, f);
    mlp_model model;
    mlp_model_init(&model, weights, n, NULL);
    mlp_main_in in = mlp_main_input();
    mlp_main_out out = mlp_main_output();
    in.x.data = x;
    in.x.dims[0] = 1;
    in.x.dims[1] = 4;
    out.result.data = y;
    out.result.capacity = 3;
    if (mlp_main(&model, &in, &out, arena, sizeof arena, NULL, NULL) != 0) return 1;
    printf("%.6f %.6f %.6f\\n", y[0], y[1], y[2]);
    return 0;
}
"""


PAGE = (ROOT / "docs" / "onnx.md").read_text()


def shown(kind: str) -> list[str]:
    """The lines of the page's blocks of a kind."""
    return [x for b in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S) for x in b.splitlines()]


@pytest.mark.parametrize("line", shown("sh"))
def test_commands_of_the_page(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    np.save("image.npy", np.zeros((1, 3, 32, 32), F))
    assert run(shlex.split(line)[1:]) == 0


def test_texts_of_the_page() -> None:
    known = (ROOT / "samples" / "onnx_backbone.dl").read_text()
    known += write(import_onnx(BACKBONE), "backbone").text
    lines = shown("text")
    assert len(lines) >= 4 and all(line in known for line in lines)
