"""LLVM as text: write a module, compile it, load it. The only package that imports llvmlite is
here.

`Module` collects functions and constants; `Builder` writes one function; `compile_object`,
`compile_assembly` and `optimised_text` run LLVM; `load` puts an object into this process.

    target = host_target()
    module = Module(target)
    f = Builder(module, "twice", "double", [("double", "x")], linkage="external")
    f.ret(f.fadd(f.params[0], f.params[0]))
    f.define()
    library = load(compile_object(module.text(), target).data, ["twice"])
    ctypes.CFUNCTYPE(c_double, c_double)(library.address("twice"))(1.5)

Functions carry `nounwind "no-builtins"`: no loop becomes a call of memset or memcpy. An object that
leaves a symbol undefined which its target does not bring is refused (`compile_object`).
"""

from dlc.targets.cpu.llvm.builder import Builder, Operand
from dlc.targets.cpu.llvm.control import Loop
from dlc.targets.cpu.llvm.jit import Library, load
from dlc.targets.cpu.llvm.module import Function, Module, Signature
from dlc.targets.cpu.llvm.objects import Symbols, symbols
from dlc.targets.cpu.llvm.pipeline import (
    Object,
    Options,
    compile_assembly,
    compile_object,
    optimised_text,
)
from dlc.targets.cpu.llvm.target import Target, host_target, named_target
from dlc.targets.cpu.llvm.types import ELEMENTS, INDEX, Element, Value, vector

__all__ = [
    "ELEMENTS",
    "INDEX",
    "Builder",
    "Element",
    "Function",
    "Library",
    "Loop",
    "Module",
    "Object",
    "Operand",
    "Options",
    "Signature",
    "Symbols",
    "Target",
    "Value",
    "compile_assembly",
    "compile_object",
    "host_target",
    "load",
    "named_target",
    "optimised_text",
    "symbols",
    "vector",
]
