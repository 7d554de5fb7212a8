"""From a module's text to an object, to assembly, or to optimised text.

The hand-vectorised code of the kernels gains nothing from LLVM's vectorisers and pays for them in
compile time, so they are off unless asked for; loops are unrolled by the templates. For the same
reason the optimiser stops at LLVM's level 1: every kernel and sample runs as fast as at level 3
(`python -m bench kernels`), and compiles in three quarters of the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dlc.diag import InternalError
from dlc.targets.cpu.llvm import binding
from dlc.targets.cpu.llvm.objects import Symbols, symbols
from dlc.targets.cpu.llvm.target import Target

ALWAYS_ALLOWED = ("_GLOBAL_OFFSET_TABLE_", "_fltused")
"""Undefined symbols that are no code: what every linker makes itself."""

STACK_PROBES = ("__chkstk", "__alloca", "_chkstk")
"""What Windows code calls before it takes more than a page of stack; ntdll gives it to every
process. Optimised kernels stay below a page (`Target.stack_buffer`), unoptimised ones may not."""

RUNTIME = re.compile(r"__(aeabi_\w+|[a-z]+[sdt][if][sdt]?[if]?\d?)")
"""A compiler run-time's arithmetic: `__aeabi_dmul`, `__muldf3`, `__fixdfdi`, `__ashldi3`."""


@dataclass(frozen=True, slots=True)
class Options:
    """How hard LLVM works. `level` 0..3 is the code generator's, and the optimiser's up to
    `OPTIMISER`."""

    level: int = 3
    slp: bool = False
    vectorise_loops: bool = False
    unroll: bool = False
    pic: bool = True


DEFAULT = Options()

OPTIMISER = 1
"""The highest level of LLVM's optimiser that is used."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object file and its external symbols."""

    data: bytes
    symbols: Symbols


def compile_object(
    text: str, target: Target, options: Options = DEFAULT, allowed: tuple[str, ...] = ()
) -> Object:
    """The object of an LLVM text.

    `allowed`: names that the object may leave undefined (weights in another object, say).
    Raises: InternalError if it leaves any other; a freestanding object calls nobody.
    """
    module, tm = _optimised(text, target, options)
    data = binding.emit_object(module, tm)
    found = symbols(data)
    known = {*ALWAYS_ALLOWED, *allowed, *(STACK_PROBES if target.is_windows else ())}
    strange = [s for s in found.undefined if s not in known]
    if target.has_runtime:
        strange = [s for s in strange if not RUNTIME.fullmatch(s)]
    if strange:
        raise InternalError(f"the object needs {', '.join(strange)}, which nothing provides")
    return Object(data, found)


def compile_assembly(text: str, target: Target, options: Options = DEFAULT) -> str:
    """The assembly of an LLVM text."""
    module, tm = _optimised(text, target, options)
    return binding.emit_assembly(module, tm)


def optimised_text(text: str, target: Target, options: Options = DEFAULT) -> str:
    """The LLVM text after the optimiser, before code generation."""
    module, _ = _optimised(text, target, options)
    return str(module)


def _optimised(text: str, target: Target, options: Options) -> tuple[Any, Any]:
    pic = options.pic and not target.is_bare
    tm = binding.machine(target.triple, target.cpu, target.features, target.abi, options.level, pic)
    module = binding.parse(text, tm, target.triple)
    binding.optimise(
        module,
        tm,
        min(options.level, OPTIMISER),
        slp=options.slp,
        vectorise_loops=options.vectorise_loops,
        unroll=options.unroll,
    )
    return module, tm
