"""C types as data, from which the header, the generated code and the Python interface are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from dlc.typesys.dtypes import DType


@dataclass(frozen=True, slots=True)
class Primitive:
    """A number: its C name, its LLVM type, its bytes."""

    c: str
    llvm: str
    size: int


U32 = Primitive("uint32_t", "i32", 4)
I32 = Primitive("int32_t", "i32", 4)
I64 = Primitive("int64_t", "i64", 8)
U64 = Primitive("uint64_t", "i64", 8)

ELEMENT: Mapping[str, Primitive] = MappingProxyType(
    {
        "f64": Primitive("double", "double", 8),
        "f32": Primitive("float", "float", 4),
        "f16": Primitive("uint16_t", "i16", 2),
        "bf16": Primitive("uint16_t", "i16", 2),
        "i64": I64,
        "i32": I32,
        "i16": Primitive("int16_t", "i16", 2),
        "i8": Primitive("int8_t", "i8", 1),
        "u8": Primitive("uint8_t", "i8", 1),
        "bool": Primitive("uint8_t", "i8", 1),
    }
)
"""Elements in C: halves are their bits, a bool is a byte 0 or 1."""


def element(d: DType) -> Primitive:
    return ELEMENT[d.name]


@dataclass(frozen=True, slots=True)
class Pointer:
    """`const float *`. `to` is a primitive, a struct's name, or `void`."""

    to: str
    const: bool


@dataclass(frozen=True, slots=True)
class Array:
    """`int64_t dims[2]`."""

    of: Primitive
    count: int


@dataclass(frozen=True)
class Member:
    name: str
    type: CType
    doc: str = ""


@dataclass(frozen=True)
class Struct:
    """`typedef struct { … } name;` `doc` stands above it."""

    name: str
    members: tuple[Member, ...]
    doc: str = ""

    @cached_property
    def llvm(self) -> str:
        """The LLVM type, which has C's layout on every target."""
        return "{ " + ", ".join(llvm_type(m.type) for m in self.members) + " }"

    def index(self, name: str) -> int:
        return next(i for i, m in enumerate(self.members) if m.name == name)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Byte offset of each member on a machine with 64-bit pointers."""
        return tuple(at for at, _ in _layout(self))

    @cached_property
    def size(self) -> int:
        """Bytes on a machine with 64-bit pointers."""
        end = max((at + size_of(m.type) for at, m in _layout(self)), default=0)
        return _up(end, align_of(self))


CType = Primitive | Pointer | Array | Struct


def llvm_type(t: CType) -> str:
    if isinstance(t, Primitive):
        return t.llvm
    if isinstance(t, Pointer):
        return "ptr"
    if isinstance(t, Array):
        return f"[{t.count} x {t.of.llvm}]"
    return t.llvm


def size_of(t: CType) -> int:
    """Bytes on a machine with 64-bit pointers."""
    if isinstance(t, Primitive):
        return t.size
    if isinstance(t, Pointer):
        return 8
    if isinstance(t, Array):
        return t.count * t.of.size
    return t.size


def align_of(t: CType) -> int:
    if isinstance(t, Array):
        return t.of.size
    if isinstance(t, Struct):
        return max((align_of(m.type) for m in t.members), default=1)
    return size_of(t)


def _layout(s: Struct) -> Iterator[tuple[int, Member]]:
    at = 0
    for m in s.members:
        at = _up(at, align_of(m.type))
        yield at, m
        at += size_of(m.type)


def _up(n: int, to: int) -> int:
    return -(-n // to) * to
