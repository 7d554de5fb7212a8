"""Arguments: conversion, dims from shapes, refusals in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.evaluate import ListValue, RunError, complex_step, run, to_python
from dlc.ir.core import Module
from dlc.ir.reader import read_module
from dlc.ops.verify import verify

M: Module = verify(
    read_module(
        """
        type @Tree[D] = Leaf(x: f32[D]) | Node(l: @Tree[D], r: @Tree[D])

        fn @dims[H, N](%w: f32[4*H, 2*H+N], %x: f32[N]) -> (i32, i32) {
          %h = dim {value=dim(H)} : i32
          %n = dim {value=dim(N)} : i32
          return %h, %n
        }

        fn @id(%x: i8) -> (i8) {
          return %x
        }

        fn @half(%x: bf16[2]) -> (bf16[2]) {
          return %x
        }

        fn @tree[D](%t: @Tree[D], %l: List[f32[D], i32]) -> (@Tree[D], List[f32[D], i32], i32) {
          %n = dim {value=dim(D)} : i32
          return %t, %l, %n
        }

        fn @free[K](%x: i32) -> (i32) {
          %n = dim {value=dim(K)} : i32
          return %n
        }

        fn @square[N](%x: f32[N], %t: @Tree[N], %l: List[f32[N]])
          -> (f32[N], @Tree[N], List[f32[N]]) {
          %y = mul %x, %x : f32[N]
          %l2 = list_push %l, %y : List[f32[N]]
          %u = match %t {cases=["Leaf", "_"]}
            (%v: f32[N]) {
              %w = mul %v, %x : f32[N]
              %z = variant %w {constructor="Leaf"} : @Tree[N]
              yield %z
            }
            () {
              yield %t
            } : @Tree[N]
          return %y, %u, %l2
        }
        """
    )
)


def test_dims_come_from_shapes() -> None:
    w, x = np.zeros((12, 11), np.float32), np.zeros(5, np.float32)
    assert [int(n) for n in run(M, "dims", [w, x])] == [3, 5]
    assert int(run(M, "free", [1], {"K": 6})[0]) == 6


@pytest.mark.parametrize(
    ("fn", "args", "dims", "status", "words"),
    [  # the matrix `w` of @dims is [4*H, 2*H+N]
        ("dims", [np.zeros((12, 12), np.float32), np.zeros(5, np.float32)], {}, "shape", "w"),
        ("dims", [np.zeros((13, 11), np.float32), np.zeros(5, np.float32)], {}, "shape", "= 13"),
        ("dims", [np.zeros(12, np.float32), np.zeros(5, np.float32)], {}, "shape", "rank 1"),
        ("dims", [np.zeros((12, 11)), np.zeros(5, np.float32)], {}, "arg", "float64"),
        ("dims", [np.zeros((12, 11), np.float32)], {}, "arg", "2 arguments, not 1"),
        ("free", [1], {}, "shape", "determines the dim K"),
        ("free", [1], {"Q": 1}, "arg", "no dim Q"),
        ("id", [300], {}, "arg", "out of range"),
        ("id", [1.5], {}, "arg", "float64"),
        ("id", [[1, [2]]], {}, "arg", "must be i8"),
        ("tree", [("Leaf", [1.0]), [([1.0, 2.0], 1)]], {}, "shape", "`t`|`l`"),
        ("tree", [("Loaf", [1.0]), []], {}, "struct", "no constructor Loaf"),
        ("tree", [("Node", ("Leaf", [1.0])), []], {}, "struct", "2 fields, not 1"),
        ("tree", [3, []], {}, "struct", "int is no algebraic value"),
        ("tree", [("Leaf", [1.0]), [([1.0],)]], {}, "arg", "2 parts"),
    ],
)  # fmt: skip
def test_refusals(fn: str, args: list[Any], dims: dict[str, int], status: str, words: str) -> None:
    with pytest.raises(RunError, match=words) as e:
        run(M, fn, args, dims)
    assert e.value.status == status


def test_numbers_and_nested_values() -> None:
    assert run(M, "id", [-5])[0] == np.int8(-5)
    assert run(M, "half", [[1.0, 2.5]])[0].tolist() == [1.0, 2.5]
    t = ["Node", ["Leaf", [1.0, 2.0]], ("Leaf", [3.0, 4.0])]
    tree, items, n = run(M, "tree", [t, [([5.0, 6.0], 1), ([7.0, 8.0], 2)]])
    assert int(n) == 2
    back = to_python(tree)
    assert back[0] == "Node" and back[2][1].tolist() == [3, 4]
    rows = to_python(items)
    assert [(x.tolist(), int(k)) for x, k in rows] == [([5, 6], 1), ([7, 8], 2)]
    again, _, _ = run(M, "tree", [tree, items])
    assert to_python(again)[1][1].tolist() == [1, 2]
    empty = run(M, "tree", [t, ListValue()])[1]
    assert to_python(empty) == []


def test_complex_step_through_structures() -> None:
    x, v = np.array([2.0, 3.0], np.float32), np.array([1.0, -1.0])
    args = [x, ("Leaf", np.array([5.0, 7.0], np.float32)), [np.ones(2, np.float32)]]
    (y, t, _), (dy, dt, dl) = complex_step(M, "square", args, [v, ("Leaf", v), [v]])
    assert y.tolist() == [4, 9] and np.allclose(dy, 2 * x * v, rtol=1e-15)
    assert t.fields[0].tolist() == [10, 21]
    assert np.allclose(dt.fields[0], x * v + np.array([5, 7]) * v, rtol=1e-15)
    assert dl[0][0].tolist() == v.tolist() and np.allclose(dl[1][0], dy)
