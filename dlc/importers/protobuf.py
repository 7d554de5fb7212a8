"""The wire format of protocol buffers, read with care.

A message is a run of fields, each a key (number and wire type) and a value: a varint, 8 or 4 bytes,
or a length and as many bytes. Nothing is trusted: lengths are compared with what is left, every
field is counted, and no byte is copied. Source: the encoding page of the protocol buffers
documentation."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from dlc.importers.limits import Budget
from dlc.importers.refusal import refuse

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value = int | memoryview
Field = tuple[int, int, Value]
"""Number, wire type, value: a number (unsigned) or the bytes."""


def _broken(what: str) -> Exception:
    return refuse("E0701", f"this is not an ONNX model: {what}").with_help(
        "check that the file was downloaded or written completely"
    )


def varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift >= 70:
            raise _broken("a number of more than ten bytes")
    raise _broken("it ends in the middle of a number")


def fields(data: memoryview, budget: Budget) -> list[Field]:
    """The fields of a message in order."""
    out: list[Field] = []
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        if key < 0x80:
            at += 1
        else:
            key, at = varint(data, at, end)
        number, kind = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise _broken(f"a field numbered {number}")
        value: Value
        if kind == VARINT:
            value, at = varint(data, at, end)
        elif kind == BYTES:
            size = data[at] if at < end else 0x80
            if size < 0x80:
                at += 1
            else:
                size, at = varint(data, at, end)
            if size > end - at:
                raise _broken(f"a field of {size} bytes where {end - at} are left")
            value = data[at : at + size]
            at += size
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            if size > end - at:
                raise _broken("it ends in the middle of a field")
            value = int.from_bytes(data[at : at + size], "little")
            at += size
        else:
            raise _broken(f"a field of wire type {kind}")
        out.append((number, kind, value))
        if not len(out) & 0x3FF:
            budget.take_fields(0x400)
            if len(out) > budget.limits.nodes:
                raise refuse(
                    "E0702", f"one part of the file has more than {budget.limits.nodes} fields"
                ).with_help("raise the limit `nodes` if you trust the file")
    budget.take_fields(len(out) & 0x3FF)
    return out


# -- values of fields


def number(f: Field) -> int:
    """A field that holds an int64, int32 or enum."""
    if f[1] != VARINT:
        raise _broken(f"field {f[0]} is no whole number")
    value = cast(int, f[2])
    return value - (1 << 64) if value >> 63 else value


def content(f: Field) -> memoryview:
    """A field that holds bytes or a message."""
    if f[1] != BYTES:
        raise _broken(f"field {f[0]} is no text or message")
    return cast(memoryview, f[2])


def text(f: Field, budget: Budget) -> str:
    """A field that holds a text."""
    raw = content(f)
    if len(raw) > budget.limits.names:
        raise refuse("E0702", f"a name of {len(raw)} bytes; at most {budget.limits.names} are read")
    try:
        return bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise _broken("a name is no UTF-8 text") from None


def real(f: Field) -> float:
    """A field that holds a float."""
    if f[1] != FIXED32:
        raise _broken(f"field {f[0]} is no float")
    return struct.unpack("<f", cast(int, f[2]).to_bytes(4, "little"))[0]


# -- repeated numbers, packed or one by one


def whole_numbers(fs: Sequence[Field]) -> np.ndarray[Any, Any]:
    """All values of a repeated int64, int32 or uint64 field, as int64 bit patterns."""
    parts: list[np.ndarray[Any, Any]] = []
    singles: list[int] = []
    for f in fs:
        if f[1] == VARINT:
            singles.append(cast(int, f[2]))
            continue
        if singles:
            parts.append(_bits(singles))
            singles = []
        parts.append(_packed(content(f)))
    if singles:
        parts.append(_bits(singles))
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _bits(values: list[int]) -> np.ndarray[Any, Any]:
    return np.array(values, np.uint64).view(np.int64)


def _packed(data: memoryview) -> np.ndarray[Any, Any]:
    """The varints of a packed field."""
    raw = np.frombuffer(data, np.uint8)
    if not raw.size:
        return np.zeros(0, np.int64)
    last = raw < 0x80
    if not last[-1]:
        raise _broken("it ends in the middle of a number")
    ends = np.flatnonzero(last)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
    lengths = ends - starts + 1
    if int(lengths.max()) > 10:
        raise _broken("a number of more than ten bytes")
    if int(lengths.max()) == 1:
        return raw.astype(np.int64)
    place = np.arange(raw.size) - np.repeat(starts, lengths)
    bits = (raw & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.add.reduceat(bits, starts).view(np.int64)


def reals(fs: Sequence[Field], width: int) -> np.ndarray[Any, Any]:
    """All values of a repeated float (`width` 4) or double (8) field."""
    dtype, kind = ("<f4", FIXED32) if width == 4 else ("<f8", FIXED64)
    parts: list[bytes | memoryview] = []
    for f in fs:
        if f[1] == kind:
            parts.append(cast(int, f[2]).to_bytes(width, "little"))
            continue
        raw = content(f)
        if len(raw) % width:
            raise _broken("a packed field of floats that ends in the middle of one")
        parts.append(raw)
    if len(parts) == 1:
        return np.frombuffer(parts[0], dtype)
    return np.frombuffer(b"".join(parts), dtype)
