"""The numbers of a tensor in a file, from whichever field holds them, as the IR stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import numpy as np

from dlc.importers.elements import Element, element_of
from dlc.importers.files import ExternalData
from dlc.importers.limits import Limits
from dlc.importers.messages import Array, SparseData, TensorData
from dlc.importers.refusal import refuse


@dataclass(frozen=True)
class Decoder:
    """Decodes the tensors of one model."""

    external: ExternalData
    limits: Limits

    def tensor(self, t: TensorData) -> tuple[Element, Array]:
        """The element type and the numbers, read-only and without a copy where that is possible.

        Raises E0704 (data that doesn't fit), E0703 (external data), E0710 (types), E0702."""
        try:
            return self._tensor(t)
        except ValueError as e:
            raise refuse("E0704", f"the tensor `{t.name}`: {e}") from None

    def _tensor(self, t: TensorData) -> tuple[Element, Array]:
        if t.strings:
            raise refuse("E0710", f"the tensor `{t.name}` holds texts, which are not supported")
        e = element_of(t.element)
        count = self._count(t.dims, t.name)
        size = -(-count * e.bits // 8) if not e.is_bool else count
        if size > self.limits.tensor_bytes:
            raise refuse(
                "E0702",
                f"the tensor `{t.name}` has {size} bytes; at most {self.limits.tensor_bytes}",
            )
        typed = {**t.whole, **t.real}
        given = [t.raw is not None, t.external is not None, bool(typed)].count(True)
        if given > 1 or len(typed) > 1:
            raise refuse("E0704", f"the tensor `{t.name}` has its data in several fields")
        if t.raw is not None or t.external is not None:
            raw = t.raw if t.raw is not None else self.external.read(t.external or {}, size)
            if len(raw) != size:
                raise refuse(
                    "E0704", f"the tensor `{t.name}` has {len(raw)} bytes of data for {size}"
                )
            flat = _from_raw(raw, e, count)
        elif typed:
            ((name, values),) = typed.items()
            flat = _from_typed(t.name, name, values, e, count)
        elif count:
            raise refuse("E0704", f"the tensor `{t.name}` has no data for its {count} elements")
        else:
            flat = np.zeros(0, e.storage.numpy)
        return e, _frozen(flat.reshape(t.dims))

    def _count(self, dims: Sequence[int], name: str) -> int:
        if len(dims) > self.limits.rank:
            raise refuse(
                "E0702",
                f"the tensor `{name}` has {len(dims)} axes; at most {self.limits.rank}",
            )
        count = 1
        for d in dims:
            if d < 0:
                raise refuse("E0704", f"the tensor `{name}` has the shape {list(dims)}")
            count *= d
        if any(d >= 1 << 31 for d in dims):
            raise refuse("E0702", f"the tensor `{name}` has an axis of {max(dims)}; below 2**31")
        return count

    def sparse(self, s: SparseData) -> tuple[Element, Array]:
        """A sparse tensor with its zeros. Raises E0702 if they are too many."""
        e, values, at = self.coordinates(s)
        size = int(np.prod(s.dims, dtype=np.float64)) * e.storage.bytes
        if size > self.limits.dense_bytes:
            raise refuse(
                "E0702", f"the sparse tensor `{s.values.name}` has {size} bytes with its zeros"
            ).with_help("use it in MatMul or Gemm, where it stays sparse, or raise `dense_bytes`")
        out = np.zeros(s.dims, values.dtype)
        out.reshape(-1)[at] = values
        return e, _frozen(out)

    def coordinates(self, s: SparseData) -> tuple[Element, Array, Array]:
        """The values of a sparse tensor, and where each stands in row-major order (int64)."""
        e, values = self.tensor(s.values)
        _, indices = self.tensor(s.indices)
        name = s.values.name
        count = self._count(s.dims, name)
        if count >= 1 << 62:
            raise refuse("E0702", f"the tensor `{name}` has {count} elements")
        if values.ndim != 1 or indices.shape not in ((len(values),), (len(values), len(s.dims))):
            raise refuse("E0704", f"the sparse tensor `{name}`: values {list(values.shape)}, "
                         f"indices {list(indices.shape)}")  # fmt: skip
        if indices.dtype != np.int64:
            raise refuse("E0704", f"the sparse tensor `{name}`: its indices are not int64")
        bound = np.array(s.dims if indices.ndim == 2 else (count,), np.int64)
        if indices.size and bool(((indices < 0) | (indices >= bound)).any()):
            raise refuse("E0704", f"the sparse tensor `{name}`: an index is out of range")
        if indices.ndim == 1:
            return e, values, indices
        steps = np.append(np.cumprod(np.array(s.dims[:0:-1], np.int64))[::-1], np.int64(1))
        return e, values, indices @ steps


def _frozen(a: Array) -> Array:
    """Aligned, dense and read-only."""
    a = np.require(a, requirements=("A", "C"))
    view = a.view()
    view.flags.writeable = False
    return view


def _from_raw(raw: memoryview, e: Element, count: int) -> Array:
    if e.bits < 8 and not e.is_bool:
        return _unpack(np.frombuffer(raw, np.uint8), e, count)
    if e.is_bool:
        bits = np.frombuffer(raw, np.uint8)
        if bits.size and int(bits.max()) > 1:
            raise ValueError("a bool that is neither 0 nor 1")
        return bits.view(np.bool_)
    if e.mini is not None:
        return _minifloats(np.frombuffer(raw, np.uint8), e)
    return np.frombuffer(raw, e.storage.numpy.newbyteorder("<")).astype(e.storage.numpy, copy=False)


def _minifloats(bits: Array, e: Element) -> Array:
    import ml_dtypes

    return bits.view(getattr(ml_dtypes, e.numpy)).astype(np.float32)


def _unpack(data: Array, e: Element, count: int) -> Array:
    """Elements of 2 or 4 bits, the first in the lowest bits."""
    per = 8 // e.bits
    shifts = np.arange(per, dtype=np.uint8) * np.uint8(e.bits)
    codes = ((data[:, None] >> shifts) & np.uint8((1 << e.bits) - 1)).reshape(-1)
    if codes[count:].any():
        raise ValueError("the bits after the last element are not zero")
    codes = codes[:count]
    if e.mini is not None:
        return _minifloats(np.ascontiguousarray(codes), e)
    if e.unsigned:
        return codes
    top = np.uint8(1 << (e.bits - 1))
    return ((codes ^ top).astype(np.int8) - np.int8(top)).astype(np.int8)


_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "float": "float_data",
        "double": "double_data",
        "int64": "int64_data",
        "uint32": "uint64_data",
        "uint64": "uint64_data",
    }
)
"""Where the elements of a type stand; all others in `int32_data`."""


