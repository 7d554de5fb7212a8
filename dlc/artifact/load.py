"""Artefacts from disk, and into this process."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dlc.artifact.manifest import Machine, Manifest, read_manifest
from dlc.artifact.product import Artifact
from dlc.artifact.publish import recover
from dlc.artifact.python.native import Native
from dlc.artifact.weights.block import aligned_bytes
from dlc.diag import CompileError, error

Array = np.ndarray[Any, Any]
SUFFIX = ".manifest.json"


def read_artifact(path: str | os.PathLike[str]) -> Artifact:
    """The artefact at a path: that of its manifest, or of its files without their suffixes.

    Raises CompileError: E0901 (cannot be read), E0931 (no manifest), E0932 (a file that is not the
    manifest's)."""
    at = Path(path)
    base = at.name.removesuffix(SUFFIX)
    recover(at.parent, base)
    name = at.parent / (base + SUFFIX)
    try:
        text = name.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CompileError(error("E0931", f'"{name}" is no manifest: not UTF-8')) from None
    except OSError as e:
        raise CompileError(_unreadable(name, e)) from None
    manifest = read_manifest(text, str(name))
    contents: dict[str, bytes] = {}
    for file, info in manifest.files.items():
        try:
            data = (at.parent / file).read_bytes()
        except OSError as e:
            raise CompileError(_unreadable(at.parent / file, e)) from None
        if len(data) != info.bytes or hashlib.sha256(data).hexdigest() != info.sha256:
            found = error("E0932", f'"{at.parent / file}" is not the file of its manifest')
            raise CompileError(found.with_help("compile again"))
        contents[info.role] = data
    return Artifact(manifest, MappingProxyType(contents), at.parent / base)


def _unreadable(path: Path, e: OSError) -> Any:
    found = error("E0901", f'cannot read "{path}": {e.strerror or type(e).__name__}')
    if path.name.endswith(SUFFIX):
        return found.with_help("an artefact is named by its files without suffix: build/treelstm")
    return found


def manifest_hash(manifest: Manifest) -> str:
    """What identifies an artefact with all its files."""
    return hashlib.sha256(manifest.text().encode()).hexdigest()


# -- native code


def load_native(a: Artifact) -> Native:
    """The artefact's code in this process: its object through the JIT, or its shared library.

    Raises CompileError: E0933 for code of another machine, E0934 without code."""
    machine = a.manifest.machine
    assert machine is not None
    _check_machine(machine)
    api = a.api
    if api.number != a.manifest.number:
        message = f"the artefact `{a.manifest.name}` was made by another version of dlc"
        raise CompileError(error("E0932", message).with_help("compile again"))
    symbols = [*api.symbols, *([f"{api.prefix}_weights"] if api.embedded else [])]
    if "object" in a.contents:
        from dlc.targets.cpu.llvm import load

        library = load(a.contents["object"], symbols)
        return Native(api, library.address, library, a.manifest.file_of)
    name = a.manifest.file("shared")
    if name is None or a.path is None:
        message = f"the artefact `{a.manifest.name}` has neither an object nor a shared library"
        raise CompileError(error("E0934", message).with_help("compile it with `--emit obj`"))
    shared = ctypes.CDLL(str((a.path.parent / name).resolve()))

    def address_of(symbol: str) -> int:
        found = ctypes.cast(getattr(shared, symbol), ctypes.c_void_p).value
        assert found is not None
        return found

    return Native(api, address_of, shared, a.manifest.file_of)


def _check_machine(m: Machine) -> None:
    """Whether this process can run the code. Features that the host lacks would be a crash."""
    from dlc.targets.cpu.llvm import host_target

    host = host_target()
    if _system(m.triple) != _system(host.triple):
        found = error("E0933", f"code for {m.triple} cannot run on {host.triple}")
        raise CompileError(found.with_help("compile it for this machine"))
    have = set(host.features.split(","))
    lacking = [f for f in m.features.split(",") if f.startswith("+") and f not in have]
    if lacking:
        names = ", ".join(f[1:] for f in lacking[:4])
        found = error("E0933", f"the code needs {names}, which this CPU does not have")
        raise CompileError(found.with_help("compile it for this machine"))


def _system(triple: str) -> tuple[str, ...]:
    parts = triple.replace("amd64", "x86_64").replace("arm64", "aarch64").split("-")
    known = ("linux", "darwin", "macos", "windows", "freebsd")
    system = next((s for s in known if s in triple), "-".join(parts[1:]))
    return parts[0], system.replace("macos", "darwin")


# -- weights


def weights_block(a: Artifact, native: Native | None) -> tuple[Array, Mapping[str, int]] | None:
    """A copy of the weights that come with the artefact, and their dims; None if none do.

    Raises CompileError E0932 for a file that is none of this program."""
    layout = a.manifest.layout
    data = a.contents.get("weights")
    if data is not None:
        block = aligned_bytes(len(data))
        block[:] = np.frombuffer(data, np.uint8)
    elif native is not None and native.api.embedded:
        block = native.embedded()
    else:
        return None
    try:
        return block, layout.read_dims(block)
    except ValueError as e:
        message = f"the weights of `{a.manifest.name}` cannot be used: {e}"
        raise CompileError(error("E0932", message)) from None
