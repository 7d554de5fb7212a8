"""The CPU draws the bits that `dlc.ops.random_bits` defines."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from dlc.ops import random_bits
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.llvm import (
    Builder,
    Function,
    Module,
    compile_object,
    host_target,
    load,
)
from tests.unit.targets.cpu.kernels.machines import MACHINES

Run = Callable[..., object]
KEYS = [0, 1, -1, 12345678901234567, -(1 << 63), (1 << 63) - 1]
SIZES = [0, 1, 2, 3, 31, 32, 33, 64, 100, 1009]


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("where", MACHINES)
def test_bits_and_uniform(run_kernel: Run, where: str, level: int) -> None:
    target = MACHINES[where]
    for key in KEYS:
        for n in SIZES:
            out = np.full(n + 1, 7, np.int32)
            run_kernel("random", "i32", "", key, n, out, level=level, target=target)
            assert np.array_equal(out[:n], random_bits.bits(key, n))
            assert out[n] == 7
            real = np.full(n + 1, 7, np.float32)
            run_kernel("random", "f32", "", key, n, real, level=level, target=target)
            assert np.array_equal(real[:n], random_bits.uniform(key, n))
            assert real[n] == 7


def test_split() -> None:
    target = host_target()
    module = Module(target)
    split: Function = kernel(module, "split", "i64")
    f = Builder(module, "entry", "void", [("i64", "key"), ("ptr", "out")], linkage="external")
    both = f.call(split, f.params[0])
    for i in range(2):
        f.store(f.field(both, i, "i64"), f.gep("i64", f.params[1], i))
    f.ret()
    f.define()
    library = load(compile_object(module.text(), target).data, ["entry"])
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(library.address("entry"))
    for key in KEYS:
        out = np.zeros(2, np.int64)
        call(key, out.ctypes.data)
        assert tuple(out.tolist()) == random_bits.split(key)
