"""All functions of the interface, into the module of the entries."""

from __future__ import annotations

from collections.abc import Mapping

from dlc.artifact.capi import STATUS, Api
from dlc.artifact.native.bind import raw_dims
from dlc.artifact.native.call import emit_call, emit_sizes
from dlc.artifact.native.model import emit_initialiser, emit_model
from dlc.artifact.native.need import EntryNeed, emit_need
from dlc.diag import InternalError
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.unit import Unit
from dlc.targets.cpu.llvm import Builder, Function, Module

MARK = 64
"""Bytes at the start of an embedded block's place that tell where it is in the object."""


def emit_api(
    unit: Unit, raw: Mapping[str, Function], api: Api, needs: Mapping[str, EntryNeed]
) -> None:
    """Adds the interface; `raw` are the raw entries, `needs` what they take, by name."""
    functions = unit.bmodule.functions
    if api.embedded:
        _weights(unit.module, api)
    if api.model is not None:
        emit_model(unit, api)
    for s in api.interface.parameter_sets:
        if s.init is not None:
            emit_initialiser(unit, api, s.name, functions[s.init], raw[s.init])
    for e in api.entries:
        name = e.border.entry.function
        fn = functions[name]
        if fn.dims != raw_dims(e):
            raise InternalError(f"`{name}` has the dims {fn.dims}, not {raw_dims(e)}", stage="emit")
        emit_call(unit, api, e, fn, raw[name])
        emit_need(unit, api, e, fn, needs[name])
        emit_sizes(unit, api, e)
    _status_text(unit.module, api)


def _status_text(module: Module, api: Api) -> None:
    f = Builder(
        module, f"{api.prefix}_status_text", "ptr", (("i32", "status"),), linkage="external"
    )
    cases = [(i, f.label("status")) for i in range(len(STATUS))]
    other = f.label("other")
    f.switch(f.params[0], other, cases)
    for (_, label), (_, text) in zip(cases, STATUS, strict=True):
        f.start(label)
        f.ret(module.data(text.encode() + b"\0", 1))
    f.start(other)
    f.ret(context.text(module, "no status"))
    f.define()


def mark(api: Api) -> bytes:
    """What stands where the embedded weights go, until they are put there."""
    return (b"dlc: here go the weights " + api.layout.identity.to_bytes(8, "little")).ljust(
        MARK, b"."
    )


def _weights(module: Module, api: Api) -> None:
    """A read-only array for the embedded block, filled after the object is made: LLVM must not
    read it, so it says that its contents come from elsewhere."""
    total = api.layout.places(api.fixed)[1]
    first = "".join(f"\\{b:02X}" for b in mark(api))
    module.global_(
        f"{api.prefix}_weights",
        f"externally_initialized constant <{{ [{MARK} x i8], [{total - MARK} x i8] }}> "
        f'<{{ [{MARK} x i8] c"{first}", [{total - MARK} x i8] zeroinitializer }}>, align 64',
    )
