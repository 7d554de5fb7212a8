"""Small programs, one for each way in which storage is merged, shared or updated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.memory.running import check, copies

X = np.arange(1, 5, dtype=np.float32)
Y = np.array([5, -1, 2, 0.5], np.float32)

TREE = "type @T = Leaf(a: i32) | Node(l: @T, r: @T)\n"

STRAIGHT = {
    "one map": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N]) {
  %a = add %x, %y : f32[N]
  %b = tanh %a : f32[N]
  return %b
}""",
    "two results in one map": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %a = add %x, %y : f32[N]
  %b = tanh %a : f32[N]
  return %b, %a
}""",
    "a result twice": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %a = add %x, %y : f32[N]
  return %a, %a
}""",
    "a parameter as result": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  return %y, %x
}""",
    "views": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N, N], f32[N], f32[N, N]) {
  %a = broadcast %x {shape=[dim(N), dim(N)]} : f32[N, N]
  %t = transpose %a {perm=[1, 0]} : f32[N, N]
  %b = broadcast %y {shape=[dim(N), dim(N)]} : f32[N, N]
  %c = add %t, %b : f32[N, N]
  %r = reverse %x {axis=0} : f32[N]
  %d = reverse %c {axis=1} : f32[N, N]
  return %c, %r, %d
}""",
    "a reshape of a transpose": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N*N]) {
  %a = broadcast %x {shape=[dim(N), dim(N)]} : f32[N, N]
  %t = transpose %a {perm=[1, 0]} : f32[N, N]
  %f = reshape %t {shape=[dim(N*N)]} : f32[N*N]
  return %f
}""",
    "reversed and added to itself": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N]) {
  %a = add %x, %y : f32[N]
  %r = reverse %a {axis=0} : f32[N]
  %b = sub %r, %a : f32[N]
  return %b
}""",
    "concat of made pieces": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[3*N]) {
  %a = add %x, %y : f32[N]
  %b = mul %x, %y : f32[N]
  %c = concat %a, %b, %a {axis=0} : f32[3*N]
  return %c
}""",
    "concat along the last axis": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N, 2]) {
  %a = reshape %x {shape=[dim(N), 1]} : f32[N, 1]
  %b = reshape %y {shape=[dim(N), 1]} : f32[N, 1]
  %c = concat %a, %b {axis=1} : f32[N, 2]
  return %c
}""",
    "a piece used after": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[2*N], f32[N]) {
  %a = add %x, %y : f32[N]
  %b = mul %x, %y : f32[N]
  %c = concat %a, %b {axis=0} : f32[2*N]
  %d = exp %c : f32[2*N]
  %e = sub %a, %b : f32[N]
  return %d, %e
}""",
    "a piece read backwards": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32) {
  %c = cos %x : f32[N]
  %a = sin %y : f32[N]
  %r = reverse %c {axis=0} : f32[N]
  %s = reverse %a {axis=0} : f32[N]
  %d = concat %r, %s {axis=0} : f32[2*N]
  %i = iota {size=dim(2*N), dtype=dtype(f32)} : f32[2*N]
  %m = contract %d, %i {spec="i,i->"} : f32
  return %m
}""",
    "insert into a parameter": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %i = const {value=1} : i32
  %v = index %y, %i : f32
  %z = insert %x, %v, %i : f32[N]
  return %z, %x
}""",
    "used after an update": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %i = const {value=1} : i32
  %a = add %x, %y : f32[N]
  %v = index %y, %i : f32
  %z = insert %a, %v, %i : f32[N]
  return %z, %a
}""",
    "insert a slice of itself": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N]) {
  %i = const {value=1} : i32
  %o = const {value=0} : i32
  %a = add %x, %y : f32[N]
  %s = slice %a, %o {axis=0, size=dim(N-1)} : f32[N-1]
  %z = insert_slice %a, %s, %i {axis=0} : f32[N]
  return %z
}""",
    "sums and products": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32, f32[N], f32[N, N]) {
  %s = reduce %x {kind="sum", axes=[0]} : f32
  %o = contract %x, %y {spec="i,j->ij"} : f32[N, N]
  %o2 = contract %y, %x {spec="i,j->ij"} : f32[N, N]
  %p = add %o, %o2 : f32[N, N]
  %v = contract %p, %x {spec="ij,j->i"} : f32[N]
  return %s, %v, %p
}""",
    "scatter and take": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %i = iota {size=dim(N)} : i32[N]
  %o = const {value=0} : i32
  %z = broadcast %o {shape=[dim(N)]} : i32[N]
  %a = scatter_add %x, %z, %y : f32[N]
  %b = take %a, %i : f32[N]
  return %a, %b
}""",
    "constants": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[4], f32[4], i32[3]) {
  %c = const {value=array(f32, [4], [1.0, 2.0, 3.0, 4.5])} : f32[4]
  %d = const {value=array(f32, [4], [1.5, 1.5, 1.5, 1.5])} : f32[4]
  %e = const {value=array(i32, [3], [7, 8, 9])} : i32[3]
  %f = mul %c, %d : f32[4]
  return %f, %d, %e
}""",
    "counting": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (bool[N, N], f32[N]) {
  %i = iota {size=dim(N)} : i32[N]
  %a = broadcast %i {shape=[dim(N), dim(N)]} : i32[N, N]
  %j = reshape %i {shape=[dim(N), 1]} : i32[N, 1]
  %b = broadcast %j {shape=[dim(N), dim(N)]} : i32[N, N]
  %c = eq %a, %b : bool[N, N]
  %f = convert %i {dtype=dtype(f32)} : f32[N]
  %g = mul %f, %x : f32[N]
  return %c, %g
}""",
    "sorted": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], i32[N], i32) {
  %v, %i = sort %y {axis=0} : f32[N], i32[N]
  %m = argmax %y {axis=0} : i32
  return %v, %i, %m
}""",
    "hidden size": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32, i32) {
  %z = const {value=array(f32, [4], [0.75, 0.75, 0.75, 0.75])} : f32[4]
  %zz = retype %z : f32[N]
  %m = gt %y, %zz : bool[N]
  %i = nonzero_indices %m def k : i32[k]
  %t = take %x, %i : f32[k]
  %s = reduce %t {kind="sum", axes=[0]} : f32
  %d = dim {value=dim(k)} : i32
  return %s, %d
}""",
    "hidden result": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[k]) def k {
  %z = broadcast %o {shape=[dim(N)]} : f32[N]
  %m = gt %y, %z : bool[N]
  %i = nonzero_indices %m def j : i32[j]
  %t = take %x, %i : f32[j]
  %e = exp %t : f32[j]
  return %e {dims=[dim(j)]}
}""".replace("  %z = broad", "  %o = const {value=0.75} : f32\n  %z = broad"),
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_straight(name: str) -> None:
    check(STRAIGHT[name], [X, Y])


