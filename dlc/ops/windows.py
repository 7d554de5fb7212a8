"""The geometry that convolutions and pools share: strides, padding, dilation over 1 to 3 spatial
axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from dlc.ir.core import Op
from dlc.ops.card import CardError, Site
from dlc.ops.numeric import np
from dlc.typesys.dims import Dim


@dataclass(frozen=True)
class Windows:
    """One entry per spatial axis; `low` and `high` are the padding at both ends."""

    strides: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    dilations: tuple[int, ...]

    def count(self, size: Dim, kernel: Dim | int, axis: int) -> Dim:
        """How many windows fit: `(size + low + high - dilation*(kernel-1) - 1) // stride + 1`."""
        reach = (Dim.of(kernel) - 1) * self.dilations[axis]
        return (size + self.low[axis] + self.high[axis] - reach - 1) // self.strides[axis] + 1

    def pad(self, x: Any, value: Any) -> Any:
        """`x` (spatial axes last, from axis 2) with `value` around it."""
        width = [(0, 0), (0, 0), *zip(self.low, self.high, strict=True)]
        return np.pad(x, width, constant_values=value)

    def crop(self, x: Any) -> Any:
        """The inverse of `pad`."""
        cut = (
            slice(lo, n - hi) for lo, hi, n in zip(self.low, self.high, x.shape[2:], strict=True)
        )
        return x[(slice(None), slice(None), *cut)]

    def offsets(
        self, kernel: tuple[int, ...], out: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """For each position in the kernel, row-major: the position, and the places in the padded
        input that all windows see there."""
        for at in product(*map(range, kernel)):
            yield at, (slice(None), slice(None), *(
                slice(k * d, k * d + (n - 1) * s + 1 if n else k * d, s)
                for k, d, s, n in zip(at, self.dilations, self.strides, out, strict=True)
            ))  # fmt: skip


def windows_at(site: Site, spatial: int) -> Windows:
    """The geometry of an operation being checked."""
    if not 1 <= spatial <= 3:
        raise CardError(f"`{site.name}` has 1 to 3 spatial axes, not {spatial}")
    ones, zeros = (1,) * spatial, (0,) * (2 * spatial)
    w = _windows(
        site.attr_ints("strides", ones),
        site.attr_ints("pads", zeros),
        site.attr_ints("dilations", ones),
    )
    for values, least, n in (
        (w.strides, 1, spatial), (w.low + w.high, 0, 2 * spatial), (w.dilations, 1, spatial),
    ):  # fmt: skip
        if len(values) != n or any(v < least for v in values):
            raise CardError(f"`{site.name}`: strides, pads or dilations don't fit {spatial} axes")
    return w


def windows_of(op: Op) -> Windows:
    """The geometry of a checked operation."""
    n = op.operands[0].tensor.rank - 2
    return _windows(
        op.attr_ints("strides") or (1,) * n,
        op.attr_ints("pads") or (0,) * (2 * n),
        op.attr_ints("dilations") or (1,) * n,
    )


def _windows(
    strides: tuple[int, ...], pads: tuple[int, ...], dilations: tuple[int, ...]
) -> Windows:
    half = len(pads) // 2
    return Windows(strides, pads[:half], pads[half:], dilations)
