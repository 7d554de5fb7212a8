"""Convolutions and their transposes against sums written out in numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import ml_dtypes
import numpy as np
import pytest

from dlc.targets.cpu.kernels.windows import geometry
from tests.unit.targets.cpu.kernels.machines import MACHINES

Run = Callable[..., object]
SEED = 17
NUMPY = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
EPS = {"f32": 1e-6, "f64": 2e-15, "f16": 2e-3, "bf16": 1.6e-2}


@dataclass(frozen=True)
class Case:
    """Sizes of one convolution; `pads` are (before, after) of each axis."""

    batch: int
    groups: int
    cg: int
    og: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def out(self) -> tuple[int, ...]:
        axes = zip(self.size, self.kernel, self.stride, self.pads, self.dilation, strict=True)
        return tuple((n + sum(p) - (k - 1) * d - 1) // s + 1 for n, k, s, p, d in axes)

    @property
    def geometry(self) -> np.ndarray:
        before = [p[0] for p in self.pads]
        fields = geometry(
            self.batch, self.groups, self.cg, self.og, self.size, self.kernel, self.out,
            self.stride, before, self.dilation,
        )  # fmt: skip
        return np.array(fields, np.int64)

    def taps(self) -> list[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """For each tap, what all windows see of the padded x."""
        found = []
        for tap in product(*map(range, self.kernel)):
            axes = zip(tap, self.dilation, self.stride, self.out, strict=True)
            see = tuple(slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, s, n in axes)
            found.append((tap, see))
        return found


def case(
    batch: int, groups: int, cg: int, og: int, size: tuple[int, ...], kernel: tuple[int, ...],
    stride: int = 1, pads: tuple[int, int] = (0, 0), dilation: int = 1,
) -> Case:  # fmt: skip
    n = len(size)
    return Case(batch, groups, cg, og, size, kernel, (stride,) * n, (pads,) * n, (dilation,) * n)


CASES = [
    case(1, 1, 1, 1, (1,), (1,)),
    case(2, 1, 3, 5, (17,), (3,)),
    case(1, 1, 4, 7, (40,), (5,), 2, (2, 1)),
    case(1, 2, 2, 4, (23,), (3,), 1, (2, 2), 2),
    case(2, 1, 3, 8, (9, 11), (3, 3), 1, (1, 1)),
    case(1, 1, 5, 6, (12, 20), (1, 1)),
    case(1, 1, 5, 6, (12, 20), (1, 1), 2),
    case(1, 1, 2, 13, (14, 14), (3, 3), 2, (1, 1)),
    case(1, 1, 17, 9, (7, 7), (3, 3), 1, (1, 1)),
    case(1, 3, 1, 1, (10, 19), (3, 3), 1, (1, 1)),
    case(1, 2, 1, 2, (11, 37), (5, 3), 2, (2, 0)),
    case(2, 3, 1, 2, (12, 41), (3, 3), 2, (1, 1)),
    case(2, 3, 1, 2, (1, 17), (3, 3), 1, (2, 2)),
    case(1, 3, 1, 1, (13, 16), (3, 3), 2, (0, 3)),
    case(1, 1, 1, 2, (0, 5), (3, 3), 1, (2, 2)),
    case(1, 2, 1, 1, (9, 20), (3, 3), 3, (2, 2), 2),
    case(1, 4, 1, 1, (3, 6, 18), (1, 3, 3), 1, (0, 1)),
    case(1, 2, 3, 5, (8, 70), (3, 3), 1, (3, 3), 3),
    case(1, 1, 2, 3, (5, 6, 7), (2, 3, 2), 1, (1, 0)),
    case(1, 1, 1, 4, (4, 5, 9), (3, 1, 3), 2, (1, 2)),
    case(1, 1, 1, 5, (3, 3), (3, 3), 1, (4, 4)),
    case(0, 1, 2, 4, (5, 5), (3, 3)),
    case(1, 1, 150, 4, (6, 7), (1, 1), 1, (1, 1)),
    Case(1, 1, 2, 4, (9, 30), (3, 2), (2, 3), ((1, 0), (0, 2)), (1, 2)),
]


WHERE = [(w, "f32") for w in MACHINES] + [("host", d) for d in ("f64", "f16", "bf16")]


def arrays(c: Case, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    shapes = (
        (c.batch, c.groups * c.cg, *c.size),
        (c.groups * c.og, c.cg, *c.kernel),
        (c.batch, c.groups * c.og, *c.out),
    )
    x, w, y = (rng.standard_normal(s).astype(NUMPY[dtype]) for s in shapes)
    return x, w, y


def grouped(c: Case, x: np.ndarray, w: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """In f64: x padded, all with the group as an axis of its own."""
    pads = [(0, 0), (0, 0), *c.pads]
    x = np.pad(x.astype(np.float64), pads)
    x = x.reshape(c.batch, c.groups, c.cg, *x.shape[2:])
    w = w.astype(np.float64).reshape(c.groups, c.og, c.cg, *c.kernel)
    return x, w, y.astype(np.float64).reshape(c.batch, c.groups, c.og, *c.out)


def close(got: np.ndarray, want: np.ndarray, scale: np.ndarray, dtype: str) -> None:
    error = np.abs(got.astype(np.float64) - want) / (scale + 1e-30)
    assert error.size == 0 or error.max() <= EPS[dtype], error.max()


@pytest.mark.parametrize(("where", "dtype"), WHERE)
@pytest.mark.parametrize("c", CASES, ids=range(len(CASES)))
def test_conv(run_kernel: Run, where: str, dtype: str, c: Case) -> None:
    x, w, y = arrays(c, dtype)
    gx, gw, gy = grouped(c, x, w, y)
    want, scale = np.zeros_like(gy), np.zeros_like(gy)
    for tap, see in c.taps():
        part = gx[(slice(None), slice(None), slice(None), *see)]
        weight = gw[(slice(None), slice(None), slice(None), *tap)]
        want += np.einsum("bgc...,goc->bgo...", part, weight)
        scale += np.einsum("bgc...,goc->bgo...", np.abs(part), np.abs(weight))
    for add in (False, True):
        out = y.copy()
        run_kernel("conv", dtype, "", c.geometry, x, w, out, add, target=MACHINES[where])
        total = want + gy if add else want
        close(out.reshape(gy.shape), total, scale + np.abs(gy), dtype)


@pytest.mark.parametrize(("where", "dtype"), WHERE)
@pytest.mark.parametrize("c", CASES, ids=range(len(CASES)))
def test_conv_input_grad(run_kernel: Run, where: str, dtype: str, c: Case) -> None:
    x, w, dy = arrays(c, dtype)
    gx, gw, gy = grouped(c, x, w, dy)
    want, scale = np.zeros_like(gx), np.zeros_like(gx)
    for tap, see in c.taps():
        weight = gw[(slice(None), slice(None), slice(None), *tap)]
        at = (slice(None), slice(None), slice(None), *see)
        want[at] += np.einsum("bgo...,goc->bgc...", gy, weight)
        scale[at] += np.einsum("bgo...,goc->bgc...", np.abs(gy), np.abs(weight))
    crop = tuple(slice(p[0], p[0] + n) for p, n in zip(c.pads, c.size, strict=True))
    cut = (slice(None), slice(None), slice(None), *crop)
    for add in (False, True):
        out = x.copy()
        run_kernel(
            "conv_input_grad", dtype, "", c.geometry, dy, w, out, add, target=MACHINES[where]
        )
        total = want[cut] + (gx[cut] if add else 0)
        close(out.reshape(total.shape), total, scale[cut] + np.abs(gx[cut]), dtype)


@pytest.mark.parametrize(("where", "dtype"), WHERE)
@pytest.mark.parametrize("c", CASES, ids=range(len(CASES)))
def test_conv_weight_grad(run_kernel: Run, where: str, dtype: str, c: Case) -> None:
    x, w, dy = arrays(c, dtype)
    gx, gw, gy = grouped(c, x, w, dy)
    want, scale = np.zeros_like(gw), np.zeros_like(gw)
    for tap, see in c.taps():
        part = gx[(slice(None), slice(None), slice(None), *see)]
        a, b = (v.reshape(*v.shape[:3], int(np.prod(c.out))) for v in (gy, part))
        at = (slice(None), slice(None), slice(None), *tap)
        want[at] += np.einsum("bgop,bgcp->goc", a, b)
        scale[at] += np.einsum("bgop,bgcp->goc", np.abs(a), np.abs(b))
    for add in (False, True):
        out = w.copy()
        run_kernel(
            "conv_weight_grad", dtype, "", c.geometry, x, dy, out, add, target=MACHINES[where]
        )
        total = want + (gw if add else 0)
        close(out.reshape(gw.shape), total, scale + np.abs(gw), dtype)


def test_equal_bits_at_every_level(run_kernel: Run) -> None:
    c = CASES[7]
    x, w, dy = arrays(c, "f32")
    outs = []
    for level in (0, 3):
        y, dx, dw = np.zeros_like(dy), np.zeros_like(x), np.zeros_like(w)
        run_kernel("conv", "f32", "", c.geometry, x, w, y, False, level=level)
        run_kernel("conv_input_grad", "f32", "", c.geometry, dy, w, dx, False, level=level)
        run_kernel("conv_weight_grad", "f32", "", c.geometry, x, dy, dw, False, level=level)
        outs.append(b"".join(a.tobytes() for a in (y, dx, dw)))
    assert outs[0] == outs[1]
