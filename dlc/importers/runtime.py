"""ONNX Runtime as a reference, where it is installed. It sees only models that have been imported
already, so what it reads has passed the importer's checks."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlc.importers.messages import Array

WHOLE = 1 << 31
"""Bytes of a model that fits into one message."""


def is_present() -> bool:
    """Whether ONNX Runtime is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def run(
    path: Path, inputs: Mapping[str, Array], more: Sequence[str] = ()
) -> tuple[list[Array], list[Array]]:
    """The model's outputs, and the values called `more`, by ONNX Runtime on one thread without
    graph optimisation.

    Raises RuntimeError with what the runtime says."""
    ort: Any = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        model = str(path) if not more else _with_outputs(path, more)
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        outputs = [o.name for o in session.get_outputs()]
        made: list[Array] = session.run(outputs, dict(inputs))
    except Exception as e:  # the runtime has an exception type for each status
        raise RuntimeError(str(e).strip().split("\n")[-1]) from None
    count = len(outputs) - len(more)
    return made[:count], made[count:]


def _with_outputs(path: Path, names: Sequence[str]) -> bytes:
    """The model with further outputs, and with its external data inside."""
    onnx: Any = importlib.import_module("onnx")
    model = onnx.load(str(path))
    for n in names:
        model.graph.output.append(onnx.ValueInfoProto(name=n))
    if model.ByteSize() >= WHOLE:
        raise RuntimeError("a model of more than 2 GB cannot be given further outputs")
    return model.SerializeToString()
