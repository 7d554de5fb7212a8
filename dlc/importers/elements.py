"""The element types of ONNX, and what the IR stores for each.

The IR has no unsigned numbers of 16, 32 and 64 bits and none below 8 bits. Unsigned ones are stored
as the signed type of their width with the same bits; those of 4 and 2 bits as bytes with the same
value; narrow floats as f32 with a value that they can represent. Operators know (`unsigned`,
`bits`), so results are what ONNX says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from dlc.importers.refusal import refuse
from dlc.typesys.dtypes import BF16, BOOL, F16, F32, F64, I8, I16, I32, I64, U8, DType


@dataclass(frozen=True, slots=True)
class Minifloat:
    """A float of few bits. `exponent` and `mantissa` bits, `bias`; `highest` finite number;
    `inf` and `nan` if it has them; `zero` is False if its smallest number is no zero."""

    exponent: int
    mantissa: int
    bias: int
    highest: float
    inf: bool
    nan: bool
    negative_zero: bool = True


@dataclass(frozen=True, slots=True)
class Element:
    """One of ONNX's element types: `name` and `code` as in TensorProto.DataType, `storage` in the
    IR, `bits` of one element in files."""

    name: str
    code: int
    storage: DType
    bits: int
    numpy: str
    unsigned: bool = False
    mini: Minifloat | None = None

    @property
    def is_float(self) -> bool:
        return self.storage.is_float

    @property
    def is_int(self) -> bool:
        return self.storage.is_int

    @property
    def is_bool(self) -> bool:
        return self.storage.is_bool

    @property
    def is_native(self) -> bool:
        """Whether the IR's type has the same values, so that every operation means the same."""
        return self.mini is None and self.bits == (1 if self.is_bool else self.storage.bits) and (
            self.unsigned == (self.storage is U8)
        )  # fmt: skip

    @property
    def range(self) -> tuple[int, int]:
        """The least and the largest number of a whole-number type."""
        if self.unsigned:
            return 0, (1 << self.bits) - 1
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1

    def __str__(self) -> str:
        return self.name


FLOAT = Element("float", 1, F32, 32, "float32")
UINT8 = Element("uint8", 2, U8, 8, "uint8", True)
INT8 = Element("int8", 3, I8, 8, "int8")
UINT16 = Element("uint16", 4, I16, 16, "uint16", True)
INT16 = Element("int16", 5, I16, 16, "int16")
INT32 = Element("int32", 6, I32, 32, "int32")
INT64 = Element("int64", 7, I64, 64, "int64")
BOOLEAN = Element("bool", 9, BOOL, 1, "bool")
FLOAT16 = Element("float16", 10, F16, 16, "float16")
DOUBLE = Element("double", 11, F64, 64, "float64")
UINT32 = Element("uint32", 12, I32, 32, "uint32", True)
UINT64 = Element("uint64", 13, I64, 64, "uint64", True)
BFLOAT16 = Element("bfloat16", 16, BF16, 16, "bfloat16")
UINT4 = Element("uint4", 21, U8, 4, "uint4", True)
INT4 = Element("int4", 22, I8, 4, "int4")
UINT2 = Element("uint2", 25, U8, 2, "uint2", True)
INT2 = Element("int2", 26, I8, 2, "int2")
FLOAT8E4M3FN = Element(
    "float8e4m3fn", 17, F32, 8, "float8_e4m3fn", mini=Minifloat(4, 3, 7, 448.0, False, True)
)
FLOAT8E4M3FNUZ = Element(
    "float8e4m3fnuz", 18, F32, 8, "float8_e4m3fnuz",
    mini=Minifloat(4, 3, 8, 240.0, False, True, False),
)  # fmt: skip
FLOAT8E5M2 = Element(
    "float8e5m2", 19, F32, 8, "float8_e5m2", mini=Minifloat(5, 2, 15, 57344.0, True, True)
)
FLOAT8E5M2FNUZ = Element(
    "float8e5m2fnuz", 20, F32, 8, "float8_e5m2fnuz",
    mini=Minifloat(5, 2, 16, 57344.0, False, True, False),
)  # fmt: skip
FLOAT4E2M1 = Element(
    "float4e2m1", 23, F32, 4, "float4_e2m1fn", mini=Minifloat(2, 1, 1, 6.0, False, False)
)
FLOAT8E8M0 = Element(
    "float8e8m0", 24, F32, 8, "float8_e8m0fnu", mini=Minifloat(8, 0, 127, 2.0**127, False, True)
)
"""Powers of two without a sign and without a zero: scales of blocks."""

ELEMENTS: Mapping[int, Element] = MappingProxyType(
    {
        e.code: e
        for e in (
            FLOAT,
            UINT8,
            INT8,
            UINT16,
            INT16,
            INT32,
            INT64,
            BOOLEAN,
            FLOAT16,
            DOUBLE,
            UINT32,
            UINT64,
            BFLOAT16,
            UINT4,
            INT4,
            UINT2,
            INT2,
            FLOAT8E4M3FN,
            FLOAT8E4M3FNUZ,
            FLOAT8E5M2,
            FLOAT8E5M2FNUZ,
            FLOAT4E2M1,
            FLOAT8E8M0,
        )
    }
)
BY_NAME: Mapping[str, Element] = MappingProxyType({e.name: e for e in ELEMENTS.values()})

_REFUSED = {
    8: "texts (string)", 14: "complex numbers (complex64)", 15: "complex numbers (complex128)",
    27: "float6e2m3", 28: "float6e3m2",
}  # fmt: skip


def element_of(code: int) -> Element:
    """The element type of a code. Raises E0710 for types that are not supported, E0704 for codes
    that mean nothing."""
    found = ELEMENTS.get(code)
    if found is not None:
        return found
    if code in _REFUSED:
        raise refuse("E0710", f"{_REFUSED[code]} are not supported").with_help(
            f"supported are {', '.join(e.name for e in ELEMENTS.values())}"
        )
    raise refuse("E0704", f"there is no element type number {code}")


def border_dtype(e: Element) -> DType:
    """What crosses the border of the compiled program for this type."""
    return e.storage


def to_storage(x: Any, e: Element) -> Any:
    """A numpy array as ONNX's users have it (uint16, ml_dtypes' int4 …), as the IR stores it."""
    if e.is_native:
        return x
    if e.mini is not None:
        return x.astype(np.float32)
    if e.bits < 8:
        return x.astype(e.storage.numpy)
    return x.view(e.storage.numpy)


def from_storage(x: Any, e: Element) -> Any:
    """The inverse of `to_storage`."""
    if e.is_native:
        return x
    if e.mini is not None or e.bits < 8:
        import ml_dtypes

        return np.asarray(x).astype(getattr(ml_dtypes, e.numpy))
    return np.asarray(x).view(e.numpy)
