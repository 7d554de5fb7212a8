"""From a source text or file to an artefact: check, bind, lower, build."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dlc.artifact.weights.block import BlockLayout, Weight
from dlc.artifact.weights.files import Source, read_weights
from dlc.artifact.weights.match import match, with_given
from dlc.artifact.weights.sets import sets_in, without_sets
from dlc.check.program import Checked, check_file, check_program
from dlc.diag import CompileError, SourceFile, error
from dlc.diag.suggest import near
from dlc.driver.build import Compilation, Program, build
from dlc.driver.onnx import (
    Imports,
    OnnxModel,
    given_weights,
    import_program,
    is_onnx,
    onnx_functions,
    onnx_hashes,
    onnx_program,
)
from dlc.driver.options import Options
from dlc.driver.stack import deep
from dlc.driver.stages import Clock
from dlc.lower.bind import bind_dims, resolve
from dlc.lower.layout import Layout
from dlc.lower.lowered import Lowered, lower
from dlc.lower.weights import parameter_set
from dlc.typesys.interface import ParameterSet
from dlc.typesys.surface import Model, short

Array = np.ndarray[Any, Any]

_WEIGHTS = "weights are given to a program: --weights FILE, weights=…"
_EXPORT = "export the model as ONNX first"
NO_PROGRAMS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((".safetensors", ".npz", ".npy"), _WEIGHTS),
        **dict.fromkeys((".pt", ".pth", ".pb", ".tflite", ".h5", ".keras", ".mlmodel"), _EXPORT),
    }
)
"""Suffixes of files that some take for programs, with what to do."""


def compile_source(
    source: SourceFile | str | os.PathLike[str],
    options: Options | None = None,
    weights: Source | None = None,
    *,
    modules: Mapping[str, SourceFile] | None = None,
) -> Compilation:
    """Compiles a program: the path of a file, or a text as a `SourceFile`, whose imports come from
    `modules` and the library.

    Dims are bound by `options.bind`, then by the weights' shapes, then by their defaults.

    Raises CompileError."""
    o = options or Options()
    clock = Clock(o.dump)
    arrays = None if weights is None else read_weights(weights)
    return deep(lambda: _compile(source, o, arrays, modules, clock))


def _compile(
    source: SourceFile | str | os.PathLike[str],
    o: Options,
    arrays: Mapping[str, Array] | None,
    modules: Mapping[str, SourceFile] | None,
    clock: Clock,
) -> Compilation:
    if is_onnx(source):
        model = OnnxModel.of(Path(str(source)))
        return build(clock.run("import", lambda: imported(model, o, arrays)), o, clock)
    checked = clock.run("check", lambda: check(source, modules))
    program = clock.run("lower", lambda: lowered(checked, o, arrays))
    return build(program, o, clock)


def check(
    source: SourceFile | str | os.PathLike[str], modules: Mapping[str, SourceFile] | None = None
) -> Checked:
    """A program without errors. Raises CompileError."""
    if isinstance(source, SourceFile):
        return check_program(source, modules=modules, onnx=Imports().read)
    path = Path(source)
    if path.suffix.lower() in NO_PROGRAMS:
        found = error("E0617", f'"{path}" is no program: a program is a file *.dl or *.onnx')
        raise CompileError(found.with_help(NO_PROGRAMS[path.suffix.lower()]))
    return check_file(path, onnx=Imports().read)


def imported(model: OnnxModel, o: Options, arrays: Mapping[str, Array] | None = None) -> Program:
    """An ONNX model as a program. `arrays` take the place of its initialisers, by name.

    Raises CompileError: E07xx, E0901, E0618 (it exports `main` only)."""
    if o.entries is not None:
        for e in o.entries:
            _export(model, e)
    return onnx_program(model, import_program(model, dict(o.bind)), arrays)


def lowered(checked: Checked, o: Options, arrays: Mapping[str, Array] | None = None) -> Program:
    """The program as IR, its dims bound by the options, the weights' shapes and their defaults.

    Raises CompileError: E0601, E063x (binding), E0618 (no such export), E091x (weights)."""
    sets = _parameter_sets(checked)
    numbers = dict(o.bind)
    known = _known(checked, sets, numbers, o.entries)
    entries = None if o.entries is None else [_export(checked, e) for e in o.entries]
    if arrays is not None:
        used = _used(checked, checked.exports if entries is None else entries)
        own = tuple(s for s in sets if s.name in used)
        others = [s.name for s in sets if s.name not in used]
        if own:
            kept = without_sets(arrays, _layout(own), others)
            every = with_given(kept, given_weights(checked, own))
            known |= match(_layout(own), every, known).dims
    for s in sets:
        known |= {d: n for d, n in s.defaults if d not in known}
    numbers |= _names(checked, known, numbers, o.entries)
    bindings = resolve(checked, numbers, entries)
    low = lower(
        checked,
        consts=bindings.consts,
        onnx=onnx_functions(checked),
        entries=entries,
        tests=o.tests,
    )
    low = bind_dims(low, bindings.dims)
    return program_of(checked, low, arrays)


def program_of(
    checked: Checked, low: Lowered, arrays: Mapping[str, Array] | None = None
) -> Program:
    """What is compiled. Weights that are not given are those of ONNX files, if all are there."""
    sets = low.interface.parameter_sets
    others = tuple(s for s in checked.parameter_sets if s not in {x.name for x in sets})
    skipped: tuple[str, ...] = ()
    if arrays is not None:
        kept = without_sets(arrays, _layout(sets), others)
        dropped = {n: x for n, x in arrays.items() if n not in kept}
        arrays, skipped = kept, sets_in(dropped, others)
    given = given_weights(checked, sets)
    if given and (arrays is not None or len(given) == sum(len(s.weights) for s in sets)):
        arrays = with_given(arrays or {}, given)
    return Program(
        checked.main,
        low.module,
        low.interface,
        None if arrays is None else MappingProxyType(dict(arrays)),
        (*source_hashes(checked), *onnx_hashes(checked)),
        checked.warnings,
        given,
        others,
        skipped,
    )


def source_hashes(checked: Checked) -> tuple[tuple[str, str], ...]:
    """The modules of a program with the SHA-256 of their texts."""
    return tuple(
        (name, hashlib.sha256(s.text.encode()).hexdigest()) for name, s in checked.modules.items()
    )


def _export(checked: Checked | OnnxModel, name: str) -> str:
    """The full name of an export."""
    names = {short(e): e for e in checked.exports}
    if name in names:
        return names[name]
    found = error("E0618", f"{checked.main} exports no function `{name}`")
    if not names:
        raise CompileError(found.with_help("it exports nothing: write `export fn …`"))
    close = near(name, names)
    hint = f"did you mean `{close[0]}`? " if close else ""
    raise CompileError(found.with_help(f"{hint}there is {', '.join(names)}"))


# -- dims


def _parameter_sets(checked: Checked) -> tuple[ParameterSet, ...]:
    """The parameter sets before any dim is bound."""
    layout = Layout(checked.models, checked.adts)
    return tuple(
        parameter_set(layout, name, t, None)
        for name, t in checked.parameter_sets.items()
        if isinstance(t, Model)
    )


def _used(checked: Checked, wanted: Sequence[str]) -> set[str]:
    """The parameter sets that these exports take. Other parameters may have the name of a set."""
    params = (p for e in wanted for p in checked.functions[e].signature.params)
    return {p.name for p in params if isinstance(p.type, Model)}


def _layout(sets: tuple[ParameterSet, ...]) -> BlockLayout:
    dims = tuple(dict.fromkeys(d for s in sets for d in s.dims))
    return BlockLayout(dims, tuple(Weight(s.name, w) for s in sets for w in s.weights))


def _known(
    checked: Checked,
    sets: tuple[ParameterSet, ...],
    numbers: Mapping[str, int],
    entries: Sequence[str] | None,
) -> dict[str, int]:
    """The dims of parameter sets that are given by name."""
    bindings = resolve(checked, numbers, entries)
    own = {d for s in sets for d in s.dims}
    out: dict[str, int] = {}
    for given in (*bindings.dims.values(), *bindings.consts.values()):
        out |= {d: n for d, n in given.items() if d in own and isinstance(n, int)}
    return out


def _names(
    checked: Checked,
    known: Mapping[str, int],
    given: Mapping[str, int],
    entries: Sequence[str] | None,
) -> dict[str, int]:
    """Dims of parameter sets by the names that bind them: their own, or an export's if they are
    named there (`fn f[B: const](m: Net[B])`)."""
    already = resolve(checked, given, entries)
    out: dict[str, int] = {}
    for d, n in known.items():
        for e in checked.exports:
            sig, name = checked.functions[e].signature, short(e)
            there = (already.dims.get(name, {}), already.consts.get(name, {}))
            if d in (*sig.dims, *sig.consts) and not any(d in x for x in there):
                shared = "." in d and d.split(".")[0] in checked.parameter_sets
                out[d if shared else f"{name}.{d}"] = n
    return out
