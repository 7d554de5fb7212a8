"""The packed layout of a constant b[K, N], and how to get there.

Blocks of DEPTH rows (one block of all K where sums must not be rounded between: f16, bf16); in a
block, panels of `panel_columns` columns; in a panel, row after row. The last panel is filled up
with zeros. So a tile reads forward only, and one panel of a block stays in the cache while all
rows of a pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dlc.targets.cpu.kernels.operands import OPERANDS
from dlc.targets.cpu.kernels.registry import Family, Key, Params
from dlc.targets.cpu.kernels.simd import zero
from dlc.targets.cpu.kernels.tiles import largest
from dlc.targets.cpu.llvm import INDEX, Builder, Target, Value

DEPTH = 512
"""Rows of b that are worked through before the next."""


def panel_columns(target: Target, dtype: str) -> int:
    """Columns of a panel: the width of the largest tile."""
    return largest(target).width * OPERANDS[dtype].lanes(target)


def packed_elements(target: Target, dtype: str, k: int, n: int) -> int:
    """Elements of a packed b[K, N]."""
    columns = panel_columns(target, dtype)
    return k * -(-n // columns) * columns


def packed(target: Target, dtype: str, b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """b[K, N] packed, as a flat array: what the kernel `pack` writes, for weights known when
    compiling."""
    k, n = b.shape
    columns = panel_columns(target, dtype)
    panels = -(-n // columns)
    full = np.zeros((k, panels * columns), b.dtype)
    full[:, :n] = b
    depth = DEPTH if OPERANDS[dtype].exact_in_c else max(k, 1)
    blocks = [
        full[i : i + depth].reshape(min(depth, k - i), panels, columns).transpose(1, 0, 2).ravel()
        for i in range(0, k, depth)
    ]
    return np.concatenate(blocks) if blocks else full.ravel()


def _params(key: Key) -> Params:
    return (
        (INDEX, "k"),
        (INDEX, "n"),
        ("ptr", "b"),
        (INDEX, "row"),
        (INDEX, "col"),
        ("ptr noalias", "to"),
    )


def _pack(f: Builder, key: Key) -> None:
    """Pack b[i, j], which lies at i * row + j * col; `to` has room for `packed_elements`."""
    ops = OPERANDS[key.dtype]
    k, n, b, row, col, to = f.params
    columns, t = panel_columns(f.module.target, key.dtype), ops.memory("b")
    depth: Value = f.index(DEPTH) if ops.exact_in_c else f.imax(k, 1)
    with f.loop(0, k, depth, name="depth", carried=[to]) as block:
        last = f.imin(f.add(block.index, depth), k)
        with f.loop(0, n, columns, name="panel", carried=block.carried) as panel:
            inside = f.imin(f.sub(n, panel.index), columns)
            with f.loop(block.index, last, name="row", carried=panel.carried) as line:
                at = line.carried[0]
                start = f.add(f.mul(line.index, row), f.mul(panel.index, col))
                source = f.gep(t, b, start)
                with f.loop(0, inside, name="column") as column:
                    x = f.load(t, f.gep(t, source, f.mul(column.index, col)))
                    f.store(x, f.gep(t, at, column.index))
                with f.loop(inside, columns, name="fill") as fill:
                    f.store(zero(t), f.gep(t, at, fill.index))
                line.next(f.gep(t, at, columns))
            panel.next(*line.carried)
        block.next(*panel.carried)


FAMILIES = (Family("pack", tuple(OPERANDS), _params, _pack),)