LOOPS = {
    "carried in place": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N]) {
  %o = const {value=0} : i32
  %r = for %o, %n, %x
    (%i: i32, %a: f32[N]) {
      %b = exp %a : f32[N]
      %c = tanh %b : f32[N]
      yield %c
    } : f32[N]
  return %r
}""",
    "swapped": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], f32[N]) {
  %o = const {value=0} : i32
  %y = neg %x : f32[N]
  %r, %s = for %o, %n, %x, %y
    (%i: i32, %a: f32[N], %b: f32[N]) {
      yield %b, %a
    } : f32[N], f32[N]
  return %r, %s
}""",
    "a ring of three": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], f32[N]) {
  %o = const {value=0} : i32
  %w = contract %x, %x {spec="i,j->ij"} : f32[N, N]
  %y = sin %x : f32[N]
  %r, %s = for %o, %n, %x, %y
    (%i: i32, %a: f32[N], %b: f32[N]) {
      %p = contract %w, %b {spec="ij,j->i"} : f32[N]
      %c = sub %p, %a : f32[N]
      %d = tanh %c : f32[N]
      yield %b, %d
    } : f32[N], f32[N]
  return %r, %s
}""",
    "both from one": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], f32[N], f32[N]) {
  %o = const {value=0} : i32
  %y = sin %x : f32[N]
  %r, %s, %t = for %o, %n, %x, %y, %x
    (%i: i32, %a: f32[N], %b: f32[N], %c: f32[N]) {
      %d = add %a, %c : f32[N]
      yield %b, %c, %d
    } : f32[N], f32[N], f32[N]
  return %r, %s, %t
}""",
    "yielded twice": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], f32[N]) {
  %o = const {value=0} : i32
  %r, %s = for %o, %n, %x, %x
    (%i: i32, %a: f32[N], %b: f32[N]) {
      %d = sub %a, %b : f32[N]
      %e = cos %d : f32[N]
      yield %e, %e
    } : f32[N], f32[N]
  return %r, %s
}""",
    "rows": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[5, N], f32[N]) {
  %o = const {value=0} : i32
  %five = const {value=5} : i32
  %w = contract %x, %x {spec="i,j->ij"} : f32[N, N]
  %zero = const {value=0.0} : f32
  %u = broadcast %zero {shape=[5, dim(N)]} : f32[5, N]
  %r, %s = for %o, %five, %u, %x
    (%i: i32, %ys: f32[5, N], %h: f32[N]) {
      %p = contract %w, %h {spec="ij,j->i"} : f32[N]
      %q = tanh %p : f32[N]
      %zs = insert %ys, %q, %i {in_bounds=true} : f32[5, N]
      yield %zs, %q
    } : f32[5, N], f32[N]
  return %r, %s
}""",
    "a row written directly": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[5, N]) {
  %o = const {value=0} : i32
  %five = const {value=5} : i32
  %w = contract %x, %x {spec="i,j->ij"} : f32[N, N]
  %zero = const {value=0.0} : f32
  %u = broadcast %zero {shape=[5, dim(N)]} : f32[5, N]
  %r = for %o, %five, %u
    (%i: i32, %ys: f32[5, N]) {
      %p = contract %w, %x {spec="ij,j->i"} : f32[N]
      %zs = insert %ys, %p, %i {in_bounds=true} : f32[5, N]
      yield %zs
    } : f32[5, N]
  return %r
}""",
    "a row from the row before": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[5, N]) {
  %one = const {value=1} : i32
  %o = const {value=0} : i32
  %five = const {value=5} : i32
  %u0 = broadcast %x {shape=[5, dim(N)]} : f32[5, N]
  %r = for %one, %five, %u0
    (%i: i32, %ys: f32[5, N]) {
      %j = sub %i, %one : i32
      %p = index %ys, %j : f32[N]
      %q = exp %p : f32[N]
      %t = tanh %q : f32[N]
      %zs = insert %ys, %t, %i : f32[5, N]
      yield %zs
    } : f32[5, N]
  return %r
}""",
    "a row changed in place": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[5, N]) {
  %o = const {value=0} : i32
  %five = const {value=5} : i32
  %u0 = broadcast %x {shape=[5, dim(N)]} : f32[5, N]
  %r = for %o, %five, %u0
    (%i: i32, %ys: f32[5, N]) {
      %p = index %ys, %i : f32[N]
      %q = add %p, %x : f32[N]
      %zs = insert %ys, %q, %i : f32[5, N]
      yield %zs
    } : f32[5, N]
  return %r
}""",
    "an index out of bounds": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N]) {
  %v = const {value=3.0} : f32
  %r = insert %x, %v, %n : f32[N]
  %s = index %r, %n : f32
  return %r
}""",
    "a check before the row is made": """
fn @fails[N](%x: f32[N]) -> (f32[N]) {
  %f = const {value=false} : bool
  assert %f {message="no"}
  %y = exp %x : f32[N]
  return %y
}
fn @main[N](%x: f32[N], %n: i32) -> (f32[2, N]) {
  %u0 = broadcast %x {shape=[2, dim(N)]} : f32[2, N]
  %u = exp %u0 : f32[2, N]
  %v = call %x {fn="fails", dims=[dim(N)]} : f32[N]
  %r = insert %u, %v, %n : f32[2, N]
  return %r
}""",
    "captured and not used again": """
fn @main[N](%x: f32[N], %n: i32) -> (f32) {
  %o = const {value=0} : i32
  %zero = const {value=0.0} : f32
  %y = cos %x : f32[N]
  %w = contract %x, %y {spec="i,j->ij"} : f32[N, N]
  %z = contract %w, %x {spec="ij,j->i"} : f32[N]
  %r = for %o, %n, %zero
    (%i: i32, %s: f32) {
      %c = contract %z, %z {spec="i,i->"} : f32
      %t = contract %w, %x {spec="ij,i->j"} : f32[N]
      %d = contract %t, %t {spec="i,i->"} : f32
      %e = add %c, %d : f32
      %f = add %e, %s : f32
      yield %f
    } : f32
  return %r
}""",
    "with an exit": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], i32) {
  %o = const {value=0} : i32
  %lim = const {value=20.0} : f32
  %r, %k = for %o, %n, %x, %o {exits=true}
    (%i: i32, %a: f32[N], %j: i32) {
      %b = add %a, %x : f32[N]
      %s = reduce %b {kind="sum", axes=[0]} : f32
      %go = lt %s, %lim : bool
      yield %go, %b, %i
    } : f32[N], i32
  return %r, %k
}""",
    "backwards": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], i32) {
  %o = const {value=0} : i32
  %r, %k = for %o, %n, %x, %o {reverse=true}
    (%i: i32, %a: f32[N], %j: i32) {
      %f = convert %i {dtype=dtype(f32)} : f32
      %b = broadcast %f {shape=[dim(N)]} : f32[N]
      %c = sub %b, %a : f32[N]
      yield %c, %i
    } : f32[N], i32
  return %r, %k
}""",
    "a loop": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], i32) {
  %o = const {value=0} : i32
  %one = const {value=1} : i32
  %r, %k = loop %x, %o
    (%a: f32[N], %j: i32) {
      %b = sin %a : f32[N]
      %m = add %j, %one : i32
      %go = lt %m, %n : bool
      yield %go, %b, %m
    } : f32[N], i32
  return %r, %k
}""",
    "nested": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], f32[N]) {
  %o = const {value=0} : i32
  %r, %s = for %o, %n, %x, %x
    (%i: i32, %a: f32[N], %b: f32[N]) {
      %c, %d = for %o, %i, %b, %a
        (%k: i32, %e: f32[N], %f: f32[N]) {
          %g = add %e, %f : f32[N]
          %h = cos %g : f32[N]
          yield %f, %h
        } : f32[N], f32[N]
      yield %d, %c
    } : f32[N], f32[N]
  return %r, %s
}""",
    "a branch inside": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], f32[N]) {
  %o = const {value=0} : i32
  %two = const {value=2} : i32
  %y = neg %x : f32[N]
  %r, %s = for %o, %n, %x, %y
    (%i: i32, %a: f32[N], %b: f32[N]) {
      %m = mod %i, %two : i32
      %c = eq %m, %o : bool
      %p, %q = if %c
        () {
          %t = exp %a : f32[N]
          yield %b, %t
        }
        () {
          yield %a, %a
        } : f32[N], f32[N]
      yield %p, %q
    } : f32[N], f32[N]
  return %r, %s
}""",
    "captured": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N], f32[N]) {
  %o = const {value=0} : i32
  %y = neg %x : f32[N]
  %z = cos %x : f32[N]
  %r = for %o, %n, %y
    (%i: i32, %a: f32[N]) {
      %b = add %a, %z : f32[N]
      yield %b
    } : f32[N]
  return %r, %z
}""",
    "a memory read and written": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[5, N], f32[N]) {
  %o = const {value=0} : i32
  %five = const {value=5} : i32
  %u0 = broadcast %x {shape=[5, dim(N)]} : f32[5, N]
  %r, %s = for %o, %n, %u0, %x
    (%i: i32, %mem: f32[5, N], %h: f32[N]) {
      %j = mod %i, %five : i32
      %p = index %mem, %j : f32[N]
      %m2 = insert %mem, %h, %j : f32[5, N]
      %q = sub %p, %h : f32[N]
      yield %m2, %q
    } : f32[5, N], f32[N]
  return %r, %s
}""",
    "a map of rows": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[3, N], f32[3]) {
  %u0 = broadcast %x {shape=[3, dim(N)]} : f32[3, N]
  %r, %s = map %u0 {shape=[3], indexed=true}
    (%i: i32, %row: f32[N]) {
      %f = convert %i {dtype=dtype(f32)} : f32
      %b = broadcast %f {shape=[dim(N)]} : f32[N]
      %c = add %row, %b : f32[N]
      %t = reduce %c {kind="sum", axes=[0]} : f32
      yield %c, %t
    } : f32[3, N], f32[3]
  return %r, %s
}""",
    "a map of scalars": """
fn @main[N](%x: f32[N], %n: i32) -> (f32[N]) {
  %f = convert %n {dtype=dtype(f32)} : f32
  %r = map %x {shape=[dim(N)], indexed=true}
    (%i: i32, %e: f32) {
      %g = convert %i {dtype=dtype(f32)} : f32
      %h = mul %g, %e : f32
      %k = add %h, %f : f32
      yield %k
    } : f32[N]
  %y = exp %r : f32[N]
  return %y
}""",
}


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("name", LOOPS)
def test_loops(name: str, n: int) -> None:
    check(LOOPS[name], [X * 0.25, np.int32(n)])


