"""`dlc.compile`, `dlc.build`, `dlc.load`: the driver for Python programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from dlc.artifact.load import read_artifact
from dlc.artifact.product import Artifact
from dlc.artifact.python.net import Net
from dlc.artifact.python.structures import whole_number
from dlc.artifact.weights.files import Source
from dlc.diag import CompileError, SourceFile, error
from dlc.driver.build import Compilation
from dlc.driver.front import compile_source
from dlc.driver.options import Level, Options, WeightsMode, Where

Program = str | os.PathLike[str]


def compile(
    source: Program,
    target: str = "cpu",
    *,
    bind: Mapping[str, int] | None = None,
    weights: Source | None = None,
    entries: Iterable[str] | None = None,
    name: str = "<string>",
    modules: Mapping[str, str] | None = None,
    level: Level = 3,
    debug: bool = False,
    prefix: str = "net",
    weights_mode: WeightsMode = "blob",
    verify: bool = False,
    fuel: int = 0,
    dense: bool = False,
) -> Net:
    """Compiles a program into this process.

    `source` is the path of a `*.dl` file, of an ONNX model (`*.onnx`: one entry, `main`, with the
    file's initialisers as weights) or, if it has more than one line, the program's text (then
    `name` stands for the file in messages, and `modules` are the texts of what it imports).
    `target` is `cpu`, native code, `evaluate`, the reference interpreter behind the same
    interface, or `sparrow`, the accelerator's model (`sparrow:eie64` tells the costs of another
    preset; `net.last_run` says what the last call cost; `dense` compiles without events). `bind`
    gives numbers to dims (`{"m.V": 20000}`, `{"K": 8}`), `weights` are a safetensors or npz file
    or a mapping of arrays; their shapes bind dims as well. `level` is 0..3, or "s" for small code;
    `fuel`, if not 0, is how many turns loops without a bound may take in a call (`net.fuel` changes
    it).

    Raises CompileError with everything that is wrong; TypeError, ValueError for what no argument
    can be."""
    made = build(
        source,
        target,
        bind=bind,
        weights=weights,
        entries=entries,
        name=name,
        modules=modules,
        options=Options(
            level=level,
            debug=debug,
            prefix=prefix,
            weights_mode=weights_mode,
            verify=verify,
            fuel=fuel,
            dense=dense,
        ),
    )
    return Net(made.artifact, params=made.params, given=made.given)


def build(
    source: Program,
    target: str = "cpu",
    *,
    bind: Mapping[str, int] | None = None,
    weights: Source | None = None,
    entries: Iterable[str] | None = None,
    name: str = "<string>",
    modules: Mapping[str, str] | None = None,
    options: Options | None = None,
) -> Compilation:
    """Compiles a program without loading it: for another machine (`options.triple`), for its files
    (`.artifact.publish(path)`), its times and texts.

    Raises CompileError."""
    from dataclasses import replace

    where, preset = _target(target)
    if isinstance(entries, str):
        raise TypeError(f"entries is a list of names: entries=[{entries!r}]")
    o = replace(
        options or Options(),
        target=where,
        preset=preset,
        bind=_numbers(bind or {}),
        entries=None if entries is None else tuple(entries),
    )
    texts = {n: SourceFile(f"{n}.dl", _text(n, t)) for n, t in (modules or {}).items()}
    try:
        return compile_source(_source(source, name), o, weights, modules=texts)
    except CompileError as e:  # the program is wrong: where in the compiler tells nobody anything
        raise e.with_traceback(None) from None


def _target(target: str) -> tuple[Where, str]:
    """The target, and the preset of the accelerator. Raises CompileError E0605, E0810."""
    if target.partition(":")[0] == "sparrow":
        from dlc.driver.sparrow import preset_of

        return "sparrow", preset_of(target) or "sparrow"
    if target not in ("cpu", "evaluate"):
        found = error("E0605", f"there is no target `{target}`")
        raise CompileError(found.with_help("there is cpu, evaluate, sparrow (`dlc targets`)"))
    return target, "sparrow"


def _numbers(bind: object) -> tuple[tuple[str, int], ...]:
    """Dims and their numbers. Raises TypeError."""
    if not isinstance(bind, Mapping):
        raise TypeError(f'bind is a mapping such as {{"m.H": 128}}, not {bind!r}')
    numbers = cast(Mapping[object, object], bind)
    out: list[tuple[str, int]] = []
    for name, n in numbers.items():
        if not isinstance(name, str):
            raise TypeError(f"bind: {name!r} is no name of a dim")
        out.append((name, whole_number(f"bind: {name}", n)))
    return tuple(out)


def _text(name: str, given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"modules: {name!r} must be a text, not {type(given).__name__}")
    return given


def _source(source: Program, name: str) -> SourceFile | Path:
    """A text if it has lines, else a path."""
    if isinstance(source, str) and "\n" in source:
        return SourceFile(name, source)
    return Path(source)


def load(what: Net | Artifact | Compilation | str | os.PathLike[str], **options: Any) -> Net:
    """A program that is compiled already: the path of an artefact (`build/treelstm`), or the
    artefact itself. A path that ends in `.dl` or `.onnx` is compiled with the options of `compile`.

    Raises CompileError: E0901, E0931, E0932 (files), E0933 (another machine)."""
    if isinstance(what, Net):
        return what
    if isinstance(what, Compilation):
        return Net(what.artifact, params=what.params, given=what.given)
    if isinstance(what, Artifact):
        return Net(what)
    if Path(what).suffix.lower() in (".dl", ".onnx"):
        return compile(what, **options)
    if options:
        raise TypeError(f"an artefact is compiled already: `{next(iter(options))}` has no effect")
    return Net(read_artifact(what))
