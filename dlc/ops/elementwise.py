"""Element-wise operations.

A table: name, equation, what it takes, numpy, derivative.

All operands have one shape (broadcasting is the operation `broadcast`), and so has the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dlc.ir.core import Op, Value
from dlc.ops import numeric
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    Rows,
    Run,
    RunError,
    Site,
    Trait,
)
from dlc.ops.numeric import np
from dlc.ops.term import Term
from dlc.typesys.dtypes import BOOL, DType
from dlc.typesys.types import TensorType, Type

Takes = Callable[[DType], bool]
Unary = Callable[[Term, Term, Term], Term]
"""`(x, y, d) -> cotangent of x`; `y` is the result, `d` its cotangent."""
Binary = Callable[[Term, Term, Term, Term], Term]
"""`(a, b, y, d) -> cotangent` of one operand."""
Derivatives = tuple[Callable[..., Term] | None, ...]


def _floats(d: DType) -> bool:
    return d.is_float


def _numbers(d: DType) -> bool:
    return d.is_number


def _ints(d: DType) -> bool:
    return d.is_int


def _bits(d: DType) -> bool:
    return d.is_int or d.is_bool


def _any(d: DType) -> bool:
    return True


_WORDS: dict[Takes, str] = {
    _floats: "floats", _numbers: "numbers", _ints: "whole numbers", _bits: "bools or whole numbers",
    _any: "anything",
}  # fmt: skip


_KEEPS_ZEROS = {
    **dict.fromkeys(
        "expm1 log1p sqrt sin tan tanh erf asin atan sinh asinh atanh floor ceil round trunc neg"
        " abs sign relu div floordiv mod".split(), (0,)),
    "mul": (0, 1), "and": (0, 1), "shl": (0,), "shr": (0,), "shr_logical": (0,),
}  # fmt: skip


def one_shape(site: Site, count: int, first: int = 0) -> TensorType:
    """The common type's shape of operands `first…`; all must be tensors of one shape."""
    t = site.tensor(first)
    for i in range(first + 1, count):
        if site.tensor(i).shape != t.shape:
            raise CardError(
                f"`{site.name}` needs operands of one shape, not {t} and {site.tensor(i)}"
            )
    return t


class Elementwise(Card):
    """One row of the table."""

    traits = frozenset({Trait.ELEMENTWISE})

    def __init__(
        self,
        name: str,
        operands: tuple[str, ...],
        equation: str,
        takes: Takes,
        compute: Callable[..., Any],
        derivatives: Derivatives = (),
        *,
        to_bool: bool = False,
        divides: bool = False,
    ) -> None:
        self.name, self.operands = name, operands
        self._equation, self._takes, self._compute = equation, takes, compute
        self._derivatives = derivatives
        self._to_bool, self._divides = to_bool, divides
        if divides:
            self.attributes = ("in_bounds?",)
        self.keeps_zeros = _KEEPS_ZEROS.get(name, ())
        if not any(derivatives):
            self.derivative = "zero"

    @property
    def equation(self) -> str:
        return self._equation

    @property
    def takes(self) -> str:
        """The element types it is defined for, in words."""
        return _WORDS[self._takes]

    def accepts(self, d: DType) -> bool:
        return self._takes(d)

    def infer(self, site: Site) -> tuple[Type, ...]:
        t = one_shape(site, len(self.operands))
        for i in range(len(self.operands)):
            if site.tensor(i).dtype != t.dtype:
                raise CardError(f"`{self.name}` of {t.dtype} and {site.tensor(i).dtype}")
        if not self._takes(t.dtype):
            raise CardError(f"`{self.name}` takes {self.takes}, not {t.dtype}")
        return (t.with_dtype(BOOL) if self._to_bool else t,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        if self._divides and args[1].dtype.kind in "iu" and not np.all(args[1]):
            raise RunError("div_zero", "division by zero")
        y = np.asarray(self._compute(*(numeric.widen(a) for a in args)))
        return (numeric.finish(y, run.op.results[0].tensor.dtype)[()],)

    def specialise(self, op: Op) -> Callable[..., tuple[Any, ...]] | None:
        to, taken = op.result.tensor.dtype, op.operands[0].tensor.dtype
        if self._divides or (taken.is_float and taken.bits == 16):
            return None
        compute, want = self._compute, to.numpy

        def evaluate(*xs: Any) -> tuple[Any, ...]:
            y = compute(*xs)
            return (y,) if y.dtype == want else (numeric.finish(y, to)[()],)

        return evaluate

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,) = d
        if dy is None:
            return
        dt, y = Term(g, dy), Term(g, op.result)
        xs = [Term(g, x) for x in op.operands]
        for x, rule in zip(op.operands, self._derivatives, strict=False):
            if rule is not None:
                g.add(x, lambda rule=rule: rule(*xs, y, dt).v)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        return (Rows(b.emit(self.name, *(b.full(x) for x in xs), **op.attrs)),)

    def may_fail(self, op: Op) -> bool:
        return (
            self._divides and op.operands[0].tensor.dtype.is_int and not op.attr_flag("in_bounds")
        )