CALLS = {
    "in place": """
fn @up[N](%a: f32[N], %b: f32[N]) -> (f32[N]) {inout=[[0, 0]]} {
  %c = add %a, %b : f32[N]
  return %c
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %z = exp %y : f32[N]
  %r = call %z, %x {fn="up", dims=[dim(N)]} : f32[N]
  %s = call %z, %r {fn="up", dims=[dim(N)]} : f32[N]
  return %r, %s
}""",
    "the same value twice": """
fn @up[N](%a: f32[N], %b: f32[N]) -> (f32[N]) {inout=[[0, 0]]} {
  %c = sub %a, %b : f32[N]
  %d = add %c, %b : f32[N]
  %e = contract %d, %b {spec="i,j->ij"} : f32[N, N]
  %f = reduce %e {kind="sum", axes=[0]} : f32[N]
  return %f
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N]) {
  %z = tanh %y : f32[N]
  %r = call %z, %z {fn="up", dims=[dim(N)]} : f32[N]
  return %r
}""",
    "exchanged": """
fn @swap[N](%a: f32[N], %b: f32[N]) -> (f32[N], f32[N]) {inout=[[0, 0], [1, 1]]} {
  return %b, %a
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %p, %q = call %x, %y {fn="swap", dims=[dim(N)]} : f32[N], f32[N]
  return %p, %q
}""",
    "an update on one path": """
fn @up[N](%a: f32[N], %c: bool) -> (f32[N]) {inout=[[0, 0]]} {
  %r = if %c
    () {
      %t = exp %a : f32[N]
      yield %t
    }
    () {
      yield %a
    } : f32[N]
  return %r
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N], f32[N]) {
  %t = const {value=true} : bool
  %f = const {value=false} : bool
  %p = call %x, %t {fn="up", dims=[dim(N)]} : f32[N]
  %q = call %y, %f {fn="up", dims=[dim(N)]} : f32[N]
  return %p, %q
}""",
    "a strided argument": """
fn @id[N, M](%a: f32[N, M]) -> (f32[N, M]) {
  %c = neg %a : f32[N, M]
  return %c
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N, N]) {
  %a = broadcast %x {shape=[dim(N), dim(N)]} : f32[N, N]
  %t = transpose %a {perm=[1, 0]} : f32[N, N]
  %r = call %t {fn="id", dims=[dim(N), dim(N)]} : f32[N, N]
  return %r
}""",
    "a row": """
fn @f[N](%a: f32[N]) -> (f32[N]) {
  %c = exp %a : f32[N]
  return %c
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[3, N]) {
  %zero = const {value=0.0} : f32
  %u = broadcast %zero {shape=[3, dim(N)]} : f32[3, N]
  %o = const {value=0} : i32
  %three = const {value=3} : i32
  %r = for %o, %three, %u
    (%i: i32, %a: f32[3, N]) {
      %v = call %x {fn="f", dims=[dim(N)]} : f32[N]
      %b = insert %a, %v, %i {in_bounds=true} : f32[3, N]
      yield %b
    } : f32[3, N]
  return %r
}""",
    "recursion": """
fn @down[N](%a: f32[N], %n: i32) -> (f32[N]) {
  %o = const {value=0} : i32
  %one = const {value=1} : i32
  %c = gt %n, %o : bool
  %r = if %c
    () {
      %m = sub %n, %one : i32
      %b = sin %a : f32[N]
      %p = call %b, %m {fn="down", dims=[dim(N)]} : f32[N]
      %q = call %p, %m {fn="down", dims=[dim(N)]} : f32[N]
      %s = add %p, %q : f32[N]
      %t = sub %s, %a : f32[N]
      yield %t
    }
    () {
      yield %a
    } : f32[N]
  return %r
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[N]) {
  %k = const {value=4} : i32
  %r = call %x, %k {fn="down", dims=[dim(N)]} : f32[N]
  return %r
}""",
    "hidden sizes": """
fn @pick[N](%a: f32[N]) -> (f32[k]) def k {
  %o = const {value=1.5} : f32
  %z = broadcast %o {shape=[dim(N)]} : f32[N]
  %m = gt %a, %z : bool[N]
  %i = nonzero_indices %m def j : i32[j]
  %t = take %a, %i : f32[j]
  return %t {dims=[dim(j)]}
}
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32, f32[m]) def m {
  %p = call %x {fn="pick", dims=[dim(N)]} def k1 : f32[k1]
  %e = exp %p : f32[k1]
  %s = reduce %e {kind="sum", axes=[0]} : f32
  %q = call %y {fn="pick", dims=[dim(N)]} def k2 : f32[k2]
  %c = concat %q, %p {axis=0} : f32[k1+k2]
  return %s, %c {dims=[dim(k1+k2)]}
}""",
    "a hidden size carried": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32[m]) def m {
  %o = const {value=0} : i32
  %three = const {value=3} : i32
  %r = for %o, %three, %x {init_dims=[dim(N)]}
    (%i: i32, %a: f32[k]) def k {
      %b = concat %a, %y {axis=0} : f32[N+k]
      %c = cos %b : f32[N+k]
      yield %c {dims=[dim(N+k)]}
    } : f32[k2]
  return %r {dims=[dim(k2)]}
}""".replace("{init_dims=[dim(N)]}", "{init_dims=[dim(N)]} def k2"),
    "branches of different size": """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32) {
  %o = const {value=0} : i32
  %z = const {value=0.75} : f32
  %f = index %x, %o : f32
  %c = gt %f, %z : bool
  %b = broadcast %z {shape=[dim(N)]} : f32[N]
  %r = if %c def k
    () {
      %m = gt %y, %b : bool[N]
      %i = nonzero_indices %m def k1 : i32[k1]
      yield %i {dims=[dim(k1)]}
    }
    () {
      %j = iota {size=dim(N)} : i32[N]
      yield %j {dims=[dim(N)]}
    } : i32[k]
  %t = take %x, %r : f32[k]
  %s = reduce %t {kind="sum", axes=[0]} : f32
  return %s
}""",
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    check(CALLS[name], [X, Y])


def nested(n: int) -> Any:
    return ("Leaf", n) if n < 2 else ("Node", nested(n - 1), nested(n - 2))


STRUCTURES = {
    "pushed in a loop": """
