"""Linking where the linker is there, and what is said where it is not."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dlc.artifact import link
from dlc.artifact.link import shared_library, wasm_module
from dlc.diag import CompileError
from dlc.driver.build import with_roles
from dlc.driver.options import Options
from dlc.driver.python import build

SOURCE = """
export fn axpy(a: f32, x: f32[N], y: f32[N]) -> f32[N]:
    return a * x + y
"""


def has_linker() -> bool:
    return link._lld("wasm-ld") is not None


@pytest.mark.skipif(not has_linker(), reason="no wasm-ld: the extra `link` is not installed")
@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_a_module_for_webassembly_computes(tmp_path: Path) -> None:
    made = build(SOURCE, options=Options(triple="wasm32", level=2)).artifact
    module = with_roles(made, ["wasm"], "net").contents["wasm"]
    assert with_roles(made, ["wasm"], "net").contents["wasm"] == module
    (tmp_path / "net.wasm").write_bytes(module)
    # Offsets of the C structs, where a pointer has four bytes: { size, abi, a, x, y }.
    (tmp_path / "main.cjs").write_text("""
const fs = require("fs");
const code = new WebAssembly.Module(fs.readFileSync(process.argv[2]));
const e = new WebAssembly.Instance(code, {}).exports;
e.memory.grow(1);
const at = (e.__heap_base.value + 63) & ~63;
const view = new DataView(e.memory.buffer);
const put = (o, ...xs) => xs.forEach((x, i) => view.setUint32(at + o + 4 * i, x, true));
const floats = (o, xs) => xs.forEach((x, i) => view.setFloat32(at + o + 4 * i, x, true));
const abi = Number(process.argv[3]);
put(0, 48, abi); floats(8, [2]);
put(16, at + 256, 0, 3, 0); put(32, at + 320, 0, 3, 0);
put(128, 32, abi, at + 384, 0, 3, 0, 0, 0);
put(192, 96);
floats(256, [1, 2, 3]); floats(320, [10, 20, 30]);
const status = e.net_axpy(at, at + 128, at + 512, 4096, 0, at + 192);
const y = [0, 1, 2].map(i => view.getFloat32(at + 384 + 4 * i, true));
console.log(JSON.stringify([WebAssembly.Module.imports(code), status, y]));
""")
    number = str(made.manifest.number)
    command = ["node", str(tmp_path / "main.cjs"), str(tmp_path / "net.wasm"), number]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], 0, [12, 24, 36]]


def test_what_cannot_be_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CompileError, match="E0940: an object for x86_64-linux-gnu"):
        wasm_module(b"", [], "x86_64-linux-gnu")
    monkeypatch.setattr(link, "_lld", lambda name: None)
    monkeypatch.setattr(link, "_compiler", lambda: None)
    with pytest.raises(CompileError, match="E0940: no linker for wasm32") as caught:
        wasm_module(b"", [], "wasm32-unknown-unknown")
    assert "dlc[link]" in str(caught.value.diagnostics[0])
    with pytest.raises(CompileError, match="E0940: no linker for"):
        shared_library(b"", [], "aarch64-linux-gnu", "x86_64-linux-gnu", "net.so")


def test_an_object_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_linker():
        monkeypatch.setattr(link, "_lld", lambda name: ["false"])
    with pytest.raises(CompileError, match="E0941: the linker failed"):
        wasm_module(b"no object", ["net_f"], "wasm32-unknown-unknown")


def test_samples_as_objects_for_webassembly() -> None:
    """Nothing is left undefined: there is no run-time there."""
    root = Path(__file__).parents[3] / "samples"
    for name, bind in (("treelstm", None), ("beam", {"K": 3}), ("memory_nets", None)):
        options = Options(triple="wasm32", level=1)
        made = build(str(root / f"{name}.dl"), bind=bind, options=options).artifact
        assert made.contents["object"][:4] == b"\0asm"
