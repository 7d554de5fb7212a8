"""Tensor operations: a table from names to lowerings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.memory.form import Tensor
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.tensors import (
    contraction,
    draws,
    gather,
    movement,
    order,
    reduction,
    segments,
    windows,
)

Lowering = Callable[[Body, Tensor], None]

LOWERINGS: Mapping[str, Lowering] = MappingProxyType(
    {
        "copy": movement.emit_copy,
        "fill": movement.emit_fill,
        "iota": movement.emit_iota,
        "contract": contraction.emit_contract,
        "reduce": reduction.emit_reduce,
        "cumsum": reduction.emit_cumsum,
        "argmax": order.emit_extreme,
        "argmin": order.emit_extreme,
        "sort": order.emit_sort,
        "top_k": order.emit_top_k,
        "searchsorted": order.emit_searchsorted,
        "nonzero_indices": order.emit_nonzero,
        "take": gather.emit_take,
        "take_along": gather.emit_take_along,
        "add_along": gather.emit_add_along,
        "scatter": gather.emit_scatter,
        "scatter_add": gather.emit_scatter,
        "scatter_max": gather.emit_scatter,
        "scatter_min": gather.emit_scatter,
        "conv": windows.emit_conv,
        "conv_input_grad": windows.emit_conv_input_grad,
        "conv_weight_grad": windows.emit_conv_weight_grad,
        "pool": windows.emit_pool,
        "pool_grad": windows.emit_pool_grad,
        "row_of": segments.emit_row_of,
        "segment_reduce": segments.emit_segment_reduce,
        "check_indices": segments.emit_check_indices,
        "check_segments": segments.emit_check_segments,
        "random_bits": draws.emit_random,
        "random_uniform": draws.emit_random,
        "key_split": draws.emit_split,
    }
)
"""How each tensor operation is written, by name."""


def emit_tensor(b: Body, s: Tensor) -> None:
    lowering = LOWERINGS.get(s.op)
    if lowering is None:
        raise InternalError(f"no lowering for `{s.op}`", stage="emit", op=s.op)
    lowering(b, s)
