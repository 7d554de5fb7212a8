"""Rebuilding functions: what is used, substitution, copies, inlining with fresh names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dlc.evaluate import run
from dlc.ir.core import Function, Module, Op, Value, walk
from dlc.ir.names import DimNames, defined_dims
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ir.rewrite import (
    Substitution,
    copy_function,
    free_values,
    inline_body,
    rename_dims,
    rewrite_function,
    use_counts,
    used_dims,
)
from dlc.ops.verify import verify
from dlc.typesys.dims import Dim

M = verify(
    read_module(
        """
        fn @pick[N](%x: f32[N], %c: bool) -> (f32[h]) def h {
          %y = if %c def r
            () {
              %z = const {value=0.0} : f32
              %zs = broadcast %z {shape=[dim(N)]} : f32[N]
              %m = gt %x, %zs : bool[N]
              %i = nonzero_indices %m def k : i32[k]
              %p = take %x, %i {in_bounds=true} : f32[k]
              yield %p {dims=[dim(k)]}
            }
            () {
              yield %x {dims=[dim(N)]}
            } : f32[r]
          return %y {dims=[dim(r)]}
        }

        fn @both[N, M](%a: f32[N], %b: f32[2*M], %c: bool) -> (f32, f32) {
          %p = call %a, %c {dims=[dim(N)], fn="pick"} def k : f32[k]
          %q = call %b, %c {dims=[dim(2*M)], fn="pick"} def r : f32[r]
          %s = reduce %p {axes=[0], kind="sum"} : f32
          %t = reduce %q {axes=[0], kind="sum"} : f32
          return %s, %t
        }
        """
    )
)
PICK, BOTH = M.functions["pick"], M.functions["both"]


def named(fn: Function, hint: str) -> Value:
    found = [*fn.params, *(v for op in walk(fn.body) for v in op.results)]
    return next(v for v in found if v.hint == hint)


def test_free_values_and_uses() -> None:
    branch = PICK.body.ops[0]
    assert [v.hint for v in free_values(branch.regions[0])] == ["x"]
    assert [v.hint for v in free_values(PICK.body)] == ["c", "x"]
    counts = use_counts(PICK.body)
    assert counts[named(PICK, "x")] == 3 and counts[named(PICK, "c")] == 1
    assert [*defined_dims(PICK.body)] == ["r", "k"]
    assert {*used_dims(PICK.body.ops)} == {"N", "k", "r"}


def test_inlining_twice_keeps_names_apart() -> None:
    names, s = DimNames.of(BOTH), Substitution()
    ops: list[Op] = []
    for op in BOTH.body.ops:
        now = s.op(op)
        if op.name != "call":
            ops.append(now)
            continue
        made, results, sizes = inline_body(PICK, now.operands, now.attr_dims(), names)
        ops += made
        s.dims.update(zip(op.dims, sizes, strict=True))
        s.values.update(zip(op.results, results, strict=True))
    whole = replace(BOTH, body=replace(BOTH.body, ops=tuple(ops)))
    m = verify(Module.of({}, {"both": whole}))
    assert not any(op.name == "call" for op in walk(whole.body))
    args = [np.array([1, -2, 3], np.float32), np.array([-1, 5], np.float32)]
    for c in (True, False):
        assert run(m, "both", [*args, c]) == run(M, "both", [*args, c])


def test_a_copy_shares_nothing_and_prints_the_same() -> None:
    copy = copy_function(PICK, "pick")
    assert print_module(Module.of({}, {"pick": copy})) == print_module(
        Module.of({}, {"pick": PICK})
    )
    mine = {*PICK.params, *(v for op in walk(PICK.body) for v in op.results)}
    theirs = {*copy.params, *(v for op in walk(copy.body) for v in op.results)}
    assert not mine & theirs and len(mine) == len(theirs)


def test_dims_are_renamed_everywhere() -> None:
    fn = rename_dims(PICK, {"N": Dim.sym("Q")})
    text = print_module(verify(Module.of({}, {"pick": fn})))
    assert "fn @pick[Q](%x: f32[Q]" in text and "N" not in text.replace("Node", "")


def test_a_change_replaces_operations() -> None:
    def change(op: Op) -> list[Op] | None:
        if op.name == "gt":
            return [Op("lt", op.operands, op.results)]
        return [] if op.name == "none" else None

    fn = rewrite_function(PICK, change)
    m = verify(Module.of({}, {"pick": fn}))
    x = np.array([1, -2, 3], np.float32)
    assert run(m, "pick", [x, True])[0].tolist() == [-2]
    assert run(M, "pick", [x, True])[0].tolist() == [1, 3], "the original stays"
