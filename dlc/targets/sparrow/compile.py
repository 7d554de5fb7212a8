"""`compile_module`: the whole way from the bufferised form to a linked program."""

from __future__ import annotations

from dlc.memory.form import BModule
from dlc.targets.sparrow.program import SparrowOptions, SparrowProgram


def compile_module(bmodule: BModule, options: SparrowOptions | None = None) -> SparrowProgram:
    """The module as a program of the machine, with all its exported functions as entries. The same
    module gives the same bytes.

    Raises: CompileError E064x, in words, for what the machine lacks (64-bit floats)."""
    raise NotImplementedError
