"""The ten element types, their kinds, sizes and numpy counterparts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

Kind = Literal["float", "int", "bool"]


@dataclass(frozen=True)
class DType:
    """An element type. `bits` is the storage width; `signed` is False for `u8` and `bool`."""

    name: str
    kind: Kind
    bits: int
    signed: bool = True

    @property
    def bytes(self) -> int:
        """Storage of one element, in bytes; a bool takes one."""
        return max(1, self.bits // 8)

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        return self.kind == "int"

    @property
    def is_bool(self) -> bool:
        return self.kind == "bool"

    @property
    def is_number(self) -> bool:
        return self.kind != "bool"

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of the same values (`bf16` through ml_dtypes, imported on first use)."""
        if self.name == "bf16":
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(_NUMPY[self.name])

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name


_NUMPY = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
    "bool": "bool",
}

F64 = DType("f64", "float", 64)
F32 = DType("f32", "float", 32)
F16 = DType("f16", "float", 16)
BF16 = DType("bf16", "float", 16)
I64 = DType("i64", "int", 64)
I32 = DType("i32", "int", 32)
I16 = DType("i16", "int", 16)
I8 = DType("i8", "int", 8)
U8 = DType("u8", "int", 8, signed=False)
BOOL = DType("bool", "bool", 8, signed=False)

DTYPES: dict[str, DType] = {d.name: d for d in (F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL)}


def dtype_of_numpy(d: np.dtype[Any]) -> DType | None:
    """The dtype whose values numpy's `d` holds, or None if there is none."""
    for t in DTYPES.values():
        if t.numpy == d:
            return t
    return None
