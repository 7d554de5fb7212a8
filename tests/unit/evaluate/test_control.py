"""Structured operations and calls in the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.evaluate import Limits, Program, RunError, run, to_python
from dlc.ir.core import Module
from dlc.ir.reader import read_module
from dlc.ops.verify import verify

CHECK = Limits(check=True)


def module(text: str) -> Module:
    return verify(read_module(text))


LOOPS = module(
    """
    fn @count(%lo: i32, %hi: i32) -> (i32, i32) {
      %zero = const {value=0} : i32
      %count, %end = for %lo, %hi, %zero, %zero
        (%i: i32, %n: i32, %last: i32) {
          %one = const {value=1} : i32
          %m = add %n, %one : i32
          yield %m, %i
        } : i32, i32
      return %count, %end
    }

    fn @down(%lo: i32, %hi: i32) -> (i32, i32) {
      %zero = const {value=0} : i32
      %count, %end = for %lo, %hi, %zero, %zero {reverse=true}
        (%i: i32, %n: i32, %last: i32) {
          %one = const {value=1} : i32
          %m = add %n, %one : i32
          yield %m, %i
        } : i32, i32
      return %count, %end
    }

    fn @until(%lo: i64, %hi: i64, %stop: i64) -> (i64) {
      %end = for %lo, %hi, %stop {exits=true}
        (%i: i64, %x: i64) {
          %go = ne %i, %stop : bool
          yield %go, %i
        } : i64
      return %end
    }

    fn @collatz(%n: i32) -> (i32) {
      %zero = const {value=0} : i32
      %xend, %kend = loop %n, %zero
        (%x: i32, %k: i32) {
          %one = const {value=1} : i32
          %two = const {value=2} : i32
          %three = const {value=3} : i32
          %k1 = add %k, %one : i32
          %odd = and %x, %one : i32
          %is_odd = eq %odd, %one : bool
          %y = if %is_odd
            () {
              %t = mul %x, %three : i32
              %u = add %t, %one : i32
              yield %u
            }
            () {
              %h = floordiv %x, %two : i32
              yield %h
            } : i32
          %go = ne %y, %one : bool
          yield %go, %y, %k1
        } : i32, i32
      return %kend
    }
    """
)


@pytest.mark.parametrize(("lo", "hi"), [(0, 5), (3, 4), (2, 2), (5, -1), (-3, 2)])
def test_counted_loops(lo: int, hi: int) -> None:
    n = max(hi - lo, 0)
    up = run(LOOPS, "count", [lo, hi], limits=CHECK)
    assert [int(x) for x in up] == [n, hi - 1 if n else 0]
    down = run(LOOPS, "down", [lo, hi], limits=CHECK)
    assert [int(x) for x in down] == [n, lo if n else 0]


def test_exit_keeps_the_last_turn() -> None:
    assert int(run(LOOPS, "until", [0, 10, 4])[0]) == 4
    assert int(run(LOOPS, "until", [0, 3, 7])[0]) == 2
    assert int(run(LOOPS, "until", [3, 3, 9])[0]) == 9


def test_general_loop() -> None:
    assert int(run(LOOPS, "collatz", [27], limits=CHECK)[0]) == 111


def test_fuel() -> None:
    assert int(run(LOOPS, "count", [0, 100], limits=Limits(fuel=1000))[0]) == 100
    with pytest.raises(RunError) as e:
        run(LOOPS, "count", [0, 1000], limits=Limits(fuel=1000))
    assert e.value.status == "fuel"


TREES = module(
    """
    source 0 "trees.dl"
    type @Tree[D] = Leaf(x: f32[D]) | Node(l: @Tree[D], r: @Tree[D]) | Empty

    fn @total[D](%t: @Tree[D]) -> (f32[D]) {
      %y = match %t {cases=["Leaf", "Node", "_"]}
        (%x: f32[D]) {
          yield %x
        }
        (%l: @Tree[D], %r: @Tree[D]) {
          %a = call %l {dims=[dim(D)], fn="total"} : f32[D] !0:4:10
          %b = call %r {dims=[dim(D)], fn="total"} : f32[D] !0:4:20
          %c = add %a, %b : f32[D]
          yield %c
        }
        () {
          %never = const {value=false} : bool
          assert %never {message="an empty tree"} !0:6:3
          %z = const {value=0.0} : f32
          %zs = broadcast %z {shape=[dim(D)]} : f32[D]
          yield %zs
        } : f32[D]
      return %y
    }

    fn @mirror[D](%t: @Tree[D]) -> (@Tree[D]) {
      %y = match %t {cases=["Node", "_"]}
        (%l: @Tree[D], %r: @Tree[D]) {
          %a = call %l {dims=[dim(D)], fn="mirror"} : @Tree[D]
          %b = call %r {dims=[dim(D)], fn="mirror"} : @Tree[D]
          %n = variant %b, %a {constructor="Node"} : @Tree[D]
          yield %n
        }
        () {
          yield %t
        } : @Tree[D]
      return %y
    }
    """
)


def leaf(*xs: float) -> Any:
    return ("Leaf", np.array(xs, np.float32))


def test_recursion() -> None:
    t = ("Node", leaf(1, 2), ("Node", leaf(3, 4), leaf(5, 6)))
    assert run(TREES, "total", [t], limits=CHECK)[0].tolist() == [9, 12]
    (m,) = run(TREES, "mirror", [t], limits=CHECK)
    mirrored = to_python(m)
    assert mirrored[0] == "Node" and mirrored[1][1][1].tolist() == [5, 6]
    assert mirrored[2][1].tolist() == [1, 2]


def test_a_deep_comb() -> None:
    depth = 10_000
    t = leaf(1)
    for _ in range(depth):
        t = ("Node", t, leaf(1))
    program = Program(TREES)
    assert run(program, "total", [t])[0].tolist() == [depth + 1]
    (m,) = run(program, "mirror", [t])
    assert run(program, "total", [m])[0].tolist() == [depth + 1]


def test_a_failure_names_its_place_and_the_calls() -> None:
    t = ("Node", leaf(1), ("Node", ("Empty",), leaf(1)))
    with pytest.raises(RunError) as e:
        run(TREES, "total", [t])
    assert (e.value.status, str(e.value.loc)) == ("assert", "trees.dl:6:3")
    assert [(n, l.column) for n, l in e.value.calls] == [("total", 20), ("total", 10)]
    assert str(e.value) == "trees.dl:6:3: an empty tree [assert]"


def test_depth() -> None:
    t = leaf(1)
    for _ in range(50):
        t = ("Node", t, leaf(1))
    with pytest.raises(RunError) as e:
        run(TREES, "total", [t], limits=Limits(depth=20))
    assert e.value.status == "arena"


HIDDEN = module(
    """
    type @Bag = Bag{n}(items: f32[n], more: i32[n])

    fn @positive[N](%x: f32[N]) -> (f32[k.out], i32) def k.out {
      %z = const {value=0.0} : f32
      %zs = broadcast %z {shape=[dim(N)]} : f32[N]
      %m = gt %x, %zs : bool[N]
      %i = nonzero_indices %m def k : i32[k]
      %y = take %x, %i {in_bounds=true} : f32[k]
      %n = dim {value=dim(2*k)} : i32
      return %y, %n {dims=[dim(k)]}
    }

    fn @either[N](%x: f32[N], %c: bool) -> (f32[r.out]) def r.out {
      %y = if %c def r
        () {
          %p, %n = call %x {dims=[dim(N)], fn="positive"} def k : f32[k], i32
          yield %p {dims=[dim(k)]}
        }
        () {
          yield %x {dims=[dim(N)]}
        } : f32[r]
      %z = exp %y : f32[r]
      return %z {dims=[dim(r)]}
    }

    fn @halve[N](%x: f32[N]) -> (f32[e.out], i32) def e.out {
      %zero = const {value=0} : i32
      %y, %turns = loop %x, %zero {init_dims=[dim(N)]} def e
        (%v: f32[m], %t: i32) def m {
          %zero2 = const {value=0} : i32
          %h = slice %v, %zero2 {axis=0, in_bounds=true, size=dim(m//2)} : f32[m//2]
          %one = const {value=1} : i32
          %t1 = add %t, %one : i32
          %n = dim {value=dim(m//2)} : i32
          %go = gt %n, %one : bool
          yield %go, %h, %t1 {dims=[dim(m//2)]}
        } : f32[e], i32
      return %y, %turns {dims=[dim(e)]}
    }

    fn @pack[N](%x: f32[N]) -> (@Bag) {
      %i = iota {size=dim(N)} : i32[N]
      %b = variant %x, %i {constructor="Bag", dims=[dim(N)]} : @Bag
      return %b
    }

    fn @unpack(%b: @Bag) -> (f32[q.out]) def q.out {
      %y = match %b {cases=["Bag"]} def q
        (%x: f32[n], %i: i32[n]) def n {
          %f = convert %i {dtype=dtype(f32)} : f32[n]
          %s = add %x, %f : f32[n]
          yield %s {dims=[dim(n)]}
        } : f32[q]
      return %y {dims=[dim(q)]}
    }
    """
)


def test_hidden_sizes() -> None:
    x = np.array([1, -1, 2, 0, 3], np.float32)
    y, n = run(HIDDEN, "positive", [x], limits=CHECK)
    assert y.tolist() == [1, 2, 3] and int(n) == 6
    for c, want in ((True, [1, 2, 3]), (False, x.tolist())):
        (y,) = run(HIDDEN, "either", [x, c], limits=CHECK)
        assert np.allclose(y, np.exp(want))
    y, turns = run(HIDDEN, "halve", [np.arange(13, dtype=np.float32)], limits=CHECK)
    assert y.tolist() == [0] and int(turns) == 3


def test_values_with_hidden_sizes() -> None:
    x = np.array([1, 5, 2], np.float32)
    (b,) = run(HIDDEN, "pack", [x], limits=CHECK)
    assert b.dims == (3,)
    assert run(HIDDEN, "unpack", [b], limits=CHECK)[0].tolist() == [1, 6, 4]
    given = ("Bag", x, np.zeros(3, np.int32))
    assert run(HIDDEN, "unpack", [given])[0].tolist() == x.tolist()
    with pytest.raises(RunError, match="n is 3, not 2"):
        run(HIDDEN, "unpack", [("Bag", x, np.zeros(2, np.int32))])


MAPS = module(
    """
    fn @rows[N, M](%x: f32[N, M], %w: f32[M]) -> (f32[N], i32[N, 2]) {
      %y, %at = map %x {indexed=true, shape=[dim(N)]}
        (%i: i32, %row: f32[M]) {
          %d = contract %row, %w {spec="i,i->"} : f32
          %z = iota {size=2} : i32[2]
          %is = broadcast %i {shape=[2]} : i32[2]
          %zi = add %z, %is : i32[2]
          yield %d, %zi
        } : f32[N], i32[N, 2]
      return %y, %at
    }

    fn @grid[N](%k: i32) -> (i32[N, 3]) {
      %y = map {indexed=true, shape=[dim(N), 3]}
        (%i: i32, %j: i32) {
          %a = mul %i, %k : i32
          %b = add %a, %j : i32
          yield %b
        } : i32[N, 3]
      return %y
    }
    """
)


def test_maps() -> None:
    x, w = np.arange(12, dtype=np.float32).reshape(4, 3), np.ones(3, np.float32)
    y, i = run(MAPS, "rows", [x, w], limits=CHECK)
    assert y.tolist() == x.sum(1).tolist() and i.tolist() == [[k, k + 1] for k in range(4)]
    y, i = run(MAPS, "rows", [x[:0], w], limits=CHECK)
    assert y.shape == (0,) and i.shape == (0, 2) and i.dtype == np.int32
    (g,) = run(MAPS, "grid", [10], {"N": 2}, limits=CHECK)
    assert g.tolist() == [[0, 1, 2], [10, 11, 12]]


UPDATES = module(
    """
    fn @fill[N](%x: f32[N], %n: i32) -> (f32[N], f32[N]) {
      %zero = const {value=0} : i32
      %y = for %zero, %n, %x
        (%i: i32, %h: f32[N]) {
          %f = convert %i {dtype=dtype(f32)} : f32
          %h2 = insert %h, %f, %i : f32[N]
          yield %h2
        } : f32[N]
      return %x, %y
    }

    fn @twice[N](%x: f32[N]) -> (f32[N], f32[N]) {
      %zero = const {value=0} : i32
      %one = const {value=1.0} : f32
      %two = const {value=2.0} : f32
      %a = exp %x : f32[N]
      %b = insert %a, %one, %zero : f32[N]
      %c = insert %a, %two, %zero : f32[N]
      return %b, %c
    }
    """
)


def test_updates_don_t_show_in_other_values() -> None:
    x = np.full(4, 7, np.float32)
    old, new = run(UPDATES, "fill", [x, 4])
    assert x.tolist() == old.tolist() == [7] * 4 and new.tolist() == [0, 1, 2, 3]
    b, c = run(UPDATES, "twice", [np.zeros(2, np.float32)])
    assert b.tolist() == [1, 1] and c.tolist() == [2, 1]


def test_updating_loops_are_linear() -> None:
    """With a copy a turn this would move 80 GB."""
    n = 100_000
    _, y = run(UPDATES, "fill", [np.zeros(n, np.float32), n])
    assert y[-1] == n - 1


def test_derivatives_must_be_expanded_first() -> None:
    from dlc.diag import InternalError

    m = module(
        """
        fn @sq(%x: f32) -> (f32) {
          %y = mul %x, %x : f32
          return %y
        }
        fn @f(%x: f32) -> (f32) {
          %y, %d = value_and_grad %x {dims=[], fn="sq", wrt=[0]} : f32, f32
          return %d
        }"""
    )
    with pytest.raises(InternalError, match="expanded first"):
        run(m, "f", [1.0])
