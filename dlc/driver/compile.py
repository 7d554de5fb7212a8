"""The front door: a file or a text to an artefact."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlc.artifact.weights.files import Source, read_weights
from dlc.check.program import Checked, check_file, check_program
from dlc.diag import CompileError, SourceFile, error
from dlc.driver.build import Compilation, Program, build
from dlc.driver.options import Options
from dlc.driver.stages import Clock
from dlc.lower.bind import bind_dims, resolve
from dlc.lower.lowered import lower

Text = str | os.PathLike[str]


def checked_source(source: Text) -> Checked:
    """The checked program of a path, or of a text (a `str` with a line break).

    Raises CompileError."""
    if isinstance(source, str) and "\n" in source:
        return check_program(SourceFile("<string>", source))
    path = Path(source)
    if path.suffix == ".onnx":
        found = error("E0610", "ONNX models are not compiled by themselves yet")
        raise CompileError(found.with_help('import the model in a program: `import onnx "…"`'))
    return check_file(path)


def compile_program(
    source: Text,
    options: Options | None = None,
    *,
    weights: Source | None = None,
    clock: Clock | None = None,
) -> Compilation:
    """The artefact of a program, in memory, and how it was made.

    Dims and consts of `options.bind` become numbers. Raises CompileError: whatever is wrong with
    the program, the names of dims (E063x), the target (E060x), the weights (E091x)."""
    o = options or Options()
    clock = clock or Clock(o.dump)
    checked = clock.run("check", lambda: checked_source(source))
    entries = None if o.entries is None else _entries(checked, o.entries)

    def to_ir() -> Any:
        bindings = resolve(checked, dict(o.bind))
        made = lower(checked, consts=bindings.consts, entries=entries, tests=o.tests)
        return bind_dims(made, bindings.dims)

    low = clock.run("lower", to_ir)
    sources = tuple(
        (name, hashlib.sha256(s.text.encode()).hexdigest()) for name, s in checked.modules.items()
    )
    arrays = None if weights is None else read_weights(weights)
    program = Program(checked.main, low.module, low.interface, arrays, sources, checked.warnings)
    return build(program, o, clock)


def _entries(checked: Checked, names: tuple[str, ...]) -> tuple[str, ...]:
    """Exports by their short names. Raises CompileError E0610 for one that there is not."""
    known = {e.rsplit(".", 1)[-1]: e for e in checked.exports}
    strange = [n for n in names if n not in known]
    if strange:
        found = error("E0610", f"{checked.main} exports no function `{strange[0]}`")
        raise CompileError(found.with_help(f"there is {', '.join(known) or 'none'}"))
    return tuple(known[n] for n in names)


def with_bind(options: Options, bind: Mapping[str, int] | None) -> Options:
    """The options with these numbers bound."""
    return replace(options, bind=tuple((bind or {}).items())) if bind else options
