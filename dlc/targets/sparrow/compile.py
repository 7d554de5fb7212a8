"""`compile_module`: the whole way from the bufferised form to a linked program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from dlc.diag import CompileError, Diagnostic, error
from dlc.isa.project import load_isa
from dlc.memory.form import BFunction, BModule, Call
from dlc.memory.frame import statements
from dlc.targets.sparrow.code import Crowded
from dlc.targets.sparrow.constants import usable
from dlc.targets.sparrow.functions import emit_entry, emit_function
from dlc.targets.sparrow.program import SparrowEntry, SparrowOptions, SparrowProgram
from dlc.targets.sparrow.sizes import kept
from dlc.targets.sparrow.unit import Unit
from dlc.typesys.dims import Dim


def compile_module(bmodule: BModule, options: SparrowOptions | None = None) -> SparrowProgram:
    """The module as a program of the machine, with all its exported functions as entries. The same
    module gives the same bytes.

    Raises: CompileError E0640 for an element type that the machine lacks, E0641 for an operation
    with too many axes."""
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
    """The text of the whole program, its functions keeping these dims.

    Raises CompileError E0641 for a statement that no registers are enough for."""
    roomy: set[str] = set()
    while True:
        unit = Unit(load_isa(), m, o, most)
        entries = {fn.name: emit_entry(unit, fn) for fn in exported}
        crowded = _functions(unit, _reached(m, exported), roomy)
        if crowded is None:
            _routines(unit)
            return unit, entries
        roomy.add(crowded)


def _functions(unit: Unit, functions: list[BFunction], roomy: Collection[str]) -> str | None:
    """Writes the functions, up to one whose statements must have more registers: its name."""
    for fn in functions:
        try:
            if fn.name in roomy:
                with unit.code.roomy():
                    emit_function(unit, fn, roomy=True)
            else:
                emit_function(unit, fn)
        except Crowded:
            if fn.name in roomy:
                raise CompileError(_too_large(unit, fn)) from None
            return fn.name
    return None


def _too_large(unit: Unit, fn: BFunction) -> Diagnostic:
    found = error("E0641", f"an operation of `{fn.name}` has too many axes for Sparrow")
    at = unit.code.builder.last_mark
    if at is not None:
        found = found.with_note(f"needed at {at.file}:{at.line}:{at.column}")
    return found.with_help("split it into operations of fewer axes, or compile for the CPU")


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
