"""Gradient: the derivative of one value of a graph by others, by hand and by differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dlc
from dlc.diag import CompileError
from dlc.importers.backend import call
from dlc.importers.model import import_onnx
from dlc.ops.verify import verify
from tests.unit.importers.models import info, model, node

F = np.float32
DOMAIN = "ai.onnx.preview.training"


def training(nodes: list[Any], inputs: list[Any], outputs: list[str], **weights: Any) -> Any:
    return model(nodes, inputs, [info(o, None) for o in outputs], weights, opsets={DOMAIN: 1})


def layer(rows: Any = 4) -> Any:
    """`l = sum(tanh(x w + b) * t)`, and its gradients by w and b."""
    nodes = [
        node("MatMul", "x w", "h"), node("Add", "h b", "a"), node("Tanh", "a", "s"),
        node("Mul", "s t", "p"), node("ReduceSum", "p", "l", keepdims=0),
        node("Gradient", "w b x", "dw db", DOMAIN, xs=["w", "b"], zs=["x"], y="l"),
    ]  # fmt: skip
    inputs = [info("x", [rows, 3]), info("w", [3, 2]), info("b", [2])]
    return training(nodes, inputs, ["l", "dw", "db"], t=np.array([1, -2], F))


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
@pytest.mark.parametrize("rows", [4, "n"])
def test_a_layer(rows: Any, target: str) -> None:
    net = import_onnx(layer(rows).SerializeToString())
    verify(net.module)
    r = np.random.default_rng(0)
    x, w, b = (r.standard_normal(s).astype(F) for s in ((4, 3), (3, 2), (2,)))
    loss, dw, db = call(net, [x, w, b], target)
    s = np.tanh(x @ w + b)
    d = np.array([1, -2], F) * (1 - s * s)
    np.testing.assert_allclose(loss, (s * [1, -2]).sum(), rtol=1e-5)
    np.testing.assert_allclose(dw, x.T @ d, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(db, d.sum(0), rtol=1e-4, atol=1e-5)


def test_through_the_driver(tmp_path: Any) -> None:
    path = tmp_path / "layer.onnx"
    path.write_bytes(layer().SerializeToString())
    x, w, b = np.ones((4, 3), F), np.full((3, 2), 0.1, F), np.zeros(2, F)
    got = [dlc.compile(path, t, level=0).main(x, w, b) for t in ("cpu", "evaluate")]
    for a, c in zip(*got, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-5)


def test_a_gradient_of_a_gradient_and_initialisers_that_learn() -> None:
    """y = c x^3, y' = 3 c x^2, y'' = 6 c x: the second Gradient goes through the first."""
    nodes = [
        node("Mul", "x x", "q"), node("Mul", "q x", "u"), node("Mul", "u c", "y"),
        node("Gradient", "x", "d", DOMAIN, xs=["x"], y="y"),
        node("Gradient", "x", "e", DOMAIN, xs=["x"], y="d"),
        node("Gradient", "c", "f", DOMAIN, xs=["c"], y="y"),
    ]  # fmt: skip
    m = training(nodes, [info("x", [2])], ["d", "e", "f"], c=np.array([2, 3], F))
    x = np.array([1.5, -2], F)
    for target in ("cpu", "evaluate"):
        d, e, f = call(import_onnx(m.SerializeToString()), [x], target)
        np.testing.assert_allclose(d, 3 * x**2 * [2, 3], rtol=1e-5)
        np.testing.assert_allclose(e, 6 * x * [2, 3], rtol=1e-5)
        np.testing.assert_allclose(f, x**3, rtol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "code"),
    [({"xs": ["x", "z"], "y": "y"}, "E0707"), ({"xs": ["x"], "y": "none"}, "E0706"),
     ({"xs": ["x"], "y": "i"}, "E0707")],
)  # fmt: skip
def test_wrong_gradients(attributes: dict[str, Any], code: str) -> None:
    nodes = [
        node("Exp", "x", "y"), node("Shape", "x", "i"),
        node("Gradient", "x", "d", DOMAIN, **attributes),
    ]  # fmt: skip
    m = training(nodes, [info("x", [2])], ["d"])
    with pytest.raises(CompileError) as caught:
        import_onnx(m.SerializeToString())
    assert [d.code for d in caught.value.diagnostics] == [code]