fn @main(%t: @T, %n: i32) -> (List[i32], i32) {
  %l = list_new : List[i32]
  %o = const {value=0} : i32
  %r = for %o, %n, %l
    (%i: i32, %a: List[i32]) {
      %b = list_push %a, %i : List[i32]
      yield %b
    } : List[i32]
  %k = list_len %r : i32
  return %r, %k
}""",
    "pushed and kept": """
fn @main(%t: @T, %n: i32) -> (List[i32], List[i32], List[i32]) {
  %l = list_new : List[i32]
  %a = list_push %l, %n : List[i32]
  %b = list_push %a, %n : List[i32]
  %c = list_push %a, %n : List[i32]
  %d = list_push %c, %n : List[i32]
  return %a, %b, %d
}""",
    "rotated": """
fn @main(%t: @T, %n: i32) -> (List[i32], List[i32], List[i32]) {
  %l = list_new : List[i32]
  %a0 = list_push %l, %n : List[i32]
  %o = const {value=0} : i32
  %r, %s, %u = for %o, %n, %a0, %l, %a0
    (%i: i32, %a: List[i32], %b: List[i32], %c: List[i32]) {
      %d = list_push %a, %i : List[i32]
      yield %b, %c, %c
    } : List[i32], List[i32], List[i32]
  %s2 = list_push %s, %n : List[i32]
  return %r, %s2, %u
}""",
    "set and pop": """
