"""Filling memory that nobody may read with NaNs: the `poison` option, a debugging aid."""

from __future__ import annotations

from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Value

PATTERN = 0x7FF80BAD7FF80BAD
"""Eight bytes that are a NaN in f64, in f32 and in bf16, and a wild address."""


def poison(f: Builder, address: Value, bytes_: Value) -> None:
    """Fill `bytes_` bytes, a multiple of 8."""
    f.call(_function(f.module), address, bytes_)


def _function(module: Module) -> Function:
    def emit() -> tuple[Function, str]:
        f = Builder(module, "dlc.poison", "void", [("ptr", "p"), (INDEX, "bytes")], inline="never")
        p, n = f.params
        with f.loop(0, n, 8) as loop:
            f.store(Value(INDEX, str(PATTERN)), f.gep("i8", p, loop.index))
        f.ret()
        return f.finish()

    return module.function("dlc.poison", emit)
