"""Tensor operations: a table from names to lowerings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.memory.form import Tensor
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.tensors import contraction, movement

Lowering = Callable[[Body, Tensor], None]

LOWERINGS: Mapping[str, Lowering] = MappingProxyType(
    {
        "contract": contraction.emit_contract,
        "copy": movement.emit_copy,
        "fill": movement.emit_fill,
    }
)
"""How each tensor operation is written, by name."""


def emit_tensor(b: Body, s: Tensor) -> None:
    lowering = LOWERINGS.get(s.op)
    if lowering is None:
        raise InternalError(f"no lowering for `{s.op}`", stage="emit", op=s.op)
    lowering(b, s)
