"""The few calls into llvmlite that the CPU target makes, typed. Nothing else here imports it."""

from __future__ import annotations

import functools
import os
import re
import tempfile
import threading
from typing import Any, cast

import llvmlite.binding as _llvm  # type: ignore[reportMissingTypeStubs]

from dlc.diag import InternalError

_binding = cast(Any, _llvm)


@functools.cache
def _initialise() -> None:
    _binding.initialize_all_targets()
    _binding.initialize_all_asmprinters()
    _binding.initialize_native_asmparser()


def host() -> tuple[str, str, str]:
    """Triple, CPU and feature string of this process."""
    features = _binding.get_host_cpu_features().flatten()
    return str(_binding.get_process_triple()), str(_binding.get_host_cpu_name()), str(features)


def has_target(triple: str) -> bool:
    """Whether this LLVM generates code for `triple`."""
    _initialise()
    try:
        _binding.Target.from_triple(triple)
    except RuntimeError:
        return False
    return True


_UNKNOWN = re.compile(r"'([^']*)' is not a recognized (?:processor|feature)")
_stderr_lock = threading.Lock()


def unknown_names(triple: str, cpu: str, features: str, abi: str) -> tuple[str, ...]:
    """The CPU and the features that LLVM does not know.

    LLVM says so on the process's stderr only, and later ends the process over a CPU that cannot do
    what the triple wants; so stderr is caught while a machine is made. What else is written is
    passed on. A process without stderr cannot be asked.
    """
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        try:
            before = os.dup(2)
        except OSError:
            return ()
        try:
            os.dup2(caught.fileno(), 2)
            machine(triple, cpu, features, abi, 0, pic=False)
        finally:
            os.dup2(before, 2)
            os.close(before)
        caught.seek(0)
        text = caught.read().decode(errors="replace")
    rest = [line for line in text.splitlines() if not _UNKNOWN.search(line)]
    if rest:
        os.write(2, ("\n".join(rest) + "\n").encode())
    return tuple(dict.fromkeys(_UNKNOWN.findall(text)))


def machine(triple: str, cpu: str, features: str, abi: str, level: int, pic: bool) -> Any:
    """A target machine at code generation level 0..3."""
    _initialise()
    target = _binding.Target.from_triple(triple)
    return target.create_target_machine(
        cpu=cpu,
        features=features,
        opt=level,
        reloc="pic" if pic else "static",
        codemodel="small",
        abiname=abi,
    )


def parse(text: str, tm: Any, triple: str) -> Any:
    """The module of a text, in a context of its own, with the machine's layout.

    A text that LLVM refuses is our bug: InternalError with LLVM's message and the line.
    """
    _initialise()
    context = _binding.create_context()
    try:
        module = _binding.parse_assembly(text, context=context)
        module.triple = triple
        module.data_layout = str(tm.target_data)
        module.verify()
    except RuntimeError as e:
        raise InternalError(f"generated LLVM text is not valid: {e}") from None
    return module


def optimise(
    module: Any, tm: Any, level: int, *, slp: bool, vectorise_loops: bool, unroll: bool
) -> None:
    """Run LLVM's standard pipeline of `level` in place."""
    options = _binding.create_pipeline_tuning_options(speed_level=level)
    options.slp_vectorization = slp
    options.loop_vectorization = vectorise_loops
    options.loop_interleaving = vectorise_loops
    options.loop_unrolling = unroll
    builder = _binding.create_pass_builder(tm, options)
    builder.getModulePassManager().run(module, builder)


def emit_object(module: Any, tm: Any) -> bytes:
    return bytes(tm.emit_object(module))


def emit_assembly(module: Any, tm: Any) -> str:
    tm.set_asm_verbosity(False)
    return str(tm.emit_assembly(module))


def link(data: bytes, exports: tuple[str, ...]) -> tuple[Any, dict[str, int]]:
    """Load an object into a JIT of its own.

    Returns what keeps it alive, and the addresses of `exports`. The JIT resolves nothing from the
    process: a symbol that the object lacks is an error here, as it would be on bare metal.
    """
    _initialise()
    tm = _binding.Target.from_triple(_binding.get_process_triple()).create_target_machine(
        opt=0, reloc="pic", codemodel="small", jit=True
    )
    jit = _binding.create_lljit_compiler(tm, use_jit_link=False)
    builder = _binding.JITLibraryBuilder().add_object_img(data)
    for name in exports:
        builder.export_symbol(name)
    try:
        tracker = builder.link(jit, "dlc")
    except RuntimeError as e:
        raise InternalError(f"cannot load the object: {e}") from None
    return (jit, tracker), {name: int(tracker[name]) for name in exports}
