"""A model as IR: its border, its weights, its dims."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from dlc.diag import CompileError
from dlc.evaluate import run
from dlc.importers.backend import run as run_model
from dlc.importers.model import import_onnx
from dlc.ops.verify import verify
from dlc.typesys.interface import Axis
from tests.unit.importers.models import INT64, info, model, node

RNG = np.random.default_rng(7)


def linear(batch: Any = "batch") -> Any:
    w = RNG.standard_normal((3, 4)).astype(np.float32)
    b = np.zeros(4, np.float32)
    return model(
        [node("Gemm", "x enc/w.0 enc/b", "h"), node("Relu", "h", "y")],
        [info("x", [batch, 3])], [info("y", [batch, 4])], {"enc/w.0": w, "enc/b": b},
    )  # fmt: skip


def test_weights_are_parameters_by_name() -> None:
    net = import_onnx(linear().SerializeToString(), file="dir/my-net.onnx")
    verify(net.module)
    assert list(net.weights) == ["m.enc_w_0", "m.enc_b"]
    fn = net.module.functions["main"]
    assert [str(p.type) for p in fn.params] == ["f32[3, 4]", "f32[4]", "f32[batch, 3]"]
    (entry,) = net.interface.entries
    (weights,) = net.interface.parameter_sets
    assert net.name == "my_net" and [w.name for w in weights.weights] == ["enc_w_0", "enc_b"]
    assert [p.name for p in entry.parameters] == ["m", "x"]
    assert [(d.name, d.source) for d in entry.dims] == [
        ("batch", Axis(2, 0, fn.params[2].tensor.shape[0]))
    ]


def test_weights_share_memory_with_the_file() -> None:
    data = linear().SerializeToString()
    first = next(iter(import_onnx(data).weights.values()))
    assert not first.flags.writeable


def test_a_weight_that_is_used_twice_in_two_arrangements_is_stored_once() -> None:
    w = RNG.standard_normal((8, 16)).astype(np.float32)
    m = model(
        [node("Gather", "w i", "e"), node("Transpose", "w", "t"), node("MatMul", "e t", "y")],
        [info("i", [2], INT64)], [info("y", None)], {"w": w},
    )  # fmt: skip
    net = import_onnx(m.SerializeToString())
    assert list(net.weights) == ["m.w"]
    (y,) = run_model(m, [np.array([3, 5])], target="evaluate")
    np.testing.assert_allclose(y, w[[3, 5]] @ w.T, rtol=1e-5)


def test_bind() -> None:
    net = import_onnx(linear().SerializeToString(), bind={"batch": 5})
    assert net.module.functions["main"].dims == ()
    m = model([node("Add", "a b", "y")], [info("a", ["n"]), info("b", ["m"])], [info("y", None)])
    joined = import_onnx(m.SerializeToString(), bind={"m": "n"})
    assert joined.module.functions["main"].dims == ("n",)
    assert "take" not in {op.name for op in joined.module.functions["main"].body.ops}


@pytest.mark.parametrize("bind", [{"nothing": 3}, {"batch": -1}, {"batch": "batch"}])
def test_bind_refuses(bind: dict[str, Any]) -> None:
    with pytest.raises(CompileError) as caught:
        import_onnx(linear().SerializeToString(), bind=bind)
    assert [d.code for d in caught.value.diagnostics] == ["E0712"]


@pytest.mark.parametrize("dim", [-1, 0, "?", None], ids=str)
def test_dims_that_mean_any_size(dim: Any) -> None:
    """-1 and 0 are what Paddle writes, `?` what its converter makes of them."""
    x = RNG.standard_normal((6, 3)).astype(np.float32)
    m = linear("?")
    for v in (*m.graph.input, *m.graph.output):
        d = v.type.tensor_type.shape.dim[0]
        d.Clear()
        if isinstance(dim, int):
            d.dim_value = dim
        elif dim:
            d.dim_param = dim
    (y,) = run_model(m, [x], target="evaluate")
    assert y.shape == (6, 4)


def test_a_wrong_declaration_is_a_warning() -> None:
    m = linear(2)
    m.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    (found,) = import_onnx(m.SerializeToString()).warnings
    assert found.code == "E0713" and "declared as 7, computed as 4" in found.message


def test_initialisers_that_are_inputs_as_well() -> None:
    m = linear()
    m.ir_version = 3
    m.graph.input.append(info("enc/w.0", [3, 4]))
    assert [p.name for p in import_onnx(m.SerializeToString()).inputs] == ["x"]


def test_sizes_that_only_the_run_decides_are_results() -> None:
    m = model([node("NonZero", "x", "y")], [info("x", ["n", 3])], [info("y", None)])
    net = import_onnx(m.SerializeToString())
    verify(net.module)
    assert net.interface.entries[0].result_dims == ("k",)
    x = np.array([[0, 1, 0], [2, 0, 3]], np.float32)
    (y,) = run(net.module, "main", [x])
    assert y.tolist() == [[0, 1, 1], [1, 0, 2]]


def test_names_with_odd_characters() -> None:
    m = model([node("Relu", "a:0", "y")], [info("a:0", [2]), info("a/0", [2])], [info("y", [2])])
    net = import_onnx(m.SerializeToString())
    assert [p.identifier for p in net.inputs] == ["a_0", "a_0_2"]
    verify(net.module)


def test_the_same_bytes_give_the_same_module() -> None:
    from dlc.ir.printer import print_module

    body = helper.make_graph(
        [node("Add", "v x", "w"), node("Identity", "c", "d")], "body",
        [info("i", [], INT64), info("c", [], TensorProto.BOOL), info("v", [2])],
        [info("d", [], TensorProto.BOOL), info("w", [2])],
    )  # fmt: skip
    m = model([node("Loop", "n - x", "y", body=body)],
              [info("n", [], INT64), info("x", [2])], [info("y", [2])])  # fmt: skip
    data = m.SerializeToString()
    first, second = (print_module(import_onnx(data).module) for _ in range(2))
    assert first == second
