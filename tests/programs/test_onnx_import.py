"""ONNX models inside programs: their types, their weights, their gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlc
from dlc import CompileError
from tests.unit.importers.models import INT64, info, model, node
from tools.onnx_sample import PATH, contents

F = np.float32
ROOT = Path(__file__).parents[2]
PROGRAM = """
import onnx "mlp.onnx" as Mlp
from optim import sgd

model Net[K]:
    body: Mlp
    head: f32[K, 3] ~ glorot()

export fn scores(m: Net, x: f32[N, 4]) -> f32[N, m.K]:
    return m.body(x) @ transpose(m.head, 1, 0)

export fn alone(b: Mlp, x: f32[N, 4]) -> f32[N, 3]:
    return b(x)

fn loss(m: Net, x: f32[4]) -> f32:
    return sum(m.head @ m.body([x])[0])

export fn train(m: mut Net, x: f32[4]) -> f32:
    l, g = value_and_grad(loss, wrt=m)(m, x)
    m = sgd(m, g, 0.5)
    return l
"""


def mlp(folder: Path, seed: int = 0) -> dict[str, Any]:
    """`y = tanh(x w + b)`, as a file."""
    r = np.random.default_rng(seed)
    weights = {"w": r.standard_normal((4, 3)).astype(F), "b": r.standard_normal(3).astype(F)}
    m = model(
        [node("MatMul", "x w", "h"), node("Add", "h b", "a"), node("Tanh", "a", "y")],
        [info("x", ["rows", 4])], [info("y", ["rows", 3])], weights,
    )  # fmt: skip
    (folder / "mlp.onnx").write_bytes(m.SerializeToString())
    return weights


def program(folder: Path, text: str = PROGRAM) -> Path:
    path = folder / "net.dl"
    path.write_text(text)
    return path


def test_the_sample_is_what_its_generator_writes() -> None:
    assert PATH.read_bytes() == contents()


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
def test_a_model_is_a_function_and_a_field(target: Any, tmp_path: Path) -> None:
    w = mlp(tmp_path)
    net = dlc.compile(program(tmp_path), target, level=0)
    net.init(1, K=2)
    x = np.random.default_rng(5).standard_normal((5, 4)).astype(F)
    want = np.tanh(x @ w["w"] + w["b"])
    np.testing.assert_allclose(net.alone(x), want, rtol=1e-5)
    np.testing.assert_allclose(net.scores(x), want @ net.params["m.head"].T, rtol=1e-5, atol=1e-6)
    assert np.array_equal(net.params["m.body.w"], w["w"])


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
def test_its_weights_learn(target: Any, tmp_path: Path) -> None:
    """d/dw sum(head tanh(x w + b)), by hand."""
    w = mlp(tmp_path)
    net = dlc.compile(program(tmp_path), target, level=0)
    net.init(2, K=2)
    x = np.random.default_rng(6).standard_normal(4).astype(F)
    y = np.tanh(x @ w["w"] + w["b"])
    db = net.params["m.head"].sum(0) * (1 - y * y)
    net.train(x)
    np.testing.assert_allclose(net.params["m.body.b"], w["b"] - 0.5 * db, rtol=1e-4, atol=1e-5)
    moved = w["w"] - 0.5 * np.outer(x, db)
    np.testing.assert_allclose(net.params["m.body.w"], moved, rtol=1e-4, atol=1e-5)


def test_weights_that_the_file_holds_may_be_left_out(tmp_path: Path) -> None:
    w = mlp(tmp_path)
    head = np.ones((2, 3), F)
    net = dlc.compile(program(tmp_path), weights={"m.head": head}, entries=["scores"], level=0)
    assert np.array_equal(net.params["m.body.w"], w["w"])
    net.load({"m.head": head * 2, "m.body.b": np.zeros(3, F)})
    assert np.array_equal(net.params["m.body.w"], w["w"])
    assert not net.params["m.body.b"].any()


def test_an_artefact_keeps_its_imported_weights(tmp_path: Path) -> None:
    w = mlp(tmp_path)
    net = dlc.compile(program(tmp_path), entries=["scores"], level=0)
    net.init(1, K=2)
    net.save(tmp_path / "out")
    again = dlc.load(tmp_path / "out")
    assert np.array_equal(again.params["m.body.w"], w["w"])
    again.init(2)
    assert np.array_equal(again.params["m.body.w"], w["w"])
    assert not np.array_equal(again.params["m.head"], net.params["m.head"])


def test_an_artefact_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    mlp(tmp_path)
    made = dlc.build(program(tmp_path), entries=["scores"])
    made.artifact.publish(tmp_path / "out")
    with pytest.raises(dlc.CallError, match=r"`m.body.w` is not drawn"):
        dlc.load(tmp_path / "out").init(0, K=2)


def test_a_model_of_two_names_and_two_models_of_one_stem(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    weights = []
    for i, folder in enumerate((one, other)):
        folder.mkdir()
        weights.append(mlp(folder, i))
    text = """
