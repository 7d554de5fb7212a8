"""Steps of optimisers. (The operator Gradient is refused: differentiation is a pass of its own.)"""

from __future__ import annotations

from dlc.importers.call import Call, Operator
from dlc.importers.elements import INT64
from dlc.importers.numbers import cast
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor

DOMAIN = "ai.onnx.preview.training"


def _groups(c: Call, kinds: int) -> list[tuple[Tensor, ...]]:
    """For each tensor that is trained: it, its gradient, and its states, which come in as many
    blocks."""
    count, left = divmod(len(c.inputs) - 2, kinds)
    if left or count < 1:
        raise refuse("E0707", f"{len(c.inputs)} inputs are not 2 and a multiple of {kinds}")
    return [tuple(c.tensor(2 + k * count + i) for k in range(kinds)) for i in range(count)]


def _blocks(rows: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(t for block in zip(*rows, strict=True) for t in block)


def _first(c: Call, x: Tensor) -> Tensor:
    """Whether this is step 0."""
    return cast(c.e.reshape(c.tensor(1), ()), INT64).equals(0)


def _adagrad(c: Call) -> tuple[Tensor, ...]:
    e = c.e
    rate = e.reshape(c.tensor(0), ())
    step = cast(cast(e.reshape(c.tensor(1), ()), INT64), rate.element)
    rate = rate / (step * c.float("decay_factor", 0.0) + 1.0)
    out: list[tuple[Tensor, ...]] = []
    for x, g, squares in _groups(c, 3):
        g = x * c.float("norm_coefficient", 0.0) + g
        total = squares + g * g
        out.append((x - rate * g / (total.op("sqrt") + c.float("epsilon", 1e-6)), total))
    return _blocks(out)


def _adam(c: Call) -> tuple[Tensor, ...]:
    e = c.e
    rate = e.reshape(c.tensor(0), ())
    t = cast(cast(e.reshape(c.tensor(1), ()), INT64), rate.element)
    a, b = c.float("alpha", 0.9), c.float("beta", 0.999)
    corrected = rate * (1.0 - rate.like(b).op("pow", t)).op("sqrt")
    corrected = corrected / (1.0 - rate.like(a).op("pow", t))
    rate = t.equals(0.0).choose(rate, corrected)
    out: list[tuple[Tensor, ...]] = []
    for x, g, v, h in _groups(c, 4):
        g = x * c.float("norm_coefficient", 0.0) + g
        v, h = v * a + g * (1.0 - a), h * b + g * g * (1.0 - b)
        new = x - rate * v / (h.op("sqrt") + c.float("epsilon", 1e-6))
        out.append((new * (1.0 - c.float("norm_coefficient_post", 0.0)), v, h))
    return _blocks(out)


def _momentum(c: Call) -> tuple[Tensor, ...]:
    rate, first = c.e.reshape(c.tensor(0), ()), None
    nesterov = c.choice("mode", ("standard", "nesterov")) == "nesterov"
    out: list[tuple[Tensor, ...]] = []
    for x, g, v in _groups(c, 3):
        first = _first(c, x) if first is None else first
        g = x * c.float("norm_coefficient") + g
        fresh = first.choose(x.like(1.0), c.float("beta"))
        moved = v * c.float("alpha") + g * fresh
        step = g + moved * c.float("alpha") if nesterov else moved
        out.append((x - rate * step, moved))
    return _blocks(out)


OPERATORS: tuple[Operator, ...] = (
    Operator("Adagrad", (1,), _adagrad, DOMAIN),
    Operator("Adam", (1,), _adam, DOMAIN),
    Operator("Momentum", (1,), _momentum, DOMAIN),
)
