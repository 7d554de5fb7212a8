"""Sigmoid and tanh of operators that round to bytes: the bits that ONNX Runtime 1.32 gave for its
Sigmoid and Tanh (x86-64 with FMA), recorded here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dlc.importers.elements import FLOAT
from dlc.importers.emission import Emission
from dlc.importers.limits import Budget, Limits
from dlc.importers.operators import rational

X = np.array(
    [-20, -9.5, -3.3, -1, -0.4, -1e-3, 0, 1e-8, 0.123456, 0.5, 0.77, 2.1, 5.5, 17.482065, 17.99,
     30],
    np.float32,
)  # fmt: skip
BITS = {
    "sigmoid": "00000000 389cf000 3d11b310 3e89b2b1 3ecd78d0 3effdf3b 3f000000 3f000000 "
    "3f07e423 3f1f597e 3f2efb39 3f64123c 3f7ef542 3f800001 3f800000 3f800000",
    "tanh": "bf800000 bf800000 bf7f4def bf42f7d6 bec288ad ba83126b 00000000 322bcc76 "
    "3dfb8fa5 3eec9a9f 3f259d2c 3f786f8b 3f7ffdd0 3f800000 3f800000 3f800000",
}
EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", BITS)
def test_bits(name: str) -> None:
    (y,) = folded(name, X)
    assert [f"{b:08x}" for b in y.view(np.uint32)] == BITS[name].split()


@pytest.mark.parametrize(("name", "most"), [("sigmoid", 2e-7), ("tanh", 4e-7)])
def test_near_the_function(name: str, most: float) -> None:
    x = np.linspace(-25, 25, 4001, dtype=np.float32)
    (y,) = folded(name, x)
    assert np.abs(y - EXACT[name](x.astype(np.float64))).max() < most


def folded(name: str, x: np.ndarray) -> list[np.ndarray]:
    """Numbers that are known are computed when the model is imported."""
    made = getattr(rational, name)(Emission(Budget(Limits())).array(x, FLOAT))
    assert made.known is not None
    return [made.known]
