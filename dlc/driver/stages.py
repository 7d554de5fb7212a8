"""The stages after the checker: IR to object. Every stage is timed and can be looked at.

lower  before-autodiff passes  autodiff  bind  after-autodiff passes  bufferise  emit  object"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import TypeVar

from dlc.artifact.capi import Api, capi
from dlc.artifact.native.emit import emit_api
from dlc.artifact.native.need import EntryNeed, entry_needs
from dlc.autodiff.expand import differentiate
from dlc.diag import InternalError
from dlc.driver.options import Options, StageTime
from dlc.ir.core import Module
from dlc.ir.printer import print_module
from dlc.memory.bufferise import bufferise
from dlc.memory.form import BModule
from dlc.memory.print import print_module as print_bufferised
from dlc.ops.verify import verify
from dlc.passes.base import Pass
from dlc.passes.pipeline import AFTER_AUTODIFF, BATCHING, BEFORE_AUTODIFF, PRUNE
from dlc.targets.cpu.emit import DEFAULT_FUEL, EmitOptions, emit
from dlc.targets.cpu.llvm import (
    Object,
    Target,
    compile_assembly,
    compile_object,
    host_target,
    named_target,
    optimised_text,
)
from dlc.targets.cpu.llvm import Options as CodeOptions
from dlc.typesys.interface import Interface

STAGES = ("lower", "autodiff", "bufferise", "llvm", "llvm-optimised", "asm")
"""Stages whose text can be dumped, besides the passes by name (the last run of each)."""

T = TypeVar("T")


@dataclass(frozen=True)
class Native:
    """What a compile for the CPU makes: the object, its interface, and how it was made.

    `needs` says what each function of an entry takes of the arena; `arena` gives the bytes that an
    entry needs, for those whose need is one number."""

    api: Api
    target: Target
    object: Object
    needs: Mapping[str, EntryNeed]
    arena: Mapping[str, int]
    module: Module
    bmodule: BModule


class Clock:
    """Times stages, and keeps the texts that were asked for."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = frozenset(wanted)
        self.times: list[StageTime] = []
        self.dumps: dict[str, str] = {}

    def run(self, name: str, stage: Callable[[], T], inside: Sequence[StageTime] = ()) -> T:
        start = perf_counter()
        out = stage()
        self.times.append(StageTime(name, perf_counter() - start, tuple(inside)))
        return out

    def dump(self, name: str, text: Callable[[], str]) -> None:
        if name in self._wanted:
            self.dumps[name] = text()


def simplified(
    module: Module, passes: Sequence[Pass], name: str, o: Options, clock: Clock
) -> Module:
    """The module after some passes."""
    inside: list[StageTime] = []

    def run() -> Module:
        now = module
        for p in passes:
            start = perf_counter()
            now = p.run(now)
            inside.append(StageTime(p.name, perf_counter() - start))
            if o.verify:
                verify(now, p.name)
            clock.dump(p.name, lambda m=now: print_module(m))
        return now

    start = perf_counter()
    out = run()
    clock.times.append(StageTime(name, perf_counter() - start, tuple(inside)))
    return out


def differentiated(module: Module, o: Options, clock: Clock) -> Module:
    """The module simplified and without derivatives."""
    clock.dump("lower", lambda: print_module(module))
    if o.verify:
        verify(module, "lower")
    module = simplified(module, BEFORE_AUTODIFF, "simplify", o, clock)
    module = clock.run("autodiff", lambda: differentiate(module))
    if o.verify:
        verify(module, "autodiff")
    clock.dump("autodiff", lambda: print_module(module))
    return module


def target_of(o: Options) -> Target:
    """The machine that the options name. Raises CompileError E0602."""
    if o.triple is None:
        return host_target()
    return named_target(o.triple, o.cpu, o.features)


def native(
    module: Module,
    interface: Interface,
    o: Options,
    clock: Clock,
) -> Native:
    """The object of a lowered module."""
    module = differentiated(module, o, clock)
    module = simplified(module, (*AFTER_AUTODIFF, *BATCHING, PRUNE), "optimise", o, clock)
    final = module
    bmodule = clock.run("bufferise", lambda: bufferise(final))
    clock.dump("bufferise", lambda: print_bufferised(bmodule))
    target = target_of(o)
    api = capi(interface, bmodule.types, o.prefix, embedded=o.weights_mode == "embed")
    needs = clock.run("need", lambda: entry_needs(bmodule))
    text = clock.run("emit", lambda: _text(bmodule, api, needs, target, o))
    clock.dump("llvm", lambda: text)
    code = CodeOptions(level=2 if o.level == "s" else o.level)
    clock.dump("llvm-optimised", lambda: optimised_text(text, target, code))
    clock.dump("asm", lambda: compile_assembly(text, target, code))
    made = clock.run("object", lambda: compile_object(text, target, code))
    _only(api, made)
    return Native(api, target, made, needs, _arena(api, needs), module, bmodule)


def _text(
    bmodule: BModule, api: Api, needs: Mapping[str, EntryNeed], target: Target, o: Options
) -> str:
    fuel = o.fuel or DEFAULT_FUEL
    options = EmitOptions(api.prefix, o.poison, fuel, o.debug, "internal", o.level == "s")
    return emit(bmodule, target, options, lambda unit, raw: emit_api(unit, raw, api, needs)).text


def _only(api: Api, made: Object) -> None:
    """The object gives its interface and nothing else."""
    wanted = {*api.symbols, *([f"{api.prefix}_weights"] if api.embedded else [])}
    strange = [s for s in made.symbols.defined if s not in wanted]
    missing = sorted(wanted.difference(made.symbols.defined))
    if strange or missing:
        raise InternalError(f"symbols: {strange} are too many, {missing} are missing", stage="emit")


def _arena(api: Api, needs: Mapping[str, EntryNeed]) -> Mapping[str, int]:
    """The arena bytes of entries of fixed sizes."""
    out: dict[str, int] = {}
    for e in api.entries:
        found = needs[e.border.entry.function].constant()
        if e.is_static and not e.border.flats_in and found is not None:
            out[e.name] = found
    return MappingProxyType(out)
