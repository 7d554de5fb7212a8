"""Debug information: the assembly maps to every line of the source that does something."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.targets.cpu.emit import EmitOptions, emit
from dlc.targets.cpu.llvm import Options, Target, compile_assembly, compile_object, host_target
from dlc.targets.cpu.llvm import named_target as named
from tests.unit.targets.cpu.emit.agreement import native
from tests.unit.targets.cpu.emit.test_programs import CASES, FOLDER

TWO_FILES = """source 0 "a.dl"
source 1 "lib/b.dl"
type @T = Leaf(x: f32) | Node(l: @T, r: @T)
fn @sum(%t: @T) -> (f32) !0:1:1 {
  %s = match %t {cases=["Leaf", "Node"]}
    (%x: f32) {
      %y = exp %x : f32 !1:30:4
      yield %y
    }
    (%l: @T, %r: @T) {
      %a = call %l {fn="sum", dims=[]} : f32 !0:5:9
      %b = call %r {fn="sum", dims=[]} : f32 !0:6:9
      %c = add %a, %b : f32 !0:7:9
      yield %c
    } : f32 !0:3:3
  return %s
}
fn @main[N](%t: @T, %v: f32[N]) -> (f32[N]) {entry=true} !0:9:1 {
  %s = call %t {fn="sum", dims=[]} : f32 !0:10:3
  %q = broadcast %s {shape=[dim(N)]} : f32[N] !0:11:3
  %y = tanh %v : f32[N] !0:12:3
  %z = mul %y, %q : f32[N] !0:13:3
  %w = cumsum %z {axis=0} : f32[N] !0:14:3
  return %w
}
"""


def lines(target: Target, level: int) -> set[int]:
    emitted = emit(bufferise(read_module(TWO_FILES)), target, EmitOptions(debug=True))
    assembly = compile_assembly(emitted.text, target, Options(level=level))
    assert "b.dl" in assembly
    return {int(n) for n in re.findall(r"\.loc\s+\d+ (\d+)", assembly)}


@pytest.mark.parametrize("level", [0, 3])
def test_every_line_is_there(level: int) -> None:
    found = lines(host_target(), level)
    # Element-wise operations in a row become one loop, which belongs to one of their lines.
    assert {5, 6, 7, 10, 14, 30} <= found and found & {12, 13}


@pytest.mark.parametrize("triple", ["x86_64-pc-windows-msvc", "aarch64-apple-macosx", "wasm32"])
def test_other_formats(triple: str) -> None:
    target = named(triple)
    text = emit(bufferise(read_module(TWO_FILES)), target, EmitOptions(debug=True)).text
    assert compile_object(text, target, Options(level=1)).data


def test_debug_does_not_change_results() -> None:
    for name in ("tensor_adt", "for_exits_reverse"):
        text = (FOLDER / f"{name}.ir").read_text()
        plain, debug = native(text), native(text, emit=EmitOptions(debug=True))
        for args in CASES[name]:
            a, b = plain.call("main", args), debug.call("main", args)
            for x, y in zip(a, b, strict=True):
                if isinstance(x, np.ndarray):
                    assert x.tobytes() == y.tobytes()
