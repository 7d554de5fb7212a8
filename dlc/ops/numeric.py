"""Numpy arithmetic as the language defines it: rounding of narrow floats, wrap-around, saturation,
NaN.

Evaluation works on numpy arrays and numpy scalars alike (both have `dtype` and `shape`). Values of
`f16` and `bf16` are computed in f32 and rounded at the end. In complex-step mode a float is
complex128: what is decided (comparisons, rounding, selection) is decided by its real part.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy

from dlc.diag import InternalError
from dlc.typesys.dtypes import BF16, F16, DType

np = cast(Any, numpy)
"""Numpy without static types: an array's dtype and shape are run-time facts here."""

COMPLEX = np.dtype(np.complex128)
_NARROW = (F16.numpy, BF16.numpy)
_F32 = np.dtype(np.float32)


def widen(x: Any) -> Any:
    """The operand in the dtype that its arithmetic is done in."""
    return x.astype(_F32) if x.dtype in _NARROW else x


def finish(y: Any, dtype: DType) -> Any:
    """A computed value, rounded or wrapped to its element type; complex floats stay as they are."""
    if y.dtype == COMPLEX and dtype.is_float:
        return y
    return y.astype(dtype.numpy)


def is_complex(x: Any) -> bool:
    return x.dtype == COMPLEX


def real(x: Any) -> Any:
    """The part that decisions look at."""
    return x.real if x.dtype == COMPLEX else x


def along(x: Any, value: Any, slope: Any) -> Any:
    """A complex operand carried through a real function: `f(re) + i im f'(re)`, exact for a tiny
    step.

    For functions whose complex extension has other branches than the real one."""
    return value + 1j * (x.imag * slope)


def convert(x: Any, dtype: DType) -> Any:
    """`x` as `dtype`: to int rounds to zero, saturates and takes NaN to 0; int to int wraps; to
    bool is `!= 0`; to `f16` and `bf16` goes through f32."""
    if is_complex(x):
        if dtype.is_float:
            return x
        x = x.real
    if dtype.is_bool:
        return x != 0
    if dtype.is_int:
        return saturate(x, dtype) if x.dtype.kind not in "iub" else x.astype(dtype.numpy)
    if dtype in (F16, BF16):
        x = x.astype(_F32)
    return x.astype(dtype.numpy)


def saturate(x: Any, dtype: DType) -> Any:
    """A real array as integers: towards zero, NaN to 0, beyond the range to its end."""
    info = np.iinfo(dtype.numpy)
    wide = np.trunc(x.astype(np.float64))
    low, high = float(info.min), float(info.max)  # exact, or one past the end (i64)
    inside = np.where((wide > low) & (wide < high), wide, 0.0).astype(dtype.numpy)
    out = np.where(wide >= high, info.max, np.where(wide <= low, info.min, inside))
    return out.astype(dtype.numpy)[()]


_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Any) -> Any:
    """`2/sqrt(pi) * integral from 0 to x of exp(-t*t)`."""
    if is_complex(x):
        r = x.real
        return along(x, erf(r), 2 / math.sqrt(math.pi) * np.exp(-r * r))
    y = np.asarray(_erf(x.astype(np.float64)), dtype=np.float64)
    return y.astype(x.dtype)


def rsqrt(x: Any) -> Any:
    """`1 / sqrt(x)`."""
    return 1 / np.sqrt(x)


