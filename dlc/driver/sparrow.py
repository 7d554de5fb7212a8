"""The stages of a compile for the accelerator: IR to a program, and to its dense twin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dlc.artifact.device import Device
from dlc.diag import CompileError, error
from dlc.driver.options import Options
from dlc.driver.stages import Clock, differentiated, simplified
from dlc.ir.core import AdtDecl, Module
from dlc.isa.cost.measure import find_preset
from dlc.isa.listing import disassemble
from dlc.isa.project import load_isa
from dlc.memory.bufferise import bufferise
from dlc.memory.print import print_module as print_bufferised
from dlc.passes.pipeline import AFTER_AUTODIFF, PRUNE
from dlc.targets.sparrow import SparrowOptions, SparrowProgram, compile_module

T = TypeVar("T")
Array = np.ndarray[Any, Any]
TARGET = "sparrow"


def preset_of(target: str) -> str | None:
    """The preset that a target names: `sparrow` for `sparrow`, `eie64` for `sparrow:eie64`; None
    for another target.

    Raises CompileError E0810."""
    name, sign, preset = target.partition(":")
    if name != TARGET:
        return None
    return find_preset(load_isa(), preset if sign else TARGET).name


@dataclass(frozen=True)
class Accelerated:
    """What a compile for the accelerator makes."""

    device: Device
    module: Module
    types: Mapping[str, AdtDecl]


def accelerated(
    module: Module, o: Options, clock: Clock, weights: Mapping[str, Array] | None
) -> Accelerated:
    """The program of a lowered module. `weights` are compiled in: by their full names.

    Raises CompileError E064x (what the machine lacks)."""
    module = differentiated(module, o, clock)
    module = simplified(module, (*AFTER_AUTODIFF, PRUNE), "optimise", o, clock)
    final = module
    bmodule = clock.run("bufferise", lambda: bufferise(final))
    clock.dump("bufferise", lambda: print_bufferised(bmodule))

    def made(dense: bool) -> SparrowProgram:
        return compile_module(bmodule, SparrowOptions(dense=dense, weights=weights or {}))

    program = clock.run("program", lambda: made(o.dense))
    clock.dump("asm", lambda: disassemble(load_isa(), program.program))
    twin = None
    if not o.dense:
        found = clock.run("twin", lambda: made(True))
        twin = None if found.program == program.program else found
    device = Device(program, twin, o.preset, weights is not None)
    return Accelerated(device, final, bmodule.types)


def refuse_options(o: Options) -> None:
    """Raises CompileError E0650 for options that mean something on the CPU only."""
    wrong = [
        name
        for name, given in (
            ("triple", o.triple is not None),
            ("cpu", bool(o.cpu)),
            ("features", bool(o.features)),
            ("poison", o.poison),
        )
        if given
    ]
    if wrong:
        found = error("E0650", f"`{wrong[0]}` has no meaning for the target sparrow")
        raise CompileError(found.with_help("leave it out"))
