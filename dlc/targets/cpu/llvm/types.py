"""How an element type looks in LLVM text: in memory, in a register, and as a constant."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

INDEX = "i64"
"""The type of every size, stride and index in generated code, on every target."""


class Value(NamedTuple):
    """An operand: its LLVM type and its text (`%12`, `@name`, a constant). Prints as `type
    text`."""

    type: str
    text: str

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


@dataclass(frozen=True, slots=True)
class Element:
    """An element type: `memory` is what a load gives, `register` what arithmetic works on.

    f16 and bf16 lie in memory as `i16` and are computed in `float` (no target is asked for a half
    type, so none answers with a library call); a bool lies in memory as a byte 0 or 1.
    """

    name: str
    kind: Literal["float", "int", "bool"]
    bytes: int
    memory: str
    register: str
    signed: bool = True

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_half(self) -> bool:
        """Stored in 16 bits, computed in f32."""
        return self.kind == "float" and self.bytes == 2


ELEMENTS = MappingProxyType(
    {
        e.name: e
        for e in (
            Element("f64", "float", 8, "double", "double"),
            Element("f32", "float", 4, "float", "float"),
            Element("f16", "float", 2, "i16", "float"),
            Element("bf16", "float", 2, "i16", "float"),
            Element("i64", "int", 8, "i64", "i64"),
            Element("i32", "int", 4, "i32", "i32"),
            Element("i16", "int", 2, "i16", "i16"),
            Element("i8", "int", 1, "i8", "i8"),
            Element("u8", "int", 1, "i8", "i8", signed=False),
            Element("bool", "bool", 1, "i8", "i1", signed=False),
        )
    }
)

BITS = MappingProxyType(
    {"float": 32, "double": 64, "i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "i128": 128}
)


def vector(scalar: str, lanes: int) -> str:
    """`<lanes x scalar>`; the scalar itself for one lane, so that one template serves both."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def lanes_of(type_: str) -> int:
    """Lanes of a vector type, 1 for a scalar."""
    return int(type_[1 : type_.index(" ")]) if type_[0] == "<" else 1


def scalar_of(type_: str) -> str:
    """The element type of a vector type, the type itself for a scalar."""
    return type_[type_.index(" x ") + 3 : -1] if type_[0] == "<" else type_


def with_scalar(type_: str, scalar: str) -> str:
    """`type_` with another element type and the same lanes."""
    return vector(scalar, lanes_of(type_))


def is_float(type_: str) -> bool:
    return scalar_of(type_) in ("float", "double")


def int_of(type_: str) -> str:
    """The integer type of the same width and lanes."""
    return with_scalar(type_, f"i{BITS[scalar_of(type_)]}")


def suffix(type_: str) -> str:
    """The mangled form that an intrinsic's name carries: `v16f32`, `i64`, `p0`."""
    scalar = scalar_of(type_)
    short = {"float": "f32", "double": "f64", "ptr": "p0"}.get(scalar, scalar)
    lanes = lanes_of(type_)
    return short if lanes == 1 else f"v{lanes}{short}"


def float_bits(x: float, scalar: str) -> int:
    """The bits of `x` rounded to `float` or `double`."""
    if scalar == "double":
        return int(struct.unpack("<Q", struct.pack("<d", x))[0])
    try:
        return int(struct.unpack("<I", struct.pack("<f", x))[0])
    except OverflowError:
        return 0xFF800000 if x < 0 else 0x7F800000


def literal(scalar: str, x: float | int | bool) -> str:
    """The text of a scalar constant; a float is rounded to the type first, and printed as its
    bits."""
    if scalar == "double":
        return f"0x{float_bits(x, scalar):016X}"
    if scalar == "float":
        single = struct.unpack("<f", struct.pack("<I", float_bits(x, scalar)))[0]
        if single != single:
            return "0x7FF8000000000000"
        return f"0x{float_bits(single, 'double'):016X}"
    if scalar == "i1":
        return "true" if x else "false"
    return str(int(x))


def constant(type_: str, x: float | int | bool) -> Value:
    """A constant of a scalar type, or of a vector type with `x` in every lane."""
    scalar = scalar_of(type_)
    if type_[0] != "<":
        return Value(type_, literal(scalar, x))
    return Value(type_, f"splat ({scalar} {literal(scalar, x)})")


def vector_constant(scalar: str, xs: tuple[float | int, ...]) -> Value:
    """A constant with one value a lane."""
    if len(xs) == 1:
        return constant(scalar, xs[0])
    lanes = ", ".join(f"{scalar} {literal(scalar, x)}" for x in xs)
    return Value(vector(scalar, len(xs)), f"<{lanes}>")