def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`, without overflow on either side."""
    e = np.exp(np.where(real(x) >= 0, -x, x))
    y = np.where(real(x) >= 0, 1 / (1 + e), e / (1 + e))
    return y.astype(x.dtype)


def decided(name: str) -> Any:
    """A numpy function of real parts whose derivative is zero (`floor`, `sign`, comparisons)."""
    f = getattr(np, name)

    def apply(*xs: Any) -> Any:
        return f(*(real(x) for x in xs))

    return apply


def rounded(name: str) -> Any:
    """Like `decided`, for floats: the result takes part in complex arithmetic again."""
    f = getattr(np, name)

    def apply(x: Any) -> Any:
        return f(x.real).astype(COMPLEX) if is_complex(x) else f(x)

    return apply


def absolute(x: Any) -> Any:
    """`|x|`; the lowest integer stays itself."""
    return np.where(x.real < 0, -x, x) if is_complex(x) else np.abs(x)


def relu(x: Any) -> Any:
    """`x` if it is positive or NaN, else +0."""
    return np.where(real(x) <= 0, np.zeros((), x.dtype), x)


def maximum(a: Any, b: Any) -> Any:
    """The larger; NaN if either is."""
    if is_complex(a) or is_complex(b):
        return np.where((real(a) >= real(b)) | np.isnan(real(a)), a, b)
    return np.maximum(a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller; NaN if either is."""
    if is_complex(a) or is_complex(b):
        return np.where((real(a) <= real(b)) | np.isnan(real(a)), a, b)
    return np.minimum(a, b)


def floor_divide(a: Any, b: Any) -> Any:
    """`floor(a / b)`. The caller has seen to zero divisors of integers."""
    if a.dtype.kind in "iu":
        return np.floor_divide(a, b)
    return rounded("floor")(np.asarray(a / b))


def modulo(a: Any, b: Any) -> Any:
    """`a - b * floor(a / b)`: the sign of the divisor."""
    if a.dtype.kind in "iu":
        return np.mod(a, b)
    return a - b * floor_divide(a, b)


def power(a: Any, b: Any) -> Any:
    """`a ** b`; for integers the product of b factors, 1 if there are none. A square is `a * a`,
    rounded once, whatever the machine's power is."""
    if a.dtype.kind in "iu":
        return np.power(a, np.where(b > 0, b, 0).astype(b.dtype))
    if not (is_complex(a) or is_complex(b)):
        return np.where(b == 2, a * a, np.power(a, b))
    ar, br = real(a), real(b)
    y = np.power(ar, br)
    da = np.where(br == 0, 0.0, br * np.power(ar, br - 1))
    db = y * np.log(np.where(ar > 0, ar, 1.0))
    return y + 1j * (np.imag(a) * da + np.imag(b) * db)


def atan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y), in (-pi, pi]."""
    if not (is_complex(y) or is_complex(x)):
        return np.arctan2(y, x)
    yr, xr = real(y), real(x)
    n = xr * xr + yr * yr
    return np.arctan2(yr, xr) + 1j * ((np.imag(y) * xr - np.imag(x) * yr) / n)


def _amount(x: Any, n: Any) -> Any:
    return n & np.asarray(x.dtype.itemsize * 8 - 1).astype(x.dtype)


def shift_left(x: Any, n: Any) -> Any:
    """`x` shifted up by `n` modulo the width."""
    return np.left_shift(x, _amount(x, n))


def shift_right(x: Any, n: Any) -> Any:
    """`x` shifted down by `n` modulo the width, filled with the sign."""
    return np.right_shift(x, _amount(x, n))


def shift_right_logical(x: Any, n: Any) -> Any:
    """`x` shifted down by `n` modulo the width, filled with zeros."""
    u = np.dtype(f"uint{x.dtype.itemsize * 8}")
    bits = np.right_shift(x.astype(u), _amount(x, n).astype(u))
    return bits.astype(x.dtype)


def where(c: Any, a: Any, b: Any) -> Any:
    """`a` where `c` holds, else `b`."""
    y = np.where(c, a, b)
    return y[()]


def without_step(x: Any) -> Any:
    """The value without the imaginary part of a complex step; other values as they are."""
    if isinstance(x, (np.ndarray, np.generic)) and is_complex(x):
        r = real(x)
        return r.astype(COMPLEX)
    return x


class PoisonError(InternalError):
    """Something read a value that is `undef`: a bug of the compiler."""


class _Undefined:
    """The value of `undef`. Whatever looks at it fails; passing it on is allowed."""

    def __getattr__(self, name: str) -> Any:
        raise PoisonError("an undefined value was read", stage="evaluate")

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = _Undefined()
