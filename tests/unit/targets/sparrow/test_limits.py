"""Depth, memory and fuel; the same module gives the same program."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.evaluate import to_python
from dlc.isa.machine import Machine
from dlc.isa.spw import write_program
from dlc.ops.values import AdtValue
from dlc.targets.sparrow import SparrowError, SparrowOptions, run_entry
from dlc.targets.sparrow.pool import DEEPEST, LIMIT, Pool
from tests.unit.targets.cpu.emit.test_programs import FOLDER
from tests.unit.targets.sparrow.agreement import compiled, main

BUMP = """
type @T = Leaf(x: i32) | Node(l: @T, r: @T)
fn @bump(%t: @T) -> (@T, i64) {
  %r, %n = match %t {cases=["Leaf", "Node"]}
    (%x: i32) {
      %one = const {value=1} : i32
      %y = add %x, %one : i32
      %v = variant %y {constructor="Leaf"} : @T
      %w = convert %y {dtype=dtype(i64)} : i64
      yield %v, %w
    }
    (%a: @T, %b: @T) {
      %c, %m = call %a {fn="bump", dims=[]} : @T, i64
      %d, %k = call %b {fn="bump", dims=[]} : @T, i64
      %s = add %m, %k : i64
      %v2 = variant %c, %d {constructor="Node"} : @T
      yield %v2, %s
    } : @T, i64
  return %r, %n
}
fn @main(%t: @T) -> (@T, i64) {entry=true} {
  %r, %n = call %t {fn="bump", dims=[]} : @T, i64
  return %r, %n
}
"""
GROWING = """
fn @main[N](%x: f32[N], %n: i32) -> (f32) {entry=true} {
  %zero = const {value=0} : i32
  %e = list_new : List[f32[N]]
  %l = for %zero, %n, %e
    (%i: i32, %l0: List[f32[N]]) {
      %l1 = list_push %l0, %x : List[f32[N]]
      yield %l1
    } : List[f32[N]]
  %y = list_get %l, %zero : f32[N]
  %s = reduce %y {kind="sum", axes=[0]} : f32
  return %s
}
"""
ENDLESS = """
fn @main(%x: i32) -> (i32) {entry=true} {
  %y = loop %x
    (%a: i32) {
      %one = const {value=1} : i32
      %b = add %a, %one : i32
      %go = eq %one, %one : bool
      yield %go, %b
    } : i32
  return %y
}
"""
FOREVER = """
fn @f(%x: i32) -> (i32) {
  %y = call %x {fn="f", dims=[]} : i32
  %z = add %y, %x : i32
  return %z
}
fn @main(%x: i32) -> (i32) {entry=true} {
  %y = call %x {fn="f", dims=[]} : i32
  return %y
}
"""


@pytest.mark.parametrize(
    ("left", "levels"),
    [
        (True, 20_000),
        (False, 5_000),
        pytest.param(False, 100_000, marks=pytest.mark.full),
    ],
)
def test_a_deep_comb(left: bool, levels: int) -> None:
    """The stack of the machine grows, the host's doesn't."""
    t = AdtValue("Leaf", (np.int32(0),))
    for _ in range(levels):
        leaf = AdtValue("Leaf", (np.int32(1),))
        t = AdtValue("Node", (t, leaf) if left else (leaf, t))
    program = compiled(BUMP)
    grown, total = run_entry(program, "main", [t]).results
    assert total == 2 * levels + 1
    depth = 0
    while grown.constructor == "Node":
        inner, leaf = grown.fields if left else grown.fields[::-1]
        assert leaf.fields == (2,)
        grown, depth = inner, depth + 1
    assert depth == levels and grown.fields == (1,)
    assert program.bounds["main"] == "as much STACK as it calls itself"


def test_memory_grows_until_the_call_has_enough() -> None:
    program = compiled(GROWING, SparrowOptions(heap=1 << 12))
    x = np.ones(100, np.float32)
    assert run_entry(program, "main", [x, np.int32(500)]).results == (100,)
    assert run_entry(program, "main", [x, np.int32(2)]).results == (100,)


DEEP = """
fn @f(%n: i32) -> (i32) {
  %none = const {value=0} : i32
  %end = eq %n, %none : bool
  %y = if %end
    () {
      yield %none
    }
    () {
      %one = const {value=1} : i32
      %less = sub %n, %one : i32
      %x = call %less {fn="f", dims=[]} : i32
      %z = add %x, %one : i32
      yield %z
    } : i32
  return %y
}
fn @main(%n: i32) -> (i32) {entry=true} {
  %y = call %n {fn="f", dims=[]} : i32
  return %y
}
"""


def test_only_what_is_short_grows() -> None:
    """A deep recursion takes STACK, and DRAM stays as it was."""
    program = compiled(DEEP)
    assert run_entry(program, "main", [np.int32(200_000)]).results == (200_000,)
    assert [*program.pool.needed] == ["STACK"]


def test_memory_ends_at_the_limit() -> None:
    program = compiled(GROWING).program
    pool, steps = Pool(), 0
    while (larger := pool.grow(program, "DRAM")) is not None:
        assert sum(larger.memories.values()) <= LIMIT
        program, steps = larger, steps + 1
    assert steps <= 6 and program.memories["DRAM"] > 0.9 * LIMIT
    deep = compiled(GROWING).program
    while (larger := pool.grow(deep, "STACK")) is not None:
        deep = larger
    assert 0.9 * DEEPEST < deep.memories["STACK"] <= DEEPEST


def test_a_frame_that_the_scratchpad_has_no_room_for_lies_in_dram() -> None:
    body = "%y = exp %x : f32[N]\n%z = sin %x : f32[N]\n"
    body += '%s = contract %y, %z {spec="i,i->"} : f32\nreturn %s'
    text = main("[N](%x: f32[N])", "f32", body)
    x = np.linspace(-1, 1, 3000).astype(np.float32)
    want = float((np.exp(x) * np.sin(x)).sum())
    for scratchpad in (1 << 12, 1 << 18):
        program = compiled(text, SparrowOptions(scratchpad=scratchpad))
        (got,) = run_entry(program, "main", [x]).results
        assert abs(got - want) < 1e-2


def test_fuel() -> None:
    with pytest.raises(SparrowError) as e:
        run_entry(compiled(ENDLESS), "main", [np.int32(1)], fuel=10_000)
    assert e.value.status == "fuel"


@pytest.mark.full
def test_a_recursion_without_an_end() -> None:
    with pytest.raises(SparrowError) as e:
        run_entry(compiled(FOREVER), "main", [np.int32(1)])
    assert e.value.status == "arena"


def test_the_stack_that_a_call_takes_is_what_is_said() -> None:
    text = (FOLDER / "loop.ir").read_text()
    program = compiled(text)
    words = int(program.bounds["main"].split()[0])
    stack = -(-8 * words // 64) * 64
    exact = compiled(text, SparrowOptions(stack=stack))
    assert run_entry(exact, "main", [np.int64(7)]).results == (1, 16)
    assert exact.pool.needed == {}


@pytest.mark.parametrize("name", ["nested_lists", "hidden", "mutual"])
def test_the_same_module_gives_the_same_bytes(name: str) -> None:
    text = (FOLDER / f"{name}.ir").read_text()
    files = [write_program(compiled(text).program) for _ in range(2)]
    assert files[0] == files[1]


def test_both_machines_run_it() -> None:
    program = compiled((FOLDER / "nested_lists.ir").read_text())
    args = [[[1, 2], [], [3]]]
    fast, slow = (run_entry(program, "main", args, engine=e).results for e in ("fast", "reference"))
    for a, b in zip(fast, slow, strict=True):
        assert to_python(a) == to_python(b)
    assert Machine.load(program.program).program is program.program
