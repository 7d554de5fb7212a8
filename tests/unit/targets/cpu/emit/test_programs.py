"""Control flow, recursion, lists and algebraic values against the evaluator, frames poisoned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.evaluate import to_python
from dlc.targets.cpu.run import CallError, aligned
from dlc.targets.cpu.values import Flat
from tests.unit.targets.cpu.emit.agreement import agree, native

RNG = np.random.default_rng(3)
FOLDER = Path(__file__).parent / "programs"
I, L, F = np.int32, np.int64, np.float32


def f(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.standard_normal(shape).astype(np.float32)


def binary(d: int, depth: int) -> tuple[Any, ...]:
    """A tree with tensors of d elements."""
    if depth < 1:
        return ("Leaf", f(d), L(depth))
    h = f(2, d).astype(np.float16)
    return ("Node", binary(d, depth - 1), np.bool_(depth % 2), binary(d, depth - 2), h)


def rose(n: int) -> tuple[Any, ...]:
    return ("Rose", n, [rose(k) for k in range(n)])


def hidden(k: int, d: int) -> tuple[Any, ...]:
    return ("S", RNG.integers(0, 9, k).astype(np.int32), f(d), f(k, d))


ROSES = [rose(2), rose(3), ("Pair", [(rose(1), 3, rose(0))])]
FAMILY = ("T", [("T", [("T", [], 1)], 4), ("T", [], 10)], 4)
CASES: dict[str, list[list[Any]]] = {
    "build": [[I(0)], [I(3)], [I(200)]],
    "echo": [[("Nil",)], [("Add", ("Num", 1.5), ("Neg", ("Num", 2.5)))]],
    "tensor_adt": [[binary(3, 0)], [binary(5, 6)], [binary(1, 3)]],
    "lists": [[[f(3), f(3)], I(0)], [[f(3)] * 7, I(50)], [[f(1)], I(500)]],
    "list_get_set_pop": [
        *[[[1.5, 2.5, 3.5], I(i)] for i in (1, 3, -1)],
        [[], I(0)],
        [[float(x) for x in range(100)], I(77)],
    ],
    "nested_lists": [[[]], [[[1, 2], [], [3]]], [[[1] * k for k in range(30)]]],
    "rose": [[rose(0), []], [rose(4), ROSES]],
    "hidden": [
        [hidden(3, 2)],
        [hidden(0, 2)],
        [("N", hidden(1, 4), ("N", hidden(2, 4), hidden(5, 4)))],
    ],
    "hidden_result": [[f(n), f(n)] for n in (0, 10, 1000)],
    "inout": [[f(10), f(10), F(0.1), I(3)]],
    "loop": [[L(7)], [L(27)]],
    "for_exits_reverse": [[f(20), F(1.5)], [f(0), F(1)], [f(5), F(100)]],
    "mutual": [[I(7)], [I(900)]],
    "group_with_loop_and_list": [[("T", [], 4)], [FAMILY]],
    "lattice": [[I(0)], [I(5)]],
    "closed_loop": [[I(0), f(7)], [I(40), f(7)]],
}


@pytest.mark.parametrize("name", CASES)
def test_program(name: str) -> None:
    agree((FOLDER / f"{name}.ir").read_text(), *CASES[name])


def test_every_program_has_cases() -> None:
    assert {p.stem for p in FOLDER.glob("*.ir")} == set(CASES)


def test_inout_changes_the_array_that_is_given() -> None:
    compiled = native((FOLDER / "inout.ir").read_text())
    w = np.ones(4, np.float32)
    loss, updated, step = compiled.call("main", [w, np.ones(4, np.float32), F(0.5), I(1)])
    assert np.shares_memory(updated, w) and w.tolist() == [0.5] * 4
    assert loss == 2 and step == 2


def test_inout_is_restored_before_another_attempt() -> None:
    """The first attempt has too little arena only after it has written."""
    text = """
fn @main[N](%w: f32[N], %n: i32) -> (f32[N], f32) {entry=true, inout=[[0, 0]]} {
  %w2 = add %w, %w : f32[N]
  %zero = const {value=0} : i32
  %e = list_new : List[f32[N]]
  %l = for %zero, %n, %e
    (%i: i32, %l0: List[f32[N]]) {
      %l1 = list_push %l0, %w2 : List[f32[N]]
      yield %l1
    } : List[f32[N]]
  %x = list_get %l, %zero : f32[N]
  %s = reduce %x {kind="sum", axes=[0]} : f32
  return %w2, %s
}
"""
    compiled = native(text)
    w = np.ones(8, np.float32)
    _, total = compiled.call("main", [w, I(500)], arena=64)
    assert w.tolist() == [2.0] * 8 and total == 16


def test_shared_records_are_written_as_trees() -> None:
    """2^12 leaves from 13 records."""
    compiled = native((FOLDER / "lattice.ir").read_text())
    (tree,) = compiled.call("main", [I(12)])
    counted, work = 0, [to_python(tree)]
    while work:
        node = work.pop()
        counted += node[0] == "Leaf"
        work += node[1:] if node[0] == "Node" else ()
    assert counted == 2**12


def test_a_tree_of_too_many_nodes_is_a_status() -> None:
    """2^60 leaves from 61 records: the walk gives up."""
    compiled = native((FOLDER / "lattice.ir").read_text())
    with pytest.raises(CallError) as e:
        compiled.call("main", [I(60)])
    assert (e.value.status, e.value.want) == ("space", -1)


@pytest.mark.parametrize(("left", "levels"), [(True, 100_000), (False, 100_000)])
def test_a_deep_comb(left: bool, levels: int) -> None:
    """Native stack use does not grow with depth, on the way in, in recursion and on the way out."""
    text = """
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
    compiled = native(text)
    given = comb(left, levels)
    called = compiled.call_once("main", [given], aligned(1 << 25), room=3 * levels, flat=True)
    out, total = called.results
    assert total == 2 * levels + 1
    assert (out.record.nodes, out.record.root) == (2 * levels + 1, 2 * levels)
    assert np.array_equal(out.tags[: 2 * levels + 1], given.tags)
    assert np.array_equal(out.children[: 2 * levels], given.children)
    assert np.array_equal(out.columns[0][: levels + 1], given.columns[0] + 1)


def comb(left: bool, levels: int) -> Flat:
    """Leaf(0) as the innermost child, then a node with Leaf(1) on the other side for each level."""
    tags = np.ones(2 * levels + 1, np.int32)
    if left:  # leaf, then leaf and node again and again
        tags[0], tags[1::2] = 0, 0
        children = [c for k in range(levels) for c in (max(0, 2 * k), 2 * k + 1)]
    else:  # all leaves, then all nodes from the innermost out
        tags[: levels + 1] = 0
        children = [c for k in range(levels) for c in (levels - 1 - k, levels + k)]
    values = np.ones(levels + 1, np.int32)
    values[0 if left else levels] = 0
    rows = np.array([levels + 1], np.int64)
    return Flat.of(-1, 2 * levels, tags, np.array(children, np.int32), (values,), rows)
