"""Arithmetic, comparisons, logic and conversions, element by element with broadcasting."""

from __future__ import annotations

from collections.abc import Callable

from dlc.importers import numbers
from dlc.importers.broadcasting import common_shape, stretch
from dlc.importers.call import Call, Operator, Rule
from dlc.importers.elements import BOOLEAN, DOUBLE, FLOAT, Element
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE


def add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


def subtract(a: Tensor, b: Tensor) -> Tensor:
    return a - b


def multiply(a: Tensor, b: Tensor) -> Tensor:
    return a * b


def _named(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda a, b: a.op(name, b)


def _unary(name: str) -> Rule:
    def rule(c: Call) -> Tensor:
        return c.tensor(0).op(name)

    return rule


def _binary(f: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """A rule of two operands, with the explicit broadcasting of old operator sets."""

    def rule(c: Call) -> Tensor:
        return f(c.tensor(0), _aligned(c, c.tensor(0), c.tensor(1)))

    return rule


def _aligned(c: Call, a: Tensor, b: Tensor) -> Tensor:
    """Before operator set 7 the second operand is stretched only if `broadcast` says so, and may be
    placed at an `axis`."""
    if c.version >= 7 or "broadcast" not in c.attributes:
        return b
    if not c.flag("broadcast"):
        return b
    if not c.given("axis"):
        return b
    axis = c.axis(a.rank)
    after = a.rank - axis - b.rank
    if after < 0:
        raise refuse("E0707", f"{b} does not fit into {a} at axis {axis}")
    return c.e.reshape(b, (*b.shape, *[1] * after))


def _variadic(f: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    def rule(c: Call) -> Tensor:
        first, *rest = c.tensors()
        for x in rest:
            first = f(first, x)
        return first

    return rule


def _larger(a: Tensor, b: Tensor) -> Tensor:
    return numbers.extreme("max", a, b)


def _smaller(a: Tensor, b: Tensor) -> Tensor:
    return numbers.extreme("min", a, b)


def _mean(c: Call) -> Tensor:
    xs = c.tensors()
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total if len(xs) == 1 else total / float(len(xs))


def _compare(name: str) -> Rule:
    return _binary(lambda a, b: numbers.compare(name, a, b))


def _abs(c: Call) -> Tensor:
    return numbers.absolute(c.tensor(0))


def _sign(c: Call) -> Tensor:
    x = c.tensor(0)
    if x.element.unsigned and not x.element.is_native:
        return c.e.convert(x.op("ne", 0), x.element)
    return x.op("sign")


def _relu(c: Call) -> Tensor:
    x = c.tensor(0)
    return x if x.element.unsigned else x.op("relu")


def _reciprocal(c: Call) -> Tensor:
    return 1.0 / c.tensor(0)


def _pow(c: Call) -> Tensor:
    x, y = c.tensor(0), _aligned(c, c.tensor(0), c.tensor(1))
    n = None if y.known is None or y.known.size != 1 else float(y.known.reshape(-1)[0])
    if n == 2.0 and y.rank <= x.rank:
        return x * x
    if n == 0.5 and x.element.is_float and y.rank <= x.rank:
        return x.op("sqrt")
    if n == 3.0 and y.rank <= x.rank:
        return x * x * x
    if x.element.is_int and y.element.is_float:
        wide = DOUBLE if y.element is DOUBLE or x.element.bits > 16 else FLOAT
        z = numbers.cast(x, wide).op("pow", numbers.cast(y, wide))
        return numbers.cast(z, x.element)
    return x.op("pow", numbers.cast(y, x.element))


def _mod(c: Call) -> Tensor:
    x, y = c.tensor(0), c.tensor(1)
    like_c = c.flag("fmod")
    if x.element.is_float and not like_c and c.version < 28:
        raise refuse("E0707", "Mod of floats needs fmod=1")
    return numbers.modulo(x, y, like_c=like_c)


def _bit_shift(c: Call) -> Tensor:
    x, y = c.tensor(0), c.tensor(1)
    bits = x.element.bits
    right = c.choice("direction", ("LEFT", "RIGHT")) == "RIGHT"
    shifted = numbers.shift_right(x, y) if right else x.op("shl", y)
    known = y.known
    if known is not None and (not known.size or ((known >= 0).all() and int(known.max()) < bits)):
        return shifted
    # A shift of the whole width or more, or a negative one, leaves nothing; the IR's are modulo
    # the width.
    far = numbers.compare("ge", y, y.like(bits))
    if not y.element.unsigned:
        far = far.op("or", y < 0)
    filled = x.like(0)
    if right and not x.element.unsigned:
        filled = x.op("shr", bits - 1)
    return far.choose(filled, shifted)


def _where(c: Call) -> Tensor:
    return numbers.truth(c.tensor(0)).choose(c.tensor(1), c.tensor(2))


def _not(c: Call) -> Tensor:
    return numbers.truth(c.tensor(0)).op("not")


def _cast(c: Call) -> Tensor:
    if c.version < 6:
        from dlc.importers.elements import BY_NAME

        name = c.text("to").lower()
        if name not in BY_NAME:
            raise refuse("E0710", f"the type {name!r} is not supported")
        return _to(c, BY_NAME[name])
    return _to(c, c.element("to"))


def _to(c: Call, element: Element) -> Tensor:
    x = c.tensor(0)
    mode = c.choice("round_mode", ("", "up", "down", "nearest"), "") or "up"
    return numbers.cast(x, element, saturate=c.int("saturate", 1) != 0, mode=mode)


def _cast_like(c: Call) -> Tensor:
    return _to(c, c.tensor(1).element)


def _bit_cast(c: Call) -> Tensor:
    x, to = c.tensor(0), c.element("to")
    if x.element.bits != to.bits and not (x.element.is_bool or to.is_bool):
        raise refuse("E0707", f"{x.element} and {to} differ in width")
    if x.element.is_bool or to.is_bool:
        if {x.element.bits, to.bits} - {1, 8}:
            raise refuse("E0707", f"{x.element} and {to} differ in width")
        return c.e.convert(x, to) if x.element.is_bool else x.op("ne", 0)
    if x.element.mini is not None or to.mini is not None or to.bits < 8:
        if x.element.bits < 8 and x.element.mini is None and to.mini is None:
            return numbers.cast(x, to)
        raise c.refused(f"BitCast of {x.element} to {to}")
    if x.element.storage == to.storage:
        return c.e.convert(x, to)
    return c.e.emit("bitcast", x, element=to, dtype=to.storage)


def _is_inf(c: Call) -> Tensor:
    x = c.tensor(0)
    up, down = c.int("detect_positive", 1) != 0, c.int("detect_negative", 1) != 0
    inf = x.op("is_inf")
    if up and down:
        return inf
    if not up and not down:
        return c.e.full(False, x.shape, BOOLEAN)
    return inf.op("and", x > 0.0 if up else x < 0.0)


def _clip(c: Call) -> Tensor:
    x = c.tensor(0)
    if c.version < 11:
        low, high = c.float("min", -3.4028234663852886e38), c.float("max", 3.4028234663852886e38)
        bounds = (
            x.like(low) if low > -3.4e38 else None,
            x.like(high) if high < 3.4e38 else None,
        )
    else:
        bounds = (c.optional(1), c.optional(2))
    for bound, name in zip(bounds, ("max", "min"), strict=True):
        if bound is not None:
            if bound.rank:
                bound = c.e.reshape(bound, ())
            x = numbers.extreme(name, x, bound)
    return x


def _dropout(c: Call) -> tuple[Tensor, ...] | Tensor:
    x = c.tensor(0)
    if c.version >= 12:
        training = c.optional(2)
        if training is not None and (training.known is None or bool(training.known.any())):
            ratio = c.optional(1)
            if ratio is None or ratio.known is None or bool(ratio.known.any()):
                raise c.refused("Dropout in training mode draws random numbers")
    elif c.version < 7 and not c.flag("is_test"):
        pass  # trained already: exporters of that time left the flag out
    if not c.wants(1):
        return x
    return x, c.e.full(True, x.shape, BOOLEAN)


def _identity(c: Call):  # type: ignore[no-untyped-def]
    return c.inputs[0]


def _prelu(c: Call) -> Tensor:
    x, slope = c.tensor(0), c.tensor(1)
    if c.version < 7 and slope.rank == 1 and x.rank > 1 and slope.shape[0] != ONE:
        slope = c.e.reshape(slope, (slope.shape[0], *[1] * (x.rank - 2)))
    common_shape(c.e, [x.shape, slope.shape])
    slope = stretch(slope, x.shape)
    return (x < 0).choose(slope * x, x)


OPERATORS: tuple[Operator, ...] = (
    *(Operator(n, v, _unary(f)) for n, v, f in (
        ("Ceil", (1, 6, 13), "ceil"), ("Floor", (1, 6, 13), "floor"), ("Exp", (1, 6, 13), "exp"),
        ("Log", (1, 6, 13), "log"), ("Neg", (1, 6, 13), "neg"), ("Sqrt", (1, 6, 13), "sqrt"),
        ("Tanh", (1, 6, 13), "tanh"), ("Sigmoid", (1, 6, 13), "sigmoid"), ("Erf", (9, 13), "erf"),
        ("Sin", (7, 22), "sin"), ("Cos", (7, 22), "cos"), ("Tan", (7, 22), "tan"),
        ("Asin", (7, 22), "asin"), ("Acos", (7, 22), "acos"), ("Atan", (7, 22), "atan"),
        ("Sinh", (9, 22), "sinh"), ("Cosh", (9, 22), "cosh"), ("Asinh", (9, 22), "asinh"),
        ("Acosh", (9, 22), "acosh"), ("Atanh", (9, 22), "atanh"), ("Round", (11, 22), "round"),
        ("IsNaN", (9, 13, 20), "is_nan"), ("BitwiseNot", (18,), "not"),
    )),
    *(Operator(n, v, _binary(f)) for n, v, f in (
        ("Add", (1, 6, 7, 13, 14), add),
        ("Sub", (1, 6, 7, 13, 14), subtract),
        ("Mul", (1, 6, 7, 13, 14), multiply),
        ("Div", (1, 6, 7, 13, 14), numbers.divide),
        ("And", (1, 7), _named("and")),
        ("Or", (1, 7), _named("or")),
        ("Xor", (1, 7), _named("xor")),
        ("BitwiseAnd", (18,), _named("and")),
        ("BitwiseOr", (18,), _named("or")),
        ("BitwiseXor", (18,), _named("xor")),
    )),
    *(Operator(n, v, _compare(f)) for n, v, f in (
        ("Equal", (1, 7, 11, 13, 19), "eq"), ("Greater", (1, 7, 9, 13), "gt"),
        ("Less", (1, 7, 9, 13), "lt"), ("GreaterOrEqual", (12, 16), "ge"),
        ("LessOrEqual", (12, 16), "le"),
    )),
    Operator("Max", (1, 6, 8, 12, 13), _variadic(_larger)),
    Operator("Min", (1, 6, 8, 12, 13), _variadic(_smaller)),
    Operator("Sum", (1, 6, 8, 13), _variadic(add)),
    Operator("Mean", (1, 6, 8, 13), _mean),
    Operator("Abs", (1, 6, 13), _abs),
    Operator("Sign", (9, 13), _sign),
    Operator("Relu", (1, 6, 13, 14), _relu),
    Operator("Reciprocal", (1, 6, 13), _reciprocal),
    Operator("Pow", (1, 7, 12, 13, 15), _pow),
    Operator("Mod", (10, 13, 28), _mod),
    Operator("BitShift", (11, 28), _bit_shift),
    Operator("Where", (9, 16), _where),
    Operator("Not", (1,), _not),
    Operator("Cast", (1, 6, 9, 13, 19, 21, 23, 24, 25, 28), _cast),
    Operator("CastLike", (15, 19, 21, 23, 24, 25), _cast_like),
    Operator("BitCast", (26,), _bit_cast),
    Operator("IsInf", (10, 20), _is_inf),
    Operator("Clip", (1, 6, 11, 12, 13), _clip),
    Operator("Dropout", (1, 6, 7, 10, 12, 13, 22), _dropout),
    Operator("Identity", (1, 13, 14, 16, 19, 21, 23, 24, 25), _identity),
    Operator("PRelu", (1, 6, 7, 9, 16), _prelu),
)  # fmt: skip
