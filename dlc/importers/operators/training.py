"""Training: steps of optimisers, and Gradient, which becomes the IR's own derivative of a function
that computes its output from its inputs."""

from __future__ import annotations

from dlc.importers.call import Call, Operator
from dlc.importers.elements import INT64
from dlc.importers.numbers import cast
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.ir.core import Function, Region
from dlc.ir.names import defined_dims
from dlc.ir.rewrite import copy_function, free_values, used_dims
from dlc.typesys.dims import Dim
from dlc.typesys.types import type_symbols

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


def _gradient(c: Call) -> tuple[Tensor, ...]:
    """`dy/dx` for each of `xs`; what `y` depends on besides them, `zs` included, is constant. A `y`
    of several elements counts as their sum. Source: ONNX Gradient-1."""
    e, xs, zs = c.e, c.texts("xs") or (), c.texts("zs") or ()
    if len(xs) + len(zs) != len(c.inputs):
        raise refuse("E0707", f"{len(c.inputs)} inputs for {len(xs)} xs and {len(zs)} zs")
    given = [c.tensor(i) for i in range(len(c.inputs))]
    if not all(t.element.is_float for t in given[: len(xs)]):
        raise refuse("E0707", "a gradient by what is no float")
    values = [e.value(t) for t in given]
    with e.region([v.type for v in values], [*xs, *zs]) as b:
        params = [e.tensor(p, t.element) for p, t in zip(b.params, given, strict=True)]
        y = c.inside.again([*xs, *zs], params, c.text("y"))
        if not isinstance(y, Tensor) or not y.element.is_float:
            raise refuse("E0707", f"the gradient of `{c.text('y')}`, which is no tensor of floats")
        body = b.return_(e.value(y))
    free = free_values(body)
    own = set(defined_dims(body))
    seen = [*(s for v in (*body.params, *free) for s in type_symbols(v.type)), *used_dims(body.ops)]
    dims = tuple(d for d in dict.fromkeys(seen) if d not in own)
    out = body.yields[0].tensor
    if any(s in own for s in type_symbols(out)):
        raise c.refused("a gradient of a value whose size only the run decides")
    name = f"{e.function}.gradient{len(e.functions) + 1}"
    fn = Function(name, dims, (*body.params, *free), (out,), Region((), body.ops))
    e.functions[name] = copy_function(fn, name)
    attrs = {"fn": name, "dims": tuple(map(Dim.sym, dims)), "wrt": tuple(range(len(xs)))}
    one = e.b.full(1.0, out)
    types = [out, *(v.type for v in values[: len(xs)])]
    _, *grads = e.b.structured("vjp", (*values, *free, one), types, attrs, ())
    return tuple(e.tensor(g, t.element) for g, t in zip(grads, given, strict=False))


OPERATORS: tuple[Operator, ...] = (
    Operator("Gradient", (1,), _gradient, DOMAIN),
    Operator("Adagrad", (1,), _adagrad, DOMAIN),
    Operator("Adam", (1,), _adam, DOMAIN),
    Operator("Momentum", (1,), _momentum, DOMAIN),
)
