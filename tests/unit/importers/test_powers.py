"""Float8e8m0: powers of two, by every way of rounding."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from dlc.importers.backend import call
from dlc.importers.model import import_onnx
from tests.unit.importers.models import info, model, node

F = np.float32


def numbers() -> np.ndarray:
    r = np.random.default_rng(0)
    any_bits = r.integers(0, 1 << 32, 400, np.uint32).view(F)
    powers = np.ldexp(F(1), np.arange(-149, 128)).astype(F)
    near = np.concatenate([powers * F(1.5), np.nextafter(powers, F(np.inf))])
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38], F)
    with np.errstate(all="ignore"):
        return np.concatenate([any_bits, powers, near, special]).astype(F)


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_casts(mode: str, saturate: int, target: str) -> None:
    to = TensorProto.FLOAT8E8M0
    m = model(
        [node("Cast", "x", "y", to=to, saturate=saturate, round_mode=mode)], [info("x", ["n"])],
        [info("y", ["n"], to)], opset=25,
    )  # fmt: skip
    x = numbers()
    (got,) = call(import_onnx(m.SerializeToString()), [x], target)
    want = numpy_helper.to_float8e8m0(x, bool(saturate), mode)
    np.testing.assert_array_equal(got.view(np.uint8), want.view(np.uint8))