fn @main(%t: @T, %n: i32) -> (List[f32, i32], f32, i32) {
  %x = const {value=2.5} : f32
  %l = list_fill %n, %x, %n : List[f32, i32]
  %o = const {value=0} : i32
  %m, %f, %i = list_pop %l : List[f32, i32], f32, i32
  %y = const {value=7.5} : f32
  %p = list_set %m, %o, %y, %o : List[f32, i32]
  return %p, %f, %i
}""",
    "tensors in a list": """
fn @main(%t: @T, %n: i32) -> (List[f32[3]], f32[3]) {
  %l = list_new : List[f32[3]]
  %o = const {value=0} : i32
  %z = const {value=0.5} : f32
  %v = broadcast %z {shape=[3]} : f32[3]
  %r = for %o, %n, %l
    (%i: i32, %a: List[f32[3]]) {
      %f = convert %i {dtype=dtype(f32)} : f32
      %g = broadcast %f {shape=[3]} : f32[3]
      %h = add %g, %v : f32[3]
      %b = list_push %a, %h : List[f32[3]]
      yield %b
    } : List[f32[3]]
  %e = list_get %r, %o : f32[3]
  %c = list_set %r, %o, %v : List[f32[3]]
  return %c, %e
}""",
    "a pushed tensor read after the element has changed": """
