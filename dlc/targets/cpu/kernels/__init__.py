"""Kernels of the CPU target, as templates of LLVM text."""

from collections.abc import Mapping

from dlc.diag import InternalError
from dlc.targets.cpu.kernels import gemm, gemv, memory, packing
from dlc.targets.cpu.kernels.registry import Family, Key, require, table
from dlc.targets.cpu.llvm import Function, Module

KERNELS: Mapping[str, Family] = table(
    (*memory.FAMILIES, *gemv.FAMILIES, *gemm.FAMILIES, *packing.FAMILIES)
)
"""Every family of kernels by name."""


def kernel(module: Module, name: str, dtype: str, variant: str = "") -> Function:
    """The kernel, emitted into `module` if it is not there yet; call it with `Builder.call`.

    Raises: InternalError for a kernel that does not exist.
    """
    family = KERNELS.get(name)
    if family is None:
        raise InternalError(f"no kernel is called {name}")
    return require(module, family, dtype, variant)


__all__ = ["KERNELS", "Family", "Key", "kernel"]