def _unary(
    name: str, equation: str, takes: Takes, compute: Callable[..., Any],
    derivative: Unary | None = None, *, to_bool: bool = False,
) -> Elementwise:  # fmt: skip
    return Elementwise(name, ("x",), equation, takes, compute, (derivative,), to_bool=to_bool)


def _binary(
    name: str, equation: str, takes: Takes, compute: Callable[..., Any],
    da: Binary | None = None, db: Binary | None = None, *, divides: bool = False,
) -> Elementwise:  # fmt: skip
    return Elementwise(name, ("a", "b"), equation, takes, compute, (da, db), divides=divides)


def _compare(name: str, equation: str, takes: Takes, ufunc: str) -> Elementwise:
    return Elementwise(name, ("a", "b"), equation, takes, numeric.decided(ufunc), to_bool=True)


def _d_pow_base(a: Term, b: Term, y: Term, d: Term) -> Term:
    """`d * b * a ** (b - 1)`; where b is 0 it is `d * b / a`, which is 0 for a = 0 as well. No
    branch has an infinite slope where it is not taken, so derivatives of this one are finite."""
    zero = b.equals(0)
    other = d * b * a.op("pow", zero.choose(1.0, b) - 1)
    return zero.choose(d * zero.choose(b, 0.0) / a.equals(0).choose(1.0, a), other)


def _d_pow_exponent(a: Term, b: Term, y: Term, d: Term) -> Term:
    """`d * a ** b * log(a)`, and 0 where a is 0."""
    return d * y * a.equals(0).choose(1.0, a).op("log")


_TWO_BY_ROOT_PI = 2 / math.sqrt(math.pi)

FLOAT_UNARY = (
    _unary("exp", "`y = e ** x`", _floats, np.exp, lambda x, y, d: d * y),
    _unary("log", "`y = ln x`; -inf at 0, NaN below", _floats, np.log, lambda x, y, d: d / x),
    _unary("log1p", "`y = ln(1 + x)`", _floats, np.log1p, lambda x, y, d: d / (1 + x)),
    _unary("expm1", "`y = e ** x - 1`", _floats, np.expm1, lambda x, y, d: d * (y + 1)),
    _unary("sqrt", "`y = x ** 0.5`; NaN below 0", _floats, np.sqrt, lambda x, y, d: d * 0.5 / y),
    _unary("rsqrt", "`y = x ** -0.5`", _floats, numeric.rsqrt,
           lambda x, y, d: d * -0.5 * y / x),
    _unary("sin", "`y = sin x`", _floats, np.sin, lambda x, y, d: d * x.op("cos")),
    _unary("cos", "`y = cos x`", _floats, np.cos, lambda x, y, d: -(d * x.op("sin"))),
    _unary("tan", "`y = sin x / cos x`", _floats, np.tan, lambda x, y, d: d * (1 + y * y)),
    _unary("tanh", "`y = (e**x - e**-x) / (e**x + e**-x)`", _floats, np.tanh,
           lambda x, y, d: d * (1 - y * y)),
    _unary("sigmoid", "`y = 1 / (1 + e ** -x)`", _floats, numeric.sigmoid,
           lambda x, y, d: d * y * (1 - y)),
    _unary("erf", "`y = 2/sqrt(pi) * integral of e ** -(t*t) from 0 to x`", _floats, numeric.erf,
           lambda x, y, d: d * _TWO_BY_ROOT_PI * (-(x * x)).op("exp")),
    _unary("asin", "`sin y = x`, y in [-pi/2, pi/2]", _floats, np.arcsin,
           lambda x, y, d: d * (1 - x * x).op("rsqrt")),
    _unary("acos", "`cos y = x`, y in [0, pi]", _floats, np.arccos,
           lambda x, y, d: -(d * (1 - x * x).op("rsqrt"))),
    _unary("atan", "`tan y = x`, y in (-pi/2, pi/2)", _floats, np.arctan,
           lambda x, y, d: d / (1 + x * x)),
    _unary("sinh", "`y = (e**x - e**-x) / 2`", _floats, np.sinh, lambda x, y, d: d * x.op("cosh")),
    _unary("cosh", "`y = (e**x + e**-x) / 2`", _floats, np.cosh, lambda x, y, d: d * x.op("sinh")),
    _unary("asinh", "`y = ln(x + sqrt(x*x + 1))`", _floats, np.arcsinh,
           lambda x, y, d: d * (x * x + 1).op("rsqrt")),
    _unary("acosh", "`y = ln(x + sqrt(x*x - 1))`; NaN below 1", _floats, np.arccosh,
           lambda x, y, d: d * ((x - 1) * (x + 1)).op("rsqrt")),
    _unary("atanh", "`y = ln((1 + x) / (1 - x)) / 2`", _floats, np.arctanh,
           lambda x, y, d: d / (1 - x * x)),
    _unary("floor", "the largest whole number <= x; derivative 0", _floats,
           numeric.rounded("floor")),
    _unary("ceil", "the smallest whole number >= x; derivative 0", _floats,
           numeric.rounded("ceil")),
    _unary("round", "the nearest whole number, halves to even; derivative 0", _floats,
           numeric.rounded("rint")),
    _unary("trunc", "x without its fraction; derivative 0", _floats, numeric.rounded("trunc")),
    _unary("is_finite", "true unless x is infinite or NaN", _floats, numeric.decided("isfinite"),
           to_bool=True),
    _unary("is_nan", "true if x is NaN", _floats, numeric.decided("isnan"), to_bool=True),
    _unary("is_inf", "true if x is infinite", _floats, numeric.decided("isinf"), to_bool=True),
)  # fmt: skip

