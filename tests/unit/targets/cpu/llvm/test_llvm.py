"""Modules, functions, targets, the pipeline and loading."""

from __future__ import annotations

import ctypes

import pytest

from dlc.diag import CompileError, InternalError
from dlc.targets.cpu.llvm import (
    INDEX,
    Builder,
    Module,
    Options,
    Target,
    Value,
    compile_assembly,
    compile_object,
    host_target,
    load,
    named_target,
    optimised_text,
    symbols,
)

TRIPLES = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "riscv64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "thumbv7em-none-eabihf",
    "i686-unknown-linux-gnu",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "arm64-apple-macosx13",
    "x86_64-apple-macosx13",
    "wasm32",
]


def sum_of_squares(target: Target, name: str = "sum_of_squares") -> Module:
    module = Module(target)
    params = [("ptr", "x"), (INDEX, "n")]
    f = Builder(module, name, "double", params, linkage="external")
    x, n = f.params
    with f.loop(0, n, carried=[f.const("double", 0.0)]) as loop:
        a = f.load("double", f.gep("double", x, loop.index))
        loop.next(f.mul_add(a, a, loop.carried[0]))
    f.ret(loop.carried[0])
    f.define()
    return module


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_function_runs(level: int) -> None:
    obj = compile_object(sum_of_squares(host_target()).text(), host_target(), Options(level=level))
    assert obj.symbols.defined == ("sum_of_squares",)
    library = load(obj.data, ["sum_of_squares"])
    call = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_int64)(
        library.address("sum_of_squares")
    )
    xs = (ctypes.c_double * 5)(1, 2, 3, 4, 5)
    assert [call(xs, n) for n in range(6)] == [0, 1, 5, 14, 30, 55]


def test_equal_names_in_many_libraries() -> None:
    """Each object answers for itself, whatever the others call their symbols."""
    libraries = []
    for k in range(20):
        module = Module(host_target())
        f = Builder(module, "answer", "i32", [], linkage="external")
        f.ret(f.const("i32", k))
        f.define()
        obj = compile_object(module.text(), host_target(), Options(level=0))
        libraries.append(load(obj.data, ["answer"]))
    answers = [ctypes.CFUNCTYPE(ctypes.c_int32)(lib.address("answer"))() for lib in libraries]
    assert answers == list(range(20))


@pytest.mark.parametrize("triple", TRIPLES)
def test_symbols_of_every_object_format(triple: str) -> None:
    target = named_target(triple)
    module = sum_of_squares(target)
    outside = module.declare("outside", "void", ())
    f = Builder(module, "calls", "void", [], linkage="external")
    f.call(outside)
    f.ret()
    f.define()
    obj = compile_object(module.text(), target, allowed=("outside",))
    decorated = "_" if "i686" in triple and "windows" in triple else ""
    assert {f"{decorated}sum_of_squares", "calls"} <= set(obj.symbols.defined)
    assert "outside" in obj.symbols.undefined
    with pytest.raises(InternalError, match="the object needs outside"):
        compile_object(module.text(), target)


def test_a_libc_call_is_refused() -> None:
    module = Module(host_target())
    f = Builder(module, "leaks", "double", [("double", "x")], linkage="external")
    f.ret(f.intrinsic("llvm.exp", "double", f.params[0]))
    f.define()
    with pytest.raises(InternalError, match="exp"):
        compile_object(module.text(), host_target())


def test_a_loop_does_not_become_memset() -> None:
    module = Module(host_target())
    f = Builder(module, "zero", "void", [("ptr", "p"), (INDEX, "n")], linkage="external")
    with f.loop(0, f.params[1]) as loop:
        f.store(f.const("i8", 0), f.gep("i8", f.params[0], loop.index))
    f.ret()
    f.define()
    assert compile_object(module.text(), host_target()).symbols.undefined == ()


