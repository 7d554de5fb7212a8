"""ONNX models for the driver: a file as a program of its own, and `import onnx "…" as Name`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dlc.artifact.weights.match import with_given
from dlc.check.onnx_model import OnnxSignature
from dlc.check.program import Checked
from dlc.diag import CompileError, Diagnostic, SourceFile, Span, error
from dlc.driver.build import Program
from dlc.importers.emission import identifier
from dlc.importers.interface import MODEL, ports
from dlc.importers.model import Imported, import_onnx
from dlc.importers.ports import Absent, Port
from dlc.lower.lowered import Lowered
from dlc.lower.program import OnnxFunction
from dlc.typesys import surface
from dlc.typesys.interface import ParameterSet

Array = np.ndarray[Any, Any]
ENTRY = "main"
"""What the one entry of a model is called, as in ONNX's own tools."""


def is_onnx(source: object) -> bool:
    """Whether this is the path of an ONNX model."""
    return isinstance(source, (str, Path)) and str(source).lower().endswith(".onnx")


# -- a model as a program


@dataclass(frozen=True)
class OnnxModel:
    """A file `*.onnx` in the place of a checked program: it exports one function, `main`."""

    path: Path
    main: str
    exports: tuple[str, ...]
    modules: Mapping[str, SourceFile] = field(default_factory=dict[str, SourceFile])
    warnings: tuple[Diagnostic, ...] = ()

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> OnnxModel:
        at = Path(path)
        name = identifier(at.stem)
        return cls(at, name, (f"{name}.{ENTRY}",))


@dataclass(frozen=True)
class ImportedProgram(Lowered):
    """A model as a lowered program, and all that the importer found."""

    imported: Imported


def import_program(model: OnnxModel, bind: Mapping[str, int]) -> ImportedProgram:
    """The model as IR, with these dims bound. Raises CompileError (E07xx, E0901)."""
    made = import_onnx(model.path, function=ENTRY, bind=bind)
    return ImportedProgram(made.module, made.interface, made)


def onnx_program(
    model: OnnxModel, made: ImportedProgram, weights: Mapping[str, Array] | None = None
) -> Program:
    """What the driver compiles: the initialisers are the weights, but for those that are given."""
    net = made.imported
    return Program(
        model.main,
        made.module,
        made.interface,
        with_given(weights or {}, net.weights),
        ((model.main, hash_of(model.path)),),
        net.warnings,
        net.weights,
    )


def hash_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


# -- weights


def given_weights(checked: Checked, sets: tuple[ParameterSet, ...]) -> Mapping[str, Array]:
    """The weights of a program's parameter sets that ONNX files hold, by their full names."""
    out: dict[str, Array] = {}
    for s in sets:
        out.update(_given(checked, s.name, s.type, ()))
    return MappingProxyType(out)


def _given(
    checked: Checked, name: str, t: surface.Type, counts: tuple[int, ...]
) -> Iterator[tuple[str, Array]]:
    while isinstance(t, surface.Array):
        if not t.count.is_constant:
            return
        counts, t = (*counts, t.count.constant), t.element
    if not isinstance(t, surface.Model):
        return
    if t.name in checked.onnx:
        for full, x in imported_of(checked.onnx[t.name]).weights.items():
            yield f"{name}.{full[len(MODEL) + 1 :]}", np.broadcast_to(x, (*counts, *x.shape))
        return
    decl = checked.models[t.name]
    bind = {d.name: n for d, n in zip(decl.dims, t.dims, strict=True)}
    for f in decl.fields:
        yield from _given(
            checked, f"{name}.{f.name}", surface.substitute_dims(f.type, bind), counts
        )


# -- models inside programs


class Imports:
    """Reads what `import onnx "…"` names, each file once. A path is relative to the file of the
    program that mentions it."""

    def __init__(self) -> None:
        self._read: dict[Path, OnnxSignature] = {}
        self._names: set[str] = set()

    def read(self, text: str, span: Span) -> OnnxSignature:
        """Raises CompileError (E07xx, E0901)."""
        path = Path(span.source.name).parent / text
        if path not in self._read:
            made = import_onnx(path, function=self._name(path))
            self._read[path] = _signature(text, made, span)
        return self._read[path]

    def _name(self, path: Path) -> str:
        base = f"onnx.{identifier(path.stem)}"
        name, n = base, 1
        while name in self._names:
            n += 1
            name = f"{base}_{n}"
        self._names.add(name)
        return name


def _signature(path: str, made: Imported, span: Span) -> OnnxSignature:
    parts = [*made.inputs, *made.outputs]
    if not all(isinstance(s, Port) for s in parts):
        what = "an optional" if any(isinstance(s, Absent) for s in parts) else "a sequence"
        found = error("E0709", f'"{path}" has {what} among its inputs and outputs', span)
        raise CompileError(found.with_help("a model that a program imports takes tensors only"))
    return OnnxSignature(
        path,
        tuple((p.identifier, _tensor(p)) for p in ports(made.inputs)),
        tuple(_tensor(p) for p in ports(made.outputs)),
        tuple(
            (name[len(MODEL) + 1 :], surface.Tensor(info.dtype, info.shape))
            for s in made.interface.parameter_sets
            for name, info in zip(made.weights, s.weights, strict=True)
        ),
        made,
    )


def _tensor(p: Port) -> surface.Tensor:
    return surface.Tensor(p.type.dtype, p.type.shape)


def imported_of(signature: OnnxSignature) -> Imported:
    """What the reader has kept for lowering."""
    assert isinstance(signature.source, Imported)
    return signature.source


def onnx_functions(checked: Checked) -> Mapping[str, OnnxFunction]:
    """The functions of the models that a program imports, for lowering."""
    out: dict[str, OnnxFunction] = {}
    for name, signature in checked.onnx.items():
        made = imported_of(signature)
        out[name] = OnnxFunction(made.function, made.module)
    return out


def onnx_hashes(checked: Checked) -> tuple[tuple[str, str], ...]:
    """The files of these models with the SHA-256 of their contents."""
    return tuple((s.path, hash_of(Path(imported_of(s).file))) for s in checked.onnx.values())
