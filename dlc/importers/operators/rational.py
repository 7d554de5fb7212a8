"""Sigmoid and tanh to the last bit as ONNX Runtime computes them in f32 on x86-64 with FMA: odd
rational functions `x p(x^2) / q(x^2)`, by Horner's rule with one rounding a step.

Operators whose results are rounded to bytes need them: where a value lies between two bytes, its
last bit decides. Source of the numbers: MLAS, ONNX Runtime 1.32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.importers import numbers
from dlc.importers.elements import DOUBLE, FLOAT
from dlc.importers.tensor import Tensor

_SIGMOID_P = (
    4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03,
    2.48287947061529e-01,
)  # fmt: skip
_SIGMOID_Q = (
    6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03,
    1.16817656904453e-01, 9.93151921023180e-01,
)  # fmt: skip
_TANH_P = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
_TANH_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
"""Coefficients of p and q, the highest power first, as nearest f32 of the decimals."""


def sigmoid(x: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))` within 2e-7; never below 0, but by its last bit above 1 for some x."""
    y = _quotient(_within(x, 18.0), _SIGMOID_P, _SIGMOID_Q) + 0.5
    return y.op("max", 0.0)


def tanh(x: Tensor) -> Tensor:
    """`tanh(x)` within 4e-7."""
    return _quotient(_within(x, 9.0), _TANH_P, _TANH_Q)


def _within(x: Tensor, limit: float) -> Tensor:
    return x.op("max", -limit).op("min", limit)


def _quotient(x: Tensor, p: Sequence[float], q: Sequence[float]) -> Tensor:
    square = numbers.cast(x * x, DOUBLE)
    return _horner(p, square) * x / _horner(q, square)


def _horner(coefficients: Sequence[float], square: Tensor) -> Tensor:
    """A fused multiplication and addition in f32 is one in f64, which holds the product of two f32
    exactly, and a rounding: the same but where the sum in f64 is rounded to a tie of f32."""
    first, *rest = (float(np.float32(c)) for c in coefficients)
    y = square.e.full(first, square.shape, DOUBLE)
    for c in rest:
        y = numbers.cast(numbers.cast(y * square + c, FLOAT), DOUBLE)
    return numbers.cast(y, FLOAT)
