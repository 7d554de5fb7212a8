"""Which indices are shown to be inside, and which are not."""

from __future__ import annotations

import pytest

from dlc.ir.reader import read_module
from dlc.lower.bounds import prove_bounds
from dlc.ops.verify import problems


def marked(
    body: str, params: str = "%x: f32[N, 4], %i: i32, %j: i32[M]", dims: str = "N, M, K"
) -> list[bool]:
    """Whether each operation that could be marked is, in order of the text."""
    text = f"fn @f[{dims}]({params}) -> () {{\n{body}\n  return\n}}\n"
    module = read_module(text)
    assert not problems(module), [str(p) for p in problems(module)]
    out: list[bool] = []

    def visit(region) -> None:
        for op in region.ops:
            for r in op.regions:
                visit(r)
            if op.name in ("index", "insert", "slice", "insert_slice", "take", "scatter_add"):
                out.append(op.attr_flag("in_bounds"))

    visit(prove_bounds(module.functions["f"]).body)
    return out


LOOP = """  %lo = const {{value={lo}}} : i32
  %hi = dim {{value=dim({hi})}} : i32
  for %lo, %hi
    (%k: i32) {{
{body}
      yield
    }}"""


def loop(lo: int, hi: str, body: str) -> list[bool]:
    return marked(LOOP.format(lo=lo, hi=hi, body=body))


def test_loop_indices():
    read = "      %r = index %x, %k : f32[4]"
    assert loop(0, "N", read) == [True]
    assert loop(2, "N", read) == [True]
    assert loop(-1, "N", read) == [False]
    assert loop(0, "N+1", read) == [False]
    assert loop(0, "M", read) == [False]
    assert loop(0, "N", "      %r = index %x, %i : f32[4]") == [False]


def test_sums_of_loop_indices():
    def shifted(op: str, n: int) -> str:
        return (
            f"      %c = const {{value={n}}} : i32\n      %s = {op} %k, %c : i32\n"
            "      %r = index %x, %s : f32[4]"
        )

    assert loop(0, "N-1", shifted("add", 1)) == [True]
    assert loop(0, "N", shifted("add", 1)) == [False]
    assert loop(1, "N", shifted("sub", 1)) == [True]
    assert loop(0, "N", shifted("sub", 1)) == [False]


def test_runs_need_room_behind_their_start():
    def run(size: str) -> str:
        return f"      %r = slice %x, %k {{axis=0, size=dim({size})}} : f32[{size}, 4]"

    assert loop(0, "N-2", run("3")) == [True]
    assert loop(0, "N-1", run("3")) == [False]


def test_constants_in_constant_dims():
    def at(n: int) -> list[bool]:
        return marked(f"  %c = const {{value={n}}} : i32\n  %z = const {{value=0}} : i32\n"
                      "  %r = index %y, %c : f32", "%y: f32[3]", "N")  # fmt: skip

    assert at(2) == [True]
    assert at(3) == [False]
    assert at(-1) == [False]


def test_winners_quotients_and_remainders():
    text = """  %s, %flat = top_k %y {axis=0, k=dim(K)} : f32[K], i32[K]
  %v = dim {value=dim(M)} : i32
  %d = broadcast %v {shape=[dim(K)]} : i32[K]
  %q = floordiv %flat, %d : i32[K]
  %r = mod %flat, %d : i32[K]
  %a = take %x, %q : f32[K]
  %b = take %z, %r : f32[K]
  %c = take %x, %r : f32[K]
  %w = argmax %x {axis=0} : i32
  %e = index %x, %w : f32"""
    params = "%y: f32[M*N], %x: f32[N], %z: f32[M]"
    assert marked(text, params) == [True, True, False, True]


def test_narrow_numbers_wrap():
    text = """  %n = iota {size=dim(N)} : i32[N]
  %b = convert %n {dtype=dtype(i8)} : i8[N]
  %w = convert %b {dtype=dtype(i32)} : i32[N]
  %r = take %y, %w : f32[N]
  %s = take %y, %n : f32[N]"""
    assert marked(text, "%y: f32[N]", "N") == [False, True]


def test_a_quotient_that_may_be_negative_proves_nothing():
    read = "      %r = index %y, %k : f32"
    text = LOOP.format(lo=0, hi="3", body=read)
    assert marked(text, "%y: f32[3+(N-5)//2]", "N") == [False]
    assert marked(text, "%y: f32[3+(N+5)//2]", "N") == [True]


@pytest.mark.parametrize("name", ["take", "scatter_add"])
def test_given_indices_stay_checked(name):
    if name == "take":
        assert marked("  %r = take %x, %j : f32[M, 4]") == [False]
    else:
        text = "  %v = undef : f32[M, 4]\n  %r = scatter_add %x, %j, %v : f32[N, 4]"
        assert marked(text) == [False]
