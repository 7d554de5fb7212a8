"""From the bufferised form to LLVM text.

    emitted = emit(bmodule, host_target(), EmitOptions(prefix="net"))
    compile_object(emitted.text, target)

The text defines one external symbol for each entry, `<prefix>_raw_<name>` (see `entry`), and needs
none. Equal modules, targets and options give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dlc.memory.form import BModule
from dlc.targets.cpu.emit.entry import emit_entry
from dlc.targets.cpu.emit.functions import emit_function
from dlc.targets.cpu.emit.groups import emission_order, emit_group
from dlc.targets.cpu.emit.statements import STATEMENTS
from dlc.targets.cpu.emit.unit import DEFAULT_FUEL, EmitOptions, Unit, entry_symbol
from dlc.targets.cpu.llvm import Function, Target
from dlc.targets.cpu.schema import Schema


@dataclass(frozen=True)
class Emitted:
    """LLVM text, and the symbol of every entry by the function's name."""

    text: str
    entries: Mapping[str, str]
    schema: Schema
    """How structures cross the entries."""


def emit(
    bmodule: BModule,
    target: Target,
    options: EmitOptions | None = None,
    interface: Callable[[Unit, Mapping[str, Function]], None] | None = None,
) -> Emitted:
    """The LLVM text of a module. `interface` adds functions that call the raw entries, which it is
    given by the function's name."""
    unit = Unit(bmodule, target, options or EmitOptions())
    for item in emission_order(unit):
        if isinstance(item, int):
            emit_group(unit, item, STATEMENTS)
        else:
            emit_function(unit, item, STATEMENTS)
    raw = {
        fn.name: emit_entry(unit, fn, STATEMENTS) for fn in bmodule.functions.values() if fn.entry
    }
    if interface is not None:
        interface(unit, raw)
    entries = MappingProxyType({name: f.name for name, f in raw.items()})
    return Emitted(unit.module.text(), entries, unit.schema)


__all__ = ["DEFAULT_FUEL", "EmitOptions", "Emitted", "emit", "entry_symbol"]
