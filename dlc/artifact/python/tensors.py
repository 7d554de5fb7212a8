"""Python values as scalars and tensors of an element type: nothing converts silently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from dlc.artifact.python.structures import whole_number
from dlc.typesys.dtypes import DType

Array = np.ndarray[Any, Any]

_KINDS = {"bool": "b", "int": "iu", "float": "fiu"}
"""Kinds of numpy numbers that may become an element type."""

_MOST_AXES = 32


def tensor(what: str, d: DType, given: Any) -> Array:
    """A dense array of exactly the element type. Arrays must have it; numbers and nested sequences
    of numbers take it if they are of its kind and in its range; what speaks DLPack or the buffer
    protocol is an array. A numpy number, or an array without axes, is a number.

    Raises TypeError, ValueError naming `what`."""
    x: Array
    if isinstance(given, np.ndarray):
        x = cast(Array, given)
    elif isinstance(given, (bool, int, float, list, tuple, np.generic)):
        return from_numbers(what, d, given)
    else:
        x = _imported(what, given)
    if x.dtype != d.numpy:
        if not x.ndim:
            return from_numbers(what, d, x)
        if d.name == "bf16" and x.dtype.kind == "V" and x.dtype.itemsize == 2:
            x = x.view(d.numpy)
        else:
            raise TypeError(f"`{what}` must be an array of {d}, not of {dtype_name(x)}")
    _refuse_masked(what, x)
    x = np.asarray(x)
    # `ascontiguousarray` would give a scalar an axis.
    return x if x.flags.c_contiguous and x.flags.aligned else x.copy(order="C")


def dtype_name(x: Array) -> str:
    """An array's element type as messages say it."""
    return f"{x.dtype.name} of the other byte order" if not x.dtype.isnative else str(x.dtype)


def _refuse_masked(what: str, x: Array) -> None:
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"`{what}` must be an array without a mask: fill it first")


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


# -- numbers


def from_numbers(what: str, d: DType, given: Any) -> Array:
    """A number, nested sequences of numbers and arrays, or one array: every number must be of the
    element type's kind and in its range, and is converted.

    Raises TypeError, ValueError naming `what`."""
    if isinstance(given, np.ndarray):
        return _converted(what, "be", d, cast(Array, given))
    shape: list[int] = []
    level: list[Any] = [given]
    while level and isinstance(level[0], (list, tuple)):
        n = len(cast("list[Any]", level[0]))
        if len(shape) == _MOST_AXES:
            raise ValueError(f"`{what}` is nested too deep")
        if any(not isinstance(x, (list, tuple)) or len(cast(Any, x)) != n for x in level):
            raise ValueError(f"`{what}` is no array: its rows differ in length")
        shape.append(n)
        level = [y for x in level for y in x]
    if level and isinstance(level[0], np.ndarray) and level[0].ndim:
        rows = [tensor(what, d, x) for x in level]
        if any(x.shape != rows[0].shape for x in rows):
            raise ValueError(f"`{what}` is no array: its rows differ in length")
        return np.stack(rows).reshape(*shape, *rows[0].shape)
    return numbers(what, d, level, "hold" if shape else "be").reshape(shape)


def numbers(what: str, d: DType, given: Sequence[Any], verb: str = "hold") -> Array:
    """An array of one axis with a number for each value, each of the element type's kind and in
    its range.

    Raises TypeError, ValueError: `what` must hold (or be) a number of the type."""
    kinds = set(map(type, given))
    if len(kinds) == 1 and issubclass(next(iter(kinds)), np.generic):
        return _converted(what, verb, d, np.array(given))
    if not kinds <= _plain(d):
        given = [_number(what, verb, d, x) for x in given]
    if d.is_int:
        try:
            return _converted(what, verb, d, np.array(given, np.int64))
        except OverflowError:
            worst = next(x for x in given if not -(2**63) <= int(x) < 2**63)
            raise ValueError(_out_of_range(what, verb, d, worst)) from None
    if d.is_bool:
        return np.array(given, np.bool_)
    try:
        return _converted(what, verb, d, np.array(given, np.float64))
    except OverflowError:
        raise ValueError(_out_of_range(what, verb, d, "a number")) from None


def _plain(d: DType) -> frozenset[type]:
    """The types of Python's numbers that may become an element type."""
    return _PLAIN[d.kind]


_PLAIN: dict[str, frozenset[type]] = {
    "bool": frozenset((bool,)),
    "int": frozenset((int,)),
    "float": frozenset((float, int)),
}


def _number(what: str, verb: str, d: DType, x: Any) -> Any:
    """A value that may be a numpy number, as one of Python's."""
    if type(x) in _plain(d):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        a = np.asarray(cast(Any, x))
        _refuse_masked(what, cast(Array, x))
        if a.ndim:
            one = "hold numbers" if verb == "hold" else "be one number"
            raise ValueError(f"`{what}` must {one}, not an array of shape {a.shape}")
        if a.dtype == d.numpy or a.dtype.kind in _KINDS[d.kind]:
            return float(a) if d.is_float else a.item()
        raise TypeError(f"`{what}` must {verb} {d}, not {dtype_name(a)}")
    kind = cast("type[object]", type(x))
    if issubclass(kind, int) and not issubclass(kind, bool) and not d.is_bool:
        return int(x)
    if issubclass(kind, float) and d.is_float:
        return float(x)
    raise TypeError(f"`{what}` must {verb} {d}, not {'None' if x is None else kind.__name__}")


def _converted(what: str, verb: str, d: DType, raw: Array) -> Array:
    """The numbers of an array as another element type."""
    _refuse_masked(what, raw)
    if raw.dtype == d.numpy:
        return np.ascontiguousarray(raw).reshape(raw.shape)
    if raw.dtype.kind not in _KINDS[d.kind] and raw.size:
        raise TypeError(f"`{what}` must {verb} {d}, not {dtype_name(raw)}")
    if d.is_int and raw.size:
        info = np.iinfo(d.numpy)
        low, high = int(raw.min()), int(raw.max())
        if low < info.min or high > info.max:
            worst = low if low < info.min else high
            raise ValueError(_out_of_range(what, verb, d, worst))
    with np.errstate(over="ignore"):
        out = raw.astype(d.numpy)
    if d.is_float and d.bits < 64:
        lost = np.isinf(out) & np.isfinite(raw)
        if lost.any():
            raise ValueError(_out_of_range(what, verb, d, f"{float(raw[lost][0]):g}"))
    return np.ascontiguousarray(out).reshape(raw.shape)


def _out_of_range(what: str, verb: str, d: DType, worst: object) -> str:
    if isinstance(worst, int) and abs(worst) >= 10**30:
        worst = f"a number of {worst.bit_length()} bits"
    return f"`{what}` must {verb} {d}: {worst} is out of range"


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
        message = f"`{what}` is changed in place: it must be of {d}, not of {dtype_name(x)}"
        raise TypeError(message)
    if not x.flags.writeable:
        raise ValueError(f"`{what}` is changed in place, but the array is read-only")
    if not x.flags.c_contiguous:
        raise ValueError(f"`{what}` is changed in place, but the array is not dense and row-major")
    if not x.flags.aligned:
        raise ValueError(f"`{what}` is changed in place, but the array is not aligned")
    _refuse_masked(what, x)
    return x
