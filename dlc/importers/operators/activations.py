"""Activation functions: formulas of one operand with numbers for attributes."""

from __future__ import annotations

import math
from collections.abc import Callable

from dlc.importers.call import Call, Operator
from dlc.importers.tensor import Tensor

Formula = Callable[[Tensor, float, float], Tensor]
"""Of x and the attributes alpha and beta (or gamma)."""


def elu(x: Tensor, alpha: float, _: float) -> Tensor:
    """`alpha * (exp(x) - 1)` below 0."""
    return (x < 0.0).choose(x.op("expm1") * alpha, x)


def selu(x: Tensor, alpha: float, gamma: float) -> Tensor:
    return (x > 0.0).choose(x, x.op("expm1") * alpha) * gamma


def celu(x: Tensor, alpha: float, _: float) -> Tensor:
    return x.op("max", 0.0) + ((x / alpha).op("expm1") * alpha).op("min", 0.0)


def leaky_relu(x: Tensor, alpha: float, _: float) -> Tensor:
    return (x < 0.0).choose(x * alpha, x)


def thresholded_relu(x: Tensor, alpha: float, _: float) -> Tensor:
    return (x > alpha).choose(x, 0.0)


def hard_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    return (x * alpha + beta).op("min", 1.0).op("max", 0.0)


def softplus(x: Tensor, *_: float) -> Tensor:
    """`log(1 + exp(x))`, without overflow: `max(x, 0) + log1p(exp(-|x|))`."""
    return x.op("max", 0.0) + (-x.op("abs")).op("exp").op("log1p")


def softsign(x: Tensor, *_: float) -> Tensor:
    return x / (x.op("abs") + 1.0)


def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    return (x * beta).op("tanh") * alpha


def affine(x: Tensor, alpha: float, beta: float) -> Tensor:
    return x * alpha + beta


def _rule(f: Formula, second: str = "beta") -> Callable[[Call], Tensor]:
    def rule(c: Call) -> Tensor:
        return f(c.tensor(0), c.float("alpha", 1.0), c.float(second, 1.0))

    return rule


def _hard_swish(c: Call) -> Tensor:
    x = c.tensor(0)
    return x * hard_sigmoid(x, 1.0 / 6.0, 0.5)


def _mish(c: Call) -> Tensor:
    x = c.tensor(0)
    return x * softplus(x).op("tanh")


def _swish(c: Call) -> Tensor:
    x, alpha = c.tensor(0), c.float("alpha", 1.0)
    return x * (x if alpha == 1.0 else x * alpha).op("sigmoid")


def _swi_glu(c: Call) -> Tensor:
    a, b = c.tensor(0), c.tensor(1)
    alpha = c.float("alpha", 1.0)
    return a * (a * alpha).op("sigmoid") * b


def _gelu(c: Call) -> Tensor:
    x = c.tensor(0)
    if c.choice("approximate", ("none", "tanh"), "none") == "none":
        return gelu(x)
    inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
    return x * 0.5 * (inner.op("tanh") + 1.0)


def gelu(x: Tensor) -> Tensor:
    """`x/2 * (1 + erf(x / sqrt 2))`."""
    return x * 0.5 * ((x * math.sqrt(0.5)).op("erf") + 1.0)


def _shrink(c: Call) -> Tensor:
    x, bias, edge = c.tensor(0), c.float("bias", 0.0), c.float("lambd", 0.5)
    if not x.element.is_float:
        from dlc.importers import numbers
        from dlc.importers.elements import FLOAT

        return numbers.cast(_shrunk(numbers.cast(x, FLOAT), bias, edge), x.element)
    return _shrunk(x, bias, edge)


def _shrunk(x: Tensor, bias: float, edge: float) -> Tensor:
    return (x < -edge).choose(x + bias, (x > edge).choose(x - bias, 0.0))


OPERATORS: tuple[Operator, ...] = (
    Operator("Elu", (1, 6, 22), _rule(elu)),
    Operator("Selu", (1, 6, 22), _rule(selu, "gamma")),
    Operator("Celu", (12, 28), _rule(celu)),
    Operator("LeakyRelu", (1, 6, 16), _rule(leaky_relu)),
    Operator("ThresholdedRelu", (10, 22), _rule(thresholded_relu)),
    Operator("HardSigmoid", (1, 6, 22), _rule(hard_sigmoid)),
    Operator("HardSwish", (14, 22), _hard_swish),
    Operator("Softplus", (1, 22), _rule(softplus)),
    Operator("Softsign", (1, 22), _rule(softsign)),
    Operator("Mish", (18, 22), _mish),
    Operator("Swish", (24,), _swish),
    Operator("SwiGLU", (28,), _swi_glu),
    Operator("Gelu", (20,), _gelu),
    Operator("Shrink", (9,), _shrink),
)  # fmt: skip