fn @main(%t: @T, %n: i32) -> (List[f32[3]], f32[3]) {
  %e = list_new : List[f32[3]]
  %o = const {value=1} : i32
  %f = convert %n {dtype=dtype(f32)} : f32
  %g = broadcast %f {shape=[3]} : f32[3]
  %l = list_push %e, %g : List[f32[3]]
  %v = cos %g : f32[3]
  %p = list_push %l, %v : List[f32[3]]
  %w = sin %g : f32[3]
  %q = list_set %p, %o, %w : List[f32[3]]
  %r = sub %v, %w : f32[3]
  return %q, %r
}""",
    "lists of lists": """
fn @main(%t: @T, %n: i32) -> (List[List[i32]], List[i32]) {
  %l = list_new : List[List[i32]]
  %e = list_new : List[i32]
  %o = const {value=0} : i32
  %r, %s = for %o, %n, %l, %e
    (%i: i32, %a: List[List[i32]], %b: List[i32]) {
      %c = list_push %b, %i : List[i32]
      %d = list_push %a, %c : List[List[i32]]
      yield %d, %c
    } : List[List[i32]], List[i32]
  %f = list_get %r, %o : List[i32]
  %g = list_push %f, %n : List[i32]
  return %r, %g
}""",
    "a function that pushes": """
