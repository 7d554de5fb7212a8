"""The one door of this folder: a checked program in, a module and its interface out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlc.check.instances import Static
from dlc.check.program import Checked, deep_stack
from dlc.diag import CompileError, error
from dlc.ir.core import Function, Module
from dlc.ir.reader import MAX_NESTING
from dlc.lower.border import interface_of
from dlc.lower.bounds import prove_bounds
from dlc.lower.program import Instances, OnnxFunction, instances
from dlc.lower.weights import init_function, parameter_set
from dlc.typesys import surface
from dlc.typesys.interface import Interface, ParameterSet


@dataclass(frozen=True)
class Lowered:
    """A program as IR, and what crosses its border."""

    module: Module
    interface: Interface


def lower(
    checked: Checked,
    *,
    consts: Mapping[str, Mapping[str, Static]] | None = None,
    onnx: Mapping[str, OnnxFunction] | None = None,
    entries: Sequence[str] | None = None,
    tests: bool = False,
    initialisers: bool = True,
) -> Lowered:
    """The program's exports (all, or those of `entries`), and its tests if asked for.

    `consts` gives const dims by export (`{"beam": {"K": 8}}`), `onnx` the functions of imported
    models. With `initialisers` every parameter set has a function `init.<name>`.

    Raises CompileError: E0601 for a const dim without a number, E0633, E0634,
    E0635."""
    wanted = checked.exports if entries is None else tuple(entries)
    with deep_stack():
        made = instances(checked, consts or {}, onnx or {}, wanted, tests)
    functions = dict(made.module.functions)
    for fn in functions.values():
        _limit_depth(fn)
    sets: list[ParameterSet] = []
    for name, t in _models(checked, made).items():
        function = init_function(made.layout, f"init.{name}", t) if initialisers else None
        if function is not None:
            functions[function.name] = function
        sets.append(parameter_set(made.layout, name, t, function and function.name))
    interface = interface_of(checked, made, sets)
    module = Module.of({**made.module.types, **made.layout.types}, functions)
    return Lowered(module.map_functions(prove_bounds), interface)


def _limit_depth(fn: Function) -> None:
    """Every exit of a block, and every match with one arm, puts the rest of the block one region
    deeper, and passes walk regions."""
    level, depth = [fn.body], 0
    while level:
        level = [r for x in level for op in x.ops for r in op.regions]
        depth += 1
        if depth > MAX_NESTING:
            message = f"the control flow of `{fn.name}` is more than {MAX_NESTING} levels deep"
            found = error("E0634", message).with_note(f"`{fn.name}` begins at {fn.loc}")
            found = found.with_note(
                "what follows a `return`, `break` or `continue` in a block, or a `match` with one "
                "arm, is a level deeper"
            )
            raise CompileError(found.with_help("use a loop, or split the function"))


def _models(checked: Checked, made: Instances) -> Mapping[str, surface.Model]:
    """The parameter sets that the entries use, with the types that they have there."""
    out: dict[str, surface.Model] = {}
    for e in made.entries:
        for p in e.callee.typed.params:
            name = p.local.name
            if isinstance(p.type, surface.Model) and name in checked.parameter_sets:
                out.setdefault(name, p.type)
    return out