NUMBER_UNARY = (
    _unary("neg", "`y = -x`; integers wrap", _numbers, np.negative, lambda x, y, d: -d),
    _unary("abs", "`y = |x|`; the lowest integer stays; derivative `sign(x)`", _numbers,
           numeric.absolute, lambda x, y, d: d * x.op("sign")),
    _unary("sign", "-1, 0 or 1 as x is negative, zero or positive; NaN stays; derivative 0",
           _numbers, numeric.rounded("sign")),
    _unary("relu", "x if it is positive or NaN, else 0; derivative at 0 is 0", _numbers,
           numeric.relu, lambda x, y, d: (x > 0).choose(d, 0)),
    _unary("not", "logical on bools, every bit on integers", _bits, np.invert),
)  # fmt: skip

BINARY = (
    _binary("add", "`y = a + b`; integers wrap", _numbers, np.add,
            lambda a, b, y, d: d, lambda a, b, y, d: d),
    _binary("sub", "`y = a - b`; integers wrap", _numbers, np.subtract,
            lambda a, b, y, d: d, lambda a, b, y, d: -d),
    _binary("mul", "`y = a * b`; integers wrap", _numbers, np.multiply,
            lambda a, b, y, d: d * b, lambda a, b, y, d: d * a),
    _binary("div", "`y = a / b` as IEEE says", _floats, np.true_divide,
            lambda a, b, y, d: d / b, lambda a, b, y, d: -(d * y / b)),
    _binary("max", "the larger, NaN if either is; ties give the cotangent to a", _numbers,
            numeric.maximum,
            lambda a, b, y, d: (a < b).choose(0, d), lambda a, b, y, d: (a < b).choose(d, 0)),
    _binary("min", "the smaller, NaN if either is; ties give the cotangent to a", _numbers,
            numeric.minimum,
            lambda a, b, y, d: (b < a).choose(0, d), lambda a, b, y, d: (b < a).choose(d, 0)),
    _binary("pow", "`y = a ** b`; for integers the product of b factors, 1 if b <= 0; wraps",
            _numbers, numeric.power, _d_pow_base, _d_pow_exponent),
    _binary("atan2", "the angle of the point (x=b, y=a), in (-pi, pi]", _floats, numeric.atan2,
            lambda a, b, y, d: d * b / (a * a + b * b),
            lambda a, b, y, d: -(d * a / (a * a + b * b))),
    _binary("and", "logical on bools, every bit on integers", _bits, np.bitwise_and),
    _binary("or", "logical on bools, every bit on integers", _bits, np.bitwise_or),
    _binary("xor", "logical on bools, every bit on integers", _bits, np.bitwise_xor),
    _binary("shl", "`y = a * 2 ** n`, n = b modulo the width; wraps", _ints, numeric.shift_left),
    _binary("shr", "`y = floor(a / 2 ** n)`, n = b modulo the width", _ints, numeric.shift_right),
    _binary("shr_logical", "the bits of a moved down by b modulo the width, zeros above", _ints,
            numeric.shift_right_logical),
    _binary("floordiv", "`y = floor(a / b)`; integer division by 0 fails; derivative 0", _numbers,
            numeric.floor_divide, divides=True),
    _binary("mod", "`y = a - b * floor(a / b)`, the sign of b; integer division by 0 fails",
            _numbers, numeric.modulo,
            lambda a, b, y, d: d, lambda a, b, y, d: -(d * a.op("floordiv", b)), divides=True),
)  # fmt: skip

