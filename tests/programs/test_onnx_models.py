"""Real models, against what ONNX Runtime gives for them without optimisation.

The models are not part of the project: they are looked for in `../shared/data/onnx_models` beside
it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from dlc.importers.backend import run
from dlc.importers.model import import_onnx
from dlc.ops.verify import verify

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "onnx_models"
MODELS = ("basic_pitch", "magika", "ppocr_cls", "silero_ifless", "silero_openvino", "t2t_rawi_int8")


def folder(name: str) -> Path:
    found = FOLDER / name
    if not found.is_dir():
        pytest.skip(f"the model {name} is not at ../shared/data/onnx_models")
    return found


def tensors(path: Path, kind: str) -> list[Any]:
    out: list[Any] = []
    for i in range(len(list(path.glob(f"{kind}_*.pb")))):
        t = onnx.TensorProto()
        t.ParseFromString((path / f"{kind}_{i}.pb").read_bytes())
        out.append(numpy_helper.to_array(t))
    return out


def data(name: str) -> list[tuple[bytes, list[Any], list[Any]]]:
    at = folder(name)
    model = (at / "model.onnx").read_bytes()
    return [
        (model, tensors(d, "input"), tensors(d, "output"))
        for d in sorted(at.glob("test_data_set_*"))
    ]


@pytest.mark.parametrize("name", MODELS)
def test_native(name: str) -> None:
    tolerance = json.loads((folder(name) / "data.json").read_text())
    for model, inputs, wanted in data(name):
        got = run(model, inputs)
        for g, w in zip(got, wanted, strict=True):
            np.testing.assert_allclose(g, w, rtol=tolerance["rtol"], atol=tolerance["atol"])


@pytest.mark.full
@pytest.mark.parametrize("name", MODELS)
def test_evaluated(name: str) -> None:
    tolerance = json.loads((folder(name) / "data.json").read_text())
    for model, inputs, wanted in data(name):
        got = run(model, inputs, target="evaluate")
        for g, w in zip(got, wanted, strict=True):
            np.testing.assert_allclose(g, w, rtol=tolerance["rtol"], atol=tolerance["atol"])


@pytest.mark.parametrize("name", MODELS)
def test_the_module_is_valid(name: str) -> None:
    verify(import_onnx(folder(name) / "model.onnx").module)