def test_the_facts_of_known_machines() -> None:
    linux = "x86_64-unknown-linux-gnu"
    base, haswell = named_target(linux), named_target(linux, "haswell")
    ice = named_target(linux, "icelake-server")
    assert (base.cpu, base.f32_lanes, base.fma32, base.rounds32) == ("x86-64", 4, False, False)
    assert (haswell.f32_lanes, haswell.vector_registers, haswell.fma64) == (8, 16, True)
    assert (ice.f32_lanes, ice.vector_registers, ice.vnni, ice.compresses) == (16, 32, True, True)
    assert (ice.lanes(4), ice.lanes(8), ice.lanes(1)) == (16, 8, 64)
    m4 = named_target("thumbv7em-none-eabihf", "cortex-m4")
    assert (m4.f32_lanes, m4.fma32, m4.fma64) == (1, True, False)
    assert named_target("wasm32", features="+simd128").f32_lanes == 4
    assert not named_target("wasm32").fma32
    neon = named_target("aarch64-unknown-linux-gnu")
    assert (neon.f32_lanes, neon.vector_registers, neon.fma32) == (4, 32, True)


def test_an_unknown_triple_is_the_users_error() -> None:
    with pytest.raises(CompileError) as e:
        named_target("pdp11-dec-unix")
    assert e.value.diagnostics[0].code == "E0605"


def test_a_cpu_older_than_the_triple() -> None:
    """LLVM would end the process; what every x86-64 CPU has is assumed."""
    target = named_target("x86_64-unknown-linux-gnu", "pentium4")
    compile_object(sum_of_squares(target).text(), target)


@pytest.mark.parametrize(("cpu", "features"), [("hasswell", ""), ("haswell", "+avx9")])
def test_an_unknown_cpu_is_the_users_error(
    cpu: str, features: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """LLVM would say so on stderr, go on, and end the process later."""
    with pytest.raises(CompileError) as e:
        named_target("x86_64-unknown-linux-gnu", cpu, features)
    assert e.value.diagnostics[0].code == "E0606"
    assert (features or cpu) in e.value.diagnostics[0].message
    assert capfd.readouterr().err == ""


def test_equal_input_gives_equal_bytes() -> None:
    a, b = (sum_of_squares(host_target()).text() for _ in range(2))
    assert a == b
    assert compile_object(a, host_target()).data == compile_object(b, host_target()).data


def test_functions_and_constants_are_made_once() -> None:
    module = Module(host_target())
    one = module.array("i32", ["1", "2"])
    assert module.array("i32", ["1", "2"]) == one != module.array("i32", ["2", "1"])
    made = []

    def emit() -> object:
        made.append(1)
        f = Builder(module, "g", "void", [])
        f.ret()
        return f.finish()

    assert module.function("g", emit) is module.function("g", emit)
    assert made == [1]
    f = Builder(module, "g", "void", [])
    f.ret()
    with pytest.raises(InternalError, match="twice"):
        f.define()


def test_wrong_types_are_found_while_writing() -> None:
    module = sum_of_squares(host_target())
    g = module.function("sum_of_squares", lambda: pytest.fail("is there"))
    f = Builder(module, "h", "double", [("float", "x")])
    with pytest.raises(InternalError, match="wants ptr, not float"):
        f.call(g, f.params[0], 3)
    with pytest.raises(InternalError, match="takes 2 arguments"):
        f.call(g, 3)
    with pytest.raises(InternalError, match="does not end"):
        f.finish()
    f.ret(Value("double", "0.0"))
    with pytest.raises(InternalError, match="after the end"):
        f.line("ret void")


def test_invalid_text_is_our_bug() -> None:
    with pytest.raises(InternalError, match="not valid"):
        compile_object("define void @f() { ret i32 0 }", host_target())


def test_assembly_and_optimised_text() -> None:
    text = sum_of_squares(host_target()).text()
    assert "sum_of_squares:" in compile_assembly(text, host_target())
    assert "define" in optimised_text(text, host_target())


def test_a_mul_add_is_decided_when_writing() -> None:
    """One rounding with FMA, two without: at every level of optimisation."""
    linux = "x86_64-unknown-linux-gnu"
    for cpu, fused in (("x86-64", False), ("haswell", True)):
        target = named_target(linux, cpu)
        for level in (0, 3):
            text = compile_assembly(sum_of_squares(target).text(), target, Options(level=level))
            assert ("vfmadd" in text) == fused, (cpu, level)


def test_not_an_object() -> None:
    with pytest.raises(InternalError, match="not an ELF"):
        symbols(b"MZ nothing of the kind")
