"""Elementwise functions of floats and integers, for one lane or many, in LLVM text.

`apply(f, "tanh", x)` calls the function for the lanes that `x` has; it is emitted into the module
on first use (`@dlc.tanh.f32x16`). A vector and a scalar of equal elements give equal bits, at
every level of optimisation. Accuracy (largest error seen, in ulp of the format): see `FUNCTIONS`.

Integer names work on `i8` to `i64` lanes. Halves are computed in f32: convert with
`convert.load`/`convert.store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.targets.cpu.kernels.math import (
    exponential,
    floats,
    logarithm,
    power,
    rounding,
    trigonometric,
)
from dlc.targets.cpu.llvm import Builder, Function, Module, Value
from dlc.targets.cpu.llvm.types import is_float, suffix, with_scalar


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A function of lanes. `ulp`: the largest error allowed in f32 and f64 by the tests."""

    emit: Callable[..., Value]
    arity: int = 1
    floats: bool = True
    integers: bool = False
    ulp: tuple[float, float] = (0.0, 0.0)
    inline: str = "hint"
    predicate: bool = False


FUNCTIONS: Mapping[str, Elementwise] = MappingProxyType(
    {
        "exp": Elementwise(exponential.exp, ulp=(1.5, 1.5)),
        "exp2": Elementwise(exponential.exp2, ulp=(1.5, 1.5)),
        "expm1": Elementwise(exponential.expm1, ulp=(2.0, 2.0)),
        "sigmoid": Elementwise(exponential.sigmoid, ulp=(3.0, 3.0)),
        "tanh": Elementwise(exponential.tanh, ulp=(3.0, 3.0)),
        "sinh": Elementwise(exponential.sinh, ulp=(3.0, 3.0)),
        "cosh": Elementwise(exponential.cosh, ulp=(3.0, 3.0)),
        "softplus": Elementwise(exponential.softplus, ulp=(3.0, 3.0)),
        "log": Elementwise(logarithm.log, ulp=(1.5, 1.5)),
        "log1p": Elementwise(logarithm.log1p, ulp=(2.0, 2.0)),
        "asinh": Elementwise(logarithm.asinh, ulp=(4.0, 4.0)),
        "acosh": Elementwise(logarithm.acosh, ulp=(4.0, 4.0)),
        "atanh": Elementwise(logarithm.atanh, ulp=(4.0, 4.0)),
        "sin": Elementwise(trigonometric.sin, ulp=(2.0, 2.0)),
        "cos": Elementwise(trigonometric.cos, ulp=(2.0, 2.0)),
        "tan": Elementwise(trigonometric.tan, ulp=(4.0, 4.0)),
        "asin": Elementwise(trigonometric.asin, ulp=(3.0, 3.0)),
        "acos": Elementwise(trigonometric.acos, ulp=(3.0, 3.0)),
        "atan": Elementwise(trigonometric.atan, ulp=(3.0, 3.0)),
        "atan2": Elementwise(trigonometric.atan2, arity=2, ulp=(3.0, 3.0)),
        "erf": Elementwise(power.erf, ulp=(3.0, 3.0)),
        "sqrt": Elementwise(floats.square_root, ulp=(0.5, 0.5), inline="always"),
        "rsqrt": Elementwise(power.rsqrt, ulp=(1.5, 1.5), inline="always"),
        "pow": Elementwise(power.pow, arity=2, ulp=(1.0, 2.0), inline="never"),
        "round": Elementwise(rounding.round_even, inline="always"),
        "floor": Elementwise(rounding.floor, inline="always"),
        "ceil": Elementwise(rounding.ceil, inline="always"),
        "trunc": Elementwise(rounding.trunc, inline="always"),
        "is_finite": Elementwise(rounding.is_finite, inline="always", predicate=True),
        "abs": Elementwise(rounding.magnitude, integers=True, inline="always"),
        "sign": Elementwise(rounding.sign, integers=True, inline="always"),
        "relu": Elementwise(rounding.relu, integers=True, inline="always"),
        "maximum": Elementwise(rounding.maximum, 2, integers=True, inline="always"),
        "minimum": Elementwise(rounding.minimum, 2, integers=True, inline="always"),
        "umaximum": Elementwise(
            rounding.maximum_unsigned, 2, floats=False, integers=True, inline="always"
        ),
        "uminimum": Elementwise(
            rounding.minimum_unsigned, 2, floats=False, integers=True, inline="always"
        ),
        "floor_div": Elementwise(rounding.float_floor_div, 2),
        "floor_mod": Elementwise(rounding.float_floor_mod, 2),
        "ifloor_div": Elementwise(rounding.integer_floor_div, 2, floats=False, integers=True),
        "ifloor_mod": Elementwise(rounding.integer_floor_mod, 2, floats=False, integers=True),
        "iquotient": Elementwise(rounding.integer_quotient, 2, floats=False, integers=True),
        "iremainder": Elementwise(rounding.integer_remainder, 2, floats=False, integers=True),
        "ipow": Elementwise(rounding.integer_power, 2, floats=False, integers=True, inline="never"),
        "udiv": Elementwise(rounding.unsigned_div, 2, floats=False, integers=True),
        "umod": Elementwise(rounding.unsigned_mod, 2, floats=False, integers=True),
    }
)
"""Every elementwise function by name."""


def elementwise(module: Module, name: str, type_: str) -> Function:
    """The function for operands of the LLVM type `type_` (`float`, `<16 x float>`, `i32`, …).

    Raises: InternalError for an unknown name, or a type that the function has no meaning for.
    """
    entry = FUNCTIONS.get(name)
    if entry is None:
        raise InternalError(f"no elementwise function is called {name}")
    if not (entry.floats if is_float(type_) else entry.integers):
        raise InternalError(f"{name} has no meaning for {type_}")
    symbol = f"dlc.{name}.{suffix(type_)}"
    params = [(type_, p) for p in ("x", "y")[: entry.arity]]
    result = with_scalar(type_, "i1") if entry.predicate else type_

    def emit() -> tuple[Function, str]:
        f = Builder(module, symbol, result, params, inline=entry.inline)
        f.ret(entry.emit(f, *f.params))
        return f.finish()

    return module.function(symbol, emit)


def apply(f: Builder, name: str, *xs: Value) -> Value:
    """Call an elementwise function on values of one type."""
    return f.call(elementwise(f.module, name, xs[0].type), *xs)
