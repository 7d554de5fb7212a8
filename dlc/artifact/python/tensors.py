"""Python values as scalars and tensors of an element type: nothing converts silently."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from dlc.artifact.python.structures import whole_number
from dlc.typesys.dtypes import DType

Array = np.ndarray[Any, Any]

_KINDS = {"bool": "b", "int": "iu", "float": "fiu"}
"""Kinds of numpy numbers that Python numbers may have, to become an element type."""


def tensor(what: str, d: DType, given: Any) -> Array:
    """A dense array of exactly the element type. Arrays must have it; nested sequences of numbers
    take it if they are of its kind; what speaks DLPack or the buffer protocol is an array.

    Raises TypeError, ValueError naming `what`."""
    x: Array
    if isinstance(given, np.ndarray):
        x = cast(Array, given)
    elif isinstance(given, np.generic):
        x = np.asarray(cast(Any, given))
    elif isinstance(given, (bool, int, float, list, tuple)):
        return from_numbers(what, d, given)
    else:
        x = _imported(what, given)
    if x.dtype != d.numpy:
        if d.name == "bf16" and x.dtype.kind == "V" and x.dtype.itemsize == 2:
            x = x.view(d.numpy)
        else:
            raise TypeError(f"`{what}` must be an array of {d}, not of {x.dtype}")
    # `ascontiguousarray` would give a scalar an axis.
    return x if x.flags.c_contiguous else x.copy(order="C")


def _imported(what: str, given: Any) -> Array:
    if given is None:
        raise TypeError(f"`{what}` must be a number or an array, not None")
    if hasattr(given, "__dlpack__"):
        try:
            return np.from_dlpack(given)
        except (BufferError, TypeError, RuntimeError, AttributeError) as e:
            raise TypeError(f"`{what}`: {e}") from None
    if hasattr(given, "__array__") or isinstance(given, (bytes, bytearray, memoryview)):
        return np.asarray(given)
    try:
        return np.asarray(memoryview(given))
    except TypeError:
        pass
    raise TypeError(f"`{what}` must be a number or an array, not {type(given).__name__}")


def from_numbers(what: str, d: DType, given: Any) -> Array:
    """Numbers and nested sequences of numbers, each of the element type's kind and in range."""
    try:
        raw = np.asarray(given)
    except (ValueError, OverflowError) as e:
        raise ValueError(f"`{what}`: {e}") from None
    if raw.size == 0:
        return raw.astype(d.numpy)
    if raw.dtype.kind not in _KINDS[d.kind]:
        found = "numbers too large" if raw.dtype.kind == "O" else str(raw.dtype)
        raise TypeError(f"`{what}` must be {d}, not {found}")
    if d.is_int:
        info = np.iinfo(d.numpy)
        low, high = int(raw.min()), int(raw.max())
        if low < info.min or high > info.max:
            worst = low if low < info.min else high
            raise ValueError(f"`{what}` must be {d}: {worst} is out of range")
    return np.ascontiguousarray(raw.astype(d.numpy)).reshape(raw.shape)


def scalar(what: str, d: DType, given: Any) -> Any:
    """A number of the element type, as a numpy scalar."""
    x = tensor(what, d, given)
    if x.ndim:
        raise ValueError(f"`{what}` must be one number, not an array of shape {x.shape}")
    return x[()]


def key(what: str, given: Any) -> Any:
    """A random key: any whole number of 64 bits, with or without sign."""
    n = whole_number(f"`{what}`", given)
    if not -(2**63) <= n < 2**64:
        raise ValueError(f"`{what}` must have 64 bits at most")
    return np.int64(n - 2**64 if n >= 2**63 else n)


def writable(what: str, d: DType, given: Any) -> Array:
    """An array that a call may change in place.

    Raises TypeError for what is no such array, ValueError if it is read-only or not dense."""
    if not isinstance(given, np.ndarray):
        message = f"`{what}` is changed in place: it must be an array, not {type(given).__name__}"
        raise TypeError(message)
    x = cast(Array, given)
    if x.dtype != d.numpy:
        message = f"`{what}` is changed in place: it must be of {d}, not of {x.dtype}"
        raise TypeError(message)
    if not x.flags.writeable:
        raise ValueError(f"`{what}` is changed in place, but the array is read-only")
    if not x.flags.c_contiguous:
        raise ValueError(f"`{what}` is changed in place, but the array is not dense and row-major")
    return x
