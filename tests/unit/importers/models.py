"""Small ONNX models for the tests of the importer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Shape = Sequence[int | str | None] | None


def info(name: str, shape: Shape, element: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, element, shape)


def stored(name: str, array: Any) -> Any:
    return numpy_helper.from_array(np.asarray(array), name)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    initialisers: Mapping[str, Any] | None = None,
    *,
    opset: int = 21,
    opsets: Mapping[str, int] | None = None,
    functions: Sequence[Any] = (),
) -> Any:
    """A model of these nodes; `opsets` are versions of further domains."""
    tensors = [stored(n, a) for n, a in (initialisers or {}).items()]
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), tensors)
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(d, v) for d, v in (opsets or {}).items()]
    made: onnx.ModelProto = helper.make_model(
        graph, opset_imports=imports, functions=list(functions), ir_version=10
    )
    return made


def node(op: str, inputs: str, outputs: str, domain: str = "", **attributes: Any) -> Any:
    """`node("Add", "a b", "c")`; `-` is an input that is left out."""
    names = ["" if n == "-" else n for n in inputs.split()]
    return helper.make_node(op, names, outputs.split(), domain=domain, **attributes)


def unary(op: str = "Relu", shape: Shape = (2, 3), **attributes: Any) -> Any:
    return model([node(op, "x", "y", **attributes)], [info("x", shape)], [info("y", None)])
