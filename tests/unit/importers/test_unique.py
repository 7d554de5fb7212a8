"""Unique of slices along an axis, beside numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.importers.backend import call
from dlc.importers.model import import_onnx
from tests.unit.importers.models import info, model, node

SHAPES = [((7, 2), 0), ((2, 9), 1), ((3, 2, 6), -1), ((4, 1), 0)]


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
@pytest.mark.parametrize("is_sorted", [0, 1])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_slices(shape: Any, axis: int, is_sorted: int, target: str) -> None:
    x = np.random.default_rng(sum(shape)).integers(0, 2, shape).astype(np.float32)
    m = model(
        [node("Unique", "x", "y i inverse counts", axis=axis, sorted=is_sorted)],
        [info("x", shape)], [info(o, None) for o in ("y", "i", "inverse", "counts")],
    )  # fmt: skip
    got = call(import_onnx(m.SerializeToString()), [x], target)
    y, i, inverse, counts = np.unique(x, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not is_sorted:
        order = np.argsort(i)
        y, i, counts = np.take(y, order, axis), i[order], counts[order]
        inverse = np.argsort(order)[inverse]
    for a, b in zip(got, (y, i, inverse, counts), strict=True):
        np.testing.assert_array_equal(a, b)