fn @add(%a: List[i32], %n: i32) -> (List[i32]) {
  %b = list_push %a, %n : List[i32]
  return %b
}
fn @main(%t: @T, %n: i32) -> (List[i32], List[i32]) {
  %l = list_new : List[i32]
  %o = const {value=0} : i32
  %k = call %l, %n {fn="add", dims=[]} : List[i32]
  %r = for %o, %n, %k
    (%i: i32, %a: List[i32]) {
      %b = call %a, %i {fn="add", dims=[]} : List[i32]
      yield %b
    } : List[i32]
  %m = call %r, %n {fn="add", dims=[]} : List[i32]
  return %r, %m
}""",
    "built and counted": """
fn @size(%t: @T) -> (i32) {
  %r = match %t {cases=["Leaf", "_"]}
    (%a: i32) {
      yield %a
    }
    () {
      %one = const {value=1} : i32
      yield %one
    } : i32
  return %r
}
fn @main(%t: @T, %n: i32) -> (@T, i32) {
  %o = const {value=0} : i32
  %r, %s = for %o, %n, %t, %o
    (%i: i32, %a: @T, %k: i32) {
      %l = variant %i {constructor="Leaf"} : @T
      %b = variant %a, %l {constructor="Node"} : @T
      %c = call %l {fn="size", dims=[]} : i32
      %d = add %c, %k : i32
      yield %b, %d
    } : @T, i32
  return %r, %s
}""",
    "garbage in turns": """
