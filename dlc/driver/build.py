"""From a lowered program to an artefact in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from dlc.artifact.archive import archive
from dlc.artifact.capi import Api, capi
from dlc.artifact.header import header
from dlc.artifact.link import executable, shared_library, wasm_module
from dlc.artifact.manifest import Machine, Manifest, Memory
from dlc.artifact.native.emit import MARK, mark
from dlc.artifact.native.need import formula
from dlc.artifact.product import Artifact
from dlc.artifact.python.params import Params
from dlc.artifact.standalone import main_source
from dlc.artifact.weights.block import block_layout, fixed_dims
from dlc.autodiff.expand import differentiate
from dlc.diag import CompileError, Diagnostic, InternalError, error
from dlc.driver.options import Options, StageTime
from dlc.driver.stages import Clock, Native, native
from dlc.ir.core import AdtDecl, Module, walk
from dlc.ir.printer import print_module
from dlc.ops.verify import verify
from dlc.targets.cpu.llvm import host_target
from dlc.typesys.dims import DimError
from dlc.typesys.interface import Interface

VERSION = "0.1.0"


def _no_arrays() -> Mapping[str, np.ndarray[Any, Any]]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Program:
    """A lowered program whose known dims are bound; `weights` are arrays by name, `sources` the
    names and hashes of its modules. `given` are weights that its own files hold (ONNX), `others`
    the parameter sets that no entry takes, `skipped` those of them that the weights held."""

    name: str
    module: Module
    interface: Interface
    weights: Mapping[str, np.ndarray[Any, Any]] | None = None
    sources: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    given: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=_no_arrays)
    others: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compilation:
    """An artefact, how long each stage took, the texts that were asked for, and warnings. `given`
    are weights that the program's own files hold, `skipped` the parameter sets among the given
    weights that no entry takes."""

    artifact: Artifact
    params: Params | None
    times: tuple[StageTime, ...]
    dumps: Mapping[str, str]
    warnings: tuple[Diagnostic, ...]
    given: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=_no_arrays)
    skipped: tuple[str, ...] = ()


def build(program: Program, o: Options, clock: Clock | None = None) -> Compilation:
    """Compiles a lowered program.

    Raises CompileError: E0605, E0606 (targets), E0610, E062x (what cannot cross the border), E0636
    (sizes), E091x (weights)."""
    clock = clock or Clock(o.dump)
    make = {"evaluate": _evaluate, "sparrow": _accelerated, "cpu": _native}[o.target]
    try:
        artifact = make(program, o, clock)
    except DimError as e:
        found = error("E0636", f"the sizes of {program.name} have no formula: {e}")
        raise CompileError(found.with_help("give numbers to some dims: --bind N=…")) from None
    params = _params(program, artifact)
    if params is not None:
        artifact = _with_weights(artifact, params)
    dumps = MappingProxyType(dict(clock.dumps))
    times = tuple(clock.times)
    return Compilation(
        artifact, params, times, dumps, program.warnings, program.given, program.skipped
    )


def _evaluate(program: Program, o: Options, clock: Clock) -> Artifact:
    """The program as IR: nothing is simplified, so that the oracle runs what was written; only
    derivatives are expanded."""
    clock.dump("lower", lambda: print_module(program.module))
    module = clock.run("autodiff", lambda: differentiate(program.module))
    if o.verify:
        verify(module, "autodiff")
    clock.dump("autodiff", lambda: print_module(module))
    api = clock.run("interface", lambda: capi(program.interface, module.types, o.prefix))
    manifest = _manifest(program, api, o, module.types)
    return Artifact(manifest, MappingProxyType({"ir": print_module(module).encode()}))


def _native(program: Program, o: Options, clock: Clock) -> Artifact:
    if o.weights_mode == "embed":
        _check_embedded(program)
    made = native(program.module, program.interface, o, clock)
    machine = Machine(made.target.triple, made.target.cpu, made.target.features)
    manifest = _manifest(program, made.api, o, made.bmodule.types, machine)
    manifest = replace(manifest, places=_places(made.module), memory=_memory(made))
    note = f"Compiled from {program.name} by dlc {VERSION}."
    contents = {
        "object": made.object.data,
        "header": header(made.api, made.arena, note).encode(),
    }
    return Artifact(manifest, MappingProxyType(contents))


def _check_embedded(program: Program) -> None:
    """Embedded weights must be there, and their sizes known. Raises CompileError E0616."""
    layout = block_layout(program.interface)
    if not layout.weights:
        return
    if program.weights is None:
        raise CompileError(_no_weights())
    fixed = fixed_dims(program.interface)
    unknown = [d for d in layout.dims if d not in fixed]
    if unknown:
        message = f"weights that are compiled in have fixed sizes: {unknown[0]} is not known"
        found = error("E0616", message)
        raise CompileError(found.with_help(f"bind it: --bind {unknown[0]}=…"))


def _memory(made: Native) -> Mapping[str, Memory]:
    """What the entries take of the arena."""
    out: dict[str, Memory] = {}
    for e in made.api.entries:
        need = made.needs[e.border.entry.function]
        text = None if need.cost is None else formula(need.cost)
        reason = need.reason or None
        out[e.name] = Memory(need.status, text, made.arena.get(e.name), reason)
    return MappingProxyType(out)


def _accelerated(program: Program, o: Options, clock: Clock) -> Artifact:
    """The program for the accelerator; embedded weights are compiled in."""
    from dlc.driver.sparrow import accelerated, refuse_options

    refuse_options(o)
    weights = None
    if o.weights_mode == "embed" and block_layout(program.interface).weights:
        weights = _given(program).arrays()
    made = accelerated(program.module, o, clock, weights)
    api = clock.run("interface", lambda: capi(program.interface, made.types, o.prefix))
    manifest = _manifest(program, api, o, made.types)
    manifest = replace(
        manifest, device=MappingProxyType(made.device.as_json()), places=_places(made.module)
    )
    return Artifact(manifest, MappingProxyType(made.device.contents()))


def _places(module: Module) -> Mapping[str, tuple[tuple[int, int], ...]]:
    """Where the operations stand, by file."""
    found: dict[str, dict[tuple[int, int], None]] = {}
    for fn in module.functions.values():
        for loc in (fn.loc, *(op.loc for op in walk(fn.body))):
            if loc.line:
                found.setdefault(loc.file, {})[loc.line, loc.column] = None
    return MappingProxyType({f: tuple(sorted(places)) for f, places in sorted(found.items())})


def _manifest(
    program: Program,
    api: Api,
    o: Options,
    types: Mapping[str, AdtDecl],
    machine: Machine | None = None,
) -> Manifest:
    options: dict[str, Any] = {"level": o.level, "debug": o.debug, "bind": dict(o.bind)}
    if o.fuel:
        options["fuel"] = o.fuel
    return Manifest(
        name=program.name,
        kind=o.target,
        dlc=VERSION,
        prefix=o.prefix,
        number=api.number,
        weights_mode=o.weights_mode,
        machine=machine,
        interface=program.interface,
        types=types,
        sources=program.sources,
        options=MappingProxyType(options),
        others=program.others,
    )


# -- weights


def _params(program: Program, artifact: Artifact) -> Params | None:
    if program.weights is None:
        if artifact.manifest.weights_mode == "embed" and artifact.manifest.layout.weights:
            raise CompileError(_no_weights())
        return None
    return _given(program)


def _given(program: Program) -> Params:
    """The weights of a program that has some. Raises CompileError E0616, E091x."""
    if program.weights is None:
        raise CompileError(_no_weights())
    layout = block_layout(program.interface)
    return Params.matched(layout, program.weights, fixed_dims(program.interface))


def _no_weights() -> Diagnostic:
    found = error("E0616", "there are no weights to compile in")
    return found.with_help("give them: --weights FILE")


def _with_weights(artifact: Artifact, params: Params) -> Artifact:
    manifest = replace(artifact.manifest, dims=MappingProxyType(dict(params.dims)))
    artifact = replace(artifact, manifest=manifest)
    block = params.block.tobytes()
    if manifest.weights_mode != "embed" or manifest.kind != "cpu":
        return artifact.with_contents({"weights": block})
    data = artifact.contents["object"]
    return artifact.with_contents({"object": _embedded(data, artifact.api, block)})


def _embedded(data: bytes, api: Api, block: bytes) -> bytes:
    """The object with the weights where it has kept a place for them."""
    at = data.find(mark(api))
    if at < 0 or data.find(mark(api), at + 1) >= 0:
        raise InternalError("the object has not one place for weights", stage="object")
    place = data[at + MARK : at + len(block)]
    if len(place) + MARK != len(block) or place.strip(b"\0"):
        raise InternalError("the object's place for weights is not free", stage="object")
    return data[:at] + block + data[at + len(block) :]


# -- further files


def with_roles(artifact: Artifact, roles: Sequence[str], base: str) -> Artifact:
    """The artefact with the files that can be made of its object: `shared`, `static`, `wasm`,
    `exe`.

    Raises CompileError: E0940, E0941 (linking)."""
    m = artifact.manifest
    if m.machine is None or "object" not in artifact.contents:
        return artifact
    data = artifact.contents["object"]
    more: dict[str, bytes] = {}
    symbols = artifact.api.symbols
    if "static" in roles:
        more["static"] = archive(artifact.file_name(base, "object"), data, symbols)
    if "shared" in roles:
        name = artifact.file_name(base, "shared")
        more["shared"] = shared_library(data, symbols, m.machine.triple, host_target().triple, name)
    if "wasm" in roles:
        more["wasm"] = wasm_module(data, symbols, m.machine.triple)
    if "exe" in roles:
        source = main_source(artifact.api, artifact.contents["header"].decode())
        more["exe"] = executable(data, source, m.machine.triple, host_target().triple)
    return artifact.with_contents(more)
