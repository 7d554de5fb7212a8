"""`random_bits`, `random_uniform`, `key_split`."""

from __future__ import annotations

from dlc.memory.form import Reg, Tensor
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.tensors.axes import product
from dlc.targets.cpu.emit.tensors.operands import destination
from dlc.targets.cpu.kernels import kernel
from dlc.typesys.dtypes import I64


def emit_random(b: Body, s: Tensor) -> None:
    key = b.operand(s.ins[0], I64)
    with destination(b, s) as out:
        function = kernel(b.f.module, "random", out.dtype.name)
        b.f.call(function, key, b.dim(product(out.shape)), out.address)


def emit_split(b: Body, s: Tensor) -> None:
    key = b.operand(s.ins[0], I64)
    keys = b.f.call(kernel(b.f.module, "split", "i64"), key)
    for i, r in enumerate(s.outs):
        assert isinstance(r, Reg)
        b.set(r, b.f.field(keys, i, "i64"))
