"""`compile_module`: the whole way from the bufferised form to a linked program."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlc.isa.project import load_isa
from dlc.memory.form import BFunction, BModule, Call
from dlc.memory.frame import statements
from dlc.targets.sparrow.constants import usable
from dlc.targets.sparrow.functions import emit_entry, emit_function
from dlc.targets.sparrow.program import SparrowEntry, SparrowOptions, SparrowProgram
from dlc.targets.sparrow.sizes import kept
from dlc.targets.sparrow.unit import Unit
from dlc.typesys.dims import Dim


def compile_module(bmodule: BModule, options: SparrowOptions | None = None) -> SparrowProgram:
    """The module as a program of the machine, with all its exported functions as entries. The same
    module gives the same bytes.

    Raises: CompileError E0640 for an element type that the machine lacks."""
    o = options or SparrowOptions()
    exported = [fn for fn in bmodule.functions.values() if fn.entry]
    asked = _emitted(bmodule, o, exported, {})[0].asked.counts
    most = {name: kept(bmodule.functions[name], counts) for name, counts in asked.items()}
    unit, entries = _emitted(bmodule, o, exported, most)
    builder = unit.code.builder
    builder.reserve("SP", max(o.scratchpad, unit.scratch))
    builder.queue = o.queue
    builder.heap_bytes = o.heap
    builder.stack_bytes = o.stack
    return SparrowProgram(
        builder.finish(),
        MappingProxyType(entries),
        tuple(unit.sites),
        bmodule.types,
        o.dense,
        MappingProxyType({name: unit.bound(name) for name in entries}),
        weights=frozenset(name for fn in exported for _, name in usable(fn, o.weights)),
    )


def _emitted(
    m: BModule,
    o: SparrowOptions,
    exported: list[BFunction],
    most: Mapping[str, tuple[Dim, ...]],
) -> tuple[Unit, dict[str, SparrowEntry]]:
    """The text of the whole program, its functions keeping these dims."""
    unit = Unit(load_isa(), m, o, most)
    entries = {fn.name: emit_entry(unit, fn) for fn in exported}
    for fn in _reached(m, exported):
        emit_function(unit, fn)
    _routines(unit)
    return unit, entries


def _routines(unit: Unit) -> None:
    """The routines that the functions call; writing one may ask for another."""
    written: set[str] = set()
    while True:
        missing = [name for name in unit.routines if name not in written]
        if not missing:
            return
        for name in missing:
            with unit.code.builder.function(name), unit.code.scope():
                unit.routines[name](unit.code)
            written.add(name)


def _reached(m: BModule, exported: list[BFunction]) -> list[BFunction]:
    """The functions that the entries need, in the module's order."""
    names = {fn.name for fn in exported}
    work = list(exported)
    while work:
        for s in statements(work.pop().body):
            if isinstance(s, Call) and s.function not in names:
                names.add(s.function)
                work.append(m.functions[s.function])
    return [fn for name, fn in m.functions.items() if name in names]
