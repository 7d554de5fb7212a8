"""Writes `samples/backbone.onnx`: a small MobileNet with fixed random weights, as an exporter gives
it. `python tools/onnx_sample.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

PATH = Path(__file__).parents[1] / "samples" / "backbone.onnx"
FEATURES = 24


class Graph:
    """Nodes and initialisers as they are added."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self._rng = np.random.default_rng(seed)

    def weight(self, name: str, *shape: int, scale: float = 1.0, shift: float = 0.0) -> str:
        x = self._rng.standard_normal(shape) * scale + shift
        self.tensors.append(numpy_helper.from_array(x.astype(np.float32), name))
        return name

    def node(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [f"{name}_y"], f"/{name}", **attributes))
        return f"{name}_y"

    def conv(self, x: str, name: str, out: int, per: int, size: int, **attributes: Any) -> str:
        """Convolution, batch normalisation, ReLU6. `per` channels of the input go into each."""
        deviation = (2.0 / (per * size * size)) ** 0.5
        w = self.weight(f"{name}.weight", out, per, size, size, scale=deviation)
        pad = size // 2
        y = self.node("Conv", [x, w], name, kernel_shape=[size, size], pads=[pad] * 4, **attributes)
        norm = [
            self.weight(f"{name}.norm.scale", out, scale=0.1, shift=1.0),
            self.weight(f"{name}.norm.bias", out, scale=0.1),
            self.weight(f"{name}.norm.mean", out, scale=0.1),
        ]
        variance = np.abs(self._rng.standard_normal(out) * 0.1 + 1.0).astype(np.float32)
        self.tensors.append(numpy_helper.from_array(variance, f"{name}.norm.variance"))
        y = self.node("BatchNormalization", [y, *norm, f"{name}.norm.variance"], f"{name}.norm")
        return self.node("Clip", [y, "zero", "six"], f"{name}.relu6")


def backbone() -> ModelProto:
    """`image` f32[batch, 3, 32, 32] to `features` f32[batch, 24]."""
    g = Graph(7)
    for name, number in (("zero", 0.0), ("six", 6.0)):
        g.tensors.append(numpy_helper.from_array(np.array(number, np.float32), name))
    y = g.conv("image", "stem", 8, 3, 3, strides=[2, 2])
    for i, (channels, out, stride) in enumerate(((8, 16, 2), (16, 16, 1), (16, 32, 2))):
        x = y
        y = g.conv(y, f"block{i}.depthwise", channels, 1, 3, group=channels, strides=[stride] * 2)
        y = g.conv(y, f"block{i}.pointwise", out, channels, 1)
        if channels == out and stride == 1:
            y = g.node("Add", [x, y], f"block{i}.add")
    y = g.node("GlobalAveragePool", [y], "pool")
    y = g.node("Flatten", [y], "flat")
    w = g.weight("head.weight", FEATURES, 32, scale=0.2)
    b = g.weight("head.bias", FEATURES, scale=0.1)
    g.nodes.append(helper.make_node("Gemm", [y, w, b], ["features"], "/head", transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", FEATURES])
    graph = helper.make_graph(g.nodes, "backbone", [image], [features], g.tensors)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="dlc sample"
    )
    return made


def contents() -> bytes:
    """The file's bytes, the same every time."""
    return backbone().SerializeToString(deterministic=True)


if __name__ == "__main__":
    PATH.write_bytes(contents())
