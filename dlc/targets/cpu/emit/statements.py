"""The table: how each statement of the bufferised form is written."""

from __future__ import annotations

from types import MappingProxyType

from dlc.memory import form
from dlc.targets.cpu.emit import control, groups, heap, map, places
from dlc.targets.cpu.emit.body import Emitters
from dlc.targets.cpu.emit.tensors import emit_tensor

STATEMENTS: Emitters = MappingProxyType(
    {
        form.Const: control.emit_const,
        form.Data: control.emit_data,
        form.Move: control.emit_move,
        form.DimValue: control.emit_dim_value,
        form.BindDim: control.emit_bind_dim,
        form.CheckIndex: control.emit_check_index,
        form.CheckDims: control.emit_check_dims,
        form.Assert: control.emit_assert,
        form.If: control.emit_if,
        form.Switch: control.emit_switch,
        form.For: control.emit_for,
        form.Loop: control.emit_loop,
        form.Call: groups.emit_call,
        form.Address: places.emit_address,
        form.Load: places.emit_load,
        form.Store: places.emit_store,
        form.Scalar: map.emit_scalar,
        form.Map: map.emit_map,
        form.Tensor: emit_tensor,
        form.Alloc: heap.emit_alloc,
        form.Mark: heap.emit_mark,
        form.Release: heap.emit_release,
        form.Variant: heap.emit_variant,
        form.ListNew: heap.emit_list_new,
        form.ListPush: heap.emit_list_push,
        form.ListAt: heap.emit_list_at,
        form.ListLen: heap.emit_list_len,
        form.ListDrop: heap.emit_list_drop,
        form.ListCopy: heap.emit_list_copy,
    }
)
