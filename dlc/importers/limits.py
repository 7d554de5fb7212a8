"""How much a model may ask of the importer. Every number can be raised by the caller."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlc.importers.refusal import refuse
from dlc.typesys.types import TensorType


@dataclass(frozen=True)
class Limits:
    """Checked before anything is allocated or expanded.

    `model_bytes`: the file. `fields`: protobuf fields in it. `depth`: nesting of messages, graphs
    and functions. `nodes`: operators after functions are inlined, and fields of one message.
    `tensor_bytes`: one tensor, its data stored outside included. `fold_bytes`, `fold_steps`: what
    is computed when importing. `dense_bytes`: a sparse tensor with its zeros.
    `operations`: of the IR that is made. `window`: elements of a window that are written out one
    by one. `rank`: axes of a tensor. `attributes`: of one operator.
    `names`: characters of one name."""

    model_bytes: int = 4 << 30
    fields: int = 1_000_000
    depth: int = 32
    nodes: int = 200_000
    tensor_bytes: int = 16 << 30
    dense_bytes: int = 1 << 30
    fold_bytes: int = 64 << 20
    fold_steps: int = 100_000_000
    operations: int = 1_000_000
    window: int = 16_384
    rank: int = 32
    attributes: int = 1_000
    names: int = 4_096


class Budget:
    """What is left of the limits during one import."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.fields = limits.fields
        self.nodes = limits.nodes
        self.operations = limits.operations
        self._fold_bytes = limits.fold_bytes
        self._fold_steps = limits.fold_steps

    def take_fields(self, n: int = 1) -> None:
        """Raises E0702 if the file has more fields than allowed."""
        self.fields -= n
        if self.fields < 0:
            raise refuse(
                "E0702", f"the file has more than {self.limits.fields} protobuf fields"
            ).with_help("raise the limit `fields` if you trust the file")

    def take_node(self) -> None:
        """Raises E0702 if the model expands to more operators than allowed."""
        self.nodes -= 1
        if self.nodes < 0:
            raise refuse(
                "E0702",
                f"the model has more than {self.limits.nodes} operators once its functions are "
                "inlined",
            ).with_help("raise the limit `nodes` if you trust the file")

    def take_operation(self) -> None:
        """Raises E0702 if the IR grows beyond the limit."""
        self.operations -= 1
        if self.operations < 0:
            raise refuse(
                "E0702",
                f"the model becomes more than {self.limits.operations} operations",
            ).with_help("raise the limit `operations` if you trust the file")

    def check_window(self, *sizes: int) -> None:
        """Raises E0702 for a window with more elements than are written out."""
        if math.prod(sizes) > self.limits.window:
            shown = "x".join(map(str, sizes))
            raise refuse(
                "E0702", f"a window of {shown} elements; at most {self.limits.window} are supported"
            ).with_help("raise the limit `window` if you trust the file")

    def check_size(self, t: TensorType) -> None:
        """Raises E0702 for a tensor that is larger than allowed, as far as its dims are known, and
        E0707 for a negative size."""
        count = 1
        for d in t.shape:
            if not d.is_constant:
                continue
            if d.constant < 0:
                raise refuse("E0707", f"a size of {d}")
            count *= d.constant
            if d.constant >= 1 << 31:
                raise refuse("E0702", f"a tensor {t} has an axis of {d}; below 2**31 are supported")
        if count * t.dtype.bytes > self.limits.tensor_bytes:
            raise refuse(
                "E0702",
                f"a tensor {t} has more than the {self.limits.tensor_bytes} bytes that are allowed",
            ).with_help("raise the limit `tensor_bytes` if you trust the file")

    def check_depth(self, depth: int, what: str) -> None:
        """Raises E0702 for nesting beyond the limit."""
        if depth > self.limits.depth:
            raise refuse("E0702", f"{what} are nested more than {self.limits.depth} deep")

    def may_fold(self, size: int, steps: int) -> bool:
        """Whether a result of `size` bytes that takes `steps` may be computed now; if so, it is
        paid."""
        if size > self._fold_bytes or steps > self._fold_steps:
            return False
        self._fold_bytes -= size
        self._fold_steps -= steps
        return True
