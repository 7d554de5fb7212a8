"""From the fast machine's text to functions in this process: compile, keep the object in the user's
cache, load."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import llvmlite.binding as _llvm  # type: ignore[reportMissingTypeStubs]

from dlc.diag import InternalError

_binding = cast(Any, _llvm)
LEVEL = 2


def _machine(jit: bool) -> Any:
    _binding.initialize_native_target()
    _binding.initialize_native_asmprinter()
    target = _binding.Target.from_triple(_binding.get_process_triple())
    return target.create_target_machine(
        cpu=_binding.get_host_cpu_name(),
        features=_binding.get_host_cpu_features().flatten(),
        opt=LEVEL,
        reloc="pic",
        codemodel="small",
        jit=jit,
    )


def host() -> str:
    """What an object of this host depends on besides its text."""
    return (
        f"{_binding.get_process_triple()} {_binding.get_host_cpu_name()} "
        f"{_binding.get_host_cpu_features().flatten()} {_binding.llvm_version_info}"
    )


def compile_text(text: str) -> bytes:
    """The object of an LLVM text, for this host."""
    machine = _machine(jit=False)
    try:
        module = _binding.parse_assembly(text)
        module.triple = _binding.get_process_triple()
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as e:
        raise InternalError(f"generated LLVM text isn't valid: {e}", stage="fast machine") from None
    options = _binding.create_pipeline_tuning_options(speed_level=LEVEL)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = _binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


# -- cache -----------------------------------------------------------------------------------------


def cache_folder() -> Path | None:
    """Where objects are kept from run to run: `DLC_CACHE`, else the user's cache folder; None where
    that is switched off (`DLC_CACHE=`)."""
    named = os.environ.get("DLC_CACHE")
    if named is not None:
        return Path(named) if named else None
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "dlc"
    except RuntimeError:
        return None


def cached_object(key: str) -> bytes | None:
    """The object that was kept under a key, if it is whole."""
    folder = cache_folder()
    try:
        data = (folder / f"{key}.o").read_bytes() if folder is not None else b""
    except OSError:
        return None
    return data[32:] if len(data) > 32 and hashlib.sha256(data[32:]).digest() == data[:32] else None


def keep_object(key: str, data: bytes) -> None:
    """Keep an object; a folder that can't be written is no error, the next run compiles again."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as out:
            out.write(hashlib.sha256(data).digest() + data)
        os.replace(out.name, folder / f"{key}.o")
    except OSError:
        return


# -- loading ---------------------------------------------------------------------------------------


class Library:
    """A loaded object; its code lives as long as this value."""

    def __init__(self, data: bytes, exports: Iterable[str], imports: Iterable[str]) -> None:
        self._jit = _binding.create_lljit_compiler(_machine(jit=True), use_jit_link=False)
        builder = _binding.JITLibraryBuilder().add_object_img(data)
        mathematics = ctypes.CDLL(ctypes.util.find_library("m") or None)
        for name in imports:
            address = ctypes.cast(getattr(mathematics, name), ctypes.c_void_p).value
            builder.import_symbol(name, address)
        names = tuple(exports)
        for name in names:
            builder.export_symbol(name)
        try:
            self._tracker = builder.link(self._jit, "fast")
        except RuntimeError as e:
            raise InternalError(f"cannot load the object: {e}", stage="fast machine") from None
        self.addresses = {name: int(self._tracker[name]) for name in names}
