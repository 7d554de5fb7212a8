"""Where two results differ, by the tolerance table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from dlc.cli.results import parts_of, text_of
from dlc.ops.tolerance import mismatch
from dlc.typesys.dtypes import dtype_of_numpy

LENGTH = 1024
"""Terms of a sum: a program adds more than one operation does."""


def first_difference(
    got: Mapping[str, Any], want: Mapping[str, Any], length: int = LENGTH
) -> str | None:
    """The first place where `got` is not `want`, by name, and how; None if they agree. Floats are
    measured by the largest number of their array, as sums of `length` terms."""
    if list(got) != list(want):
        return f"results {', '.join(got)} instead of {', '.join(want)}"
    work: list[tuple[str, Any, Any]] = [(n, got[n], want[n]) for n in reversed(list(want))]
    while work:
        name, x, y = work.pop()
        a, b = parts_of(x), parts_of(y)
        if a is not None and b is not None:
            if (a[0], len(a[1])) != (b[0], len(b[1])):
                return f"{name}: {a[0]} instead of {b[0]}"
            pairs = [
                (f"{name}.{n}", u, v) for (n, u), (_, v) in zip(a[1], b[1], strict=True)
            ]  # fmt: skip
        elif isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)):
            xs, ys = cast("Sequence[Any]", x), cast("Sequence[Any]", y)
            if len(xs) != len(ys):
                return f"{name}: {len(xs)} elements instead of {len(ys)}"
            pairs = [(f"{name}[{i}]", u, v) for i, (u, v) in enumerate(zip(xs, ys, strict=True))]
        else:
            text = _leaf(x, y, length)
            if text is not None:
                return f"{name}: {text}"
            continue
        work += reversed(pairs)
    return None


def _leaf(x: Any, y: Any, length: int) -> str | None:
    if x is None or y is None or parts_of(x) is not None or parts_of(y) is not None:
        return None if x is None and y is None else f"{text_of(x)} instead of {text_of(y)}"
    a, b = np.asarray(x), np.asarray(y)
    dtype = dtype_of_numpy(b.dtype)
    if dtype is None or a.dtype != b.dtype:
        return f"elements of {a.dtype} instead of {b.dtype}" if a.dtype != b.dtype else None
    if not dtype.is_float:
        return mismatch(a, b, dtype)
    sizes = np.abs(b.astype(np.float64))
    sizes = sizes[np.isfinite(sizes)]
    scale = float(sizes.max()) if sizes.size else 0.0
    return mismatch(a, b, dtype, length=length, scale=scale)
