"""Compile kernels into objects, load them, and call them with numpy arrays."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np
import pytest

from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.llvm import (
    Builder,
    Function,
    Module,
    Options,
    Target,
    compile_object,
    host_target,
    load,
)

DEFAULT = Options()

_CTYPES = {
    "ptr": ctypes.c_void_p,
    "i64": ctypes.c_int64,
    "i32": ctypes.c_int32,
    "i16": ctypes.c_int16,
    "i8": ctypes.c_int8,
    "i1": ctypes.c_bool,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "void": None,
}


def _export(module: Module, function: Function, name: str = "entry") -> None:
    params = [
        (t, p)
        for (_, p), t in zip(function.signature.params, function.signature.types, strict=True)
    ]
    f = Builder(module, name, function.signature.result, params, linkage="external")
    result = f.call(function, *f.params)
    f.ret(None if result.type == "void" else result)
    f.define()


def compiled(
    emit: Callable[[Module], Function], target: Target | None = None, options: Options = DEFAULT
) -> Callable[..., object]:
    """The function that `emit` puts into a module, as a Python callable."""
    target = target or host_target()
    module = Module(target)
    function = emit(module)
    _export(module, function)
    library = load(compile_object(module.text(), target, options).data, ["entry"])
    types = [_CTYPES[t] for t in function.signature.types]
    result = _CTYPES[function.signature.result]
    call = ctypes.CFUNCTYPE(result, *types)(library.address("entry"))

    def run(*args: object) -> object:
        _ = library  # keeps the code alive
        return call(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in args))

    return run


@functools.cache
def _kernel(
    name: str, dtype: str, variant: str, level: int, target: Target
) -> Callable[..., object]:
    return compiled(lambda m: kernel(m, name, dtype, variant), target, Options(level=level))


@pytest.fixture(scope="session")
def run_kernel() -> Callable[..., object]:
    """`run_kernel(name, dtype, variant, *args, level=3, target=host)`: compile once, call."""

    def run(
        name: str,
        dtype: str,
        variant: str,
        *args: object,
        level: int = 3,
        target: Target | None = None,
    ) -> object:
        return _kernel(name, dtype, variant, level, target or host_target())(*args)

    return run


@pytest.fixture(scope="session")
def compile_function() -> Callable[..., Callable[..., object]]:
    """`compile_function(emit, target, options)`: see `compiled`."""
    return compiled
