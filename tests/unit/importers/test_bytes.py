"""Products of bytes are exact, whatever way they are computed: in int8, in float, in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from dlc.importers.backend import call
from dlc.importers.model import import_onnx
from dlc.ir.core import walk
from tests.unit.importers.models import info, model, node

CODES = {"u": TensorProto.UINT8, "s": TensorProto.INT8}
TYPES = {"u": np.uint8, "s": np.int8}


def numbers(r: Any, kind: str, *shape: int) -> Any:
    """Bytes, the extreme ones among them."""
    low, high = (0, 255) if kind == "u" else (-128, 127)
    x = r.integers(low, high + 1, shape)
    x.reshape(-1)[:3] = high
    x.reshape(-1)[-3:] = low
    return x.astype(TYPES[kind])


def integer_model(a: str, b: Any, za: Any, zb: Any, shape: tuple[Any, ...]) -> Any:
    stored = {"w": b} | {n: z for n, z in (("za", za), ("zb", zb)) if z is not None}
    names = f"x w {'za' if za is not None else '-'} {'zb' if zb is not None else '-'}"
    return model(
        [node("MatMulInteger", names.rstrip(" -"), "y")], [info("x", shape, CODES[a])],
        [info("y", None, TensorProto.INT32)], stored,
    )  # fmt: skip


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
@pytest.mark.parametrize("terms", [1, 7, 32, 65, 300, 1100])
@pytest.mark.parametrize(
    ("a", "b", "za", "zb"),
    [("u", "s", 130, None), ("u", "s", None, 0), ("s", "s", -3, None), ("u", "u", 255, 128),
     ("s", "u", None, 1), ("u", "s", 0, 127), ("u", "u", 0, 255)],
)  # fmt: skip
def test_exact(a: str, b: str, za: Any, zb: Any, terms: int, target: str) -> None:
    r = np.random.default_rng(terms)
    x, w = numbers(r, a, 5, terms), numbers(r, b, terms, 9)
    zero_a = None if za is None else TYPES[a](za)
    zero_b = None if zb is None else TYPES[b](zb)
    m = integer_model(a, w, zero_a, zero_b, ("n", terms))
    (got,) = call(import_onnx(m.SerializeToString()), [x], target)
    left, right = x.astype(np.int64) - (za or 0), w.astype(np.int64) - (zb or 0)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, left @ right)


def test_weights_of_signed_bytes_stay_bytes() -> None:
    w = np.random.default_rng(0).integers(-128, 128, (64, 16)).astype(np.int8)
    net = import_onnx(integer_model("u", w, np.uint8(7), None, (1, 64)).SerializeToString())
    (product,) = [op for op in walk(net.module.functions["main"].body) if op.name == "contract"]
    assert [v.tensor.dtype.name for v in product.operands] == ["i8", "i8"]
    assert product.result.tensor.dtype.name == "i32"


@pytest.mark.parametrize("batch", [(3,), (2, 3)])
def test_more_axes_and_a_zero_point_for_each_row(batch: tuple[int, ...]) -> None:
    r = np.random.default_rng(1)
    x, w = numbers(r, "u", *batch, 4, 40), numbers(r, "s", 40, 6)
    m = integer_model("u", w, np.uint8(9), None, x.shape)
    (got,) = call(import_onnx(m.SerializeToString()), [x])
    np.testing.assert_array_equal(got, (x.astype(np.int64) - 9) @ w.astype(np.int64))
    rows = np.array([1, 2, 3, 4], np.uint8)
    m = integer_model("u", w, rows, None, (4, 40))
    x = x.reshape(-1, 4, 40)[0]
    (got,) = call(import_onnx(m.SerializeToString()), [x])
    np.testing.assert_array_equal(got, (x.astype(np.int64) - rows[:, None]) @ w.astype(np.int64))
