"""RNN, GRU and LSTM: one loop over time for each direction.

What doesn't depend on the state (`x W`) is one product over all steps before the loop. Rows that
end early (`sequence_lens`) keep their state from then on and give zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dlc.importers import numbers
from dlc.importers.broadcasting import with_dim
from dlc.importers.call import Call, Operator, check_rank
from dlc.importers.elements import INT64
from dlc.importers.operators import activations
from dlc.importers.operators.rational import sigmoid, tanh
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, Dim

Activation = Callable[[Tensor], Tensor]


Product = Callable[[Tensor, Tensor], Tensor]
"""`(x [.., K], w [G, K]) -> x w^T [.., G]`: how an input, or a state, meets its weights."""


def plain(x: Tensor, w: Tensor) -> Tensor:
    lead = "tb"[-(x.rank - 1) :]
    return x.e.contract(f"{lead}k,gk->{lead}g", x, w)


@dataclass(frozen=True)
class Cell:
    """One direction: inputs `x [T, B, I]`, weights `w [G, I]`, `r [G, H]` and biases `wb`, `rb`
    [G] for the G = gates * H rows, activations, peepholes. `into` is the product of inputs with
    `w`, `back` that of a state with rows of `r`; `bias` is there instead of `wb` and `rb`, and
    added last."""

    w: Tensor
    r: Tensor
    wb: Tensor | None
    rb: Tensor | None
    peepholes: Tensor | None
    f: tuple[Activation, ...]
    clip: float
    hidden: Dim
    into: Product
    back: Product
    bias: Tensor | None = None


Step = Callable[["Cell", Tensor, Sequence[Tensor]], tuple[Tensor, ...]]
"""`(cell, x W at this step [B, G], states) -> states`; the first state is the output."""


def _activation(name: str, alpha: float | None, beta: float | None) -> Activation:
    """Source: the table in ONNX LSTM-22."""
    plain = {"relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}
    key = name.lower()
    if key in plain:
        return lambda x: x.op(plain[key])
    known: dict[str, tuple[activations.Formula, float, float]] = {
        "leakyrelu": (activations.leaky_relu, 0.01, 0.0),
        "thresholdedrelu": (activations.thresholded_relu, 1.0, 0.0),
        "scaledtanh": (activations.scaled_tanh, 1.0, 1.0),
        "hardsigmoid": (activations.hard_sigmoid, 0.2, 0.5),
        "elu": (activations.elu, 1.0, 0.0),
        "softsign": (activations.softsign, 0.0, 0.0),
        "softplus": (activations.softplus, 0.0, 0.0),
        "affine": (activations.affine, 1.0, 0.0),
    }
    if key not in known:
        raise refuse("E0709", f"the activation {name!r}").with_help(
            f"supported are {', '.join((*plain, *known))}"
        )
    f, a, b = known[key]
    first, second = a if alpha is None else alpha, b if beta is None else beta
    return lambda x: f(x, first, second)


def _activations(c: Call, directions: int, form: Form) -> list[tuple[Activation, ...]]:
    default = form.default
    given = "activations" in c.node.attributes  # RNN has a default for two directions
    names = (c.texts("activations") if given else None) or tuple(default) * directions
    if len(names) != len(default) * directions:
        raise refuse("E0707", f"{len(names)} activations for {directions} directions")
    alphas, betas = (
        list(c.floats("activation_alpha") or ()),
        list(c.floats("activation_beta") or ()),
    )
    takes_alpha = {"leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu", "affine"}
    takes_beta = {"scaledtanh", "hardsigmoid", "affine"}
    out: list[Activation] = []
    for name in names:
        key = name.lower()
        alpha = alphas.pop(0) if key in takes_alpha and alphas else None
        beta = betas.pop(0) if key in takes_beta and betas else None
        out.append(form.own.get(key) or _activation(name, alpha, beta))
    n = len(default)
    return [tuple(out[i * n : i * n + n]) for i in range(directions)]


@dataclass(frozen=True)
class Form:
    """What an operator of this family is: gates, states, default activations, its step; activations
    that it computes in its own way; whether both biases are one number that is added last."""

    gates: int
    states: int
    default: tuple[str, ...]
    step: Callable[[Call], Step]
    own: Mapping[str, Activation] = field(default_factory=dict[str, Activation])
    bias_last: bool = False


def _rule(form: Form) -> Callable[[Call], tuple[Tensor, ...]]:
    def rule(c: Call) -> tuple[Tensor, ...]:
        return recurrent(c, form, c.tensor(1), c.tensor(2), lambda d: (plain, plain))

    return rule


def recurrent(
    c: Call, form: Form, w: Tensor, r: Tensor, products: Callable[[int], tuple[Product, Product]]
) -> tuple[Tensor, ...]:
    """All outputs: every step's, and the last states. `w [D, G, I]`, `r [D, G, H]`; `products`
    gives those of a direction."""
    x, e = c.tensor(0), c.e
    batch_first = c.flag("layout")
    if x.rank != 3 or w.rank != 3 or r.rank != 3:
        raise refuse("E0707", f"{c.op} of {x} with {w} and {r}")
    if batch_first:
        x = e.transpose(x, (1, 0, 2))
    way = c.choice("direction", ("forward", "reverse", "bidirectional"), "forward")
    count = 2 if way == "bidirectional" else 1
    for i, rank in ((3, 2), (4, 1), (5, 3), (6, 3), (7, 2)):
        if c.has(i):
            check_rank(c.tensor(i), rank)
    hidden = r.shape[2]
    w = with_dim(
        with_dim(w, 0, Dim.const(count), "the directions"), 1, hidden * form.gates, "gates"
    )
    r = with_dim(
        with_dim(r, 0, Dim.const(count), "the directions"), 1, hidden * form.gates, "gates"
    )
    x = with_dim(x, 2, w.shape[2], "the inputs of a step")
    lengths = c.optional(4)
    functions = _activations(c, count, form)
    outputs: list[Tensor] = []
    lasts: list[list[Tensor]] = []
    for d in range(count):
        cell = _cell(c, form, d, w, r, functions[d], hidden, products(d))
        initial = [_initial(c, form, k, d, x, hidden, batch_first) for k in range(form.states)]
        reverse = way == "reverse" or d == 1
        y, last = run(cell, form.step(c), x, initial, lengths, reverse=reverse)
        outputs.append(e.reshape(y, (y.shape[0], 1, *y.shape[1:])))
        lasts.append([e.reshape(s, (1, *s.shape)) for s in last])
    y = e.concat(outputs, 1)
    states = [e.concat([lasts[d][k] for d in range(count)], 0) for k in range(form.states)]
    if batch_first:
        y = e.transpose(y, (2, 0, 1, 3))
        states = [e.transpose(s, (1, 0, 2)) for s in states]
    return (y, *states)


def _direction(t: Tensor, d: int) -> Tensor:
    e = t.e
    return e.reshape(e.slice(t, 0, d, 1), t.shape[1:])


def _cell(
    c: Call,
    form: Form,
    d: int,
    w: Tensor,
    r: Tensor,
    f: tuple[Activation, ...],
    hidden: Dim,
    products: tuple[Product, Product],
) -> Cell:
    e, rows = c.e, hidden * form.gates
    wb = rb = bias = None
    if c.has(3):
        b = _direction(c.tensor(3), d)
        wb, rb = e.slice(b, 0, 0, rows), e.slice(b, 0, rows, rows)
        if form.bias_last:
            wb, rb, bias = None, None, wb + rb
    peep = _direction(c.tensor(7), d) if form.states == 2 and c.has(7) else None
    clip = c.float("clip") if c.given("clip") else 0.0
    return Cell(_direction(w, d), _direction(r, d), wb, rb, peep, f, clip, hidden, *products, bias)


def _initial(
    c: Call, form: Form, k: int, d: int, x: Tensor, hidden: Dim, batch_first: bool
) -> Tensor:
    """State k before the first step: input 5 or 6, or zeros."""
    e = c.e
    shape = (x.shape[1], hidden)
    given = c.optional(5 + k)
    if given is None:
        return e.full(0.0, shape, x.element)
    if batch_first:
        given = e.transpose(given, (1, 0, 2))
    s = _direction(given, d)
    return with_dim(with_dim(s, 0, shape[0], "the batch"), 1, hidden, "the hidden size")


def run(
    cell: Cell,
    step: Step,
    x: Tensor,
    initial: Sequence[Tensor],
    lengths: Tensor | None,
    *,
    reverse: bool,
) -> tuple[Tensor, list[Tensor]]:
    """The loop over time: outputs [T, B, H] and the last states [B, H]."""
    e, (steps, batch, _) = x.e, x.shape
    gates = cell.into(x, cell.w)
    if cell.wb is not None:
        gates = gates + cell.wb
    gate_value = e.value(gates)
    ends = None if lengths is None else e.value(numbers.cast(lengths, INT64))
    inits = [e.value(s) for s in initial]
    # What the step reads must be there before the loop, where it is made once.
    for t in (cell.r, cell.rb, cell.bias, cell.peepholes):
        if t is not None:
            e.value(t)
    out = e.value(e.full(0.0, (steps, batch, cell.hidden), x.element))
    lo, hi = e.b.scalar(0, INT64.storage), e.b.dim(steps, INT64.storage)
    types = [lo.tensor, *(v.tensor for v in inits), out.tensor]
    with e.region(types, ["t", *["state"] * len(inits), "y"]) as b:
        i, *states_in, y = b.params
        now = e.tensor(b.emit("index", gate_value, i, in_bounds=True), x.element)
        before = [e.tensor(v, x.element) for v in states_in]
        after = step(cell, now, before)
        shown = after[0]
        if ends is not None:
            length = e.tensor(ends, INT64)
            alive = e.reshape(numbers.compare("lt", e.tensor(i, INT64), length), (batch, ONE))
            after = tuple(alive.choose(a, s) for a, s in zip(after, before, strict=True))
            shown = alive.choose(shown, 0.0)
        new_y = b.emit("insert", y, e.value(shown), i, in_bounds=True)
        body = b.yield_(*(e.value(s) for s in after), new_y)
    *last, ys = e.b.for_(lo, hi, [*inits, out], body, reverse=reverse)
    return e.tensor(ys, x.element), [e.tensor(v, x.element) for v in last]


# -- steps


def _recurrent_part(cell: Cell, h: Tensor, first: int, count: int) -> Tensor:
    """`h R + rb` for the gates `first … first + count - 1`."""
    e = h.e
    at, rows = cell.hidden * first, cell.hidden * count
    y = cell.back(h, e.slice(cell.r, 0, at, rows))
    return y if cell.rb is None else y + e.slice(cell.rb, 0, at, rows)


def _gate(x: Tensor, k: int, hidden: Dim) -> Tensor:
    return x.e.slice(x, 1, hidden * k, hidden)


def _clipped(cell: Cell, x: Tensor) -> Tensor:
    return x.op("max", -cell.clip).op("min", cell.clip) if cell.clip else x


def _rnn_step(c: Call) -> Step:
    def step(cell: Cell, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return (cell.f[0](_clipped(cell, x + _recurrent_part(cell, states[0], 0, 1))),)

    return step


def _gru_step(c: Call) -> Step:
    """Gates z, r, h. Source: ONNX GRU-22."""
    linear = c.flag("linear_before_reset")

    def step(cell: Cell, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        (h,), n = states, cell.hidden
        zr = _recurrent_part(cell, h, 0, 2)
        z = cell.f[0](_clipped(cell, _gate(x, 0, n) + _gate(zr, 0, n)))
        r = cell.f[0](_clipped(cell, _gate(x, 1, n) + _gate(zr, 1, n)))
        if linear:
            inner = r * _recurrent_part(cell, h, 2, 1)
        else:
            inner = _recurrent_part(cell, r * h, 2, 1)
        new = cell.f[1](_clipped(cell, _gate(x, 2, n) + inner))
        return ((1.0 - z) * new + z * h,)

    return step


def _lstm_step(c: Call) -> Step:
    """Gates i, o, f, c. Source: ONNX LSTM-22."""
    coupled = c.flag("input_forget")

    def step(cell: Cell, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        (h, s), n = states, cell.hidden
        g = x + _recurrent_part(cell, h, 0, 4)
        if cell.bias is not None:
            g = g + cell.bias
        i, o, f, new = (_gate(g, k, n) for k in range(4))
        p = cell.peepholes
        if p is not None:
            i = i + s * x.e.slice(p, 0, 0, n)
            f = f + s * x.e.slice(p, 0, n * 2, n)
        i = cell.f[0](_clipped(cell, i))
        f = 1.0 - i if coupled else cell.f[0](_clipped(cell, f))
        s = f * s + i * cell.f[1](_clipped(cell, new))
        if p is not None:
            o = o + s * x.e.slice(p, 0, n, n)
        o = cell.f[0](_clipped(cell, o))
        return o * cell.f[2](s), s

    return step


RNN = Form(1, 1, ("Tanh",), _rnn_step)
GRU = Form(3, 1, ("Sigmoid", "Tanh"), _gru_step)
LSTM = Form(4, 2, ("Sigmoid", "Tanh", "Tanh"), _lstm_step)
QUANTISED_LSTM = replace(LSTM, own={"sigmoid": sigmoid, "tanh": tanh}, bias_last=True)
"""Its states are bytes: a last bit that differs can move a byte, so it is computed as the only
definition, ONNX Runtime's code, computes it."""

OPERATORS: tuple[Operator, ...] = (
    Operator("RNN", (1, 7, 14, 22), _rule(RNN)),
    Operator("GRU", (1, 3, 7, 14, 22), _rule(GRU)),
    Operator("LSTM", (1, 7, 14, 22), _rule(LSTM)),
)