fn @main(%t: @T, %n: i32) -> (i32) {
  %o = const {value=0} : i32
  %s = for %o, %n, %o
    (%i: i32, %k: i32) {
      %l = variant %i {constructor="Leaf"} : @T
      %b = variant %t, %l {constructor="Node"} : @T
      %c = match %b {cases=["Node", "_"]}
        (%p: @T, %q: @T) {
          %d = match %q {cases=["Leaf", "_"]}
            (%e: i32) {
              yield %e
            }
            () {
              yield %o
            } : i32
          yield %d
        }
        () {
          yield %o
        } : i32
      %f = add %c, %k : i32
      yield %f
    } : i32
  return %s
}""",
    "tensors in records": """
type @R = Nil | Cons(x: f32[3], rest: @R)
fn @total(%r: @R) -> (f32[3]) {
  %s = match %r {cases=["Nil", "Cons"]}
    () {
      %z = const {value=0.0} : f32
      %v = broadcast %z {shape=[3]} : f32[3]
      yield %v
    }
    (%x: f32[3], %rest: @R) {
      %t = call %rest {fn="total", dims=[]} : f32[3]
      %u = add %x, %t : f32[3]
      yield %u
    } : f32[3]
  return %s
}
fn @main(%t: @T, %n: i32) -> (@R, f32[3], f32[3]) {
  %o = const {value=0} : i32
  %nil = variant {constructor="Nil"} : @R
  %z = const {value=0.5} : f32
  %v = broadcast %z {shape=[3]} : f32[3]
  %r, %h = for %o, %n, %nil, %v
    (%i: i32, %a: @R, %x: f32[3]) {
      %y = cos %x : f32[3]
      %b = variant %y, %a {constructor="Cons"} : @R
      yield %b, %y
    } : @R, f32[3]
  %s = call %r {fn="total", dims=[]} : f32[3]
  return %r, %s, %h
}""",
    "records with sizes of their own": """
type @S = S{k}(x: f32[k])
fn @main(%t: @T, %n: i32) -> (@S, f32) {
  as_dim %n def m
  %i = iota {size=dim(m)} : i32[m]
  %f = convert %i {dtype=dtype(f32)} : f32[m]
  %s = variant %f {constructor="S", dims=[dim(m)]} : @S
  %r = match %s {cases=["S"]}
    (%x: f32[j]) def j {
      %y = exp %x : f32[j]
      %q = reduce %y {kind="sum", axes=[0]} : f32
      yield %q
    } : f32
  return %s, %r
}""",
    "lists in records": """
type @B = B(l: List[i32])
fn @main(%t: @T, %n: i32) -> (@B, List[i32], @B) {
  %l = list_new : List[i32]
  %a = list_push %l, %n : List[i32]
  %b = variant %a {constructor="B"} : @B
  %c = list_push %a, %n : List[i32]
  %d = match %b {cases=["B"]}
    (%e: List[i32]) {
      %f = list_push %e, %n : List[i32]
      yield %f
    } : List[i32]
  %g = variant %c {constructor="B"} : @B
  return %b, %d, %g
}""",
}


@pytest.mark.parametrize("n", [0, 1, 6])
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str, n: int) -> None:
    check(TREE + STRUCTURES[name], [nested(3), np.int32(n)])


def test_one_copy_of_what_is_given() -> None:
    """A parameter is copied once before it is changed, and nothing else is copied."""
    for name in ("carried in place", "a row changed in place"):
        assert copies(check(LOOPS[name], [X, np.int32(2)]).functions["main"]) == 1


def test_lists_grow_in_place() -> None:
    b = check(TREE + STRUCTURES["pushed in a loop"], [nested(2), np.int32(3)])
    assert copies(b.functions["main"]) == 0
    b = check(TREE + STRUCTURES["a function that pushes"], [nested(2), np.int32(3)])
    assert copies(b.functions["add"]) == 0
    # Only the list that is also returned is copied before it is handed over.
    assert copies(b.functions["main"]) == 1
