"""Shared libraries, WebAssembly modules and programs, with the system's C compiler or a bare LLD.

The object needs no library, so linking is one call: `cc -shared`, or `ld.lld`, `ld64.lld`,
`lld-link`, `wasm-ld` from the package `ziglang` (the extra `link`), which is never asked to
compile."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dlc.diag import CompileError, error

TIMEOUT = 120.0


def shared_suffix(triple: str) -> str:
    """`.so`, `.dylib` or `.dll`."""
    if "windows" in triple:
        return ".dll"
    return ".dylib" if "darwin" in triple or "macos" in triple else ".so"


def shared_library(data: bytes, symbols: Sequence[str], triple: str, host: str, name: str) -> bytes:
    """The shared library of an object. `host` is this machine's triple, `name` the library's own.

    Raises CompileError: E0940 without a linker, E0941 if the linker fails."""
    with tempfile.TemporaryDirectory(prefix="dlc-link-") as folder:
        base = Path(folder)
        (base / "net.o").write_bytes(data)
        out = base / f"net{shared_suffix(triple)}"
        _run(_command(base, out, symbols, triple, host, name), base)
        return out.read_bytes()


def _command(
    base: Path, out: Path, symbols: Sequence[str], triple: str, host: str, name: str
) -> list[str]:
    native = _family(triple) == _family(host)
    cc = _compiler() if native else None
    obj = str(base / "net.o")
    if cc is not None and shared_suffix(triple) == ".so":
        return [
            cc, "-shared", "-nostdlib", "-o", str(out), obj,
            f"-Wl,-soname,{name}", "-Wl,-z,noexecstack", "-Wl,--build-id=none",
        ]  # fmt: skip
    if cc is not None and shared_suffix(triple) == ".dylib":
        return [cc, "-dynamiclib", "-nostdlib", "-o", str(out), obj, "-install_name", name]
    lld = _lld("ld.lld")
    if lld is None:
        found = error("E0940", f"no linker for {triple}")
        raise CompileError(
            found.with_help(
                "install a C compiler, or the extra: pip install 'dlc[link]'"
            ).with_help("an object (`--emit obj`) and `dlc.load` need none")
        )
    if shared_suffix(triple) == ".so":
        return [
            *lld, "ld.lld", "-shared", "-o", str(out), obj, "-soname", name, "-z", "noexecstack",
        ]  # fmt: skip
    if shared_suffix(triple) == ".dll":
        exports = [f"/export:{s}" for s in symbols]
        return [*lld, "lld-link", "/dll", "/noentry", f"/out:{out}", obj, *exports, "/Brepro"]
    return [*lld, "ld64.lld", "-dylib", "-o", str(out), obj, "-install_name", name]


def wasm_module(data: bytes, symbols: Sequence[str], triple: str) -> bytes:
    """A WebAssembly module without imports: it exports its memory, `__heap_base` (what lies above
    is the caller's) and the symbols.

    Raises CompileError: E0940 without a linker or for another target, E0941 if the linker fails."""
    if not triple.startswith("wasm"):
        found = error("E0940", f"an object for {triple} cannot become a WebAssembly module")
        raise CompileError(found.with_help("compile it with `--target wasm32`"))
    lld = _lld("wasm-ld")
    if lld is None:
        found = error("E0940", f"no linker for {triple}")
        raise CompileError(found.with_help("install the extra: pip install 'dlc[link]'"))
    with tempfile.TemporaryDirectory(prefix="dlc-link-") as folder:
        base = Path(folder)
        (base / "net.o").write_bytes(data)
        out = base / "net.wasm"
        exports = [f"--export={s}" for s in ("__heap_base", *symbols)]
        flags = ["--no-entry", "--stack-first", "--strip-all", *exports]
        _run([*lld, "wasm-ld", *flags, "-o", str(out), "net.o"], base)
        return out.read_bytes()


def executable(data: bytes, source: str, triple: str, host: str) -> bytes:
    """An executable of an object and a C source with `main`, for this machine.

    Raises CompileError: E0940 without a C compiler for the target, E0941 if it fails."""
    cc = _compiler()
    if cc is None or _family(triple) != _family(host):
        found = error("E0940", f"a program for {triple} needs a C compiler of that machine")
        raise CompileError(
            found.with_help("emit an object and link it there (`--emit obj,header`)")
        )
    with tempfile.TemporaryDirectory(prefix="dlc-link-") as folder:
        base = Path(folder)
        (base / "net.o").write_bytes(data)
        (base / "main.c").write_text(source, encoding="utf-8")
        out = base / "net.exe"
        _run([cc, "-std=c99", "-O1", "-o", str(out), "main.c", "net.o", "-lm"], base)
        return out.read_bytes()


def _family(triple: str) -> tuple[str, str]:
    """Architecture and system."""
    parts = triple.split("-")
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(parts[0], parts[0])
    for system in ("linux", "darwin", "macos", "windows", "freebsd"):
        if system in triple:
            return arch, {"macos": "darwin"}.get(system, system)
    return arch, "-".join(parts[1:])


def _compiler() -> str | None:
    return next((p for n in ("cc", "gcc", "clang") if (p := shutil.which(n))), None)


def _lld(name: str) -> list[str] | None:
    """How to call a linker of LLVM by the name that follows: on the path, or inside `ziglang`."""
    try:
        import ziglang  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    except ImportError:
        return [] if shutil.which(name) else None
    folder = Path(str(ziglang.__file__)).parent  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return [str(folder / ("zig.exe" if sys.platform == "win32" else "zig"))]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise CompileError(error("E0941", f"the linker did not run: {e}")) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().replace(str(folder), ".")
        first = said.splitlines()[0] if said else f"status {done.returncode}"
        found = error("E0941", f"the linker failed: {first}")
        raise CompileError(found.with_note(said) if "\n" in said else found)