def _from_typed(tensor: str, name: str, values: Array, e: Element, count: int) -> Array:
    want = _FIELDS.get(e.name, "int32_data")
    if name != want:
        raise refuse("E0704", f"the tensor `{tensor}` of {e} has its data in `{name}`")
    per = 8 // e.bits if e.bits < 8 and not e.is_bool else 1
    if len(values) != -(-count // per):
        raise refuse(
            "E0704", f"the tensor `{tensor}` has {len(values)} numbers for {count} elements"
        )
    if name in ("float_data", "double_data"):
        return values.astype(e.storage.numpy, copy=False)
    bits = e.bits if per == 1 else 8
    low, high = _field_range(e, bits)
    if values.size and name == "int32_data":
        values = values.astype(np.int32).astype(np.int64)
    if values.size and e.name != "uint64" and not (low <= int(values.min())
                                                   and int(values.max()) <= high):  # fmt: skip
        raise ValueError(f"a number that is no {e}")
    if e.is_bool:
        return values.astype(np.bool_)
    if per > 1:
        return _unpack(values.astype(np.uint8), e, count)
    if e.mini is not None:
        return _minifloats(values.astype(np.uint8), e)
    if e.storage.is_float:
        return values.astype(np.uint16).view(e.storage.numpy)
    return cast(Array, values.astype(e.storage.numpy))


def _field_range(e: Element, bits: int) -> tuple[int, int]:
    """The numbers that may stand in the field: of the element's range, or its bit patterns."""
    if e.is_bool:
        return 0, 1
    if bits != e.bits:
        return -128, 255
    if e.storage.is_float or e.mini is not None:
        return 0, (1 << bits) - 1
    return e.range