COMPARISONS = (
    _compare("eq", "`a == b`; false for NaN", _any, "equal"),
    _compare("ne", "`a != b`; true for NaN", _any, "not_equal"),
    _compare("lt", "`a < b`; false for NaN", _numbers, "less"),
    _compare("le", "`a <= b`; false for NaN", _numbers, "less_equal"),
    _compare("gt", "`a > b`; false for NaN", _numbers, "greater"),
    _compare("ge", "`a >= b`; false for NaN", _numbers, "greater_equal"),
)


class Select(Card):
    """`y = a where c is true, else b`. The side not chosen contributes nothing, NaN or not."""

    name, operands = "select", ("c", "a", "b")
    traits = frozenset({Trait.ELEMENTWISE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        t = site.tensor(1)
        if site.tensor(0) != t.with_dtype(BOOL) or site.tensor(2) != t:
            raise CardError(
                f"`select` needs bools and two equal types of one shape, not "
                f"{', '.join(map(str, site.operands))}"
            )
        return (t,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        c, a, b = args
        return (numeric.where(c, a, b),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,) = d
        if dy is None:
            return
        c, dt = Term(g, op.operands[0]), Term(g, dy)
        g.add(op.operands[1], lambda: c.choose(dt, 0).v)
        g.add(op.operands[2], lambda: c.choose(0, dt).v)

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        return (Rows(b.emit("select", *(b.full(x) for x in xs))),)


class Convert(Card):
    """`y = x` as another element type: to integers rounds to zero, saturates and takes NaN to 0;
    integers to integers wrap; to bool is `x != 0`; to f16 and bf16 goes through f32, to nearest
    even."""

    name, operands, attributes = "convert", ("x",), ("dtype",)
    traits = frozenset({Trait.ELEMENTWISE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        return (site.tensor(0).with_dtype(site.attr_dtype("dtype")),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        return (numeric.convert(args[0], run.op.results[0].tensor.dtype),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (x,) = d, op.operands
        if dy is not None and op.result.tensor.dtype.is_float and x.tensor.dtype.is_float:
            g.add(x, lambda: g.emit("convert", dy, dtype=x.tensor.dtype))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        return (Rows(b.emit("convert", xs[0].value, **op.attrs)),)


class Bitcast(Card):
    """The same bits read as another element type of the same width; no derivative."""

    name, operands, attributes = "bitcast", ("x",), ("dtype",)
    derivative = "zero"
    traits = frozenset({Trait.ELEMENTWISE})

    def infer(self, site: Site) -> tuple[Type, ...]:
        t, to = site.tensor(0), site.attr_dtype("dtype")
        if to.bits != t.dtype.bits or to.is_bool or t.dtype.is_bool:
            raise CardError(f"`bitcast` of {t.dtype} to {to}: widths differ or a bool is involved")
        return (t.with_dtype(to),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        x = numeric.real(args[0])
        x = np.array(x, dtype=run.op.operands[0].tensor.dtype.numpy, order="C")
        return (x.view(run.op.result.tensor.dtype.numpy)[()],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        return (Rows(b.emit("bitcast", xs[0].value, **op.attrs)),)


class StopGrad(Card):
    """`y = x`, a constant to differentiation. Any type."""

    name, operands = "stop_grad", ("x",)
    derivative = "zero"
    traits = frozenset({Trait.VIEW})

    def infer(self, site: Site) -> tuple[Type, ...]:
        (t,) = site.operands
        return (t,)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        # In complex-step mode a stopped value is real: the step measures what is not stopped.
        return (numeric.without_step(args[0]),)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        return (Rows(b.emit("stop_grad", xs[0].value)),)


CARDS: tuple[Card, ...] = (
    *FLOAT_UNARY, *NUMBER_UNARY, *BINARY, *COMPARISONS,
    Select(), Convert(), Bitcast(), StopGrad(),
)  # fmt: skip
