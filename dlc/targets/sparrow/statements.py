"""What writes each kind of statement."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dlc.memory import form as f
from dlc.targets.sparrow import control, records
from dlc.targets.sparrow.body import Emitters
from dlc.targets.sparrow.maps import emit_map
from dlc.targets.sparrow.scalars import emit_scalar
from dlc.targets.sparrow.tensors import emit_tensor

_RULES: Mapping[type, Any] = {
    f.Const: control.emit_const,
    f.Data: control.emit_data,
    f.Move: control.emit_move,
    f.DimValue: control.emit_dim_value,
    f.BindDim: control.emit_bind_dim,
    f.Scalar: emit_scalar,
    f.Address: control.emit_address,
    f.Load: control.emit_load,
    f.Store: control.emit_store,
    f.Map: emit_map,
    f.Tensor: emit_tensor,
    f.CheckIndex: control.emit_check_index,
    f.CheckDims: control.emit_check_dims,
    f.Assert: control.emit_assert,
    f.Alloc: records.emit_alloc,
    f.Mark: records.emit_mark,
    f.Release: records.emit_release,
    f.Variant: records.emit_variant,
    f.ListNew: records.emit_list_new,
    f.ListPush: records.emit_list_push,
    f.ListAt: records.emit_list_at,
    f.ListLen: records.emit_list_len,
    f.ListDrop: records.emit_list_drop,
    f.ListCopy: records.emit_list_copy,
    f.If: control.emit_if,
    f.Switch: control.emit_switch,
    f.For: control.emit_for,
    f.Loop: control.emit_loop,
    f.Call: control.emit_call,
}
EMITTERS: Emitters = MappingProxyType(dict(_RULES))
