"""What the bufferised form of a program looks like: places, not only results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.memory.form import BFunction, Call, Map, Mark, Release, Slot, Tensor, View
from dlc.memory.frame import statements
from dlc.memory.print import print_module
from tests.unit.memory.running import check, copies

TREELSTM = (Path(__file__).parent / "treelstm.ir").read_text()


def weights(rng: np.random.Generator, v: int = 9, d: int = 4, h: int = 5, c: int = 2) -> list[Any]:
    shapes = ((v, d), (3 * h, d), (3 * h,), (5 * h, 2 * h), (5 * h,), (c, h))
    return [rng.normal(size=s).astype(np.float32) for s in shapes]


def tree(rng: np.random.Generator, leaves: int) -> Any:
    if leaves == 1:
        return ("Leaf", int(rng.integers(9)))
    k = int(rng.integers(1, leaves))
    return ("Node", tree(rng, k), tree(rng, leaves - k))


def test_treelstm(golden: Callable[[str, str], None]) -> None:
    rng = np.random.default_rng(1)
    b = check(TREELSTM, [*weights(rng), tree(rng, 9)], fn="logits")
    golden("treelstm.txt", print_module(b))


def test_halves_are_made_in_the_concatenation() -> None:
    fn = bufferise(read_module(TREELSTM)).functions["encode"]
    assert copies(fn) == 0 and fn.group == 0
    left, right = (s for s in statements(fn.body) if isinstance(s, Call))
    assert isinstance(left.outs[0].place, Slot)
    assert right.outs[0].place == left.outs[0].place
    assert str(right.outs[0].base) == "H"
    # The hidden state of the right child is dead scratch during neither call.
    assert left.keep == right.keep == fn.slots[0].bytes


def function(text: str) -> BFunction:
    return bufferise(read_module(text)).functions["main"]


def test_one_map_for_a_chain() -> None:
    fn = function("""
fn @main[N](%x: f32[N], %y: f32[N], %k: f32) -> (f32[N]) {
  %b = broadcast %k {shape=[dim(N)]} : f32[N]
  %a = mul %x, %b : f32[N]
  %c = convert %a {dtype=dtype(i32)} : i32[N]
  %i = iota {size=dim(N)} : i32[N]
  %d = add %c, %i : i32[N]
  %e = convert %d {dtype=dtype(f32)} : f32[N]
  %f = lt %x, %y : bool[N]
  %g = select %f, %e, %y : f32[N]
  return %g
}""")
    (only,) = fn.body
    assert isinstance(only, Map) and len(only.ins) == 2 and not fn.slots
    assert [i.op for i in only.body] == ["mul", "convert", "add", "convert", "lt", "select"]


def test_a_value_used_elsewhere_is_a_second_result() -> None:
    fn = function("""
fn @main[N](%x: f32[N]) -> (f32[N], f32[N]) {
  %a = tanh %x : f32[N]
  %b = mul %a, %x : f32[N]
  return %b, %a
}""")
    (only,) = fn.body
    assert isinstance(only, Map) and len(only.outs) == 2


def test_maps_stay_apart_where_something_lies_between() -> None:
    fn = function("""
fn @main[N](%x: f32[N]) -> (f32[N]) {
  %a = tanh %x : f32[N]
  %s = reduce %a {kind="sum", axes=[0]} : f32
  %b = broadcast %s {shape=[dim(N)]} : f32[N]
  %c = div %a, %b : f32[N]
  return %c
}""")
    kinds = [type(s).__name__ for s in fn.body]
    assert kinds == ["Map", "Tensor", "Map"]
    # Both maps write the result's place: the second in place of the first.
    assert not fn.slots


def test_products_add_to_what_is_carried() -> None:
    fn = function("""
fn @main[N](%w: f32[N, N], %x: f32[N]) -> (f32[N, N]) {inout=[[0, 0]]} {
  %p = contract %x, %x {spec="i,j->ij"} : f32[N, N]
  %q = add %w, %p : f32[N, N]
  %r = reduce %q {kind="sum", axes=[0]} : f32[N]
  %s = contract %r, %x {spec="i,j->ij"} : f32[N, N]
  %t = add %s, %q : f32[N, N]
  return %t
}""")
    sums = [s for s in fn.body if isinstance(s, Tensor) and s.op == "contract"]
    assert [s.accumulate for s in sums] == [True, True]
    assert copies(fn) == 0 and str(fn.frame) == "64*((4*N+63)//64)"


def test_bias_and_activation_are_one_map() -> None:
    fn = function("""
fn @main[N](%w: f32[N, N], %x: f32[N], %b: f32[N]) -> (f32[N]) {
  %p = contract %w, %x {spec="ij,j->i"} : f32[N]
  %q = add %p, %b : f32[N]
  %r = relu %q : f32[N]
  return %r
}""")
    assert [type(s).__name__ for s in fn.body] == ["Tensor", "Map"] and not fn.slots


def test_gates_take_their_share_of_the_bias() -> None:
    text = """
fn @main[H](%w: f32[2*H, H], %x: f32[H], %b: f32[2*H]) -> (f32[H]) {
  %p = contract %w, %x {spec="ij,j->i"} : f32[2*H]
  %two = const {value=2.0} : f32
  %t = broadcast %two {shape=[dim(2*H)]} : f32[2*H]
  %q = add %p, %b : f32[2*H]
  %r = mul %q, %t : f32[2*H]
  %o = const {value=0} : i32
  %h = dim {value=dim(H)} : i32
  %i = slice %r, %o {axis=0, size=dim(H)} : f32[H]
  %j = slice %r, %h {axis=0, size=dim(H)} : f32[H]
  %s = sigmoid %i : f32[H]
  %u = mul %s, %j : f32[H]
  return %u
}"""
    rng = np.random.default_rng(3)
    args = [rng.normal(size=s).astype(np.float32) for s in ((6, 3), (3,), (6,))]
    fn = check(text, args).functions["main"]
    assert [type(s).__name__ for s in fn.body] == ["Tensor", "Map"]
    # Slices that overlap would compute a part twice.
    once = text.replace("slice %r, %h", "slice %r, %o")
    fn = check(once, args).functions["main"]
    assert [type(s).__name__ for s in fn.body] == ["Tensor", "Map", "Map"]


def test_a_ring_moves_addresses_not_data() -> None:
    fn = function("""
