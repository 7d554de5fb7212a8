"""First values: their distributions, and that orthogonal weights are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlc import evaluate
from dlc.ir.core import Module
from dlc.lower.initialise import Initial, initial_leaves
from dlc.ops.build import Builder, DimNames
from dlc.ops.verify import problems
from dlc.typesys.dtypes import F32, F64, I64
from dlc.typesys.types import TensorType, tensor


def draw(*leaves: tuple[TensorType, Initial], dims: dict[str, int] | None = None, key: int = 1):
    """The first values of leaves."""
    names = tuple(dims or {})
    b = Builder({}, DimNames(names)).nested([TensorType(I64)], ["key"])
    made = initial_leaves(b, b.params[0], [t for t, _ in leaves], [i for _, i in leaves])
    module = Module.of({}, {"f": b.function("f", names, b.return_(*made))})
    assert not problems(module)
    return evaluate.run(module, "f", [key], dims)


def one(
    name: str, *shape: int | str, numbers: tuple[float, ...] = (), arrays: int = 0, **dims: int
):
    return draw((tensor(F32, *shape), Initial(name, numbers, arrays)), dims=dims)[0]


def test_constants():
    assert one("zeros", 3).tolist() == [0, 0, 0]
    assert one("ones", 2).tolist() == [1, 1]
    assert one("fill", 2, numbers=(0.25,)).tolist() == [0.25, 0.25]


def test_glorot_is_uniform_in_its_limit():
    x = one("glorot", "O", "I", O=60, I=90)
    limit = math.sqrt(6 / 150)
    assert np.abs(x).max() <= limit
    assert abs(x.std() - limit / math.sqrt(3)) < 0.03 * limit
    k = one("glorot", 8, 4, 3, 3)
    assert np.abs(k).max() <= math.sqrt(6 / (8 * 9 + 4 * 9))
    assert np.abs(one("glorot", 50)).max() <= math.sqrt(6 / 51)


def test_he_and_normal_have_their_deviation():
    x = one("he", 64, 32, 3, 3)
    assert abs(x.std() / math.sqrt(2 / (32 * 9)) - 1) < 0.03
    assert abs(one("normal", 5000, numbers=(0.02,)).std() - 0.02) < 0.001
    y = one("normal", 5000, numbers=(3.0, 0.5))
    assert abs(y.mean() - 3) < 0.05 and abs(y.std() - 0.5) < 0.03


def test_uniform():
    x = one("uniform", 4000, numbers=(0.1,))
    assert -0.1 <= x.min() < -0.09 and 0.09 < x.max() <= 0.1
    y = one("uniform", 4000, numbers=(2.0, 3.0))
    assert 2 <= y.min() < 2.01 and 2.99 < y.max() <= 3


@pytest.mark.parametrize(
    ("shape", "dims"),
    [(("3*H", "H"), {"H": 7}), (("H", "3*H"), {"H": 5}), (("A", "B"), {"A": 6, "B": 4}),
     (("A", "B"), {"A": 4, "B": 6}), ((1, 1), {}), ((4, 2, 3), {}), (("A", "B"), {"A": 0, "B": 3})],
)  # fmt: skip
def test_orthogonal(shape, dims):
    x = one("orthogonal", *shape, **dims)
    m = x.reshape(x.shape[0], math.prod(x.shape[1:]))
    small = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(small, np.eye(len(small)), atol=2e-6)


def test_orthogonal_weights_of_an_array_are_so_one_by_one():
    x = one("orthogonal", 3, 4, 4, arrays=1)
    for m in x:
        np.testing.assert_allclose(m @ m.T, np.eye(4), atol=2e-6)
    assert not np.allclose(x[0], x[1])
    assert np.allclose(
        one("orthogonal", 4, 4, numbers=(2.0,)) @ np.eye(4) / 2, one("orthogonal", 4, 4)
    )


def test_leaves_draw_with_keys_of_their_own():
    normal = Initial("normal", (1.0,), 0)
    a, b = draw((tensor(F32, 50), normal), (tensor(F32, 50), normal))
    assert not np.allclose(a, b)
    again, _ = draw((tensor(F32, 50), normal), (tensor(F32, 50), normal))
    assert (a == again).all()
    other, _ = draw((tensor(F32, 50), normal), (tensor(F32, 50), normal), key=2)
    assert not np.allclose(a, other)


def test_other_element_types():
    (x,) = draw((tensor(F64, 5), Initial("normal", (1.0,), 0)))
    assert x.dtype == np.float64
