"""What an artefact for the accelerator holds: the program, its dense twin, and how the host calls
them, as files and as the manifest's member `device`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast, get_args

from dlc.artifact.product import Artifact
from dlc.diag import CompileError, error
from dlc.ir.core import AdtDecl
from dlc.isa.project import load_isa
from dlc.isa.spw import read_program, write_program
from dlc.ops.card import Status
from dlc.targets.sparrow import (
    Site,
    SparrowEntry,
    SparrowParameter,
    SparrowProgram,
    SparrowResult,
)
from dlc.typesys.interface_json import type_from_json, type_to_json

PROGRAM, TWIN = "program", "twin"
"""Roles of the files."""


@dataclass(frozen=True)
class Device:
    """`twin` is the source compiled without events and compressed weights, None where that is the
    same program. `preset` names the machine whose costs are told. `holds_weights`: the program has
    its own copy of the weights, and computes with no others."""

    program: SparrowProgram
    twin: SparrowProgram | None
    preset: str
    holds_weights: bool = False

    def contents(self) -> dict[str, bytes]:
        """The files by role: the same program gives the same bytes."""
        out = {PROGRAM: write_program(self.program.program)}
        if self.twin is not None:
            out[TWIN] = write_program(self.twin.program)
        return out

    def as_json(self) -> dict[str, Any]:
        """What the manifest keeps."""
        return {
            "isa": self.program.program.isa,
            "preset": self.preset,
            "holds_weights": self.holds_weights,
            PROGRAM: _program_json(self.program),
            TWIN: None if self.twin is None else _program_json(self.twin),
        }


def device_of(artifact: Artifact) -> Device:
    """The device of an artefact.

    Raises CompileError E0805, E0806 (the files), E0931 (the manifest), E0934 (no program)."""
    m = artifact.manifest
    given = m.device
    if given is None or PROGRAM not in artifact.contents:
        found = error("E0934", f"the artefact `{m.name}` has no program of the accelerator")
        raise CompileError(found.with_help("compile it with `--emit spw`"))
    try:
        program = _program(artifact, PROGRAM, given[PROGRAM], m.types)
        twin = None
        if given[TWIN] is not None and TWIN in artifact.contents:
            twin = _program(artifact, TWIN, given[TWIN], m.types)
        return Device(program, twin, str(given["preset"]), bool(given["holds_weights"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
        message = f"the manifest of `{m.name}` has no `device` that fits: {type(e).__name__}: {e}"
        raise CompileError(error("E0931", message)) from None


# -- as JSON


def _program_json(p: SparrowProgram) -> dict[str, Any]:
    return {
        "dense": p.dense,
        "bounds": dict(p.bounds),
        "weights": sorted(p.weights),
        "entries": [_entry_json(e) for e in p.entries.values()],
        "sites": [[s.status, s.file, s.line, s.column, s.message, s.got, s.want] for s in p.sites],
    }


def _entry_json(e: SparrowEntry) -> dict[str, Any]:
    return {
        "name": e.name,
        "dims": list(e.dims),
        "parameters": [
            {"name": p.name, "mode": p.mode, "type": type_to_json(p.type)} for p in e.parameters
        ],
        "results": [
            {"type": type_to_json(r.type), "parameter": r.parameter, "cell": r.cell}
            for r in e.results
        ],
        "result_dims": list(e.result_dims),
        "cells": e.cells,
    }


def _program(
    artifact: Artifact, role: str, given: Any, types: Mapping[str, AdtDecl]
) -> SparrowProgram:
    name = artifact.manifest.file(role) or f"the {role} of `{artifact.manifest.name}`"
    program = read_program(load_isa(), artifact.contents[role], name)
    entries = {str(e["name"]): _entry(e) for e in given["entries"]}
    names = [e.name for e in program.entries]
    if sorted(entries) != sorted(names):
        raise ValueError(f"entries {', '.join(entries)}, the program has {', '.join(names)}")
    for e in program.entries:
        shapes = [p.shape for p in e.parameters]
        if shapes != [(str(entries[e.name].block_cells),)]:
            raise ValueError(f"`{e.name}` takes {entries[e.name].block_cells} cells")
    return SparrowProgram(
        program,
        MappingProxyType(entries),
        tuple(_site(s) for s in given["sites"]),
        types,
        bool(given["dense"]),
        MappingProxyType({str(k): str(v) for k, v in given["bounds"].items()}),
        frozenset(str(name) for name in given["weights"]),
    )


def _entry(given: Any) -> SparrowEntry:
    parameters: list[SparrowParameter] = []
    for p in given["parameters"]:
        if p["mode"] not in ("in", "inout", "out"):
            raise ValueError(f"a parameter of mode {p['mode']!r}")
        parameters.append(SparrowParameter(str(p["name"]), p["mode"], type_from_json(p["type"])))
    results = tuple(
        SparrowResult(
            type_from_json(r["type"]),
            _number(r["parameter"], len(parameters)),
            _number(r["cell"], int(given["cells"])),
        )
        for r in given["results"]
    )
    dims = [tuple(str(d) for d in given[key]) for key in ("dims", "result_dims")]
    return SparrowEntry(
        str(given["name"]), dims[0], tuple(parameters), results, dims[1], int(given["cells"])
    )


def _number(given: Any, end: int) -> int | None:
    """A number below `end`, or None."""
    if given is not None and not 0 <= int(given) < end:
        raise ValueError(f"{given} is not below {end}")
    return None if given is None else int(given)


def _site(given: Any) -> Site:
    status, file, line, column, message, got, want = given
    if status not in get_args(Status):
        raise ValueError(f"no status {status!r}")
    numbers = [n if isinstance(n, int) else str(n) for n in (got, want)]
    return Site(cast("Status", status), str(file), int(line), int(column), str(message), *numbers)
