"""Laws of instructions in numpy. The scalar core."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.laws.isa_lab import Case
from tests.laws.isa_numpy import (
    ODD,
    Expected,
    Law,
    Rng,
    law,
)


def wrap(x: int) -> int:
    return (x + (1 << 63)) % (1 << 64) - (1 << 63)


def f32(x: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(x))


INTEGERS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a // b,
    "rem": lambda a, b: a % b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << (b & 63),
    "sra": lambda a, b: a >> (b & 63),
    "srl": lambda a, b: (a % (1 << 64)) >> (b & 63),
    "slt": lambda a, b: int(a < b),
    "seq": lambda a, b: int(a == b),
}
REALS: dict[str, Callable[[float, float], float]] = {
    "fadd": lambda a, b: a + b,
    "fsub": lambda a, b: a - b,
    "fmul": lambda a, b: a * b,
    "fdiv": lambda a, b: float(np.float64(a) / b),
    "fmax": lambda a, b: float(np.maximum(a, b)),
    "fmin": lambda a, b: float(np.minimum(a, b)),
    "fpow": lambda a, b: float(np.power(np.float64(a), b)),
}
TESTS: dict[str, Callable[[float, float], bool]] = {
    "flt": lambda a, b: a < b,
    "feq": lambda a, b: a == b,
    "fle": lambda a, b: a <= b,
}


def _pair(mnemonic: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a, b = (
            int(rng.choice(np.array([0, 1, -1, 7, -7, 63, 64, 1 << 40, -(1 << 63), (1 << 63) - 1])))
            for _ in range(2)
        )
        if mnemonic in ("div", "rem") and b in (0, -1):
            b = 3
        return Case(mnemonic, integers={"a": a, "b": b}), Expected(
            integers={"d": wrap(INTEGERS[mnemonic](a, b))}
        )

    return made


def _reals(mnemonic: str) -> Law:
    def made(rng: Rng) -> tuple[Case, Expected]:
        a, b = (f32(rng.choice(ODD)) for _ in range(2))
        with np.errstate(all="ignore"):
            if mnemonic in TESTS:
                return Case(mnemonic, floats={"a": a, "b": b}), Expected(
                    integers={"d": int(TESTS[mnemonic](a, b))}
                )
            expected = f32(REALS[mnemonic](a, b))
        return Case(mnemonic, floats={"a": a, "b": b}), Expected(
            reals={"d": expected}, exact=mnemonic != "fpow"
        )

    return made


for _name in INTEGERS:
    for _ in range(6):
        law(_name)(_pair(_name))
for _name in (*REALS, *TESTS):
    for _ in range(6):
        law(_name)(_reals(_name))


@law("li")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("li", immediates={"v": -5}), Expected(integers={"d": -5})


@law("addi")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("addi", integers={"a": (1 << 63) - 1}, immediates={"v": 2}), Expected(
        integers={"d": -(1 << 63) + 1}
    )


@law("lih")
def _(rng: Rng) -> tuple[Case, Expected]:
    case = Case("lih", integers={"a": -2}, immediates={"v": -1})
    return case, Expected(integers={"d": -2})


@law("fli")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("fli", immediates={"v": 0x3DCCCCCD}), Expected(reals={"d": f32(0.1)}, exact=True)


@law("i2f")
def _(rng: Rng) -> tuple[Case, Expected]:
    value = int(
        rng.choice(
            np.array(
                [0, -1, (1 << 24) + 1, (1 << 53) + (1 << 29), -(1 << 63), (1 << 62) + (1 << 38) + 1]
            )
        )
    )
    return Case("i2f", integers={"a": value}), Expected(
        reals={"d": float(np.array(value).astype(np.float32))}, exact=True
    )


@law("f2i")
def _(rng: Rng) -> tuple[Case, Expected]:
    pairs = (
        (2.9, 2),
        (-2.9, -2),
        (math.nan, 0),
        (math.inf, (1 << 63) - 1),
        (-math.inf, -(1 << 63)),
        (-0.5, 0),
    )
    value, expected = pairs[int(rng.integers(len(pairs)))]
    return Case("f2i", floats={"a": value}), Expected(integers={"d": expected})


@law("fbits")
def _(rng: Rng) -> tuple[Case, Expected]:
    value = float(rng.choice(ODD))
    bits = 0x7FC00000 if math.isnan(value) else int(np.float32(value).view(np.uint32))
    return Case("fbits", floats={"a": value}), Expected(integers={"d": bits})


@law("bitsf")
def _(rng: Rng) -> tuple[Case, Expected]:
    return Case("bitsf", integers={"a": -1 << 32 | 0x40490FDB}), Expected(
        reals={"d": f32(math.pi)}, exact=True
    )
