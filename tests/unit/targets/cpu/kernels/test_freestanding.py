"""Every kernel and every elementwise function becomes code that calls nobody, on every machine."""

from __future__ import annotations

import pytest

from dlc.targets.cpu.kernels import KERNELS, kernel
from dlc.targets.cpu.kernels.math import FUNCTIONS, elementwise
from dlc.targets.cpu.llvm import (
    ELEMENTS,
    Builder,
    Function,
    Module,
    Options,
    Target,
    compile_object,
    named_target,
    vector,
)

MACHINES = {
    "x86-64": ("x86_64-unknown-linux-gnu",),
    "haswell": ("x86_64-unknown-linux-gnu", "haswell"),
    "icelake": ("x86_64-unknown-linux-gnu", "icelake-server"),
    "i686": ("i686-unknown-linux-gnu",),
    "windows": ("x86_64-pc-windows-msvc",),
    "aarch64": ("aarch64-unknown-linux-gnu",),
    "windows-arm": ("aarch64-pc-windows-msvc",),
    "apple": ("arm64-apple-macosx13",),
    "armv7": ("armv7-unknown-linux-gnueabihf",),
    "cortex-m4": ("thumbv7em-none-eabihf", "cortex-m4"),
    "cortex-m7": ("thumbv7em-none-eabihf", "cortex-m7"),
    "soft-float": ("thumbv7em-none-eabi",),
    "riscv64": ("riscv64-unknown-linux-gnu",),
    "riscv-vector": ("riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+f,+d,+c,+v"),
    "wasm": ("wasm32",),
    "wasm-simd": ("wasm32", "", "+simd128"),
}


def export(module: Module, function: Function, name: str) -> None:
    """A visible caller; operands and result go through memory."""
    f = Builder(module, name, "void", [("ptr", "p")], linkage="external")
    (p,) = f.params
    types = function.signature.types
    args = [f.const("i1", False) if t == "i1" else f.load(t, p) for t in types]
    result = f.call(function, *args)
    if result.type.startswith("{"):
        result = f.field(result, 0, "i64")
    if "i1" in result.type.split()[-1]:
        result = f.cast("zext", result, "i8")
    if result.type != "void":
        f.store(result, p)
    f.ret()
    f.define()


def everything(target: Target, dtypes: tuple[str, ...]) -> tuple[str, set[str]]:
    """The text of a module with all of it, and the names of the callers."""
    module, names = Module(target), set[str]()
    for family in KERNELS.values():
        for key in family.keys:
            if key.dtype in dtypes:
                names.add(f"x.{key.symbol}")
                export(module, kernel(module, key.name, key.dtype, key.variant), f"x.{key.symbol}")
    for name, entry in FUNCTIONS.items():
        for dtype in dtypes:
            e = ELEMENTS[dtype]
            if (
                e.is_half
                or e.kind == "bool"
                or not (entry.floats if e.is_float else entry.integers)
            ):
                continue
            for lanes in sorted({1, target.lanes(e.bytes)}):
                function = elementwise(module, name, vector(e.register, lanes))
                names.add(f"x.{name}.{dtype}.{lanes}")
                export(module, function, f"x.{name}.{dtype}.{lanes}")
    return module.text(), names


@pytest.mark.parametrize("machine", ["x86-64", "windows", "cortex-m4", "wasm-simd"])
def test_objects_call_nobody(machine: str) -> None:
    target = named_target(*MACHINES[machine])
    text, names = everything(target, ("f32", "bool"))
    assert names == set(compile_object(text, target, Options(level=0)).symbols.defined)


OPTIMISED = ("haswell", "i686", "windows", "armv7", "cortex-m4", "riscv-vector", "wasm-simd")
"""One of each kind: what LLVM turns loops into goes by the kind of machine."""


@pytest.mark.full
@pytest.mark.parametrize(
    ("machine", "level"), [*((m, 0) for m in MACHINES), *((m, 2) for m in OPTIMISED)]
)
def test_every_object_calls_nobody(machine: str, level: int) -> None:
    target = named_target(*MACHINES[machine])
    dtypes = ("f32", "f64", "f16", "i32", "i64", "i8", "u8", "bool")
    text, names = everything(target, dtypes)
    found = compile_object(text, target, Options(level=level)).symbols
    assert names == set(found.defined)
    if level and target.is_windows:
        assert "__chkstk" not in found.undefined


def test_equal_text_every_time() -> None:
    target = named_target(*MACHINES["haswell"])
    one, two = (everything(target, ("f32", "i32", "bool")) for _ in range(2))
    assert one == two