import onnx "one/mlp.onnx" as One
import onnx "one/mlp.onnx" as Again
import onnx "other/mlp.onnx" as Other

export fn all(a: One, b: Again, c: Other, x: f32[N, 4]) -> (f32[N, 3], f32[N, 3], f32[N, 3]):
    return a(x), b(x), c(x)
"""
    net = dlc.compile(program(tmp_path, text), level=0)
    x = np.eye(4, dtype=F)
    a, b, c = net.all(x)
    assert np.array_equal(a, b)
    for got, w in ((a, weights[0]), (c, weights[1])):
        np.testing.assert_allclose(got, np.tanh(x @ w["w"] + w["b"]), rtol=1e-5)


def test_an_array_of_imported_models(tmp_path: Path) -> None:
    w = mlp(tmp_path)
    text = """
import onnx "mlp.onnx" as Mlp

model Both:
    ms: Array[Mlp, 2]

export fn f(m: Both, x: f32[N, 4], i: i32) -> f32[N, 3]:
    return m.ms[i](x)
"""
    net = dlc.compile(program(tmp_path, text), level=0)
    x = np.eye(4, dtype=F)
    for i in (0, 1):
        np.testing.assert_allclose(net.f(x, i), np.tanh(x @ w["w"] + w["b"]), rtol=1e-5)


CALLS = {
    "E0312": ("b(x, x)", "its inputs: x: f32[rows, 4]"),
    "E0331": ("b([[f32(1), f32(2)]])", "its inputs"),
    "E0332": ("b(1)", "its inputs"),
}


@pytest.mark.parametrize("code", CALLS)
def test_wrong_calls(code: str, tmp_path: Path) -> None:
    mlp(tmp_path)
    call, note = CALLS[code]
    text = f"""
import onnx "mlp.onnx" as Mlp

export fn f(b: Mlp, x: f32[N, 4]) -> f32:
    return sum({call})
"""
    with pytest.raises(CompileError) as caught:
        dlc.compile(program(tmp_path, text))
    (found,) = caught.value.diagnostics
    assert found.code == code and any(note in n for n in found.notes)
    assert found.primary is not None and found.primary.span.text in call


def test_what_is_wrong_with_the_file_is_told_at_the_import(tmp_path: Path) -> None:
    text = 'import onnx "none.onnx" as M\n\nexport fn f(x: f32) -> f32:\n    return x\n'
    with pytest.raises(CompileError) as caught:
        dlc.compile(program(tmp_path, text))
    (found,) = caught.value.diagnostics
    assert found.code == "E0901" and found.primary is not None
    m = model([node("NoSuch", "x", "y")], [info("x", [2])], [info("y", None)])
    (tmp_path / "none.onnx").write_bytes(m.SerializeToString())
    with pytest.raises(CompileError) as caught:
        dlc.compile(program(tmp_path, text))
    (found,) = caught.value.diagnostics
    assert found.code == "E0708" and found.primary is not None and "NoSuch-21" in found.message


def test_sizes_that_only_the_run_decides_are_unknowns(tmp_path: Path) -> None:
    m = model(
        [node("NonZero", "x", "i"), node("Squeeze", "i z", "y")],
        [info("x", ["n"])], [info("y", ["k"], INT64)], {"z": np.array([0])},
    )  # fmt: skip
    (tmp_path / "where.onnx").write_bytes(m.SerializeToString())
    text = """
import onnx "where.onnx" as Where

export fn f(m: Where, x: f32[N]) -> i64[?k]:
    return m(x)
"""
    net = dlc.compile(program(tmp_path, text), level=0)
    assert net.f(np.array([0, 3, 0, 4], F)).tolist() == [1, 3]
