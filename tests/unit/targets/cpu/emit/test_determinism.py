"""Equal modules give equal bytes, in every process, and need no symbol of anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.targets.cpu.emit import EmitOptions, emit
from dlc.targets.cpu.llvm import compile_object, host_target, named_target
from tests.unit.targets.cpu.emit.agreement import QUICK
from tests.unit.targets.cpu.emit.test_programs import FOLDER

ROOT = Path(__file__).parents[5]
PROGRAM = """
import hashlib, pathlib, sys
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.targets.cpu.emit import EmitOptions, emit
from dlc.targets.cpu.llvm import named_target
target = named_target("x86_64-unknown-linux-gnu", "x86-64-v3")
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.ir")):
    text = emit(bufferise(read_module(path.read_text())), target, EmitOptions(debug=True)).text
    print(path.name, hashlib.sha256(text.encode()).hexdigest())
"""


def test_hash_seeds_do_not_matter() -> None:
    outputs = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, str(FOLDER)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1 and len(outputs.pop().splitlines()) == len([*FOLDER.glob("*.ir")])


def test_only_the_entry_is_visible() -> None:
    for path in sorted(FOLDER.glob("*.ir")):
        module = bufferise(read_module(path.read_text()))
        text = emit(module, host_target(), EmitOptions("net")).text
        assert compile_object(text, host_target(), QUICK).symbols.defined == ("net_raw_main",)


def test_objects_for_other_machines_need_nothing() -> None:
    """`compile_object` refuses an object that leaves a symbol undefined."""
    triples = (
        ("x86_64-unknown-linux-gnu", ""), ("i686-unknown-linux-gnu", ""), ("wasm32", ""),
        ("aarch64-unknown-linux-gnu", ""), ("riscv64-unknown-linux-gnu", ""),
        ("thumbv7em-none-eabihf", "cortex-m4"), ("x86_64-pc-windows-msvc", ""),
    )  # fmt: skip
    for triple, cpu in triples:
        target = named_target(triple, cpu)
        for name in ("tensor_adt", "rose", "hidden", "closed_loop"):
            module = bufferise(read_module((FOLDER / f"{name}.ir").read_text()))
            assert compile_object(emit(module, target).text, target, QUICK).data


def test_sizes_of_many_factors_need_no_run_time_of_128_bits() -> None:
    text = """fn @main[N, M, K](%x: f32[N]) -> (f32[N, M, K]) {entry=true} {
  %y = broadcast %x {shape=[dim(N), dim(M), dim(K)], axes=[0]} : f32[N, M, K]
  %z = exp %y : f32[N, M, K]
  %s = cumsum %z {axis=1} : f32[N, M, K]
  %a = add %s, %z : f32[N, M, K]
  return %a
}
"""
    target = named_target("wasm32", "")
    assert compile_object(emit(bufferise(read_module(text)), target).text, target, QUICK).data