fn @main[N](%w: f32[N, N], %x: f32[N], %n: i32) -> (f32) {
  %o = const {value=0} : i32
  %y = exp %x : f32[N]
  %r, %s = for %o, %n, %x, %y
    (%i: i32, %a: f32[N], %b: f32[N]) {
      %p = contract %w, %b {spec="ij,j->i"} : f32[N]
      %c = sub %p, %a : f32[N]
      yield %b, %c
    } : f32[N], f32[N]
  %d = contract %r, %s {spec="i,i->"} : f32
  return %d
}""")
    # The difference goes where the older one was: two buffers and the product.
    assert len(fn.slots) == 3 and copies(fn) == 1


def test_turns_that_keep_nothing_give_back_their_heap() -> None:
    text = """
type @T = Leaf(a: i32)
fn @main(%n: i32) -> (i32) {
  %o = const {value=0} : i32
  %s = for %o, %n, %o
    (%i: i32, %k: i32) {
      %l = variant %i {constructor="Leaf"} : @T
      %e = match %l {cases=["Leaf"]}
        (%a: i32) {
          yield %a
        } : i32
      %f = add %e, %k : i32
      yield %f
    } : i32
  return %s
}"""
    kinds = [type(s) for s in statements(function(text).body)]
    assert kinds.count(Mark) == kinds.count(Release) == 2
    plain = text.replace('variant %i {constructor="Leaf"}', "undef")
    assert Mark not in [type(s) for s in statements(function(plain).body)]


def test_what_must_be_copied_is_remarked() -> None:
    fn = function("""
fn @main[N](%x: f32[N], %v: f32) -> (f32[N], f32[N]) {
  %i = const {value=0} : i32
  %a = exp %x : f32[N]
  %b = insert %a, %v, %i : f32[N]
  return %b, %a
}""")
    assert [text for _, text in fn.remarks] == ["`insert` copies a, still in use"]


def test_a_loop_that_carries_structures_grows() -> None:
    text = """
type @T = Nil(a: i32) | Cons(a: i32, r: @T)
fn @main(%t: @T, %n: i32) -> (@T) {
  %o = const {value=0} : i32
  %s = for %o, %n, %t
    (%i: i32, %k: @T) {
      %l = variant %i, %k {constructor="Cons"} : @T
      yield %l
    } : @T
  return %s
}"""
    (remark,) = function(text).remarks
    assert "grows" in remark[1]


def test_a_row_is_read_before_the_table_changes() -> None:
    """Only the row is copied, not the table."""
    fn = function("""
fn @main[M, N](%x: f32[M, N], %v: f32[N], %i: i32) -> (f32[M, N], f32[N]) {
  %a = exp %x : f32[M, N]
  %r = index %a, %i : f32[N]
  %b = insert %a, %v, %i : f32[M, N]
  %c = contract %r, %b {spec="j,ij->j"} : f32[N]
  return %b, %c
}""")
    made = [s for s in fn.body if isinstance(s, Tensor) and s.op == "copy"]
    shapes = [tuple(map(str, s.outs[0].shape)) for s in made if isinstance(s.outs[0], View)]
    assert shapes == [("N",), ("N",)]


@pytest.mark.parametrize("strided", [True, False])
def test_views_are_copied_where_dense_elements_are_wanted(strided: bool) -> None:
    op = "sort %t {axis=1}" if strided else 'reduce %t {axes=[1], kind="sum"}'
    kinds = "f32[N, M], i32[N, M]" if strided else "f32[N]"
    names = "%a, %b" if strided else "%a"
    fn = function(f"""
fn @main[M, N](%x: f32[M, N]) -> ({kinds}) {{
  %t = transpose %x {{perm=[1, 0]}} : f32[N, M]
  {names} = {op} : {kinds}
  return {names}
}}""")
    assert copies(fn) == strided


def test_scaling_is_arithmetic() -> None:
    text = """
fn @main[M, N](%s: f32, %x: f32[N], %y: f32[M, N]) -> (f32[N], f32[N, M]) {
  %a = contract %s, %x {spec=",i->i"} : f32[N]
  %b = exp %a : f32[N]
  %c = contract %b, %y {spec="j,ij->ji"} : f32[N, M]
  return %b, %c
}"""
    rng = np.random.default_rng(3)
    args = [np.float32(2.5), *(rng.normal(size=s).astype(np.float32) for s in ((3,), (2, 3)))]
    fn = check(text, args).functions["main"]
    assert [type(s).__name__ for s in fn.body] == ["Map", "Map"]


def test_sums_do_not_copy_what_is_used_later() -> None:
    fn = function("""
fn @main[N](%w: f32[N, N], %x: f32[N], %b: f32[N]) -> (f32[N], f32[N]) {inout=[[2, 1]]} {
  %p = contract %w, %x {spec="ij,j->i"} : f32[N]
  %q = add %p, %b : f32[N]
  %c = sub %b, %x : f32[N]
  return %q, %c
}""")
    assert copies(fn) == 0
