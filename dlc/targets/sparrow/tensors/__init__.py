"""Tensor operations, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.memory.form import Reg, Tensor, View
from dlc.targets.sparrow.body import Body
from dlc.targets.sparrow.tensors import draws, gather, movement, order, segments, windows
from dlc.targets.sparrow.tensors.contraction import emit_contract
from dlc.targets.sparrow.tensors.reduction import emit_reduce
from dlc.typesys.dtypes import DType

RULES: Mapping[str, Callable[[Body, Tensor], None]] = MappingProxyType(
    {
        "copy": movement.emit_copy,
        "fill": movement.emit_fill,
        "iota": movement.emit_iota,
        "contract": emit_contract,
        "reduce": emit_reduce,
        "cumsum": order.emit_cumsum,
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
        "conv": windows.emit_convolution,
        "conv_input_grad": windows.emit_convolution,
        "conv_weight_grad": windows.emit_convolution,
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


def emit_tensor(b: Body, s: Tensor) -> None:
    for x in (*s.outs, *s.ins, *s.scratch):
        if isinstance(x, View):
            b.unit.check_dtype(x.dtype, s.loc)
        elif isinstance(x, Reg) and isinstance(x.type, DType):
            b.unit.check_dtype(x.type, s.loc)
    emit = RULES.get(s.op)
    if emit is None:
        raise InternalError(f"no code for `{s.op}`", stage="sparrow", op=s.op)
    emit(b, s)
