"""The lowering of every kind of typed expression, by its class."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from dlc.check import typed
from dlc.diag import InternalError
from dlc.lower import arithmetic, calls, each, higher, indexing
from dlc.lower.builtins.table import lower_builtin
from dlc.lower.derivatives import lower_gradient
from dlc.lower.fixpoint import lower_fixpoint
from dlc.lower.initialise import lower_init
from dlc.lower.products import lower_contract, lower_sparse_product
from dlc.lower.reductions import lower_reduce
from dlc.lower.rows import lower_densify
from dlc.lower.scope import Leaves, Scope


class _Handler(Protocol):
    def __call__(self, s: Scope, e: Any, /) -> Leaves: ...


EXPRESSIONS: Mapping[type[typed.Expression], _Handler] = MappingProxyType(
    {
        typed.Literal: arithmetic.lower_literal,
        typed.Read: arithmetic.lower_read,
        typed.DimValue: arithmetic.lower_dim_value,
        typed.TupleOf: arithmetic.lower_tuple,
        typed.TensorOf: arithmetic.lower_tensor_of,
        typed.ListOf: arithmetic.lower_list_of,
        typed.Elementwise: arithmetic.lower_elementwise,
        typed.Power: arithmetic.lower_power,
        typed.Convert: arithmetic.lower_convert,
        typed.Broadcast: arithmetic.lower_broadcast,
        typed.Retype: arithmetic.lower_retype,
        typed.Densify: lower_densify,
        typed.ShortCircuit: arithmetic.lower_short_circuit,
        typed.IfElse: arithmetic.lower_if_else,
        typed.Contract: lower_contract,
        typed.SparseProduct: lower_sparse_product,
        typed.Transpose: arithmetic.lower_transpose,
        typed.Slice: indexing.lower_slice,
        typed.Gather: indexing.lower_gather,
        typed.ListAt: indexing.lower_list_at,
        typed.ArrayAt: indexing.lower_array_at,
        typed.FieldOf: arithmetic.lower_field,
        typed.Length: arithmetic.lower_length,
        typed.Construct: arithmetic.lower_construct,
        typed.CallFunction: calls.lower_call,
        typed.CallBuiltin: lower_builtin,
        typed.Reduce: lower_reduce,
        typed.Concat: arithmetic.lower_concat,
        typed.Chunk: arithmetic.lower_chunk,
        typed.Reshape: arithmetic.lower_reshape,
        typed.InlineCall: calls.lower_inline,
        typed.MapCall: higher.lower_map,
        typed.ScanCall: higher.lower_scan,
        typed.FoldCall: higher.lower_fold,
        typed.EachCall: each.lower_each,
        typed.TotalCall: each.lower_total,
        typed.FixpointCall: lower_fixpoint,
        typed.InitModel: lower_init,
        typed.Gradient: lower_gradient,
        typed.CallOnnx: calls.lower_onnx,
    }
)


def lower_expression(s: Scope, e: typed.Expr) -> Leaves:
    handler = EXPRESSIONS.get(type(e))
    if handler is None:
        raise InternalError(f"no lowering of {type(e).__name__}", stage="lower", span=e.span)
    return handler(s, e)
