"""Checkpoints with several parameter sets: what a program takes of them, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlc
from dlc import CompileError
from dlc.artifact.python.net import Net
from dlc.cli.app import run

F = np.float32
ROOT = Path(__file__).resolve().parents[3]
STEP = """
model Net[H]:
    w: f32[H] ~ normal(1.0)
    b: f32    ~ zeros()

export fn logits(m: Net) -> f32:
    return sum(m.w) + m.b

export fn step(m: mut Net, a: mut Net[m.H]) -> f32:
    a = m
    return sum(a.w)
"""


def compiled(target: str = "evaluate", **options: Any) -> Net:
    return dlc.compile(STEP, target, level=0, name="step.dl", **options)


def codes(e: CompileError) -> list[str]:
    return [d.code for d in e.diagnostics]


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, float, Mapping[str, np.ndarray[Any, Any]]]:
    net = compiled()
    net.init(3, H=4)
    net.step()
    path = tmp_path / "all.safetensors"
    net.save(path)
    return path, float(net.logits()), {n: x.copy() for n, x in net.params.items()}


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
def test_a_checkpoint_of_training_serves_inference(trained: Any, target: str) -> None:
    path, want, _ = trained
    net = compiled(target, entries=["logits"], weights=path)
    assert list(net.params) == ["m.w", "m.b"] and float(net.logits()) == pytest.approx(want)
    net.init(0)
    net.load(path)
    assert float(net.logits()) == pytest.approx(want)


def test_an_artefact_knows_the_sets_that_it_has_not(trained: Any, tmp_path: Path) -> None:
    path, want, _ = trained
    compiled("cpu", entries=["logits"]).save(tmp_path / "net")
    again = dlc.load(tmp_path / "net")
    again.load(path)
    assert float(again.logits()) == pytest.approx(want)
    stranger = {**again.params.arrays(), "c.w": np.zeros(4, F)}
    with pytest.raises(CompileError) as caught:
        again.load(stranger)
    assert codes(caught.value) == ["E0911"]


def test_only_some_sets_are_saved_and_loaded(trained: Any, tmp_path: Path) -> None:
    path, _, before = trained
    net = compiled()
    net.load(path)
    net.save(tmp_path / "m.npz", only="m")
    assert sorted(np.load(tmp_path / "m.npz")) == ["m.b", "m.w"]
    other = compiled()
    other.init(9, H=4)
    drawn = other.params["a.w"].copy()
    other.load(tmp_path / "m.npz")
    assert np.array_equal(other.params["m.w"], before["m.w"])
    assert np.array_equal(other.params["a.w"], drawn)
    other.init(9, H=4)
    own = other.params["m.w"].copy()
    other.load(path, only=["a"])
    assert np.array_equal(other.params["m.w"], own)
    assert np.array_equal(other.params["a.w"], before["a.w"])
    other.load({"w": np.ones(4, F), "b": np.array(2, F)}, only="m")
    assert float(other.logits()) == 6
    with pytest.raises(TypeError, match="no parameter set `x`: there is m, a"):
        other.load(path, only="x")
    with pytest.raises(TypeError, match="only="):
        other.save(tmp_path / "net", only="m")


def test_a_set_that_is_begun_must_be_whole(trained: Any) -> None:
    path, _, before = trained
    net = compiled()
    net.load(path)
    with pytest.raises(CompileError, match=r"no weight `m\.b`") as caught:
        net.load({"m.w": before["m.w"]})
    assert codes(caught.value) == ["E0910"]
    with pytest.raises(CompileError, match=r"m\.H is 4") as caught:
        net.load({"m.w": np.zeros(5, F), "m.b": np.array(0, F)})  # `a` keeps its 4
    assert codes(caught.value) == ["E0912"]
    with pytest.raises(CompileError, match="no weight of `a`, which has 2") as caught:
        compiled().load({"m.w": before["m.w"], "m.b": before["m.b"]})
    assert "net.init(seed) before net.load(file)" in str(caught.value)
    with pytest.raises(CompileError) as caught:
        net.load({"q": np.zeros(5, F)})
    assert codes(caught.value) == ["E0910", "E0910", "E0911"]


def test_a_set_may_have_the_name_of_another_functions_parameter() -> None:
    text = STEP + "\nexport fn shifted(m: Net, a: f32[N]) -> f32:\n    return sum(m.w) + sum(a)\n"
    weights = {"m.w": np.ones(2, F), "m.b": np.array(0, F), "a.w": np.ones(2, F)}
    net = dlc.compile(text, "evaluate", entries=["shifted"], weights=weights)
    assert list(net.params) == ["m.w", "m.b"] and float(net.shifted(np.ones(3, F))) == 5


IMPORTED = """
import onnx "backbone.onnx" as Backbone

model Net:
    body: Backbone
    w: f32[4] ~ normal(1.0)

model Head[D]:
    w: f32[D] ~ normal(1.0)

export fn f(m: Net, h: Head) -> f32:
    return sum(m.w) + sum(h.w)
"""


def test_weights_of_an_imported_model_complete_the_sets_that_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "backbone.onnx").symlink_to(ROOT / "samples" / "backbone.onnx")
    (tmp_path / "two.dl").write_text(IMPORTED)
    net = dlc.compile(tmp_path / "two.dl", "evaluate")
    net.init(0, D=3)
    own = net.params["m.body.head_bias"].copy()
    assert own.any()
    net.params["m.body.head_bias"] = 0 * own  # as if trained
    net.load({"h.w": np.ones(5, F)})
    assert not net.params["m.body.head_bias"].any() and net.params["h.w"].sum() == 5
    for only in ("m", None):
        net.params["m.body.head_bias"] = 0 * own
        net.load({"m.w": np.ones(4, F)}, only=only)
        assert np.array_equal(net.params["m.body.head_bias"], own)
    assert float(net.f()) == 9


def test_the_command_line(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, want, _ = trained
    (tmp_path / "step.dl").write_text(STEP)
    source, out = str(tmp_path / "step.dl"), str(tmp_path / "net")
    weights = ["--entry", "logits", "--weights", str(path)]
    assert run(["compile", source, "-o", out, "-O", "0", *weights]) == 0
    assert "the weights hold `a` as well" in capsys.readouterr().err
    assert float(dlc.load(out).logits()) == pytest.approx(want)
    embedded = ["--weights-mode", "embed", "-O", "0"]
    assert run(["compile", source, "-o", out, *weights, *embedded]) == 0
    capsys.readouterr()
    assert run(["run", source, *weights]) == 0
    assert float(capsys.readouterr().out) == pytest.approx(want)
